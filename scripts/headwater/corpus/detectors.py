r"""Guess the domain of a text that comes without a label.

Rules, not a model: each counts something that anyone can count again, in this order.
The first that fits decides. Only the first 4,000 characters are looked at.

    latex    commands of two letters or more (\frac, \begin): 4 in 1,000 characters
    markup   tags (<p>, </item>): 6 in 1,000 characters
    code     lines that end like a statement, begin with a keyword, or call and
             compare: a quarter of the lines, by length
    table    lines of cells (tabs, bars, three commas) or of numbers mostly: half of
             them, by length
    list     lines that begin with a bullet, a number, a time stamp or a short key:
             half of them, by number, and five or more
    prose    letters, spaces and plain punctuation: 9 in 10 characters
    other    anything else

Names end in ` (detected)`, so that no table or figure takes a guess for a label. How
often the guess is right on labelled text is measured in docs/your-data.md.
"""

import re

SUFFIX = " (detected)"
KINDS = ("code", "latex", "list", "markup", "other", "prose", "table")
DOMAINS = [kind + SUFFIX for kind in KINDS]
"""Names of the detected domains, sorted."""

_LOOKED_AT = 4_000

LATEX = re.compile(r"\\[A-Za-z]{2,}")
TAG = re.compile(r"</?[A-Za-z!?][^<>\n]{0,200}>")
_CODE = re.compile(
    r"[;{}]\s*$|^\s*[})\]]+[;,]?\s*$|\):\s*$|^\s*(//|/\*|\*/|#include\b|#define\b|@\w+)"
    r"|^\s*(def|class|import|from|return|if|elif|else|for|while|try|except|with|public"
    r"|private|static|function|var|let|const|fn|impl|use|struct|func|package|end|echo"
    r"|export|assert|raise|yield|lambda|self)\b[^.?!]*[(=:{;)]"
    r"|\w\(.*\)\s*[;,:{]?\s*$|[=!]=|->|=>|\+=|&&|\|\||::"
    r"|^\s+[\w.\[\]]+\s*=\s*\S|^[\w.\[\]]+\s=\s\S"
)
_CELLS = re.compile(r"\t.*\t|\|.*\|.*\||,[^,\s]*,[^,\s]*,|\S {3,}\S.* {3,}\S")
_ITEM = re.compile(
    r"^\s*([-*+•·]\s|\(?\d{1,4}[.)\]:]\s|\[?\d{2,4}[-/:.]\d{1,2}[-/:.]\d"
    r"|[A-Za-z][\w ./-]{0,30}:\s)"
)
_NOT_PLAIN = re.compile(r"(?:[\d_]|[^\w \n.,;:'\"?!’“”‘—–()-])+")


def detect(text: str) -> str:
    """The kind of a text, one of `KINDS`."""
    text = text[:_LOOKED_AT]
    size = len(text)
    if not text.strip():
        return "other"
    if len(LATEX.findall(text)) * 250 >= max(size, 500):
        return "latex"
    if len(TAG.findall(text)) * 167 >= max(size, 334):
        return "markup"
    return _by_lines([line for line in text.split("\n") if line.strip()], text)


def detected_domain(text: str) -> str:
    """The name of the detected domain of a text, one of `DOMAINS`."""
    return detect(text) + SUFFIX


def _by_lines(lines: list[str], text: str) -> str:
    total = sum(map(len, lines))
    if 4 * sum(len(line) for line in lines if is_code(line)) >= total:
        return "code"
    if 2 * sum(len(line) for line in lines if is_table(line)) >= total:
        return "table"
    items = sum(map(is_item, lines))
    if items >= 5 and 2 * items >= len(lines):
        return "list"
    strange = sum(map(len, _NOT_PLAIN.findall(text)))
    return "prose" if 10 * strange <= len(text) else "other"


def is_code(line: str) -> bool:
    """Whether a line reads like one of a program."""
    return _CODE.search(line) is not None


def is_item(line: str) -> bool:
    """Whether a line is an item of a list."""
    return _ITEM.match(line) is not None


def is_table(line: str) -> bool:
    """Whether a line holds cells, or numbers mostly."""
    if _CELLS.search(line):
        return not line.rstrip().endswith((".", "?", "!"))
    digits = sum(map(str.isdigit, line))
    return 2 * digits >= len(line.replace(" ", ""))
