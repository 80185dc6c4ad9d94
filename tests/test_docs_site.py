"""The site of the docs: complete, without broken links, and inert without a network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "docs/site/mkdocs.yml"
PAGES = sorted((ROOT / "docs").glob("*.md"))
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src"}
FETCHED_RELS = {"stylesheet", "icon", "preload", "preconnect", "prefetch", "manifest"}


@dataclass
class Html(HTMLParser):
    """What a page of the site loads, links to, and can be linked at."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.names |= {found[key] for key in ("id", "name") if key in found}
        if tag in LOADS and LOADS[tag] in found:
            self.loads.append(found[LOADS[tag]])
        if tag == "link" and {*found.get("rel", "").split()} & FETCHED_RELS:
            self.loads.append(found["href"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


@cache
def html(page: Path) -> Html:
    read = Html()
    read.feed(page.read_text("utf-8"))
    return read


def names_in(page: Path) -> set[str]:
    """What a page can be linked at; nothing if there is none."""
    return html(page).names if page.is_file() else set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, where nothing outside can be reached."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    words = ["build", "--strict", "--config-file", CONFIG, "--site-dir", folder]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def pages(site: Path) -> Iterator[Path]:
    """Its pages; that for a missing one speaks of a server's root."""
    yield from (page for page in site.rglob("*.html") if page.name != "404.html")


@pytest.mark.long
def test_the_site_has_every_page_of_the_docs_and_the_library(site: Path) -> None:
    for page in PAGES:
        assert (site / "docs" / page.with_suffix(".html").name).is_file()
    assert (site / "config/index.html").is_file()
    assert "make demo" in (site / "index.html").read_text("utf-8")
    rooms = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / "scripts/headwater").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}
    built = {page.stem for page in (site / "docs/reference").glob("*.html")}
    assert built == rooms | {"index"}
    probes = (site / "docs/reference/probes.html").read_text("utf-8")
    assert "headwater.probes.induction" in probes


@pytest.mark.long
def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in pages(site):
        loads = html(page).loads
        assert len(loads) > 3
        for address in loads:
            parts = urlsplit(address)
            assert not parts.scheme, f"{page}: {address}"
            assert not parts.netloc, f"{page}: {address}"
            assert (page.parent / unquote(parts.path)).is_file(), f"{page}: {address}"
    for sheet in site.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import )([^)\s;]+)", sheet.read_text()):
            assert not re.match(r"[\"']?(https?:)?//", address), f"{sheet}: {address}"


@pytest.mark.long
def test_no_link_is_broken(site: Path) -> None:
    broken = []
    for page in pages(site):
        for link in html(page).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)) if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            name = unquote(parts.fragment)
            missing = target.suffix == ".html" and name not in {"", *names_in(target)}
            if missing or not target.is_file():
                broken.append(f"{page}: {link}")
    assert broken == []


@pytest.mark.long
def test_the_search_needs_no_server(site: Path) -> None:
    index = (site / "search/search_index.js").read_text("utf-8")
    assert index.startswith("var __index = ")
    assert "influence.damping" in index
    page = (site / "index.html").read_text("utf-8")
    assert "docs/site/assets/iframe-worker.js" in page


def test_every_page_of_the_docs_is_in_the_contents() -> None:
    listed = re.findall(r"^ +- (docs/[\w-]+\.md)$", CONFIG.read_text("utf-8"), re.M)
    assert sorted(listed) == [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_links_to_the_glossary(page: Path) -> None:
    if page.name != "glossary.md":
        assert "](glossary.md)" in page.read_text("utf-8")


@pytest.mark.parametrize("page", ["README.md", "config/README.md"])
def test_the_readmes_link_to_glossary_and_first_question(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert "docs/glossary.md)" in text
    assert page != "README.md" or "docs/my-first-question.md)" in text


def test_a_word_is_explained_once() -> None:
    text = (ROOT / "docs/glossary.md").read_text("utf-8")
    entries = re.findall(r"^- (\*\*.+?\*\*):", text, re.M)
    words = [word for entry in entries for word in re.findall(r"\*\*(.+?)\*\*", entry)]
    assert len(words) == len({*words})
    wanted = "row document domain window unit target probe arm draw control baseline "
    wanted += "damping store study verdict planted"
    assert {*wanted.split()} <= {*words}
