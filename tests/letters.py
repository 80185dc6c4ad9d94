"""Tokenizers of which a letter, or a byte, is a token."""

from typing import cast

from tokenizers import Tokenizer, decoders, models, pre_tokenizers


class Letters:
    """Stands in for a tokenizer: a letter is a token."""

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        assert not skip_special_tokens
        return "".join(map(chr, tokens))


LETTERS = cast(Tokenizer, Letters())


def bytewise() -> Tokenizer:
    """A real tokenizer of which every byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


BYTES = bytewise()
