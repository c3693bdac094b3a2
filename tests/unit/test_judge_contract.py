"""What an engine saw becomes a check: its verdict, its examples, and no pass for what nobody measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlgate.data.nouns import Expectation, Outcome
from mlgate.judge.contract import MASK, Held, check
from mlgate.model import Check, Example, Verdict

RANGE = Expectation(
    type="expect_column_values_to_be_between",
    kwargs={"column": "age", "min_value": 0},
    key="columns.age.min",
    line=7,
    id="age.min",
    title="age: at least 0",
    expected="at least 0",
)
MEAN = replace(RANGE, type="expect_column_mean_to_be_between", id="age.mean", title="age: mean", expected="30 to 40")
ROW = Example(row=17, values={"age": "-3", "name": "Ada"})
BROKEN = Outcome(engine="duckdb 2.0.0", holds=False, rows=1000, nulls=10, unexpected=12, examples=(ROW,))


def held(
    outcome: Outcome, expectation: Expectation = RANGE, *, private: frozenset[str] = frozenset(), about: str = "",
    version: str = "",
) -> Check:  # fmt: skip
    return check(Held(expectation, outcome, "data/train.csv", "contracts/p.yaml", private, about, version))


@pytest.mark.parametrize(
    ("severity", "holds", "undecided", "verdict"),
    [
        ("error", True, False, Verdict.PASS),
        ("warn", True, False, Verdict.PASS),
        ("error", False, False, Verdict.FAIL),
        ("warn", False, False, Verdict.WARN),
        ("error", None, False, Verdict.ERROR),
        ("warn", None, False, Verdict.ERROR),
        ("error", None, True, Verdict.INCONCLUSIVE),
        ("warn", None, True, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_is_by_severity_and_what_was_not_measured_is_an_error(
    severity: str, holds: bool | None, undecided: bool, verdict: Verdict
) -> None:
    outcome = Outcome(engine="duckdb", holds=holds, undecided=undecided, rows=10)
    assert held(outcome, replace(RANGE, severity=severity)).verdict is verdict  # type: ignore[arg-type]


def test_a_broken_row_check_names_how_many_and_the_first() -> None:
    found = held(BROKEN)
    assert found.reason == (
        "12 of 990 rows with a value, 10 without (1.2 %) break it, the first in row 17 (age = -3, name = Ada)."
    )
    assert (found.observed, found.expected, found.rows, found.unexpected) == ("12 rows", "at least 0", 1000, 12)
    assert (found.id, found.engine) == ("data.data/train.csv.age.min", "duckdb 2.0.0")
    assert found.location is not None
    assert (found.location.file, found.location.line, found.location.key) == ("contracts/p.yaml", 7, "columns.age.min")


def test_an_aggregate_names_what_it_came_to() -> None:
    found = held(Outcome(engine="duckdb", holds=False, observed=41.5, rows=10), MEAN)
    assert (found.observed, found.reason) == (41.5, "Found: 41.5. Expected: 30 to 40.")


def test_a_share_is_written_alike_whether_it_is_all_or_some() -> None:
    assert "(100 %)" in held(replace(BROKEN, unexpected=990)).reason
    assert "(50 %)" in held(replace(BROKEN, unexpected=495)).reason


def test_what_could_not_be_measured_says_why_or_that_nobody_knows() -> None:
    assert held(Outcome(engine="duckdb", holds=None, trouble="There is no column Age.")).reason == (
        "There is no column Age."
    )
    assert "could not be measured" in held(Outcome(engine="duckdb", holds=None)).reason


@pytest.mark.parametrize("observed", [float("nan"), float("inf"), float("-inf")])
def test_a_result_that_is_no_number_is_shown_as_a_word(observed: float) -> None:
    found = held(Outcome(engine="duckdb", holds=False, observed=observed, rows=3), MEAN)
    assert found.observed == str(observed)
    assert found.verdict is Verdict.FAIL


def test_every_private_value_of_a_row_is_masked() -> None:
    found = held(BROKEN, private=frozenset({"name"}))
    assert found.examples[0].values == {"age": "-3", "name": MASK}
    assert "Ada" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("type_", "shown"),
    [
        ("expect_column_max_to_be_between", MASK),
        ("expect_column_distinct_values_to_be_in_set", MASK),
        ("expect_column_mean_to_be_between", 77.0),
    ],
)
def test_results_that_are_values_of_a_private_column_are_masked(type_: str, shown: float | str) -> None:
    outcome = Outcome(engine="duckdb", holds=False, observed=77.0, rows=3)
    for private in ("age", "Age"):  # whose case was mistyped
        found = held(outcome, replace(MEAN, type=type_), private=frozenset({private}))
        assert found.observed == shown
        assert shown != MASK or "77" not in found.reason


def test_an_engines_message_about_a_private_column_is_not_shown() -> None:
    outcome = Outcome(engine="duckdb", holds=None, trouble="Could not convert 'Ada Lovelace'")
    assert "Ada" not in held(outcome, private=frozenset({"age"})).model_dump_json()
    assert "Ada" in held(outcome).reason


def test_of_several_files_each_check_names_its_own_and_a_proposed_one_says_so() -> None:
    assert held(BROKEN, about="data/train.csv").title == "data/train.csv: age: at least 0"
    proposed = held(BROKEN, version="proposed")
    assert (proposed.id, proposed.title) == ("proposed.data/train.csv.age.min", "age: at least 0, as proposed")
