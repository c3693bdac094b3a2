"""An anchor that the ledger knows: pinned by decisions, moved by resets, and never compared on other rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from remembering import Versions, bare, decided, ledger

from builder import MLGATE, Repo
from jobs import on_github

CONFIG = MLGATE.replace("champion: main", "champion: main\n  anchor: visits@v1").replace(
    "max_absolute_regression: 0.01", "max_absolute_regression: 0.01, max_anchor_regression: 0.02"
)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return bare(tmp_path / "origin.git")


@pytest.fixture
def repo(tmp_path: Path, origin: Path) -> Versions:
    """The anchor is the old model, by a tag; and the ledger has a decision that was measured from it."""
    repo = Versions.made(tmp_path / "repo", CONFIG)
    repo.git("tag", "visits@v1", repo.old)
    repo.push(origin)
    ledger(repo, origin).append(decided(repo.new, "new", anchor=repo.old))
    repo.git("fetch", "--quiet", "origin")
    return repo


def checks(repo: Repo, prefix: str) -> dict[str, tuple[str, str]]:
    return {c["id"]: (c["verdict"], c["reason"]) for c in repo.evidence()["checks"] if c["id"].startswith(prefix)}


def reset(repo: Repo, *more: str, approved: str = "bob", **env: str) -> Any:
    told = ("--model", "visits", "--to", "visits@v1", "--reason", "a new market", "--approved-by", approved)
    return repo.mlgate("audit", "reset-anchor", *told, *more, **env)


def test_the_anchor_that_the_ledger_knows(repo: Versions) -> None:
    assert repo.mlgate("compare").returncode == 0
    assert checks(repo, "judge.anchor")["judge.anchor"][0] == "pass"
    assert {"name": "visits@v1", "digest": {"git-commit": repo.old}, "role": "anchor"} in repo.evidence()["inputs"]


def test_a_tag_that_was_set_anew_is_an_error_until_it_is_reset(repo: Versions, origin: Path) -> None:
    repo.git("tag", "--force", "visits@v1", repo.new)
    assert repo.mlgate("compare").returncode == 2
    verdict, reason = checks(repo, "judge.anchor")["judge.anchor"]
    assert verdict == "error"
    assert f"visits@v1 is the commit {repo.new[:7]}, and the ledger has {repo.old[:7]}" in reason
    assert "mlgate audit reset-anchor --model visits --to visits@v1" in reason
    done = reset(repo)
    assert (done.returncode, done.stdout) == (0, f"The anchor of visits is {repo.new[:12]} now.\n"), done.stderr
    assert repo.mlgate("compare").returncode == 0
    assert "since the reset of" in checks(repo, "judge.anchor")["judge.anchor"][1]
    entry = json.loads(repo.mlgate("audit", "log", "--kind", "reset", "--json").stdout)[0]["entry"]
    assert (entry["anchor"], entry["before"]) == (repo.new, repo.old)
    assert (entry["approved_by"], entry["reason"]) == (["bob"], "a new market")
    assert reset(repo).stdout.startswith(f"The anchor of visits is {repo.new[:12]} already, since the reset of")


def test_a_reset_needs_somebody_else_and_a_commit_with_metrics(repo: Versions) -> None:
    repo.git("config", "user.email", "ada@example.org")
    done = reset(repo, approved="Ada@example.org")
    assert done.returncode == 2
    assert "ada@example.org runs this, and cannot approve it too." in done.stderr
    assert reset(repo, approved=" ").returncode == 2
    assert "there is no model 'other' here (visits)" in reset(repo, "--model", "other").stderr
    repo.git("checkout", "--quiet", "--orphan", "empty")
    repo.git("rm", "-r", "--quiet", "--force", ".")
    repo.git("commit", "--quiet", "--allow-empty", "-m", "Nothing")
    repo.git("checkout", "--quiet", "change")
    assert "has no metrics of visits (metrics/eval.json)" in reset(repo, "--to", "empty").stderr
    assert "is not a commit" in reset(repo, "--to", "nowhere").stderr


def test_a_change_that_edits_its_anchor(repo: Versions) -> None:
    repo.write("mlgate.yaml", CONFIG.replace("visits@v1", repo.new))
    repo.commit("A nearer anchor")
    assert repo.mlgate("compare").returncode == 2
    found = checks(repo, "judge.anchor") | checks(repo, "proposed.judge.anchor")
    assert (found["judge.anchor"][0], found["proposed.judge.anchor"][0]) == ("pass", "error")


def test_a_ledger_that_cannot_be_had_is_an_error_for_an_anchor_only(repo: Versions, tmp_path: Path) -> None:
    repo.git("remote", "set-url", "origin", f"file://{tmp_path}/nowhere.git")
    assert repo.mlgate("compare").returncode == 2
    assert "the ledger cannot be read" in repo.evidence()["title"]
    plain = Versions.made(tmp_path / "plain", MLGATE)
    plain.git("remote", "add", "origin", f"file://{tmp_path}/nowhere.git")
    plain.git("update-ref", "refs/remotes/origin/mlgate-ledger", plain.old)
    assert plain.mlgate("compare").returncode == 0
    said = [one for one in plain.evidence()["not_run"] if one.startswith("How many models were judged on the same")]
    assert len(said) == 1
    assert "the ledger cannot be read" in said[0]


def test_in_ci_the_remote_is_asked(repo: Versions) -> None:
    """A checkout of a job has no branch but its own."""
    repo.git("update-ref", "-d", "refs/remotes/origin/mlgate-ledger")
    repo.git("tag", "--force", "visits@v1", repo.new)
    payload = {"pull_request": {"number": 7, "head": {"sha": repo.head, "ref": "change"}, "base": {"ref": "main"}}}
    assert on_github(repo, "pull_request", payload).returncode == 2
    assert checks(repo, "judge.anchor")["judge.anchor"][0] == "error"


@pytest.mark.parametrize(("policy", "code"), [("", 3), ("fail", 1), ("warn", 0)])
def test_an_anchor_of_other_rows_is_not_compared(tmp_path: Path, policy: str, code: int) -> None:
    config = CONFIG + (f"  policy: {{not_comparable: {policy}}}\n" if policy else "")
    repo = Repo(tmp_path / "repo")
    repo.model({"auc": 0.9, "log_loss": 0.5}, config=config, data="other rows")
    repo.commit()
    repo.git("tag", "visits@v1")
    repo.model(config=config)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.74, "log_loss": 0.56}, config=config)
    repo.commit()
    assert repo.mlgate("compare").returncode == code
    verdict, reason = checks(repo, "judge.anchor.holdout")["judge.anchor.holdout"]
    assert verdict == (policy or "inconclusive")
    assert "for the anchor and is" in reason
    rule = checks(repo, "rules.auc.anchor")["rules.auc.anchor"]
    assert rule == (verdict, "auc was not compared: the anchor was measured on another test set.")
