"""A retraining brings new data first, and may run elsewhere: `retrain.prepare`, `retrain.launcher`, by the real DVC."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

import builder
from mlgate.errors import MlgateError
from mlgate.repo import proposal
from mlgate.repo.git import Git
from mlgate.train.launching import foreign, launched
from setup.projects import dvc
from train import projects
from train.projects import Seen

DVC = f"{shlex.quote(sys.executable)} -m dvc"
ASKED = ("--verify", "reproduce", "--push", "true", "--proposal", "handed", "--trigger", "a" * 32)


def rows(count: int) -> str:
    return "id,x,label\n" + "".join(f"{i},{i % 97},{int(i % 97 > 48)}\n" for i in range(count))


def imported(project: builder.Repo, folder: Path, retrain: str) -> Path:
    """Training data that come from a file elsewhere, and what mlgate.yaml says of retraining."""
    source = folder / "survey.csv"
    source.write_text(rows(400))
    dvc(project, "remove", "--quiet", "data/train.csv.dvc")
    dvc(project, "import-url", "--quiet", "--force", str(source), "data/train.csv")
    project.write("mlgate.yaml", projects.CONFIG + f"retrain: {retrain}\n")
    projects.repro(project, "Data from elsewhere")
    project.commit("What binds is merged")
    return source


@pytest.mark.dvc
def test_new_data_are_brought_trained_on_pushed_and_proposed(project: builder.Repo, tmp_path: Path) -> None:
    told = json.dumps({"prepare": f"{DVC} update --quiet data/train.csv.dvc"})
    source = imported(project, tmp_path, told)
    source.write_text(rows(500))
    runner = projects.clone(project, tmp_path / "runner")
    seen = Seen(runner, *ASKED)
    assert seen.verdict in ("pass", "warn"), seen.reasons
    assert "trained on 500 rows" in seen.printed
    manifest = json.loads((runner.path / "handed/proposal.json").read_text())
    assert [file["path"] for file in manifest["files"]] == ["data/train.csv.dvc", "dvc.lock", "metrics/eval.json"]
    # Another job takes it as data, and refuses none of it.
    beside = projects.clone(project, tmp_path / "beside")
    found = proposal.read(runner.path / "handed", Git(beside.path))
    assert found.models == ("visits",)
    pushed = [p for p in (tmp_path / "runner/remote").rglob("*") if p.is_file() and p.read_text() == rows(500)]
    assert len(pushed) == 1


@pytest.mark.dvc
def test_without_a_trigger_nothing_is_brought(project: builder.Repo, tmp_path: Path) -> None:
    source = imported(project, tmp_path, json.dumps({"prepare": f"{DVC} update --quiet data/train.csv.dvc"}))
    source.write_text(rows(500))
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "reproduce", "--remote", "false")
    assert "trained on" not in seen.printed
    assert "update" not in seen.printed


@pytest.mark.dvc
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "echo nothing there; exit 4",
            "`retrain.prepare` ended with exit code 4, so nothing was trained. It said last",
        ),
        ("echo '# other code' >> src/train.py", "`retrain.prepare` changed src/train.py, so nothing was trained"),
    ],
)
def test_data_that_cannot_be_brought_are_not_trained_on(bare: builder.Repo, command: str, said: str) -> None:
    bare.write("mlgate.yaml", projects.CONFIG + f"retrain: {json.dumps({'prepare': command})}\n")
    bare.commit("Prepare")
    bare.commit("What binds is merged")
    seen = Seen(bare, *ASKED, "--remote", "false")
    assert (seen.verdict, seen.code) == ("error", 2)
    assert said in seen.reasons
    assert "trained on" not in seen.printed
    assert not (bare.path / "handed").exists()


@pytest.mark.dvc
def test_stages_run_where_the_launcher_puts_them(bare: builder.Repo, tmp_path: Path) -> None:
    launcher = tmp_path / "launch"
    launcher.write_text(f'#!/bin/sh\necho "on the GPU: $*" >> {tmp_path}/launched\nexec "$@"\n')
    launcher.chmod(0o755)
    bare.write("mlgate.yaml", projects.CONFIG + f"retrain: {json.dumps({'launcher': f'{launcher} {{command}}'})}\n")
    bare.commit("Launcher")
    bare.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": 0.5}}) + "\n")
    bare.commit("Another shift")
    seen = Seen(bare, *ASKED)
    assert seen.verdict in ("pass", "warn"), seen.reasons
    assert "repro --allow-missing" in (tmp_path / "launched").read_text()
    assert {name: state for name, state in seen.stages.items() if ".dvc" not in name} == {
        "train": "ran", "predict": "ran", "evaluate": "ran",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("launcher", "words"),
    [
        (None, ["dvc", "repro", "a b"]),
        ("srun --gres=gpu:1 {command}", ["srun", "--gres=gpu:1", "dvc", "repro", "a b"]),
        ("ssh gpu 'cd repo && {command}'", ["ssh", "gpu", "cd repo && dvc repro 'a b'"]),
    ],
)
def test_a_launcher_in_words(launcher: str | None, words: list[str]) -> None:
    assert launched(launcher, ["dvc", "repro", "a b"]) == words


@pytest.mark.parametrize("launcher", ["srun", "srun '{command}"])
def test_a_launcher_that_is_none(launcher: str) -> None:
    with pytest.raises(MlgateError, match=r"retrain\.launcher"):
        launched(launcher, ["dvc"])


def test_what_bringing_data_may_change() -> None:
    assert foreign(["data/a.dvc", "dvc.lock", "sub/dvc.lock", "data/.gitignore"]) == []
    assert foreign(["src/x.py", "my_dvc.lock", "params.yaml"]) == ["my_dvc.lock", "params.yaml", "src/x.py"]
