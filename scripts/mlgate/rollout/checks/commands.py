"""The user's own commands before traffic: any that does not end with 0 stops the deployment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import IO

from mlgate.model import Check, Verdict
from mlgate.repo.credentials import redact
from mlgate.rollout.checks.nouns import Asked, Say, Tried, check
from mlgate.rollout.checks.trial import Trial
from mlgate.rollout.nouns import Release

TIMEOUT = 1800.0  # seconds of one command
_TAIL = 5
_WIDTH = 300
_GRACE = 5.0  # seconds between asking to end and ending


def variables(url: str, release: Release, asked: Asked) -> dict[str, str]:
    """What a command gets beside the variables of the job."""
    return {
        "MLGATE_URL": url,
        "MLGATE_SLOT": release.slot,
        "MLGATE_ENVIRONMENT": asked.environment,
        "MLGATE_MODEL": release.model,
        "MLGATE_IMAGE": release.image,
        "MLGATE_DIGEST": release.digest,
        "MLGATE_VERSION": release.version,
    }


def checks(trial: Trial) -> Tried:
    """One after the other; after the first that fails the others are not run."""
    found, asked = Tried(), trial.asked
    environ = {**asked.environ, **variables(trial.url, trial.candidate, asked)}
    commands = asked.settings.checks.run
    for number, command in enumerate(commands, 1):
        one = _run(number, command, environ, trial)
        found.checks.append(one)
        if one.verdict is not Verdict.PASS:
            found.not_run += [f"`{later}` was not run: a command before it failed." for later in commands[number:]]
            break
    return found


def _run(number: int, command: str, environ: Mapping[str, str], trial: Trial) -> Check:
    shown = redact(command)
    word, title = f"run.{number}", shown if len(shown) <= 100 else f"{shown[:97]}..."
    began = time.monotonic()
    try:
        child = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=trial.asked.folder, env=dict(environ), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return check(word, title, Verdict.ERROR, f"`{title}` cannot be started ({error}).")
    tail: deque[str] = deque(maxlen=_TAIL)
    assert child.stdout is not None  # noqa: S101 -- PIPE was asked for above
    reader = threading.Thread(target=_read, args=(child.stdout, tail, trial.say), daemon=True)
    reader.start()
    late = False
    try:
        while child.poll() is None:
            late = time.monotonic() - began > TIMEOUT
            if late:
                break
            trial.stop.wait(0.05)
    finally:
        _end(child)
        reader.join(2)  # what it left running elsewhere may hold the pipe open for ever
        if not reader.is_alive():
            child.stdout.close()
    if child.returncode == 0 and not late:
        return check(word, title, Verdict.PASS, observed="exit code 0")
    how = f"did not end within {TIMEOUT:g} seconds" if late else f"ended with {_code(child.returncode)}"
    said = f" It said last: {' | '.join(tail)}" if tail else ""
    return check(word, title, Verdict.FAIL, f"`{title}` {how}.{said}", expected="exit code 0")


def _code(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _read(pipe: IO[bytes], tail: deque[str], say: Say) -> None:
    with contextlib.suppress(ValueError, OSError):  # closed under us
        for raw in iter(lambda: pipe.readline(10_000), b""):
            line = redact(raw.decode(errors="replace").rstrip())
            if line:
                tail.append(line[:_WIDTH])
                say(line)


def _end(child: subprocess.Popen[bytes]) -> None:
    """It and what it started, also where it has ended itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGTERM if child.poll() is None else signal.SIGKILL)
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
