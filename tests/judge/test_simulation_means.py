"""How often bounds are wrong, and how often they settle what they promise to, in worlds where the truth is known.

With the true difference exactly at the margin, "non-inferior" is an error: `lower` above the truth for a metric of
which more is better, `upper` below it for one of which less is. Both are counted for every metric. Fewer errors than
asked for are fine.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from judge import means_worlds as worlds
from judge.means_worlds import World
from mlgate.data.rows import Rows
from mlgate.judge import decide
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.paired import means

ALPHA = 0.05
SMALL = 100  # rows (or 100 of a class, clusters, queries) below which 0.07 is allowed

CASES = [(world, size) for world in (*worlds.EXACT, *worlds.ESTIMATED) for size in world.sizes]
NAMES = [f"{world.name}-{size}" for world, size in CASES]
QUICK = [(world, world.sizes[0]) for world in worlds.EXACT]


def error_rates(world: World, size: int, times: int, seed: int = 17) -> list[tuple[float, float]]:
    """For each metric, how often the lower bound is above the true difference, and the upper one below it."""
    truths, rng = worlds.true_differences(world), np.random.default_rng(seed)
    wrong = np.zeros((len(world.specs), 2))
    for _ in range(times):
        rows = world.draw(rng, size)
        for at, (spec, truth) in enumerate(zip(world.specs, truths, strict=True)):
            found = compared(spec, rows)
            if found is not None and not found.too_little:
                wrong[at] += [_passes_at(found, truth, greater) for greater in (True, False)]
    return [(float(lower), float(upper)) for lower, upper in wrong / times]


def _passes_at(found: Bounds, truth: float, greater_is_better: bool) -> bool:
    """Whether it is non-inferior by a margin that the truth just reaches; moved, since no margin is negative."""
    moved = Bounds(
        found.a, found.b, found.difference, found.lower - truth, found.upper - truth, found.se, found.rows, found.method
    )
    return decide.outcome(moved, 0.0, greater_is_better) in {"superior", "non-inferior"}


def compared(spec: Spec, rows: Rows) -> Bounds | None:
    assert rows.champion is not None
    try:
        return means.bounds(spec, rows, rows.challenger, rows.champion, confidence=1 - ALPHA)
    except UndefinedError:
        return None


def allowed(size: int, times: int) -> float:
    by_chance = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / times)
    return max(0.07, by_chance) if size < SMALL else by_chance


@pytest.mark.parametrize(("world", "size"), QUICK, ids=[f"{world.name}-{size}" for world, size in QUICK])
def test_errors_are_as_rare_as_asked(world: World, size: int) -> None:
    ((lower, upper),) = error_rates(world, size, 1000)
    assert lower <= allowed(size, 1000)
    assert upper <= allowed(size, 1000)


@pytest.mark.long
@pytest.mark.parametrize(("world", "size"), CASES, ids=NAMES)
def test_errors_are_as_rare_as_asked_in_every_world(world: World, size: int) -> None:
    wrong = []
    for spec, rates in zip(world.specs, error_rates(world, size, 2000, seed=23), strict=True):
        print(f"| {world.name} | {size} | {spec.name} {spec.average} | {rates[0]:.3f} | {rates[1]:.3f} |")
        if max(rates) > allowed(size, 2000):
            wrong.append((spec.name, spec.average, rates))
    assert not wrong


def powers(world: World, size: int, times: int) -> list[float]:
    """How often equally good models are found to be non-inferior with exactly as many rows as `needed` says."""
    rng = np.random.default_rng(29)
    pilots = [[compared(spec, rows) for spec in world.specs] for rows in (world.draw(rng, size) for _ in range(60))]
    margins = [_settled_by([found for found in each if found]) for each in zip(*pilots, strict=True)]
    passed = np.zeros(len(world.specs))
    for at in range(times):
        rows = world.draw(rng, size)
        for of, (spec, margin) in enumerate(zip(world.specs, margins, strict=True)):
            found = compared(spec, rows)
            assert found is not None
            passed[of] += decide.outcome(found, margin, bool(at % 2)) in {"superior", "non-inferior"}
    return [float(share) for share in passed / times]


def _settled_by(pilots: list[Bounds]) -> float:
    """The margin for which the usual one of these samples says that as many rows as it has are needed."""
    margins = []
    for pilot in pilots:
        margins.append(pilot.se * math.sqrt((decide.needed(pilot, pilot.se, 1 - ALPHA) or math.nan) / pilot.rows))
        assert decide.needed(pilot, margins[-1], 1 - ALPHA) == pytest.approx(pilot.rows, abs=2)
    return float(np.median(margins))


def test_the_rows_needed_keep_their_promise() -> None:
    (found,) = powers(worlds.EQUAL[0], 500, 600)
    assert found == pytest.approx(decide.POWER, abs=0.05)


@pytest.mark.long
@pytest.mark.parametrize("world", worlds.EQUAL, ids=[world.name for world in worlds.EQUAL])
def test_the_rows_needed_keep_their_promise_in_every_world(world: World) -> None:
    wrong = []
    for spec, found in zip(world.specs, powers(world, world.sizes[0], 1500), strict=True):
        print(f"| {world.name} | {world.sizes[0]} | {spec.name} {spec.average} | {found:.3f} |")
        if abs(found - decide.POWER) > 0.05:
            wrong.append((spec.name, spec.average, found))
    assert not wrong
