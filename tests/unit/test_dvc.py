"""What DVC's committed files say, held against the real DVC where it matters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from builder import Repo, environment
from mlgate.errors import MlgateError
from mlgate.repo import fresh
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Git


def pipeline(repo: Repo) -> Pipeline:
    return Pipeline(Git(repo.path).at(repo.commit()))


def stale(repo: Repo, path: str = "metrics/eval.json") -> list[str]:
    loaded = pipeline(repo)
    return [s.what for stage in loaded.upstream(path) for s in fresh.check(loaded, stage) if s.known]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "repo")
    repo.model()
    return repo


def test_outputs_and_the_stages_behind_a_path(repo: Repo) -> None:
    loaded = pipeline(repo)
    assert loaded.outs["models/visits.joblib"].stage == "train"
    assert [s.name for s in loaded.upstream("metrics/eval.json")] == ["evaluate", "train", "split"]
    assert loaded.upstream("README.md") == []
    (metric,) = loaded.metric_files
    assert (metric.path, metric.cached) == ("metrics/eval.json", False)


def test_a_consistent_repository_is_fresh(repo: Repo) -> None:
    assert stale(repo) == []


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("src/train.py", "# other", "src/train.py changed after it ran"),
        ("params.yaml", "train: {seed: 9}", "params.yaml train.seed changed after it ran"),
        ("params.yaml", "other: {}", "params.yaml train.seed changed after it ran"),
    ],
)
def test_what_changed_after_a_stage_ran_is_named(repo: Repo, path: str, content: str, said: str) -> None:
    repo.write(path, content)
    assert stale(repo) == [said]


def test_a_dependency_that_left_git_is_named(repo: Repo) -> None:
    (repo.path / "src/train.py").unlink()
    assert stale(repo) == ["src/train.py is in neither git nor DVC any more"]


def test_a_command_that_changed(repo: Repo) -> None:
    text = (repo.path / "dvc.yaml").read_text()
    repo.write("dvc.yaml", text.replace("python src/train.py", "python src/train.py --cheat"))
    assert stale(repo) == ["its command changed in dvc.yaml"]


def test_a_stage_that_left_dvc_yaml(repo: Repo) -> None:
    defined = yaml.safe_load((repo.path / "dvc.yaml").read_text())
    del defined["stages"]["evaluate"]
    repo.write("dvc.yaml", yaml.safe_dump(defined))
    assert stale(repo) == ["dvc.yaml has no stage 'evaluate' any more"]


def test_data_of_one_stage_replaced_under_the_next(repo: Repo) -> None:
    lock = yaml.safe_load((repo.path / "dvc.lock").read_text())
    lock["stages"]["train"]["outs"][0]["md5"] = "0" * 32
    repo.write("dvc.lock", yaml.safe_dump(lock))
    assert stale(repo) == ["models/visits.joblib changed after it ran"]


def test_a_lock_with_conflict_markers(repo: Repo) -> None:
    text = (repo.path / "dvc.lock").read_text()
    repo.write("dvc.lock", f"<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n")
    with pytest.raises(MlgateError, match="still has merge conflict markers"):
        _ = pipeline(repo).outs


@pytest.mark.parametrize("text", ["- a list\n", "a: [", "\x00"])
def test_a_lock_that_dvc_did_not_write(repo: Repo, text: str) -> None:
    repo.write("dvc.lock", text)
    with pytest.raises(MlgateError, match=r"dvc\.lock"):
        _ = pipeline(repo).outs


def test_a_lock_of_dvc_2_hashed_text_with_unix_line_ends(repo: Repo) -> None:
    lock = yaml.safe_load((repo.path / "dvc.lock").read_text())
    for stage in lock["stages"].values():
        for entry in [*stage.get("deps", []), *stage.get("outs", [])]:
            entry.pop("hash")
    repo.write("dvc.lock", yaml.safe_dump(lock))
    code = (repo.path / "src/train.py").read_bytes()
    repo.write("src/train.py", code.replace(b"\n", b"\r\n"))
    assert stale(repo) == []


@pytest.mark.dvc
def test_a_pipeline_that_dvc_itself_ran(tmp_path: Path) -> None:
    """Folders, foreach, matrix, wdir, templating, .dvc files: what DVC locks is read as DVC means it."""
    repo = Repo(tmp_path / "real")
    copy = 'python -c "import shutil,sys; shutil.copy(sys.argv[1], sys.argv[2])"'
    repo.write("src/a.py", "a\n")
    repo.write("src/sub/ü b.py", "b\n")
    repo.write("raw.txt", "raw\n")
    repo.write("params.yaml", "deep: {er: {rate: 0.1}}\nnames: [x, y]\n")
    repo.write(
        "nested/dvc.yaml",
        f"""
stages:
  prepare:
    wdir: ..
    cmd: {copy} raw.txt made.txt
    deps: [raw.txt, src]
    params: [deep.er.rate]
    outs: [made.txt]
  each:
    foreach: [p, q]
    do:
      wdir: ..
      cmd: {copy} made.txt each-${{item}}.json
      deps: [made.txt]
      metrics:
      - each-${{item}}.json: {{cache: false}}
  grid:
    matrix: {{n: [one, two]}}
    wdir: ..
    cmd: {copy} made.txt grid-${{item.n}}.txt
    deps: [made.txt]
    outs:
    - grid-${{item.n}}.txt
""",
    )

    def dvc(*args: str) -> None:
        command = [str(Path(sys.executable).with_name("dvc")), *args]
        env = environment(DVC_NO_ANALYTICS="1")
        done = subprocess.run(command, cwd=repo.path, env=env, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    dvc("init", "--quiet")
    dvc("add", "raw.txt")
    dvc("repro", "nested/dvc.yaml")
    loaded = pipeline(repo)
    assert set(loaded.outs) == {
        "raw.txt", "made.txt", "each-p.json", "each-q.json", "grid-one.txt", "grid-two.txt",
    }  # fmt: skip
    assert [s.name for s in loaded.upstream("grid-two.txt")] == ["grid@two", "prepare"]
    for path in loaded.producers:
        assert stale(repo, path) == []
    repo.write("src/sub/ü b.py", "changed\n")
    assert stale(repo, "each-p.json") == ["src/ changed after it ran"]
