"""Named statuses on the commit under judgement."""

from __future__ import annotations

import pytest

from forges.conftest import job
from forges.fake_forge import HEAD, MERGE, FakeForge, FakeGitHub, FakeGitLab
from mlgate.forges import detect


@pytest.mark.parametrize("state", ["success", "failure", "error", "pending"])
def test_on_github_it_stands_on_the_head_never_on_the_merge_commit(github: FakeGitHub, state: str) -> None:
    posted = job(github).status("mlgate/compare", state, "auc fell", "https://ci.test/1")  # type: ignore[arg-type]
    assert (posted.did, posted.said) == ("created", "")
    assert github.requests[0].body == {
        "state": state,
        "context": "mlgate/compare",
        "description": "auc fell",
        "target_url": "https://ci.test/1",
    }
    assert github.statuses[0]["sha"] == HEAD


@pytest.mark.parametrize(
    ("state", "theirs"), [("success", "success"), ("failure", "failed"), ("error", "failed"), ("pending", "pending")]
)
def test_on_gitlab_it_joins_the_pipeline_that_is_running(gitlab: FakeGitLab, state: str, theirs: str) -> None:
    """On another commit than the pipeline's, or without its number, GitLab would open a second pipeline of it."""
    posted = job(gitlab).status("mlgate/compare", state, "auc fell")  # type: ignore[arg-type]
    assert (posted.did, posted.said) == ("created", "")
    assert gitlab.statuses[0] | {"status": theirs, "sha": MERGE, "pipeline_id": 900} == gitlab.statuses[0]


def test_what_gitlab_will_not_set_twice_is_not_a_failure(gitlab: FakeGitLab) -> None:
    assert job(gitlab).status("mlgate", "pending", "x").did == "created"
    again = job(gitlab).status("mlgate", "pending", "x")
    assert (again.did, again.said) == ("unchanged", "")


def test_another_refusal_of_gitlab_is_said(gitlab: FakeGitLab) -> None:
    words = "Cannot transition status via :enqueue from :success (Reason(s): ...)"
    gitlab.fault("POST", "/statuses/", status=400, body={"message": words})
    assert "it was refused (400: Cannot transition" in job(gitlab).status("mlgate", "pending", "x").said


def test_words_are_cut_to_what_the_forge_takes(fake: FakeForge) -> None:
    long = "two\nlines\x1b[31m " + "ä" * 500
    assert job(fake).status("mlgate/" + "x" * 300, "success", long, "javascript:alert(1)").did == "created"
    body = fake.requests[0].body
    assert len(body["description"]) == (255 if isinstance(fake, FakeGitLab) else 140)
    assert body["description"].startswith("two lines")
    assert "\x1b" not in body["description"]
    assert "target_url" not in body


def test_an_empty_description_is_left_out(fake: FakeForge) -> None:
    assert job(fake).status("mlgate", "success", "").did == "created"
    assert "description" not in fake.requests[0].body


def test_without_permission_the_sentence_says_which_line_to_add(github: FakeGitHub) -> None:
    github.fault("POST", "/statuses/", status=403, body={"message": "Resource not accessible by integration"})
    posted = job(github).status("mlgate", "success", "x")
    assert posted.url is None
    assert "Add `statuses: write` under `permissions:`" in posted.said


def test_a_status_may_be_sent_again_after_an_unclear_answer(fake: FakeForge) -> None:
    fake.fault("POST", "/statuses/", status=502, after=True)
    assert job(fake).status("mlgate", "success", "x").did == "created"
    assert fake.count("POST", "/statuses/") == 2


@pytest.mark.parametrize("status", [404, 422])
def test_a_refusal_is_a_sentence(fake: FakeForge, status: int) -> None:
    fake.fault("POST", "/statuses/", status=status, body={"message": "No commit found for SHA"})
    assert f"({status}: No commit found for SHA)" in job(fake).status("mlgate", "success", "x").said


def test_no_commit_no_status(github: FakeGitHub, gitlab: FakeGitLab) -> None:
    environ = github.environ("workflow_dispatch", {}, GITHUB_SHA="refs/heads/main")
    assert "on which commit" in detect(environ).status("mlgate", "success", "x").said
    assert "on which commit" in job(gitlab, CI_COMMIT_SHA="").status("mlgate", "success", "x").said
    assert github.requests == gitlab.requests == []
