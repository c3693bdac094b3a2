"""A repository whose main has a model that passed the gate: a decision in its ledger, and a remote to push tags to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from builder import MLGATE, ROOT, Repo, environment, md5
from jobs import environ
from mlgate.ledger.branch import Ledger
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Entry
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote

BETTER = {"auc": 0.74, "log_loss": 0.56}


class Gated:
    """`repo` is what a user works in; `origin` the bare repository it was pushed to, with the ledger."""

    def __init__(self, folder: Path, more: str = "", model: str = "visits") -> None:
        self.folder = folder
        self.model = model
        self.origin = folder / "origin.git"
        self.repo = Repo(folder / "repo")
        subprocess.run(
            ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin)],
            env=environment(),
            check=True,
        )
        self.repo.git("config", "user.email", "ada@example.org")
        self.repo.git("remote", "add", "origin", str(self.origin))
        self.config = (
            MLGATE.replace("model: visits", f"model: {model}") + f"ledger: {{remote: '{self.origin}'}}\n" + more
        )
        self.repo.model(config=self.config)
        self.before = self.repo.commit("Champion")
        self.repo.git("push", "--quiet", "origin", "main")

    def challenger(self, metrics: dict[str, Any] | None = None, **more: Any) -> str:
        """The next model on main, judged there; its commit."""
        self.before = self.repo.head
        self.repo.model(metrics or BETTER, **{"config": self.config, **more})
        self.repo.commit("Challenger")
        self.judged()
        return self.repo.head

    def judged(self, *, ok: bool = True) -> None:
        self.repo.git("push", "--quiet", "origin", "main")
        payload = {"before": self.before, "after": self.repo.head, "ref": "refs/heads/main"}
        more = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "ada"}
        done = self.repo.mlgate("compare", **environ(self.folder / "judge", self.repo, "push", payload, **more))
        assert (done.returncode == 0, done.stderr) == (ok, ""), done.stdout

    def register(self, *args: str, cwd: Path | None = None, ok: int = 0, **env: str) -> str:
        """What `mlgate register` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "mlgate", "register", *args],
            cwd=cwd or self.repo.path,
            env=environment(PYTHONPATH=str(ROOT / "scripts"), **env),
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        assert done.returncode == ok, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def evidence(self) -> dict[str, Any]:
        return self.repo.evidence(self.model, "register")

    def reasons(self) -> dict[str, str]:
        """Of each check: its verdict and its reason."""
        return {check["id"]: f"{check['verdict']}: {check['reason']}" for check in self.evidence()["checks"]}

    def ledger(self) -> Ledger:
        by = Identity("bot", "bot@example.org")
        return Ledger(Git(self.repo.path), Remote(str(self.origin)), spool=self.folder / "spool", by=by)

    def records(self, *kinds: str) -> list[Record]:
        return [record for record in self.ledger().records() if record.entry.kind in kinds]

    def entries(self, *kinds: str) -> list[Any]:
        found: list[Entry] = [record.entry for record in self.records(*kinds)]
        return found

    def clone(self, name: str, *options: str) -> Path:
        path = self.folder / name
        self.repo.git("clone", "--quiet", *options, f"file://{self.origin}", str(path))
        Repo(path).git("config", "user.email", "ada@example.org")
        return path

    def tags(self) -> dict[str, str]:
        """Annotated tags of the remote: name -> commit."""
        told = self.repo.git("ls-remote", "--tags", "origin")
        lines = [line.split("\t") for line in told.splitlines() if line.endswith("^{}")]
        return {ref.removeprefix("refs/tags/").removesuffix("^{}"): commit for commit, ref in lines}

    @property
    def bytes(self) -> bytes:
        """Of the model that the commit names."""
        return f"model {md5((self.repo.path / 'metrics/eval.json').read_bytes())}".encode()


def outputs(file: Path) -> dict[str, Any]:
    """Those of a job of GitHub, the JSON of them read."""

    found = {m[1]: m[3] for m in re.finditer(r"(\S+)<<(\S+)\n(.*?)\n?\2\n", file.read_text(), re.DOTALL)}
    return {**found, "registered": json.loads(found["registered"])}
