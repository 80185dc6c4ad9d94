"""SLURM's commands as scripts that say what a real SLURM 22.05 was heard saying."""

import stat
import sys
from pathlib import Path

import pytest

SINFO = """\
cpu|1-00:00:00|64000|8|gpu:fake:2|fakegpu
cpu|1-00:00:00|64000|8|(null)|(null)
gpu|2:00:00|64000+|8+|gpu:fake:2(S:0,1)|fakegpu
nogpu|infinite|2000|8|(null)|(null)"""
STARTS = (
    "sbatch: Job 1 to start at 2026-11-24T22:55:26 using 1 processors on nodes n1 in "
    "partition cpu"
)
DOWN = "Unable to contact slurm controller (connect failure)"


class FakeSlurm:
    """Scripts in a folder of PATH; every call is written down.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "calls.log"

    def says(self, command: str, *answers: tuple[str, int] | str) -> None:
        """What a command prints, call after call (the last for ever), and its code."""
        pairs = [(a, 0) if isinstance(a, str) else a for a in answers]
        path = self.folder / command
        path.write_text(
            f"#!{sys.executable}\n"
            "import sys, pathlib\n"
            f"log = pathlib.Path({str(self.log)!r})\n"
            f"pairs = {pairs!r}\n"
            "old = log.read_text().splitlines() if log.exists() else []\n"
            f"n = sum(line.split()[0] == {command!r} for line in old)\n"
            "with log.open('a') as handle:\n"
            f"    handle.write(' '.join([{command!r}, *sys.argv[1:]]) + '\\n')\n"
            "text, code = pairs[min(n, len(pairs) - 1)]\n"
            "print(text)\n"
            "sys.exit(code)\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def calls(self, command: str) -> list[str]:
        """The arguments of every call of a command, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [
            line.removeprefix(command + " ")
            for line in lines
            if line.split()[0] == command
        ]


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A cluster that takes every job, and has none."""
    folder = tmp_path / "slurm-bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    fake = FakeSlurm(folder)
    fake.says("sinfo", SINFO)
    fake.says("sbatch", STARTS)
    fake.says("squeue", "")
    fake.says("scancel", "")
    fake.says("sacctmgr", "lab\nphysics")
    return fake
