"""The ways of a release through one environment, in a world of memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from mlgate.errors import MlgateError
from mlgate.model import Verdict
from mlgate.rollout import strategies
from mlgate.rollout.given import LedgerError
from mlgate.rollout.state import LOOKS, State
from mlgate.rollout.targets import FencedError, NotYetError, TargetError
from rollout.faketarget import FakeTarget, World, release, unreachable
from rollout.processes import (
    BLUE_GREEN,
    CANARY,
    Said,
    Tried,
    check,
    deploy,
    judge,
    machine,
    put_back,
    serving,
    whole,
)

OLD, NEW, THIRD = release("a"), release("b"), release("c")


def shares(world: World, slot: str) -> list[float]:
    """The weights of a slot, as the router was told."""
    found: list[float] = []
    for _, weights in world.history:
        if not found or found[-1] != weights.get(slot, 0.0):
            found.append(weights.get(slot, 0.0))
    return found


# -- good ones ---------------------------------------------------------------------------------------------------------


def test_a_good_canary_goes_step_by_step_to_everything() -> None:
    world = serving(OLD)
    state = deploy(world, NEW)
    assert (state.phase, state.outcome, state.verdict) == ("complete", "complete", Verdict.PASS)
    assert shares(world, NEW.slot) == [0.0, 5.0, 25.0, 50.0, 100.0]
    names = ["started", "checked", "advanced", "advanced", "advanced", "promoting", "complete"]
    assert world.names(state.rollout) == names
    assert [e.weight for e in world.entries if e.rollout == state.rollout and e.name == "advanced"] == [5, 25, 50]
    assert [round(one.weight) for one in state.seen] == [5, 25, 50]
    assert all(one.canary.requests >= 200 for one in state.seen)
    whole(world)


def test_the_first_model_of_an_environment_gets_everything_after_the_checks() -> None:
    world = World()
    state = deploy(world, NEW)
    assert shares(world, NEW.slot) == [100.0]
    assert state.plan.steps == ()
    whole(world)


def test_blue_green_switches_once_and_keeps_the_old_one_as_long_as_asked() -> None:
    world = serving(OLD)
    settings = {**BLUE_GREEN, "keep": "10 minutes"}
    state = deploy(world, NEW, settings)
    assert state.over
    assert (state.phase, state.outcome) == ("keeping", "complete")
    assert set(world.slots) == {OLD.slot, NEW.slot}
    assert world.weights == {NEW.slot: 100.0}
    process = machine(world, settings)
    waiting = process.resume()
    assert waiting is not None
    assert process.once(waiting).phase == "keeping"
    world.time += 700
    process = machine(world, settings)
    due = process.resume()
    assert due is not None
    assert process.once(due).phase == "complete"
    whole(world)


def test_rolling_goes_on_by_one_servers_share() -> None:
    world = serving(OLD)
    world.slots[OLD.slot].replicas = 4
    most: list[int] = []

    class Counting(FakeTarget):
        def weigh(self, weights: Any) -> None:
            super().weigh(weights)
            for name, weight in weights.items():
                assert world.answering(name) >= round(4 * weight / 100)

        def slots(self) -> Any:
            found = super().slots()
            most.append(sum(slot.replicas for slot in found))
            return found

    settings = {"strategy": "rolling", "replicas": 4, "step": {"at_least": "10 s"}}
    process = machine(world, settings)
    process.hands.target = process.hands.lease.target = Counting(world, process.hands.target.place)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    process.loop(process.begin(NEW, OLD, plan, strategy="rolling"))
    assert shares(world, NEW.slot) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert world.slots[NEW.slot].replicas == 4
    assert max(most) == 5
    whole(world)


def test_rolling_back_brings_the_servers_of_stable_back() -> None:
    world = serving(OLD)
    world.slots[OLD.slot].replicas = 4
    settings = {"strategy": "rolling", "replicas": 4, "step": {"at_least": "10 s"}}
    state = deploy(world, NEW, settings, stopping=lambda: world.weights.get(NEW.slot) == 50.0)
    assert state.outcome == "aborted"
    assert world.slots[OLD.slot].replicas == 4
    whole(world)


def test_a_shadow_never_gets_traffic_and_leaves_stable_as_it_was() -> None:
    world = serving(OLD)
    state = deploy(world, NEW, {"strategy": "shadow"})
    assert (state.outcome, state.verdict) == ("judged", Verdict.PASS)
    assert shares(world, NEW.slot) == [0.0]
    assert world.names(state.rollout) == ["started", "checked", "judged"]
    assert world.current == OLD
    whole(world)


def test_a_batch_is_run_without_a_router() -> None:
    world = World()
    ran: list[str] = []

    def run(target: Any, candidate: Any, stable: Any, alive: Any) -> Tried:
        alive()
        ran.append(candidate.slot)
        return Tried((check(),))

    state = deploy(world, NEW, {"strategy": "batch"}, checks=run)
    assert (state.outcome, ran) == ("complete", [NEW.slot])
    assert world.slots == {}
    assert "weigh" not in world.calls


def test_a_drill_goes_there_and_back_and_verifies_it() -> None:
    world = serving(OLD)
    state = deploy(world, NEW, drill=True)
    assert (state.outcome, state.verdict) == ("judged", Verdict.PASS)
    assert state.seconds is not None
    assert state.seconds < 5
    assert shares(world, NEW.slot) == [0.0, 5.0, 25.0, 50.0, 0.0]
    assert world.names(state.rollout)[-1] == "judged"
    assert world.current == OLD
    whole(world)


def test_a_drill_without_another_model_is_refused() -> None:
    with pytest.raises(MlgateError, match="there is none to come back to"):
        deploy(World(), NEW, drill=True)
    world = serving(OLD)
    with pytest.raises(MlgateError, match="there is no other here"):
        deploy(world, OLD, drill=True)


def test_deploying_what_is_there_changes_nothing() -> None:
    world = serving(OLD)
    before, calls = list(world.entries), len(world.calls)
    state = deploy(world, OLD, BLUE_GREEN)
    assert (state.outcome, state.candidate) == ("complete", OLD)
    assert world.entries == before
    assert not {"start", "weigh", "stop"} & set(world.calls[calls:])


def test_an_earlier_release_is_put_back_and_the_time_is_measured() -> None:
    world = serving(OLD)
    deploy(world, NEW)
    state = put_back(world, OLD)
    assert (state.purpose, state.outcome) == ("rollback", "complete")
    entry = world.entries[-1]
    assert (entry.name, entry.purpose, entry.candidate, entry.stable) == ("complete", "rollback", OLD, NEW)
    assert entry.seconds is not None
    assert entry.seconds < 10
    whole(world)


def test_a_release_that_is_kept_is_put_back_by_weights_alone() -> None:
    world = serving(OLD)
    deploy(world, NEW, {**BLUE_GREEN, "keep": "10 minutes"})
    calls = len(world.calls)
    state = put_back(world, OLD)
    assert state.seconds is not None
    assert state.seconds < 1
    assert world.calls[calls:].index("weigh") < world.calls[calls:].index("stop")
    whole(world)


def test_a_rollback_interrupts_a_canary_that_another_process_watches() -> None:
    world = serving(OLD)
    deploy(world, NEW, BLUE_GREEN)
    other = machine(world)
    plan = strategies.plan(other.hands.target.place.settings, stable=True, timeout=2.0)
    state = other.begin(THIRD, NEW, plan, strategy="canary")
    while state.phase != "watching":
        state = other.advance(state)
    put_back(world, OLD)
    assert world.current == OLD
    with pytest.raises(FencedError):
        other.loop(state)
    whole(world)
    assert world.names(state.rollout)[-1] == "aborted"


# -- bad ones ----------------------------------------------------------------------------------------------------------


def test_a_canary_with_errors_is_turned_back_by_the_numbers() -> None:
    world = serving(OLD)
    world.error_rates[NEW.slot] = 0.10
    state = deploy(world, NEW)
    assert (state.outcome, state.verdict) == ("aborted", Verdict.FAIL)
    assert "requests failed" in state.reason
    assert state.seconds is not None
    assert state.seconds < 5
    assert max(shares(world, NEW.slot)) == 5.0
    assert world.names(state.rollout)[-2:] == ["rolling back", "aborted"]
    assert world.entries[-1].reason == state.reason
    assert world.current == OLD
    whole(world)


def test_a_container_that_crashes_at_once_gets_no_traffic() -> None:
    world = serving(OLD)
    world.crashes.add(NEW.slot)
    state = deploy(world, NEW)
    assert (state.outcome, state.verdict) == ("failed", Verdict.ERROR)
    assert "no module named sklearn" in state.reason
    assert shares(world, NEW.slot) == [0.0]
    whole(world)


def test_a_model_that_never_becomes_ready_is_not_waited_for_for_ever() -> None:
    world = serving(OLD)
    world.unready_from[NEW.slot] = 0.0
    state = deploy(world, NEW)
    assert (state.outcome, state.verdict) == ("failed", Verdict.ERROR)
    assert state.reason == "the model was not ready within 300 s. connection refused."
    whole(world)


def test_a_canary_that_stops_answering_is_turned_back() -> None:
    world = serving(OLD)
    world.unready_from[NEW.slot] = world.time + 25
    state = deploy(world, NEW)
    assert (state.outcome, state.verdict) == ("aborted", Verdict.FAIL)
    assert "does not answer any more" in state.reason
    whole(world)


def test_one_question_without_an_answer_turns_nothing_back_and_promotes_nothing() -> None:
    world = serving(OLD)
    process = machine(world)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    state = process.begin(NEW, OLD, plan, strategy="canary")
    while state.phase != "watching":
        state = process.advance(state)
    world.time += 100
    world.unready_from[NEW.slot] = 0.0
    state = process.advance(state)
    assert (state.phase, state.unready) == ("watching", 1)
    assert "did not answer" in state.held
    world.unready_from.clear()
    state = process.advance(state)
    assert (state.phase, state.unready, state.held) == ("moving", 0, "")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.FAIL, "failed"),
        (Verdict.ERROR, "failed"),
        (Verdict.INCONCLUSIVE, "aborted"),
        (Verdict.WARN, "complete"),
    ],
)
def test_what_its_checks_do_not_let_through_gets_no_traffic(verdict: Verdict, expected: str) -> None:
    world = serving(OLD)
    state = deploy(world, NEW, checks=lambda *_: Tried((check(), check(verdict, "422 for the example."))))
    assert state.outcome == expected
    if expected == "failed":
        assert (state.verdict, state.reason) == (verdict, "the example: 422 for the example.")
        assert shares(world, NEW.slot) == [0.0]
    whole(world)


def test_no_checks_at_all_are_no_pass() -> None:
    world = serving(OLD)
    state = deploy(world, NEW, checks=lambda *_: Tried(()))
    assert (state.outcome, state.verdict) == ("failed", Verdict.ERROR)
    whole(world)


def test_checks_that_cannot_be_made_stop_it() -> None:
    def broken(*_: object) -> Tried:
        raise MlgateError("the evaluation data is not here.")

    world = serving(OLD)
    state = deploy(world, NEW, checks=broken)
    assert (state.outcome, state.verdict) == ("failed", Verdict.ERROR)
    assert "the evaluation data is not here" in state.reason
    whole(world)


# -- silence never promotes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no traffic", "lost lines", "no metric", "never enough", "stable is down"])
def test_what_is_not_decided_in_time_is_turned_back_as_undecided(how: str) -> None:
    world = serving(OLD)
    more: dict[str, Any] = {}
    if how == "no traffic":
        world.rps = 0.0
    if how == "lost lines":
        world.incomplete = "212 lines of the router's log are lost"
    if how == "no metric":

        def no_metric(state: State, *, complete: bool, why: str) -> Said:
            raise MlgateError("Prometheus has no value for conversion_rate.")

        more["judge"] = no_metric
    if how == "never enough":
        more["judge"] = lambda state, *, complete, why: Said("continue", "8,000 more requests would settle it.")
    if how == "stable is down":
        more["judge"] = lambda state, *, complete, why: judge(state, complete=complete, why=why)
        world.unready_from[OLD.slot] = world.time + 15
        # It comes up again once it is needed.
        world.sleep = _reviving(world, world.time + 800)  # type: ignore[method-assign]
    state = deploy(world, NEW, **more)
    assert (state.outcome, state.verdict) == ("aborted", Verdict.INCONCLUSIVE)
    assert state.reason.startswith("5 % was not decided within 600 s.")
    words = {
        "no traffic": "nothing was measured",
        "lost lines": "212 lines",
        "no metric": "Prometheus has no value",
        "never enough": "8,000 more requests",
        "stable is down": "with which it is compared, is not ready",
    }
    assert words[how] in state.reason
    assert max(shares(world, NEW.slot)) == 5.0
    assert world.names(state.rollout).count("held") == (how != "never enough")
    whole(world)


def _reviving(world: World, at: float) -> Any:
    def sleep(seconds: float) -> None:
        world.time += seconds
        if world.time >= at:
            world.unready_from.clear()

    return sleep


def test_a_judge_that_says_promote_too_early_is_not_believed() -> None:
    world = serving(OLD)
    state = deploy(world, NEW, judge=lambda state, *, complete, why: Said("promote", ""))
    assert all(one.canary.requests >= 200 for one in state.seen)
    whole(world)


def test_a_judge_that_does_not_mind_lost_lines_is_not_believed() -> None:
    world = serving(OLD)
    world.incomplete = "212 lines of the router's log are lost"
    state = deploy(world, NEW, judge=lambda state, *, complete, why: Said("promote", ""))
    assert (state.outcome, state.verdict) == ("aborted", Verdict.INCONCLUSIVE)
    assert max(shares(world, NEW.slot)) == 5.0


def test_what_was_decided_is_kept_before_it_is_acted_on() -> None:
    world = serving(OLD)
    world.error_rates[NEW.slot] = 0.10
    process = machine(world)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    state = process.begin(NEW, OLD, plan, strategy="canary")
    while state.phase != "turning":
        world.time += 1
        state = process.advance(state)
    assert world.state == state
    assert world.weights[NEW.slot] == 5.0
    world.time += 100
    world.error_rates.clear()  # it seems well again: too late
    assert deploy(world, NEW).outcome == "aborted"
    whole(world)


def test_requests_count_only_after_the_warm_up_and_once_they_must_have_an_answer() -> None:
    world = serving(OLD)
    windows: list[tuple[float, float, float]] = []

    class Watched(FakeTarget):
        def observe(self, slots: Any, since: float, until: float) -> Any:
            windows.append((since, until, self.now()))
            return super().observe(slots, since, until)

    process = machine(world)
    process.hands.target = process.hands.lease.target = Watched(world, process.hands.target.place)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    process.loop(process.begin(NEW, OLD, plan, strategy="canary"))
    moves = [at for at, weights in world.history if NEW.slot in weights][:3]
    assert windows
    for since, until, now in windows:
        move = max(at for at in moves if at <= now)
        assert since >= move + 2.0  # the warm-up
        assert until <= now - 2.0 + 0.1  # the timeout
    for one, other in pairwise(windows):
        assert other[0] >= one[1]  # nothing is counted twice


def test_with_sticky_callers_a_step_is_read_anew_at_each_look() -> None:
    world = serving(OLD)
    seen: list[float] = []

    class Sticky(FakeTarget):
        def observe(self, slots: Any, since: float, until: float) -> Any:
            seen.append(since)
            return super().observe(slots, since, until)

    settings = {**CANARY, "sticky": "X-User"}
    process = machine(world, settings, judge=lambda state, *, complete, why: Said("continue", ""))
    process.hands.target = process.hands.lease.target = Sticky(world, process.hands.target.place)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    state = process.begin(NEW, OLD, plan, strategy="canary")
    for _ in range(12):
        world.time += 5
        state = process.advance(state)
    assert len(seen) > 3
    assert len(set(seen)) == 1
    assert state.seen[-1].canary.requests == int(world.asked_of(NEW.slot, state.looked)) - int(
        world.asked_of(NEW.slot, seen[0])
    )


# -- what does not answer ----------------------------------------------------------------------------------------------


def test_a_target_that_cannot_be_reached_changes_nothing() -> None:
    world = serving(OLD)
    process = machine(world)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    state = process.begin(NEW, OLD, plan, strategy="canary")
    while state.phase != "watching":
        state = process.advance(state)
    kept, weights = world.kept, dict(world.weights)
    world.refused = dict.fromkeys(("read", "write", "slots", "ready", "weigh", "observe", "stop", "now"), unreachable())
    with pytest.raises(TargetError, match="cannot be reached"):
        process.loop(state)
    assert (world.kept, world.weights) == (kept, weights)
    world.refused = {}
    assert deploy(world, NEW).outcome == "complete"  # the next run goes on
    whole(world)


def test_a_router_that_shows_nothing_any_more_leaves_no_canary_unwatched() -> None:
    world = serving(OLD)
    world.refused["observe"] = TargetError("HAProxy is down.")
    state = deploy(world, NEW)
    assert (state.outcome, state.verdict) == ("aborted", Verdict.ERROR)
    assert state.reason == "HAProxy is down."
    whole(world)


def test_an_image_that_the_registry_lacks_fails_before_anything_changes() -> None:
    world = serving(OLD)
    world.refused["start"] = TargetError("registry.example/visits@sha256:bbbb is not in the registry.")
    state = deploy(world, NEW)
    assert (state.outcome, state.verdict) == ("failed", Verdict.ERROR)
    assert "not in the registry" in state.reason
    whole(world)


def test_a_router_that_does_not_do_as_told_is_no_success() -> None:
    world = serving(OLD)

    class Deaf(FakeTarget):
        def weigh(self, weights: Any) -> None:
            with self.world.call("weigh"):
                pass

    process = machine(world, BLUE_GREEN)
    process.hands.target = process.hands.lease.target = Deaf(world, process.hands.target.place)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    with pytest.raises(MlgateError, match="still gets traffic"):
        process.loop(process.begin(NEW, OLD, plan, strategy="blue-green"))
    assert world.current == OLD
    assert "complete" not in world.names(world.entries[-1].rollout)
    assert set(world.slots) == {OLD.slot, NEW.slot}


def test_without_a_ledger_nothing_begins() -> None:
    world = serving(OLD)
    world.refused["record"] = MlgateError("the ledger's branch cannot be reached.")
    with pytest.raises(LedgerError, match="ledger's branch cannot be reached"):
        deploy(world, NEW)
    assert set(world.slots) == {OLD.slot}
    world.refused = {}
    assert deploy(world, NEW).outcome == "complete"
    whole(world)


def test_without_a_ledger_a_canary_stays_where_it_is_and_is_watched() -> None:
    world = serving(OLD)

    def forgetful(transition: Any) -> None:
        if transition.name == "advanced" and transition.weight > 5:
            raise MlgateError("the ledger's branch cannot be reached.")
        world.record(transition)

    world.error_rates[NEW.slot] = 0.0
    state = deploy(world, NEW, record=forgetful)
    assert max(shares(world, NEW.slot)) == 5.0
    assert (state.outcome, state.verdict) == ("aborted", Verdict.INCONCLUSIVE)
    whole(world)


def test_without_a_ledger_a_bad_canary_is_still_turned_back() -> None:
    world = serving(OLD)
    world.error_rates[NEW.slot] = 0.10

    def forgetful(transition: Any) -> None:
        if transition.name in ("rolling back", "aborted"):
            raise MlgateError("the ledger's branch cannot be reached.")
        world.record(transition)

    with pytest.raises(LedgerError):
        deploy(world, NEW, record=forgetful)
    assert world.weights == {OLD.slot: 100.0}
    state = deploy(world, NEW)  # the next run tells the ledger how it ended
    assert (state.outcome, state.verdict) == ("aborted", Verdict.FAIL)
    whole(world)


def test_clocks_that_disagree_begin_nothing() -> None:
    world = serving(OLD)
    world.skew = -120.0
    with pytest.raises(MlgateError, match="the target's clock is 120 s behind this machine's"):
        deploy(world, NEW)
    assert set(world.slots) == {OLD.slot}


def test_a_clock_that_is_set_back_under_way_promotes_nothing() -> None:
    world = serving(OLD)
    process = machine(world)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    state = process.begin(NEW, OLD, plan, strategy="canary")
    while state.phase != "watching":
        state = process.advance(state)
    world.time += 100
    world.skew = -3600.0
    state = process.advance(state)
    assert state.phase == "watching"
    assert "went back" in state.held


def test_traffic_that_the_ledger_does_not_explain_is_not_touched() -> None:
    world = serving(OLD)
    world.serve(THIRD)
    with pytest.raises(MlgateError, match="the ledger names visits-") as error:
        deploy(world, NEW)
    assert "--recover" in str(error.value)
    assert world.weights == {THIRD.slot: 100.0}


# -- being told to end -------------------------------------------------------------------------------------------------


def stop_at(world: World, phase: str) -> Any:
    return lambda: world.state is not None and world.state.phase == phase


@pytest.mark.parametrize("phase", ["begun", "starting", "checking", "moving", "watching"])
def test_told_to_end_before_it_is_decided_everything_goes_back(phase: str) -> None:
    world = serving(OLD)
    state = deploy(world, NEW, stopping=stop_at(world, phase))
    assert (state.outcome, state.verdict) == ("aborted", Verdict.INCONCLUSIVE)
    assert "told to end" in state.reason
    whole(world)


@pytest.mark.parametrize("phase", ["promoting", "settling"])
def test_told_to_end_once_it_is_decided_it_is_ended(phase: str) -> None:
    world = serving(OLD)
    assert deploy(world, NEW, stopping=stop_at(world, phase)).outcome == "complete"
    whole(world)


def test_told_to_end_it_can_stay_for_the_next_job() -> None:
    world = serving(OLD)
    state = deploy(world, NEW, stopping=stop_at(world, "watching"), on_stop="stay")
    assert (state.phase, state.holder, world.weights[NEW.slot]) == ("watching", "", 5.0)
    before = world.time
    assert deploy(world, NEW).outcome == "complete"
    assert world.time - before < 600
    whole(world)


def test_checks_that_are_under_way_hear_of_it() -> None:
    world = serving(OLD)
    heard: list[bool] = []

    def load(target: Any, candidate: Any, stable: Any, alive: Any) -> Tried:
        heard.append(True)
        for _ in range(100):
            world.time += 1
            alive()
        return Tried((check(),))

    state = deploy(world, NEW, checks=load, stopping=lambda: bool(heard))
    assert state.outcome == "aborted"
    assert len(heard) == 1
    whole(world)


# -- a schedule --------------------------------------------------------------------------------------------------------


def test_a_rollout_outlives_the_jobs_that_a_schedule_starts() -> None:
    world = serving(OLD)
    process = machine(world)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    state = process.once(process.begin(NEW, OLD, plan, strategy="canary"))
    weights = [state.weight]
    for _ in range(10):
        assert state.holder == ""
        world.time += 60
        process = machine(world)
        found = process.resume()
        if found is None:
            break
        state = process.once(found)
        weights.append(state.weight)
    assert state.outcome == "complete"
    assert weights == sorted(weights)
    assert len(set(weights)) >= 4
    whole(world)


def test_another_release_takes_the_place_of_one_that_nobody_goes_on_with() -> None:
    world = serving(OLD)
    process = machine(world)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    first = process.once(process.begin(NEW, OLD, plan, strategy="canary"))
    assert first.phase == "watching"
    state = deploy(world, THIRD)
    assert (state.outcome, state.candidate) == ("complete", THIRD)
    assert world.names(first.rollout)[-1] == "aborted"
    assert "took its place" in next(e.reason for e in world.entries if e.name == "aborted")
    whole(world)


def test_what_is_decided_is_ended_before_another_release_begins() -> None:
    world = serving(OLD)
    process = machine(world)
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    state = process.begin(NEW, OLD, plan, strategy="canary")
    while state.phase != "settling":
        world.time += 5
        state = process.advance(state)
    world.time += 100
    with pytest.raises(MlgateError, match="has just become the model"):
        deploy(world, THIRD)
    assert world.current == NEW
    assert deploy(world, THIRD).outcome == "complete"
    whole(world)


def test_an_aborted_rollout_can_be_asked_for_by_itself() -> None:
    world = serving(OLD)
    process = machine(world)
    assert process.abort("nobody likes it.") is None
    plan = strategies.plan(process.hands.target.place.settings, stable=True, timeout=2.0)
    process.once(process.begin(NEW, OLD, plan, strategy="canary"))
    state = machine(world).abort("nobody likes it.")
    assert state is not None
    assert (state.outcome, state.reason) == ("aborted", "nobody likes it.")
    whole(world)


# -- the state ---------------------------------------------------------------------------------------------------------


def test_the_state_survives_being_written_down() -> None:
    world = serving(OLD)
    state = deploy(world, NEW)
    assert State.from_json(state.to_json()) == state
    assert state.to_json() == State.from_json(state.to_json()).to_json()
    assert len(state.to_json()) < 60_000


def test_a_state_of_another_kind_is_refused_in_words() -> None:
    world = serving(OLD)
    assert world.kept is not None
    for broken in ("{}", "not json", world.kept.text.replace('"rollout"', '"rollouts"'), '{"schema":2}'):
        with pytest.raises(MlgateError, match="cannot be read"):
            State.from_json(broken)


def test_the_timeline_is_bounded_and_keeps_what_happened() -> None:
    world = serving(OLD)
    settings = {**CANARY, "step": {**CANARY["step"], "requests": 20_000, "at_most": "8 hours"}}
    state = deploy(world, NEW, settings)
    assert state.outcome == "complete"
    assert len(state.looks) <= LOOKS
    events = [look.event for look in state.looks if look.event]
    assert events[0] == "deploy started"
    assert events[-1] == "complete"
    assert [look.at for look in state.looks] == sorted(look.at for look in state.looks)
    watched = [look for look in state.looks if look.canary and look.canary.requests]
    assert watched
    for seen in state.seen:  # what was thinned out is counted in the look after it
        mine = [look.canary.requests for look in watched if look.canary and round(look.weight) == round(seen.weight)]
        assert sum(mine) == seen.canary.requests
    assert all(look.canary and look.canary.latency_p99_ms and 19 < look.canary.latency_p99_ms < 21 for look in watched)


@pytest.mark.parametrize(("seconds", "outcome"), [(20, "complete"), (10_000, "failed")])
def test_a_place_that_needs_time_for_a_share_is_asked_again(seconds: float, outcome: str) -> None:
    """Callers see no change meanwhile; what is never done in the time that a model may take is turned back."""
    world = serving(OLD)
    until, weigh = world.time + seconds, world.weigh

    def slow(weights: dict[str, float]) -> None:
        if weights.get(NEW.slot, 0) and world.time < until:
            raise NotYetError("two of three pods are ready")
        weigh(weights)

    world.weigh = slow  # type: ignore[method-assign, assignment]
    state = deploy(world, NEW)
    assert state.outcome == outcome
    world.weigh = weigh  # type: ignore[method-assign]
    whole(world)


def test_a_router_that_gives_another_share_than_it_was_told_holds() -> None:
    world = serving(OLD)
    weigh = world.weigh

    def wrong(weights: dict[str, float]) -> None:
        weigh({OLD.slot: 60.0, NEW.slot: 40.0} if len(weights) == 2 else weights)

    world.weigh = wrong  # type: ignore[method-assign, assignment]
    state = deploy(world, NEW, {**CANARY, "step": {**CANARY["step"], "at_most": "5 minutes"}})
    assert (state.outcome, state.verdict) == ("aborted", Verdict.INCONCLUSIVE)
    assert "the router gives it 40 % of the traffic, and should 5 %" in state.reason
    whole(world)
