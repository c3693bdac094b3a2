# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Expectations about a row's place among the others: its distance from the mean, and the value before it."""

from __future__ import annotations

from mlgate.data.engine import moments
from mlgate.data.engine.plan import NUMBERED, ROWS, VIEW, Plan, Seen, Values
from mlgate.data.engine.rows import Columns, Kwargs, a_number, judged_rows
from mlgate.data.engine.values import NUMBERS, Leave, Unfit, find


def z_scores(columns: Columns, kwargs: Kwargs) -> Plan:
    """(value - mean) / standard deviation of the sample, below the threshold; no deviation, no score."""
    left = find(columns, kwargs["column"])
    if left.sort not in NUMBERS - {"boolean"}:
        raise Unfit(f"{left.name} holds {left.says}, which has no mean.")
    threshold = a_number(kwargs, "threshold")
    present = f"count({left.sql})"

    def broken(values: Values) -> str:
        if moments.unmeasurable(left, values):
            raise Unfit(f"{left.name} has no standard deviation that could be measured.")
        if values[moments.spread(left)] == 0:
            return "FALSE"
        distance = f"CAST({left.sql} AS DOUBLE) - CAST('{moments.mean(left, values)!r}' AS DOUBLE)"
        score, limit = f"({distance}) / ({moments.exact_spread(left, values)})", float(threshold)
        if kwargs.get("double_sided"):
            score, limit = f"abs({score})", abs(limit)
        return f"{left.sql} IS NOT NULL AND ({score} < CAST('{limit!r}' AS DOUBLE)) IS NOT TRUE"

    def later(values: Values) -> str:
        return f"SELECT count(*) FROM {VIEW} WHERE {broken(values)}" if values.count(present) > 1 else ""

    def judge(values: Values) -> Seen:
        judged = values.count(present)
        if judged == 1:
            raise Unfit(f"{left.name} has a single value, and one value has no standard deviation.")
        unexpected = values.count(later(values)) if judged else 0
        return judged_rows(values, judged, unexpected, kwargs, left.name)

    needs = (ROWS, present, moments.spread(left), *moments.summed(left))
    return Plan(judge, needs, later=later, broken=broken, shows=(left.name,))


def ordered(columns: Columns, kwargs: Kwargs, *, rising: bool) -> Plan:
    """Each value against the one before it that is there, in the order of the file."""
    left = find(columns, kwargs["column"])
    if left.sort in {"other", "boolean"}:
        raise Leave
    if left.sort == "text":
        raise Unfit(f"{left.name} holds text, of which no difference can be taken.")
    present = f"count({left.sql})"
    op = (">" if rising else "<") + ("" if kwargs.get("strictly") else "=")
    # As pandas has it: the difference of two equal infinities is NaN, and that is in order.
    fine = f"now {op} before OR before IS NULL"
    if left.sort == "float":
        fine += " OR (isinf(now) AND now = before)"
    before = f"lag({left.sql}) OVER (ORDER BY mlgate_file, mlgate_row)"
    known = f"FROM {NUMBERED} WHERE {left.sql} IS NOT NULL"
    steps = f"(SELECT mlgate_file AS f, mlgate_row AS r, {left.sql} AS now, {before} AS before {known}) AS steps"
    out = f"FROM {steps} WHERE ({fine}) IS NOT TRUE"
    query = f"SELECT count(*) {out}"
    broken = f"(mlgate_file, mlgate_row) IN (SELECT (f, r) {out})"

    def judge(values: Values) -> Seen:
        return judged_rows(values, values.count(present), values.count(query), kwargs, left.name)

    return Plan(judge, (ROWS, present), later=lambda _: query, broken=lambda _: broken, shows=(left.name,))
