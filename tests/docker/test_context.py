"""What an image is built of: the same inputs give the same digest, and any other gives another."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgate.errors import MlgateError
from mlgate.image import context, dockerfile
from mlgate.image.plan import INPUTS_LABEL, Plan, pinned

BASE = "python:3.13-slim@sha256:" + "ab" * 32


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    project = tmp_path / "a project – ünïcode"
    model = project / "model folder"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}\n", "utf-8")
    (model / "data" / "weights é.bin").write_bytes(b"\0\1\2")
    (project / "src" / "features").mkdir(parents=True)
    (project / "src" / "features" / "__init__.py").write_text("", "utf-8")
    (project / "src" / "features" / "encode.py").write_text("class Encoder: ...\n", "utf-8")
    (project / "src" / "score.py").write_text("", "utf-8")
    (project / "lock.txt").write_text(
        "numpy==2.4.6 \\\n    --hash=sha256:aa\n"
        "mlflow==3.1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
        "scipy==1.17 \\\n    --hash=sha256:dd\n",
        "utf-8",
    )
    (project / "serve.txt").write_text("fastapi==1 --hash=sha256:ee\n", "utf-8")
    return Plan(
        model=model, name="visits", base=BASE, settings='{"port": 8080}\n', requirements=(project / "lock.txt",),
        serve=project / "serve.txt", include=((project / "src", "src"),), packages=("libgomp1",),
        labels={"org.opencontainers.image.title": "visits"}, created=1_700_000_000, secrets={"netrc": "machine x"},
    )  # fmt: skip


def written(plan: Plan, folder: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    return context.write(plan, folder)


def test_the_files_are_where_every_dockerfile_finds_them(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    digest = written(plan, folder)
    assert digest.startswith("sha256:")
    assert len(digest) == 71
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "Dockerfile", "Dockerfile.plain", "serving.json", "model/MLmodel", "model/data/weights é.bin",
        "mlgate/mlgate/__init__.py", "mlgate/mlgate/errors.py", "mlgate/mlgate/serving/settings.py",
        "project/src/features/encode.py", "requirements/0.txt", "requirements/serve.txt",
    } <= names  # fmt: skip
    assert not [name for name in names if "__pycache__" in name or name.startswith("mlgate/mlgate/image")]
    assert (folder / "serving.json").read_text("utf-8") == plan.settings
    assert not any("machine x" in path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


def test_a_model_that_is_a_file_keeps_its_name(plan: Plan, tmp_path: Path) -> None:
    model = tmp_path / "model é.joblib"
    model.write_bytes(b"x")
    written(replace(plan, model=model), tmp_path / "context")
    assert (tmp_path / "context/model/model é.joblib").read_bytes() == b"x"
    assert 'MLGATE_MODEL="/opt/model/model é.joblib"' in (tmp_path / "context/Dockerfile").read_text("utf-8")


def test_times_modes_and_places_do_not_count(plan: Plan, tmp_path: Path) -> None:
    before = written(plan, tmp_path / "one")
    for path in plan.model.rglob("*"):
        os.utime(path, (1, 1))
    (plan.model / "MLmodel").chmod(0o600)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(plan.model.parent, elsewhere)
    moved = replace(
        plan, model=elsewhere / plan.model.name, include=((elsewhere / "src", "src"),),
        requirements=(elsewhere / "lock.txt",), serve=elsewhere / "serve.txt", secrets={"netrc": "another value"},
        labels={**plan.labels, INPUTS_LABEL: "whatever it was"},
    )  # fmt: skip
    (elsewhere / "src" / "__pycache__").mkdir()
    (elsewhere / "src" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"old")
    assert written(moved, tmp_path / "two") == before
    times = {path.stat().st_mtime for path in (tmp_path / "two").rglob("*")}
    assert times == {plan.created}


def _grown(path: Path, name: str = "") -> None:
    with (path / name if name else path).open("ab") as file:
        file.write(b"#")


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: _grown(plan.model, "data/weights é.bin"),
        lambda plan: (plan.model / "more").write_bytes(b""),
        lambda plan: (plan.model / "MLmodel").rename(plan.model / "MLmodel2"),
        lambda plan: _grown(plan.requirements[0]),
        lambda plan: _grown(plan.serve),
        lambda plan: _grown(plan.include[0][0], "features/encode.py"),
        lambda plan: (plan.include[0][0] / "score.py").chmod(0o755),
        lambda plan: replace(plan, settings="{}"),
        lambda plan: replace(plan, base=BASE.replace("ab", "ac")),
        lambda plan: replace(plan, packages=("libgomp1", "libxml2")),
        lambda plan: replace(plan, labels={}),
        lambda plan: replace(plan, labels={**plan.labels, "more": "1"}),
        lambda plan: replace(plan, platform="linux/arm64"),
        lambda plan: replace(plan, secrets={}),
        lambda plan: replace(plan, created=1_700_000_001),
        lambda plan: replace(plan, port=9090),
        lambda plan: replace(plan, without=("mlflow",)),
        lambda plan: replace(plan, include=((plan.include[0][0], "lib"),)),
    ],
)
def test_anything_else_counts(plan: Plan, tmp_path: Path, change: Any) -> None:
    before = written(plan, tmp_path / "context")
    changed = change(plan)
    assert written(changed if isinstance(changed, Plan) else plan, tmp_path / "context") != before


def test_requirements_without_what_serving_does_not_need(plan: Plan, tmp_path: Path) -> None:
    written(replace(plan, without=("MLflow",)), tmp_path / "context")
    text = (tmp_path / "context/requirements/0.txt").read_text("utf-8")
    assert "mlflow" not in text
    assert "sha256:bb" not in text
    assert "sha256:cc" not in text
    assert "numpy==2.4.6" in text
    assert "sha256:dd" in text


def test_code_is_importable_by_the_names_that_training_used(plan: Plan, tmp_path: Path) -> None:
    written(plan, tmp_path / "context")
    text = (tmp_path / "context/Dockerfile").read_text("utf-8")
    line = next(line for line in text.splitlines() if "zz-mlgate.pth" in line)
    assert "/opt/mlgate/app /opt/project /opt/project/src /opt/mlgate/site" in line


@pytest.mark.parametrize("name", ["../src", "/src", "", "a/../../b"])
def test_nothing_is_put_outside_the_project(plan: Plan, tmp_path: Path, name: str) -> None:
    with pytest.raises(MlgateError, match="no path inside the project"):
        written(replace(plan, include=((plan.include[0][0], name),)), tmp_path / "context")


def test_a_link_of_the_models_cache_is_followed_and_one_of_code_that_leads_elsewhere_is_not(
    plan: Plan, tmp_path: Path
) -> None:
    cached = tmp_path / "cache"
    cached.write_bytes(b"the bytes")
    weights = plan.model / "data" / "weights é.bin"
    weights.unlink()
    weights.symlink_to(cached)
    written(plan, tmp_path / "context")
    copied = tmp_path / "context/model/data/weights é.bin"
    assert copied.read_bytes() == b"the bytes"
    assert not copied.is_symlink()
    (plan.include[0][0] / "key.py").symlink_to(cached)
    with pytest.raises(MlgateError, match="leads elsewhere"):
        written(plan, tmp_path / "context")


def test_what_is_missing_is_named(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="absent is not there"):
        written(replace(plan, model=tmp_path / "absent"), tmp_path / "context")


def test_the_plain_builder_gets_no_mounts_and_buildkit_no_frontend_to_fetch(plan: Plan, tmp_path: Path) -> None:
    written(plan, tmp_path / "context")
    kit = (tmp_path / "context/Dockerfile").read_text("utf-8")
    plain = (tmp_path / "context/Dockerfile.plain").read_text("utf-8")
    assert "--mount=type=secret,id=ca.crt" in kit
    assert "--mount" not in plain
    assert "/run/secrets" not in plain
    for text in (kit, plain):
        assert "syntax=" not in text
        assert f"FROM {BASE} AS system" in text
        assert "USER 10001:10001" in text
        assert text.rstrip().splitlines()[-1] == "COPY model /opt/model"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM python:3.13\n", "builds on python:3.13"),
        (f"FROM {BASE} AS one\nFROM node:22\n", "builds on node:22"),
        ("ARG BASE\nFROM $BASE\n", "builds on $BASE"),
        ("from --platform=linux/amd64 python:3 as x\n", "builds on python:3"),
    ],
)
def test_a_users_dockerfile_is_pinned_too(text: str, says: str) -> None:
    with pytest.raises(MlgateError) as error:
        dockerfile.pinned_stages(text, file="Dockerfile")
    assert says in str(error.value)
    assert str(error.value).startswith("Dockerfile:")


def test_a_pinned_dockerfile_is_taken() -> None:
    dockerfile.pinned_stages(f"FROM {BASE} AS one\nFROM one AS two\nFROM scratch\nCOPY --from=two / /\n", file="D")


def test_the_base_is_pinned_and_the_fix_has_the_digest() -> None:
    digest = "sha256:" + "cd" * 32
    assert pinned(BASE, lambda _: None) == (BASE, "")
    with pytest.raises(MlgateError) as error:
        pinned("python:3.13-slim", lambda _: digest)
    assert f"python:3.13-slim@{digest}" in error.value.fix
    with pytest.raises(MlgateError, match="neither the engine nor its registry"):
        pinned("python:3.13-slim", lambda _: None)
    with pytest.raises(MlgateError, match="neither"):
        pinned("python:3.13-slim", lambda _: None, preview=True)
    with pytest.raises(MlgateError, match="no base image"):
        pinned(None, lambda _: None)
    base, warning = pinned("python:3.13-slim", lambda _: digest, preview=True)
    assert base == f"python:3.13-slim@{digest}"
    assert digest in warning


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("packages", ("libgomp1; rm -rf /",)),
        ("packages", ("--allow-unauthenticated",)),
        ("secrets", {"a,src=/etc/shadow": "x"}),
        ("labels", {"a b": "x"}),
        ("base", "python:3.13 AS x\nRUN evil"),
    ],
)
def test_nothing_in_a_plan_is_read_as_another_command(plan: Plan, field: str, value: Any) -> None:
    with pytest.raises(MlgateError):
        replace(plan, **{field: value})


def test_paths_in_a_requirements_file_are_no_hashes(plan: Plan, tmp_path: Path) -> None:
    free = tmp_path / "free.txt"
    free.write_text("# a comment\nnumpy==2.4.6\n", "utf-8")
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n\n", "utf-8")
    written(replace(plan, requirements=(*plan.requirements, free, empty)), tmp_path / "context")
    lines = [
        line for line in (tmp_path / "context/Dockerfile").read_text("utf-8").splitlines() if "--requirement" in line
    ]
    assert "--require-hashes --requirement /requirements/0.txt" in lines[1]
    assert "--require-hashes" not in lines[2]
    assert "/requirements/1.txt" in lines[2]
    assert not any("2.txt" in line for line in lines)


def test_settings_are_those_of_the_server(plan: Plan, tmp_path: Path) -> None:
    written(plan, tmp_path / "context")
    assert json.loads((tmp_path / "context/serving.json").read_text("utf-8")) == {"port": 8080}
