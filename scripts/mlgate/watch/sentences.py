"""Whether the sentence of a rule is so in one window: yes, no, or nobody can tell. Pure.

Kleene's logic: `any:` is so as soon as one is, whatever is unknown; `all:` is not so as soon as one is not. What was
not measured, is not a number or infinite is unknown, and never a no.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import ge, gt, le, lt

from mlgate.config.alarms import Alarm, Operator, When, leaves
from mlgate.watch.nouns import Measure, Section, State

_HOLDS: dict[str, Callable[[Decimal, Decimal], bool]] = {"<=": le, "<": lt, ">=": ge, ">": gt}
_NAMED = 3  # measures of a section that are named


@dataclass(frozen=True)
class Told:
    """`breached`: the sentence is so. `value` and `limit`: of a sentence that stands alone."""

    state: State
    said: str
    value: float | None = None
    limit: float | None = None
    rows: int | None = None


class Measured:
    """What the sections of one window came to, by name."""

    def __init__(self, sections: Iterable[Section]) -> None:
        self._sections: dict[str, list[Section]] = {}
        self._measures: dict[str, list[Measure]] = {}
        for section in sections:
            self._sections.setdefault(section.kind, []).append(section)
            for measure in section.measures:
                self._measures.setdefault(measure.name, []).append(measure)

    def tell(self, when: When) -> Told:
        """Whether it is so."""
        if isinstance(when, Alarm):
            if when.operator is None or when.number is None:
                return self._alone(when.reading)
            return self._compared(when.reading, when.operator, when.number, when.unit)
        told = [self.tell(one) for one in when.of]
        states = [one.state for one in told]
        worst: tuple[State, ...] = ("breached", "unknown", "ok") if when.how == "any" else ("ok", "unknown", "breached")
        state = next(each for each in worst if each in states)
        return Told(state, "; ".join(one.said for one in told if one.state == state))

    def _compared(self, name: str, operator: Operator, limit: Decimal, unit: str) -> Told:
        found = self._measures.get(name, [])
        measure = next((one for one in found if _number(one)), found[0] if found else None)
        if measure is None:
            return Told("unknown", f"{name} was not measured", limit=float(limit))
        if not _number(measure):
            return Told("unknown", f"{name}: {_why(measure)}", limit=float(limit), rows=measure.rows)
        value = Decimal(repr(measure.value))
        so = _HOLDS[operator](value, limit)
        bound = f"{operator} {shown(limit, unit=unit)}"
        said = f"{name} {shown(value, limit, unit)} {bound if so else f'is not {bound}'}"
        return Told("breached" if so else "ok", said, measure.value, float(limit), measure.rows)

    def _alone(self, name: str) -> Told:
        if name in self._sections:
            return self._section(name, self._sections[name])
        found = self._measures.get(name, [])
        if not found:
            return Told("unknown", f"{name} was not measured")
        state = worst_state([measure_state(one) for one in found])
        measure = next(one for one in found if measure_state(one) == state)
        said = f"{measure.name}: {_why(measure)}" if state == "unknown" else _beside(measure)
        return Told(state, said, measure.value if _number(measure) else None, measure.limit, measure.rows)

    def _section(self, name: str, sections: Sequence[Section]) -> Told:
        measures = [measure for section in sections for measure in section.measures]
        state = worst_state([section_state(section) for section in sections])
        if state == "ok":
            return Told(state, f"{name} is within its limits")
        those = [one for one in measures if measure_state(one) == state]
        if not those:
            return Told(
                state, f"{name} is outside of its limits" if state == "breached" else f"{name} was not measured"
            )
        say = _beside if state == "breached" else lambda one: f"{one.name}: {_why(one)}"
        more = f" and {len(those) - _NAMED} more" if len(those) > _NAMED else ""
        return Told(state, ", ".join(say(one) for one in those[:_NAMED]) + more)


def spoken(when: When) -> str:
    """A sentence, or a group of them, on one line."""
    if isinstance(when, Alarm):
        return when.text
    return f" {'or' if when.how == 'any' else 'and'} ".join(
        one.text if isinstance(one, Alarm) else f"({spoken(one)})" for one in when.of
    )


def shown(value: Decimal, limit: Decimal | None = None, unit: str = "") -> str:
    """A number in its unit, to four digits, or to as many as it takes to tell it from the limit."""
    factor = {"%": Decimal(100), "ms": Decimal(1000)}.get(unit, Decimal(1))
    scaled, bound = value * factor, None if limit is None else limit * factor
    text = _plain(scaled)
    for digits in range(4, 18):
        rounded = Decimal(f"{scaled:.{digits - 1}e}")
        text = _plain(rounded)
        if bound is None or scaled == bound or (rounded != bound and (rounded > bound) == (scaled > bound)):
            break
    return f"{text} {unit}".rstrip()


def named(when: When) -> frozenset[str]:
    """The readings that it is about."""
    return frozenset(one.reading for one in leaves(when))


def _plain(value: Decimal) -> str:
    if value and not Decimal("1e-6") <= abs(value) < Decimal("1e12"):
        return f"{value.normalize():e}".replace("-", "−")
    return f"{value.normalize() + 0:f}".replace("-", "−")


def _number(measure: Measure) -> bool:
    return measure.state != "unknown" and measure.value is not None and math.isfinite(measure.value)


def measure_state(measure: Measure) -> State:
    """As it says; but what is called measured and is no number was not."""
    return measure.state if measure.state != "ok" or _number(measure) else "unknown"


def section_state(section: Section) -> State:
    """As it says; but a section that measured nothing, or holds what is no number, is not in order."""
    if section.state == "ok" and (
        not section.measures or any(one.state == "ok" and not _number(one) for one in section.measures)
    ):
        return "unknown"
    return section.state


def worst_state(states: Sequence[State]) -> State:
    """Breached, where one is; else unknown, where one is."""
    order: tuple[State, ...] = ("breached", "unknown", "ok")
    return next(each for each in order if each in states)


def _why(measure: Measure) -> str:
    if measure.reason:
        return measure.reason.rstrip(".")
    if measure.value is not None and not math.isfinite(measure.value):
        return "it is not a number" if math.isnan(measure.value) else "it is infinite"
    return "it was not measured"


def _beside(measure: Measure) -> str:
    if measure.value is None or not math.isfinite(measure.value):
        return measure.name
    value, limit = Decimal(repr(measure.value)), None
    if measure.limit is None:
        return f"{measure.name} {shown(value)}"
    limit = Decimal(repr(measure.limit))
    return f"{measure.name} {shown(value, limit)} (limit {shown(limit)})"
