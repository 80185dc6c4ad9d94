"""Remote files: ranges, faults, resuming, and the record of what was fetched."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headwater.corpus.sources.pile import SOURCE as PILE
from headwater.errors import HeadwaterError
from headwater.net import failures, fetching, remote
from headwater.net.fetching import GrowingFile, fetch_ranges
from headwater.net.places import base_name, hub_place, remote_problem, without_secrets
from headwater.net.remote import RemoteReader, open_remote
from headwater.publish import part_of
from hub_server import HubServer, serve

DATA = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A server with `data.bin`, and no long pauses between tries."""
    monkeypatch.setattr(failures, "_FIRST_WAIT", 0.01)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/data.bin").write_bytes(DATA)
    with serve(tmp_path / "root") as running:
        yield running


def address(server: HubServer, name: str = "data.bin") -> str:
    return f"{server.url}/files/{name}"


def test_only_the_range_is_sent(server: HubServer) -> None:
    file = open_remote(address(server))
    assert file.size == len(DATA)
    assert file.read(1000, 2000) == DATA[1000:2000]
    assert server.sent == 1001  # and the first byte, which tells the length
    assert server.requests[-1][2] == "bytes=1000-1999"


@pytest.mark.parametrize("fault", ["503", "drop", "truncate", "short", "wrong_range"])
def test_a_fault_is_got_over_without_fetching_twice(
    server: HubServer, fault: str
) -> None:
    file = open_remote(address(server))
    server.fail(fault, fault)
    assert file.read(10, 2_900_000) == DATA[10:2_900_000]
    ranges = [asked for _, path, asked in server.requests if "data" in path][1:]
    starts = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in ranges]
    assert len(starts) == 3
    assert starts[0] == 10
    assert starts == sorted(starts)
    if fault in ("truncate", "short"):
        assert starts[2] > starts[1] > starts[0]
        assert server.sent < 1.1 * len(DATA)


def test_new_bytes_count_the_tries_anew(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_remote(address(server))
    monkeypatch.setattr(failures, "_TRIES", 2)
    server.fail("truncate", "truncate", "truncate", "truncate")
    assert file.read(0, len(DATA)) == DATA
    server.fail("503", "503")
    with pytest.raises(HeadwaterError, match="2 tries"):
        file.read(0, 10)


def test_an_empty_range_asks_for_nothing(server: HubServer) -> None:
    file = open_remote(address(server))
    before = len(server.requests)
    assert file.read(5, 5) == b""
    assert len(server.requests) == before


def test_a_slow_answer_is_asked_for_again(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_remote(address(server))
    monkeypatch.setattr(remote, "_TIMEOUT", 0.2)
    server.pause = 0.6
    server.fail("slow")
    assert file.read(0, 1000) == DATA[:1000]
    assert [asked for *_, asked in server.requests][-1] == "bytes=1-999"


def test_the_server_says_how_long_to_wait(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    file = open_remote(address(server))
    for server.retry_after in (7, 1000):
        server.fail("503")
        assert file.read(0, 10) == DATA[:10]
    assert pauses == [7, 60]


def test_a_server_that_stays_down_is_one_line(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_remote(address(server))
    monkeypatch.setattr(failures, "_TRIES", 3)
    server.fail(*["503"] * 5)
    with pytest.raises(
        HeadwaterError,
        match=r"data\.bin: cannot be fetched \(the server answered 503; 3 tries\); run "
        r"again .* `snakemake prepare`",
    ):
        file.read(0, 10)


def test_no_server_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(failures, "_TRIES", 2)
    with pytest.raises(HeadwaterError, match=r"login node.* give their local paths"):
        open_remote("http://127.0.0.1:9/data.bin")


def test_offline_mode_is_respected(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HeadwaterError, match=r"HF_HUB_OFFLINE is set.*login node"):
        open_remote(address(server))
    with pytest.raises(HeadwaterError, match=r"not in the hub's cache"):
        open_remote("hf://datasets/someone/rows/document.bin")
    assert not server.requests


def test_missing_file_is_said(server: HubServer) -> None:
    with pytest.raises(HeadwaterError, match=r"none\.bin: the server answered 404"):
        open_remote(address(server, "none.bin"))


def test_a_server_without_ranges_is_refused_where_they_are_needed(
    server: HubServer,
) -> None:
    file = open_remote(address(server))
    server.fail("no_range")
    assert file.read(0, 100) == DATA[:100]
    server.fail("no_range")
    with pytest.raises(HeadwaterError, match="whole files only"):
        file.read(5, 100)


def test_a_range_past_the_end_is_refused(server: HubServer) -> None:
    with pytest.raises(HeadwaterError, match=r"has only 3,000,000"):
        open_remote(address(server)).read(2_999_999, 3_000_001)


def test_a_file_that_changes_meanwhile_is_refused(server: HubServer) -> None:
    file = open_remote(address(server))
    stream = file.stream(0, len(DATA))
    next(stream)
    (server.root / "data.bin").write_bytes(DATA[::-1])
    with pytest.raises(HeadwaterError, match=r"changed on the server .* ETag"):
        file.read(0, 10)


def test_a_file_of_another_length_is_refused(server: HubServer) -> None:
    file = open_remote(address(server))
    server.fail("wrong_length")
    with pytest.raises(HeadwaterError, match=r"had 3,000,000 .* now has 3,000,001"):
        file.read(0, 10)


def test_reader_is_a_file(server: HubServer) -> None:
    reader = RemoteReader(open_remote(address(server)))
    assert reader.seek(-10, 2) == len(DATA) - 10
    assert reader.read() == DATA[-10:]
    reader.seek(100)
    assert (reader.read(5), reader.tell()) == (DATA[100:105], 105)


# To a file.


class StopError(Exception):
    """A kill in the middle."""


def interrupted_fetch(
    server: HubServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetch a shard, and be killed after the second sure megabyte."""
    monkeypatch.setattr(fetching, "SYNC_BYTES", 1 << 20)
    commit, commits = GrowingFile.commit, []

    def stop(self: GrowingFile, state: dict) -> None:
        commit(self, state)
        commits.append(self.size)
        if len(commits) == 2:
            self.write(b"not sure")
            self._handle.flush()
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(GrowingFile, "commit", stop)
        with pytest.raises(StopError):
            PILE.fetch(target, "data", address(server), None)
    assert not target.exists()


def test_a_killed_fetch_goes_on_where_it_was_sure(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shard"
    interrupted_fetch(server, target, monkeypatch)
    before = server.sent
    PILE.fetch(target, "data", address(server), None)
    assert (target / "text.jsonl.zst").read_bytes() == DATA
    assert server.sent - before < len(DATA) - (1 << 20)
    (record,) = json.loads((target / "fetched.json").read_text())["parts"]
    digest = hashlib.sha256(DATA).hexdigest()
    assert record == {
        "place": address(server),
        "etag": f'"{digest}"',
        "length": len(DATA),
        "first_byte": 0,
        "bytes": len(DATA),
        "sha256": digest,
    }
    names = sorted(path.name for path in target.iterdir())
    assert names == ["fetched.json", "text.jsonl.zst"]


def test_a_file_that_changed_between_two_tries_is_fetched_anew(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shard"
    interrupted_fetch(server, target, monkeypatch)
    assert part_of(target).exists()
    (server.root / "data.bin").write_bytes(DATA[::-1])
    PILE.fetch(target, "data", address(server), None)
    assert (target / "text.jsonl.zst").read_bytes() == DATA[::-1]


def test_bytes_that_are_not_what_the_hub_says_are_refused_and_fetched_anew(
    server: HubServer, tmp_path: Path
) -> None:
    file = open_remote(address(server))
    lying = remote.RemoteFile(file.place, file.url, file.size, "0" * 64)
    target = tmp_path / "data"
    # A server that sends no tag of its own, so that only the digest can tell.
    object.__setattr__(lying, "cached", server.root / "data.bin")
    with pytest.raises(HeadwaterError, match=r"SHA-256 .* the hub says 0000"):
        fetch_ranges(target, [(lying, range(file.size))], "data")
    assert GrowingFile(target).size == 0


def test_several_ranges_become_one_file(server: HubServer, tmp_path: Path) -> None:
    file = open_remote(address(server))
    parts = [(file, range(5, 100)), (file, range(2_000_000, 2_000_010))]
    records = fetch_ranges(tmp_path / "data", parts, "data")
    whole = (tmp_path / "data").read_bytes()
    assert whole == DATA[5:100] + DATA[2_000_000:2_000_010]
    assert [r["first_byte"] for r in records] == [5, 2_000_000]
    assert records[0]["sha256"] == hashlib.sha256(DATA[5:100]).hexdigest()


def test_full_disk_is_one_line_and_nothing_is_published(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: GrowingFile, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(GrowingFile, "write", full)
    with pytest.raises(HeadwaterError, match=r"No space left .* Free space"):
        PILE.fetch(tmp_path / "shard", "data", address(server), None)
    assert not (tmp_path / "shard").exists()


def test_a_disk_too_small_is_noticed_before(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(HeadwaterError, match=r"3,000,000 bytes .* only 1,000,000 are"):
        PILE.fetch(tmp_path / "shard", "data", address(server), None)
    assert server.sent == 1


def test_places_are_taken_apart() -> None:
    found = hub_place("hf://datasets/EleutherAI/pile@abc/data/a.bin")
    assert found is not None
    assert (found.repo, found.kind) == ("EleutherAI/pile", "dataset")
    assert (found.revision, found.path) == ("abc", "data/a.bin")
    assert str(found) == "hf://datasets/EleutherAI/pile@abc/data/a.bin"
    model = hub_place("hf://EleutherAI/pythia-14m")
    assert model is not None
    assert (model.kind, model.revision, model.path) == ("model", "main", "")
    assert hub_place("https://host/a") is None
    assert base_name("https://host/a/b.bin?token=1") == "b.bin"
    assert without_secrets("https://me:key@host/a?token=1") == "https://host/a"
    assert remote_problem("s3://bucket/a") is not None
    assert remote_problem("hf://datasets/pile") is not None
    assert remote_problem("https:///a") is not None
    assert remote_problem("https://me:key@host/a") is not None
    assert remote_problem("https://host/a") is None


def test_a_page_in_place_of_a_file_is_told(server: HubServer) -> None:
    (server.root / "login.html").write_text("<html>Sign in", encoding="utf-8")
    with pytest.raises(
        HeadwaterError, match=r"login\.html: the server sends a web page"
    ):
        open_remote(address(server, "login.html"))
