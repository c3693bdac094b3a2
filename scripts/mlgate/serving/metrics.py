"""What /metrics says, in Prometheus' text format: requests, errors, latency and losses, over all workers."""

from __future__ import annotations

import sys
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlgate.serving.settings import Identity
from mlgate.serving.slots import Slot, share, shared

__all__ = ["CONTENT_TYPE", "Metrics", "share", "shared"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
OTHER = "other"  # a path that is none of the server's; each its own series would let a caller fill the memory

_GAUGES = (
    ("mlgate_in_flight", "Requests under way."),
    ("mlgate_workers", "Processes that answer."),
)
_COUNTERS = (
    ("mlgate_predictions_total", "Rows predicted."),
    ("mlgate_log_written_total", "Lines of the prediction log that were written."),
    ("mlgate_log_dropped_total", "Lines of the prediction log that were lost: too many waiting, or not writable."),
    ("mlgate_replay_written_total", "Requests kept for replay."),
    ("mlgate_replay_dropped_total", "Requests chosen for replay that were lost."),
)
_IN_FLIGHT, _WORKERS, _PREDICTIONS, _WRITTEN, _DROPPED, _KEPT, _MISSED = range(len(_GAUGES) + len(_COUNTERS))
_ROUTES = len(_GAUGES) + len(_COUNTERS)  # where the numbers by route begin
_STATUSES = 500  # 100 to 599, in place: no table of names to keep in step between processes
_SUM = _STATUSES
_BUCKETS = _STATUSES + 1
_ROUTE = _BUCKETS + len(BOUNDS) + 1  # numbers of one route


class Metrics:
    """Counts of this worker, and the sum over all that share `folder`. May be called from any thread."""

    def __init__(
        self, identity: Identity, environment: str, *, routes: Sequence[str] = (), shared: Path | None = None
    ) -> None:
        self._identity, self._environment = identity, environment
        self._routes = (*(route for route in routes if route != OTHER), OTHER)
        self._at = {route: _ROUTES + index * _ROUTE for index, route in enumerate(self._routes)}
        self._other = self._at[OTHER]
        self._folder = shared
        self._lock = threading.Lock()
        self._slot = Slot(self._size)
        self._values = self._slot.values

    @property
    def _size(self) -> int:
        return _ROUTES + len(self._routes) * _ROUTE

    def start(self) -> None:
        """In the process that answers, after it was forked. What cannot be shared is said, and counted alone."""
        if self._folder is not None:
            try:
                self._slot = Slot(self._size, gauges=len(_GAUGES), folder=self._folder)
            except OSError as error:
                sys.stderr.write(f"mlgate: /metrics counts one worker only: {self._folder}: {error.strerror}\n")
            self._values = self._slot.values
        self._values[_WORKERS] = 1.0

    def close(self) -> None:
        self._slot.release()

    def began(self) -> None:
        """A request arrived; `observe` ends it."""
        with self._lock:
            self._values[_IN_FLIGHT] += 1.0

    def observe(self, route: str, status: int, seconds: float, rows: int) -> None:
        """A request was answered, after `seconds`, with `rows` predictions."""
        at, values = self._at.get(route, self._other), self._values
        status = status if 100 <= status < 600 else 500
        with self._lock:
            values[_IN_FLIGHT] -= 1.0
            values[_PREDICTIONS] += rows
            values[at + status - 100] += 1.0
            values[at + _SUM] += seconds
            values[at + _BUCKETS + bisect_left(BOUNDS, seconds)] += 1.0

    def logged(self, written: int, dropped: int) -> None:
        """Lines of the prediction log."""
        with self._lock:
            self._values[_WRITTEN] += written
            self._values[_DROPPED] += dropped

    def kept(self, written: int, dropped: int) -> None:
        """Requests for replay."""
        with self._lock:
            self._values[_KEPT] += written
            self._values[_MISSED] += dropped

    def render(self) -> bytes:
        """The page, over all workers. Its type is CONTENT_TYPE."""
        total = array("d", bytes(self._size * 8))
        for alive, found in self._slot.all():
            for index in range(0 if alive else len(_GAUGES), self._size):
                if found[index]:
                    total[index] += found[index]
        return "".join(self._lines(total)).encode()

    def _lines(self, total: Sequence[float]) -> Iterator[str]:
        which = f"model={_quoted(self._identity.model)},version={_quoted(self._identity.version)}"
        about = f"{which},digest={_quoted(self._identity.digest)},commit={_quoted(self._identity.commit)}"
        about += f",decision={_quoted(self._identity.decision)},environment={_quoted(self._environment)}"
        yield _head("mlgate_model_info", "gauge", "The model that answers.") + f"mlgate_model_info{{{about}}} 1\n"
        for kind, series, first in (("gauge", _GAUGES, 0), ("counter", _COUNTERS, len(_GAUGES))):
            for index, (name, text) in enumerate(series, first):
                yield f"{_head(name, kind, text)}{name}{{{which}}} {_number(total[index])}\n"
        yield _head("mlgate_requests_total", "counter", "Requests answered, by route and status.")
        for route, at in self._at.items():
            for status in range(_STATUSES):
                if total[at + status]:
                    labels = f'{which},route={_quoted(route)},status="{status + 100}"'
                    yield f"mlgate_requests_total{{{labels}}} {_number(total[at + status])}\n"
        yield _head("mlgate_request_seconds", "histogram", "Time to answer, from the request's head to the answer.")
        for route, at in self._at.items():
            buckets = total[at + _BUCKETS : at + _BUCKETS + len(BOUNDS) + 1]
            if any(buckets):
                yield from _histogram(f"{which},route={_quoted(route)}", buckets, total[at + _SUM])


def _histogram(labels: str, buckets: Sequence[float], seconds: float) -> Iterator[str]:
    count = 0.0
    for bound, found in zip((*map(str, BOUNDS), "+Inf"), buckets, strict=True):
        count += found
        yield f'mlgate_request_seconds_bucket{{{labels},le="{bound}"}} {_number(count)}\n'
    yield f"mlgate_request_seconds_sum{{{labels}}} {_number(seconds)}\n"
    yield f"mlgate_request_seconds_count{{{labels}}} {_number(count)}\n"


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
