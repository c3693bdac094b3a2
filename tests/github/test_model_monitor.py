"""From a scheduled look at production to the pull request with a successor, by the real act: starters, reusable
workflows, actions, a real DVC, a webhook and a forge.

One project goes through it all: a retraining that fails, two monitors at once that start one, and what that proposes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from walked_production import MODEL, Forge, Walked, only

from example.consumer import git
from forges.fake_forge import TOKEN
from mlgate.data import profiles
from mlgate.model import Evidence
from receiving import Receiver

pytestmark = [pytest.mark.act, pytest.mark.dvc]
CHAT = "hushhush"  # a part of the address that nobody may read in a log


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge() as fake:
        yield fake
    assert not fake.problems


def test_from_a_scheduled_look_at_production_to_the_pull_request(tmp_path: Path, forge: Forge) -> None:
    there = Walked(tmp_path, forge)
    with Receiver() as chat:
        secrets = {"MLGATE_NOTIFY_ENV": f"# where people are told\nCHAT_URL=json://{chat.host}/{CHAT}\n"}
        _fails(there, chat, secrets)
        _two_look_at_once(there, chat, secrets)
        _succeeds(there, chat, secrets)
        _is_done_once(there, chat, secrets)
    _is_judged(there)


def _fails(there: Walked, chat: Receiver, secrets: dict[str, str]) -> None:
    """Somebody asks for a successor, and training fails: what is in production stays, and people are told."""
    there.surveyed(broken=True)
    main, branches = there.fetched("main"), there.branches()
    done = there.act("workflow_dispatch", "model-retrain.yml", secrets=secrets, run="10", reason="The survey is new")
    jobs = {name: done.job(name) for name in ("Ask", "Train", "Propose")}
    assert jobs == {"Ask": "success", "Train": "failure", "Propose": "failure"}, done.text
    assert done.code != 0
    assert "could not convert string to float: 'nothing'" in done.text, "the project's own words"

    begun, ended = there.entries("trigger")
    assert (begun.rule, begun.outcome, begun.reason) == ("manual", "started", "The survey is new")
    assert (ended.started, ended.outcome, ended.reason) == (begun.id, "failed", "It could not be trained.")
    assert only(json.loads(done.outputs("Decide, or take up what was decided")["orders"]))["trigger"] == begun.id
    assert done.step("Tell people") == "success"
    said = "The retraining failed (It could not be trained.): no successor is proposed. production keeps v1.0.0."
    assert said in done.summary
    assert (there.fetched("main"), there.branches()) == (main, branches)
    assert there.forge.pulls == []
    assert there.forge.started == []

    message = only(chat.seen)
    assert (message.path, message.json["type"]) == (f"/{CHAT}", "failure")
    assert said in message.json["message"]
    assert "https://github.com/acme/visits/actions/runs/10" in message.json["message"]
    issue = only(there.forge.issues)
    assert said in issue["body"]
    assert [label["name"] for label in issue["labels"]] == ["mlgate"]
    assert CHAT not in done.text


def _two_look_at_once(there: Walked, chat: Receiver, secrets: dict[str, str]) -> None:
    """Both are red, say why and read the same; one starts a retraining, and one tells people."""
    there.surveyed()
    there.logs(more=60)
    told = len(chat.seen)
    beside = there.beside()
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(one.act, "schedule", "model-monitor.yml", secrets=secrets, run=run)
            for one, run in ((there, "11"), (beside, "12"))
        ]
        both = [run.result() for run in runs]
    window = ""
    for done in both:
        assert (done.job("Monitor"), done.code != 0) == ("failure", True), done.text
        outputs = done.outputs("Read the window")
        assert (outputs["verdict"], outputs["passed"], outputs["exit-code"]) == ("fail", "false", "1"), done.text
        alert = only(json.loads(outputs["alerts"]))
        assert (alert["model"], alert["rule"], alert["severity"]) == ("visits", "drift", "critical")
        assert "psi.score" in alert["said"]
        assert {"x", "score"} <= {*json.loads(outputs["drifted"])}
        assert outputs["rows"] == "600"
        assert "`drift` firing" in done.summary
        assert done.step("Ask for a successor") == done.step("Tell people") == "success", done.text
        kept = done.artifacts / "mlgate-monitor"
        assert "psi.x" in (kept / "report.html").read_text("utf-8")
        evidence = Evidence.from_json((kept / "evidence/visits/monitor.json").read_bytes())
        assert evidence.subject is not None
        assert evidence.subject.digest == {"sha256": there.digest}
        assert evidence.source.event == "schedule"
        window = outputs["window"]
        assert evidence.watched is not None
        assert evidence.watched.counts["corrupt"] == 1
        assert only(evidence.artifacts).startswith(".mlgate/quarantine/")
        whole = [file for file in done.artifacts.rglob("*") if file.is_file()]
        assert [file for file in whole if b"torn away" in file.read_bytes()] == [], "it stays on the runner"
        assert CHAT not in done.text
        assert "torn away" not in done.text

    readings = there.entries("reading")
    assert len(readings) == len({one.id for one in readings}), "a window is remembered once"
    assert {one.window for one in readings} == {window}
    assert {(one.name, one.state) for one in readings} >= {("drift", "breached"), ("psi.x", "breached")}

    first = only([done for done in both if done.outputs("Ask for a successor")["start"] == "true"])
    begun = only([one for one in there.entries("trigger") if one.outcome == "started" and one.rule == "drift"])
    assert first.outputs("Ask for a successor")["trigger"] == begun.id
    evidence_file = first.artifacts / "mlgate-monitor/evidence/visits/monitor.json"
    assert begun.report == sha256(evidence_file.read_bytes()).hexdigest()
    assert begun.reason == window
    assert only(there.forge.started) == {
        "workflow": "model-retrain.yml", "ref": "main", "inputs": {"trigger": begun.id, "config": "mlgate.yaml"},
    }  # fmt: skip

    message = only(chat.seen[told:]).json["message"]
    assert "retraining" not in message, "that one is due does not end that the last one failed"
    assert "**critical** `visits` in `production`: `drift`" in message
    assert "Ask the survey whether its questions have changed." in message
    assert "a successor is to be proposed" in message
    issue = only([one for one in there.forge.issues if "Ask the survey" in one["body"]])
    assert issue["state"] == "open"
    alerts = [one for one in there.entries("alert") if one.key == "drift"]
    assert only([one for one in alerts if one.sent]).sent == ("board", "chat")


def _succeeds(there: Walked, chat: Receiver, secrets: dict[str, str]) -> None:
    """What the forge was asked to start, started: trained, pushed, proposed with its cause, and told to the ledger."""
    main, told = there.fetched("main"), len(chat.seen)
    asked = only(there.forge.started)["inputs"]
    done = there.act("workflow_dispatch", "model-retrain.yml", secrets=secrets, run="13", **asked)
    jobs = {name: done.job(name) for name in ("Ask", "Train", "Propose")}
    assert (done.code, jobs) == (0, dict.fromkeys(jobs, "success")), done.text
    assert json.loads(done.outputs("Train")["stages-run"]) == ["train", "predict", "evaluate"]

    pull = only(there.forge.pulls)
    assert (pull["head"]["ref"], pull["base"]["ref"]) == ("mlgate/visits/retrain", "main")
    assert pull["title"] == "Retrain visits (rule drift)"
    assert [label["name"] for label in pull["labels"]] == ["model"]
    begun, ended = [one for one in there.entries("trigger") if one.rule == "drift" and one.outcome != "held back"]
    since, until = (text.replace("T", " ")[:16] for text in begun.reason.split("/"))
    for words in ("the rule `drift`", "psi.score", f"{since} to {until} UTC", begun.report, begun.id, "actions/runs/1"):
        assert words in pull["body"], words
    assert (ended.outcome, ended.started, ended.url) == ("proposed", begun.id, pull["html_url"])

    head = there.fetched("mlgate/visits/retrain")
    assert git(there.repo, "rev-parse", f"{head}^") == main == there.fetched("main")
    changed = git(there.repo, "diff", "--name-only", main, head).split()
    assert changed == ["data/train.csv.dvc", "dvc.lock", "metrics/eval.json", "metrics/profile.json"]
    assert git(there.repo, "log", "-1", "--format=%an", head) == "github-actions[bot]"
    lock = yaml.safe_load(git(there.repo, "show", f"{head}:dvc.lock"))
    stored = {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}[MODEL]
    model = (there.folder / f"remote/files/md5/{stored[:2]}/{stored[2:]}").read_bytes()  # pushed before it was proposed
    assert json.loads(model)["rows"] == 500
    profile = profiles.read(git(there.repo, "show", f"{head}:metrics/profile.json").encode(), "profile", model="visits")
    assert profile.digest == sha256(model).hexdigest() != there.digest

    assert only(there.forge.started[1:]) == {"workflow": "model-gate.yml", "ref": "mlgate/visits/retrain", "inputs": {}}
    assert {seen.headers["Authorization"] for seen in there.forge.requests} == {f"Bearer {TOKEN}"}
    assert "A successor is proposed." in done.summary
    assert f"[pull request]({pull['html_url']})" in done.summary
    message = only(chat.seen[told:])
    assert message.json["title"] == "[over] visits: retraining"
    assert [issue["state"] for issue in there.forge.issues] == ["closed", "open"], (
        "the failure is over, the drift is not"
    )


def _is_done_once(there: Walked, chat: Receiver, secrets: dict[str, str]) -> None:
    """The same run started again trains nothing: it is over, and people hear of it."""
    told, ledger = len(chat.seen), there.entries("trigger")
    asked = there.forge.started[0]["inputs"]
    done = there.act("workflow_dispatch", "model-retrain.yml", secrets=secrets, run="15", **asked)
    jobs = {name: done.job(name) for name in ("Ask", "Train", "Propose")}
    assert jobs == {"Ask": "failure", "Train": "", "Propose": ""}, done.text
    assert f"the retraining {asked['trigger']} is over: it ended as `proposed`" in done.summary
    assert there.entries("trigger") == ledger
    assert only(chat.seen[told:]).json["title"] == "[critical] visits: retrain"


def _is_judged(there: Walked) -> None:
    """The gate that was started on the branch, with the job's own token alone: its statuses land on that head."""
    asked = there.forge.started[-1]
    head = there.fetched(asked["ref"])
    git(there.repo, "switch", "--quiet", "--detach", head)
    done = there.act("workflow_dispatch", asked["workflow"], secrets={}, run="14", branch=asked["ref"])
    jobs = {name: done.job(name) for name in ("Run", "Judge", "Model gate")}
    assert jobs == dict.fromkeys(jobs, "success"), done.text
    assert {one["sha"] for one in there.forge.statuses} == {head}
    assert {one["state"] for one in there.forge.statuses} == {"success"}
    compared = Evidence.from_json((done.artifacts / "mlgate-report/evidence/visits/compare.json").read_bytes())
    assert compared.verdict == "pass", [check for check in compared.checks if check.verdict != "pass"]
    assert compared.champion is not None
    assert compared.champion.commit == there.deployed
