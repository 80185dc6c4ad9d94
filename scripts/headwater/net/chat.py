"""One question to an OpenAI-compatible service; its answers are kept in files.

The key goes into the header of the request and nowhere else: not into the log, not into
what is kept. It is never sent without encryption but to this machine.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.utils import get_session

from headwater.errors import HeadwaterError
from headwater.net.failures import check_status, tries
from headwater.net.places import remote_problem, without_secrets
from headwater.publish import write_text
from headwater.strictjson import loads, read_object

logger = logging.getLogger("headwater")

MOST_BYTES = 1 << 20  # of an answer
_TIMEOUT = 600.0  # seconds without a byte: a model may think before it writes
_HERE = ("localhost", "127.0.0.1", "::1")
_ADVICE = "ask again later; nothing was written"

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Service:
    """A service, and how it is asked.

    Attributes:
        url: up to `/v1`, before `/chat/completions`.
        model: as the service calls it.
        key: "" for one that wants none.
        answers: folder in which answers are kept.
    """

    url: str
    model: str
    key: str = field(repr=False)
    answers: Path

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise HeadwaterError(f"{self.url}: expected http:// or https://")
        if wrong := remote_problem(self.url):
            raise HeadwaterError(f"{self.shown}: {wrong}")
        parts = urlsplit(self.url)
        if self.key and parts.scheme == "http" and parts.hostname not in _HERE:
            raise HeadwaterError(
                f"{self.shown}: a key would travel unencrypted; use https://, or unset "
                "the key's environment variable"
            )

    @property
    def shown(self) -> str:
        """The address, as logs may show it."""
        return without_secrets(self.url).rstrip("/")

    def ask(self, messages: Messages) -> str:
        """The answer's text; the same question is asked once.

        Raises:
            HeadwaterError: no answer, or none of such a service; in one line.
        """
        body = {"model": self.model, "messages": messages, "temperature": 0, "seed": 0}
        sent = json.dumps([self.shown, body], sort_keys=True).encode()
        kept = self.answers / f"{hashlib.sha256(sent).hexdigest()}.json"
        if kept.is_file():
            logger.info("%s: its answer of before is taken (%s)", self.shown, kept)
            return _kept_answer(kept)
        size = sum(len(message["content"]) for message in messages)
        logger.info("%s: asking %s; %s letters", self.shown, self.model, f"{size:,}")
        answer = tries(self.shown, _ADVICE)(self._once, body)
        value = {"service": self.shown, "model": self.model, "answer": answer}
        self.answers.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps(value, indent=1) + "\n")
        logger.info("%s: %s letters, kept as %s", self.shown, f"{len(answer):,}", kept)
        return answer

    def _once(self, body: dict[str, Any]) -> str:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url = f"{self.url.rstrip('/')}/chat/completions"
        session = get_session()
        with session.stream(
            "POST", url, json=body, headers=headers, timeout=_TIMEOUT
        ) as response:
            if response.status_code in (401, 403):
                raise HeadwaterError(
                    f"{self.shown}: refuses the key (status {response.status_code})"
                )
            check_status(self.shown, response)
            return self._text(_limited(response, self.shown))

    def _text(self, content: bytes) -> str:
        try:
            text = loads(content.decode("utf-8"))["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise HeadwaterError(
                f"{self.shown}: not an answer of an OpenAI-compatible service (no "
                "choices[0].message.content)"
            ) from error
        if not isinstance(text, str):
            raise HeadwaterError(f"{self.shown}: its answer is no text")
        return text


def _limited(response: httpx2.Response, shown: str) -> bytes:
    content = b""
    for piece in response.iter_bytes():
        content += piece
        if len(content) > MOST_BYTES:
            raise HeadwaterError(
                f"{shown}: its answer has more than {MOST_BYTES:,} bytes"
            )
    return content


def _kept_answer(path: Path) -> str:
    try:
        found = read_object(path).get("answer")
    except (OSError, ValueError) as error:
        raise HeadwaterError(f"{path}: not a kept answer ({error})") from error
    if not isinstance(found, str):
        raise HeadwaterError(f"{path}: not a kept answer; move it away to ask again")
    return found
