"""A team's repository and its pull requests, made in a moment: example-project as committed, without running DVC.

`make` gives a clone with an `origin`, `challenger` a branch with one commit that changes parameters, metrics and
`dvc.lock` together, as `dvc repro` would have left them. The values of `better` and `worse` were measured by the real
pipeline (challengers.json; `make example` runs it). Git only: no DVC, no model, no data.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import yaml

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1] / "example-project"
MEASURED: dict[str, Any] = json.loads((HERE / "challengers.json").read_text(encoding="utf-8"))
METRICS = "metrics/eval.json"

Kind = Literal["better", "worse", "hand-edited", "loosened", "nan"]

_PERSON = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": "2026-01-05T12:00:00Z"}
_ENV = {
    **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _PERSON.items()},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(repo: Path, *args: str) -> str:
    """What git prints. Raises CalledProcessError when it fails."""
    outside = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # a hook's GIT_DIR
    done = subprocess.run(["git", *args], cwd=repo, env={**outside, **_ENV}, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(repo: Path, message: str) -> str:
    """Commits everything in the working tree; the new commit's id."""
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", message)
    return git(repo, "rev-parse", "HEAD")


def make(folder: Path) -> Path:
    """`folder/project`, a clone of `folder/origin.git` with two commits on `main`: the code, then the champion."""
    origin, repo = folder / "origin.git", folder / "project"
    shutil.copytree(PROJECT, repo, ignore=shutil.ignore_patterns("__pycache__", ".venv", ".mlgate", "*.parquet"))
    git(repo, "init", "--quiet", "--initial-branch=main")
    kept = {path: (repo / path).read_bytes() for path in ("dvc.lock", METRICS)}
    for path in kept:
        (repo / path).unlink()
    commit(repo, "Describe the pipeline")
    for path, data in kept.items():
        (repo / path).parent.mkdir(exist_ok=True)
        (repo / path).write_bytes(data)
    commit(repo, "Train the first model")
    git(folder, "clone", "--quiet", "--bare", str(repo), str(origin))
    git(repo, "remote", "add", "origin", str(origin))
    git(repo, "fetch", "--quiet", "origin")
    git(repo, "branch", "--quiet", "--set-upstream-to=origin/main", "main")
    git(repo, "remote", "set-head", "origin", "main")
    return repo


def challenger(repo: Path, kind: Kind, *, branch: str = "", start: str = "main") -> str:
    """A branch off `start` with one commit, checked out; its id.

    better       boosting instead of logistic regression: passes the rules of mlgate.yaml
    worse        boosting that learns much too fast: an AUC that may be allowed, a broken log loss
    hand-edited  metrics/eval.json says more than dvc.lock attests
    loosened     `worse`, with mlgate.yaml changed so that it would pass
    nan          a log loss that is not a number, attested by dvc.lock
    """
    git(repo, "switch", "--quiet", "--create", branch or kind, start)
    if kind == "hand-edited":
        _edit(repo / METRICS, auc=0.9)
    elif kind == "nan":
        retrained(
            repo, train=MEASURED["better"]["train"], metrics={**MEASURED["better"]["metrics"], "log_loss": float("nan")}
        )
    else:
        measured = MEASURED["worse" if kind == "loosened" else kind]
        retrained(repo, **{key: measured[key] for key in ("train", "metrics")}, outs=measured)
    if kind == "loosened":
        rules = repo / "mlgate.yaml"
        text = rules.read_text(encoding="utf-8")
        assert "max_relative_regression: 2%" in text
        rules.write_text(text.replace("max_relative_regression: 2%", "max_relative_regression: 30%"), encoding="utf-8")
    return commit(repo, f"A {kind} challenger")


def retrained(
    repo: Path, *, train: dict[str, Any], metrics: dict[str, Any], outs: dict[str, Any] | None = None
) -> None:
    """Leaves the working tree as `dvc repro` would after a change of `train:`: params.yaml, metrics and dvc.lock agree.

    Digests of outputs that `outs` does not give are made from the metrics: another model whenever they differ.
    """
    text = json.dumps(metrics, indent=2) + "\n"
    (repo / "metrics").mkdir(exist_ok=True)
    (repo / METRICS).write_text(text, encoding="utf-8")
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    found = {
        "models/visits": {"md5": f"{digest[::-1]}.dir"},
        "eval/predictions.parquet": {"md5": digest[::-1]},
        **(outs or {}),
        METRICS: {"md5": digest, "size": len(text)},
    }
    params = yaml.safe_load((repo / "params.yaml").read_text(encoding="utf-8"))
    _merge(params["train"], train)
    (repo / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    lock = yaml.safe_load((repo / "dvc.lock").read_text(encoding="utf-8"))
    lock["stages"]["train"]["params"]["params.yaml"]["train"] = params["train"]
    for stage in lock["stages"].values():
        for entry in [*stage.get("deps", []), *stage.get("outs", [])]:
            entry.update(found.get(entry["path"], {}))
    (repo / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")


def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _edit(path: Path, **values: float) -> None:
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}, indent=2) + "\n", encoding="utf-8"
    )
