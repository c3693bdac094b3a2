"""A sample of whole requests, kept for a short time so that a shadow can answer them again. Off unless asked for."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from mlgate.serving import files
from mlgate.serving.lines import stamp
from mlgate.serving.metrics import Metrics
from mlgate.serving.settings import Replay as Settings
from mlgate.serving.writer import CHUNK, Writer

_FILES = 8  # so many share the size and the time; the oldest goes as a whole
_WAITING = 16_000_000  # octets of bodies that may wait for the disk
_PRIVATE = 0o600  # whole requests: for nobody but the server and who replays them


@dataclass(slots=True)
class _Request:
    time: float
    request_id: str
    route: str
    content_type: str
    body: bytes


class Replay:
    """Keeps a request with the probability `sample`. Without settings it keeps none."""

    def __init__(
        self,
        settings: Settings | None,
        *,
        metrics: Metrics,
        draw: Callable[[], float] = random.random,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self._sample = settings.sample if settings else 0.0
        self._draw = draw
        self._count = metrics.kept
        self._writer: Writer[_Request] | None = None
        if settings is not None:
            octets = self._largest = max(settings.max_bytes // _FILES, 1)
            path, seconds = Path(settings.path), settings.seconds

            def target() -> files.Target:
                return files.Rotated(path, octets=octets, keep=_FILES, mode=_PRIVATE, seconds=seconds)

            self._writer = Writer(
                "replay log", target, self._line, metrics.kept, limit=_WAITING, chunk=min(CHUNK, octets), say=say
            )

    def start(self) -> None:
        if self._writer is not None:
            self._writer.start()

    def offer(self, request_id: str, body: bytes, content_type: str, route: str = "/predict") -> None:
        """Never waits, never raises. A body larger than an eighth of `max_bytes` is not kept, and counted."""
        if self._writer is None or self._draw() >= self._sample:
            return
        if len(body) >= self._largest:
            self._count(0, 1)
            return
        request = _Request(time.time(), request_id, route, content_type, bytes(body))
        self._writer.put(request, 1, len(body))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _line(self, request: _Request) -> Iterator[bytes]:
        line = {"time": stamp(request.time), "request_id": request.request_id, "route": request.route}
        line |= {"content_type": request.content_type}
        try:
            line["body"] = request.body.decode()
        except UnicodeDecodeError:
            line["body_base64"] = base64.b64encode(request.body).decode()
        encoded = orjson.dumps(line) + b"\n"
        if len(encoded) > self._largest:  # what JSON has to escape can grow sixfold
            self._count(0, 1)
        else:
            yield encoded
