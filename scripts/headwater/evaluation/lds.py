"""Linear datamodeling score of a head: do scores predict what runs without rows do?

A score of rows predicts of a run minus the sum of the scores of the rows that it lacks
(Ilyas et al. 2022; Park et al. 2023): without rows that help, there is less of the
head. The linear datamodeling score is Spearman's correlation of predictions and
measured changes over the runs of an arm. Changes are turned so that more is more of the
head.

`lds_mix` is the same beyond the domains of the rows: the number of rows of each domain
that a run lacks is regressed out of prediction and change first, by least squares on
their values. It is empty where a score predicts no difference beyond them, or where
there are too few runs. `slope` is that of measured on predicted changes by least
squares, in the change's unit a unit of the score: 1 for scores in that unit.

Intervals are percentiles of 1,000 samples of the runs, drawn with replacement from a
fixed seed: all scores are judged on the same samples. Residuals are not fitted anew in
each.

The same subsets trained in another order of the rows (`order` in the config) tell how
far any prediction can come: `measured again` predicts a run's change by that of the run
with the same rows in the baseline's order. Chance is in both, so that a perfect score
could reach about the square root of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, Shaped
from scipy.stats import rankdata

from headwater.evaluation.bank import RESPONSES, Bank

ALL, AGAIN = "all arms", "measured again"  # no names of arms or scores: with a space
COLUMNS = [
    *("score", "response", "arm", "n"),
    *("lds", "low", "high", "lds_mix", "mix_low", "mix_high"),
    *("slope", "slope_low", "slope_high"),
]
SAMPLES, CONFIDENCE = 1000, 0.95
FEWEST = 3  # runs that have a correlation
_DIGITS = 9  # below the largest value; all else is rounding


def predictions(
    scores: Float[np.ndarray, " rows"], bank: Bank
) -> Float[np.ndarray, " runs"]:
    """What scores of all rows of the window predict of every run."""
    return np.asarray(-(bank.lacks @ scores.astype(np.float64)), np.float64)


def sums_table(
    scores: Mapping[str, Float[np.ndarray, " rows"]], bank: Bank
) -> pd.DataFrame:
    """A line for every run, a column for every score: `evaluation/bank/sums.tsv`."""
    own = {name: predictions(values, bank) for name, values in scores.items()}
    return pd.DataFrame({"run": bank.runs["run"], **own})


def correlation(
    predicted: Float[np.ndarray, " runs"],
    changed: Float[np.ndarray, " runs"],
    arms: Shaped[np.ndarray, " runs"],
) -> float:
    """The linear datamodeling score of predictions of runs, as `lds` in the table.

    Args:
        arms: name of every run's arm, whose mean is taken from it.
    """
    judge = _Sampler(np.empty((len(arms), 0)), arms, samples=0)
    one, other = (judge.sample(values).ranks[0] for values in (predicted, changed))
    return float((one * other).sum())


def lds_table(
    scores: Mapping[str, Float[np.ndarray, " rows"]], bank: Bank
) -> pd.DataFrame:
    """A line for every score, change and arm: `evaluation/lds.tsv`.

    Several arms in the baseline's order are judged together as well, as `all arms`,
    minus each one's mean: or any score would be right in that more rows do more. A
    change that was not measured in all runs of an arm has no line there.

    Args:
        scores: of every row of the window, by name; positive = the row helps.
    """
    predicted = {name: predictions(values, bank) for name, values in scores.items()}
    lines = []
    for arm, members in groups(bank.runs):
        again = _measured_again(bank, members)
        judge = _Sampler(bank.mix()[members], bank.runs["arm"].to_numpy()[members])
        own = {
            name: judge.sample(values[members]) for name, values in predicted.items()
        }
        for response, sign in RESPONSES.items():
            changed = sign * bank.runs[response].to_numpy(np.float64)
            if not np.isfinite(changed[members]).all():
                continue
            measured = judge.sample(changed[members])
            if (again >= 0).all():
                own[AGAIN] = judge.sample(changed[again])
            for name, values in own.items():
                line = name, response, arm, len(members), *_judged(values, measured)
                lines.append(line)
    return pd.DataFrame(lines, columns=COLUMNS)


def groups(runs: pd.DataFrame) -> Iterator[tuple[str, Int64[np.ndarray, " _runs"]]]:
    """The runs that are judged together, by name: an arm's, and those of several."""
    arms = {str(arm): group.index for arm, group in runs.groupby("arm", sort=False)}
    for arm, members in arms.items():
        if len(members) >= FEWEST:
            yield arm, members.to_numpy(np.int64)
    same_order = runs.index[runs["order"] == 0].to_numpy(np.int64)
    if runs.loc[same_order, "arm"].nunique() > 1 and len(same_order) >= FEWEST:
        yield ALL, same_order


def _measured_again(
    bank: Bank, members: Int64[np.ndarray, " _runs"]
) -> Int64[np.ndarray, " _runs"]:
    """For runs in another order, those of the same rows in the baseline's; or -1."""

    def rows(run: int) -> bytes:
        return np.sort(bank.lacks[[run]].indices).tobytes()

    orders = bank.runs["order"].to_numpy()
    known = {rows(run): run for run in np.flatnonzero(orders == 0).tolist()}
    found = [
        known.get(rows(run), -1) if orders[run] else -1 for run in members.tolist()
    ]
    return np.array(found, np.int64)


@dataclass(frozen=True)
class _Sampled:
    """Values of the runs: of all of them first, then of every sample of them.

    Attributes:
        ranks: standardised, so that a sum of products is a correlation.
        rest: the same, of what the domains of the rows leave.
        values: minus their mean.
    """

    ranks: Float[np.ndarray, "samples runs"]
    rest: Float[np.ndarray, "samples runs"]
    values: Float[np.ndarray, "samples runs"]


class _Sampler:
    """Samples of an arm's runs, the same for all that is judged.

    Args:
        mix: how many rows of each domain every run lacks.
        arms: name of every run's arm.
        samples: besides the runs themselves.
    """

    def __init__(
        self,
        mix: Float[np.ndarray, "runs domains"],
        arms: Shaped[np.ndarray, " runs"],
        samples: int = SAMPLES,
    ) -> None:
        runs = len(mix)
        drawn = np.random.default_rng(0).integers(runs, size=(samples, runs))
        self._drawn = np.concatenate([np.arange(runs)[None], drawn])
        self._arms = (arms[:, None] == np.unique(arms)).astype(np.float64)
        self._design = np.column_stack([self._arms, mix])

    def sample(self, values: Float[np.ndarray, " runs"]) -> _Sampled:
        """Values of the runs in every sample, and what is made of them."""
        largest = np.abs(values).max()
        scale = largest if largest > 0 else 1.0
        own, rest = (
            self._beyond(values / scale, design)[self._drawn]
            for design in (self._arms, self._design)
        )
        ranks, beyond = (_standardised(rankdata(one, axis=-1)) for one in (own, rest))
        centred = np.round(own - own.mean(axis=-1, keepdims=True), _DIGITS)
        return _Sampled(ranks, beyond, centred * scale)

    def _beyond(
        self,
        values: Float[np.ndarray, " runs"],
        design: Float[np.ndarray, "runs known"],
    ) -> Float[np.ndarray, " runs"]:
        """What least squares leave of values of at most 1; nothing of too few runs.

        With fewer than two runs for each number that is fitted, what is left would
        agree by itself.
        """
        fit, _, rank, _ = np.linalg.lstsq(design, values)
        if len(values) < 2 * rank:
            return np.zeros_like(values)
        return np.asarray(np.round(values - design @ fit, _DIGITS))


def _standardised(
    ranks: Float[np.ndarray, "samples runs"],
) -> Float[np.ndarray, "samples runs"]:
    """Minus their mean, of length 1; NaN where they are constant."""
    centred = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    return np.asarray(centred / np.where(length > 0, length, np.nan))


def _judged(predicted: _Sampled, measured: _Sampled) -> Iterator[float]:
    """`lds` and all that follows it in `COLUMNS`."""
    yield from _with_interval((predicted.ranks * measured.ranks).sum(axis=-1))
    yield from _with_interval((predicted.rest * measured.rest).sum(axis=-1))
    spread = (predicted.values**2).sum(axis=-1)
    products = (predicted.values * measured.values).sum(axis=-1)
    yield from _with_interval(products / np.where(spread > 0, spread, np.nan))


def _with_interval(found: Float[np.ndarray, " samples"]) -> tuple[float, ...]:
    """The value of all runs, and percentiles of the samples that have one.

    They are NaN if most samples have none.
    """
    samples = found[1:][np.isfinite(found[1:])]
    if 2 * len(samples) < SAMPLES or not np.isfinite(found[0]):
        return float(found[0]), float("nan"), float("nan")
    ends = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    return float(found[0]), *map(float, np.quantile(samples, ends))
