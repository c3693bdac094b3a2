"""The router's log, one JSON line for each request, and what it says of a window. Callers are in it as hashes only."""

from __future__ import annotations

import fcntl
import hmac
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Tally, refused
from mlgate.serving import files

_OCTETS, _KEEP = 20_000_000, 6
_STAMP = re.compile(rb'"time":\s?"([^"]+)"')
_BEHIND = 60.0  # seconds by which a line of the prediction log may come later than the request it is of


class Log:
    """What the router writes."""

    def __init__(self, path: Path, salt: bytes) -> None:
        self._file = files.Rotated(path, octets=_OCTETS, keep=_KEEP, mode=0o600)
        self._salt = salt
        self.dropped = 0.0  # when a line was lost, for want of space: seconds since 1970

    def write(
        self, *, slot: str, at: float, seconds: float, status: int, lost: Sequence[str], caller: str = ""
    ) -> None:
        """`slot` gave the answer, after those in `lost` gave none."""
        line: dict[str, Any] = {"at": round(at, 6), "ms": round(seconds * 1000, 3), "slot": slot, "status": status}
        if lost:
            line["lost"] = list(lost)
        if caller:
            line["unit"] = hmac.digest(self._salt, caller.encode("utf-8", "surrogateescape"), "sha256")[:8].hex()
        try:
            self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        except OSError:
            self.dropped = at + seconds


@dataclass
class _Count:
    requests: int = 0
    errors: int = 0
    refused: int = 0
    times: dict[int, int] = field(default_factory=dict)
    units: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Seen:
    """`back_to`: the log holds every request that ended after this moment (seconds since 1970; 0: every one)."""

    tallies: dict[str, Tally]
    back_to: float


def read(path: Path, slots: Sequence[str], since: float, until: float, *, sticky: bool) -> Seen:
    """What these slots did with requests that began in [since, until). Raises OSError."""
    counts = {slot: _Count() for slot in slots}
    back_to = 0.0
    with _opened(path) as logs:
        for number, log in enumerate(logs):
            if number == 0 and len(logs) == _KEEP:
                back_to = next((_ended(line) for line in log), 0.0)
            for raw in _from(log, since, _ended):
                line = _parsed(raw)
                if line and since <= line.get("at", 0.0) < until:
                    _count(counts, line)
    return Seen({slot: _tally(one, sticky=sticky) for slot, one in counts.items()}, back_to)


def _count(counts: dict[str, _Count], line: dict[str, Any]) -> None:
    lost = line.get("lost", ())
    for slot in {line["slot"], *lost}:
        one = counts.get(slot)
        if one is None:
            continue
        one.requests += 1
        bad = slot in lost or line["status"] >= 500
        one.errors += bad
        one.refused += slot == line["slot"] and refused(line["status"])
        if slot == line["slot"]:
            bin_ = bins.latency(line["ms"] / 1000)
            one.times[bin_] = one.times.get(bin_, 0) + 1
        if "unit" in line:
            one.units.add(line["unit"])
            if bad:
                one.bad.add(line["unit"])


def _tally(one: _Count, *, sticky: bool) -> Tally:
    return Tally(
        one.requests, one.errors, Histogram(one.times),
        units=len(one.units) if sticky else None, bad_units=len(one.bad) if sticky else None, refused=one.refused,
    )  # fmt: skip


def scores(path: Path, since: float, until: float) -> Histogram | None:
    """Of the predictions that a slot has logged of requests in [since, until); None without a log or a number in it."""
    counts: dict[int, int] = {}
    # Its stamps are whole milliseconds, rounded down: edges that are not would lose a request at the first of them.
    since, until = (math.floor(edge * 1000) / 1000 for edge in (since, until))
    if not path.exists():
        return None
    with _opened(path) as logs:
        for log in logs:
            for raw in _from(log, since - _BEHIND, _stamp):
                if not since <= _stamp(raw) < until:
                    continue
                line = _parsed(raw) or {}
                value = line.get("score")
                value = line.get("prediction") if value is None else value
                bin_ = bins.score(value) if isinstance(value, str | int | float) else None
                if bin_ is not None:
                    counts[bin_] = counts.get(bin_, 0) + 1
    return Histogram(counts)


def last(path: Path, most: int) -> list[bytes]:
    """The latest lines of a log with what was put aside, oldest first. Raises OSError when there is none."""
    found: list[bytes] = []
    with _opened(path) as logs:
        for log in reversed(logs):
            found[:0] = [line for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")][-most:]
            if len(found) >= most:
                break
    return found[-most:] if most > 0 else []


class _opened:  # noqa: N801 -- a function with an end
    """The files of a log, oldest first, all of one moment: none is put aside while they are opened."""

    def __init__(self, path: Path) -> None:
        self._path, self._stack = path, ExitStack()

    def __enter__(self) -> list[BinaryIO]:
        path, stack = self._path, self._stack
        while True:
            try:
                current = stack.enter_context(path.open("rb"))
            except FileNotFoundError:
                return []
            fcntl.flock(current, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(current.fileno())):
                    break
            current.close()
        found: list[BinaryIO] = [current]
        for number in range(1, 100):
            with suppress(FileNotFoundError):
                found.insert(0, stack.enter_context(path.with_name(f"{path.name}.{number}").open("rb")))
                continue
            break
        fcntl.flock(current, fcntl.LOCK_UN)
        return found

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _from(log: BinaryIO, since: float, when: Callable[[bytes], float]) -> Iterator[bytes]:
    """The lines from about `since` on; they are in the order of `when`. Found by halving, not by reading all."""
    low, high = 0, log.seek(0, os.SEEK_END)
    while high - low > 65536:
        middle = (low + high) // 2
        log.seek(middle)
        log.readline()
        line = log.readline()
        if line and when(line) < since:
            low = middle
        else:
            high = middle
    log.seek(low)
    if low:
        log.readline()
    for line in log:
        if line.endswith(b"\n"):
            yield line


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _ended(line: bytes) -> float:
    found = _parsed(line) or {}
    return float(found.get("at", 0.0)) + float(found.get("ms", 0.0)) / 1000


def _stamp(line: bytes) -> float:
    found = _STAMP.search(line)
    try:
        return datetime.fromisoformat(found[1].decode()).timestamp() if found else 0.0
    except ValueError:
        return 0.0
