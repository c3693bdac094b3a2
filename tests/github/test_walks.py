"""The starter, walked through by a real runner, on real payloads: good and bad, for every event.

act ends with the first called workflow that fails, so the required job is seen in the good walks only; what it does
after a bad one is in test_contract.py.
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import walk
from workflow_files import ROOT

import tools
import trained
from example.consumer import challenger, commit, git, make
from forges import description
from forges.fake_forge import FakeGitHub, Reply, Seen
from mlgate.model import Evidence
from train import prepared

pytestmark = pytest.mark.act

RUN = 30433642  # the number of the run in GitHub's own example of `workflow_run`


class Forge(FakeGitHub):
    """And what doctor asks, and the artifacts of one run."""

    artifact = ""  # where the archive is

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        if path == f"/repos/{self.project}/rules/branches/main":
            return Reply(200, [])
        if path == f"/repos/{self.project}/branches/main":
            return Reply(404, {"message": "Branch not found"})
        if path == f"/repos/{self.project}/actions/runs/{RUN}/artifacts" and self.artifact:
            found = {"id": 11, "node_id": "x", "name": "mlgate-report", "size_in_bytes": 5000, "expired": False}
            times = dict.fromkeys(("created_at", "expires_at", "updated_at"), "2026-01-05T12:00:00Z")
            links = dict.fromkeys(("url", "archive_download_url"), f"{self.host}/x")
            return Reply(200, {"total_count": 1, "artifacts": [found | times | links]})
        if path == f"/repos/{self.project}/actions/artifacts/11/zip":
            return Reply(302, None, {"Location": self.artifact})
        return super()._serve_other(seen, path)


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge() as fake:
        yield fake
    assert not fake.problems


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """The consumer: example-project on its champion, with the starter as its caller."""
    return consumer(tmp_path)


def consumer(folder: Path, *, made: Path | None = None, starter: str = "model-gate.yml", **inputs: str | bool) -> Path:
    """Its caller is the starter; only what it gives as `with:` is changed, to set up in a moment what takes minutes."""
    found = made or make(folder)
    (found / ".github" / "workflows").mkdir(parents=True, exist_ok=True)
    git(found, "remote", "set-url", "origin", f"{walk.SERVER}/{walk.PROJECT}.git")
    git(folder / "origin.git", "config", "uploadpack.allowAnySHA1InWant", "true")
    if made is None:  # its data is nowhere: no file, no remote
        trained.without_contracts(found)
    text = (ROOT / "workflows" / starter).read_text("utf-8")
    given = {"setup": 'test "${REMOTE_SECRET:-}" != hushhush || echo "with $REMOTE_SECRET"'} | inputs
    lines = "\n".join(f"      {key}: {json.dumps(value)}" for key, value in given.items())
    text = text.replace("      setup: pip install -r requirements.txt", lines)
    (found / ".github" / "workflows" / "model-gate.yml").write_text(text)
    commit(found, "Call the gate")
    publish(found, "refs/heads/main")
    return found


def publish(repo: Path, ref: str) -> str:
    """Makes the commit that is checked out known to the forge; its id."""
    git(repo, "push", "--quiet", "--force", str(repo.parent / "origin.git"), f"HEAD:{ref}")
    return git(repo, "rev-parse", "HEAD")


def payload(event: str, action: str | None = None) -> dict[str, Any]:
    """A real payload, told of our repository."""
    text = json.dumps(tools.payload(event, action))
    for theirs in ("Codertocat/Hello-World", "octo-org/octo-repo"):
        text = text.replace(theirs, walk.PROJECT)
    found: dict[str, Any] = json.loads(text)
    found["repository"] |= {"default_branch": "main", "full_name": walk.PROJECT}
    return found


def pull_request(
    repo: Path,
    kind: Any,
    tamper: Callable[[Path], None] | None = None,
    *,
    change: Callable[[Path, Any], str] = challenger,
) -> tuple[str, dict[str, Any]]:
    """Opens a pull request and checks out the merge commit that GitHub makes of it; its head and the payload."""
    base, head = git(repo, "rev-parse", "main"), change(repo, kind)
    if tamper:
        tamper(repo)
        head = commit(repo, "And more")
    publish(repo, "refs/pull/7/head")
    git(repo, "switch", "--quiet", "--detach", "main")
    git(repo, "merge", "--quiet", "--no-ff", "--message", "Merge", head)
    publish(repo, "refs/pull/7/merge")
    found = payload("pull_request", "synchronize")
    found["number"] = found["pull_request"]["number"] = 7
    for side, sha, ref in (("head", head, str(kind)), ("base", base, "main")):
        found["pull_request"][side] |= {"sha": sha, "ref": ref}
    return head, found


def push(repo: Path, kind: Any) -> tuple[str, dict[str, Any]]:
    """Pushes two commits to main, so that the champion is not the first parent."""
    before = git(repo, "rev-parse", "main")
    challenger(repo, kind)
    (repo / "README.md").write_text("Visits\n")
    commit(repo, "Say what this is")
    git(repo, "branch", "--quiet", "--force", "main", "HEAD")
    git(repo, "switch", "--quiet", "main")
    after = publish(repo, "refs/heads/main")
    found = payload("push") | {"before": before, "after": after, "ref": "refs/heads/main", "created": False}
    return after, found | {"deleted": False, "forced": False, "base_ref": None}


def merge_group(repo: Path, kind: Any) -> tuple[str, dict[str, Any]]:
    """An entry of the merge queue, on top of a base that is not main's tip any more."""
    base, head = git(repo, "rev-parse", "main"), challenger(repo, kind)
    ref = f"refs/heads/gh-readonly-queue/main/pr-7-{base}"
    publish(repo, ref)
    found = payload("merge_group", "checks_requested")
    found["merge_group"] |= {"head_sha": head, "base_sha": base, "base_ref": "refs/heads/main", "head_ref": ref}
    return head, found


EVENTS = {"pull_request": pull_request, "push": push, "merge_group": merge_group}


def evidence(done: walk.Walk, model: str = "doctor-visits", verb: str = "compare") -> Evidence:
    return Evidence.from_json((done.artifacts / "mlgate-report" / "evidence" / model / f"{verb}.json").read_bytes())


@pytest.mark.parametrize("event", EVENTS)
def test_a_better_model_passes(event: str, repo: Path, forge: Forge) -> None:
    champion = git(repo, "rev-parse", "main")
    head, told = EVENTS[event](repo, "better")
    done = walk.act(repo, event, told, forge)
    assert {name: done.job(name) for name in ("Run", "Judge", "Model gate")} == {
        "Run": "success",
        "Judge": "success",
        "Model gate": "success",
    }, done.text
    assert done.code == 0
    assert done.outputs("Report")["passed"] == "true"
    assert done.outputs("Report")["exit-code"] == "0"
    compared = evidence(done)
    assert compared.verdict == "pass"
    assert compared.champion is not None
    assert compared.champion.commit == champion
    assert compared.source.event == event
    assert {c["sha"] for c in forge.statuses} == {head}
    assert {c["state"] for c in forge.statuses} == {"success"}
    assert done.outputs("Compare with the champion")["verdict"] == "pass"
    assert "doctor-visits" in done.summary
    if event == "pull_request":
        [comment] = forge.comments
        assert "log_loss" in comment["body"]
        assert done.outputs("Report")["comment-url"] == comment["html_url"]
    else:
        assert forge.comments == []


@pytest.mark.parametrize("event", EVENTS)
def test_a_worse_model_is_stopped(event: str, repo: Path, forge: Forge) -> None:
    head, told = EVENTS[event](repo, "worse")
    done = walk.act(repo, event, told, forge)
    assert (done.job("Run"), done.job("Judge")) == ("success", "failure"), done.text
    assert done.code != 0
    assert done.outputs("Compare with the champion")["verdict"] == "fail"
    assert json.loads(done.outputs("Compare with the champion")["failed-rules"])
    assert done.outputs("Report")["passed"] == "false"
    assert done.outputs("Report")["exit-code"] == "1"
    assert evidence(done).verdict == "fail"
    assert [c["sha"] for c in forge.statuses if c["state"] == "failure"] == [head]
    assert "doctor-visits: fail" in done.summary
    assert any("log_loss" in note for note in done.annotations)
    if event == "pull_request":
        [comment] = forge.comments
        assert "16.7" in comment["body"]
        assert (done.artifacts / "mlgate-report" / "report.html").exists()


def test_the_comment_is_kept_up_to_date(repo: Path, forge: Forge) -> None:
    forge.add("<!-- mlgate: -->\nas it was", "github-actions[bot]")
    _, told = pull_request(repo, "better")
    walk.act(repo, "pull_request", told, forge)
    [comment] = forge.comments
    assert "as it was" not in comment["body"]
    assert "doctor-visits" in comment["body"]


def test_a_run_job_that_fails_is_no_pass(tmp_path: Path, forge: Forge) -> None:
    """And its secrets stay where they belong; and evidence that a commit carries is not looked at."""
    repo = consumer(tmp_path, setup='echo "with $REMOTE_SECRET"; exit 3')
    forged = evidence_of_a_pass("stowaway")

    def tamper(repo: Path) -> None:
        file = repo / ".mlgate" / "evidence" / "stowaway" / "compare.json"
        file.parent.mkdir(parents=True)
        file.write_text(forged)
        git(repo, "add", "--force", ".mlgate")

    _, told = pull_request(repo, "better", tamper)
    done = walk.act(repo, "pull_request", told, forge, secrets={"MLGATE_ENV": "# remote\nREMOTE_SECRET=hushhush\n"})
    assert (done.job("Run"), done.job("Judge")) == ("failure", "failure"), done.text
    assert "with ***" in done.text
    assert "hushhush" not in done.text
    wrong = [check.id for check in evidence(done).checks if check.verdict == "error"]
    assert wrong == ["integrity.handed.train"], "the comparison itself is fine"
    assert done.outputs("Report")["verdict"] == "error"
    [comment] = forge.comments
    assert "failure" in comment["body"]
    assert "stowaway" not in comment["body"]


def test_what_the_run_job_hands_over_is_no_verdict_of_ours(tmp_path: Path, forge: Forge) -> None:
    """Project code writes evidence of its own, in a folder with a name that a shell would like; the hook is run."""
    folder = "visits $(touch pwned) 'it'"
    script = 'for model in doctor-visits stowaway; do install -D "$HOOKED" .mlgate/evidence/$model/compare.json; done'
    repo = consumer(tmp_path, setup=script, **{"working-directory": folder})
    hook = repo / ".github" / "actions" / "mlgate-setup" / "action.yml"
    hook.parent.mkdir(parents=True)
    (tmp_path / "forged.json").write_text(evidence_of_a_pass("doctor-visits"))
    hook.write_text(
        "name: hook\ndescription: Prepares.\nruns:\n  using: composite\n  steps:\n    - shell: bash\n"
        f'      run: echo "HOOKED={tmp_path}/forged.json" >>"$GITHUB_ENV"\n'
    )
    (repo / folder).mkdir()
    for path in ("dvc.lock", "dvc.yaml", "metrics", "mlgate.yaml", "params.yaml", "src", "requirements.txt", ".dvc"):
        git(repo, "mv", path, f"{folder}/{path}")
    commit(repo, "Move into a folder")
    publish(repo, "refs/heads/main")
    told = payload("push")
    before, after = git(repo, "rev-parse", "HEAD~1", "HEAD").split()
    told |= {"before": before, "after": after, "ref": "refs/heads/main"}
    done = walk.act(repo, "push", told, forge)
    handed = done.artifacts / "mlgate-run"
    assert (handed / "stowaway" / "compare.json").exists(), "the forgery came as far as the artifact"
    kept = done.artifacts / "mlgate-report" / "evidence"
    assert sorted(p.relative_to(kept).as_posix() for p in kept.rglob("*.json")) == [
        "doctor-visits/compare.json",
        "doctor-visits/doctor.json",
        "doctor-visits/prepare.json",
        "doctor-visits/train.json",
    ], done.text
    assert "forged" not in evidence(done).title
    assert done.outputs("Report")["evidence"] == f"{folder}/.mlgate/evidence"
    assert not list(tmp_path.rglob("pwned"))


def evidence_of_a_pass(model: str) -> str:
    return Evidence.model_validate({"kind": "compare", "model": model, "verdict": "pass", "title": "forged"}).to_json()


# -- data and training: a project with a real DVC


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> trained.Trained:
    return trained.make(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def project(seed: trained.Trained, tmp_path: Path) -> trained.Trained:
    """A copy of it that calls the gate, and keeps the rows that break a contract."""
    copied = seed.copy(tmp_path)
    consumer(tmp_path, made=copied.path, **{"keep-quarantine": True})
    return copied


# kind -> verdict of the run job's steps, verdict of all, and what the comment says
CHANGES = {
    "good": ({"doctor": "pass", "validate-data": "pass", "train": "pass"}, "pass", []),
    "bad-data": ({"validate-data": "fail"}, "fail", ["data/train.csv", "| 301 | age = -3 |"]),
    "stale": ({"train": "error"}, "error", ["src/train.py"]),
    "unpushed": ({"train": "fail"}, "fail", ["dvc push"]),
    "hand-edited": ({"train": "error"}, "error", ["metrics/eval.json"]),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_what_its_data_and_its_lock_say(kind: trained.Kind, project: trained.Trained, forge: Forge) -> None:
    _, told = pull_request(project.path, kind, change=lambda _, kind: project.change(kind))
    done = walk.act(project.path, "pull_request", told, forge)
    verdicts, verdict, words = CHANGES[kind]
    green = verdict == "pass"
    assert (done.job("Run"), done.job("Judge")) == (("success",) * 2 if green else ("failure",) * 2), done.text
    assert done.outputs("Report")["verdict"] == verdict, done.text
    assert done.outputs("Report")["passed"] == str(green).lower()
    found = {verb: evidence(done, "visits", verb).verdict for verb in ("doctor", "validate-data", "train", "compare")}
    assert {verb: found[verb] for verb in verdicts} == verdicts
    [comment] = forge.comments
    assert [word for word in words if word not in comment["body"]] == []
    kept = done.artifacts / "mlgate-quarantine"
    assert kept.exists()
    bad = "".join(file.read_text("utf-8") for file in kept.rglob("*bad*"))
    assert bad.count(",-3,") == (3 if kind == "bad-data" else 0)


def test_a_champion_of_other_rows_is_scored_again_for_a_judge_without_data(tmp_path: Path, forge: Forge) -> None:
    repo = prepared.published(tmp_path)
    consumer(tmp_path, made=repo.path)

    def change(_: Path, kind: str) -> str:
        prepared.change(repo, data=prepared.rows(20_000, 400, 5))
        return repo.head

    _, told = pull_request(repo.path, "other-rows", change=change)
    done = walk.act(repo.path, "pull_request", told, forge)
    made = evidence(done, "visits", "prepare")
    assert made.verdict == "pass", done.text
    assert {c.id for c in made.checks} >= {"prepare.rescore.holdout.champion", "prepare.entry.holdout.regret.champion"}
    compared = evidence(done, "visits")
    by_id = {check.id: check for check in compared.checks}
    assert by_id["integrity.handed.prepare"].verdict == "pass"
    assert by_id["rules.regret.threshold"].rows == 400, "computed from the rows, which are in no commit"
    assert compared.statistics != "none"
    inputs = sorted(p.name for p in (done.artifacts / "mlgate-inputs").rglob("*") if p.is_file())
    assert len([name for name in inputs if name.startswith("dvc-md5-")]) == 3
    assert "holdout.champion.csv" in inputs
    report = [p.name for p in (done.artifacts / "mlgate-report").rglob("*")]
    assert not set(inputs) & set(report), "rows are no report"


def test_training_is_proposed_as_one_pull_request(seed: trained.Trained, tmp_path: Path, forge: Forge) -> None:
    """And by the job that runs none of it: what `train` leaves is pushed by `commit`."""
    project = seed.copy(tmp_path)
    consumer(tmp_path, made=project.path, starter="train.yml")
    project.repo.write("params.yaml", "train:\n  smoothing: 2\n")
    commit(project.path, "Ask for another model")
    base = publish(project.path, "refs/heads/main")
    told = payload("workflow_dispatch") | {"ref": "refs/heads/main"}
    done = walk.act(project.path, "workflow_dispatch", told, forge)
    assert (done.code, done.job("Commit")) == (0, "success"), done.text
    assert json.loads(done.outputs("Train")["stages-run"]) == ["train", "evaluate"]
    [pull] = forge.pulls
    assert pull["html_url"] == done.outputs("Commit")["pull-request-url"]
    branch, sha = pull["head"]["ref"], done.outputs("Commit")["commit"]
    git(project.path, "fetch", "--quiet", str(tmp_path / "origin.git"), f"refs/heads/{branch}")
    assert git(project.path, "rev-parse", "FETCH_HEAD", "FETCH_HEAD^").split() == [sha, base]
    assert git(project.path, "log", "-1", "--format=%an", sha) == "github-actions[bot]"
    changed = git(project.path, "diff", "--name-only", base, sha).split()
    assert changed == ["dvc.lock", "metrics/eval.json"]
    git(project.path, "switch", "--quiet", "--detach", sha)
    project.dvc("pull", "--quiet")  # pushed before it was committed
    assert (project.path / "models" / "visits.json").exists()


# -- forks: the second workflow of the pair


Keep = Callable[[dict[str, str]], str]


@pytest.fixture
def storage() -> Iterator[Keep]:
    """Where artifacts lie: another host, as far as tokens go. Gives the address of an archive with these files."""
    archives: dict[str, bytes] = {}
    authorised: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorised.extend(self.headers.get_all("Authorization") or [])
            body = archives[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def keep(files: dict[str, str]) -> str:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        path = f"/{len(archives)}.zip"
        archives[path] = body.getvalue()
        return f"http://127.0.0.1:{server.server_port}{path}"

    yield keep
    server.shutdown()
    server.server_close()
    thread.join()
    assert authorised == [], "the storage is no place for the token"


def finished(repo: Path, forge: Forge, *, fork: bool = True) -> dict[str, Any]:
    """The run of a pull request has finished; the pull request is number 7."""
    head = git(repo, "rev-parse", "HEAD")
    told = payload("workflow_run", "completed")
    whose = "stranger/visits" if fork else walk.PROJECT
    told["workflow_run"] |= {"id": RUN, "event": "pull_request", "head_sha": head, "head_branch": "better"}
    told["workflow_run"] |= {"pull_requests": [], "name": "Model gate"}
    told["workflow_run"]["head_repository"] |= {"full_name": whose}
    told["workflow_run"]["head_repository"]["owner"] |= {"login": whose.split("/")[0]}
    pull = description.github().example("pull-request-simple-items")[0]
    pull |= {"number": 7, "state": "open", "requested_teams": []}  # the example of a team lacks what the schema wants
    pull["head"] |= {"sha": head, "ref": "better"}
    pull["head"]["repo"] |= {"full_name": whose}
    forge.pulls = [pull]
    return told


def test_a_fork_s_run_is_reported_as_such(tmp_path: Path, forge: Forge, storage: Keep) -> None:
    repo = consumer(tmp_path, starter="model-gate-fork-comment.yml")
    handed = {"evidence/doctor-visits/compare.json": evidence_of_a_pass("doctor-visits")}
    forge.artifact = storage(handed | {"report.html": "<script>", "x": "y"})
    told = finished(repo, forge)
    done = walk.act(repo, "workflow_run", told, forge)
    assert done.job("Report") == "success", done.text
    [comment] = forge.comments
    assert "doctor-visits" in comment["body"]
    assert "fork" in comment["body"].split("\n\n")[0]
    assert forge.statuses == []
    assert not list(tmp_path.glob("xdg/act/*/hostexecutor/.git"))


def test_a_fork_s_lies_are_not_posted(tmp_path: Path, forge: Forge, storage: Keep) -> None:
    repo = consumer(tmp_path, starter="model-gate-fork-comment.yml")
    forge.artifact = storage({"evidence/doctor-visits/compare.json": evidence_of_a_pass("another")})
    done = walk.act(repo, "workflow_run", finished(repo, forge), forge)
    assert done.job("Report") == "failure"
    assert "speaks of another model" in done.text
    assert forge.comments == []
