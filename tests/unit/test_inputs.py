"""Committed files by digest: in the workspace, in DVC's cache, in what the run job handed over, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder import Repo, environment, md5
from mlgate.errors import MlgateError
from mlgate.judge.integrity import named
from mlgate.model import Named
from mlgate.repo import content, inputs
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Git

DATA = b"id,p\n1,0.5\n2,0.25\n"
PATH = "eval/predictions.csv"


def by_md5(data: bytes = DATA) -> Named:
    return Named(name=PATH, digest={"dvc-md5": md5(data)})


def by_sha256(data: bytes = DATA) -> Named:
    return Named(name=PATH, digest={"sha256": hashlib.sha256(data).hexdigest()})


def put(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def dvc(repo: Path, *args: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *args], cwd=repo, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# -- names -----------------------------------------------------------------------------------------------------------


def test_files_are_called_by_their_digest() -> None:
    assert inputs.name(by_md5()) == f"dvc-md5-{md5(DATA)}"
    assert inputs.name(by_sha256()) == f"sha256-{hashlib.sha256(DATA).hexdigest()}"


@pytest.mark.parametrize(
    ("digest", "words"),
    [
        ({"dvc-md5": f"{md5(DATA)}.dir"}, "is a folder"),
        ({"git-tree-sha256": "0" * 64}, "is a folder"),
        ({"dvc-md5": "../../../etc/passwd"}, "is known by dvc-md5 only"),
        ({"dvc-md5": md5(DATA).upper()}, "is known by dvc-md5 only"),
        ({"dvc-md5": f"{md5(DATA)}\n"}, "is known by dvc-md5 only"),
        ({}, "is known to neither DVC nor git"),
    ],
)
def test_what_no_file_can_be_found_by(tmp_path: Path, digest: dict[str, str], words: str) -> None:
    there = Named(name=PATH, digest=digest)
    put(tmp_path / PATH)
    for work in (
        lambda: inputs.name(there),
        lambda: inputs.find(PATH, there, root=tmp_path),
        lambda: inputs.give(tmp_path / "inputs", tmp_path / PATH, there),
    ):
        with pytest.raises(MlgateError, match=words) as caught:
            work()
        assert caught.value.file == PATH
        assert caught.value.fix


# -- the workspace and the cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [by_md5(), by_sha256()])
def test_the_working_tree(tmp_path: Path, there: Named) -> None:
    file = put(tmp_path / PATH)
    assert inputs.find(PATH, there, root=tmp_path) == file
    assert inputs.find(PATH, there, root=tmp_path, strict=True) is None
    file.write_bytes(DATA + b"3,0.75\n")
    assert inputs.find(PATH, there, root=tmp_path) is None
    file.unlink()
    assert inputs.find(PATH, there, root=tmp_path) is None
    file.mkdir()
    assert inputs.find(PATH, there, root=tmp_path) is None


@pytest.mark.parametrize("layout", ["files/md5", ""])
def test_caches_of_both_versions_of_dvc(tmp_path: Path, layout: str) -> None:
    cache = tmp_path / "cache"
    digest = md5(DATA)
    file = put(cache / layout / digest[:2] / digest[2:])
    assert inputs.find(PATH, by_md5(), root=tmp_path, caches=[tmp_path / "none", cache]) == file
    assert inputs.find(PATH, by_md5(), root=tmp_path, caches=[cache], strict=True) is None
    file.write_bytes(b"a cache that was damaged")
    assert inputs.find(PATH, by_md5(), root=tmp_path, caches=[cache]) is None


def test_a_digest_of_dvc_2_reads_crlf_as_lf(tmp_path: Path) -> None:
    windows = DATA.replace(b"\n", b"\r\n")
    file = put(tmp_path / PATH, windows)
    assert inputs.find(PATH, by_md5(), root=tmp_path, legacy=True) == file
    assert inputs.find(PATH, by_md5(), root=tmp_path) is None
    given = inputs.give(tmp_path / "inputs", file, by_md5(), legacy=True)
    assert given.read_bytes() == windows
    assert inputs.find(PATH, by_md5(), root=tmp_path, folder=tmp_path / "inputs", strict=True, legacy=True) == given


@pytest.mark.parametrize("setting", ["", "outside", "relative", "local", "hidden"])
def test_where_dvc_itself_keeps_files(tmp_path: Path, setting: str) -> None:
    repo = Repo(tmp_path / "repo")
    dvc(repo.path, "init", "--quiet")
    if setting == "outside":
        dvc(repo.path, "cache", "dir", str(tmp_path / "shared"))
    elif setting == "relative":
        dvc(repo.path, "cache", "dir", "../shared")
    elif setting == "local":
        dvc(repo.path, "cache", "dir", str(tmp_path / "wrong"))
        dvc(repo.path, "cache", "dir", "--local", str(tmp_path / "shared"))
        dvc(repo.path, "remote", "add", "--default", "storage", str(tmp_path / "remote"))
    elif setting == "hidden":
        dvc(repo.path, "config", "cache.type", "symlink")
    file = put(repo.path / PATH)
    dvc(repo.path, "add", PATH)
    caches = inputs.caches(repo.path, PATH)
    loaded = Pipeline(Git(repo.path).at(repo.commit()))
    there = named(loaded, PATH, "predictions")
    assert there.digest == {"dvc-md5": md5(DATA)}
    assert inputs.find(PATH, there, root=repo.path, snapshot=loaded.snapshot) == file
    file.unlink()
    found = inputs.find(PATH, there, root=repo.path, snapshot=loaded.snapshot, caches=caches)
    assert found is not None
    assert found.read_bytes() == DATA
    assert found.is_relative_to(tmp_path / "repo/.dvc/cache" if setting in {"", "hidden"} else tmp_path / "shared")
    given = inputs.give(tmp_path / "inputs", found, there)
    assert given.samefile(found)  # nobody writes to what is in the cache
    handed = inputs.find(PATH, there, root=repo.path, snapshot=loaded.snapshot, folder=tmp_path / "inputs", strict=True)
    assert handed == given


def test_the_nearest_configuration_counts(tmp_path: Path) -> None:
    put(tmp_path / ".dvc/config", b"[core]\n    remote = x\n['remote \"cache\"']\n    dir = /wrong\n")
    assert inputs.caches(tmp_path, PATH) == [tmp_path / ".dvc/cache"]
    put(tmp_path / "models/a/.dvc/config", b'[cache]\n    type = "reflink,copy"\n    dir = "../my cache"\n')
    assert inputs.caches(tmp_path, "models/a/eval/p.csv") == [
        tmp_path / "models/a/my cache", tmp_path / "models/a/.dvc/cache",
    ]  # fmt: skip
    put(tmp_path / ".dvc/config.local", b"\xff\xfe no text")
    assert inputs.caches(tmp_path, "eval/p.csv") == [tmp_path / ".dvc/cache"]
    assert inputs.caches(tmp_path / "models", "b/p.csv") == []


# -- the commit ------------------------------------------------------------------------------------------------------


def test_a_file_of_the_commit_needs_no_working_tree(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    put(repo.path / PATH)
    first = Git(repo.path).at(repo.commit())
    put(repo.path / PATH, b"id,p\n1,0.75\n")
    other = Git(repo.path).at(repo.commit())
    there = named(Pipeline(first), PATH, "predictions")
    assert there == by_sha256().model_copy(update={"role": "predictions"})
    for strict in (False, True):
        found = inputs.find(PATH, there, root=repo.path, snapshot=first, strict=strict)
        assert found is not None
        assert found.read_bytes() == DATA
        assert not found.is_relative_to(repo.path)
    assert inputs.find(PATH, there, root=repo.path, snapshot=other, strict=True) is None


def test_a_metrics_file_that_git_keeps_and_dvc_locks(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    put(repo.path / PATH)
    snapshot = Git(repo.path).at(repo.commit())
    found = inputs.find(PATH, by_md5(), root=tmp_path, snapshot=snapshot, strict=True)
    assert found is not None
    assert found.read_bytes() == DATA


def test_a_file_in_git_lfs_is_what_its_pointer_says(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    oid = hashlib.sha256(DATA).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(DATA)}\n".encode()
    put(repo.path / PATH, pointer)
    snapshot = Git(repo.path).at(repo.commit())
    there = named(Pipeline(snapshot), PATH, "predictions")
    folder = tmp_path / "inputs"
    assert inputs.find(PATH, there, root=repo.path, snapshot=snapshot) is None  # the pointer is no data
    with pytest.raises(MlgateError, match="is not the committed file"):
        inputs.give(folder, repo.path / PATH, there, snapshot=snapshot)
    stored = put(repo.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid)
    assert inputs.find(PATH, there, root=repo.path, snapshot=snapshot) == stored
    file = put(repo.path / PATH)
    assert inputs.find(PATH, there, root=repo.path, snapshot=snapshot) == file
    given = inputs.give(folder, file, there, snapshot=snapshot)
    assert inputs.find(PATH, there, root=repo.path, snapshot=snapshot, folder=folder, strict=True) == given


# -- the inputs folder -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [by_md5(), by_sha256()])
def test_what_is_given_is_found_by_the_judge(tmp_path: Path, there: Named) -> None:
    folder = tmp_path / ".mlgate/inputs"
    file = put(tmp_path / PATH)
    assert inputs.find(PATH, there, root=tmp_path / "judge", folder=folder, strict=True) is None
    given = inputs.give(folder, file, there)
    assert given == folder / inputs.name(there)
    assert inputs.find(PATH, there, root=tmp_path / "judge", folder=folder, strict=True) == given
    file.write_bytes(b"written over by a stage")  # which a copy does not feel
    assert given.read_bytes() == DATA
    assert inputs.give(folder, given, there) == given
    assert [path.name for path in folder.iterdir()] == [given.name]


def test_another_file_is_not_given_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    with pytest.raises(MlgateError, match="is not the committed file"):
        inputs.give(folder, put(tmp_path / PATH, b"edited"), by_md5())
    assert list(folder.iterdir()) == []
    with pytest.raises(MlgateError, match="no file that can be handed"):
        inputs.give(folder, tmp_path / "gone", by_md5())
    put(tmp_path / "full")
    with pytest.raises(MlgateError, match="cannot be put into"):
        inputs.give(tmp_path / "full", put(tmp_path / PATH), by_md5())


def test_an_old_input_is_replaced_whole(tmp_path: Path) -> None:
    put(tmp_path / "inputs" / inputs.name(by_md5()), b"a broken upload")
    given = inputs.give(tmp_path / "inputs", put(tmp_path / PATH), by_md5())
    assert given.read_bytes() == DATA


@pytest.mark.parametrize("strict", [False, True])
def test_bytes_that_are_not_what_their_name_says(tmp_path: Path, strict: bool) -> None:
    folder = tmp_path / "inputs"
    put(folder / inputs.name(by_md5()), DATA.replace(b"0.5", b"0.9"))
    with pytest.raises(MlgateError, match="do not have the digest that its name says"):
        inputs.find(PATH, by_md5(), root=tmp_path, folder=folder, strict=strict)


def test_links_and_special_files_of_the_inputs_folder(tmp_path: Path) -> None:
    """They come from a job that ran the project's code: a link could name any file of the judge's machine."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    place = folder / inputs.name(by_md5())
    secret = put(tmp_path / "secret")  # the right bytes, by way of a link

    def refused(words: str) -> None:
        with pytest.raises(MlgateError, match=words):
            inputs.find(PATH, by_md5(), root=tmp_path, folder=folder, strict=True)

    place.symlink_to(secret)
    refused("is a link")
    place.unlink()
    place.symlink_to("/dev/zero")
    refused("is a link")
    place.unlink()
    os.mkfifo(place)
    refused("is no file")
    place.unlink()
    place.mkdir()
    refused("is no file")
    place.rmdir()
    folder.rmdir()
    put(tmp_path / "elsewhere" / place.name)
    folder.symlink_to(tmp_path / "elsewhere")
    refused("is a link")


def test_special_files_of_the_working_tree_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    os.mkfifo(tmp_path / PATH)
    assert inputs.find(PATH, by_md5(), root=tmp_path) is None
    (tmp_path / PATH).unlink()
    (tmp_path / PATH).symlink_to("/dev/zero")
    assert inputs.find(PATH, by_md5(), root=tmp_path) is None
    with pytest.raises(MlgateError, match="no file that can be handed"):
        inputs.give(tmp_path / "inputs", tmp_path / PATH, by_md5())


def test_files_that_the_run_job_made(tmp_path: Path) -> None:
    file = put(tmp_path / "made/visits/holdout.champion.parquet")
    digest = hashlib.sha256(DATA).hexdigest()
    assert inputs.made(tmp_path, "made/visits/holdout.champion.parquet", digest) == file
    assert inputs.made(tmp_path, "made/visits/gone.parquet", digest) is None
    with pytest.raises(MlgateError, match="does not have the digest that the evidence"):
        inputs.made(tmp_path, "made/visits/holdout.champion.parquet", "0" * 64)
    for wrong in ("../made/x", "/etc/passwd", "", "made/../../x"):
        with pytest.raises(MlgateError, match="is no place in the inputs folder"):
            inputs.made(tmp_path, wrong, digest)
    (tmp_path / "link").symlink_to(tmp_path / "made")
    with pytest.raises(MlgateError, match="is a link"):
        inputs.made(tmp_path, "link/visits/holdout.champion.parquet", digest)


def test_a_file_that_is_too_large_is_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "inputs" / inputs.name(by_md5())
    file.parent.mkdir()
    with file.open("wb") as stream:
        stream.truncate(inputs.MOST + 1)
    monkeypatch.setattr(content, "digest", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(MlgateError, match="more than the 32 GiB that are read"):
        inputs.find(PATH, by_md5(), root=tmp_path, folder=file.parent, strict=True)
