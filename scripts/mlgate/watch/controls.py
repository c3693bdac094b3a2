"""Whether rules can tell: each is fed windows in which nobody measured anything, and ones that must raise it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from mlgate.config import alarmed
from mlgate.config.alarms import leaves
from mlgate.config.watching import AlarmRule
from mlgate.model import Controls, Verdict
from mlgate.watch.nouns import Measure, Section, State, Window
from mlgate.watch.rules import Ruled, rule_on, sentence
from mlgate.watch.sentences import Measured

_WINDOW = Window.before(datetime(2026, 1, 2, tzinfo=UTC), timedelta(days=1))
_NAN: Mapping[State, float] = {"ok": math.nan, "breached": math.inf, "unknown": math.nan}


def controls(rules: Mapping[str, AlarmRule]) -> Controls:
    """Five for each rule: of a window without measures, with readings that are no numbers (said to be in order), and
    with readings that are unknown, none may pass; n windows in a row in which its sentence is so have to raise it; and
    one in which it is not, after a quiet past, has to pass."""
    held = [is_held for name, rule in rules.items() for is_held in _of(name, rule)]
    return Controls(passed=sum(held), total=len(held))


def _of(name: str, rule: AlarmRule) -> Iterable[bool]:
    when = sentence(name, rule)
    readings = {alarm.reading for alarm in leaves(when)}

    def on(sections: list[Section], before: State) -> Ruled:
        return rule_on(name, rule, Measured(sections), [before] * (rule.for_.n - 1), _WINDOW)

    def no_pass(*sections: Section) -> bool:
        return on(list(sections), "ok").check.verdict is not Verdict.PASS

    yield no_pass()
    for state in ("ok", "unknown"):
        yield no_pass(*(_section(reading, state, _NAN[state]) for reading in readings))
    so, not_so = (alarmed.filled(when, so=each) for each in (True, False))
    yield so is not None and on(_made(so), "breached").alert.state == "firing"
    yield not_so is not None and on(_made(not_so), "ok").check.verdict is Verdict.PASS


def _made(filled: alarmed.Filled) -> list[Section]:
    """A window in which each sentence comes to what it is filled in with."""
    found = []
    for alarm, so in filled.items():
        state: State = "breached" if so else "ok"
        value = alarmed.value_of([one for one in filled if one.reading == alarm.reading and one.operator], filled)
        found.append(_section(alarm.reading, state if alarm.operator is None else "ok", value))
    return found


def _section(reading: str, state: State, value: float) -> Section:
    measure = Measure("drift", reading, state, value, 0.0)
    if reading in alarmed.SECTIONS:
        return Section(reading, state, (measure,))  # type: ignore[arg-type]
    return Section("business", state, (measure,))
