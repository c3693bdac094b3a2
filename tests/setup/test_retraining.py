"""What doctor says of retraining: a workflow that cannot be started, a request that nothing would judge."""

from __future__ import annotations

import pytest

from builder import MLGATE
from mlgate import config
from mlgate.config import Config
from mlgate.model import Check
from mlgate.setup import github_workflows, retraining
from mlgate.setup.gitlab_pipeline import Project

FILE = ".github/workflows/model-retrain.yml"
CALLER = """\
name: Retrain
on:
  workflow_dispatch:
    inputs:
      trigger: {type: string, default: ""}
      config: {type: string, default: mlgate.yaml}
  repository_dispatch:
    types: [mlgate-retrain]
jobs:
  retrain:
    uses: mlgate/mlgate/.github/workflows/model-retrain.yml@v1
    secrets:
      token: ${{ secrets.MLGATE_TOKEN }}
"""
WITHOUT_TOKEN = CALLER.replace("    secrets:\n      token: ${{ secrets.MLGATE_TOKEN }}\n", "")
GATE = """\
on: {pull_request: , workflow_dispatch: }
jobs: {gate: {uses: mlgate/mlgate/.github/workflows/model-gate.yml@v1}}
"""
NO_DISPATCH = GATE.replace(", workflow_dispatch: ", "")


def model(retrain: str = "{new_data: true}") -> Config:
    return config.load(f"{MLGATE}retrain: {retrain}\n".encode(), file="mlgate.yaml", base=lambda _: None)


def said(
    *, caller: str = CALLER, gate: str = GATE, retrain: str = "{new_data: true}", required: list[str] | None = None
) -> dict[str, Check]:
    workflow = github_workflows.read(".github/workflows/model-gate.yml", gate.encode())
    assert workflow is not None
    texts = {FILE: caller.encode(), ".github/workflows/model-gate.yml": gate.encode()}
    branch = github_workflows.Branch("main", required=["Model gate"] if required is None else required)
    found = retraining.github([model(retrain)], texts, [workflow], branch)
    return {check.id.removeprefix("setup.retrain."): check for check in found}


def test_nothing_is_said_where_nothing_asks_for_a_successor() -> None:
    assert said(retrain="{labels: [x]}") == {}
    assert retraining.gitlab([model("{labels: [x]}")], Project(), asked=True) == []


def test_all_is_there() -> None:
    found = said()
    assert {check.verdict for check in found.values()} == {"pass"}
    assert "its gate starts by itself" in found["judged"].reason
    assert "the gate is started on its branch" in said(caller=WITHOUT_TOKEN)["judged"].reason


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        ("jobs: {x: {runs-on: ubuntu-latest}}", "There is no .github/workflows/model-retrain.yml"),
        (CALLER.replace("      trigger: {type: string, default: \"\"}\n", ""), "cannot be started with `trigger`"),
        (CALLER.replace("  workflow_dispatch:\n    inputs:\n", "  push:\n    x:\n"), "with `trigger` and `config`"),
    ],
)  # fmt: skip
def test_a_workflow_that_cannot_be_started(caller: str, words: str) -> None:
    check = said(caller=caller)["workflow.visits"]
    assert (check.verdict, words in check.reason) == ("warn", True), check.reason


def test_an_event_that_nobody_listens_to() -> None:
    dispatch = "{new_data: true, dispatch: {by: repository, event: other}}"
    assert "listens to the event `other`" in said(retrain=dispatch)["workflow.visits"].reason
    assert "workflow.visits" not in said(retrain=dispatch.replace("other", "mlgate-retrain"))
    pipeline = said(retrain="{new_data: true, dispatch: {by: pipeline}}")["workflow.visits"]
    assert pipeline.verdict == "fail"


def test_a_request_that_nothing_would_judge() -> None:
    check = said(caller=WITHOUT_TOKEN, gate=NO_DISPATCH)["judged"]
    assert (check.verdict, "nothing would judge it" in check.reason) == ("warn", True)
    assert said(gate=NO_DISPATCH)["judged"].verdict == "pass"


def test_auto_merge_needs_a_token_and_a_required_check() -> None:
    asked = "{new_data: true, auto_merge: true}"
    assert said(retrain=asked)["auto_merge"].verdict == "pass"
    assert "neither judged nor deployed" in said(retrain=asked, caller=WITHOUT_TOKEN)["auto_merge"].reason
    assert "main requires none" in said(retrain=asked, required=[])["auto_merge"].reason


@pytest.mark.parametrize(
    ("settings", "verdict", "words"),
    [
        (Project(), "warn", "CI_JOB_TOKEN cannot open a merge request"),
        (Project(scopes=("api",)), "warn", "lacks the scope `write_repository`"),
        (Project(scopes=("api", "write_repository"), access=20), "warn", "below Developer"),
        (Project(scopes=("api", "write_repository"), access=30), "pass", "open its merge request"),
    ],
)
def test_the_token_of_gitlab(settings: Project, verdict: str, words: str) -> None:
    (check,) = retraining.gitlab([model()], settings, asked=True)
    assert (check.verdict, words in check.reason) == (verdict, True), check.reason


def test_gitlab_that_merges_what_failed() -> None:
    settings = Project(scopes=("api", "write_repository"), access=30, must_succeed=False)
    found = retraining.gitlab([model("{new_data: true, auto_merge: true}")], settings, asked=True)
    assert found[-1].fix.endswith("Pipelines must succeed")
    assert retraining.gitlab([model()], settings, asked=False) == []
