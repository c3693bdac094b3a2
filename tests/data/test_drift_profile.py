"""A window beside a profile: statistics against scipy, bins against published values, and every bad input named."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from mlgate.config.settings import Read
from mlgate.data import profiles, reading
from mlgate.data.drift import against, floors, frozen, statistics
from mlgate.data.drift.compared import Compared
from mlgate.data.drift.counted import Numbers
from mlgate.data.drift.sliced import sliced
from mlgate.data.drift.streamed import doubles
from mlgate.data.profiles.nouns import Day, Profile
from watch import drift_worlds as worlds

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12).filter(
    lambda pairs: sum(a for a, _ in pairs) > 0 < sum(b for _, b in pairs)
)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    found = reading.connect()
    yield found
    found.close()


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20261121)


def table(con: duckdb.DuckDBPyConnection, name: str, **columns: Any) -> str:
    """A table of numpy arrays and lists, None for missing."""
    lists = {
        key: [None if v is None or (isinstance(v, float) and math.isnan(v)) else v for v in np.asarray(c, object)]
        for key, c in columns.items()
    }
    con.execute(
        f"CREATE OR REPLACE TABLE {name} AS SELECT {', '.join(f'unnest(?) AS {k}' for k in lists)}", [*lists.values()]
    )
    return name


def profile_of(con: duckdb.DuckDBPyConnection, tmp_path: Path, relation: str, **kwargs: Any) -> Profile:
    path = tmp_path / "reference.parquet"
    con.execute(f"COPY (FROM {relation}) TO '{path}'")
    return profiles.build(con, reading.open_table(con, [path], "reference", Read()), model="m", **kwargs)


def seen(con: duckdb.DuckDBPyConnection, tmp_path: Path, before: Any, now: Any, **kwargs: Any) -> Compared:
    """One column x of both."""
    profile = profile_of(con, tmp_path, table(con, "before", x=before))
    return against(con, table(con, "here", x=now), {"x": "x"}, profile, **kwargs)["x"]


class TestStatistics:
    @given(COUNTS)
    @settings(max_examples=60)
    def test_chi_square_and_its_effect_are_scipys(self, pairs: list[tuple[int, int]]) -> None:
        used = [pair for pair in pairs if any(pair)]
        value, freedom = statistics.pearson([a for a, _ in pairs], [b for _, b in pairs])
        if len(used) < 2:
            assert (value, freedom) == (0.0, 0) or freedom == 0
            return
        oracle = stats.chi2_contingency(np.array(used).T, correction=False)
        assert (value, freedom) == (pytest.approx(oracle.statistic, rel=1e-9, abs=1e-9), oracle.dof)
        assert statistics.chi_square_tail(value, freedom) == pytest.approx(oracle.pvalue, rel=1e-9)
        effect = stats.contingency.association(np.array(used).T, method="cramer")
        assert statistics.cramers_v([a for a, _ in used], [b for _, b in used]) == pytest.approx(effect, abs=1e-9)

    @given(st.floats(0, 3000), st.integers(1, 300))
    def test_the_tail_is_scipys_also_far_out(self, value: float, freedom: int) -> None:
        oracle = float(stats.chi2.sf(value, freedom))
        assert statistics.chi_square_tail(value, freedom) == pytest.approx(oracle, rel=1e-7, abs=1e-290)

    @given(COUNTS)
    def test_js_and_kl_are_scipys(self, pairs: list[tuple[int, int]]) -> None:
        p, q = (np.array([pair[side] for pair in pairs], dtype=float) for side in (0, 1))
        ours = statistics.js([a for a, _ in pairs], [b for _, b in pairs])
        oracle = float(distance.jensenshannon(p, q, base=2))
        assert ours == pytest.approx(0.0 if math.isnan(oracle) else oracle, abs=1e-7)
        bins = len(pairs)
        smooth = [(side + 0.5) / (side.sum() + 0.5 * bins) for side in (p, q)]
        assert statistics.kl([a for a, _ in pairs], [b for _, b in pairs]) == pytest.approx(
            float(stats.entropy(smooth[1], smooth[0])), abs=1e-12
        )

    @given(st.integers(0, 60), st.integers(1, 400), st.integers(0, 60), st.integers(1, 400))
    def test_a_share_that_grew_is_fishers_exact_test(self, a: int, n: int, b: int, m: int) -> None:
        a, b = min(a, n), min(b, m)
        oracle = stats.fisher_exact([[b, m - b], [a, n - a]], alternative="greater").pvalue
        found = statistics.above((a, n), (b, m))
        # Where the share did not grow there is nothing to prove.
        assert found == (1.0 if not b or b * n <= a * m else pytest.approx(oracle, rel=1e-6, abs=1e-12))

    def test_psi_as_it_is_published(self) -> None:
        """Siddiqi 2006, the worked example of a scorecard: shares of the ten score ranges; the index is 0.0239."""
        actual = [0.07, 0.08, 0.10, 0.09, 0.10, 0.11, 0.12, 0.11, 0.12, 0.10]
        expected = [0.08, 0.10, 0.09, 0.13, 0.11, 0.10, 0.11, 0.09, 0.11, 0.08]
        by_hand = sum((a - e) * math.log(a / e) for a, e in zip(actual, expected, strict=True))
        many = 10**8  # so many rows that the smoothing of empty bins is nothing
        found = statistics.psi([round(e * many) for e in expected], [round(a * many) for a in actual])
        assert found == pytest.approx(by_hand, abs=1e-6)

    def test_a_class_that_is_gone_is_told_by_a_small_reference(self) -> None:
        found, freedom = statistics.tested([45, 75], [0, 600], 10)
        wanted = stats.chi2_contingency([[45, 75], [0, 600]], correction=True)
        assert (found, freedom) == (pytest.approx(wanted.statistic), 1)
        assert max(statistics.chi_square_tail(found, 1), stats.fisher_exact([[45, 75], [0, 600]]).pvalue) < 1e-30

    @pytest.mark.parametrize("rows", [20, 60, 200])
    def test_two_small_bins_alarm_no_more_often_than_said(self, rows: int) -> None:
        rng = np.random.default_rng(rows)
        first, second = rng.binomial(120, 0.06, 4000), rng.binomial(rows, 0.06, 4000)
        alarms = 0
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            found, freedom = statistics.tested([a, 120 - a], [b, rows - b], 10)
            alarms += freedom > 0 and statistics.chi_square_tail(found, freedom) < 0.05
        assert alarms / 4000 < 0.05

    def test_small_bins_are_put_together_by_both_sides_alike(self) -> None:
        one, two = statistics.pooled([100, 1, 2, 200], [100, 2, 1, 190], 10)
        assert (sum(one), sum(two)) == (303, 293)
        assert min(a + b for a, b in zip(one, two, strict=True)) >= 20
        flipped = statistics.pooled([100, 2, 1, 190], [100, 1, 2, 200], 10)
        assert sorted(flipped[0]) == sorted(two)


class TestAgainst:
    @pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
    def test_numbers_agree_with_scipy_on_the_raw_values(
        self, con: Any, tmp_path: Path, random: np.random.Generator, shift: float
    ) -> None:
        before, now = random.normal(size=20_000), random.normal(loc=shift, size=5_000)
        found = seen(con, tmp_path, before, now)
        grid = 10 / 20_000 + 1 / 1024  # no knot is further away: the mass of one bin
        assert found.ks == pytest.approx(stats.ks_2samp(before, now).statistic, abs=grid)
        iqr = float(np.subtract(*np.quantile(before, [0.75, 0.25])))
        assert found.wasserstein == pytest.approx(stats.wasserstein_distance(before, now) / iqr, rel=0.02, abs=0.004)
        assert found.mean[1] == pytest.approx(now.mean())
        assert found.spread[1] == pytest.approx(now.std(ddof=1))
        for of, then, here in found.quantiles:
            assert then == pytest.approx(np.quantile(before, of), abs=0.01)
            assert here == pytest.approx(np.quantile(now, of), abs=0.02)

    def test_psi_is_that_of_deciles_with_open_ends(self, con: Any, tmp_path: Path, random: np.random.Generator) -> None:
        before, now = random.normal(size=10_000), random.normal(loc=1, size=3_000)
        found = seen(con, tmp_path, before, np.append(now, [1e9, -1e9]))
        profile = profile_of(con, tmp_path, "before")
        edges = [-math.inf, *frozen.bins(profile.columns["x"]).edges, math.inf]
        counts = [np.histogram(v, edges)[0].tolist() for v in (before, np.append(now, [1e9, -1e9]))]
        assert found.psi == pytest.approx(statistics.psi(*counts))
        assert sum(found.now) == 3_002

    @given(
        st.lists(st.sampled_from([-math.inf, -2.0, 0.0, 0.5, 1.0, 1e5, math.inf, math.nan]), min_size=1, max_size=80)
    )
    @settings(max_examples=40)
    def test_chunks_add_up_to_the_whole(self, values: list[float]) -> None:
        of = worlds.column(np.random.default_rng(1).normal(size=2000).round(2))
        whole, parts = Numbers(of), Numbers(of)
        whole.add(np.array(values), 3)
        for at in range(0, len(values), 7):
            parts.add(np.array(values[at : at + 7]), 3 if at == 0 else 0)
        assert (whole.rows, whole.missing, whole.finite) == (parts.rows, parts.missing, parts.finite)
        assert whole.below.tolist() == parts.below.tolist()
        assert whole.rows == len(values) + 3
        assert whole.missing == 3 + sum(map(math.isnan, values))

    def test_few_numbers_are_categories_and_have_an_order(self, con: Any, tmp_path: Path) -> None:
        before, now = [0, 1, 2, 3] * 500, [0, 1, 2, 9] * 100 + [None] * 40
        found = seen(con, tmp_path, before, now)
        assert dict(zip(found.labels, found.now, strict=True)) == {
            "0": 100, "1": 100, "2": 100, "3": 0, "other": 100, "missing": 40,
        }  # fmt: skip
        assert found.unseen_share == pytest.approx(0.25)
        assert found.nulls == (0.0, pytest.approx(40 / 440))
        assert found.ks == pytest.approx(0.25, abs=0.001)

    def test_new_categories_are_counted_and_named(self, con: Any, tmp_path: Path) -> None:
        found = seen(con, tmp_path, ["a", "b"] * 500, ["a"] * 400 + ["new"] * 90 + ["rare"] * 9)
        assert found.unseen == 99
        assert found.examples == (("new", 90),)  # what fewer than ten share is nobody's to see
        assert seen(con, tmp_path, ["a", "b"] * 500, ["new"] * 90, private={"x"}).examples == ()

    def test_rare_values_of_the_reference_are_not_called_unseen(
        self, con: Any, tmp_path: Path, random: np.random.Generator
    ) -> None:
        weights = 1 / np.arange(1, 3001)
        draw = lambda n: [f"v{i}" for i in random.choice(3000, size=n, p=weights / weights.sum())]  # noqa: E731
        found = seen(con, tmp_path, draw(20_000), draw(5_000))
        assert (found.unseen or 0) > 500
        assert found.unseen_share == pytest.approx(0, abs=0.03)

    def test_the_range_is_left(self, con: Any, tmp_path: Path, random: np.random.Generator) -> None:
        before = random.uniform(0, 1, size=5000)
        found = seen(con, tmp_path, before, np.append(random.uniform(0, 1, size=900), np.full(100, 5.0)))
        assert found.outside_share == pytest.approx(0.1, abs=0.005)

    @pytest.mark.parametrize(
        ("before", "now", "said"),
        [
            ([1.5, 2.5] * 200, ["x", "y"] * 100, "no numbers"),
            (["a", "b"] * 200, [1.5, 2.5] * 100, "holds numbers, and text"),
            ([1.5, 2.5] * 200, [[1], [2]] * 100, "DOUBLE[]|BIGINT[]|INTEGER[]"),
        ],
    )
    def test_another_type_is_said_and_not_quietly_unequal(
        self, con: Any, tmp_path: Path, before: Any, now: Any, said: str
    ) -> None:
        profile = profile_of(con, tmp_path, table(con, "before", x=before))
        con.execute("CREATE OR REPLACE TABLE here AS SELECT unnest(?) AS x", [now])
        trouble = against(con, "here", {"x": "x"}, profile)["x"].trouble
        assert any(one in trouble for one in said.split("|")), trouble

    def test_numbers_written_as_text_are_numbers_and_the_rest_is_counted(self, con: Any, tmp_path: Path) -> None:
        before = np.random.default_rng(1).normal(size=2000)
        now = [str(v) for v in before[:300]] + ["oops"] * 20 + [None] * 10
        found = seen(con, tmp_path, before, now)
        assert (found.trouble, found.unfit, found.missing, found.rows) == ("", 20, 10, 330)
        assert sum(found.now) == 330

    def test_days_are_compared_whichever_way_they_are_written(self, con: Any, tmp_path: Path) -> None:
        con.execute(
            "CREATE OR REPLACE TABLE before AS SELECT DATE '2026-01-01' + (i % 300)::INT AS x FROM range(3000) t(i)"
        )
        profile = profile_of(con, tmp_path, "before")
        for written in ("x", "x::TIMESTAMP", "x::TIMESTAMPTZ", "x::VARCHAR"):
            found = against(con, "before", {"x": written}, profile)["x"]
            assert (found.trouble, found.ks) == ("", 0.0), written

    def test_a_column_that_is_not_logged(self, con: Any, tmp_path: Path) -> None:
        profile = profile_of(con, tmp_path, table(con, "before", age=[1, 2] * 100))
        found = against(con, "before", {"Age": "age"}, profile)["age"]
        assert found.trouble == "It is not logged. Did you mean 'Age'?"

    @pytest.mark.parametrize("before", [[None] * 200, [None] * 190 + [1.5] * 10])
    def test_a_column_that_was_missing_and_is_there_now(self, con: Any, tmp_path: Path, before: Any) -> None:
        con.execute("CREATE OR REPLACE TABLE before AS SELECT unnest(?)::DOUBLE AS x", [before])
        profile = profile_of(con, tmp_path, "before")
        found = against(con, table(con, "here", x=[1.5, 2.5] * 100), {"x": "x"}, profile)["x"]
        assert (found.psi or 0) > 1

    def test_a_column_that_is_all_missing_now(self, con: Any, tmp_path: Path) -> None:
        profile = profile_of(con, tmp_path, table(con, "before", x=[1.5, 2.5, 3.5] * 100))
        con.execute("CREATE OR REPLACE TABLE here AS SELECT NULL AS x, NULL::JSON AS y FROM range(200)")
        for written in ("x", "y"):
            found = against(con, "here", {"x": written}, profile)["x"]
            assert (found.missing, found.ks, found.trouble) == (200, None, "")
            assert (found.psi or 0) > 1

    def test_a_private_column_gives_only_how_often_it_is_missing(self, con: Any, tmp_path: Path) -> None:
        relation = table(con, "before", x=["a", "b"] * 200)
        profile = profile_of(con, tmp_path, relation, private=frozenset({"x"}))
        found = against(con, table(con, "here", x=["a", None] * 100), {"x": "x"}, profile, private={"x"})["x"]
        assert (found.psi, found.labels, found.examples, found.nulls) == (None, (), (), (0.0, 0.5))

    def test_prediction_and_score_come_first(self, con: Any, tmp_path: Path) -> None:
        relation = table(con, "before", x=[1.5, 2.5] * 200, p=["no", "yes"] * 200, s=[0.1, 0.9] * 200)
        answers = profiles.Answers(
            relation, profiles.Value("prediction", "p", "VARCHAR"), profiles.Value("score", "s", "DOUBLE")
        )
        profile = profile_of(con, tmp_path, relation, features=["x"], answers=answers)
        found = against(con, relation, {"x": "x", "prediction": "p", "score": "s"}, profile)
        assert [*found] == ["prediction", "score", "x"]
        assert [one.role for one in found.values()] == ["prediction", "score", "feature"]

    def test_a_name_is_no_sql(self, con: Any, tmp_path: Path) -> None:
        nasty = "a'); DROP TABLE here; --\"\n"
        found = seen(con, tmp_path, [nasty, "b"] * 100, [nasty, "c\"'"] * 100)
        assert found.unseen == 100
        assert found.examples == (("c\"'", 100),)

    def test_a_query_that_fails_is_raised(self, con: Any) -> None:
        with pytest.raises(duckdb.Error):
            list(doubles(con, "SELECT CAST('x' || i AS DOUBLE) FROM range(10) t(i)"))

    def test_rows_come_in_pieces(self, con: Any) -> None:
        query = "SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE i END::DOUBLE AS x FROM range(1000000) t(i)"
        pieces = [list(chunk) for chunk in doubles(con, query)]
        assert len(pieces) > 4
        assert sum(missing for ((_, missing),) in pieces) == 333_334
        assert sum(float(values.sum()) for ((values, _),) in pieces) == sum(i for i in range(1_000_000) if i % 3)


class TestSlices:
    def test_the_slice_that_makes_the_drift_is_named(
        self, con: Any, tmp_path: Path, random: np.random.Generator
    ) -> None:
        x = random.normal(size=4000)
        profile = profile_of(con, tmp_path, table(con, "before", x=x, health=["good"] * 4000))
        now = np.append(random.normal(size=2000), random.normal(loc=3, size=500))
        relation = table(con, "here", x=now, health=["good"] * 1000 + ["fair"] * 1000 + ["poor"] * 500)
        found = sliced(con, relation, {"x": "x", "health": "health"}, profile, moved=["x"], by=["health", "x"])
        assert len(found["x"]) == 1
        assert found["x"][0].startswith("without health = poor: PSI 0.0")
        assert found["x"][0].endswith("(500 rows)")
        names = {"x": "x", "health": "health"}
        assert sliced(con, relation, names, profile, moved=["x"], by=["health"], private={"health"}) == {}


class TestFloors:
    def test_without_days_chance_is_chi_square(self) -> None:
        found = floors.floor("x", [100] * 10, 1000, (), level=0.95)
        assert (found.psi, found.windows) == (pytest.approx(statistics.noise_floor(10, 1000, 1000)), 0)

    def test_days_that_are_alike_add_little_and_days_that_are_not_add_all_of_it(
        self, random: np.random.Generator
    ) -> None:
        def days(spread: float) -> tuple[tuple[Day, ...], list[int]]:
            found = []
            for i in range(28):
                share = 0.5 + (spread if i % 2 else -spread)
                first = int(random.binomial(1000, share))
                found.append(Day(f"2026-01-{i + 1:02}", 1000, {"x": (first, 1000 - first, 0)}))
            return tuple(found), [sum(day.counts["x"][k] for day in found) for k in range(3)]

        alike, before = days(0.0)
        plain = floors.floor("x", before, 1000, (), level=0.999).psi
        assert plain <= floors.floor("x", before, 1000, alike, level=0.999).psi < 4 * plain
        unlike, before = days(0.2)
        found = floors.floor("x", before, 1000, unlike, level=0.999)
        assert found.psi > 20 * plain
        assert found.windows == 28
        assert floors.floor("x", before, 7000, unlike, length=7, level=0.999).windows == 0  # four weeks say too little
