"""Training text made harmless and visible.

Text from the web may hold anything: markup, NUL, characters that turn the writing
direction or have no width. Nothing of that may act on a page; all of it must be seen.
"""

import re
import unicodedata
from collections.abc import Iterator

from markupsafe import Markup

_WHITE = {"\n": "↵\n", "\t": "⇥\t"}
_MARK = Markup('<span class="mark">{}</span>')

# Cc control, Cf format (direction, zero width), Cs lone surrogates, Co private,
# Cn not assigned, Zl and Zp line and paragraph separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    r"""The text with every unseen character as an escape, such as `\u202e`.

    Line breaks and tabs become spaces: for names, on one line.
    """
    spaced = re.sub(r"[\n\t]+", " ", text)
    return "".join(escape for escape, _ in _pieces(spaced))


def visible(text: str) -> Markup:
    """The text as HTML: escaped, with white space and unseen characters marked.

    A line break shows as `↵`, a tab as `⇥`, both before the real one; anything else
    that cannot be seen shows as its escape. Marks stand in `<span class="mark">`.
    """
    html = Markup()
    for piece, marked in _pieces(text):
        html += _MARK.format(piece) if marked else piece
    return html


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces; those that stand for unseen characters are marked."""
    start = 0
    for place, letter in enumerate(text):
        shown = _WHITE.get(letter) or _escape(letter)
        if shown:
            if start < place:
                yield text[start:place], False
            yield shown, True
            start = place + 1
    if start < len(text):
        yield text[start:], False


def _escape(letter: str) -> str:
    if unicodedata.category(letter) not in _UNSEEN:
        return ""
    number = ord(letter)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
