"""Figures as what a drawing in the page is made of: lines, areas, cells, and words in units of the drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mlgate.model import Figure, Series
from mlgate.render import cells, numbers

WIDE, HIGH = 360.0, 250.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 44.0, 10.0, 352.0, 206.0  # the field inside the axes
_NAME = 14  # columns of a class's name
_SIDES = ("champion", "challenger")
_WORD = {"champion": "champion", "challenger": "this change"}


class Tick(NamedTuple):
    at: float
    text: str


class Line(NamedTuple):
    kind: str  # champion | challenger
    points: str  # as SVG wants them
    area: str  # a band around it, or ""
    dots: tuple[tuple[float, float, float], ...]  # x, y, radius


class Cell(NamedTuple):
    x: float
    y: float
    wide: float
    high: float
    strength: float  # of its colour: the share of its row, weak enough for the count to be read on it
    right: bool  # on the diagonal
    text: str


class Label(NamedTuple):
    x: float
    y: float
    text: str


class Drawn(NamedTuple):
    """One figure: `said` is the same in words."""

    kind: str
    title: str
    said: str
    x: str
    y: str
    lines: tuple[Line, ...] = ()
    across: tuple[Tick, ...] = ()
    upward: tuple[Tick, ...] = ()
    diagonal: tuple[float, float, float, float] | None = None  # x1, y1, x2, y2: what would be expected
    cells: tuple[Cell, ...] = ()
    columns: tuple[Label, ...] = ()
    rows: tuple[Label, ...] = ()
    high: float = HIGH


def draw(figure: Figure) -> Drawn | None:
    """None for a figure without anything in it."""
    if figure.kind == "confusion":
        return _matrix(figure)
    drawn = [series for series in figure.series if series.name in _SIDES and series.x]
    if not drawn:
        return None
    unit = figure.kind != "residuals"
    across = _Scale(0.0, 1.0) if unit else _scale([x for one in figure.series for x in one.x])
    upward = _Scale(0.0, 1.0) if unit else _scale([0.0, *(y for one in figure.series for y in one.y)])
    place = _Place(across, upward)
    beside = {series.name: series for series in figure.series}
    diagonal = {
        "roc": ((0.0, 0.0), (1.0, 1.0)),
        "calibration": ((0.0, 0.0), (1.0, 1.0)),
        "residuals": ((across.low, 0.0), (across.high, 0.0)),
    }.get(figure.kind)
    return Drawn(
        kind=figure.kind,
        title=figure.title,
        said=_said(figure, drawn),
        x=figure.x,
        y=figure.y,
        lines=tuple(_line(series, beside, place) for series in drawn),
        across=tuple(Tick(place.x(at), text) for at, text in across.ticks()),
        upward=tuple(Tick(place.y(at), text) for at, text in upward.ticks()),
        diagonal=None if diagonal is None else (*place(*diagonal[0]), *place(*diagonal[1])),
    )


def _line(series: Series, beside: dict[str, Series], place: _Place) -> Line:
    points = [place(x, y) for x, y in zip(series.x, series.y, strict=True)]
    area: list[tuple[float, float]] = []
    low, high = beside.get(f"{series.name}, 10 %"), beside.get(f"{series.name}, 90 %")
    if low and high:
        area = [place(x, y) for x, y in zip(low.x, low.y, strict=True)]
        area += reversed([place(x, y) for x, y in zip(high.x, high.y, strict=True)])
    counts = beside.get(f"{series.name}, rows")
    dots: list[tuple[float, float, float]] = []
    if counts:
        most = max(counts.y, default=0.0) or 1.0
        dots = [
            (x, y, round(1.5 + 5.5 * math.sqrt(rows / most), 1)) for (x, y), rows in zip(points, counts.y, strict=True)
        ]
    return Line(series.name, _path(points), _path(area), tuple(dots))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _said(figure: Figure, drawn: Sequence[Series]) -> str:
    """What the drawing shows, for who cannot see it."""
    what = {
        "roc": "share of positives found at a tenth of false alarms",
        "precision-recall": "precision at half of the positives found",
        "calibration": "largest distance from what was predicted",
        "residuals": "largest median error",
    }[figure.kind]
    values = [f"{_WORD[one.name]} {numbers.show(float(f'{_told(figure.kind, one):.3g}'))}" for one in drawn]
    return f"{figure.title}; {what}: {', '.join(values)}"


def _told(kind: str, series: Series) -> float:
    pairs = list(zip(series.x, series.y, strict=True))
    if kind == "roc":
        return max((y for x, y in pairs if x <= 0.1), default=0.0)
    if kind == "precision-recall":
        return max((y for x, y in pairs if x >= 0.5), default=0.0)
    if kind == "calibration":
        return max(abs(y - x) for x, y in pairs)
    return max((y for _, y in pairs), key=abs)


# --- axes


class _Scale(NamedTuple):
    low: float
    high: float

    def share(self, value: float) -> float:
        return (max(self.low, min(self.high, value)) - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers inside, the same decimals on all."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 2))
        while (self.high - self.low) / step > 6:
            step *= 2 if f"{step:e}"[0] != "2" else 2.5
        first = math.ceil(self.low / step - 1e-9)
        at = [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return list(zip(at, numbers.together(*(float(f"{value:.12g}") for value in at)), strict=True))


def _scale(values: Sequence[float]) -> _Scale:
    low, high = min(values), max(values)
    if not math.isfinite(high - low):
        return _Scale(-1e307, 1e307)
    least = max(abs(low), abs(high)) * 1e-6 or 1.0
    if high - low < least:  # all the same, as far as anybody could read on an axis
        return _Scale(low - least, high + least)
    return _Scale(low, high)


class _Place(NamedTuple):
    across: _Scale
    upward: _Scale

    def x(self, value: float) -> float:
        return round(_LEFT + self.across.share(value) * (_RIGHT - _LEFT), 1)

    def y(self, value: float) -> float:
        return round(_BOTTOM - self.upward.share(value) * (_BOTTOM - _TOP), 1)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return self.x(x), self.y(y)


# --- matrices


def _matrix(figure: Figure) -> Drawn | None:
    size = len(figure.classes)
    if not size or len(figure.series) != size or any(len(one.y) != size for one in figure.series):
        return None
    left = 96.0
    wide, high = (WIDE - left) / size, min(52.0, (_BOTTOM - 24.0) / size)
    found: list[Cell] = []
    right = total = 0.0
    for row, series in enumerate(figure.series):
        of = sum(series.y)
        total += of
        right += series.y[row]
        for column, count in enumerate(series.y):
            share = count / of if of else 0.0
            text = _count(count) if wide < 60 else f"{_count(count)} · {numbers.percent(share)}"
            found.append(
                Cell(
                    x=round(left + column * wide, 1),
                    y=round(24.0 + row * high, 1),
                    wide=round(wide, 1),
                    high=round(high, 1),
                    strength=round(0.04 + 0.46 * share, 3),
                    right=row == column,
                    text=text if size <= 12 else "",
                )
            )
    rightly = numbers.percent(right / total) if total else "none"
    room = max(3, int(wide / 7))
    return Drawn(
        kind=figure.kind,
        title=figure.title,
        said=f"{figure.title}; {rightly} of {_count(total)} rows are decided rightly",
        x=figure.x,
        y=figure.y,
        cells=tuple(found),
        columns=tuple(
            Label(round(left + (at + 0.5) * wide, 1), 16.0, cells.cut(name, min(_NAME, room)))
            for at, name in enumerate(figure.classes)
        ),
        rows=tuple(
            Label(left - 8.0, round(24.0 + (at + 0.5) * high + 4, 1), cells.cut(name, _NAME - 2))
            for at, name in enumerate(figure.classes)
        ),
        high=round(24.0 + high * size + 24.0, 1),
    )


def _count(value: float) -> str:
    return f"{value:,.0f}"
