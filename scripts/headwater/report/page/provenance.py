"""Where a page comes from: the code's commit, the versions, the machine, the costs."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from headwater.report.page.values import rounded
from headwater.tables import read_table

CHECKOUT = Path(__file__).resolve().parents[4]
PACKAGES = (
    *("headwater", "snakemake", "torch", "transformers", "tokenizers"),
    *("numpy", "zarr", "h5py", "pandas", "scipy"),
)
UNKNOWN = "unknown"
OWN = "report"  # the stage that is still at work when the page is written


def commit(checkout: Path = CHECKOUT) -> dict[str, Any]:
    """The commit of the code, whether tracked files differ from it, and which.

    `unknown` where the code is no checkout, or git cannot be asked.
    """
    nothing: dict[str, Any] = {"commit": UNKNOWN, "changed": None, "files": []}
    if not (checkout / ".git").exists():
        return nothing
    head = _git(checkout, "rev-parse", "HEAD")
    names = _git(checkout, "diff", "--name-only", "-z", "HEAD")
    if head is None or names is None:
        return nothing
    files = sorted(name for name in names.split("\0") if name)
    return {"commit": head.strip(), "changed": bool(files), "files": files}


def _git(checkout: Path, *words: str) -> str | None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *words],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
            env={**clean, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Python and the packages that results depend on; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """The machine that the page is written on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "processors": str(os.cpu_count() or UNKNOWN),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return platform.processor() or UNKNOWN
    names = [
        line.split(":", 1)[1] for line in text.splitlines() if "model name" in line
    ]
    return names[0].strip() if names else UNKNOWN


def costs(results: Path) -> list[dict[str, Any]]:
    """Jobs, hours and memory of every stage, by the records of its last jobs.

    The report's own are not among them: they are still being written.
    """
    found = []
    for folder in sorted((results / "benchmarks").glob("*")):
        if folder.is_dir() and folder.name != OWN:
            paths = sorted(folder.rglob("*.tsv"))
            if paths:
                found.append(_cost(folder.name, [read_table(path) for path in paths]))
    return found


def _cost(stage: str, tables: list[pd.DataFrame]) -> dict[str, Any]:
    lines = pd.concat([table.tail(1) for table in tables])
    numbers = lines[["s", "cpu_time", "max_rss"]].apply(pd.to_numeric, errors="coerce")
    return {
        "stage": stage,
        "jobs": len(lines),
        "seconds": rounded(numbers["s"].sum()),
        "cpu_seconds": rounded(numbers["cpu_time"].sum()),
        "most_mb": rounded(numbers["max_rss"].max()),
    }
