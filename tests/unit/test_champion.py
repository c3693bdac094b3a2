"""Who the champion is, by event: each row of the table in mlgate.repo.champion."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import Repo
from mlgate.errors import MlgateError
from mlgate.model import Event
from mlgate.repo.champion import find
from mlgate.repo.git import Git


class Forge:
    """An origin with main (a, b, c), a change branched off b, and its merge into c."""

    def __init__(self, path: Path) -> None:
        self.repo = Repo(path / "origin")
        self.a, self.b = (self._commit(n) for n in "ab")
        self.repo.git("checkout", "--quiet", "-b", "change")
        self.change = self._commit("change")
        self.repo.git("checkout", "--quiet", "main")
        self.c = self._commit("c")
        self.repo.git("checkout", "--quiet", "--detach", "main")
        self.repo.git("merge", "--quiet", "--no-ff", "-m", "Merge", "change")
        self.merge = self.repo.head
        self.repo.git("update-ref", "refs/pull/7/merge", self.merge)
        self.repo.git("checkout", "--quiet", "main")
        self.path = path

    def _commit(self, name: str) -> str:
        self.repo.write(f"{name}.txt", name)
        return self.repo.commit(name)

    def checkout(self, commit: str, *, depth: int | None = None) -> Git:
        """As CI does: fetch one commit into an empty repository and detach there."""
        here = Repo(self.path / f"clone-{commit[:7]}-{depth}")
        here.git("remote", "add", "origin", f"file://{self.repo.path}")
        here.git("fetch", "--quiet", "--no-tags", *([f"--depth={depth}"] if depth else []), "origin", commit)
        here.git("checkout", "--quiet", "--detach", commit)
        return Git(here.path)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.mark.parametrize("depth", [None, 1, 2])
class TestInWholeAndShallowClones:
    def test_pull_request_with_the_merge_commit(self, forge: Forge, depth: int | None) -> None:
        event = Event(kind="pull_request", base_ref="main", base_sha=forge.b, head_sha=forge.change)
        sides = find(forge.checkout(forge.merge, depth=depth), event)
        assert sides.champion.commit == forge.c  # not base_sha, which may be behind
        assert sides.champion.how == "first parent of the merge commit"
        assert (sides.rules, sides.champion.fork_point) == (forge.c, "")

    def test_merge_request_with_the_source_branch(self, forge: Forge, depth: int | None) -> None:
        event = Event(kind="pull_request", base_ref="main", head_sha=forge.change)
        sides = find(forge.checkout(forge.change, depth=depth), event)
        assert sides.champion.commit == forge.c
        assert sides.champion.fork_point == forge.b  # what main did since then is not this change's
        assert sides.rules == forge.c

    def test_merge_queue(self, forge: Forge, depth: int | None) -> None:
        event = Event(kind="merge_group", base_ref="main", base_sha=forge.c, head_sha=forge.merge)
        sides = find(forge.checkout(forge.merge, depth=depth), event)
        assert (sides.champion.commit, sides.rules) == (forge.c, forge.c)

    def test_push_to_the_default_branch(self, forge: Forge, depth: int | None) -> None:
        event = Event(kind="push", ref="main", default_branch="main", before=forge.a)
        sides = find(forge.checkout(forge.c, depth=depth), event)
        assert (sides.champion.commit, sides.rules) == (forge.a, "")

    def test_push_of_a_first_branch_state(self, forge: Forge, depth: int | None) -> None:
        event = Event(kind="push", ref="main", default_branch="main", before="")
        assert find(forge.checkout(forge.c, depth=depth), event).champion.commit == forge.b

    @pytest.mark.parametrize("kind", ["schedule", "manual", "tag"])
    def test_on_the_default_branch_without_a_before(self, forge: Forge, depth: int | None, kind: str) -> None:
        event = Event(kind=kind, ref="" if kind == "tag" else "main", default_branch="main")  # type: ignore[arg-type]
        sides = find(forge.checkout(forge.c, depth=depth), event)
        assert (sides.champion.commit, sides.rules) == (forge.b, "")

    @pytest.mark.parametrize("kind", ["push", "manual"])
    def test_on_another_branch(self, forge: Forge, depth: int | None, kind: str) -> None:
        event = Event(kind=kind, ref="change", default_branch="main")  # type: ignore[arg-type]
        sides = find(forge.checkout(forge.change, depth=depth), event)
        assert (sides.champion.commit, sides.rules) == (forge.b, forge.b)

    def test_a_named_champion(self, forge: Forge, depth: int | None) -> None:
        event = Event(kind="pull_request", base_ref="main", head_sha=forge.change, default_branch="main")
        sides = find(forge.checkout(forge.merge, depth=depth), event, forge.a)
        assert sides.champion.commit == forge.a
        assert sides.rules == forge.c  # the rules stay those of the base


def test_terminal_is_the_merge_base(forge: Forge) -> None:
    forge.repo.git("checkout", "--quiet", "change")
    sides = find(Git(forge.repo.path), Event(), "main")
    assert (sides.champion.commit, sides.champion.how) == (forge.b, "merge base with main")


def test_terminal_on_the_branch_itself_is_the_commit_before(forge: Forge) -> None:
    assert find(Git(forge.repo.path), Event(), "main").champion.commit == forge.b


def test_terminal_with_a_tag_is_the_tag(forge: Forge) -> None:
    forge.repo.git("tag", "visits@v1.0.0", forge.a)
    assert find(Git(forge.repo.path), Event(), "visits@v1.0.0").champion.commit == forge.a


def test_the_first_commit_has_no_champion(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "new")
    repo.write("x", "x")
    repo.commit()
    assert find(Git(repo.path), Event(kind="push", ref="main", default_branch="main")).champion.commit == ""


def test_a_force_pushed_base_that_is_gone_is_an_error_not_a_first_model(forge: Forge) -> None:
    event = Event(kind="push", ref="main", default_branch="main", before="d" * 40, forced=True)
    with pytest.raises(MlgateError, match=r"push was forced.*champion is unreachable"):
        find(forge.checkout(forge.c), event)


def test_a_base_that_does_not_exist(forge: Forge) -> None:
    with pytest.raises(MlgateError, match="'nowhere' is not a commit"):
        find(forge.checkout(forge.change), Event(kind="pull_request", base_ref="nowhere", head_sha=forge.change))


def test_unrelated_histories(forge: Forge) -> None:
    forge.repo.git("checkout", "--quiet", "--orphan", "other")
    other = forge.repo.commit("Other")
    with pytest.raises(MlgateError, match="share no history"):
        find(forge.checkout(other), Event(kind="pull_request", base_ref="main", head_sha=other))
