"""Which files the site has: pages of the repository, what they link to, the reference.

A hook of mkdocs. Pages keep their paths, so that their links hold here and there. Files
that a page links to, such as a config or a script, are copied as they are.
"""

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "scripts/headwater"
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "config/README.md",
    "docs/*.md",
    "benchmarks/*.md",
    "scripts/headwater/training/README.md",
    "resources/*/NOTICE.md",
)
ASSETS = ("docs/site/assets/*",)
FOLDER_LINK = re.compile(r"\[([^]]+)\]\(([^)#:\s]+)\)")
LINK = re.compile(r"\]\(([^)#\s]+)")
# What people call from their own code comes first, where it is there.
FIRST = ("library",)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Every file of the site, in place of what mkdocs found under docs/."""
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    found = dict.fromkeys(pages)
    for page in pages:
        found.update(dict.fromkeys(_linked(page)))
    for pattern in ASSETS:
        found.update(dict.fromkeys(sorted(ROOT.glob(pattern))))
    site = [
        File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path))
        for path in found
    ]
    for name, text in {**_reference(), **_benchmarks()}.items():
        site.append(File.generated(config, name, content=text))
    theirs = [file for file in files if file.src_uri.startswith("assets/")]
    return Files([*site, *theirs])


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """A page whose links to folders, which a site has none of, are words."""
    folder = (ROOT / page.file.src_uri).parent

    def word(link: re.Match[str]) -> str:
        return link[1] if (folder / link[2]).is_dir() else link[0]

    return FOLDER_LINK.sub(word, markdown)


def _linked(page: Path) -> list[Path]:
    """Files in the repository, besides pages, that a page links to."""
    text = page.read_text("utf-8")
    targets = [page.parent / link for link in LINK.findall(text) if ":" not in link]
    return [
        path
        for path in (target.resolve() for target in targets)
        if path.is_file() and path.is_relative_to(ROOT) and path.suffix != ".md"
    ]


def _benchmarks() -> dict[str, str]:
    """A contents page of the measurements, unless the folder has its own."""
    if (ROOT / "benchmarks/README.md").exists():
        return {}
    lines = ["# Benchmarks", ""]
    for path in sorted((ROOT / "benchmarks").glob("*.md")):
        title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return {"benchmarks/README.md": "\n".join(lines) + "\n"}


def _reference() -> dict[str, str]:
    """A page for every room of the library, and one that lists them."""
    pages, lines = {}, []
    for name, modules in _rooms().items():
        about = _first_line(modules[0][1])
        pages[f"docs/reference/{name}.md"] = "\n".join(
            [f"# {name}", "", *(f"::: {dotted}\n" for dotted, _ in modules)]
        )
        lines.append(f"| [`headwater.{name}`]({name}.md) | {about} |")
    head = (
        "# Reference\n\nThe library, room by room, from its docstrings; "
        "[architecture](../architecture.md) says how the rooms stand to each other. "
        "Words are those of the [glossary](../glossary.md).\n\n"
        "| room | what it does |\n| --- | --- |\n"
    )
    pages["docs/reference/index.md"] = head + "\n".join(lines) + "\n"
    return pages


def _rooms() -> dict[str, list[tuple[str, Path]]]:
    """Rooms and single files; their modules, by dotted name and file."""
    rooms: dict[str, list[tuple[str, Path]]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if len(parts) == 1 or not _first_line(path):
            continue
        rooms.setdefault(parts[1], []).append((".".join(parts), path))
    for modules in rooms.values():
        modules.sort(key=lambda module: (module[0].count("."), module[0]))
    order = sorted(rooms, key=lambda name: (name not in FIRST, name))
    return {name: rooms[name] for name in order}


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]
