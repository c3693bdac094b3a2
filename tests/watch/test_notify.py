"""`mlgate notify`, as a process of its own: with a ledger behind it, and real receivers in front."""

from __future__ import annotations

import html
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobs
from builder import Repo
from forges.issue_forges import IssueGitHub, is_open, text
from mlgate import config, extras
from mlgate.commands._notify_channels import Channels
from mlgate.errors import MlgateError
from mlgate.forges.none import NoForge
from mlgate.model import AlertSeen, Check, Evidence, Source, Verdict, Watched
from mlgate.watch.sending import Letter
from receiving import Receiver

SECRET = "TIiajkdnlazkcOXrIdevi7FQ"
CONFIG = """\
schema: 1
model: {model}
evaluate:
  holdout:
    metrics: [metrics/eval.json]
compare:
  rules: {{auc: {{is: roc_auc, threshold: 0.7}}}}
notify:
  channels: {channels}
"""


class Place:
    """A clone whose ledger is on its bare remote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        seed = Repo(folder / "seed")
        seed.write("README.md", "A model\n")
        seed.commit("Start")
        seed.git("clone", "--quiet", "--bare", str(seed.path), str(folder / "origin.git"))
        seed.git("clone", "--quiet", str(folder / "origin.git"), str(folder / "clone"))
        self.repo = Repo(folder / "clone")
        self.environ: dict[str, str] = {}

    def config(self, channels: str = "{alerts: ALERTS_URL}", *, model: str = "visits", more: str = "") -> None:
        name = "mlgate.yaml" if model == "visits" else f"models/{model}/mlgate.yaml"
        self.repo.write(name, CONFIG.format(model=model, channels=channels) + more)
        self.repo.commit()

    def leave(self, evidence: Evidence) -> None:
        self.repo.write(f".mlgate/evidence/{evidence.model}/{evidence.kind}.json", evidence.to_json())

    def notify(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        done = self.repo.mlgate("notify", *args, **{**self.environ, **env})
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done

    def said(self, model: str = "visits") -> dict[str, Any]:
        return self.repo.evidence(model, "notify")

    def ledger(self) -> list[dict[str, Any]]:
        done = self.repo.mlgate("audit", "log", "--json", "--kind", "alert", **self.environ)
        return [each["entry"] for each in json.loads(done.stdout or "[]")]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def service() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def ready(place: Place, service: Receiver) -> Place:
    place.config()
    place.environ["ALERTS_URL"] = f"json://u:{SECRET}@{service.host}/{SECRET}"
    return place


def alert(state: Any = "firing", rule: str = "drift", severity: Any = "critical", **more: Any) -> AlertSeen:
    said = {"said": "psi.age 0.31 > 0.2", "held": "2 of 3 in the last 5 windows", "since": "2026-11-18"}
    return AlertSeen(rule=rule, state=state, severity=severity, **{**said, **more})


def monitor(*alerts: AlertSeen, model: str = "visits", verdict: Verdict = Verdict.FAIL, **more: Any) -> Evidence:
    window = {"since": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z"}
    return Evidence(
        kind="monitor",
        model=model,
        title="age has moved",
        verdict=verdict,
        source=Source(commit="a" * 40, run_url="https://ci.example.org/runs/1", event="schedule"),
        watched=Watched(environment="production", alerts=alerts, versions={"v1.2.0": 900, "v1.1.0": 4}, **window),
        **more,
    )


def step(kind: str, verdict: Verdict, **more: Any) -> Evidence:
    check = Check(id="x", title="x", verdict=verdict, reason="The canary answers too slowly.")
    source = Source(commit="a" * 40, event=more.pop("event", "push"))
    return Evidence(kind=kind, model="visits", verdict=verdict, source=source, checks=[check], **more)


# -- what people get ---------------------------------------------------------------------------------------------------


def test_an_alert_is_told_once_with_all_that_people_need(ready: Place, service: Receiver) -> None:
    ready.leave(monitor(alert(message="Look at the new clinic.", retrain=True)))
    for _ in range(3):
        assert ready.notify().returncode == 0
    [request] = service.seen
    assert request.json["title"] == "[critical] visits in production: drift"
    assert request.json["message"].splitlines() == [
        "**critical** `visits` in `production`: `drift`",
        "- `psi.age 0.31 > 0.2` (2 of 3 in the last 5 windows)",
        "- since 2026-11-18",
        "- to do: Look at the new clinic.",
        "- a successor is to be proposed",
        "- version `v1.2.0`, commit aaaaaaa",
        "- [Run](https://ci.example.org/runs/1)",
    ]
    [claimed, told] = ready.ledger()
    assert (claimed["reason"], claimed.get("sent", [])) == ("being sent", [])
    assert {key: told[key] for key in ("model", "environment", "key", "state", "severity", "sent", "window")} == {
        "model": "visits",
        "environment": "production",
        "key": "drift",
        "state": "raised",
        "severity": "critical",
        "sent": ["alerts"],
        "window": "2026-11-20T00:00:00Z/2026-11-21T00:00:00Z",
    }
    assert ready.said()["title"] == "There is nothing new to tell."


def test_the_end_is_told_once(ready: Place, service: Receiver) -> None:
    for state, verdict in [("firing", Verdict.FAIL), ("recovered", Verdict.PASS), ("quiet", Verdict.PASS)]:
        ready.leave(monitor(alert(state), verdict=verdict))
        ready.notify()
    assert [request.json["title"] for request in service.seen] == [
        "[critical] visits in production: drift",
        "[over] visits in production: drift",
    ]
    assert service.seen[1].json["type"] == "success"


@pytest.mark.parametrize("state", ["pending", "unknown", "quiet", "recovered"])
def test_nobody_hears_of_what_does_not_fire(ready: Place, service: Receiver, state: str) -> None:
    ready.leave(monitor(alert(state), verdict=Verdict.WARN))
    assert ready.notify().returncode == 0
    assert service.seen == []


def test_one_message_holds_all_alerts_of_all_models(place: Place, service: Receiver) -> None:
    for model in ("visits", "loans"):
        place.config(model=model)
        place.leave(monitor(alert(severity="warn"), alert(rule="auc", said="auc 0.61 < 0.7"), model=model))
    place.environ["ALERTS_URL"] = f"json://{service.host}/hook"
    done = place.notify("--config", "mlgate.yaml\nmodels/*/mlgate.yaml")
    assert done.returncode == 0, done.stdout
    [request] = service.seen
    assert request.json["title"] == "[critical] visits, loans: 4 alerts"
    heads = [line for line in request.json["message"].splitlines() if line.startswith("**")]
    assert [head.split("**")[1] for head in heads] == ["critical", "critical", "warn", "warn"]


def test_severities_and_models_go_where_they_are_routed(place: Place) -> None:
    with Receiver() as chat, Receiver() as pager:
        place.config("{chat: CHAT_URL, pager: PAGER_URL}", more="  routes: {warn: chat, critical: [pager, chat]}\n")
        place.environ |= {"CHAT_URL": f"json://{chat.host}/x", "PAGER_URL": f"json://{pager.host}/x"}
        place.leave(monitor(alert(severity="warn"), alert(rule="auc")))
        place.notify()
        assert [request.json["title"] for request in chat.seen] == ["[critical] visits: 2 alerts"]
        assert [request.json["title"] for request in pager.seen] == ["[critical] visits in production: auc"]


def test_what_others_wrote_calls_nobody_and_is_no_markup(ready: Place, service: Receiver) -> None:
    evil = "`psi.@channel <!here> [x](https://evil.example.org) **0.3**`\n# boo"
    ready.leave(monitor(alert(said=evil, message=evil)))
    ready.notify()
    message = service.seen[0].json["message"]
    assert len(message.splitlines()) == 6
    [code] = [line for line in message.splitlines() if line.startswith("- `")]
    assert code.count("`") == 2
    [prose] = [line for line in message.splitlines() if "to do" in line]
    assert not set("`<>[]*") & set(prose)
    assert "@channel" not in prose


def test_an_alert_of_a_rule_that_was_taken_out_ends(ready: Place, service: Receiver) -> None:
    ready.leave(monitor(alert()))
    ready.notify()
    ready.leave(monitor(verdict=Verdict.PASS))
    ready.notify()
    assert "the rule is no longer there" in service.seen[1].json["message"]


# -- steps that end badly ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "verdict", "word"),
    [
        ("validate-data", Verdict.FAIL, "critical"),
        ("compare", Verdict.INCONCLUSIVE, "warn"),
        ("deploy", Verdict.ERROR, "critical"),
    ],
)
def test_a_step_that_ends_badly_is_told_and_so_is_its_mending(
    ready: Place, service: Receiver, kind: str, verdict: Verdict, word: str
) -> None:
    ready.leave(step(kind, verdict))
    ready.notify()
    ready.leave(step(kind, Verdict.PASS))
    ready.notify()
    begun, ended = service.seen
    assert begun.json["title"] == f"[{word}] visits: {kind}"
    assert f"{kind}: {verdict}: The canary answers too slowly." in begun.json["message"]
    assert ended.json["title"] == f"[over] visits: {kind}"


def test_a_retraining_that_failed_is_over_when_one_ends_well_and_not_when_one_is_due(
    ready: Place, service: Receiver
) -> None:
    def retrain(what: str, verdict: Verdict) -> Evidence:
        check = Check(id=f"retrain.{what}", group="retrain", title="x", verdict=verdict, reason="No disk was left.")
        return step("retrain", verdict).model_copy(update={"checks": [check], "mode": "enforce"})

    for what, verdict in (("end", Verdict.FAIL), ("decision", Verdict.PASS), ("asked", Verdict.PASS)):
        ready.leave(retrain(what, verdict))
        ready.notify()
    assert [request.json["title"] for request in service.seen] == ["[critical] visits: retraining"]
    assert "retraining: fail: No disk was left." in service.seen[0].json["message"]
    ready.leave(retrain("end", Verdict.PASS))
    ready.notify()
    assert [request.json["title"] for request in service.seen[1:]] == ["[over] visits: retraining"]


def test_monitoring_that_could_not_look_is_told(ready: Place, service: Receiver) -> None:
    ready.leave(monitor(verdict=Verdict.ERROR))
    ready.notify()
    assert service.seen[0].json["title"] == "[critical] visits in production: monitor"


def test_an_alert_is_no_failure_of_monitoring_as_well(ready: Place, service: Receiver) -> None:
    ready.leave(monitor(alert()))
    ready.notify()
    assert service.seen[0].json["title"] == "[critical] visits in production: drift"


def test_monitoring_that_could_not_look_ends_no_alert(ready: Place, service: Receiver) -> None:
    ready.leave(monitor(alert()))
    ready.notify()
    ready.leave(Evidence(kind="monitor", model="visits", verdict=Verdict.ERROR, title="no logs"))
    ready.notify()
    assert [request.json["title"] for request in service.seen] == [
        "[critical] visits in production: drift",
        "[critical] visits: monitor",
    ]


def test_pull_requests_wake_nobody(ready: Place, service: Receiver) -> None:
    ready.leave(step("compare", Verdict.FAIL, event="pull_request"))
    assert ready.notify().returncode == 0
    assert service.seen == []
    assert "pull or merge request" in ready.said()["not_run"][0]
    ready.notify("--from", ".mlgate/evidence/visits/compare.json")  # unless somebody asks
    assert len(service.seen) == 1


def test_a_job_that_died_without_a_word_is_told(ready: Place, service: Receiver) -> None:
    assert ready.notify("--run-result", "failure").returncode == 0
    assert ready.notify("--run-result", "success").returncode == 0
    assert [request.json["title"] for request in service.seen] == ["[critical] visits: run", "[over] visits: run"]


def test_evidence_that_cannot_be_read_is_told(ready: Place, service: Receiver) -> None:
    ready.repo.write(".mlgate/evidence/visits/deploy.json", "{")
    ready.notify()
    assert service.seen[0].json["title"] == "[critical] visits: deploy"


def test_without_evidence_nobody_is_told_and_that_is_an_error(ready: Place) -> None:
    done = ready.notify()
    assert done.returncode == 2
    assert "there is no evidence in .mlgate/evidence" in ready.said("mlgate.yaml")["title"]
    assert ready.notify("--from", "elsewhere").returncode == 2


# -- channels that fail ------------------------------------------------------------------------------------------------


def test_a_channel_that_cannot_be_reached_is_seen_hides_nothing_and_is_tried_by_the_next_run(
    place: Place, service: Receiver
) -> None:
    place.config("{alerts: ALERTS_URL, other: OTHER_URL}")
    place.environ |= {"ALERTS_URL": f"json://u:{SECRET}@{service.host}/x", "OTHER_URL": f"json://{service.host}/other"}
    place.leave(monitor(alert()))
    before = (place.repo.path / ".mlgate/evidence/visits/monitor.json").read_bytes()
    service.answer(404)
    done = place.notify()
    assert (done.returncode, place.said()["verdict"]) == (0, "warn")
    assert "alerts could not be told of drift: the service answered 404" in done.stdout
    assert (place.repo.path / ".mlgate/evidence/visits/monitor.json").read_bytes() == before
    assert (place.ledger()[-1]["sent"], place.ledger()[-1]["failed"]) == (["other"], ["alerts"])
    place.notify()
    place.notify()
    assert [request.path for request in service.seen] == ["/x", "/other", "/x"]


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"ALERTS_URL": ""}, "the variable ALERTS_URL is empty, or was not passed on to this step"),
        ({"ALERTS_URL": f"https://example.org/{SECRET}"}, "write `jsons://` instead of `https://`"),
        ({"ALERTS_URL": f"nonsense://{SECRET}"}, "none that apprise can read"),
    ],
)
def test_an_address_that_is_none_is_a_warning(ready: Place, env: dict[str, str], said: str) -> None:
    ready.leave(monitor(alert()))
    done = ready.notify(**env)
    assert (done.returncode, ready.said()["verdict"]) == (0, "warn")
    assert said in ready.said()["title"]


def test_a_route_to_nowhere_is_a_warning(place: Place) -> None:
    place.config("{}")
    place.leave(monitor(alert()))
    assert place.notify().returncode == 0
    assert place.said()["verdict"] == "warn"
    assert "no channel is there for `critical`, so nobody was told" in place.said()["title"]


def test_a_ledger_that_cannot_be_reached_keeps_no_message_back(ready: Place, service: Receiver) -> None:
    ready.repo.git("remote", "set-url", "origin", str(ready.folder / "gone.git"))
    ready.leave(monitor(alert()))
    assert ready.notify().returncode == 0
    assert len(service.seen) == 1
    assert ready.said()["verdict"] == "warn"
    assert "What people were told before is not known" in ready.said()["title"]


def test_a_test_goes_to_every_channel_and_fails_where_one_cannot_be_reached(place: Place, service: Receiver) -> None:
    place.config("{alerts: ALERTS_URL, other: OTHER_URL, board: {issue: true}}")
    place.environ |= {"ALERTS_URL": f"json://{service.host}/x", "OTHER_URL": f"json://{service.host}/other"}
    assert place.notify("--test").returncode == 0
    assert [request.json["title"] for request in service.seen] == ["mlgate: a test"] * 2
    service.answer(403)
    done = place.notify("--test")
    assert done.returncode == 1
    assert "alerts cannot be reached: the service answered 403" in done.stdout
    assert place.ledger() == []


def test_a_plan_sends_nothing_and_remembers_nothing(ready: Place, service: Receiver) -> None:
    ready.leave(monitor(alert()))
    done = ready.notify("--plan")
    assert done.returncode == 0
    assert "1 alert would be told of." in done.stdout
    assert "raised: alerts" in json.dumps(ready.said())
    assert (service.seen, ready.ledger()) == ([], [])


def test_quiet_hours_that_are_none_are_an_error_with_the_key(place: Place) -> None:
    place.config(more='  quiet: {since: "22:00", until: "07:00", zone: Mars/Olympus}\n')
    place.leave(monitor(alert()))
    done = place.notify()
    assert done.returncode == 2
    assert "Mars/Olympus" in done.stdout


def test_packages_that_cannot_be_had_are_a_channel_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(extra: str) -> None:
        raise MlgateError(f"the packages of {extra!r} could not be installed.", fix="By hand.")

    monkeypatch.setattr(extras, "use", missing)
    loaded = config.load(CONFIG.format(model="visits", channels="{alerts: ALERTS_URL}").encode(), file="mlgate.yaml",
                         base=lambda _: None)  # fmt: skip
    channels = Channels(NoForge(), {"ALERTS_URL": "json://127.0.0.1:9"})
    sent = channels.send(loaded, "alerts", Letter("t", "t", "t", "info"))
    assert (sent.ok, sent.said) == (False, "the packages of 'notify' could not be installed.")


# -- on GitHub ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def github(place: Place) -> Iterator[IssueGitHub]:
    with IssueGitHub() as fake:
        remote = f"ledger: {{remote: 'file://{place.folder}/origin.git'}}\n"
        place.config("{board: {issue: true, labels: [drift], assignees: [ada]}}", more=remote)
        place.environ = jobs.environ(
            place.folder / "job", place.repo, "schedule", {}, GITHUB_API_URL=fake.url, GITHUB_REF="refs/heads/main",
            GITHUB_TOKEN="ghs_made-up",
        )  # fmt: skip
        yield fake
        assert fake.problems == []


def test_an_issue_is_opened_kept_and_closed(place: Place, github: IssueGitHub) -> None:
    for number, (state, verdict) in enumerate([("firing", Verdict.FAIL)] * 2 + [("recovered", Verdict.PASS)] * 2):
        place.leave(monitor(alert(state, said=f"psi.age 0.3{number} > 0.2"), verdict=verdict))
        assert place.notify().returncode == 0
        if number == 1:
            assert "psi.age 0.31" in html.unescape(text(github.issues[0]))
    [issue] = github.issues
    assert (issue["title"], is_open(issue)) == ("visits in production: drift", False)
    assert [number for number, _ in github.said] == [100]
    assert [entry["state"] for entry in place.ledger()] == ["raised", "raised", "recovered", "recovered"]
    assert place.ledger()[1]["issue"] == "100"


def test_outputs_name_who_was_told(place: Place, github: IssueGitHub) -> None:
    place.leave(monitor(alert()))
    place.notify()
    told = jobs.outputs(place.folder / "job" / "output")
    assert (told["told"], told["channels"], told["failed"]) == ("1", "board", "")
    assert told["issues"] == github.issues[0]["html_url"]
    assert json.loads(told["alerts"]) == [
        {"model": "visits", "environment": "production", "alert": "drift", "severity": "critical", "state": "raised",
         "channels": ["board"], "retrain": False}
    ]  # fmt: skip


def test_without_rights_to_issues_it_says_which_are_missing(place: Place, github: IssueGitHub) -> None:
    answer = {"message": "Resource not accessible by integration", "documentation_url": "x"}
    github.fault("POST", "/issues", status=403, body=answer)
    place.leave(monitor(alert()))
    assert place.notify().returncode == 0
    assert "`issues: write`" in place.said()["title"]


def test_of_two_runs_at_once_one_tells(ready: Place, service: Receiver) -> None:
    ready.leave(monitor(alert()))
    seed = ready.repo
    seed.git("clone", "--quiet", str(ready.folder / "origin.git"), str(ready.folder / "second"))
    second = Repo(ready.folder / "second")
    for name in ("mlgate.yaml", ".mlgate/evidence/visits/monitor.json"):
        second.write(name, (seed.path / name).read_bytes())
    started = [_start(repo, ready.environ) for repo in (seed, second)]
    for process in started:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0, out
    assert len(service.seen) == 1


def _start(repo: Repo, environ: dict[str, str]) -> subprocess.Popen[str]:
    import sys  # noqa: PLC0415

    from builder import ROOT, environment  # noqa: PLC0415

    return subprocess.Popen(
        [sys.executable, "-m", "mlgate", "notify"], cwd=repo.path, text=True,
        env=environment(PYTHONPATH=str(ROOT / "scripts"), **environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
