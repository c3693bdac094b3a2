"""Project code as a child process: its words are passed on as they come, and it never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from mlgate.errors import MlgateError

TAIL = 15  # lines that are shown of what failed
_GRACE = 10.0  # seconds between asking to end and ending
_LINE = 10_000  # characters of one line that are kept

Say = Callable[[str], None]  # gets one line, without its end


@dataclass(frozen=True)
class Ended:
    """`code` as a shell has it, negative for a signal."""

    code: int
    seconds: float
    tail: tuple[str, ...]

    @property
    def said(self) -> str:
        return "\n".join(self.tail)

    @property
    def how(self) -> str:
        """For people: "exit code 3", "killed by SIGKILL (out of memory?)"."""
        if self.code >= 0:
            return f"exit code {self.code}"
        name = signal.Signals(-self.code).name if -self.code in set(signal.Signals) else f"signal {-self.code}"
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def run(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], say: Say) -> Ended:
    """Run to the end. Raises MlgateError when it cannot be started; ends the whole group when we are interrupted."""
    start = time.monotonic()
    try:
        child = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise MlgateError(f"{command[0]} cannot be started ({error.strerror or error}).") from error
    tail: deque[str] = deque(maxlen=TAIL)
    assert child.stdout is not None  # noqa: S101 -- PIPE was asked for above
    reader = threading.Thread(target=_read, args=(child.stdout, say, tail), daemon=True)
    reader.start()
    try:
        code = child.wait()
        reader.join(2)  # what the child left running may hold the pipe open for ever
    finally:
        _end(child)
        reader.join(2)
    return Ended(code, time.monotonic() - start, tuple(tail))


def _read(pipe: IO[bytes], say: Say, tail: deque[str]) -> None:
    with suppress(ValueError, OSError):
        for line in _lines(pipe):
            if line.strip():
                tail.append(line)
            say(line)


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """A progress bar that only returns to the start of its line counts as one line, as it stood last."""
    held = b""
    while block := os.read(pipe.fileno(), 65536):
        *whole, held = (held + block).split(b"\n")
        held = held[-_LINE:]
        for line in whole:
            yield _text(line)
    if held:
        yield _text(held)


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").rpartition(b"\r")[2][:_LINE].decode(errors="replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the group of the child: what it has started may be there when it itself has gone."""
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        if child.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(patience)
        else:
            time.sleep(0.05)


@contextmanager
def ended_cleanly() -> Iterator[None]:
    """A runner that cancels a job sends SIGTERM: clean up as for Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt) if threading.current_thread() is threading.main_thread() else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
