"""One writer at a time, also where the file system has no flock."""

import errno
import os
import signal
import socket
from pathlib import Path

import pytest

from headwater import locks
from headwater.errors import HeadwaterError
from headwater.hdf5 import open_file, publish_hdf5
from headwater.locks import exclusive, is_written
from headwater.publish import write_text
from test_publish import names, start_python

MISSING = [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL]

HOLDER = """
import errno, fcntl, sys
def refuse(handle, how):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
from pathlib import Path
from headwater.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=MISSING)
def no_flock(request, monkeypatch):
    def refuse(handle, how):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


def test_without_flock_one_writer_goes_on_with_one_warning(
    tmp_path, no_flock, monkeypatch
):
    said = []
    monkeypatch.setattr(locks.logger, "warning", lambda *words: said.append(words))
    target = tmp_path / "result"
    for first in (True, False):
        with exclusive(target, warn=first):
            assert is_written(target)
            with pytest.raises(HeadwaterError, match=f"pid {os.getpid()} on"):
                write_text(target, "second")
        assert not is_written(target)
    write_text(target, "whole")
    assert names(tmp_path) == ["result"]
    assert len(said) == 1
    assert "no flock" in said[0][0]


def test_without_flock_the_lock_of_a_killed_writer_is_taken_over(tmp_path, monkeypatch):
    target = tmp_path / "result"
    writer = start_python(HOLDER, target)
    assert writer.stdout.readline() == "writing\n"

    def refuse(handle, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    assert is_written(target)
    with pytest.raises(HeadwaterError, match=f"pid {writer.pid} on"), exclusive(target):
        pytest.fail("two writers at once")
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert names(tmp_path) == [".result.owner"]
    assert not is_written(target)
    write_text(target, "whole")
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize(
    ("found", "owner"),
    [
        (f"{os.getpid()}\nelsewhere\n", f"pid {os.getpid()} on elsewhere"),
        (f"1\n{socket.gethostname()}\n", f"pid 1 on {socket.gethostname()}"),
        ("", "pid unknown on unknown"),
    ],
    ids=["another machine", "another program", "killed before it said"],
)
def test_without_flock_a_lock_that_may_be_held_is_one_line(
    tmp_path, monkeypatch, found, owner
):
    def refuse(handle, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    lock = tmp_path / ".result.owner"
    lock.write_text(found, encoding="utf-8")
    with pytest.raises(HeadwaterError) as caught:
        write_text(tmp_path / "result", "second")
    message = str(caught.value)
    assert f"({owner}; if it is gone from there, remove {lock})" in message
    assert "\n" not in message
    assert names(tmp_path) == [".result.owner"]


@pytest.mark.parametrize("error", [errno.EIO, errno.EBADF])
def test_other_errors_of_a_lock_are_told(tmp_path, monkeypatch, error):
    def refuse(handle, how):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(OSError, match=os.strerror(error)), exclusive(tmp_path / "a"):
        pytest.fail("no lock was held")


def refuses_locks(number, opened):
    """`h5py.File` on a file system whose locks fail with this error."""

    def open_(path, mode, locking=None):
        if locking is not False:
            raise OSError(number, f"unable to lock file, errno = {number}")
        return opened(path, mode, locking=locking)

    return open_


@pytest.mark.parametrize("number", MISSING)
def test_hdf5_files_need_no_lock(tmp_path, monkeypatch, number):
    path = tmp_path / "a.h5"
    monkeypatch.setattr("h5py.File", refuses_locks(number, __import__("h5py").File))
    identity = {"format": 0}
    with publish_hdf5(path, identity) as file:
        file["a"] = 1
    with pytest.raises(HeadwaterError, match="format version 0"), open_file(path, {}):
        pytest.fail("the identity was not read")


def test_an_hdf5_file_that_is_locked_says_so_and_nothing_of_deleting(tmp_path):
    import h5py

    path = Path(tmp_path / "a.h5")
    with h5py.File(path, "w"):
        code = """
import sys
from pathlib import Path
from headwater.hdf5 import open_file
try:
    with open_file(Path(sys.argv[1]), {}):
        pass
except Exception as error:
    print(error)
"""
        told, _ = start_python(code, path).communicate()
    assert told.startswith(f"{path}: another process has it open and locked; ")
    assert "HDF5_USE_FILE_LOCKING" in told
    assert "delete" not in told
    assert "--force" not in told
