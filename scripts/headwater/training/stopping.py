"""The rule that ends a baseline run: some steps after a head has been found.

At which step a head forms differs from seed to seed (by half, on natural text), so no
number of steps fits every seed. The rule is fixed in the config before anything is
trained: the run ends `training.stop.after` steps after the first checkpoint at which
`heads.targets.find_head` finds a head, at the next checkpoint of the schedule; and at
`training.steps` at the latest. Checkpoints that are not reached say so (`ended.json`),
since their names stand in the DAG before the run begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headwater.logs import logger
from headwater.models.sites import Model
from headwater.training.ranks import Ranks

Finder = Callable[[Model], str | None]  # a head, if there is one


@dataclass
class StopRule:
    """When a run ends.

    Attributes:
        find: finds a head in a model that is trained on, and leaves it as it was.
        after: steps to go on for.
        schedule: steps with a checkpoint, ascending.
        found: the first of them at which a head was found; None before.
    """

    find: Finder
    after: int
    schedule: Sequence[int]
    found: int | None = None

    def look(self, step: int, model: Model, ranks: Ranks) -> None:
        """Look for a head at a step, if it is one of the schedule's."""
        if self.found is not None or step not in self.schedule:
            return
        head = self.find(model)
        if ranks.any(head is not None):
            self.found = step
            text = "a head found at step %d (%s): the run ends at step %d"
            logger.info(text, step, head, self.end)

    @property
    def end(self) -> int:
        """The last step, as far as it is known."""
        if self.found is None:
            return self.schedule[-1]
        later = (s for s in self.schedule if s >= self.found + self.after)
        return next(later, self.schedule[-1])
