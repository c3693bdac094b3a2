"""As much of HTTP/1.1 as a router needs: whole messages, read strictly, so that all agree where each one ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

HEAD = 65_536  # octets of a request line with its headers
BODY = 64_000_000
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
# Of one connection, not of the message; RFC 9110, 7.6.1.
_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"content-length", b"expect",
}  # fmt: skip
Headers = list[tuple[bytes, bytes]]


class MessageError(Exception):
    """What came is no message that can be passed on. `status`: what to answer, when it was a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Message:
    """`start`: the three words of the first line. Names of headers as they came; `get` knows them in lower case."""

    start: tuple[bytes, bytes, bytes]
    headers: Headers
    body: bytes = b""

    def get(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def persistent(self) -> bool:
        """Whether the connection stays open after it."""
        version = self.start[0] if self.start[0].startswith(b"HTTP/") else self.start[2]
        words = (self.get(b"connection") or b"").lower()
        return b"keep-alive" in words if version == b"HTTP/1.0" else b"close" not in words

    def passed(self, more: Iterable[tuple[bytes, bytes]] = ()) -> Headers:
        """The headers for the other side."""
        named = {word.strip() for word in (self.get(b"connection") or b"").lower().split(b",")}
        return [*((k, v) for k, v in self.headers if k.lower() not in _HOP | named), *more]


async def read_head(reader: asyncio.StreamReader) -> Message | None:
    """The next message without its body; None when the other side has closed between messages."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial.strip():
            return None
        raise MessageError(400, "the message ends in its head") from None
    except asyncio.LimitOverrunError:
        raise MessageError(431, "the headers are too long") from None
    first, *lines = raw[:-4].lstrip(b"\r\n").split(b"\r\n")
    words = first.split(b" ", 2)
    if len(words) != 3:
        words = [*words, b""] if len(words) == 2 and words[0].startswith(b"HTTP/") else []
    if not words:
        raise MessageError(400, "the first line is none of HTTP/1.1")
    headers: Headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.match(name) or b"\n" in value or b"\r" in value or b"\0" in value:
            raise MessageError(400, "a header is not well-formed")
        headers.append((name, value.strip(b" \t")))
    return Message((words[0], words[1], words[2]), headers)


def framing(message: Message) -> int | None:
    """The length of the body; -1: in chunks; None: not said."""
    coded = [value.lower() for name, value in message.headers if name.lower() == b"transfer-encoding"]
    lengths = {value for name, value in message.headers if name.lower() == b"content-length"}
    if coded:
        if coded != [b"chunked"] or lengths:
            raise MessageError(400 if lengths else 501, "the length of the body is not clear")
        return -1
    if not lengths:
        return None
    (length, *others) = lengths
    if others or not re.fullmatch(rb"[0-9]{1,18}", length):
        raise MessageError(400, "the length of the body is not clear")
    return int(length)


async def read_body(reader: asyncio.StreamReader, length: int | None, *, to_the_end: bool = False) -> bytes:
    """`to_the_end`: without a length the body lasts until the connection closes. Raises MessageError, and
    IncompleteReadError where it ends too early."""
    if length is None:
        return await _until_closed(reader) if to_the_end else b""
    if length >= 0:
        if length > BODY:
            raise MessageError(413, f"the body is larger than {BODY} octets")
        return await reader.readexactly(length)
    parts, size = [], 0
    while True:
        number = (await _line(reader)).split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", number):
            raise MessageError(400, "a chunk has no length")
        many = int(number, 16)
        size += many
        if size > BODY:
            raise MessageError(413, f"the body is larger than {BODY} octets")
        if not many:
            break
        parts.append(await reader.readexactly(many))
        if await reader.readexactly(2) != b"\r\n":
            raise MessageError(400, "a chunk does not end where it should")
    while await _line(reader):
        pass  # trailers
    return b"".join(parts)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n"))[:-2]
    except asyncio.LimitOverrunError:
        raise MessageError(400, "a line is too long") from None


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    parts, size = [], 0
    while block := await reader.read(1 << 16):
        parts.append(block)
        size += len(block)
        if size > BODY:
            raise MessageError(413, f"the body is larger than {BODY} octets")
    return b"".join(parts)


def written(start: bytes, headers: Headers, body: bytes, *, length: bool = True) -> bytes:
    """A whole message; `length`: whether its length is said."""
    lines = [start, *(b"%b: %b" % one for one in headers)]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
