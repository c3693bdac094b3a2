"""Ways in which a rollout could give or leave traffic to a model that must not have it, or say what is not so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploying.deployed import Project
from deploying.test_deploy import OBSERVE
from engine import registry as registries
from mlgate.commands import _rolling
from mlgate.rollout import targets
from mlgate.rollout.state import State
from signing.parts import missing


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry without TLS on this machine."""
    try:
        found, group = registries.start(tmp_path_factory.mktemp("images"), os.getpid(), "true")
    except FileNotFoundError as error:
        missing(str(error))
        raise
    yield found.address
    registries.stop(group)


@pytest.fixture
def canary(tmp_path: Path, images: str) -> Project:
    """Two releases; the first one runs in production, where the second one has to pass a canary."""
    project = Project(tmp_path, images)
    project.two()
    place = project.folder / "platform production"
    (place / "observe.py").write_text(OBSERVE, "utf-8")
    staging, production = project.settings["deploy"]["environments"].values()
    staging["checks"] = {"smoke": False, "api": False}
    production["target"]["commands"]["observe"] = f'python3 "{place / "observe.py"}" "{place}"'
    production |= {
        "strategy": "canary", "steps": [10, 50], "rules": ["error_rate <= 2x stable"],
        "expected": {"error_rate": "0.5%"}, "checks": {"smoke": False, "api": False},
        "step": {"at_least": "1 s", "at_most": "20 s", "period": "0.5 s", "warm_up": 0},
    }  # fmt: skip
    project.configure(serve={"timeout_seconds": 0.5})
    project.runs({"one": 100})
    return project


def deploy(project: Project, *args: str, code: int = 0, environment: str = "production", **env: str) -> str:
    return project.mlgate("deploy", "--environment", environment, *args, code=code, **env)


def told(project: Project, environment: str = "production") -> list[tuple[str, str, str]]:
    """State, version and strategy of what rollouts have told the ledger."""
    found = project.entries("deployment")
    return [(e.state, e.version, e.strategy) for e in found if e.rollout and e.environment == environment]


def bad(project: Project, seed: str, share: float) -> None:
    file = project.folder / "platform production/traffic.json"
    file.write_text(json.dumps({project.slot(seed): share}), "utf-8")


def test_what_is_there_already_is_not_a_canary_of_itself(canary: Project) -> None:
    bad(canary, "two", 0.3)
    deploy(canary, "--version", "v1.1.0", code=1)
    deploy(canary, "--version", "v1.0.0")
    assert canary.slots() == {"one": 100.0}
    assert "aborted" not in [state for state, version, _ in told(canary) if version == "v1.0.0"]


def test_a_drill_lets_nothing_past_an_environment(canary: Project) -> None:
    canary.release("three", "v1.2.0", against="one")
    canary.runs({"two": 100}, "staging")
    deploy(canary, "--version", "v1.2.0", "--drill", environment="staging")
    deploy(canary, "--version", "v1.2.0", code=2)
    assert canary.slots() == {"one": 100.0}


def test_what_a_person_turned_back_is_not_tried_again_by_itself(canary: Project) -> None:
    deploy(canary, "--once")
    assert canary.slots()["two"] == 10.0
    canary.rollback()
    assert canary.slots() == {"one": 100.0}
    deploy(canary, code=3)
    assert canary.slots() == {"one": 100.0}


def test_a_bad_canary_is_turned_back_though_the_registry_is_gone(canary: Project) -> None:
    deploy(canary, "--once")
    canary.forgotten("two")
    bad(canary, "two", 0.5)
    for _ in range(10):  # until there is something to be counted
        done = canary.repo.mlgate("deploy", "--environment", "production", "--once", MLGATE_STATE=str(canary.state))
        if canary.slots() == {"one": 100.0}:
            break
    assert done.returncode == 1, done.stdout
    assert canary.slots() == {"one": 100.0}


@pytest.mark.parametrize("how", [("rollback", "--reason", "x"), ("deploy", "--abort")])
def test_the_way_back_does_not_wait_for_a_ledger(canary: Project, how: tuple[str, ...]) -> None:
    deploy(canary, "--once")
    canary.bare.rename(canary.folder / "gone.git")
    verb, *rest = how
    said = canary.mlgate(verb, "--environment", "production", *rest, code=2)
    assert canary.slots()["one"] == 100.0
    assert canary.slots().get("two", 0) == 0
    assert "the ledger could not be told" in " ".join(said.split())
    (canary.folder / "gone.git").rename(canary.bare)
    deploy(canary, "--recover")
    assert told(canary)[-1][0] == "aborted"
    assert canary.slots() == {"one": 100.0}


@pytest.mark.parametrize("fail_on", ["never", "error"])
def test_what_was_turned_back_does_not_end_well(canary: Project, fail_on: str) -> None:
    canary.configure(fail_on=fail_on)
    bad(canary, "two", 0.3)
    deploy(canary, "--version", "v1.1.0", code=1)


def test_what_was_measured_before_plans_the_deployment_too(canary: Project) -> None:
    bad(canary, "two", 0.02)  # little enough to need some thousand requests before it is proven
    deploy(canary, "--version", "v1.1.0", code=1)
    production = canary.settings["deploy"]["environments"]["production"]
    del production["expected"]
    canary.configure()
    bad(canary, "two", 0.005)
    deploy(canary, "--version", "v1.1.0", "--plan")
    deploy(canary, "--version", "v1.1.0")


def test_a_rollout_that_only_its_state_knows_was_approved_by_nobody(
    canary: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody puts a rollout at the target that has not begun; a job that goes on with it would need no approval."""
    canary.configure(deploy={**canary.settings["deploy"], "criticality": "high"})
    monkeypatch.setenv("MLGATE_STATE", str(canary.state))
    run = canary.run()
    with targets.find(_rolling.place(run, canary.config(run), "production")) as target:
        state = State(
            rollout="a" * 32, environment="production", strategy="replace", candidate=canary.find().release,
            began=target.now(), changed=target.now(),
        )  # fmt: skip
        target.write(state.to_json(), after="")
    deploy(canary, "--once", code=3)
    assert canary.slots() == {"one": 100.0}


def test_a_sentence_about_a_target_says_where_it_is_named(canary: Project) -> None:
    canary.settings["deploy"]["environments"]["production"]["target"] = {"kind": "nomad"}
    canary.settings["deploy"]["environments"]["production"] |= {"strategy": "replace", "steps": [], "rules": []}
    canary.configure()
    said = " ".join(deploy(canary, code=2).split())
    assert "mlgate.yaml:" in said.partition("is 'nomad', and nothing that is installed brings such a target")[0]


def test_commands_of_a_platform_see_no_secret_of_mlgate(canary: Project) -> None:
    seen = canary.folder / "seen"
    commands = canary.settings["deploy"]["environments"]["production"]["target"]["commands"]
    commands["status"] = f"env > '{seen}'; {commands['status']}"
    canary.configure()
    deploy(canary, "--version", "v1.1.0", "--plan", MLGATE_LEDGER_TOKEN="t0p-secret", PLATFORM_TOKEN="of-the-platform")
    assert "MLGATE_FENCE=" in seen.read_text()
    assert "of-the-platform" in seen.read_text()
    assert "t0p-secret" not in seen.read_text()
