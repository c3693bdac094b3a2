"""`mlgate serve` and `python -m mlgate.serving`, as whole processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from served import INPUTS, WHO, as_joblib, as_mlflow, people, pipeline

from builder import Repo, environment
from mlgate.commands import _serving
from mlgate.config import load
from mlgate.data import contract
from mlgate.judge import record
from mlgate.repo import artifact
from mlgate.serving.settings import Decide, Identity, Input, Log, Replay, Settings

SCRIPTS = Path(__file__).parents[2] / "scripts"
CLI = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from mlgate.cli import main; main()"]
CONFIG = """\
schema: 1
model: visits
artifact: models/visits
data:
  - {path: data/test.csv, contract: contracts/people.yaml}
evaluate:
  holdout:
    data: data/test.csv
    metrics: [metrics/eval.json]
    predictions: {path: eval/p.csv, score: p, cut_off: 0.4}
    columns: {id: person, label: visited, positive: 1}
compare:
  rules: {auc: {is: roc_auc, max_absolute_regression: 0.01}}
serve:
  timeout_seconds: 3
  max_rows: 77
  max_body_mb: 0.5
  log: {to: file, path: log/p.jsonl, features: [age], max_mb: 2}
  replay: {sample: 1%, hours: 2}
"""
CONTRACT = """\
schema: 1
columns:
  person: {type: integer, nulls: 0, unique: true}
  visited: {in: [0, 1]}
  age: {type: number, nulls: 0, min: 0, max: 120}
  income: {min: 0, mostly: 99%}
  site: {in: [north, south, über], nulls: 0}
  insured: {type: boolean, nulls: 0}
"""


def settings(model: Path, text: str = CONFIG) -> Settings:
    held = contract.load(CONTRACT.encode(), "contracts/people.yaml")
    return _serving.settings(
        load(text.encode(), file="mlgate.yaml", base=lambda _: None),
        model=model,
        identity=Identity("visits"),
        contract=held,
    )


def test_the_server_is_told_what_signature_and_contract_say() -> None:
    made = settings(as_mlflow("pipeline"))
    assert made.inputs == (
        Input("age", "number", nullable=False, minimum=0, maximum=120),
        Input("income", "number", required=False),  # 99 % of the rows are not each row
        Input("site", "string", nullable=False, values=("north", "south", "über")),
        Input("insured", "boolean", nullable=False),
    )
    assert made.decide == Decide(0.4, 1)
    assert (made.timeout, made.max_rows, made.max_body) == (3.0, 77, 500_000)
    assert made.log == Log("file", "log/p.jsonl", 2_000_000, 5, ("age",), (), 10_000)
    assert made.replay == Replay(0.01, seconds=7200.0)
    assert Settings.read(_written(made)) == made


def _written(made: Settings) -> Path:
    path = as_joblib("pipeline").with_name("settings.json")
    path.write_text(made.to_json())
    return path


def test_a_model_without_a_signature_has_the_contracts_columns() -> None:
    made = settings(as_joblib("pipeline"))
    assert [one.name for one in made.inputs] == ["age", "income", "site", "insured"]
    assert made.inputs[3] == INPUTS[3]


@contextmanager
def started(command: list[str], cwd: Path, **env: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        command, cwd=cwd, env=environment(**env), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"at (http://\S+)", line)
        assert found, line + process.stderr.read()
        base = found[1]
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if requests.get(base + "/health/ready", timeout=5).ok:
                    break
            except requests.ConnectionError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.05)
        yield base, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture
def project(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "a project ü")
    for name, text in (("mlgate.yaml", CONFIG), ("contracts/people.yaml", CONTRACT), (".gitignore", "log\n.mlgate\n")):
        path = repo.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copytree(as_mlflow("pipeline"), repo.path / "models" / "visits")
    repo.commit("A model")
    return repo


def test_the_model_of_a_working_tree_is_served(project: Repo) -> None:
    command = [*CLI, "serve", "--port", "0", "--workers", "2", "--python", sys.executable]
    rows = people().dropna().head(5)
    with started(command, project.path, MLGATE_LOG_KEY="x" * 32) as (base, process):
        said = requests.post(base + "/predict", json=rows.to_dict(orient="records"), timeout=30).json()
        who = requests.get(base + "/version", timeout=30).json()
        refused = requests.post(base + "/predict", json={**rows.iloc[0].to_dict(), "age": 130.0}, timeout=30)
    score = pipeline().predict_proba(rows)[:, 1]
    assert said["prediction"] == (score >= 0.4).astype(int).tolist()
    assert refused.json()["errors"] == [{"row": 0, "field": "age", "message": "must be at most 120"}]
    assert who["environment"] == "local"
    assert who["commit"] == project.git("rev-parse", "HEAD").strip()
    digest = record.model_digest(artifact.sha256s(project.path / "models" / "visits"))
    assert who["digest"] == said["model_version"] == digest
    assert process.returncode == 0
    logged = [json.loads(line) for line in (project.path / "log" / "p.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in logged] == said["prediction"]


def ended(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_served_is_said_in_a_sentence(project: Repo) -> None:
    serve = [*CLI, "serve", "--port", "0", "--python", sys.executable]
    assert "models/nothing is not here" in ended([*serve, "--model", "models/nothing"], project.path)
    assert "no interpreter python9" in ended([*serve, "--python", "python9"], project.path)
    shutil.rmtree(project.path / "models")
    (project.path / "models" / "visits").mkdir(parents=True)
    assert "has no MLmodel file and holds no model" in ended(serve, project.path)


def module(*arguments: str, model: Path, told: Settings) -> list[str]:
    path = _written(told)
    return [sys.executable, "-m", "mlgate.serving", "--settings", str(path), "--model", str(model), *arguments]


PLAIN = Settings(WHO, log=Log(to="none"))


def test_check_loads_the_model_and_leaves(tmp_path: Path) -> None:
    command = module("--check", model=as_joblib("pipeline"), told=PLAIN)
    env = environment(PYTHONPATH=str(SCRIPTS))
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "visits: sklearn, 4 inputs\n"
    command = module("--check", model=tmp_path / "no.joblib", told=PLAIN)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "is not here" in done.stderr


def test_a_worker_that_dies_is_replaced_and_a_server_that_is_told_to_stop_stops(tmp_path: Path) -> None:
    command = module("--host", "127.0.0.1", "--port", "0", "--workers", "2", model=as_joblib("pipeline"), told=PLAIN)
    row: dict[str, Any] = people().dropna().iloc[0].to_dict()
    with started(command, tmp_path, PYTHONPATH=str(SCRIPTS)) as (base, process):
        first = children(process.pid)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        until = time.monotonic() + 60
        while (len(children(process.pid)) < 2 or first[0] in children(process.pid)) and time.monotonic() < until:
            time.sleep(0.1)
        assert len(children(process.pid)) == 2
        assert requests.post(base + "/predict", json=row, timeout=30).ok
    assert process.returncode == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in first)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_workers_end_with_who_watches_them(tmp_path: Path) -> None:
    command = module("--host", "127.0.0.1", "--port", "0", model=as_joblib("pipeline"), told=PLAIN)
    with started(command, tmp_path, PYTHONPATH=str(SCRIPTS)) as (_, process):
        workers = children(process.pid)
        process.kill()
        until = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_port_that_is_taken_and_a_wrong_number_are_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, words in (
            (["--host", "127.0.0.1", "--port", port], "cannot listen"),
            (["--workers", "many"], "--workers has to be a whole number"),
            (["--port", "70000"], "--port has to be a whole number"),
        ):
            command = module(*arguments, model=as_joblib("pipeline"), told=PLAIN)
            done = subprocess.run(
                command, cwd=tmp_path, env=environment(PYTHONPATH=str(SCRIPTS)), capture_output=True, text=True,
                check=False, timeout=60,
            )  # fmt: skip
            assert done.returncode == 2
            assert words in done.stderr
