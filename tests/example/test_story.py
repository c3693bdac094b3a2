"""`make example` ends as told on this machine, and the tutorial's commands do what its page shows."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import threading
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from example.consumer import MEASURED, METRICS, PROJECT, git
from example.readme import ROOT, STORY, neutral, play, project_environment
from mlgate.rollout.targets import local_process

RUN = ROOT / "scripts" / "example" / "run.sh"
FIRST = json.loads((PROJECT / "metrics" / "eval.json").read_text(encoding="utf-8"))


VALUES = {
    "first-model": FIRST,
    "boosting": MEASURED["better"]["metrics"],
    "too-fast": MEASURED["worse"]["metrics"],
    "too-slow": MEASURED["slower"]["metrics"],
}


@pytest.mark.dvc
@pytest.mark.timeout(1800)
def test_the_story_ends_as_told_with_the_committed_values(tmp_path: Path) -> None:
    """One test, because one run of the story is enough."""
    folder = tmp_path / "story"
    done = subprocess.run([RUN, "--folder", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {"\033", "\r"} & set(done.stdout), "no clock and no colours where nobody watches"
    acts = ["first-model", "boosting", "months", "too-fast", "by-hand", "loosened", "too-slow", "put-back"]
    pages = {f"{number}-{act}.html" for number, act in enumerate(acts, start=1)}
    pages |= {f"{number}-{act}-in-production.html" for number, act in enumerate(acts, start=1) if act in VALUES}
    pages -= {"4-too-fast-in-production.html"}
    pages |= {"9-month.html", "10-successor.html", "10-pull-request.md"}
    assert {page.name for page in (folder / "reports").iterdir()} == pages
    assert "latency_p50" in (folder / "reports" / "7-too-slow-in-production.html").read_text(encoding="utf-8")
    assert_the_month_led_to_a_request(folder, done.stdout)
    assert_nothing_runs(folder)

    repo, env = folder / "project", project_environment(tmp_path)
    for branch, committed in VALUES.items():
        measured = json.loads(git(repo, "show", f"{branch}:{METRICS}"))
        # Another processor may round the last digits differently; no rule of the story depends on them.
        assert measured == pytest.approx(committed, abs=1e-4), branch

    git(repo, "switch", "--quiet", "main")
    subprocess.run(["dvc", "pull", "--quiet"], cwd=repo, env=env, check=True)
    check = Path(__file__).parent / "check_data.py"
    checked = subprocess.run(["python", check], cwd=repo, env=env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr

    git(repo, "fetch", "--quiet", "origin")
    git(repo, "switch", "--quiet", "--detach", "origin/mlgate/doctor-visits/retrain")
    subprocess.run(["dvc", "pull", "--quiet"], cwd=repo, env=env, check=True)
    collected = Path(__file__).parent / "check_collected.py"
    checked = subprocess.run(["python", collected], cwd=repo, env=env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.dvc
@pytest.mark.long
def test_the_tutorial_does_what_its_page_shows(tmp_path: Path) -> None:
    """`python -m example.readme` brings the page up to date."""
    for output in play(tmp_path):
        assert neutral(output.printed) == neutral(output.said), output.command
        assert output.code == output.told_code


def test_an_act_that_ends_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(STORY)
    from story import ACTS, BROKEN, differences  # type: ignore[import-not-found]  # noqa: PLC0415

    def evidence(verdict: str, failed: set[str], changed: set[str]) -> dict[str, object]:
        checks = [{"id": check, "verdict": "fail"} for check in failed] + [
            {"id": "rules.auc.threshold", "verdict": "pass"}
        ]
        return {"verdict": verdict, "checks": checks, "changes": [{"kind": "rule", "what": what} for what in changed]}

    (loosened,) = (act for act in ACTS if act.branch == "loosened")
    rule = {"compare.rules.log_loss.max_relative_regression"}
    assert differences(loosened, 1, evidence("fail", set(BROKEN), rule)) == ""
    assert "exit code 0 instead of 1" in differences(loosened, 0, evidence("fail", set(BROKEN), rule))
    assert "verdict pass instead of fail" in differences(loosened, 1, evidence("pass", set(BROKEN), rule))
    assert "rules changed nothing instead of" in differences(loosened, 1, evidence("fail", set(BROKEN), set()))
    assert "stopped by nothing instead of" in differences(loosened, 1, evidence("fail", set(), rule))


def test_the_story_refuses_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.txt"
    kept.write_text("all of it", encoding="utf-8")
    done = subprocess.run([RUN, "--folder", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert kept.read_text(encoding="utf-8") == "all of it"


def test_what_the_story_says_of_its_places_is_what_their_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(STORY)
    from service import ENVIRONMENTS  # type: ignore[import-not-found]  # noqa: PLC0415
    from story import ACTS  # noqa: PLC0415

    settings = yaml.safe_load((PROJECT / "mlgate.yaml").read_text(encoding="utf-8"))["deploy"]["environments"]
    assert {name: each["target"]["port"] for name, each in settings.items()} == ENVIRONMENTS
    assert all(each["target"]["kind"] == "local" for each in settings.values())
    released = [act.release for act in ACTS if act.release]
    assert [each.last for each in released] == ["complete", "complete", "aborted"]
    assert {rule for each in released for rule in each.broken} <= set(settings["production"]["rules"])


def test_a_look_at_production_that_ends_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(STORY)
    from month import LOOKS, differences  # type: ignore[import-not-found]  # noqa: PLC0415

    def evidence(verdict: str, **states: str) -> dict[str, object]:
        alerts = [{"rule": rule, "state": state} for rule, state in states.items()]
        return {"verdict": verdict, "watched": {"alerts": alerts}}

    (pending,) = (look for look in LOOKS if look.states.get("drift") == "pending")
    assert differences(pending, 0, evidence("warn", **pending.states)) == ""
    assert "verdict pass instead of warn" in differences(pending, 0, evidence("pass", **pending.states))
    assert "exit code 1 instead of 0" in differences(pending, 1, evidence("warn", **pending.states))
    assert "rule drift quiet instead of pending" in differences(
        pending, 0, evidence("warn", **{**pending.states, "drift": "quiet"})
    )
    assert "rule drift not there instead of pending" in differences(pending, 0, evidence("warn", data="pending"))
    windows = [(look.day - look.windows, look.day) for look in LOOKS]
    assert [0, *(until for _, until in windows)] == [*(since for since, _ in windows), 30], "every day, and none twice"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "pulls", {}, 200),
        ("POST", "pulls", {"title": "Retrain", "head": "a", "base": "main", "body": "Why"}, 201),
        ("POST", "issues", {"title": "drift", "body": "psi.age"}, 201),
        ("PATCH", "issues/1", {"state": "closed"}, 404),
        ("POST", "actions/workflows/model-retrain.yml/dispatches", {"ref": "main", "inputs": {"trigger": "t"}}, 204),
        ("DELETE", "pulls", {}, 404),
        ("GET", "secrets", {}, 404),
    ],
)
def test_the_forge_of_the_story_takes_what_jobs_send_and_nothing_else(
    method: str, path: str, body: dict[str, object], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(STORY)
    from forge import Forge  # type: ignore[import-not-found]  # noqa: PLC0415

    with Forge("ada/doctor-visits") as forge:
        assert forge.answer(method, f"/repos/ada/doctor-visits/{path}", body)[0] == status
        assert forge.answer(method, f"/repos/ada/other/{path}", body)[0] == 404
        kept = {"pulls": forge.pulls, "issues": forge.issues, "dispatches": forge.started}
        assert len(kept.get(path.rpartition("/")[2], [])) == (method == "POST")


def test_callers_count_what_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(STORY)
    from callers import Callers, bodies  # type: ignore[import-not-found]  # noqa: PLC0415

    asked: list[object] = []
    enough = threading.Event()

    class Model(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body["dataframe_split"])
            if len(asked) >= 20:
                enough.set()
            if len(asked) == 7:  # one answer is lost
                self.close_connection = True
                return
            self.send_response(503 if len(asked) == 5 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    rows = {"columns": ["age", "site"], "data": [[30, "1"], [None, "2"]]}
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Callers(server.server_port, list(bodies(rows)), people=1) as callers:
            assert enough.wait(30)
        server.shutdown()
    assert callers.answers["503"] == callers.answers["no answer"] == 1
    assert callers.answers.total() == len(asked)
    assert callers.said() == f"{len(asked)} requests meanwhile, 2 of them failed"
    assert asked[:3] == [{"columns": ["age", "site"], "data": [row]} for row in ([30, "1"], [None, "2"], [30, "1"])]


def test_a_story_that_stops_half_way_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by what the local target itself leaves, in the folders where it leaves it."""
    monkeypatch.syspath_prepend(STORY)
    from service import end_all  # noqa: PLC0415

    environment = tmp_path / "state" / "repository" / "doctor-visits" / "production"
    folders = [environment / "router", environment / "slots" / "doctor-visits-0123456789ab" / "server-1"]
    for folder in folders:
        local_process.spawn(folder, ["sleep", "600"], environ=dict(os.environ), cwd=tmp_path)
    ended = environment / "slots" / "doctor-visits-0123456789ab" / "server-2"
    ended.mkdir()
    (ended / "alive").touch()
    (ended / "pid").write_text(str(os.getpid()), encoding="ascii")  # the system has given the number to somebody else
    assert all(local_process.alive(folder) for folder in folders)
    end_all(tmp_path / "state")
    assert not any(local_process.alive(folder) for folder in folders)
    assert not (tmp_path / "state").exists()


def assert_the_month_led_to_a_request(folder: Path, said: str) -> None:
    """What production logged, what was trained on it, and the request whose text the story ends with."""
    project = folder / "project"
    days = sorted(file.stem for file in (project / "production" / "logs").iterdir())
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    outage = {first + timedelta(days=at) for at in range(30)} - {date.fromisoformat(day) for day in days}
    assert (last - first, outage) == (timedelta(days=29), {first + timedelta(days=19)})
    line = json.loads((project / "production" / "logs" / f"{days[0]}.jsonl").read_text("utf-8").splitlines()[0])
    assert (line["environment"], line["model"], line["version"]) == ("production", "doctor-visits", "v1.0.0")
    assert line["time"].startswith(days[0])
    assert 0 < line["score"] < 1
    page = (folder / "reports" / "9-month.html").read_text("utf-8")
    assert {"age", "chronic", "prediction"} <= set(re.findall(r"\w+", page))

    body = (folder / "reports" / "10-pull-request.md").read_text("utf-8")
    lines = [line for line in body.splitlines() if line and not line.startswith("<!--")]
    assert all(line in said for line in lines), "it is printed as it was proposed"
    assert "| Asked by | the rule `drift` |" in body
    evidence = (project / ".mlgate" / "evidence" / "doctor-visits" / "monitor.json").read_bytes()
    assert hashlib.sha256(evidence).hexdigest() in body
    values = re.search(r"\| `metrics/eval.json` \| `auc` \| ([\d.]+) \| ([\d.]+) \|", body)
    assert values is not None
    branch = "mlgate/doctor-visits/retrain"
    for commit, value in zip(("main", branch), values.groups(), strict=True):
        measured = json.loads(git(folder / "origin.git", "show", f"{commit}:{METRICS}"))
        assert measured["auc"] == pytest.approx(float(value), abs=1e-4)
    changed = git(folder / "origin.git", "diff", "--name-only", "main", branch).split()
    assert changed == ["data/collected.parquet.dvc", "dvc.lock", METRICS, "metrics/profile.json"]


def assert_nothing_runs(folder: Path) -> None:
    """No process of this machine names the folder in its command, or works in it."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command, cwd = (process / "cmdline").read_bytes(), os.readlink(process / "cwd")
            except OSError:
                continue
            assert os.fsencode(folder) not in command, command
            assert not Path(cwd).is_relative_to(folder), command
