"""Motifs that a service proposes: what is asked, what is believed, what is kept."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from headwater.catalysts.contrast import Sample
from headwater.catalysts.motiffile import check_motifs
from headwater.catalysts.motifwords import Named, motif_file
from headwater.catalysts.proposals import (
    LETTERS,
    OTHERS,
    SHOWN,
    described,
    judged,
    question,
    read_answer,
)
from headwater.catalysts.shapes import token_kinds
from headwater.errors import HeadwaterError
from headwater.net import chat, failures
from headwater.net.chat import Service
from hub_server import HubServer, serve
from skeletons import SLOTS
from test_motifs import PIECES, ROWS, natural, planted, sample_of

KEY = "sk-never-to-be-seen"
MESSAGES = [{"role": "user", "content": "which motifs?"}]


# What is believed


def encode(text: str) -> list[int]:
    return natural()[0].encode([text])[0].ids.tolist()


def looked_at() -> tuple[Sample, Named]:
    """Rows that are ranked by whether a skeleton is planted in them, and some noise."""
    holds = planted(0)[2]
    scores = holds * 3 + np.random.default_rng(0).normal(size=ROWS)
    sample, texts = sample_of(scores, 0)
    encoder, _ = natural()
    numbers = np.arange(ROWS)
    named = Named(
        rows=numbers,
        steps=numbers // 8,
        domains=["prose"] * ROWS,
        kinds=token_kinds(texts),
        texts=texts,
        decode=lambda ids: encoder.decode_many([np.array(ids)])[0],
    )
    return sample, named


def elements(*pieces: str) -> list[dict[str, str]]:
    return [{"slot" if piece in SLOTS else "text": piece} for piece in pieces]


def test_what_the_rows_bear_out_is_kept_and_nothing_else() -> None:
    sample, named = looked_at()
    wrong = {
        "only chance": elements("the", " "),
        "nowhere": elements("qqzzqq", "A", "zzqqzz"),
        "no more often": elements(" return", "A", "\n"),
        "anything": elements("A", "B", "<li>"),
        "short": elements("=", "A"),
        "again": elements(*PIECES[0]),
    }
    right = [elements(*pieces) for pieces in PIECES.values()]
    found = list(judged([*right, *wrong.values()], sample, named, encode))
    assert [one.why for one in found[: len(right)]] == [""] * len(right)
    assert [one.motif for one in found[len(right) :]] == [None] * len(wrong)
    assert found[-1].why == "stands there twice"
    kept = [one.motif for one in found if one.motif]
    assert all(motif.p < 0.01 / len(found) for motif in kept)
    assert kept[0].skeleton.recurring() == ["A"]
    check_motifs(motif_file(kept, sample, named, target="t", unit="L0H0"), "file")
    assert len(list(described(found))) == len(found)


def test_the_question_has_the_highest_rows_and_others() -> None:
    sample, named = looked_at()
    asked = json.loads(question(sample, named)[-1]["content"])
    assert [len(asked[name]) for name in ("top rows", "other rows")] == [SHOWN, OTHERS]
    first = int(np.argmax(sample.masses))
    assert asked["top rows"][0] == named.decode(sample.lists[first])[:LETTERS]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I think that", "no JSON"),
        ('{"motifs": NaN}', "NaN"),
        ("[" * 100_000, "no JSON"),
        ('{"motifs": [], "motifs": []}', "twice"),
        ("[]", "the whole"),
        ('{"motifs": [{"elements": []}]}', "motifs.0.elements"),
        ('{"motifs": [{"elements": [{"slot": "__class__"}]}]}', "elements.0"),
        ('{"motifs": [{"elements": [{"text": ""}]}]}', "elements.0"),
        (json.dumps({"motifs": [{"elements": elements("x" * 999)}]}), "elements.0"),
        (json.dumps({"motifs": [{"elements": elements("x")}] * 99}), "motifs"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_told_in_a_line(text, said) -> None:
    with pytest.raises(HeadwaterError) as error:
        read_answer(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_an_answer_may_be_fenced_as_code() -> None:
    inside = {"motifs": [{"elements": elements("<b>", "A"), "name": "bold"}]}
    assert read_answer(f"```json\n{json.dumps(inside)}\n```\n") == [
        elements("<b>", "A")
    ]


# The service


class Scripted(BaseHTTPRequestHandler):
    """Gives its answers one after the other: status and body."""

    answers: ClassVar[list[tuple[int, bytes]]] = []
    asked: ClassVar[list[tuple[str, str, bytes]]] = []

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, self.headers.get("Authorization", ""), body))
        status, answer = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(failures, "_FIRST_WAIT", 0.0)
    monkeypatch.setattr(Scripted, "answers", [])
    monkeypatch.setattr(Scripted, "asked", [])
    with serve(tmp_path, Scripted) as running:
        yield running


def answered(text: object) -> tuple[int, bytes]:
    return 200, json.dumps({"choices": [{"message": {"content": text}}]}).encode()


def service(server: HubServer, folder: Path, key: str = KEY) -> Service:
    return Service(f"{server.url}/v1", "model", key, folder / "answers")


def test_a_question_is_asked_once_and_the_key_is_kept_nowhere(
    server: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    Scripted.answers += [(503, b""), answered("first"), answered("second")]
    assert service(server, tmp_path).ask(MESSAGES) == "first"
    assert service(server, tmp_path, key="").ask(MESSAGES) == "first"
    [(_, _, _), (path, key, body)] = Scripted.asked  # the first was answered by 503
    assert (path, key) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert json.loads(body)["messages"] == MESSAGES
    other = [{"role": "user", "content": "which others?"}]
    assert service(server, tmp_path).ask(other) == "second"
    kept = [*(tmp_path / "answers").iterdir()]
    assert len(kept) == 2
    seen = caplog.text + "".join(path.read_text("utf-8") for path in kept)
    assert KEY not in seen + repr(service(server, tmp_path))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, b"no"), "refuses the key"),
        ((404, b"no"), "no such file"),
        ((200, b"<html>"), "not an answer"),
        ((200, b'{"choices": []}'), "not an answer"),
        (answered(7), "no text"),
        (answered("x" * chat.MOST_BYTES), "has more than"),
    ],
)
def test_an_answer_of_no_use_is_told_and_not_kept(
    server: HubServer, tmp_path: Path, answer, said
) -> None:
    Scripted.answers += [answer]
    with pytest.raises(HeadwaterError) as error:
        service(server, tmp_path).ask(MESSAGES)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value)
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://api.example.org/v1", "unencrypted"),
        ("https://me:secret@api.example.org/v1", "no user and password"),
        ("file:///etc/passwd", "expected http"),
        ("api.example.org/v1", "expected http"),
    ],
)
def test_an_address_that_is_not_safe_is_refused(tmp_path: Path, url, said) -> None:
    with pytest.raises(HeadwaterError, match=said) as error:
        Service(url, "model", KEY, tmp_path)
    assert "secret" not in str(error.value)
