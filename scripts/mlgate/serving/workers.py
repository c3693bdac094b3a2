"""Several processes at one port, and the one that watches them: starts them, replaces what hangs or dies, stops them.

The watching process imports nothing of the server, so that it costs a tenth of a worker.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

from mlgate.errors import MlgateError

READY, ALIVE, STUCK = b"r", b"a", b"s"
ALL = b"x"  # to a worker: the others stop too
BEAT = 1.0  # seconds between two signs of life of a worker
FD, CONTROL = "MLGATE_LISTEN_FD", "MLGATE_CONTROL_FD"  # how a worker finds the port and who watches it

_GRACE = 5.0  # seconds beyond `drain` before a worker is killed
_SLOWEST_START = 600.0  # seconds until a worker has to be ready: large models take their time
_BACKOFF = (0.1, 10.0)  # seconds before a worker that died is started again: doubled each time, up to the second
# The same packages as here, in the same order: a worker started with -m would lose what was put behind them.
_BOOT = (
    "import os, runpy, sys; sys.path[:] = os.environ['MLGATE_SYS_PATH'].split(os.pathsep); "
    "sys.argv[0] = 'mlgate.serving'; runpy.run_module('mlgate.serving', run_name='__main__')"
)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; nobody can connect until a worker is ready. Raises MlgateError when the port cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, proto)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        raise MlgateError(
            f"cannot listen on {host}:{port}: {error.strerror or error}.", fix="Choose another --port."
        ) from error
    sock.set_inheritable(True)
    return sock


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    control: socket.socket
    started: float
    ready: bool = False
    heard: float = 0.0
    leaving: float | None = None  # when it was told to stop
    replaces: _Worker | None = None
    successor: bool = False  # one is on its way


@dataclass
class Supervisor:
    """`count` workers on `sock`. `patience`: seconds without a sign of life after which a worker is killed."""

    sock: socket.socket
    count: int
    arguments: list[str]
    drain: float
    patience: float
    workers: list[_Worker] = field(default_factory=list)
    stopping: float | None = None
    backoff: float = _BACKOFF[0]
    again: list[float] = field(default_factory=list)  # when a worker that died is started again

    def run(self) -> int:
        """Until it is told to stop, or no worker can be started. The exit code."""
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            self._selector = selector
            selector.register(wake, selectors.EVENT_READ, None)
            for _ in range(self.count):
                self._start()
            while True:
                for key, _ in selector.select(0.25):
                    if key.data is None:
                        with suppress(BlockingIOError):
                            numbers = wake.recv(4096)
                            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                                self._stop()
                    else:
                        self._hear(key.data)
                code = self._look(time.monotonic())
                if code is not None:
                    return code

    # -- workers -----------------------------------------------------------------------------------------------------

    def _start(self, replaces: _Worker | None = None) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.set_inheritable(True)
        environ = {
            **os.environ,
            FD: str(self.sock.fileno()),
            CONTROL: str(theirs.fileno()),
            "MLGATE_SYS_PATH": os.pathsep.join(sys.path),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, *self.arguments], env=environ,
            pass_fds=(self.sock.fileno(), theirs.fileno()), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        worker = _Worker(process, ours, time.monotonic(), replaces=replaces)
        worker.heard = worker.started
        self.workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.control.recv(4096)
        except (BlockingIOError, ConnectionError):
            return
        worker.heard = time.monotonic()
        if not said:
            self._selector.unregister(worker.control)
            return
        if READY in said and not worker.ready:
            worker.ready = True
            self.backoff = _BACKOFF[0]
            if worker.replaces is not None:
                self._tell(worker.replaces)
        if STUCK in said and not worker.successor and worker.leaving is None and self.stopping is None:
            _say(f"worker {worker.process.pid}: the model did not return; the worker is replaced")
            worker.successor = True
            self._start(replaces=worker)

    def _tell(self, worker: _Worker) -> None:
        """Tell it to finish what is under way and to stop."""
        if worker.leaving is None:
            worker.leaving = time.monotonic()
            with suppress(OSError):
                worker.process.send_signal(signal.SIGTERM)

    def _stop(self) -> None:
        if self.stopping is None:
            self.stopping = time.monotonic()
            self.sock.close()  # the workers hold it; with the last of them it ends
        for worker in self.workers:
            with suppress(OSError):
                worker.control.send(ALL)
            self._tell(worker)

    def _look(self, now: float) -> int | None:
        """Bury the dead, kill the deaf, start again; the exit code once all is over."""
        for worker in list(self.workers):
            code = worker.process.poll()
            if code is None:
                self._watch(worker, now)
                continue
            self.workers.remove(worker)
            with suppress(KeyError, ValueError):
                self._selector.unregister(worker.control)
            worker.control.close()
            over = self._buried(worker, code, now)
            if over is not None:
                return over
        if self.stopping is not None:
            return 0 if not self.workers else None
        due = [when for when in self.again if when <= now]
        self.again = [when for when in self.again if when > now]
        for _ in due:
            self._start()
        return None

    def _watch(self, worker: _Worker, now: float) -> None:
        if worker.leaving is not None:
            if now - worker.leaving > self.drain + _GRACE:
                _say(f"worker {worker.process.pid} did not stop within {self.drain + _GRACE:g} s; it is killed")
                worker.process.kill()
        elif now - worker.heard > (self.patience if worker.ready else _SLOWEST_START):
            _say(f"worker {worker.process.pid} gave no sign of life for {now - worker.heard:.0f} s; it is killed")
            worker.process.kill()
            worker.heard = now

    def _buried(self, worker: _Worker, code: int, now: float) -> int | None:
        if self.stopping is not None or worker.leaving is not None:
            return None
        if worker.replaces is not None and not worker.ready:  # the one that hangs goes on as long as it can
            worker.replaces.successor = False
            return None
        if not worker.ready and self.count == len(self.workers) + 1 and not any(w.ready for w in self.workers):
            # It has said why. The others would say the same.
            for other in self.workers:
                other.process.kill()
            for other in self.workers:
                other.process.wait()
            return code if code > 0 else 1
        if not worker.successor:
            _say(f"worker {worker.process.pid} ended with {code}; another one is started")
            self.again.append(now + self.backoff)
            self.backoff = min(2 * self.backoff, _BACKOFF[1])
        return None


def _say(message: str) -> None:
    sys.stderr.write(f"mlgate: {message}\n")
    sys.stderr.flush()
