"""Processes of a rollout in a world of memory: each of them deploys, rolls back or recovers, as the verbs do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlgate.model import Check, Verdict
from mlgate.rollout import strategies
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release, Tally
from mlgate.rollout.state import State
from rollout.faketarget import FakeTarget, World, place

CANARY: dict[str, Any] = {
    "strategy": "canary",
    "steps": [5, 25, 50],
    "step": {"requests": 200, "at_least": "10 s", "at_most": "10 minutes", "period": "5 s", "warm_up": "2 s"},
    "rules": ["error_rate <= 5%"],
}
BLUE_GREEN: dict[str, Any] = {"strategy": "blue-green"}


@dataclass(frozen=True)
class Said:
    outcome: Literal["promote", "continue", "hold", "roll back"]
    reason: str
    checks: tuple[Check, ...] = ()
    streaks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tried:
    checks: tuple[Check, ...]


def judge(state: State, *, complete: bool, why: str) -> Said:
    """More than 5 % of errors after 20 requests is too many; enough requests without are enough."""
    canary: Tally = state.seen[-1].canary
    if canary.requests >= 20 and canary.errors > 0.05 * canary.requests:
        return Said("roll back", f"{canary.errors} of {canary.requests} requests failed.")
    if not complete or not canary.requests:
        return Said("hold", why or "nothing was measured.")
    return Said("promote" if canary.requests >= state.plan.steps[state.step].requests else "continue", "")


def check(verdict: Verdict = Verdict.PASS, reason: str = "") -> Check:
    return Check(id="rollout.smoke.example", title="the example", verdict=verdict, group="rollout", reason=reason)


def machine(world: World, settings: dict[str, Any] | None = None, **more: Any) -> Machine:
    """A new process."""
    given: dict[str, Any] = {
        "judge": judge,
        "checks": lambda *_: Tried((check(),)),
        "record": world.record,
        "clock": world.clock,
        "sleep": world.sleep,
    }
    return Machine(FakeTarget(world, place(**(settings or CANARY))), **{**given, **more})


def deploy(
    world: World, candidate: Release, settings: dict[str, Any] | None = None, *, drill: bool = False, **more: Any
) -> State:
    """`mlgate deploy`, whose word on what is stable comes from the ledger."""
    process, stable = machine(world, settings, **more), world.current
    at = process.hands.target.place
    plan = strategies.plan(at.settings, stable=stable is not None, timeout=at.timeout, drill=drill)
    strategy = str(at.settings.strategy)
    state = process.begin(candidate, stable, plan, strategy=strategy, purpose="drill" if drill else "deploy")
    return process.loop(state)


def put_back(world: World, release: Release, settings: dict[str, Any] | None = None, **more: Any) -> State:
    """`mlgate rollback`."""
    process = machine(world, settings, **more)
    plan = strategies.straight(process.hands.target.place.settings)
    return process.put_back(release, world.current, plan=plan, reason="it was slow.")


def recover(world: World, settings: dict[str, Any] | None = None, **more: Any) -> State | None:
    """`mlgate deploy --recover`."""
    process = machine(world, settings, **more)
    return process.recover(world.current, strategies.straight(process.hands.target.place.settings))


def serving(one: Release) -> World:
    """A world in which a release is at 100 %, and the ledger knows it."""
    world = World()
    deploy(world, one, BLUE_GREEN)
    world.points = 0
    return world


ENDS = {"complete", "aborted", "failed", "judged"}


def whole(world: World) -> None:
    """One healthy version at 100 %, which the ledger names; nothing left over; each rollout begun and ended once."""
    assert world.bad == []
    current = world.current
    assert current is not None
    assert world.weights == {current.slot: 100.0}
    assert set(world.slots) == {current.slot}
    assert world.ready(current.slot)
    state = world.state
    assert state is not None
    assert state.phase in ("complete", "aborted", "failed", "judged")
    ids = [entry.id for entry in world.entries]
    assert len(ids) == len(set(ids))
    for rollout in {entry.rollout for entry in world.entries}:
        names = world.names(rollout)
        assert names[0] == "started"
        assert names.count("started") == 1
        assert len([name for name in names if name in ENDS]) == 1
        assert names[-1] in ENDS


Process = Callable[[World], object]
