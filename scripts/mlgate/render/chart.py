"""The allowed margin against what was measured, on one axis for every rule: the champion at 0, the limit at 1.

For rules without intervals; `interval` draws the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlgate.model import Check
from mlgate.render import cells, escape, numbers, sentences

_TELLING = 0.5  # below half of the margin there is nothing to see
_LEFT, _ROOM, _RIGHT = 12, 20, 16  # columns: better than the champion, allowed, beyond the limit
_SIZE = _LEFT + _ROOM + _RIGHT
_NAME = 32
_MOST = 12


class _Bar(NamedTuple):
    check: Check
    used: float


def text(checks: Sequence[Check]) -> str:
    """A chart in text, or "" when it would say no more than the table does."""
    closest: dict[str, _Bar] = {}
    for check in checks:
        bar = _bar(check)
        if bar is not None and (check.title not in closest or bar.used > closest[check.title].used):
            closest[check.title] = bar  # a metric with several rules is drawn for the one it comes closest to
    bars = list(closest.values())
    if not any(bar.used >= _TELLING for bar in bars):
        return ""
    bars = bars[:_MOST]
    names = [cells.cut(escape.visible(bar.check.title), _NAME) for bar in bars]
    widest = max(map(cells.of, names))
    head = " " * (widest + 2 + _LEFT - 4) + "champion" + "limit".rjust(_ROOM - 1)
    lines = [f"{cells.pad(name, widest)}  {_track(bar)}  {_said(bar)}" for name, bar in zip(names, bars, strict=True)]
    return "\n".join(line.rstrip() for line in [head, *lines])


def _bar(check: Check) -> _Bar | None:
    used = sentences.used(check)
    if used is None or check.limit is None or not isinstance(check.champion, float):
        return None
    return _Bar(check, used)


def _track(bar: _Bar) -> str:
    track = [" "] * _LEFT + ["├", *"─" * (_ROOM - 1), "┤"] + [" "] * (_RIGHT - 1)
    at = _column(bar.used)
    track[at] = "◀" if at == 0 else "▶" if at == _SIZE - 1 else "●"
    return "".join(track)


def _column(used: float) -> int:
    return max(0, min(_SIZE - 1, _LEFT + round(used * _ROOM)))


def _said(bar: _Bar) -> str:
    if bar.used < 0:
        return "better than the champion"
    if bar.used == 0:
        return "equal to the champion"
    if bar.used > 1 and numbers.percent(bar.used).startswith("100"):
        return "just over what is allowed"
    if bar.used >= 10:
        return f"{bar.used:,.0f} times what is allowed"
    return f"{numbers.percent(bar.used)} of what is allowed"
