"""Whether compute nodes can see the folder that the workflow runs in."""

import os
from pathlib import Path

from headwater.slurm import lines

IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
SHARED = (
    "nfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "fuse",
    "9p",
    "virtiofs",
    "afs",
    "panfs",
    "pvfs2",
    "wekafs",
    "cifs",
    "smb3",
    "glusterfs",
    "ocfs2",
    "gfs2",
)
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")


def folder_problem(folder: Path, mounts: str | None = None) -> str | None:
    """Why no other machine can see a folder; None if it may be seen.

    A disk of this machine may be exported to the nodes, so only memory and the folders
    for temporary files count, and only where the cluster has other machines.

    Args:
        folder: absolute.
        mounts: the text of /proc/mounts, for tests.
    """
    text = (
        Path("/proc/mounts").read_text(encoding="utf-8") if mounts is None else mounts
    )
    mount, kind = _mount_of(folder, text)
    if kind.startswith(SHARED):
        return None
    temporary = any(folder.is_relative_to(place) for place in TEMPORARY)
    if not (temporary or kind in IN_MEMORY) or not _other_machines():
        return None
    return (
        f"{folder}: lies on {mount} ({kind}) of this machine, which compute nodes do "
        "not see; move the folder to a file system that all nodes mount"
    )


def _mount_of(folder: Path, mounts: str) -> tuple[str, str]:
    """Mount point and type of the file system that holds a folder."""
    best = ("/", "")
    for line in mounts.splitlines():
        place, kind = line.split()[1:3]
        place = place.encode().decode("unicode_escape")  # \040 is a space
        if folder.is_relative_to(place) and len(place) >= len(best[0]):
            best = (place, kind)
    return best


def _other_machines() -> bool:
    names = {name.split(".")[0] for name in lines("sinfo", "-h", "-N", "-o", "%n")}
    return bool(names - {os.uname().nodename.split(".")[0], "localhost"})
