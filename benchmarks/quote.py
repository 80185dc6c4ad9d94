"""Quote the runs of docs/runs in README and docs anew, after one was made again.

    .venv/bin/python benchmarks/quote.py

A quotation is a block of text below a comment that names its file, how its first line
begins, and how the line after its last one does:

    <!-- from docs/runs/laptop/summary.md, "Head" until "area:" -->

tests/test_docs_numbers.py holds every block against its file.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
QUOTED = re.compile(
    r'(<!-- from (?P<file>\S+), "(?P<first>[^"]+)" until "(?P<after>[^"]+)" -->\n\n?'
    r"```text\n)(?P<block>.*?)```",
    re.DOTALL,
)


def part(file: str, first: str, after: str) -> str:
    """The lines of a file from the one that begins so until one that begins so.

    Raises:
        ValueError: the file has no such lines.
    """
    lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    try:
        start = next(n for n, line in enumerate(lines) if line.startswith(first))
        end = next(n for n in range(start, len(lines)) if lines[n].startswith(after))
    except StopIteration:
        message = f"{file}: no lines from {first!r} until {after!r}, which are quoted"
        raise ValueError(message) from None
    return "\n".join(lines[start:end]).rstrip() + "\n"


def quotations(page: str) -> Iterator[tuple[str, str]]:
    """Every block of a page as it is, and as it should be."""
    for found in QUOTED.finditer(page):
        yield found["block"], part(found["file"], found["first"], found["after"])


def requoted(page: str) -> str:
    """A page with every block as its file has it."""
    return QUOTED.sub(
        lambda found: f"{found[1]}{part(*found.group('file', 'first', 'after'))}```",
        page,
    )


def main() -> None:
    """Write the pages whose blocks changed."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := requoted(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(page.relative_to(REPOSITORY))


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(str(error))
