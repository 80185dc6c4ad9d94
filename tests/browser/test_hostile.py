"""Whatever the run's text, names and numbers are: nothing acts, all of it is seen."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import hostile
from headwater.report.page.inputs import Inputs
from page_example import columns_of, report_of, run_of

OPEN_ROW = """([row]) => {
  const line = document.querySelector(`.row-line[data-row="${row}"]`);
  const item = line.closest(".item");
  const boxes = [...item.querySelectorAll("[data-token]")];
  const empty = (box) => box.textContent === "‥"; // a later part of a character
  return {
    text: boxes.map((box) => empty(box) ? "" : box.textContent).join(""),
    boxes: boxes.length,
    domain: line.querySelector(".domain").textContent,
    tall: Math.max(...boxes.map((box) => box.offsetHeight)),
    wide: item.scrollWidth - item.clientWidth,
  };
}"""
# An address, and how many of the 40 rows it leaves.
BROKEN_VIEWS = {
    "#rows?t=zzz&d=%E0%A4%A&s=-nope&score=a:b:c&open=1e9,x&loss=:": "40",
    "#rows?<script>window.canary=1</script>": "40",
    "#nope": "40",
    "#%00": "40",
    "#units?a=__proto__&b=constructor&pair=xx": "40",
    "#rows?t=__proto__&d=toString&sign=constructor&why=__proto__": "40",
    "#scores?logn=1&theme=nope&off=remove_top,,x": "40",
    "#rows?span=-3&step=NaN:Infinity&open=" + "9," * 5000: "40",
    "#rows?q=" + "%F0%9F" * 2000: "0",
    "#rows?q=%": "2",
    "#javascript:window.canary=1": "40",
}


@pytest.fixture(scope="module")
def every_row(hostile_run) -> list[int]:
    """A row of every text."""
    return list(range(len(hostile.TEXTS)))


def test_the_page_says_nothing_and_asks_for_nothing(hostile_file, look) -> None:
    page = look(hostile_file).rows()
    page.draw()
    page.settle()
    for section in page.all("[...document.querySelectorAll('section')].map(s => s.id)"):
        page.all(f"location.hash = '#{section}'")
        page.settle()
    page.quiet()
    failed = "could not be (drawn|read)"
    assert not re.search(failed, page.page.inner_text("main"))


def test_every_row_is_read_as_it_was_written(
    hostile_file, hostile_run, every_row, look
) -> None:
    page = look(hostile_file).rows()
    first = hostile_run.window.first
    for number in every_row:
        step = int(hostile_run.window.step_of(np.array([number]))[0])
        row = number + first
        page.all(f"location.hash = '#rows?s=row&step={step}:{step}&open={row}'")
        page.page.wait_for_selector(
            f"[data-row='{row}'][aria-expanded=true] + .opened [data-token]"
        )
        page.settle()
        seen = page.page.evaluate(OPEN_ROW, [row])
        assert seen["text"] == hostile.row_text(hostile_run, number), row
        assert seen["boxes"] == hostile.LENGTH + 1
        names = hostile_run.window.rows.domain_names
        name = names[hostile_run.window.domains()[number]]
        assert hostile.shown(re.sub(r"[\n\t]+", " ", name[:900])) in seen["domain"]
        assert seen["tall"] < 700, "a token is no tower"
        assert seen["wide"] <= 0, "no token is wider than its row"
    page.quiet()


def test_nothing_turns_the_direction_or_hides(hostile_file, look) -> None:
    page = look(hostile_file).rows("#rows?open=8,9,10,11,12,13,14,15&s=row")
    page.draw()
    page.settle()
    unseen = {
        letter
        for letter in page.page.inner_text("body")
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    }
    assert unseen <= {"\n", "\t"}
    apart = page.all(
        "[...document.querySelectorAll('[data-token], bdi, .row-line .start')]"
        ".filter(e => getComputedStyle(e).unicodeBidi !== 'isolate')"
        ".map(e => e.className)"
    )
    assert apart == []


def test_what_is_broken_in_an_address_is_ignored(hostile_file, look) -> None:
    page = look(hostile_file)
    for view, left in BROKEN_VIEWS.items():
        page.load(view, "[data-testid=left]")
        page.page.wait_for_function(
            "n => document.querySelector('[data-testid=left]').textContent === n",
            arg=left,
        )
    page.quiet()


def test_a_search_for_anything_stays_a_search(hostile_file, hostile_run, look) -> None:
    page = look(hostile_file).rows()
    texts = hostile_run.encoder.decode_many(hostile_run.window.take(np.arange(40)))
    for query in ("<script>", "{{7*7}}", "</script>", "\u05dc", "combining"):
        page.page.fill("[data-testid=search]", query)
        count = sum(query in text.lower() for text in texts)
        page.page.wait_for_function(
            "n => document.querySelector('[data-testid=left]').textContent === n",
            arg=str(count),
        )
    page.quiet()


def test_expressions_that_hang_are_stopped(hostile_file, look) -> None:
    page = look(hostile_file).rows()
    page.page.check("[data-testid=regex]")
    page.page.fill("[data-testid=search]", "(((x*)*)*)*y")
    page.page.wait_for_function(
        "() => document.querySelector('#search-refused').textContent !== ''"
    )
    page.page.fill("[data-testid=search]", "(never closed")
    page.page.wait_for_function(
        "() => /expression|group/i.test("
        "document.querySelector('#search-refused').textContent)"
    )
    page.page.fill("[data-testid=search]", "fift[xy]")
    page.page.wait_for_function(
        "() => document.querySelector('[data-testid=left]').textContent === '2'"
    )
    page.quiet()


def test_saved_cells_are_no_formulas(hostile_file, look) -> None:
    page = look(hostile_file).rows()
    with page.page.expect_download() as saved:
        page.page.click("[data-testid=export-tsv]")
    text = saved.value.path().read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.rstrip("\n").split("\n")]
    assert len(lines) == 41
    assert len({len(line) for line in lines}) == 1
    number = re.compile(r"-?(\d[\d.e+-]*|Infinity)|NaN")
    for line in lines:
        for cell in line:
            assert cell[:1] not in tuple("=+-@") or number.fullmatch(cell), cell[:40]
    page.quiet()


def tied() -> Inputs:
    return run_of(rows="all", scores=np.ones(160))


def unknown() -> Inputs:
    return run_of(rows="all", scores=np.full(160, np.nan))


def single() -> Inputs:
    return run_of(rows="all", steps=1, batch=1, targets=1)


def natural() -> Inputs:
    """Revisions of a published model: no arms; no planted rows, nothing sampled."""
    names = ["code", "html", "latex", "prose", "xml"]
    run = run_of(None, targets=1, domains=names)
    return replace(run, sample=run.sample.iloc[:0])


def long_rows() -> Inputs:
    """As long as Pythia's, of which the page holds a part."""
    return run_of(rows="all", steps=2, length=2048, texts=hostile.TEXTS[:9])


CASES: list[Callable[[], Inputs]] = [
    tied,
    unknown,
    single,
    natural,
    long_rows,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_odd_runs_have_whole_pages(case, write, look) -> None:
    run = case()
    file = write(run, case.__name__)
    html = file.read_text(encoding="utf-8")
    rows = columns_of(html)["row"]
    page = look(file).rows()
    page.draw()
    page.settle()
    assert page.page.inner_text("[data-testid=left]") == f"{len(rows):,}"
    drawn = page.all(
        "[...document.querySelectorAll('figure.chart')]"
        ".filter(f => !f.classList.contains('empty'))"
        ".every(f => f.querySelector('.plot')?.childElementCount > 0)"
    )
    assert drawn
    assert "could not be" not in page.page.inner_text("main")
    assert "NaN" not in page.page.inner_text("main")
    assert "undefined" not in page.page.inner_text("main")
    held = report_of(html)["rows"]
    if held["held"] < held["length"]:
        page.page.click(".row-line >> nth=0")
        page.page.wait_for_selector("[data-token]")
        assert page.page.locator("[data-token]").count() == held["held"] + 1
    page.quiet()
