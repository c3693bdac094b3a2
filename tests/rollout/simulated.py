"""Thousands of rollouts at once: the judge's evidence over arrays, and worlds in which it has to be right.

Time goes in looks. Of each, requests and errors of both models are drawn for all rollouts together; the evidence is
that of `analysis.counts`, written for arrays (a test holds the two together).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mlgate.config.conditions import parse
from mlgate.rollout.analysis.counts import FACTORS, Side
from mlgate.rollout.analysis.planning import Pacing, plan

RULE = "error_rate <= 1.5x stable"
LIMIT = 1.5
WEIGHTS = (5.0, 25.0, 50.0)
STABLE = 0.005
ALPHA = 0.05
PATIENCE = 3  # times the planned requests, after which a step that is not decided is turned back

Array = np.ndarray[Any, np.dtype[np.float64]]


def evidence(counts: Array, limit: float, side: Side) -> Array:
    """`counts`: rollouts x steps x (canary, its errors, stable, its errors). Log evidence of each rollout."""
    n_c, b_c, n_s, b_s = (counts[..., i] for i in range(4))
    terms = []
    for factor in FACTORS:
        rho = factor if side == "above" else 1 / factor
        grown = np.log(np.maximum(n_c * limit * rho + n_s, 1e-9) / np.maximum(n_c * limit + n_s, 1e-9))
        gain = b_c * math.log(rho) - (b_c + b_s) * grown
        terms.append(np.where((n_c > 0) & (n_s > 0), gain, 0.0).sum(axis=-1))
    high = np.max(terms, axis=0)
    return high + np.log(np.mean(np.exp(np.asarray(terms) - high), axis=0))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class World:
    """How the models fail. `canary`: its rate in terms of stable's."""

    name: str
    canary: float = 1.0
    looks: int = 10  # at each step, while it has its planned requests
    split: Literal["chance", "turns"] = "chance"
    bursts: float = 0.0  # the share of looks in which both models fail
    burst_rate: float = 0.3
    of_step: tuple[float, ...] = (1.0, 1.0, 1.0)  # by how much stable's rate differs from step to step
    late: int = 0  # looks after which stable's errors are known; the canary's are at once
    wait: bool = True  # whether requests are counted only when they are as old as that


@dataclass
class Outcomes:
    """How many rollouts ended how."""

    rollouts: int
    broken: int = 0  # turned back by the rule
    undecided: int = 0  # turned back because a step took too long
    promoted: int = 0
    in_step: list[int] = field(default_factory=lambda: [0] * len(WEIGHTS))  # where the rule turned them back
    counts: Array | None = None  # of each rollout, when it ended

    @property
    def back(self) -> float:
        return (self.broken + self.undecided) / self.rollouts


def planned(rate: float = STABLE, *, sticky: bool = False) -> list[int]:
    """Requests of both models in each step, as `deploy --plan` works them out."""
    made = plan([parse(RULE)], WEIGHTS, Pacing(error_rate=rate, sticky=sticky), confidence=1 - ALPHA)
    return [step.all for step in made.steps]


def run(world: World, rollouts: int, seed: int = 1) -> Outcomes:
    """Each rollout to its end: promoted, turned back by the rule, or undecided for too long."""
    draw = np.random.default_rng(seed)
    sizes = planned()
    counts = np.zeros((rollouts, len(WEIGHTS), 4))
    alive = np.ones(rollouts, dtype=bool)
    found = Outcomes(rollouts, counts=counts)
    for step, weight in enumerate(WEIGHTS):
        size = max(1, round(sizes[step] / world.looks))
        waiting: list[Array] = []
        for look in range(world.looks * PATIENCE + world.late):
            waiting.append(_seen(world, draw, (rollouts, size), weight / 100, STABLE * world.of_step[step]))
            counts[alive, step] += _counted(world, waiting, alive, look)
            bad = alive & (evidence(counts, LIMIT, "above") >= math.log(1 / ALPHA))
            found.broken += int(bad.sum())
            found.in_step[step] += int(bad.sum())
            alive &= ~bad
            if look + 1 < world.looks + world.late * world.wait:
                continue
            if step + 1 < len(WEIGHTS):
                break
            good = alive & (evidence(counts, LIMIT, "below") >= math.log(1 / ALPHA))
            found.promoted += int(good.sum())
            alive &= ~good
            if not alive.any():
                break
    found.undecided = int(alive.sum())
    return found


def _seen(world: World, draw: np.random.Generator, shape: tuple[int, int], weight: float, base: float) -> Array:
    rollouts, size = shape
    if world.split == "chance":
        canary = draw.binomial(size, weight, rollouts)
    else:
        canary = np.full(rollouts, math.floor(size * weight)) + (draw.random(rollouts) < (size * weight) % 1)
    burst = draw.random(rollouts) < world.bursts
    rate = np.where(burst, world.burst_rate, base)
    bad = draw.binomial(canary, np.minimum(0.95, rate * world.canary))
    other = draw.binomial(size - canary, rate)
    return np.stack([canary, bad, size - canary, other], axis=-1).astype(float)


def _counted(world: World, waiting: Sequence[Array], alive: Array, look: int) -> Array:
    """What is counted at this look: requests that are old enough, with all their errors."""
    if world.wait:
        at = look - world.late
        return waiting[at][alive] if at >= 0 else np.zeros((int(alive.sum()), 4))
    now = waiting[look][alive].copy()
    now[:, 3] = waiting[look - world.late][alive][:, 3] if look >= world.late else 0
    return now


@dataclass(frozen=True)
class Callers:
    """A world of callers who stay with one model. A few of them always fail, whatever model answers."""

    name: str
    canary: float = 1.0  # how many more callers fail with the canary
    looks: int = 10
    prone: float = 0.8  # of stable's errors, the share that comes from callers who always fail
    active: float = 0.6  # the share of them who come in a step
    each: int = 12  # requests of such a caller in a step
    counted: Literal["callers", "requests"] = "callers"


def run_sticky(world: Callers, rollouts: int, seed: int = 1) -> Outcomes:
    """Callers keep their model from step to step: those of the smaller share are among those of the larger one."""
    draw = np.random.default_rng(seed)
    sticky = world.counted == "callers"
    sizes = planned(sticky=True)
    size = sizes[-1]
    people = round(size * STABLE * world.prone / world.active)
    place = draw.random((rollouts, people))  # in the circle of the hash: below the weight is the canary
    counts = np.zeros((rollouts, len(WEIGHTS), 4))
    alive = np.ones(rollouts, dtype=bool)
    found = Outcomes(rollouts, counts=counts)
    bar = math.log(len(WEIGHTS) / ALPHA) if sticky else math.log(1 / ALPHA)
    test: Callable[[Array, Side], Array] = (
        (lambda c, side: np.max([evidence(c[:, [k]], LIMIT, side) for k in range(len(WEIGHTS))], axis=0))
        if sticky
        else (lambda c, side: evidence(c, LIMIT, side))
    )
    for step, weight in enumerate(WEIGHTS):
        ours = place < weight / 100
        first = np.where(draw.random((rollouts, people)) < world.active, draw.random((rollouts, people)), 9.0)
        # Where the canary is worse, some callers fail with it only: they are among the rest, below.
        for look in range(world.looks * PATIENCE):
            until = (look + 1) / world.looks
            new = (first < until) & (first >= look / world.looks)
            # The rest of the requests come from callers who are seen once.
            part = max(1, round(size / world.looks))
            canary = draw.binomial(part, weight / 100, rollouts)
            base = STABLE * (1 - world.prone)
            extra = STABLE * world.prone * (world.canary - 1) if world.canary > 1 else 0.0
            bad = draw.binomial(canary, base * max(1.0, world.canary) + extra)
            other = draw.binomial(part - canary, base)
            many = 1 if sticky else world.each
            mine, theirs = (new & ours).sum(axis=1) * many, (new & ~ours).sum(axis=1) * many
            tick = np.stack([canary + mine, bad + mine, part - canary + theirs, other + theirs], axis=-1)
            counts[alive, step] += tick[alive]
            wrong = alive & (test(counts, "above") >= bar)
            found.broken += int(wrong.sum())
            found.in_step[step] += int(wrong.sum())
            alive &= ~wrong
            if look + 1 < world.looks:
                continue
            if step + 1 < len(WEIGHTS):
                break
            good = alive & (test(counts, "below") >= bar)
            found.promoted += int(good.sum())
            alive &= ~good
            if not alive.any():
                break
    found.undecided = int(alive.sum())
    return found


def bad_answers(
    rollouts: int, seed: int = 1, *, rate: float = 0.10, per_second: int = 40, weight: float = 5.0, alpha: float = ALPHA
) -> Array:
    """How many bad answers callers got until a canary that fails at `rate` was turned back.

    As it is live: looked at every 10 seconds, requests counted when they are 10 seconds old, a warm-up of 10 seconds
    that is not counted; what is answered meanwhile, and in the 5 seconds until no traffic comes any more, is bad, too.
    """
    draw = np.random.default_rng(seed)
    size = per_second * 10
    counts = np.zeros((rollouts, 1, 4))
    alive = np.ones(rollouts, dtype=bool)
    unseen = draw.binomial(per_second * 25, weight / 100 * rate, rollouts)
    answers = unseen.astype(float)
    world = World("", canary=rate / STABLE)
    while alive.any():
        tick = _seen(world, draw, (rollouts, size), weight / 100, STABLE)
        counts[alive, 0] += tick[alive]
        answers[alive] += tick[alive][:, 1]
        alive &= evidence(counts, LIMIT, "above") < math.log(1 / alpha)
    return answers
