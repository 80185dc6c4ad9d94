"""Kinds of rows (`arms.<name>.rows`), one row of `KINDS` each.

A row says what the kind picks, what it needs, and how it is told and drawn. The check
of the config, the arms, the figures and the summary ask it, so a new kind is a new row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Integer
from numpy.random import Generator

from headwater.errors import HeadwaterError


@dataclass(frozen=True)
class RowFacts:
    """What is known of every row of the window, by its number in the window.

    Attributes:
        domains: its domain.
        scores: its score for the arm's target; None without a target.
        names: of the domains, for messages.
        disjoint: whether rows that are to explain others are drawn without them.
    """

    domains: Integer[np.ndarray, " rows"]
    scores: Float[np.ndarray, " rows"] | None = None
    names: Sequence[str] = ()
    disjoint: bool = True

    def ranking(self) -> Int[np.ndarray, " rows"]:
        """All rows from the highest score to the lowest, ties in their order."""
        assert self.scores is not None, "the config check requires a target for this"
        return np.argsort(-self.scores, kind="stable")

    def draw(
        self, domain: int, count: int, top: "Picked", generator: Generator
    ) -> "Picked":
        """A draw of rows of one domain, without the top ones if they shall be disjoint.

        Raises:
            HeadwaterError: too few such rows.
        """
        rows = np.flatnonzero(self.domains == domain)
        if not self.disjoint:
            return random_rows(rows, count, generator)
        left = np.setdiff1d(rows, top)
        if len(left) < count:
            name = repr(self.names[domain]) if self.names else f"number {domain}"
            raise HeadwaterError(
                f"arm: {count} rows of domain {name} wanted beside the top rows, but "
                f"only {len(left)} of its {len(rows)} are none; lower the arm's "
                "fraction, or set its disjoint to false"
            )
        return random_rows(left, count, generator)


# What arms of a kind are there for: to be compared with chance; to be chance, of any
# rows; to be chance within the domains of a judged kind.
Role = Literal["judged", "chance", "domains"]
Picked = Int[np.ndarray, " picked"]  # row numbers of the window, ascending
Pick = Callable[[RowFacts, int, Generator], Picked]


@dataclass(frozen=True)
class Kind:
    """One kind of rows.

    In texts, `{share}` is the arm's share of the rows, and `{domain}` the rows of the
    domain that has most of the target's top rows, such as "'code' rows".

    Attributes:
        pick: facts, count and generator to so many row numbers, ascending.
        role: what its arms are there for.
        label: its rows in a legend.
        noun: its rows in a sentence, in the plural.
        colours: of its curves, by action; no two kinds share one.
        width: of its curves, points.
        dashes: of its curves, as matplotlib's line style.
        scored: whether it picks by the scores of a target.
        drawn: whether its draws differ.
        note: what a figure must add to the label.
        explains: of role `domains`, the judged kind whose domains it has.
        verdict: of role `domains`, what its part of that kind's `{effect}` means.
        sign: of role `judged`, 1 if its rows should help the head, -1 if hinder it.
    """

    pick: Pick
    role: Role
    label: str
    noun: str
    colours: Mapping[str, str]
    width: float
    dashes: str | tuple[float, tuple[float, ...]]
    scored: bool = True
    drawn: bool = True
    note: str = ""
    explains: str = ""
    verdict: str = ""
    sign: int = 1


def random_rows(
    candidates: Int[np.ndarray, " candidates"], count: int, generator: Generator
) -> Picked:
    """A draw of `count` of the candidates without replacement, ascending.

    Raises:
        HeadwaterError: fewer candidates than rows wanted.
    """
    if len(candidates) < count:
        raise HeadwaterError(
            f"arm: {count} rows wanted, but only {len(candidates)} to draw from; "
            "lower the arm's fraction"
        )
    return np.sort(generator.choice(candidates, size=count, replace=False))


def _top(facts: RowFacts, count: int, _: Generator) -> Picked:
    return np.sort(facts.ranking()[:count])


def _bottom(facts: RowFacts, count: int, _: Generator) -> Picked:
    return np.sort(facts.ranking()[::-1][:count])


def _random(facts: RowFacts, count: int, generator: Generator) -> Picked:
    return random_rows(np.arange(len(facts.domains)), count, generator)


def _domain(facts: RowFacts, count: int, generator: Generator) -> Picked:
    top = facts.ranking()[:count]
    most = np.bincount(facts.domains[top]).argmax()
    return facts.draw(int(most), count, top, generator)


def _matched(facts: RowFacts, count: int, generator: Generator) -> Picked:
    top = facts.ranking()[:count]
    mix = np.bincount(facts.domains[top])
    draws = [
        facts.draw(domain, int(many), top, generator) for domain, many in enumerate(mix)
    ]
    return np.sort(np.concatenate(draws))


KINDS = {
    "top": Kind(
        _top,
        "judged",
        drawn=False,
        label="the top {share} of rows",
        noun="top rows",
        colours={"remove": "#b2182b", "insert": "#2166ac", "repeat": "#01665e"},
        width=2.8,
        dashes="solid",
    ),
    "bottom": Kind(
        _bottom,
        "judged",
        drawn=False,
        label="the bottom {share} of rows",
        noun="bottom rows",
        colours={"remove": "#fdae61", "insert": "#053061", "repeat": "#003c30"},
        width=2.4,
        dashes="solid",
        sign=-1,
    ),
    "random": Kind(
        _random,
        "chance",
        scored=False,
        label="a random {share} of rows",
        noun="random rows",
        colours={"remove": "#ef8a62", "insert": "#67a9cf", "repeat": "#5ab4ac"},
        width=1.7,
        dashes=(0, (4, 1.6)),
    ),
    # As many rows of each domain as the top rows have: the ranking within the domains
    # is told from their mix.
    "matched": Kind(
        _matched,
        "domains",
        label="a random {share}, same domains",
        noun="rows in the top rows' mix of domains",
        colours={"remove": "#35978f", "insert": "#80cdc1", "repeat": "#8c510a"},
        width=2.2,
        dashes=(0, (1.4, 1.2)),
        note="Same domains: random rows in the top rows' mix of domains",
        explains="top",
        verdict="the mix of domains {effect}, the ranking within domains for the rest",
    ),
    # Rows of one domain, that of most top rows: the ranking is told from "any row of
    # this domain". That is another mix than the top rows', so what such rows leave
    # unexplained is not the ranking's only.
    "domain": Kind(
        _domain,
        "domains",
        label="{share}: random {domain}",
        noun="{domain}",
        colours={"remove": "#762a83", "insert": "#9970ab", "repeat": "#b07aa1"},
        width=2.0,
        dashes=(0, (7, 1.6, 1.4, 1.6)),
        explains="top",
        verdict="the domain {effect}",
    ),
}
