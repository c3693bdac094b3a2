"""The project of `projects`, with evaluation data of its own, a `score` command, costs and a metric of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import builder
from setup.projects import DVC_ENV, dvc, set_remote
from train import projects

CONFIG = """\
schema: 1
model: visits
artifact: models/model.json
data:
  - {path: data/train.csv, id: [id]}
  - {path: data/test.csv, id: [id]}
train: {data: data/train.csv}
evaluate:
  holdout:
    data: data/test.csv
    columns: {id: id, label: label, positive: 1}
    metrics: [metrics/eval.json]
    predictions: {path: eval/predictions.csv, score: p_visit, cut_off: 0.5}
    score: python src/predict.py {model} {data} {predictions}
compare:
  champion: main
  rules:
    accuracy: {is: accuracy, threshold: 0.5}
"""
ENTRY = "    regret: {is: row_mean, entry_point: 'src.regret:each', greater_is_better: false, threshold: 9}\n"
REGRET = """\
def each(rows):
    print("asked for", len(rows), "rows with", ", ".join(rows.columns))
    return (rows["label"] - rows["p_visit"]).abs() * rows["x"]
"""
LATENCY = """\
import json, math, time

def load(path):
    model = json.load(open(path))
    wait = model.get("wait", 0)
    def predict(rows):
        time.sleep(wait)
        return [1 / (1 + math.exp(-((x - model["mean"]) / 50 + model["shift"]))) for x in rows["x"]]
    return predict
"""


def rows(first: int, count: int, step: int) -> str:
    lines = [f"{first + i},{(i * step) % 97},{int((i * step) % 97 > 48)}" for i in range(count)]
    return "\n".join(["id,x,label", *lines]) + "\n"


def config(*edits: tuple[str, str], more: str = "") -> str:
    """The configuration with some words replaced, and more lines at its end."""
    text = CONFIG
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    return text + more


RESCORE = "  policy: {not_comparable: rescore}\n"


def make(home: Path) -> builder.Repo:
    """On `main`, trained and pushed."""
    repo = projects.make(home)
    repo.write("src/regret.py", REGRET)
    repo.write("src/latency.py", LATENCY)
    repo.write("mlgate.yaml", CONFIG)
    repo.write("data/test.csv", rows(10_000, 120, 7))
    dvc(repo, "add", "--quiet", "data/test.csv")
    projects.repro(repo)
    return repo


def published(home: Path) -> builder.Repo:
    """The same with `origin.git` beside it, and a remote that every clone finds."""
    repo = make(home)
    set_remote(repo, str(home / "remote"))
    settle(repo, config(more=ENTRY + RESCORE))
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(home / "origin.git"))
    repo.git("remote", "add", "origin", str(home / "origin.git"))
    repo.git("fetch", "--quiet", "origin")
    repo.git("remote", "set-head", "origin", "main")
    return repo


def settle(repo: builder.Repo, text: str) -> None:
    """Rules that are merged already."""
    repo.write("mlgate.yaml", text)
    repo.commit("Set the rules")


def change(repo: builder.Repo, *, shift: float = 0.4, data: str = "", train: str = "") -> None:
    """A branch with another model, and perhaps with other evaluation or training data; trained and pushed."""
    repo.git("switch", "--quiet", "--create", "change", "main")
    repo.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": shift}}) + "\n")
    for path, text in (("data/test.csv", data), ("data/train.csv", train)):
        if text:
            repo.write(path, text)
            dvc(repo, "add", "--quiet", path)
    projects.repro(repo)


class Seen:
    """One run of `compare --prepare`: its evidence, and what it hands over."""

    def __init__(self, repo: builder.Repo, *args: str, **env: str) -> None:
        self.done = repo.mlgate("compare", "--prepare", *args, **{**DVC_ENV, **env})
        self.printed = self.done.stdout + self.done.stderr
        assert 'Traceback (most recent call last):\n  File "/' not in self.done.stderr, self.done.stderr
        self.code = self.done.returncode
        self.folder = repo.path / ".mlgate/inputs"
        self.evidence: dict[str, Any] = repo.evidence(verb="prepare")
        self.verdict: str = self.evidence["verdict"]
        self.checks: dict[str, dict[str, Any]] = {c["id"]: c for c in self.evidence["checks"]}
        self.inputs: dict[str, dict[str, str]] = {one["role"]: one["digest"] for one in self.evidence["inputs"]}
        self.made = sorted(str(p.relative_to(self.folder)) for p in self.folder.glob("made/**/*") if p.is_file())
        self.reasons = "\n".join(c["reason"] for c in self.evidence["checks"] if c["verdict"] != "pass")

    def file(self, role: str) -> Path:
        """A committed file that was handed over."""
        [(algorithm, digest)] = self.inputs[role].items()
        return self.folder / f"{algorithm}-{digest}"

    def verdict_of(self, check: str) -> str:
        verdict: str = self.checks[f"prepare.{check}"]["verdict"]
        return verdict
