"""Fixtures of the tests in a browser: one Chromium, and the pages it looks at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hostile
from headwater.report.page.build import build
from headwater.report.page.inputs import Inputs
from page_example import run_of
from watch import Watched, chromium, launch, watched

Open = Callable[..., Watched]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    assert chromium(), "no Chromium here: `make test-browser` installs it"
    with sync.sync_playwright() as playwright:
        program = launch(playwright)
        yield program
        program.close()


@pytest.fixture(scope="session")
def plain_run() -> Inputs:
    """Two targets, arms, 160 rows of which all are in the page."""
    return run_of(rows="all", length=64, texts=hostile.PLAIN)


@pytest.fixture(scope="session")
def hostile_run() -> Inputs:
    return hostile.run()


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Inputs, str], Path]:
    """Write the page of a run."""
    folder = tmp_path_factory.mktemp("pages")

    def written(run: Inputs, name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_text(build(run).html, encoding="utf-8")
        return path

    return written


@pytest.fixture(scope="session")
def plain_file(write: Any, plain_run: Inputs) -> Path:
    return write(plain_run, "plain")


@pytest.fixture(scope="session")
def hostile_file(write: Any, hostile_run: Inputs) -> Path:
    return write(hostile_run, "hostile")


@pytest.fixture
def look(browser: Any) -> Iterator[Open]:
    """Open a file; its contexts are closed after the test."""
    opened: list[Watched] = []

    def at(file: Path, **options: Any) -> Watched:
        opened.append(watched(browser, file, **options))
        return opened[-1]

    yield at
    for one in opened:
        one.page.context.close()
