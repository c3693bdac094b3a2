"""Answers of HTTP/1.1 as they come over one connection, in whatever pieces. Pure.

parser.feed(octets)          # -> the answers that are whole by now
parser.end()                 # the connection was closed: the answer that this has ended, if any
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = 1 << 16  # octets
_NOTHING = frozenset({204, 304})  # statuses without a body, whatever the head says


class BrokenError(Exception):
    """What came is no answer of HTTP/1.1. The sentence says why."""


@dataclass(frozen=True)
class Whole:
    """One answer. `close`: no other will come on this connection."""

    status: int
    body: bytes
    close: bool


class Parser:
    """Of one connection, on which one request at a time is under way."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._status = 0  # of the answer whose head is known; 0 between two answers
        self._close = False
        self._length: int | None = None  # of its body; None: until the connection is closed
        self._chunked = False
        self._body = bytearray()  # of chunks so far

    def feed(self, octets: bytes) -> Iterator[Whole]:
        """Raises BrokenError."""
        self._data += octets
        while (found := self._next()) is not None:
            yield found

    def end(self) -> Whole | None:
        """Raises BrokenError for an answer that was cut off."""
        if self._status and self._length is None and not self._chunked:
            return self._whole(bytes(self._data))
        if self._status or self._data:
            raise BrokenError("the connection was closed within an answer")
        return None

    def _next(self) -> Whole | None:
        while not self._status:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > _HEAD:
                    raise BrokenError("an answer without an end of its head")
                return None
            self._head(bytes(self._data[:end]))
            del self._data[: end + 4]
        if self._chunked:
            return self._chunk()
        if self._length is None or len(self._data) < self._length:
            return None
        body = bytes(self._data[: self._length])
        del self._data[: self._length]
        return self._whole(body)

    def _head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        words = first.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise BrokenError("an answer that is not HTTP/1.1")
        status = int(words[1])
        if 100 <= status < 200:
            return  # another head follows
        self._status, self._length, self._chunked = status, None, False
        self._close = words[0] == b"HTTP/1.0"
        for line in lines:
            name, _, value = line.partition(b":")
            name, value = name.strip().lower(), value.strip().lower()
            if name == b"content-length":
                if not value.isdigit():
                    raise BrokenError("an answer whose length is no number")
                self._length = int(value)
            elif name == b"transfer-encoding":
                self._chunked = value.endswith(b"chunked")
            elif name == b"connection":
                self._close = value == b"close" or (self._close and value != b"keep-alive")
        if status in _NOTHING:
            self._length, self._chunked = 0, False

    def _chunk(self) -> Whole | None:
        while True:
            end = self._data.find(b"\r\n")
            if end < 0:
                return None
            try:
                size = int(bytes(self._data[:end]).split(b";")[0], 16)
            except ValueError:
                raise BrokenError("an answer in pieces whose size is no number") from None
            if size:
                if len(self._data) < end + 2 + size + 2:
                    return None
                self._body += self._data[end + 2 : end + 2 + size]
                del self._data[: end + 2 + size + 2]
                continue
            last = self._data.find(b"\r\n\r\n", end)  # trailers, of which there mostly are none
            if last < 0:
                return None
            body = bytes(self._body)
            self._body.clear()
            del self._data[: last + 4]
            return self._whole(body)

    def _whole(self, body: bytes) -> Whole:
        found = Whole(self._status, body, self._close or (self._length is None and not self._chunked))
        self._status = 0
        return found
