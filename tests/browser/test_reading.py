"""What a reader sees is what is there: figures on any screen, copied text, words."""

from pathlib import Path
from typing import Any

import pytest

import hostile
from watch import Watched

PHONE = {"width": 400, "height": 800}

# Each canvas: its box less that of the axes on it, its pixels to one of the page's, and
# how far right and down it is drawn on.
CANVAS = """() => [...document.querySelectorAll("main canvas")].map((canvas) => {
  const box = canvas.getBoundingClientRect();
  const over = canvas.parentElement.querySelector("svg").getBoundingClientRect();
  const {width, height} = canvas;
  const drawn = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let [right, low] = [0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (drawn[4 * (y * width + x) + 3] > 128)
        [right, low] = [Math.max(right, x + 1), Math.max(low, y + 1)];
  return {
    off: ["left", "top", "width", "height"].map((side) => box[side] - over[side]),
    sharp: [width / box.width, height / box.height],
    drawn: [right / width * box.width, low / height * box.height],
  };
})"""
COPY = """(selector) => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector(selector));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  let text = null;
  document.addEventListener("copy", (event) => {
    text = event.clipboardData.getData("text/plain") || getSelection().toString();
  }, {once: true});
  document.execCommand("copy");
  return text;
}"""
CUT = """[...document.querySelectorAll(".scroll")]
  .filter((place) => place.scrollWidth > place.clientWidth + 1)
  .map((place) => place.getAttribute("aria-label"))"""


def drawn(page: Watched) -> Watched:
    page.rows()
    page.draw()
    page.settle()
    page.page.wait_for_selector("[data-testid=scatter] canvas")
    return page


@pytest.mark.parametrize("scale", [1, 1.25, 2])
def test_canvases_lie_under_their_axes_on_every_screen(plain_file, look, scale) -> None:
    page = drawn(look(plain_file, device_scale_factor=scale))
    found = page.all(f"({CANVAS})()")
    assert len(found) == 2  # the census, and the two units
    for one in found:
        assert one["off"] == pytest.approx([0] * 4, abs=0.6)
        assert one["sharp"] == pytest.approx([scale] * 2, rel=0.01)
    right = page.all(
        "((base) => [base.x2.baseVal.value,"
        " base.parentElement.transform.baseVal[0].matrix.f])"
        "(document.querySelector('[data-testid=census-map] .base'))"
    )
    assert found[0]["drawn"] == pytest.approx(right, abs=2)
    page.quiet()


def test_a_list_is_as_tall_as_its_rows(plain_file, look) -> None:
    page = look(plain_file).rows()
    sizes = page.all(
        "[document.querySelector('.list-all').offsetHeight,"
        " document.querySelector('.item').offsetHeight]"
    )
    assert sizes[0] == 160 * sizes[1]


def test_what_is_copied_is_the_text(hostile_file, hostile_run, look) -> None:
    page = look(hostile_file).rows()
    first = hostile_run.window.first
    for number in (4, 5, 10, 12):  # turned text, NUL, white space, letters of no width
        step = number // 8 + int(hostile_run.window.step_of([0])[0])
        view = f"#rows?s=row&step={step}:{step}&open={number + first}&ws=1&cp=1"
        page.load(view, f"[data-row='{number + first}'] + .opened [data-token]")
        page.settle()
        rows = hostile_run.window.take([number])
        text = hostile_run.encoder.decode_many(rows)[0]
        assert len(text) < 2 * hostile.LENGTH  # no token of it is cut
        assert page.page.evaluate(COPY, ".opened .tokens") == text
    page.quiet()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_config_is_copied_as_it_was_run(plain_file, look, scripts) -> None:
    page = look(plain_file, java_script_enabled=scripts).load()
    marks = page.page.locator("#run details pre .mark")
    assert marks.count() == 0
    if scripts:
        page.all("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert "\u21b5" not in page.page.evaluate(COPY, "#run details pre")


def test_marks_of_white_space_are_seen_and_not_copied(hostile_file, look) -> None:
    page = look(hostile_file, java_script_enabled=False).load()
    mark = page.page.locator(".static-rows .mark.lf").first
    assert mark.evaluate("e => getComputedStyle(e, '::before').content") == '"\u21b5"'
    assert mark.text_content() == "\n"


def test_a_range_of_the_histogram_is_told_and_leads_to_its_rows(
    plain_file, look
) -> None:
    page = look(plain_file).rows()
    page.draw()
    page.settle()
    box: Any = page.page.locator("[data-testid=histogram-0]")
    box.scroll_into_view_if_needed()
    place = box.bounding_box()
    middle = place["y"] + place["height"] / 2
    page.page.mouse.move(place["x"] + 0.55 * place["width"], middle)
    page.page.mouse.down()
    page.page.mouse.move(place["x"] + 0.7 * place["width"], middle)
    page.page.mouse.up()
    told = page.page.locator("[data-testid=range]").first
    told.wait_for()
    left = page.page.inner_text("[data-testid=left]")
    page.page.wait_for_function("() => location.hash.includes('score=')")
    page.settle()
    left = page.page.inner_text("[data-testid=left]")
    assert 0 < int(left) < 160
    assert f"{left} row" in told.inner_text()
    told.locator("a[href='#rows']").click()
    page.page.wait_for_function("() => location.hash.startsWith('#rows')")
    assert page.page.inner_text("[data-testid=left]") == left
    page.quiet()


def test_what_sorts_the_rows_is_shown(plain_file, plain_run, look) -> None:
    other = plain_run.rankings[1]
    for key, words in ((f"score@{other.name}", other.name), ("span", "repeat")):
        page = look(plain_file).rows(f"#rows?s=-{key}")
        head = page.page.locator("[data-testid=sort-by]")
        assert words in head.inner_text()
        assert "\u2193" in head.inner_text()
        assert page.page.locator("[aria-pressed=true].sort").count() == 1
        values = page.page.locator(".row-line .by").all_inner_texts()
        assert len(values) > 10
        assert all(values)
    page = look(plain_file).rows(f"#rows?t={other.name}&s=-score@{other.name}")
    assert page.page.locator("[data-testid=sort-by]").count() == 0
    assert "\u2193" in page.page.inner_text("[data-testid=sort-score]")
    cut = page.all(
        "[...document.querySelectorAll('.row-line .score')]"
        ".filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert cut == 0


def test_the_lowest_rows_are_the_highest_turned(plain_file, look) -> None:
    order = """() => [...document.querySelectorAll(".list .row-line")]
      .map((line) => [Number(line.dataset.position), line.dataset.row])
      .sort((a, b) => a[0] - b[0]).map(([, row]) => row)"""
    page = look(plain_file).rows("#rows?s=score")
    lowest = page.all(f"({order})()")[:12]
    page.rows()
    page.page.focus(".row-line")
    page.page.keyboard.press("End")
    page.settle()
    page.page.wait_for_selector(".list .row-line[data-position='159']")
    assert page.all(f"({order})()")[::-1][:12] == lowest


def test_an_open_row_tells_its_tokens_above_its_text(plain_file, look) -> None:
    page = look(plain_file).rows()
    page.page.click(".row-line >> nth=0")
    tokens = page.page.locator(".opened .tokens")
    tokens.wait_for()
    top = tokens.bounding_box()["y"]
    for name in ("token-line", "ws", "cp", "nowrap"):
        place = page.page.locator(f".opened [data-testid={name}]").bounding_box()
        assert top - 120 < place["y"] < top
    page.page.click(".opened .source button >> nth=0")
    page.page.wait_for_function("() => location.hash.includes('doc=')")
    assert "of document" in page.page.inner_text("[data-testid=status]")


def test_the_label_of_a_head_draws_its_curves(plain_file, look) -> None:
    page = look(plain_file).rows()
    page.draw()
    page.page.locator("[data-testid=census-map] text.head").first.click()
    page.page.wait_for_selector("[data-testid=head-curves]")
    page.quiet()


def test_a_row_high_for_one_unit_has_that_unit_first(
    plain_file, plain_run, look
) -> None:
    page = drawn(look(plain_file))
    lists = page.page.locator(".units .only")
    for place, ranking in enumerate(plain_run.rankings[:2]):
        lists.nth(place).locator("button").first.click()
        page.settle()
        told = page.page.locator("[data-testid=pair] .note").first.inner_text()
        assert f"Parts for {ranking.name}" in told


def test_tables_fit_a_laptop(plain_file, look) -> None:
    page = look(plain_file).rows()
    page.settle()
    hidden = page.all(CUT)
    assert [name for name in hidden if name and name.startswith("Domains of")] == []
    assert not {"Score of every head", "Loss by domain, nats a token"} & {*hidden}
    values = page.page.locator("#specificity td.n").all_inner_texts()
    assert values
    assert not any("e-" in value for value in values)


def test_a_phone_shows_effects_names_and_the_theme(plain_file: Path, look) -> None:
    page = look(plain_file, viewport=PHONE).rows()
    page.draw()
    page.settle()
    heads = page.page.locator("#effects thead >> nth=0").locator("th")
    names = [text.strip() for text in heads.all_inner_texts()]
    for name in ("Effect", "Verdict"):
        box = heads.nth(names.index(name)).bounding_box()
        assert box["x"] + box["width"] <= PHONE["width"]
    theme = page.page.locator("[data-testid=theme]").bounding_box()
    assert theme["x"] + theme["width"] <= PHONE["width"]
    tall = page.all(
        "Math.max(...[...document.querySelectorAll('thead')].map(e => e.offsetHeight))"
    )
    assert tall < 200
    page.quiet()
