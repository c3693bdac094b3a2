"""What load is made of: requests, how hard they come, and what came of them. Plain data, no I/O."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mlgate.errors import MlgateError

MOST = 1000  # connections that a rate may come to need


@dataclass(frozen=True)
class Request:
    """What is sent. `wrong`: why an answer with a good status is none, by its body; empty when it is one."""

    body: bytes = b""
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    wrong: Callable[[bytes], str] | None = None

    def octets(self, host: str) -> bytes:
        """Raises MlgateError for a header that would be two."""
        headers = {"Host": host, "Accept": "*/*", **self.headers}
        if self.body or self.method not in {"GET", "HEAD", "DELETE"}:
            headers["Content-Length"] = str(len(self.body))
        for name, value in headers.items():
            if any(sign in f"{name}{value}" for sign in "\r\n") or not name:
                raise MlgateError(f"the header {name!r} is not one line.")
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Pressure:
    """How hard: either `rate`, requests per second, or `connections`, callers at once. Times in seconds."""

    rate: float | None = None
    connections: int | None = None
    duration: float = 30.0
    timeout: float = 10.0  # for one answer, from the moment at which its request was due
    most: int = MOST  # connections that a rate may open


@dataclass
class Seen:
    """What came of it. `times`: of good answers, and of requests that were given up, which took at least so long."""

    pressure: Pressure
    good: int = 0
    times: array[float] = field(default_factory=lambda: array("d"))  # seconds; sorted at the end
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0  # from the first request to the last answer
    connections: int = 0  # the most that were open at once
    late: array[float] = field(default_factory=lambda: array("d"))  # seconds that this process sent after it was due
    stopped: bool = False  # before its time: nobody wanted it any more, or nothing answered

    @property
    def asked(self) -> int:
        return self.good + self.wrong

    @property
    def wrong(self) -> int:
        return sum(self.errors.values())

    @property
    def throughput(self) -> float | None:
        """Good answers in a second. With a rate, what the fastest took is no time in which more could have come."""
        seconds = self.seconds
        if self.pressure.rate is not None and self.times:
            seconds = max(self.pressure.duration, seconds - self.times[0])
        return self.good / seconds if self.good and seconds > 0 else None

    @property
    def error_rate(self) -> float | None:
        return self.wrong / self.asked if self.asked else None

    def quantile(self, share: float) -> float | None:
        """Seconds within which at least this share was answered; a time that was measured."""
        return quantile(self.times, share)

    def quantile_late(self, share: float) -> float | None:
        """Seconds by which this process sent at least this share no later than it was due. None without a rate."""
        return quantile(self.late, share)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The least of the sorted values that at least this share of them does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def address(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether it is TLS, and what the header Host says. Raises MlgateError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise MlgateError(f"{url!r} is no address.", fix="Write it like http://127.0.0.1:8080.")
    secure = parts.scheme == "https"
    return parts.hostname, port or (443 if secure else 80), secure, parts.netloc.rpartition("@")[2]
