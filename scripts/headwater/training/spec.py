"""The specification of one training run: a small JSON file, read by every rank.

Beside a run's output stands, while it is unfinished,

    <output>.part   its work folder, see `headwater.publish`
    <output>.job/   how it is executed, if not in the process of its rule:
      spec.json       this specification
      job.json        the job that was submitted: kind, id, host
      writer.json     the job that works in the work folder
      result.json     how it ended: job, error (null if well)
      submitit/       what submitit writes: its scripts, pickles, and the jobs' output

None of them is a declared output, so Snakemake never deletes them.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headwater.publish import write_json

SPEC, JOB, WRITER, RESULT = "spec.json", "job.json", "writer.json", "result.json"
SUFFIX = ".job"


@dataclass(frozen=True)
class Spec:
    """One training run.

    Attributes:
        module: module whose `train(spec, ranks)` does the work.
        name: the run's name within the experiment, such as `remove_top-seed0`.
        target: the path whose `.part` is the work folder.
        log: the log of the rule's script.
        threads: CPU threads of each rank; results depend on them.
        inputs: the rule's inputs by name; each a list of paths.
        identity: of the results.
        made_of: digest of every input, by its path.
        options: what else `train` needs.
    """

    module: str
    name: str
    target: str
    log: str
    threads: int
    inputs: dict[str, list[str]]
    config: dict[str, Any]
    identity: dict[str, Any]
    made_of: dict[str, str]
    options: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where the specification and what concerns the job stand."""
        return Path(self.target + SUFFIX)

    @property
    def begun_with(self) -> dict[str, Any]:
        """What a killed run must have been begun with, to be gone on with."""
        return {**self.identity, "made_of": self.made_of}

    @property
    def training_log(self) -> Path:
        """What rank 0 logs, over all lives of the job; beside the script's own log."""
        return Path(self.log).with_suffix(".training.log")

    def path(self, name: str) -> Path:
        """The one path of an input."""
        (path,) = self.inputs[name]
        return Path(path)

    def write(self) -> Path:
        """Write `spec.json`; returns its path."""
        write_json(self.folder / SPEC, asdict(self))
        return self.folder / SPEC


def read_spec(path: Path) -> Spec:
    """Read `spec.json`."""
    return Spec(**json.loads(path.read_text(encoding="utf-8")))


def read_json(path: Path) -> dict[str, Any] | None:
    """A small JSON file of this folder; None if it is absent or half written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
