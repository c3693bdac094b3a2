"""What Great Expectations answered, as an Outcome. Pure.

Its `success` is believed only where something was measured: it says True to an empty file, to a column of missing
values, and to expectations that gave no result; and False to those that raised.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlgate.data.nouns import Expectation, Outcome
from mlgate.model import Example

NO_ROWS = "There are no rows, so nothing could be measured."
# What these look at is the columns, not the rows.
_OF_COLUMNS = ("expect_table_column", "expect_column_to_exist")
_COUNTS_ROWS = "expect_table_row_count"
# Infinite is a divergence too; Great Expectations then gives no number, and does not succeed.
_MAY_BE_INFINITE = frozenset({"expect_column_kl_divergence_to_be_less_than"})
# Missing values are what these are about.
_OF_MISSING = frozenset(
    {
        "expect_column_values_to_be_null",
        "expect_column_values_to_not_be_null",
        "expect_column_proportion_of_non_null_values_to_be_between",
    }
)


def engine(response: Mapping[str, Any]) -> str:
    return f"great_expectations {response.get('version') or ''}".strip()


def trouble(sentence: str, engine: str = "great_expectations", rows: int = 0) -> Outcome:
    return Outcome(engine=engine, holds=None, trouble=sentence, rows=rows)


def with_examples(outcome: Outcome, examples: tuple[Example, ...]) -> Outcome:
    return replace(outcome, examples=examples)


def rows(answer: Mapping[str, Any]) -> list[int]:
    """Places of the rows that break it, counted from 0 in what was handed over."""
    found = (answer.get("result") or {}).get("rows") or []
    return [row for row in found if isinstance(row, int) and not isinstance(row, bool)]


def outcome(expectation: Expectation, answer: Mapping[str, Any], engine: str) -> Outcome:
    """`answer` is what the worker says of one expectation."""
    total, result = int(answer["rows"]), answer.get("result") or {}
    if answer.get("raised"):
        return trouble(_sentence(str(answer["raised"])), engine, total)
    if not isinstance(answer.get("success"), bool):
        return trouble("Great Expectations gave no result.", engine, total)
    if expectation.type.startswith(_OF_COLUMNS):
        observed = result.get("observed_value")
        return Outcome(
            engine, answer["success"], observed=_shown(observed) if observed is not None else None, rows=total
        )
    if not total and not (expectation.type.startswith(_COUNTS_ROWS) and answer["success"] is False):
        return trouble(NO_ROWS, engine)
    present = answer.get("present") or {}
    if present and not any(present.values()) and expectation.type not in _OF_MISSING:
        said = f"Every value of {' and '.join(present)} is missing, so nothing could be measured."
        return trouble(said, engine, total)
    if "element_count" in result:
        return _of_rows(expectation, answer["success"], result, engine)
    return _of_whole(expectation, answer["success"], result, engine, total)


def _of_rows(expectation: Expectation, success: bool, result: Mapping[str, Any], engine: str) -> Outcome:
    counts = [result["element_count"], result.get("missing_count") or 0, result.get("unexpected_count")]
    if not all(isinstance(count, int) for count in counts):
        return trouble("Great Expectations gave no count of the rows that break it.", engine)
    looked_at, nulls, unexpected = counts
    if not looked_at:
        condition = expectation.kwargs.get("row_condition")
        what = f"No row meets {condition!r}" if isinstance(condition, str) else "No row was left to look at"
        return trouble(f"{what}, so nothing could be measured.", engine)
    if nulls >= looked_at:
        return trouble("Every value is missing, so no row could be checked.", engine, looked_at)
    if success and unexpected and _mostly(expectation) == 1:
        return trouble("Great Expectations contradicts itself: rows break it, and it succeeds.", engine, looked_at)
    return Outcome(engine=engine, holds=success, rows=looked_at, nulls=nulls, unexpected=unexpected)


def _mostly(expectation: Expectation) -> float:
    given = expectation.kwargs.get("mostly")
    return float(given) if isinstance(given, int | float) else 1.0


def _of_whole(expectation: Expectation, success: bool, result: Mapping[str, Any], engine: str, total: int) -> Outcome:
    observed = result.get("observed_value")
    if observed is None and expectation.type in _MAY_BE_INFINITE and not success:
        observed = math.inf
    if observed is None:  # sets of distinct values are answered by how many values break it
        counts = [result.get(key) for key in ("unexpected_count", "missing_count")]
        words = ("not in the set", "of the set missing")
        observed = ", ".join(f"{n} {word}" for n, word in zip(counts, words, strict=True) if isinstance(n, int)) or None
    if observed is None or (isinstance(observed, float) and math.isnan(observed)):
        return trouble("Great Expectations gave no value, so nothing was measured.", engine, total)
    return Outcome(engine=engine, holds=success, observed=_shown(observed), rows=total)


def _shown(observed: Any) -> float | int | str:
    if isinstance(observed, float | int | str):
        return observed
    return json.dumps(observed, ensure_ascii=False)[:300]


def _sentence(message: str) -> str:
    plain = " ".join(message.split())[:300].rstrip(".")
    return f"Great Expectations could not answer: {plain}."
