"""The lab: its daemons brought up in order and down again, nodes and controller too."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab import machine
from lab.layout import ACCOUNT, NODES, USERS, Layout
from lab.processes import (
    end,
    kill_all,
    process_of,
    step_daemons,
    title,
    wait_until,
    with_children,
)

DATABASE = """
create database if not exists slurm_acct_db;
create user if not exists slurm@'127.0.0.1' identified by 'slurm';
grant all on slurm_acct_db.* to slurm@'127.0.0.1';
"""
SCRIPT = "/.snakemake/scripts/"
UNFINISHED = "PENDING,RUNNING,COMPLETING,SUSPENDED,CONFIGURING"


class Lab:
    """A SLURM that is up, in a folder of its own."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._environment = {**os.environ, "SLURM_CONF": str(layout.slurm_conf)}

    @classmethod
    def up(cls) -> "Lab":
        """Install what is missing, and start a new lab in a new temporary folder.

        Raises:
            LabError: the machine cannot hold one, or a daemon did not start.
        """
        machine.check_machine()
        left = cls.found()
        if left:
            left.down()
        machine.install()
        root = Path(tempfile.mkdtemp(prefix=machine.PREFIX))
        root.chmod(0o755)  # jobs of any user read it
        (root / machine.MARKER).touch()
        lab = cls(Layout.new(root))
        try:
            lab._start()
        except (TimeoutError, OSError, subprocess.SubprocessError) as error:
            shutil.copytree(root / "log", f"{root}.log", dirs_exist_ok=True)
            lab.down()
            raise machine.LabError(f"no lab: {error}; logs: {root}.log") from error
        return lab

    @classmethod
    def found(cls) -> "Lab | None":
        """The lab that /etc/slurm leads to, also if a killed run left it behind."""
        root = machine.linked_lab()
        if root is None or not (root / machine.MARKER).exists():
            return None
        return cls(Layout.read(root))

    def down(self) -> str:
        """Cancel all jobs, end all daemons, remove the folder and the links."""
        with suppress(TimeoutError, subprocess.SubprocessError):
            self.cancel_all()
        for node in NODES:
            self._stop(node, "slurmd")
        for service in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
            self._stop(service, service)
        kill_all(with_children(list(step_daemons(self.layout.slurm_conf))))
        machine.unlink(self.layout.root)
        shutil.rmtree(self.layout.root, ignore_errors=True)
        return f"{self.layout.root} is gone"

    def heal(self) -> None:
        """Everything up again, and no jobs, whatever a test has broken."""
        if not process_of(self.layout.pid_file("slurmctld"), "slurmctld"):
            self.start_controller()
        self.cancel_all()
        for node in set(NODES) - self._usable():
            self.revive(node)

    def cancel_all(self) -> None:
        """Cancel every job and wait until none is left."""
        if not process_of(self.layout.pid_file("slurmctld"), "slurmctld"):
            return
        jobs = self._jobs()
        if jobs:
            self._run("scancel", *jobs)
            wait_until(lambda: not self._jobs(), 60, "end of cancelled jobs")

    def stop_controller(self) -> None:
        """Nobody answers squeue and sbatch any more; jobs go on."""
        self._stop("slurmctld", "slurmctld")

    def start_controller(self) -> None:
        """Start slurmctld, and wait for its answer."""
        self._run("slurmctld")
        wait_until(lambda: self._answers("scontrol", "ping"), 30, "slurmctld")

    def crash(self, node: str) -> None:
        """Kill a node's daemon and all its jobs' processes, as if its power failed."""
        jobs = self._output("squeue", "-h", "-w", node, "-o", "%A").split()
        pids = [pid for job in jobs for pid in self.processes(job)]
        daemon = process_of(self.layout.pid_file(node), "slurmd")
        kill_all([*([daemon] if daemon else []), *pids])

    def processes(self, job: str) -> list[int]:
        """All processes of a job on this machine, with those of SLURM that mind it."""
        daemons = step_daemons(self.layout.slurm_conf)
        return with_children([pid for pid in daemons if f"[{job}." in title(pid)])

    def freeze(self, job: str, when: Callable[[], bool] = lambda: True) -> None:
        """Stop the script of a job, as if it hung; a kill by SLURM wakes and ends it.

        Args:
            job: its number; it runs.
            when: awaited first.

        Raises:
            TimeoutError: the job runs no script, or `when()` was never true.
        """

        def script() -> list[int]:
            return [pid for pid in self.processes(job) if SCRIPT in title(pid)]

        wait_until(script, 60, f"a script of job {job}")
        found = script()
        wait_until(when, 120, f"the moment to freeze job {job}")
        for pid in found:
            os.kill(pid, signal.SIGSTOP)

    def revive(self, node: str) -> None:
        """Start a node's daemon again, if it is not running, and wait for the node."""
        if not process_of(self.layout.pid_file(node), "slurmd"):
            self._run("slurmd", "-N", node)
        with suppress(subprocess.SubprocessError):  # it is not down
            self._run("scontrol", "update", f"nodename={node}", "state=resume")
        wait_until(lambda: node in self._usable(), 60, f"node {node}")

    def _start(self) -> None:
        machine.link(self.layout.root)
        self.layout.write()
        self._start_munge()
        self._start_database()
        self._start_accounting()
        self.start_controller()
        for node in NODES:
            self._run("slurmd", "-N", node)
        wait_until(lambda: set(NODES) <= self._usable(), 60, "all nodes")

    def _start_munge(self) -> None:
        root, socket = self.layout.root, self.layout.munge_socket
        key = root / "etc/munge.key"
        self._run("mungekey", "-c", "-k", str(key))
        self._run(
            "munged",
            f"--key-file={key}",
            f"--socket={socket}",
            f"--pid-file={self.layout.pid_file('munged')}",
            f"--log-file={root}/log/munged.log",
            f"--seed-file={root}/run/munged.seed",
            "--origin=127.0.0.1",
        )
        wait_until(lambda: self._answers("munge", "-n", "-S", str(socket)), 20, "munge")

    def _start_database(self) -> None:
        root = self.layout.root
        self._run(
            "mariadb-install-db",
            "--no-defaults",
            "--user=root",
            f"--datadir={root}/db",
            "--innodb-log-file-size=8M",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        subprocess.Popen(
            ["mariadbd", f"--defaults-file={root}/etc/my.cnf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        client = ["mariadb", "--no-defaults", "-u", "root"]
        client += ["-S", f"{root}/run/mariadb.sock", "-e"]
        wait_until(lambda: self._answers(*client, "select 1"), 60, "mariadbd")
        self._run(*client, DATABASE)

    def _start_accounting(self) -> None:
        self._run("slurmdbd")
        manage = ["sacctmgr", "-i"]
        wait_until(lambda: self._answers(*manage, "list", "cluster"), 60, "slurmdbd")
        self._run(*manage, "add", "cluster", "lab")
        self._run(*manage, "add", "account", ACCOUNT, "Cluster=lab")
        for user in USERS:
            default = f"DefaultAccount={ACCOUNT}"
            # root is there already; added again, it gets its association.
            self._run(*manage, "add", "user", user, default, "Cluster=lab")

    def _stop(self, service: str, program: str) -> None:
        pid = process_of(self.layout.pid_file(service), program)
        if pid:
            end(pid)

    def _usable(self) -> set[str]:
        states = "idle,mix,alloc"
        return set(self._output("sinfo", "-h", "-N", "-t", states, "-o", "%N").split())

    def _jobs(self) -> list[str]:
        listed = self._output("squeue", "-h", "-t", UNFINISHED, "-o", "%A")
        return sorted(set(listed.split()))

    def _answers(self, *command: str) -> bool:
        with suppress(subprocess.SubprocessError):
            self._run(*command)
            return True
        return False

    def _output(self, *command: str) -> str:
        return self._run(*command).stdout

    def _run(self, *command: str) -> subprocess.CompletedProcess:
        # Daemons keep what they inherit: their output goes to a file, not to a pipe.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            done = subprocess.run(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
            output.seek(0)
            done.stdout = output.read()
        if done.returncode:
            raise subprocess.SubprocessError(f"{command[0]}: {done.stdout.strip()}")
        return done
