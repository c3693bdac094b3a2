"""One reading over time: a chart with its limit and what crossed it, a line for a table, and one in text.

Only shapes and words are made here; colours are the page's. No line goes through a window that was not measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Literal, NamedTuple

from mlgate.model import Past
from mlgate.render import arms, numbers
from mlgate.render.watched import moment

WIDE, HIGH = 400.0, 138.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 390.0, 16.0, 108.0
_SMALL = (108.0, 24.0)  # of the line in a table
_MOST = 240  # points that can be told apart
_EACH = 45  # so few are marked one by one
_BARS = "▁▂▃▄▅▆▇█"
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

State = Literal["ok", "breached", "unknown"]
_Y = Callable[[float], float]  # a number's place from the top


class Point(NamedTuple):
    at: datetime
    value: float | None
    state: State


class Dot(NamedTuple):
    x: float
    y: float
    r: float
    state: State


class Tick(NamedTuple):
    at: float
    text: str
    anchor: str = "middle"


class Drawn(NamedTuple):
    """`said` is the same in words."""

    title: str
    said: str
    last: str  # the newest value
    state: State  # of the newest
    line: str
    dots: tuple[Dot, ...]
    unknown: tuple[float, ...]
    limit: float | None
    limit_text: str
    upward: tuple[Tick, ...]
    across: tuple[Tick, ...]


class Small(NamedTuple):
    line: str
    limit: float | None
    dots: tuple[Dot, ...]
    said: str


def points(past: Past) -> list[Point]:
    """In order of time; what has no time that can be read is left out."""
    found = []
    for at, value, state in zip(past.at, past.values, past.states, strict=False):
        when = moment(at)
        if when is not None:
            found.append(Point(when, None if state == "unknown" else value, state))
    return sorted(found, key=lambda point: point.at)


def draw(past: Past) -> Drawn | None:
    """None where fewer than two windows were measured: there is nothing to see."""
    every = points(past)
    if sum(point.value is not None for point in every) < 2:
        return None
    few = _few(every)
    low, high, ticks = _upward([p.value for p in few if p.value is not None], past.limit)

    def y(value: float) -> float:
        return round(_BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP), 1)

    x = _Across(few[0].at, few[-1].at, _LEFT, _RIGHT)
    shown = shows(past.name, *ticks)
    last = next(point for point in reversed(few) if point.value is not None)
    assert last.value is not None  # noqa: S101 -- asked in the line above
    breached = [point for point in every if point.state == "breached"]
    value = shows(past.name, float(f"{last.value:.3g}"))[0]
    limit = "" if past.limit is None else f"limit {shows(past.name, past.limit)[0]}"
    words = [f"{past.name}: {value} at the end", *([limit] if limit else [])]
    words += [f"crossed in {len(breached)} of {numbers.count(len(every), 'window')}"]
    return Drawn(
        title=past.name,
        said=", ".join(words),
        last=value,
        state=last.state,
        line=_line(few, x, y),
        dots=tuple(_dots(few, x, y, each=len(few) <= _EACH)),
        unknown=tuple(x(point.at) for point in few if point.value is None),
        limit=None if past.limit is None else y(past.limit),
        limit_text=limit,
        upward=tuple(Tick(y(tick), text) for tick, text in zip(ticks, shown, strict=True)),
        across=tuple(_days(few[0].at, few[-1].at, x)),
    )


def small(past: Past | None) -> Small | None:
    """For the row of a table."""
    every = points(past) if past is not None else []
    if past is None or sum(point.value is not None for point in every) < 2:
        return None
    few = _few(every, 100)
    wide, tall = _SMALL
    low, high, _ = _upward([p.value for p in few if p.value is not None], past.limit)

    def y(value: float) -> float:
        return round(tall - 3 - (value - low) / (high - low) * (tall - 6), 1)

    x = _Across(few[0].at, few[-1].at, 3, wide - 4)
    dots = [dot._replace(r=1.6) for dot in _dots(few, x, y, each=False)]
    limit = None if past.limit is None else y(past.limit)
    drawn = draw(past)
    return Small(_line(few, x, y), limit, (*dots[:-1], dots[-1]._replace(r=2.4)), drawn.said if drawn else "")


def spark(past: Past, columns: int = 30) -> str:
    """The newest windows as text: `▁▁▂▁▃▆▇`, a dot for what was not measured. "" without two numbers."""
    every = points(past)[-columns:]
    known = [point.value for point in every if point.value is not None]
    if len(known) < 2:
        return ""
    low, high, _ = _upward(known, past.limit)
    top = len(_BARS) - 1
    return "".join(
        "·" if p.value is None else _BARS[max(0, min(top, math.floor((p.value - low) / (high - low) * (top + 1))))]
        for p in every
    )


def crossed(past: Past) -> tuple[int, int]:
    """In how many of how many windows."""
    every = points(past)
    return sum(point.state == "breached" for point in every), len(every)


def shows(name: str, *values: float) -> list[str]:
    """Values of a reading side by side, in the unit that people read it in."""
    unit = arms.unit(name)
    scale = {"%": 100.0, "ms": 1000.0, "": 1.0}[unit]
    shown = numbers.together(*(float(f"{value * scale:.12g}") for value in values))
    return [f"{text}{numbers.THIN}{unit}" if unit else text for text in shown]


class _Across(NamedTuple):
    first: datetime
    last: datetime
    left: float
    right: float

    def __call__(self, at: datetime) -> float:
        whole = (self.last - self.first).total_seconds()
        share = (at - self.first).total_seconds() / whole if whole else 1.0
        return round(self.left + share * (self.right - self.left), 1)


def _few(every: Sequence[Point], most: int = _MOST) -> list[Point]:
    """So many that they can be told apart: of those that fall together one that crossed, else the highest."""
    size = math.ceil(len(every) / most)
    if size <= 1:
        return list(every)
    kept = []
    for start in range(0, len(every), size):
        some = every[start : start + size]
        kept.append(max(some, key=lambda p: (p.state == "breached", p.value is not None, p.value or 0.0)))
    if kept[-1] is not every[-1]:
        kept.append(every[-1])
    return kept


def _upward(values: Sequence[float], limit: float | None) -> tuple[float, float, list[float]]:
    """The lowest and the highest of the axis, and its round numbers. It begins at 0 unless all lies far above."""
    every = [*values, *([] if limit is None else [limit])]
    low, high = min(every), max(every)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0)
    if low >= 0 and low < high * 0.6:
        low = 0.0
    span = high - low or abs(high) or 1.0
    if not math.isfinite(span):
        return 0.0, 1.0, [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(span / 3))
    step = next((power * each for each in _STEPS if span / (power * each) <= 3.5), power * 10)
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    if first == last:
        last += 1
    if limit is not None and limit >= last * step - 0.02 * span:
        last += 1  # the limit has to be seen as a line
    ticks = [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    return ticks[0], ticks[-1], ticks


def _line(few: Sequence[Point], x: _Across, y: _Y) -> str:
    """A path that stops where nothing was measured, or where windows are missing."""
    gaps = [(b.at - a.at).total_seconds() for a, b in itertools.pairwise(few)]
    usual = median(gaps) if gaps else 0.0
    path, before = "", None
    for point in few:
        if point.value is None:
            before = None
            continue
        joined = before is not None and (point.at - before.at).total_seconds() <= 1.6 * usual
        path += f"{'L' if joined else 'M'}{x(point.at):g} {y(point.value):g}"
        before = point
    return path


def _dots(few: Sequence[Point], x: _Across, y: _Y, *, each: bool) -> Iterator[Dot]:
    """What crossed its limit, each point where there are few, and always the newest."""
    last = next((number for number in reversed(range(len(few))) if few[number].value is not None), -1)
    for number, point in enumerate(few):
        if point.value is not None and (each or point.state == "breached" or number == last):
            size = 4.0 if number == last else 3.0 if point.state == "breached" else 1.8
            yield Dot(x(point.at), y(point.value), size, point.state)


def _days(first: datetime, last: datetime, x: _Across) -> Iterator[Tick]:
    """The ends, and what lies halfway. A window that ended at midnight is one of the day before."""
    hours = (last - first).total_seconds() < 3 * 86_400
    form = "%H:%M" if hours and first.date() == last.date() else "{day} %b %H:%M" if hours else "{day} %b"
    form += "" if first.year == last.year else " %Y"
    for at, anchor in ((first, "start"), (first + (last - first) / 2, "middle"), (last, "end")):
        day = at if hours else at - timedelta(seconds=1)
        yield Tick(x(at), day.strftime(form).replace("{day}", str(day.day)), anchor)
