"""Processes that outlive the job that starts them, and are found again by any other: a folder, a lock, a process group.

Whether one lives is asked of a lock that it holds from birth to death, never of a process id alone, which the system
gives to somebody else one day.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlgate.repo.credentials import redact
from mlgate.rollout.targets import TargetError

_LINES, _WIDTH = 5, 300
# The child says itself who it is before it becomes the program: a job that is killed in between loses nobody.
_BOOT = 'echo $$ > pid.new && mv pid.new pid && cd "$0" && exec "$@"'
_children: list[subprocess.Popen[bytes]] = []  # of this process: asked now and then, so that none stays a zombie


def spawn(folder: Path, argv: Sequence[str], *, environ: Mapping[str, str], cwd: Path) -> int:
    """Starts it in a session of its own; what it says goes to `folder/log`. Its process id. Raises TargetError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "alive", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.utime(lock)
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", _BOOT, str(cwd), *argv], env=dict(environ), cwd=folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip
        _children[:] = [one for one in _children if one.poll() is None]
        _children.append(child)
    except BlockingIOError:
        raise TargetError("is in use by a process that runs already.", file=str(folder)) from None
    except OSError as error:
        raise TargetError(f"{argv[0]} cannot be started: {error.strerror}.") from error
    finally:
        os.close(lock)  # the child has it
    return child.pid


def alive(folder: Path) -> bool:
    """Whether the process of this folder, or one that it has started with the lock, still runs."""
    _reap()
    try:
        lock = os.open(folder / "alive", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that ask at once do not take each other for it
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def began(folder: Path) -> float:
    """Seconds since 1970; 0 when it was never started."""
    try:
        return (folder / "alive").stat().st_mtime
    except OSError:
        return 0.0


def pid_of(folder: Path) -> int:
    """Its process id, and that of its group; 0 before it has one. Ask `alive` before it is used."""
    try:
        return int((folder / "pid").read_text("ascii"))
    except (OSError, ValueError):
        return 0


def exit_code(folder: Path) -> int | None:
    """Of a process that this one has started; None where another did."""
    _reap()
    pid = pid_of(folder)
    return next((one.returncode for one in _children if one.pid == pid), None)


def end(folder: Path, *, patience: float) -> None:
    """SIGTERM to its group, and SIGKILL after `patience` seconds. Raises TargetError if it is not gone then."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 10.0)):
        if not alive(folder):
            return
        until = time.monotonic() + seconds
        _signal(folder, number)
        while alive(folder) and time.monotonic() < until:
            time.sleep(0.01)
            if number == signal.SIGKILL:  # again: it may have had no process id yet
                _signal(folder, number)
    if alive(folder):
        raise TargetError("holds a process that does not end, not even when it is killed.", file=str(folder))


def _signal(folder: Path, number: int) -> None:
    pid = pid_of(folder)
    if pid > 1:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)


def _reap() -> None:
    for one in _children:
        one.poll()


def said(folder: Path) -> str:
    """The last lines that it printed, as one line of a sentence, without what could be a secret."""
    try:
        with (folder / "log").open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - 8192, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [" ".join(line.split()) for line in redact(text).splitlines() if line.strip()]
    return " | ".join(line[:_WIDTH] for line in lines[-_LINES:])
