"""Service-level objectives: what has to hold in a window, of the service and of the model side by side.

`values` are numbers that somebody measured: latency and errors from the log (`of_service`), metrics of performance,
numbers of the user's own. A sentence whose number is unknown is unknown, never met.
"""

# ruff: noqa: S608 -- every name is the project's own

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from mlgate.config.alarms import Alarm, parse
from mlgate.config.deploying import FEWEST
from mlgate.config.objectives import SHARES
from mlgate.judge.numbers import exact
from mlgate.model import Check, Location, Verdict
from mlgate.watch.nouns import Measure, Section, State, state_of
from mlgate.watch.truth import plain_number

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
_HOLDS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip
_BETTER = {"<=": False, "<": False, ">=": True, ">": True}
_WORDS = {"<=": "at most", "<": "below", ">=": "at least", ">": "above"}
MOST_LOST = 0.01  # the share of requests that may lack a latency or a status
_VERDICTS: dict[State, Verdict] = {"ok": Verdict.PASS, "breached": Verdict.FAIL, "unknown": Verdict.INCONCLUSIVE}


def _nowhere(_: str) -> Location | None:
    return None


def of_service(con: DuckDBPyConnection, relation: str) -> dict[str, Measure]:
    """By name, what the log says of the requests of a window: times in seconds, shares as fractions.

    `relation` is what stands after FROM, with the columns `request_id`, `row`, `latency_ms` and `status` as far as the
    log has them. A request counts once, however many rows it has. Percentiles are exact: the value that this share of
    requests does not exceed.
    """
    there = {str(row[0]) for row in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    latency, status = (
        plain_number(con, relation, column) if column in there else "NULL::DOUBLE"
        for column in ("latency_ms", "status")
    )
    # The log repeats the latency of a request for each of its rows. Grouping costs memory, and most logs need none.
    first = 'coalesce(TRY_CAST("row" AS BIGINT), 0)' if "row" in there else "0"
    [(several,)] = con.execute(f"SELECT count(*) FROM {relation} WHERE {first} <> 0").fetchall()
    rows = f"SELECT coalesce(CAST(request_id AS VARCHAR), CAST(uuid() AS VARCHAR)) AS request, {latency} AS latency, "
    rows += f"{status} AS status FROM {relation}"
    if several:
        rows = f"SELECT max(latency) AS latency, max(status) AS status FROM ({rows}) GROUP BY request"
    [found] = con.execute(
        "SELECT count(*), count(latency), quantile_disc(latency, [0.5, 0.95, 0.99]), count(status), "
        f"count(*) FILTER (WHERE status >= 500) FROM ({rows})"
    ).fetchall()
    requests, timed, quantiles, known, errors = found
    measures = {"requests": Measure("slo", "requests", "ok", float(requests), rows=requests)}
    for at, name in enumerate(_QUANTILES):
        why = _lacking(requests, timed, "latency_ms", least=FEWEST[name])
        measures[name] = _measured(name, None if why else float(quantiles[at]) / 1000, requests, why)
    why = _lacking(requests, known, "status", least=1)
    if requests and not known:
        why = (
            "The log has no status of answers: name its column in monitor.logs.fields.status, or measure it in "
            "monitor.metrics."
        )
    measures["error_rate"] = _measured("error_rate", None if why else errors / known, requests, why)
    measures["availability"] = _measured("availability", None if why else (known - errors) / known, requests, why)
    return measures


def _lacking(requests: int, known: int, column: str, *, least: int) -> str:
    if requests < least:
        return f"{requests:,} {'request' if requests == 1 else 'requests'}, {least:,} needed."
    if known < (1 - MOST_LOST) * requests:
        return f"{requests - known:,} of {requests:,} requests have no {column}."
    return ""


def _measured(name: str, value: float | None, requests: int, why: str) -> Measure:
    return Measure("slo", name, "unknown" if value is None else "ok", value, rows=requests, reason=why)


def section(
    sentences: Sequence[str],
    values: Mapping[str, Measure],
    locate: Callable[[str], Location | None] = _nowhere,
) -> Section:
    """Each sentence against the measure of its name. A boundary value passes where the sentence says `<=` or `>=`.

    Of a share of errors, or of availability, it is said how much of the error budget of this window is used.
    `locate` takes `monitor.slo[0]` to its line.
    """
    measures: dict[str, Measure] = {}
    checks = []
    facts: dict[str, str | float] = {}
    for at, text in enumerate(sentences):
        alarm = parse(text)
        if not isinstance(alarm, Alarm) or alarm.operator is None or alarm.number is None:
            raise ValueError(f"`{text}` names no limit")  # refused when mlgate.yaml was read
        held = _held(alarm, values.get(alarm.reading))
        budget = budget_used(alarm, held.value)
        if budget is not None:
            facts[f"error budget used, {alarm.reading}"] = f"{budget:.0%}"
        checks.append(_check(alarm, held, budget, locate(f"monitor.slo[{at}]")))
        before = measures.get(alarm.reading)
        if before is None or _worse(held, before):
            measures[alarm.reading] = held
    made = tuple(measures.values())
    return Section("slo", state_of(made), made, tuple(checks), facts=facts)


def _held(alarm: Alarm, measured: Measure | None) -> Measure:
    limit = float(alarm.number or 0)
    if measured is None:
        why = f"Nobody measured {alarm.reading} in this window."
        return Measure("slo", alarm.reading, "unknown", limit=limit, reason=why)
    if measured.value is None:
        why = measured.reason or f"{alarm.reading} was not measured."
        return Measure("slo", alarm.reading, "unknown", limit=limit, rows=measured.rows, reason=why)
    holds = _HOLDS[alarm.operator or ""](exact(measured.value), alarm.number or Decimal(0))
    reason = "" if holds else f"{alarm.reading} is {shown(measured.value, alarm)}; `{alarm.text}` has to hold."
    return replace(measured, kind="slo", state="ok" if holds else "breached", limit=limit, reason=reason)


def _worse(one: Measure, other: Measure) -> bool:
    order = {"ok": 0, "unknown": 1, "breached": 2}
    return order[one.state] > order[other.state]


def budget_used(alarm: Alarm, value: float | None) -> float | None:
    """The share of the errors that the objective allows in this window which have happened; None where it allows none,
    or speaks of something else."""
    if value is None or alarm.number is None:
        return None
    if alarm.reading == "error_rate" and alarm.operator in ("<=", "<") and alarm.number > 0:
        return value / float(alarm.number)
    if alarm.reading == "availability" and alarm.operator in (">=", ">") and alarm.number < 1:
        return (1 - value) / (1 - float(alarm.number))
    return None


def shown(value: float, alarm: Alarm) -> str:
    """In the unit of the sentence."""
    if alarm.unit == "%" or alarm.reading in SHARES:
        return f"{value * 100:.4g} %"
    if alarm.reading.startswith("latency_") or alarm.unit in {"ms", "s"}:
        return f"{value * 1000:.4g} ms" if value < 1 else f"{value:.4g} s"
    return f"{value:.6g}"


def _check(alarm: Alarm, held: Measure, budget: float | None, location: Location | None) -> Check:
    reason = held.reason
    time = alarm.unit in {"ms", "s"}  # a number of seconds would need its unit
    if budget is not None:
        reason = f"{reason} {budget:.0%} of the error budget of this window is used.".strip()
    return Check(
        id=f"watch.slo.{alarm.reading}{'' if location is None else f'.{_place(location)}'}",
        group="watch",
        title=alarm.text,
        verdict=_VERDICTS[held.state],
        reason=reason,
        observed="not measured" if held.value is None else shown(held.value, alarm) if time else held.value,
        expected=f"{_WORDS[alarm.operator or '']} {shown(float(alarm.number or 0), alarm)}",
        limit=None if time else float(alarm.number or 0),
        greater_is_better=_BETTER[alarm.operator or ""],
        rows=held.rows,
        location=location,
    )


def _place(location: Location) -> str:
    return location.key.rpartition("[")[2].rstrip("]")
