"""A run whose text, names and numbers are as bad as they may come."""

import json
from functools import cache

import numpy as np
from tokenizers import AddedToken

from headwater.corpus.encoding import Encoder
from headwater.report.page.inputs import Inputs
from page_example import bytewise, run_of

LENGTH = 96
STEPS = 5  # of 8 rows each: every text below stands in one of them
CANARY = "<script>window.canary=1</script>"
OVERRIDES = "\u202e\u2066"  # right to left, isolate

# Tokens of their own: no row splits them.
END_OF_SCRIPT = f"</script>{CANARY}"
COMBINING = "e" + "\u0301" * 10_000
LONG = "W" * 50_000
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
TOKENS = [END_OF_SCRIPT, "<!--", "]]>", "{{7*7}}", "${x}", COMBINING, LONG, FAMILY]

# What is no UTF-8 on its own: half a character, a surrogate, an overlong slash.
BROKEN = [b"\xc3", b"\xf0\x9f\x91", b"\xed\xa0\x80", b"\xc0\xaf", b"\xff\xfe"]
BYTES = "".join(chr(0xF000 + n) for n in range(len(BROKEN)))  # stand for them

TEXTS = [
    f"{CANARY} and <img src=x onerror=window.canary=2>",
    f"a token {END_OF_SCRIPT} ends it",
    "a comment <!-- that does not end, ]]> and a section that does",
    "templates {{7*7}} and ${x} and <%= 7*7 %>",
    f"turned {OVERRIDES}txet and \u200eleft\u200f and \u2029 lines",
    "NUL \x00, bell \x07, delete \x7f, escape \x1b[31mred",
    f"a token of combining marks {COMBINING} stays small",
    f"a token of fifty thousand letters {LONG} and what follows",
    f"families {FAMILY} and flags \U0001f1e9\U0001f1ea",
    "",
    "\n\n\n\t\t  \r\n",
    f"broken bytes {BYTES} between",
    "zero\u200bwidth\u200cjoin\u200d\ufeff and soft\u00adhyphen",
    "\u05e9\u05dc\u05d5\u05dd and \u0645\u0631\u062d\u0628\u0627 right to left",
    '=HYPERLINK("javascript:window.canary=3")\t@SUM(1)\t+1',
    "Zalgo " + "".join(letter + "\u0300\u0316" * 6 for letter in "text"),
    "private \ue000 and unassigned \u0378 and \U000e0041",
    "&lt;b&gt; &amp; &#x202e; stay as they are",
    "long word " + "x" * 200,
    "' \" ` onmouseover=window.canary=4 x=",
]
PLAIN = [
    f"row {n} of water: the paper, house {n % 7} of {n % 5} ab{n % 3} ab{n % 3} ü."
    for n in range(23)
]


@cache
def encoder() -> Encoder:
    """Every byte is a token, and so are the bad ones."""
    found = bytewise()
    found.tokenizer.add_tokens(
        [AddedToken(text, normalized=False) for text in [*TOKENS, *BYTES]]
    )
    fresh = Encoder(found.tokenizer, found.end_of_document)
    table = fresh.token_bytes
    assert table is not None
    for letter, raw in zip(BYTES, BROKEN, strict=True):
        table[found.tokenizer.token_to_id(letter)] = raw
    return fresh


def domains() -> list[str]:
    """Two hundred names."""
    bad = [
        "quotes \" and ' and `",
        f"<b>{CANARY}</b>",
        f"turned {OVERRIDES}eman",
        "NUL \x00 in it",
        "lone \ud800 surrogate",
        "comma, and,, commas",
        "javascript:window.canary=5",
        "__proto__",
        "constructor",
        "",
        "x" * 3000,
        "&amp;",
        "line\nbreak\tand tab",
    ]
    return bad + [f"domain {n}" for n in range(200 - len(bad))]


def scores() -> np.ndarray:
    """Ties, nothing, and what is no number."""
    found = np.random.default_rng(5).normal(size=STEPS * 8).astype(np.float32)
    found[[0, 9]] = np.nan
    found[[3, 14]] = np.inf, -np.inf
    found[20:26] = 0.25
    found[26:30] = 0
    found[[31, 32]] = 3e38, -1e-40
    return found


def run() -> Inputs:
    """All of it in one page, with arms and two targets."""
    found = run_of(
        rows="all",
        steps=STEPS,
        length=LENGTH,
        texts=TEXTS,
        domains=domains(),
        scores=scores(),
        encoder=encoder(),
        experiment=f"{CANARY}\x00{OVERRIDES}\ud800\"'",
    )
    found.window.rows.sources[:] = ["javascript:window.canary=6", f"\ud800{CANARY}"]
    return found


def shown(text: str) -> str:
    """What a reader sees of a token's text: the rule of the page, said once more.

    White space and what cannot be seen are written out; long tokens and towers of
    marks are cut, and what is left out is counted.
    """
    import unicodedata

    cut, rest = text[:1000], len(text) - 1000
    pieces: list[str] = []
    marks = left = 0
    for letter in cut:
        kind = unicodedata.category(letter)
        marks = marks + 1 if kind.startswith("M") else 0
        if marks > 8:
            left += 1
            continue
        if left:
            pieces.append(f"[{left} more marks]")
            left = 0
        pieces.append(_written(letter, kind))
    if left:
        pieces.append(f"[{left} more marks]")
    if rest > 0:
        pieces.append(f"[{rest:,} more letters]")
    return "".join(pieces)


def _written(letter: str, kind: str) -> str:
    if letter in "\n\t":
        return letter  # the style shows signs at them
    if kind not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and letter != "\ufffd":
        return letter
    number = ord(letter)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def row_text(run: Inputs, number: int) -> str:
    """What a reader sees of a row of the window, when it is open."""
    table = run.encoder.token_bytes
    assert table is not None
    found, raw = "", b""
    for token in run.window.take(np.array([number]))[0].tolist():
        if len(table[token]) <= 4:  # its neighbours may complete the character
            raw += table[token]
            continue
        found += shown_bytes(raw) + shown(table[token].decode())
        raw = b""
    return found + shown_bytes(raw)


def shown_bytes(raw: bytes) -> str:
    """What a reader sees of short tokens: each letter by itself, none is cut."""
    return "".join(map(shown, raw.decode("utf-8", "replace")))


def as_json(text: str) -> str:
    """The text as a JavaScript string."""
    return json.dumps(text)
