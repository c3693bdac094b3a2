"""Nobody knows how it ended: what is kept, what runs and what the ledger says are made to agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from mlgate.errors import MlgateError
from mlgate.rollout.nouns import Release, Slot
from mlgate.rollout.recover import decide
from mlgate.rollout.state import Phase, Plan, Purpose, State
from rollout.faketarget import START, Died, World, release
from rollout.processes import BLUE_GREEN, deploy, recover, serving, whole

OLD, NEW, THIRD = release("a"), release("b"), release("c")


def kept(
    phase: Phase, *, candidate: Release = NEW, purpose: Purpose = "deploy", serves: bool = True, until: float = 0.0
) -> State:
    outcome = "complete" if phase in ("complete", "keeping") else "aborted" if phase == "aborted" else ""
    return State(
        rollout="0" * 32, purpose=purpose, environment="production", strategy="canary", candidate=candidate, stable=OLD,
        plan=Plan(serves=serves), phase=phase, began=START, changed=START, outcome=outcome, kept_until=until,
    )  # fmt: skip


def up(one: Release, weight: float, ready: int = 1) -> Slot:
    return Slot(one.slot, one.image, 1, ready, weight)


@pytest.mark.parametrize(
    ("state", "current", "slots", "action"),
    [
        # an unfinished rollout: forward once it is decided, else back
        (kept("begun"), OLD, [up(OLD, 100)], "turn back"),
        (kept("starting"), OLD, [up(OLD, 100), up(NEW, 0, 0)], "turn back"),
        (kept("checking"), OLD, [up(OLD, 100), up(NEW, 0)], "turn back"),
        (kept("moving"), OLD, [up(OLD, 95), up(NEW, 5)], "turn back"),
        (kept("watching"), OLD, [up(OLD, 95), up(NEW, 5)], "turn back"),
        (kept("promoting"), OLD, [up(OLD, 50), up(NEW, 50)], "go on"),
        (kept("settling"), OLD, [up(OLD, 0), up(NEW, 100)], "go on"),
        (kept("settling"), NEW, [up(OLD, 0), up(NEW, 100)], "go on"),
        (kept("turning"), OLD, [up(OLD, 95), up(NEW, 5)], "go on"),
        (kept("leaving"), OLD, [up(OLD, 100), up(NEW, 0)], "go on"),
        (kept("starting", purpose="rollback"), NEW, [up(NEW, 100)], "go on"),
        (kept("starting", purpose="recover"), NEW, [up(OLD, 100)], "go on"),
        # a finished one: the ledger's word
        (kept("complete"), NEW, [up(NEW, 100)], "nothing"),
        (kept("complete"), NEW, [up(NEW, 100), up(THIRD, 0)], "tidy"),
        (kept("complete"), NEW, [up(NEW, 100, 0)], "restore"),
        (kept("complete"), NEW, [up(NEW, 0)], "restore"),
        (kept("complete"), NEW, [up(NEW, 90), up(THIRD, 10)], "restore"),
        (kept("complete"), NEW, [], "restore"),
        (kept("complete"), OLD, [up(NEW, 100)], "restore"),
        (kept("keeping", until=START + 60), NEW, [up(NEW, 100), up(OLD, 0)], "nothing"),
        (kept("keeping", until=START - 1), NEW, [up(NEW, 100), up(OLD, 0)], "go on"),
        (kept("aborted"), OLD, [up(OLD, 100)], "nothing"),
        (kept("aborted"), OLD, [up(OLD, 100), up(NEW, 0)], "tidy"),
        (None, OLD, [up(OLD, 100)], "nothing"),
        (None, OLD, [up(NEW, 100)], "restore"),
        # a ledger that knows of nothing
        (None, None, [], "nothing"),
        (None, None, [up(NEW, 0)], "tidy"),
        (None, None, [up(NEW, 100)], "refuse"),
        (kept("aborted"), None, [up(NEW, 100)], "refuse"),
        (kept("complete"), None, [up(NEW, 100)], "tell"),
        (kept("complete"), None, [up(THIRD, 100)], "refuse"),
        # batches have no traffic
        (kept("complete", serves=False), NEW, [], "nothing"),
        (kept("complete", serves=False), NEW, [up(NEW, 0)], "tidy"),
    ],
)
def test_what_is_decided(state: State | None, current: Release | None, slots: list[Slot], action: str) -> None:
    decision = decide(state, current, slots, START)
    assert decision.action == action
    assert decision.why


def _gone() -> World:
    """The machine was started anew, and brought nothing up."""
    world = serving(OLD)
    world.slots.clear()
    world.weigh({})
    world.bad.clear()
    return world


def _elsewhere() -> World:
    """Somebody has given the traffic to a model of his own."""
    world = serving(OLD)
    world.serve(THIRD)
    world.bad.clear()
    return world


def _left() -> World:
    """A slot that nobody knows."""
    world = serving(OLD)
    world.serve(THIRD)
    world.weigh({OLD.slot: 100.0})
    return world


def _forgotten() -> World:
    """The kept state is lost."""
    world = _left()
    world.kept = None
    return world


PLACES: dict[str, Callable[[], World]] = {
    "gone": _gone, "elsewhere": _elsewhere, "left over": _left, "forgotten": _forgotten
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_the_ledgers_model_has_everything_again_and_the_ledger_hears_nothing_new(place: str) -> None:
    world = PLACES[place]()
    entries = list(world.entries)
    recover(world)
    whole(world)
    assert world.current == OLD
    assert world.entries == entries
    mutating = {"start", "weigh", "stop"}
    before = len(world.calls)
    recover(world)  # once more changes nothing
    assert not mutating & set(world.calls[before:])


@pytest.mark.parametrize("place", PLACES)
def test_recovering_that_is_killed_anywhere_is_recovered(place: str) -> None:
    world = PLACES[place]()
    world.points = 0
    recover(world)
    for point in range(1, world.points + 1):
        again = PLACES[place]()
        again.points, again.die_at = 0, point
        with suppress(Died):
            recover(again)
        again.die_at = None
        recover(again)
        whole(again)


def test_what_serves_unknown_to_all_is_left_alone() -> None:
    world = World()
    world.serve(THIRD)
    with pytest.raises(MlgateError, match="neither the ledger nor the target knows how it came there"):
        recover(world)
    assert world.weights == {THIRD.slot: 100.0}
    assert set(world.slots) == {THIRD.slot}


def test_a_ledger_that_lost_its_last_entry_is_told_again() -> None:
    world = serving(OLD)
    world.entries = [entry for entry in world.entries if entry.name != "complete"]
    recover(world)
    assert world.current == OLD
    whole(world)


def test_a_model_that_cannot_be_brought_back_takes_nothing_away() -> None:
    world = _elsewhere()
    world.slots.pop(OLD.slot)
    world.crashes.add(OLD.slot)
    with pytest.raises(MlgateError, match="could not be brought back: the model ended before it was ready"):
        recover(world)
    assert world.weights == {THIRD.slot: 100.0}
    assert THIRD.slot in world.slots
    assert world.bad == []


def test_nothing_was_ever_there() -> None:
    world = World()
    assert recover(world) is None
    assert world.kept is None


def test_deploying_again_after_a_recovery() -> None:
    world = _gone()
    recover(world)
    assert deploy(world, NEW, BLUE_GREEN).outcome == "complete"
    whole(world)
