"""Committing the digest instead of applying it: a real repository, real pushes, and who came second is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubernetes.space import MODEL, place, release
from mlgate.errors import MlgateError
from mlgate.rollout.targets import FencedError, Target, TargetError, find
from mlgate.rollout.targets.kube import names
from rollout.conformance import begin, weights

QUIET: dict[str, Any] = {"strategy": "replace", "checks": {"smoke": False, "api": False}}
PATH = f"deploy/{names.service(MODEL, 'production')}.yaml"


def git(folder: Path, *args: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(["git", "-C", str(folder), *who, *args], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """With a remote that has one commit on `main`."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git")], check=True)
    subprocess.run(["git", "clone", "-q", str(tmp_path / "origin.git"), str(tmp_path / "clone")], check=True)
    folder = tmp_path / "clone"
    (folder / "README.md").write_text("hello\n")
    git(folder, "checkout", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Begin")
    git(folder, "push", "-q", "origin", "main")
    return folder


def target(clone: Path, **keys: Any) -> Target:
    """Each with a state folder of its own, as jobs on different runners have it."""
    asked = {"gitops": "deploy", **keys.pop("target", {})}
    made = place(clone, target=asked, **{**QUIET, **keys})
    number = len(list(clone.parent.glob("state-*")))
    state = clone.parent / f"state-{number}"
    state.mkdir()
    return find(type(made)(**{**vars(made), "state": state}))


def committed(clone: Path, ref: str = "main") -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(git(clone.parent / "origin.git", "show", f"{ref}:{PATH}")))


def image(clone: Path) -> str:
    (found,) = (one for one in committed(clone) if one["kind"] == "Deployment")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def test_one_commit_brings_a_release_and_another_the_one_before(clone: Path) -> None:
    one, other = release(version="v1.0.0"), release(version="v1.1.0")
    with target(clone) as made:
        begin(made)
        assert list(made.slots()) == []
        made.start(one, replicas=1)
        assert weights(made) == {one.slot: 0}
        made.weigh({one.slot: 100})
        assert (image(clone), weights(made)) == (one.image, {one.slot: 100})
        begin(made)
        made.start(other, replicas=1)
        assert weights(made) == {one.slot: 100, other.slot: 0}
        made.weigh({one.slot: 0, other.slot: 100})
        made.stop(one.slot)
        assert (image(clone), weights(made)) == (other.image, {other.slot: 100})
    log = git(clone.parent / "origin.git", "log", "--format=%s", "main").splitlines()
    assert log == [
        f"Deploy {MODEL} v1.1.0 to production [skip ci]", f"Deploy {MODEL} v1.0.0 to production [skip ci]", "Begin",
    ]  # fmt: skip
    assert git(clone.parent / "origin.git", "show", "main:README.md") == "hello\n"  # nothing else was touched
    assert git(clone, "status", "--porcelain") == ""
    with target(clone) as made:  # the way back is a commit, too
        begin(made)
        made.start(one, replicas=1)
        made.weigh({one.slot: 100})
    assert image(clone) == one.image


def test_what_was_started_survives_the_process(clone: Path) -> None:
    one = release()
    with target(clone) as first:
        mark = first.write("{}", after="")
        first.start(one, replicas=1)
        first.write('{"phase": "promoting"}', after=mark)
    with target(clone) as later:
        kept = later.read()
        assert kept is not None
        assert kept.text == '{"phase": "promoting"}'
        later.weigh({one.slot: 100})
    assert image(clone) == one.image


def test_who_was_overtaken_commits_nothing(clone: Path) -> None:
    one = release()
    with target(clone) as slow, target(clone) as other:
        mark = slow.write("one", after="")
        slow.start(one, replicas=1)
        with pytest.raises(FencedError):
            other.write("two", after="")
        other.read()
        begin(other)
        with pytest.raises(FencedError):
            slow.write("three", after=mark)
        for act in (lambda: slow.weigh({one.slot: 100}), lambda: slow.start(one, replicas=1)):
            with pytest.raises(FencedError):
                act()
        assert list(other.slots()) == []
    assert git(clone.parent / "origin.git", "log", "--format=%s", "main").splitlines() == ["Begin"]


def test_a_commit_of_somebody_else_is_kept(clone: Path) -> None:
    one = release()
    with target(clone) as made:
        begin(made)
        made.start(one, replicas=1)
        list(made.slots())
        (clone / "README.md").write_text("changed\n")
        git(clone, "commit", "-q", "-a", "-m", "Meanwhile")
        git(clone, "push", "-q", "origin", "main")
        made.weigh({one.slot: 100})
    assert git(clone.parent / "origin.git", "show", "main:README.md") == "changed\n"
    assert image(clone) == one.image


def test_traffic_is_not_split_and_what_is_not_there_not_deployed(clone: Path) -> None:
    one, other = release(), release()
    with target(clone) as made:
        begin(made)
        made.start(one, replicas=1)
        with pytest.raises(TargetError, match="neither split nor taken away"):
            made.weigh({one.slot: 50, other.slot: 50})
        with pytest.raises(TargetError, match="is not there"):
            made.weigh({other.slot: 100})
        with pytest.raises(TargetError, match="no cluster is asked"), made.open(one.slot):
            pass
        assert not made.observe([one.slot], 0.0, 1.0).complete
        assert not made.ready(other.slot).ready


def test_a_branch_that_may_not_be_pushed_is_said(clone: Path) -> None:
    hook = clone.parent / "origin.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\n"
        "while read -r a b ref; do [ $ref != refs/heads/main ] || { echo GH006: protected branch; exit 1; }; done\n"
    )
    hook.chmod(0o755)
    one = release()
    with target(clone) as made:
        begin(made)
        made.start(one, replicas=1)
        with pytest.raises(TargetError, match="could not be committed to main") as caught:
            made.weigh({one.slot: 100})
        assert "target.options.branch" in caught.value.fix
    with target(clone, target={"options": {"branch": "cluster"}}) as made, pytest.raises(TargetError, match="cluster"):
        list(made.slots())


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"strategy": "canary", "steps": ["5%"]}, "strategy"),
        ({"checks": {}}, "checks"),
        ({"target": {"routing": "gateway", "gateway": "front"}}, "target.routing"),
    ],
)
def test_what_needs_a_cluster_is_refused(clone: Path, keys: dict[str, Any], key: str) -> None:
    with pytest.raises(MlgateError) as caught:
        target(clone, **keys)
    assert caught.value.key == f"deploy.environments.production.{key}"
    assert caught.value.fix


def test_a_file_that_is_no_manifest_of_ours_is_said(clone: Path) -> None:
    (clone / "deploy").mkdir()
    (clone / PATH).write_text("kind: Something\n")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "Wrong")
    git(clone, "push", "-q", "origin", "main")
    with target(clone) as made, pytest.raises(TargetError, match="holds no Deployment of ours"):
        list(made.slots())
