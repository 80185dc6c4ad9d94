"""Every result of a finished run, damaged in every way, and the jobs that read it.

    python damage.py CLONE OTHER CONFIG

works in CLONE, where an experiment has run, and prints JSON: what was damaged, how, who
read it, and what came of it; and what each rule says on a full disk. OTHER is the same
experiment with another seed. A job runs in a child of this process, which has imported
all that is slow.
"""

import json
import os
import random
import resource
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import matplotlib.pyplot  # noqa: F401 (these for the children)
import numpy as np
import scipy.stats  # noqa: F401
import torch
import transformers  # noqa: F401
import zarr

import shell
from headwater import seals
from headwater.digests import content_of

INJECTED = ("input", "output", "params", "wildcards", "threads", "resources", "log")


def one_file(path: Path, damage: str) -> Path:
    """A file of a result; of a folder, not the same for every damage."""
    inside = [p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")]
    draw = random.Random(f"{damage} {path}")
    return draw.choice(sorted(inside)) if inside else path


def removed(path: Path) -> None:
    """All of it, as a person or a purge does."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def purged(path: Path) -> None:
    """A file of it."""
    one_file(path, "purged").unlink()


def emptied(path: Path) -> None:
    one_file(path, "emptied").write_bytes(b"")


def cut(path: Path) -> None:
    victim = one_file(path, "cut")
    os.truncate(victim, victim.stat().st_size // 2)


def flipped(path: Path) -> None:
    victim = one_file(path, "flipped")
    data, draw = bytearray(victim.read_bytes()), random.Random(str(victim))
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    victim.write_bytes(bytes(data))


def edited(path: Path) -> None:
    """As a person would, with the tool for it: one value becomes another."""
    if path.suffix == ".zarr":
        arrays = [p.parent for p in sorted(path.rglob("zarr.json")) if is_array(p)]
        array = zarr.open_array(arrays[0], mode="r+")
        array[(0,) * array.ndim] = array[(0,) * array.ndim] + 1
    elif path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            first = next(file[name] for name in names if is_full(file[name]))
            values = first[...]
            values.reshape(-1)[0] = 1 - values.reshape(-1)[0]
            first[...] = values
    else:
        victim = one_file(path, "edited")
        data = victim.read_bytes()
        victim.write_bytes(data.replace(b"1", b"2", 1) if b"1" in data else data + b" ")


def is_array(metadata: Path) -> bool:
    found = json.loads(metadata.read_text(encoding="utf-8"))
    return found["node_type"] == "array" and bool(np.prod(found["shape"]))


def is_full(item: Any) -> bool:
    return isinstance(item, h5py.Dataset) and item.size > 0 and item.dtype.kind in "iuf"


DAMAGES: tuple[Callable[[Path], None], ...] = (
    *(removed, purged, emptied, cut, flipped, edited),
)


def jobs_of(config: str) -> tuple[list[Any], dict]:
    """All jobs of an experiment, and its config."""
    jobs, settings = shell.jobs_for("all", Path(config))
    return [job for job in jobs if job.rule.script], settings


def attempt(job: Any, config: dict, most_bytes: int | None = None) -> tuple[int, str]:
    """Run a job in a child; exit code, and what it said.

    Args:
        most_bytes: of a file; more is refused, as on a full disk.
    """
    heard, said = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout = sys.stderr = os.fdopen(said, "w", encoding="utf-8")
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        os._exit(_run(job, config))
    os.close(said)
    with os.fdopen(heard, encoding="utf-8", errors="replace") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


def _run(job: Any, config: dict) -> int:
    try:
        given = {name: getattr(job, name) for name in INJECTED}
        snakemake = SimpleNamespace(rule=job.rule.name, config=config, **given)
        script = Path(job.rule.basedir) / job.rule.script
        shell.definitions(script, snakemake)["main"](snakemake)
        return 0
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def contents(paths: list[Path]) -> list[str | None]:
    return [content_of(path)[0] if path.exists() else None for path in paths]


@contextmanager
def restored(*paths: Path) -> Iterator[None]:
    """Put results, and their records, back at the end."""
    aside = Path("aside")
    kept = [p for path in paths for p in (path, seals.seal_of(path)) if p.exists()]
    for number, path in enumerate(kept):
        copy(path, aside / str(number))
    try:
        yield
    finally:
        for number, path in enumerate(kept):
            if path.exists():
                removed(path)
            copy(aside / str(number), path)
        shutil.rmtree(aside)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def pairs(jobs: list[Any], results: Path) -> Iterator[tuple[Path, Any]]:
    """Each kind of result with each rule that reads it."""
    makers = {output: job.rule.name for job in jobs for output in job.output}
    seen = set()
    for job in sorted(jobs, key=lambda job: str(job.output)):
        for path in sorted(set(job.input)):
            kind = makers.get(path), Path(path).suffix, job.rule.name
            if Path(path).is_relative_to(results) and kind not in seen:
                seen.add(kind)
                yield Path(path), job


def cases(other: Path) -> dict[str, Callable[[Path], None]]:
    """The damages by name; the last two put a result of another seed in the place."""

    def replaced(path: Path) -> None:
        removed(path)
        copy(other / path, path)

    def replaced_with_record(path: Path) -> None:
        replaced(path)
        copy(other / seals.seal_of(path), seals.seal_of(path))

    made = {damage.__name__: damage for damage in DAMAGES}
    return made | {f.__name__: f for f in (replaced, replaced_with_record)}


def outcome(path: Path, damage: Callable, job: Any, config: dict) -> dict | None:
    """What a job makes of a damaged input; None if the damage left it as it was."""
    outputs = [Path(output) for output in job.output]
    with restored(path, *outputs):
        before = contents([path, *outputs])
        damage(path)
        if contents([path]) == before[:1] and damage is not flipped:
            return None
        code, said = attempt(job, config)
        same = contents(outputs) == before[1:]
    return {"code": code, "said": said, "outputs_are_the_same": same}


def full_disk(job: Any, config: dict) -> dict:
    """What a job says on a full disk and leaves there, and what it makes later."""
    outputs = [Path(output) for output in job.output]
    before = contents(outputs)
    inside = [p.stat() for o in outputs for p in (o, *o.rglob("*")) if p.is_file()]
    largest = max(found.st_size for found in inside if found.st_nlink == 1)
    with restored(*outputs):
        for path in outputs:
            removed(path)
        code, said = attempt(job, config, most_bytes=largest - 1)
        left = contents(outputs)
        again, _ = attempt(job, config)
        same = again == 0 and contents(outputs) == before
    whole = [x for x, y in zip(left, before, strict=True) if x not in (None, y)]
    return {"code": code, "said": said, "half": len(whole), "the_same_later": same}


def main() -> None:
    clone, other, config_file = sys.argv[1:]
    torch.set_num_threads(1)
    os.chdir(clone)
    jobs, config = jobs_of(config_file)
    results = Path("results", config["experiment"])
    for job in jobs:  # the page names the commit of the code, from here on of this one
        if job.rule.name == "write_report":
            assert attempt(job, config)[0] == 0
    damaged = [
        {"result": str(path), "damage": name, "rule": job.rule.name, **result}
        for path, job in pairs(jobs, results)
        for name, damage in cases(Path(other)).items()
        if (result := outcome(path, damage, job, config))
    ]
    by_rule = {job.rule.name: job for job in sorted(jobs, key=lambda j: str(j.output))}
    full = [{"rule": name, **full_disk(job, config)} for name, job in by_rule.items()]
    print(json.dumps({"damaged": damaged, "full": full}))


if __name__ == "__main__":
    main()
