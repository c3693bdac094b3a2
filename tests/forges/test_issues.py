"""One issue about a matter: found again, kept up to date, closed and opened again; every request as the forge says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from forges.conftest import job
from forges.fake_forge import TOKEN, FakeForge
from forges.issue_forges import KINDS, IssueGitHub, IssueGitLab, assignees, is_open, labels, text
from mlgate.forges import detect
from mlgate.forges.issues import Issue

KEY = "visits/production/drift"


@pytest.fixture(params=KINDS)
def fake(request: pytest.FixtureRequest) -> Iterator[Any]:
    with request.param() as forge:
        yield forge
        assert forge.problems == []


@pytest.fixture
def github() -> Iterator[IssueGitHub]:
    with IssueGitHub() as forge:
        yield forge
        assert forge.problems == []


@pytest.fixture
def gitlab() -> Iterator[IssueGitLab]:
    with IssueGitLab() as forge:
        yield forge
        assert forge.problems == []


def wanted(body: str = "psi.age 0.31 > 0.2", **more: Any) -> Issue:
    return Issue(**({"key": KEY, "title": "visits: drift", "body": body} | more))


def writes(fake: FakeForge) -> int:
    return sum(seen.method != "GET" for seen in fake.requests if "graphql" not in seen.path)


def test_the_first_is_created_with_labels_and_assignees(fake: Any) -> None:
    filed = job(fake).issue(wanted(labels=("drift", "mlgate"), assignees=("ada",)))
    assert (filed.ok, filed.did, filed.number, filed.said) == (True, "created", "100", ())
    [issue] = fake.issues
    assert filed.url == issue.get("html_url", issue.get("web_url"))
    assert issue["title"] == "visits: drift"
    assert (labels(issue), assignees(issue)) == (["drift", "mlgate"], ["ada"])
    assert "psi.age 0.31" in text(issue)
    assert text(issue).startswith("<!-- mlgate:issue%3Avisits%2Fproduction%2Fdrift -->\n")


def test_it_is_found_again_and_updated_not_repeated(fake: Any) -> None:
    forge = job(fake)
    forge.issue(wanted())
    for number in ("", "100"):  # by the marker, and by what the ledger remembers
        filed = job(fake).issue(wanted(f"psi.age 0.4{number}", number=number))
        assert (filed.did, filed.number) == ("updated", "100")
    assert len(fake.issues) == 1
    assert "0.4100" in text(fake.issues[0])
    assert fake.said == []


def test_what_has_not_changed_is_not_written(fake: Any) -> None:
    job(fake).issue(wanted())
    before = writes(fake)
    assert job(fake).issue(wanted()).did == "unchanged"
    assert writes(fake) == before


def test_it_is_closed_with_a_comment_and_opened_again(fake: Any) -> None:
    job(fake).issue(wanted())
    filed = job(fake).issue(wanted("over", state="closed", comment="It is over."))
    assert (filed.did, is_open(fake.issues[0])) == ("closed", False)
    assert fake.said == [(100, "It is over.")]
    assert job(fake).issue(wanted("over", state="closed", comment="It is over.")).did == "unchanged"
    filed = job(fake).issue(wanted("again", comment="It is back."))
    assert (filed.did, filed.number, is_open(fake.issues[0])) == ("reopened", "100", True)
    assert fake.said == [(100, "It is over."), (100, "It is back.")]
    assert len(fake.issues) == 1


def test_who_closes_it_by_hand_is_not_contradicted_while_it_goes_on(fake: Any) -> None:
    job(fake).issue(wanted())
    fake.issues[0]["state"] = "closed"
    filed = job(fake).issue(wanted("0.5", state="kept"))
    assert (filed.did, is_open(fake.issues[0])) == ("updated", False)


@pytest.mark.parametrize("state", ["kept", "closed"])
def test_what_is_not_there_is_neither_kept_nor_closed(fake: Any, state: Any) -> None:
    filed = job(fake).issue(wanted(state=state, number="4711"))
    assert (filed.ok, filed.did, fake.issues) == (True, "nothing", [])


def test_what_people_write_around_it_stays(fake: Any) -> None:
    job(fake).issue(wanted())
    body = "body" if "body" in fake.issues[0] and fake.issues[0]["body"] else "description"
    fake.issues[0][body] += "\n\nLooked at: the new clinic."
    job(fake).issue(wanted("psi.age 0.4"))
    assert text(fake.issues[0]).endswith("Looked at: the new clinic.")
    assert "psi.age 0.4" in text(fake.issues[0])


def test_somebody_elses_issue_with_our_marker_is_left_alone(fake: Any) -> None:
    job(fake).issue(wanted())
    theirs = text(fake.issues[0])
    fake.issues.clear()
    fake.issue(theirs, author="mallory")
    filed = job(fake).issue(wanted("psi.age 0.4", number="100"))
    assert (filed.did, len(fake.issues)) == ("created", 2)
    assert "0.4" not in text(fake.issues[0])


def test_pull_requests_are_no_issues(github: IssueGitHub) -> None:
    job(github).issue(wanted())
    ours = text(github.issues[0])
    github.issues.clear()
    github.issue(ours, pull=True)
    assert job(github).issue(wanted()).did == "created"


def test_one_is_found_beyond_the_first_page(fake: Any) -> None:
    job(fake).issue(wanted())
    for number in range(120):
        fake.issue(f"another {number}", author="ada")
    assert job(fake).issue(wanted("psi.age 0.4")).number == "100"


def test_an_answer_that_got_lost_makes_no_second_issue(fake: Any) -> None:
    fake.fault("POST", "/issues", status=502, after=True)
    filed = job(fake).issue(wanted())
    assert (filed.ok, len(fake.issues)) == (True, 1)


def test_a_forge_that_is_down_is_said_and_nothing_is_raised(fake: Any) -> None:
    fake.fault("GET", "/issues", status=503, times=99)
    filed = job(fake).issue(wanted())
    assert not filed.ok
    assert filed.said[0].startswith("The issue was not written: ")


def test_a_comment_that_fails_does_not_undo_the_closing(fake: Any) -> None:
    job(fake).issue(wanted())
    comments = "/notes" if isinstance(fake, IssueGitLab) else "/comments"
    fake.fault("POST", comments, status=403, body={"message": "locked"}, times=9)
    filed = job(fake).issue(wanted("over", state="closed", comment="It is over."))
    assert (filed.ok, filed.did, is_open(fake.issues[0])) == (True, "closed", False)
    assert len(filed.said) == 1


def test_without_rights_it_says_which_are_missing(github: IssueGitHub, gitlab: IssueGitLab) -> None:
    answer = {"message": "Resource not accessible by integration", "documentation_url": "x"}
    github.fault("POST", "/issues", status=403, body=answer)
    [said] = job(github).issue(wanted()).said
    assert "`issues: write` under `permissions:`" in said
    gitlab.fault("POST", "/issues", status=403, body={"message": "403 Forbidden"})
    [said] = job(gitlab).issue(wanted()).said
    assert "GITLAB_TOKEN may not" in said
    assert TOKEN not in said


def test_switched_off_issues_are_said(github: IssueGitHub) -> None:
    gone = {"message": "Issues are disabled for this repo", "documentation_url": "x"}
    github.fault("GET", "/issues", status=410, body=gone, times=9)
    [said] = job(github).issue(wanted()).said
    assert "Issues are disabled for this repo" in said


def test_without_a_token_it_says_so(github: IssueGitHub, gitlab: IssueGitLab) -> None:
    assert "there is no token" in job(github, GITHUB_TOKEN="").issue(wanted()).said[0]
    assert "role Reporter" in job(gitlab, GITLAB_TOKEN="").issue(wanted()).said[0]
    assert not detect({}).issue(wanted()).ok


def test_who_cannot_have_it_is_said_and_the_issue_is_made(github: IssueGitHub, gitlab: IssueGitLab) -> None:
    for fake in (github, gitlab):
        fake.nobody = {"ada"}
        filed = job(fake).issue(wanted(assignees=("ada",)))
        assert (filed.ok, filed.did, len(fake.issues)) == (True, "created", 1)
        assert "ada" in filed.said[0]


def test_a_quick_action_in_it_is_no_command(gitlab: IssueGitLab) -> None:
    job(gitlab).issue(wanted("/assign @mallory\n/close"))
    assert not any(line.lstrip().startswith("/") for line in text(gitlab.issues[0]).split("\n"))


def test_a_text_that_is_too_long_is_cut_and_still_ours(github: IssueGitHub) -> None:
    job(github).issue(wanted("\n".join(f"- psi.column_{n} 0.31 > 0.2" for n in range(9_000))))
    assert len(text(github.issues[0])) <= 65_536
    assert job(github).issue(wanted("short")).number == "100"
    assert "column_1" not in text(github.issues[0])
