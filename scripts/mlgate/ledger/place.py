"""Where a ledger is: the address that names its repository, and the folder in .git where this clone keeps its copy."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.ledger import spool
from mlgate.repo.git import Git

_SCP = re.compile(r"(?:[^@/\s]+@)?([^:/\s]+):(?!//)(.+)")


def address(url: str) -> str:
    """A repository by host and path, the same for every way to reach it: no user, port, scheme or `.git`."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("", "file") or not parts.netloc:
        scp = _SCP.fullmatch(url) if not url.startswith(("/", ".", "file:")) else None
        if scp is None:
            path = os.path.realpath(urllib.parse.unquote(parts.path) if parts.scheme == "file" else url)
            return path.rstrip("/").removesuffix(".git")
        host, path = scp[1], scp[2]
    else:
        host, path = parts.hostname or "", parts.path
    return f"{host}/{path.strip('/').removesuffix('.git')}".lower()


def same(one: str, other: str) -> bool:
    """Whether two addresses may name one repository: `ssh.example.com` and `example.com` are one forge."""
    (host, _, path), (other_host, _, other_path) = one.partition("/"), other.partition("/")
    if not host or not other_host:
        return one == other
    return path == other_path and host.split(".")[-2:] == other_host.split(".")[-2:]


class BusyError(MlgateError):
    """Another process of this clone works on the ledger."""


class Home:
    """A folder for one ledger inside this clone's .git, which no commit and no artifact can write into."""

    def __init__(self, git: Git, url: str, branch: str) -> None:
        common = git.try_run("rev-parse", "--git-common-dir").stdout.decode().strip() or ".git"
        above = (git.root / common).resolve() / "mlgate"
        name = hashlib.sha256(f"{address(url)}\0{branch}".encode()).hexdigest()[:16]
        self.folder = above / f"ledger-{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK):
                raise PermissionError
        except OSError:
            # A checkout that this user may not write to: then nothing is remembered between two runs.
            self._temporary = tempfile.TemporaryDirectory(prefix="mlgate-ledger-")
            above = Path(self._temporary.name)
            self.folder = above / f"ledger-{name}"
            self.folder.mkdir()
        self.key = spool.key(above)

    @property
    def copy(self) -> Path:
        return self.folder / "objects.git"

    def known(self) -> dict[str, Any]:
        """What was last seen of the branch; empty where nothing was."""
        with suppress(OSError, ValueError):
            value = json.loads((self.folder / "known.json").read_text("utf-8"))
            return value if isinstance(value, dict) else {}
        return {}

    def know(self, value: dict[str, Any]) -> None:
        spool.write(self.folder / "known.json", json.dumps(value, sort_keys=True).encode(), durable=False)

    def done(self, entry_id: str, value: dict[str, Any]) -> None:
        """Tell the process that waits for an entry where it is now."""
        spool.write(self.folder / "done" / entry_id, json.dumps(value).encode(), durable=False)

    def take_done(self, entry_id: str) -> dict[str, Any] | None:
        path = self.folder / "done" / entry_id
        with suppress(OSError, ValueError):
            value: dict[str, Any] = json.loads(path.read_text("utf-8"))
            path.unlink(missing_ok=True)
            return value
        return None

    def tidy(self) -> None:
        """Word for processes that have died is kept for a day."""
        old = time.time() - 86_400
        for path in (self.folder / "done").glob("*"):
            with suppress(OSError):
                if path.stat().st_mtime < old:
                    path.unlink()

    @contextmanager
    def locked(self, deadline: float) -> Iterator[None]:
        """One process of this clone at a time. Raises MlgateError when the lock is not had by `deadline`."""
        with open(self.folder / "lock", "w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if time.monotonic() >= deadline:
                        raise BusyError(
                            f"another mlgate in this clone has the ledger for itself ({self.folder / 'lock'})."
                        ) from error
                    time.sleep(0.02)
            yield
