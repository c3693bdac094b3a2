"""A project with a real DVC, a remote folder and rows to compare by; and pull requests that differ in their rows.

`make` trains the champion and every challenger once and pushes all of it, so it is called once and copied;
`Scenarios.change` then makes the branch of one of them in a moment.
"""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tools
from builder import Repo, environment

Kind = Literal["better", "noisy", "unfair", "bad-slice", "other-data", "looser", "looser-and-worse"]

MLGATE = """\
schema: 1
model: visits
mode: enforce
artifact: models/visits.json
train: {data: data/train.csv}
evaluate:
  holdout:
    data: data/test.csv
    columns: {id: person, label: visited, positive: 1}
    metrics: [metrics/eval.json]
    predictions: {path: eval/predictions.csv, score: p_visit, cut_off: 0.5}
    score: python src/predict.py {model} {data} {predictions}
compare:
  champion: main
  rules:
    auc: {is: roc_auc, threshold: 0.6, max_absolute_regression: 0.02}
    log_loss: {is: log_loss, max_relative_regression: 5%}
  slices:
    by: [region]
    min_rows: 200
    rules:
      auc: {is: roc_auc, max_absolute_regression: 0.05}
  fairness:
    by: [sex]
    min_rows: 200
    rules:
      disparate_impact_ratio: {threshold: 0.8}
"""
LIMIT = ("max_absolute_regression: 0.02", "max_absolute_regression: 0.2")
RESCORE = "  policy: {not_comparable: rescore}\n"
DVC = """\
stages:
  train:
    cmd: python src/train.py
    deps: [src/train.py, data/train.csv]
    params: [train]
    outs: [models/visits.json]
  predict:
    cmd: python src/predict.py models/visits.json data/test.csv eval/predictions.csv
    deps: [src/predict.py, data/test.csv, models/visits.json]
    outs: [eval/predictions.csv]
  evaluate:
    cmd: python src/evaluate.py
    deps: [src/evaluate.py, data/test.csv, eval/predictions.csv]
    metrics: [{metrics/eval.json: {cache: false}}]
"""
# The model sees a person's risk up to some noise, of which there may be more in the north, and may lean by sex.
TRAIN = """\
import csv, json
rows = sum(1 for _ in csv.DictReader(open("data/train.csv")))
json.dump(json.load(open("params.yaml"))["train"] | {"rows": rows}, open("models/visits.json", "w"))
"""
PREDICT = """\
import csv, json, math, random, sys
model = json.load(open(sys.argv[1]))
draw = random.Random(model["seed"])
with open(sys.argv[3], "w") as out:
    print("person,p_visit", file=out)
    for row in csv.DictReader(open(sys.argv[2])):
        noise = model["north"] if row["region"] == "north" else model["noise"]
        lean = model["lean"] if row["sex"] == "m" else -model["lean"]
        seen = (float(row["risk"]) + draw.gauss(0, 1) * noise) / (1 + noise**2)
        print(row["person"], f"{1 / (1 + math.exp(-1.5 * seen - lean)):.6f}", sep=",", file=out)
"""
EVALUATE = """\
import csv, json, math
from itertools import groupby
truth = {row["person"]: int(row["visited"]) for row in csv.DictReader(open("data/test.csv"))}
rows = [(float(row["p_visit"]), truth[row["person"]]) for row in csv.DictReader(open("eval/predictions.csv"))]
loss = -sum(math.log(p if y else 1 - p) for p, y in rows) / len(rows)
below = won = 0
for _, tied in groupby(sorted(rows), key=lambda row: row[0]):
    tied = [y for _, y in tied]
    won += sum(tied) * (below + (len(tied) - sum(tied)) / 2)
    below += len(tied) - sum(tied)
json.dump({"auc": won / below / (len(rows) - below), "log_loss": loss}, open("metrics/eval.json", "w"), indent=2)
"""
CHAMPION = {"noise": 1.0, "north": 1.0, "seed": 1, "lean": 0}
MODELS: dict[Kind, dict[str, float]] = {
    "better": {"noise": 0.5, "north": 0.5},
    "noisy": {"seed": 4},
    "unfair": {"noise": 0.2, "north": 0.2, "lean": 0.6},
    "bad-slice": {"noise": 0.3, "north": 3.0},
    "looser": {"noise": 0.5, "north": 0.5},
    "looser-and-worse": {"noise": 1.6, "north": 1.6},
    "other-data": {"noise": 0.5, "north": 0.5},  # last: its test set stays in the working tree
}


@dataclass(frozen=True)
class Case:
    """A pull request, and what has to come of it on every forge. `comment` are patterns that it has to hold."""

    kind: Kind
    verdict: str
    code: int
    comment: tuple[str, ...]
    failed: tuple[str, ...] = ()  # ids of all checks with that verdict, if it is not `pass`
    approved: bool = False  # by a maintainer's review of the head commit
    rescore: bool = False  # whether the base says so of other test data
    run: str = "pass"  # verdict of what the run job prepared
    roles: frozenset[str] = frozenset()  # of files that were made beside the committed ones


# A row of the table: both values, the difference with its interval, what is allowed, and how many rows say so.
BETTER = r"^\| ✅ \| auc \| 0\.7315 \| 0\.7870 \| \+0\.0554 \(\+0\.0507 to \+0\.0603\) \| down to −0\.02 \| 4,000 \|$"
NORTH = (
    r"^\| ❌ \| auc, region = north \| 0\.7381 \| 0\.6311 \| −0\.1071 \(−0\.1208 to −0\.0937\) \| down to −0\.05 "
    r"\| 1,013 \|$"
)
CASES = {
    "better": Case(
        "better", "pass", 0,
        (
            r"^> \[!TIP\]\n> \*\*visits: pass\.\*\* 3 limits hold against the champion",
            BETTER,
            r"^log_loss +\|···██◆██·+┊·+╎···\|  better$",
            r"^<details><summary>3 groups of rows within their limits</summary>$",
            r"controls (\d\d) of \1 ·",
        ),
    ),
    "noisy": Case(
        "noisy", "inconclusive", 3,
        (
            r"^> \[!IMPORTANT\]\n> \*\*visits: inconclusive\.\*\* .*4,000 rows cannot tell",
            r"About 6,700 rows like these would settle it",
            r"^\| ❔ \| auc \| 0\.7315 \| 0\.7240 \| −0\.0075 \(−0\.0220 to \+0\.0070\) \| down to −0\.02 \| 4,000 \|$",
        ),
        ("rules.auc.absolute_regression",),
    ),
    "unfair": Case(
        "unfair", "fail", 1,
        (
            r"^> \[!CAUTION\]\n> \*\*visits: fail\.\*\* .*disparate_impact_ratio by sex",
            r"^\| ❌ \| disparate_impact_ratio by sex \|",
            r"^\| ✅ \| auc \| 0\.7315 \| 0\.7\d+ \| \+0\.0\d+ \(",
        ),
        ("fairness.disparate_impact_ratio.sex.threshold",),
    ),
    "bad-slice": Case(
        "bad-slice", "fail", 1,
        (
            r"^> \[!CAUTION\]\n> \*\*visits: fail\.\*\* auc of region = north is 0\.107 worse than the champion's, and",
            NORTH,
            r"^\| ✅ \| auc \| 0\.7315 \| 0\.7705 \|",
        ),
        ("slices.auc.region = north.absolute_regression",),
    ),
    "other test set": Case(
        "other-data", "inconclusive", 3,
        (
            r"^> \[!IMPORTANT\]\n> \*\*visits: inconclusive\.\*\* Not the same test set: data/test\.csv was",
            r"auc was not compared: it was measured on another test set",
            r"evaluate\.holdout\.data \(data/test\.csv\)",
        ),
        approved=True,
    ),
    "other test set, scored again": Case(
        "other-data", "pass", 0,
        (
            r"^> \[!TIP\]\n> \*\*visits: pass\.\*\*",
            r"^\| ✅ \| auc \| 0\.7\d+ \| 0\.7908 \| \+0\.0\d+ \(\+0\.0\d+ to \+0\.0\d+\) \| down to −0\.02 \|",
            r"controls (\d\d) of \1 ·",
        ),
        approved=True, rescore=True, roles=frozenset({"champion scored again on holdout"}),
    ),
    "looser rules": Case(
        "looser", "inconclusive", 3,
        (
            r"^> \[!IMPORTANT\]\n> \*\*visits: inconclusive\.\*\* .*It needs an approving review of the head commit",
            r"compare\.rules\.auc\.max_absolute_regression.*0\.02.*→.*0\.2",
            BETTER,
        ),
        ("judge.rules-changed",),
    ),
    "looser rules, approved": Case(
        "looser-and-worse", "fail", 1,
        (
            r"^> \[!CAUTION\]\n> \*\*visits: fail\.\*\* .*auc",
            r"compare\.rules\.auc\.max_absolute_regression.*0\.02.*→.*0\.2",
            r"ada approved that",
            r"^\| ❌ \| auc \| 0\.7315 \| 0\.6\d+ \| −0\.0\d+ \(−0\.0\d+ to −0\.0\d+\) \| down to −0\.02 \| 4,000 \|$",
            r"^\| ✅ \| auc, as proposed \|",
        ),
        approved=True,
    ),
}  # fmt: skip


def persons(first: int, count: int) -> str:
    """Labelled rows as CSV, always the same."""
    draw = random.Random(first)  # noqa: S311 -- test data
    lines = ["person,risk,region,sex,visited"]
    for person in range(first, first + count):
        risk = draw.gauss(0, 1)
        region, sex = ("north" if draw.random() < 0.25 else "south"), ("f" if draw.random() < 0.5 else "m")
        lines.append(f"{person},{risk:.6f},{region},{sex},{int(draw.random() < 1 / (1 + math.exp(-1.5 * risk)))}")
    return "\n".join(lines) + "\n"


class Scenarios:
    """The project, its `origin.git` beside it, and the remote folder that all copies share."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.repo = Repo(home / "project")

    @property
    def path(self) -> Path:
        return self.repo.path

    def change(self, kind: Kind) -> str:
        """A branch off main with one commit, checked out; its id.

        better            surer about everybody
        noisy             as good as the champion, with other noise: a little below it by chance
        unfair            surer about everybody, and leans to men
        bad-slice         much surer in the south, and lost in the north
        other-data        better, and evaluated on other persons
        looser            better, and its mlgate.yaml allows a greater loss of AUC
        looser-and-worse  worse, as only its own mlgate.yaml would allow
        """
        self.repo.git("switch", "--quiet", "--create", kind, "main")
        self.repo.git("cherry-pick", f"made/{kind}")
        return self.repo.head

    def rescore(self) -> None:
        """Let the base say that a champion of other test data is scored again."""
        self.repo.write("mlgate.yaml", MLGATE + RESCORE)
        self.repo.commit("Score the champion again where the test data are new")

    def copy(self, home: Path) -> Scenarios:
        shutil.copytree(self.home, home, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("store"))
        return Scenarios(home)

    def _train(self, kind: Kind | Literal["main"]) -> None:
        params = CHAMPION if kind == "main" else CHAMPION | MODELS[kind]
        self.repo.write("params.yaml", json.dumps({"train": params}) + "\n")
        if kind == "other-data":
            self.repo.write("data/test.csv", persons(30_000, 4000))
            self.dvc("add", "--quiet", "data/test.csv")
        if kind in ("looser", "looser-and-worse"):
            self.repo.write("mlgate.yaml", MLGATE.replace(*LIMIT))
        self.dvc("repro", "--quiet")
        self.repo.commit(f"Train the model of {kind}")

    def dvc(self, *args: str) -> None:
        """The project's own DVC; its stages run the Python beside it."""
        dvc = tools.script("dvc")
        env = environment()
        env |= {"PATH": f"{dvc.parent}:{env['PATH']}", "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run([dvc, *args], cwd=self.path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def make(home: Path) -> Scenarios:
    """The project on `main`, with its champion; every challenger is a tag `made/<kind>` until `change` is asked."""
    found = Scenarios(home)
    repo = found.repo
    found.dvc("init", "--quiet")
    store = home / "store"
    store.mkdir()
    repo.write(
        ".dvc/config", f"[core]\n    analytics = false\n    remote = store\n['remote \"store\"']\n    url = {store}\n"
    )
    for path, text in {
        "mlgate.yaml": MLGATE, "dvc.yaml": DVC, "src/train.py": TRAIN, "src/predict.py": PREDICT,
        "src/evaluate.py": EVALUATE, "data/train.csv": persons(0, 300), "data/test.csv": persons(10_000, 4000),
        "eval/.gitkeep": "", "metrics/.gitkeep": "", "models/.gitkeep": "", ".gitignore": "/.mlgate\n",
    }.items():  # fmt: skip
        repo.write(path, text)
    found.dvc("add", "--quiet", "data/train.csv", "data/test.csv")
    repo.commit("Describe the pipeline")
    found._train("main")
    for kind in MODELS:
        repo.git("switch", "--quiet", "--detach", "main")
        found._train(kind)
        repo.git("tag", f"made/{kind}")
    found.dvc("push", "--quiet", "--all-tags")
    repo.git("switch", "--quiet", "main")
    found.dvc("checkout", "--quiet", "--force")
    found.dvc("push", "--quiet")
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(home / "origin.git"))
    repo.git("remote", "add", "origin", str(home / "origin.git"))
    repo.git("fetch", "--quiet", "origin")
    repo.git("remote", "set-head", "origin", "main")
    return found


def judged(case: Case, verdict: str, code: int, comment: str, folder: Path) -> None:
    """Asserts what came of a case; `folder` has the evidence that the judge leaves."""
    evidence, prepared = (json.loads((folder / f"{verb}.json").read_text("utf-8")) for verb in ("compare", "prepare"))
    said = "\n".join(f"{one['verdict']} {one['id']}: {one['reason']}" for one in evidence["checks"])
    assert (verdict, code) == (case.verdict, case.code), f"{said}\n{comment}"
    assert evidence["verdict"] == case.verdict
    missing = [pattern for pattern in case.comment if not re.search(pattern, comment, re.MULTILINE)]
    assert not missing, f"{missing}\n{comment}"
    found = tuple(one["id"] for one in evidence["checks"] if one["verdict"] == case.verdict != "pass")
    assert found == (case.failed or found), said
    assert prepared["verdict"] == case.run
    committed = {"labels of holdout", "predictions of holdout (challenger)", "predictions of holdout (champion)"}
    assert {one["role"] for one in prepared["inputs"]} == committed | case.roles
    controls = evidence["controls"]
    assert controls["passed"] == controls["total"] > 10
