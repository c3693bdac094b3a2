"""What a job that ran project code hands over, and what of it the job that commits believes: nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from proposal_samples import Project

from mlgate.errors import MlgateError
from mlgate.repo import proposal


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_was_written_is_read(project: Project) -> None:
    project.write()
    found = project.read()
    assert found.files == project.files
    assert (found.base, found.models, found.message) == (project.base, ("visits",), "Train visits")
    assert [(m.file, m.key, m.before, m.after) for m in found.moved] == [
        ("metrics/eval.json", "auc", 0.72, 0.75),
        ("metrics/eval.json", "log_loss", 0.58, 0.55),
    ]


def test_no_hidden_names_in_the_folder(project: Project) -> None:
    """Artifact uploads leave hidden files out."""
    project.write({"data/.gitignore": b"/test.csv\n"})
    assert not [path for path in project.folder.rglob("*") if path.name.startswith(".")]
    assert project.read().files == {"data/.gitignore": b"/test.csv\n"}


def test_collected_from_the_working_tree(project: Project) -> None:
    for path, data in project.files.items():
        project.repo.write(path, data or b"")
    project.repo.write("src/train.py", "# rewritten while it ran\n")
    project.repo.write("notes.json", "{}")
    project.repo.write("data/test.csv", "rows")
    assert proposal.collect(project.git, base=project.base) == project.files


def test_a_file_that_training_makes_and_that_cannot_be_read_is_not_left_out(project: Project) -> None:
    (project.repo.path / "metrics/eval.json").unlink()
    (project.repo.path / "metrics/eval.json").symlink_to("/etc/hostname")
    with pytest.raises(MlgateError, match="not a plain file"):
        proposal.collect(project.git, base=project.base)


def test_nothing_changed_is_a_proposal_of_nothing(project: Project) -> None:
    project.write({"metrics/eval.json": (project.repo.path / "metrics/eval.json").read_bytes()})
    assert project.read().files == {}


def test_an_earlier_proposal_is_replaced_and_another_folder_is_not(project: Project) -> None:
    project.write()
    project.write({})
    assert list((project.folder / "files").iterdir()) == []
    (project.folder / "proposal.json").unlink()
    (project.folder / "mine.txt").write_text("mine")
    with pytest.raises(MlgateError, match="cannot write"):
        project.write()
    assert (project.folder / "mine.txt").read_text() == "mine"
    assert [p.name for p in project.folder.parent.iterdir() if "proposal." in p.name] == []


def test_who_writes_is_told_what_who_reads_would_refuse(project: Project) -> None:
    with pytest.raises(MlgateError, match=r"src/train.py is not a file that training makes"):
        project.write({"src/train.py": b"import os\n"})
    assert not project.folder.exists()


def test_a_place_that_cannot_be_written_to_is_said(project: Project) -> None:
    project.folder = project.repo.path / "params.yaml" / "proposal"
    with pytest.raises(MlgateError, match="cannot write"):
        project.write()
