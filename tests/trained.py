"""A small project with a real DVC, a real remote (a folder) and a contract; and what can be wrong with a change to it.

`make` takes some seconds, so it is called once and copied; `Trained.change` makes a branch as a colleague would.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import tools
from builder import Repo, edit, environment

Kind = Literal["good", "bad-data", "stale", "unpushed", "hand-edited"]

MLGATE = """\
schema: 1
model: visits
mode: enforce
artifact: models/visits.json
data:
  - {path: data/train.csv, contract: contracts/persons.yaml}
  - {path: data/test.csv, contract: contracts/persons.yaml}
train: {data: data/train.csv}
evaluate:
  holdout:
    data: data/test.csv
    metrics: [metrics/eval.json]
compare:
  champion: main
  rules:
    log_loss: {is: log_loss, max_relative_regression: 5%}
"""
CONTRACT = """\
schema: 1
table: {rows: [100, null]}
columns:
  person: {type: integer, nulls: 0, unique: true}
  age: {type: integer, nulls: 0, min: 0, max: 120}
  visited: {type: integer, nulls: 0, in: [0, 1]}
"""
DVC = """\
stages:
  train:
    cmd: python src/train.py
    deps: [src/train.py, data/train.csv]
    params: [train]
    outs: [models/visits.json]
  evaluate:
    cmd: python src/evaluate.py
    deps: [src/evaluate.py, data/test.csv, models/visits.json]
    metrics:
      - metrics/eval.json: {cache: false}
"""
TRAIN = """\
import csv, json, os
smoothing = float(next(line.split(":")[1] for line in open("params.yaml") if "smoothing" in line))
rows = list(csv.DictReader(open("data/train.csv")))
model = {}
for decade in range(13):
    seen = [int(row["visited"]) for row in rows if int(row["age"]) // 10 == decade]
    model[decade] = (sum(seen) + smoothing) / (len(seen) + 2 * smoothing)
os.makedirs("models", exist_ok=True)
json.dump(model, open("models/visits.json", "w"))
"""
EVALUATE = """\
import csv, json, math, os
model = json.load(open("models/visits.json"))
loss = []
for row in csv.DictReader(open("data/test.csv")):
    p = model[str(int(row["age"]) // 10)]
    loss.append(-math.log(p if row["visited"] == "1" else 1 - p))
os.makedirs("metrics", exist_ok=True)
json.dump({"log_loss": sum(loss) / len(loss)}, open("metrics/eval.json", "w"), indent=2)
"""


def rows(first: int, count: int, *, bad: tuple[int, ...] = ()) -> str:
    """`count` persons as CSV, always the same; those at the places in `bad` have an age that nobody has."""
    draw = random.Random(first)  # noqa: S311 -- test data
    lines = ["person,age,visited"]
    for place in range(count):
        age = draw.randint(0, 119)
        visited = int(draw.random() < 0.2 + age / 200)
        lines.append(f"{first + place},{-3 if place in bad else age},{visited}")
    return "\n".join(lines) + "\n"


class Trained:
    """The project, its `origin.git` beside it, and the remote folder that both share with all copies."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.repo = Repo(home / "project")

    @property
    def path(self) -> Path:
        return self.repo.path

    def dvc(self, *args: str) -> None:
        """The project's own DVC; its stages run the Python beside it."""
        dvc = tools.script("dvc")
        env = environment()
        env |= {"PATH": f"{dvc.parent}:{env['PATH']}", "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run([dvc, *args], cwd=self.path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def change(self, kind: Kind) -> str:
        """A branch off main with one commit, checked out; its id.

        good         other parameters: trained and pushed
        bad-data     three persons with an age of -3 in the training data: trained and pushed all the same
        stale        the training code is edited, and nothing is trained
        unpushed     trained, and `dvc push` forgotten
        hand-edited  metrics/eval.json says less than dvc.lock attests
        """
        self.repo.git("switch", "--quiet", "--create", kind, "main")
        if kind == "stale":
            self.repo.write("src/train.py", TRAIN.replace("2 * smoothing", "3 * smoothing"))
        elif kind == "hand-edited":
            self.repo.write("metrics/eval.json", {"log_loss": 0.1})
        else:
            self.repo.write("params.yaml", f"train:\n  smoothing: {5 if kind == 'unpushed' else 1}\n")
            if kind == "bad-data":
                self.repo.write("data/train.csv", rows(0, 600, bad=(10, 20, 300)))
                self.dvc("add", "--quiet", "data/train.csv")
            self.dvc("repro", "--quiet")
            if kind != "unpushed":
                self.dvc("push", "--quiet")
        return self.repo.commit(f"A {kind} change")

    def copy(self, home: Path) -> Trained:
        shutil.copytree(self.home, home, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("store"))
        return Trained(home)


def make(home: Path) -> Trained:
    """The project on `main`, with its champion trained and pushed, and `origin.git` made from it."""
    trained = Trained(home)
    repo = trained.repo
    trained.dvc("init", "--quiet")
    store = home / "store"
    store.mkdir()
    repo.write(
        ".dvc/config", f"[core]\n    analytics = false\n    remote = store\n['remote \"store\"']\n    url = {store}\n"
    )
    repo.write("mlgate.yaml", MLGATE)
    repo.write("contracts/persons.yaml", CONTRACT)
    repo.write("dvc.yaml", DVC)
    repo.write("params.yaml", "train:\n  smoothing: 3\n")
    repo.write("src/train.py", TRAIN)
    repo.write("src/evaluate.py", EVALUATE)
    repo.write("data/train.csv", rows(0, 600))
    repo.write("data/test.csv", rows(10_000, 400))
    trained.dvc("add", "--quiet", "data/train.csv", "data/test.csv")
    repo.commit("Describe the pipeline")
    trained.dvc("repro", "--quiet")
    trained.dvc("push", "--quiet")
    repo.commit("Train the first model")
    assert "log_loss" in json.loads((repo.path / "metrics/eval.json").read_text("utf-8"))
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(home / "origin.git"))
    repo.git("remote", "add", "origin", str(home / "origin.git"))
    repo.git("fetch", "--quiet", "origin")
    repo.git("remote", "set-head", "origin", "main")
    return trained


def without_contracts(project: Path) -> None:
    """Let a project that has no data here, and no remote, ask for none: committed metrics alone are judged."""

    def drop(config: dict[str, Any]) -> None:
        for entry in config["data"]:
            for key in ("contract", "apart_from", "apart_by"):
                entry.pop(key, None)
        for evaluation in config["evaluate"].values():
            for key in ("predictions", "columns"):
                evaluation.pop(key, None)
        for key in ("slices", "fairness"):
            config["compare"].pop(key, None)
        for key in ("monitor", "notify", "retrain"):  # made-up challengers bring no reference profile
            config.pop(key, None)

    edit(Repo(project), "mlgate.yaml", drop)
