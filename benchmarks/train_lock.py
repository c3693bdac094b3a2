"""`mlgate train` with `verify: lock` on a repository of 1,000 pointers, beside what `dvc` itself takes for it."""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

from builder import MLGATE, Repo, environment

POINTERS = 1000
DVC = [sys.executable, "-m", "dvc"]


def make(folder: Path) -> Repo:
    """1,000 data files that DVC tracks, all read by the stage that trains; a folder remote that has them."""
    repo = Repo(folder / "project")
    remote = folder / "remote"
    remote.mkdir()
    _dvc(repo, "init", "--quiet")
    _dvc(repo, "remote", "add", "--quiet", "-d", "storage", str(remote))
    deps = []
    for number in range(POINTERS):
        data = f"id,x\n{number},{number * 7}\n".encode()
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        entry = {"md5": digest, "size": len(data), "hash": "md5", "path": f"p{number:04d}.csv"}
        repo.write(f"data/p{number:04d}.csv.dvc", yaml.safe_dump({"outs": [entry]}))
        store = remote / "files/md5" / digest[:2]
        store.mkdir(parents=True, exist_ok=True)
        (store / digest[2:]).write_bytes(data)
        deps.append({"path": f"data/{entry['path']}", "hash": "md5", "md5": digest, "size": len(data)})
    repo.write("data/.gitignore", "/*.csv\n")
    repo.write("src/train.py", "# trains\n")
    metrics = json.dumps({"auc": 0.72, "log_loss": 0.58}) + "\n"
    repo.write("metrics/eval.json", metrics)
    model = b"a model\n"
    digest = hashlib.md5(model, usedforsecurity=False).hexdigest()
    (remote / "files/md5" / digest[:2]).mkdir(parents=True, exist_ok=True)
    (remote / "files/md5" / digest[:2] / digest[2:]).write_bytes(model)
    deps.append(_entry("src/train.py", b"# trains\n"))
    stage = {
        "cmd": "python src/train.py",
        "deps": deps,
        "outs": [_entry("metrics/eval.json", metrics.encode()), _entry("models/visits.joblib", model)],
    }
    repo.write("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": {"train": stage}}, sort_keys=False))
    declared = {
        "cmd": "python src/train.py",
        "deps": [dep["path"] for dep in deps],
        "outs": ["models/visits.joblib"],
        "metrics": [{"metrics/eval.json": {"cache": False}}],
    }
    repo.write("dvc.yaml", yaml.safe_dump({"stages": {"train": declared}}, sort_keys=False))
    text = MLGATE.replace("data/train.csv", "data/p0000.csv").replace("data/test.csv", "data/p0001.csv")
    repo.write("mlgate.yaml", text)
    repo.write("models/.gitignore", "/visits.joblib\n")
    repo.commit("A thousand pointers")
    return repo


def measure(folder: Path, rounds: int = 3) -> tuple[float, float]:
    """Seconds of `mlgate train`, and of the two questions that it asks of dvc; medians, interleaved."""
    repo = make(folder)
    pairs = [(_ours(repo), _theirs(repo)) for _ in range(rounds + 1)][1:]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def _ours(repo: Repo) -> float:
    start = time.perf_counter()
    done = repo.mlgate("train", DVC_NO_ANALYTICS="1", MLGATE_PYTHON=sys.executable)
    seconds = time.perf_counter() - start
    evidence = repo.evidence(verb="train")
    states = {proof["claim"]: proof["state"] for proof in evidence["proofs"]}
    if done.returncode or list(states.values()).count("proven") < 3:
        raise SystemExit(f"train proved too little: {states}\n{done.stdout}{done.stderr}")
    return seconds


def _theirs(repo: Repo) -> float:
    start = time.perf_counter()
    _dvc(repo, "status", "--json")
    _dvc(repo, "data", "status", "--json", "--not-in-remote", "--granular")
    return time.perf_counter() - start


def _dvc(repo: Repo, *args: str) -> None:
    command = [*DVC, *args]
    subprocess.run(command, cwd=repo.path, env=environment(DVC_NO_ANALYTICS="1"), check=True, capture_output=True)


def _entry(path: str, data: bytes) -> dict[str, object]:
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return {"path": path, "hash": "md5", "md5": digest, "size": len(data)}
