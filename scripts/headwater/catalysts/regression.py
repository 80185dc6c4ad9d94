"""Which features predict the score together, on documents that were held out.

What is predicted is the score's place among all scores, as a normal quantile: scores
have heavy tails, and a few rows would decide. Columns are the features, standardised,
the loss, the time in training, and the domains (each but the most frequent). It is a
ridge regression; its penalty is chosen by cross-validation inside the training
documents.

`r2` is of five folds, each a fifth of the documents, predicted by the others: 0 is no
better than the mean, and it may be below. Of a group of columns, `alone` is that of the
group without the rest, `lost` what all columns lose without it: a group that only
stands for another loses nothing. Coefficients are those of all rows, in standard
deviations; their intervals are from the sandwich estimator by document (Liang and Zeger
1986), so that alike rows of one document count once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from headwater.catalysts.documents import CONFIDENCE
from headwater.catalysts.features import FEATURES
from headwater.catalysts.rows import DOMAIN, ScoredRows

FOLDS, FEWEST = 5, 20  # documents; fewer say nothing
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # times the number of rows
LOSS, TIME = "loss", "time"


@dataclass(frozen=True)
class Columns:
    """What predicts.

    Attributes:
        values: standardised.
        names: of the columns.
        groups: of the columns: `domain`, those of `features`, `loss`, `time`.
    """

    values: Float64[np.ndarray, "rows columns"]
    names: list[str]
    groups: list[str]

    def of(self, kept: Bool[np.ndarray, " columns"]) -> Float64[np.ndarray, "rows _"]:
        """Some of the columns."""
        return self.values[:, kept]


def columns(rows: ScoredRows) -> Columns:
    """The columns of all rows; none that is the same in all of them."""
    found = [(DOMAIN, name, values) for name, values in rows.in_domain.items()]
    found.remove(max(found, key=lambda entry: entry[2].sum()))
    found += [
        (FEATURES[name].group, name, values)
        for name, values in rows.looks.features.items()
    ]
    found += [(LOSS, LOSS, rows.losses), (TIME, TIME, np.arange(len(rows)) * 1.0)]
    found = [entry for entry in found if entry[2].std() > 0]
    values = np.stack([_standard(entry[2]) for entry in found], axis=1)
    return Columns(values, [e[1] for e in found], [e[0] for e in found])


def _standard(values: Float64[np.ndarray, " rows"]) -> Float64[np.ndarray, " rows"]:
    return np.asarray((values - values.mean()) / values.std(), np.float64)


def regression(rows: ScoredRows) -> dict[str, Any]:
    """The regression of a target's scores: see above.

    Returns:
        `rows`, `documents`, `r2` of all columns (None where there are too few
        documents), `groups` with `alone` and `lost`, and `coefficients` with `low` and
        `high`, the largest first.
    """
    about = {"rows": len(rows), "documents": rows.documents.count}
    if rows.documents.count < FEWEST:
        return {**about, "r2": None, "groups": [], "coefficients": []}
    ranks = stats.rankdata(rows.scores)
    wanted = _standard(stats.norm.ppf((ranks - 0.5) / len(ranks)))
    given, folds = columns(rows), _folds(rows)
    every = np.ones(len(given.names), bool)
    r2 = _held_out(given.of(every), wanted, folds)
    groups = []
    for group in dict.fromkeys(given.groups):
        own = np.array([other == group for other in given.groups])
        alone = _held_out(given.of(own), wanted, folds)
        rest = _held_out(given.of(~own), wanted, folds)
        groups.append({"group": group, "alone": alone, "lost": r2 - rest})
    return {
        **about,
        "r2": r2,
        "groups": groups,
        "coefficients": _coefficients(given, wanted, rows, folds),
    }


def _folds(rows: ScoredRows) -> Int64[np.ndarray, " rows"]:
    stream = np.random.default_rng([rows.seed, 2])
    order = stream.permutation(rows.documents.count)
    return np.asarray((order % FOLDS)[rows.documents.of_row], np.int64)


def _held_out(
    given: Float64[np.ndarray, "rows columns"],
    wanted: Float64[np.ndarray, " rows"],
    folds: Int64[np.ndarray, " rows"],
) -> float:
    """R2 of every fold predicted by the others."""
    if not given.shape[1]:
        return 0.0
    left = np.zeros(len(wanted))
    for fold in np.unique(folds):
        out = folds == fold
        model = _fitted(given[~out], wanted[~out], folds[~out])
        left[out] = wanted[out] - model.predict(given[out])
    return float(1 - (left**2).sum() / ((wanted - wanted.mean()) ** 2).sum())


@dataclass(frozen=True)
class _Model:
    weights: Float64[np.ndarray, " columns"]
    mean: float
    centre: Float64[np.ndarray, " columns"]
    penalty: float

    def predict(
        self, given: Float64[np.ndarray, "rows columns"]
    ) -> Float64[np.ndarray, " rows"]:
        return np.asarray(self.mean + (given - self.centre) @ self.weights)


def _fitted(
    given: np.ndarray, wanted: np.ndarray, folds: Int64[np.ndarray, " rows"]
) -> _Model:
    """A ridge regression with the penalty that predicts the folds best."""
    errors = np.zeros(len(PENALTIES))
    for fold in np.unique(folds):
        out = folds == fold
        models = _ridges(given[~out], wanted[~out], PENALTIES)
        for number, model in enumerate(models):
            errors[number] += ((wanted[out] - model.predict(given[out])) ** 2).sum()
    (model,) = _ridges(given, wanted, [PENALTIES[int(errors.argmin())]])
    return model


def _ridges(
    given: np.ndarray, wanted: np.ndarray, penalties: Sequence[float]
) -> list[_Model]:
    centre, mean = given.mean(axis=0), float(wanted.mean())
    inside = given - centre
    values, vectors = np.linalg.eigh(inside.T @ inside)
    turned = vectors.T @ (inside.T @ (wanted - mean))
    return [
        _Model(vectors @ (turned / (values + p * len(given))), mean, centre, p)
        for p in penalties
    ]


def _coefficients(
    given: Columns,
    wanted: Float64[np.ndarray, " rows"],
    rows: ScoredRows,
    folds: Int64[np.ndarray, " rows"],
) -> list[dict[str, Any]]:
    model = _fitted(given.values, wanted, folds)
    count, documents = len(wanted), rows.documents
    inside = given.values - model.centre
    left = wanted - model.predict(given.values)
    penalty = model.penalty * count * np.eye(inside.shape[1])
    bread = np.linalg.inv(inside.T @ inside + penalty)
    sums = documents.sums(inside * left[:, None])
    few = documents.count / max(1, documents.count - 1)
    spread = np.sqrt(np.diag(bread @ (sums.T @ sums) @ bread) * few)
    t = stats.t.ppf(0.5 + CONFIDENCE / 2, max(1, documents.count - 1))
    found = [
        {
            "group": group,
            "name": name,
            "coefficient": float(weight),
            "low": float(weight - t * width),
            "high": float(weight + t * width),
        }
        for group, name, weight, width in zip(
            given.groups, given.names, model.weights, spread, strict=True
        )
    ]
    return sorted(found, key=lambda line: -abs(line["coefficient"]))
