"""Bounds of accuracy, of confusion metrics and of AUC: against published tables, other libraries and brute force."""

from __future__ import annotations

import itertools
import math
import resource
import time

import MLstatkit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from judge.binary_samples import METRICS, Ranking, Z, deciding, rows_of, statistics, table
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate, paired
from mlgate.judge.measures import Spec, UndefinedError
from mlgate.judge.paired import cells, confusion, delong, placements, tango

AUC = Spec("roc_auc")
TWO_SIDED = Z.inv_cdf(0.975)
WORLD = table(0.3, deciding(0.8, 0.9, apart=(0.2, 0.1), worse=(0.03, 0.01)))


def tables(count: int, size: int = 400, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(size, WORLD, count).astype(float)


def small(spec: Spec) -> Rows:
    """Rows for a metric, with two models that differ a little."""
    return Ranking(60, 150, 0.9, 0.93, 0.9).sample(np.random.default_rng(6)) if spec is AUC else rows_of(tables(1)[0])


# Tango's and Wilson's intervals


@pytest.mark.parametrize(
    ("more", "less", "count", "lower", "upper"),
    [
        # Airway hyper-responsiveness: Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33, 2850-2875.
        (1, 7, 21, -0.517, -0.026),
        # No pair in disagreement: Tango's statistic is then z^2 = n x / (1 - x), solved by hand.
        (0, 0, 50, -(TWO_SIDED**2) / (50 + TWO_SIDED**2), TWO_SIDED**2 / (50 + TWO_SIDED**2)),
    ],
)
def test_published_intervals_of_paired_shares(more, less, count, lower, upper):
    assert tango.interval(more, less, count, TWO_SIDED) == pytest.approx((lower, upper), abs=5e-4)


@pytest.mark.parametrize(
    ("right", "count", "lower", "upper"),
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals_of_one_share(right, count, lower, upper):
    assert tango.wilson(right / count, count, TWO_SIDED) == pytest.approx((lower, upper), abs=5e-5)


@given(st.integers(0, 300), st.integers(1, 300))
def test_one_share_is_bounded_as_statsmodels_does(right, wrong):
    count = right + wrong
    expected = proportion_confint(right, count, alpha=0.1, method="wilson")
    assert tango.wilson(right / count, count, Z.inv_cdf(0.95)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("more", "less", "count", "difference"), [(7, 2, 60, -0.05), (3, 9, 40, 0.1), (1, 4, 30, -0.3)]
)
def test_the_statistic_is_that_of_the_most_likely_chances(more, less, count, difference):
    def unlikely(of_less: float) -> float:
        of_more = of_less + difference
        return -(
            more * math.log(of_more)
            + less * math.log(of_less)
            + (count - more - less) * math.log(1 - of_more - of_less)
        )

    low = max(0.0, -difference) + 1e-12
    best = optimize.minimize_scalar(unlikely, (low, 0.3), (low, (1 - difference) / 2 - 1e-12), method="bounded",
                                    options={"xatol": 1e-12}).x  # fmt: skip
    variance = (2 * best + difference - difference**2) / count
    expected = ((more - less) / count - difference) / math.sqrt(variance)
    assert tango.statistic(more, less, count, difference) == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 10**7))
def test_the_interval_mirrors_when_the_sides_do(more, less, rest):
    count = more + less + rest + 1
    lower, upper = tango.interval(more, less, count, 1.645)
    assert tango.interval(less, more, count, 1.645) == pytest.approx((-upper, -lower), abs=1e-12)
    assert -1 <= lower <= (more - less) / count <= upper <= 1
    assert tango.statistic(more, less, count, lower) == pytest.approx(1.645, rel=1e-6)


@pytest.mark.parametrize("name", ["zero_one_loss", "hamming_loss"])
def test_a_loss_is_what_accuracy_lacks(name):
    rows = rows_of(tables(1)[0])
    right = paired.bounds(Spec("accuracy"), rows, *sides(rows), confidence=0.95)
    wrong = paired.bounds(Spec(name), rows, *sides(rows), confidence=0.95)
    assert (wrong.a, wrong.b) == pytest.approx((1 - right.a, 1 - right.b))
    assert (wrong.lower, wrong.upper) == pytest.approx((-right.upper, -right.lower))
    assert wrong.below(0.01) == pytest.approx(right.above(-0.01))
    assert right.method == wrong.method == "Tango"


# DeLong's variance


def areas(rows: Rows) -> tuple[float, float, float]:
    found = paired.bounds(AUC, rows, *sides(rows), confidence=0.95)
    return found.a, found.b, found.se


def sides(rows: Rows) -> tuple[Predicted, Predicted]:
    assert rows.champion is not None
    return rows.challenger, rows.champion


def test_the_published_area_of_rated_images():
    # Hanley and McNeil (1982), Radiology 143, 29-36, table II: 58 normal and 51 abnormal images; W = 0.893, SE 0.032.
    rating = np.arange(1.0, 6.0)
    normal, abnormal = np.repeat(rating, (33, 6, 6, 11, 2)), np.repeat(rating, (3, 2, 2, 11, 33))
    rows = Rows("binary", np.repeat([0.0, 1.0], (58, 51)), Predicted(np.concatenate((normal, abnormal))),
                classes=("normal", "abnormal"))  # fmt: skip
    found = paired.level(AUC, rows, rows.challenger, confidence=0.95)
    assert found.a == pytest.approx(0.893, abs=5e-4)
    assert found.se == pytest.approx(0.032, abs=2e-3)
    assert found.lower < found.a < found.upper


@pytest.mark.parametrize("steps", [(), (0.0, 0.5, 1.0, 2.0)])
@pytest.mark.parametrize("sizes", [(40, 60), (300, 2000)])
def test_delong_is_that_of_others(sizes, steps):
    rows = Ranking(*sizes, 0.8, 0.85, 0.7, steps=steps).sample(np.random.default_rng(3))
    a, b, se = areas(rows)
    label, first, other = rows.label.astype(int), *(side.score for side in sides(rows))
    z, _ = MLstatkit.Delong_test(label, other, first, return_ci=False, return_auc=False)
    assert a == pytest.approx(sk.roc_auc_score(label, first), abs=1e-12)
    assert b == pytest.approx(sk.roc_auc_score(label, other), abs=1e-12)
    assert (a - b) / se == pytest.approx(z, abs=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=30))
def test_a_placement_is_a_share_of_the_other_class(pairs):
    positive, score = np.array([p for p, _ in pairs]), np.array([float(s) for _, s in pairs])
    if positive.all() or not positive.any():
        return
    for of_class, found, sign in zip(
        (positive, ~positive), placements.by_class(positive, [score]), (1, -1), strict=True
    ):
        for placed, own in zip(found[0], score[of_class], strict=True):
            apart = sign * (own - score[~of_class])
            assert placed == pytest.approx(np.mean((apart > 0) + 0.5 * (apart == 0)), abs=1e-15)


def test_a_large_sample_has_normal_bounds():
    rows = Ranking(6000, 9000, 0.85, 0.86, 0.9).sample(np.random.default_rng(4))
    found = paired.bounds(AUC, rows, *sides(rows), confidence=0.9)
    assert found.method == "DeLong"
    assert found.lower == pytest.approx(found.difference - Z.inv_cdf(0.9) * found.se, abs=1e-12)
    assert found.above(found.lower) == pytest.approx(0.1)


def test_the_score_bounds_become_the_normal_ones(monkeypatch):
    rows = Ranking(6000, 9000, 0.85, 0.86, 0.9).sample(np.random.default_rng(4))
    normal = delong.bounds(AUC, rows, *sides(rows), confidence=0.95, ratio=0.97)
    monkeypatch.setattr(delong, "LARGE", 10**9)
    score = delong.bounds(AUC, rows, *sides(rows), confidence=0.95, ratio=0.97)
    assert (normal.method, score.method) == ("DeLong", "DeLong, score")
    assert (score.lower, score.upper) == pytest.approx((normal.lower, normal.upper), abs=0.02 * normal.se)


def test_a_perfect_ranking_is_bounded_below():
    label = np.repeat([0.0, 1.0], (200, 100))
    rows = Rows("binary", label, Predicted(label + 0.0), Predicted(label + np.arange(300) % 3), classes=("no", "yes"))
    alone = paired.level(AUC, rows, rows.challenger, confidence=0.95)
    assert alone.a == 1.0
    assert 0.95 < alone.lower < 1.0
    assert not alone.too_little
    against = paired.bounds(AUC, rows, *sides(rows), confidence=0.95)
    assert against.difference > against.lower > 0
    assert not against.too_little


# metrics of confusion matrices


ORACLES = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "jaccard": sk.jaccard_score,
    "f_beta": lambda *rows, **more: sk.fbeta_score(*rows, beta=0.5, **more),
    "balanced_accuracy": sk.balanced_accuracy_score,
    "matthews_corrcoef": sk.matthews_corrcoef,
    "cohen_kappa": sk.cohen_kappa_score,
    "accuracy": sk.accuracy_score,
}
SHARES = ("precision", "recall", "f1", "jaccard", "f_beta", "specificity")
SPECS = [
    *(Spec(name, average=average, beta=0.5) for name in SHARES for average in ("macro", "micro", "weighted")),
    *(Spec(name) for name in ("balanced_accuracy", "matthews_corrcoef", "cohen_kappa", "accuracy")),
]


def several(k: int, count: int = 600, seed: int = 5) -> Rows:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, k, count)
    chosen = [np.where(rng.random(count) < right, label, rng.integers(0, k, count)) for right in (0.6, 0.7)]
    names = tuple(f"class {index}" for index in range(k))
    a, b = (Predicted(decided=one.astype(np.int32)) for one in chosen)
    return Rows("binary" if k == 2 else "multiclass", label.astype(float), a, b, classes=names)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.name}-{spec.average}")
def test_values_and_slopes(spec, k):
    rows = several(k)
    label, decided = rows.label.astype(int), rows.challenger.decided
    matrix = sk.confusion_matrix(label, decided).astype(float)
    value, slope = confusion.measure(spec, matrix)
    assert value == pytest.approx(estimate.value(spec, rows, rows.challenger), abs=1e-12)
    if spec.name in ORACLES:
        more = {"average": spec.average} if spec.average else {}
        assert value == pytest.approx(ORACLES[spec.name](label, decided, **more), abs=1e-12)
    for i, j in itertools.product(range(k), repeat=2):
        step = np.zeros((k, k))
        step[i, j] = 1e-4
        ahead, behind = (confusion.measure(spec, matrix + sign * step)[0] for sign in (1, -1))
        assert slope[i, j] == pytest.approx((ahead - behind) / 2e-4, abs=1e-9)


@pytest.mark.parametrize("spec", [*SPECS, AUC, Spec("zero_one_loss")], ids=lambda spec: f"{spec.name}-{spec.average}")
def test_the_standard_error_is_that_of_the_bootstrap(spec):
    if spec is AUC:
        rows = Ranking(150, 250, 0.8, 0.83, 0.7).sample(np.random.default_rng(8))
    else:
        rows = several(3 if spec.average else 2, 400)
    found = paired.bounds(spec, rows, *sides(rows), confidence=0.95, ratio=0.9)
    rng = np.random.default_rng(9)
    drawn = []
    for _ in range(300):
        some = rng.integers(0, rows.count, rows.count)
        a, b = (
            Predicted(
                None if side.score is None else side.score[some], None if side.decided is None else side.decided[some]
            )
            for side in sides(rows)
        )
        again = Rows(rows.task, rows.label[some], a, b, classes=rows.classes)
        drawn.append(estimate.value(spec, again, a) - 0.9 * estimate.value(spec, again, b))
    assert found.se == pytest.approx(np.std(drawn), rel=0.15)


def test_accuracy_by_cells_is_close_to_tango():
    for counts in tables(20, 600):
        rows = rows_of(counts)
        by_cells = cells.bounds(Spec("accuracy"), rows, *sides(rows), confidence=0.95)
        by_tango = paired.bounds(Spec("accuracy"), rows, *sides(rows), confidence=0.95)
        assert (by_cells.a, by_cells.b) == (by_tango.a, by_tango.b)
        assert by_cells.lower == pytest.approx(by_tango.lower, abs=0.1 * by_tango.se)
        assert by_cells.upper == pytest.approx(by_tango.upper, abs=0.1 * by_tango.se)


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: f"{spec.name}-{spec.average}")
def test_the_simulated_statistic_is_the_one_that_decides(spec):
    drawn = tables(6, 300)
    for counts, z in zip(drawn, statistics(spec, drawn, -0.02), strict=True):
        rows = rows_of(counts)
        found = cells.bounds(spec, rows, *sides(rows), confidence=0.95)
        assert not found.too_little
        assert found.above(-0.02) == pytest.approx(1 - Z.cdf(z), abs=1e-9)
        assert (found.lower > -0.02) == (z > Z.inv_cdf(0.95))


@pytest.mark.parametrize("spec", [*METRICS, AUC], ids=lambda spec: f"{spec.name}-{spec.average}")
@pytest.mark.parametrize("ratio", [1.0, 0.98])
def test_p_values_invert_the_bounds(spec, ratio):
    rows = small(spec)
    found = paired.bounds(spec, rows, *sides(rows), confidence=0.9, ratio=ratio)
    assert found.difference == pytest.approx(found.a - ratio * found.b)
    assert found.lower < found.difference < found.upper
    assert found.above(found.lower) == pytest.approx(0.1, abs=1e-6)
    assert found.below(found.upper) == pytest.approx(0.1, abs=1e-6)
    span = np.linspace(found.lower - 3 * found.se, found.upper + 3 * found.se, 30)
    above = [found.above(x) for x in span]
    assert above == sorted(above)
    assert [found.below(x) for x in span] == pytest.approx([1 - p for p in above], abs=1e-6)
    assert (found.above(-9.0), found.below(-9.0)) == (0.0, 1.0) or spec.name == "expected_cost"
    wider = paired.bounds(spec, rows, *sides(rows), confidence=0.99, ratio=ratio)
    assert wider.lower < found.lower < found.upper < wider.upper


@pytest.mark.parametrize("spec", [*METRICS, AUC], ids=lambda spec: f"{spec.name}-{spec.average}")
def test_the_sides_change_places(spec):
    rows = small(spec)
    one = paired.bounds(spec, rows, *sides(rows), confidence=0.95)
    other = paired.bounds(spec, rows, *reversed(sides(rows)), confidence=0.95)
    assert (other.lower, other.upper) == pytest.approx((-one.upper, -one.lower), abs=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.name}-{spec.average}")
def test_order_of_rows_and_names_of_classes_change_nothing(spec):
    rows = several(4)
    rng = np.random.default_rng(2)
    mixed, renamed = rng.permutation(rows.count), rng.permutation(4)
    a, b = (Predicted(decided=renamed[side.decided[mixed]].astype(np.int32)) for side in sides(rows))
    again = Rows("multiclass", renamed[rows.label.astype(int)[mixed]].astype(float), a, b, classes=tuple("wxyz"))
    expected = paired.bounds(spec, rows, *sides(rows), confidence=0.95)
    found = paired.bounds(spec, again, a, b, confidence=0.95)
    for name in ("a", "b", "lower", "upper", "se"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9)


@pytest.mark.parametrize("spec", [Spec("f1", average="macro"), Spec("cohen_kappa")], ids=lambda spec: spec.name)
def test_cells_that_are_sorted_are_those_that_are_counted(spec, monkeypatch):
    rows = several(5)
    expected = cells.bounds(spec, rows, *sides(rows), confidence=0.95)
    monkeypatch.setattr(cells, "_DENSE", 1)
    monkeypatch.setattr(cells, "_MATRIX", 1)
    monkeypatch.setattr(cells, "_BLOCK", 77)
    found = cells.bounds(spec, rows, *sides(rows), confidence=0.95)
    assert (found.lower, found.upper) == pytest.approx((expected.lower, expected.upper), abs=1e-12)


@given(
    st.lists(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 90)), min_size=8, max_size=8).filter(any),
    st.sampled_from(METRICS),
    st.sampled_from([1.0, 0.9, 1.05]),
    st.sampled_from([0.6, 0.95, 0.999]),
)
def test_every_table_has_bounds_or_a_reason(counts, spec, ratio, confidence):
    rows = rows_of(np.array(counts))
    try:
        both = paired.bounds(spec, rows, *sides(rows), confidence=confidence, ratio=ratio)
        one = paired.level(spec, rows, rows.challenger, confidence=confidence)
    except UndefinedError:
        return
    for found in (both, one):
        assert -6 <= found.lower <= found.difference <= found.upper <= 6
        assert math.isfinite(found.se)
        at_the_end = found.lower == found.difference  # as good, or as bad, as can be
        assert bool(found.too_little) or at_the_end or found.above(found.lower) <= 1 - confidence + 1e-6
    few = min(sum(counts[:4]), sum(counts[4:])) < 30
    assert bool(both.too_little) >= few
    assert bool(one.too_little) >= few


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=90),
    st.sampled_from([1.0, 0.9, 1.05]),
    st.sampled_from([0.6, 0.95, 0.999]),
)
def test_every_ranking_has_bounds_or_a_reason(table_, ratio, confidence):
    label, a, b = (np.array(column, float) for column in zip(*table_, strict=True))
    rows = Rows("binary", label, Predicted(a), Predicted(b), classes=("no", "yes"))
    if len(set(label.tolist())) < 2:
        with pytest.raises(UndefinedError):
            paired.level(AUC, rows, rows.challenger, confidence=confidence)
        return
    for found in (
        paired.bounds(AUC, rows, *sides(rows), confidence=confidence, ratio=ratio),
        paired.level(AUC, rows, rows.challenger, confidence=confidence),
    ):
        assert -2 <= found.lower <= found.difference <= found.upper <= 2
        assert bool(found.too_little) or found.above(found.lower) == pytest.approx(1 - confidence, abs=1e-6)


# what may not decide


@pytest.mark.parametrize("spec", [*METRICS, AUC], ids=lambda spec: f"{spec.name}-{spec.average}")
def test_the_same_predictions_twice_prove_nothing(spec):
    rows = several(2) if spec is not AUC else Ranking(60, 90, 0.8, 0.8, 0.5).sample(np.random.default_rng(1))
    spec = Spec(spec.name, spec.average, spec.beta, costs={"class 0": {"class 1": 2.0}} if spec.costs else {})
    found = paired.bounds(spec, rows, rows.challenger, rows.challenger, confidence=0.95)
    assert found.se == 0
    assert found.too_little
    assert found.above(-1.0) == found.below(1.0) == 1.0


@pytest.mark.parametrize("spec", [*METRICS[:-1], AUC], ids=lambda spec: f"{spec.name}-{spec.average}")
def test_few_rows_of_a_class_are_counted(spec):
    label = np.repeat([0.0, 1.0], (300, 29))
    rng = np.random.default_rng(1)
    a, b = (Predicted(score, (score > 0.5).astype(np.int32)) for score in (label + rng.normal(size=(2, 329)) * 0.7))
    rows = Rows("binary", label, a, b, classes=("no", "yes"))
    for found in (
        paired.bounds(spec, rows, a, b, confidence=0.95),
        paired.bounds(spec, rows, a, b, confidence=0.95, ratio=0.9),
        paired.level(spec, rows, a, confidence=0.95),
    ):
        assert found.too_little == "29 rows in a class, 30 needed"
        assert found.above(-1.0) == found.below(1.0) == 1.0


def test_a_rare_class_of_many_matters_where_it_has_a_part_of_its_own():
    rows = several(4, 400)
    label = rows.label.copy()
    label[label == 3] = 0
    label[:12] = 3
    rows = Rows("multiclass", label, *sides(rows), classes=rows.classes)
    for spec, expected in [
        (Spec("f1", average="macro"), "12 rows in a class, 30 needed"),
        (Spec("balanced_accuracy"), "12 rows in a class, 30 needed"),
        (Spec("f1", average="micro"), ""),
        (Spec("accuracy"), ""),
    ]:
        assert paired.bounds(spec, rows, *sides(rows), confidence=0.95).too_little == expected


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", ["precision", "matthews_corrcoef"])
def test_a_metric_that_one_side_lacks_is_undefined(name, which):
    rows = several(2)
    pair = [*sides(rows)]
    pair[which] = Predicted(decided=np.zeros(rows.count, np.int32))
    with pytest.raises(UndefinedError, match="decided to be"):
        paired.bounds(Spec(name), rows, *pair, confidence=0.95)


def test_an_area_needs_two_classes_and_scores():
    one = Predicted(np.arange(50.0))
    rows = Rows("binary", np.ones(50), one, one, classes=("no", "yes"))
    with pytest.raises(UndefinedError, match="only one class"):
        paired.bounds(AUC, rows, one, one, confidence=0.95)
    rows = several(2)
    with pytest.raises(UndefinedError, match="no score"):
        paired.level(AUC, rows, rows.challenger, confidence=0.95)


@pytest.mark.long
def test_ten_million_rows_in_bounded_time_and_memory():
    rng = np.random.default_rng(0)
    count = 10_000_000
    label = (rng.random(count) < 0.2).astype(float)
    pair = []
    for _ in range(2):
        score = rng.normal(size=count) + label
        pair.append(Predicted(score, (score > 0.8).astype(np.int32)))
    rows = Rows("binary", label, *pair, classes=("no", "yes"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    for spec in (AUC, Spec("f1"), Spec("accuracy")):
        assert not paired.bounds(spec, rows, *pair, confidence=0.95).too_little
    assert time.perf_counter() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000  # KiB
