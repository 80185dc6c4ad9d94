"""A training job of either kind, and how it is."""

import os
from dataclasses import dataclass
from types import ModuleType

from headwater.errors import HeadwaterError
from headwater.training_jobs import local, slurm

KINDS: dict[str, ModuleType] = {"slurm": slurm, "local": local}


@dataclass(frozen=True)
class TrainingJob:
    """A job that was started.

    Attributes:
        kind: `slurm` or `local`.
        id: the job's, or the process's.
        host: where it was started.
    """

    kind: str
    id: str
    host: str

    def __str__(self) -> str:
        return f"{'SLURM job' if self.kind == 'slurm' else 'process'} {self.id}"

    def state(self) -> str | None:
        """In SLURM's words; None when it has ended, as far as can be told.

        Raises:
            HeadwaterError: a process on another machine.
        """
        if self.kind == "local" and self.host != os.uname().nodename:
            raise HeadwaterError(
                f"process {self.id} on {self.host} may still be training; run there, "
                "or end it and remove the folder *.job beside the output"
            )
        found: str | None = KINDS[self.kind].state(self.id)
        return found
