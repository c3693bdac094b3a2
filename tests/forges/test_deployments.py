"""Deployments as the forge shows them: made once, kept up to date, and never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from forges.conftest import job
from forges.deploying_forges import COMMIT, MERGE, DeployingGitHub, DeployingGitLab
from forges.fake_forge import FakeGitea
from mlgate.forges import detect
from mlgate.forges.deploying import Planned, Progress

URL = "https://visits.test/"
PLANNED = Planned("production", COMMIT, tier="production", rollout="a" * 32, url=URL, description="visits v1.2.0")


@pytest.fixture
def github() -> Iterator[DeployingGitHub]:
    with DeployingGitHub() as fake:
        yield fake
        assert not fake.problems


@pytest.fixture
def gitlab() -> Iterator[DeployingGitLab]:
    with DeployingGitLab() as fake:
        yield fake
        assert not fake.problems


def test_a_deployment_and_its_statuses_on_github(github: DeployingGitHub) -> None:
    deployment = job(github).deployment(PLANNED)
    assert (deployment.said, deployment.theirs) == ("", False)
    made = next(seen.body for seen in github.requests if seen.method == "POST")
    assert made == {
        "ref": COMMIT,
        "environment": "production",
        "auto_merge": False,
        "required_contexts": [],
        "production_environment": True,
        "description": "visits v1.2.0",
        "payload": {"mlgate": "a" * 32},
    }
    assert deployment.status("running", description="5 % of the traffic\n" + "x" * 200).said == ""
    assert deployment.status("success", url=URL).url == URL
    running, success = github.progress[100]
    assert (running["state"], len(running["description"])) == ("in_progress", 140)
    assert running["log_url"] == "https://github.com/acme/visits/actions/runs/42"
    assert (success["state"], success["environment_url"]) == ("success", URL)


@pytest.mark.parametrize(("state", "word"), [("failure", "failure"), ("inactive", "inactive")])
def test_what_goes_wrong_is_shown_on_github(github: DeployingGitHub, state: Progress, word: str) -> None:
    job(github).deployment(PLANNED).status(state)
    assert github.progress[100][0]["state"] == word


@pytest.mark.parametrize(("tier", "said"), [("staging", False), ("production", True), (None, None)])
def test_the_tier_says_whether_users_are_there(github: DeployingGitHub, tier: str | None, said: bool | None) -> None:
    job(github).deployment(replace(PLANNED, tier=tier))  # type: ignore[arg-type]
    made = next(seen.body for seen in github.requests if seen.method == "POST")
    assert made.get("production_environment") is said


def test_a_job_with_an_environment_of_its_own_is_left_to_github(github: DeployingGitHub) -> None:
    github.of_run(github.deploy()["id"], "42")
    deployment = job(github).deployment(PLANNED)
    assert deployment.theirs
    assert deployment.status("success").said == ""
    assert github.count("POST") == 0


def test_a_deployment_of_another_run_is_not_taken_for_this_ones(github: DeployingGitHub) -> None:
    github.of_run(github.deploy()["id"], "421")
    github.of_run(github.deploy()["id"], "4")
    github.of_run(github.deploy("staging")["id"], "42")
    github.of_run(github.deploy(sha="e" * 40)["id"], "42")
    assert not job(github).deployment(PLANNED).theirs
    assert github.count("POST") == 1


def test_a_later_job_of_the_rollout_finds_the_deployment_again(github: DeployingGitHub) -> None:
    job(github).deployment(PLANNED).status("running")
    job(github, GITHUB_RUN_ID="43").deployment(PLANNED).status("success")
    assert [status["state"] for status in github.progress[100]] == ["in_progress", "success"]
    job(github).deployment(replace(PLANNED, rollout="b" * 32))
    assert len(github.deployments) == 2


def test_a_payload_that_comes_back_as_text_is_read(github: DeployingGitHub) -> None:
    github.deploy(payload='{"mlgate": "' + "a" * 32 + '"}')
    github.deploy(payload="no JSON")
    job(github).deployment(PLANNED).status("running")
    assert len(github.progress[100]) == 1


def test_without_a_rollout_nobody_elses_deployment_is_taken(github: DeployingGitHub) -> None:
    github.deploy(payload={"mlgate": ""})
    job(github).deployment(replace(PLANNED, rollout=""))
    assert len(github.deployments) == 2


def test_a_job_that_may_not_says_once_which_permission_is_missing(github: DeployingGitHub) -> None:
    github.fault("POST", "/deployments", status=403, body={"message": "Resource not accessible by integration"})
    deployment = job(github).deployment(PLANNED)
    assert "`deployments: write`" in deployment.said
    assert deployment.status("running").said == ""
    assert github.count("POST") == 1


def test_a_status_that_is_refused_is_said_once_and_not_tried_again(github: DeployingGitHub) -> None:
    deployment = job(github).deployment(PLANNED)
    github.fault("POST", "/statuses", status=422, body={"message": "Validation Failed"}, times=9)
    assert "it was refused (422: Validation Failed)" in deployment.status("running").said
    assert deployment.status("success").said == ""
    assert github.count("POST", "/statuses") == 1


def test_after_a_passing_trouble_the_next_status_is_posted(github: DeployingGitHub) -> None:
    deployment = job(github).deployment(PLANNED)
    github.fault("POST", "/statuses", status=502, times=8)
    assert "502" in deployment.status("running").said
    assert deployment.status("running").said == ""  # the same trouble
    assert deployment.status("success").did == "updated"
    assert [status["state"] for status in github.progress[100]] == ["success"]


def test_an_unclear_answer_makes_no_second_deployment(github: DeployingGitHub) -> None:
    github.fault("POST", "/deployments", status=502, after=True)
    assert "502" in job(github).deployment(PLANNED).said
    assert len(github.deployments) == 1


def test_no_token_no_deployment(github: DeployingGitHub) -> None:
    deployment = detect(github.environ(GITHUB_TOKEN="")).deployment(PLANNED)
    assert "there is no token" in deployment.said
    assert not github.requests


def test_gitea_knows_no_deployments_and_nothing_is_said() -> None:
    with FakeGitea() as gitea:
        deployment = job(gitea).deployment(PLANNED)
        assert (deployment.said, deployment.status("success").said, gitea.requests) == ("", "", [])


def test_outside_of_ci_nothing_is_shown_and_nothing_said() -> None:
    deployment = detect({}).deployment(PLANNED)
    assert (deployment.said, deployment.theirs, deployment.status("success").said) == ("", False, "")


def test_a_deployment_and_its_environment_on_gitlab(gitlab: DeployingGitLab) -> None:
    deployment = job(gitlab).deployment(PLANNED)
    assert deployment.said == ""
    assert [(e["name"], e["tier"], e["external_url"]) for e in gitlab.environments] == [
        ("production", "production", URL)
    ]
    (made,) = gitlab.deployments
    assert (made["sha"], made["ref"], made["status"], made["deployable"]) == (COMMIT, "main", "running", None)
    deployment.status("running")
    assert made["status"] == "running"
    assert deployment.status("success", url=URL).url == URL
    assert made["status"] == "success"


@pytest.mark.parametrize(("state", "word"), [("failure", "failed"), ("inactive", "canceled")])
def test_what_goes_wrong_is_shown_on_gitlab(gitlab: DeployingGitLab, state: Progress, word: str) -> None:
    job(gitlab).deployment(PLANNED).status(state)
    assert gitlab.deployments[0]["status"] == word


def test_the_jobs_own_token_is_enough_on_gitlab(gitlab: DeployingGitLab) -> None:
    deployment = job(gitlab, GITLAB_TOKEN="").deployment(PLANNED)
    deployment.status("success")
    assert (deployment.said, gitlab.deployments[0]["status"]) == ("", "success")


def test_a_job_with_an_environment_of_its_own_is_left_to_gitlab(gitlab: DeployingGitLab) -> None:
    deployment = job(gitlab, CI_ENVIRONMENT_NAME="production").deployment(PLANNED)
    assert deployment.theirs
    assert deployment.status("success").said == ""
    assert not gitlab.requests
    assert not job(gitlab, CI_ENVIRONMENT_NAME="staging").deployment(PLANNED).theirs


def test_a_later_job_finds_the_running_deployment_on_gitlab(gitlab: DeployingGitLab) -> None:
    gitlab.deploy(sha=COMMIT)  # a job's own: nobody else may write it
    gitlab.deploy(job=None, sha="e" * 40)
    gitlab.deploy(job=None, sha=COMMIT, status="failed")
    job(gitlab).deployment(PLANNED)
    job(gitlab).deployment(PLANNED).status("success")
    assert [(d["sha"], d["status"]) for d in gitlab.deployments[3:]] == [(COMMIT, "success")]


def test_an_environment_that_is_there_keeps_what_mlgate_yaml_does_not_say(gitlab: DeployingGitLab) -> None:
    gitlab._environment("production", tier="testing", external_url="https://old.test/")
    job(gitlab).deployment(replace(PLANNED, tier=None, url=""))
    assert gitlab.environments[0]["tier"] == "testing"
    job(gitlab).deployment(PLANNED)
    assert (gitlab.environments[0]["tier"], gitlab.environments[0]["external_url"]) == ("production", URL)


def test_an_update_that_came_through_unheard_is_no_trouble(gitlab: DeployingGitLab) -> None:
    deployment = job(gitlab).deployment(PLANNED)
    gitlab.fault("PUT", "/deployments/", status=502, after=True)
    assert deployment.status("success").did == "updated"


def test_gitlab_refusing_is_said_once(gitlab: DeployingGitLab) -> None:
    gitlab.fault("POST", "/deployments", status=403, body={"message": "403 Forbidden"})
    deployment = job(gitlab).deployment(PLANNED)
    assert deployment.said.startswith("The deployment is not shown on the forge: ")
    assert "403" in deployment.said
    assert deployment.status("success").said == ""


def test_a_tag_is_deployed_as_a_tag(gitlab: DeployingGitLab) -> None:
    job(gitlab, CI_COMMIT_TAG="visits#production#3", CI_COMMIT_BRANCH="").deployment(PLANNED)
    made = next(seen.body for seen in gitlab.requests if seen.method == "POST" and seen.path.endswith("/deployments"))
    assert (made["ref"], made["tag"]) == ("visits#production#3", True)


def test_what_a_forge_does_not_answer_properly_fails_nothing(github: DeployingGitHub, gitlab: DeployingGitLab) -> None:
    github.fault("GET", "/deployments", status=200, body={"not": "a list"})
    github.fault("POST", "/deployments", status=201, body={"message": "?"})
    assert "did not say which deployment it made" in job(github).deployment(PLANNED).said
    gitlab.fault("GET", "/environments", status=200, body=[{"name": "production"}])
    assert job(gitlab).deployment(replace(PLANNED, commit=MERGE)).said == ""
