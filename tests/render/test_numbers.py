"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.render import numbers

finite = st.floats(-1e306, 1e306)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.581, 0.599), ["0.581", "0.599"]),
        ((0.7204321, 0.7222), ["0.7204", "0.7222"]),
        ((0.72, 0.7205), ["0.7200", "0.7205"]),  # the same decimals side by side
        ((0.70004, 0.7), ["0.70004", "0.70000"]),  # more digits until they differ
        ((6057.0,), ["6,057"]),
        ((98.0, 48.5), ["98.0", "48.5"]),
        ((-0.03,), ["−0.03"]),
        ((0.0, -0.0), ["0", "0"]),
        ((1234567.891,), ["1,234,568"]),  # never rounded in front of the point
        ((0.0000123456,), ["1.235e−5"]),
        ((1e20, 2e20), ["1e20", "2e20"]),
        ((12.5, 0.0021), ["12.5", "0.0021"]),  # far apart: each as it needs
    ],
)
def test_numbers_side_by_side(values: tuple[float, ...], shown: list[str]) -> None:
    assert numbers.together(*values) == shown


@given(st.lists(finite, min_size=1, max_size=4))
def test_different_values_never_look_equal(values: list[float]) -> None:
    texts = numbers.together(*values)
    pairs = dict(zip(values, texts, strict=True))
    assert len(set(pairs.values())) == len(pairs)


@given(finite)
def test_a_shown_number_is_close_to_the_number(value: float) -> None:
    shown = numbers.parse(numbers.show(value))
    assert math.isclose(shown, value, rel_tol=1e-3, abs_tol=1e-300)


@given(finite, st.booleans(), st.lists(finite, max_size=2))
def test_who_meets_the_shown_limit_meets_the_limit(limit: float, at_least: bool, beside: list[float]) -> None:
    shown = numbers.parse(numbers.bound(limit, at_least=at_least, beside=beside))
    room = abs(limit) * 1e-11 + 1e-300
    assert shown >= limit - room if at_least else shown <= limit + room


@pytest.mark.parametrize(
    ("limit", "at_least", "shown"),
    [
        (0.592824, False, "0.5928"),
        (0.59288, False, "0.5928"),  # 0.5929 would not be enough
        (0.71041, True, "0.7105"),
        (0.7, True, "0.7"),
        (0.574994, False, "0.5749"),  # not 0.574: the last digit is worth having
        (0.7000000000000001, True, "0.7"),
        (50.0, False, "50"),
    ],
)
def test_a_limit_is_rounded_to_the_safe_side(limit: float, at_least: bool, shown: str) -> None:
    assert numbers.bound(limit, at_least=at_least) == shown


def test_a_limit_never_looks_like_the_value_that_misses_it() -> None:
    assert numbers.bound(0.7, at_least=True, beside=[0.69999]) == "0.70000"
    assert numbers.together(0.69999, 0.7) == ["0.69999", "0.70000"]


@pytest.mark.parametrize(
    ("change", "relative", "decimals", "beside", "shown"),
    [
        (0.031, True, 0, [], "+3.1 %"),
        (0.02, True, 0, [0.02], "+2.0 %"),
        (0.020004, True, 0, [0.02], "+2.0004 %"),  # over the limit, and it shows
        (0.1234, True, 0, [], "+12.3 %"),
        (-1.5, True, 0, [], "−150 %"),
        (0.000312, True, 0, [], "+0.031 %"),
        (0.0018, False, 3, [], "+0.002"),
        (0.0018, False, 4, [], "+0.0018"),
        (-0.03, False, 2, [], "−0.03"),
        (0.0000002, False, 3, [], "+0.0000002"),
        (0.0, True, 0, [], "0 %"),
        (0.0, False, 3, [], "0"),
        (2.5e-12, False, 3, [], "+2.5e−12"),
    ],
)
def test_differences(change: float, relative: bool, decimals: int, beside: list[float], shown: str) -> None:
    made = numbers.difference(change, relative=relative, decimals=decimals, beside=beside)
    assert made.replace(numbers.THIN, " ") == shown


@given(finite, finite, st.booleans())
def test_a_difference_never_looks_like_another_one(change: float, other: float, relative: bool) -> None:
    shown = numbers.difference(change, relative=relative, beside=[other])
    if not math.isclose(change, other, rel_tol=1e-9, abs_tol=1e-15) and abs(change) < 1e290 and change:
        alone = numbers.difference(other, relative=relative)
        assert shown != alone or numbers.difference(change, relative=relative) != alone


def test_an_interval_has_the_digits_of_its_difference() -> None:
    shown = numbers.with_interval(0.031, (0.0242, 0.0381), relative=True)
    assert shown.replace(numbers.THIN, " ") == "+3.1 % (+2.4 to +3.8)"


@pytest.mark.parametrize(
    ("then", "now", "shown"),
    [
        ("2026-11-17T09:30:00Z", "2026-11-20T12:00:00Z", "3 days"),
        ("2026-11-20T11:59:30Z", "2026-11-20T12:00:00Z", "just now"),
        ("2026-11-20T11:58:30Z", "2026-11-20T12:00:00Z", "1 minute"),
        ("2026-11-20T09:00:00+00:00", "2026-11-20T12:00:00Z", "3 hours"),
        ("2026-10-20T12:00:00Z", "2026-11-20T12:00:00Z", "4 weeks"),
        ("2025-11-20T12:00:00Z", "2026-11-20T12:00:00Z", "11 months"),
        ("2020-01-01T00:00:00Z", "2026-11-20T12:00:00Z", "6 years"),
        ("2027-01-01T00:00:00Z", "2026-11-20T12:00:00Z", "just now"),  # a clock that is wrong
        ("", "2026-11-20T12:00:00Z", ""),
        ("yesterday", "2026-11-20T12:00:00Z", ""),
        ("2026-11-20T12:00:00", "2026-11-20T12:00:00Z", ""),  # no zone: not comparable
    ],
)
def test_ages(then: str, now: str, shown: str) -> None:
    assert numbers.age(then, now) == shown


def test_digests_are_cut_unless_that_hides_a_difference() -> None:
    one, two = "9f3c41d2" + "0" * 56, "9f3c41d2" + "1" * 56
    assert numbers.short(one) == "9f3c41d2…"
    assert numbers.short("9f" * 16 + ".dir") == "9f9f9f9f…"
    assert numbers.short("0.30") == "0.30"
    assert numbers.both_short(one, two) == (one, two)
    assert numbers.both_short(one, "ab" * 32) == ("9f3c41d2…", "abababab…")
    assert numbers.digest({"dvc-md5": "77" * 16, "sha256": one}) == "9f3c41d2…"
    assert numbers.digest({}) == ""
    assert numbers.commit("d4e5f6a7b8c90123456789abcdef0123456789ab") == "d4e5f6a"
    assert numbers.commit("main") == "main"


def test_counts() -> None:
    assert [numbers.count(n, "row") for n in (0, 1, 6057)] == ["0 rows", "1 row", "6,057 rows"]
