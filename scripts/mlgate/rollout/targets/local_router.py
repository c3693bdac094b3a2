"""The preview router: `python -m mlgate.rollout.targets.local_router --folder F --bind 127.0.0.1 --port 8080`.

One process of the standard library for laptops and dry runs. It splits requests by weights that it reads from a file,
so that they are there again when it is started again, sends what one server has lost to another, and logs each request.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import hmac
import json
import os
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.rollout.targets import local_http as http
from mlgate.rollout.targets.local_access import Log
from mlgate.rollout.targets.local_backends import Backend, Backends, LostError
from mlgate.rollout.targets.local_kept import read_json, write_json
from mlgate.rollout.targets.local_share import Share

WEIGHTS, ROUTER, ACCESS = "weights.json", "router.json", "access.jsonl"
_LOOK = 0.5  # seconds between two looks at the servers
_QUIET = 75.0  # seconds that a connection may say nothing
_UPLOAD = 60.0  # seconds for the body of a request
# Asked by those who watch, not by callers: they are answered and not counted.
_WATCHING = ("/health", "/ping", "/metrics", "/version", "/openapi.json", "/docs", "/v2/health")


class Router:
    """`folder`: of the environment."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "router" / WEIGHTS
        self._token = secrets.token_hex(16)
        self._backends = Backends(folder)
        self._log = Log(folder / "router" / ACCESS, _salt(folder / "router" / "salt"))
        self._share, self._sticky, self._timeout, self.generation = Share({}), b"", 10.0, ""
        self._under_way: dict[object, float] = {}  # since when (seconds since 1970), in the order they came
        self.stopping = False
        self.began = time.time()

    # -- what the target says to it -----------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Takes the weights of the file, once it knows which servers there are."""
        told = read_json(self._file)
        weights = {str(slot): float(weight) for slot, weight in told.get("weights", {}).items()}
        await self._backends.look([slot for slot, weight in weights.items() if weight > 0])
        if weights != self._share.weights:
            self._share = Share(weights)
        self._sticky = str(told.get("sticky") or "").lower().encode()
        self._timeout = float(told.get("timeout") or 10.0)
        self.generation = str(told.get("generation", ""))

    def status(self) -> dict[str, Any]:
        return {
            "generation": self.generation, "weights": self._share.weights, "under_way": self._backends.under_way(),
            "oldest": next(iter(self._under_way.values()), None), "dropped": self._log.dropped, "began": self.began,
        }  # fmt: skip

    async def told(self, request: http.Message) -> http.Message:
        """The answer at the port that only the target knows."""
        if not hmac.compare_digest(request.get(b"authorization") or b"", f"Bearer {self._token}".encode()):
            return _own(403, "this port is not for you")
        if request.start[:2] == (b"POST", b"/reload"):
            await self.reload()
        return _reply(200, json.dumps(self.status()).encode())

    async def tend(self) -> None:
        """Looks after the servers, for ever."""
        while True:
            await asyncio.sleep(_LOOK)
            await self._backends.look(list(self._share.weights))

    # -- what callers say to it ---------------------------------------------------------------------------------------

    async def answered(self, request: http.Message) -> http.Message:
        """The answer of a server, or one of our own: 502 when none gave any, 503 without one, 504 when it was late."""
        caller = (request.get(self._sticky) or b"").decode("latin-1") if self._sticky else ""
        at, began, lost = time.time(), time.monotonic(), list[str]()
        key = object()
        self._under_way[key] = at
        slot = ""
        try:
            first = self._share.of(caller) if caller else self._share.next()
            try:
                async with asyncio.timeout(self._timeout):
                    slot, answer = await self._tried(request, first, lost)
            except TimeoutError:
                answer = _own(504, f"No model answered within {self._timeout:g} s.")
            path = request.start[1].partition(b"?")[0].decode("latin-1")
            if request.start[0] not in {b"GET", b"HEAD"} or not path.startswith(_WATCHING):
                self._log.write(
                    slot=slot, at=at, seconds=time.monotonic() - began, status=int(answer.start[1]),
                    lost=list(dict.fromkeys(lost)), caller=caller,
                )  # fmt: skip
            return answer
        finally:
            del self._under_way[key]

    async def _tried(self, request: http.Message, slot: str, lost: list[str]) -> tuple[str, http.Message]:
        """Which slot answered, and what. `lost` grows by each that did not; the one being asked is in it meanwhile."""
        tried: list[Backend] = []
        gone: set[str] = set()
        while slot:
            backend = self._backends.pick(slot, tried)
            if backend is None:
                if slot not in lost:  # nothing of it listens
                    lost.append(slot)
                gone.add(slot)
                slot = self._share.instead(gone)
                continue
            lost.append(slot)
            try:
                answer = await backend.ask(request)
            except LostError as error:
                if error.used:  # once more, on a new connection; it stays an error of this slot
                    backend.close()
                else:
                    backend.ready = False
                    tried.append(backend)
                continue
            lost.pop()
            return slot, answer
        return "", _own(502, "No model gave an answer.") if lost else _own(503, "No model is deployed here.")

    async def caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        more = [(b"X-Forwarded-For", str(peer[0]).encode())] if peer else []

        async def pass_on(request: http.Message) -> http.Message:
            known = request.get(b"x-forwarded-for")
            named = [(k, v) for k, v in request.passed() if k.lower() != b"x-forwarded-for"]
            both = [(k, b", ".join((known, v)) if known else v) for k, v in more]
            return await self.answered(http.Message(request.start, [*named, *both], request.body))

        await self._serve(reader, writer, pass_on)

    async def admin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(reader, writer, self.told)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Any) -> None:
        try:
            while not self.stopping:
                try:
                    request = await _received(reader, writer)
                    if request is None:
                        break
                    reply = await answer(request)
                    last = not request.persistent or self.stopping
                except http.MessageError as error:
                    request, reply, last = None, _own(error.status, str(error)), True
                writer.write(_sent(request, reply, last=last))
                await writer.drain()
                if last:
                    break
        except (OSError, EOFError, TimeoutError):
            pass  # the other side has gone
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    # -- its life -----------------------------------------------------------------------------------------------------

    async def run(self, bind: str, port: int, drain: float) -> None:
        """Until SIGTERM. Raises MlgateError when the port is taken."""
        await self.reload()
        try:
            public = await asyncio.start_server(self.caller, bind, port, limit=http.HEAD, backlog=1024)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise MlgateError(
                f"port {port} of {bind} " + ("is taken by another program." if taken else f"cannot be had ({error})."),
                fix="Stop that program, or choose another port for this environment.",
            ) from error
        admin = await asyncio.start_server(self.admin, "127.0.0.1", 0, limit=http.HEAD)
        over = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
        path = self._file.with_name(ROUTER)
        write_json(path, {
            "pid": os.getpid(), "admin": admin.sockets[0].getsockname()[1], "token": self._token, "bind": bind,
            "port": port, "began": self.began, "runs": int(read_json(path).get("runs", 0)) + 1,
        })  # fmt: skip
        tending = asyncio.create_task(self.tend())
        await over.wait()
        self.stopping = True
        public.close()
        end = time.monotonic() + drain
        while self._under_way and time.monotonic() < end:
            await asyncio.sleep(0.01)
        tending.cancel()


async def _received(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> http.Message | None:
    async with asyncio.timeout(_QUIET):
        head = await http.read_head(reader)
    if head is None:
        return None
    if head.start[2] not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise http.MessageError(505, "only HTTP/1.1 is spoken here")
    length = http.framing(head)
    if (head.get(b"expect") or b"").lower() == b"100-continue" and (length or 0) <= http.BODY:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async with asyncio.timeout(_UPLOAD):
        return http.Message(head.start, head.headers, await http.read_body(reader, length))


def _sent(request: http.Message | None, reply: http.Message, *, last: bool) -> bytes:
    more = [(b"Connection", b"close")] if last else []
    bare = reply.start[1] in {b"204", b"304"} or (request is not None and request.start[0] == b"HEAD")
    length = reply.get(b"content-length")
    if bare and length is not None and reply.start[1] != b"204":
        more.append((b"Content-Length", length))
    line = b" ".join((b"HTTP/1.1", *reply.start[1:]))
    return http.written(line, reply.passed(more), b"" if bare else reply.body, length=not bare)


def _own(status: int, message: str) -> http.Message:
    return _reply(status, json.dumps({"error": message}).encode())


def _reply(status: int, body: bytes) -> http.Message:
    return http.Message(
        (b"HTTP/1.1", str(status).encode(), b"OK" if status == 200 else b"Error"),
        [(b"Content-Type", b"application/json")], body,
    )  # fmt: skip


def _salt(path: Path) -> bytes:
    """The key under which callers are hashed in the log: random, and of this environment alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mlgate.rollout.targets.local_router", description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--bind", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--drain", default=20.0, type=float, help="seconds for what is under way after SIGTERM")
    asked = parser.parse_args(arguments)
    try:
        asyncio.run(Router(Path(asked.folder)).run(asked.bind, asked.port, asked.drain))
    except MlgateError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
