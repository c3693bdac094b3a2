"""How much work one scan may be: bombs end it, and are said, instead of filling the memory or taking the day."""

from __future__ import annotations

import io
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mlgate.errors import MlgateError

MIB = 1 << 20


class LimitError(Exception):
    """A limit was reached. The message is the end of a sentence: "it ..."."""


class MalformedError(Exception):
    """The bytes are not what they claim to be. The message is the end of a sentence: "it ..."."""


@dataclass
class Budget:
    """Shared by all files of one scan."""

    octets: int = 64 << 30  # read, counting each layer of compression
    steps: int = 200_000_000  # of pickle programs
    seconds: float = 900.0
    kept: int = 512 * MIB  # of nested files held in memory at once
    memory: int = 3 << 30  # by which this process may grow
    depth: int = 8  # archives in archives, pickles in pickles
    files: int = 100_000
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    grown: int = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.grown = _largest()

    def read(self, octets: int) -> None:
        self.octets -= octets
        if self.octets < 0:
            raise LimitError("unpacks to more than 64 GiB")

    def step(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise LimitError("is a program of more than 200 million steps")
        if self.clock() - self.started > self.seconds:
            raise LimitError("takes more than 15 minutes to look through")
        if _largest() - self.grown > self.memory:
            raise LimitError("needs more than 3 GiB of memory to look through")

    def file(self) -> None:
        self.files -= 1
        if self.files < 0:
            raise LimitError("holds more than 100,000 files")

    def keep(self, octets: int) -> None:
        self.kept -= octets
        if self.kept < 0:
            raise LimitError("needs more than 512 MiB of memory to look through")


def _largest() -> int:
    """The most memory this process has had, in octets."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Metered(io.RawIOBase):
    """Reads what another file gives, and counts it. Errors of a codec become `MalformedError`."""

    def __init__(self, inner: io.BufferedIOBase | io.RawIOBase, budget: Budget, *, what: str) -> None:
        super().__init__()
        self._inner = inner
        self._budget = budget
        self._what = what
        self._at = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._inner.read(len(buffer)) or b""
        except (LimitError, MalformedError, MlgateError):
            raise
        except Exception as error:  # each codec has its own ways to say that the bytes are wrong
            raise MalformedError(f"is broken {self._what}: {' '.join(str(error).split())[:120]}") from error
        self._budget.read(len(data))
        self._budget.step(0)
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)


def metered(inner: io.BufferedIOBase | io.RawIOBase, budget: Budget, what: str = "data") -> io.BufferedReader:
    return io.BufferedReader(Metered(inner, budget, what=what), MIB)


def skip(source: io.BufferedReader, octets: int) -> None:
    """Raises MalformedError when there is not so much."""
    while octets > 0:
        got = len(source.read(min(octets, MIB)))
        if not got:
            raise MalformedError("ends too soon")
        octets -= got
