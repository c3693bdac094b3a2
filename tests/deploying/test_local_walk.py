"""From the gate to production on this machine without Docker, and back: real models, real servers, real requests."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlgate.config.deploying import Environment
from mlgate.rollout.targets import Place, local
from rollout.local_bench import free_port
from shipping import Passed


@pytest.fixture
def walked(tmp_path: Path) -> Iterator[tuple[Passed, int, dict[str, str]]]:
    """A project with a model that passed, the port of its production, and where its target keeps things."""
    port = free_port()
    production = {
        "target": {"kind": "local", "port": port}, "strategy": "blue-green", "keep": "1 h", "step": {"period": "0.5 s"},
    }  # fmt: skip
    deploy = {"trust": "branch", "environments": {"production": production}}
    passed = Passed(tmp_path / "project", config={"deploy": deploy, "serve": {"workers": 1}})
    state = tmp_path / "state"
    yield passed, port, {"MLGATE_STATE": str(state)}
    gone = passed.repo.mlgate("deploy", "--environment", "production", "--take-down", MLGATE_STATE=str(state))
    assert gone.returncode == 0, gone.stdout + gone.stderr
    for folder in state.glob("*"):
        settings = Environment.model_validate(production)
        local.take_down(Place("visits", "production", settings, passed.repo.path, folder))


def version(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


@pytest.mark.long
def test_to_production_and_back(walked: tuple[Passed, int, dict[str, str]]) -> None:
    passed, port, env = walked
    first = passed.job("deploy", "--environment", "production", **env)
    assert first.returncode == 0, first.stdout + first.stderr
    before = version(port)
    passed.before = passed.repo.head
    passed.train(seed=1)
    passed.repo.commit("Train again")
    passed.repo.git("push", "--quiet", "origin", "main")
    passed.decide()
    second = passed.job("deploy", "--environment", "production", **env)
    assert second.returncode == 0, second.stdout + second.stderr
    assert version(port) != before
    told = passed.job("rollback", "--environment", "production", "--reason", "the first one was better", **env)
    assert told.returncode == 0, told.stdout + told.stderr
    assert version(port) == before
    outputs = passed.outputs()
    assert float(outputs["seconds"]) < 5
    assert outputs["state"] == "complete"
    assert outputs["ledger-head"].startswith("mlgate1.")
    assert "rollback" in passed.repo.mlgate("trace", "visits@production", **env).stdout
