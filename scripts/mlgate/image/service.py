"""A server that is being proven: where it answers, what its container is doing, and one request at a time to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mlgate.image.engine import Engine
from mlgate.repo.credentials import redact

TIMEOUT = 30.0  # seconds for one answer
_MOST = 64_000_000  # octets of one answer
_LINES = 5  # of a log, in a sentence
_WIDTH = 300


class UnreachableError(Exception):
    """No answer: refused, reset, or not in time. The sentence says which."""


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are lower-case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def json(self) -> Any:
        """Raises ValueError for what is no JSON. NaN and infinities come through, so that they can be refused."""
        return json.loads(self.body)


@dataclass(frozen=True)
class State:
    """What the engine says of a container."""

    running: bool
    code: int = 0  # its exit code, when it has ended
    killed: bool = False  # for want of memory
    health: str = ""  # starting, healthy, unhealthy; empty without a HEALTHCHECK
    told: str = ""  # what its last HEALTHCHECK printed


@dataclass
class Service:
    """`container` is empty for a server that runs in no container of ours."""

    url: str  # http://127.0.0.1:32768
    engine: Engine | None = None
    container: str = ""
    isolated: bool = False  # it reaches no network
    others: tuple[str, ...] = ()  # further places where it may answer, until one did
    began: float = field(default_factory=time.monotonic)
    failed: str = ""  # why it was not even started

    def state(self) -> State:
        """Raises MlgateError when the engine does not answer. A container that is gone does not run."""
        if self.failed:
            return State(False, code=127)
        if self.engine is None or not self.container:
            return State(True)
        said = self.engine.ask("container", "inspect", self.container)
        return read_state(json.loads(said.out)[0]["State"]) if said.code == 0 else State(False)

    def logs(self) -> str:
        """The last lines that it printed, without what could be a secret."""
        if self.failed or self.engine is None or not self.container:
            return self.failed
        said = self.engine.ask("logs", "--tail", "40", self.container)
        return last_lines(f"{said.out}\n{said.err}")

    def get(self, path: str, *, timeout: float = TIMEOUT) -> Answer:
        """Raises UnreachableError."""
        return ask(self.url, "GET", path, timeout=timeout)

    def post(
        self,
        path: str,
        body: bytes,
        *,
        type: str = "application/json",  # noqa: A002 -- the header's word
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Answer:
        """Raises UnreachableError."""
        return ask(self.url, "POST", path, body, {"Content-Type": type, **(headers or {})}, timeout=timeout)


def read_state(told: Mapping[str, Any]) -> State:
    """`State` of `docker container inspect`."""
    health = told.get("Health") or {}
    log = health.get("Log") or []
    return State(
        running=bool(told.get("Running")),
        code=int(told.get("ExitCode") or 0),
        killed=bool(told.get("OOMKilled")),
        health=str(health.get("Status") or "").replace("none", ""),
        told=last_lines(str(log[-1].get("Output") or "")) if log else "",
    )


def last_lines(text: str) -> str:
    """The end of a log as one line of a sentence."""
    lines = [" ".join(line.split()) for line in redact(text).splitlines() if line.strip()]
    return " | ".join(line[:_WIDTH] for line in lines[-_LINES:])


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = TIMEOUT,
) -> Answer:
    """One request on a connection of its own, bounded as a whole. Raises UnreachableError."""
    parts = urlsplit(url)
    began = time.monotonic()
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # A server may refuse a body before it has read it all: its answer is there to be read.
            connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        data = b""
        while block := response.read1(1 << 16):
            data += block
            if len(data) > _MOST:
                raise UnreachableError(f"its answer to {method} {path} does not end")
            if time.monotonic() - began > timeout:
                raise UnreachableError(f"it did not answer {method} {path} within {timeout:g} seconds")
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, data, found, time.monotonic() - began)
    except TimeoutError:
        raise UnreachableError(f"it did not answer {method} {path} within {timeout:g} seconds") from None
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreachableError(f"it gave no answer to {method} {path} ({said})") from None
    finally:
        connection.close()
