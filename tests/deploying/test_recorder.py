"""What of a rollout stands in the ledger: each transition once, with the names of those who approved it."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from deploying.deployed import Project
from mlgate.commands._rolling import Recorder, entries, place, state_folder
from mlgate.errors import MlgateError
from mlgate.ledger import query
from mlgate.ledger.kinds import Deployment, Entry, Promotion, Rollback
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import Name, Plan, State, Step, Transition

ONE, TWO = (
    Release(
        model="visits", image=f"r.test/visits@sha256:{n * 64}", subject={"sha256": n * 64}, version=f"v1.{n}.0",
        commit=n * 40, decision=n * 32,
    )
    for n in "12"
)  # fmt: skip
BEGAN = 1_790_000_000.0


def state(**more: Any) -> State:
    return State(**{
        "rollout": "a" * 32, "environment": "production", "strategy": "canary", "candidate": TWO, "stable": ONE,
        "plan": Plan(steps=(Step(weight=5), Step(weight=25))), "phase": "watching", "began": BEGAN,
        "changed": BEGAN + 60, **more,
    })  # fmt: skip


def made(name: Name, *, by: tuple[str, ...] = (), reason: str = "", **more: Any) -> list[Entry]:
    return list(entries(Transition(name, state(**more), reason), {"actor": "ada", "commit": TWO.commit}, by))


@pytest.mark.parametrize("name", ["started", "advanced", "held", "judged", "aborted", "failed"])
def test_one_entry(name: Name) -> None:
    (entry,) = made(name, by=("grace",), reason="because")
    assert isinstance(entry, Deployment)
    assert (entry.state, entry.rollout, entry.strategy) == (name, "a" * 32, "canary")
    assert (entry.subject, entry.image) == (TWO.subject, {"sha256": "2" * 64})
    assert (entry.version, entry.decision, entry.approved_by) == (TWO.version, TWO.decision, ("grace",))
    assert (entry.reason, entry.at, entry.commit) == ("because", "2026-09-21T14:14:20Z", TWO.commit)
    assert entry.weight == (5 if name in ("advanced", "held") else None)


def test_what_is_complete_is_promoted() -> None:
    deployed, promoted = made("complete", by=("grace",), phase="settling")
    assert isinstance(deployed, Deployment)
    assert isinstance(promoted, Promotion)
    assert deployed.id != promoted.id
    assert promoted.approved_by == ("grace",)


def test_what_is_no_news_is_not_written() -> None:
    written = {name for name in get_args(Name) if made(name)}
    assert written == {"started", "advanced", "held", "complete", "judged", "aborted", "failed"}


def test_a_rollback() -> None:
    (entry,) = made("complete", purpose="rollback", phase="settling", seconds=1.5, reason="it was slow", by=("grace",))
    assert isinstance(entry, Rollback)
    assert (entry.subject, entry.instead_of, entry.seconds) == (TWO.subject, ONE.subject, 1.5)
    assert (entry.reason, entry.approved_by) == ("it was slow", ("grace",))
    assert not made("started", purpose="rollback")
    assert not made("promoting", purpose="rollback")  # the way back waits for no ledger
    (failed,) = made("failed", purpose="rollback", reason="it did not start")
    assert isinstance(failed, Deployment)
    assert failed.strategy == "rollback"


def test_what_only_makes_ledger_and_target_agree_is_not_written() -> None:
    assert not [name for name in get_args(Name) if made(name, purpose="recover")]


def test_a_local_model_has_no_image() -> None:
    local = Release(model="visits", image=f"local/visits@sha256:{'2' * 64}", subject=TWO.subject)
    (entry,) = made("started", candidate=local)
    assert isinstance(entry, Deployment)
    assert entry.image == {}


def test_ids_are_of_the_transition() -> None:
    steps = [made("advanced", step=step)[0].id for step in (0, 1)]
    assert made("advanced", step=0)[0].id == steps[0] != steps[1]
    assert made("advanced", step=0, changed=BEGAN + 99)[0].id == steps[0]
    assert made("complete", phase="settling")[0].id != made("aborted")[0].id


# -- in the ledger ---------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder(project: Project) -> Recorder:
    run = project.run()
    return Recorder(run, project.config(run), approved_by=("grace",))


def test_telling_it_twice_writes_it_once(project: Project, recorder: Recorder) -> None:
    for _ in range(2):
        recorder(Transition("started", state()))
        recorder(Transition("complete", state(phase="settling")))
    assert [entry.kind for entry in project.entries("deployment", "promotion")] == [
        "deployment", "deployment", "promotion",
    ]  # fmt: skip
    now = query.current(project.ledger().records(), "visits", "production")
    assert now is not None
    assert now.entry.subject == TWO.subject
    assert recorder.head is not None


def test_half_of_it_is_completed(project: Project, recorder: Recorder) -> None:
    """A job that died between two entries of one transition cannot be, but a person may have written one by hand."""
    project.write(next(iter(entries(Transition("complete", state(phase="settling")), {"commit": TWO.commit}, ()))))
    recorder(Transition("complete", state(phase="settling")))
    assert len(project.entries("deployment")) == 1
    assert len(project.entries("promotion")) == 1


def test_those_who_approved_the_beginning_are_named_to_the_end(project: Project, recorder: Recorder) -> None:
    recorder(Transition("started", state()))
    run = project.run()
    later = Recorder(run, project.config(run), approved_by=())  # a scheduled job
    later(Transition("advanced", state()))
    another = Recorder(run, project.config(run), approved_by=("mallory",))
    another(Transition("complete", state(phase="settling")))
    assert {entry.approved_by for entry in project.entries("deployment", "promotion")} == {("grace",)}


def test_a_ledger_that_is_not_reached_is_said(project: Project, recorder: Recorder) -> None:
    project.bare.rename(project.folder / "gone.git")
    with pytest.raises(MlgateError):
        recorder(Transition("started", state()))
    (project.folder / "gone.git").rename(project.bare)
    assert not project.entries("deployment")
    recorder(Transition("started", state()))
    assert len(project.entries("deployment")) == 1


def test_where_things_are(project: Project) -> None:
    run = project.run()
    config = project.config(run)
    found = place(run, config, "staging")
    assert (found.model, found.environment, found.folder) == ("visits", "staging", run.git.root)
    assert (found.timeout, found.port) == (float(config.serve.timeout_seconds), 8080)
    assert state_folder(run, {"MLGATE_STATE": "/srv/mlgate", "HOME": "/home/ada"}).parent.as_posix() == "/srv/mlgate"
    home = state_folder(run, {"HOME": "/home/ada"})
    assert home.parent.as_posix() == "/home/ada/.local/state/mlgate"
    assert home.name == state_folder(run, {"XDG_STATE_HOME": "/x"}).name
