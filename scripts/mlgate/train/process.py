"""Project code as a child process: its words are passed on as they come, and it never outlives us.

A program that starts project code itself (DVC) can be told apart from it: `apart` gives it a shell whose words come
another way.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

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
        """For people: "exit code 3", "killed by SIGKILL (out of memory?)".

        A shell between us and the command says 128 and the signal's number: dash starts its command as a child, and
        bash is replaced by it.
        """
        number = -self.code if self.code < 0 else self.code - 128
        if number not in set(signal.Signals):
            return f"exit code {self.code}" if self.code >= 0 else f"killed by signal {number}"
        name = signal.Signals(number).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


@dataclass(frozen=True)
class Apart:
    """A shell to start commands with (`SHELL`), and the end of the pipe that their words come from."""

    shell: str
    words: int


@contextmanager
def apart(environ: Mapping[str, str]) -> Iterator[Apart]:
    """For a program that starts its commands by $SHELL. Raises MlgateError where no program can be put.

    What a command prints could pass for the words of the program that started it, were both to use one pipe.
    """
    real = shell_of(environ)
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        pipe, wrapper = f"{folder}/words", Path(folder) / os.path.basename(real)  # by its name options are chosen
        os.mkfifo(pipe, 0o600)
        wrapper.write_text(f'#!/bin/sh\nSHELL={shlex.quote(real)}\nexec "$SHELL" "$@" >{shlex.quote(pipe)} 2>&1\n')
        wrapper.chmod(0o700)
        if not os.access(wrapper, os.X_OK):
            raise MlgateError(
                f"no program can be started from {folder}.", fix="Set TMPDIR to a folder that is not mounted noexec."
            )
        words = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        hold = os.open(pipe, os.O_WRONLY)  # between two commands nobody else has it open
        try:
            yield Apart(str(wrapper), words)
        finally:
            os.close(hold)
            os.close(words)


def shell_of(environ: Mapping[str, str]) -> str:
    """The shell that DVC would take."""
    program = environ.get("SHELL") or "/bin/sh"
    return program if os.path.isabs(program) and os.access(program, os.X_OK) else "/bin/sh"


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    say: Say,
    started: Say | None = None,
    by: Apart | None = None,
) -> Ended:
    """Run to the end. Raises MlgateError when it cannot be started; ends all that it started when we are interrupted.

    With `by`, `say` hears the command itself, and `started` what the commands say that it starts.
    """
    start = time.monotonic()
    _adopt()
    ours = _children()
    try:
        child = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**environ, "SHELL": by.shell} if by else dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise MlgateError(f"{command[0]} cannot be started ({error.strerror or error}).") from error
    tail: deque[str] = deque(maxlen=TAIL)
    assert child.stdout is not None  # noqa: S101 -- PIPE was asked for above
    pipes = {child.stdout.fileno(): say}
    if by:
        pipes[by.words] = started or say
    over = threading.Event()
    reader = threading.Thread(target=_read, args=(pipes, child.stdout.fileno(), over, tail), daemon=True)
    reader.start()
    try:
        code = child.wait()
        reader.join(2)  # what the child left running may hold the pipe open for ever
    finally:
        _end(child)
        _end_orphans(ours | {child.pid})
        reader.join(2)
        over.set()
        reader.join(2)
        if not reader.is_alive():
            child.stdout.close()
    return Ended(code, time.monotonic() - start, tuple(tail))


def _read(pipes: Mapping[int, Say], main: int, over: threading.Event, tail: deque[str]) -> None:
    """Lines of each pipe to who hears it, until the main one has ended and there is nothing in the others."""
    held = dict.fromkeys(pipes, b"")
    with suppress(ValueError, OSError), selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        ended = False
        while not over.is_set():
            ready = selector.select(0.1)
            if ended and not ready:
                break
            # The main pipe first: a program says what it starts before that speaks.
            for key, _ in sorted(ready, key=lambda pair: pair[0].fd != main):
                block = os.read(key.fd, 65536)
                if not block:
                    selector.unregister(key.fd)
                    ended = ended or key.fd == main
                *whole, rest = (held[key.fd] + block).split(b"\n")
                held[key.fd] = rest[-_LINE:]
                for line in whole:
                    _hear(line, pipes[key.fd], tail)
            if not selector.get_map():
                break
    for pipe, rest in held.items():
        if rest:
            _hear(rest, pipes[pipe], tail)


def _hear(raw: bytes, say: Say, tail: deque[str]) -> None:
    """A progress bar that only returns to the start of its line counts as one line, as it stood last."""
    line = raw.rstrip(b"\r").rpartition(b"\r")[2][:_LINE].decode(errors="replace")
    if line.strip():
        tail.append(line)
    say(line)


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


# -- what left the group (Linux) -------------------------------------------------------------------------------------


def _adopt() -> None:
    """Let a process whose parent has gone become our child: then one that has left its group is found."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _children() -> set[int]:
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat") if sys.platform == "linux" else ():
        with suppress(OSError, IndexError, ValueError):  # it may be gone by now
            parent = int(file.read_text(errors="replace").rpartition(")")[2].split()[1])
            if parent == os.getpid():
                found.add(int(file.parent.name))
    return found


def _end_orphans(kept: set[int]) -> None:
    """End every child that was not there before. What it leaves becomes ours in turn, so it takes rounds."""
    until = time.monotonic() + _GRACE
    while (orphans := _children() - kept) and time.monotonic() < until:
        for pid in orphans:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


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
