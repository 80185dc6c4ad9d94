"""The texts of the tokens that the page uses."""

import re

import numpy as np
from jaxtyping import Int64

from headwater.corpus.encoding import Encoder

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # how byte fallback names its tokens
_SPACE = "▁"  # how SentencePiece writes a space
Text = str | dict[str, list[int]]


def texts(encoder: Encoder, ids: Int64[np.ndarray, " tokens"]) -> dict[str, Text]:
    """The text of each token by its id; its bytes where it is a part of a character."""
    known = encoder.token_bytes
    found: dict[str, Text] = {}
    for token in ids.tolist():
        if token < encoder.vocabulary:
            raw = _bytes(encoder, token) if known is None else known[token]
            found[str(token)] = _text(raw)
    return found


def _text(raw: bytes) -> Text:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"bytes": list(raw)}


def _bytes(encoder: Encoder, token: int) -> bytes:
    """Of a tokenizer that is not byte-level; a decoder would trim spaces."""
    name = encoder.tokenizer.id_to_token(token) or ""
    if byte := _BYTE.fullmatch(name):
        return bytes([int(byte[1], 16)])
    if _SPACE in name:
        return name.replace(_SPACE, " ").encode()
    return encoder.decode(np.array([token])).encode("utf-8", "replace")
