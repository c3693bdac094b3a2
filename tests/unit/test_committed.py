"""What a commit says that a folder or glob is has to be what is read of it from the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import Repo, md5
from mlgate.data.reading import resolve
from mlgate.errors import MlgateError
from mlgate.judge.committed import Claim, Committed, check, of, whole
from mlgate.model import Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import discover

FILES = [
    "a.csv", "data/a.csv", "data/_a.csv", "data/.a.csv", "data/[x].csv", "data/sub/a.csv", "data/sub/_a.csv",
    "data/_sub/a.csv", "data/.sub/a.csv", "data/sub/x.parquet", "b/sub/deep/a.csv",
]  # fmt: skip
PATTERNS = [
    "*.csv", "**", "*", "data", "data/*", "data/**", "data/*.csv", "data/**/*.csv", "**/*.csv", "*/a.csv", "data/s*",
    "*/sub", "*/sub/*.csv", "data/[[]x].csv", "data/[x].csv", "data/?.csv", "data/.*", "data/_*", "b/**/a.csv",
    "**/sub/**", ".", "none/*.csv",
]  # fmt: skip


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = Repo(tmp_path_factory.mktemp("committed") / "repo")
    for file in FILES:
        repo.write(file, f"id\n{len(file)}\n")
    repo.commit()
    return repo


def pipeline(repo: Repo) -> Pipeline:
    git = discover(repo.path, {})
    return Pipeline(git.at(git.head()))


@pytest.mark.parametrize("path", PATTERNS)
def test_a_path_names_the_same_files_in_the_commit_as_on_the_disk(repo: Repo, path: str) -> None:
    try:
        read = {file.relative_to(repo.path.resolve()).as_posix() for file in resolve(repo.path, path)}
    except MlgateError:
        read = set()
    assert set(of(pipeline(repo), path).claims) == read


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("raw/all", {"raw/all"}),
        ("raw/all/*.csv", {"raw/all"}),
        ("raw/**/*.csv", {"raw/all", "raw/one.csv"}),
        ("raw", {"raw/all", "raw/one.csv"}),
        ("raw/*.csv", {"raw/one.csv"}),
        ("other/*.csv", set()),
    ],
)
def test_a_folder_of_dvc_is_known_as_a_whole(tmp_path: Path, path: str, names: set[str]) -> None:
    repo = Repo(tmp_path / "repo")
    repo.write("raw/all.dvc", f"outs:\n- {{md5: {'0' * 32}.dir, path: all}}\n")
    repo.write("raw/one.csv.dvc", f"outs:\n- {{md5: {md5(b'x')}, path: one.csv}}\n")
    repo.commit()
    assert set(of(pipeline(repo), path).claims) == names
    inside = of(pipeline(repo), "raw/all/one.csv")
    assert (inside.claims, inside.digest) == ({"raw/all/one.csv": Claim({})}, {})


ONE, TWO = {"sha256": "1"}, {"sha256": "2"}


@pytest.mark.parametrize(
    ("claims", "seen", "verdict"),
    [
        ({"a": Claim(ONE)}, {"a": ONE}, Verdict.PASS),
        ({"a": Claim(ONE)}, {"a": TWO}, Verdict.ERROR),
        ({"a": Claim(ONE)}, {"a": {}}, Verdict.ERROR),
        ({"a": Claim(ONE)}, {}, Verdict.ERROR),
        ({"a": Claim(ONE)}, {"a": ONE, "b": TWO}, Verdict.ERROR),
        ({"a": Claim(ONE), "b": Claim({})}, {"a": TWO, "b": ONE}, Verdict.ERROR),
        ({"a": Claim(ONE), "b": Claim({})}, {"a": ONE, "b": ONE}, Verdict.WARN),
        ({"a": Claim(ONE, contested=("x", "y"))}, {"a": ONE}, Verdict.ERROR),
        ({}, {"a": ONE}, Verdict.WARN),
        ({}, {}, Verdict.WARN),
    ],
)
def test_what_was_read_is_all_that_the_commit_has_and_nothing_beside_it(
    claims: dict[str, Claim], seen: dict[str, dict[str, str]], verdict: Verdict
) -> None:
    assert check(Committed("data", claims), seen, strict=True).verdict is verdict


def test_one_digest_stands_for_all_files_and_their_names() -> None:
    assert whole("a", {"a": ONE}) == ONE
    several = [{"a": ONE, "b": TWO}, {"a": TWO, "b": ONE}, {"a": ONE}, {"a": ONE, "c": TWO}, {"a": ONE, "b": {}}]
    found = {whole("data", files)["files-sha256"] for files in several}
    assert len(found) == len(several)
    assert whole("data", {"b": TWO, "a": ONE}) == whole("data", {"a": ONE, "b": TWO})
    assert Committed("data", {"a": Claim(ONE), "b": Claim({})}).digest == {}
