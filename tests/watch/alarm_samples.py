"""Windows, measures and ledgers of readings, in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mlgate.config.watching import AlarmRule, Retrain
from mlgate.ledger.chain import EVENTS, READINGS, Record
from mlgate.ledger.kinds import TIME, Entry, Reading, Trigger
from mlgate.watch.nouns import Measure, Section, State, Window, state_of

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = Window.before(NOON, DAY)  # 2026-11-19
MODEL, ENVIRONMENT = "visits", "production"
WHERE = {"model": MODEL, "environment": ENVIRONMENT}
LETTERS: dict[str, State] = {"B": "breached", "o": "ok", "?": "unknown"}


def states(text: str) -> list[State]:
    """`Bo?`: newest first."""
    return [LETTERS[letter] for letter in text]


def records(entries: Sequence[Entry], chain: str = READINGS) -> list[Record]:
    return [Record(entry, "0" * 32, chain, seq, "", f"{seq:064x}") for seq, entry in enumerate(entries, start=1)]


def events(*entries: Entry) -> list[Record]:
    return records(entries, EVENTS)


def reading(name: str, state: str, window: Window, **more: Any) -> Reading:
    given: dict[str, Any] = {**WHERE, "monitor": "rule", "at": window.until.strftime(TIME), "window": str(window)}
    return Reading(**{**given, "name": name, "state": state, **more})


def course(name: str, text: str, **more: Any) -> list[Record]:
    """The windows before WINDOW, newest first; `.` for one that nobody read."""
    return records(
        [
            reading(name, LETTERS[letter], WINDOW.earlier(back), **more)
            for back, letter in enumerate(text, start=1)
            if letter != "."
        ][::-1]
    )


def measure(name: str, value: float | None, limit: float | None = None, **more: Any) -> Measure:
    state = "unknown" if value is None else "breached" if limit is not None and value > limit else "ok"
    return Measure(**{"kind": "drift", "name": name, "state": state, "value": value, "limit": limit, **more})


def section(*measures: Measure, kind: str = "drift", **more: Any) -> Section:
    return Section(kind=kind, state=more.pop("state", state_of(measures)), measures=measures, **more)  # type: ignore[arg-type]


def rule(**keys: Any) -> AlarmRule:
    return AlarmRule.model_validate(keys)


def retrain(**keys: Any) -> Retrain:
    return Retrain.model_validate(keys)


def trigger(outcome: str, at: datetime, model: str = MODEL, **more: Any) -> Trigger:
    given: dict[str, Any] = {"model": model, "rule": "drift", "at": at.strftime(TIME)}
    return Trigger(**{**given, "outcome": outcome, **more})
