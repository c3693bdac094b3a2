"""One MLflow server for all tests and all processes that run them; and a training to log."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgate.tracking import Column, Dataset, Example, Training
from tracking.servers import start_mlflow, stop


def shared(tmp_path_factory: pytest.TempPathFactory, name: str, *more: str, **environ: str) -> Iterator[str]:
    """A server's address. Started by whoever comes first; it ends with the whole test run."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    base = tmp_path_factory.getbasetemp()
    base = base if alone else base.parent
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = base / f"{name}.address"
        if told.exists():
            address = told.read_text("utf-8")
        else:
            watched = os.getpid() if alone else os.getppid()
            address, group = start_mlflow(base / name, watched, *more, environ=environ)
            told.write_text(address, "utf-8")
    yield address
    if alone:
        stop(group)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from shared(tmp_path_factory, "mlflow-server")


@pytest.fixture(scope="session")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One with MLflow's own sign-in; `admin` has the password `Correct-Horse-1`."""
    secrets = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "of-the-tests", "MLFLOW_AUTH_ADMIN_PASSWORD": "Correct-Horse-1"}
    yield from shared(tmp_path_factory, "mlflow-auth", "--app-name", "basic-auth", **secrets)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    """One with a bit of everything; its experiment is its own, so that tests share a server."""
    root = tmp_path / "project"
    (root / "plots").mkdir(parents=True)
    (root / "model.joblib").write_bytes(b"\x80never to be unpickled")
    (root / "metrics.json").write_text('{"auc": 0.30000000000000004}\n', "utf-8")
    (root / "plots" / "roc.csv").write_text("fpr,tpr\n0,0\n", "utf-8")
    return Training(
        model="churn",
        folder=root,
        experiment=f"churn {tmp_path.name}",
        commit="c0ffee" + "0" * 34,
        branch="better-features",
        run_url="https://ci.example.org/runs/1",
        model_digest="sha256:" + "ab" * 32,
        params={"train": {"depth": 7, "rate": 0.1, "features": ["age", "plan"]}, "seed": None},
        metrics={"auc": 0.1 + 0.2, "slices": {"eu": {"f1": 1 / 3}}, "tiny": 5e-324, "huge": 1.7e308, "n": 6097},
        tags={"team": "growth"},
        dvc={"data/train.csv": "d41d8cd98f00b204e9800998ecf8427e"},
        environment={"python": "3.12.1", "runner": "ubuntu-24.04", "seconds": 12.5},
        datasets=(
            Dataset("train", "data/train.csv", "sha256:" + "cd" * 32, "training", 10_000, (Column("age", "integer"),)),
            Dataset("test", "data/test.csv", "md5:" + "ef" * 16, "evaluation", 2_000),
        ),
        artifact=Path("model.joblib"),
        example=Example(
            (Column("age", "integer"), Column("plan", "text"), Column("ssn", "text")),
            ((31, "gold", "078-05-1120"), (54, None, "219-09-9999")),
            frozenset({"ssn"}),
        ),
        artifacts=(Path("metrics.json"), Path("plots")),
    )
