"""Publishing where a file system has no hard links, or cannot flush a folder."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from headwater.publish import publish_folder, publish_links, write_text
from test_publish import ONE, names

# What file systems say to a link that they cannot make: BeeGFS, FUSE, other disks, a
# file with the most links it may have, NFS of another owner.
NO_LINKS = ["EPERM", "EOPNOTSUPP", "EXDEV", "EMLINK", "ENOSYS", "EACCES"]


@pytest.mark.parametrize("name", NO_LINKS)
def test_where_links_are_refused_bytes_are_copied(tmp_path, monkeypatch, name):
    source, target = tmp_path / "work" / "step8", tmp_path / "step8"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "weights").write_text("new", encoding="utf-8")
    (source / "config").touch()
    number = getattr(errno, name)

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    publish_links(source, target)
    shutil.rmtree(source)
    assert names(target) == ["config", "sub"]
    assert (target / "sub" / "weights").read_text(encoding="utf-8") == "new"
    assert names(tmp_path) == ["step8", "work"]


NO_SYNC = ["EINVAL", "ENOTSUP", "ENOSYS", "EACCES", "EPERM", "EBADF", "EISDIR"]


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("name", NO_SYNC)
def test_a_folder_that_cannot_be_flushed_is_published(
    tmp_path, monkeypatch, call, name
):
    plain, number = getattr(os, call), getattr(errno, name)

    def refuse(what, *arguments):
        if Path(f"/proc/self/fd/{what}" if call == "fsync" else what).is_dir():
            raise OSError(number, os.strerror(number))
        return plain(what, *arguments)

    monkeypatch.setattr(os, call, refuse)
    write_text(tmp_path / "file", "whole")
    with publish_folder(tmp_path / "folder", ONE) as part:
        (part / "a").touch()
    publish_links(tmp_path / "folder", tmp_path / "again")
    assert names(tmp_path) == ["again", "file", "folder"]


@pytest.mark.parametrize("name", ["ENOSPC", "EIO", "EDQUOT"])
def test_a_folder_that_fails_to_be_flushed_is_not(tmp_path, monkeypatch, name):
    plain, number = os.fsync, getattr(errno, name)

    def refuse(handle):
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(number, os.strerror(number))
        plain(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with (
        pytest.raises(HeadwaterError, match=os.strerror(number)),
        publish_folder(tmp_path / "folder", ONE) as part,
    ):
        (part / "a").touch()
    assert not (tmp_path / "folder").exists()
