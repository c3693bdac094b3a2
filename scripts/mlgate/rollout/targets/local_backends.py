"""The servers that the preview router sends requests to: which of them answer, and connections that are used again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mlgate.rollout.targets import local_http as http
from mlgate.rollout.targets.local_servers import READY, Servers

# Servers close connections that nobody uses; long before they would, it is done here. So a connection that breaks is a
# server that broke, and is counted as that.
_IDLE = 1.0  # seconds
_CONNECT = 5.0
_PROBE = 5.0
Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LostError(Exception):
    """The server took the request and gave no whole answer, or could not be reached.

    `used`: on a connection that had been used before; a new one may work.
    """

    def __init__(self, message: str, *, used: bool) -> None:
        super().__init__(message)
        self.used = used


@dataclass
class Backend:
    """One server of a slot."""

    name: str
    host: str = ""
    port: int = 0
    ready: bool = False
    under_way: int = 0
    _idle: deque[tuple[Link, float]] = field(default_factory=deque)

    async def ask(self, request: http.Message) -> http.Message:
        """Its answer. Raises LostError. Not bounded in time."""
        self.under_way += 1
        link = self._unused()
        used = link is not None
        try:
            if link is None:
                async with asyncio.timeout(_CONNECT):
                    link = await asyncio.open_connection(self.host, self.port, limit=http.HEAD)
            answer, again = await _exchange(link, request)
            if again:
                self._idle.append((link, asyncio.get_running_loop().time()))
                link = None
        except (OSError, EOFError, TimeoutError, http.MessageError) as error:
            raise LostError(str(error), used=used) from error
        else:
            return answer
        finally:
            self.under_way -= 1
            if link is not None:
                link[1].close()

    async def probe(self) -> None:
        """Looks whether it is ready."""
        request = http.Message((b"GET", READY.encode(), b"HTTP/1.1"), [(b"Host", b"localhost")])
        try:
            async with asyncio.timeout(_PROBE):
                self.ready = (await self.ask(request)).start[1] == b"200"
        except (LostError, TimeoutError):
            self.ready = False

    def _unused(self) -> Link | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            link, since = self._idle.pop()
            if now - since < _IDLE and not link[0].at_eof() and not link[1].is_closing():
                return link
            link[1].close()
        return None

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[0][1].close()


async def _exchange(link: Link, request: http.Message) -> tuple[http.Message, bool]:
    reader, writer = link
    line = b" ".join((request.start[0], request.start[1], b"HTTP/1.1"))
    writer.write(http.written(line, request.headers, request.body))
    await writer.drain()
    while True:
        head = await http.read_head(reader)
        if head is None or not head.start[1].isdigit():
            raise EOFError("no answer")
        if head.start[1] >= b"200":
            break
    bare = request.start[0] == b"HEAD" or head.start[1] in {b"204", b"304"}
    length = 0 if bare else http.framing(head)
    body = await http.read_body(reader, length, to_the_end=True)
    return http.Message(head.start, head.headers, body), length is not None and head.persistent


class Backends:
    """All slots that have weight, or have had it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder  # of the environment
        self._slots: dict[str, dict[str, Backend]] = {}
        self._turn = 0

    async def look(self, slots: Collection[str]) -> None:
        """Finds the servers of these slots, and asks each whether it is ready."""
        probes = []
        for slot in slots:
            known, found = self._slots.get(slot, {}), {}
            for server in Servers(self._folder / "slots" / slot).staying():
                backend = known.pop(server.name, None) or Backend(server.name)
                if not backend.port:
                    parts = urlsplit(server.address)
                    backend.host, backend.port = parts.hostname or "", parts.port or 0
                found[server.name] = backend
                if backend.port:
                    probes.append(backend.probe())
            for gone in known.values():
                gone.close()
                if gone.under_way:  # it leaves when the last of them has its answer
                    gone.ready, gone.port = False, 0
                    found[gone.name] = gone
            self._slots[slot] = found
        for slot in [one for one, all_ in self._slots.items() if one not in slots and not _busy(all_)]:
            for backend in self._slots.pop(slot).values():
                backend.close()
        await asyncio.gather(*probes)

    def pick(self, slot: str, tried: Collection[Backend]) -> Backend | None:
        """The next one in turn that is ready; without any, one that has listened. None when all were tried."""
        left = [one for one in self._slots.get(slot, {}).values() if one.port and not any(one is t for t in tried)]
        ready = [one for one in left if one.ready] or left
        if not ready:
            return None
        self._turn += 1
        return ready[self._turn % len(ready)]

    def under_way(self) -> dict[str, dict[str, int]]:
        """Slot -> server -> requests that it has not answered yet."""
        return {slot: {one.name: one.under_way for one in all_.values()} for slot, all_ in self._slots.items()}


def _busy(backends: dict[str, Backend]) -> bool:
    return any(one.under_way for one in backends.values())
