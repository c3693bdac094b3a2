"""The quick stand-in for a team's repository says what the real pipeline would have said."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import get_args

import pytest
import yaml

from example.consumer import METRICS, Kind, challenger, git, make


def attested(repo: Path) -> bool:
    lock = yaml.safe_load((repo / "dvc.lock").read_text(encoding="utf-8"))
    (entry,) = (out for out in lock["stages"]["evaluate"]["outs"] if out["path"] == METRICS)
    data = (repo / METRICS).read_bytes()
    return entry["md5"] == hashlib.md5(data, usedforsecurity=False).hexdigest() and entry["size"] == len(data)


def test_the_champion_is_judgeable_and_has_a_commit_before_it(tmp_path: Path) -> None:
    repo = make(tmp_path)
    assert attested(repo)
    assert git(repo, "rev-list", "--count", "main") == "2"
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "rev-parse", "origin/main") == git(repo, "rev-parse", "main")


@pytest.mark.parametrize("kind", get_args(Kind))
def test_only_the_hand_edited_challenger_contradicts_its_lock(tmp_path: Path, kind: Kind) -> None:
    repo = make(tmp_path)
    challenger(repo, kind)
    assert attested(repo) is (kind != "hand-edited")
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "merge-base", "main", "HEAD") == git(repo, "rev-parse", "main")
    changed = set(git(repo, "diff", "--name-only", "main").split())
    assert changed == {
        "hand-edited": {METRICS},
        "loosened": {METRICS, "dvc.lock", "params.yaml", "mlgate.yaml"},
    }.get(kind, {METRICS, "dvc.lock", "params.yaml"})


def test_a_challenger_can_start_from_another_branch(tmp_path: Path) -> None:
    repo = make(tmp_path)
    better = challenger(repo, "better")
    challenger(repo, "worse", start="better")
    assert git(repo, "merge-base", "better", "worse") == better
