"""`mlgate deploy`: the ways it can be asked, what each leaves behind, and what cannot be asked."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from builder import MLGATE
from deploying.deployed import Project
from jobs import environ, outputs
from mlgate.errors import MlgateError
from mlgate.ledger.kinds import Comparison

# Prints what the router saw since the step began: a hundred requests a second, of which `traffic.json` says how many
# failed in each slot.
OBSERVE = """\
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
slots = json.loads((folder / "slots.json").read_text())
wrong = json.loads((folder / "traffic.json").read_text()) if (folder / "traffic.json").exists() else {}
seconds = max(0.0, float(os.environ["MLGATE_UNTIL"]) - float(os.environ["MLGATE_SINCE"]))
found = {}
for name in json.loads(os.environ["MLGATE_SLOTS"]):
    n = round(seconds * 100_000 * slots.get(name, {}).get("weight", 0) / 100)
    bad = round(n * wrong.get(name, 0.005))
    found[name] = {"requests": n, "errors": bad, "times": [[0.01, n - bad]], "scores": [[0.5, n - bad]]}
print(json.dumps(found))
"""


@pytest.fixture
def canary(project: Project) -> Project:
    """Two releases; the first one runs in production, where the second one has to pass a canary."""
    project.two()
    place = project.folder / "platform production"
    (place / "observe.py").write_text(OBSERVE, "utf-8")
    production = project.settings["deploy"]["environments"]["production"]
    production["target"]["commands"]["observe"] = f'python3 "{place / "observe.py"}" "{place}"'
    production |= {
        "strategy": "canary", "steps": [10, 50], "rules": ["error_rate <= 2x stable"],
        "expected": {"error_rate": "0.5%"}, "checks": {"smoke": False, "api": False},
        "step": {"at_least": "1 s", "at_most": "40 s", "period": "0.5 s", "warm_up": 0},
    }  # fmt: skip
    project.configure(serve={"timeout_seconds": 0.5})
    project.runs({"one": 100})
    return project


def deploy(project: Project, *args: str, code: int = 0, environment: str = "production", **env: str) -> str:
    return project.mlgate("deploy", "--environment", environment, "--version", "v1.1.0", *args, code=code, **env)


def evidence(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = project.repo.evidence("visits", "deploy")
    return found


def bad(project: Project, seed: str, share: float) -> None:
    """From now on so many of its answers are errors."""
    (project.folder / "platform production/traffic.json").write_text(json.dumps({project.slot(seed): share}), "utf-8")


# -- a canary --------------------------------------------------------------------------------------------------------


def test_a_good_one_gets_everything_step_by_step(canary: Project) -> None:
    said = deploy(canary)
    assert canary.slots() == {"two": 100.0}
    assert "visits v1.1.0 is in production." in said
    states = [(entry.state, entry.weight) for entry in canary.entries("deployment") if entry.rollout]
    assert states == [("started", None), ("advanced", 10.0), ("advanced", 50.0), ("complete", None)]
    (promoted,) = canary.entries("promotion")
    assert (promoted.environment, promoted.version) == ("production", "v1.1.0")
    weights = [look["weight"] for look in evidence(canary)["timeline"]]
    assert weights == sorted(weights)
    assert {10.0, 50.0} <= {*weights}
    assert evidence(canary)["facts"]["image"] == canary.images["two"].reference


def test_a_bad_one_is_turned_back_by_numbers(canary: Project) -> None:
    bad(canary, "two", 0.1)
    said = deploy(canary, code=1)
    assert canary.slots() == {"one": 100.0}
    assert "`error_rate <= 2x stable` is broken" in said
    assert [entry.state for entry in canary.entries("deployment") if entry.rollout][-1] == "aborted"
    assert not canary.entries("promotion")
    (rule,) = [check for check in evidence(canary)["checks"] if check["title"] == "error_rate <= 2x stable"]
    assert rule["verdict"] == "fail"
    assert rule["observed"] == pytest.approx(0.1, abs=0.01)
    assert evidence(canary)["facts"]["weight"] == 0


def test_without_traffic_nothing_is_promoted(canary: Project) -> None:
    observe = canary.folder / "platform production/observe.py"
    observe.write_text('print("{}")\n', "utf-8")
    canary.settings["deploy"]["environments"]["production"]["step"]["at_most"] = "2 s"
    canary.configure()
    said = deploy(canary, code=3)
    assert "was not decided within 2 s" in said
    assert canary.slots() == {"one": 100.0}


def test_the_plan_changes_nothing_and_names_the_requests(canary: Project) -> None:
    said = deploy(canary, "--plan")
    assert "10 %" in said
    assert "requests of the new model" in said
    assert canary.slots() == {"one": 100.0}
    assert not [entry for entry in canary.entries("deployment") if entry.rollout]


def test_a_plan_that_cannot_decide_is_refused_before_anything_is_started(canary: Project) -> None:
    canary.settings["deploy"]["environments"]["production"]["step"]["requests"] = 20
    canary.configure()
    for way in (["--plan"], []):
        assert "20" in deploy(canary, *way, code=2)
    assert canary.slots() == {"one": 100.0}


# -- in between ------------------------------------------------------------------------------------------------------


def test_a_schedule_goes_on_with_it_whatever_the_commit_is(canary: Project) -> None:
    deploy(canary, "--once")
    assert canary.slots() == {"one": 90.0, "two": 10.0}
    assert evidence(canary)["facts"]["weight"] == 10
    canary.train("three")  # the schedule runs on a later commit, which has another model, and no decision about it
    for _ in range(12):
        said = canary.mlgate("deploy", "--environment", "production", "--once")
        if canary.slots() == {"two": 100.0}:
            break
    assert "visits v1.1.0 is in production." in said


def test_a_job_begins_what_it_came_with_while_the_model_before_is_kept(canary: Project) -> None:
    """`keep` is an hour in which many merges come: none of them may say that the model of the last one is there."""
    canary.settings["deploy"]["environments"]["production"] |= {
        "strategy": "blue-green",
        "steps": [],
        "rules": [],
        "keep": "1 h",
    }
    canary.configure()
    deploy(canary)
    assert canary.slots() == {"one": 0.0, "two": 100.0}
    canary.train("three")
    canary.release("three", "v1.2.0", against="two")
    canary.write(canary.deployed("three", environment="staging", day=6))
    said = canary.mlgate("deploy", "--environment", "production", "--once")
    assert "visits v1.2.0 is in production." in said
    assert canary.slots() == {"two": 0.0, "three": 100.0}


def test_a_schedule_begins_nothing(canary: Project) -> None:
    env = environ(canary.folder / "job", canary.repo, "schedule", {"schedule": "*/15 * * * *"})
    env |= {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "MLGATE_LEDGER_TOKEN": "unused-by-a-folder"}
    assert "No rollout is under way" in canary.mlgate("deploy", "--environment", "production", "--once", **env)
    assert canary.slots() == {"one": 100.0}


def test_what_was_turned_back_is_not_tried_again_by_itself(canary: Project) -> None:
    """Each merge deploys the model of main: a bad one would come back with every change of something else."""
    bad(canary, "two", 0.1)
    canary.mlgate("deploy", "--environment", "production", code=1)
    bad(canary, "two", 0.005)
    said = canary.mlgate("deploy", "--environment", "production", code=3)
    assert "It is not tried again by itself: name it (--version v1.1.0)" in " ".join(said.split())
    assert canary.slots() == {"one": 100.0}
    deploy(canary)
    canary.rollback()
    said = canary.mlgate("deploy", "--environment", "production", code=3)
    assert "was rolled back in production" in said
    assert canary.slots()["one"] == 100.0


def test_what_is_under_way_can_be_ended(canary: Project) -> None:
    deploy(canary, "--once")
    canary.mlgate("deploy", "--environment", "production", "--abort")
    assert canary.slots() == {"one": 100.0}
    assert "no rollout is under way" in canary.mlgate("deploy", "--environment", "production", "--abort", code=2)


def test_recovering_undoes_what_was_changed_by_hand(canary: Project) -> None:
    canary.runs({"one": 0, "two": 100})  # somebody moved the traffic past mlgate
    said = canary.mlgate("deploy", "--environment", "production", "--recover")
    assert canary.slots() == {"one": 100.0}
    assert "the ledger agree" in said


def test_a_drill_goes_there_and_back(canary: Project) -> None:
    said = deploy(canary, "--drill")
    assert canary.slots() == {"one": 100.0}
    assert "keeps the model that it had" in said
    assert [entry.state for entry in canary.entries("deployment") if entry.rollout][-1] == "judged"
    assert not canary.entries("promotion")
    calls = canary.calls("production")
    assert any(call.startswith("weigh") and canary.slot("two") in call for call in calls), "it had traffic meanwhile"


def test_the_same_again_does_nothing_again(canary: Project) -> None:
    deploy(canary)
    calls, entries = canary.calls("production"), canary.entries("deployment")
    deploy(canary)
    again = [call for call in canary.calls("production")[len(calls) :] if call.split()[0] in ("start", "weigh", "stop")]
    assert not again
    assert [entry.id for entry in canary.entries("deployment")] == [entry.id for entry in entries]


# -- a job -----------------------------------------------------------------------------------------------------------


def test_a_job_is_told_where_the_rollout_is(canary: Project) -> None:
    head = canary.repo.head
    payload = {"before": canary.commits["one"], "after": head, "ref": "refs/heads/main"}
    env = environ(canary.folder / "job", canary.repo, "push", payload)
    env |= {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "ada"}
    env["MLGATE_LEDGER_TOKEN"] = "unused-by-a-folder"
    deploy(canary, "--once", **env)
    told = outputs(canary.folder / "job/output")
    assert (told["environment"], told["state"], told["weight"]) == ("production", "watching", "10")
    assert (told["finished"], told["version"]) == ("false", "v1.1.0")
    assert told["image"] == canary.images["two"].reference
    assert told["rollout"]


# -- what cannot be asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--environment", "prodution"], "It has staging, production."),
        ([], "has 2 environments: staging, production."),
        (["--environment", "production", "--plan", "--abort"], "--plan and --abort cannot be had together"),
        (["--environment", "production", "--recover", "--version", "v1.1.0"], "takes neither --image nor --version"),
        (["--environment", "production", "--render"], "only kubernetes has manifests"),
        (["--environment", "production", "--version", "v7.0.0"], "the ledger has no v7.0.0 of visits"),
        (["--environment", "production", "--version", "newest"], "'vnewest' is no version"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(canary: Project, args: list[str], said: str) -> None:
    told = canary.mlgate("deploy", *args, code=2)
    assert said in " ".join(told.split())
    assert canary.slots() == {"one": 100.0}


def test_a_gate_that_is_off_deploys_nothing_and_says_so(canary: Project) -> None:
    canary.configure(mode="off")
    assert "mode is off" in deploy(canary)
    assert canary.slots() == {"one": 100.0}


def test_shares_that_are_made_of_replicas_are_planned_as_they_really_are() -> None:
    from mlgate import config as configs  # noqa: PLC0415
    from mlgate.commands import _planning  # noqa: PLC0415

    def planned(replicas: int, steps: str) -> list[float]:
        text = (
            f"{MLGATE}deploy:\n  trust: branch\n  environments:\n    production:\n      target: {{kind: kubernetes}}\n"
            f"      strategy: canary\n      replicas: {replicas}\n      steps: {steps}\n"
            "      rules: [error_rate <= 2x stable]\n      expected: {error_rate: 1%}\n"
        )
        made = _planning.planned(
            configs.load(text.encode(), file="mlgate.yaml", base=lambda _: None), "production", None
        )
        assert made is not None
        return [round(step.weight) for step in made.steps]

    assert planned(3, "[20, 40]") == [25, 40]
    with pytest.raises(MlgateError, match=r"mlgate.yaml:\d+: .*with 1 of them some steps are the same"):
        planned(1, "[5, 25]")


def test_a_drill_where_nothing_else_is_has_nothing_to_prove(project: Project) -> None:
    project.release("two", "v1.1.0")
    said = deploy(project, "--drill", environment="staging")
    assert "no way back to prove" in said
    assert not project.slots("staging")


def test_a_canary_whose_model_has_failed_since_does_not_go_on(canary: Project) -> None:
    deploy(canary, "--once")
    assert canary.slots() == {"one": 90.0, "two": 10.0}
    again = Comparison(**canary.who("two"), model="visits", subject=canary.digests("two"), verdict="fail")
    canary.write(again)
    said = canary.mlgate("deploy", "--environment", "production", "--once", code=2)
    assert "was judged again on" in said
    assert canary.slots() == {"one": 100.0}


def test_only_local_environments_are_taken_down(canary: Project) -> None:
    said = canary.mlgate("deploy", "--environment", "production", "--take-down", code=2)
    assert "only local environments are taken down" in said
    assert canary.slots() == {"one": 100.0}


def test_rules_that_are_loosened_under_way_do_not_count(canary: Project) -> None:
    deploy(canary, "--once")
    canary.settings["deploy"]["environments"]["production"]["rules"] = ["error_rate <= 99%"]
    canary.configure()
    bad(canary, "two", 0.5)
    for _ in range(8):
        done = canary.repo.mlgate("deploy", "--environment", "production", "--once", MLGATE_STATE=str(canary.state))
        if canary.slots() == {"one": 100.0}:
            break
    assert done.returncode == 1, done.stdout
    assert "`error_rate <= 2x stable` is broken" in done.stdout


def test_settings_that_do_not_apply_yet_are_named(canary: Project) -> None:
    deploy(canary)
    canary.settings["deploy"]["environments"]["production"]["replicas"] = 2
    canary.configure()
    said = deploy(canary)
    assert "was started with other settings of its target" in " ".join(said.split())


def test_a_schedule_leaves_a_rollout_to_the_job_that_is_at_it(canary: Project) -> None:
    env = environ(canary.folder / "job", canary.repo, "schedule", {"schedule": "*/15 * * * *"})
    env |= {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "MLGATE_LEDGER_TOKEN": "unused-by-a-folder"}
    with ThreadPoolExecutor(1) as pool:
        at_it = pool.submit(deploy, canary)
        while not at_it.done() and canary.slots().get("two") != 10.0:
            time.sleep(0.1)
        said = canary.mlgate("deploy", "--environment", "production", "--once", **env)
        assert "visits v1.1.0 is in production." in at_it.result()
    assert "production is being changed by" in said


def test_recovering_does_not_ask_what_was_judged_since(canary: Project) -> None:
    """What production has is put right also where its model has failed since; another one is for people to choose."""
    canary.write(Comparison(**canary.who("one"), model="visits", subject=canary.digests("one"), verdict="fail"))
    canary.runs({"one": 0, "two": 100})
    canary.mlgate("deploy", "--environment", "production", "--recover")
    assert canary.slots() == {"one": 100.0}
