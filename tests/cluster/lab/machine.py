"""What the lab needs of the machine: Debian, root, packages, an unused /etc/slurm."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ETC = Path("/etc/slurm")
LINKS = ("slurm.conf", "gres.conf")
MARKER = ".headwater-lab"
PREFIX = "headwater-lab-"
POLICY = Path("/usr/sbin/policy-rc.d")
PACKAGES = (
    "slurmctld",
    "slurmd",
    "slurmdbd",
    "slurm-client",
    "slurm-wlm-basic-plugins",
    "slurm-wlm-mysql-plugin",
    "munge",
    "mariadb-server-core",
    "mariadb-client-core",
)
ADVICE = "or set HEADWATER_CLUSTER=existing to use a cluster that is there (README.md)"


class LabError(Exception):
    """One line: why there is no lab, and what to do."""


def linked_lab() -> Path | None:
    """Folder of the lab that /etc/slurm/slurm.conf leads to, if it is one of ours."""
    link = ETC / "slurm.conf"
    if not link.is_symlink():
        return None
    folder = Path(os.readlink(link)).parent.parent
    return folder if folder.name.startswith(PREFIX) else None


def check_machine() -> None:
    """Refuse a machine that cannot hold the lab, before anything is changed.

    Raises:
        LabError: not root, not Debian, or a SLURM is configured here.
    """
    if os.geteuid() != 0:
        raise LabError(f"the cluster tests need root, to start SLURM; {ADVICE}")
    if not shutil.which("apt-get"):
        raise LabError(f"the cluster tests need Debian, to install SLURM; {ADVICE}")
    for name in LINKS:
        if (ETC / name).exists() and linked_lab() is None:
            raise LabError(f"{ETC / name} is there: the lab leaves it alone; {ADVICE}")


def link(folder: Path) -> None:
    """Point /etc/slurm at a lab's configuration."""
    ETC.mkdir(exist_ok=True)
    for name in LINKS:
        (ETC / name).unlink(missing_ok=True)
        (ETC / name).symlink_to(folder / "etc" / name)


def unlink(folder: Path) -> None:
    """Take the links to this lab away again."""
    for name in LINKS:
        place = ETC / name
        if place.is_symlink() and Path(os.readlink(place)).parent.parent == folder:
            place.unlink()


def install() -> None:
    """Install the packages that are missing.

    Raises:
        LabError: apt-get failed; its last line is told.
    """
    missing = [name for name in PACKAGES if not _installed(name)]
    if not missing:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-y", "-qq", "--no-install-recommends"]
    with _no_services():
        for words in (["update", "-qq"], ["install", *options, *missing]):
            done = subprocess.run(
                ["apt-get", *words], env=environment, capture_output=True, text=True
            )
            if done.returncode:
                reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
                raise LabError(
                    f"apt-get {words[0]} failed ({' '.join(reason)}): install "
                    f"{' '.join(missing)} yourself, {ADVICE}"
                )


def _installed(package: str) -> bool:
    query = ["dpkg-query", "-W", "-f=${db:Status-Status}", package]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    return found.stdout == "installed"


@contextmanager
def _no_services() -> Iterator[None]:
    # Debian starts the daemons of a package it installs, unless this file says no.
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
