"""What a run has that the page is made of, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from headwater.corpus.encoding import Encoder
from headwater.corpus.window import WindowRows
from headwater.heads.targets import Choice, Target, open_window, read_choice
from headwater.identity import Config
from headwater.influence.files import (
    TokenTable,
    read_losses,
    read_scores,
    read_token_table,
)
from headwater.influence.shown import Shown, shown_rows
from headwater.interventions.runs import run_tables
from headwater.interventions.subsets import claimed
from headwater.report.page.catalysts import Catalysts, read_catalysts
from headwater.report.tables import Arms, read_tables
from headwater.tables import read_table

# Tables that a run may have.
NAMED = ("examination", "variants", "lds", "match", "linearity")


@dataclass(frozen=True)
class Ranking:
    """The scores of one target.

    Attributes:
        scores: of every row of the window.
        shown: which rows the page holds for it.
        tokens: what is known of their tokens.
        domains: its domain table.
    """

    name: str
    target: Target
    scores: Float32[np.ndarray, " rows"]
    shown: Shown
    tokens: TokenTable
    domains: pd.DataFrame


@dataclass(frozen=True)
class Tests:
    """What the arms showed; of a run with arms that claim something.

    Attributes:
        arms: entries of the config, of those that claim something.
        runs: long table of metrics of every run, the baseline's among them.
        effects: `evaluation/effects.tsv`, without other arms; the others likewise.
    """

    arms: Arms
    runs: Mapping[str, pd.DataFrame]
    effects: pd.DataFrame
    summary: pd.DataFrame
    specificity: pd.DataFrame
    verdicts: pd.DataFrame


@dataclass(frozen=True)
class Inputs:
    """All that the page is made of.

    Attributes:
        losses: of every row of the window, nats, summed over its tokens.
        heads: `heads/scores.tsv`.
        sample: `influence/fidelity.rows.tsv`.
        tests: None in a run without arms.
        packed: packed text by source, which knows the titles of documents.
        tables: by name, those of `NAMED` that the run has.
        results: the experiment's folder.
        catalysts: by target, what its top rows have in common, where that is known.
    """

    config: Config
    choice: Choice
    points: list[int]
    window: WindowRows
    encoder: Encoder
    rankings: list[Ranking]
    losses: Float32[np.ndarray, " rows"]
    heads: pd.DataFrame
    fidelity: pd.DataFrame
    sample: pd.DataFrame
    published: list[Path]
    results: Path
    tests: Tests | None = None
    packed: Mapping[str, Path] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    catalysts: Mapping[str, Catalysts] = field(default_factory=dict)

    @property
    def main(self) -> Target:
        """The window's target."""
        return self.choice.targets[self.config["window"]["target"]]

    @property
    def place(self) -> int:
        """Which of the rankings is the window's target's."""
        names = [ranking.name for ranking in self.rankings]
        return names.index(self.config["window"]["target"])

    @cached_property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """The documents of every row of the window, see `Rows.span_table`."""
        first = self.window.first
        return self.window.rows.span_table(first, first + len(self.window))

    @property
    def length(self) -> int:
        """Tokens of a row whose next one is predicted."""
        return self.window.rows.width - 1


def read_inputs(files: Any, config: Config, results: Path) -> Inputs:
    """Read what the rule names.

    Args:
        files: the rule's inputs, by name.
        results: the experiment's folder.

    Raises:
        HeadwaterError: a file is missing, damaged or of another config.
    """
    choice = read_choice(Path(files.window), map(Path, files.targets), config)
    points, window = open_window(files.window, files.rows, config)
    rankings = []
    for place, name in enumerate(choice.targets):
        scores = read_scores([Path(files.scores[place])], config)
        rankings.append(
            Ranking(
                name,
                choice.targets[name],
                scores,
                shown_rows(scores, name, config),
                read_token_table(Path(files.tokens[place]), config),
                read_table(Path(files.domains[place])),
            )
        )
    named = {name: getattr(files, name, None) for name in NAMED}
    return Inputs(
        config=config,
        choice=choice,
        points=points.points,
        window=window,
        encoder=Encoder.open(Path(files.tokenizer), config),
        rankings=rankings,
        losses=read_losses([Path(files.scores[0])], config),
        heads=read_table(Path(files.heads)),
        fidelity=read_table(Path(files.fidelity)),
        sample=read_table(Path(files.sample)),
        published=[Path(path) for path in files.published],
        results=results,
        tests=_tests(files, config) if files.verdicts else None,
        packed={Path(path).stem: Path(path) for path in files.packed},
        tables={n: _named(p) for n, p in named.items() if p},
        catalysts=read_catalysts(files.catalysts, files.motifs),
    )


def _named(paths: Any) -> pd.DataFrame:
    """A table; those of several targets one after another, named by a column."""
    if isinstance(paths, str):
        return read_table(Path(paths))
    found = {Path(path).name.split(".")[0]: read_table(Path(path)) for path in paths}
    if len(found) == 1 and "target" in next(iter(found.values())):
        return next(iter(found.values()))
    return pd.concat(table.assign(target=name) for name, table in found.items())


def _tests(files: Any, config: Config) -> Tests:
    arms = claimed(config["arms"])
    names = {"baseline", *arms}
    folders = [Path(f) for f in files.runs if Path(f).name in names]

    def about(path: str) -> pd.DataFrame:
        table = read_table(Path(path))
        return table[table["arm"].isin(names)].reset_index(drop=True)

    return Tests(
        arms,
        read_tables(run_tables(folders)),
        about(files.effects),
        about(files.summary),
        about(files.specificity),
        read_table(Path(files.verdicts)),
    )
