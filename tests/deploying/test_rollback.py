"""`mlgate rollback`: which model it puts back, how, and that nothing of what was taken away gets a request."""

from __future__ import annotations

import json

import pytest

from deploying.deployed import Project
from mlgate.commands import _release, _rolling
from mlgate.ledger import query
from mlgate.rollout import targets
from mlgate.rollout.machine import Machine
from mlgate.rollout.state import Plan, Step


@pytest.fixture
def three(project: Project) -> Project:
    project.three()
    return project


def now(project: Project) -> str:
    """The version that the ledger has in production."""
    found = query.current(project.ledger().records(), "visits", "production")
    assert found is not None
    return str(getattr(found.entry, "version", ""))


# -- which -----------------------------------------------------------------------------------------------------------


def test_to_the_one_before(three: Project) -> None:
    said = three.rollback()
    assert three.slots() == {"two": 100.0}
    assert "visits v1.1.0 is in production again" in said
    (entry,) = three.entries("rollback")
    assert (entry.subject, entry.instead_of) == (three.digests("two"), three.digests("three"))
    assert entry.image == {"sha256": three.images["two"].image.removeprefix("sha256:")}
    assert (entry.version, entry.reason, entry.commit) == ("v1.1.0", "it was slow", three.commits["two"])
    assert 0 <= entry.seconds < 60
    assert now(three) == "v1.1.0"
    assert three.verdicts()["rollback.traffic"] == "pass"


def test_to_a_version_and_then_one_further_back(three: Project) -> None:
    three.rollback("--to", "v1.0.0")
    assert three.slots() == {"one": 100.0}
    assert now(three) == "v1.0.0"
    assert "is the first visits in production" in three.rollback(code=2)


@pytest.mark.parametrize(("when", "seed"), [("2026-10-05", "two"), ("2026-10-03T12:00:00Z", "one")])
def test_to_a_day_or_a_moment(three: Project, when: str, seed: str) -> None:
    three.rollback("--to", when)
    assert three.slots() == {seed: 100.0}


def test_what_was_taken_away_is_not_put_back_by_the_next_one(three: Project) -> None:
    three.rollback()
    three.rollback()
    assert (now(three), three.slots()) == ("v1.0.0", {"one": 100.0})


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--to", "v1.2.0"], "has v1.2.0 (since 2026-10-07) already"),
        (["--to", "v9.0.0"], "production had v1.0.0"),
        (["--to", "yesterday"], "is neither a version nor a day"),
        (["--to", "2026-13-01"], "is no day or moment"),
        (["--to", "2020-01-01"], "has no visits in production on 2020-01-01"),
        (["--environment", "canary"], "It has staging, production"),
    ],
)
def test_what_cannot_be_put_back(three: Project, args: list[str], said: str) -> None:
    told = three.rollback(*args, code=2)
    assert said in told
    assert three.slots() == {"two": 0.0, "three": 100.0}
    assert not three.entries("rollback")


def test_a_model_that_was_never_there_is_deployed_and_not_put_back(three: Project) -> None:
    """Else a rollback would be a way around staging and its checks."""
    three.release("worse", "v1.3.0", against="three")
    assert "v1.3.0 was never in production" in three.rollback("--to", "v1.3.0", code=2)


def test_an_environment_without_a_model(project: Project) -> None:
    assert "there is nothing to roll back" in project.rollback(code=2)


def test_a_reason_is_needed(three: Project) -> None:
    assert "Give --reason" in three.mlgate("rollback", "--environment", "production", code=2)
    assert three.slots() == {"two": 0.0, "three": 100.0}


# -- how -------------------------------------------------------------------------------------------------------------


def test_what_still_runs_gets_its_traffic_back_without_registry(three: Project) -> None:
    """The registry has lost the image: only weights change."""
    three.forgotten("two")
    three.rollback()
    assert three.slots() == {"two": 100.0}
    assert not [call for call in three.calls() if call.startswith(f"start {three.slot('three')}")]


def test_what_does_not_run_is_started_and_has_to_be_ready_first(three: Project) -> None:
    three.runs({"three": 100})
    three.rollback()
    calls = [call.split()[0] for call in three.calls() if not call.startswith("status")]
    assert calls.index("start") < calls.index("ready") < calls.index("weigh") < calls.index("stop")
    assert three.slots() == {"two": 100.0}


def test_an_image_that_is_gone_cannot_be_started(three: Project) -> None:
    three.runs({"three": 100})
    three.forgotten("two")
    three.rollback(code=2)
    assert "is not in its registry" in three.repo.evidence("visits", "rollback")["title"]
    assert three.slots() == {"three": 100.0}


def test_a_model_that_does_not_start_leaves_what_is_there(three: Project) -> None:
    three.runs({"three": 100})
    three.faulty(**{three.slot("two"): "crash"})
    said = three.rollback(code=2)
    assert "was not put back" in said
    assert three.slots()["three"] == 100.0
    assert now(three) == "v1.2.0"


def test_traffic_that_stays_where_it_was_is_an_error(three: Project) -> None:
    """The commands say that they have moved it."""
    three.faulty(sticks=three.slot("three"))
    said = three.rollback(code=2)
    assert "was not put back" in said or "still gets" in said or "%" in said
    assert now(three) == "v1.2.0"


def test_a_plan_changes_nothing(three: Project) -> None:
    said = three.mlgate("rollback", "--environment", "production", "--plan")
    assert "still runs: only weights change" in said
    three.runs({"three": 100})
    assert "is started, and has to be ready first" in three.mlgate("rollback", "--environment", "production", "--plan")
    assert three.slots() == {"three": 100.0}
    assert not three.entries("rollback")


def test_twice_at_once_is_done_once(three: Project) -> None:
    three.rollback("--to", "v1.1.0")
    assert "already" in three.rollback("--to", "v1.1.0", code=2)
    assert len(three.entries("rollback")) == 1


def test_the_outputs_and_the_evidence(three: Project) -> None:
    three.rollback()
    evidence = three.repo.evidence("visits", "rollback")
    assert evidence["verdict"] == "warn"  # trust: branch
    assert evidence["subject"]["name"] == three.images["two"].reference
    assert evidence["facts"]["instead_of"] == "v1.2.0"
    assert evidence["facts"]["seconds_to_zero"] >= 0
    assert [look["weight"] for look in evidence["timeline"]][-1] == 100.0


# -- while a rollout is under way --------------------------------------------------------------------------------------


def canary(project: Project, seed: str, *, weight: float) -> None:
    """A rollout of a release that stands at a weight, as a job has left it."""
    run = project.run()
    config = project.config(run)
    records = project.ledger().records()
    stable = _release.of_entry(run, config, records, _release.there(config, records, "production"))  # type: ignore[arg-type]
    candidate = _release.find(run, config, version={"three": "v1.2.0", "two": "v1.1.0"}[seed])
    place = _rolling.place(run, config, "production")
    plan = Plan(steps=(Step(weight=weight, requests=10_000),), warm_up=0.0, period=0.1)
    with targets.find(place) as target:
        machine = Machine(
            target, judge=lambda *_, **__: 1 / 0, checks=_fine, record=_rolling.Recorder(run, config),
            lease=60.0,
        )  # fmt: skip
        state = machine.begin(candidate.release, stable.release, plan, strategy="canary")
        while state.phase != "watching":
            state = machine.advance(state)
        machine.hands.lease.give_up(state)


def _fine(*_: object) -> object:
    from mlgate.model import Check, Verdict  # noqa: PLC0415
    from mlgate.rollout.checks import Tried  # noqa: PLC0415

    return Tried(checks=[Check(id="rollout.smoke", title="answers", verdict=Verdict.PASS)])


@pytest.fixture
def half(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The second release at 25 % of production."""
    project.two()
    project.runs({"one": 100})
    monkeypatch.setenv("MLGATE_STATE", str(project.state))
    canary(project, "two", weight=25)
    assert project.slots() == {"one": 75.0, "two": 25.0}
    return project


def test_a_canary_is_turned_back(half: Project) -> None:
    said = half.rollback()
    assert "visits v1.1.0 was turned back" in said
    assert half.slots() == {"one": 100.0}
    assert not half.entries("rollback")
    states = [entry.state for entry in half.entries("deployment") if entry.rollout]
    assert states == ["started", "advanced", "aborted"]
    assert half.entries("deployment")[-1].reason == "rolled back by hand: it was slow"
    assert now(half) == "v1.0.0"


def test_a_plan_says_that_a_canary_would_be_turned_back(half: Project) -> None:
    said = half.mlgate("rollback", "--environment", "production", "--plan")
    assert "is at 25 % of production, and would be turned back" in said
    assert half.slots() == {"one": 75.0, "two": 25.0}


def test_another_model_may_be_named_while_a_canary_is_under_way(
    three: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    three.release("worse", "v1.3.0", against="three")
    three.write(three.deployed("worse", "v1.3.0", environment="staging", day=7))
    monkeypatch.setenv("MLGATE_STATE", str(three.state))
    run = three.run()
    config = three.config(run)
    records = three.ledger().records()
    stable = _release.of_entry(run, config, records, _release.there(config, records, "production"))  # type: ignore[arg-type]
    with targets.find(_rolling.place(run, config, "production")) as target:
        machine = Machine(
            target, judge=lambda *_, **__: 1 / 0, checks=_fine, record=_rolling.Recorder(run, config), lease=60.0
        )
        plan = Plan(steps=(Step(weight=5, requests=10_000),), warm_up=0.0, period=0.1)
        state = machine.begin(_release.find(run, config).release, stable.release, plan, strategy="canary")
        while state.phase != "watching":
            state = machine.advance(state)
        machine.hands.lease.give_up(state)
    three.rollback("--to", "v1.0.0")
    assert three.slots() == {"one": 100.0}
    assert [entry.state for entry in three.entries("deployment") if entry.rollout] == ["started", "advanced", "aborted"]
    (entry,) = three.entries("rollback")
    assert entry.instead_of == three.digests("three")


# -- who follows -----------------------------------------------------------------------------------------------------


def test_git_tags_follow(three: Project) -> None:
    three.configure(register={"to": ["git"]})
    for seed, version in (("one", "v1.0.0"), ("two", "v1.1.0"), ("three", "v1.2.0")):
        three.repo.git("tag", "-a", f"visits@{version}", "-m", version, three.commits[seed])
    three.repo.git("tag", "-a", "visits#production#1", "-m", "there", three.commits["three"])
    three.rollback("--push-tags", "false")
    tags = three.repo.git("for-each-ref", "--format=%(*objectname) %(refname:short)", "refs/tags/visits#production#2")
    assert tags == f"{three.commits['two']} visits#production#2"
    assert three.verdicts()["deploy.follow.git"] == "pass"


@pytest.mark.filterwarnings("ignore")  # of MLflow's own libraries
def test_mlflow_follows(three: Project) -> None:
    from mlflow import MlflowClient  # noqa: PLC0415

    client = MlflowClient(f"sqlite:///{three.repo.path}/mlflow.db")
    client.create_registered_model("visits")
    for version, entry in zip(("v1.0.0", "v1.1.0", "v1.2.0"), three.entries("registration"), strict=True):
        client.create_model_version(
            "visits", source=f"dvc://visits/{version}", tags={"mlgate.registration": entry.id}
        )  # fmt: skip
    client.set_registered_model_alias("visits", "champion", "3")
    three.repo.write(".gitignore", "/mlflow.db\n")
    three.configure(register={"to": ["mlflow"]})
    said = three.rollback(MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert three.verdicts()["deploy.follow.mlflow"] == "pass", said
    assert str(client.get_model_version_by_alias("visits", "champion").version) == "2"
    assert three.verdicts()["deploy.follow.mlflow"] == "pass"


def test_a_registry_that_does_not_follow_is_a_warning(three: Project) -> None:
    three.configure(register={"to": ["mlflow", "git"]})
    said = three.rollback(MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    found = three.verdicts()
    assert (found["deploy.follow.mlflow"], found["deploy.follow.git"]) == ("warn", "warn")
    assert "Run `mlgate register`" in said or "mlgate register" in json.dumps(three.repo.evidence("visits", "rollback"))
    assert three.slots() == {"two": 100.0}


def test_the_alias_champion_is_that_of_production(project: Project) -> None:
    project.two()
    project.configure(register={"to": ["mlflow"]})
    project.runs({"one": 0, "two": 100}, "staging")
    project.rollback(environment="staging", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert not [name for name in project.verdicts() if name.startswith("deploy.follow")]


# -- approval --------------------------------------------------------------------------------------------------------


def test_an_approval_is_asked_for_where_production_needs_one(three: Project) -> None:
    three.configure(deploy={**three.settings["deploy"], "criticality": "high"})
    three.rollback(code=3)
    assert three.verdicts()["rollout.approval"] == "inconclusive"
    assert three.slots() == {"two": 0.0, "three": 100.0}


def test_in_a_pull_request_nothing_is_put_back(three: Project) -> None:
    env = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REPOSITORY": "acme/visits",
           "GITHUB_EVENT_PATH": "/nonexistent", "CI": "true"}  # fmt: skip
    three.rollback(code=2, **env)
    assert three.slots() == {"two": 0.0, "three": 100.0}
