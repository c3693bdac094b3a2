"""What must not matter to bounds: the order of rows, the names of classes, clusters and queries, and repeated rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge import means_samples as samples
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import decide, paired
from mlgate.judge.measures import Bounds, Spec, UndefinedError

NAMES = [samples.name(*each) for each in samples.ALL]
GIVEN = ("rows", "weights", "clusters", "weights and clusters")
GAIN = Spec("row_mean", column="gain")


def drawn(task: str, given: str, seed: int, count: int = 240, clusters: int = 45) -> Rows:
    rng = np.random.default_rng(seed)
    more: dict[str, Any] = {}
    if "weights" in given:
        more["weight"] = rng.integers(1, 4, count) * 1.0
    if "clusters" in given:
        more["cluster"] = rng.integers(0, clusters, count).astype(np.int32)
    return samples.rows(task, rng, count, **more)


def compared(spec: Spec, rows: Rows) -> Bounds:
    assert rows.champion is not None
    return paired.bounds(spec, rows, rows.challenger, rows.champion, confidence=0.95)


def taken(rows: Rows, places: np.ndarray) -> Rows:
    """Those rows, in that order; a row may be taken again."""
    assert rows.champion is not None

    def some(column: Any) -> Any:
        return None if column is None else column[places]

    def side(of: Predicted) -> Predicted:
        return Predicted(some(of.score), some(of.decided), {name: some(values) for name, values in of.values.items()})

    return replace(
        rows,
        label=some(rows.label),
        challenger=side(rows.challenger),
        champion=side(rows.champion),
        weight=some(rows.weight),
        cluster=some(rows.cluster),
        query=some(rows.query),
    )


def same(one: Bounds, other: Bounds) -> None:
    assert numbers(one) == pytest.approx(numbers(other), rel=1e-7, abs=1e-10)
    assert (one.method, bool(one.too_little), one.clusters) == (other.method, bool(other.too_little), other.clusters)
    for x in (one.difference - one.se, one.difference, one.difference + one.se):
        assert (one.below(x), one.above(x)) == pytest.approx((other.below(x), other.above(x)), rel=1e-5)


def numbers(found: Bounds) -> list[float]:
    return [found.a, found.b, found.difference, found.lower, found.upper, found.se]


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(GIVEN))
@settings(max_examples=5)
def test_the_order_of_rows_changes_nothing(task: str, spec: Spec, seed: int, kind: str) -> None:
    rows = drawn(task, kind, seed)
    places = np.random.default_rng(seed + 1).permutation(rows.count)
    try:
        found = compared(spec, rows)
    except UndefinedError:
        with pytest.raises(UndefinedError):
            compared(spec, taken(rows, places))
    else:
        again = compared(spec, taken(rows, places))
        same(again, found)
        assert again.rows == found.rows


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(GIVEN))
@settings(max_examples=5)
def test_names_of_clusters_and_queries_change_nothing(task: str, spec: Spec, seed: int, kind: str) -> None:
    rows = drawn(task, kind, seed)
    rng = np.random.default_rng(seed + 1)
    renamed = replace(rows, cluster=_renamed(rows.cluster, rng), query=_renamed(rows.query, rng))
    try:
        found = compared(spec, rows)
    except UndefinedError:
        return
    same(compared(spec, renamed), found)


def _renamed(codes: Any, rng: np.random.Generator) -> Any:
    return None if codes is None else rng.permutation(int(codes.max()) + 1).astype(np.int32)[codes]


SEVERAL = [(task, spec) for task, spec in samples.ALL if task == "multiclass"]


@pytest.mark.parametrize(("task", "spec"), SEVERAL, ids=[samples.name(*each) for each in SEVERAL])
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(GIVEN))
@settings(max_examples=5)
def test_the_order_of_classes_changes_nothing(task: str, spec: Spec, seed: int, kind: str) -> None:
    rows = drawn(task, kind, seed)
    place = np.random.default_rng(seed + 1).permutation(4)  # of each class among the others
    assert rows.champion is not None

    def side(of: Predicted) -> Predicted:
        assert of.score is not None
        assert of.decided is not None
        return Predicted(of.score[:, place.argsort()], place[of.decided].astype(np.int32))

    turned = replace(
        rows,
        label=place[rows.label.astype(int)] * 1.0,
        challenger=side(rows.challenger),
        champion=side(rows.champion),
        classes=tuple(np.array(rows.classes)[place.argsort()]),
    )
    try:
        found = compared(spec, rows)
    except UndefinedError:
        return
    same(compared(spec, turned), found)


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
@given(seed=st.integers(0, 2**32 - 1), times=st.integers(2, 4))
@settings(max_examples=5)
def test_every_row_again_inside_its_cluster_changes_nothing(task: str, spec: Spec, seed: int, times: int) -> None:
    """Rows in clusters are not what counts: a user whose every session is written twice is one user."""
    rows = drawn(task, "clusters", seed)
    if task == "ranking":  # the same row twice in a query is another query: whole queries are repeated
        size = int(rows.query.max()) + 1  # type: ignore[union-attr]
        more = taken(rows, np.tile(np.arange(rows.count), times))
        more = replace(more, query=more.query + size * np.repeat(np.arange(times, dtype=np.int32), rows.count))
    else:
        more = taken(rows, np.repeat(np.arange(rows.count), times))
    try:
        found = compared(spec, rows)
    except UndefinedError:
        return
    again = compared(spec, more)
    if spec.name == "median_absolute_error":  # a density is seen more closely with more rows
        assert again.se == pytest.approx(found.se, rel=0.7)
    else:
        assert numbers(again) == pytest.approx(numbers(found), rel=1e-7, abs=1e-10)
    assert again.clusters == found.clusters
    assert again.rows == times * found.rows


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(0.001, 2), kind=st.sampled_from(GIVEN))
@settings(max_examples=50)
def test_at_the_same_variance_a_lower_point_never_improves_the_outcome(seed: int, shift: float, kind: str) -> None:
    rows = drawn("binary", kind, seed)
    lowered = replace(rows, challenger=Predicted(values={"gain": rows.challenger.values["gain"] - shift}))
    rank = ["worse", "inconclusive", "non-inferior", "superior"]
    for margin in (0.0, 0.1, 1.0):
        before, after = (rank.index(decide.outcome(compared(GAIN, of), margin, True)) for of in (rows, lowered))
        assert after <= before


@pytest.mark.parametrize("margin", [0.25, 1.0])
def test_a_boundary_passes(margin: float) -> None:
    rows = drawn("binary", "clusters", 3)
    found = compared(GAIN, rows)
    moved = Bounds(found.a, found.b, 0.0, -margin, 1.0, found.se, found.rows, found.method)
    assert decide.outcome(moved, margin, True) == "non-inferior"


# Clusters


def test_clusters_of_one_row_are_rows() -> None:
    rows = drawn("binary", "rows", 5)
    alone = replace(rows, cluster=np.arange(rows.count, dtype=np.int32))
    for spec in (Spec("log_loss"), Spec("average_precision"), GAIN):
        found, clustered = compared(spec, rows), compared(spec, alone)
        assert numbers(clustered) == pytest.approx(numbers(found), rel=1e-9)
        assert clustered.clusters == rows.count


def test_rows_that_err_together_widen_the_bounds() -> None:
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(100), 20).astype(np.int32)
    a = rng.normal(size=100)[cluster] + 0.1 * rng.normal(size=2000)
    rows = Rows("regression", np.zeros(2000), *(Predicted(values={"gain": of}) for of in (a, np.zeros(2000))))
    together = replace(rows, cluster=cluster)
    wide, narrow = compared(GAIN, together), compared(GAIN, rows)
    assert wide.upper - wide.lower > 4 * (narrow.upper - narrow.lower)
    assert wide.method == "clusters"


@pytest.mark.parametrize(("count", "decides"), [(29, False), (30, True)])
def test_under_thirty_clusters_decide_nothing(count: int, decides: bool) -> None:
    rows = drawn("binary", "rows", 7, count=2000)
    found = compared(Spec("log_loss"), replace(rows, cluster=(np.arange(2000) % count).astype(np.int32)))
    assert found.clusters == count
    assert found.too_little == ("" if decides else "29 clusters, 30 needed")


def test_one_cluster_has_no_spread() -> None:
    rows = drawn("binary", "rows", 8)
    found = compared(Spec("roc_auc"), replace(rows, cluster=np.zeros(rows.count, dtype=np.int32)))
    assert found.too_little == "1 clusters, 30 needed"
    assert found.clusters == 1


def test_one_large_cluster_counts_for_one() -> None:
    """Half of the rows are of one user: as many rows as one likes of that user settle nothing."""
    rng = np.random.default_rng(9)
    cluster = np.concatenate((np.arange(1, 101).repeat(10), np.zeros(1000, dtype=int))).astype(np.int32)
    effect = rng.normal(size=101)
    rows = Rows(
        "regression",
        np.zeros(2000),
        Predicted(values={"gain": effect[cluster] + 0.01 * rng.normal(size=2000)}),
        Predicted(values={"gain": np.zeros(2000)}),
        cluster=cluster,
    )
    found = compared(GAIN, rows)
    assert found.upper - found.lower > 1.0


def test_codes_that_no_row_has_are_no_clusters() -> None:
    rows = drawn("binary", "clusters", 10)
    assert rows.cluster is not None
    apart = replace(rows, cluster=(rows.cluster * 7).astype(np.int32))
    same(compared(Spec("f1"), apart), compared(Spec("f1"), rows))


# Which method answers


@pytest.mark.parametrize(
    ("spec", "given", "method"),
    [
        (Spec("log_loss"), "rows", "paired means"),
        (Spec("accuracy"), "weights", "paired means"),
        (Spec("f1"), "weights", "linearised means"),
        (Spec("roc_auc"), "weights", "linearised means"),
        (Spec("accuracy"), "clusters", "clusters"),
        (Spec("roc_auc"), "weights and clusters", "clusters"),
        (Spec("accuracy"), "rows", "Tango"),
        (Spec("zero_one_loss"), "rows", "Tango"),
        (Spec("f1"), "rows", "joint cells"),
        (samples.COST, "rows", "joint cells"),
        (samples.COST, "clusters", "clusters"),
        (Spec("roc_auc"), "rows", "DeLong, score"),
    ],
)
def test_each_metric_has_its_method(spec: Spec, given: str, method: str) -> None:
    rows = drawn("binary", given, 11)
    assert compared(spec, rows).method == method
    assert paired.level(spec, rows, rows.challenger, confidence=0.95).a == pytest.approx(compared(spec, rows).a)
