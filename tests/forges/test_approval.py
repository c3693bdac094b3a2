"""Whether a maintainer has approved a pull request as it stands, asked of forges as their APIs are described."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from forges.approving_forges import AFTER, BEFORE, ApprovingGitHub, ApprovingGitLab
from forges.fake_forge import BASE
from mlgate.forges import detect
from mlgate.model import Approval

LABEL = "mlgate-approved"


@pytest.fixture
def github() -> Iterator[ApprovingGitHub]:
    with ApprovingGitHub() as fake:
        yield fake
        assert not fake.problems


@pytest.fixture
def gitlab() -> Iterator[ApprovingGitLab]:
    with ApprovingGitLab() as fake:
        yield fake
        assert not fake.problems


def asked(fake: ApprovingGitHub | ApprovingGitLab) -> Approval:
    return detect(fake.environ()).approval(LABEL)


def test_an_approving_review_of_the_head_by_a_maintainer(github: ApprovingGitHub) -> None:
    github.review("ada")
    assert asked(github) == Approval(by="ada", how="an approving review")


def test_the_label_set_by_a_maintainer_after_the_push(github: ApprovingGitHub) -> None:
    github.label("ada")
    assert asked(github) == Approval(by="ada", how=f"the label {LABEL}")


GITHUB: dict[str, tuple[Callable[[ApprovingGitHub], object], str]] = {
    "nobody has": (lambda f: None, "It needs an approving review of the head commit"),
    "the author's own": (lambda f: f.review("mona"), "the author's own"),
    "somebody who may only write": (lambda f: f.review("bob"), "bob (an approving review) is no maintainer"),
    "nobody of the repository": (lambda f: f.review("eve"), "eve (an approving review) is no maintainer"),
    "a bot's": (lambda f: f.review("github-actions[bot]"), "is no person"),
    "of an earlier commit": (lambda f: f.review("ada", commit=BASE), "It needs an approving review"),
    "withdrawn": (lambda f: (f.review("ada"), f.review("ada", "CHANGES_REQUESTED")), "It needs"),
    "dismissed": (lambda f: (f.review("ada"), f.review("ada", "DISMISSED")), "It needs"),
    "a comment": (lambda f: f.review("ada", "COMMENTED"), "It needs"),
    "a label of before the push": (lambda f: f.label("ada", at=BEFORE), "is older than the head commit"),
    "the author's label": (lambda f: f.label("mona"), "the author's own"),
    "a workflow's label": (lambda f: f.label("github-actions[bot]"), "is no person"),
    "another label": (lambda f: f.label("ada", "bug"), "It needs"),
    "a label that is gone": (lambda f: (f.label("ada"), f.labels.clear()), "It needs"),
    "nobody knows when it was pushed": (lambda f: (f.label("ada"), f.pushes.clear()), "is not known"),
}


@pytest.mark.parametrize(("prepare", "says"), GITHUB.values(), ids=GITHUB.keys())
def test_what_is_no_approval_on_github(
    github: ApprovingGitHub, prepare: Callable[[ApprovingGitHub], object], says: str
) -> None:
    prepare(github)
    found = asked(github)
    assert not found.given
    assert says in found.missing


def test_a_comment_after_an_approval_does_not_withdraw_it(github: ApprovingGitHub) -> None:
    github.review("ada")
    github.review("ada", "COMMENTED")
    assert asked(github).given


def test_an_approval_among_many_reviews(github: ApprovingGitHub) -> None:
    for _ in range(120):
        github.review("bob", "COMMENTED")
    github.review("ada")
    assert asked(github).given


def test_approval_and_label_on_gitlab(gitlab: ApprovingGitLab) -> None:
    gitlab.review("ada")
    assert asked(gitlab) == Approval(by="ada", how="an approving review")
    gitlab.approvals.clear()
    gitlab.label("ada")
    assert asked(gitlab) == Approval(by="ada", how=f"the label {LABEL}")


GITLAB: dict[str, tuple[Callable[[ApprovingGitLab], object], str]] = {
    "nobody has": (lambda f: None, "It needs an approving review of the head commit"),
    "the author's own": (lambda f: f.review("mona"), "the author's own"),
    "a developer": (lambda f: f.review("bob"), "is no maintainer"),
    "nobody of the project": (lambda f: f.review("eve"), "is no maintainer"),
    "an access token's user": (lambda f: f.review("project_12_bot"), "is no person"),
    "of before the push": (lambda f: f.review("ada", BEFORE), "is older than the head commit"),
    "nobody knows of when": (lambda f: f.review("ada", None), "is older than the head commit"),
    "a label of before the push": (lambda f: f.label("ada", at=BEFORE), "is older than the head commit"),
    "a label taken away": (lambda f: (f.label("ada"), f.label("ada", action="remove")), "It needs"),
    "another version": (lambda f: (f.review("ada", AFTER), f.versions.clear()), "is not known"),
}


@pytest.mark.parametrize(("prepare", "says"), GITLAB.values(), ids=GITLAB.keys())
def test_what_is_no_approval_on_gitlab(
    gitlab: ApprovingGitLab, prepare: Callable[[ApprovingGitLab], object], says: str
) -> None:
    prepare(gitlab)
    found = asked(gitlab)
    assert not found.given
    assert says in found.missing


def test_a_forge_that_refuses_is_no_approval(github: ApprovingGitHub) -> None:
    github.review("ada")
    github.fault("GET", "/reviews", status=403, body={"message": "Resource not accessible by integration"})
    found = asked(github)
    assert not found.given
    assert "pull-requests: read" in found.missing


def test_without_a_token_nothing_is_approved(github: ApprovingGitHub) -> None:
    github.review("ada")
    environ = github.environ()
    del environ["GITHUB_TOKEN"]
    assert not detect(environ).approval(LABEL).given
    assert not github.requests
