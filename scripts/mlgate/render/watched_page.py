"""What production came to, for the report: alerts, a card for each column that moved, charts, a table of all."""

from __future__ import annotations

from typing import NamedTuple

from mlgate.model import Evidence, Verdict
from mlgate.render import past, spread, watched
from mlgate.render.watched import Alert, Column, Seen

_CARDS = 24  # columns with a card of their own
_CHARTS = 24  # of other readings
_OPEN = 12  # columns of a table that is not folded
_MOST = 1000  # columns of the table


class Card(NamedTuple):
    column: Column
    measures: str  # `PSI 0.312 (noise 0.011), KS 0.142, p <0.001`
    bars: spread.Drawn | None
    upright: bool
    course: past.Drawn | None


class Line(NamedTuple):
    column: Column
    psi: str
    noise: str
    distance: str
    p: str
    course: past.Small | None


class Page(NamedTuple):
    seen: Seen
    alerts: tuple[Alert, ...]
    quiet: int  # rules that are quiet
    cards: tuple[Card, ...]
    more: int  # columns that moved and have no card
    charts: tuple[past.Drawn, ...]
    lines: tuple[Line, ...]
    folded: bool
    has: dict[str, bool]
    tally: str  # `3 of 25 moved, 1 unknown`
    expected: str  # one sentence, or ""


def page(evidence: Evidence) -> Page | None:
    """None for evidence of anything but production."""
    seen = watched.of(evidence)
    if seen is None:
        return None
    lines = tuple(_line(one) for one in seen.columns[:_MOST])
    return Page(
        seen=seen,
        alerts=seen.speaking,
        quiet=len(seen.alerts) - len(seen.speaking),
        cards=tuple(_card(one) for one in seen.moved[:_CARDS]),
        more=max(0, len(seen.moved) - _CARDS),
        charts=tuple(drawn for one in seen.past[: 4 * _CHARTS] if (drawn := past.draw(one)) is not None)[:_CHARTS],
        lines=lines,
        folded=len(lines) > _OPEN,
        has={
            "psi": any(one.psi for one in lines),
            "distance": any(one.distance for one in lines),
            "p": any(one.p for one in lines),
            "missing": any(one.column.missing for one in lines),
            "strange": any(one.column.strange for one in lines),
            "course": any(one.course for one in lines),
            "since": any(one.column.since for one in lines),
        },
        tally=tally(seen),
        expected=watched.expected(evidence),
    )


def tally(seen: Seen) -> str:
    """`3 of 25 moved, 1 unknown`."""
    if not seen.columns:
        return ""
    unknown = f", {len(seen.unknown):,} unknown" if seen.unknown else ""
    return f"{len(seen.moved) or 'none'} of {len(seen.columns):,} moved{unknown}"


def _card(column: Column) -> Card:
    said = [f"{name} {value}{f' ({beside})' if beside else ''}" for name, value, beside in column.measures]
    said += [f"missing {column.missing}"] if column.missing else []
    said += [column.strange] if column.strange else []
    upright = column.seen.kind == "number"
    course = past.draw(column.past) if column.past is not None else None
    return Card(column, ", ".join(said), spread.draw(column.seen.bars, upright=upright), upright, course)


def _line(column: Column) -> Line:
    psi = next(((value, beside) for name, value, beside in column.measures if name == "PSI"), ("", ""))
    return Line(
        column,
        *psi,
        distance=column.measure("KS", "Cramér’s V", "JS", "Wasserstein", "KL"),
        p=column.measure("p"),
        course=past.small(column.past),
    )


class Glance(NamedTuple):
    """One model among several."""

    window: str
    alerts: tuple[tuple[str, str, Verdict], ...]  # rule, state, colour
    tally: str
    name: str  # of the reading that is drawn
    course: past.Small | None


def glance(evidences: tuple[Evidence, ...]) -> Glance | None:
    """Of the first of them that has looked at production."""
    seen = next((found for one in evidences if (found := watched.of(one)) is not None), None)
    if seen is None:
        return None
    drawn = watched.newest(seen.watched.history)
    alerts = tuple((one.seen.rule, one.seen.state, one.tone) for one in seen.speaking[:6])
    return Glance(seen.window, alerts, tally(seen), drawn.name if drawn else "", past.small(drawn))
