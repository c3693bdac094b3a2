"""Where lines go: a file that several processes append to and put aside when it is full, or a stream. Whole lines only.

Every write happens under a lock on the file itself, so that rotation is one process's work and the others follow it.
What does not fit on the disk is taken back: there are no half lines after a full disk.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol


class Target(Protocol):
    """What a writer writes to. Each raises OSError where it cannot."""

    def write(self, lines: bytes) -> None: ...
    def tend(self) -> None: ...
    def close(self) -> None: ...


class Stream:
    """Standard output or the like. `lock`: a file that the processes which share the stream lock while they write."""

    def __init__(self, fd: int, lock: Path | None = None) -> None:
        self._fd = fd
        self._lock = None if lock is None else os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._torn = False

    def write(self, lines: bytes) -> None:
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            left = memoryview(b"\n" + lines if self._torn else lines)
            while left:
                try:
                    self._torn = True
                    left = left[os.write(self._fd, left) :]
                except BlockingIOError:  # somebody made the pipe non-blocking; only this thread waits
                    select.select([], [self._fd], [], 1.0)
            self._torn = False
        finally:
            if self._lock is not None:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def tend(self) -> None:
        """A stream ages elsewhere."""

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class Rotated:
    """`path` and what was put aside: `path.1`, the youngest, to `path.<keep - 1>`.

    A file grows to at most `octets`. With `seconds`, a file whose first line is older is deleted, and files are put
    aside often enough that little goes before its time. A path that is no regular file is only written to.
    """

    def __init__(self, path: Path, *, octets: int, keep: int, mode: int = 0o640, seconds: float | None = None) -> None:
        self._path, self._octets, self._keep, self._mode, self._seconds = path, octets, max(keep, 1), mode, seconds
        self._fd: int | None = None
        self._end = 0  # of the file, after the last write; larger by now when another process wrote

    def write(self, lines: bytes) -> None:
        while True:
            with self._locked() as fd:
                size = _size(fd)
                if not size or (size + len(lines) <= self._octets and not self._spent(self._path, _SHARE)):
                    _append(fd, lines, size, whole=size == self._end)
                    self._end = size + len(lines)
                    return
                self._put_aside(fd)

    def tend(self) -> None:
        """Deletes what is older than `seconds`, and what is beyond `keep`."""
        if self._seconds is None:
            return
        with self._locked() as fd:
            if _size(fd) and self._spent(self._path, _SHARE):
                self._put_aside(fd)
            number = 1
            while (path := self._aside(number)).exists():
                if number >= self._keep or self._spent(path, 1.0):
                    path.unlink()
                number += 1

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file that has the name now, locked: another process may have put aside what was open here."""
        while True:
            fd = self._opened()
            fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                if self._named(fd):
                    yield fd
                    return
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)
            self.close()

    def _opened(self) -> int:
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Not waiting for the reader of a pipe; for a regular file the flag means nothing.
            flags = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            try:
                fd = os.open(self._path, flags | os.O_RDWR, self._mode)
            except PermissionError:
                fd = os.open(self._path, flags | os.O_WRONLY, self._mode)  # a device or file that may only be written
            os.set_blocking(fd, True)
            self._fd = fd
        return self._fd

    def _named(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(fd))
        except FileNotFoundError:
            return False

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _put_aside(self, fd: int) -> None:
        if self._keep == 1:
            os.ftruncate(fd, 0)
            return
        for number in range(self._keep - 1, 0, -1):
            if self._aside(number - 1).exists():
                os.replace(self._aside(number - 1), self._aside(number))

    def _spent(self, path: Path, share: float) -> bool:
        """Whether the file's first line is older than that share of the time that lines are kept."""
        return self._seconds is not None and time.time() - _born(path) >= self._seconds * share


_SHARE = 1 / 8  # of the time that lines are kept: how much one file holds, and so how much may go too early


def _size(fd: int) -> int:
    """Octets; 0 for what is no regular file and has no size to look after."""
    found = os.fstat(fd)
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _append(fd: int, lines: bytes, size: int, *, whole: bool) -> None:
    """`whole`: the file is known to end with a line."""
    if size and not whole and os.pread(fd, 1, size - 1) != b"\n":
        lines = b"\n" + lines  # a process died in the middle of a line
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(fd, left) :]
    except OSError:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.ftruncate(fd, size)
        raise


def _born(path: Path) -> float:
    """When the first line of the file was written, in seconds since 1970, as its `time` says."""
    with path.open("rb") as file:
        head = file.read(64)
        try:
            return datetime.fromisoformat(head.split(b'"', 4)[3].decode()).timestamp()
        except (ValueError, IndexError):
            return os.fstat(file.fileno()).st_mtime
