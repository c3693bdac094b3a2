"""Committing back, on each forge: a real repository behind real HTTP, and an API as described."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forges.fake_forge import TOKEN, FakeForge, FakeGitea, FakeGitHub, FakeGitLab
from forges.git_host import GitHost, leaked
from forges.place import BETTER, GITLAB_TOKEN, JOB_TOKEN, READERS, WRITERS, Place, clean
from mlgate.errors import MlgateError
from mlgate.repo.git import Git


@pytest.fixture
def place(tmp_path: Path, fake: FakeForge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    clean(monkeypatch)
    with GitHost(tmp_path / "host", write=WRITERS, read=READERS) as host:
        yield Place(tmp_path, fake, host)


def only(kind: type[FakeForge]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fake", [kind], indirect=True)


def refused(place: Place, how: str = "pull-request", **more: object) -> str:
    with pytest.raises(MlgateError) as error:
        place.back(how, **more)  # type: ignore[arg-type]
    return str(error.value)


# -- the way it should go


def test_one_commit_and_one_request(place: Place) -> None:
    base = place.repo.head
    place.trained()
    done = place.back(labels=["model"])
    branch = f"mlgate/visits/train-{base[:7]}"
    assert place.host.branches() == {"main": base, branch: done.commit}
    assert place.host.git("rev-list", f"main..{branch}") == done.commit
    changed = place.host.git("diff-tree", "-r", "--no-commit-id", done.commit).splitlines()
    assert [(line.split()[1], line.split()[-1]) for line in changed] == [
        ("100644", "dvc.lock"),
        ("100644", "metrics/eval.json"),
    ]
    (request,) = place.requests()
    assert (request["head"], request["base"], request["title"]) == (branch, "main", "Train visits")
    assert request["labels"] == ["model"]
    assert done.branch == branch
    assert done.url.endswith("/8")


def test_the_commit_says_what_it_is_and_who_made_it(place: Place) -> None:
    place.trained()
    done = place.back()
    name, email, message = place.host.git("log", "-1", "--format=%cn%x00%ce%x00%B", done.commit).split("\0")
    assert place.host.git("log", "-1", "--format=%an %ae", done.commit) == f"{name} {email}"
    if isinstance(place.fake, FakeGitLab):
        assert (name, email) == ("project_12_bot", "project_12_bot@noreply.gitlab.test")
    elif isinstance(place.fake, FakeGitea):
        assert (name, email) == ("mlgate-bot", "mlgate-bot@noreply.127.0.0.1")
    else:
        assert (name, email) == ("github-actions[bot]", "github-actions[bot]@users.noreply.127.0.0.1")
    subject, _, trailers = message.partition("\n\n")
    assert subject == "Train visits"
    found = dict(line.split(": ", 1) for line in trailers.split("\n") if line)
    assert found["Mlgate-Train"] == "visits"
    assert found["Mlgate-Base"] == place.repo.head
    assert found["Mlgate-Run"].startswith(("http://", "https://"))
    assert "skip" not in message


def test_the_request_shows_metrics_before_and_after(place: Place) -> None:
    place.trained()
    place.back(body="Because of **drift**.")
    body = place.requests()[0]["body"]
    assert "Because of **drift**." in body
    assert "| `metrics/eval.json` | `auc` | 0.72 | 0.75 | +0.03 |" in body
    assert "- `dvc.lock`" in body
    assert "The run that made it" in body


def test_neither_working_tree_nor_index_nor_refs_are_touched(place: Place) -> None:
    place.repo.write("metrics/eval.json", "half written")
    place.repo.write("src/train.py", "# being edited\n")
    place.repo.git("add", "src/train.py")
    place.trained()
    before = [place.repo.git("status", "--porcelain"), place.repo.git("for-each-ref"), place.repo.git("diff")]
    place.back()
    after = [place.repo.git("status", "--porcelain"), place.repo.git("for-each-ref"), place.repo.git("diff")]
    assert before == after


def test_from_a_shallow_clone_as_ci_makes_them(place: Place) -> None:
    for n in range(5):
        place.person("main", f"{n}.md")
    repo = place.clone("--depth=1")
    place.trained(repo=repo)
    done = place.back(repo=repo)
    place.trained({"auc": 0.8, "log_loss": 0.5}, repo=repo)
    again = place.back(repo=repo)
    assert place.host.branches()[done.branch] == again.commit != done.commit
    assert place.host.git("rev-parse", f"{again.commit}^") == repo.head


def test_onto_the_branch_itself(place: Place) -> None:
    base = place.repo.head
    place.trained()
    done = place.back("branch")
    assert place.host.branches() == {"main": done.commit}
    assert place.host.git("rev-parse", f"{done.commit}^") == base
    assert place.requests() == []
    assert done.url == ""
    assert done.said[0].startswith("Committed to main: ")
    assert done.said[0].endswith(done.commit)


def test_onto_a_named_branch_without_a_request(place: Place) -> None:
    place.trained()
    done = place.back("branch", branch="retrained")
    assert place.host.branches()["retrained"] == done.commit
    assert place.requests() == []


@only(FakeGitHub)
def test_onto_the_branch_of_a_pull_request(place: Place) -> None:
    head = place.person("better", onto="main")
    repo = place.clone(branch="better")
    place.trained(repo=repo)
    assert isinstance(place.fake, FakeGitHub)
    side = {"full_name": "acme/visits"}
    pull = {
        "number": 7,
        "head": {"sha": head, "ref": "better", "repo": side},
        "base": {"sha": "b" * 40, "ref": "main", "repo": side},
    }
    event = place.tmp_path / "pull-request.json"
    event.write_text(json.dumps({"pull_request": pull}))
    environ = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
    done = place.back("branch", repo=repo, env=environ)
    assert place.host.branches()["better"] == done.commit
    merge = Git(repo.path)
    repo.commit("The merge that GitHub checks out")
    assert merge.head() != head
    place.trained(repo=repo)
    assert "not the head of the pull request but its merge" in refused(place, "branch", repo=repo, env=environ)


def test_as_a_job_calls_it(place: Place) -> None:
    place.trained()
    outputs = place.tmp_path / "outputs"
    environ = place.environ(place.repo, GITHUB_OUTPUT=str(outputs))
    done = place.repo.mlgate("train", "--proposal", str(place.folder), "--commit", "pull-request", **environ)
    assert done.returncode == 0, done.stderr
    (request,) = place.requests()
    assert request["head"] in done.stdout
    for secret in (TOKEN, GITLAB_TOKEN, JOB_TOKEN):
        assert secret not in done.stdout + done.stderr
    if isinstance(place.fake, FakeGitHub):
        assert place.host.branches()[request["head"]] in outputs.read_text()
    assert place.repo.git("status", "--porcelain", "--ignored") == ""


# -- secrets


@pytest.mark.parametrize("how", ["branch", "pull-request"])
def test_the_token_is_in_no_argument_no_file_and_no_word(
    place: Place, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even where the project keeps a credential helper that stores all it sees."""
    place.repo.git("config", "credential.helper", f"store --file={tmp_path}/stored")
    commands: list[str] = []
    real = subprocess.run

    def noted(command: list[str], **more: object) -> object:
        commands.append(" ".join(map(str, command)))
        return real(command, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", noted)
    place.trained()
    done = place.back(how)  # type: ignore[arg-type]
    assert any(" push " in command for command in commands)
    config = place.repo.git("config", "--list", "--show-origin")
    printed = capfd.readouterr()
    for secret in (TOKEN, GITLAB_TOKEN, JOB_TOKEN):
        assert secret not in "\n".join([*commands, config, printed.out, printed.err, *done.said, done.url])
        assert leaked(secret, place.repo.path) == leaked(secret, place.host.bare) == []
    assert not (tmp_path / "stored").exists()


def test_each_request_of_git_carries_one_header_beside_what_checkout_left(place: Place) -> None:
    place.repo.git("config", f"http.{place.host.url}/.extraheader", "AUTHORIZATION: basic b2xkOm9sZA==")
    place.trained()
    place.back()
    assert set(place.host.seen) <= WRITERS
    assert place.host.seen


# -- again


def test_the_same_again_pushes_nothing_and_opens_nothing(place: Place) -> None:
    place.trained()
    first = place.back()
    again = place.back(clock=lambda: 2e9)
    assert (again.commit, again.url) == (first.commit, first.url)
    assert len(place.requests()) == 1
    assert any("already" in sentence for sentence in again.said)


def test_a_second_run_brings_branch_and_request_up_to_date(place: Place) -> None:
    place.trained()
    first = place.back()
    (request,) = place.requests()
    edited = f"A person's own words.\r\n\r\n{request['body']}\r\n\r\nAnd these."
    store = place.fake.pulls if isinstance(place.fake, FakeGitHub) else place.fake.merges  # type: ignore[attr-defined]
    store[0]["description" if isinstance(place.fake, FakeGitLab) else "body"] = edited
    place.trained({"auc": 0.9, "log_loss": 0.3})
    second = place.back()
    (request,) = place.requests()
    assert place.host.branches()[first.branch] == second.commit != first.commit
    assert place.host.git("rev-list", "--count", f"main..{first.branch}") == "1"
    assert request["body"].startswith("A person's own words.")
    assert request["body"].endswith("And these.")
    assert "| 0.72 | 0.90 |" in request["body"]
    assert "0.75" not in request["body"]


@pytest.mark.parametrize("depth", ["--no-single-branch", "--depth=1"])
def test_a_branch_of_one_name_follows_main(place: Place, depth: str) -> None:
    place.trained()
    place.back(branch="retrain/visits")
    for n in range(3):
        place.person("main", f"more-{n}.md")
    repo = place.clone(depth)
    place.trained(repo=repo)
    done = place.back(branch="retrain/visits", repo=repo)
    assert place.host.git("rev-parse", f"{done.commit}^") == repo.head
    assert len(place.requests()) == 1


def test_a_request_that_was_opened_by_a_person_keeps_its_text(place: Place) -> None:
    place.trained()
    branch = place.back("branch", branch="mine").branch
    if isinstance(place.fake, FakeGitLab):
        place.fake.merge(branch, body="Mine.", author="mona")
    else:
        assert isinstance(place.fake, FakeGitHub)
        place.fake.pull(branch, body="Mine.", author="mona")
    done = place.back(branch="mine")
    assert [request["body"] for request in place.requests()] == ["Mine."]
    assert any("opened by somebody else" in sentence for sentence in done.said)


def test_a_fork_with_a_branch_of_the_same_name_is_another_branch(place: Place) -> None:
    branch = f"mlgate/visits/train-{place.repo.head[:7]}"
    if isinstance(place.fake, FakeGitLab):
        place.fake.merge(branch, body="A fork's.", author="mallory", fork=True)
    else:
        assert isinstance(place.fake, FakeGitHub)
        pull = place.fake.pull(branch, body="A fork's.", author="mallory")
        pull["head"]["repo"]["full_name"] = "mallory/visits"
    place.trained()
    place.back()
    assert [request["head"] for request in place.requests()] == [branch, branch]
    assert place.requests()[0]["body"] == "A fork's."


def test_opened_by_a_run_beside_this_one(place: Place) -> None:
    """Between looking and opening: the forge says that there is one, and it is found."""
    place.trained()
    place.back()
    listing = "/merge_requests" if isinstance(place.fake, FakeGitLab) else "/pulls"
    place.fake.fault("GET", listing, status=200, body=[])
    done = place.back()
    assert place.fake.count("POST", listing) == 2
    assert done.url.endswith("/8")
    assert len(place.requests()) == 1


def test_an_unclear_answer_opens_no_second_request(place: Place) -> None:
    listing = "/merge_requests" if isinstance(place.fake, FakeGitLab) else "/pulls"
    place.fake.fault("POST", listing, status=502, after=True)
    place.trained()
    assert place.back().url.endswith("/8")
    assert len(place.requests()) == 1


# -- nothing, and loops


def test_nothing_changed_is_no_commit(place: Place) -> None:
    place.trained({"auc": 0.72, "log_loss": 0.58})
    done = place.back()
    assert (done.commit, done.branch, done.url) == ("", "", "")
    assert "Nothing to commit" in done.said[0]
    assert list(place.host.branches()) == ["main"]
    assert place.fake.requests == []


@pytest.mark.parametrize("merged", ["pushed", "merge commit", "squashed"])
def test_training_again_from_the_same_inputs_does_not_go_on_for_ever(place: Place, merged: str) -> None:
    place.trained()
    done = place.back("branch", branch="" if merged == "pushed" else "made")
    people = place.people
    people.git("fetch", "--quiet", str(place.host.bare), done.commit)
    people.git("checkout", "--quiet", "main")
    if merged == "merge commit":
        people.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request 8", done.commit)
    if merged == "squashed":
        people.git("merge", "--quiet", "--squash", done.commit)
        people.git("commit", "--quiet", "-m", f"Train (8)\n\n{people.git('log', '-1', '--format=%b', done.commit)}")
    if merged != "pushed":
        people.git("push", "--quiet", str(place.host.bare), "main")
    repo = place.clone("--depth=1")
    place.trained({"auc": 0.7501, "log_loss": 0.55}, repo=repo)
    said = refused(place, "branch", repo=repo)
    assert "was trained from these very inputs" in said
    assert "metrics/eval.json" in said
    assert place.back("branch", repo=repo, force=True).commit


def test_new_inputs_on_top_of_a_commit_of_ours_are_trained(place: Place) -> None:
    place.trained()
    place.back("branch")
    place.person("main", "src/train.py")
    repo = place.clone()
    place.trained({"auc": 0.8, "log_loss": 0.5}, repo=repo)
    assert place.back("branch", repo=repo).commit


# -- others


def test_a_branch_with_commits_of_people_is_never_overwritten(place: Place) -> None:
    place.trained()
    done = place.back()
    theirs = place.person(done.branch)
    place.trained({"auc": 0.9, "log_loss": 0.3})
    said = refused(place)
    assert f"the branch {done.branch} has commits that mlgate did not make ({theirs[:7]} Look into it (Ada)" in said
    assert place.host.branches()[done.branch] == theirs


@pytest.mark.parametrize("what", ["amended", "rebased", "taken"])
def test_what_people_made_of_it_is_theirs(place: Place, what: str) -> None:
    place.trained()
    branch = place.back("branch", branch="shared").branch
    people = place.people
    people.git("fetch", "--quiet", str(place.host.bare), "shared")
    people.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    if what == "amended":
        people.write("metrics/eval.json", '{"auc": 0.99}')
        people.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    elif what == "rebased":
        ours = people.head
        place.person("main", "x.md")
        people.git("cherry-pick", ours)
    else:
        people.git("checkout", "--quiet", "--detach", "main")
        people.write("mine.md", "mine")
        people.commit("Mine")
    people.git("push", "--quiet", "--force", str(place.host.bare), "HEAD:refs/heads/shared")
    theirs = people.head
    place.trained({"auc": 0.9, "log_loss": 0.3})
    assert "has commits that mlgate did not make" in refused(place, "branch", branch="shared")
    assert place.host.branches()[branch] == theirs


def test_two_runs_at_once_leave_one_branch_and_no_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other run's push lands between looking and pushing."""
    from mlgate.repo import push  # noqa: PLC0415

    other = place.clone()
    place.trained()
    real = push.push
    raced: list[str] = []

    def late(*args: object, **more: object) -> None:
        if not raced:
            raced.append("now")
            raced.append(place.back("branch", repo=other, branch="made", clock=lambda: 1e9).commit)
        real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(push, "push", late)
    done = place.back("branch", branch="made", clock=lambda: 2e9)
    assert place.host.branches()["made"] == done.commit == raced[1]


def test_main_moved_on_while_it_trained(place: Place) -> None:
    place.trained()
    theirs = place.person("main")
    said = refused(place, "branch")
    assert f"main is not at {place.repo.head[:7]}, which was trained, but at {theirs[:7]}" in said
    assert "Rebase" in said
    assert place.host.branches() == {"main": theirs}


def test_commits_of_another_branch_do_not_come_along(place: Place) -> None:
    """A checkout of what is ahead of main, in a clone whose HEAD names no branch: it could go forward, with them."""
    place.person("better", onto="main")
    repo = place.clone(branch="better")
    repo.git("checkout", "--quiet", "--detach")
    before = place.host.branches()
    place.trained(repo=repo)
    assert "which was trained, but at" in refused(place, "branch", repo=repo)
    assert place.host.branches() == before


def test_the_branch_that_is_checked_out_by_name_is_the_one_that_was_trained(place: Place) -> None:
    place.person("develop", onto="main")
    repo = place.clone(branch="develop")
    place.trained(repo=repo)
    place.back(repo=repo)
    assert [request["base"] for request in place.requests()] == ["develop"]


def test_two_runs_at_once_onto_main(place: Place) -> None:
    other = place.clone()
    place.trained()
    first = place.back("branch", repo=other, clock=lambda: 1e9)
    second = place.back("branch", clock=lambda: 2e9)
    assert place.host.branches() == {"main": first.commit}
    assert second.commit == first.commit


# -- no


PROTECTED = {
    FakeGitHub: "error: GH006: Protected branch update failed for refs/heads/main.",
    FakeGitea: "Gitea: Not allowed to push to protected branch main",
    FakeGitLab: "GitLab: You are not allowed to push code to protected branches on this project.",
}


def test_a_protected_branch(place: Place) -> None:
    place.host.hook("pre-receive", f"echo '{PROTECTED[type(place.fake)]}' >&2", "exit 1")
    place.trained()
    said = refused(place, "branch")
    assert "protect" in said
    assert "`commit: pull-request`" in said
    assert "main was not pushed (" in said
    if isinstance(place.fake, FakeGitLab):
        assert "Allowed to push and merge" in said


@only(FakeGitHub)
def test_a_rule_set_of_github(place: Place) -> None:
    words = "error: GH013: Repository rule violations found for refs/heads/main. Commits must have verified signatures."
    place.host.hook("pre-receive", f"echo '{words}' >&2", "exit 1")
    place.trained()
    assert "verified signatures" in refused(place, "branch")


def test_a_token_that_may_only_read(place: Place) -> None:
    place.host.read, place.host.write = WRITERS, set()
    place.trained()
    said = refused(place)
    assert "Write access to repository not granted" in said
    assert ("`write_repository`" if isinstance(place.fake, FakeGitLab) else "`contents: write`") in said
    assert place.requests() == []


def test_a_token_that_is_not_valid(place: Place) -> None:
    place.host.write = place.host.read = set()
    place.trained()
    assert "not valid" in refused(place)


def test_no_token(place: Place) -> None:
    place.trained()
    env = {"GITHUB_TOKEN": "", "GITLAB_TOKEN": "", "CI_JOB_TOKEN": ""}
    said = refused(place, env=env)
    assert "nothing can be pushed" in said
    assert ("GITLAB_TOKEN" if isinstance(place.fake, FakeGitLab) else "github-token") in said


def test_a_forge_that_is_not_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    place.trained()
    gone = {"GITHUB_SERVER_URL": "http://127.0.0.1:9", "CI_PROJECT_URL": "http://127.0.0.1:9/acme/visits"}
    said = refused(place, env=gone)
    assert "Connection refused" in said or "connect" in said


def test_forks_tags_queues_and_names_that_are_none(place: Place) -> None:
    place.trained()
    for branch in ("-x", "refs/heads/main", "a..b", "a b", "x.lock"):
        assert "is no name for a branch" in refused(place, branch=branch)
    assert "into itself" in refused(place, branch="main")
    if isinstance(place.fake, FakeGitLab):
        tag = {"CI_COMMIT_TAG": "v1"}
        train = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}
        fork = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "99"}
        assert "merge queue" in refused(place, env=train)
        assert "from a fork" in refused(place, env=fork)
    else:
        tag = {"GITHUB_REF": "refs/tags/v1"}
    assert "a tag is no branch" in refused(place, env=tag)
    assert list(place.host.branches()) == ["main"]


def test_the_default_branch_is_not_overwritten_from_another(place: Place) -> None:
    place.person("better", onto="main")
    repo = place.clone(branch="better")
    place.trained(repo=repo)
    env = {"GITHUB_REF": "refs/heads/better", "CI_COMMIT_BRANCH": "better"}
    assert "main is the default branch" in refused(place, "branch", branch="main", repo=repo, env=env)


def test_a_title_never_skips_ci(place: Place) -> None:
    place.trained()
    assert "tells CI to skip" in refused(place, title="Train visits [skip ci]")


# -- requests that cannot be opened


@only(FakeGitHub)
def test_the_setting_of_github_that_forbids_it(place: Place) -> None:
    words = "GitHub Actions is not permitted to create or approve pull requests."
    place.fake.fault("POST", "/pulls", status=403, body={"message": words, "documentation_url": "x"})
    place.trained()
    said = refused(place)
    assert "`Allow GitHub Actions to create and approve pull requests`" in said
    assert "is pushed" in said
    assert f"/acme/visits/compare/main...mlgate/visits/train-{place.repo.head[:7]}" in said


def test_a_token_that_may_push_but_not_open(place: Place) -> None:
    words = {"message": "Resource not accessible by integration"}
    listing = "/merge_requests" if isinstance(place.fake, FakeGitLab) else "/pulls"
    place.fake.fault("POST", listing, status=403, body=words)
    place.trained()
    said = refused(place)
    assert ("scope `api`" if isinstance(place.fake, FakeGitLab) else "`pull-requests: write`") in said
    assert len(place.host.branches()) == 2


def test_a_label_that_cannot_be_set_is_said_and_no_more(place: Place) -> None:
    gitlab = isinstance(place.fake, FakeGitLab)
    place.fake.fault("PUT" if gitlab else "POST", "/merge_requests/" if gitlab else "/labels", status=403, body={})
    place.trained()
    done = place.back(labels=["a", "b"])
    assert any(s.startswith("The labels a, b were not set") for s in done.said)
    assert done.url


@only(FakeGitLab)
def test_gitlab_with_the_token_of_the_job_alone(place: Place) -> None:
    place.trained()
    env = {"GITLAB_TOKEN": ""}
    said = refused(place, "branch", env=env)
    assert "CI_JOB_TOKEN may not push here" in said
    assert "`Allow Git push requests to the repository`" in said
    place.host.write = {f"gitlab-ci-token:{JOB_TOKEN}"}
    said = refused(place, env=env)
    assert "is pushed" in said
    assert "GITLAB_TOKEN" in said
    assert "merge_requests/new?merge_request%5Bsource_branch%5D=mlgate" in said
    done = place.back("branch", env=env)
    assert any("starts no pipeline" in sentence for sentence in done.said)
    name = place.host.git("log", "-1", "--format=%an %ae", done.commit)
    assert name == "mlgate-bot mlgate-bot@noreply.127.0.0.1"


# -- who starts the gate


def test_the_token_of_the_job_starts_no_gate_and_that_is_said_once(place: Place) -> None:
    place.trained()
    done = place.back()
    said = [s for s in done.said if "job's own token" in s]
    assert len(said) == (0 if isinstance(place.fake, FakeGitLab) else 1)
    if type(place.fake) is FakeGitHub:
        assert "`Approve workflows to run`" in said[0]
    place.trained({"auc": 0.8, "log_loss": 0.5})
    direct = place.back("branch")
    assert any("starts no workflows" in s for s in direct.said) == (type(place.fake) is FakeGitHub)


@pytest.mark.parametrize(("me", "token"), [("mona", "ghp_x"), ("visits-bot[bot]", "ghs_app")])
def test_another_token_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, me: str, token: str) -> None:
    clean(monkeypatch)
    with FakeGitHub(me) as fake, GitHost(tmp_path / "host", write={f"x-access-token:{token}"}) as host:
        place = Place(tmp_path, fake, host)
        place.trained()
        done = place.back(env={"GITHUB_TOKEN": token})
        assert done.url
        assert not any("own token" in sentence for sentence in done.said)
        assert fake.problems == []


# -- in a terminal


def test_in_a_terminal_with_the_users_own_remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch)
    with FakeGitHub() as fake, GitHost(tmp_path / "host", write=set()) as host:
        place = Place(tmp_path, fake, host)
        place.repo.git("remote", "set-url", "origin", str(host.bare))
        place.trained()
        monkeypatch.setattr(Place, "environ", lambda *_, **__: {})
        done = place.back("branch")
        assert host.branches() == {"main": done.commit}
        place.trained({"auc": 0.8, "log_loss": 0.5})
        with pytest.raises(MlgateError, match="no forge"):
            place.back(branch="x")
    assert BETTER["auc"] == 0.75
