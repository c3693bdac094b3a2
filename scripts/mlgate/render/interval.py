"""An interval held against its limit, drawn on one line of text. Right is worse, for every metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mlgate.model import Check, Verdict
from mlgate.render import arms, cells, escape, layout

WIDTH = 41  # columns between the ends of the line
_NAME = 32
_MOST = 12
_HOLDING = 4  # rules that hold, drawn beside those that do not
_UNBOUNDED = 1e300  # a side as far away as this has no end
_ROOM = 0.12  # of the line is left free on both sides


class Glyphs(NamedTuple):
    """What a line is made of, one column each."""

    line: str
    interval: str
    point: str
    champion: str
    limit: str
    further: tuple[str, str]  # the interval goes on to the left, to the right


PICTURE = Glyphs("·", "█", "◆", "┊", "╎", ("◀", "▶"))
ASCII = Glyphs(".", "#", "O", "'", "!", ("<", ">"))


class Held(NamedTuple):
    """A check in units of harm: 0 is the champion (of a threshold: the limit), more is worse. None: no such thing."""

    low: float | None  # of the interval; None where it is unbounded
    high: float | None
    point: float
    limit: float
    champion: float | None


def held(check: Check) -> Held | None:
    """What there is to draw; None without an interval or a limit."""
    greater, limit = check.greater_is_better, check.limit
    if check.interval is None or greater is None or limit is None:
        return None
    sign = -1.0 if greater else 1.0
    champion: float | None
    if check.change is not None:
        edge = layout.limit_change(check)
        if edge is None:
            return None
        start, point, champion = 0.0, check.change, 0.0
    elif isinstance(check.observed, float):
        start, edge, point, champion = limit, 0.0, check.observed - limit, None
    else:
        return None
    low, high = sorted(sign * (end - start) for end in check.interval)
    values = Held(_bounded(low), _bounded(high), sign * point, sign * edge, champion)
    return values if all(v is None or math.isfinite(v) for v in values) else None


def _bounded(end: float) -> float | None:
    return end if abs(end) < _UNBOUNDED else None


def draw(drawn: Held, glyphs: Glyphs = PICTURE, width: int = WIDTH) -> str:
    """The line, always `width` columns: the limit, and the interval on its true side of it however near they are."""
    at = _axis(drawn, width)
    limit = at(drawn.limit)
    low = 0 if drawn.low is None else _beside(at(drawn.low), limit, drawn.low - drawn.limit)
    high = width - 1 if drawn.high is None else _beside(at(drawn.high), limit, drawn.high - drawn.limit)
    track = [glyphs.line] * width
    for column in range(max(0, low), min(width, high + 1)):
        track[column] = glyphs.interval
    if drawn.champion is not None and (zero := at(drawn.champion)) != limit:
        track[zero] = glyphs.champion
    point = _beside(at(drawn.point), limit, drawn.point - drawn.limit)
    track[max(low, min(high, point))] = glyphs.point
    track[limit] = glyphs.limit
    if drawn.low is None:
        track[0] = glyphs.further[0]
    if drawn.high is None:
        track[-1] = glyphs.further[1]
    return "".join(track)


class _Axis(NamedTuple):
    start: float
    length: float
    width: int

    def __call__(self, value: float) -> int:
        """Never the first or the last column: something is always beside it."""
        share = (value - self.start) / self.length
        return max(1, min(self.width - 2, math.floor(share * self.width)))


def _axis(drawn: Held, width: int) -> _Axis:
    known = [value for value in drawn if value is not None]
    low, high = min(known), max(known)
    span = high - low
    if not 0 < span < math.inf:  # all the same, or too far apart for floats
        return _Axis(low - 1.0, 2.0, width) if span == 0 else _Axis(low / 2, max(high / 2 - low / 2, 1.0) * 2, width)
    return _Axis(low - span * _ROOM, span * (1 + 2 * _ROOM), width)


def _beside(column: int, limit: int, distance: float) -> int:
    """Rounding never puts what is worse than the limit on its good side, nor the other way round."""
    if distance > 0:
        return max(column, limit + 1)
    return min(column, limit - (distance < 0))


def text(checks: Sequence[Check], glyphs: Glyphs = PICTURE) -> str:
    """A line for each rule with an interval that does not simply hold, and for a few that do; "" for none."""
    shown = list(_telling(checks))[:_MOST]
    if not shown:
        return ""
    names = [cells.cut(escape.visible(check.title), _NAME) for check, _ in shown]
    widest = max(map(cells.of, names))
    sides = {arms.words(check).other for check, drawn in shown if drawn.champion is not None}
    others = f"{glyphs.champion} {' or '.join(sorted(sides))}   " if sides else ""
    legend = f"{others}{glyphs.limit} limit"
    head = f"{' ' * widest}   better {legend:^{WIDTH - 13}} worse"
    lines = [
        f"{cells.pad(name, widest)}  |{draw(drawn, glyphs)}|  {said(check)}".rstrip()
        for name, (check, drawn) in zip(names, shown, strict=True)
    ]
    return "\n".join([head, *lines])


def _telling(checks: Iterable[Check]) -> Iterable[tuple[Check, Held]]:
    """Each rule once, for the limit that went worst: all that do not simply hold, and the first rules that do."""
    worst: dict[str, tuple[Check, Held]] = {}
    for check in checks:
        drawn = held(check)
        if drawn is None:
            continue
        if check.title not in worst or check.verdict.rank > worst[check.title][0].verdict.rank:
            worst[check.title] = (check, drawn)
    holding = 0
    for check, drawn in worst.values():
        if check.verdict is Verdict.PASS:
            holding += check.group == "rules"
            if holding > _HOLDING or check.group != "rules":
                continue
        yield check, drawn


def said(check: Check) -> str:
    """What the rows prove, in a few words."""
    if check.outcome == "inconclusive":
        return f"undecided; about {about(check.needed)} rows would settle it" if check.needed else "undecided"
    words = {"superior": "better", "non-inferior": "within the limit", "worse": "worse than allowed"}
    if check.outcome is not None:
        return words[check.outcome]
    return {Verdict.PASS: "met", Verdict.WARN: "not proven", Verdict.FAIL: "missed"}.get(check.verdict, "undecided")


def about(count: int) -> str:
    """Two significant digits, rounded up: it is an estimate."""
    size = max(0, len(str(count)) - 2)
    return f"{-(-count // 10**size) * 10**size:,}"
