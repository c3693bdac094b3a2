"""What a .gitlab-ci.yml and a project's settings can do to a gate without anybody noticing."""

from __future__ import annotations

import pytest

from mlgate.model import Check, Verdict
from mlgate.setup import gitlab_pipeline
from mlgate.setup.gitlab_pipeline import Project

INCLUDE = """\
include:
  - project: mlgate/mlgate
    ref: v0.1.0
    file: /gitlab-templates/ml-pipeline.gitlab-ci.yml
"""


def look(text: str, settings: Project | None = None) -> dict[str, Check]:
    pipeline = gitlab_pipeline.read(".gitlab-ci.yml", text.encode())
    found = gitlab_pipeline.findings(pipeline, settings or Project())
    return {check.id.removeprefix("setup."): check for check in found}


@pytest.mark.parametrize(
    "text",
    [
        INCLUDE,
        "include: {project: mlgate/mlgate, ref: v1, file: /gitlab-templates/compare.gitlab-ci.yml}\n",
        "include:\n  - remote: https://raw.githubusercontent.com/mlgate/mlgate/v0.1.0/gitlab-templates/ml-pipeline.gitlab-ci.yml\n",
        "include: https://example.org/x/gitlab-templates/ml-pipeline.gitlab-ci.yml\n",
        "include:\n  - project: a/b\n    file: [/x.yml, /gitlab-templates/compare.gitlab-ci.yml]\n",
        "include:\n  - component: $CI_SERVER_FQDN/mlgate/mlgate/ml-pipeline@0.1.0\n",
        "gate:\n  script:\n    - mlgate compare\n",
        "spec:\n  inputs: {}\n---\n" + INCLUDE,
        INCLUDE + "x:\n  script: !reference [.y, script]\n",
    ],
)
def test_every_way_of_including_the_gate_is_seen(text: str) -> None:
    assert look(text)["caller"].verdict is Verdict.PASS


@pytest.mark.parametrize("text", ["", "test:\n  script: [pytest]\n", "include: /other.yml\n", "a: [", "\x00"])
def test_a_pipeline_without_it(text: str) -> None:
    assert set(look(text)) == {"caller"}
    assert look(text)["caller"].verdict is Verdict.WARN
    assert gitlab_pipeline.findings(None, Project())[0].verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ("- if: $CI_COMMIT_BRANCH", Verdict.FAIL),
        ("- if: $CI_PIPELINE_SOURCE == 'merge_request_event'", Verdict.PASS),
        ("- if: $CI_COMMIT_BRANCH\n    - when: always", Verdict.PASS),
        ("- if: $CI_MERGE_REQUEST_IID\n      when: never\n    - when: always", Verdict.FAIL),
        ("- if: $CI_COMMIT_TAG\n      when: never\n    - if: $CI_MERGE_REQUEST_IID", Verdict.PASS),
        ("- changes: [src/**]", Verdict.FAIL),
    ],
)
def test_workflow_rules_that_start_nothing_for_merge_requests(rules: str, verdict: Verdict) -> None:
    assert look(f"workflow:\n  rules:\n    {rules}\n{INCLUDE}")["caller.merge_requests"].verdict is verdict


def test_gitlabs_own_workflow_templates_are_known() -> None:
    branch = INCLUDE + "  - template: Workflows/Branch-Pipelines.gitlab-ci.yml\n"
    merge = INCLUDE + "  - template: Workflows/MergeRequest-Pipelines.gitlab-ci.yml\n"
    assert look(branch)["caller.merge_requests"].verdict is Verdict.FAIL
    assert look(merge)["caller.merge_requests"].verdict is Verdict.PASS


def test_allow_failure_hides_the_gate() -> None:
    loose = look(INCLUDE + "mlgate-judge:\n  allow_failure: true\n")
    assert loose["caller.allow_failure.mlgate-judge"].verdict is Verdict.WARN
    own = look("gate:\n  script: mlgate compare\n  allow_failure: true\n")
    assert own["caller.allow_failure.gate"].verdict is Verdict.WARN
    other = look(INCLUDE + "other:\n  allow_failure: true\n  script: x\n")
    assert not [key for key in other if "allow_failure" in key]


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        (Project(must_succeed=False), Verdict.WARN),
        (Project(must_succeed=True, skipped_passes=True), Verdict.WARN),
        (Project(must_succeed=True, skipped_passes=False), Verdict.PASS),
    ],
)
def test_pipelines_must_succeed(settings: Project, verdict: Verdict) -> None:
    assert look(INCLUDE, settings)["required"].verdict is verdict
    assert "required" not in look(INCLUDE)


def test_the_token() -> None:
    raw = {
        "only_allow_merge_if_pipeline_succeeds": True,
        "allow_merge_on_skipped_pipeline": None,
        "ci_config_path": "ci/gate.yml",
        "default_branch": "main",
        "permissions": {"project_access": {"access_level": 30}, "group_access": None},
    }
    mine = {"scopes": ["api"], "expires_at": "2027-01-01", "active": True}
    settings = gitlab_pipeline.project(raw, mine)
    assert settings.ci_file == "ci/gate.yml"
    assert settings.must_succeed is True
    check = gitlab_pipeline.token(settings)
    assert check
    assert check.verdict is Verdict.PASS
    assert "2027-01-01" in check.reason
    low = gitlab_pipeline.project({**raw, "permissions": {"project_access": {"access_level": 20}}}, mine)
    narrow = gitlab_pipeline.project(raw, {"scopes": ["read_api"]})
    assert [c.verdict for c in (gitlab_pipeline.token(low), gitlab_pipeline.token(narrow)) if c] == [Verdict.WARN] * 2
    assert gitlab_pipeline.token(gitlab_pipeline.project(raw, None)) is None
