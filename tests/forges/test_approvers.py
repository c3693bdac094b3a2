"""Who has let a run into an environment, asked of forges as their APIs are described. Unknown is not approved."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from forges.conftest import job
from forges.deploying_forges import COMMIT, DeployingGitHub, DeployingGitLab
from mlgate.forges import detect
from mlgate.forges.deploying import Approvers


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


def asked(fake: DeployingGitHub | DeployingGitLab, environment: str = "production") -> Approvers:
    return job(fake).approvers(environment, COMMIT)


def test_a_review_of_the_environment_in_this_run(github: DeployingGitHub) -> None:
    github.review("ada")
    assert asked(github) == Approvers(("ada",), "approved the environment production", own=("mona",))


def test_everybody_who_reviewed_is_named_once(github: DeployingGitHub) -> None:
    github.review("ada")
    github.review("bob", "staging", "Production")  # to GitHub the same name
    github.review("ada")
    assert asked(github).names == ("ada", "bob")


NOT_ON_GITHUB: dict[str, tuple[Callable[[DeployingGitHub], object], str]] = {
    "nobody has": (lambda f: None, "It has reviewers, so the job needs `environment: production`"),
    "of another environment": (lambda f: f.review("ada", "staging"), "Nobody has approved the environment production"),
    "an app's": (lambda f: f.review("rules[bot]"), "Nobody has approved the environment production"),
    "pending": (lambda f: f.review("ada", state="pending"), "Nobody has approved the environment production"),
    "rejected": (lambda f: f.review("ada", state="rejected"), "ada rejected production in this run"),
    "rejected after another approved": (
        lambda f: (f.review("ada"), f.review("bob", state="rejected")),
        "bob rejected production in this run; a run that is started anew is asked again",
    ),
    "no reviewers": (lambda f: f.reviewers.update(production=False), "has no reviewers, so nobody has approved it"),
    "no environment": (lambda f: f.reviewers.clear(), "Add reviewers under Settings > Environments > production"),
    "by hand past the reviewers": (
        lambda f: f.run.update(event="workflow_dispatch"),
        "It has reviewers, so the job needs `environment: production`",
    ),
    "by hand by nobody of importance": (
        lambda f: (f.reviewers.clear(), f.run.update(event="workflow_dispatch", triggering_actor="bob")),
        "bob started this run by hand, but is no maintainer",
    ),
    "by hand by somebody unknown": (
        lambda f: (f.reviewers.clear(), f.run.update(event="workflow_dispatch", triggering_actor="eve")),
        "eve started this run by hand, but is no maintainer",
    ),
    "by hand of a robot": (
        lambda f: (f.reviewers.clear(), f.run.update(event="workflow_dispatch", triggering_actor="deploy[bot]")),
        "deploy[bot] started this run by hand and is no person",
    ),
}


@pytest.mark.parametrize(("prepare", "says"), NOT_ON_GITHUB.values(), ids=NOT_ON_GITHUB.keys())
def test_what_is_no_approval_on_github(
    github: DeployingGitHub, prepare: Callable[[DeployingGitHub], object], says: str
) -> None:
    prepare(github)
    found = asked(github)
    assert found.names == ()
    assert says in found.missing


def test_without_reviewers_a_maintainer_who_starts_it_by_hand_approves(github: DeployingGitHub) -> None:
    github.reviewers.clear()
    github.run.update(event="workflow_dispatch", actor="ada", triggering_actor="ada")
    found = asked(github)
    assert (found.names, found.how) == (("ada",), "started this run by hand")
    assert found.own == ("ada", "mona")


OWN: dict[str, tuple[Callable[[DeployingGitHub], object], tuple[str, ...]]] = {
    "who started it": (lambda f: f.run.update(actor="ada"), ("ada", "mona")),
    "who started it again": (lambda f: f.run.update(triggering_actor="bob"), ("mona", "bob")),
    "who wrote the commit": (lambda f: setattr(f, "author", "ada"), ("mona", "ada")),
    "who opened the pull request": (
        lambda f: setattr(f, "openers", [("ada", "2026-01-01T00:00:00Z")]),
        ("mona", "ada"),
    ),
    "not who opened one that was not merged": (lambda f: f.openers.append(("eve", None)), ("mona",)),
    "the pull request's alone": (lambda f: setattr(f, "author", None), ("mona",)),
}


@pytest.mark.parametrize(("prepare", "own"), OWN.values(), ids=OWN.keys())
def test_whose_own_work_it_is_on_github(
    github: DeployingGitHub, prepare: Callable[[DeployingGitHub], object], own: tuple[str, ...]
) -> None:
    prepare(github)
    github.review("ada")
    found = asked(github)
    assert (found.own, found.own_missing) == (own, "")
    assert found.others() == (() if "ada" in own else ("ada",))


def test_a_commit_of_nobody_known_is_said(github: DeployingGitHub) -> None:
    github.author, github.openers = None, []
    github.review("ada")
    found = asked(github)
    assert (found.names, found.own) == (("ada",), ("mona",))
    assert "GitHub knows no account for the author of dddddddddddd" in found.own_missing


def test_a_name_is_the_same_in_capitals() -> None:
    assert Approvers(("Ada", "bob"), own=("aDA",)).others() == ("bob",)


@pytest.mark.parametrize("part", ["/actions/runs/42/approvals", "/actions/runs/42", "/environments/"])
@pytest.mark.parametrize("status", [403, 500])
def test_what_github_does_not_tell_is_no_approval(github: DeployingGitHub, part: str, status: int) -> None:
    github.review("ada", "staging")
    github.fault("GET", part, status=status, body={"message": "Resource not accessible by integration"}, times=9)
    found = asked(github)
    assert found.names == ()
    assert ("`actions: read`" if status == 403 else "500") in found.missing


def test_authors_that_may_not_be_read_are_said_with_the_permission(github: DeployingGitHub) -> None:
    github.review("ada")
    github.fault("GET", "/pulls", status=403, body={"message": "Resource not accessible by integration"})
    found = asked(github)
    assert (found.names, found.own) == (("ada",), ("mona",))
    assert "`contents: read` and `pull-requests: read`" in found.own_missing


def test_without_a_token_or_a_run_nobody_has_approved(github: DeployingGitHub, gitlab: DeployingGitLab) -> None:
    github.review("ada")
    assert "there is no token" in detect(github.environ(GITHUB_TOKEN="")).approvers("production", COMMIT).missing
    assert "no GITHUB_RUN_ID" in detect(github.environ(GITHUB_RUN_ID="")).approvers("production", COMMIT).missing
    assert "GITLAB_TOKEN" in detect(gitlab.environ(GITLAB_TOKEN="")).approvers("production", COMMIT).missing
    assert "no forge" in detect({}).approvers("production", COMMIT).missing
    assert github.requests == gitlab.requests == []


def test_a_variable_that_says_who_approved_is_not_believed(github: DeployingGitHub, gitlab: DeployingGitLab) -> None:
    github.review("bob", "staging")
    assert job(github, GITHUB_ACTOR="ada", GITHUB_TRIGGERING_ACTOR="ada").approvers("production", COMMIT).names == ()
    env = {"CI_JOB_MANUAL": "true", "GITLAB_USER_LOGIN": "ada", "CI_JOB_ID": "77"}
    gitlab.manual = [77]
    assert "this job is not a manual one" in job(gitlab, **env).approvers("production", COMMIT).missing


# -- GitLab


def test_who_plays_the_manual_job_approves_on_gitlab(gitlab: DeployingGitLab) -> None:
    gitlab.manual, gitlab.player = [901], "ada"
    assert asked(gitlab) == Approvers(("ada",), "started this manual job", own=("mona",))


def test_a_manual_job_among_many(gitlab: DeployingGitLab) -> None:
    gitlab.manual, gitlab.player = [1, 2, 3, 4, 901], "ada"
    assert asked(gitlab).names == ("ada",)
    assert gitlab.count("POST", "graphql") == 3


def test_approvals_of_the_deployment_on_gitlab(gitlab: DeployingGitLab) -> None:
    gitlab.deploy(approvals=[gitlab.approval("ada"), gitlab.approval("project_12_bot_1f")], pending_approval_count=0)
    assert asked(gitlab) == Approvers(("ada",), "approved the deployment to production", own=("mona",))


def test_the_deployment_of_an_old_pipeline_is_found_among_newer_ones(gitlab: DeployingGitLab) -> None:
    gitlab.deploy(approvals=[gitlab.approval("ada")])
    for job_of_another in range(1000, 1030):
        gitlab.deploy(job=job_of_another, status="blocked")
    assert asked(gitlab).names == ("ada",)


def test_a_deployment_that_is_not_said_to_run_yet_is_found(gitlab: DeployingGitLab) -> None:
    gitlab.deploy(status="created", approvals=[gitlab.approval("ada")])
    assert asked(gitlab).names == ("ada",)


def test_approvals_by_several_rules_on_gitlab(gitlab: DeployingGitLab) -> None:
    rules = [
        {"required_approvals": 1, "deployment_approvals": []},
        {"required_approvals": 2, "deployment_approvals": [gitlab.approval("ada"), gitlab.approval("bob")]},
    ]
    gitlab.deploy(approval_summary={"rules": rules})
    assert asked(gitlab).names == ("ada", "bob")


def test_a_developer_may_start_a_job_that_gitlab_protects(gitlab: DeployingGitLab) -> None:
    gitlab.manual, gitlab.player = [901], "bob"
    gitlab.deploy()
    assert "bob started this manual job, but is no maintainer" in asked(gitlab).missing
    gitlab.protected.add("production")
    assert asked(gitlab).names == ("bob",)


NOT_ON_GITLAB: dict[str, tuple[Callable[[DeployingGitLab], object], str]] = {
    "no manual job": (lambda f: None, "this job is not a manual one. Give the job `when: manual`"),
    "another one is": (lambda f: f.manual.append(9010), "this job is not a manual one"),
    "a developer": (lambda f: setattr(f, "player", "bob"), "this job is not a manual one"),
    "played by a developer": (
        lambda f: (f.manual.append(901), setattr(f, "player", "bob")),
        "bob started this manual job, but is no maintainer",
    ),
    "played by nobody of the project": (
        lambda f: (f.manual.append(901), setattr(f, "player", "eve")),
        "eve started this manual job, but is no maintainer",
    ),
    "played by a token": (
        lambda f: (f.manual.append(901), setattr(f, "player", "project_12_bot_7a")),
        "project_12_bot_7a started this manual job and is no person",
    ),
    "protected, but the job has no environment": (
        lambda f: (f.manual.append(901), setattr(f, "player", "bob"), f.protected.add("production")),
        "bob started this manual job, but is no maintainer",
    ),
    "the deployment of another job": (
        lambda f: f.deploy(job=902, approvals=[f.approval("ada")]),
        "No deployment to production was approved",
    ),
    "of another environment": (
        lambda f: f.deploy("staging", approvals=[f.approval("ada")]),
        "No deployment to production was approved",
    ),
    "rejected": (
        lambda f: f.deploy(approvals=[f.approval("ada"), f.approval("bob", "rejected")]),
        "bob rejected this deployment to production",
    ),
    "approved by a token": (
        lambda f: f.deploy(approvals=[f.approval("group_5_bot_0c")]),
        "No deployment to production was approved",
    ),
}


@pytest.mark.parametrize(("prepare", "says"), NOT_ON_GITLAB.values(), ids=NOT_ON_GITLAB.keys())
def test_what_is_no_approval_on_gitlab(
    gitlab: DeployingGitLab, prepare: Callable[[DeployingGitLab], object], says: str
) -> None:
    prepare(gitlab)
    found = asked(gitlab)
    assert found.names == ()
    assert says in found.missing


def test_whose_own_work_it_is_on_gitlab(gitlab: DeployingGitLab) -> None:
    gitlab.manual, gitlab.player, gitlab.starter = [901], "ada", "bob"
    gitlab.openers = [("mona", "merged"), ("eve", "closed")]
    assert asked(gitlab).own == ("bob", "mona")
    gitlab.openers = [("eve", "opened")]
    found = asked(gitlab)
    assert found.own == ("bob",)
    assert "no merge request brought dddddddddddd" in found.own_missing


@pytest.mark.parametrize("part", ["/job", "/deployments", "graphql", "/members/", "/protected_environments/"])
def test_what_gitlab_does_not_tell_is_no_approval(gitlab: DeployingGitLab, part: str) -> None:
    gitlab.manual, gitlab.player = [901], "bob"
    gitlab.deploy()
    gitlab.fault("POST" if part == "graphql" else "GET", part, status=500, times=9)
    found = asked(gitlab)
    assert found.names == ()
    assert "500" in found.missing


def test_a_graphql_answer_with_errors_is_no_approval(gitlab: DeployingGitLab) -> None:
    gitlab.manual, gitlab.player = [901], "ada"
    gitlab.fault("POST", "graphql", status=200, body={"errors": [{"message": "Field 'jobs' doesn't exist"}]})
    assert "does not say which jobs of this pipeline are manual" in asked(gitlab).missing


def test_a_pipeline_that_may_not_be_read_is_said(gitlab: DeployingGitLab) -> None:
    gitlab.manual, gitlab.player = [901], "ada"
    gitlab.fault("GET", "/pipelines/900", status=403, body={"message": "403 Forbidden"})
    found = asked(gitlab)
    assert (found.names, found.own) == (("ada",), ())
    assert "GITLAB_TOKEN may not (403: 403 Forbidden)" in found.own_missing
