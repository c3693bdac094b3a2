"""The one comment, on each forge, through its real API as described."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from forges.conftest import job, quick
from forges.fake_forge import TOKEN, FakeForge, FakeGitHub, FakeGitLab
from mlgate.forges import VOLATILE, Posted, detect, sticky
from mlgate.model import Verdict

MARK = "<!-- mlgate: -->"


def test_created_once_then_updated_in_place(fake: FakeForge) -> None:
    first = job(fake).comment("**fail** 0.1", verdict=Verdict.FAIL)
    second = job(fake).comment("**pass** 0.2", verdict=Verdict.PASS)
    assert (first.did, first.said) == ("created", "")
    assert (second.did, second.said) == ("updated", "")
    assert [c["body"] for c in fake.comments] == [f"{MARK}\n**pass** 0.2"]
    assert first.url == second.url
    assert first.url is not None
    assert first.url.endswith(("#issuecomment-1", "merge_requests/7#note_1"))


def test_the_same_text_again_is_not_sent(fake: FakeForge) -> None:
    job(fake).comment("hello")
    again = job(fake).comment("hello\n")
    assert (again.did, again.said) == ("unchanged", "")
    assert fake.count("PATCH") == fake.count("PUT") == 0


def test_found_behind_250_comments_of_others(fake: FakeForge) -> None:
    for n in range(240):
        fake.add(f"comment {n}", "mona")
    fake.add(f"{MARK}\nold")
    for n in range(9):
        fake.add(f"comment {n}", "mona")
    posted = job(fake).comment("new")
    assert posted.did == "updated"
    assert len(fake.comments) == 250
    assert fake.comments[240]["body"] == f"{MARK}\nnew"


def test_pages_without_link_headers_and_with_nothing_visible() -> None:
    with FakeGitLab(link_header=False) as fake:
        for n in range(210):
            fake.add(f"comment {n}", "mona", hidden=n < 200)
        fake.add(f"{MARK}\nold")
        assert job(fake).comment("new").did == "updated"
        assert fake.problems == []


def test_who_quotes_or_copies_the_marker_is_not_overwritten(fake: FakeForge) -> None:
    fake.add(f"{MARK}\ncopied whole", "mallory")
    fake.add(f"> {MARK}\n> quoted", "mallory")
    fake.add(f"look at this:\n{MARK}")  # ours, but not a gate's
    assert job(fake).comment("new").did == "created"
    assert job(fake).comment("newer").did == "updated"
    assert [c["body"] for c in fake.comments[:3]] == [
        f"{MARK}\ncopied whole",
        f"> {MARK}\n> quoted",
        f"look at this:\n{MARK}",
    ]
    assert fake.comments[3]["body"] == f"{MARK}\nnewer"


def test_of_two_of_ours_the_first_is_kept_up_and_the_other_left_alone(fake: FakeForge) -> None:
    fake.add(f"{MARK}\none")
    fake.add(f"{MARK}\ntwo")
    job(fake).comment("new")
    assert [c["body"] for c in fake.comments] == [f"{MARK}\nnew", f"{MARK}\ntwo"]


def test_each_header_has_its_own_comment(fake: FakeForge) -> None:
    for header in ("visits", "churn", ""):
        job(fake).comment(f"{header} 1", header=header)
    for header in ("visits", "churn", ""):
        assert job(fake).comment(f"{header} 2", header=header).did == "updated"
    assert len(fake.comments) == 3


def test_line_ends_and_space_that_a_forge_stores_differently_are_no_change(fake: FakeForge) -> None:
    fake.add(f"{MARK}\r\nline one  \r\nline two\r\n")
    assert job(fake).comment("line one\nline two").did == "unchanged"


@pytest.mark.parametrize("header", ["a --> b", "<!-- x", "a\nb", "-", "--", "ü|`", "x" * 300, "\ud800", "a-b.c_d/e f"])
def test_no_header_ends_the_marker(header: str) -> None:
    mark = sticky.marker(header)
    inside = mark.removeprefix("<!--").removesuffix("-->")
    assert mark.startswith("<!-- mlgate:")
    assert mark.endswith(" -->")
    assert "--" not in inside
    assert ">" not in inside
    assert "\n" not in mark
    assert len(mark) < 130


def test_different_headers_have_different_markers() -> None:
    headers = ["", "a", "a-b", "a--b", "a b", "A", "ä", "x" * 300, "x" * 301]
    assert len({sticky.marker(h) for h in headers}) == len(headers)


# -- when

WORSE = [Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR]


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("when", ["always", "on-change", "on-failure", "off"])
def test_whether_a_comment_is_created(when: sticky.When, verdict: Verdict) -> None:
    wanted = {
        "always": list(Verdict),
        "on-change": [Verdict.WARN, *WORSE],
        "on-failure": WORSE,
        "off": [],
    }
    assert (sticky.decide(None, "new", when, verdict) == "create") == (verdict in wanted[when])


@pytest.mark.parametrize("when", ["always", "on-change", "on-failure"])
def test_a_comment_that_is_there_turns_green(fake: FakeForge, when: sticky.When) -> None:
    job(fake).comment("red", when=when, verdict=Verdict.FAIL)
    job(fake).comment("green", when=when, verdict=Verdict.PASS)
    assert [c["body"] for c in fake.comments] == [f"{MARK}\ngreen"]


def test_off_asks_nothing(fake: FakeForge) -> None:
    assert job(fake).comment("x", when="off", verdict=Verdict.FAIL) == Posted()
    assert fake.requests == []


def test_on_change_skips_lines_that_always_differ(fake: FakeForge) -> None:
    body = "auc 0.7\nrun 1 {}\n"
    job(fake).comment(body.format(VOLATILE), when="on-change", verdict=Verdict.WARN)
    same = body.replace("run 1", "run 2").format(VOLATILE)
    assert job(fake).comment(same, when="on-change", verdict=Verdict.WARN).did == "unchanged"
    assert job(fake).comment(same, when="always", verdict=Verdict.WARN).did == "updated"
    other = body.replace("auc 0.7", "auc 0.6").format(VOLATILE)
    assert job(fake).comment(other, when="on-change", verdict=Verdict.WARN).did == "updated"


# -- when it cannot be


def test_without_permission_the_sentence_says_which_line_to_add(github: FakeGitHub) -> None:
    body = {"message": "Resource not accessible by integration", "documentation_url": "https://docs.github.com"}
    github.fault("POST", "/comments", status=403, body=body)
    posted = job(github).comment("x")
    assert posted.url is None
    assert posted.said == (
        "The comment was not written: the token may not (403: Resource not accessible by integration). "
        "Add `pull-requests: write` under `permissions:` of the job, and of the job that calls it if it is a called "
        "workflow."
    )
    assert github.count("POST") == 1


def test_from_a_fork_the_sentence_names_the_second_workflow(github: FakeGitHub) -> None:
    environ = github.environ(payload=_fork())
    github.fault("POST", "/comments", status=403, body={"message": "Resource not accessible by integration"})
    forge = detect(environ)
    quick(forge)
    said = forge.comment("x").said
    assert "pull request from a fork" in said
    assert "docs/github.md" in said
    assert "permissions:" not in said


def _fork() -> dict[str, object]:
    return {
        "pull_request": {
            "number": 7,
            "head": {"sha": "a" * 40, "ref": "main", "repo": {"full_name": "mallory/visits"}},
            "base": {"sha": "b" * 40, "ref": "main", "repo": {"full_name": "acme/visits"}},
        },
        "repository": {"full_name": "acme/visits", "default_branch": "main"},
    }


def test_on_gitlab_a_token_without_rights_is_told_which(gitlab: FakeGitLab) -> None:
    body = {
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges",
        "scope": "api",
    }
    gitlab.fault("POST", "/notes", status=403, body=body)
    said = job(gitlab).comment("x").said
    assert "(403: The request requires higher privileges)" in said
    assert "scope `api` and the role Developer" in said


def test_on_gitlab_without_a_token_one_sentence_says_what_is_needed(gitlab: FakeGitLab) -> None:
    forge = job(gitlab, GITLAB_TOKEN="")
    comment, status = forge.comment("x"), forge.status("mlgate/compare", "success", "fine")
    assert comment.said == status.said
    assert "project access token" in comment.said
    assert "scope `api`" in comment.said
    assert "CI_JOB_TOKEN" in comment.said
    assert gitlab.requests == []


def test_without_any_token_github_is_not_asked(github: FakeGitHub) -> None:
    forge = job(github, GITHUB_TOKEN="")
    assert "github-token: ${{ github.token }}" in forge.comment("x").said
    assert github.requests == []


@pytest.mark.parametrize("status", [401, 404, 410, 422])
def test_a_refusal_is_a_sentence_and_is_not_repeated(fake: FakeForge, status: int) -> None:
    words = {"message": "Validation Failed", "errors": [{"field": "body", "code": "invalid"}]}
    fake.fault("POST", "s", status=status, body=words)
    posted = job(fake).comment("x")
    assert posted.url is None
    assert posted.did == "nothing"
    assert f"({status}: Validation Failed: body invalid)" in posted.said or str(status) in posted.said
    assert fake.count("POST", "comments") + fake.count("POST", "notes") == 1
    assert fake.comments == []


def test_a_locked_conversation_is_not_a_matter_of_permissions(github: FakeGitHub) -> None:
    github.fault("POST", "/comments", status=403, body={"message": "Unable to create comment because issue is locked."})
    assert "locked" in (said := job(github).comment("x").said)
    assert "permissions" not in said


def test_a_comment_that_is_deleted_meanwhile_is_written_again(fake: FakeForge) -> None:
    job(fake).comment("old")
    path = "/comments/1" if isinstance(fake, FakeGitHub) else "/notes/1"
    fake.fault("PATCH", path, status=404, body={"message": "Not Found"})
    fake.fault("PUT", path, status=404, body={"message": "Not Found"})
    gone = fake.comments.pop()
    assert job(fake).comment("new").did == "created"
    assert [c["body"] for c in fake.comments] == [f"{MARK}\nnew"]
    assert gone not in fake.comments


# -- with patience


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_passing_fault_of_a_reading_request_passes(fake: FakeForge, status: int) -> None:
    fake.fault("GET", "/7/", status=status, headers={"Retry-After": "2"})
    forge = detect(fake.environ())
    waits = quick(forge)
    assert forge.comment("x").did == "created"
    assert len(waits) == 1
    assert waits == [2.0] or status not in (429, 503)


def test_too_many_requests_before_the_comment_was_written(fake: FakeForge) -> None:
    fake.fault("POST", "/7/", status=429, headers={"Retry-After": "1"}, times=2)
    assert job(fake).comment("x").did == "created"
    assert len(fake.comments) == 1


def test_github_also_says_403_for_too_many_requests(github: FakeGitHub) -> None:
    body = {"message": "You have exceeded a secondary rate limit"}
    github.fault("POST", "/comments", status=403, body=body, headers={"Retry-After": "3"})
    forge = detect(github.environ())
    waits = quick(forge)
    assert forge.comment("x").did == "created"
    assert waits == [3.0]


def test_asked_to_wait_an_hour_it_does_not(fake: FakeForge) -> None:
    fake.fault("GET", "/7/", status=429, headers={"Retry-After": "3600"})
    forge = detect(fake.environ())
    waits = quick(forge)
    said = forge.comment("x").said
    assert waits == []
    assert "limits the rate of requests (429) and asks to wait 3600 seconds" in said


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_an_unclear_answer_never_makes_a_second_comment(fake: FakeForge, after: bool, drop: bool) -> None:
    fake.fault("POST", "/7/", status=502, after=after, drop=drop)
    posted = job(fake).comment("x")
    assert posted.did == "created"
    assert posted.url is not None
    assert len(fake.comments) == 1
    assert fake.count("POST", "/7/") == (1 if after else 2)


def test_a_forge_that_stays_down_is_a_sentence_after_few_tries(fake: FakeForge) -> None:
    fake.fault("GET", "", status=503, times=99)
    fake.fault("POST", "", status=503, times=99)
    forge = detect(fake.environ())
    waits = quick(forge)
    assert "answered 503" in forge.comment("x").said
    assert len(fake.requests) <= 5
    assert sum(waits) < 60


def test_statuses_and_comments_share_their_patience(fake: FakeForge) -> None:
    fake.fault("GET", "", status=503, headers={"Retry-After": "25"}, times=999)
    fake.fault("POST", "", status=503, headers={"Retry-After": "25"}, times=999)
    forge = detect(fake.environ())
    waits = quick(forge)
    for n in range(20):
        assert forge.status(f"mlgate/{n}", "failure", "x").said
    assert forge.comment("x").said
    assert sum(waits) <= 60


def test_nobody_at_home(fake: FakeForge) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    forge = job(fake, GITHUB_API_URL=gone, CI_API_V4_URL=gone)
    assert forge.comment("x").said == "The comment was not written: 127.0.0.1 cannot be reached."
    assert forge.status("mlgate", "success", "x").said == "The status was not set: 127.0.0.1 cannot be reached."


def test_an_answer_that_is_no_json_is_a_sentence(fake: FakeForge) -> None:
    fake.fault("GET", "/7/", status=200, body="<html>Please log in</html>")
    assert "something that is not JSON" in job(fake).comment("x").said


def test_an_answer_of_another_shape_is_a_sentence(fake: FakeForge) -> None:
    fake.fault("GET", "/7/", status=200, body={"comments": []})
    assert "not a list" in job(fake).comment("x").said


@pytest.mark.parametrize("item", [None, 3, {}, {"id": "1", "body": MARK}, {"id": 1, "body": None, "user": None}])
def test_a_comment_of_another_shape_is_passed_over(fake: FakeForge, item: object) -> None:
    fake.fault("GET", "/7/", status=200, body=[item])
    assert job(fake).comment("x").did == "created"


def test_a_redirect_to_another_host_does_not_get_the_token(fake: FakeForge) -> None:
    with FakeGitHub() as other:
        fake.fault("GET", "/7/", status=302, headers={"Location": f"{other.host}/steal"})
        assert "redirects to another host" in job(fake).comment("x").said
        assert other.requests == []


def test_a_redirect_within_the_host_is_followed_as_what_it_was(github: FakeGitHub) -> None:
    target = f"{github.url}/repos/acme/visits/issues/7/comments"
    github.fault("POST", "/comments", status=307, headers={"Location": target})
    assert job(github).comment("x").did == "created"
    assert len(github.comments) == 1


# -- who we are


def test_with_a_persons_token_the_comment_is_that_persons() -> None:
    with FakeGitHub(me="release-robot") as fake:
        fake.add(f"{MARK}\nby actions", "github-actions[bot]")
        assert job(fake, GITHUB_TOKEN="ghp_made-up").comment("one").did == "created"
        assert job(fake, GITHUB_TOKEN="ghp_made-up").comment("two").did == "updated"
        assert fake.count("GET", "/user") == 2
        assert fake.problems == []


def test_with_the_token_of_an_app_of_ones_own() -> None:
    with FakeGitHub(me="acme-gate[bot]") as fake:
        assert job(fake).comment("one").did == "created"
        assert job(fake).comment("two").did == "updated"
        assert fake.count("GET", "/user") == 0


def test_where_nobody_says_who_we_are_we_are_actions(github: FakeGitHub) -> None:
    github.fault("POST", "/graphql", status=404, times=9)
    job(github).comment("one")
    assert job(github).comment("two").did == "updated"


# -- what is never seen


def test_the_token_is_in_no_sentence_and_no_representation(fake: FakeForge) -> None:
    for secret in (TOKEN, "glpat-made-up"):
        for method in ("GET", "POST"):
            fake.fault(method, "/7/", status=418, body={"message": f"your token {secret} is a teapot"}, times=1)
    fake.fault("POST", "statuses", status=418, body={"message": f"{TOKEN} glpat-made-up"})
    forge = job(fake)
    said = [forge.comment("x"), forge.comment("x"), forge.status("a", "success", "x"), forge, forge.api(), vars(forge)]
    own = fake.environ().get("GITHUB_TOKEN") or fake.environ()["GITLAB_TOKEN"]
    assert own not in repr(said)
    assert own not in str(said)
    assert "teapot" in repr(said)


@pytest.mark.parametrize("token", ["x\ny", "ü", "a\x00b"])
def test_a_mangled_token_is_a_sentence_that_does_not_show_it(fake: FakeForge, token: str) -> None:
    forge = job(fake, GITHUB_TOKEN=token, GITLAB_TOKEN=token)
    said = forge.comment("x").said
    assert "token" in said.lower()
    assert token not in said
    assert fake.requests == []


def test_a_netrc_on_the_runner_does_not_replace_the_token(
    fake: FakeForge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password other\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert job(fake).comment("x").did == "created"  # the fake notes a request without the token as a problem


# -- what it may hold


def test_a_body_over_the_limit_is_cut_and_says_where_the_rest_is(fake: FakeForge) -> None:
    rows = "\n".join(f"| metric_{n} | 0.5 |" for n in range(60_000))
    posted = job(fake).comment(
        f"<details>\n\n| a | b |\n|---|---|\n{rows}\n\n</details>", full="https://ci.test/report"
    )
    assert posted.did == "created"
    body = fake.comments[0]["body"]
    assert len(body) < (1_000_000 if isinstance(fake, FakeGitLab) else 65_536)
    assert body.startswith(MARK)
    assert body.count("</details>") == 1
    assert "more lines do not fit here. [The whole report](https://ci.test/report)." in body


def test_quick_actions_of_gitlab_are_disarmed(gitlab: FakeGitLab) -> None:
    job(gitlab).comment("/merge\n/close\ntext /close\n  /approve\n```\n/label ~x\n```\n~~~\n/tag v1\n~~~")
    lines = gitlab.comments[0]["body"].split("\n")
    assert not [line for line in lines if line.startswith("/")]
    assert lines[1:4] == ["&#47;merge", "&#47;close", "text /close"]
    assert " /label ~x" in lines


def test_system_notes_are_not_ours(gitlab: FakeGitLab) -> None:
    gitlab.add(f"{MARK}\nx", system=True)
    assert job(gitlab).comment("new").did == "created"


def test_the_note_goes_to_the_target_project_of_a_fork(gitlab: FakeGitLab) -> None:
    forge = job(gitlab, CI_PROJECT_ID="99", CI_MERGE_REQUEST_SOURCE_PROJECT_ID="99")
    assert forge.event.from_fork
    assert forge.comment("x").did == "created"


def test_no_pull_request_no_comment_and_no_word(github: FakeGitHub) -> None:
    forge = detect(github.environ("push", {"ref": "refs/heads/main", "before": "b" * 40}))
    assert forge.comment("x", verdict=Verdict.FAIL) == Posted()
    assert github.requests == []


def test_a_broken_event_file_is_a_sentence(github: FakeGitHub) -> None:
    environ = github.environ()
    Path(environ["GITHUB_EVENT_PATH"]).write_text("{")
    forge = detect(environ)
    assert forge.comment("x").said.startswith("The comment was not written: ")
    assert forge.status("a", "success", "x").said.startswith("The status was not set: ")


# -- after a run of a fork's pull request


def _workflow_run(number: int | None = None) -> dict[str, object]:
    pulls = [{"number": number, "head": {"sha": "a" * 40}, "base": {"repo": {"id": 1}}}] if number else []
    return {
        "workflow_run": {
            "event": "pull_request",
            "head_sha": "a" * 40,
            "head_branch": "better",
            "head_repository": {"full_name": "mallory/visits", "owner": {"login": "mallory"}},
            "pull_requests": pulls,
        },
        "repository": {"id": 1, "full_name": "acme/visits", "default_branch": "main"},
    }


def _pull(fake: FakeGitHub, number: int, sha: str, repository: str = "mallory/visits") -> None:
    from forges import description  # noqa: PLC0415 - only these tests need the large example

    pull = description.github().example("pull-request-simple-items")[0]
    pull |= {"number": number, "requested_teams": []}  # the example's team lacks what the schema wants
    pull["head"] |= {"sha": sha, "ref": "better"}
    pull["head"]["repo"]["full_name"] = repository
    fake.pulls.append(pull)


def test_the_forks_pull_request_is_found_by_its_head(github: FakeGitHub) -> None:
    _pull(github, 6, "d" * 40)
    _pull(github, 7, "a" * 40)
    forge = detect(github.environ("workflow_run", _workflow_run()))
    quick(forge)
    assert forge.comment("x").did == "created"
    assert github.requests[0].query == {"state": "open", "head": "mallory:better", "per_page": "100"}


def test_a_head_that_has_moved_on_gets_no_comment(github: FakeGitHub) -> None:
    _pull(github, 7, "d" * 40)
    _pull(github, 8, "a" * 40, "mallory/other")
    forge = detect(github.environ("workflow_run", _workflow_run()))
    assert forge.comment("x") == Posted()
    assert github.comments == []


def test_a_fork_never_gets_a_success_status_by_what_it_reports(github: FakeGitHub) -> None:
    forge = detect(github.environ("workflow_run", _workflow_run()))
    assert forge.status("mlgate", "success", "fine").said
    assert forge.status("mlgate", "failure", "bad").did == "created"
    assert [s["state"] for s in github.statuses] == ["failure"]
