"""What one window came to, as entries of the ledger. Pure.

Their ids follow from what they are of, so that a second run over the same window, or two monitors at once, write each
one once (`ledger.append_new`). The first measurement of a window stands; one that came to nothing has an id of its own,
so that it stands in nobody's way when the logs can be read again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlgate.ledger.chain import canonical
from mlgate.ledger.kinds import TIME, Reading, clean
from mlgate.watch.nouns import Measure, Section, State, Window
from mlgate.watch.rules import Judged
from mlgate.watch.sentences import measure_state, section_state, worst_state

_NONE: Mapping[str, Window] = {}
_NAME = 500  # characters of a name that an entry holds


def entries(
    sections: Iterable[Section],
    judged: Judged,
    window: Window,
    *,
    model: str,
    environment: str,
    subject: Mapping[str, str],
    who: Mapping[str, Any],
    windows: Mapping[str, Window] = _NONE,
) -> list[Reading]:
    """One of each section, measure and rule. `who`: commit, actor and run, as every entry has them.

    `windows`: of sections, by their kind, whose rows were of another window: truth comes late. The moment of a reading
    is the end of its window. Left out is what nobody asked for and nobody could measure.
    """
    whose = {**who, "model": model, "environment": environment, "subject": dict(subject)}
    found: dict[str, Reading] = {}
    for kind, name, state, more in _all(sections, judged):
        over = windows.get(kind, window)
        told = {**whose, "at": over.until.strftime(TIME), "window": str(over)}
        own = _identity(told, kind, name, known=state != "unknown")
        found.setdefault(own, Reading(**told, id=own, monitor=kind, name=clean(name, _NAME), state=state, **more))
    return list(found.values())


def _identity(of: Mapping[str, Any], kind: str, name: str, *, known: bool) -> str:
    """The id of a reading."""
    those = [of["model"], of["environment"], of["subject"], of["window"], kind, name, known]
    return hashlib.sha256(canonical(["reading", *those])).hexdigest()[:32]


def _all(sections: Iterable[Section], judged: Judged) -> Iterator[tuple[str, str, State, dict[str, Any]]]:
    sections = list(sections)
    for kind in dict.fromkeys(section.kind for section in sections):
        yield kind, kind, worst_state([section_state(one) for one in sections if one.kind == kind]), {}
    for section in sections:
        for measure in section.measures:
            state = measure_state(measure)
            if state != "unknown" or measure.limit is not None:
                yield measure.kind, measure.name, state, _of(measure, state)
    for one in judged.rules:
        yield "rule", one.name, one.told.state, {
            "value": one.told.value, "limit": one.told.limit, "rows": one.told.rows, "reason": clean(one.told.said)
        }  # fmt: skip


def _of(measure: Measure, state: State) -> dict[str, Any]:
    value = None if state == "unknown" else _finite(measure.value)
    return {"value": value, "limit": _finite(measure.limit), "rows": measure.rows, "reason": clean(measure.reason)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
