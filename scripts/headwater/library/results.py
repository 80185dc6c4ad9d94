"""The results of a run as tables: its rows, scores, curves and arms.

Row numbers are global: places in the training order, from 0. Steps count from 0; the
rows of step s are `batch_size * s` and those after it.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.corpus.window import Window
from headwater.errors import HeadwaterError
from headwater.heads.targets import Target, read_target, read_window
from headwater.interventions.runs import run_name
from headwater.library.places import WINDOW, Places
from headwater.library.stamps import known_config
from headwater.problems import one_line
from headwater.suggestions import unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from headwater.library.rows import RowReader


class Results:
    """What `Run` reads, each when it is asked for."""

    def __init__(self, places: Places) -> None:
        self._places = places

    @property
    def folder(self) -> Path:
        """Where its results are, from the working directory."""
        return self._places.folder

    @property
    def name(self) -> str:
        """The name of its folder, which is the experiment's."""
        return self.folder.absolute().name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config that its results were made with, defaults filled in.

        It is what the results say of themselves, and so without the sections that none
        depends on (`evaluation`, `report`, `study`) and the batch sizes of passes.
        """
        return known_config(self._places)

    @cached_property
    def window(self) -> Window:
        """The training steps [start, end) whose rows are scored and intervened on."""
        return read_window(self._places.there(WINDOW), self.config).window

    @cached_property
    def points(self) -> list[int]:
        """The checkpoints, by step, at which rows were scored."""
        return read_window(self._places.there(WINDOW), self.config).points

    @property
    def rows(self) -> range:
        """Numbers of the window's rows."""
        size = self.config["training"]["batch_size"]
        return range(self.window.start * size, self.window.end * size)

    @property
    def training(self) -> range:
        """Numbers of all rows of the training order."""
        return range(len(self.reader.rows))

    @cached_property
    def targets(self) -> dict[str, Target]:
        """What is traced: probe and unit by the target's name, the window's first."""
        files = self._places.names("heads/targets/*.json")
        found = {
            Path(file).stem: read_target(self._places.there(file), self.config)
            for file in files
        }
        return dict(sorted(found.items(), key=lambda item: item[0] != self.main))

    @property
    def main(self) -> str:
        """The target whose rise is the window."""
        return str(self.config["window"]["target"])

    def target_name(self, target: str | None = None) -> str:
        """The name of a target, given so or as the unit that it traces.

        Args:
            target: by default the window's.

        Raises:
            HeadwaterError: neither; or several targets trace that unit.
        """
        if target is None:
            return self.main
        if target in self.targets:
            return target
        named = [name for name, one in self.targets.items() if one.unit == target]
        if len(named) == 1:
            return named[0]
        if named:
            which = ", ".join(named)
            raise HeadwaterError(f"{target}: several targets trace it: {which}")
        raise HeadwaterError(
            f"{self.folder}: {unknown_name('target', one_line(target), self.targets)}"
        )

    def scores(self, target: str | None = None) -> "pd.DataFrame":
        """The score of every row of the window, in training order.

        Args:
            target: name of a target, or the unit that it traces; by default the
                window's.

        Returns:
            A line a row: `row`, its number; the `step` that trains on it; `domain`;
            `score`, positive where training on the row helps the unit; `loss`, summed
            over its tokens, nats; `rank`, from 1 for the highest score.

        Example:
            >>> run.scores("induction").groupby("domain")["score"].mean()
        """
        return self.reader.scores(self.target_name(target), self.window)

    def domains(self, target: str | None = None) -> "pd.DataFrame":
        """Each domain's share of the window and of the top 10 % (`enrichment`)."""
        return self._table(f"influence/{self.target_name(target)}.domains.tsv")

    def text(self, row: int) -> str:
        """The text of a row, also outside the window; special tokens by their names."""
        return self.reader.text(row)

    def tokens(self, row: int, target: str | None = None) -> "pd.DataFrame":
        """A row, token by token.

        Args:
            row: its number.
            target: whose scores are meant; by default the window's.

        Returns:
            A line a token: `position`, `token` (its id), `text` (a part of a character
            shows as U+FFFD), `document` (from 0, in the row), its `source` and `line`
            there, `domain`, and `score`: the token's part of the row's score. Parts are
            known of a target's highest rows (`report.top_rows`), else missing. They are
            exact, and add up to the row's score but for what the store's few bits lose;
            the last token, which is only predicted, has 0.
        """
        return self.reader.tokens(row, self.target_name(target))

    def documents(self, row: int) -> "pd.DataFrame":
        """What a row was made from, in order.

        Returns:
            A line a document: `document` from 0, `source`, `line` (from 1; the row's
            number in a source of token ids), `start` and `stop` (characters of it),
            `domain`, `token` (position of its first token in the row), and `place`, in
            words.
        """
        return self.reader.documents(row)

    def heads(self) -> "pd.DataFrame":
        """Scores of every head at every checkpoint of the baseline, a line each."""
        return self._table("heads/scores.tsv")

    @property
    def arms(self) -> dict[str, dict[str, Any]]:
        """The arms whose rows are chosen: their settings by name."""
        return dict(self.config["arms"])

    def arm_rows(self, arm: str, draw: int = 0) -> "pd.DataFrame":
        """What an arm trains on, place by place.

        Args:
            arm: its name, or that of a run of it, such as `remove_top-seed0`.
            draw: which of its draws.

        Returns:
            A line for each row of the window, in training order: `position` (the number
            of the row that the baseline trains there), `step`, `row` that the arm
            trains there (-1 of one that was written afresh, of which `source` says
            after what) and its `weight` (the mean of its tokens'), whether the arm
            `picked` that row, and whether the place is `changed`: another row, or a
            weight that is not 1.

        Example:
            >>> changed = run.arm_rows("remove_top").query("changed")
        """
        from headwater.library import retrained  # brings pandas

        name, number = retrained.arm_and_draw(arm, draw, self.arms)
        path = self._places.there(f"interventions/{run_name(name, number)}.h5")
        return retrained.arm_table(path, self.config, self.rows)

    def curves(self, arm: str | None = None) -> "pd.DataFrame":
        """Every metric of every run at every checkpoint, tidy.

        Arms are measured in the window, the baseline before and after it, too.

        Args:
            arm: of this arm alone, or `baseline`.

        Returns:
            `run`, `arm`, `draw`, `step`, `metric`, `kind` and `name` of what is
            measured (a head, a group of rows, a domain, a target), `value`.

        Example:
            >>> curves = run.curves()
            >>> curve = curves.query("metric == 'prefix_matching' and name == 'L2H3'")
            >>> curve.pivot_table(index="step", columns="run", values="value")
        """
        from headwater.library import retrained

        return retrained.curves(self._places, self.arms, arm)

    def effects(self) -> "pd.DataFrame":
        """What every run of every arm did, against the baseline: a line a run."""
        return self._table("evaluation/effects.tsv")

    def specificity(self) -> "pd.DataFrame":
        """What every run did to each head, loss and ablation, against the baseline."""
        return self._table("evaluation/specificity.tsv")

    def verdicts(self) -> "pd.DataFrame":
        """Every claim, with its numbers and verdict; a single run has no verdict."""
        return self._table("report/verdicts.tsv")

    def has(self, result: str) -> bool:
        """Whether there is a result, by its path in the folder, or by a pattern."""
        return bool(self._places.names(result))

    def _table(self, name: str) -> "pd.DataFrame":
        from headwater.tables import read_table

        return read_table(self._places.there(name))

    @property
    def reader(self) -> "RowReader":
        """The stores of its rows, opened."""
        # Opened again from another working directory: stores know paths, no folders.
        from headwater.library.rows import RowReader  # brings zarr

        folder, (known, reader) = self.folder, self._opened
        if folder != known or reader is None:
            reader = RowReader(self._places, self.config)
            self._opened = folder, reader
        return reader

    _opened: "tuple[Path | None, RowReader | None]" = (None, None)
