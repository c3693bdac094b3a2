"""MLflow's own Dockerfile as the builder: its server, with what every image has to have."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from engine.building import Builder, with_python
from engine.machine import once, run
from mlgate.errors import MlgateError
from mlgate.image import context
from mlgate.image.engine import Engine

pytestmark = pytest.mark.docker
SAVE = """
import sys, mlflow.sklearn, numpy as np
from sklearn.linear_model import LogisticRegression
rows = np.random.default_rng(0).normal(size=(50, 2))
model = LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int))
mlflow.sklearn.save_model(model, sys.argv[1], input_example=rows[:2])
"""


@pytest.fixture(scope="session")
def mlflow_model(shared: Path) -> Path:
    folder = shared / "mlflow model"
    with once("mlflow-model", shared):
        if not folder.exists():
            run(sys.executable, "-W", "ignore", "-c", SAVE, str(folder))
    return folder


def test_writes_mlflows_dockerfile_with_a_user_and_a_healthcheck(
    builder: Builder, mlflow_model: Path, tmp_path: Path
) -> None:
    plan = builder.plan(
        mlflow_model, [], builder="mlflow", mlflow=(sys.executable,), secrets={"ca.crt": "x", "other": "y"}
    )  # fmt: skip
    first = context.write(plan, tmp_path / "one")
    text = (tmp_path / "one/Dockerfile").read_text("utf-8")
    assert f"FROM {builder.base}" in text
    assert "mlflow.models" in text
    assert "\nUSER 10001:10001\n" in text
    assert "/ping" in text
    assert "RUN --mount=type=secret,id=ca.crt export PIP_CERT=/run/secrets/ca.crt; pip install mlflow==" in text
    assert "--mount" not in (tmp_path / "one/Dockerfile.plain").read_text("utf-8")
    assert context.write(plan, tmp_path / "two") == first


def test_takes_mlflows_models_only(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"bytes")
    plan = builder.plan(tmp_path / "model.joblib", [], builder="mlflow", mlflow=(sys.executable,))
    with pytest.raises(MlgateError, match="MLflow's model folders only"):
        context.write(plan, tmp_path / "context")


def test_without_mlflow_it_says_so(builder: Builder, mlflow_model: Path, tmp_path: Path) -> None:
    plan = builder.plan(mlflow_model, [], builder="mlflow", mlflow=(sys.executable, "-S", "-I"))
    with pytest.raises(MlgateError, match="MLflow could not write its Dockerfile: ModuleNotFoundError"):
        context.write(plan, tmp_path / "context")


@pytest.mark.long
def test_the_image_answers_and_is_hardened(
    builder: Builder,
    mlflow_model: Path,
    engine: Engine,
    trusting_base: str,
    containers: Callable[..., str],
) -> None:
    base = with_python(engine, builder.registry, trusting_base, builder.shared)
    image = builder.image(builder.plan(mlflow_model, [], builder="mlflow", mlflow=(sys.executable,), base=base))
    found = engine.inspect(image.tag)
    assert found
    assert found["Config"]["User"] == "10001:10001"
    hard = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--publish", "127.0.0.1:0:8080")
    container = containers(image.tag, options=(*hard, "--name", f"mlgate-{uuid4().hex[:8]}"))
    address = "http://" + engine.run("port", container, "8080")
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and "true" in engine.run("inspect", "--format", "{{.State.Running}}", container):
        with suppress(requests.ConnectionError):
            if requests.get(f"{address}/ping", timeout=5).status_code == 200:
                break
        time.sleep(0.3)
    body = {"inputs": [[0.5, 1.0], [-2.0, 0.0]]}
    answer = requests.post(f"{address}/invocations", json=body, timeout=30)
    assert answer.json() == {"predictions": [1, 0]}
