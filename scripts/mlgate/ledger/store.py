"""The ledger's branch, in a bare repository of our own: fetched, extended and pushed without touching the user's clone.

Only what is needed is fetched: the tip without history, and of its files those that are read. Neither the user's refs,
index, working tree nor the depth of a shallow clone change. Addresses and credentials are handed to git by environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.repo import push
from mlgate.repo.git import Entry, Git
from mlgate.repo.push import Identity, PushError, Remote

REMOTE = "ledger"
TIMEOUT = 120  # seconds for one answer of the server
_PACKS = 100  # of the local copy, before it is made anew
_NEW = "refs/mlgate/new"
_SLOW = (("http.lowSpeedLimit", "1000"), ("http.lowSpeedTime", "30"))


@dataclass
class Tip:
    """Where the branch is."""

    commit: str
    git: Git

    @cached_property
    def files(self) -> Mapping[str, Entry]:
        """What it has there: path -> blob. Read when asked for."""
        return self.git.at(self.commit).files


class _Bare(Git):
    """A bare repository in a folder of ours. Settings for every call come by environment."""

    def __init__(self, folder: Path, settings: Sequence[tuple[str, str]]) -> None:
        super().__init__(folder)
        self._settings = tuple(settings)

    def _command(self, args: Iterable[str]) -> list[str]:
        quiet = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.fsync=none"]
        return super()._command([f"--git-dir={self.root}", *quiet, *args])

    def try_run(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float | None = None, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        more = configured({**os.environ, **(env or {})}, self._settings)
        return super().try_run(
            *args, env={**(env or {}), **more}, timeout=min(timeout or TIMEOUT, TIMEOUT), given=given
        )

    def forget(self) -> None:
        """Let the next read see what was fetched."""
        self._cat = None


class Store:
    """One branch of one remote, and the local copy of what was fetched of it."""

    def __init__(
        self,
        folder: Path,
        remote: Remote,
        branch: str,
        *,
        by: Identity,
        object_format: str,
        settings: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.branch = branch
        self._folder = folder
        self._by = by
        self._format = object_format
        self._remote = Remote(REMOTE, remote.env)
        where = (f"remote.{REMOTE}.url", remote.url)
        self._git = _Bare(folder, [*settings, *_SLOW, where, (f"remote.{REMOTE}.promisor", "true")])

    # -- reading -----------------------------------------------------------------------------------------------------

    def fetch(self) -> Tip | None:
        """The branch as it is now, None where the remote has none. Raises PushError when it cannot be asked."""
        self._prepare()
        ref = f"refs/heads/{self.branch}"
        # After the first time only what changed is sent, whole: the last segments among it.
        part = "--no-filter" if self._resolve() else "--filter=blob:none"
        done = self._ask(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", part, REMOTE, f"+{ref}:{ref}"
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace")
            if f"couldn't find remote ref {ref}" in said:
                return None
            raise push.classify(said)
        commit = self._resolve()
        return Tip(commit, self._git)

    def read(self, tip: Tip, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes of files of the tip. Raises PushError or MlgateError when they cannot be had."""
        blobs = {path: tip.files[path].blob for path in paths}
        out = self._git.try_run(
            "rev-list", "--objects", "--missing=print", "--no-object-names", "--no-walk", f"{tip.commit}^{{tree}}"
        )
        missing = {line[1:] for line in out.stdout.decode().split() if line.startswith("?")}
        if lacking := sorted(missing & set(blobs.values())):
            given = "".join(f"{blob}\n" for blob in lacking).encode()
            quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none")
            noop = ("-c", "fetch.negotiationAlgorithm=noop")
            done = self._ask(*noop, "fetch", *quiet, "--stdin", REMOTE, given=given)
            if done.returncode != 0:
                raise push.classify(done.stderr.decode(errors="replace"))
            self._git.forget()
        return {path: self._git.blob(blob) for path, blob in blobs.items()}

    # -- writing -----------------------------------------------------------------------------------------------------

    def commit(self, tip: Tip | None, files: Mapping[str, bytes], *, title: str, at: int) -> str:
        """A commit on top of the tip, with these files changed; an orphan where there is no tip."""
        self._prepare()
        name, email = (_plain(text) for text in (self._by.name, self._by.email))
        message = f"{title}\n".encode()
        stream = [f"reset {_NEW}\n\ncommit {_NEW}\nmark :1\ncommitter {name} <{email}> {at} +0000\n".encode()]
        stream.append(b"data %d\n%s\n" % (len(message), message))
        if tip is not None:
            stream.append(f"from {tip.commit}\n".encode())
        stream += [
            b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data) for path, data in files.items()
        ]
        stream.append(b"\nget-mark :1\ndone\n")
        done = self._git.try_run("fast-import", "--quiet", "--force", "--done", given=b"".join(stream))
        sha = done.stdout.decode().strip()
        if done.returncode != 0 or not sha:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise MlgateError(f"the ledger's commit could not be made: {said[0] if said else done.returncode}")
        self._git.forget()
        return sha

    def push(self, commit: str, tip: Tip | None) -> Tip:
        """Let the branch be at a commit if it is still at the tip. Raises PushError; `moved` when it is not."""
        push.push(self._git, self._remote, commit, self.branch, instead_of=tip.commit if tip else "")
        return Tip(commit, self._git)

    def tip(self) -> str:
        """Where the remote says that the branch is; "" where there is none."""
        return push.tip(self._git, self._remote, self.branch)

    # -- the local copy ----------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        packs = self._folder / "objects/pack"
        if packs.is_dir() and sum(1 for _ in packs.iterdir()) > 3 * _PACKS:
            shutil.rmtree(self._folder)
        if not (self._folder / "HEAD").is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            made = self._git.try_run(
                "init", "--quiet", "--bare", "--template=", f"--object-format={self._format}", str(self._folder)
            )
            if made.returncode != 0:
                raise MlgateError(f"cannot keep a copy of the ledger in {self._folder}.", fix="Is the disk full?")
            self._git.forget()

    def _resolve(self) -> str:
        self._git.forget()
        return self._git.resolve(f"refs/heads/{self.branch}") or ""

    def _ask(self, *args: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        env = {"GIT_ASKPASS": "", "SSH_ASKPASS": "", **self._remote.env} if self._remote.env else {}
        return self._git.try_run(*args, env=env, given=given)


def configured(env: Mapping[str, str], settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings as git reads them from the environment, after those that are there."""
    there = env.get("GIT_CONFIG_COUNT", "")
    count = int(there) if there.isdecimal() else 0
    found = {"GIT_CONFIG_COUNT": str(count + len(settings))}
    for number, (key, value) in enumerate(settings, count):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in "<>")


__all__ = ["PushError", "Store", "Tip", "configured"]
