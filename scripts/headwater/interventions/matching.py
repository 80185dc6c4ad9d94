"""Rows by cells of alike rows: matched to the top rows, or a share of every cell.

Matching is exact in cells where it can be. Where a cell has too few rows beside the top
ones, the nearest rows in the numbers that are matched take the missing places; a domain
that is matched is never left.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float64, Int
from numpy.random import Generator

from headwater.interventions.facts import Picked, RowFacts, random_rows

_NEAREST, _MOST_NEAREST = 16, 1024  # rows looked at for a place, at first and at most


def matched_rows(facts: RowFacts, count: int, generator: Generator) -> Picked:
    """A draw of as many rows of each cell as the top rows have, as far as there are.

    Raises:
        HeadwaterError: a domain, or the window, has too few rows beside the top ones.
    """
    top, cells, others = facts.ranking()[:count], facts.cells(), facts.others(count)
    domains = facts.domains if "domain" in facts.alike else np.zeros_like(facts.domains)
    wanted = np.bincount(domains[top])
    left = np.bincount(domains[others], minlength=len(wanted))
    for domain in np.flatnonzero(wanted > left[: len(wanted)]):
        if "domain" in facts.alike:
            raise facts.too_few(int(domain), int(wanted[domain]), int(left[domain]))
        random_rows(others, count, generator)  # says that they are too few
    top, by_cell = (r[np.argsort(cells[r], kind="stable")] for r in (top, others))
    found, starts = np.unique(cells[top], return_index=True)
    bounds = np.searchsorted(cells[by_cell], [found, found + 1]).T
    drawn, missing = [], []
    for own, (first, stop) in zip(np.split(top, starts[1:]), bounds, strict=True):
        have = by_cell[first:stop]
        drawn.append(random_rows(have, min(len(own), len(have)), generator))
        missing.append(own[len(have) :])
    picked, short = np.concatenate(drawn), np.concatenate(missing)
    free = np.setdiff1d(others, picked)
    for domain in np.unique(domains[short]):
        rows, near = (part[domains[part] == domain] for part in (short, free))
        picked = np.append(picked, near[_partners(*_places(facts, rows, near))])
    return np.sort(picked)


def _places(facts: RowFacts, *parts: Int[np.ndarray, " _"]) -> list[np.ndarray]:
    """Where rows lie in the numbers that are matched: [rows, numbers]."""
    numbers = [facts.quantiles(fact) for fact in facts.alike if fact != "domain"]
    return [np.stack(numbers, axis=1)[rows] for rows in parts]


def _partners(
    wanted: Float64[np.ndarray, "wanted numbers"],
    free: Float64[np.ndarray, "free numbers"],
) -> Int[np.ndarray, " wanted"]:
    """For each place the nearest free one that none before it has taken."""
    from scipy.spatial import cKDTree  # slow, and the config check reads this file

    found, left = np.full(len(wanted), -1), np.arange(len(free))
    near = _NEAREST
    while len(waiting := np.flatnonzero(found < 0)):
        counts = np.arange(1, min(near, len(left)) + 1)
        _, nearest = cKDTree(free[left]).query(wanted[waiting], k=counts)
        taken = np.zeros(len(left), bool)
        for place, choices in zip(waiting, nearest, strict=True):
            choices = choices[~taken[choices]]
            if len(choices):
                found[place], taken[choices[0]] = left[choices[0]], True
        left, near = left[~taken], min(2 * near, _MOST_NEAREST)
    return found


def strata_rows(facts: RowFacts, count: int, _: Generator) -> Picked:
    """The rows with the highest scores of each cell, the same share of every one."""
    ranking = facts.ranking()
    places = np.empty(len(ranking), np.int64)
    places[ranking] = np.arange(len(ranking))
    parts = _shares(facts, count)
    return np.sort(np.concatenate([r[np.argsort(places[r])[:n]] for r, n in parts]))


def subset_rows(facts: RowFacts, count: int, generator: Generator) -> Picked:
    """A draw of the same share of every cell."""
    parts = _shares(facts, count)
    return np.sort(np.concatenate([random_rows(r, n, generator) for r, n in parts]))


def _shares(facts: RowFacts, count: int) -> Iterator[tuple[np.ndarray, int]]:
    """The rows of each cell, and how many are its; largest remainders get the rest."""
    cells = facts.cells()
    sizes = np.unique(cells, return_counts=True)[1]
    exact = sizes * count / sizes.sum()
    shares = np.floor(exact).astype(np.int64)
    rest = np.argsort(shares - exact, kind="stable")[: count - shares.sum()]
    shares[rest] += 1
    rows = np.split(np.argsort(cells, kind="stable"), np.cumsum(sizes)[:-1])
    yield from zip(rows, shares.tolist(), strict=True)


def achieved(facts: RowFacts, picked: Picked) -> list[dict[str, Any]]:
    """How far picked rows are like as many top rows: one entry a fact.

    `arm_mean` and `top_mean` are means of a number, and `distance` is their difference
    in standard deviations over the window. Of `domain`, `distance` is the share of rows
    that would have to be of another domain. `missed` counts the rows that are in none
    of the cells that they were matched in: the same for every fact.
    """
    top = facts.ranking()[: len(picked)]
    cells = facts.cells() if facts.alike else facts.domains.astype(np.int64)
    missed = _moved(cells, picked, top) if facts.alike else float("nan")
    share = _moved(facts.domains, picked, top) / len(picked)
    nothing = float("nan")
    lines = [("domain", nothing, nothing, share)]
    for fact, values in facts.numbers.items():
        own, other = (
            float(values[rows].mean(dtype=np.float64)) for rows in (picked, top)
        )
        spread = float(values.std(dtype=np.float64))
        distance = (own - other) / spread if spread > 0 else 0.0
        lines.append((fact, own, other, distance))
    names = "fact", "arm_mean", "top_mean", "distance"
    return [{**dict(zip(names, line, strict=True)), "missed": missed} for line in lines]


def _moved(groups: np.ndarray, one: Picked, other: Int[np.ndarray, " rows"]) -> float:
    """How many rows must change their group for the mixes of two sets to be equal."""
    size = int(groups.max()) + 1
    mixes = [np.bincount(groups[rows], minlength=size) for rows in (one, other)]
    return float(np.abs(mixes[0] - mixes[1]).sum() / 2)
