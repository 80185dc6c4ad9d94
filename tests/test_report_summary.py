"""The summary: what it says of clear, absent, reversed and missing effects."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headwater.corpus.window import Window
from headwater.interventions.arms import ACTIONS
from headwater.interventions.kinds import KINDS
from headwater.report.amounts import between, half_way
from headwater.report.findings import (
    AREA_FLOOR,
    Finding,
    Spread,
    compare,
    judge,
    read_arms,
)
from headwater.report.summary import Tables, summary_text
from test_report_example import CLEAR, Example, Shapes, example

CLAIMS = ("slowed", "hastened", "was weaker", "was stronger", "accounts for")
PLACES = {"report/curves.png": "the curves", "report/summary.html": "every number"}


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
        planted="records",
        checkpoints=1,
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


def test_a_clear_effect_is_told_with_its_numbers() -> None:
    tables = example()
    text = prose(write(tables))
    ratios = tables.summary.set_index("arm")["area_ratio_mean"]
    assert "Head L1H3 emerged: it attends to what followed" in text
    assert "from 0.03 to 0.77 over the run" in text
    assert "chosen after seeing the baseline" in text
    assert (
        f"Removing the top 10 % of rows slowed the head's rise: "
        f"{100 * ratios['remove_top']:.0f} % of the baseline's area" in text
    )
    bound = tables.summary.set_index("arm")["onset_at_least"]["remove_top"]
    assert (
        "It never made half of the baseline's rise in the window: at least "
        f"{bound:.0f} steps later." in text
    )
    assert "In-context learning was weaker" in text
    assert (
        f"Inserting copies of the top 10 % of rows hastened the head's rise: "
        f"{100 * ratios['insert_top']:.0f} % of the baseline's area" in text
    )
    assert "induction (L1H3): records 67 % (2.7x)" in text
    assert "agree closely with exact ones (Spearman 0.991, 0.984; 512" in text
    assert "probe: log-probability of the right token where random tokens" in text
    assert "report/curves.png the curves" in text


def test_the_domain_takes_its_share_of_the_effect() -> None:
    tables = example()
    mean = tables.summary.set_index("arm")["area_ratio_mean"]
    share = (mean["remove_random"] - mean["remove_domain"]) / (
        mean["remove_random"] - mean["remove_top"]
    )
    text = prose(write(tables))
    assert f"the domain alone reaches about {100 * share:.0f} % of" in text
    assert "Inserting had no control of the top rows' domains" in text
    assert "'records' is planted" in text


def test_rows_in_the_same_mix_tell_what_the_ranking_does() -> None:
    tables = example(shapes(remove_matched=[(140, 1.0), (150, 1.0), (160, 1.0)]))
    mean = tables.summary.set_index("arm")["area_ratio_mean"]
    effect = mean["remove_random"] - mean["remove_top"]
    text = prose(write(tables))
    for control, claim in (
        ("remove_matched", "the mix of domains alone reaches about {} % of the"),
        ("remove_domain", "the domain alone reaches about {} % of the effect."),
    ):
        share = (mean["remove_random"] - mean[control]) / effect
        assert claim.format(f"{100 * share:.0f}") in text
    assert text.count("the ranking within domains for the rest") == 2  # and the probe
    assert "Removing had no control" not in text


def set_probe(tables: Example, **values: float) -> None:
    """Give all draws of an arm one change of the probe."""
    for arm, value in values.items():
        line = tables.summary["arm"] == arm
        for how in ("mean", "min", "max"):
            tables.summary.loc[line, f"probe_change_{how}"] = value


def test_the_ranking_may_move_the_probe_and_not_the_head() -> None:
    arms = {name: CLEAR[name] for name in ("remove_top", "remove_random")}
    tables = example({**arms, "remove_matched": [(320, 0.9)] * 2})
    set_probe(tables, remove_random=0.0, remove_top=-2.0, remove_matched=-0.5)
    text = prose(write(tables))
    assert "The probe, which the scores predict, fell: -2.00, random +0.00." in text
    assert text.count("did not clearly do more") == 1
    assert (
        "It gave -0.50 on the probe (top rows -2.00, any rows +0.00): the mix of "
        "domains alone reaches about 25 % of the effect" in text
    )


def test_an_effect_on_the_probe_alone_is_told() -> None:
    small = shapes(remove_top=[(15, 1)], remove_domain=[(12, 1)] * 3)
    tables = example(small)
    set_probe(tables, remove_random=0.0, remove_top=-2.0, remove_domain=-1.0)
    text = prose(write(tables))
    assert "did not change the head's rise beyond chance" in text
    assert "'records' rows gave -1.00 on the probe (top rows -2.00, any" in text
    assert "the domain alone reaches about 50 % of the effect." in text


def test_a_matched_arm_alone_is_a_control_of_the_domains() -> None:
    arms = {name: CLEAR[name] for name in ("remove_top", "remove_random")}
    text = prose(write(example({**arms, "remove_matched": [(320, 0.9)] * 2})))
    assert "random rows in the top rows' mix of domains gave" in text
    assert "did not clearly do more, so the ranking adds nothing clear" in text
    assert "had no control" not in text


def test_a_matched_arm_of_another_target_or_size_is_no_control() -> None:
    for change in ({"target": "previous_token"}, {"fraction": 0.05}):
        arms = {name: CLEAR[name] for name in ("remove_top", "remove_random")}
        tables = example({**arms, "remove_matched": [(150, 1.0)]})
        tables.arms["remove_matched"].update(change)
        assert "Removing had no control of the top" in prose(write(tables))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", [k for k in KINDS if KINDS[k].role == "judged"])
def test_every_judged_kind_is_judged_and_told(kind: str, action: str) -> None:
    tables = example(shapes(insert_top=[(330, 0.9)]))
    renamed = {"remove_top": kind, "remove_random": "random"}
    for arm, rows in renamed.items():
        tables.arms[arm] |= {"action": action, "rows": rows}
        line = tables.summary["arm"] == arm
        tables.summary.loc[line, ["action", "rows"]] = [action, rows]
    text = prose(write(tables))
    rows = KINDS[kind].label.format(share="10 %")
    doing = ACTIONS[action].doing.format(rows=rows)
    noun = KINDS[kind].noun
    assert f"{doing.capitalize()} slowed the head's rise" in text
    assert f"An arm of {noun} is one run" in text
    verb = ACTIONS[action].verb.capitalize()
    if action == "remove" and kind == "top":
        assert "the domain alone reaches about" in text
    else:
        assert f"{verb} had no control of the {noun}' domains" in text


def test_without_planted_records_nothing_is_said_of_them() -> None:
    tables = example()
    natural = {
        name: table[table["domain"] != "records"]
        for name, table in tables.domains.items()
    }
    assert "records" not in write(tables, domains=natural)


def test_no_effect_is_no_claim() -> None:
    tables = example(
        shapes(remove_top=[(15, 1)], remove_domain=[(12, 1)] * 3, insert_top=[(-10, 1)])
    )
    text = prose(write(tables))
    assert "Removing the top 10 % of rows did not change the head's rise" in text
    assert "Inserting copies of the top 10 % of rows did not change" in text
    assert not any(claim in text for claim in CLAIMS)


def test_a_reversed_effect_is_told_as_it_is() -> None:
    tables = example(shapes(remove_top=[(-150, 1)], insert_top=[(200, 1)]))
    text = prose(write(tables))
    assert "Removing the top 10 % of rows hastened the head's rise" in text
    assert "Inserting copies of the top 10 % of rows slowed the head's rise" in text
    assert "the opposite of the top rows' effect" in text


def test_an_arm_just_outside_its_controls_is_too_close_to_call() -> None:
    tables = example(shapes(remove_top=[(45, 1)]))
    text = prose(write(tables))
    assert "Removing the top 10 % of rows is too close to call" in text
    assert "slowed" not in text


def test_top_rows_that_do_no_better_than_their_domain_add_nothing() -> None:
    tables = example(shapes(remove_top=[(170, 1)]))
    text = prose(write(tables))
    assert "slowed the head's rise" in text
    assert (
        "the top rows did not clearly do more, so the ranking adds nothing clear"
        in text
    )


def test_an_effect_that_the_domain_lacks_is_not_the_domains() -> None:
    tables = example(shapes(remove_domain=[(15, 1), (20, 1), (25, 1)]))
    assert "so the effect is not the domain's" in prose(write(tables))


def test_without_random_draws_nothing_follows() -> None:
    tables = example({"remove_top": [(330, 0.9)], "insert_random": [(0, 1)]})
    text = prose(write(tables))
    assert "without random draws of the same kind and size nothing follows" in text
    assert not any(claim in text for claim in CLAIMS)


def test_random_draws_of_another_size_are_no_controls() -> None:
    tables = example()
    tables.arms["remove_random"]["fraction"] = 0.05
    assert "slowed" not in write(tables)


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
    assert "in 2 of 3 draws. The probe" in prose(write(tables))


@pytest.mark.parametrize(
    ("overlap", "words"),
    [(0.0, "none"), (0.453, "45.3 %"), (0.004, "0.4 %"), (np.nan, None)],
)
def test_how_many_rows_of_a_control_are_top_rows_is_said(overlap, words) -> None:
    tables = example()
    line = tables.summary["arm"] == "remove_domain"
    tables.summary.loc[line, "overlap"] = overlap
    said = f"'records' rows ({words} of them top rows) gave"
    assert (said if words else "'records' rows gave") in prose(write(tables))


def test_without_long_documents_no_icl_is_told() -> None:
    tables = example()
    icl = [name for name in tables.summary if name.startswith("final_icl")]
    tables.summary[icl] = np.nan
    text = prose(write(tables))
    assert "ICL: not measured, as no held-out row holds enough of one document" in text
    assert "In-context learning" not in text


def test_scores_of_several_checkpoints_are_said_to_be_means() -> None:
    assert "is the mean over those of" not in prose(write(example()))
    text = prose(write(example(), checkpoints=4))
    assert "is the mean over those of 4 checkpoints" in text


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
    text = prose(write(tables))
    assert "Removing the top 10 % of rows: no effect could be measured." in text
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
    assert "The factors are the same: no word on EK-FAC" in text


@pytest.mark.parametrize(
    ("arm", "finding"),
    [
        ((0.95, 0.95), Finding.WITHIN),
        ((0.89, 0.91), Finding.WITHIN),  # one draw inside is enough
        ((0.85, 0.85), Finding.CLOSE),
        ((0.79, 0.79), Finding.LOWER),
        ((1.11, 1.2), Finding.HIGHER),
        ((np.nan, np.nan), Finding.UNKNOWN),
    ],
)
def test_a_difference_must_exceed_the_range_of_the_controls(
    arm: tuple[float, float], finding: Finding
) -> None:
    low, high = arm
    spread = Spread(low, (low + high) / 2, high)
    assert compare(spread, Spread(0.9, 0.95, 1.0), AREA_FLOOR) is finding


def test_the_baseline_counts_among_the_controls() -> None:
    # All random draws slow the head a little; an arm that does not is no acceleration.
    tables = example(shapes(remove_top=[(0, 1)], remove_random=[(60, 1)] * 3))
    arms = read_arms(tables.summary, tables.arms)
    assert judge(arms["remove_top"], arms).area is not Finding.HIGHER


def test_no_number_is_a_negative_zero() -> None:
    assert between(Spread(-0.001, 0.0, 0.001)) == "0.00"
    assert between(Spread(-0.2, 0, 12), "+z.0f") == "+0 to +12"
