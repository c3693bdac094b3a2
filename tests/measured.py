"""A repository whose metrics come from rows: labels and predictions in DVC's cache, as `dvc repro` would leave them.

No DVC is run: digests are computed as DVC computes them. Two versions of the same model differ in their scores only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from builder import Repo, md5

MLGATE = """\
schema: 1
model: visits
artifact: models/visits.joblib
train: {data: data/train.csv}
evaluate:
  holdout:
    data: data/test.csv
    columns: {id: person, label: visited, positive: 1}
    metrics: [metrics/eval.json]
    predictions: {path: eval/predictions.csv, score: p_visit, cut_off: 0.5}
compare:
  champion: main
  rules:
    auc: {is: roc_auc, threshold: 0.6, max_absolute_regression: 0.02}
    accuracy: {is: accuracy, max_absolute_regression: 0.02}
    log_loss: {is: log_loss, max_relative_regression: 5%}
"""
GROUPS = """\
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
PREDICTIONS = "eval/predictions.csv"
TEST = "data/test.csv"
Rows = Sequence[dict[str, Any]]


class Persons:
    """`count` labelled rows with a region and a sex, and scores for them, from a seed."""

    def __init__(self, count: int = 4000, seed: int = 11) -> None:
        draw = np.random.default_rng(seed)
        self.draw = draw
        self.risk = draw.normal(size=count)
        self.label = (draw.random(count) < 1 / (1 + np.exp(-1.5 * self.risk))).astype(int)
        self.region = np.where(draw.random(count) < 0.25, "north", "south")
        self.sex = np.where(draw.random(count) < 0.5, "f", "m")

    def labels(self) -> list[dict[str, Any]]:
        columns = zip(self.label, self.region, self.sex, strict=True)
        return [
            {"person": i, "visited": int(y), "region": str(region), "sex": str(sex)}
            for i, (y, region, sex) in enumerate(columns)
        ]

    def scores(self, noise: float, *, shift: Any = 0.0, seed: int = 1) -> np.ndarray:
        """Probabilities that know the risk up to a `noise`; `shift` moves them for some rows."""
        blurred = self.risk + np.random.default_rng(seed).normal(size=len(self.risk)) * noise
        made: np.ndarray = 1 / (1 + np.exp(-(1.5 * blurred / (1 + noise**2)) - shift))
        return made.round(6)


class Measured(Repo):
    """A repository of which every commit has labels, predictions and the metrics that they give."""

    def put(self, persons: Persons, scores: np.ndarray, *, config: str | None = None, **more: Any) -> None:
        """Write one version of the model. `rows`, `labels`, `metrics`: others than these scores give."""
        labels = more.get("labels", persons.labels())
        rows: Rows = more.get("rows", [{"person": i, "p_visit": float(p)} for i, p in enumerate(scores)])
        truth, decided = persons.label, scores >= 0.5
        metrics = {
            "auc": float(roc_auc_score(truth, scores)),
            "accuracy": float(accuracy_score(truth, decided)),
            "log_loss": float(log_loss(truth, scores)),
        } | more.get("metrics", {})
        seed = md5(scores.tobytes())
        self.model(metrics, seed=seed, config=config)
        self.cached(TEST, table(labels), "data")
        self.cached(PREDICTIONS, more.get("text") or table(rows), "predictions")

    def cached(self, path: str, data: bytes, what: str) -> None:
        """A file where `dvc checkout` would put it, in DVC's cache, and in the lock."""
        digest = md5(data)
        self.write(path, data)
        self.write(f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}", data)
        lock = self.path / "dvc.lock"
        stages = yaml.safe_load(lock.read_text())
        entry = {"path": path, "hash": "md5", "md5": digest, "size": len(data)}
        if what == "predictions":
            stages["stages"]["evaluate"]["outs"].append(entry)
        for stage in stages["stages"].values():
            for listed in (*stage.get("deps", ()), *stage["outs"]):
                if listed["path"] == path:
                    listed.update(entry)
        lock.write_text(yaml.safe_dump(stages, sort_keys=False))
        if what == "predictions":
            pipeline = yaml.safe_load((self.path / "dvc.yaml").read_text())
            pipeline["stages"]["evaluate"]["outs"] = [PREDICTIONS]
            self.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))

    def checks(self, verdict: str = "") -> dict[str, str]:
        """Reasons of the checks of the last comparison by id, of one verdict or of all."""
        return {c["id"]: c["reason"] for c in self.evidence()["checks"] if not verdict or c["verdict"] == verdict}

    def check(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(c for c in self.evidence()["checks"] if c["id"] == name)
        return found


def table(rows: Rows) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def repository(path: Path, persons: Persons, champion: np.ndarray, *, config: str = MLGATE, **more: Any) -> Measured:
    """A champion on main, and the branch `change` checked out for a challenger."""
    repo = Measured(path)
    repo.write(".gitignore", f"/{TEST}\n/{PREDICTIONS}\n/.dvc/cache\n/.mlgate\n")
    repo.put(persons, champion, config=config, **more)
    repo.commit("First model")
    repo.git("checkout", "--quiet", "-b", "change")
    return repo
