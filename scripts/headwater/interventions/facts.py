"""What is known of every row of the window: the *facts* that kinds of arms pick by.

domain          of most of its tokens
score           of the arm's target; positive = the row helps the head
loss            nats a token, at the last checkpoint at which the row was scored
repetition      share of its 4-grams of tokens that stand earlier in the row, too
length          tokens of the longest stretch of one document in it
time            its place in the window, from 0 to 1
gradient_norm   of its loss, with respect to the target's head
gradient_dot    its score without a Hessian: a plain product of gradients
lexical         BM25 of its n-grams of tokens for the rows of the target's probe
file            the user's own scores

Besides, every score of `scores`, under its name; of tokens, see `tokens`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int, Integer
from numpy.random import Generator

from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.interventions.scores import METAGRADIENT, SCORES, SMOOTHED
from headwater.interventions.tokens import MEASURED

DECILES = 10

# Where a fact is measured, under results/<experiment>/. The others need no file.
_FILES = {
    "score": "influence/{target}.zarr",
    "loss": "influence/{target}.zarr",
    "repetition": "interventions/facts/text.h5",
    "length": "interventions/facts/text.h5",
    "gradient_norm": "interventions/facts/{target}.gradients.h5",
    "gradient_dot": "interventions/facts/{target}.gradients.h5",
    "lexical": "interventions/facts/{target}.lexical.h5",
    METAGRADIENT: "metagradient/{target}.h5",
    **{score: f"metagradient/{{target}}.{name}.h5" for name, score in SMOOTHED.items()},
}
ERRORS = "standard_errors"  # the group beside facts that have some
_OF_TOKENS = "interventions/facts/{target}.tokens.h5"
_OTHER_SCORES = "influence/{target}.variants.h5"

Picked = Int[np.ndarray, " picked"]  # row numbers of the window, ascending


def fact_files(facts: Iterable[str], target: str | None) -> list[str]:
    """The files, under results/<experiment>/, that hold these facts; each once."""
    files = {**dict.fromkeys(SCORES, _OTHER_SCORES), **_FILES}
    files |= dict.fromkeys(MEASURED, _OF_TOKENS)
    paths = (files[fact].format(target=target) for fact in facts if fact in files)
    return list(dict.fromkeys(paths))


@dataclass(frozen=True)
class RowFacts:
    """What is known of every row of the window, by its number in the window.

    Attributes:
        domains: its domain.
        numbers: by the fact's name.
        names: of the domains, for messages.
        alike: facts of which rows of one cell are alike: the domain is the same,
            numbers are of the same decile.
        disjoint: whether rows that are to explain the top rows are other rows.
    """

    domains: Integer[np.ndarray, " rows"]
    numbers: Mapping[str, Float[np.ndarray, " rows"]] = field(default_factory=dict)
    names: Sequence[str] = ()
    alike: Sequence[str] = ()
    disjoint: bool = False

    def only(self, rows: range) -> "RowFacts":
        """The facts of a part of the window alone."""
        part = slice(rows.start, rows.stop)
        numbers = {name: values[part] for name, values in self.numbers.items()}
        return replace(self, domains=self.domains[part], numbers=numbers)

    def ranking(self, fact: str = "score") -> Int[np.ndarray, " rows"]:
        """All rows from the highest number to the lowest, ties in their order."""
        assert fact in self.numbers, "the config check requires a target for this"
        return np.argsort(-self.numbers[fact], kind="stable")

    def quantiles(self, fact: str) -> Float64[np.ndarray, " rows"]:
        """Each row's place by a number, from 0 to 1; equal numbers share theirs."""
        from scipy.stats import rankdata  # slow, and the config check reads this file

        ranks = rankdata(self.numbers[fact])
        return np.asarray((ranks - 0.5) / len(ranks), np.float64)

    def cells(self) -> Int[np.ndarray, " rows"]:
        """The cell of every row; those of a domain follow each other."""
        cells = np.zeros(len(self.domains), np.int64)
        if "domain" in self.alike:
            cells += self.domains
        for fact in self.alike:
            if fact != "domain":
                decile = np.floor(DECILES * self.quantiles(fact)).astype(np.int64)
                cells = DECILES * cells + decile
        return cells

    def others(self, count: int) -> Int[np.ndarray, " others"]:
        """The rows that may explain the `count` top ones, ascending."""
        rows = np.arange(len(self.domains))
        return np.setdiff1d(rows, self.ranking()[:count]) if self.disjoint else rows

    def too_few(self, domain: int, count: int, left: int) -> HeadwaterError:
        """What to raise where a domain has too few rows beside the top ones."""
        name = repr(self.names[domain]) if self.names else f"number {domain}"
        return HeadwaterError(
            f"arm: {count} rows of domain {name} wanted beside the top rows, but only "
            f"{left} of its {(self.domains == domain).sum()} are none; lower the arm's "
            "fraction, or set its disjoint to false"
        )


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


def write_facts(
    path: Path,
    facts: Mapping[str, np.ndarray],
    identity: dict[str, Any],
    errors: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Publish facts of all rows, as datasets of an HDF5 file.

    Args:
        errors: the standard errors of some, in a group beside them.
    """
    from headwater.hdf5 import publish_hdf5

    beside = {f"{ERRORS}/{name}": values for name, values in (errors or {}).items()}
    with publish_hdf5(path, identity) as file:
        for name, values in {**facts, **beside}.items():
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)


def read_facts(path: Path, config: Config) -> dict[str, np.ndarray]:
    """Read all facts of a file, checked against the config."""
    from headwater.hdf5 import open_file

    with open_file(path, config) as file:
        return {name: file[name][...] for name in file if name != ERRORS}
