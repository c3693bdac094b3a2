"""What production came to, in words and in order, decided once for every rendering: alerts, columns, what was read."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mlgate.model import AlertSeen, Check, ColumnSeen, Evidence, Past, Verdict, Watched
from mlgate.render import numbers

NAMES = {  # of measures, in the order of reading
    "psi": "PSI",
    "ks": "KS",
    "cramers_v": "Cramér’s V",
    "js": "JS",
    "wasserstein": "Wasserstein",
    "kl": "KL",
}
MEASURES = (*NAMES, "nulls", "unseen", "out_of_range")  # before the dot of a reading's name
WORDS = {"breached": "moved", "unknown": "unknown", "ok": "steady"}  # of columns

_STANDS = ("firing", "unknown", "pending", "recovered", "quiet")
_SEVERITIES = ("critical", "warn", "info")
_ELSEWHERE = re.compile(r"(?:watch\.)?(drift|rules)\.(.+)", re.DOTALL)
_ESTIMATED = "watch.estimated."
_DAY = timedelta(days=1)
_LONG = 80  # characters of a time that cannot be read


class Alert(NamedTuple):
    """One rule. `tone` is a verdict, by which it is coloured."""

    seen: AlertSeen
    tone: Verdict
    said: str  # what crossed what, and in how many windows
    since: str
    then: str  # what it does: `critical, proposes a successor`


class Column(NamedTuple):
    """One column. `measures`: name, value and what stands beside it, such as the noise floor."""

    seen: ColumnSeen
    name: str
    word: str  # moved | unknown | steady
    tone: Verdict
    told: str  # one sentence, or ""
    measures: tuple[tuple[str, str, str], ...]
    missing: str  # `0.2 % → 4.1 %`
    strange: str  # `3.0 % unseen, 1.2 % out of range`
    since: str
    past: Past | None

    def measure(self, *names: str) -> str:
        """The first of them that was measured, with its name unless that is the only one asked for."""
        for name, value, beside in self.measures:
            if name in names:
                return f"{value}{f' ({beside})' if beside else ''}" if len(names) == 1 else f"{name} {value}"
        return ""


class Seen(NamedTuple):
    """One window of production."""

    watched: Watched
    window: str  # `20 November 2026, UTC`
    rows: str  # `12,034 rows`
    read: str  # `corrupt lines: 3, duplicates: 12`
    versions: str  # `v1.2.0: 12,000, v1.1.0: 34`, where there are several
    alerts: tuple[Alert, ...]
    columns: tuple[Column, ...]
    past: tuple[Past, ...]  # of readings that belong to no column

    @property
    def moved(self) -> tuple[Column, ...]:
        return tuple(one for one in self.columns if one.word == "moved")

    @property
    def unknown(self) -> tuple[Column, ...]:
        return tuple(one for one in self.columns if one.word == "unknown")

    @property
    def steady(self) -> tuple[Column, ...]:
        return tuple(one for one in self.columns if one.word == "steady")

    @property
    def speaking(self) -> tuple[Alert, ...]:
        """Alerts that somebody has to know of."""
        return tuple(one for one in self.alerts if one.seen.state != "quiet")

    @property
    def counted(self) -> str:
        """`drift firing, latency pending`; `3 rules quiet` where that is all there is."""
        named = [f"{one.seen.rule} {one.seen.state}" for one in self.speaking]
        quiet = len(self.alerts) - len(named)
        if named:
            return ", ".join(named[:4]) + (f" and {len(named) - 4:,} more" if len(named) > 4 else "")
        return f"{numbers.count(quiet, 'rule')} quiet" if quiet else "no rules"


def of(evidence: Evidence) -> Seen | None:
    """None for evidence of anything but production."""
    watched = evidence.watched
    if watched is None:
        return None
    bad = Verdict.FAIL if evidence.verdict.rank >= Verdict.FAIL.rank else Verdict.WARN
    drawn = {(name.partition(".")[0], name.partition(".")[2]): past for past in watched.history if (name := past.name)}
    columns = [_column(one, bad, drawn, watched.until) for one in watched.columns]
    names = {one.name for one in watched.columns}
    alerts = sorted(watched.alerts, key=lambda a: (_STANDS.index(a.state), _SEVERITIES.index(a.severity)))
    return Seen(
        watched=watched,
        window=window(watched.since, watched.until),
        rows=numbers.count(watched.rows, "row"),
        read=", ".join(f"{what}: {count:,}" for what, count in watched.counts.items() if count),
        versions=", ".join(
            f"{name or 'without a version'}: {count:,}"
            for name, count in sorted(watched.versions.items(), key=lambda pair: -pair[1])
        )
        if len(watched.versions) > 1
        else "",
        alerts=tuple(_alert(one, watched.until) for one in alerts),
        columns=tuple(sorted(columns, key=_order)),
        past=tuple(sorted((one for one in watched.history if _alone(one, names)), key=_telling)),
    )


def elsewhere(check: Check, evidence: Evidence) -> bool:
    """Whether a check is that of a column or of a rule that the tables of these say all about."""
    if _estimated(check, evidence):
        return True
    found = _ELSEWHERE.fullmatch(check.id) if evidence.watched is not None and check.group == "watch" else None
    if found is None or evidence.watched is None or check.fix or check.verdict is Verdict.ERROR:
        return False
    if found[1] == "rules":
        return found[2] in {one.rule for one in evidence.watched.alerts}
    measure, _, column = found[2].partition(".")
    names = {one.name for one in evidence.watched.columns}
    return found[2] in names or (measure in MEASURES and column in names)


def expected(evidence: Evidence) -> str:
    """`Expected without truth, shown only: accuracy 0.687, auc 0.666.`; "" where nothing was estimated."""
    found = [
        f"{one.id.removeprefix(_ESTIMATED)} {short(one.observed)}"
        for one in evidence.checks
        if _estimated(one, evidence) and isinstance(one.observed, float)
    ]
    return f"Expected without truth, from the scores alone, and shown only: {', '.join(found)}." if found else ""


def _estimated(check: Check, evidence: Evidence) -> bool:
    return evidence.watched is not None and check.id.startswith(_ESTIMATED) and check.verdict is Verdict.PASS


def facts(evidence: Evidence) -> list[tuple[str, str, str]]:
    """What stands at the head of it: name, value, and what is said below it."""
    seen = of(evidence)
    if seen is None:
        return []
    digest = numbers.digest(evidence.subject.digest) if evidence.subject is not None else ""
    version = next(iter(seen.watched.versions), "") if len(seen.watched.versions) == 1 else ""
    known = [
        ("Environment", seen.watched.environment, ""),
        ("Window", seen.window, ""),
        ("Rows", f"{seen.watched.rows:,}", seen.read),
        ("Model", version or digest, digest if version else seen.versions),
        ("Held against", str(evidence.facts.get("held against commit", "")), "the commit that made the model"),
    ]
    return [one for one in known if one[1]]


# -- times -------------------------------------------------------------------------------------------------------------


def moment(text: str) -> datetime | None:
    """A day or a moment, in UTC; None for what is neither."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def since(text: str, until: str) -> str:
    """`12 November`, with the year where it is another one, and the time where it is not midnight."""
    at, end = moment(text), moment(until)
    if at is None:
        return text[:_LONG]
    year = "" if end is not None and end.year == at.year else f" {at.year}"
    clock = "" if (at.hour, at.minute) == (0, 0) else f" {at:%H:%M}"
    return f"{at.day} {at:%B}{year}{clock}"


def window(start: str, end: str) -> str:
    """`20 November 2026, UTC`, `19 to 25 November 2026, UTC`, `20 November 2026, 13:00 to 14:00, UTC`."""
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return f"{start[:_LONG]} to {end[:_LONG]}"
    whole = not any((at - at.replace(hour=0, minute=0, second=0, microsecond=0)) for at in (first, last))
    if whole and last > first:
        last -= _DAY
        if first == last:
            return f"{first.day} {first:%B %Y}, UTC"
        same = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%B}"
        same += f" {first.year}" if first.year != last.year else ""
        return f"{same} to {last.day} {last:%B %Y}, UTC"
    if first.date() == last.date():
        return f"{first.day} {first:%B %Y}, {first:%H:%M} to {last:%H:%M}, UTC"
    return f"{first.day} {first:%B %Y %H:%M} to {last.day} {last:%B %Y %H:%M}, UTC"


# -- alerts and columns ------------------------------------------------------------------------------------------------


def _alert(seen: AlertSeen, until: str) -> Alert:
    by_severity = {"critical": Verdict.FAIL, "warn": Verdict.WARN, "info": Verdict.PASS}
    tone = {
        "firing": by_severity[seen.severity],
        "pending": Verdict.WARN,
        "unknown": Verdict.INCONCLUSIVE,
        "recovered": Verdict.PASS,
        "quiet": Verdict.PASS,
    }[seen.state]
    said = "; ".join(part for part in (seen.said, seen.held) if part)
    then = seen.severity + (", proposes a successor" if seen.retrain else "")
    return Alert(seen, tone, said, since(seen.since, until) if seen.since else "", then)


def _order(column: Column) -> tuple[int, int, float, str]:
    """What moved first; of these prediction and score, then whatever moved most."""
    seen = column.seen
    state = ("breached", "unknown", "ok").index(seen.state)
    size = max((v for v in (seen.psi, seen.ks, seen.cramers_v, seen.js) if v is not None), default=0.0)
    return state, ("prediction", "score", "feature").index(seen.role), -size, seen.name


def _column(seen: ColumnSeen, bad: Verdict, drawn: dict[tuple[str, str], Past], until: str) -> Column:
    tone = {"breached": bad, "unknown": Verdict.INCONCLUSIVE, "ok": Verdict.PASS}[seen.state]
    past = next((found for name in MEASURES if (found := drawn.get((name, seen.name))) is not None), None)
    before, now = seen.nulls or (0.0, 0.0)
    strange = [
        f"{numbers.percent(share)} {what}"
        for share, what in ((seen.unseen, "unseen"), (seen.out_of_range, "out of range"))
        if share and what not in seen.reason  # the sentence about what moved may say it already
    ]
    return Column(
        seen=seen,
        name=seen.name,
        word=WORDS[seen.state],
        tone=tone,
        told=arrows(seen.reason),
        measures=tuple(_measures(seen)),
        missing=""
        if max(before, now) == 0 or "missing" in seen.reason
        else f"{numbers.percent(before)} → {numbers.percent(now)}",
        strange=", ".join(strange),
        since=since(seen.since, until) if seen.since else "",
        past=past,
    )


def arrows(text: str) -> str:
    return text.replace(" -> ", " → ")


def _measures(seen: ColumnSeen) -> Iterator[tuple[str, str, str]]:
    for key, name in NAMES.items():
        value = getattr(seen, key)
        if value is None:
            continue
        beside = f"noise {short(seen.floor)}" if key == "psi" and seen.floor is not None else ""
        yield name, short(value), beside
    if seen.p is not None:
        yield "p", chance(seen.p), ""


def short(value: float) -> str:
    """Three digits are plenty for a distance."""
    if 0 < abs(value) < 5e-4:
        return "<0.001"
    return numbers.show(float(f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"))


def chance(p: float) -> str:
    return "<0.001" if p < 1e-3 else numbers.show(float(f"{p:.2g}"))


def _alone(past: Past, columns: Container[str]) -> bool:
    """Whether a reading is of no column, and a number: a yes or no is told by its rule."""
    measure, _, column = past.name.partition(".")
    return not (measure in MEASURES and column in columns) and measure not in ("prediction_drift", "drifted_columns")


def _telling(past: Past) -> tuple[bool, bool, bool]:
    """What crossed its limit first, then what has one; what is only estimated last."""
    return "breached" not in past.states, past.limit is None, past.name.startswith("estimated_")


def newest(past: Sequence[Past]) -> Past | None:
    """The reading that says most about a model at a glance: the share of drifted columns, the prediction, the rest."""
    by_name = {one.name: one for one in past if any(value is not None for value in one.values)}
    wanted = ("drift_share", "drifted_columns", "psi.score", "psi.prediction")
    return next((by_name[name] for name in wanted if name in by_name), next(iter(by_name.values()), None))
