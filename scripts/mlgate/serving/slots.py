"""Numbers that several worker processes count together: one small file of doubles each, mapped into memory.

Counting is then an addition in memory, without a lock between processes, and any worker can read the sum. A file is
locked as long as its worker lives. What a dead worker counted stays, and the next one goes on from there: counters do
not fall when a worker is replaced, and the files are never more than the workers that lived at once.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENVIRON = "MLGATE_SHARED"


@contextmanager
def share() -> Iterator[Path]:
    """A folder for the workers that are started inside: named to them by the environment, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="mlgate-serving-"))
    os.environ[ENVIRON] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(ENVIRON, None)
        shutil.rmtree(folder, ignore_errors=True)


def shared() -> Path | None:
    """The folder of the workers, None where there is one only."""
    name = os.environ.get(ENVIRON)
    return Path(name) if name else None


class Slot:
    """`values`: this process's numbers, all 0.0 unless taken over from a dead worker.

    `gauges` says how many at the beginning hold only while the worker lives; they begin at 0.0 again.
    Raises OSError where the folder cannot hold the file.
    """

    def __init__(self, size: int, *, gauges: int = 0, folder: Path | None = None) -> None:
        self._octets, self._gauges, self._folder = size * 8, gauges, folder
        self._fd: int | None = None
        if folder is None:
            memory = mmap.mmap(-1, self._octets)
        else:
            self._fd = self._take(folder)
            memory = mmap.mmap(self._fd, self._octets)
        self.values = memoryview(memory).cast("d")
        for index in range(gauges):
            self.values[index] = 0.0

    def _take(self, folder: Path) -> int:
        for path in sorted(folder.glob("*.slot")):
            fd = os.open(path, os.O_RDWR)
            if os.fstat(fd).st_size == self._octets and _lock(fd, fcntl.LOCK_EX):
                return fd
            os.close(fd)
        # Locked before it has its name, so that no other worker takes it for a dead one's.
        fd, name = tempfile.mkstemp(dir=folder)
        try:
            _lock(fd, fcntl.LOCK_EX)
            # A page that a full disk cannot give would kill the process when it is first written to.
            os.posix_fallocate(fd, 0, self._octets)
            os.rename(name, f"{name}.slot")
        except OSError:
            os.close(fd)
            os.unlink(name)
            raise
        return fd

    def all(self) -> Iterator[tuple[bool, array.array[float]]]:
        """Whether its worker lives, and the numbers, of each worker that there is or was."""
        if self._folder is None:
            yield True, array.array("d", self.values)
            return
        for path in sorted(self._folder.glob("*.slot")):
            fd = os.open(path, os.O_RDONLY)
            try:
                found = array.array("d", os.pread(fd, self._octets, 0))
                alive = not _lock(fd, fcntl.LOCK_SH)
            finally:
                os.close(fd)
            if len(found) * 8 == self._octets:
                yield alive, found

    def release(self) -> None:
        """The worker ends: its counts stay, its gauges no longer hold."""
        for index in range(self._gauges):
            self.values[index] = 0.0
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = None


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
