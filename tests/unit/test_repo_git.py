"""Git, read-only: snapshots, shallow clones, hostile repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import Repo
from mlgate.errors import MlgateError
from mlgate.repo.git import Git, discover


@pytest.fixture
def origin(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "origin")
    for n in range(6):
        repo.write("n.txt", f"{n}\n")
        repo.commit(f"Commit {n}")
    repo.git("checkout", "--quiet", "-b", "side", "HEAD~3")
    repo.write("side.txt", "side\n")
    repo.commit("Side")
    repo.git("checkout", "--quiet", "main")
    return repo


def shallow(origin: Repo, to: Path, branch: str = "main", depth: int = 1) -> Git:
    origin.git("clone", "--quiet", f"--depth={depth}", f"--branch={branch}", f"file://{origin.path}", str(to))
    return Git(to)


def test_a_snapshot_has_the_bytes_of_its_commit_not_of_the_working_tree(origin: Repo) -> None:
    git = Git(origin.path)
    commit = git.head()
    origin.write("n.txt", "edited")
    assert git.at(commit).read("n.txt") == b"5\n"
    assert git.at(commit).read("absent") is None
    assert git.dirty() == ["n.txt"]


def test_a_symbolic_link_is_refused(origin: Repo) -> None:
    (origin.path / "link.json").symlink_to("/etc/passwd")
    git = Git(origin.path)
    commit = origin.commit()
    with pytest.raises(MlgateError, match=r"link\.json is a symbolic link"):
        git.at(commit).read("link.json")


def test_names_with_spaces_quotes_newlines_and_unicode(origin: Repo) -> None:
    names = ["a b.json", 'quo"te.json', "new\nline.json", "ümlaut.json", "-dash.json", "$(touch pwned).json"]
    for name in names:
        origin.write(name, name)
    snapshot = Git(origin.path).at(origin.commit())
    assert {n: snapshot.read(n) for n in names} == {n: n.encode() for n in names}


def test_parents_are_known_at_the_edge_of_a_shallow_clone_and_are_fetched(origin: Repo, tmp_path: Path) -> None:
    git = shallow(origin, tmp_path / "clone")
    (parent,) = git.parents(git.head())
    assert git.resolve(parent) is None
    assert git.ensure(parent) == parent
    assert git.at(parent).read("n.txt") == b"4\n"
    assert git.shallow


def test_a_merge_base_beyond_a_shallow_clone_is_found_by_deepening(origin: Repo, tmp_path: Path) -> None:
    git = shallow(origin, tmp_path / "clone", branch="side")
    tip = git.ensure("main", fresh=True)
    assert git.merge_base(git.head(), tip) == origin.git("merge-base", "main", "side")


def test_a_whole_clone_stays_whole(origin: Repo, tmp_path: Path) -> None:
    origin.git("clone", "--quiet", "--single-branch", f"file://{origin.path}", str(tmp_path / "clone"))
    git = Git(tmp_path / "clone")
    git.ensure("side", fresh=True)
    assert not git.shallow


def test_an_unknown_ref_says_what_to_do(origin: Repo, tmp_path: Path) -> None:
    git = shallow(origin, tmp_path / "clone")
    with pytest.raises(MlgateError, match=r"'nowhere' is not a commit.*fetch-depth: 0"):
        git.ensure("nowhere")


def test_a_ref_that_looks_like_an_option_is_not_one(origin: Repo) -> None:
    assert Git(origin.path).resolve("--all") is None


def test_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="not inside a git repository"):
        discover(tmp_path)


def test_no_commit_yet(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="no commit yet"):
        discover(Repo(tmp_path / "new").path).head()


def test_configuration_of_a_hostile_clone_runs_nothing(origin: Repo, tmp_path: Path) -> None:
    origin.git("config", "core.fsmonitor", f"touch {tmp_path}/pwned; false")
    origin.write("n.txt", "edited")
    Git(origin.path).dirty()
    assert not (tmp_path / "pwned").exists()


def test_globs_do_not_cross_folders(origin: Repo) -> None:
    for path in ("models/a/mlgate.yaml", "models/b/mlgate.yaml", "models/b/deep/mlgate.yaml", "x/models/c/mlgate.yaml"):
        origin.write(path, "x")
    git = Git(origin.path)
    assert git.listed(["models/*/mlgate.yaml"], untracked=True) == ["models/a/mlgate.yaml", "models/b/mlgate.yaml"]
    assert git.listed(["models/*/mlgate.yaml"], untracked=False) == []
    base = origin.commit()
    origin.git("rm", "--quiet", "models/a/mlgate.yaml")
    assert git.listed(["models/*/mlgate.yaml"], untracked=False) == ["models/b/mlgate.yaml"]
    assert "models/a/mlgate.yaml" in git.listed_at(base, ["models/*/mlgate.yaml"])
