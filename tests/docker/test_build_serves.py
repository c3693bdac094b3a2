"""The template's image answers, as hardened as a cluster makes it, says that it is healthy, and ends when told to."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import requests

from engine.building import COLUMNS, Image
from mlgate.image.engine import Engine

pytestmark = pytest.mark.docker
HARD = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def test_it_answers_and_is_healthy_and_ends(
    engine: Engine, sklearn_image: Image, containers: Callable[..., str]
) -> None:  # fmt: skip
    container = containers(
        sklearn_image.tag, options=(*HARD, "--health-interval", "1s", "--publish", "127.0.0.1:0:8080")
    )
    address = "http://" + engine.run("port", container, "8080")
    deadline = time.monotonic() + 60
    answered = False
    while not answered and time.monotonic() < deadline:
        runs = engine.run("inspect", "--format", "{{.State.Running}}", container)
        assert runs == "true", engine.ask("logs", container)
        with suppress(requests.ConnectionError):
            answered = requests.get(f"{address}/health/ready", timeout=5).status_code == 200
        time.sleep(0.1)
    rows = [[0.5] * len(COLUMNS), [-2.0] * len(COLUMNS)]
    answer = requests.post(f"{address}/predict", json={"inputs": rows}, timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.json()["prediction"] == [1, 0]
    version = requests.get(f"{address}/version", timeout=10).json()
    assert version["digest"] == "sha256:" + "ab" * 32
    while time.monotonic() < deadline:
        if engine.run("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy":
            break
        time.sleep(0.3)
    assert engine.run("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy"
    begun = time.monotonic()
    engine.run("stop", "--time", "25", container)
    assert time.monotonic() - begun < 20
    assert engine.run("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
