"""Outputs are whole or absent: after errors, kills, second writers and full disks."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import headwater
from headwater import locks
from headwater.errors import HeadwaterError
from headwater.publish import (
    discard_work,
    part_of,
    publish_file,
    publish_folder,
    publish_links,
    work_folder,
    write_json,
    write_text,
)
from headwater.seeds import stable_seed

SCRIPTS = Path(headwater.__file__).parents[1]
ONE, OTHER = {"stage": "one"}, {"stage": "other"}


def start_python(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_half_way(block, error: Exception) -> None:
    """Write half of what is to be published, then fail."""
    with block as part:
        (part / "half" if part.is_dir() else part).write_text("half")
        raise error


def write_folder(target: Path, identity: dict, text: str) -> None:
    with publish_folder(target, identity) as part:
        (part / "sub").mkdir(exist_ok=True)
        (part / "sub" / "file").write_text(text)


def test_a_file_is_absent_until_it_is_whole(tmp_path):
    target = tmp_path / "new" / "result.tsv"
    with publish_file(target) as part:
        part.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["result.tsv"]


def test_an_error_leaves_the_older_file_alone(tmp_path):
    target = tmp_path / "result.tsv"
    write_text(target, "older")
    with pytest.raises(ZeroDivisionError):
        fail_half_way(publish_file(target), ZeroDivisionError())
    assert target.read_text() == "older"
    with publish_file(target) as part:
        assert not part.exists(), "begins with what a failed writer left"
        part.write_text("new")
    assert names(tmp_path) == ["result.tsv"]


def test_json_is_published_whole_with_its_keys_in_order(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 2.5], "a": None})
    text = (tmp_path / "a.json").read_text()
    assert text.endswith("}\n")
    assert list(json.loads(text).items()) == [("b", [1, 2.5]), ("a", None)]


def test_a_folder_is_absent_until_it_is_whole(tmp_path):
    target = tmp_path / "new" / "store"
    with publish_folder(target, ONE) as part:
        (part / "file").write_text("whole")
        assert not target.exists()
    assert names(target) == ["file"]
    assert names(target.parent) == ["store"]


def test_a_folder_replaces_the_older_one_whole(tmp_path):
    target = tmp_path / "store"
    target.mkdir()
    (target / "stale").touch()
    write_folder(target, ONE, "new")
    assert names(target) == ["sub"]
    assert names(tmp_path) == ["store"]


@pytest.mark.parametrize(("identity", "kept"), [(ONE, ["half"]), (OTHER, [])])
def test_a_part_is_resumed_only_under_its_own_identity(tmp_path, identity, kept):
    target = tmp_path / "store"
    with pytest.raises(ZeroDivisionError):
        fail_half_way(publish_folder(target, ONE), ZeroDivisionError())
    assert not target.exists()
    assert names(part_of(target)) == ["half"]
    with publish_folder(target, identity) as part:
        assert names(part) == kept
    assert names(target) == kept
    assert names(tmp_path) == ["store"]


@pytest.mark.parametrize("known", [None, "", '{"stage": "o'])
def test_a_part_of_unknown_identity_is_discarded(tmp_path, known):
    target = tmp_path / "store"
    part_of(target).mkdir()
    (part_of(target) / "half").touch()
    if known is not None:
        (tmp_path / "store.part.json").write_text(known)
    with publish_folder(target, ONE) as part:
        assert names(part) == []


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the library may see it."""


def kill_during_rmtree(monkeypatch) -> None:
    def rmtree(path, ignore_errors=False):
        next(file for file in sorted(Path(path).rglob("*")) if file.is_file()).unlink()
        raise Killed

    monkeypatch.setattr(shutil, "rmtree", rmtree)


def test_a_part_half_discarded_is_never_resumed(tmp_path, monkeypatch):
    """Killed while the finished work of `work_folder` is removed."""
    target = tmp_path / "work"
    with work_folder(target, ONE) as part:
        for name in ("first", "second"):
            (part / name).touch()
    with monkeypatch.context() as patch:
        kill_during_rmtree(patch)
        with pytest.raises(Killed):
            discard_work(target)
    with work_folder(target, ONE) as part:
        assert names(part) == []


def test_a_part_half_replaced_is_never_resumed(tmp_path, monkeypatch):
    """Killed while the part of another config is removed; then that config again."""
    target = tmp_path / "work"
    with work_folder(target, ONE) as part:
        for name in ("first", "second"):
            (part / name).touch()
    with monkeypatch.context() as patch:
        kill_during_rmtree(patch)
        with pytest.raises(Killed), work_folder(target, OTHER):
            pass
    with work_folder(target, ONE) as part:
        assert names(part) == []


def test_work_stays_until_it_is_discarded(tmp_path):
    target = tmp_path / "work"
    with work_folder(target, ONE) as part:
        (part / "done").touch()
    assert names(tmp_path) == ["work.part", "work.part.json"]
    discard_work(target)
    assert names(tmp_path) == []


WRITER = """
import sys
from pathlib import Path
from headwater.publish import publish_file, publish_folder
target = Path(sys.argv[2])
block = publish_folder(target, {"stage": "one"}) if sys.argv[1] == "folder" else None
with block or publish_file(target) as part:
    (part / "half" if part.is_dir() else part).write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_live_writer_is_respected_and_a_killed_one_is_not(tmp_path, kind):
    target = tmp_path / "result"
    writer = start_python(WRITER, kind, target)
    assert writer.stdout.readline() == "writing\n"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    block = publish_folder(target, ONE) if kind == "folder" else publish_file(target)
    with pytest.raises(HeadwaterError) as caught, block:
        pytest.fail("two writers at once")
    message = str(caught.value)
    assert "\n" not in message
    assert str(target) in message
    assert f"pid {writer.pid} on {os.uname().nodename}" in message
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert not target.exists()
    assert (tmp_path / ".result.lock").exists(), (
        "the killed writer's lock is not tested"
    )
    if kind == "folder":
        with publish_folder(target, ONE) as part:
            assert names(part) == ["half"]
    else:
        write_text(target, "whole")
    assert names(tmp_path) == ["result"]


def test_a_lock_file_removed_while_it_is_waited_for_does_not_count(
    tmp_path, monkeypatch
):
    """The earlier owner removes the file that this process has opened, not yet locked.

    A lock on the removed file would keep no third process out.
    """
    flock, lock, calls = locks.fcntl.flock, tmp_path / ".result.lock", []

    def late(handle, how):
        if not calls:
            lock.unlink()
        calls.append(how)
        flock(handle, how)

    monkeypatch.setattr(locks.fcntl, "flock", late)
    with publish_file(tmp_path / "result") as part:
        part.touch()
        assert len(calls) == 2
        with pytest.raises(HeadwaterError, match=f"pid {os.getpid()}"):
            write_text(tmp_path / "result", "second")


@pytest.mark.parametrize(
    "error",
    [
        full_disk(),
        OSError(errno.EDQUOT, "quota"),
        RuntimeError("Can't write data (errno = 28, 'No space left on device')"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_full_disk_is_one_line_and_publishes_nothing(tmp_path, kind, error):
    target = tmp_path / "result"
    block = publish_folder(target, ONE) if kind == "folder" else publish_file(target)
    with pytest.raises(HeadwaterError) as caught:
        fail_half_way(block, error)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{target}: cannot write (")
    assert not target.exists()
    assert part_of(target).exists()


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_fills_at_any_call_publishes_nothing(tmp_path, monkeypatch, call):
    def refuse(*_, **__):
        raise full_disk()

    place = {"write": (Path, "write_text"), "fsync": (os, "fsync")}
    with monkeypatch.context() as patch:
        patch.setattr(*place.get(call, (os, "replace")), refuse)
        with pytest.raises(HeadwaterError, match="No space left on device"):
            write_json(tmp_path / "a.json", {})
        with pytest.raises(HeadwaterError, match="No space left on device"):
            write_folder(tmp_path / "store", ONE, "x")
    assert not {"a.json", "store"} & set(names(tmp_path))
    write_json(tmp_path / "a.json", {})
    write_folder(tmp_path / "store", ONE, "x")
    assert names(tmp_path) == ["a.json", "store"]


def test_a_full_disk_is_told_once_however_deep_it_is_met(tmp_path):
    with (
        pytest.raises(HeadwaterError) as caught,
        work_folder(tmp_path / "work", ONE),
        publish_file(tmp_path / "inner"),
    ):
        raise full_disk()
    assert str(caught.value).count("cannot write") == 1
    assert str(caught.value).startswith(f"{tmp_path / 'inner'}: ")


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(2, "gone")])
def test_other_errors_keep_their_type(tmp_path, error):
    with pytest.raises(type(error)), publish_file(tmp_path / "result"):
        raise error


LIMITED = """
import json, resource, sys
from pathlib import Path
import h5py, numpy, safetensors.numpy
from headwater.errors import HeadwaterError
from headwater.publish import publish_file, publish_folder, write_text
from headwater.stores import create_group, write_array
folder, noise = Path(sys.argv[1]), numpy.random.default_rng(0).random(100_000)

def text():
    write_text(folder / "text", "x" * 100_000)

def hdf5():
    with publish_file(folder / "hdf5") as part, h5py.File(part, "w") as file:
        file["noise"] = noise

def safe():
    with publish_folder(folder / "safe", {}) as part:
        safetensors.numpy.save_file({"noise": noise}, part / "model.safetensors")

def zarr():
    with publish_folder(folder / "zarr", {}) as part:
        write_array(create_group(part, {}), "noise", noise, chunk_rows=50_000)

messages = {}
for limit in (50_000, 0):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for write in (text, hdf5, safe, zarr):
        try:
            write()
            messages[f"{write.__name__} {limit}"] = "published"
        except HeadwaterError as error:
            messages[f"{write.__name__} {limit}"] = str(error)
resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (resource.RLIM_INFINITY,))
print(json.dumps(messages))
"""


def test_a_real_limit_on_writing_is_one_line_for_every_kind_of_file(tmp_path):
    """The kernel refuses to write: not even the lock file fits the second limit."""
    process = start_python(LIMITED, tmp_path)
    output, _ = process.communicate(timeout=60)
    messages = json.loads(output)
    assert len(messages) == 8
    for case, message in messages.items():
        target = tmp_path / case.split()[0]
        assert message.startswith(f"{target}: cannot write ("), case
        assert "File too large" in message, case
        assert "\n" not in message, case
        assert not target.exists(), case
    assert process.returncode == 0


def test_links_share_their_bytes_and_replace_an_older_folder(tmp_path):
    source, target = tmp_path / "work" / "step8", tmp_path / "step8"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "weights").write_text("new")
    target.mkdir()
    (target / "stale").touch()
    part_of(target).mkdir()
    (part_of(target) / "left by a killed run").touch()
    publish_links(source, target)
    assert names(target) == ["sub"]
    assert (target / "sub" / "weights").samefile(source / "sub" / "weights")
    assert names(tmp_path) == ["step8", "work"]
    shutil.rmtree(source)
    assert (target / "sub" / "weights").read_text() == "new"


def test_links_do_not_share_the_time_stamp_of_the_workflow(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "weights").touch()
    (source / ".snakemake_timestamp").touch()
    publish_links(source, target)
    assert names(target) == ["weights"]


def test_links_on_a_full_disk_are_one_line_and_publish_nothing(tmp_path, monkeypatch):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "weights").touch()

    def refuse(*_, **__):
        raise full_disk()

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(HeadwaterError, match="No space left on device"):
        publish_links(tmp_path / "source", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_stable_seed_is_the_same_everywhere_and_differs_by_part():
    # These numbers are in every published result: a change here changes all of them.
    assert stable_seed(0, "model") == 5558024794847056428
    assert stable_seed(0, "interventions", "remove_top", 2) == 2731911938757963087
    parts = [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1), (0, "a"), (1, "a", 0)]
    seeds = {stable_seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(0 <= seed < 1 << 63 for seed in seeds)
