"""What started a job on GitLab, and which forge it is at all."""

from __future__ import annotations

import pytest

from mlgate.errors import MlgateError
from mlgate.forges import Forge, detect
from mlgate.model import Event

SHA, BEFORE, HEAD, TARGET, ZERO = "c" * 40, "b" * 40, "a" * 40, "d" * 40, "0" * 40

JOB = {
    "GITLAB_CI": "true",
    "CI_API_V4_URL": "https://gitlab.test/api/v4",
    "CI_SERVER_URL": "https://gitlab.test",
    "CI_JOB_ID": "9",
    "CI_JOB_URL": "https://gitlab.test/acme/visits/-/jobs/9",
    "CI_PIPELINE_URL": "https://gitlab.test/acme/visits/-/pipelines/8",
    "CI_PROJECT_ID": "12",
    "CI_PROJECT_URL": "https://gitlab.test/acme/visits",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_SHA": SHA,
    "CI_COMMIT_BEFORE_SHA": ZERO,
    "GITLAB_USER_LOGIN": "mona",
}
MERGE_REQUEST = JOB | {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_COMMIT_REF_NAME": "better",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "12",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "12",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "better",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
}
MERGED_RESULT = MERGE_REQUEST | {
    "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD,
    "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": TARGET,
}


def test_merge_request_pipeline() -> None:
    assert detect(MERGE_REQUEST).event == Event(
        forge="gitlab",
        kind="pull_request",
        name="merge_request_event",
        sha=SHA,
        head_sha=SHA,
        base_ref="main",
        ref="better",
        default_branch="main",
        pull_request=7,
        actor="mona",
        run_url="https://gitlab.test/acme/visits/-/jobs/9",
        commit_url="https://gitlab.test/acme/visits/-/commit/",
        file_url="https://gitlab.test/acme/visits/-/blob/",
    )


def test_merged_results_pipeline() -> None:
    found = detect(MERGED_RESULT).event
    assert (found.kind, found.sha, found.head_sha, found.base_sha) == ("pull_request", SHA, HEAD, TARGET)


def test_a_merge_train_is_a_merge_queue() -> None:
    found = detect(MERGED_RESULT | {"CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}).event
    assert (found.kind, found.base_sha, found.head_sha, found.pull_request) == ("merge_group", TARGET, HEAD, 7)


def test_a_merge_train_that_does_not_say_its_base_stays_a_merge_request() -> None:
    found = detect(MERGE_REQUEST | {"CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}).event
    assert (found.kind, found.base_sha) == ("pull_request", "")


def test_merge_request_from_a_fork() -> None:
    assert detect(MERGE_REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "99"}).event.from_fork
    assert not detect(MERGE_REQUEST).event.from_fork


PUSH = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}


@pytest.mark.parametrize(
    ("more", "kind", "before", "ref"),
    [
        (PUSH | {"CI_COMMIT_BEFORE_SHA": BEFORE}, "push", BEFORE, "main"),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "new"}, "push", "", "new"),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1"}, "tag", "", "v1"),
        ({"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "main"}, "schedule", "", "main"),
        ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": "main"}, "manual", "", "main"),
        ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_TAG": "main"}, "tag", "", "main"),
        ({"CI_PIPELINE_SOURCE": "api", "CI_COMMIT_BRANCH": "main"}, "manual", "", "main"),
        ({"CI_PIPELINE_SOURCE": "trigger", "CI_COMMIT_BRANCH": "main"}, "manual", "", "main"),
        ({"CI_PIPELINE_SOURCE": "pipeline", "CI_COMMIT_BRANCH": "main"}, "manual", "", "main"),
        ({"CI_PIPELINE_SOURCE": "parent_pipeline", "CI_COMMIT_BRANCH": "main"}, "manual", "", "main"),
        ({"CI_PIPELINE_SOURCE": "something_new", "CI_COMMIT_REF_NAME": "x"}, "manual", "", "x"),
    ],
)  # fmt: skip
def test_other_pipelines(more: dict[str, str], kind: str, before: str, ref: str) -> None:
    found = detect(JOB | more).event
    assert (found.kind, found.before, found.ref) == (kind, before, ref)
    assert (found.pull_request, found.head_sha) == (None, SHA)


def test_a_child_pipeline_is_judged_as_its_parent() -> None:
    assert detect(MERGE_REQUEST | {"CI_PIPELINE_SOURCE": "parent_pipeline"}).event.kind == "pull_request"
    more = {"CI_PIPELINE_SOURCE": "parent_pipeline", "CI_COMMIT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": BEFORE}
    found = detect(JOB | more).event
    assert (found.kind, found.before) == ("push", BEFORE)


def test_a_merge_request_number_in_another_pipeline_means_nothing() -> None:
    found = detect(JOB | {"CI_PIPELINE_SOURCE": "trigger", "CI_MERGE_REQUEST_IID": "7"}).event
    assert (found.kind, found.pull_request) == ("manual", None)


@pytest.mark.parametrize("number", ["", "x", "0", "-1", "1.5", "²"])
def test_a_merge_request_without_a_number_is_one_sentence(number: str) -> None:
    with pytest.raises(MlgateError, match="CI_MERGE_REQUEST_IID"):
        _ = detect(MERGE_REQUEST | {"CI_MERGE_REQUEST_IID": number}).event


@pytest.mark.parametrize("bad", ["--upload-pack=x", "main", "-", "a" * 39])
def test_only_whole_commit_ids_are_passed_on(bad: str) -> None:
    names = ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_COMMIT_BEFORE_SHA")
    found = detect(MERGED_RESULT | dict.fromkeys(names, bad)).event
    assert (found.head_sha, found.base_sha, found.before) == (SHA, "", "")


# -- which forge

GITHUB = {"GITHUB_ACTIONS": "true"}


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "none"),
        ({"CI": "true", "GITHUB_TOKEN": "x", "GITLAB_TOKEN": "x"}, "none"),
        (GITHUB, "github"),
        ({"GITEA_ACTIONS": "true"}, "github"),
        ({"FORGEJO_ACTIONS": "true"}, "github"),
        (JOB, "gitlab"),
        ({"GITLAB_CI": "true"}, "gitlab"),
        # gitlab-ci-local says GITLAB_CI=false
        (JOB | {"GITLAB_CI": "false", "CI_PIPELINE_SOURCE": "push"}, "gitlab"),
        ({"GITLAB_CI": "false"}, "none"),
        # one runner inside another
        (JOB | GITHUB | {"GITLAB_CI": "false", "CI_PIPELINE_SOURCE": "push"}, "gitlab"),
        (JOB | GITHUB | {"CI_PIPELINE_SOURCE": "push", "ACT": "true"}, "github"),
        (GITHUB | {"CI_PIPELINE_SOURCE": "push"}, "github"),
    ],
)
def test_which_forge(environ: dict[str, str], name: str) -> None:
    assert detect(environ).name == name


def test_a_terminal() -> None:
    forge: Forge = detect({})
    assert forge.event == Event(forge="none", kind="terminal")
    assert forge.fetch_env() == {}
    assert forge.comment("x").said == forge.status("a", "success", "x").said == ""
