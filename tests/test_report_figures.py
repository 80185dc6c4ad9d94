"""The figures: every run has its line, and the same tables give the same bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from headwater.corpus.window import Window
from headwater.interventions.arms import ACTIONS
from headwater.interventions.kinds import KINDS
from headwater.report import emergence, enrichment, style, words
from headwater.report.lines import arm_lines
from test_report_example import DOMAINS, Example, domain_table, example


def draw(tables: Example, planted: str | None = "records") -> Figure:
    """The figure of the curves."""
    with style.applied():
        return emergence.draw(
            emergence.CausalTest(
                choice=tables.choice,
                window_target="induction",
                arms=tables.arms,
                labels=tables.labels,
                domains=tables.domains,
                scores=tables.scores,
                runs=tables.runs,
                planted=planted,
            )
        )


def drawn_runs(figure: Figure, panel: int) -> dict[str, np.ndarray]:
    """Run to the values of its line, of one panel."""
    lines = figure.axes[panel].lines
    return {
        str(line.get_gid()).split("-", 1)[1]: np.asarray(line.get_ydata())
        for line in lines
        if line.get_gid()
    }


def texts(figure: Figure) -> str:
    """All that the figure says."""
    said = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        said += [text.get_text() for text in axes.texts]
        said += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
    return " ".join(" ".join(said).split())


@pytest.mark.parametrize("panel", [0, 1])
def test_every_run_has_its_line(panel: int) -> None:
    tables = example()
    assert set(drawn_runs(draw(tables), panel)) == set(tables.runs)


def test_lines_hold_the_values_of_the_window() -> None:
    tables = example()
    lines = drawn_runs(draw(tables), 0)
    table = tables.runs["baseline"]
    score = table[
        table["metric"].eq("prefix_matching")
        & table["name"].eq("L1H3")
        & table["step"].between(1500, 2100)
    ]
    np.testing.assert_array_equal(lines["baseline"], score["value"])


def test_arms_with_several_draws_have_a_mean_line_too() -> None:
    tables = example()
    figure = draw(tables)
    lines = drawn_runs(figure, 0)
    draws = [lines[f"remove_domain-seed{draw}"] for draw in range(3)]
    mean = np.mean(draws, axis=0)
    nameless = [line for line in figure.axes[0].lines if not line.get_gid()]
    assert len(nameless) == 3
    assert any(np.allclose(np.asarray(line.get_ydata()), mean) for line in nameless)


def test_a_missing_draw_is_left_out() -> None:
    tables = example()
    del tables.runs["remove_random-seed1"]
    assert set(drawn_runs(draw(tables), 0)) == set(tables.runs)


def test_it_says_what_it_shows() -> None:
    said = texts(draw(example()))
    for part in (
        "Which training rows build head L1H3? Tested by removing and inserting them",
        "How much head L1H3 attends to what followed the last occurrence",
        "lower = learns more",
        "chosen after seeing the baseline",
        "remove a random 10 % of rows (3 draws)",
        "generated, planted domain",
        "steps 1,500 to 2,100",
    ):
        assert part in said


def test_without_an_icl_score_the_panel_says_why() -> None:
    tables = example()
    for name, table in tables.runs.items():
        own = (table["metric"] == "icl") & (table["kind"] == "group")
        tables.runs[name] = table[~own]
    figure = draw(tables)
    (said,) = (text.get_text() for text in figure.axes[1].texts)
    assert said.startswith("not measured, as no held-out row")
    assert not any(len(values) for values in drawn_runs(figure, 1).values())
    assert not draw(example()).axes[1].texts


def test_a_domain_that_is_only_called_records_is_drawn_as_any() -> None:
    tables = example()
    assert "generated" not in texts(draw(tables, planted=None))
    with style.applied():
        figure = enrichment.draw(tables.domains, tables.choice, None)
    assert "generated" not in texts(figure)


def test_notes_explain_same_domains_and_what_is_planted() -> None:
    assert "Same ..." not in texts(draw(example()))
    tables = example({"remove_top": [(300, 1)], "remove_matched": [(150, 1)]})
    assert "Same ...: random rows in the top rows' mix of what is named" in texts(
        draw(tables)
    )
    tables.domains["induction"] = domain_table([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert "planted" not in texts(draw(tables))


@pytest.mark.parametrize(
    ("tables", "caution"),
    [
        (example(), None),
        (example(final=0.1), "No head emerged: read no effect into these curves"),
        (
            example(window=Window(0, 600)),
            "It rose too little here: read no effect into these curves",
        ),
    ],
    ids=["rose", "no_head", "not_in_the_window"],
)
def test_a_head_that_did_not_rise_is_told(tables, caution) -> None:
    said = texts(draw(tables))
    assert ("read no effect" in said) == bool(caution)
    assert (caution or "") in said


def test_the_legend_follows_the_ends_of_the_curves() -> None:
    tables = example()
    legend = [text.get_text() for text in draw(tables).axes[3].texts]
    places = [legend.index(tables.labels[arm]) for arm in ("insert_top", "remove_top")]
    assert places == [1, 6]


def test_arms_of_one_kind_differ_in_their_markers() -> None:
    arm = {"action": "remove", "rows": "top"}
    lines = arm_lines({"one": arm, "two": arm})
    assert lines["one"].colour == lines["two"].colour
    assert lines["one"].marker != lines["two"].marker


EVERY = {
    f"{action}_{kind}": {"action": action, "rows": kind, "fraction": 0.1, "draws": 1}
    | ({"target": "induction"} if KINDS[kind].scored else {})
    | ({"strata": ["loss"]} if "strata" in KINDS[kind].required else {})
    for action in ACTIONS
    for kind in KINDS
    if action in KINDS[kind].colours
}


def test_every_kind_and_action_has_a_line_and_words_of_its_own() -> None:
    lines = arm_lines(EVERY)
    assert len({line.colour for line in lines.values()}) == len(EVERY)
    assert {line.marker for line in lines.values()} == {""}
    looks = {(line.width, str(line.dashes)) for line in lines.values()}
    assert len(looks) == len(KINDS)
    labels = words.arm_labels(EVERY, example().domains, "induction")
    assert len({*labels.values()}) == len(EVERY)
    assert not any("{" in label or "[" in label for label in labels.values())


def test_every_kind_and_action_is_drawn_and_told() -> None:
    tables = example()
    for arm in EVERY:
        tables.runs[f"{arm}-seed0"] = tables.runs["remove_top-seed0"]
    tables.arms.clear()
    tables.arms.update(EVERY)
    tables.labels = words.arm_labels(EVERY, tables.domains, "induction")
    said = texts(draw(tables))
    for label in tables.labels.values():
        assert label in said
    for row in (*ACTIONS.values(), *KINDS.values()):
        assert row.note in said
    verbs = "removing, inserting, moving, masking, reweighting and repeating"
    assert f"Tested by {verbs} them" in said


def test_a_figure_without_controls_of_the_domains_speaks_of_none() -> None:
    assert "other rows like them" in texts(draw(example()))
    tables = example({"remove_top": [(300, 1)], "remove_random": [(10, 1)]})
    assert "same domains" not in texts(draw(tables))


def test_few_points_nothing_measured_and_another_score() -> None:
    tables = example({"remove_top": [(300, 1)]}, window=Window(1500, 1550))
    for table in tables.runs.values():
        table.loc[table["metric"] == "icl", "value"] = np.nan
    target = replace(tables.choice.targets["induction"], score="previous_token")
    tables.choice.targets["induction"] = target
    figure = draw(tables)
    assert "attends to the token just before the current one" in texts(figure)
    markers = {line.get_marker() for line in figure.axes[0].lines}
    assert markers == {"."}


def save(figure: Figure, folder: Path) -> tuple[bytes, bytes]:
    """The figure's PNG and SVG."""
    png, svg = folder / "figure.png", folder / "figure.svg"
    with style.applied():
        style.save_figure(figure, png, svg)
    return png.read_bytes(), svg.read_bytes()


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    first = save(draw(example()), tmp_path)
    again = save(draw(example()), tmp_path)
    assert first == again
    assert first[0].startswith(b"\x89PNG")
    assert b"Software" not in first[0]
    assert b"<dc:date>" not in first[1]
    assert b'id="prefix_matching-remove_top-seed0"' in first[1]


def test_enrichment_shows_both_shares_and_the_factor() -> None:
    tables = example()
    with style.applied():
        figure = enrichment.draw(tables.domains, tables.choice, "records")
    said = texts(figure)
    assert len(figure.axes) == 2
    assert "67 % (2.7x)" in said
    assert "'records' is no real text" in said
    assert len(figure.axes[0].patches) == 2 * len(DOMAINS)


def test_enrichment_survives_odd_names_and_empty_domains(tmp_path: Path) -> None:
    table = domain_table([0.5, 0.5, 0, 0, 0, 0])
    table["domain"] = ["a $x_1$ \u202e", "b", "c" * 80, "d", "e", "f"]
    table.loc[table["domain"] == "f", ["share", "share_top", "enrichment"]] = [
        0,
        0,
        np.nan,
    ]
    with style.applied():
        figure = enrichment.draw({"induction": table}, example().choice, "records")
    save(figure, tmp_path)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "a $x_1$ \\u202e" in labels
    assert "records" not in texts(figure)
    assert max(map(len, labels)) < 40


def test_factors_keep_two_digits() -> None:
    values = pd.Series([0.046, 0.6, 1.0, 2.73, 104.5])
    assert values.map(words.factor).tolist() == [
        "0.05x",
        "0.60x",
        "1.0x",
        "2.7x",
        "104x",
    ]
