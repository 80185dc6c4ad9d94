"""Documents to tokens, with the characters each token stands for.

Works with the plain `tokenizers` library; `transformers` costs seconds to import.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Encoding, Tokenizer, decoders

from headwater.errors import HeadwaterError, again
from headwater.identity import Config, check_identity

TOKENIZER_NAME = "tokenizer.json"
DESCRIPTION_NAME = "headwater.json"

# `tokenizers` is twice as fast on pieces of 2,000 to 4,000 characters as on 64,000.
_PIECE_CHARACTERS = 4_000
_LARGEST_PIECE = 64_000
_WORD_END = re.compile(r"(?<=\S)[ \t\n\r]")


@contextmanager
def in_words(what: str, advice: str) -> Iterator[None]:
    """Say in one line what `tokenizers` cannot do; its panics are no `Exception`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HeadwaterError(f"{what} ({reason}); {advice}") from error


def split_points(text: str) -> Iterator[tuple[int, int]]:
    """Where to cut a long text so that its tokens stay the same.

    Cuts stand before a space that follows a visible character. No pre-token of the
    GPT-2 family (Pythia's tokenizer, and those trained here) goes on from a visible
    character into a space, and no BPE merge crosses pre-tokens, so the pieces have
    exactly the tokens of the whole text. For other pre-tokenizers this mostly holds,
    too, but is not promised. Where 4,000 characters hold no such place (base64,
    Chinese) the piece grows to the next white space, and is cut hard after 64,000
    characters: a few tokens at that cut may then differ. No character is ever lost.

    Yields:
        Start and stop of each piece; the pieces are adjacent and cover the text.
    """
    start = 0
    while len(text) - start > _PIECE_CHARACTERS:
        stop = _cut(text, start)
        yield start, stop
        start = stop
    if start < len(text):
        yield start, len(text)


def _cut(text: str, start: int) -> int:
    stop = start + _PIECE_CHARACTERS
    while (stop := text.rfind(" ", start + 1, stop)) > 0:
        if not text[stop - 1].isspace():
            return stop
    farthest = start + _LARGEST_PIECE
    later = _WORD_END.search(text, start + _PIECE_CHARACTERS, farthest)
    return later.start() if later else min(farthest, len(text))


@dataclass(frozen=True)
class EncodedPiece:
    """The tokens of one piece of text.

    Attributes:
        ids: token ids, uint32 [tokens].
    """

    ids: np.ndarray
    _encoding: Encoding

    def characters(self, token: int) -> tuple[int, int]:
        """First and last-plus-one character of the piece that a token stands for.

        Tokens that split one character between them all stand for the whole of it.
        """
        span = self._encoding.token_to_chars(token)
        assert span is not None  # only added tokens have none
        return span


class Encoder:
    """The experiment's tokenizer, opened for bulk work.

    Args:
        end_of_document: id of the token that ends each document.

    Text that spells a special token (`<|endoftext|>`) is read as ordinary characters:
    only the end of a document is the end of a document.
    """

    def __init__(self, tokenizer: Tokenizer, end_of_document: int) -> None:
        self.tokenizer, self.end_of_document = tokenizer, end_of_document
        end = tokenizer.id_to_token(end_of_document)
        # The file may hold it as an ordinary added token.
        tokenizer.add_special_tokens([AddedToken(end, special=True, normalized=False)])
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        tokenizer.post_processor = None  # it would trim spaces off the offsets

    @classmethod
    def open(cls, folder: Path, config: Config) -> "Encoder":
        """Open the tokenizer folder of an experiment.

        Raises:
            HeadwaterError: not such a folder, or made under another config.
        """
        try:
            description = json.loads((folder / DESCRIPTION_NAME).read_text("utf-8"))
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_NAME))
        except Exception as error:  # `tokenizers` raises nothing more specific
            raise HeadwaterError(
                f"{folder}: not a readable tokenizer folder ({error}); {again(folder)}"
            ) from error
        check_identity(description["headwater"], config, folder)
        return cls(tokenizer, description["end_of_document"])

    @cached_property
    def vocabulary(self) -> int:
        """Number of token ids, highest id plus one."""
        return count_ids(self.tokenizer)

    @cached_property
    def special_ids(self) -> list[int]:
        """Ids that stand for no text, the end of a document among them, sorted."""
        added = self.tokenizer.get_added_tokens_decoder()
        special = {token for token, content in added.items() if content.special}
        return sorted(special | {self.end_of_document})

    def encode(self, texts: Sequence[str]) -> list[EncodedPiece]:
        """Tokens of each text, without any added token.

        Raises:
            HeadwaterError: a text that the tokenizer has no tokens for.
        """
        advice = "take a tokenizer that has tokens for every text"
        with in_words("corpus.tokenizer: a text cannot be tokenized", advice):
            encodings = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [
            EncodedPiece(np.array(encoding.ids, np.uint32), encoding)
            for encoding in encodings
        ]

    def decode(self, tokens: np.ndarray) -> str:
        """Text of some tokens [n]; a special token shows as its name."""
        return self.tokenizer.decode(tokens.tolist(), skip_special_tokens=False)

    def decode_many(self, parts: Sequence[np.ndarray]) -> list[str]:
        """Text of each of many stretches of tokens, as `decode` gives it but faster."""
        ids = [part.tolist() for part in parts]
        table = self.token_bytes
        if table is None:
            return self.tokenizer.decode_batch(ids, skip_special_tokens=False)
        return [
            b"".join([table[token] for token in part]).decode("utf-8", "replace")
            for part in ids
        ]

    @cached_property
    def token_bytes(self) -> list[bytes] | None:
        """The bytes of every token id; None for a tokenizer that is not byte-level."""
        if not isinstance(self.tokenizer.decoder, decoders.ByteLevel):
            return None
        names = self.tokenizer.get_vocab(with_added_tokens=True)
        table = [b""] * self.vocabulary
        for name, token in names.items():
            table[token] = _bytes_of(name)
        return table


def _byte_alphabet() -> dict[str, int]:
    """The byte each character stands for in the tokens of a byte-level BPE (GPT-2)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    alphabet = {chr(byte): byte for byte in shown}
    return alphabet | {chr(256 + n): byte for n, byte in enumerate(hidden)}


_BYTES = _byte_alphabet()


def _bytes_of(token: str) -> bytes:
    # An added token (a run of spaces) is plain text, not written in that alphabet.
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode()


def count_ids(tokenizer: Tokenizer) -> int:
    """Number of token ids of a tokenizer, highest id plus one."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
