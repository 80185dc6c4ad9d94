"""Training text made harmless and visible.

Text from the web may hold anything: markup, NUL, characters that turn the writing
direction or have no width. Nothing of that may act on a page; all of it must be seen.
"""

import re
import unicodedata
from collections.abc import Iterator

from markupsafe import Markup

_WHITE = {"\n": "mark lf", "\t": "mark tab"}  # classes: the style shows a sign there
_MARK = Markup('<span class="{}">{}</span>')

# Cc control, Cf format (direction, zero width), Cs lone surrogates, Co private,
# Cn not assigned, Zl and Zp line and paragraph separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    r"""The text with every unseen character as an escape, such as `\u202e`.

    Line breaks and tabs become spaces: for names, on one line.
    """
    spaced = re.sub(r"[\n\t]+", " ", text)
    return "".join(escape for escape, _ in _pieces(spaced))


def visible(text: str, breaks: bool = True) -> Markup:
    """The text as HTML: escaped, with white space and unseen characters marked.

    Line breaks and tabs stay as they are, so that the text can be copied; the style
    shows `↵` and `⇥` before them. Anything else that cannot be seen shows as its
    escape. Marks stand in `<span class="mark">`.

    Args:
        breaks: whether line breaks are marked; not those of a listing.
    """
    html = Markup()
    for piece, names in _pieces(text):
        marked = names and (breaks or piece != "\n")
        html += _MARK.format(names, piece) if marked else piece
    return html


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """The text in pieces; those that stand for unseen characters have a class."""
    start = 0
    for place, letter in enumerate(text):
        white = _WHITE.get(letter)
        shown = letter if white else _escape(letter)
        if shown:
            if start < place:
                yield text[start:place], ""
            yield shown, white or "mark"
            start = place + 1
    if start < len(text):
        yield text[start:], ""


def _escape(letter: str) -> str:
    if unicodedata.category(letter) not in _UNSEEN:
        return ""
    number = ord(letter)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
