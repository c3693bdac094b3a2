"""A repository with an origin that has a ledger, and what a deployment would have written there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from builder import GOOD, Repo, environment, md5
from mlgate.ledger.branch import Ledger
from mlgate.ledger.kinds import Decision, Entry, Promotion, Rollback
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote

BRANCH = "mlgate-ledger"
BY = Identity("mlgate-bot", "mlgate-bot@noreply.example.org")
BETTER = {"auc": 0.74, "log_loss": 0.56}


def bare(path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], env=environment(), check=True)
    return path


def ledger(repo: Repo, origin: Path) -> Ledger:
    """Of an origin, written from a clone of its own, so that the repository under test knows nothing of it."""
    writer = Repo(repo.path.parent / "writer")
    return Ledger(Git(writer.path), Remote(f"file://{origin}"), spool=writer.path / "spool", by=BY)


def model(seed: str) -> dict[str, str]:
    """The digest of a model that `Repo.model(seed=...)` wrote, as its lock has it."""
    return {"dvc-md5": md5(f"model {seed}".encode())}


def promoted(commit: str, seed: str, **more: Any) -> Entry:
    return Promotion(
        **{"model": "visits", "environment": "production", "commit": commit, "subject": model(seed)} | more
    )


def rolled_back(commit: str, seed: str, **more: Any) -> Entry:
    told = {"model": "visits", "environment": "production", "commit": commit, "reason": "errors doubled"}
    return Rollback(**told | {"subject": model(seed)} | more)


def decided(commit: str, seed: str, **more: Any) -> Entry:
    told = {"model": "visits", "commit": commit, "subject": model(seed), "verdict": "pass", "rules": "sha256:0"}
    return Decision(**told | {"statement": "0" * 64, "record": {}} | more)


class Versions(Repo):
    """`old` and `new` on main, and a better challenger on the branch `change`; each is another model."""

    old: str
    new: str

    @classmethod
    def made(cls, path: Path, config: str) -> Versions:
        repo = cls(path)
        repo.model({"auc": 0.71, "log_loss": 0.59}, seed="old", config=config)
        repo.old = repo.commit("Old model")
        repo.model(GOOD, seed="new", config=config)
        repo.new = repo.commit("New model")
        repo.git("checkout", "--quiet", "-b", "change")
        repo.model(BETTER, seed="challenger", config=config)
        repo.commit("Better")
        return repo

    def push(self, origin: Path) -> None:
        self.git("remote", "add", "origin", f"file://{origin}")
        self.git("push", "--quiet", "origin", "main", "change")

    def said(self) -> str:
        """The reasons of all errors of the last comparison."""
        return "\n".join(c["reason"] for c in self.evidence()["checks"] if c["verdict"] == "error")
