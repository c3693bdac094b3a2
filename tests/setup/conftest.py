"""A project with real DVC, made once: a pipeline that ran, everything in a folder remote. Tests work on copies."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import builder
from setup.projects import BIN, CONFIG, PIPELINE, dvc, set_remote


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> builder.Repo:
    """The project and, beside it, its folder remote. Only to be copied."""
    home = tmp_path_factory.mktemp("dvc")
    repo = builder.Repo(home / "project")
    repo.commit("Start")
    dvc(repo, "init", "--quiet")
    repo.write("data/train.csv", "id,x,label\n" + "".join(f"{i},{i},0\n" for i in range(400)))
    repo.write("data/test.csv", "id,x,label\n" + "".join(f"{i},{i},1\n" for i in range(100)))
    dvc(repo, "add", "--quiet", "data/train.csv", "data/test.csv")
    repo.write("dvc.yaml", PIPELINE)
    dvc(repo, "repro", "--quiet")
    repo.write("mlgate.yaml", CONFIG)
    repo.write("CODEOWNERS", "* @ada\n")
    repo.write(".github/workflows/model-gate.yml", (builder.ROOT / "workflows/model-gate.yml").read_text())
    (home / "remote").mkdir()
    set_remote(repo, "../../remote")
    dvc(repo, "push", "--quiet")
    repo.commit("First model")
    return repo


@pytest.fixture
def project(master: builder.Repo, tmp_path: Path) -> builder.Repo:
    """A copy of the project, with a remote of its own, on a branch beside main."""
    shutil.copytree(master.path.parent, tmp_path / "home", symlinks=True)
    repo = builder.Repo(tmp_path / "home" / "project")
    repo.git("checkout", "--quiet", "-b", "change")
    return repo


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a real S3 server, in memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
