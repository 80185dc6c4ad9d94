"""How fast the report's page is in Chromium: first section, rows, and in use.

    .venv/bin/python benchmarks/browser.py PAGE [PAGE ...]
    .venv/bin/python benchmarks/browser.py --rows 100000

Measures pages of runs, such as results/laptop/report/index.html; or one that it makes,
of so many rows of 65 tokens (bytes of the docs) with two targets, all of them in the
page, with parts of all tokens. Each is loaded in a context of its own, as often as
`--rounds` says; milliseconds. `make test-browser` first: it brings Chromium.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / part) for part in ("scripts", "tests/browser")]
sys.path.insert(1, str(REPOSITORY / "tests"))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from watch import FIRST_ROW, Watched, launch, watched  # noqa: E402

LENGTH, BATCH = 64, 8
SLOW_FRAME = 50  # milliseconds
FIRST_SECTION = """
window.began = {};
new MutationObserver(() => {
  const section = document.querySelector("section#answer + section, section + section");
  if (section) window.began.section ??= performance.now();
  const row = document.querySelector("[data-testid=list] .row-line .start:not(:empty)");
  if (row && row.textContent.length > 3) window.began.rows ??= performance.now();
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
# Act, then wait until what is read has changed and a frame has been drawn since.
TIMED = """([act, read]) => new Promise((done) => {
  const value = () => document.querySelector(read)?.textContent;
  const before = value(), began = performance.now();
  const look = () => value() !== before
    ? done(performance.now() - began) : requestAnimationFrame(look);
  act();
  requestAnimationFrame(look);
})"""
SCROLL = """async () => {
  const list = document.querySelector("[data-testid=list]");
  list.scrollIntoView();
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 60; i++) {
    list.scrollTop += i < 30 ? 97 : 5000;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames;
}"""
LEFT, TOP = "[data-testid=left]", ".list .row-line .rank"
CHIP = "document.querySelectorAll('[data-testid=domains] button')[1].click()"
TYPE = """(() => {{
  const box = document.querySelector("[data-testid=search]");
  box.value = {words!r};
  box.dispatchEvent(new Event("input", {{ bubbles: true }}));
}})()"""


def timed(page: Watched, act: str, read: str) -> float:
    """Milliseconds from an act to the frame that shows what it changes."""
    script = TIMED.replace("act();", f"{act};").replace("[act, read]", "[read]")
    return float(page.page.evaluate(script, [read]))


def clock(page: Watched) -> Callable[[], float]:
    """Milliseconds of a processor that the page's main thread has used so far."""
    session = page.page.context.new_cdp_session(page.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    return used


def measure(browser: Browser, file: Path) -> dict[str, float]:
    """One load of a page, and what a reader does with its rows."""
    page = watched(browser, file)
    page.page.add_init_script(FIRST_SECTION)
    used = clock(page)
    page.load("", FIRST_ROW)
    page.page.wait_for_function("() => window.began.rows")
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    found = {
        "first section": page.all("window.began.section"),
        "first paint": page.all(paint),
        "rows": page.all("window.began.rows"),
        "main thread until then, CPU": used(),
    }
    page.page.wait_for_timeout(3000)  # charts are drawn when nothing else is to do

    def act(name: str, script: str, read: str) -> None:
        before = used()
        found[name] = timed(page, script, read)
        found[f"{name}, CPU of the main thread"] = used() - before

    act("filter", CHIP, LEFT)
    timed(page, CHIP, LEFT)
    act("sort", "document.querySelector('[data-testid=sort-loss]').click()", TOP)
    act("first search", TYPE.format(words="water"), LEFT)
    act("search", TYPE.format(words="the of"), LEFT)
    timed(page, TYPE.format(words=""), LEFT)
    page.page.click(".row-line >> nth=0")
    page.page.wait_for_selector("[data-testid=like]")
    act("rows like one", "document.querySelector('[data-testid=like]').click()", LEFT)
    timed(page, "document.querySelector('[data-testid=clear]').click()", LEFT)
    before = used()
    frames = page.all(f"({SCROLL})()")
    found["main thread a frame of scrolling, CPU"] = (used() - before) / len(frames)
    found["median frame"] = statistics.median(frames)
    found["longest frame"] = max(frames)
    found[f"of {len(frames)} frames, slower than 50"] = sum(
        frame > SLOW_FRAME for frame in frames
    )
    assert page.said == []
    assert all(address.startswith(f"{page.folder}/data/") for address in page.asked)
    page.page.context.close()
    return found


def made(rows: int, folder: Path) -> Path:
    """A page of so many rows, of the docs' text."""
    from headwater.report.page.build import build
    from page_example import run_of

    words = " ".join(
        path.read_text(encoding="utf-8")
        for path in sorted((REPOSITORY / "docs").glob("*.md"))
    )
    starts = range(0, min(len(words), rows * 7) - LENGTH, 7)
    texts = [words[start : start + LENGTH] for start in starts]
    steps = rows // BATCH
    began = time.perf_counter()
    run = run_of(rows="all", steps=steps, length=LENGTH, texts=texts)
    page = build(run)
    path = folder / f"{rows:,}" / "index.html"
    (path.parent / "data").mkdir(parents=True)
    path.write_text(page.html, encoding="utf-8")
    for name, text in page.chunks.files().items():
        (path.parent / "data" / name).write_text(text, encoding="ascii")
    print(f"made {rows:,} rows in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return path


def main() -> None:
    """Measure the pages that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--rows", type=int, nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        files = [path.resolve() for path in asked.pages]
        files += [made(rows, Path(folder)) for rows in asked.rows]
        browser = launch(playwright)
        print(f"Chromium {browser.version}", file=sys.stderr)
        for file in files:
            report(file, [measure(browser, file) for _ in range(asked.rounds)])
        browser.close()


def report(file: Path, rounds: list[dict[str, Any]]) -> None:
    """One page's numbers, as a table."""
    beside = sum(one.stat().st_size for one in (file.parent / "data").glob("*.js"))
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    size += f" and {beside / 1e6:.1f} MB beside it" if beside else ""
    print(f"\n{file.parent.name}/{file.name}: {size}\n")
    print("| what | median | lowest | highest |\n| --- | --- | --- | --- |")
    for name in rounds[0]:
        values = [one[name] for one in rounds]
        cells = (statistics.median(values), min(values), max(values))
        print(f"| {name} | {' | '.join(f'{value:,.0f}' for value in cells)} |")


if __name__ == "__main__":
    main()
