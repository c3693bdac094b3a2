"""What one connection may cost: octets of headers and body, and the time that a slow client may take."""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle, Transport
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mlgate.serving.refused import RefusedError

HEADERS = 32_768  # octets of the request line and all headers
HEADER_SECONDS = 10.0  # from the first octet of a request to the end of its headers; also from connecting to the first
STALLED_SECONDS = 30.0  # that a client may take to read what fills its buffers
_DISCARDED = 64_000_000  # octets of a refused body that are read, so that its sender sees the answer
_DISCARD_SECONDS = 5.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Protocol(HttpToolsProtocol):
    """uvicorn's, which waits for headers and holds them for as long and as large as a client likes."""

    _head = 0  # octets of the headers under way
    _waiting: TimerHandle | None = None
    _stalled: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        in_head = self.cycle is None or not self.cycle.more_body
        if in_head:
            if self._waiting is None:
                self._wait()
            # A body that comes with its headers is not counted: it is within what one read gives.
            if self._head + len(data) > HEADERS and b"\r\n\r\n" not in data[: HEADERS - self._head + 4]:
                self._refuse(431, b"The headers of the request are too large.")
                return
            self._head += len(data)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._head = 0
        self._stop_waiting()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, b"This is not HTTP.")

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_slow(self) -> None:
        self._waiting = None
        if self._head:
            self._refuse(408, b"The headers of the request took too long.")
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int, message: bytes) -> None:
        """An answer to what is no request yet; the connection ends with it."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        body = b'{"error":"%s"}' % message
        words = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, words[status], len(body), body)
        )
        # Closing with octets unread would take the answer back: what still comes is read for a moment, and dropped.
        self.transport.set_protocol(_Rest(self.transport, self))


class _Rest(asyncio.Protocol):
    """Reads and drops what a refused client still sends."""

    def __init__(self, transport: Transport, before: Protocol) -> None:
        self._transport = transport
        self._before = before
        self._left = _DISCARDED
        self._timer = asyncio.get_running_loop().call_later(_DISCARD_SECONDS, self._end)
        if transport.can_write_eof():
            transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._end()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._before.connection_lost(exc)

    def _end(self) -> None:
        self._timer.cancel()
        self._transport.close()


async def body(headers: dict[bytes, bytes], receive: Receive, *, most: int, seconds: float) -> bytes:
    """The body of a request. Raises RefusedError: 413 beyond `most`, 408 after `seconds`, 400 if it breaks off."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
            if message.get("more_body"):
                return await _rest(message, receive, most)
    except TimeoutError:
        raise RefusedError(408, f"The body did not arrive within {seconds:g} s.", close=True) from None
    if message["type"] == "http.disconnect":
        raise RefusedError(400, "The body broke off.", close=True)
    data: bytes = message.get("body", b"")
    if len(data) > most:
        raise _too_large(most)
    return data


async def _rest(first: Message, receive: Receive, most: int) -> bytes:
    parts, size, message = [], 0, first
    while True:
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "The body broke off.", close=True)
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


async def discard(receive: Receive) -> None:
    """Read what a refused client still sends, so that it sees the answer rather than a broken connection."""
    left = _DISCARDED
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"The body is larger than the {most} octets that are taken.", close=True)
