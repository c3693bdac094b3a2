"""Profiles of shards and days added up: exactly on common knots, and with a bound that is said on others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.data import profiles
from mlgate.data.profiles import Column
from mlgate.data.profiles.nouns import FLOOR
from mlgate.errors import MlgateError

from .tables import build, save

SAME = (
    "rows", "missing", "distinct", "once", "other", "values", "kept", "edges", "least", "most", "outside", "infinite",
)  # fmt: skip


def shards(folder: Path, seed: int, sizes: list[int]) -> tuple[list[Path], Path]:
    """Files of so many rows, and one of all of them."""
    random = np.random.default_rng(seed)
    parts: list[dict[str, Any]] = []
    for size in sizes:
        age = random.normal(random.uniform(30, 60), 12, size)
        age[random.uniform(size=size) < 0.05] = np.nan
        days = [datetime(2026, 10, 1 + int(n), tzinfo=UTC) for n in random.integers(0, 3, size)]
        parts.append({
            "at": pa.array(days, pa.timestamp("us", "UTC")), "age": age, "plan": random.integers(0, 4, size),
            "city": random.choice(["Köln", "Ulm", *[f"v{n}" for n in range(40)]], size),
        })  # fmt: skip
    files = [save(folder / f"{number}.parquet", **part) for number, part in enumerate(parts)]
    whole = save(
        folder / "all.parquet",
        **{name: pa.concat_arrays([pa.array(part[name]) for part in parts]) for name in parts[0]},
    )
    return files, whole


@given(st.integers(0, 2**32), st.lists(st.integers(50, 900), min_size=2, max_size=4))
@settings(max_examples=15)
def test_on_common_knots_the_sum_is_the_profile_of_all_rows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int]
) -> None:
    files, whole = shards(tmp_path_factory.mktemp("x"), seed, sizes)
    first = build(files[0], time="at")
    every = [first, *(build(file, time="at", like=first) for file in files[1:])]
    merged, direct = profiles.merge(every), build(whole, time="at", like=first)
    assert merged.rows == direct.rows == sum(sizes)
    for name, one in merged.columns.items():
        other = direct.columns[name]
        counts = ("rows", "missing", "knots", "below", "edges", "kept", "values")
        assert [getattr(one, key) for key in counts] == [getattr(other, key) for key in counts]
        assert one.other[1] == other.other[1]
        assert one.error == 0
        assert profiles.frozen(one) == profiles.frozen(other)
        if one.mean is not None and one.least is not None and one.most is not None:
            # What lies outside of a part's own range counts as if it lay at its end, so the means differ by that.
            moved = (one.outside + FLOOR * len(sizes)) / (one.rows - one.missing)
            assert abs(one.mean - (other.mean or 0.0)) <= moved * (one.most - one.least) + 1e-6


@given(st.integers(0, 2**32), st.lists(st.integers(20, 500), min_size=3, max_size=3), st.booleans())
@settings(max_examples=15)
def test_in_whatever_order_the_counts_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int], alike: bool
) -> None:
    files, _ = shards(tmp_path_factory.mktemp("x"), seed, sizes)
    first = build(files[0])
    a, b, c = first, *(build(file, like=first if alike else None) for file in files[1:])
    left = profiles.merge([profiles.merge([a, b]), c])
    right = profiles.merge([a, profiles.merge([b, c])])
    assert left.rows == right.rows == a.rows + b.rows + c.rows
    for name, one in left.columns.items():
        other = right.columns[name]
        assert all(getattr(one, key) == getattr(other, key) for key in SAME)
        if alike:
            assert one.below == other.below
        assert sum(profiles.frozen(one).counts) == one.rows
        assert (one.mean is None) == (other.mean is None)
        if one.mean is not None:
            assert (one.mean, one.spread) == pytest.approx((other.mean, other.spread), rel=1e-6)
    assert profiles.read(profiles.text(left), "p.json") == left


@given(st.integers(0, 2**32), st.lists(st.integers(100, 3_000), min_size=2, max_size=3))
@settings(max_examples=15)
def test_on_other_knots_the_sum_is_off_by_no_more_than_it_says(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int]
) -> None:
    random = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("x")
    parts = [random.normal(random.normal(0, 2), random.uniform(0.5, 3), size) for size in sizes]
    found = profiles.merge([build(save(folder / f"{n}.parquet", x=part)) for n, part in enumerate(parts)]).columns["x"]
    everything = np.sort(np.concatenate(parts))
    exact = np.searchsorted(everything, found.knots, side="right")
    off = np.abs(exact - np.array(found.below)).max() / len(everything)
    assert off <= found.error + 1 / len(everything)
    assert 0 < found.error < 0.3
    assert list(found.below) == sorted(found.below)


def test_many_shards_stay_small(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    every = [build(save(tmp_path / f"{n}.parquet", x=random.normal(n, 1, 20_000))) for n in range(5)]
    found = profiles.merge(every).columns["x"]
    assert len(found.knots) <= 1024 + 9
    assert set(every[0].columns["x"].edges) <= set(found.knots)
    assert found.error < 0.02


def test_days_of_the_same_bins_are_added_up(tmp_path: Path) -> None:
    files, whole = shards(tmp_path, 5, [900, 900])
    first = build(files[0], time="at")
    second = build(files[1], time="at", like=first)
    merged = profiles.merge([first, second])
    assert merged.days == build(whole, time="at", like=first).days
    assert len(merged.days) == 3
    other = profiles.merge([first, build(files[1], time="at")])
    assert all("age" not in day.counts for day in other.days)


def test_what_one_part_keeps_private_the_sum_does(tmp_path: Path) -> None:
    file = save(tmp_path / "x.parquet", x=["a"] * 50)
    first, second = build(file), build(file, private=frozenset({"x"}))
    for found in (profiles.merge([first, second]), profiles.merge([second, first])):
        assert found.columns["x"] == Column("hidden", 100, 0, of="private")
    assert build(file, like=second).columns["x"].of == "private"


def test_predictions_are_added_up_as_well(tmp_path: Path) -> None:
    file = save(tmp_path / "x.parquet", x=list(range(100)))
    one = build(file)
    said = replace(one, score=one.columns["x"])
    assert (profiles.merge([said, said]).score or one.columns["x"]).rows == 200
    assert profiles.merge([one, said]).score == said.score


def test_a_profile_of_one_part_is_that_part(tmp_path: Path) -> None:
    one = build(save(tmp_path / "x.parquet", x=list(range(100))))
    assert profiles.merge([one]) is one


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "costs"}, "profiles of visits and of costs cannot be added up"),
        ({"digest": "b" * 64}, "profiles of two versions of visits"),
        ({"columns": {}}, "the column 'x' is in one of the profiles"),
        ({"data": {"t": "sha256:1"}}, "different versions of t"),
        ({"columns": {"x": Column("category", 100, 100, of="text")}}, "x holds number in one of the profiles and text"),
    ],
)
def test_what_does_not_belong_together_is_not_added_up(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    file = save(tmp_path / "x.parquet", x=list(range(100)))
    one = build(file, digest="a" * 64, data={"t": "sha256:0"})
    with pytest.raises(MlgateError, match=sentence):
        profiles.merge([one, replace(one, **change)])


def test_of_nothing_there_is_no_sum() -> None:
    with pytest.raises(MlgateError, match="there are no profiles"):
        profiles.merge([])
