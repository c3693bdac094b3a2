from __future__ import annotations

from pathlib import Path

import pytest

import builder
from train import prepared, projects


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> builder.Repo:
    """The project with everything in place. Only to be copied."""
    return projects.make(tmp_path_factory.mktemp("train"))


@pytest.fixture
def project(master: builder.Repo, tmp_path: Path) -> builder.Repo:
    """A working copy with data and cache."""
    return projects.copy(master, tmp_path / "home")


@pytest.fixture
def bare(master: builder.Repo, tmp_path: Path) -> builder.Repo:
    """A fresh clone, as on a runner."""
    return projects.clone(master, tmp_path / "runner")


@pytest.fixture(scope="session")
def compared_master(tmp_path_factory: pytest.TempPathFactory) -> builder.Repo:
    """The project whose rows are compared. Only to be copied."""
    return prepared.make(tmp_path_factory.mktemp("compared"))


@pytest.fixture
def compared(compared_master: builder.Repo, tmp_path: Path) -> builder.Repo:
    """A working copy with data and cache, on main."""
    return projects.copy(compared_master, tmp_path / "home")
