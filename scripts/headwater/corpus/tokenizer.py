"""The experiment's tokenizer: trained on the corpus, or fetched from Hugging Face.

Either way it ends in one folder: `tokenizer.json` and `tokenizer_config.json`, which
`transformers` loads, and `headwater.json` with the identity and what bulk work needs.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from headwater.corpus.documents import DocumentReader
from headwater.corpus.encoding import (
    DESCRIPTION_NAME,
    TOKENIZER_NAME,
    count_ids,
    split_points,
)
from headwater.corpus.files import tokenizer_problem
from headwater.corpus.tokenizerfile import Get, end_of_text, open_tokenizer
from headwater.errors import HeadwaterError
from headwater.publish import Identity, publish_folder, write_json

logger = logging.getLogger("headwater")

END_OF_DOCUMENT = "<|endoftext|>"
SAMPLE_CHARACTERS = 20_000_000
_END_ID = 0  # special tokens come first
_SMALLEST_VOCABULARY = 257  # every byte, and the end of a document


def make_tokenizer(
    target: Path,
    tokenizer: Mapping[str, Any],
    sources: Sequence[Path],
    on_bad_line: str,
    model_vocabulary: int | None,
    identity: Identity,
) -> None:
    """Publish the tokenizer folder that a config asks for.

    Args:
        tokenizer: `{vocab_size, split_digits}` to train one, or `{name, revision}` to
            fetch one.
        sources: the corpus, `.jsonl.zst` files in order.
        model_vocabulary: rows of the model's embedding, if the config says.

    Raises:
        HeadwaterError: a bad shard, a tokenizer that cannot be had, or a vocabulary
            that does not fit.
    """
    with publish_folder(target, identity) as part:
        if "name" in tokenizer:
            name, revision = tokenizer["name"], tokenizer.get("revision", "main")
            label = f"tokenizer {name}"
            end = fetch(part, name, revision)
        else:
            label = "trained tokenizer"
            texts = sample_texts(sources, on_bad_line, SAMPLE_CHARACTERS)
            split = tokenizer.get("split_digits", False)
            end = save_trained(part, train(texts, tokenizer["vocab_size"], split))
        size = count_ids(Tokenizer.from_file(str(part / TOKENIZER_NAME)))
        check_vocabulary(label, size, model_vocabulary)
        logger.info("%s: %s token ids, end of document %s", label, f"{size:,}", end)
        description = {
            "headwater": identity,
            "end_of_document": end,
            "vocabulary": size,
        }
        write_json(part / DESCRIPTION_NAME, description)


def check_vocabulary(label: str, size: int, model_vocabulary: int | None) -> None:
    """Refuse a tokenizer with ids the model has no embedding for.

    Raises:
        HeadwaterError: `size` exceeds `model_vocabulary`.
    """
    if model_vocabulary is not None and size > model_vocabulary:
        raise HeadwaterError(
            f"{label} has {size:,} token ids, but model.vocab_size is "
            f"{model_vocabulary:,}; raise model.vocab_size to {size} or more, or "
            "choose a smaller tokenizer"
        )


def sample_texts(
    sources: Sequence[Path], on_bad_line: str, characters: int
) -> Iterator[str]:
    """Text from all over the corpus, at most `characters` and one document in all.

    A document is taken while the text taken so far lags behind the share of the
    compressed bytes read so far. A corpus smaller than `characters` is taken whole,
    unless its parts compress very unevenly. Long documents come in pieces.
    """
    total = sum(path.stat().st_size for path in sources)
    passed = taken = 0
    for path in sources:
        reader = DocumentReader(path, on_bad_line)
        for document in reader:
            if taken * total > characters * (passed + reader.bytes_read):
                continue
            taken += len(document.text)
            for start, stop in split_points(document.text):
                yield document.text[start:stop]
        passed += reader.bytes_read


def train(
    texts: Iterator[str], vocab_size: int, split_digits: bool = False
) -> Tokenizer:
    """Train a byte-level BPE; the same texts give the same tokenizer.

    All 256 bytes are tokens, so no text is ever lost; `<|endoftext|>` is id 0.

    Raises:
        HeadwaterError: `vocab_size` is below 257.
    """
    if vocab_size < _SMALLEST_VOCABULARY:
        raise HeadwaterError(
            f"corpus.tokenizer.vocab_size is {vocab_size}; a byte-level tokenizer "
            f"needs {_SMALLEST_VOCABULARY} or more (256 bytes, the end of a document)"
        )
    tokenizer = Tokenizer(models.BPE())
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    # Split as Llama's: a number is its digits, not a word of its own.
    both = pre_tokenizers.Sequence([digits, bytewise])
    tokenizer.pre_tokenizer = both if split_digits else bytewise
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_DOCUMENT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_trained(folder: Path, tokenizer: Tokenizer) -> int:
    """Write a trained tokenizer as `transformers` expects it; returns the end's id."""
    tokenizer.save(str(folder / TOKENIZER_NAME))
    words = ("bos_token", "eos_token", "unk_token")
    _write_settings(folder, **dict.fromkeys(words, END_OF_DOCUMENT))
    return _END_ID


def fetch(folder: Path, name: str, revision: str) -> int:
    """Copy a Hugging Face tokenizer, by hub name or local folder; returns the end's id.

    Raises:
        HeadwaterError: not found, offline, without a usable `tokenizer.json`, or
            without an end-of-text token.
    """
    if wrong := tokenizer_problem(name, Path()):
        raise HeadwaterError(f"corpus.tokenizer.name: {wrong}")
    try:
        return _copy(folder, _getter(name, revision), name, revision)
    except HeadwaterError as error:
        raise HeadwaterError(f"corpus.tokenizer.name: {error}") from error


def _getter(name: str, revision: str) -> Get:
    from headwater.net.hub import hub_file  # brings the hub's client

    local = Path(name)
    if not local.is_dir():
        return lambda file: hub_file(name, revision, file)
    return lambda file: local / file if (local / file).is_file() else None


def _copy(folder: Path, get: Get, name: str, revision: str) -> int:
    path = get(TOKENIZER_NAME)
    if path is None:
        from headwater.net.hub import absent

        raise absent(name, revision, TOKENIZER_NAME)
    tokenizer = open_tokenizer(path)
    end = end_of_text(get, tokenizer)
    if end is None:
        raise HeadwaterError(
            f"{name} names no end-of-text token (eos_token in "
            "tokenizer_config.json), which is needed to end documents"
        )
    shutil.copyfile(path, folder / TOKENIZER_NAME)
    _write_settings(folder, eos_token=end[0])
    return end[1]


def _write_settings(folder: Path, **words: str) -> None:
    # The class that takes `tokenizer.json` as it is.
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **words}
    cleaning = {"clean_up_tokenization_spaces": False}
    write_json(folder / "tokenizer_config.json", {**settings, **cleaning})
