"""What the judge promises over whole rollouts: steps at 5, 25 and 50 %, planned requests, stable failing at 0.5 %.

The bars are on the far side of chance: at 300 rollouts, 5 % is held when no more than 8.3 % are seen (three standard
errors), at 1,000 no more than 5 % are allowed at all, as the promise says.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlgate.config.conditions import parse
from mlgate.rollout.analysis.outcome import Stratum, judge
from mlgate.rollout.nouns import Tally
from rollout import simulated
from rollout.simulated import ALPHA, LIMIT, RULE, STABLE, WEIGHTS, Callers, World, bad_answers, run, run_sticky
from rollout.tallies import scores

HEALTHY = [
    World("healthy"),
    World("healthy, in turns", split="turns"),
    World("half the errors", canary=0.5),
    World("bursts", bursts=0.03),
    World("weights and rates change together", of_step=(0.4, 4.0, 1.0)),
    World("late errors", late=1),
]
EDGE = [
    World("at the limit", canary=LIMIT),
    World("at the limit, in turns", canary=LIMIT, split="turns"),
    World("at the limit, bursts", canary=LIMIT, bursts=0.03),
]


def named(world: World | Callers) -> str:
    return world.name


def at(world: World, looks: int) -> World:
    return World(**{**world.__dict__, "looks": looks, "late": world.late * max(1, looks // 10)})


@pytest.mark.parametrize("world", HEALTHY, ids=named)
def test_as_good_as_stable_is_promoted(world: World) -> None:
    found = run(world, 300)
    assert found.back <= 0.05
    assert found.promoted == 300 - found.broken - found.undecided


@pytest.mark.parametrize("world", EDGE, ids=named)
def test_just_within_the_rule_is_not_called_broken_and_hardly_ever_promoted(world: World) -> None:
    found = run(at(world, 30), 300)
    assert found.broken / 300 <= 0.083
    assert found.promoted / 300 <= 0.083


def test_twice_the_errors_are_turned_back_before_everything() -> None:
    found = run(World("twice", canary=2.0), 300)
    assert found.broken / 300 >= 0.95
    assert found.promoted == 0
    assert found.in_step[0] > 0  # some in the first step already


def test_more_errors_are_found_sooner() -> None:
    found = run(World("ten times", canary=10.0), 100)
    assert found.in_step == [100, 0, 0]


def test_requests_that_are_too_young_would_accuse_a_healthy_canary() -> None:
    """Why they are not counted: stable's errors come late, the canary's at once."""
    assert run(World("", late=1, wait=False), 100).back > 0.5


def test_callers_who_stay_are_counted_as_callers() -> None:
    assert run_sticky(Callers("sticky"), 200).back <= 0.05
    assert run_sticky(Callers("twice", canary=2.0), 100).broken >= 95
    # A few callers whose every call fails: what counting requests would do, and what counting them does.
    assert run_sticky(Callers("", prone=0.05, each=200, counted="requests"), 200).broken / 200 > 0.10
    assert run_sticky(Callers("", prone=0.05, each=200), 200).back <= 0.05


@pytest.mark.parametrize("per_second", [20, 40, 100])
def test_a_tenth_of_errors_is_turned_back_within_sixty_bad_answers(per_second: int) -> None:
    for rules in (1, 4):
        assert bad_answers(1000, per_second=per_second, alpha=ALPHA / rules).max() <= 60


def test_the_simulations_decide_as_the_judge_does() -> None:
    """Rollouts as they ended, given to the judge itself."""
    for world in (World("healthy"), World("twice", canary=2.0), World("edge", canary=LIMIT, looks=3)):
        found = run(world, 20, seed=9)
        assert found.counts is not None
        outcomes = []
        for counts in found.counts:
            strata = [
                Stratum(weight, _counted(one[2:]), _counted(one[:2]))
                for weight, one in zip(WEIGHTS, counts, strict=True)
                if one.sum()
            ]
            made = judge(
                [parse(RULE)], strata, confidence=1 - ALPHA, planned=1, last=len(strata) == len(WEIGHTS), steps=3
            )
            outcomes.append(made.outcome)
        assert outcomes.count("roll back") == found.broken
        assert outcomes.count("promote") == found.promoted
        assert outcomes.count("continue") == found.undecided


def _counted(pair: simulated.Array) -> Tally:
    return Tally(int(pair[0]), int(pair[1]))


# --- scores


def shifted(rollouts: int, looks: int, *, constant: bool, seed: int = 3) -> int:
    """How many rollouts `prediction_shift <= 0.1` turns back in the first step: 5 % of 4,000 requests a look."""
    draw = np.random.default_rng(seed)
    back = 0
    for _ in range(rollouts):
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(looks):
            ours += [0.27] * 200 if constant else draw.beta(2, 5, 200).tolist()
            theirs += draw.beta(2, 5, 3800).tolist()
            one, other = (Tally(len(x), 0, scores=scores(x)) for x in (ours, theirs))
            made = judge(
                [parse("prediction_shift <= 0.1")], [Stratum(5, other, one)], confidence=0.95, planned=1, steps=3
            )
            if made.outcome == "roll back":
                back += 1
                break
    return back


def test_a_constant_output_is_turned_back_and_equal_scores_are_not() -> None:
    assert shifted(30, 2, constant=True) == 30
    assert shifted(15, 5, constant=False) == 0


# --- as many as promised

LONG = pytest.mark.long


@LONG
@pytest.mark.parametrize("looks", [10, 1000])
@pytest.mark.parametrize("world", HEALTHY, ids=named)
def test_a_thousand_healthy_rollouts(world: World, looks: int) -> None:
    assert run(at(world, looks), 1000, seed=looks).back <= 0.05


@LONG
@pytest.mark.parametrize("looks", [10, 1000])
def test_a_thousand_bad_rollouts(looks: int) -> None:
    found = run(World("twice", canary=2.0, looks=looks), 1000, seed=looks)
    assert found.broken / 1000 >= 0.95
    assert found.promoted == 0


@LONG
@pytest.mark.parametrize("looks", [10, 1000])
@pytest.mark.parametrize("world", EDGE, ids=named)
def test_a_thousand_rollouts_at_the_limit(world: World, looks: int) -> None:
    found = run(at(world, looks), 1000, seed=looks)
    assert max(found.broken, found.promoted) / 1000 <= ALPHA


@LONG
@pytest.mark.parametrize("looks", [10, 200])
def test_a_thousand_rollouts_with_callers_who_stay(looks: int) -> None:
    assert run_sticky(Callers("sticky", looks=looks), 1000).back <= 0.05
    assert run_sticky(Callers("sticky, rarely the same", looks=looks, active=0.2), 1000).back <= 0.05
    assert run_sticky(Callers("twice", looks=looks, canary=2.0), 1000).broken >= 950


@LONG
def test_a_thousand_constant_outputs() -> None:
    assert shifted(1000, 2, constant=True) == 1000
    assert shifted(300, 10, constant=False) <= 15


def test_the_plan_of_the_simulations_is_that_of_the_command() -> None:
    sizes = simulated.planned()
    assert sizes == [math.ceil(size) for size in sizes]
    assert 50_000 < sizes[0] < 150_000
    assert STABLE == 0.005
