"""All scores together: combined by some members' banks, judged by another's.

A member's bank gives, for every run, what each score predicts of it (`sums.tsv`) and
what was measured. Both are taken minus their mean over the arm, and divided by their
root mean square over the member's runs, so that members are alike in scale. For each
member a ridge is fitted on the runs of all others, of which each predicts the change of
a response from the predictions of all scores; its penalty is the one with which single
runs are predicted best from the fitting members' other runs. What the combination
predicts of the member's own runs is judged as every score is, by its LDS.

So no weight depends on anything that was measured in the member it is judged on.
Intervals over members are a little too short: their fits share members.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from headwater.evaluation.bank import RESPONSES
from headwater.evaluation.lds import correlation, groups

FITTED = "fitted"
FEWEST = 2  # members: to fit on, and to judge on
_NO_SCORE = ("run", "random")  # columns of the sums that are not combined
_PENALTIES = np.geomspace(1e-3, 1e3, 13)  # a run; the sums' mean squares are 1
_DIGITS = 9  # below the largest value; all else is rounding


@dataclass(frozen=True)
class Sums:
    """The tables of a bank that a combination needs.

    Attributes:
        runs: `evaluation/bank/runs.tsv`.
        sums: `evaluation/bank/sums.tsv`, with the same runs in their order.
    """

    runs: pd.DataFrame
    sums: pd.DataFrame


def combined(banks: Mapping[str, Sums]) -> list[str]:
    """The scores that are combined: those that every member has, of every run."""
    columns = [
        [name for name in bank.sums if bank.sums[name].notna().all()]
        for bank in banks.values()
    ]
    shared = set.intersection(*map(set, columns))
    return [name for name in columns[0] if name in shared and name not in _NO_SCORE]


def why_not(banks: Mapping[str, Sums]) -> str:
    """Why no combination of scores can be judged, in a line; "" if one can."""
    if len(banks) < FEWEST:
        return (
            f"{FITTED}: scores are combined by the banks of some members and judged by "
            f"another's; of two at least that have bank/sums.tsv there are {len(banks)}"
        )
    if not combined(banks):
        return f"{FITTED}: no score stands in the banks of all members"
    return ""


def fitted_lds(
    banks: Mapping[str, Sums], member: str
) -> Iterator[tuple[str, str, float]]:
    """How well scores that were combined by the other members' runs predict a member's.

    Yields:
        Arm, response and LDS, as in `evaluation/lds.tsv`; none of what some run of some
        member did not measure.
    """
    runs = banks[member].runs
    for response in RESPONSES:
        if all(np.isfinite(bank.runs[response]).all() for bank in banks.values()):
            predicted, changed = (
                fitted(banks, member, response),
                _changed(runs, response),
            )
            for arm, lines in groups(runs):
                arms = runs["arm"].to_numpy()[lines]
                found = correlation(predicted[lines], changed[lines], arms)
                yield arm, response, found


def fitted(
    banks: Mapping[str, Sums], member: str, response: str
) -> Float[np.ndarray, " runs"]:
    """What the combination predicts of a member's runs, fitted on all others'.

    Runs in another order than the baseline's have the rows of others, so none is
    fitted on: the penalty is chosen by runs that nothing is known of.
    """
    names = combined(banks)
    known, measured = [], []
    for bank in (bank for name, bank in banks.items() if name != member):
        own = bank.runs["order"].to_numpy() == 0
        changed = _changed(bank.runs, response)[own, None]
        known.append(_predictors(bank, names)[own])
        measured.append(_alike(changed, bank.runs[own])[:, 0])
    weights = ridge(np.concatenate(known), np.concatenate(measured))
    return np.asarray(_predictors(banks[member], names) @ weights)


def ridge(
    known: Float[np.ndarray, "runs scores"], measured: Float[np.ndarray, " runs"]
) -> Float[np.ndarray, " scores"]:
    """The weights of a ridge whose penalty predicts left-out runs best, one by one."""
    left, sizes, right = np.linalg.svd(known, full_matrices=False)
    along, found = left.T @ measured, []
    for penalty in _PENALTIES * len(measured):
        kept = sizes**2 / (sizes**2 + penalty)
        missed = measured - left @ (kept * along)
        # Of a run that is left out, from the fit to all: no other fit is needed.
        alone = missed / (1 - left**2 @ kept)
        found.append((float(np.mean(alone**2)), penalty))
    _, best = min(found)
    return np.asarray(right.T @ (sizes / (sizes**2 + best) * along))


def _predictors(bank: Sums, names: list[str]) -> Float[np.ndarray, "runs scores"]:
    return _alike(bank.sums[names].to_numpy(np.float64), bank.runs)


def _changed(runs: pd.DataFrame, response: str) -> Float[np.ndarray, " runs"]:
    return RESPONSES[response] * runs[response].to_numpy(np.float64)


def _alike(
    values: Float[np.ndarray, "runs columns"], runs: pd.DataFrame
) -> Float[np.ndarray, "runs columns"]:
    """Minus the arm's mean, of mean square 1 over all runs; 0 where nothing is left."""
    largest = np.abs(values).max(axis=0)
    values = values / np.where(largest > 0, largest, 1)
    means = pd.DataFrame(values).groupby(runs["arm"].to_numpy()).transform("mean")
    centred = np.round(values - means.to_numpy(), _DIGITS)
    spread = np.sqrt((centred**2).mean(axis=0))
    return np.asarray(centred / np.where(spread > 0, spread, 1))
