"""One unit of a run's model: what its results know of it."""

from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError
from headwater.heads.targets import Target
from headwater.library.results import Results
from headwater.models.sections import units_meant
from headwater.units import Unit

if TYPE_CHECKING:
    import pandas as pd


class TracedUnit:
    """A unit of the model, whether a target traces it or not.

    Attributes:
        label: such as `L1H3`.
        word: what people call a unit of its sort, such as `head`.
        size: its parameters, as the config's `gradients.mode` counts them.
        heads: labels of the heads that it has parts of.
    """

    def __init__(self, run: Results, unit: Unit) -> None:
        self._run, self._unit = run, unit
        self.label, self.word, self.size = str(unit), unit.word, unit.size
        self.heads = [str(head) for head in unit.heads]

    @property
    def targets(self) -> dict[str, Target]:
        """The targets that trace it, by name; none for most units."""
        targets = self._run.targets.items()
        return {name: target for name, target in targets if target.unit == self.label}

    @property
    def stored(self) -> bool:
        """Whether the run keeps every row's gradient of it, for `scripts/ask.py`."""
        named = self._run.config["gradients"]["units"]
        if named == "targets":
            return bool(self.targets)
        return self.label in units_meant(named, self._run.config)

    @property
    def blocks(self) -> "pd.DataFrame":
        """Its matrices of parameters.

        Returns:
            A line a block: `block`, `layer`, `site` (attention or mlp), `writes`
            (whether it adds to the residual stream, else it reads from it), `inputs`
            and `outputs`, its sizes, and how many `parameters` that is.
        """
        import pandas as pd

        lines = []
        for block in self._unit.blocks:
            inputs, outputs = block.shape
            about = (str(block), block.layer, block.site, block.writes)
            lines.append((*about, inputs, outputs, inputs * outputs))
        names = ["block", "layer", "site", "writes", "inputs", "outputs", "parameters"]
        return pd.DataFrame(lines, columns=names)

    def curve(self) -> "pd.DataFrame":
        """Its heads' scores over the baseline's training.

        Returns:
            `step`, `head` and a column a score, as `Run.heads` has them.

        Raises:
            HeadwaterError: it has parts of no head.
        """
        if not self.heads:
            raise HeadwaterError(
                f"{self.label}: a {self.word} has no head's curve; what was measured "
                "of it in the window is in curves(), if a target traces it"
            )
        table = self._run.heads()
        return table[table["head"].isin(self.heads)].reset_index(drop=True)

    def scores(self) -> "pd.DataFrame":
        """The score of every row for it, by the target that traces it.

        Raises:
            HeadwaterError: none does, or several.
        """
        if not self.targets:
            how = "ask scripts/ask.py" if self.stored else "see gradients.units"
            raise HeadwaterError(
                f"{self.label}: no target traces it, so no row is scored for it; {how},"
                " or name it under targets in the config"
            )
        return self._run.scores(self._run.target_name(self.label))

    def __repr__(self) -> str:
        traced = ", ".join(self.targets) or "none"
        kept = "kept" if self.stored else "not kept"
        return (
            f"<{self.word} {self.label} of {self._run.name}: {self.size:,} parameters, "
            f"targets {traced}, gradients {kept}>"
        )
