"""What a profile says of a column: exact counts, whatever the values are. numpy is the oracle."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlgate.data import profiles
from mlgate.data.profiles import Answers, Value, knots
from mlgate.data.profiles.nouns import FLOOR
from mlgate.errors import MlgateError

from .tables import build, column, opened, save, share_below


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20261121)


def exact(values: Any) -> np.ndarray:
    there = np.sort(np.asarray(values, dtype=np.float64))
    return there[~np.isnan(there)]


class TestKnots:
    def test_stand_at_the_quantiles_and_count_exactly(self, tmp_path: Path, random: np.random.Generator) -> None:
        values = random.lognormal(3, 1.5, 50_000)
        found = column(tmp_path, values)
        assert len(found.knots) == 1023
        assert found.below == tuple(np.searchsorted(np.sort(values), found.knots, side="right"))
        levels = np.arange(1, 1024) / 1024
        ranks = np.array([share_below(values, knot) for knot in found.knots])
        assert np.abs(ranks - levels).max() <= 0.11 / 1024 + 1 / 50_000
        assert np.abs(np.array(found.knots) / np.quantile(values, levels) - 1).max() < 0.1

    def test_are_short_and_nobodys_own(self, tmp_path: Path, random: np.random.Generator) -> None:
        values = random.normal(50_000, 9_000, 20_000)
        found = column(tmp_path, values)
        assert not set(found.knots) & set(values.tolist())
        assert np.mean([len(repr(knot)) for knot in found.knots]) < 8

    def test_a_value_that_many_share_is_a_jump_of_its_own(self, tmp_path: Path, random: np.random.Generator) -> None:
        values = np.concatenate([np.zeros(4_000), random.exponential(1, 3_000), -random.exponential(1, 3_000)])
        found = column(tmp_path, values)
        below = dict(zip(found.knots, found.below, strict=True))
        assert below[0.0] == 7_000
        before = max(knot for knot in found.knots if knot < 0)
        assert below[before] <= 3_000
        assert share_below(values, before) >= 0.3 - 2 / 1024

    def test_a_value_equal_to_a_knot_belongs_to_the_bin_below_it(self, tmp_path: Path) -> None:
        found = column(tmp_path, [n for n in range(40) for _ in range(50)])
        assert found.knots == tuple(map(float, range(39)))
        assert found.below == tuple(50 * n for n in range(1, 40))
        assert found.distinct == 40
        assert not found.values

    def test_few_rows_have_few_knots(self, tmp_path: Path, random: np.random.Generator) -> None:
        found = column(tmp_path, random.normal(size=300))
        assert 20 <= len(found.knots) <= 23
        assert column(tmp_path, random.normal(size=19)).knots == ()

    def test_whole_numbers_beyond_doubles_and_decimals(self, tmp_path: Path, random: np.random.Generator) -> None:
        large = [2**62 + int(n) for n in random.integers(0, 2**40, 5_000)]
        found = column(tmp_path, pa.array(large, pa.int64()))
        assert found.below == tuple(np.searchsorted(exact(large), found.knots, side="right"))
        money = [Decimal(int(n)).scaleb(-2) for n in random.integers(0, 10**9, 5_000)]
        found = column(tmp_path, pa.array(money, pa.decimal128(18, 2)))
        assert found.below == tuple(np.searchsorted(exact([float(m) for m in money]), found.knots, side="right"))

    def test_numbers_at_the_ends_of_what_doubles_hold(self, tmp_path: Path, random: np.random.Generator) -> None:
        for scale in (1e-308, 5e-324, 1e300):
            values = random.integers(1, 10_000, 4_000) * scale
            found = column(tmp_path, values)
            assert found.below == tuple(np.searchsorted(exact(values), found.knots, side="right"))
            assert found.least is not None
            assert found.most is not None
            assert found.least <= found.most
            json.loads(profiles.text(build(tmp_path / "x.parquet")))

    @given(
        values=arrays.arrays(
            np.float64,
            st.integers(0, 400),
            elements=st.one_of(
                st.floats(allow_nan=False, allow_subnormal=True), st.integers(-5, 5).map(float), st.just(0.1)
            ),
        )
    )
    @settings(max_examples=150)
    def test_hold_the_floor_and_the_tie_rule_whatever_the_values(self, values: np.ndarray) -> None:
        values.sort()
        values += 0.0
        found, below = knots.knots(values, knots.starts(values))
        counts = np.diff([0, *below, len(values)])
        assert list(found) == sorted(set(found))
        assert all(np.isfinite(found))
        assert below == tuple(np.searchsorted(values, found, side="right"))
        assert not found or counts.min() >= FLOOR
        for knot in found:
            rows = np.count_nonzero(values == knot)
            assert rows == 0 or rows >= FLOOR


class TestNumbers:
    def test_missing_ones_nan_and_infinity(self, tmp_path: Path, random: np.random.Generator) -> None:
        values = random.normal(size=1_000).tolist()
        odd = [*values, *([None] * 30), *([float("nan")] * 20), *([float("inf")] * 15), *([float("-inf")] * 5)]
        found = column(tmp_path, pa.array(odd, pa.float64(), from_pandas=False))
        assert (found.rows, found.missing, found.infinite) == (1_070, 50, 20)
        inside = np.clip(values, found.least, found.most)
        assert found.mean == pytest.approx(np.mean(inside), rel=1e-8)
        assert found.spread == pytest.approx(np.std(inside, ddof=1), rel=1e-8)
        assert found.below[0] > 5

    def test_the_range_holds_all_but_a_few_and_is_round(self, tmp_path: Path, random: np.random.Generator) -> None:
        values = np.append(random.normal(50, 10, 5_000), [1_234.5678, -987.6543])
        found = column(tmp_path, values)
        assert found.least is not None
        assert found.most is not None
        outside = np.count_nonzero((values < found.least) | (values > found.most))
        assert 2 <= found.outside == outside < 2 * FLOOR
        assert found.most < 100
        assert len(f"{found.least!r}{found.most!r}") <= 10

    def test_few_different_numbers_are_categories_as_well(self, tmp_path: Path) -> None:
        found = column(tmp_path, [1] * 500 + [2] * 300 + [0] * 200 + [7] * 3)
        assert dict(found.values) == {"0": 200, "1": 500, "2": 300}
        assert (found.kept, found.other, found.distinct) == (("0", "1", "2"), (1, 3), 4)
        assert found.knots == (0.0, 1.0)
        assert profiles.frozen(found).counts == (200, 500, 300, 3, 0)

    def test_a_constant_and_a_column_without_a_value(self, tmp_path: Path) -> None:
        found = column(tmp_path, [35.5] * 100)
        assert (found.distinct, dict(found.values), found.knots, found.spread) == (1, {"35.5": 100}, (), 0.0)
        assert (found.least, found.most) == (35.0, 36.0)
        empty = column(tmp_path, pa.array([None] * 100, pa.float64()))
        assert (empty.missing, empty.distinct, empty.knots, empty.mean) == (100, 0, (), None)
        assert profiles.frozen(empty).counts == (0, 100)

    def test_dates_and_times_are_seconds_since_1970_utc(self, tmp_path: Path) -> None:
        days = [date(2026, 1, 1) + timedelta(days=n % 60) for n in range(3_000)]
        moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n % 60) for n in range(3_000)]
        for values in (
            days, [m.replace(tzinfo=None) for m in moments], pa.array(moments, pa.timestamp("us", "Asia/Tokyo")),
        ):  # fmt: skip
            found = column(tmp_path, values)
            assert (found.kind, found.of, found.distinct) == ("number", "moment", 60)
            middle = datetime(2026, 1, 30, tzinfo=UTC).timestamp()
            assert sum(1 for knot in found.knots if knot < middle) == 29

    def test_text_files_say_the_same_as_parquet(self, tmp_path: Path, random: np.random.Generator) -> None:
        values = {"x": np.round(random.normal(size=3_000), 3), "c": random.choice(["a", "b", "c"], 3_000)}
        late = {name: [*column.tolist(), {"x": 1e9, "c": "d"}[name]] for name, column in values.items()}
        first, second = (build(save(tmp_path / f"t.{form}", **late)) for form in ("parquet", "csv"))
        assert first == second

    def test_a_csv_whose_late_rows_are_of_another_type_is_read_again(self, tmp_path: Path) -> None:
        rows = [*(str(n % 50) for n in range(40_000)), "12.5"]
        (tmp_path / "x.csv").write_text("x\n" + "\n".join(rows) + "\n", "utf-8")
        assert build(tmp_path / "x.csv").columns["x"].distinct == 51


class TestCategories:
    def test_counts_those_that_are_rare_together(self, tmp_path: Path) -> None:
        values = ["red"] * 900 + ["blue"] * 80 + ["teal"] * 12 + ["Ada Lovelace"] * 9 + [f"only {n}" for n in range(4)]
        found = column(tmp_path, [*values, None, None])
        assert dict(found.values) == {"blue": 80, "red": 900, "teal": 12}
        assert (found.other, found.once, found.distinct, found.missing, found.rows) == ((5, 13), 4, 8, 2, 1_007)
        assert found.kept == ("blue", "red", "teal")
        assert profiles.frozen(found).counts == (80, 900, 12, 13, 2)

    def test_only_half_a_percent_has_a_bin_of_its_own(self, tmp_path: Path) -> None:
        found = column(tmp_path, ["a"] * 9_900 + ["b"] * 51 + ["c"] * 49)
        assert (sorted(found.values), found.kept) == (["a", "b", "c"], ("a", "b"))
        assert profiles.frozen(found).counts == (9_900, 51, 49, 0)

    def test_lists_the_most_frequent_ones_of_very_many(self, tmp_path: Path) -> None:
        names = [f"n{n:05}" for n in range(3_000) for _ in range(10 + (n < 100))]
        found = column(tmp_path, names)
        assert len(found.values) == 500
        assert {f"n{n:05}" for n in range(100)} <= set(found.values)
        assert found.other == (2_500, len(names) - sum(found.values.values()))

    def test_long_texts_are_no_categories(self, tmp_path: Path) -> None:
        found = column(tmp_path, ["x" * 300] * 50 + ["y"] * 50)
        assert (dict(found.values), found.other) == ({"y": 50}, (1, 50))

    def test_true_and_false(self, tmp_path: Path) -> None:
        found = column(tmp_path, [True] * 30 + [False] * 20 + [None])
        assert (found.kind, found.of, dict(found.values)) == ("category", "boolean", {"false": 20, "true": 30})

    def test_names_that_sql_could_stumble_over(self, tmp_path: Path) -> None:
        file = save(tmp_path / "x.parquet", **{'a"b; --': ["it's"] * 20 + ['"quoted"'] * 30 + ["100 %"] * 50})
        assert dict(build(file).columns['a"b; --'].values) == {'"quoted"': 30, "100 %": 50, "it's": 20}


class TestPrivacy:
    @given(
        st.lists(st.tuples(st.text("abcdefgh", min_size=6, max_size=8), st.integers(1, 30)), min_size=1, max_size=12)
    )
    @settings(max_examples=40)
    def test_no_category_that_is_rare_is_written(self, tmp_path_factory: Any, pairs: list[tuple[str, int]]) -> None:
        rows = {f"!{name}!": many for name, many in pairs}
        file = save(tmp_path_factory.mktemp("x") / "x.parquet", x=[n for n, many in rows.items() for _ in range(many)])
        written = profiles.text(build(file))
        for name, many in rows.items():
            assert (name in written) == (many >= FLOOR)

    @given(st.integers(0, 2**32), st.integers(1, 2_000))
    @settings(max_examples=40)
    def test_no_number_of_one_row_is_written(self, tmp_path_factory: Any, seed: int, many: int) -> None:
        values = np.random.default_rng(seed).normal(1e6, 1e5, many).round(4)
        file = save(tmp_path_factory.mktemp("x") / "x.parquet", x=values)
        written = profiles.text(build(file))
        own = [value for value in np.unique(values).tolist() if np.count_nonzero(values == value) < FLOOR]
        numbers = set(json.loads(written)["columns"]["x"].get("knots", []))
        assert not numbers & set(own)
        if many >= FLOOR:
            assert not [value for value in own if f"{value!r}" in written]

    def test_a_private_column_says_how_often_it_is_missing_and_nothing_else(self, tmp_path: Path) -> None:
        file = save(tmp_path / "x.parquet", Mail=["a@b.example"] * 50 + [None] * 7, y=[1.0] * 57)
        found = build(file, private=frozenset(["mail"]))
        assert (found.columns["Mail"].kind, found.columns["Mail"].missing) == ("hidden", 7)
        assert "a@b.example" not in profiles.text(found)
        assert json.loads(profiles.text(found))["columns"]["Mail"] == {
            "kind": "hidden", "missing": 7, "of": "private", "rows": 57,
        }  # fmt: skip

    def test_lists_and_the_like_are_only_counted(self, tmp_path: Path) -> None:
        found = column(tmp_path, [[1, 2], None, [3]])
        assert (found.kind, found.of, found.rows, found.missing) == ("hidden", "other", 3, 1)


class TestDays:
    def test_count_the_frozen_bins_of_each_day(self, tmp_path: Path, random: np.random.Generator) -> None:
        moments = [datetime(2026, 10, 1 + n // 500, 23, 59, tzinfo=UTC) for n in range(5_000)]
        x = random.normal(size=5_000) + np.arange(5_000) / 2_000
        few, c = random.integers(0, 3, 5_000), random.choice(["a", "b"], 5_000).tolist()
        c[7] = None
        file = save(tmp_path / "t.parquet", at=pa.array(moments, pa.timestamp("us", "UTC")), x=x, few=few, c=c)
        found = build(file, time="at")
        assert list(found.columns) == ["x", "few", "c"]
        assert [(day.day, day.rows) for day in found.days] == [(f"2026-10-{n:02}", 500) for n in range(1, 11)]
        for name, one in found.columns.items():
            every = [day.counts[name] for day in found.days]
            assert tuple(map(sum, zip(*every, strict=True))) == profiles.frozen(one).counts
        bins = profiles.frozen(found.columns["x"])
        assert len(bins.edges) == 9
        today = np.diff([0, *np.searchsorted(np.sort(x[:500]), bins.edges, side="right"), 500])
        assert found.days[0].counts["x"] == (*today, 0)
        assert found.days[0].counts["c"][-1] == 1

    def test_are_the_newest_ones_of_enough_rows(self, tmp_path: Path) -> None:
        many = [date(2026, 1, 1) + timedelta(days=n) for n in range(120) for _ in range(100)]
        file = save(tmp_path / "t.parquet", at=[*many, *([date(2026, 12, 24)] * 99), None], x=[1.0] * (len(many) + 100))
        found = build(file, time="at").days
        assert (len(found), found[-1].day) == (92, "2026-04-30")

    def test_are_none_where_the_column_holds_no_moments(self, tmp_path: Path) -> None:
        assert build(save(tmp_path / "t.parquet", at=["x"] * 200, y=[1] * 200), time="at").days == ()


class TestBuild:
    def test_the_same_rows_give_the_same_bytes_in_any_order(self, tmp_path: Path, random: np.random.Generator) -> None:
        values = {"x": random.normal(size=4_000), "c": random.choice(["a", "b"], 4_000)}
        order = random.permutation(4_000)
        files = [
            save(tmp_path / "one.parquet", **values),
            save(tmp_path / "two.parquet", **{name: one[order] for name, one in values.items()}),
        ]
        first, second = (profiles.text(build(file)) for file in files)
        assert first == second

    def test_predictions_are_of_rows_of_their_own(self, tmp_path: Path, random: np.random.Generator) -> None:
        data = save(tmp_path / "train.parquet", x=random.normal(size=500))
        said = save(tmp_path / "said.parquet", p=random.uniform(size=200))
        with opened(said) as (_, table):
            relation = table.relation
        decided = Value("prediction", "CASE WHEN p >= 0.5 THEN 1 ELSE 0 END", "INTEGER")
        answers = Answers(relation, decided, Value("score", "p", "DOUBLE"))
        found = build(data, answers=answers)
        assert found.prediction is not None
        assert found.score is not None
        assert (found.rows, found.prediction.rows, found.score.rows) == (500, 200, 200)
        assert set(found.prediction.values) == {"0", "1"}
        assert found.score.knots

    def test_of_the_wanted_columns_only(self, tmp_path: Path) -> None:
        file = save(tmp_path / "t.parquet", a=[1] * 20, b=[2] * 20, c=[3] * 20)
        assert list(build(file, features=["c", "a"]).columns) == ["c", "a"]
        with pytest.raises(MlgateError, match=r"t\.parquet has no column 'd', which the profile is to describe"):
            build(file, features=["a", "d"])

    def test_of_no_rows_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(MlgateError, match="has no rows"):
            build(save(tmp_path / "t.parquet", a=pa.array([], pa.int64())))

    def test_is_small(self, tmp_path: Path, random: np.random.Generator) -> None:
        columns: dict[str, Any] = {f"x{n}": random.normal(size=200_000) for n in range(4)}
        columns["pay"] = random.lognormal(8, 2, 200_000).round(2)
        columns["city"] = random.choice([f"city {n}" for n in range(5_000)], 200_000)
        text = profiles.text(build(save(tmp_path / "t.parquet", **columns)))
        assert len(text) <= 12_000 * len(columns)
