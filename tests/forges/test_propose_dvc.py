"""From a real `dvc repro` to a commit in which DVC itself finds nothing to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder import Repo, environment
from forges.fake_forge import FakeGitHub
from forges.git_host import GitHost
from forges.place import WRITERS, Place, clean
from mlgate.repo import proposal
from mlgate.repo.git import Git

PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, raw.csv]
    params: [rate]
    outs: [model.bin]
    metrics: [metrics/eval.json: {cache: false}]
    plots: [curves: {cache: false}]
  each:
    matrix:
      part: [eu, us]
    cmd: >-
      printf '{"%s": 1}' ${item.part} > parts/${item.part}.json
    deps: [model.bin]
    metrics:
      - parts/${item.part}.json: {cache: false}
"""
TRAIN = """\
import pathlib, json, yaml
rate = yaml.safe_load(open("params.yaml"))["rate"]
pathlib.Path("model.bin").write_text(f"model {rate}")
for name in ("metrics", "curves"):
    pathlib.Path(name).mkdir(exist_ok=True)
json.dump({"auc": rate}, open("metrics/eval.json", "w"))
pathlib.Path("curves/roc.csv").write_text(f"x,y\\n0,{rate}\\n")
"""


def dvc(repo: Repo, *args: str) -> str:
    env = environment(DVC_NO_ANALYTICS="1", DVC_SITE_CACHE_DIR=str(repo.path.parent / "site"))
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *args], cwd=repo.path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.dvc
def test_the_commit_is_one_in_which_dvc_finds_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch)
    with FakeGitHub() as fake, GitHost(tmp_path / "host", write=WRITERS) as host:
        place = Place(tmp_path, fake, host)
        people = place.people
        people.git("rm", "-r", "--quiet", ".")
        people.write("dvc.yaml", PIPELINE)
        people.write("train.py", TRAIN)
        people.write("params.yaml", "rate: 0.5\n")
        people.write("raw.csv", "a\n1\n")
        people.write("parts/README.md", "One file for each part.\n")
        dvc(people, "init", "--quiet")
        dvc(people, "add", "raw.csv")
        dvc(people, "remote", "add", "--default", "store", str(tmp_path / "store"))
        people.commit("Nothing was trained yet")
        people.git("push", "--quiet", str(host.bare), "main")
        dvc(people, "push", "--quiet")

        job = place.clone("--depth=1")
        dvc(job, "pull", "--quiet", "raw.csv.dvc")
        dvc(job, "repro", "--quiet")
        dvc(job, "push", "--quiet")
        job.write("train.py", TRAIN + "# the job rewrote its own code\n")
        found = proposal.collect(Git(job.path), base=job.head)
        assert set(found) == {
            ".gitignore",
            "curves/roc.csv",
            "dvc.lock",
            "metrics/eval.json",
            "parts/eu.json",
            "parts/us.json",
        }
        proposal.write(place.folder, Git(job.path), base=job.head, files=found, model="visits")

        committer = place.clone("--depth=1")
        done = place.back("branch", repo=committer)
        fresh = place.clone()
        assert fresh.head == done.commit
        dvc(fresh, "pull", "--quiet")
        assert "up to date" in dvc(fresh, "status")
        assert fresh.git("status", "--porcelain") == ""

        dvc(fresh, "repro", "--quiet")
        assert proposal.collect(Git(fresh.path), base=fresh.head) == {}
        assert fake.problems == []
