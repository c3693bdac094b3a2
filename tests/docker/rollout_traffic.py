"""Callers: threads that ask for predictions and remember who answered what, and `wrk` for many at once."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from engine.machine import needs


@dataclass
class Callers:
    """`counts[name, status]`; status 0: no answer. `at` is when each name answered last."""

    url: str
    threads: int = 4
    rate: float = 0.0  # requests per second of all; 0: as fast as they are answered
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    at: dict[str, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _all: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Callers:
        self._all = [threading.Thread(target=self._call, daemon=True) for _ in range(self.threads)]
        for one in self._all:
            one.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for one in self._all:
            one.join(30)

    @property
    def failed(self) -> int:
        return sum(many for (_, status), many in self.counts.items() if status != 200)

    def bad(self, name: str) -> int:
        return sum(many for (one, status), many in self.counts.items() if one == name and status != 200)

    def total(self) -> int:
        return sum(self.counts.values())

    def _call(self) -> None:
        parts = urlsplit(self.url)
        link: http.client.HTTPConnection | None = None
        due = time.monotonic()
        while not self._over.is_set():
            link = link or http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
            try:
                link.request("POST", "/predict", b"{}", {"Content-Type": "application/json"})
                answer = link.getresponse()
                body = answer.read()
                name, status = str(json.loads(body).get("name", "")), answer.status
                if answer.will_close:
                    link.close()
                    link = None
            except (OSError, http.client.HTTPException, ValueError):
                name, status = "", 0
                if link is not None:
                    link.close()
                link = None
            with self._lock:
                self.counts[name, status] += 1
                self.at[name] = time.monotonic()
            if self.rate:
                due += self.threads / self.rate
                time.sleep(max(0.0, due - time.monotonic()))
        if link is not None:
            link.close()


@dataclass(frozen=True)
class Pressed:
    """What `wrk` saw."""

    requests: int
    failed: int
    said: str


class Wrk:
    """`with Wrk(url) as load: ...; load.end()`."""

    def __init__(self, url: str, *, connections: int = 16) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as file:  # which it reads in every thread
            file.write('wrk.method = "POST"; wrk.body = "{}"\nwrk.headers["Content-Type"] = "application/json"\n')
        self._script = Path(file.name)
        self._process = subprocess.Popen(
            [needs("wrk"), "-t1", f"-c{connections}", "-d3600s", "--timeout", "20s", "-s", file.name, f"{url}/predict"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Wrk:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._script.unlink()

    def end(self) -> Pressed:
        """Asks no more, and says what became of it."""
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=60)
        return read_wrk(said)


def read_wrk(said: str) -> Pressed:
    """Requests, and those without a good answer: other statuses, and connections that failed."""
    requests = re.search(r"(\d+) requests in", said)
    assert requests, said
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    socket = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    failed = int(other[1]) if other else 0
    failed += sum(map(int, socket.groups())) if socket else 0
    return Pressed(int(requests[1]), failed, said)
