"""The folder of one environment on this machine: its lock, the state of the rollout under a mark, whole files only."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlgate.rollout.nouns import Kept
from mlgate.rollout.targets import FencedError, TargetError

_PATIENCE = 30.0  # seconds that another job may hold the lock: none holds it while it waits for a server


def folder_name(text: str) -> str:
    """A name for a folder: the text itself where it can be one, else with digits of its hash, so that no two meet."""
    plain = re.sub(r"[^a-z0-9_-]", "-", text.lower())[:40]
    return plain if plain == text else f"{plain}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class Keeper:
    """`read` and `write` of a target, with the state in one file and a lock beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "state.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes or acts meanwhile. Raises TargetError when another does not let go."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise TargetError(f"cannot be used as a folder for what runs here: {error.strerror}.",
                              file=str(self.folder)) from error  # fmt: skip
        try:
            end = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise TargetError(
                            f"is held by another job for more than {_PATIENCE:g} seconds.", file=str(self.folder)
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(fd)

    def read(self) -> Kept | None:
        """Raises TargetError for a file that no target has written."""
        try:
            text = self._file.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise TargetError(f"cannot be read ({error}).", file=str(self._file)) from error
        try:
            found = json.loads(text)
            return Kept(str(found["text"]), str(found["mark"]))
        except (ValueError, TypeError, KeyError) as error:
            raise TargetError(
                "is no state of a rollout.", file=str(self._file),
                fix="Delete it and run `mlgate deploy --recover`: what runs is then looked at anew.",
            ) from error  # fmt: skip

    def write(self, text: str, after: str) -> str:
        """The new mark. Raises FencedError unless the state that is kept has the mark `after`."""
        with self.locked():
            self.check(after)
            mark = secrets.token_hex(16)
            write_json(self._file, {"text": text, "mark": mark})
        return mark

    def check(self, mark: str) -> None:
        """Within `locked`: raises FencedError when somebody else has written since."""
        kept = self.read()
        if (kept.mark if kept else "") != mark:
            raise FencedError(
                "another job has gone on with the rollout here meanwhile, so this one changes nothing any more.",
                fix="Look at that job, or run `mlgate deploy --recover` when it has ended.",
            )


def write_json(path: Path, value: Any) -> None:
    """The whole file or the one before, and after a loss of power too. Raises TargetError."""
    data = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(name)
        raise TargetError(f"cannot be written: {error.strerror}.", file=str(path)) from error


def read_json(path: Path) -> dict[str, Any]:
    """Empty for a file that is not there, or is none of ours."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
