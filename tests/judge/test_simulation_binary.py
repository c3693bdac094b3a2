"""How often bounds of shares, confusion metrics and AUC are wrong, and how often they decide, in known worlds.

A true difference exactly on the margin may be called non-inferior in alpha of the samples, three Monte Carlo errors
more, or 7 % where a class has fewer than 100 rows. The quick tests draw few samples; `long` draws thousands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from judge.binary_samples import (
    BY_A,
    BY_B,
    LABEL,
    METRICS,
    Ranking,
    Z,
    allowed,
    classes_world,
    costs,
    deciding,
    rows_of,
    statistics,
    table,
    truth,
)
from mlgate.data.rows import Predicted, Rows
from mlgate.estimators import KNOWN
from mlgate.judge import decide, paired
from mlgate.judge.measures import Spec
from mlgate.judge.paired import cells, tango, tilt

ALPHA = 0.05
LIMIT = Z.inv_cdf(1 - ALPHA)
AUC = Spec("roc_auc")

# rows, share of positives, chances of the joint cells: the challenger is worse
DECIDING = {
    "few": (70, 0.5, deciding(0.8, 0.8, apart=(0.15, 0.15), worse=(0.06, 0.06))),
    "uneven harm": (100, 0.5, deciding(0.9, 0.9, apart=(0.08, 0.08), worse=(0.07, 0.02))),
    "hardly any apart": (100, 0.5, deciding(0.95, 0.95, apart=(0.05, 0.05), worse=(0.04, 0.04))),
    "45 positives": (300, 0.15, deciding(0.7, 0.95, apart=(0.15, 0.04), worse=(0.1, 0.01))),
    "1 in 20": (1000, 0.05, deciding(0.6, 0.99, apart=(0.15, 0.01), worse=(0.1, 0.002))),
    "1 in 20, hardly any apart": (1000, 0.05, deciding(0.9, 0.99, apart=(0.04, 0.006), worse=(0.03, 0.004))),
    "1 in 80": (4000, 0.0125, deciding(0.6, 0.99, apart=(0.15, 0.006), worse=(0.1, 0.001))),
    "positives only": (200, 0.5, deciding(0.9, 0.9, apart=(0.05, 0.0), worse=(0.04, 0.0))),
    "40 positives": (400, 0.1, deciding(0.9, 0.98, apart=(0.1, 0.01), worse=(0.08, 0.008))),
    "200 positives": (2000, 0.1, deciding(0.9, 0.98, apart=(0.1, 0.01), worse=(0.04, 0.004))),
    "nearly perfect": (1000, 0.4, deciding(0.98, 0.99, apart=(0.02, 0.01), worse=(0.015, 0.008))),
    "poor recall": (600, 0.2, deciding(0.3, 0.9, apart=(0.3, 0.1), worse=(0.1, 0.01))),
    "poor precision": (1500, 0.05, deciding(0.8, 0.8, apart=(0.1, 0.1), worse=(0.05, 0.05))),
    "large": (3000, 0.3, deciding(0.8, 0.9, apart=(0.1, 0.06), worse=(0.02, 0.01))),
}
RANKING = {
    "30 and 30": Ranking(30, 30, 0.80, 0.85, 0.8),
    "30 and 30, high": Ranking(30, 30, 0.93, 0.97, 0.8),
    "30 and 30, near 1": Ranking(30, 30, 0.97, 0.99, 0.8),
    "30 and 300": Ranking(30, 300, 0.80, 0.85, 0.8),
    "30 and 300, high": Ranking(30, 300, 0.95, 0.98, 0.8),
    "30 and 300, heavy tail": Ranking(30, 300, 0.95, 0.98, 0.8, spread=2.0),
    "300 and 30, high": Ranking(300, 30, 0.95, 0.98, 0.8),
    "100 and 100, near 1": Ranking(100, 100, 0.985, 0.995, 0.8),
    "100 and 100, much alike": Ranking(100, 100, 0.93, 0.95, 0.98),
    "50 and 500, alike": Ranking(50, 500, 0.93, 0.95, 0.95),
    "300 and 300, near 1": Ranking(300, 300, 0.988, 0.994, 0.9),
    "200 and 200": Ranking(200, 200, 0.88, 0.90, 0.9),
    "200 and 2000": Ranking(200, 2000, 0.96, 0.975, 0.9),
    "ties": Ranking(50, 200, 0.80, 0.87, 0.9, steps=(-0.5, 0.5, 1.5, 2.5)),
    "two values": Ranking(50, 200, 0.80, 0.90, 0.9, steps=(1.2,)),
    "30 and 30, ties": Ranking(30, 30, 0.90, 0.95, 0.9, steps=(0.5, 1.5)),
    "200 and 200, heavy tail": Ranking(200, 200, 0.97, 0.98, 0.9, spread=2.0),
}


def rates(world: str, spec: Spec, ratio: float, samples: int, seed: int = 11) -> tuple[float, float, bool]:
    """How often a harm of exactly the margin is called non-inferior and "worse", and whether a class is small."""
    size, prevalence, chances = DECIDING[world]
    chance = table(prevalence, chances)
    counts = np.random.default_rng(seed).multinomial(size, chance, samples).astype(float)
    z = statistics(spec, counts, truth(spec, chance, ratio), ratio)
    sign = -1 if KNOWN[spec.name].greater_is_better is False else 1
    return (
        float(np.mean(sign * z >= LIMIT)),
        float(np.mean(sign * z <= -LIMIT)),
        size * min(prevalence, 1 - prevalence) < 100,
    )


def id_of(spec: Spec) -> str:
    return f"{spec.name}-{spec.average}"


@pytest.mark.parametrize("spec", METRICS, ids=id_of)
@pytest.mark.parametrize("world", ["few", "hardly any apart", "1 in 20", "large"])
def test_harm_on_the_margin_is_not_called_harmless(world, spec):
    found, _, small = rates(world, spec, 1.0, samples=800)
    assert found <= allowed(ALPHA, 800, small)


@pytest.mark.long
@pytest.mark.parametrize("ratio", [1.0, 0.95])
@pytest.mark.parametrize("spec", METRICS, ids=id_of)
@pytest.mark.parametrize("world", DECIDING)
def test_harm_on_the_margin_is_not_called_harmless_at_length(world, spec, ratio):
    harmless, worse, small = rates(world, spec, ratio, samples=4000)
    assert harmless <= allowed(ALPHA, 4000, small)
    assert worse <= 0.075  # a harm that the margin just allows


@pytest.mark.long
@pytest.mark.parametrize("spec", METRICS, ids=id_of)
@pytest.mark.parametrize("world", ["few", "1 in 20", "large"])
def test_the_other_bound_holds_as_well(world, spec):
    # As if the metric were better when it is lower, and the challenger's the higher one.
    size, prevalence, chances = DECIDING[world]
    chance = table(prevalence, chances[:, [0, 2, 1, 3]])
    counts = np.random.default_rng(12).multinomial(size, chance, 4000).astype(float)
    sign = -1 if KNOWN[spec.name].greater_is_better is False else 1
    z = statistics(spec, counts, truth(spec, chance))
    assert np.mean(-sign * z >= LIMIT) <= allowed(ALPHA, 4000, size * min(prevalence, 1 - prevalence) < 100)


@pytest.mark.parametrize("size", [40, 100, 400, 2000])
@pytest.mark.parametrize(("apart", "harm"), [(0.03, 0.02), (0.1, 0.02), (0.1, 0.08), (0.3, 0.05)])
def test_tango_holds_exactly(size, apart, harm):
    # Every pair of counts with a chance that counts, and not a sample of them.
    only_a, only_b = (apart - harm) / 2, (apart + harm) / 2
    more, less = (x.ravel() for x in np.meshgrid(*[np.arange(min(size, int(size * apart * 2 + 25)))] * 2))
    fits = more + less <= size
    more, less = more[fits], less[fits]
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, size + 1)))))
    chance = np.exp(
        logs[size] - logs[more] - logs[less] - logs[size - more - less]
        + more * np.log(only_a) + less * np.log(only_b) + (size - more - less) * np.log(1 - apart)
    )  # fmt: skip
    assert chance.sum() == pytest.approx(1, abs=1e-4)
    likely = chance > 1e-9
    harmless = sum(
        p
        for b, c, p in zip(more[likely].tolist(), less[likely].tolist(), chance[likely], strict=True)
        if b + c and tango.statistic(b, c, size, -harm) >= LIMIT
    )
    assert harmless <= (0.07 if size < 200 else 0.055)


def ranked(world: Ranking, ratio: float, samples: int, seed: int = 12) -> tuple[float, float]:
    truth_, rng, harmless, worse = world.difference(ratio), np.random.default_rng(seed), 0, 0
    for _ in range(samples):
        rows = world.sample(rng)
        assert rows.champion is not None
        found = paired.bounds(AUC, rows, rows.challenger, rows.champion, confidence=1 - ALPHA, ratio=ratio)
        harmless += not found.too_little and found.lower >= truth_
        worse += not found.too_little and found.upper < truth_
    return harmless / samples, worse / samples


@pytest.mark.parametrize("world", ["30 and 30", "30 and 300, high", "100 and 100, near 1", "two values"])
def test_a_worse_ranking_is_not_called_harmless(world):
    harmless, _ = ranked(RANKING[world], 1.0, samples=400)
    assert harmless <= allowed(ALPHA, 400, RANKING[world].positives < 100)


@pytest.mark.long
@pytest.mark.parametrize("ratio", [1.0, 0.97])
@pytest.mark.parametrize("world", RANKING)
def test_a_worse_ranking_is_not_called_harmless_at_length(world, ratio):
    ranking = RANKING[world]
    harmless, worse = ranked(ranking, ratio, samples=2000)
    assert harmless <= allowed(ALPHA, 2000, min(ranking.positives, ranking.negatives) < 100)
    assert worse <= 0.075


@pytest.mark.long
@pytest.mark.parametrize("world", RANKING)
def test_one_area_lies_within_its_bounds(world):
    ranking, rng, above, below = RANKING[world], np.random.default_rng(13), 0, 0
    area = replace(ranking, b=ranking.a).difference(0.0)
    for _ in range(1500):
        rows = ranking.sample(rng)
        found = paired.level(AUC, rows, rows.challenger, confidence=1 - ALPHA)
        above += found.lower > area
        below += found.upper < area
    assert max(above, below) / 1500 <= 0.075


MANY = {
    "4 classes": (4, 600, classes_world(4, 0.85, 0.1, 0.04, 0.1)),
    "a rare class": (4, 1500, classes_world(4, 0.93, 0.05, 0.03, 0.03)),
    "10 classes": (10, 3000, classes_world(10, 0.8, 0.15, 0.02, 0.03)),
    "3 classes, few rows": (3, 200, classes_world(3, 0.8, 0.15, 0.06, 0.25)),
}
AVERAGED = (
    *(Spec(name, average=average) for name in ("f1", "precision", "recall") for average in ("macro", "weighted")),
    Spec("balanced_accuracy"),
    Spec("cohen_kappa"),
    Spec("matthews_corrcoef"),
    Spec("jaccard", average="micro"),
    Spec("specificity", average="macro"),
)


def of_many(world: str, spec: Spec, samples: int) -> float:
    k, size, (chances, kinds) = MANY[world]
    label, by_a, by_b = kinds.T
    whole = cells.Cells(label, by_a, by_b, chances * size, k)
    difference = float(cells.Tilted(spec, whole, whole.counts[None], 1.0).at(np.zeros(1))[0][0])
    rows = Rows("multiclass", np.zeros(0), Predicted(), classes=tuple("abcdefghij"[:k]))
    rng, harmless = np.random.default_rng(14), 0
    for _ in range(samples):
        counts = rng.multinomial(size, chances).astype(float)
        seen = counts > 0
        sample = cells.Cells(label[seen], by_a[seen], by_b[seen], counts[seen], k)
        found = cells.answer(spec, rows, sample, confidence=1 - ALPHA, ratio=1.0)
        harmless += not found.too_little and found.lower >= difference
    return harmless / samples


@pytest.mark.parametrize("spec", [AVERAGED[0], AVERAGED[-4]], ids=id_of)
def test_many_classes(spec):
    assert of_many("4 classes", spec, 300) <= allowed(ALPHA, 300, small=True)


@pytest.mark.long
@pytest.mark.parametrize("spec", AVERAGED, ids=id_of)
@pytest.mark.parametrize("world", MANY)
def test_many_classes_at_length(world, spec):
    assert of_many(world, spec, 2000) <= allowed(ALPHA, 2000, small=world != "10 classes")


# power: what `decide.needed` promises of two models that are equally good

EQUAL = table(0.3, deciding(0.85, 0.9, apart=(0.1, 0.06), worse=(0.0, 0.0)))


@pytest.mark.parametrize("spec", METRICS, ids=id_of)
def test_as_many_rows_as_are_needed_decide(spec):
    counts = np.round(EQUAL * 20_000)
    rows = rows_of(counts)
    assert rows.champion is not None
    named = replace(spec, costs={"no": {"yes": 1.0}, "yes": {"no": 5.0}}) if spec.costs else spec
    pilot = paired.bounds(named, rows, rows.challenger, rows.champion, confidence=1 - ALPHA)
    margin = pilot.se * np.sqrt(20_000 / 2_500) * (LIMIT + Z.inv_cdf(0.9))
    size = decide.needed(pilot, margin, 1 - ALPHA)
    assert size == pytest.approx(2_500, rel=0.01)  # bounds a little wider than the normal ones count as they are
    drawn = np.random.default_rng(15).multinomial(size, EQUAL, 1500).astype(float)
    losing = KNOWN[spec.name].greater_is_better is False
    z = statistics(spec, drawn, margin if losing else -margin)
    power = float(np.mean((-z if losing else z) >= LIMIT))
    assert power == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("size", [500, 2000])
def test_tango_decides_as_often_as_promised(size):
    apart = 0.1
    se = tango.standard_error(int(apart * 50_000), int(apart * 50_000), 100_000)
    margin = se * np.sqrt(100_000 / size) * (LIMIT + Z.inv_cdf(0.9))
    drawn = np.random.default_rng(16).multinomial(size, [apart / 2, apart / 2, 1 - apart], 3000)
    kinds, many = np.unique(drawn, axis=0, return_counts=True)
    decided = sum(
        n for (b, c, _), n in zip(kinds.tolist(), many, strict=True) if tango.statistic(b, c, size, -margin) >= LIMIT
    )
    assert decided / 3000 == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(
    ("area", "correlation", "sizes", "samples"),
    [
        (0.85, 0.9, (300, 600), 400),
        pytest.param(0.85, 0.98, (300, 600), 2000, marks=pytest.mark.long),
        pytest.param(0.97, 0.95, (500, 1000), 2000, marks=pytest.mark.long),
        pytest.param(0.75, 0.5, (200, 200), 2000, marks=pytest.mark.long),
    ],
)
def test_as_many_ranked_rows_as_are_needed_decide(area, correlation, sizes, samples):
    world, rng = Ranking(*sizes, area, area, correlation), np.random.default_rng(17)
    large = replace(world, positives=20 * sizes[0], negatives=20 * sizes[1])
    rows = large.sample(rng)
    assert rows.champion is not None
    pilot = paired.bounds(AUC, rows, rows.challenger, rows.champion, confidence=1 - ALPHA)
    margin = pilot.se * np.sqrt(20) * (LIMIT + Z.inv_cdf(0.9))
    assert decide.needed(pilot, margin, 1 - ALPHA) == pytest.approx(sum(sizes), abs=1)
    decided = 0
    for _ in range(samples):
        rows = world.sample(rng)
        assert rows.champion is not None
        found = paired.bounds(AUC, rows, rows.challenger, rows.champion, confidence=1 - ALPHA)
        decided += not found.too_little and found.lower >= -margin
    error = 3 * np.sqrt(0.09 / samples) if samples < 1000 else 0.0
    assert decided / samples == pytest.approx(0.9, abs=0.05 + error)


def test_the_truth_is_that_of_the_cells():
    # What the simulations take for the truth, by the definition of F1.
    chances = table(0.3, deciding(0.8, 0.9, apart=(0.1, 0.06), worse=(0.02, 0.01)))
    values = []
    for by in (BY_A, BY_B):
        hits, wrong = chances[(LABEL == 1) & (by == 1)].sum(), chances[by != LABEL].sum()
        values.append(2 * hits / (2 * hits + wrong))
    assert truth(Spec("f1"), chances) == pytest.approx(values[0] - values[1])
    assert costs(Spec("f1")) is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_no_tilt_reaches_what_cannot_be(sign):
    def at(tilted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.tanh(tilted), 0.1 / np.cosh(np.minimum(np.abs(tilted), 300.0)) + 1e-6

    unit, start = np.array([0.1]), np.array([0.2])
    assert tilt.statistic(at, start, np.array([1.5 * sign]), unit) == -sign * np.inf
    reached = tilt.quantity(at, start, np.array([sign]), unit)
    assert tilt.statistic(at, start, reached, unit) == pytest.approx(sign, abs=1e-9)
