"""One process that answers: loads the model, listens, and tells who watches it that it is alive."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn

from mlgate.serving import app as application
from mlgate.serving import silence
from mlgate.serving.limits import Protocol
from mlgate.serving.settings import Settings
from mlgate.serving.workers import ALIVE, ALL, BEAT, READY, STUCK

_KEEP_ALIVE = 75  # seconds; longer than what load balancers keep, which then are the ones that close
_HANDSHAKE = 0.05  # seconds in which connections that are half made become whole
_QUIET = 1.0  # seconds without a connection after which a server that was told to stop does


class Server(uvicorn.Server):
    """Stops in two steps: it goes on for a while, closing connections as it answers, then it hears no more.

    A server that closes at once loses the requests that were on their way to it.
    """

    def __init__(self, config: uvicorn.Config, app: application.App, control: socket.socket, sock: socket.socket):
        super().__init__(config)
        self._app = app
        self._control = control
        self._sock = sock
        self._linger = app.settings.drain / 4
        self._told: float | None = None
        self._busy = 0.0
        self._beat = 0.0
        self._answered = 0
        self._all = False  # every worker stops, not this one alone

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._app.replace = lambda: self._say(STUCK)
        loop.add_reader(self._control.fileno(), self._told_so)
        self._say(READY)

    async def on_tick(self, counter: int) -> bool:
        asked = await super().on_tick(counter)
        now = time.monotonic()
        if now - self._beat >= BEAT:
            self._beat = now
            self._say(ALIVE)
        if not asked:
            return False
        if self._told is None:
            self._told = self._busy = now
            self._app.draining = True
        if self.server_state.connections or self.server_state.total_requests != self._answered:
            self._busy = now
            self._answered = self.server_state.total_requests
        return self.force_exit or now - self._told >= self._linger or now - self._busy >= min(_QUIET, self._linger)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._all:  # a worker that is only replaced leaves the port to the others
            silence.drop_knocks(self._sock)
            await asyncio.sleep(_HANDSHAKE)
        self._take_the_last()
        await super().shutdown(sockets)

    def _take_the_last(self) -> None:
        """Connections that wait to be accepted would be broken off with the socket."""
        loop = asyncio.get_running_loop()

        def protocol() -> Any:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )

        self._last: list[asyncio.Task[Any]] = []
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._sock.accept()
                connection.setblocking(False)
                self._last.append(loop.create_task(loop.connect_accepted_socket(protocol, connection)))

    def _told_so(self) -> None:
        """That all workers stop; or who watched this one is gone, and nobody would stop it any more."""
        with contextlib.suppress(OSError):
            if said := self._control.recv(64):
                self._all = self._all or ALL in said
                return
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self.should_exit = True

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._control.send(word)


def run(settings: Settings, model: Path, *, environment: str, log_level: str, listen: int, control: int) -> int:
    """Until it is told to stop. Raises MlgateError when the model does not load."""
    sock, watched = socket.socket(fileno=listen), socket.socket(fileno=control)
    for one in (sock, watched):
        one.setblocking(False)
        one.set_inheritable(False)
    logging.basicConfig(stream=sys.stderr, level=log_level.upper(), format="mlgate: %(message)s")
    app = application.create(settings, model, environment=environment)
    # What is there now stays: without this the collector looks through all of the model's packages, again and again.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app, http=Protocol, loop="uvloop", ws="none", lifespan="on", access_log=False, log_config=None,
        log_level=log_level, server_header=False, proxy_headers=False, timeout_keep_alive=_KEEP_ALIVE, backlog=2048,
        timeout_graceful_shutdown=max(1, round(settings.drain)),
    )  # fmt: skip
    server = Server(config, app, watched, sock)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[sock])
    sys.stdout.flush()
    # A call of the model that never returned would keep the interpreter from ending.
    os._exit(0 if server.started else 2)
