"""A repository with a bare remote over file://, ledgers on it, and ways to damage them as whoever may push could."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder import Repo, environment
from mlgate.ledger import building
from mlgate.ledger.branch import Ledger
from mlgate.ledger.building import Ends
from mlgate.ledger.chain import Segment
from mlgate.ledger.kinds import Deployment, Entry, Promotion, Reading
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote

BOT = Identity("mlgate-bot", "mlgate-bot@noreply.example.org")
BRANCH = "mlgate-ledger"
NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z
Files = dict[str, bytes]


def made(*appends: list[Entry]) -> Files:
    """The files of a ledger after these appends."""
    files: Files = {}
    ends: Ends | None = None
    for entries in appends:
        built = building.build(ends, entries, repository="github.com/o/visits", now=NOW)
        files |= built.files
        ends = built.ends
    return files


class Forge:
    """A bare repository, and clones of it."""

    def __init__(self, folder: Path, name: str = "forge") -> None:
        self.folder = folder
        self.path = folder / f"{name}.git"
        seed = Repo(folder / f"{name}-seed")
        seed.write("README.md", "A model\n")
        seed.commit("Start")
        seed.git("clone", "--quiet", "--bare", str(seed.path), str(self.path))
        self.git("config", "uploadpack.allowFilter", "true")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *args: str, given: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self.path}", *args], env=environment(), capture_output=True, check=False, input=given
        )
        if done.returncode != 0:
            raise AssertionError(f"git {' '.join(args)}: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    def clone(self, name: str = "clone", *options: str) -> Repo:
        repo = Repo(self.folder / "empty")
        repo.git("clone", "--quiet", *options, self.url, str(self.folder / name))
        return Repo(self.folder / name)

    def ledger(self, repo: Repo, *, url: str = "", **more: Any) -> Ledger:
        remote = Remote(url or self.url)
        return Ledger(Git(repo.path), remote, spool=repo.path / ".mlgate/spool", by=BOT, **more)

    def files(self, branch: str = BRANCH) -> dict[str, bytes]:
        paths = self.git("ls-tree", "-r", "--name-only", branch).splitlines()
        show = ["git", f"--git-dir={self.path}", "show"]
        return {p: subprocess.run([*show, f"{branch}:{p}"], capture_output=True, check=True).stdout for p in paths}

    def rewrite(self, files: dict[str, bytes], *, keep_history: bool = True) -> None:
        """Put other files on the branch, as somebody could who may push to it."""
        parent = self.git("rev-parse", BRANCH) if keep_history else ""
        stream = (
            b"reset refs/heads/x\n\ncommit refs/heads/x\ncommitter Eve <eve@example.org> 1800000000 +0000\ndata 0\n"
        )
        stream += f"from {parent}\ndeleteall\n".encode() if parent else b""
        for path, data in files.items():
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
        self.git("fast-import", "--quiet", "--force", given=stream)
        self.git("update-ref", f"refs/heads/{BRANCH}", "refs/heads/x")
        self.git("update-ref", "-d", "refs/heads/x")


def segments(files: dict[str, bytes], chain: str = "events") -> list[str]:
    found = sorted(s for path in files if (s := Segment.parse(path)) and s.chain == chain)
    return [segment.path for segment in found]


def edit(files: dict[str, bytes], path: str, change: Callable[[list[bytes]], object]) -> dict[str, bytes]:
    """The files with the lines of one changed in place."""
    rows = files[path].splitlines(keepends=True)
    change(rows)
    return {**files, path: b"".join(rows)}


def entries(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """All entries of all chains, as they are in the files."""
    lines = [line for chain in ("events", "readings") for p in segments(files, chain) for line in files[p].splitlines()]
    return [json.loads(line) for line in lines]


def promotion(n: int = 0, **more: Any) -> Promotion:
    given = {"model": "visits", "environment": "production", "subject": {"sha256": f"{n:064x}"}, "actor": "ada"}
    return Promotion(**{**given, **more})


def deployment(n: int = 0, **more: Any) -> Deployment:
    given = {"model": "visits", "environment": "production", "subject": {"sha256": f"{n:064x}"}, "state": "complete"}
    return Deployment(**{**given, **more})


def reading(value: float = 0.1, state: str = "ok", **more: Any) -> Reading:
    given = {"model": "visits", "environment": "production", "monitor": "drift", "name": "psi.age", "value": value}
    return Reading(**{**given, "state": state, **more})
