"""Small repositories as users have them: a model with committed metrics, a dvc.lock that attests them, an mlgate.yaml.

No DVC is run: digests are computed as DVC computes them, so a repository takes milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
CLEAN = ("GITHUB_", "CI_", "GITLAB_", "GITEA_", "MLGATE_", "ACTIONS_", "RUNNER_")
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}

MLGATE = """\
schema: 1
model: visits
mode: enforce
artifact: models/visits.joblib
train: {data: data/train.csv}
evaluate:
  holdout:
    data: data/test.csv
    metrics: [metrics/eval.json]
compare:
  champion: main
  rules:
    auc: {is: roc_auc, threshold: 0.70, max_absolute_regression: 0.01}
    log_loss: {is: log_loss, max_relative_regression: 2%, warn_relative_regression: 1%}
"""
GOOD = {"auc": 0.72, "log_loss": 0.58}


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without any forge in it, plus a git identity."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(CLEAN) and k != "CI"}
    return {**kept, **IDENTITY, **extra}


class Repo:
    """A git repository under test."""

    def __init__(self, path: Path, *, branch: str = "main") -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        if not (path / ".git").exists():
            self.git("init", "--quiet", f"--initial-branch={branch}")

    def git(self, *args: str, ok: bool = True, **env: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=environment(**env), capture_output=True, text=True, check=False
        )
        if ok and done.returncode != 0:
            raise AssertionError(f"git {' '.join(args)}: {done.stderr}")
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes | dict[str, Any]) -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content, indent=2) + "\n"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def commit(self, message: str = "Change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def model(
        self,
        metrics: dict[str, Any] | str | None = None,
        *,
        folder: str = "",
        seed: str = "",
        data: str = "test rows",
        config: str | None = MLGATE,
        lock: bool = True,
    ) -> None:
        """Write one model: code, parameters, metrics, and the lock that attests them. `seed` makes another model."""
        at = f"{folder}/" if folder else ""
        values = GOOD if metrics is None else metrics
        text = values if isinstance(values, str) else json.dumps(values, indent=2) + "\n"
        seed = seed or md5(text.encode())
        self.write(f"{at}src/train.py", f"# trains {seed}\n")
        self.write(f"{at}params.yaml", yaml.safe_dump({"train": {"seed": seed}}))
        self.write(f"{at}metrics/eval.json", text)
        self.write(f"{at}dvc.yaml", yaml.safe_dump(_PIPELINE, sort_keys=False))
        if config is not None:
            self.write(f"{at}mlgate.yaml", config)
        if lock:
            self.lock(folder, seed=seed, data=data)

    def lock(self, folder: str = "", *, seed: str, data: str) -> None:
        at = self.path / folder
        code = {"path": "src/train.py", "hash": "md5", "md5": md5((at / "src/train.py").read_bytes()), "size": 1}
        model = {"path": "models/visits.joblib", "hash": "md5", "md5": md5(f"model {seed}".encode()), "size": 1000}
        test = {"path": "data/test.csv", "hash": "md5", "md5": md5(data.encode()), "size": 500}
        train = {"path": "data/train.csv", "hash": "md5", "md5": md5(b"train rows"), "size": 900}
        metrics = {
            "path": "metrics/eval.json",
            "hash": "md5",
            "md5": md5((at / "metrics/eval.json").read_bytes()),
            "size": 10,
        }
        params = {"params.yaml": {"train.seed": yaml.safe_load((at / "params.yaml").read_text())["train"]["seed"]}}
        stages = {
            "split": {"cmd": "python src/split.py", "outs": [test, train]},
            "train": {"cmd": "python src/train.py", "deps": [train, code], "params": params, "outs": [model]},
            "evaluate": {"cmd": "python src/evaluate.py", "deps": [test, model], "outs": [metrics]},
        }
        self.write(
            f"{folder}/dvc.lock" if folder else "dvc.lock",
            yaml.safe_dump(json.loads(json.dumps({"schema": "2.0", "stages": stages})), sort_keys=False),
        )

    def mlgate(self, *args: str, cwd: str = "", timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        """The tool as a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "mlgate", *args],
            cwd=self.path / cwd,
            env=environment(PYTHONPATH=str(ROOT / "scripts"), **env),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def evidence(self, model: str = "visits", verb: str = "compare") -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.path / f".mlgate/evidence/{model}/{verb}.json").read_text())
        return loaded


_PIPELINE = {
    "stages": {
        "split": {"cmd": "python src/split.py", "outs": ["data/test.csv", "data/train.csv"]},
        "train": {
            "cmd": "python src/train.py",
            "deps": ["data/train.csv", "src/train.py"],
            "params": ["train.seed"],
            "outs": ["models/visits.joblib"],
        },
        "evaluate": {
            "cmd": "python src/evaluate.py",
            "deps": ["data/test.csv", "models/visits.joblib"],
            "metrics": [{"metrics/eval.json": {"cache": False}}],
        },
    }
}


def consumer(path: Path) -> Repo:
    """A repository with one champion on main, and a branch `change` checked out for the challenger."""
    repo = Repo(path)
    repo.write("README.md", "A model\n")
    repo.commit("Start")
    repo.model()
    repo.commit("First model")
    repo.git("checkout", "--quiet", "-b", "change")
    return repo


def edit(repo: Repo, path: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a YAML file in place."""
    value = yaml.safe_load((repo.path / path).read_text())
    change(value)
    repo.write(path, yaml.safe_dump(value, sort_keys=False))


def reasons(repo: Repo, verdict: str, model: str = "visits") -> str:
    """Why the checks of a verdict have it, a line each."""
    return "\n".join(c["reason"] for c in repo.evidence(model)["checks"] if c["verdict"] == verdict)
