"""One project and one wheel for all pipelines; each test has a copy of the project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import tools
import trained
from example import consumer
from train import prepared

from . import pipelines
from .pipelines import HOST, PROJECT, Project
from .templates import ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the registry would have: this very tree as a package."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [str(pipelines.uv()), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], check=True
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project with a DVC remote, its origin, and what the runner's image brings."""
    home = tmp_path_factory.mktemp("gitlab")
    repo = consumer.make(home)
    with (repo / ".dvc" / "config").open("a", encoding="utf-8") as config:
        config.write("    remote = store\n['remote \"store\"']\n    url = s3://acme/visits\n")
    trained.without_contracts(repo)
    (repo / ".gitlab-ci.yml").unlink()  # each test includes in its own way
    return runner(home)


@pytest.fixture(scope="session")
def trained_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a small project, whose data is in a real remote and has a contract."""
    home = tmp_path_factory.mktemp("trained")
    trained.make(home)
    return runner(home)


@pytest.fixture(scope="session")
def rows_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose metrics are computed from its rows."""
    home = tmp_path_factory.mktemp("rows")
    prepared.published(home)
    return runner(home)


def runner(home: Path) -> Path:
    """What an image of the project has, and how its clone knows GitLab."""
    (home / "bin").mkdir()
    (home / "bin" / "uv").symlink_to(pipelines.uv())
    for name in ("dvc", "python"):
        (home / "bin" / name).symlink_to(tools.script(name))  # the project's own
    repo = home / "project"
    consumer.git(repo, "remote", "set-url", "origin", f"https://{HOST}/{PROJECT}.git")
    consumer.git(repo, "config", "user.name", "Ada")
    consumer.git(repo, "config", "user.email", "ada@example.org")
    (repo / ".git" / "info" / "exclude").write_text(".gitlab-ci-local*\n", "utf-8")
    return home


@pytest.fixture
def project(seed: Path, wheel: Path, tmp_path: Path) -> Project:
    return copied(seed, wheel, tmp_path)


@pytest.fixture
def trained_project(trained_seed: Path, wheel: Path, tmp_path: Path) -> Project:
    return copied(trained_seed, wheel, tmp_path)


@pytest.fixture
def rows_project(rows_seed: Path, wheel: Path, tmp_path: Path) -> Project:
    return copied(rows_seed, wheel, tmp_path)


def copied(seed: Path, wheel: Path, home: Path) -> Project:
    found = Project.copy_of(seed, home)
    found.variables["WHEEL"] = str(wheel)
    return found
