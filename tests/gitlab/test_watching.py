"""From a scheduled look at production to the merge request with a successor, by gitlab-ci-local: real templates, a real
DVC, a webhook, and a GitLab whose every request is held against its published description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgate.data import profiles
from mlgate.model import Evidence
from receiving import Receiver

from .pipelines import Pipeline, Project
from .templates import NAMES, ROOT
from .test_pipelines import TOKEN
from .watched_production import MODEL, Forge, Watched

pytestmark = [pytest.mark.gitlab, pytest.mark.dvc]
CHAT = "hushhush"  # a part of the address that nobody may read in a log
JOBS = ("mlgate-ask", "mlgate-successor", "mlgate-propose")


@pytest.fixture
def gitlab() -> Iterator[Forge]:
    with Forge() as fake:
        yield fake
        assert fake.problems == []


@pytest.fixture
def chat() -> Iterator[Receiver]:
    with Receiver() as service:
        yield service


def only(found: Any) -> Any:
    assert len(found) == 1, found
    return found[0]


def triggers(there: Watched, **fields: str) -> list[Any]:
    entries = there.entries("trigger")
    return [entry for entry in entries if all(getattr(entry, name) == value for name, value in fields.items())]


def everything(done: Pipeline) -> bytes:
    return b"".join(file.read_bytes() for file in (done.state / "artifacts").rglob("*") if file.is_file())


# -- the walks


def test_two_scheduled_looks_at_drift_end_red_and_propose_one_successor(
    tmp_path: Path, wheel: Path, gitlab: Forge, chat: Receiver
) -> None:
    there = Watched(tmp_path, wheel, gitlab)
    there.include("model-monitor")
    there.scoped(CHAT_URL=f"json://{chat.host}/{CHAT}")
    there.surveyed()
    there.logs(more=60)
    begun = _two_look_at_once(there, chat)
    main = there.include("model-retrain")
    asked = only(gitlab.started)["inputs"]
    assert asked == {"MLGATE_TRIGGER": begun.id, "MLGATE_CONFIG": "mlgate.yaml"}
    done = there.run("api", **asked)
    assert done.codes == dict.fromkeys(JOBS, 0), done.text
    _is_proposed(there, begun, main, done)
    assert len(gitlab.started) == 1


def _two_look_at_once(there: Watched, chat: Receiver) -> Any:
    """Both are red, say why and read the same; one starts a retraining, and one tells people. That retraining."""
    beside = there.beside()
    with ThreadPoolExecutor() as pool:
        both = [one.result() for one in [pool.submit(one.run, "schedule") for one in (there, beside)]]
    windows = set()
    for done in both:
        assert done.codes == {"mlgate-monitor": 1}, done.text
        left = done.artifact("mlgate-monitor")
        assert "psi.x" in (left / "report.html").read_text("utf-8")
        evidence = Evidence.from_json((left / "evidence/visits/monitor.json").read_bytes())
        assert evidence.verdict == "fail"
        assert evidence.source.event == "schedule"
        assert evidence.subject is not None
        assert evidence.subject.digest == {"sha256": there.digest}
        assert evidence.watched is not None
        assert (evidence.watched.rows, evidence.watched.counts["corrupt"]) == (600, 1)
        assert {alert.rule: alert.state for alert in evidence.watched.alerts} == {"drift": "firing"}
        windows.add(f"{evidence.watched.since}/{evidence.watched.until}")
        assert b"torn away" not in everything(done), "it stays on the runner"
        for secret in (TOKEN, CHAT, there.project.variables["CI_JOB_TOKEN"]):
            assert secret not in done.text
            assert secret.encode() not in everything(done)
    readings = there.entries("reading")
    assert len(readings) == len({one.id for one in readings}), "a window is remembered once"
    assert {one.window for one in readings} == windows
    assert {(one.name, one.state) for one in readings} >= {("drift", "breached"), ("psi.x", "breached")}
    begun = only(triggers(there, outcome="started"))
    assert {begun.reason} == windows
    reports = [(done.artifact("mlgate-monitor") / "evidence/visits/monitor.json").read_bytes() for done in both]
    assert begun.report in {sha256(report).hexdigest() for report in reports}
    message = only(chat.seen)
    assert message.path == f"/{CHAT}"
    assert "Ask the survey whether its questions have changed." in message.json["message"]
    issue = only(there.gitlab.issues)
    assert (issue["state"], issue["labels"]) == ("opened", ["mlgate"])
    assert "Ask the survey" in issue["description"]
    return begun


def _is_proposed(there: Watched, begun: Any, main: str, done: Pipeline) -> None:
    """One commit on the branch of the model, trained and pushed, in one merge request that says why."""
    merge = only(there.gitlab.merges)
    assert (merge["source_branch"], merge["target_branch"]) == ("mlgate/visits/retrain", "main")
    assert merge["title"] == "Retrain visits (rule drift)"
    assert merge["labels"] == ["model"]
    since, until = (text.replace("T", " ")[:16] for text in begun.reason.split("/"))
    for words in ("the rule `drift`", "psi.score", f"{since} to {until} UTC", begun.report, begun.id):
        assert words in merge["description"], words
    ended = only([one for one in there.entries("trigger") if one.started])
    assert (ended.outcome, ended.started, ended.url) == ("proposed", begun.id, merge["web_url"])
    head, git = there.fetched("mlgate/visits/retrain"), there.repo.git
    assert git("rev-parse", f"{head}^") == main == there.fetched("main")
    changed = git("diff", "--name-only", main, head).split()
    assert changed == ["data/train.csv.dvc", "dvc.lock", "metrics/eval.json", "metrics/profile.json"]
    lock = yaml.safe_load(git("show", f"{head}:dvc.lock"))
    stored = {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}[MODEL]
    model = (there.folder / f"seed/remote/files/md5/{stored[:2]}/{stored[2:]}").read_bytes()
    assert json.loads(model)["rows"] == 500
    profile = profiles.read(git("show", f"{head}:metrics/profile.json").encode(), "profile", model="visits")
    assert profile.digest == sha256(model).hexdigest() != there.digest
    assert "token <>" in done.said("mlgate-successor"), "project code gets no token that can write"
    assert TOKEN not in done.text
    assert TOKEN.encode() not in everything(done)


def test_a_training_that_fails_keeps_the_model_and_says_so(
    tmp_path: Path, wheel: Path, gitlab: Forge, chat: Receiver
) -> None:
    there = Watched(tmp_path, wheel, gitlab)
    main = there.include("model-retrain")
    there.scoped(CHAT_URL=f"json://{chat.host}/{CHAT}")
    there.surveyed(broken=True)
    branches = there.branches()
    done = there.run("web", MLGATE_REASON="The survey is new")
    assert done.codes["mlgate-ask"] == 0, done.text
    assert done.codes["mlgate-successor"] != 0
    assert done.codes["mlgate-propose"] == 1
    assert "could not convert string to float: 'nothing'" in done.said("mlgate-successor"), "the project's own words"
    begun, ended = there.entries("trigger")
    assert (begun.rule, begun.outcome, begun.reason) == ("manual", "started", "The survey is new")
    assert (ended.started, ended.outcome, ended.reason) == (begun.id, "failed", "It could not be trained.")
    said = "The retraining failed (It could not be trained.): no successor is proposed. production keeps v1.0.0."
    assert said in done.said("mlgate-propose")
    assert said in only(chat.seen).json["message"]
    assert said in only(gitlab.issues)["description"]
    assert gitlab.merges == gitlab.started == []
    assert (there.fetched("main"), there.branches()) == (main, branches), "production keeps its model"

    # Somebody mends the data: it is proposed, and who heard of the failure hears that it is over.
    there.surveyed()
    again = there.run("web", MLGATE_REASON="The survey is mended")
    assert again.codes == dict.fromkeys(JOBS, 0), again.text
    assert "The survey is mended" in only(gitlab.merges)["description"]
    assert chat.seen[-1].json["title"] == "[over] visits: retraining"
    assert only(gitlab.issues)["state"] == "closed"


def test_one_pipeline_can_do_it_all_without_starting_another(tmp_path: Path, wheel: Path, gitlab: Forge) -> None:
    there = Watched(tmp_path, wheel, gitlab, dispatch={"by": "none"})
    there.include("model-monitor", notify=False)
    main = there.include("model-retrain", notify=False)
    there.scoped()
    there.surveyed()
    there.logs(more=60)
    done = there.run("schedule")
    assert done.codes == {"mlgate-monitor": 1, **dict.fromkeys(JOBS, 0)}, done.text
    _is_proposed(there, only(triggers(there, outcome="started")), main, done)
    assert gitlab.started == []
    again = there.run("schedule")
    assert again.codes == {"mlgate-monitor": 1, **dict.fromkeys(JOBS, 0)}, again.text
    assert "No retraining is due." in again.said("mlgate-successor"), "the same window asks once"
    assert len(gitlab.merges) == 1


def test_a_child_pipeline_does_it_all_as_well(tmp_path: Path, wheel: Path, gitlab: Forge) -> None:
    """As docs/gitlab.md shows it: the parent has one job, which starts the others."""
    there = Watched(tmp_path, wheel, gitlab, dispatch={"by": "none"})
    there.include("model-monitor", "model-retrain", notify=False)
    caller = there.repo.path / ".gitlab-ci.yml"
    there.repo.write(".gitlab/watch.yml", caller.read_text("utf-8"))
    page = (ROOT / "docs/gitlab.md").read_text("utf-8")
    (block,) = [text for text in page.split("```yaml\n") if text.startswith("watch:")]
    caller.write_text(block.split("```")[0])
    there.project.push()
    there.scoped(everywhere=there.project.variables)  # gitlab-ci-local hands what it was called with to no child
    there.surveyed()
    there.logs(more=60)
    done = there.run("schedule")
    ended = dict(re.findall(r"\[watch\] -> (mlgate-\S+) +finished in .*?(?:FAIL (\d+))? *$", done.text, re.M))
    assert ended == {"mlgate-monitor": "1", **dict.fromkeys(JOBS, "")}, done.text
    begun, end = there.entries("trigger")
    assert (begun.rule, begun.outcome, end.started, end.outcome) == ("drift", "started", begun.id, "proposed")
    assert begun.id in only(gitlab.merges)["description"]
    assert gitlab.started == []


def test_without_drift_everything_is_quiet(tmp_path: Path, wheel: Path, gitlab: Forge, chat: Receiver) -> None:
    there = Watched(tmp_path, wheel, gitlab)
    there.include("model-monitor")
    there.include("model-retrain")
    there.scoped(CHAT_URL=f"json://{chat.host}/{CHAT}")
    there.logs()
    done = there.run("schedule")
    assert done.codes == dict.fromkeys(("mlgate-monitor", *JOBS), 0), done.text
    assert "No retraining is due." in done.said("mlgate-successor")
    assert (there.entries("trigger"), chat.seen, gitlab.started, gitlab.merges) == ([], [], [], [])
    assert there.entries("reading")


def test_without_a_token_and_variables_it_finds_its_work_and_names_the_token(
    tmp_path: Path, wheel: Path, gitlab: Forge
) -> None:
    """As GitLab makes new projects: nobody sets variables of a pipeline; and nobody has given a GITLAB_TOKEN."""
    gitlab.variables = False
    there = Watched(tmp_path, wheel, gitlab)
    there.include("model-monitor", notify=False)
    there.surveyed()
    there.logs(more=60)
    done = there.run("schedule")
    assert done.codes == {"mlgate-monitor": 1}, done.text
    assert only(gitlab.started)["inputs"] == {}
    there.include("model-retrain", notify=False)
    trained = there.run("pipeline")
    assert (trained.codes["mlgate-ask"], trained.codes["mlgate-successor"]) == (0, 0), trained.text
    assert trained.codes["mlgate-propose"] != 0
    said = trained.said("mlgate-propose")
    assert "CI_JOB_TOKEN cannot" in said
    assert "GITLAB_TOKEN (masked, environment scope `mlgate`)" in said
    (begun,) = triggers(there, outcome="started")
    (ended,) = triggers(there, started=begun.id)
    assert (ended.outcome, ended.reason) == ("failed", "It was trained, and could not be proposed.")


# -- what runs in which pipeline


def listed(project: Project, *arguments: str, **given: str) -> list[str]:
    out = project.run("--list-csv", *arguments, **given).out
    return sorted(line.split(";")[0] for line in out.splitlines() if line.startswith("mlgate-"))


@pytest.mark.parametrize("source", ["api", "trigger", "pipeline"])
def test_a_pipeline_for_a_successor_does_nothing_else(project: Project, source: str) -> None:
    for name in ("ml-pipeline", "model-build", "model-deploy", "rollback", "train", "model-monitor", "model-retrain"):
        assert name in NAMES
        project.include(name)
    project.push()
    assert listed(project, source=source, MLGATE_TRIGGER="0" * 32) == sorted(JOBS)
    assert "mlgate-run" in listed(project, source=source)


def test_a_schedule_watches_and_a_push_does_not(project: Project) -> None:
    project.include("model-monitor")
    project.include("model-retrain")
    project.push()
    assert listed(project, source="schedule") == sorted([*JOBS, "mlgate-monitor"])
    assert listed(project, source="push") == []
    project.repo.git("switch", "--quiet", "--create", "other")
    assert listed(project, source="schedule") == [], "only what is on the default branch is in production"
