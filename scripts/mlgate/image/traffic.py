"""Requests to a server from this process: so many in a second, or by so many callers who wait for their answers.

    seen = traffic.press(url, requests, Pressure(rate=200, duration=30))

With a rate a request begins when it is due, whether or not those before it were answered, and its time counts from the
moment at which it was due: a server that stands still makes everybody wait who would have come meanwhile, and each of
them is in the percentiles. With connections a caller asks again when it has its answer, so a server that stands still
is asked less often, and the percentiles say nothing of those who never came.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence

from mlgate.errors import MlgateError
from mlgate.image.answers import BrokenError, Parser, Whole
from mlgate.image.pressed import Pressure, Request, Seen, address, quantile

_LOOK = 0.05  # seconds between two looks for what was not answered in time
_IDLE = 2.0  # seconds after which a connection is not used again; servers keep one for 5 and more
_HOPELESS = 1000  # errors without a single good answer, after which it is known


def press(url: str, requests: Sequence[Request], pressure: Pressure, *, stop: Callable[[], bool] | None = None) -> Seen:
    """The requests in turn, until the time is over or `stop` says so. Raises MlgateError for an address that is none.

    A server that is not there is no exception: every request is an error, and it ends early.
    """
    return asyncio.run(_Press(url, requests, pressure, stop or (lambda: False)).run())


class _Line(asyncio.Protocol):
    """One connection, with one request under way or none."""

    def __init__(self, press: _Press) -> None:
        self.press = press
        self.transport: asyncio.Transport | None = None
        self.parser = Parser()
        self.due = 0.0  # of the request under way; 0 where there is none
        self.which = 0
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- of a TCP connection
        self.transport = transport

    def send(self, which: int, due: float) -> None:
        assert self.transport is not None  # noqa: S101 -- it was made before anything is sent
        self.which, self.due = which, due
        self.transport.write(self.press.octets[which])

    def data_received(self, data: bytes) -> None:
        try:
            for whole in self.parser.feed(data):
                if not self.due:
                    raise BrokenError("an answer that nobody asked for")
                self.press.answered(self, whole)
        except BrokenError as error:
            self.give_up(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            whole = self.parser.end()
        except BrokenError as error:
            self.press.lost(self, str(error))
            return
        if whole is not None and self.due:
            self.press.answered(self, whole)
        said = f"the connection broke ({_why(exc)})" if exc else "the connection was closed without an answer"
        self.press.lost(self, said)

    def give_up(self, why: str) -> None:
        self.press.lost(self, why)
        if self.transport is not None:
            self.transport.abort()


class _Press:
    """All connections, and who has to ask next."""

    def __init__(self, url: str, requests: Sequence[Request], pressure: Pressure, stop: Callable[[], bool]) -> None:
        self.host, self.port, self.secure, host = address(url)
        if (pressure.rate is None) == (pressure.connections is None) or not requests:
            raise MlgateError("load needs a request, and either a rate or a number of connections.")
        self.requests, self.octets = requests, [one.octets(host) for one in requests]
        self.pressure, self.stop, self.seen = pressure, stop, Seen(pressure)
        self.lines: set[_Line] = set()
        self.idle: list[_Line] = []
        self.waiting: deque[tuple[int, float]] = deque()  # requests that no connection was free for, and their due
        self.opening: set[asyncio.Task[None]] = set()
        self.turn = 0
        self.clock = time.perf_counter
        self.until = 0.0
        self.last = 0.0  # answer
        self.context = ssl.create_default_context() if self.secure else None

    async def run(self) -> Seen:
        began = self.last = self.clock()
        self.until = began + self.pressure.duration
        if self.pressure.rate is not None:
            await self._by_rate(began, self.pressure.rate)
        else:
            await self._by_callers(self.pressure.connections or 1)
        while (self._busy() or self.waiting) and not self._over():
            self._impatient()
            await asyncio.sleep(_LOOK)
        await self._close()
        self.seen.seconds = max(self.last - began, 1e-9)
        for values in (self.seen.times, self.seen.late):
            values[:] = array("d", sorted(values))
        return self.seen

    async def _by_rate(self, began: float, rate: float) -> None:
        """Each request when it is due. This process may be late itself, which is kept apart and in its time."""
        number, total = 0, max(1, round(rate * self.pressure.duration))
        looked = began
        while number < total and not self._over():
            now = self.clock()
            while number < total and (due := began + number / rate) <= now:
                self.seen.late.append(now - due)
                self._ask(due)
                number += 1
            if now - looked > _LOOK:
                self._impatient()
                looked = now
            await asyncio.sleep(min(max(0.0, began + number / rate - self.clock()), _LOOK))

    async def _by_callers(self, count: int) -> None:
        for _ in range(count):
            self._open(*self._next())
        while self.clock() < self.until and not self._over():
            self._impatient()
            await asyncio.sleep(_LOOK)

    def _next(self) -> tuple[int, float]:
        self.turn = (self.turn + 1) % len(self.requests)
        return self.turn, self.clock()

    def _ask(self, due: float) -> None:
        which, _ = self._next()
        if (line := self._fresh()) is not None:
            line.send(which, due)
        elif len(self.lines) + len(self.opening) < self.pressure.most:
            self._open(which, due)
        else:
            self.waiting.append((which, due))

    def _fresh(self) -> _Line | None:
        """An idle connection that the server has no reason yet to have closed: which it may do at any moment."""
        while self.idle:
            line = self.idle.pop()
            if self.clock() - line.idle_since < _IDLE:
                return line
            self.lines.discard(line)
            if line.transport is not None:
                line.transport.close()
        return None

    def _open(self, which: int, due: float) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(which, due))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def _connect(self, which: int, due: float) -> None:
        """A new connection for a request. Its making is a part of the time of a request that was due before."""
        closed = self.pressure.connections is not None
        try:
            async with asyncio.timeout(self.pressure.timeout):
                _, line = await asyncio.get_running_loop().create_connection(
                    lambda: _Line(self), self.host, self.port, ssl=self.context
                )
        except TimeoutError:
            self._error(f"no connection within {self.pressure.timeout:g} seconds")
            self._count(due)
        except (OSError, ssl.SSLError) as error:
            self._error(f"no connection ({_why(error)})")
            if closed and self.clock() < self.until and not self._over():
                await asyncio.sleep(_LOOK)  # nobody is helped by a caller who asks again at once
                self._open(*self._next())
        else:
            self.lines.add(line)
            self.seen.connections = max(self.seen.connections, len(self.lines))
            line.send(which, self.clock() if closed else due)

    # -- what came ---------------------------------------------------------------------------------------------------

    def answered(self, line: _Line, whole: Whole) -> None:
        request, due, line.due = self.requests[line.which], line.due, 0.0
        self.last = self.clock()
        if not 200 <= whole.status < 300:
            self._error(f"an answer of {whole.status}")
        elif request.wrong is not None and (why := request.wrong(whole.body)):
            self._error(why)
        else:
            self.seen.good += 1
            self.seen.times.append(self.last - due)
        if whole.close:
            self.lines.discard(line)
            if line.transport is not None:
                line.transport.close()
            self._again(None)
        else:
            self._again(line)

    def lost(self, line: _Line, why: str) -> None:
        """A connection that is of no more use: with the request under way on it, if there was one."""
        if line in self.idle:
            self.idle.remove(line)
        if line not in self.lines:
            return
        self.lines.discard(line)
        if line.due:
            line.due = 0.0
            self.last = self.clock()
            self._error(why)
            self._again(None)
        elif self.pressure.connections is not None:
            self._again(None)

    def _again(self, line: _Line | None) -> None:
        """What a connection does next, or, where it is gone, another in its place."""
        if self.pressure.connections is not None:
            if self.clock() < self.until and not self._over():
                which, now = self._next()
                if line is None:
                    self._open(which, now)
                else:
                    line.send(which, now)
            return
        if self.waiting:
            which, due = self.waiting.popleft()
            if line is None:
                self._open(which, due)
            else:
                line.send(which, due)
        elif line is not None:
            line.idle_since = self.clock()
            self.idle.append(line)

    def _impatient(self) -> None:
        """Gives up on what was not answered in time."""
        now, patience = self.clock(), self.pressure.timeout
        for line in [one for one in self.lines if one.due and now - one.due > patience]:
            self._count(line.due)
            line.give_up(f"no answer within {patience:g} seconds")
        while self.waiting and now - self.waiting[0][1] > patience:
            _, due = self.waiting.popleft()
            self._count(due)
            self._error(f"no answer within {patience:g} seconds")

    def _count(self, due: float) -> None:
        """A request that was given up took at least so long: without it a percentile would look better than it was."""
        self.seen.times.append(self.clock() - due)

    def _error(self, why: str) -> None:
        self.seen.errors[why] += 1

    def _busy(self) -> bool:
        return bool(self.opening) or any(line.due for line in self.lines)

    def _over(self) -> bool:
        """Whether to end before the time: nobody wants it any more, or nothing will come of it."""
        if not self.seen.stopped:
            self.seen.stopped = self.stop() or (self.seen.wrong >= _HOPELESS and not self.seen.good)
        return self.seen.stopped

    async def _close(self) -> None:
        for task in list(self.opening):
            task.cancel()
        if self.opening:
            await asyncio.gather(*self.opening, return_exceptions=True)
        for line in list(self.lines):
            self.lines.discard(line)
            if line.transport is not None:
                line.transport.abort()
        await asyncio.sleep(0)


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


__all__ = ["Pressure", "Request", "Seen", "address", "press", "quantile"]
