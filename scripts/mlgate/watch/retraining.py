"""Whether a successor is trained now, by what the ledger says of retrainings before. Pure.

    decision = decide(Asked("visits", rule="drift", cause=str(window)), config.retrain, Triggers(records), now)
    decision.start, decision.why, decision.held

Decided inside of `ledger.append_once`, on the events as they are: of two monitors that ask at once, or two hundred,
each sees what those before it started, and no limit is passed. A retraining is under way until its end is in the
ledger, or its `timeout` is over, which counts as failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from mlgate.config.watching import Retrain
from mlgate.ledger.chain import Record, canonical
from mlgate.ledger.kinds import TIME, Trigger

NEW_DATA, SCHEDULE, MANUAL = "new data", "schedule", "manual"  # what asks, where it is no rule
_DAY = timedelta(days=1)
_DOUBLED = 5  # times that the pause after a failure doubles, at most: 32 cooldowns


@dataclass(frozen=True)
class Asked:
    """What is asked for. `model`: who asks; `models`: all that are trained together, of a group; without them it alone.

    `cause` tells two askings apart: the window of the readings, the digest of the new data, the day of the schedule,
    the run of whoever asks by hand. The same models, rule and cause start once, and again only where that failed.
    `proposed`: model -> the address of a pull request with a successor of it that is open. `forced`: whoever asks by
    hand takes it on themselves; only what is under way is waited for.
    """

    model: str
    rule: str
    cause: str
    models: tuple[str, ...] = ()
    forced: bool = False
    proposed: Mapping[str, str] = field(default_factory=dict)

    @property
    def together(self) -> tuple[str, ...]:
        """All that are trained, in one order."""
        return tuple(sorted({*self.models, self.model}))

    def id(self, attempt: int = 0) -> str:
        """That of the entry which says that it was started, for the first time or once more."""
        return _hashed("trigger", list(self.together), self.rule, self.cause, attempt)


@dataclass(frozen=True)
class Decision:
    """`why`: what asks for it, where it starts; `held`: what holds it back, where it does not. One sentence each.

    `id`: of the entry that says that it was started. `known`: that entry, or the one that says that it was held back
    (`held_id`), is there already, and nothing is to be written. `until`: the earliest moment at which the answer can be
    another one, where time alone decides.
    """

    start: bool
    why: str
    held: str
    models: tuple[str, ...]
    id: str
    known: bool = False
    until: datetime | None = None


def held_id(started: str) -> str:
    """The id of the entry that says that this start was held back: once for each cause."""
    return _hashed("held", started)


def end_id(started: str) -> str:
    """The id of the entry that says how it ended: once for each start."""
    return _hashed("end", started)


@dataclass(frozen=True)
class Run:
    """One retraining that was started, and how it ended; None where nobody has said."""

    entry: Trigger
    at: datetime
    models: frozenset[str]
    ended: Trigger | None

    def over(self, now: datetime, timeout: Decimal) -> bool:
        return self.ended is not None or now >= self.at + _seconds(timeout)

    def failed(self, now: datetime, timeout: Decimal) -> bool:
        return self.ended.outcome == "failed" if self.ended else self.over(now, timeout)


class Triggers:
    """The retrainings of a ledger, oldest first. `records` may hold anything else as well."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        found = [record.entry for record in records if isinstance(record.entry, Trigger)]
        ends = {entry.started: entry for entry in found if entry.started}
        self.ids = frozenset(entry.id for entry in found)
        self.runs = tuple(
            Run(entry, _moment(entry.at), frozenset({entry.model, *entry.models}), ends.get(entry.id))
            for entry in found
            if entry.outcome == "started"
        )
        self.started = {run.entry.id: run for run in self.runs}
        self._by: dict[str, list[Run]] = {}
        for run in self.runs:
            for model in run.models:
                self._by.setdefault(model, []).append(run)

    @classmethod
    def of(cls, records: Triggers | Iterable[Record]) -> Triggers:
        """The same, or an index of these records."""
        return records if isinstance(records, Triggers) else cls(records)

    def about(self, models: Iterable[str]) -> list[Run]:
        """Those that trained any of these models, oldest first."""
        found = {run.entry.id: run for model in models for run in self._by.get(model, [])}
        return sorted(found.values(), key=lambda run: run.at)


def decide(asked: Asked, settings: Retrain, records: Triggers | Iterable[Record], now: datetime) -> Decision:
    """Whether it starts. `now`: aware. `records`: the events of the ledger."""
    known = Triggers.of(records)
    models, attempt = asked.together, 0
    last: Run | None = None
    while (own := asked.id(attempt)) in known.started:
        last, attempt = known.started[own], attempt + 1
    if last is not None and not asked.forced and not last.failed(now, settings.timeout):
        held = f"{_said(asked)} has started one already, at {_at(last.at)}"
        return Decision(False, "", held, models, last.entry.id, known=True)
    held, until = _held(asked, settings, known, now)
    if held:
        return Decision(False, "", held, models, own, held_id(own) in known.ids, until)
    return Decision(True, _said(asked), "", models, own)


def due(every: Decimal | None, last: datetime | None, now: datetime) -> bool:
    """Whether the schedule asks: the last training is older than `every` seconds. One that nobody knows of is."""
    return every is not None and (last is None or now - last >= _seconds(every))


def stale(records: Triggers | Iterable[Record], settings: Retrain, now: datetime) -> tuple[Run, ...]:
    """Retrainings that began, never said how they ended, and have had their time: somebody is to know."""
    return tuple(run for run in Triggers.of(records).runs if run.ended is None and run.over(now, settings.timeout))


def _held(asked: Asked, settings: Retrain, known: Triggers, now: datetime) -> tuple[str, datetime | None]:
    """What holds it back, and until when where that is known."""
    own = known.about(asked.together)
    under_way = [run for run in known.runs if not run.over(now, settings.timeout)]
    mine = [run for run in under_way if run.models & set(asked.together)]
    if mine:
        what = f"a retraining of {_names(mine[-1].models)} is under way since {_at(mine[-1].at)}"
        return what, mine[-1].at + _seconds(settings.timeout)
    if asked.forced:
        return "", None
    for model in asked.together:
        if model in asked.proposed:
            at = asked.proposed[model] or "its pull request is open"
            return f"a successor of {model} waits to be merged: {at}", None
    pause, failures = _pause(own, settings, now)
    if own and now < own[-1].at + pause:
        until = own[-1].at + pause
        after = f" ({failures} failed in a row)" if failures > 1 else " (it failed)" if failures else ""
        return (
            f"the last retraining was started at {_at(own[-1].at)}{after}, and the next may be at {_at(until)}",
            until,
        )
    if len(under_way) >= settings.at_once:
        others = _names(model for run in under_way for model in run.models)
        return (
            f"{others} {'is' if len(under_way) == 1 else 'are'} retrained now, and `at_once` is {settings.at_once}",
            None,
        )
    today = sorted(run.at for run in known.runs if now - run.at < _DAY)
    if len(today) >= settings.per_day:
        until = today[-settings.per_day] + _DAY
        return f"{len(today)} retrainings were started in the last 24 hours, and `per_day` is {settings.per_day}", until
    return "", None


def _pause(own: Sequence[Run], settings: Retrain, now: datetime) -> tuple[timedelta, int]:
    """From the last start to the next: the cooldown, doubled for each failure in a row after the first."""
    failures = 0
    for run in reversed(own):
        if not run.failed(now, settings.timeout):
            break
        failures += 1
    return _seconds(settings.cooldown) * 2 ** min(max(failures - 1, 0), _DOUBLED), failures


def _said(asked: Asked) -> str:
    """What asks for it."""
    by = {NEW_DATA: "new data", SCHEDULE: "the schedule", MANUAL: "somebody, by hand"}
    return f"{by.get(asked.rule, f'the rule {asked.rule}')} ({asked.cause})"


def _hashed(*of: object) -> str:
    return hashlib.sha256(canonical(list(of))).hexdigest()[:32]


def _names(models: Iterable[str]) -> str:
    found = sorted(set(models))
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _moment(text: str) -> datetime:
    return datetime.strptime(text, TIME).replace(tzinfo=UTC)


def _seconds(number: Decimal) -> timedelta:
    return timedelta(seconds=float(number))
