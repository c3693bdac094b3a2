"""One project and one wheel for all pipelines; each test has a copy of the project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import tools
from builder import Repo

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
    """The example project as one commit on main, and its remote."""
    home = tmp_path_factory.mktemp("gitlab")
    (home / "bin").mkdir()
    (home / "bin" / "uv").symlink_to(pipelines.uv())
    (home / "bin" / "dvc").symlink_to(tools.script("dvc"))  # the project's own
    (home / "remote.git").mkdir()
    repo = Repo(home / "project")
    repo.git("init", "--quiet", "--bare", "--initial-branch=main", str(home / "remote.git"))
    repo.git("remote", "add", "origin", f"https://{HOST}/{PROJECT}.git")
    repo.git("config", "user.name", "Ada")
    repo.git("config", "user.email", "ada@example.org")
    (repo.path / ".git" / "info" / "exclude").write_text(".gitlab-ci-local*\n", "utf-8")
    for path in Repo(ROOT).git("ls-files", "example-project").splitlines():
        repo.write(path.removeprefix("example-project/"), (ROOT / path).read_bytes())
    (repo.path / ".gitlab-ci.yml").unlink()  # each test includes in its own way
    repo.write(".dvc/config", "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://acme/visits\n")
    repo.write("CODEOWNERS", "/.gitlab-ci.yml @acme/ml\n/mlgate.yaml @acme/ml\n")
    repo.commit("First champion")
    return home


@pytest.fixture
def project(seed: Path, wheel: Path, tmp_path: Path) -> Project:
    copied = Project.copy_of(seed, tmp_path)
    copied.variables["WHEEL"] = str(wheel)
    return copied
