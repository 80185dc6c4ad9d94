"""The page for everyone: by key, by ear, on a phone, on paper, without scripts."""

from pathlib import Path
from typing import Any

import pytest

from headwater.report.visible import plain
from page_example import report_of
from watch import Watched

UI = Path(__file__).parents[2] / "scripts/headwater/report/ui"
AXE = UI / "node_modules/axe-core/axe.min.js"
NARROW = {"width": 400, "height": 800}
OPEN = "#rows?open=8"  # a row of the first step

# Controls that Tab has not been at; of radio buttons it stops at one.
UNREACHED = """[...document.querySelectorAll(
  "a[href], button, input, select, textarea, summary, [tabindex='0']"
)].filter((e) => {
  if (e.tabIndex < 0 || e.disabled || !e.checkVisibility()) return false;
  if (e.type === "radio" && !e.checked) return false;
  return !e.hasAttribute("data-seen");
}).map((e) => e.outerHTML.slice(0, 120))"""
# Boxes wider than what is seen of them, which no key can scroll or no mark announces.
HIDDEN_SIDEWAYS = """[...document.querySelectorAll("body *")].filter((e) => {
  const way = getComputedStyle(e).overflowX;
  if (e.scrollWidth <= e.clientWidth + 1 || !/auto|scroll/.test(way)) return false;
  if (e.matches("input, select, textarea")) return false;
  return e.tabIndex < 0 && !e.querySelector("button, a[href], input, [tabindex='0']");
}).map((e) => e.outerHTML.slice(0, 120))"""
MOVING = """[...document.querySelectorAll("*")].filter((e) => {
  const style = getComputedStyle(e);
  const times = style.transitionDuration + style.animationDuration;
  return /[1-9]/.test(times) || style.scrollBehavior === "smooth";
}).map((e) => e.outerHTML.slice(0, 80))"""


@pytest.fixture(params=["plain", "hostile"])
def file(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(f"{request.param}_file")
    return found


def whole(page: Watched) -> Watched:
    """Everything drawn, and a row open."""
    page.rows(OPEN)
    page.page.wait_for_selector("[data-token]")
    page.draw()
    page.settle()
    return page


@pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not here: `make report-bundle-check` gets it"
)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing_serious(plain_file, look, theme, width) -> None:
    size = {"width": width, "height": 900}
    page = whole(look(plain_file, color_scheme=theme, viewport=size, bypass_csp=True))
    page.all(AXE.read_text(encoding="utf-8"))
    found = page.all("axe.run().then((found) => found.violations)")
    serious = [
        (one["id"], [node["target"] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_tab_reaches_every_control(plain_file, look) -> None:
    page = whole(look(plain_file))
    page.all("document.activeElement.blur()")
    page.all("document.addEventListener('focusin', (e) => e.target.dataset.seen = '')")
    seen = 0
    for _ in range(60):
        for _ in range(10):
            page.page.keyboard.press("Tab")
        now = page.all("document.querySelectorAll('[data-seen]').length")
        if now == seen:
            break
        seen = now
    assert seen > 40
    assert page.all(UNREACHED) == []
    page.quiet()


def test_a_phone_scrolls_down_only(file, look) -> None:
    page = whole(look(file, viewport=NARROW))
    width = page.all(
        "[document.scrollingElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width[0] <= width[1] <= NARROW["width"]
    assert page.all(HIDDEN_SIDEWAYS) == []
    page.quiet()


def test_nothing_moves_for_who_wants_no_motion(plain_file, look) -> None:
    page = whole(look(plain_file, reduced_motion="reduce"))
    assert page.all(MOVING) == []


def test_forced_colours_leave_everything_to_be_seen(plain_file, look) -> None:
    page = whole(look(plain_file, forced_colors="active"))
    assert page.all("matchMedia('(forced-colors: active)').matches")
    hidden = page.all(
        """[...document.querySelectorAll("main p, main td, [data-token], button, h2")]
        .filter((e) => e.checkVisibility())
        .filter((e) => getComputedStyle(e).color === behind(e))
        .map((e) => e.outerHTML.slice(0, 80))""".replace(
            "behind(e)",
            """((at) => {
              while (at && getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)")
                at = at.parentElement;
              return at ? getComputedStyle(at).backgroundColor : "rgb(255, 255, 255)";
            })(e)""",
        )
    )
    assert hidden == []
    page.quiet()


def test_paper_has_every_section_and_chart(plain_file, look) -> None:
    page = look(plain_file).rows()
    page.page.emulate_media(media="print")
    page.draw()
    page.settle()
    sections = page.all(SECTIONS)
    assert len(sections) >= 10
    assert {name: tall for name, tall in sections if tall < 40} == {}
    empty = page.all(
        "[...document.querySelectorAll('figure.chart:not(.empty)')]"
        ".filter((f) => f.offsetHeight < 60).map((f) => f.dataset.chart)"
    )
    assert empty == []
    assert page.page.locator(".static-rows").is_visible()
    assert not page.page.locator("[data-testid=browser]").is_visible()
    page.quiet()


SECTIONS = (
    "[...document.querySelectorAll('main section')].map((s) => [s.id, s.offsetHeight])"
)


def test_without_scripts_the_page_has_its_sections_and_first_rows(file, look) -> None:
    page = look(file, java_script_enabled=False).load()
    report: dict[str, Any] = report_of(file.read_text(encoding="utf-8"))
    sections = page.all(SECTIONS)
    assert len(sections) >= 10
    assert {name: tall for name, tall in sections if tall < 40} == {}
    assert page.page.locator(".static-rows").is_visible()
    lists = page.page.locator(".static-rows ol")
    assert lists.count() == len(report["targets"])
    assert page.page.locator(".static-rows ol > li").count() == 20 * lists.count()
    assert page.all("document.querySelectorAll('td').length") > 50
    page.quiet()


def test_static_rows_are_the_highest_as_text(hostile_file, hostile_run, look) -> None:
    page = look(hostile_file, java_script_enabled=False).load()
    shown = page.page.locator(".static-rows ol").nth(1).locator("pre").all_inner_texts()
    ranks = hostile_run.rankings[1].shown.ranks
    numbers = ranks.argsort()[:20]
    texts = hostile_run.encoder.decode_many(hostile_run.window.take(numbers))
    for text, seen in zip(texts, shown, strict=True):
        start = "".join(plain(text.split("\n")[0]).split())[:60]
        assert "".join(seen.replace("⇥", "").split()).startswith(start)
    page.quiet()
