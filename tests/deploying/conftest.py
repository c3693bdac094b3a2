"""A registry of images for these tests, and a project that is deployed from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import CLEAN
from deploying.deployed import Project
from engine import registry as registries
from signing.parts import missing


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry without TLS on this machine."""
    try:
        found, group = registries.start(tmp_path_factory.mktemp("images"), os.getpid(), "true")
    except FileNotFoundError as error:
        missing(str(error))
        raise
    yield found.address
    registries.stop(group)


@pytest.fixture(autouse=True)
def at_no_forge(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked in this process is asked at no forge, wherever the tests run."""
    for name in os.environ:
        if name.startswith(CLEAN) or name == "CI":
            monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path, images: str) -> Project:
    return Project(tmp_path, images)
