"""Outputs are whole or absent, whatever happens while they are written."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.checkpoints.files import load_state
from headwater.errors import HeadwaterError
from headwater.publish import (
    exclusive,
    part_of,
    publish_file,
    publish_folder,
    publish_links,
    stable_seed,
)


def fail_half_way(target: Path, identity: dict[str, int]) -> None:
    with publish_folder(target, identity) as part:
        (part / "half").write_text("x")
        raise ZeroDivisionError


def write_twice(target: Path) -> None:
    with exclusive(target), exclusive(target):
        pass


def test_failed_work_publishes_nothing_and_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "store"
    with pytest.raises(ZeroDivisionError):
        fail_half_way(target, {"a": 1})
    assert not target.exists()
    with publish_folder(target, {"a": 1}) as part:
        assert (part / "half").exists()
    assert (target / "half").exists()
    assert not part_of(target).exists()


def test_work_begun_under_another_identity_is_discarded(tmp_path: Path) -> None:
    target = tmp_path / "store"
    with pytest.raises(ZeroDivisionError):
        fail_half_way(target, {"a": 1})
    with publish_folder(target, {"a": 2}) as part:
        assert not (part / "half").exists()


def test_second_writer_is_refused_in_one_line(tmp_path: Path) -> None:
    target = tmp_path / "store"
    with pytest.raises(HeadwaterError) as caught:
        write_twice(target)
    assert f"pid {os.getpid()}" in str(caught.value)
    assert "\n" not in str(caught.value)
    with exclusive(target):
        pass


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    target = tmp_path / "table.tsv"
    with pytest.raises(HeadwaterError, match="No space left"), publish_file(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not target.exists()


def limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_file_limit_hit_for_real(tmp_path: Path) -> None:
    target = tmp_path / "big"
    code = (
        "from pathlib import Path\n"
        "from headwater.publish import write_text\n"
        f"write_text(Path({str(target)!r}), 'x' * 100_000)\n"
    )
    scripts = Path(__file__).resolve().parent.parent / "scripts"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(scripts), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit_file_size,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "nothing was published" in result.stderr
    assert not target.exists()


def test_links_share_bytes_but_not_time_stamps(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "weights").write_text("w")
    (source / ".snakemake_timestamp").touch()
    publish_links(source, target)
    assert (target / "weights").samefile(source / "weights")
    assert not (target / ".snakemake_timestamp").exists()


def test_seeds_depend_on_identity_only() -> None:
    assert stable_seed(0, "corpus", 1) == stable_seed(0, "corpus", 1)
    assert stable_seed(0, "corpus", 1) != stable_seed(0, "corpus", 2)
    assert 0 <= stable_seed("x") < 1 << 63


def test_checkpoint_without_a_file_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "step5"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(HeadwaterError) as caught:
        load_state(folder, {})
    assert "model.safetensors, trainer.json" in str(caught.value)
