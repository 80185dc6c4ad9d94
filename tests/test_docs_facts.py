"""Numbers in the words of a page are those of config, code and tables."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from headwater.config import read_config_file
from headwater.heads.targets import FOUND, TIMES_CONTROL
from headwater.influence import EXTREMES
from headwater.influence.ranking import TOP_FRACTION
from headwater.report.figures.base import COLUMN, PAGE
from headwater.tables import read_table

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "docs/runs"
STUDY = "laptop-study"
NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight")
FRACTIONS = {
    "a tenth": 1 / 10,
    "a fifth": 1 / 5,
    "two fifths": 2 / 5,
    "half": 1 / 2,
    "three fifths": 3 / 5,
    "two thirds": 2 / 3,
    "four fifths": 4 / 5,
    "nine tenths": 9 / 10,
    "all": 1.0,
}


def page(name: str) -> str:
    """A page with one space between any two words, and no quoted blocks."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return " ".join(re.sub(r"(?ms)^```.*?^```", "", text).replace("*", "").split())


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return read_config_file(str(ROOT / "config/config.yaml"))


def test_the_readme_tells_of_the_experiment_that_is_shipped(config) -> None:
    text = page("README.md")
    domains = read_table(RUNS / "smollm2/induction.domains.tsv")  # of the same text
    shards = len([*(ROOT / config["corpus"]["shards"][0]).glob("*.jsonl.zst")])
    layers = NUMBERS[config["model"]["num_hidden_layers"]]
    for said in (
        f"{NUMBERS[shards].capitalize()} shards of real text of "
        f"{NUMBERS[len(domains)]} domains",
        f"rows of {config['corpus']['seq_len'] + 1} tokens",
        f"A {layers}-layer GPT-NeoX",
        f"and {config['training']['stop']['after']} steps on",
        f"in {NUMBERS[len(config['arms'])]} variants (arms)",
        f"at least {FOUND}, and {NUMBERS[int(TIMES_CONTROL)]} times as much",
        f"without the top {100 * TOP_FRACTION:.0f} % of rows",
        f"the {EXTREMES:,} highest and the {EXTREMES:,} lowest rows",
        f"All {NUMBERS[len(config['study']['seeds'])]} seeds of the config",
    ):
        assert said in text
    assert config["corpus"]["records"]["fraction"] == 0, "No row is generated"


def effects() -> pd.DataFrame:
    """How far every arm of the study moves the area, seed by seed."""
    members = read_table(RUNS / STUDY / "members.tsv").set_index("member")
    areas = members.filter(regex="^area_").rename(columns=lambda c: c[len("area_") :])
    return 1 - areas


def nearest(share: float) -> str:
    return min(FRACTIONS, key=lambda words: abs(FRACTIONS[words] - share))


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ("matched", "{} to less than half of what the top rows do"),
        ("loss", "The rows of the highest loss do {} to {} of what the top rows do"),
        ("repetition", "The rows that repeat most do {} to {} of it"),
    ],
)
def test_the_evidence_says_what_share_a_control_has(control: str, said: str) -> None:
    shares = effects()[f"remove_{control}"] / effects()["remove_top"]
    low, high = shares.min(), shares.max()
    assert said.format(nearest(low), nearest(high)) in page("docs/evidence.md")
    assert control != "matched" or high < 0.5


def test_the_evidence_says_what_the_gradient_norm_does() -> None:
    found, text = effects(), page("docs/evidence.md")
    removed = found["remove_gradient"].mean() / found["remove_top"].mean()
    inserted = found["insert_gradient"].mean() / found["insert_top"].mean()
    assert f"does {nearest(removed)} of what removing the top rows does" in text
    more = int((found["remove_gradient"] > found["remove_top"]).sum())
    seeds = NUMBERS[len(found)]
    assert f"in {NUMBERS[more]} seed of {seeds} more" in text
    assert f"by {nearest(inserted)} of what copies of the top rows do" in text


def test_the_evidence_quotes_the_verdicts() -> None:
    found = read_table(RUNS / STUDY / "verdicts.tsv").set_index(
        ["metric", "arm", "control"]
    )
    text = page("docs/evidence.md")
    late = found.loc[("half_way", "remove_top", "baseline")]
    assert f"reached {late['effect']:.0f} steps later" in text
    assert late["verdict"] == "does not hold"
    points = 100 * found.loc[("area", "insert_top", "insert_gradient"), "effect"]
    assert f"advantage is small, {points:.0f} points" in text
    members = read_table(RUNS / STUDY / "members.tsv")
    assert f"formed in all {NUMBERS[len(members)]}" in text


def test_the_finished_models_check_of_its_scores_is_its_table() -> None:
    found = read_table(RUNS / "smollm2/fidelity.tsv")
    text = page("docs/a-finished-model.md")
    worst = int(1000 * found["spearman"].min()) / 1000
    rows = found["rows"].iloc[0]
    assert f"Stored scores of {rows} rows agree" in text
    assert f"(Spearman {worst:.3f}".replace("0.", ".") in text
    assert (found["overlap_10"] == 1).all(), "of the top 10 % all are the same"


def test_figures_are_as_wide_as_their_page_says() -> None:
    text = page("docs/figures.md")
    assert f"{PAGE.width:g} inches wide, for a whole page" in text
    assert f"{COLUMN.width:g} inches wide, for one column" in text


def test_the_files_that_the_figures_page_names_are_those_that_are_made() -> None:
    from headwater.report.figures import FIGURES

    text = (ROOT / "docs/figures.md").read_text(encoding="utf-8")
    drawn = text.partition("| figure | shows |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", drawn, re.M) == list(FIGURES)


@pytest.mark.parametrize(
    ("name", "arms"),
    [
        ("README.md", ("of_small", "chance", "copies", "repeats")),
        ("docs/catalysts.md", ("of_small", "chance", "shuffled", "repeats", "copies")),
    ],
)
def test_what_fresh_rows_do_across_sizes_is_told_as_its_table_says(name, arms) -> None:
    members = read_table(RUNS / "sizes-study/members.tsv")
    for arm in arms:
        first, second, third = (f"{100 * v:.0f}" for v in members[f"area_{arm}"])
        assert f"{first}, {second} and {third} %" in page(name), arm


def test_the_gate_of_the_metagradient_is_told_as_its_table_says() -> None:
    table = read_table(RUNS / "metagradient/linearity.tsv")
    own = table[table["target"] == "induction"].set_index("weight")
    text = page("docs/scores.md")
    for weight in (0.995, 0.0):
        line = own.loc[weight]
        assert f"{line['found']:+.4f}" in text
        assert f"{line['predicted']:+.4f}" in text


def test_what_is_planted_is_told_as_its_table_says() -> None:
    table = read_table(RUNS / "skeletons/shares.tsv")
    shares = dict(zip(table["scored_at"], table["top_tenth"], strict=True))
    first, risen, later, last = (f"{100 * shares[s]:.0f} %" for s in sorted(shares))
    text = " ".join(page("docs/catalysts.md").split())
    assert f"Of the top tenth {first} were planted then" in text
    assert f"further on, as here, {risen} are" in text
    assert f"{later} and {last} of the top tenth are planted" in text
    with h5py.File(RUNS / "skeletons/window.h5") as file:
        names = list(file["domain"].attrs["names"])
        own = file["domain"][...] == names.index("skeletons")
        top = np.argsort(-file["scores"][...], kind="stable")[: len(own) // 10]
    assert shares[1050] == round(own[top].mean(), 3)


def test_what_scores_do_on_three_seeds_is_told_as_their_table_says() -> None:
    table = read_table(RUNS / "scores/league.tsv")
    text = " ".join(page("docs/scores.md").split())
    arms = pd.concat(
        read_table(path) for path in sorted(RUNS.glob("scores/*/effects.tsv"))
    )
    ten = arms.loc[arms["arm"] == "ten", "area_ratio"]
    assert f"leave {100 * ten.min():.0f} to {100 * ten.max():.0f} % of the area" in text

    def told(score: str, form: str, *, lds: str = "") -> str:
        own = table[table["score"] == score]
        asked = own["asked"] == (lds or "remove 10 %")
        probe = own["response"].isna() | own["response"].isin(["", "probe"])
        [values] = own.loc[asked & probe, "values"]
        *some, last = (form.format(float(one)) for one in str(values).split())
        return f"{', '.join(some)} and {last}" if some else last

    for score in (
        *("mda", "own_time", "own_time_remaining", "adam", "signed_norm"),
        *("metagradient_segments", "remove_matched", "remove_loss"),
    ):
        assert f"{told(score, '{:.0%}').replace('%', '')} %" in text, score
    for bank in ("ten", "half"):
        assert told("mda", "{:+.2f}", lds=bank) in text
    ceilings = read_table(RUNS / "scores/ceilings.tsv").set_index(["member", "arm"])
    for column, arm in (
        ("copy_gain", "ten"),
        ("copy_gain", "half"),
        ("datamodel", "ten"),
    ):
        first, second = (
            ceilings.loc[(seed, arm), column] for seed in ("seed0", "seed2")
        )
        assert f"{first:+.2f} and {second:+.2f} for {arm.replace('ten', 'tenth')}" in (
            text.replace("halves", "half")
        )
