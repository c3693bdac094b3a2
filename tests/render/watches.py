"""What `monitor` leaves of production, for the surfaces that people see."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mlgate.model import (
    AlertSeen,
    Bars,
    Check,
    ColumnSeen,
    Evidence,
    Location,
    Named,
    Past,
    Source,
    Tool,
    Verdict,
    Watched,
)
from render import samples

UNTIL = datetime(2026, 11, 21, tzinfo=UTC)
SINCE, END = "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"
Moved = Literal["ok", "breached", "unknown"]


def past(
    name: str, values: Sequence[float | None], limit: float | None, *, below: bool = False, until: datetime = UNTIL
) -> Past:
    """A reading a day; what is None was not measured. It is breached above its limit, or `below` it."""
    ends = [until - timedelta(days=len(values) - 1 - n) for n in range(len(values))]
    states: list[Moved] = [
        "unknown"
        if value is None
        else "breached"
        if limit is not None and (value < limit if below else value > limit)
        else "ok"
        for value in values
    ]
    at = tuple(f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in ends)
    return Past(name=name, limit=limit, at=at, values=tuple(values), states=tuple(states))


def drifting(days: int, start: int, low: float, high: float, seed: int = 7) -> list[float]:
    """Noise, and from one day on a rise."""
    chance = random.Random(seed)  # noqa: S311 -- a sample
    found = []
    for day in range(days):
        rise = 0.0 if day < start else (high - low) * (1 - math.exp(-(day - start + 1) / 3))
        found.append(round(low + rise + chance.uniform(0, low * 0.8), 4))
    return found


AGE = ColumnSeen(
    name="age", kind="number", state="breached", reason="mean 41.2 -> 46.8", rows=12_034, psi=0.312, floor=0.0114,
    ks=0.1423, p=2.1e-12, js=0.1871, wasserstein=0.388, nulls=(0.002, 0.041), out_of_range=0.012,
    slices=("health = poor: PSI 0.42", "health = fair: PSI 0.36"), since="2026-11-12T00:00:00Z",
    bars=Bars(
        labels=("<= 22", "22 to 27", "27 to 31", "31 to 36", "36 to 41", "41 to 45", "45 to 50", "50 to 56",
                "56 to 63", "> 63", "missing"),
        before=(0.102, 0.099, 0.1, 0.101, 0.098, 0.1, 0.1, 0.099, 0.1, 0.099, 0.002),
        now=(0.043, 0.051, 0.062, 0.079, 0.094, 0.112, 0.131, 0.139, 0.128, 0.120, 0.041),
    ),
)  # fmt: skip
HEALTH = ColumnSeen(
    name="health", kind="category", state="breached", reason="poor 11 % -> 27 %", rows=12_034, psi=0.224, floor=0.0041,
    p=4e-9, cramers_v=0.171, nulls=(0.0, 0.0), unseen=0.031, since="2026-11-15T00:00:00Z",
    bars=Bars(
        labels=("excellent", "good", "fair", "poor", "other", "unseen"),
        before=(0.28, 0.41, 0.19, 0.11, 0.01, 0.0),
        now=(0.19, 0.31, 0.20, 0.27, 0.0001, 0.031),
    ),
)  # fmt: skip
SCORE = ColumnSeen(
    name="score", role="score", kind="number", state="breached", reason="median 0.31 -> 0.44", rows=12_034, psi=0.274,
    floor=0.0114, ks=0.131, p=1e-10, since="2026-11-13T00:00:00Z",
    bars=Bars(
        labels=("<= 0.08", "0.08 to 0.13", "0.13 to 0.19", "0.19 to 0.25", "0.25 to 0.31", "0.31 to 0.38",
                "0.38 to 0.46", "0.46 to 0.56", "0.56 to 0.7", "> 0.7"),
        before=(0.1,) * 10,
        now=(0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.13, 0.14, 0.16),
    ),
)  # fmt: skip
PREDICTION = ColumnSeen(
    name="prediction", role="prediction", kind="category", state="ok", rows=12_034, psi=0.021, floor=0.003, p=0.04,
    cramers_v=0.03, bars=Bars(labels=("0", "1"), before=(0.61, 0.39), now=(0.57, 0.43)),
)  # fmt: skip
INCOME = ColumnSeen(
    name="income", kind="number", state="unknown", reason="every value is missing", rows=12_034, nulls=(0.01, 1.0),
    since="2026-11-20T00:00:00Z",
)  # fmt: skip


def steady(number: int) -> ColumnSeen:
    return ColumnSeen(
        name=f"lab_{number:02}", kind="number", state="ok", rows=12_034, psi=0.004 + number * 0.0003, floor=0.0114,
        ks=0.01 + number * 0.0004, p=1.0, nulls=(0.0, 0.001),
        bars=Bars(labels=("<= 1", "1 to 2", "> 2"), before=(0.3, 0.4, 0.3), now=(0.31, 0.39, 0.30)),
    )  # fmt: skip


FIRING = AlertSeen(
    rule="drift", severity="critical", state="firing", said="drift_share 32 % > 30 %",
    held="5 of the last 5 windows, 3 needed", since="2026-11-14T00:00:00Z", retrain=True,
    message="See the runbook for the intake form before you retrain.",
)  # fmt: skip
PENDING = AlertSeen(
    rule="performance", severity="warn", state="pending", said="auc 0.689 < 0.7", held="1 of the last 5 windows, "
    "2 needed", since="2026-11-20T00:00:00Z",
)  # fmt: skip
QUIET = AlertSeen(rule="slo", severity="critical", state="quiet")
OVER = AlertSeen(
    rule="data", severity="warn", state="recovered", said="contract_failures 0", since="2026-11-18T00:00:00Z"
)
UNKNOWN = AlertSeen(
    rule="drift", severity="critical", state="unknown", said="drift_share is unknown: 112 rows, 500 needed"
)


def check(id_: str, title: str, verdict: Verdict, **more: Any) -> Check:
    return Check(id=id_, title=title, verdict=verdict, group="watch", **more)


CHECKS = [
    check("watch.rules.drift", "drift", Verdict.FAIL, reason="drift_share 32 % > 30 % in 5 of the last 5 windows."),
    check("watch.rules.performance", "performance", Verdict.WARN, reason="auc 0.689 < 0.7 in 1 of the last 5 windows."),
    check("watch.rules.slo", "slo", Verdict.PASS),
    check(
        "watch.drift.psi.age", "psi.age", Verdict.FAIL, observed=0.312, limit=0.2, expected="at most 0.2",
        greater_is_better=False, reason="PSI of `age` is 0.312, above 0.2 and above its noise of 0.011.",
    ),
    check(
        "watch.performance.auc", "auc", Verdict.WARN, observed=0.689, champion=0.722, change=-0.033,
        interval=(-0.061, -0.005), limit=0.7, expected="at least 0.7", greater_is_better=True, rows=2418,
        reason="`auc` is 0.689, and 0.7 is asked for; the interval contains it.",
    ),
    check(
        "watch.slo.latency_p95.0", "latency_p95 <= 100 ms", Verdict.PASS, observed=0.0423, limit=0.1,
        expected="at most 100 ms", greater_is_better=False, rows=12_034,
    ),
    check(
        "watch.slo.error_rate.1", "error_rate <= 1%", Verdict.PASS, observed=0.0011, limit=0.01, expected="at most 1 %",
        greater_is_better=False, rows=12_034,
    ),
    check(
        "watch.estimated.accuracy", "accuracy, expected without truth", Verdict.PASS, observed=0.68731,
        expected="no rule: it is shown only", greater_is_better=True, rows=12_034,
    ),
    check("watch.data.age", "age is between 0 and 120", Verdict.PASS, reason="0 of 12,034 values."),
]  # fmt: skip


def evidence(verdict: str, title: str, watched: Watched, checks: Sequence[Check] = (), **more: Any) -> Evidence:
    known: dict[str, Any] = {
        "kind": "monitor",
        "model": "doctor-visits",
        "verdict": verdict,
        "title": title,
        "subject": Named(name="models/visits", digest={"sha256": samples.MODEL_OLD}, role="model"),
        "source": Source(
            commit=samples.CHAMPION, run_url=samples.LINKS.run, event="schedule", forge="github",
            at="2026-11-21T04:00:12Z",
        ),
        "inputs": [Named(name="metrics/profile.json", digest={"sha256": "ab" * 32}, role="profile")],
        "checks": list(checks),
        "watched": watched,
        "tool": Tool(version="0.1.0"),
    }  # fmt: skip
    return Evidence(**(known | more))


def watched(**more: Any) -> Watched:
    known: dict[str, Any] = {
        "environment": "production",
        "since": SINCE,
        "until": END,
        "rows": 12_034,
        "counts": {"corrupt lines": 3, "duplicates": 12, "in the future": 0},
        "versions": {"v1.2.0": 12_034},
    }
    return Watched(**(known | more))


def history() -> tuple[Past, ...]:
    shares = [value if value is None else round(value * 0.9, 3) for value in (*drifting(30, 22, 0.04, 0.38, 3),)]
    auc: list[float | None] = [round(0.722 - v, 4) for v in drifting(23, 18, 0.006, 0.03, 5)]
    psi: list[float | None] = [*drifting(30, 21, 0.008, 0.31)]
    psi[12] = None  # the day of an outage
    return (
        past("psi.age", psi, 0.2),
        past("psi.health", drifting(30, 24, 0.006, 0.24, 11), 0.2),
        past("psi.score", drifting(30, 22, 0.01, 0.27, 13), 0.1),
        past("psi.prediction", drifting(30, 40, 0.008, 0.27, 17), 0.1),
        *(past(f"psi.lab_{n:02}", drifting(30, 40, 0.005, 1, n), 0.2) for n in range(20)),
        past("drift_share", [None if n == 12 else v for n, v in enumerate(shares)], 0.3),
        past("auc", [*auc, None, None, None, None, None, None, None], 0.7, below=True),
        past("latency_p95", drifting(30, 40, 0.03, 1, 23), 0.1),
    )


def moved() -> Evidence:
    """Drift since some days; one column that cannot be measured, twenty that are as before."""
    columns = (AGE, HEALTH, SCORE, PREDICTION, INCOME, *(steady(n) for n in range(20)))
    sign = "Reads as data drift: `age` and `health` moved, and predictions moved with them."
    seen = watched(columns=columns, alerts=(QUIET, PENDING, FIRING, OVER), history=history(), signs=(sign,))
    said = "`drift` fires since 14 November: 32 % of the columns have moved, 30 % may; it sees older people."
    unread = ["truth: 9,616 of 12,034 rows have no label yet; they are given until 27 November."]
    return evidence("fail", said, seen, CHECKS, not_run=unread)


def calm(model: str = "doctor-visits") -> Evidence:
    columns = (PREDICTION, *(steady(n) for n in range(24)))
    lines = tuple(one for one in history() if one.name in ("psi.prediction", "latency_p95"))
    seen = watched(columns=columns, alerts=(QUIET, QUIET.model_copy(update={"rule": "drift"})), history=lines)
    passing = [one for one in CHECKS if one.verdict is Verdict.PASS]
    return evidence("pass", "Nothing moved: 25 columns and 2 objectives hold.", seen, passing, model=model)


def few() -> Evidence:
    """Too few rows: nothing is said of anything."""
    reason = "112 rows in the window, 500 needed"
    columns = tuple(
        one.model_copy(
            update={"state": "unknown", "reason": reason, "psi": None, "ks": None, "p": None, "bars": None, "rows": 112}
        )
        for one in (PREDICTION, *(steady(n) for n in range(3)))
    )
    seen = watched(rows=112, columns=columns, alerts=(UNKNOWN,), versions={"v1.2.0": 100, "v1.1.0": 12})
    said = "112 rows in the window, 500 needed: nothing can be said of drift."
    return evidence(
        "inconclusive", said, seen, [check("watch.rules.drift", "drift", Verdict.INCONCLUSIVE, reason=said)]
    )


def unreadable() -> Evidence:
    reason = "the storage of the logs cannot be reached: s3://logs/visits answered 403."
    step = Check(
        id="judge.step", group="judge", title="monitor", verdict=Verdict.ERROR, reason=reason,
        location=Location(file="mlgate.yaml", line=31, key="monitor.logs"),
    )  # fmt: skip
    return evidence("error", reason, watched(rows=0, counts={}, versions={}), [step])


def hostile(text: str) -> Evidence:
    """A text of others in every place that takes one."""
    column = AGE.model_copy(
        update={"name": text, "reason": text, "slices": (text,), "since": text,
                "bars": Bars(labels=(text, "other"), before=(0.5, 0.5), now=(0.4, 0.6))}
    )  # fmt: skip
    alert = FIRING.model_copy(update={"rule": text, "said": text, "held": text, "since": text, "message": text})
    line = past("x", [0.1, 0.3, 0.2], 0.2).model_copy(update={"name": f"psi.{text}"})
    other = line.model_copy(update={"name": text})
    seen = watched(
        environment=text, since=text, until=text, counts={text: 3}, versions={text: 5, f"{text}2": 1},
        columns=(column,), alerts=(alert,), history=(line, other), signs=(text,),
    )  # fmt: skip
    bad = check(f"watch.rules.{text}", text or "x", Verdict.FAIL, reason=text)
    return evidence("fail", text, seen, [bad])


ALL = {"moved": moved, "calm": calm, "few": few, "unreadable": unreadable}
