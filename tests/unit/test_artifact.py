"""A committed model by its digest: in the workspace, in DVC's cache, handed over, in git; and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder import Repo, md5
from mlgate.errors import MlgateError
from mlgate.judge.integrity import named
from mlgate.model import Named
from mlgate.repo import artifact
from mlgate.repo.dvc import Pipeline, folder_md5
from mlgate.repo.git import Git, Snapshot

PATH = "models/visits"
FILES = {"MLmodel": b"flavors: {}\n", "model.skops": b"\x00\x01", "code/feat ürés.py": b"x = 1\n"}
DIGEST = folder_md5(FILES.items())
MODEL = Named(name=PATH, digest={"dvc-md5": DIGEST})


def put(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    for path, data in (FILES if files is None else files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def commit(tmp_path: Path) -> Snapshot:
    repo = Repo(tmp_path / "repo")
    repo.commit("start")
    return Git(repo.path).at(Git(repo.path).head())


def cache(folder: Path) -> Path:
    base = folder / "files" / "md5"
    listing = [{"md5": md5(data), "relpath": path} for path, data in sorted(FILES.items())]
    blobs = [(md5(data), data) for data in FILES.values()] + [(DIGEST, json.dumps(listing).encode())]
    for digest, data in blobs:
        place = base / digest[:2] / digest[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def test_a_folder_of_the_workspace_is_taken_only_with_its_digest(tmp_path: Path, commit: Snapshot) -> None:
    root = tmp_path / "work"
    put(root / PATH)
    assert artifact.find(MODEL, root=root, snapshot=commit, scratch=tmp_path) == root / PATH
    assert artifact.find(MODEL, root=root, snapshot=commit, scratch=tmp_path, strict=True) is None
    (root / PATH / "extra.py").write_bytes(b"")
    assert artifact.find(MODEL, root=root, snapshot=commit, scratch=tmp_path) is None


def test_a_folder_is_put_together_from_the_cache(tmp_path: Path, commit: Snapshot) -> None:
    caches = [tmp_path / "none", cache(tmp_path / "cache")]
    found = artifact.find(MODEL, root=tmp_path, snapshot=commit, scratch=tmp_path, caches=caches)
    assert found is not None
    assert content(found) == FILES
    blob = next((caches[1] / "files" / "md5" / md5(FILES["model.skops"])[:2]).iterdir())
    blob.write_bytes(b"other")
    assert artifact.find(MODEL, root=tmp_path, snapshot=commit, scratch=tmp_path, caches=caches) is None
    assert content(found) == FILES, "what was given out before is not touched"


def test_a_listing_that_leaves_the_folder_is_not_followed(tmp_path: Path, commit: Snapshot) -> None:
    place = cache(tmp_path / "cache") / "files" / "md5" / DIGEST[:2] / DIGEST[2:]
    place.write_text(json.dumps([{"md5": md5(b"\x00\x01"), "relpath": "../../escaped"}]))
    caches = [tmp_path / "cache"]
    assert artifact.find(MODEL, root=tmp_path, snapshot=commit, scratch=tmp_path, caches=caches) is None
    assert not list(tmp_path.rglob("escaped"))


def test_what_is_handed_over_is_found_again(tmp_path: Path, commit: Snapshot) -> None:
    source, inputs = put(tmp_path / "model"), tmp_path / "inputs"
    given = artifact.give(inputs, source, MODEL, snapshot=commit)
    assert given == inputs / f"dvc-md5-{DIGEST}"
    assert artifact.give(inputs, source, MODEL, snapshot=commit) == given, "twice is once"
    found = artifact.find(MODEL, root=tmp_path, snapshot=commit, scratch=tmp_path, folder=inputs, strict=True)
    assert found == given
    assert [path.name for path in inputs.iterdir()] == [given.name]


def test_another_model_is_not_handed_over(tmp_path: Path, commit: Snapshot) -> None:
    source = put(tmp_path / "model", {**FILES, "MLmodel": b"other"})
    with pytest.raises(MlgateError, match="is not the committed model"):
        artifact.give(tmp_path / "inputs", source, MODEL, snapshot=commit)
    assert not list((tmp_path / "inputs").iterdir())


def test_what_another_job_put_under_the_name_is_refused(tmp_path: Path, commit: Snapshot) -> None:
    place = put(tmp_path / "inputs" / f"dvc-md5-{DIGEST}", {**FILES, "MLmodel": b"other"})
    with pytest.raises(MlgateError, match="does not have the digest that its name says"):
        artifact.find(MODEL, root=tmp_path, snapshot=commit, scratch=tmp_path, folder=place.parent, strict=True)
    (place / "MLmodel").unlink()
    (place / "MLmodel").symlink_to("/etc/passwd")
    with pytest.raises(MlgateError, match="neither a file nor a folder"):
        artifact.find(MODEL, root=tmp_path, snapshot=commit, scratch=tmp_path, folder=place.parent, strict=True)


def test_a_folder_that_git_keeps(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    put(repo.path / PATH)
    repo.commit("a model in git")
    git = Git(repo.path)
    snapshot = git.at(git.head())
    model = named(Pipeline(snapshot, lenient=True), PATH, "model")
    found = artifact.find(model, root=repo.path, snapshot=snapshot, scratch=tmp_path, strict=True)
    assert found is not None
    assert content(found) == FILES
    assert artifact.give(tmp_path / "inputs", found, model, snapshot=snapshot) is None
    (repo.path / PATH / "MLmodel").unlink()
    (repo.path / PATH / "MLmodel").symlink_to("model.skops")
    repo.commit("a link")
    after = git.at(Git(repo.path).head())
    with pytest.raises(MlgateError, match="symbolic link"):
        artifact.find(
            named(Pipeline(after, lenient=True), PATH, "model"), root=repo.path, snapshot=after, scratch=tmp_path
        )


def test_digests_of_a_model(tmp_path: Path) -> None:
    assert sorted(artifact.sha256s(put(tmp_path / "model"))) == sorted(FILES)
    (tmp_path / "model" / "pipe").symlink_to("MLmodel")
    with pytest.raises(MlgateError, match="neither a file nor a folder"):
        artifact.sha256s(tmp_path / "model")
