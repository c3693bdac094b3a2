"""A process is killed at every point of every way, and the next one sets it right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.errors import MlgateError
from mlgate.rollout.targets import FencedError
from rollout.faketarget import Died, Turns, World, release
from rollout.processes import BLUE_GREEN, deploy, put_back, recover, serving, whole

OLD, NEW, THIRD = release("a"), release("b"), release("c")
Run = Callable[[World], object]


def _with_errors() -> World:
    world = serving(OLD)
    world.error_rates[NEW.slot] = 0.2
    return world


def _crashing() -> World:
    world = serving(OLD)
    world.crashes.add(NEW.slot)
    return world


def _promoted() -> World:
    world = serving(OLD)
    deploy(world, NEW)
    world.points = 0
    return world


ROLLING = {"strategy": "rolling", "replicas": 3, "step": {"at_least": "5 s"}}
WAYS: dict[str, tuple[Callable[[], World], Run]] = {
    "a good canary": (lambda: serving(OLD), lambda world: deploy(world, NEW)),
    "a bad canary": (_with_errors, lambda world: deploy(world, NEW)),
    "one that crashes": (_crashing, lambda world: deploy(world, NEW)),
    "the first one": (World, lambda world: deploy(world, NEW)),
    "blue-green": (lambda: serving(OLD), lambda world: deploy(world, NEW, BLUE_GREEN)),
    "rolling": (lambda: serving(OLD), lambda world: deploy(world, NEW, ROLLING)),
    "a shadow": (lambda: serving(OLD), lambda world: deploy(world, NEW, {"strategy": "shadow"})),
    "a drill": (lambda: serving(OLD), lambda world: deploy(world, NEW, drill=world.current == OLD)),
    "a rollback": (_promoted, lambda world: put_back(world, OLD)),
}


def points(way: str) -> int:
    make, run = WAYS[way]
    world = make()
    run(world)
    return world.points


def killed(way: str, *at: int) -> World:
    """The way, by processes of which all but the last are killed: each at its own point."""
    make, run = WAYS[way]
    world = make()
    for point in at:
        world.points, world.die_at = 0, point
        with suppress(Died):
            run(world)
        world.die_at = None
    return world


@pytest.mark.parametrize("way", WAYS)
def test_killed_anywhere_the_same_command_sets_it_right(way: str) -> None:
    """Before and after every call of the target and the ledger: one healthy model has everything, once told."""
    last = points(way)
    assert last > 20
    for point in range(1, last + 1):
        world = killed(way, point)
        WAYS[way][1](world)
        whole(world)


@pytest.mark.parametrize("way", WAYS)
def test_killed_anywhere_recovering_sets_it_right(way: str) -> None:
    for point in range(1, points(way) + 1):
        world = killed(way, point)
        recover(world)
        if world.current is None:  # killed before the first model was decided: nothing is there, and nothing is left
            assert world.slots == {}
            continue
        whole(world)


@pytest.mark.parametrize("way", ["a good canary", "a bad canary", "a rollback"])
def test_killed_anywhere_another_release_sets_it_right(way: str) -> None:
    for point in range(1, points(way) + 1):
        world = killed(way, point)
        with suppress(MlgateError):  # what was decided is ended first, and then the question is another
            deploy(world, THIRD)
        if world.current != THIRD:
            deploy(world, THIRD)
        assert world.current == THIRD
        whole(world)


@pytest.mark.parametrize("way", ["a good canary", "a bad canary", "blue-green"])
def test_callers_are_answered_whenever_it_is_killed(way: str) -> None:
    """While nobody goes on, the slots that get traffic answer."""
    for point in range(1, points(way) + 1):
        world = killed(way, point)
        assert sum(world.weights.values()) == pytest.approx(100)
        assert all(world.ready(slot) for slot, weight in world.weights.items() if weight > 0)


@given(way=st.sampled_from(sorted(WAYS)), at=st.lists(st.integers(1, 150), max_size=5))
@settings(max_examples=60)
def test_killed_again_and_again_it_is_set_right_in_the_end(way: str, at: list[int]) -> None:
    world = killed(way, *at)
    WAYS[way][1](world)
    whole(world)


@given(
    picks=st.lists(st.integers(0, 1), max_size=300),
    works=st.sampled_from(
        [
            (lambda world: deploy(world, NEW), lambda world: deploy(world, THIRD)),
            (lambda world: deploy(world, NEW), lambda world: deploy(world, NEW)),
            (lambda world: deploy(world, NEW), lambda world: put_back(world, OLD)),
            (lambda world: deploy(world, NEW), recover),
        ]
    ),
)
@settings(max_examples=40)
def test_two_processes_at_one_place_never_interleave(picks: list[int], works: tuple[Run, Run]) -> None:
    """In any order of their calls: one of them is refused, or fenced off, or comes after the other has ended."""
    world = serving(OLD)
    ended = Turns(world, picks).run(*(lambda work=work: work(world) for work in works))  # type: ignore[misc]
    for error in ended:
        assert error is None or isinstance(error, MlgateError), error
    assert not all(isinstance(error, FencedError) for error in ended)
    assert world.bad == []
    world.turn = lambda: None
    world.time += 100  # whoever was fenced off late left its lease to run out
    recover(world)
    assert world.bad == []
    current = world.current
    assert current is not None
    assert world.weights == {current.slot: 100.0}
    assert set(world.slots) == {current.slot}
    for rollout in {entry.rollout for entry in world.entries}:
        names = world.names(rollout)
        assert len([name for name in names if name in ("complete", "aborted", "failed", "judged")]) == 1


def test_a_process_that_slept_through_its_lease_touches_nothing_more() -> None:
    from mlgate.rollout import strategies  # noqa: PLC0415
    from rollout.processes import machine  # noqa: PLC0415

    world = serving(OLD)
    slow = machine(world)
    plan = strategies.plan(slow.hands.target.place.settings, stable=True, timeout=2.0)
    state = slow.begin(NEW, OLD, plan, strategy="canary")
    while state.phase != "moving":
        state = slow.advance(state)
    world.time += 600
    assert deploy(world, THIRD).outcome == "complete"
    before = (dict(world.weights), set(world.slots), len(world.entries))
    with pytest.raises(FencedError):
        slow.loop(state)
    assert (dict(world.weights), set(world.slots), len(world.entries)) == before
    whole(world)
