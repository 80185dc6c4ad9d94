"""Figures for papers: drawn from the tables beside them, and from nothing else."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from headwater.heads.scores import SCORES
from headwater.interventions.kinds import KINDS
from headwater.report import words
from headwater.report.figures import FIGURES, base
from headwater.report.figures.base import COLUMN, PAGE, SIZES, Results, Subject
from headwater.study import paper
from headwater.tables import read_table, write_table
from test_report_example import Example, example
from test_study import study

REPOSITORY = Path(__file__).parents[1]
NEED_ARMS = ("emergence", "effects")
INFLUENCE = np.random.default_rng(1).standard_cauchy(2000).astype(np.float32)


def results(tables: Example | None = None, scores: np.ndarray = INFLUENCE) -> Results:
    tables = tables or example()
    heads = tables.scores.copy()
    for number, name in enumerate(SCORES):
        heads[name] = heads.get(name, 0.1 * number)
    return Results(
        Subject(tables.choice, "induction", tables.arms, tables.labels),
        heads,
        tables.domains,
        {"induction": scores, "previous_token": -scores},
        tables.runs,
        tables.effects,
    )


def drawn(name: str, found: Results, size: base.Size = PAGE) -> Figure:
    with base.applied():
        return FIGURES[name].draw(FIGURES[name].table(found), found.subject, size)


def saved(figure: Figure, stem: Path) -> tuple[bytes, bytes]:
    with base.applied():
        base.save(figure, stem)
    return tuple(stem.with_suffix(end).read_bytes() for end in (".svg", ".pdf"))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_that_of_the_table_beside_it(name: str, tmp_path: Path) -> None:
    found = results()
    table = FIGURES[name].table(found)
    assert len(table)
    write_table(tmp_path / "t.tsv", table)
    read = read_table(tmp_path / "t.tsv")
    with base.applied():
        pairs = [
            saved(FIGURES[name].draw(one, found.subject, PAGE), tmp_path / f"x{n}")
            for n, one in enumerate((table, read))
        ]
    assert pairs[0] == pairs[1]
    svg, pdf = pairs[0]
    assert b"<dc:date>" not in svg
    assert pdf.startswith(b"%PDF")
    assert not re.search(rb"/CreationDate|/ModDate|/Producer|/Creator", pdf)
    points = float(re.search(rb'width="([\d.]+)pt"', svg)[1])
    assert points == pytest.approx(72 * PAGE.width, abs=0.5)


@pytest.mark.parametrize("name", FIGURES)
def test_letters_are_those_that_papers_ask_for_and_none_is_cut_off(name: str) -> None:
    for size in SIZES:
        figure = drawn(name, results(), size)
        with base.applied():
            figure.draw_without_rendering()
        assert figure.get_figwidth() == size.width
        for text in figure.findobj(Text):
            assert 6 <= text.get_fontsize() <= 8
        drawn_on = figure.get_tightbbox()
        assert drawn_on.x0 >= 0
        assert drawn_on.y0 >= 0
        assert drawn_on.x1 <= figure.get_figwidth()
        assert drawn_on.y1 <= figure.get_figheight()


def test_the_rule_draws_those_that_there_are() -> None:
    rule = (REPOSITORY / "rules/report.smk").read_text("utf-8")
    listed = rule.partition("\nFIGURES = [")[2].partition("\n]\n")[0]
    assert re.findall(r'"(\w+)"', listed) == list(FIGURES)
    assert re.findall(r'"(\w+)"', listed.partition("*(")[2]) == list(NEED_ARMS)


def test_without_arms_the_others_are_drawn() -> None:
    whole = results()
    bare = Results(
        replace(whole.subject, arms={}, labels={}),
        whole.heads,
        whole.domains,
        whole.influence,
    )
    for name in set(FIGURES) - {*NEED_ARMS}:
        assert drawn(name, bare).axes


def test_the_census_has_every_head_at_every_checkpoint() -> None:
    found = results()
    table = FIGURES["census"].table(found)
    assert len(table) == len(words.SCORE_NAMES) * len(found.heads)
    mine = table[(table["metric"] == "prefix_matching") & (table["head"] == "L1H3")]
    told = found.heads[found.heads["head"] == "L1H3"]
    np.testing.assert_array_equal(mine["value"], told["prefix_matching"])


def test_a_census_of_many_heads_names_layers_and_is_made_of_pixels() -> None:
    found = results()
    heads = [f"L{layer}H{head}" for layer in range(48) for head in range(16)]
    rows = [(step, head) for step in (0, 10, 100, 1000) for head in heads]
    many = pd.DataFrame(rows, columns=["step", "head"]).assign(
        **dict.fromkeys(SCORES, 0.5)
    )
    figure = drawn("census", replace(found, heads=many), COLUMN)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["L0", "L2"]
    assert len(labels) <= 32
    assert figure.get_figheight() < 20


def test_the_census_of_one_checkpoint_is_a_map_of_the_model() -> None:
    found = results()
    one = found.heads[found.heads["step"] == 2400]
    mesh = drawn("census", replace(found, heads=one)).axes[0].collections[0]
    values = np.ma.filled(mesh.get_array(), np.nan)
    assert values.shape == (2, 4)
    told = one.set_index("head")["prefix_matching"]
    assert values[1, 3] == told["L1H3"]
    assert values[0, 2] == told["L0H2"]


def test_effects_stand_above_their_controls_draw_by_draw() -> None:
    found = results()
    table = FIGURES["effects"].table(found)
    areas = table[table["measure"] == "area"]
    effects = found.effects.set_index("arm")["area_ratio"]
    assert list(areas["judged"].unique()) == ["remove_top", "insert_top"]
    for (_, arm), lines in areas.groupby(["judged", "arm"]):
        np.testing.assert_allclose(lines["value"], 100 * effects[[arm]])
    assert {*areas[areas["judged"] == "insert_top"]["arm"]} == {
        "insert_top",
        "insert_random",
    }


def test_an_arm_without_a_control_says_so() -> None:
    found = results(example({"remove_top": [(300, 1)]}))
    labels = [t.get_text() for t in drawn("effects", found).axes[0].get_yticklabels()]
    assert labels == ["remove_top", "no control"]


def test_an_arm_that_is_never_half_way_has_no_mean() -> None:
    found = results()
    lost = found.effects["arm"].eq("remove_random") & found.effects["draw"].eq(1)
    found.effects.loc[lost, "onset_shift"] = np.nan
    gone = found.effects["arm"].eq("remove_top")
    found.effects.loc[gone, "onset_shift"] = np.nan
    axes = drawn("effects", found).axes[1]
    colour = KINDS["random"].colours["remove"]
    mine = [line for line in axes.lines if to_hex(line.get_color()) == colour]
    assert [len(line.get_xdata()) for line in mine] == [2, 2]
    assert "unknown" in [text.get_text() for text in axes.texts]


def test_arms_have_the_colours_of_all_figures() -> None:
    found = results()
    colours = {
        to_hex(line.get_color())
        for line in drawn("emergence", found).axes[0].lines
        if line.get_gid()
    }
    arms = found.subject.arms.values()
    assert colours == {KINDS[a["rows"]].colours[a["action"]] for a in arms} | {
        "#000000"
    }


def test_curves_are_those_of_the_window() -> None:
    found = results()
    table = FIGURES["emergence"].table(found)
    assert {*table["run"]} == {*found.runs}
    assert table["step"].min() == 1500
    assert table["step"].max() == 2100
    assert {*table["panel"]} >= {"score", "icl"}


def test_what_was_not_measured_has_no_panel() -> None:
    tables = example()
    for name, table in tables.runs.items():
        tables.runs[name] = table[table["metric"] != "icl"]
    found = results(tables)
    assert "icl" not in {*FIGURES["emergence"].table(found)["panel"]}
    assert "ICL" not in " ".join(a.get_title() for a in drawn("emergence", found).axes)


def test_scores_are_counted_and_add_up() -> None:
    table = FIGURES["scores"].table(results()).query("target == 'induction'")
    bars = table[table["curve"] == "rows"]
    assert bars["value"].sum() == len(INFLUENCE)
    for _, bar in bars.iloc[3:-3].iterrows():
        inside = (bar["low"] <= INFLUENCE) & (bar["high"] > INFLUENCE)
        assert inside.sum() == bar["value"]
    best = np.sort(INFLUENCE.astype(float))[::-1]
    at = table[(table["curve"] == "helping") & np.isclose(table["high"], 0.1)]
    held = best[:200].sum() / best[best > 0].sum()
    assert at["value"].item() == pytest.approx(held)


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros(9),
        np.full(9, 2.5),
        np.array([np.nan, np.inf, -1e-30, 1e30, 0, 1]),
        np.array([-3.0]),
    ],
    ids=["zeros", "equal", "wild", "one"],
)
def test_odd_scores_are_drawn_too(scores: np.ndarray, tmp_path: Path) -> None:
    figure = drawn("scores", results(scores=scores.astype(np.float32)))
    assert saved(figure, tmp_path / "odd")[1].startswith(b"%PDF")


def test_names_of_domains_are_inert(tmp_path: Path) -> None:
    tables = example()
    for name, table in tables.domains.items():
        odd = ["a $x_1$ \u202e", "<script>", "b" * 90, "\x1b[31m", "e\nf", "$g$"]
        tables.domains[name] = table.assign(domain=odd)
    tables.labels = words.arm_labels(tables.arms, tables.domains, "induction")
    found = results(tables)
    for name in ("enrichment", "emergence"):
        svg, _ = saved(drawn(name, found), tmp_path / name)
        assert b"<script" not in svg
        assert "\u202e".encode() not in svg


def test_a_study_is_drawn_from_its_table(tmp_path: Path) -> None:
    members = study()
    table = paper.table(members, members.verdicts())
    assert {*table["arm"]} == {*members.config["arms"], "baseline"}
    own = table[(table["judged"] == "remove_top") & (table["arm"] == "remove_top")]
    told = [100 * m.areas()["remove_top"] for m in members.judged]
    np.testing.assert_allclose(own["area"], told)
    write_table(tmp_path / "t.tsv", table)
    with base.applied():
        first, again = (
            saved(paper.draw(one, members.config["arms"], COLUMN), tmp_path / name)
            for one, name in ((table, "a"), (read_table(tmp_path / "t.tsv"), "b"))
        )
    assert first == again


def test_a_study_in_which_nothing_is_judged_is_drawn_empty() -> None:
    members = study(0)
    table = paper.table(members, members.verdicts())
    assert table.empty or table["area"].isna().all()
    with base.applied():
        assert paper.draw(table, members.config["arms"], PAGE)
