"""What a workflow file can do to a gate without anybody noticing."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mlgate.model import Check, Verdict
from mlgate.setup import github_workflows
from mlgate.setup.github_workflows import Branch

STARTER = """\
name: Model gate
on:
  push: {branches: [main]}
  pull_request:
  merge_group:
permissions: {}
jobs:
  gate:
    name: Gate
    uses: mlgate/mlgate/.github/workflows/model-gate.yml@v1
    permissions:
      contents: read
      pull-requests: write
      statuses: write
  required:
    name: Model gate
    needs: gate
    if: always()
    runs-on: ubuntu-latest
    steps:
      - run: test "${RESULT}" = success
        env:
          RESULT: ${{ needs.gate.result }}
"""
REQUIRED = Branch("main", required=["Model gate"], merge_queue=True, code_owner_review=True)
UNKNOWN = Branch("main")


def look(text: str, branch: Branch = REQUIRED) -> dict[str, Check]:
    workflow = github_workflows.read(".github/workflows/gate.yml", text.encode())
    found = github_workflows.findings([workflow] if workflow else [], branch)
    return {check.id.removeprefix("setup."): check for check in found}


def changed(**what: Any) -> str:
    """The starter with keys replaced, by dotted path with __ for dots; None takes a key away."""
    data = yaml.safe_load(STARTER)
    data["on"] = data.pop(True)
    for path, value in what.items():
        node = data
        *parents, last = path.split("__")
        for part in parents:
            node[part] = node[part] or {}
            node = node[part]
        if value is None:
            node.pop(last)
        else:
            node[last] = value
    return yaml.safe_dump(data, sort_keys=False)


def test_the_starter_has_nothing_to_find() -> None:
    assert {check.verdict for check in look(STARTER).values()} == {Verdict.PASS}
    assert set(look(STARTER)) == {
        f"caller.{w}" for w in ("file", "pull_request", "merge_group", "push", "permissions", "required")
    }


@pytest.mark.parametrize("key", ["paths", "paths-ignore"])
def test_a_required_check_behind_a_path_filter_stays_pending(key: str) -> None:
    text = changed(on__pull_request={key: ["models/**"]})
    found = look(text)["caller.pull_request"]
    assert found.verdict is Verdict.FAIL
    assert "pending" in found.reason
    assert yaml.safe_load(found.fix)[True] == {"pull_request": None}
    assert look(text, UNKNOWN)["caller.pull_request"].verdict is Verdict.WARN


def test_types_without_synchronize_leave_later_pushes_unjudged() -> None:
    assert look(changed(on__pull_request={"types": ["opened"]}))["caller.pull_request"].verdict is Verdict.FAIL
    usual = {"types": ["opened", "synchronize", "reopened"]}
    assert look(changed(on__pull_request=usual))["caller.pull_request"].verdict is Verdict.PASS


def test_no_merge_group_is_a_failure_only_where_a_queue_waits() -> None:
    text = changed(on__merge_group=None)
    assert look(text)["caller.merge_group"].verdict is Verdict.FAIL
    assert look(text, UNKNOWN)["caller.merge_group"].verdict is Verdict.WARN
    assert look(text, Branch("main", [], merge_queue=False))["caller.merge_group"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("on", "verdict"),
    [
        ({"pull_request_target": None}, Verdict.FAIL),
        ({"push": {"branches": ["main"]}}, Verdict.WARN),
    ],
)
def test_without_pull_request(on: dict[str, Any], verdict: Verdict) -> None:
    assert look(changed(on=on))["caller.pull_request"].verdict is verdict


@pytest.mark.parametrize("on", ["pull_request", ["pull_request", "merge_group"]])
def test_short_forms_of_triggers_are_read(on: Any) -> None:
    found = look(changed(on=on))
    assert found["caller.pull_request"].verdict is Verdict.PASS
    assert found["caller.push"].verdict is Verdict.WARN


def test_the_default_branch_is_judged_again() -> None:
    assert look(changed(on__push={"branches": ["develop"]}))["caller.push"].verdict is Verdict.WARN
    assert look(changed(on__push={"branches": ["release/*", "main"]}))["caller.push"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("rights", "verdict"),
    [
        (None, Verdict.FAIL),  # the workflow's `permissions: {}` is what is left
        ({"contents": "read"}, Verdict.WARN),
        ({"contents": "write", "pull-requests": "write", "statuses": "write"}, Verdict.PASS),
        ("write-all", Verdict.PASS),
        ("read-all", Verdict.WARN),
    ],
)
def test_rights_of_the_calling_job(rights: Any, verdict: Verdict) -> None:
    found = look(changed(jobs__gate__permissions=rights))["caller.permissions"]
    assert found.verdict is verdict
    if verdict is not Verdict.PASS:
        assert yaml.safe_load(found.fix)["jobs"]["gate"]["permissions"]["statuses"] == "write"


def test_no_permissions_anywhere_is_the_repositorys_default() -> None:
    text = changed(permissions=None, jobs__gate__permissions=None)
    assert "default" in look(text)["caller.permissions"].reason


def test_continue_on_error_hides_the_gate() -> None:
    job = {
        "runs-on": "ubuntu-latest",
        "steps": [{"uses": "mlgate/mlgate/actions/compare@v1", "continue-on-error": True}],
    }
    assert look(changed(jobs={"gate": job}))["caller.continue_on_error"].verdict is Verdict.WARN


@pytest.mark.parametrize(
    "job",
    [
        {"steps": [{"uses": "mlgate/mlgate/actions/compare@v1"}]},
        {"steps": [{"uses": "acme/mlgate/actions/compare@0123456"}]},
        {"steps": [{"run": "pip install mlgate\nmlgate compare --config x.yaml"}]},
        {"uses": "./.github/workflows/model-gate.yml"},
    ],
)
def test_every_way_of_calling_the_gate_is_seen(job: dict[str, Any]) -> None:
    assert look(changed(jobs={"gate": job}))["caller.file"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    "job",
    [
        {"steps": [{"run": "echo mlgate compares"}]},
        {"steps": [{"uses": "other/thing/actions/compare@v1"}]},
        {"steps": [{"uses": "mlgate/mlgate/actions/setup@v1"}]},
    ],
)
def test_what_only_looks_like_it_is_not(job: dict[str, Any]) -> None:
    assert look(changed(jobs={"gate": job}))["caller"].verdict is Verdict.WARN


def test_a_second_workflow_that_only_reports_for_forks_is_not_the_gate() -> None:
    text = changed(on={"workflow_run": {"workflows": ["Model gate"], "types": ["completed"]}})
    assert look(text)["caller"].verdict is Verdict.WARN


# -- the required check --------------------------------------------------------------------------


def test_not_required_can_be_merged_while_it_fails() -> None:
    found = look(STARTER, Branch("main", required=["Unit tests"]))["caller.required"]
    assert found.verdict is Verdict.WARN
    assert "Unit tests" in found.reason
    assert "Add: Model gate" in found.fix


def test_what_cannot_be_read_is_not_judged() -> None:
    assert "caller.required" not in look(STARTER, UNKNOWN)


def test_an_aggregate_that_is_skipped_counts_as_passed() -> None:
    found = look(changed(jobs__required__if=None))["caller.required"]
    assert found.verdict is Verdict.FAIL
    assert "skipped" in found.reason


def test_an_aggregate_that_never_asks_is_always_green() -> None:
    found = look(changed(jobs__required__steps=[{"run": "echo done"}]))["caller.required"]
    assert found.verdict is Verdict.FAIL
    assert "green whatever" in found.reason


def test_a_gate_job_with_a_condition_can_be_skipped() -> None:
    text = changed(jobs__required=None, jobs__gate__if="github.actor != 'x'", jobs__gate__name=None)
    assert look(text, Branch("main", ["gate / Judge"]))["caller.required"].verdict is Verdict.WARN


@pytest.mark.parametrize("context", ["gate", "gate / Judge", "gate (3.12)"])
def test_checks_of_called_workflows_and_matrices_belong_to_their_job(context: str) -> None:
    text = changed(jobs__required=None, jobs__gate__name=None)
    assert look(text, Branch("main", [context]))["caller.required"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff", b"- a\n- b", b"jobs: 3", b"a: [", b"name: x", b"jobs:\n  a: 1\n  b: [x]\n"]
)
def test_files_that_are_no_workflows_do_no_harm(data: bytes) -> None:
    workflow = github_workflows.read("x.yml", data)
    assert workflow is None or not workflow.gates


# -- the forge's own words -----------------------------------------------------------------------


def test_rules_and_protection_are_read_together() -> None:
    rules = [
        {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "Model gate"}]}},
        {"type": "merge_queue", "parameters": {}},
        {"type": "pull_request", "parameters": {"require_code_owner_review": True}},
    ]
    protection = {"protection": {"enabled": True, "required_status_checks": {"contexts": ["lint"]}}}
    assert github_workflows.branch("main", rules, protection) == Branch("main", ["Model gate", "lint"], True, True)
    assert github_workflows.branch("main", [], {"protection": {"enabled": False}}) == Branch("main", [], False, False)
    assert github_workflows.branch("main", None, None) == Branch("main", None, None, None)
    # A classic protection may ask for reviews and a queue; only administrators can read that.
    assert github_workflows.branch("main", [], protection) == Branch("main", ["lint"], None, None)
