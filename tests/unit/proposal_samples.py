"""A project that was trained again, and what a job can leave of it: honest proposals and forged ones."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from builder import Repo, md5
from mlgate.repo import proposal
from mlgate.repo.git import Git

BETTER = b'{"auc": 0.75, "log_loss": 0.55}\n'


class Project:
    """A project that was trained again: better metrics, and the lock that attests them."""

    def __init__(self, tmp_path: Path) -> None:
        self.repo = Repo(tmp_path / "repo")
        self.repo.model()
        self.repo.write("data/.gitignore", "/test.csv\n/train.csv\n")
        self.repo.write("data/raw.csv.dvc", yaml.safe_dump(POINTER))
        self.base = self.repo.commit("Model")
        self.git = Git(self.repo.path)
        self.folder = tmp_path / "proposal"

    @property
    def files(self) -> dict[str, bytes | None]:
        lock = yaml.safe_load((self.repo.path / "dvc.lock").read_text())
        lock["stages"]["evaluate"]["outs"][0]["md5"] = md5(BETTER)
        return {"metrics/eval.json": BETTER, "dvc.lock": yaml.safe_dump(lock, sort_keys=False).encode()}

    def write(self, files: dict[str, bytes | None] | None = None, **more: Any) -> proposal.Proposal:
        chosen = self.files if files is None else files
        return proposal.write(self.folder, self.git, base=self.base, files=chosen, model="visits", **more)

    def read(self, **more: Any) -> proposal.Proposal:
        return proposal.read(self.folder, Git(self.repo.path), **more)

    def forge(self, files: dict[str, bytes | None], **more: Any) -> None:
        """What a hostile job leaves: the right form, and whatever it likes inside."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "files").mkdir(parents=True)
        listed: list[dict[str, Any]] = []
        for path, data in files.items():
            digest = None if data is None else hashlib.sha256(data).hexdigest()
            if data is not None and digest:
                (self.folder / "files" / digest).write_bytes(data)
            listed.append(
                {"path": path} if digest is None else {"path": path, "sha256": digest, "size": len(data or b"")}
            )
        manifest = {"schema": 1, "base": self.base, "models": ["visits"], "message": "Train visits", "files": listed}
        (self.folder / "proposal.json").write_text(json.dumps(manifest | more))

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        file = self.folder / "proposal.json"
        manifest = json.loads(file.read_text())
        change(manifest)
        file.write_text(json.dumps(manifest))


POINTER = {"outs": [{"md5": "a" * 32, "size": 5, "hash": "md5", "path": "raw.csv"}]}
