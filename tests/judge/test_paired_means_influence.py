"""What a row adds to a metric is what the metric changes by when the row weighs a little more: by the metric itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from judge import means_samples as samples
from mlgate.data.rows import Rows
from mlgate.judge import estimate
from mlgate.judge.measures import Spec
from mlgate.judge.paired.influence import measure

STEP = 1e-5
# Of a median the metric itself has no such derivative; its influence is judged by simulation.
SMOOTH = [(task, spec) for task, spec in samples.ALL if spec.name != "median_absolute_error"]


@pytest.mark.parametrize(("task", "spec"), SMOOTH, ids=[samples.name(*each) for each in SMOOTH])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_influence_is_the_derivative_by_the_weight(task: str, spec: Spec, weighted: bool) -> None:
    rng = np.random.default_rng(5)
    count = 120
    weight = rng.gamma(3.0, size=count) if weighted else None
    rows = samples.rows(task, rng, count, **({"weight": weight} if weighted else {}))
    found = measure(spec, rows, rows.challenger)
    weights = np.ones(count) if rows.weight is None else rows.weight
    share = weights / weights.sum() if found.share is None else found.share

    assert found.value == pytest.approx(estimate.value(spec, rows, rows.challenger), rel=1e-12)
    assert found.rows @ share == pytest.approx(0, abs=1e-9)
    units = [rows.query == code for code in range(8)] if rows.query is not None else np.eye(count, dtype=bool)[:40]
    for unit in units:
        more = weights + np.where(unit, STEP * weights.sum(), 0.0)
        less = weights - np.where(unit, STEP * weights.sum(), 0.0)
        slope = (_value(spec, rows, more) - _value(spec, rows, less)) / (2 * STEP)
        # The metric per unit of weight: of a query, the weight of each of its rows.
        if rows.query is not None:
            of_query = np.unique(rows.query, return_index=True)[1]
            slope *= weights[of_query].sum() / weights.sum()
            assert found.rows[unit] == pytest.approx(slope, rel=1e-4, abs=1e-6)
        else:
            assert found.rows[unit][0] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def _value(spec: Spec, rows: Rows, weight: np.ndarray) -> float:
    return estimate.value(spec, replace(rows, weight=weight), rows.challenger)
