"""A thread that writes what others hand over without waiting: bounded, so that a slow disk costs lines and not memory.

What cannot be written waits, and is tried again: short troubles lose nothing. What no longer fits is dropped and
counted, and a line on stderr says so, at most once a minute.
"""

from __future__ import annotations

import errno
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from mlgate.serving.files import Target

PAUSE = 0.1  # seconds that lines are gathered: a write for each would cost the requests more than the lines do
CHUNK = 262_144  # octets of one write: at each, requests and this thread take turns at the interpreter
RETRY = 0.5  # seconds after which what could not be written is tried again
TEND = 10.0  # seconds between looks at what has grown old
QUIET = 60.0  # seconds between lines on stderr
LAST = 5.0  # seconds that the end waits for the disk

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Item = TypeVar("Item")


class Writer(Generic[Item]):
    """`encode` makes lines of an item, in the thread; `count` is told how many were (written, dropped).

    `limit` is in what `put` calls weight. One item always fits an empty queue, however heavy.
    """

    def __init__(
        self,
        what: str,
        target: Callable[[], Target],
        encode: Callable[[Item], Iterable[bytes]],
        count: Callable[[int, int], None],
        *,
        limit: int,
        chunk: int = CHUNK,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self._what, self._make, self._encode, self._count = what, target, encode, count
        self._limit, self._chunk = limit, chunk
        self._say = say or sys.stderr.write
        self._lock = threading.Lock()
        self._queue: deque[tuple[Item, int]] = deque()  # with how many lines it makes
        self._weight = 0
        self._ended = False
        self._pending: deque[tuple[bytes, int]] = deque()  # encoded, with how many lines they are
        self._target: Target | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._retry = self._tended = 0.0
        self._trouble = self._odd = ""
        self._encoded = 0
        self._lost = 0
        self._told: dict[bool, float] = {}  # when the last line on stderr was, by whether it could not be written
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """In the process that answers: a thread does not survive a fork."""
        self._thread = threading.Thread(target=self._run, name=f"mlgate {self._what}", daemon=True)
        self._thread.start()

    def put(self, item: Item, lines: int, weight: int) -> None:
        """Never waits for the disk, never raises."""
        if (self._weight + weight <= self._limit or not self._queue) and not self._ended:
            self._weight += weight
            self._queue.append((item, lines))
            if not self._wake.is_set():  # looked at after the item is in: the thread clears it before it looks
                self._wake.set()
        else:
            self._lose(lines)

    def close(self) -> None:
        """Writes what waits. What the disk does not take within LAST seconds is counted as dropped."""
        self._ended = True
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(LAST)
        left = sum(lines for _, lines in list(self._queue)) + sum(lines for _, lines in list(self._pending))
        if left:
            self._count(0, left)
            self._say(f"mlgate: {self._what}: {left} lines were lost at the end.{self._trouble}\n")

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(RETRY if self._trouble else TEND)
            self._closing.wait(PAUSE)
            self._wake.clear()
            self._sweep(time.monotonic())
        self._retry = 0.0
        self._sweep(time.monotonic())
        if self._target is not None:
            self._target.close()

    def _sweep(self, now: float) -> None:
        if now >= self._retry:
            try:
                self._write(now)
                self._trouble = ""
            except Exception as error:  # the thread has to outlive whatever a disk does
                self._trouble = f" It cannot be written: {_reason(error)}."
                self._retry = now + RETRY
        self._tell(now)

    def _write(self, now: float) -> None:
        if self._target is None:
            self._target = self._make()
        target = self._target
        self._flush(target)
        # Without a lock: a queue that both ends may use at once. A weight that is added while it is set to 0 is lost or
        # kept too long, until the next time.
        self._weight = 0
        queue = [self._queue.popleft() for _ in range(len(self._queue))]
        trouble: OSError | None = None
        for _ in self._gather(queue):
            # Written piece by piece: the disk's time is when requests have the interpreter to themselves.
            if trouble is None:
                try:
                    self._flush(target)
                except OSError as error:
                    trouble = error
        if trouble is not None:
            raise trouble
        if now - self._tended >= TEND:
            self._tended = now
            target.tend()

    def _gather(self, queue: list[tuple[Item, int]]) -> Iterator[None]:
        """Encodes into what is pending, and stops after each chunk."""
        lines: list[bytes] = []
        octets = 0
        for item, expected in queue:
            before = self._encoded
            try:
                for line in self._encode(item):
                    if lines and octets + len(line) > self._chunk:
                        self._pending.append((b"".join(lines), len(lines)))
                        lines, octets = [], 0
                        yield
                    lines.append(line)
                    octets += len(line)
                    self._encoded += 1
            except Exception as error:  # a value that no JSON can say: its lines are lost, not the thread
                self._lose(expected - (self._encoded - before))
                self._odd = f" A value cannot be written: {_reason(error)}."
        if lines:
            self._pending.append((b"".join(lines), len(lines)))
            yield

    def _flush(self, target: Target) -> None:
        while self._pending:
            lines, many = self._pending[0]
            try:
                target.write(lines)
            except OSError as error:
                if many == 1 or error.errno not in _FULL:
                    raise
                self._halve()  # a disk that is nearly full has room for a part
                continue
            self._pending.popleft()
            self._count(many, 0)

    def _halve(self) -> None:
        lines = self._pending.popleft()[0].splitlines(keepends=True)
        half = len(lines) // 2
        for part in (lines[half:], lines[:half]):
            self._pending.appendleft((b"".join(part), len(part)))

    def _lose(self, lines: int) -> None:
        with self._lock:
            self._lost += lines
        self._count(0, lines)

    def _tell(self, now: float) -> None:
        """One line a minute for each of the two reasons: a burst must not hide that the disk is full."""
        if not (self._lost or self._trouble) or now - self._told.get(bool(self._trouble), -QUIET) < QUIET:
            return
        with self._lock:
            lost, self._lost = self._lost, 0
        self._told[bool(self._trouble)] = now
        why, self._odd = self._trouble or self._odd or " More came than could be written.", ""
        self._say(f"mlgate: {self._what}: {lost} lines were dropped.{why} The server goes on.\n")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"
