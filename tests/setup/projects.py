"""A small project for the real DVC, and how to run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import builder

BIN = Path(sys.executable).parent
DVC_ENV = {"DVC_NO_ANALYTICS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
PIPELINE = """\
stages:
  train:
    cmd: mkdir -p models/visits && seq 1 2000 > models/visits/weights.bin && echo a > models/visits/MLmodel
    deps: [data/train.csv]
    outs: [models/visits]
  evaluate:
    cmd: mkdir -p metrics && echo '{"auc":0.72,"log_loss":0.58,"rows":100}' > metrics/eval.json
    deps: [models/visits, data/test.csv]
    metrics: [{metrics/eval.json: {cache: false}}]
"""
CONFIG = """\
schema: 1
model: visits
artifact: models/visits
evaluate:
  holdout: {data: data/test.csv, metrics: [metrics/eval.json]}
compare:
  rules:
    auc: {is: roc_auc, threshold: 0.70}
"""


def dvc(repo: builder.Repo, *args: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *args],
        cwd=repo.path,
        env=builder.environment(**DVC_ENV, **env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def set_remote(repo: builder.Repo, url: str, **options: str) -> None:
    more = "".join(f"    {key} = {value}\n" for key, value in options.items())
    repo.write(".dvc/config", f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {url}\n{more}")
