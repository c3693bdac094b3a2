"""Load on a server from this process: so many connections, each with one request under way, without another tool.

    measured = load.measure(service, spoken, records, connections=8, requests=2000)

One loop over sockets that stay open, so that what is measured is the server and not this interpreter's threads. It is a
closed loop: a connection asks again when it has its answer. While the server stands still nothing new is asked, so the
percentiles are those of so many callers who wait for each other's turn, and say nothing about requests that arrive on
their own. A time is taken from before a request is written to after its answer's last octet was read; where this
process is late to look at a socket, that is in it.
"""

from __future__ import annotations

import contextlib
import json
import math
import selectors
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mlgate.image import protocol, smoke
from mlgate.image.protocol import AnswerError, Protocol, Record
from mlgate.image.service import Answer, Service
from mlgate.model import Check, Verdict

SECONDS = 120.0  # for all of it
PATIENCE = 15.0  # for one answer
_ENOUGH, _AWAY = 100, 10  # errors, and connections in a row that nobody took, after which no more is asked
WARM = 200  # requests before the clock starts, at most a tenth of all
DIFFERENT = 64  # rows that take turns
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Measured:
    """What a run has come to. `times`: milliseconds of each good answer, sorted. `errors`: what else there was."""

    connections: int
    asked: int  # requests that were wanted
    times: tuple[float, ...] = ()
    seconds: float = 0.0  # from the first request to the last answer
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def throughput(self) -> float | None:
        """Good answers in a second."""
        return len(self.times) / self.seconds if self.times and self.seconds > 0 else None

    def quantile(self, share: float) -> float | None:
        """The least time within which at least this share of the answers came. No value is made up between two."""
        if not self.times:
            return None
        return self.times[max(0, math.ceil(share * len(self.times)) - 1)]


def measure(
    service: Service,
    spoken: Protocol,
    records: Sequence[Record],
    *,
    connections: int = 8,
    requests: int = 2000,
    seconds: float = SECONDS,
) -> Measured:
    """Single rows, in turn. Each answer is held against the one that the same row gets without load.

    Bounded by `seconds`, and a quarter of them to warm up: a slow server is asked less often than was wanted, which
    `checks` says.
    """
    payloads, expected, errors = [], [], Counter[str]()
    for record in records[:DIFFERENT]:
        body = spoken.body([record])
        try:
            answer = service.post(spoken.path, body, timeout=PATIENCE)
            expected.append(_values(answer))
            payloads.append(_request(service.url, spoken.path, body))
        except (AnswerError, protocol.UnreachableError) as error:
            errors[str(error)] += 1
    if not payloads or errors:
        return Measured(connections, requests, errors=errors or {"there was no row to send": 1})
    warm = _Loop(
        service.url, payloads, expected, min(WARM, max(connections, requests // 10)), time.monotonic() + seconds / 4
    )
    warm.run(connections)
    if warm.away >= _AWAY:
        return Measured(connections, requests, seconds=warm.seconds, errors=warm.errors)
    loop = _Loop(service.url, payloads, expected, requests, time.monotonic() + seconds)
    loop.run(connections)
    return Measured(connections, requests, tuple(sorted(loop.times)), loop.seconds, warm.errors + loop.errors)


def _request(url: str, path: str, body: bytes) -> bytes:
    parts = urlsplit(url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: mlgate-load\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _values(answer: Answer) -> tuple[Any, Any]:
    found = protocol.read(answer, 1)
    if protocol.numberless(found.prediction):
        raise AnswerError("a row was answered with null, NaN or an infinity")
    return list(found.prediction), None if found.probability is None else list(found.probability)


class _Line:
    """One connection."""

    __slots__ = ("began", "buffer", "length", "place", "socket", "unsent")

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.buffer = bytearray()
        self.length = -1  # of the whole answer, once its head is there
        self.unsent = b""
        self.place = 0
        self.began = 0.0


class _Loop:
    """Asks until enough was asked, or the time is over."""

    def __init__(
        self, url: str, payloads: Sequence[bytes], expected: Sequence[tuple[Any, Any]], requests: int, until: float
    ) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.payloads, self.expected = payloads, expected
        self.known: list[bytes | None] = [None] * len(payloads)  # a body that was found right: no need to read it again
        self.left, self.until = requests, until
        self.times: list[float] = []
        self.errors: Counter[str] = Counter()
        self.seconds = 0.0
        self.turn = self.away = 0
        self.selector = selectors.DefaultSelector()

    def run(self, connections: int) -> None:
        lines = [_Line() for _ in range(min(connections, self.left))]
        began = time.perf_counter()
        try:
            for line in lines:
                self._next(line)
            while self.selector.get_map():
                for key, mask in self.selector.select(0.5):
                    self._serve(key.data, mask)
                self._impatient(lines)
        finally:
            self.seconds = time.perf_counter() - began
            for line in lines:
                self._close(line)
            self.selector.close()

    def _next(self, line: _Line) -> None:
        """The next request on this connection, if there is one to send."""
        if self.left <= 0 or time.monotonic() > self.until:
            self._close(line)
            return
        self.left -= 1
        line.place = self.turn = (self.turn + 1) % len(self.payloads)
        line.buffer.clear()
        line.length = -1
        line.began = time.perf_counter()
        try:
            if line.socket is None:
                line.socket = socket.create_connection((self.host, self.port), timeout=PATIENCE)
                self.away = 0
                line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line.socket.setblocking(False)
                self.selector.register(line.socket, selectors.EVENT_READ, line)
                line.began = time.perf_counter()  # of the request, and not of the connection that is kept
            self._send(line, self.payloads[line.place])
        except OSError as error:
            self.away += 1
            self._fail(line, f"no connection ({error.strerror or type(error).__name__})")

    def _send(self, line: _Line, data: bytes) -> None:
        assert line.socket is not None  # noqa: S101 -- it was just made
        with contextlib.suppress(BlockingIOError):
            data = data[line.socket.send(data) :]
        waits = bool(line.unsent)
        line.unsent = data
        if waits != bool(data):
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if data else 0)
            self.selector.modify(line.socket, events, line)

    def _serve(self, line: _Line, mask: int) -> None:
        if line.socket is None:
            return
        try:
            if mask & selectors.EVENT_WRITE and line.unsent:
                self._send(line, line.unsent)
            if not mask & selectors.EVENT_READ:
                return
            block = line.socket.recv(_BLOCK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(line, f"the connection broke ({error.strerror or type(error).__name__})")
            return
        if not block:
            self._fail(line, "the connection was closed without an answer")
            return
        line.buffer += block
        if line.length < 0:
            self._head(line)
        if 0 <= line.length <= len(line.buffer):
            self._done(line)

    def _head(self, line: _Line) -> None:
        end = line.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(line.buffer) > _BLOCK:
                self._fail(line, "an answer without an end of its head")
            return
        at = line.buffer.lower().find(b"\r\ncontent-length:", 0, end)
        if at < 0:
            # In pieces: it ends with an empty one. No server that answers one row has a reason to, but some do.
            line.length = len(line.buffer) if line.buffer.endswith(b"\r\n0\r\n\r\n") else -1
            return
        value = line.buffer[at + 17 : line.buffer.find(b"\r\n", at + 17)].strip()
        line.length = end + 4 + int(value) if value.isdigit() else 0

    def _done(self, line: _Line) -> None:
        took = (time.perf_counter() - line.began) * 1000
        data = bytes(line.buffer)
        head, _, body = data.partition(b"\r\n\r\n")
        status = head[9:12]
        if status != b"200":
            self.errors[f"an answer of {status.decode(errors='replace')}"] += 1
        elif wrong := self._wrong(line.place, head, body):
            self.errors[wrong] += 1
        else:
            self.times.append(took)
        if b"\r\nconnection: close" in head.lower():
            self._close(line)
        self._next(line)

    def _wrong(self, place: int, head: bytes, body: bytes) -> str:
        """Why an answer is not the one that this row gets without load; empty when it is."""
        if body == self.known[place]:
            return ""
        if b"\r\ntransfer-encoding: chunked" in head.lower():
            body = _unchunked(body)
        try:
            found = _values(Answer(200, body))
        except (AnswerError, json.JSONDecodeError) as error:
            return str(error)
        prediction, probability = self.expected[place]
        if not smoke.near(found[0], prediction) or not smoke.near(found[1], probability):
            return "another answer than the same row gets without load"
        self.known[place] = body
        return ""

    def _impatient(self, lines: Sequence[_Line]) -> None:
        """Gives up on what has not been answered in time, and on everything when the time is over."""
        now = time.perf_counter()
        over = time.monotonic() > self.until + PATIENCE
        for line in lines:
            if line.socket is not None and (over or now - line.began > PATIENCE):
                self._fail(line, f"no answer within {PATIENCE:g} seconds")

    def _fail(self, line: _Line, why: str) -> None:
        self.errors[why] += 1
        self._close(line)
        if sum(self.errors.values()) >= _ENOUGH or self.away >= _AWAY:
            self.left = 0  # it is known by now
        self._next(line)

    def _close(self, line: _Line) -> None:
        if line.socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(line.socket)
            line.socket.close()
            line.socket = None
        line.unsent = b""


def _unchunked(body: bytes) -> bytes:
    found, rest = b"", body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            return body
        if not length:
            break
        found, rest = found + rest[:length], rest[length + 2 :]
    return found


# -- what it says ------------------------------------------------------------------------------------------------------


def checks(measured: Measured) -> list[Check]:
    """That every request under load got its right answer. Errors are a `fail`, however fast the rest was."""
    title = f"answers under load ({measured.connections} at once)"
    count, wrong = len(measured.times), sum(measured.errors.values())
    verdict, reason = Verdict.PASS, ""
    if wrong:
        verdict = Verdict.FAIL
        worst = sorted(measured.errors.items(), key=lambda one: -one[1])[:3]
        said = "; ".join(f"{why.rstrip('.')} ({times:,} times)" for why, times in worst)
        reason = f"{wrong:,} of {count + wrong:,} requests failed: {said}."
    elif not count:
        verdict, reason = Verdict.ERROR, "No request was answered, so nothing is known of it under load."
    elif count < measured.asked:
        verdict = Verdict.INCONCLUSIVE
        reason = (
            f"Only {count:,} of {measured.asked:,} requests could be made in {measured.seconds:.0f} seconds. "
            "Ask for fewer in `image.load.requests`."
        )
    return [
        Check(
            id="image.load", title=title, group="image", verdict=verdict, reason=reason, rows=count + wrong,
            unexpected=wrong or None, expected="no error",
        )
    ]  # fmt: skip
