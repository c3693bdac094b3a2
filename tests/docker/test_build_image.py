"""`mlgate build-image` from end to end: a model that passed becomes one pushed image, proven and stated; others do not."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.registry import Registry
from mlgate.image import registry as registries
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference
from mlgate.signing import statement
from shipping import Passed

pytestmark = pytest.mark.docker


@pytest.fixture
def image(trusting_base: str, registry: Registry) -> dict[str, Any]:
    """The section of mlgate.yaml: a registry of this machine, under a name that no other test has."""
    return {
        "name": registry.name(f"visits-{uuid.uuid4().hex[:8]}"),
        "base": trusting_base,
        "requirements": ["requirements.txt"],
        "scan": {"environment": False},
    }


Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def build(engine: Engine) -> Build:
    def call(passed: Passed, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return passed.job("build-image", *args, MLGATE_DOCKER=engine.command, **more)

    return call


def failing(passed: Passed) -> dict[str, str]:
    """What is worse than a warning, by its id."""
    checks = passed.evidence("build-image")["checks"]
    return {c["id"]: c["reason"] for c in checks if c["verdict"] not in ("pass", "warn")}


def test_a_model_that_passed_becomes_one_image(
    tmp_path: Path, image: dict[str, Any], build: Build, engine: Engine
) -> None:
    rules = {"latency_p95_ms": {"threshold": 2000}, "image_mb": {"threshold": 2000}, "memory_mb": {"threshold": 2000}}
    passed = Passed(tmp_path, config={"image": {**image, "rules": rules, "load": {"requests": 400}}})
    done = build(passed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert failing(passed) == {}
    outputs = passed.outputs()
    reference = Reference.parse(outputs["image"])
    assert (reference.name, reference.digest) == (image["name"], outputs["digest"])
    found = registries.exists(engine, reference)
    assert found is not None
    stated = statement.Statement.parse(json.loads((passed.repo.path / ".mlgate/images/visits.json").read_bytes()))
    assert stated.reference == outputs["image"]
    assert list(statement.labelled(stated, found.labels)) == []
    assert stated.predicate.commit == passed.repo.head
    evidence = passed.evidence("build-image")
    assert evidence["subject"]["digest"]["sha256"] == stated.predicate.artifact.digest["sha256"]
    for cost in ("image_mb", "start_seconds", "memory_mb", "latency_p95_ms", "throughput_rps"):
        assert evidence["facts"][cost] > 0
