"""`mlgate build-image` from end to end: a model that passed becomes one pushed image, proven and stated."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from builder import Repo
from engine import machine
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
        return passed.job("build-image", *args, **{"MLGATE_DOCKER": engine.command, **more})

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
    bill = json.loads((passed.repo.path / ".mlgate/sbom/visits.cdx.json").read_bytes())
    kinds = {(one["name"], one["purl"].partition("/")[0]) for one in bill["components"] if "purl" in one}
    assert {("scikit-learn", "pkg:pypi"), ("libc6", "pkg:deb")} <= kinds
    evidence = passed.evidence("build-image")
    assert evidence["subject"]["digest"]["sha256"] == stated.predicate.artifact.digest["sha256"]
    for cost in ("image_mb", "start_seconds", "memory_mb", "latency_p95_ms", "throughput_rps"):
        assert evidence["facts"][cost] > 0


def pushed(image: dict[str, Any]) -> list[str]:
    """The tags that the registry has of an image."""
    host, _, name = image["name"].partition("/")
    answer = requests.get(f"http://{host}/v2/{name}/tags/list", timeout=10)
    return sorted((answer.json().get("tags") if answer.ok else None) or [])


def test_the_same_inputs_are_built_once(tmp_path: Path, image: dict[str, Any], build: Build, engine: Engine) -> None:
    passed = Passed(tmp_path, config={"image": image})
    first = build(passed)
    assert first.returncode == 0, first.stdout + first.stderr
    digest, stated = passed.outputs()["digest"], (passed.repo.path / ".mlgate/images/visits.json").read_bytes()
    registered = passed.job("register", "--image-to", f"{image['name']}-production")
    assert registered.returncode == 0, registered.stdout + registered.stderr
    there = registries.exists(engine, Reference.parse(f"{image['name']}-production:v1.0.0"))
    assert there is not None
    assert there.digest == digest, "promoted as it is, and not built again"
    passed.repo.write("README.md", "A commit that changes nothing of the model.\n")
    passed.repo.commit("Say more")
    again = build(passed, MLGATE_DOCKER=str(_only_asks(tmp_path)))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "The same inputs were built and proven" in json.dumps(passed.evidence("build-image"))
    assert passed.outputs()["digest"] == digest
    assert (passed.repo.path / ".mlgate/images/visits.json").read_bytes() == stated
    other = build(passed, "--base", passed.settings["image"]["base"], "--tag", "v1\nv2", "--preview")
    assert other.returncode == 0, other.stdout + other.stderr
    assert passed.outputs()["digest"] != digest, "another identity is another image"


def _only_asks(folder: Path) -> Path:
    """A docker that neither builds nor runs nor pushes."""
    real = machine.engine().command
    script = folder / "docker"
    script.write_text(
        '#!/bin/sh\ncase "$1" in build|buildx|run|create|push) [ "$2" = version ] || exit 97;; esac\n'
        f'exec {real} "$@"\n'
    )
    script.chmod(0o755)
    return script


def test_a_model_without_a_decision_is_not_built(tmp_path: Path, image: dict[str, Any]) -> None:
    passed = Passed(tmp_path, decide=False, config={"image": image})
    passed.ledger_is_here()
    done = passed.job("build-image", MLGATE_DOCKER="/bin/false")
    assert done.returncode == 1
    assert "has no passing decision about this model" in failing(passed)["image.decision"]
    assert not (passed.repo.path / ".mlgate/images").exists()
    assert json.loads(passed.outputs()["images"]) == []
    assert pushed(image) == []


def test_a_preview_needs_none_and_is_nothing_to_deploy(
    tmp_path: Path, image: dict[str, Any], build: Build, engine: Engine
) -> None:
    passed = Passed(tmp_path, decide=False, config={"image": image})
    passed.ledger_is_here()
    done = build(passed, "--preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (passed.repo.path / ".mlgate/images").exists()
    assert not passed.evidence("build-image")["promotable"]
    found = registries.exists(engine, Reference.parse(passed.outputs()["image"]))
    assert found is not None
    assert found.labels["io.mlgate.preview"] == "true"
    assert "io.mlgate.decision" not in found.labels
    assert any(tag.startswith("preview-") for tag in pushed(image))
    assert not any(tag.startswith("sha-") for tag in pushed(image))


def test_an_image_that_predicts_something_else_is_not_pushed(
    tmp_path: Path, image: dict[str, Any], build: Build
) -> None:
    """The predictions that were judged came from another model: nobody scored the committed one."""
    passed = Passed(tmp_path, decide=False, config={"image": image})
    right = passed.model.read_bytes()
    passed.train(seed=3)
    passed.model.write_bytes(right)
    passed.lock()
    passed.repo.commit("Train again")
    passed.decide()
    done = build(passed)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [name for name in failing(passed) if name.startswith("image.skew")]
    assert pushed(image) == []
    assert not (passed.repo.path / ".mlgate/images").exists()
    assert passed.outputs()["image"] == ""


def test_a_model_that_runs_code_is_refused_before_anything_is_built(tmp_path: Path, image: dict[str, Any]) -> None:
    passed = Passed(tmp_path, decide=False, config={"image": image})
    passed.model.write_bytes(b"cposix\nsystem\n(S'touch /tmp/was-run'\ntR.")
    passed.lock()
    passed.repo.commit("Train something")
    passed.decide()
    done = passed.job("build-image", MLGATE_DOCKER="/bin/false")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "posix.system" in json.dumps(failing(passed))


def test_what_one_job_gathers_another_builds_from(tmp_path: Path, image: dict[str, Any], build: Build) -> None:
    passed = Passed(tmp_path, config={"image": image})
    done = passed.job("build-image", "--prepare", "--inputs", ".mlgate/handed")
    assert done.returncode == 0, done.stdout + done.stderr
    given = tmp_path / "handed"
    (passed.repo.path / ".mlgate/handed").rename(given)
    for path in ("data", "models", "eval"):
        shutil.rmtree(passed.repo.path / path)
    passed.repo.git("checkout", "--quiet", "--", "data")
    shutil.rmtree(passed.repo.path / ".mlgate")
    lost = passed.job("build-image", MLGATE_PULL="false", MLGATE_DOCKER="/bin/false")
    assert lost.returncode == 2
    assert "was not handed over" in lost.stdout
    done = build(passed, "--inputs", str(given), "--pull", "false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert passed.outputs()["digest"]
    for file in given.iterdir():
        file.write_bytes(b"something else")
    done = passed.job("build-image", "--inputs", str(given), MLGATE_PULL="false", MLGATE_DOCKER="/bin/false")
    assert done.returncode == 2
    assert "do not have the digest" in done.stdout


def test_a_registry_that_is_not_there_leaves_no_statement(tmp_path: Path, image: dict[str, Any], build: Build) -> None:
    passed = Passed(tmp_path, config={"image": {**image, "name": "localhost:9/visits"}})
    done = build(passed)
    assert done.returncode == 2
    assert "localhost:9/visits" in json.dumps(failing(passed))
    assert not (passed.repo.path / ".mlgate/images").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base": "python:3.13-slim"}, "is not pinned by digest"),
        ({"base": None}, "there is no base image"),
        ({"requirements": ["nothing.txt"]}, "nothing.txt is not in commit"),
        ({"include": ["src/nothing.py"]}, "src/nothing.py is not in commit"),
        ({"secrets": {"netrc": "NOT_SET"}}, "NOT_SET, which is not set"),
        ({"secrets": {"npmrc": "HOME"}}, "which the template never looks for"),
        ({"builder": "dockerfile", "dockerfile": "Dockerfile"}, "Dockerfile is not in commit"),
        ({"scan": {"ignore": "accepted.yaml"}}, "accepted.yaml is not in commit"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_built(
    tmp_path: Path, image: dict[str, Any], engine: Engine, change: dict[str, Any], words: str
) -> None:
    passed = Passed(tmp_path, config={"image": {k: v for k, v in {**image, **change}.items() if v is not None}})
    done = passed.job("build-image", MLGATE_DOCKER=engine.command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in "\n".join(failing(passed).values())
    assert "Traceback" not in done.stdout + done.stderr


def test_two_builds_at_once_make_one_image(tmp_path: Path, image: dict[str, Any], build: Build) -> None:
    """Of one commit, in two clones, as when a job is started twice."""
    first = Passed(tmp_path / "one", config={"image": image})
    second = copy.copy(first)
    second.folder = tmp_path / "two"
    shutil.copytree(first.repo.path, second.folder / "visits")
    second.repo = Repo(second.folder / "visits")
    with ThreadPoolExecutor() as both:
        done = list(both.map(build, (first, second)))
    assert [one.returncode for one in done] == [0, 0], [one.stdout + one.stderr for one in done]
    assert first.outputs()["digest"] == second.outputs()["digest"]


def test_paths_may_have_spaces_and_any_letters(tmp_path: Path, image: dict[str, Any], build: Build) -> None:
    passed = Passed(tmp_path, config={"artifact": "models/façade of visits/modèle 1.joblib", "image": image})
    done = build(passed, "--push", "false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert passed.evidence("build-image")["subject"]["name"] == "models/façade of visits/modèle 1.joblib"
