"""What a job that ran project code hands over, and what of it the job that commits believes: nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder import Repo, md5
from mlgate.errors import MlgateError
from mlgate.repo import proposal
from mlgate.repo.git import Git

BETTER = b'{"auc": 0.75, "log_loss": 0.55}\n'


class Project:
    """A project that was trained again: better metrics, and the lock that attests them."""

    def __init__(self, tmp_path: Path) -> None:
        self.repo = Repo(tmp_path / "repo")
        self.repo.model()
        self.repo.write("data/.gitignore", "/test.csv\n/train.csv\n")
        self.repo.write("data/raw.csv.dvc", yaml.safe_dump(POINTER))
        self.base = self.repo.commit("Model")
        self.git = Git(self.repo.path)
        self.folder = tmp_path / "proposal"

    @property
    def files(self) -> dict[str, bytes | None]:
        lock = yaml.safe_load((self.repo.path / "dvc.lock").read_text())
        lock["stages"]["evaluate"]["outs"][0]["md5"] = md5(BETTER)
        return {"metrics/eval.json": BETTER, "dvc.lock": yaml.safe_dump(lock, sort_keys=False).encode()}

    def write(self, files: dict[str, bytes | None] | None = None, **more: Any) -> proposal.Proposal:
        chosen = self.files if files is None else files
        return proposal.write(self.folder, self.git, base=self.base, files=chosen, model="visits", **more)

    def read(self, **more: Any) -> proposal.Proposal:
        return proposal.read(self.folder, Git(self.repo.path), **more)

    def forge(self, files: dict[str, bytes | None], **more: Any) -> None:
        """What a hostile job leaves: the right form, and whatever it likes inside."""
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        listed: list[dict[str, Any]] = []
        for path, data in files.items():
            digest = None if data is None else hashlib.sha256(data).hexdigest()
            if data is not None and digest:
                (self.folder / "files" / digest).write_bytes(data)
            listed.append(
                {"path": path} if digest is None else {"path": path, "sha256": digest, "size": len(data or b"")}
            )
        manifest = {"schema": 1, "base": self.base, "models": ["visits"], "message": "Train visits", "files": listed}
        (self.folder / "proposal.json").write_text(json.dumps(manifest | more))

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        file = self.folder / "proposal.json"
        manifest = json.loads(file.read_text())
        change(manifest)
        file.write_text(json.dumps(manifest))


POINTER = {"outs": [{"md5": "a" * 32, "size": 5, "hash": "md5", "path": "raw.csv"}]}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def refused(project: Project, **more: Any) -> str:
    with pytest.raises(MlgateError) as error:
        project.read(**more)
    assert "nothing was committed" in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


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
