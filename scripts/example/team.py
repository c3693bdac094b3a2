"""A team: its repository, the remote of its data, and what its people do there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import environment
from console import Console, StoryError
from month import VISITORS

PROJECT = environment.ROOT / "example-project"
NOT_COMMITTED = ("__pycache__", ".venv", ".mlgate", "*.parquet", "visits", "cache", "tmp", "config.local")
METRICS = "metrics/eval.json"
PROFILE = "metrics/profile.json"
COLLECTED = "data/collected.parquet"
EVIDENCE = ".mlgate/evidence/doctor-visits"


class Team:
    """A repository with a remote for its data, and people who change it."""

    def __init__(self, folder: Path, console: Console, env: dict[str, str], mlgate: list[str]) -> None:
        self.folder, self.console, self.env, self.mlgate = folder, console, env, mlgate
        self.repo = folder / "project"

    def begin(self) -> None:
        """`main` has the pipeline and the rules, and no model yet."""
        shutil.copytree(PROJECT, self.repo, ignore=shutil.ignore_patterns(*NOT_COMMITTED))
        for made_by_a_run in ("dvc.lock", METRICS, PROFILE):
            (self.repo / made_by_a_run).unlink()
        self.git("init", "--quiet", "--initial-branch=main")
        self.dvc("remote", "add", "--quiet", "--default", "storage", str(self.folder / "storage"))
        self.collects()

    def collects(self) -> None:
        """What production will bring has its place among the training data: a table elsewhere, and a pointer to it."""
        self.console.run(["python", VISITORS, "keep", self.folder], cwd=self.repo, env=self.env, quiet=True)
        self.dvc("import-url", "--quiet", str(self.folder / "warehouse.parquet"), COLLECTED)
        self.edit(
            "dvc.yaml",
            "deps: [src/split.py, data/visits.parquet]",
            f"deps: [src/split.py, data/visits.parquet, {COLLECTED}]",
        )
        self.edit("mlgate.yaml", "  cooldown: 7 days", f"  cooldown: 7 days\n  prepare: dvc update {COLLECTED}.dvc")

    def git(self, *args: str) -> None:
        self.console.run(
            ["git", *args], cwd=self.repo, env=self.env, quiet=args[0] in {"init", "add", "config", "remote"}
        )

    def head(self) -> str:
        words = ["git", "rev-parse", "HEAD"]
        return subprocess.run(
            words, cwd=self.repo, env=self.env, check=True, capture_output=True, text=True
        ).stdout.strip()

    def evidence(self, verb: str, repo: Path | None = None) -> dict[str, Any]:
        """What a verb has left. Raises StoryError when it left nothing."""
        file = (repo or self.repo) / EVIDENCE / f"{verb}.json"
        if not file.exists():
            raise StoryError(f"`mlgate {verb}` left no {file.name}")
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def dvc(self, *args: str) -> None:
        self.console.run(["dvc", *args], cwd=self.repo, env=self.env)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def train(self) -> None:
        self.dvc("repro")
        self.dvc("push")
        self.console.run([*self.mlgate, "profile"], cwd=self.repo, env=self.env, shown="$ mlgate profile")

    def edit(self, path: str, old: str, new: str) -> None:
        """Raises StoryError when the file does not say `old` exactly once: the example and its story drifted apart."""
        file = self.repo / path
        text = file.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise StoryError(f"{path} says {old!r} {text.count(old)} times, and the story needs it once.")
        file.write_text(text.replace(old, new), encoding="utf-8")
        self.console.say(f"  {path}: {' '.join(old.split())} -> {' '.join(new.split())}")

    def append(self, path: str, line: str) -> None:
        with (self.repo / path).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self.console.say(f"  {path}: + {line}")
