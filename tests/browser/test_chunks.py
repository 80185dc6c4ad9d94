"""A page that is too large for one file: other columns are in files beside it."""

from pathlib import Path
from typing import Any

import pytest

from headwater.report.page.build import Page, build
from watch import FIRST_ROW, Watched

MISSING = "[data-testid=missing]"


@pytest.fixture(scope="module")
def parted(plain_run) -> Page:
    """Of which nothing but the smallest columns stands in the page itself."""
    page = build(plain_run, most=0)
    assert {"row", "tokens", "parts_0"} <= {one.name for one in page.chunks.beside}
    return page


@pytest.fixture
def folder(parted, tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "index.html").write_text(parted.html, encoding="utf-8")
    for name, text in parted.chunks.files().items():
        (tmp_path / "data" / name).write_text(text, encoding="ascii")
    return tmp_path


def opened(look: Any, folder: Path, wait: str = FIRST_ROW) -> Watched:
    return look(folder / "index.html").load("#rows", wait)


def state(page: Watched) -> list[str]:
    page.page.click(".row-line >> nth=0")
    page.page.wait_for_selector("[data-token]")
    page.page.hover("[data-token='3']")
    page.page.wait_for_selector("[data-testid=token-line] .plus, .minus")
    page.settle()
    return page.all(
        "['list', 'left', 'token-line', 'domains'].map(name =>"
        " document.querySelector(`[data-testid=${name}]`).textContent)"
    )


def test_a_parted_page_is_as_a_whole_one(folder, plain_file, look) -> None:
    whole = look(plain_file).rows()
    page = opened(look, folder)
    assert state(page) == state(whole)
    page.page.fill("[data-testid=search]", "house 3")
    page.page.wait_for_function(
        "() => document.querySelector('[data-testid=left]').textContent !== '160'"
    )
    assert page.page.locator(MISSING).count() == 0
    assert page.said == []
    assert all(asked.startswith(f"{page.folder}/data/") for asked in page.asked)
    assert len(page.asked) == len({*page.asked})  # each is read once


def test_what_is_not_beside_it_is_told(folder, look) -> None:
    (folder / "data" / "tokens.js").unlink()
    page = opened(look, folder, MISSING)
    assert "data/tokens.js is not there" in page.page.inner_text(MISSING)
    assert page.page.inner_text("[data-testid=left]") == "160"  # the rest can be used
    page.page.fill("[data-testid=search]", "house")
    refused = page.page.locator("#search-refused")
    refused.filter(has_text="tokens are not here").wait_for()


def test_files_of_another_page_are_not_read(folder, parted, look) -> None:
    tokens = folder / "data" / "tokens.js"
    text = tokens.read_text(encoding="ascii")
    tokens.write_text(text.replace(parted.chunks.key, "0" * 32), encoding="ascii")
    page = opened(look, folder, MISSING)
    assert "data/tokens.js is of another page" in page.page.inner_text(MISSING)


def test_no_other_script_runs(folder, look) -> None:
    page = opened(look, folder)
    (folder / "data" / "other.js").write_text("window.canary = 1", encoding="ascii")
    page.all(
        """new Promise((done) => {
          const script = document.createElement("script");
          script.src = "data/other.js";
          script.onload = script.onerror = done;
          document.head.append(script);
        })"""
    )
    assert page.all("window.canary") is None
    assert any("Content Security Policy" in text for text in page.said)
