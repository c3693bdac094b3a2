"""How a column is spread before and now: upright bars over a scale, rows for categories. Only shapes and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mlgate.model import Bars
from mlgate.render import cells, numbers

WIDE = 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 396.0, 10.0, 108.0
_HIGH = 138.0
_NAMES, _ROWS, _END = 112.0, 19.0, 316.0  # of categories: room for names, height of a row, end of the bars
_CHAR = 6.1  # rough width of a character
_MOST = 24  # bins that can be told apart


class Bar(NamedTuple):
    x: float
    y: float
    wide: float
    high: float
    style: str  # before | now
    said: str


class Text(NamedTuple):
    x: float
    y: float
    text: str
    anchor: str = "middle"


class Drawn(NamedTuple):
    high: float
    said: str
    bars: tuple[Bar, ...]
    grid: tuple[float, ...]  # heights of lines across
    texts: tuple[Text, ...]


def draw(bars: Bars | None, *, upright: bool) -> Drawn | None:
    """None where there is nothing to draw. More bins than can be told apart: those with the largest shares."""
    if bars is None:
        return None
    rows = list(zip(bars.labels, bars.before, bars.now, strict=False))
    if not rows or not all(math.isfinite(a) and math.isfinite(b) and a >= 0 and b >= 0 for _, a, b in rows):
        return None
    if len(rows) > _MOST:
        kept = sorted(range(len(rows)), key=lambda at: -max(rows[at][1], rows[at][2]))[:_MOST]
        rows = [rows[at] for at in sorted(kept)]
    said = "; ".join(f"{name}: {_shown(a)} before, {_shown(b)} now" for name, a, b in rows)
    return _upright(rows, said) if upright else _lying(rows, said)


def _upright(rows: Sequence[tuple[str, float, float]], said: str) -> Drawn:
    most = max(max(a, b) for _, a, b in rows) or 1.0
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1e9) if most / s <= 4)
    top = max(1, math.ceil(most / step - 1e-9)) * step
    room = (_RIGHT - _LEFT) / len(rows)
    wide = round(min(20.0, room * 0.42), 1)
    made: list[Bar] = []
    for number, (name, *shares) in enumerate(rows):
        middle = _LEFT + (number + 0.5) * room
        for style, share, x in zip(("before", "now"), shares, (middle - wide, middle), strict=True):
            high = round(share / top * (_BOTTOM - _TOP), 1)
            words = f"{name}: {_shown(share)} {style}"
            made.append(Bar(round(x, 1), round(_BOTTOM - high, 1), wide, high, style, words))
    grid = [round(_BOTTOM - n * step / top * (_BOTTOM - _TOP), 1) for n in range(round(top / step) + 1)]
    texts = [Text(_LEFT - 6, y + 4, numbers.points(n * step * 100), "end") for n, y in enumerate(grid)]
    longest = max(cells.of(name) for name, _, _ in rows)
    every = max(1, math.ceil((longest + 1.5) * _CHAR / room))
    # Names that do not fit beside each other go on two lines, then every second one, and so on.
    for number, (name, _, _) in enumerate(rows):
        if number % math.ceil(every / 2) == 0:
            line = (number // math.ceil(every / 2)) % 2 if every > 1 else 0
            x = _LEFT + (number + 0.5) * room
            half = cells.of(cells.cut(name, 18)) * _CHAR / 2
            x = min(max(x, half + 2), WIDE - half)
            texts.append(Text(round(x, 1), 122.0 + 13 * line, cells.cut(name, 18)))
    return Drawn(_HIGH, said, tuple(made), tuple(grid), tuple(texts))


def _lying(rows: Sequence[tuple[str, float, float]], said: str) -> Drawn:
    most = max(max(a, b) for _, a, b in rows) or 1.0
    made: list[Bar] = []
    texts: list[Text] = []
    for number, (name, *shares) in enumerate(rows):
        y = 4.0 + number * _ROWS
        for style, share, below in zip(("before", "now"), shares, (1.0, 8.0), strict=True):
            wide = round(share / most * (_END - _NAMES), 1)
            made.append(Bar(_NAMES, y + below, max(wide, 0.5), 6.0, style, f"{name}: {_shown(share)} {style}"))
        texts.append(Text(_NAMES - 8, y + 12, cells.cut(name, 17), "end"))
        texts.append(Text(WIDE, y + 12, f"{_shown(shares[0])} → {_shown(shares[1])}", "end"))
    return Drawn(8.0 + len(rows) * _ROWS, said, tuple(made), (), tuple(texts))


def _shown(share: float) -> str:
    return numbers.percent(share) if share == 0 or share >= 5e-4 else f"<0.1{numbers.THIN}%"
