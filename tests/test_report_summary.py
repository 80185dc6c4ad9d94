"""The summary: what it says of clear, absent, reversed and missing effects."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headwater.corpus.window import Window
from headwater.evaluation.verdicts import METRICS
from headwater.report import claims
from headwater.report.amounts import between, half_way
from headwater.report.findings import Spread, read_arms
from headwater.report.summary import Tables, summary_text
from headwater.report.words import ranked_by
from test_report_example import CLEAR, Example, Shapes, example

CLAIMS = ("against the baseline", "enough seeds (", "Holds.", "changes most")
PLACES = {"report/curves.png": "the curves", "report/verdicts.tsv": "every number"}


def write(tables: Example, **changes: Any) -> str:
    """The summary of an example."""
    inputs = Tables(
        experiment="laptop",
        window_target="induction",
        arms=tables.arms,
        choice=tables.choice,
        baseline=tables.runs["baseline"],
        summary=tables.summary,
        domains=tables.domains,
        fidelity=tables.fidelity,
        verdicts=tables.verdicts,
        specificity=tables.specificity,
        planted="records",
    )
    return summary_text(replace(inputs, **changes), PLACES)


def prose(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


def shapes(**changes: list[tuple[float, float]]) -> Shapes:
    return {**CLEAR, **changes}


def test_it_fits_a_terminal() -> None:
    lines = write(example()).splitlines()
    assert max(map(len, lines)) <= 88
    assert len(lines) <= 50


def area_of(tables: Example, arm: str) -> float:
    """In % of the baseline's."""
    return 100 * float(tables.summary.set_index("arm")["area_ratio_mean"][arm])


def test_one_run_is_told_with_its_numbers_and_has_no_verdict() -> None:
    tables = example()
    text = prose(write(tables))
    top = area_of(tables, "remove_top")
    assert "Head L1H3 emerged: it attends to what followed" in text
    assert "from 0.03 to 0.77 over the run" in text
    assert "chosen after seeing the baseline" in text
    assert (
        f"Removing the top 10 % of rows: area {top - 100:+.0f} points against the "
        f"baseline; {top - area_of(tables, 'remove_random'):+.0f} against "
        f"remove_random; {top - area_of(tables, 'remove_domain'):+.0f} against "
        "remove_domain. Not enough seeds (1 of at least 5)." in text
    )
    bound = tables.summary.set_index("arm")["onset_at_least"]["remove_top"]
    assert (
        "It never made half of the baseline's rise in the window: at least "
        f"{bound:.0f} steps later." in text
    )
    assert "Inserting copies of the top 10 % of rows: area +" in text
    assert text.count("Not enough seeds") == 2
    assert "no verdict before 5 seeds (section study of the config)" in text
    assert "induction (L1H3): records 67 % (2.7x)" in text
    assert "agree closely with exact ones (Spearman 0.991, 0.984; 512" in text
    assert "'records' is planted" in text
    assert "report/curves.png the curves" in text


def test_it_says_what_the_arms_do_to_other_heads() -> None:
    tables = example()
    finals = tables.specificity.query("arm == 'remove_top' and what == 'final'")
    values = finals.set_index("name")["value"]
    text = prose(write(tables))
    assert (
        f"At the window's end L1H3 has {values['L1H3']:.2f} (baseline 0.69); of the "
        f"other heads L1H1 changes most, from 0.45 to {values['L1H1']:.2f}." in text
    )
    assert "more than L1H3 there" not in text
    line = (finals["name"] == "L1H3").idxmax()
    taken = tables.specificity.loc[line].copy()
    taken["what"], taken["name"] = "highest", "L1H1"
    tables.specificity.loc[len(tables.specificity)] = taken
    assert "L1H1 has more than L1H3 there." in prose(write(tables))


@pytest.mark.parametrize(("overlap", "told"), [(0.0, ""), (0.453, " (45.3 % of them")])
def test_how_many_rows_of_a_control_are_top_rows_is_said(overlap, told) -> None:
    tables = example()
    line = tables.summary["arm"] == "remove_domain"
    tables.summary.loc[line, "overlap"] = overlap
    assert f"against remove_domain{told}" in prose(write(tables))
    assert ("the same rows" in prose(write(tables))) == bool(told)


def test_an_arm_without_controls_shows_no_advantage() -> None:
    text = prose(
        write(example({"remove_top": [(330, 0.9)], "insert_random": [(0, 1)]}))
    )
    assert "Without a control of the same action and size no advantage" in text


def test_every_judged_metric_has_words_and_is_in_the_table_of_effects() -> None:
    assert claims.METRICS.keys() == METRICS.keys()
    assert {column for column, _ in METRICS.values()} <= {*example().effects}


def test_copying_of_natural_text_is_shown_where_it_was_measured() -> None:
    tables = example()
    assert "copying" not in write(tables)
    for how in ("mean", "min", "max"):
        tables.summary[f"natural_copy_gain_change_{how}"] = -0.25
    text = write(tables)
    assert "copying: nats that spans of held-out text" in prose(text)
    assert re.search(r"remove_top .* -0\.25$", text, re.M)


def test_without_planted_records_nothing_is_said_of_them() -> None:
    tables = example()
    natural = {
        name: table[table["domain"] != "records"]
        for name, table in tables.domains.items()
    }
    assert "records" not in write(tables, domains=natural)


def test_without_a_head_no_effect_is_claimed() -> None:
    text = prose(write(example(final=0.03)))
    assert "No head emerged: the prefix-matching score of L1H3" in text
    assert "read no effect into their numbers" in text
    assert not any(claim in text for claim in CLAIMS)


def test_a_head_that_its_controls_explain_has_not_emerged() -> None:
    tables = example()
    target = tables.choice.targets["induction"]
    beside = dict.fromkeys(target.controls, 0.4)
    tables.choice.targets["induction"] = replace(target, found=False, controls=beside)
    text = prose(write(tables))
    assert "No head emerged" in text
    assert "(of its controls: up to 0.40)" in text
    assert not any(claim in text for claim in CLAIMS)


def test_a_window_before_the_rise_gives_no_effect() -> None:
    text = prose(write(example(window=Window(1500, 1550))))
    assert "too small a rise for the arms to change" in text
    assert not any(claim in text for claim in CLAIMS)


def test_the_table_shows_runs_that_never_get_half_way() -> None:
    tables = example(shapes(remove_domain=[(150, 1), (190, 1), (500, 1)]))
    table = {
        line.split()[0]: line
        for line in write(tables).splitlines()
        if line[:4] == "    "
    }
    assert " never " in table["remove_top"]
    assert re.search(r" \+\d+ to \+\d+, never in 1 of 3 ", table["remove_domain"])
    assert "never" not in table["remove_random"]


def set_onsets(tables: Example, arm: str, **values: float) -> None:
    """Give an arm of three draws other onsets."""
    line = tables.summary["arm"] == arm
    values = {"reached": 0, "never_reached": 0, "above_from_start": 0, **values}
    shifts = [f"onset_shift_{how}" for how in ("mean", "min", "max")]
    tables.summary.loc[line, [*shifts, "onset_at_least"]] = np.nan
    for name, value in values.items():
        tables.summary.loc[line, name] = value


@pytest.mark.parametrize(
    ("reached", "never", "above", "cell"),
    [
        (1, 2, 0, "+20 to +70, never in 2 of 3"),
        (2, 0, 1, "+20 to +70, above from the start in 1 of 3"),
        (0, 3, 0, "never"),
        (0, 0, 3, "above from the start"),
        (0, 1, 2, "never in 1 of 3, above from the start in 2 of 3"),
        (0, 0, 0, "unknown"),
        (3, 0, 0, "+20 to +70"),
    ],
)
def test_half_way_says_how_many_draws_have_none(reached, never, above, cell) -> None:
    tables = example()
    shifts = {"onset_shift_min": 20.0, "onset_shift_max": 70.0} if reached else {}
    counts = {"never_reached": never, "above_from_start": above}
    set_onsets(tables, "remove_random", reached=reached, **counts, **shifts)
    arms = read_arms(tables.summary, tables.arms)
    assert half_way(arms["remove_random"]) == cell


def test_a_mean_with_draws_that_never_come_half_way_is_a_bound() -> None:
    top = [(310, 0.9), (280, 1.0), (300, 1.0)]
    tables = example({"remove_top": top, "remove_random": [(11, 1.0)] * 3})
    set_onsets(tables, "remove_top", reached=1, never_reached=2, onset_at_least=212.4)
    text = prose(write(tables))
    assert (
        "It never made half of the baseline's rise in the window in 2 of 3 draws: at "
        "least 212 steps later in the mean." in text
    )
    set_onsets(tables, "remove_top", never_reached=2, above_from_start=1)
    assert "in 2 of 3 draws. At the window" in prose(write(tables))


def test_without_long_documents_no_icl_is_told() -> None:
    tables = example()
    icl = [name for name in tables.summary if name.startswith("final_icl")]
    tables.summary[icl] = np.nan
    text = prose(write(tables))
    assert "ICL: not measured, as no held-out row holds enough of one document" in text


def test_scores_of_several_checkpoints_are_said_to_be_means() -> None:
    assert "is the mean over those of" not in prose(write(example()))
    config = {"influence": {"method": "projected"}, "window": {"checkpoints": 4}}
    text = prose(write(example(), ranked_by=ranked_by(config)))
    assert "is the mean over those of 4 checkpoints" in text


def test_another_score_than_the_paper_s_is_named() -> None:
    config = {"influence": {"method": "metagradient"}, "window": {"checkpoints": 1}}
    text = prose(write(example(), ranked_by=ranked_by(config)))
    assert "Rows are ranked by the metagradient" in text
    config["influence"]["method"] = "metagradient_orders"
    text = prose(write(example(), ranked_by=ranked_by(config)))
    assert "Rows are ranked by metagradient_orders: metagradient, its mean" in text


def test_heads_that_stay_as_they_are_are_not_named() -> None:
    tables = example()
    own = tables.specificity["name"] == tables.choice.targets["induction"].head
    still = tables.specificity.copy()
    still.loc[~own, "change"] = 0.004
    text = prose(write(tables, specificity=still))
    assert "no other head changes by as much as 0.01" in text
    assert "changes most" not in text


def test_rows_under_the_names_of_natural_domains_are_told() -> None:
    text = prose(write(example(), planted=None, hidden=0.48))
    assert "48 % of the training rows are generated and carry the names of" in text
    assert "generated" not in prose(write(example(), planted=None))


def test_a_domain_that_is_only_called_records_is_not_planted() -> None:
    text = write(example(), planted=None)
    assert "records 67 %" in text
    assert "planted" not in text


def test_unknown_numbers_are_said_to_be_unknown() -> None:
    tables = example()
    measured = ("area_ratio", "onset", "probe", "final")
    numbers = [name for name in tables.summary if name.startswith(measured)]
    tables.summary[numbers] = np.nan
    tables.fidelity["spearman"] = np.nan
    tables.verdicts = tables.verdicts[:0]
    text = prose(write(tables))
    assert re.search(r"remove_top +unknown +never +unknown +unknown", write(tables))
    assert "could not be compared with exact ones" in text
    assert not any(claim in text for claim in CLAIMS)


@pytest.mark.parametrize(
    "poor",
    [
        {"spearman": [0.99, 0.5]},
        {"ratio_1": [1.0, 2.17]},  # what a rank correlation over all rows does not show
        {"ratio_10": [0.7, 1.0]},
        {"sign_1": [0.75, 1.0]},
        {"sign_10": [1.0, 0.5]},
    ],
)
def test_a_poor_fidelity_is_a_warning(poor) -> None:
    tables = example()
    assert "agree closely with exact ones" in prose(write(tables))
    tables.fidelity = tables.fidelity.assign(**poor)
    assert "do not trust the ranking" in prose(write(tables))


def test_fidelity_says_what_happens_in_the_top_and_what_it_does_not_say() -> None:
    text = prose(write(example()))
    assert "(Spearman 0.991, 0.984; 512 sampled rows)" in text
    assert "of the top 10 % at least 0.940 are the same, 1.000 of the same sign" in text
    assert "0.999 to 1.001 times the exact score; of the top 1 %" in text
    assert "same approximation of the curvature (EK-FAC); how good" in text


def test_no_number_is_a_negative_zero() -> None:
    assert between(Spread(-0.001, 0.0, 0.001)) == "0.00"
    assert between(Spread(-0.2, 0, 12), "+z.0f") == "+0 to +12"
