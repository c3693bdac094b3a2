"""Fixtures: `engine`, `registry`, `locked_registry`, `base_image`, `trusting_base`, `plain_engine`, `build_secrets`.

All are shared by every process of one test run, and end with it. What is costly is kept outside the tree for the next
run: the base image in a registry's own format, and the engine's build cache.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import base, machine
from engine.building import SKLEARN, Builder, Image, locked, sklearn_model, trusting
from engine.registry import Registry, start, stop
from mlgate.image.engine import Engine
from mlgate.image.plan import Plan


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The Docker engine of this machine, by a client that builds with BuildKit where there is one."""
    return machine.engine()


@pytest.fixture(scope="session")
def plain_engine(engine: Engine) -> Engine:
    """The same, with the plain builder only."""
    return machine.plain(engine)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "engine"
    folder.mkdir(exist_ok=True)
    return folder


def _registry(engine: Engine, folder: Path, *, locked: bool = False, store: Path | None = None) -> Iterator[Registry]:
    machine.needs("docker-registry")
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    group = 0
    with machine.once(folder.name, folder.parent):
        told = folder / "told.json"
        if not told.exists():
            folder.mkdir(exist_ok=True)
            if store is not None:
                base.copy(store, folder / "store")
            made, group = start(
                folder, os.getpid() if alone else os.getppid(), engine.command, locked=locked
            )  # fmt: skip
            told.write_text(json.dumps([made.address, made.user, made.password]), "utf-8")
        registry = Registry(*json.loads(told.read_text("utf-8")))
    yield registry
    if alone and group:
        stop(group)


@pytest.fixture(scope="session")
def registry(engine: Engine, shared: Path) -> Iterator[Registry]:
    """A registry that needs no login and already holds the base image."""
    store, _ = base.stored(engine)
    yield from _registry(engine, shared / "registry", store=store)


@pytest.fixture(scope="session")
def locked_registry(engine: Engine, shared: Path) -> Iterator[Registry]:
    """A registry that asks for a name and a password: it tells both."""
    yield from _registry(engine, shared / "locked-registry", locked=True)


@pytest.fixture(scope="session")
def base_image(engine: Engine, registry: Registry, shared: Path) -> str:
    """An image with Python, pinned by digest, that the engine has: `localhost:41234/python@sha256:...`."""
    _, digest = base.stored(engine)
    reference = f"{registry.name(base.REPOSITORY)}@{digest}"
    with machine.once("pull", shared):
        if engine.inspect(reference) is None:
            engine.run("pull", "--quiet", reference, timeout=300)
            engine.run("tag", reference, base.KEPT)  # so that its layers are there for the next run
    return reference


@pytest.fixture(scope="session")
def trusting_base(engine: Engine, registry: Registry, base_image: str, shared: Path) -> str:
    """The same image, which also trusts what this machine trusts: for builds that take no secrets."""
    return trusting(engine, registry, base_image, shared)


@pytest.fixture(scope="session")
def build_secrets() -> dict[str, bytes]:
    """What `image.secrets` has to hold on this machine, by id; empty on an ordinary runner."""
    return machine.build_secrets()


@pytest.fixture
def containers(engine: Engine) -> Iterator[Callable[..., str]]:
    """`containers("image", "command", ...)` starts one that is removed after the test, and returns its id."""
    started: list[str] = []

    def run(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        started.append(engine.run("run", "--detach", *options, image, *command))
        return started[-1]

    yield run
    if started:
        subprocess.run([engine.command, "rm", "--force", "--volumes", *started], capture_output=True, check=False)


@pytest.fixture(scope="session")
def builder(engine: Engine, registry: Registry, base_image: str, shared: Path) -> Builder:
    """`builder.image(builder.plan(model, [requirements]))` builds once for all tests that ask for the same."""
    return Builder(engine, registry, base_image, machine.build_secrets(), shared)


@pytest.fixture(scope="session")
def sklearn_plan(builder: Builder, shared: Path) -> Plan:
    """The template's plan for a small model of scikit-learn (columns: age, income, visits; two classes)."""
    with machine.once("sklearn", shared):
        model, requirements = shared / "sklearn" / "model.joblib", shared / "sklearn" / "requirements.txt"
        if not requirements.exists():
            sklearn_model(model.parent)
            requirements.write_text(locked(*SKLEARN), "utf-8")
    return builder.plan(model, [requirements])


@pytest.fixture(scope="session")
def sklearn_image(builder: Builder, sklearn_plan: Plan) -> Image:
    """That plan's image; its server is mlgate's."""
    return builder.image(sklearn_plan)
