"""A pipeline of plain Python for the real DVC: train, predict, evaluate. Its stages take milliseconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import builder
from setup.projects import DVC_ENV, dvc, set_remote

TRAIN = """\
import csv, json, os, random
params = json.load(open("params.yaml"))["train"]
rows = list(csv.DictReader(open("data/train.csv")))
random.seed(params["seed"])
mean = sum(float(row["x"]) for row in rows) / len(rows)
os.makedirs("models", exist_ok=True)
json.dump({"mean": mean, "shift": params["shift"], "rows": len(rows)}, open("models/model.json", "w"))
print("trained on", len(rows), "rows")
"""
PREDICT = """\
import csv, json, sys
model, data, out = sys.argv[1:]
model = json.load(open(model))
with open(out, "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["id", "p_visit"])
    for row in csv.DictReader(open(data)):
        p = 1 / (1 + 2.718281828 ** -((float(row["x"]) - model["mean"]) / 50 + model["shift"]))
        writer.writerow([row["id"], repr(p)])
"""
EVALUATE = """\
import csv, json, math, os
labels = {row["id"]: int(row["label"]) for row in csv.DictReader(open("data/test.csv"))}
rows = [(labels[row["id"]], float(row["p_visit"])) for row in csv.DictReader(open("eval/predictions.csv"))]
loss = -sum(math.log(p if y else 1 - p) for y, p in rows) / len(rows)
right = sum((p >= 0.5) == bool(y) for y, p in rows) / len(rows)
os.makedirs("metrics", exist_ok=True)
json.dump({"accuracy": right, "log_loss": loss, "rows": len(rows)}, open("metrics/eval.json", "w"), indent=2)
"""
PIPELINE = """\
stages:
  train:
    cmd: python src/train.py
    deps: [data/train.csv, src/train.py]
    params: [train]
    outs: [models/model.json]
  predict:
    cmd: python src/predict.py models/model.json data/test.csv eval/predictions.csv
    deps: [models/model.json, data/test.csv, src/predict.py]
    outs: [eval/predictions.csv]
  evaluate:
    cmd: python src/evaluate.py
    deps: [eval/predictions.csv, data/test.csv, src/evaluate.py]
    metrics: [{metrics/eval.json: {cache: false}}]
"""
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
    columns: {id: id}
    metrics: [metrics/eval.json]
    predictions: {path: eval/predictions.csv}
compare:
  rules:
    accuracy: {threshold: 0.5}
    log_loss: {threshold: 2}
"""


def write(repo: builder.Repo) -> None:
    """The files of the project, before anything ran."""
    repo.write("src/train.py", TRAIN)
    repo.write("src/predict.py", PREDICT)
    repo.write("src/evaluate.py", EVALUATE)
    repo.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": 0.25}}) + "\n")
    repo.write("dvc.yaml", PIPELINE)
    repo.write("mlgate.yaml", CONFIG)
    repo.write("data/train.csv", "id,x,label\n" + "".join(f"{i},{i % 97},{int(i % 97 > 48)}\n" for i in range(400)))
    repo.write("data/test.csv", "id,x,label\n" + "".join(f"{i},{i % 89},{int(i % 89 > 44)}\n" for i in range(100)))
    repo.write("eval/.gitkeep", "")


def make(home: Path) -> builder.Repo:
    """The project, run once and pushed to a folder remote beside it."""
    repo = builder.Repo(home / "project")
    dvc(repo, "init", "--quiet")
    write(repo)
    repo.git("rm", "-q", "--cached", "-r", "--ignore-unmatch", ".")
    dvc(repo, "add", "--quiet", "data/train.csv", "data/test.csv")
    (home / "remote").mkdir()
    set_remote(repo, "../../remote")
    repro(repo)
    return repo


def repro(repo: builder.Repo, message: str = "Train", *, push: bool = True) -> None:
    """As a person does: run it, push the data, commit the rest."""
    dvc(repo, "repro", "--quiet")
    if push:
        dvc(repo, "push", "--quiet")
    repo.commit(message)


def copy(master: builder.Repo, home: Path) -> builder.Repo:
    shutil.copytree(master.path.parent, home, symlinks=True)
    return builder.Repo(home / "project")


def clone(master: builder.Repo, home: Path) -> builder.Repo:
    """What a runner checks out: no data, no cache; the remote is reachable."""
    home.mkdir(parents=True)
    shutil.copytree(master.path.parent / "remote", home / "remote")
    builder.Repo(home).git("clone", "--quiet", str(master.path), str(home / "project"))
    shutil.rmtree(home / ".git")
    return builder.Repo(home / "project")


class Seen:
    """One run of the verb and the evidence it left."""

    def __init__(self, repo: builder.Repo, *args: str, **env: str) -> None:
        self.done = repo.mlgate("train", *args, **{**DVC_ENV, **env})
        self.printed = self.done.stdout + self.done.stderr
        assert "Traceback (most recent call last)" not in self.done.stderr, self.done.stderr
        self.code = self.done.returncode
        self.evidence: dict[str, Any] = repo.evidence(verb="train")
        self.verdict: str = self.evidence["verdict"]
        self.checks: dict[str, dict[str, Any]] = {c["id"]: c for c in self.evidence["checks"]}
        self.stages = {s["name"]: s["state"] for s in self.evidence["stages"]}
        self.reasons = "\n".join(c["reason"] for c in self.evidence["checks"] if c["verdict"] != "pass")

    def state(self, start: str) -> str:
        """Of the claim that starts so: proven, attested, refuted, not run."""
        found: list[str] = [p["state"] for p in self.evidence["proofs"] if p["claim"].startswith(start)]
        assert len(found) == 1, self.evidence["proofs"]
        return found[0]


def data_of(repo: builder.Repo) -> dict[str, bytes]:
    """Everything in the working tree but git's and DVC's own, and what mlgate leaves."""
    hidden = (".git", ".dvc", ".mlgate", "__pycache__")
    files = [p for p in repo.path.rglob("*") if p.is_file() and not any(part in hidden for part in p.parts)]
    return {str(p.relative_to(repo.path)): p.read_bytes() for p in files}
