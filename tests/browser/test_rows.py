"""The browser of rows: filters give what pandas gives, the address holds the view."""

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headwater.influence.shown import BOTTOM, DRAWN, TOP
from page_example import columns_of
from watch import Watched

STATE = """() => ({
  left: document.querySelector("[data-testid=left]").textContent.replace(/,/g, ""),
  rows: [...document.querySelectorAll("[data-testid=list] .row-line")]
    .map((line) => [Number(line.dataset.position), Number(line.dataset.row)])
    .sort((a, b) => a[0] - b[0]).map(([, row]) => row),
})"""


@pytest.fixture(scope="module")
def table(plain_run, plain_file) -> pd.DataFrame:
    """The rows of the page in its order, from the run itself but for that order."""
    columns = columns_of(plain_file.read_text(encoding="utf-8"))
    numbers = columns["row"].astype(int) - plain_run.window.first
    names = np.array(plain_run.window.rows.domain_names)
    first, second = plain_run.rankings
    sources = plain_run.window.rows
    return pd.DataFrame(
        {
            "row": columns["row"].astype(int),
            "step": plain_run.window.step_of(numbers),
            "domain": names[plain_run.window.domains()[numbers]],
            "score": first.scores[numbers],
            "other": second.scores[numbers],
            "why": first.shown.why[numbers],
            "loss": plain_run.losses[numbers] / np.float32(plain_run.length),
            "text": plain_run.encoder.decode_many(plain_run.window.take(numbers)),
            "places": [
                " | ".join(
                    span.place.replace(", line ", ".jsonl.zst:")
                    for span in sources.spans(int(n) + plain_run.window.first)
                )
                for n in numbers
            ],
        }
    )


@pytest.fixture
def page(plain_file, look) -> Watched:
    return look(plain_file).rows()


def check(page: Watched, expected: pd.DataFrame) -> None:
    """The page shows these rows, in this order."""
    page.page.wait_for_function(
        "n => document.querySelector('[data-testid=left]').textContent === n",
        arg=f"{len(expected):,}",
    )
    page.settle()
    seen = page.all(STATE)
    wanted = expected["row"].tolist()
    assert seen["rows"] == wanted[: len(seen["rows"])]
    assert len(seen["rows"]) >= min(len(wanted), 12)


def highest(table: pd.DataFrame, by: str = "score") -> pd.DataFrame:
    return table.sort_values(by, ascending=False, kind="stable")


def pick(page: Watched, name: str, value: str) -> None:
    page.page.select_option(f"[data-testid={name}]", value)


def enter(page: Watched, name: str, value: str) -> None:
    page.page.fill(f"[data-testid={name}]", value)
    page.page.locator(f"[data-testid={name}]").blur()


def chip(page: Watched, domain: str) -> None:
    chips = page.page.locator("[data-testid=domains] button")
    chips.filter(has_text=re.compile(f"^{domain}\\b")).click()


def test_all_rows_are_there_highest_first(page, table) -> None:
    check(page, highest(table))
    page.quiet()


def test_domains(page, table) -> None:
    for names in (["html"], ["html", "code"]):
        chip(page, names[-1])
        check(page, highest(table[table["domain"].isin(names)]))
    counts = table["domain"].value_counts()
    shown = page.page.locator("[data-testid=domains] button").all_inner_texts()
    assert all(str(counts[text.split()[0]]) in text for text in shown)


def test_ranges_signs_and_reasons(page, table) -> None:
    enter(page, "score-low", "-0.5")
    enter(page, "score-high", "1")
    left = table[table["score"].between(-0.5, 1)]
    check(page, highest(left))
    enter(page, "step-low", "5")
    enter(page, "step-high", "12")
    left = left[left["step"].between(5, 12)]
    check(page, highest(left))
    enter(page, "loss-low", "0.6")
    left = left[left["loss"] >= 0.6]
    check(page, highest(left))
    pick(page, "sign", "minus")
    check(page, highest(left[left["score"] < 0]))
    page.page.click("[data-testid=clear]")
    assert page.page.locator("[data-testid=why]").count() == 0  # every row is there
    for name, bit in (("top", TOP), ("bottom", BOTTOM), ("quantile", DRAWN)):
        page.rows(f"#rows?why={name}")
        check(page, highest(table[table["why"] & bit > 0]))
    page.rows()
    pick(page, "kind", "planted")
    check(page, highest(table[table["domain"] == "records"]))
    page.quiet()


@pytest.mark.parametrize(
    ("query", "switches", "pattern"),
    [
        ("WATER", [], "(?i)water"),
        ("ab2 ab2 ü", [], "(?i)ab2 ab2 ü"),
        ("House", ["case"], "House"),
        ("house 6", ["case"], "house 6"),
        (r"row \d\d of", ["regex"], r"(?i)row \d\d of"),
        (r"(ab\d) \1", ["regex", "case"], r"(ab\d) \1"),
        ("the \t paper,  House", [], r"(?i)the\s+paper,\s+house"),
        ("[a", [], r"(?i)\[a"),
        ("nowhere to be found", [], "nowhere"),
    ],
)
def test_searches(page, table, query, switches, pattern) -> None:
    for name in switches:
        page.page.check(f"[data-testid={name}]")
    page.page.fill("[data-testid=search]", query)
    found = table[table["text"].map(lambda text: bool(re.search(pattern, text)))]
    check(page, highest(found))
    page.quiet()


def test_documents(page, table) -> None:
    for text in ("01.jsonl.zst:4", "01.jsonl.zst, line 4"):
        enter(page, "doc", text)
        held = table["places"].str.split(" | ", regex=False)
        check(page, highest(table[held.map(lambda places: "01.jsonl.zst:4" in places)]))
    enter(page, "doc", "00.json")
    check(page, highest(table[table["places"].str.contains("00.json", regex=False)]))
    page.quiet()


def test_numbers_act_while_they_are_typed(page, table) -> None:
    page.page.fill("[data-testid=score-low]", "0.5")  # and is not left
    check(page, highest(table[table["score"] >= 0.5]))


@pytest.mark.parametrize("section", ["domains", "run"])
def test_the_rail_lands_where_it_says(plain_file, look, section) -> None:
    page = look(plain_file).load()
    page.page.click(f"nav.rail a[href='#{section}']")
    page.page.wait_for_timeout(600)
    top = f"document.getElementById('{section}').getBoundingClientRect().top"
    end = "document.documentElement.scrollHeight - innerHeight - scrollY < 2"
    assert abs(page.all(top)) < 40 or page.all(end)


@pytest.mark.parametrize("column", ["loss", "step", "row", "domain"])
def test_orders(page, table, column) -> None:
    for ascending in (True, False):
        pick(page, "order", column)
        if (
            page.page.inner_text("[data-testid=turn-order]").startswith("↓")
            == ascending
        ):
            page.page.click("[data-testid=turn-order]")
        usual = column != "loss"  # lowest first; the other way is exactly turned
        order = table.sort_values(column, ascending=usual, kind="stable")
        check(page, order if ascending == usual else order[::-1])


def test_scores_of_the_other_unit(page, table, plain_run) -> None:
    pick(page, "target", plain_run.rankings[1].name)
    check(page, highest(table, "other"))


def test_an_address_brings_the_view_back(page, table, plain_file, look) -> None:
    chip(page, "html")
    chip(page, "prose")
    enter(page, "score-low", "0")
    page.page.fill("[data-testid=search]", "water")
    pick(page, "order", "loss")
    left = table[table["domain"].isin(["html", "prose"]) & (table["score"] >= 0)]
    check(page, highest(left, "loss"))
    page.page.click(".row-line >> nth=1")
    page.page.wait_for_function("() => location.hash.includes('open=')")
    page.page.check("[data-testid=ws]")
    page.page.click("[data-testid=theme]")
    page.page.wait_for_timeout(200)  # the address follows after a moment
    view, theme = page.all("[location.hash, document.documentElement.dataset.theme]")
    other = look(plain_file).rows(view)
    check(other, highest(left, "loss"))
    assert other.all("document.documentElement.dataset.theme") == theme
    assert other.page.input_value("[data-testid=search]") == "water"
    assert other.page.is_checked("[data-testid=ws]")
    opened = "document.querySelector('[aria-expanded=true].row-line').dataset.row"
    assert other.all(opened) == page.all(opened)
    assert other.all("location.hash") == view
    other.quiet()


def test_what_is_saved_is_what_is_left(page, table) -> None:
    chip(page, "code")
    left = highest(table[table["domain"] == "code"])
    check(page, left)
    with page.page.expect_download() as saved:
        page.page.click("[data-testid=export-jsonl]")
    lines = saved.value.path().read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [row["row"] for row in rows] == left["row"].tolist()
    assert [row["text"] for row in rows] == left["text"].tolist()
    np.testing.assert_allclose([row["score"] for row in rows], left["score"], rtol=1e-6)


def test_keys_move_open_and_read_tokens(page, table, plain_run) -> None:
    order = highest(table)["row"].tolist()
    focused = "document.activeElement.dataset.row"
    page.page.focus(".row-line[data-position='0']")
    for key, place in (("j", 1), ("j", 2), ("k", 1), ("End", 159), ("Home", 0)):
        page.page.keyboard.press(key)
        page.settle()
        assert page.all(focused) == str(order[place])
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("[data-token]")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    row = plain_run.rankings[0].tokens
    part = row.scores[list(row.rows).index(order[0])][0]
    page.page.wait_for_function(
        "() => /token 1 of/.test("
        "document.querySelector('[data-testid=token-line]').textContent)"
    )
    told = page.page.inner_text("[data-testid=token-line] b").replace("−", "-")
    largest = np.abs(row.scores[list(row.rows).index(order[0])]).max()
    assert float(told) == pytest.approx(part, abs=float(largest) / 20)
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("[data-token]", state="detached")
    page.page.keyboard.press("/")
    assert page.all("document.activeElement.dataset.testid") == "search"
    page.page.focus(".row-line[data-position='0']")
    page.page.keyboard.press("?")
    page.page.wait_for_selector("dialog.help[open]")
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("dialog.help:not([open])", state="attached")
    page.quiet()
