"""`mlgate trace` says how a model came into an environment, who approved it, and how it was taken away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploying.deployed import Project, at
from mlgate.ledger.kinds import Promotion


@pytest.fixture
def traced(project: Project) -> Project:
    project.release("one", "v1.0.0")
    project.write(project.deployed("one", "v1.0.0", day=1))
    project.release("two", "v1.1.0", against="one")
    who = {"rollout": "b" * 32, "strategy": "canary", "approved_by": ("grace",)}
    promoted = Promotion(
        **project.who("two"), at=at(2.4), model="visits", environment="production", subject=project.digests("two"),
        approved_by=("grace",),
    )  # fmt: skip
    project.write(
        project.deployed("two", "v1.1.0", day=2, state="started", **who),
        *(project.deployed("two", day=2 + n / 10, state="advanced", weight=w, **who) for n, w in ((1, 5), (2, 25))),
        project.deployed("two", "v1.1.0", day=2.4, **who),
        promoted,
        project.rolled_back("one", "two", day=3).model_copy(update={"seconds": 1.5, "approved_by": ("bob",)}),
    )
    return project


def told(project: Project, word: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(project.mlgate("trace", word, "--json"))
    return value


def test_a_rollout_is_one_row(traced: Project) -> None:
    rollout, back = told(traced, "visits@v1.1.0")["rollouts"]
    assert (rollout["weights"], rollout["outcome"], rollout["strategy"]) == ([5, 25], "complete", "canary")
    assert (rollout["approved_by"], rollout["rollout"]) == (["grace"], "b" * 32)
    assert rollout["last_entry"] == rollout["entry"] + 3
    assert (back["outcome"], back["seconds"], back["reason"]) == ("taken away", 1.5, "it was worse")
    (put_back,) = [one for one in told(traced, "visits@v1.0.0")["rollouts"] if one["strategy"] == "rollback"]
    assert put_back["outcome"] == "put back"


def test_one_approval_is_said_once(traced: Project) -> None:
    found = told(traced, "visits@v1.1.0")["approvals"]
    assert [(one["by"], one["what"]) for one in found] == [
        (["grace"], "deployment to production (canary)"), (["bob"], "rollback to production"),
    ]  # fmt: skip


def test_people_read_it(traced: Project) -> None:
    said = traced.mlgate("trace", "visits@v1.1.0")
    assert "production  canary    5 % 25 %  complete" in said
    assert "approved by grace" in said
    assert "taken away within 1.5 s  approved by bob    because it was worse" in said


def test_a_rollout_that_is_under_way(traced: Project) -> None:
    traced.release("three", "v1.2.0", against="one")
    traced.write(traced.deployed("three", day=4, state="started", rollout="c" * 32, strategy="canary"))
    (one,) = told(traced, "visits@v1.2.0")["rollouts"]
    assert (one["outcome"], one["ended"]) == ("", "")
    assert "under way" in traced.mlgate("trace", "visits@v1.2.0")
