"""A project whose main has a model that passed: real files that a lock names by digest, a decision, and a ledger.

No DVC is run: what it would write is written, and files lie in the working tree as after `dvc pull`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import tools
from builder import Repo, environment, md5
from engine.building import COLUMNS, SKLEARN, locked
from jobs import environ

_CONFIG = """\
schema: 1
model: visits
artifact: models/visits.joblib
data:
  - {path: data/train.csv}
  - {path: data/test.csv, contract: contracts/persons.yaml}
train: {data: data/train.csv}
evaluate:
  holdout:
    data: data/test.csv
    metrics: [metrics/eval.json]
    predictions: {path: eval/predictions.csv, score: p_visit, cut_off: 0.5}
    columns: {id: person, label: visited, positive: 1}
compare:
  champion: main
  rules:
    auc: {is: roc_auc, threshold: 0.70}
"""
_CONTRACT = """\
schema: 1
columns:
  person: {type: integer, nulls: 0, unique: true}
  age: {type: number, nulls: 0, min: -10, max: 10}
"""
TRAIN = ["src/train.py", "data/train.csv"]


class Passed:
    """The project, and `origin.git` beside it, which has main and the ledger."""

    def __init__(self, folder: Path, *, decide: bool = True, config: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.origin = folder / "origin.git"
        self.origin.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["git", "init", "--quiet", "--bare", "--initial-branch=main", self.origin], check=True, env=environment()
        )
        self.repo = Repo(folder / "the visits é")
        self.repo.git("remote", "add", "origin", str(self.origin))
        self.repo.write(".gitignore", "/data/\n/models/\n/eval/\n")
        self.repo.write("contracts/persons.yaml", _CONTRACT)
        self.repo.write("src/train.py", "# trains\n")
        self.repo.write("requirements.txt", locked(*SKLEARN))
        self.settings: dict[str, Any] = {**yaml.safe_load(_CONFIG), **(config or {})}
        self.before = self.repo.commit("Start")
        self.write_config()
        self.train()
        self.repo.commit("Train")
        self.repo.git("push", "--quiet", "origin", "main")
        if decide:
            self.decide()

    def write_config(self, **sections: Any) -> None:
        self.settings |= sections
        self.repo.write("mlgate.yaml", yaml.safe_dump(self.settings, sort_keys=False))

    @property
    def path(self) -> str:
        """Of the model, in the repository."""
        return str(self.settings["artifact"])

    @property
    def model(self) -> Path:
        return self.repo.path / self.path

    def train(self, seed: int = 0) -> None:
        """Model, data, predictions, metrics, and the lock that says what they were made of."""
        import joblib  # noqa: PLC0415
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.metrics import roc_auc_score  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(*_persons(100 + seed, 400))
        self.model.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(fitted, self.model)
        features, labels = _persons(7, 300)
        rows, scores = features.to_numpy(), fitted.predict_proba(features)[:, 1]
        numbers = range(1, len(rows) + 1)
        self.repo.write("data/train.csv", _csv(["person", *COLUMNS], []))
        self.repo.write(
            "data/test.csv",
            _csv(
                ["person", *COLUMNS, "visited"],
                [[n, *r, y] for n, r, y in zip(numbers, rows.tolist(), labels.tolist(), strict=True)],
            ),
        )
        self.repo.write(
            "eval/predictions.csv", _csv(["person", "p_visit"], list(zip(numbers, scores.tolist(), strict=True)))
        )
        self.repo.write("metrics/eval.json", {"auc": float(roc_auc_score(labels, scores))})
        self.lock()

    def lock(self) -> None:
        """What `dvc repro` would write of the files as they are."""
        stages = {
            "train": {"cmd": "python src/train.py", "deps": TRAIN, "outs": [self.path]},
            "evaluate": {
                "cmd": "python src/evaluate.py", "deps": ["data/test.csv", self.path],
                "outs": ["eval/predictions.csv"], "metrics": [{"metrics/eval.json": {"cache": False}}],
            },
        }  # fmt: skip
        self.repo.write("dvc.yaml", yaml.safe_dump({"stages": stages}, sort_keys=False))
        found: dict[str, Any] = {}
        for name, stage in stages.items():
            outs = [*stage["outs"], *(["metrics/eval.json"] if name == "evaluate" else [])]
            found[name] = {
                "cmd": stage["cmd"],
                "deps": [self._entry(path) for path in stage["deps"]],
                "outs": [self._entry(path) for path in outs],
            }
        self.repo.write("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": found}, sort_keys=False))
        for path in ("data/train.csv", "data/test.csv"):
            pointer = {"outs": [{**self._entry(path), "path": Path(path).name}]}
            self.repo.write(f"{path}.dvc", yaml.safe_dump(pointer, sort_keys=False))
        self.repo.write(".gitignore", "/data/*.csv\n/models/\n/eval/\n")

    def _entry(self, path: str) -> dict[str, Any]:
        data = (self.repo.path / path).read_bytes()
        return {"path": path, "hash": "md5", "md5": md5(data), "size": len(data)}

    def job(self, *args: str, name: str = "push", **more: str) -> subprocess.CompletedProcess[str]:
        """The tool in a job of main on GitHub, whose ledger is in `origin`."""
        payload = {"before": self.before, "after": self.repo.head, "ref": "refs/heads/main"}
        env = environ(self.folder / "job", self.repo, name, payload)
        env |= {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "ada"}
        (self.folder / "job/output").write_text("")
        return self.repo.mlgate(*args, timeout=500, **{**env, **more})

    def decide(self) -> None:
        """The gate on main: the decision that a build asks for."""
        self.ledger_is_here()
        for verb in ("validate-data", "compare"):
            done = self.job(verb)
            assert done.returncode == 0, done.stdout + done.stderr
        assert "may be deployed" in done.stdout, done.stdout

    def store(self) -> None:
        """What DVC tracks, pushed to a folder by the real DVC, so that other clones can pull it."""
        dvc = tools.script("dvc")
        env = environment(DVC_NO_ANALYTICS="1", PATH=f"{dvc.parent}:{os.environ['PATH']}")
        remote = str(self.folder / "storage")
        for args in (
            ["init", "--quiet"],
            ["remote", "add", "--default", "storage", remote],
            ["commit", "--force"],
            ["push"],
        ):
            done = subprocess.run(
                [dvc, *args], cwd=self.repo.path, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

    def ledger_is_here(self) -> None:
        """The ledger in `origin`: no job's token is asked for, because it is a folder."""
        self.write_config(ledger={"remote": str(self.origin)})
        if self.repo.git("status", "--porcelain"):
            self.repo.commit("Name the ledger")
            self.repo.git("push", "--quiet", "origin", "main")

    def outputs(self) -> dict[str, str]:
        """What the last job handed to later steps."""
        text = (self.folder / "job/output").read_text()
        return {m[1]: m[3] for m in re.finditer(r"(\S+)<<(\S+)\n(.*?)\n?\2\n", text, re.DOTALL)}

    def evidence(self, verb: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.repo.path / f".mlgate/evidence/visits/{verb}.json").read_text())
        return loaded


def _persons(seed: int, count: int) -> tuple[Any, Any]:
    """Columns by name, as a model of a real project learns them, and labels."""
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(count, len(COLUMNS)))
    return pd.DataFrame(rows, columns=list(COLUMNS)), (rows[:, 0] + draw.normal(scale=0.5, size=count) > 0).astype(int)


def _csv(header: list[str], rows: list[Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
