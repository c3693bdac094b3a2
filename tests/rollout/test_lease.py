"""Who may go on: a holder that lives is left alone, one that died is waited for, one that was replaced is stopped."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from mlgate.rollout.lease import BusyError, Lease, apart
from mlgate.rollout.state import State
from mlgate.rollout.stopping import told
from mlgate.rollout.targets import FencedError
from rollout.faketarget import START, FakeTarget, World, release

NEW = release("b")


def state() -> State:
    return State(
        rollout="0" * 32, environment="production", strategy="canary", candidate=NEW, began=START, changed=START
    )


def lease(world: World, holder: str, length: float = 60.0) -> Lease:
    return Lease(FakeTarget(world), holder=holder, length=length, sleep=world.sleep)


def test_what_is_written_says_who_and_until_when() -> None:
    world = World()
    mine = lease(world, "job 1")
    assert mine.take() is None
    held = mine.write(state())
    assert held.holder == "job 1"
    assert 59 < held.until - world.time <= 60
    assert world.state == held


def test_one_that_died_is_waited_for_until_its_lease_ends() -> None:
    world = World()
    dead = lease(world, "job 1")
    dead.take()
    dead.write(state())
    before = world.time
    found = lease(world, "job 2").take()
    assert found is not None
    assert 59 < world.time - before < 65


def test_one_that_gave_up_is_not_waited_for() -> None:
    world = World()
    first = lease(world, "job 1")
    first.take()
    first.give_up(first.write(state()))
    before = world.time
    assert lease(world, "job 2").take() is not None
    assert world.time - before < 1


def test_one_that_is_alive_is_left_alone() -> None:
    world = World()
    alive = lease(world, "job 1")
    alive.take()
    held = alive.write(state())

    def meanwhile(seconds: float) -> None:
        nonlocal held
        world.time += seconds
        held = alive.write(held)

    other = Lease(FakeTarget(world), holder="job 2", length=60.0, sleep=meanwhile)
    with pytest.raises(BusyError, match=r"production is being changed by job 1: sha256:bbbbbbbbbbbb is begun there\."):
        other.take()


def test_urgency_waits_for_nobody_and_the_other_is_fenced_off() -> None:
    world = World()
    first, urgent = lease(world, "job 1"), lease(world, "job 2")
    first.take()
    held = first.write(state())
    found = urgent.take(urgent=True)
    assert found is not None
    urgent.write(found)
    with pytest.raises(FencedError):
        first.write(held)
    with pytest.raises(FencedError):
        first.target.weigh({})


def test_of_two_that_take_it_at_once_only_one_gets_it() -> None:
    world = World()
    one, other = lease(world, "job 1"), lease(world, "job 2")
    assert one.take() is None
    assert other.take() is None
    one.write(state())
    with pytest.raises(FencedError):
        other.write(state())


def test_an_action_begins_only_with_a_lease_that_is_longer() -> None:
    world = World()
    mine = lease(world, "job 1")
    mine.take()
    held = mine.write(state())
    assert mine.renew(held, 30.0) is held  # long enough: nothing is written
    world.time += 40
    again = mine.renew(held, 30.0)
    assert again.until - world.time > 30
    longer = mine.renew(again, 100.0)
    assert longer.until - world.time > 100
    assert world.state == longer


def test_a_lease_that_belongs_to_another_is_not_renewed() -> None:
    world = World()
    mine, other = lease(world, "job 1"), lease(world, "job 2")
    mine.take()
    mine.write(state())
    found = other.take(urgent=True)
    assert found is not None
    with pytest.raises(FencedError, match="taken over by job 2"):
        mine.renew(other.write(found))


@pytest.mark.parametrize(
    ("skew", "words"), [(0, ""), (29, ""), (-29, ""), (45, "45 s ahead of this"), (-45, "45 s behind this")]
)
def test_how_far_two_clocks_are_apart(skew: float, words: str) -> None:
    world = World(skew=skew)
    now, said = apart(FakeTarget(world), world.clock)
    assert now == world.time + skew
    assert words in said
    assert bool(words) == bool(said)


def test_a_slow_answer_is_no_skew() -> None:
    world = World()

    class Slow(FakeTarget):
        def now(self) -> float:
            world.time += 45
            return super().now()

    assert apart(Slow(world), world.clock)[1] == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_question_that_is_answered_later(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with told() as stopping:
        assert not stopping()
        os.kill(os.getpid(), number)
        assert stopping()
        assert signal.getsignal(number) == before  # a second one ends the process where it is
    assert signal.getsignal(number) == before


def test_outside_of_the_main_thread_no_signals_are_asked_for() -> None:
    heard: list[bool] = []

    def work() -> None:
        with told() as stopping:
            heard.append(stopping())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]
