"""A user's clone with the profile edited for the site, and Snakemake at its head."""

import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clone import SNAKEMAKE, make_clone
from slurm import TrainingJob, jobs, wait_for
from slurm_site import Site

PROFILE = "profiles/slurm/config.yaml"
# Quick turn-round on a small cluster, instead of mercy on a large one.
QUICK = {
    "jobs": 4,
    "latency-wait": 10,
    "max-status-checks-per-second": 1,
    "slurm-init-seconds-before-status-checks": 3,
}
# SLURM's own variables of the calling job (if any) are no business of the runs.
INHERITED = ("SLURM_JOB", "SLURM_STEP", "SLURM_TASK", "SBATCH_", "SNAKEMAKE_")


RUN_ID = re.compile(r"SLURM run ID: (\S+)")
STARTED: list["Head"] = []  # killed after the test, if they are still there


class Head:
    """`snakemake --profile profiles/slurm`, started in the background.

    Args:
        command: what to run.
        folder: where.
        log: file for its output.
        environment: of the process.
        user: Unix user to run as; None for one's own.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        log: Path,
        environment: dict[str, str],
        user: str | None = None,
    ) -> None:
        self.log = log
        account = pwd.getpwnam(user) if user else None
        with log.open("w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=_default_interrupt,
            )
        STARTED.append(self)

    def output(self) -> str:
        """What it wrote so far."""
        return self.log.read_text(errors="replace")

    def name(self, seconds: float = 120) -> str:
        """The name of all jobs of this run, once Snakemake has told it.

        Raises:
            TimeoutError: with the end of its output.
        """
        end = time.monotonic() + seconds
        while not (found := RUN_ID.search(self.output())):
            if self.ended() or time.monotonic() > end:
                raise TimeoutError(f"no name of a run:\n{self.tail()}")
            time.sleep(0.2)
        return found[1]

    def jobs(self, rule: str, wildcard: str = "") -> list[TrainingJob]:
        """Its jobs of a rule, oldest first.

        Args:
            rule: the rule.
            wildcard: value of its last wildcard, if it matters.
        """
        mine = jobs(rule, self.name())
        return [job for job in mine if job.comment.endswith(wildcard)]

    def running(self, rule: str, wildcard: str = "") -> TrainingJob:
        """Wait for one of these jobs to run, and return it.

        Raises:
            TimeoutError: none ever did.
            AssertionError: the head ended before.
        """

        def found() -> list[TrainingJob]:
            assert not self.ended(), self.tail()
            return [job for job in self.jobs(rule, wildcard) if job.state == "RUNNING"]

        return wait_for(found, f"a running job of {rule} {wildcard}".rstrip())[0]

    def ended(self) -> bool:
        """Whether it has."""
        return self.process.poll() is not None

    def wait(self, seconds: float = 600) -> int:
        """Its exit code. Killed if it is not there in time.

        Raises:
            TimeoutError: with the end of its output.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"no end after {seconds} s:\n{self.tail()}") from None

    def succeed(self, seconds: float = 600) -> None:
        """Wait for its end and assert that all went well."""
        code = self.wait(seconds)
        assert code == 0, self.tail()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the head process alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it and its local children, as if its machine failed; jobs go on."""
        if not self.ended():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def tail(self) -> str:
        """The end of its output."""
        return self.output()[-6000:]


@dataclass
class Workspace:
    """A clone in which a user runs experiments on the cluster.

    Attributes:
        folder: the clone.
        site: the names in its profile.
        user: Unix user who runs; None for one's own.
    """

    folder: Path
    site: Site
    user: str | None = None
    runs: int = 0

    @classmethod
    def new(cls, folder: Path, site: Site, **profile: Any) -> "Workspace":
        """Clone the project and edit the profile, as its comments say.

        Args:
            folder: empty.
            site: account and partitions.
            profile: further keys of the profile, with `_` for `-`.
        """
        made = cls(make_clone(folder), site)
        made.edit_profile(**{key.replace("_", "-"): v for key, v in profile.items()})
        return made

    def copy(self, folder: Path) -> "Workspace":
        """The same clone once more, results and Snakemake's records included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workspace(folder, self.site)

    def give_to(self, user: str) -> None:
        """Make the whole clone another user's, who also runs it from now on."""
        self.user = user
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, user, pwd.getpwnam(user).pw_gid)

    def edit_profile(self, **keys: Any) -> None:
        """Change keys of profiles/slurm; a mapping's own keys are merged."""
        path = self.folder / PROFILE
        # By way of JSON, so that rules that share an alias can be changed one by one.
        profile = json.loads(json.dumps(yaml.safe_load(path.read_text())))
        profile["default-resources"].update(
            slurm_account=self.site.account, slurm_partition=self.site.cpu
        )
        for resources in profile["set-resources"].values():
            if resources.get("slurm_partition") == "gpu":
                resources["slurm_partition"] = self.site.gpu
        for key, value in {**QUICK, **keys}.items():
            _merge(profile, key, value)
        path.write_text(yaml.safe_dump(profile, sort_keys=False))

    def config(self, name: str, base: str = "smoke", **changes: Any) -> str:
        """Write an edited copy of a config; its path.

        Args:
            name: of the file, and of the experiment unless `changes` says another.
            base: the config to begin with.
            changes: sections, whose keys are merged, or values.
        """
        text = (self.folder / f"config/{base}.yaml").read_text()
        config = yaml.safe_load(text)
        config["experiment"] = name
        for key, value in changes.items():
            _merge(config, key, value)
        path = self.folder / "config" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return str(path.relative_to(self.folder))

    def start(
        self, *arguments: str, config: str = "config/smoke.yaml", **environment: str
    ) -> Head:
        """Start a run on the cluster; `environment` adds variables."""
        command = [*SNAKEMAKE, "--profile", "profiles/slurm", *arguments]
        return self._head([*command, "--configfile", config], environment)

    def start_locally(self, *arguments: str, config: str = "config/smoke.yaml") -> Head:
        """Start a run on this machine's cores instead."""
        command = [*SNAKEMAKE, "--cores", "2", *arguments, "--configfile", config]
        return self._head(command, {})

    def _head(self, command: list[str], more: dict[str, str]) -> Head:
        self.runs += 1
        log = self.folder / f"head{self.runs}.log"
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(INHERITED)
        }
        home = {"HOME": str(self.folder), "USER": self.user} if self.user else {}
        environment = {**inherited, **home, **more}
        return Head(command, self.folder, log, environment, self.user)


def python_for_all() -> bool:
    """Whether every user of this machine can run this Python and its packages."""
    places = {Path(sys.executable), Path(sys.executable).resolve(), Path(sys.prefix)}
    folders = {folder for place in places for folder in (place, *place.parents)}
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def _merge(values: dict[str, Any], key: str, value: Any) -> None:
    if isinstance(value, dict) and isinstance(values.get(key), dict):
        for inner, below in value.items():
            _merge(values[key], inner, below)
    else:
        values[key] = value


def _default_interrupt() -> None:
    # A background child of a shell without job control inherits an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
