"""The domain classifier: nothing to tell, something to tell, and by what."""

# ruff: noqa: S608 -- SQL of constants

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mlgate.config.watching import Drift
from mlgate.data import reading
from mlgate.data.profiles.nouns import Profile
from mlgate.watch import drifted
from mlgate.watch.classifier import Told, delong, tell
from watch import drift_worlds as worlds

FEATURES = ("x", "y", "name")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    found = reading.connect()
    yield found
    found.close()


def side(con: Any, name: str, seed: float, *, y: str = "random()", rows: int = 1500) -> tuple[str, dict[str, str]]:
    con.execute(f"SELECT setseed({seed})")
    con.execute(
        f"CREATE TABLE {name} AS SELECT *, {y} AS y FROM (SELECT random() AS x, 'n' || (random() * 4)::INT AS name, "
        f"CASE WHEN random() < 0.1 THEN NULL ELSE 1 END AS hole FROM range({rows}))"
    )
    return name, {one: one for one in (*FEATURES, "hole")}


def test_nothing_to_tell(con: Any) -> None:
    found = tell(con, side(con, "now", 0.1), side(con, "before", 0.2), features=FEATURES)
    assert found.rows == 3000
    assert abs((found.auc or 0) - 0.5) < 4 * found.error
    assert found.p > 0.001


def test_columns_that_each_look_as_they_did_and_go_together_in_another_way(con: Any) -> None:
    found = tell(con, side(con, "now", 0.1, y="x"), side(con, "before", 0.2, y="1 - x"), features=FEATURES)
    assert (found.auc or 0) > 0.9
    assert set(found.culprits) == {"x", "y"}
    assert found == tell(
        con, ("now", {f: f for f in FEATURES}), ("before", {f: f for f in FEATURES}), features=FEATURES
    )


def test_what_is_private_or_lacking_is_left_out(con: Any) -> None:
    now, before = side(con, "now", 0.1, y="9"), side(con, "before", 0.2)
    assert (tell(con, now, before, features=["x", "y"], private={"y"}).auc or 0) < 0.6
    assert (tell(con, now, (before[0], {"x": "x"}), features=["x", "y"]).auc or 0) < 0.6
    assert tell(con, now, (before[0], {}), features=["x"]).trouble.startswith("Too few rows") is True


def test_too_few_rows(con: Any) -> None:
    found = tell(con, side(con, "now", 0.1, rows=50), side(con, "before", 0.2), features=FEATURES)
    assert (found.auc, found.p) == (None, 1.0)
    assert found.trouble == "Too few rows: 50 here and 1,500 in the reference; 200 are needed."


@given(st.integers(0, 10_000), st.integers(20, 200))
@settings(max_examples=30)
def test_the_area_is_that_of_scikit_learn(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    score, positive = random.normal(size=rows).round(1), np.arange(rows) % 3 == 0
    auc, error = delong(score, positive)
    assert auc == pytest.approx(roc_auc_score(positive, score), abs=1e-12)
    assert error > 0


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (Told(0.56, 0.004, 20_000, ("x",)), "breached"),
        (Told(0.54, 0.004, 20_000), "ok"),  # the limit is an AUC of 0.55
        (Told(0.56, 0.05, 500), "unknown"),
        (Told(trouble="Too few rows."), "unknown"),
        (None, "unknown"),
    ],
)
def test_the_section_says_what_it_came_to(told: Told | None, state: str) -> None:
    random = np.random.default_rng(1)
    profile = Profile("m", 5000, {"x": worlds.column(random.normal(size=5000))})
    found = {"x": worlds.compare("x", profile.columns["x"], random.normal(size=1000))}
    said = drifted.section(found, Drift(psi=0.2, classifier=0.55), profile, rows=1000, min_rows=500, told=told)
    assert next(one for one in said.measures if one.name == "classifier_auc").state == state
    assert said.state == state
