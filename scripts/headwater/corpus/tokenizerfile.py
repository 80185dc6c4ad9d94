"""A tokenizer made elsewhere: `tokenizer.json`, and the settings beside it.

The file alone says how text becomes tokens. The class that the settings name is not
asked: some classes of `transformers` build the pre-tokenizer and the normalizer anew,
or add ids. Only which token ends a text is left open by the file, and read from beside
it.

The file is checked before the library reads it: memory goes by the highest id, and the
library numbers some added tokens as it likes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from headwater.corpus.encoding import in_words
from headwater.errors import HeadwaterError
from headwater.logs import logger
from headwater.strictjson import read_object

Get = Callable[[str], Path | None]

# Files and their keys that may say which token ends a text; the first that does counts.
_ENDS = (
    ("tokenizer_config.json", "eos_token"),
    ("special_tokens_map.json", "eos_token"),
    ("config.json", "eos_token_id"),
)


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`.

    Raises:
        HeadwaterError: not readable, or its ids are not those of a vocabulary: two
            words of one id, most ids without a word, none at all.
    """
    advice = "copy or fetch it again, or choose another"
    with in_words(f"{path}: not a tokenizer that can be used", advice):
        words = _words(read_object(path))
        _check_ids(path, words)
        tokenizer = Tokenizer.from_file(str(path))
        _check_as_read(tokenizer, words)
    return tokenizer


def end_of_text(get: Get, tokenizer: Tokenizer) -> tuple[str, int] | None:
    """The token that ends a text, as the settings beside `tokenizer.json` name it.

    Args:
        get: the file of a name, if there is one.

    Returns:
        Its word and id; None if no file names one.

    Raises:
        HeadwaterError: a file cannot be read, or names what is no word of it.
    """
    for name, key in _ENDS:
        path = get(name)
        said = None if path is None else _settings(path).get(key)
        if said is None:
            continue
        word = _word_of_id(said, tokenizer) if key.endswith("id") else _content(said)
        number = None if word is None else tokenizer.token_to_id(word)
        if word is None or number is None:
            raise HeadwaterError(
                f"{path}: {key} is {said!r}, which is no token of tokenizer.json; name "
                "the one that ends a document"
            )
        return word, number
    return None


def _word_of_id(said: Any, tokenizer: Tokenizer) -> str | None:
    usable = type(said) is int and 0 <= said < 2**32
    return tokenizer.id_to_token(said) if usable else None


def _content(said: Any) -> str | None:
    word = said.get("content") if isinstance(said, Mapping) else said
    return word if isinstance(word, str) else None


def _settings(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise HeadwaterError(
            f"{path}: cannot be read ({error}); copy or fetch it again"
        ) from error


def _words(found: Mapping[str, Any]) -> dict[str, int]:
    """Every word of the file and its id, the added ones too."""
    model, added = found.get("model"), found.get("added_tokens") or []
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(vocabulary, list):  # Unigram: words with scores, in order
        vocabulary = {entry[0]: number for number, entry in enumerate(vocabulary)}
    if not isinstance(vocabulary, dict) or not isinstance(added, list):
        raise ValueError("no model.vocab and added_tokens")
    if isinstance(model, Mapping) and model.get("dropout"):
        raise ValueError("model.dropout draws other tokens each time; set it to null")
    words = dict(vocabulary)
    for entry in added:
        word, number = entry["content"], entry["id"]
        if words.setdefault(word, number) != number:
            raise ValueError(f"{word!r} has the ids {words[word]} and {number}")
    return words


def _check_ids(path: Path, words: Mapping[str, int]) -> None:
    owners: dict[int, str] = {}
    for word, number in words.items():
        if type(number) is not int or number < 0:
            raise ValueError(f"the id of {word!r} is {number!r}, no whole number")
        if owners.setdefault(number, word) != word:
            raise ValueError(f"{owners[number]!r} and {word!r} both have id {number}")
    if not owners:
        raise ValueError("its vocabulary is empty")
    size = max(owners) + 1
    if size > 2 * len(owners):
        raise ValueError(
            f"the highest id is {size - 1}, but there are only {len(owners)} tokens"
        )
    if size > len(owners):
        logger.warning(
            "%s: %s of its %s ids have no token; the embeddings of these are "
            "never trained",
            *(path, f"{size - len(owners):,}", f"{size:,}"),
        )


def _check_as_read(tokenizer: Tokenizer, words: Mapping[str, int]) -> None:
    read = tokenizer.get_vocab(with_added_tokens=True)
    for word, number in words.items():
        if read.get(word) != number:
            raise ValueError(
                f"{word!r} has id {number} in the file, but is read as "
                f"{read.get(word)}; an added token's id must follow the vocabulary's"
            )
