"""A rollout drawn over time: the weight, the requests of each arm, the errors among them, and the latency of each arm.

All panels share one axis of time, and what happened is marked through all of them. Only shapes and words are made here;
colours are the page's. Looks without a request show as a dot on the ground line, and no line is drawn through them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from mlgate.render import panels
from mlgate.render.panels import Across, Frame, Panel, Tick
from mlgate.render.timeline import ARMS, Course, Happened, Point

WIDE = 860.0
_HEAD = 24.0  # room for the marks
_GAP = 34.0  # between panels, for the title of the next
_PANEL = {"weight": 64.0, "requests": 64.0, "errors": 74.0, "latency": 84.0}
_NEAR = 17.0  # marks that are closer than this are one
_MOST = 400  # looks that are drawn


class Mark(NamedTuple):
    """What happened at a moment: the numbers of its lines in the table."""

    x: float
    half: float  # of its width
    text: str
    tone: str


class Drawn(NamedTuple):
    """`said` is the same in words."""

    high: float
    said: str
    panels: tuple[Panel, ...]
    across: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    latency: bool
    silent: bool  # some look had no request


def draw(found: Course) -> Drawn | None:
    """None where there is nothing over time: no time that can be read, or a model that had no share of the traffic,
    or all of it at once."""
    points = _few(found.points)
    first, last = found.points[0].at, found.points[-1].at
    if first is None or last is None or not any(step.kind == "weight" and step.weight for step in found.steps):
        return None
    across = _across(first, last)
    top = _HEAD + 18.0
    drawn: list[Panel] = []
    kinds: list[tuple[str, Callable[[Frame], Panel]]] = [("weight", partial(panels.weight, found))]
    for arm in ARMS:
        if any((seen := point.arm(arm)) is not None and seen.requests for point in points):
            kinds.append(("requests", partial(panels.requests, found, points, arm)))
    if any((total := found.total(arm)) is not None and total.errors for arm in ARMS):
        kinds.append(("errors", partial(panels.errors, points)))
    scale = panels.latency_scale(points)
    if scale is not None:
        for arm in ARMS:
            if any(panels.slow(arm, point) is not None for point in points):
                kinds.append(("latency", partial(panels.latency, points, arm, scale)))
    for kind, make in kinds:
        drawn.append(make(Frame(across, top, top + _PANEL[kind])))
        top += _PANEL[kind] + _GAP
    return Drawn(
        high=top - _GAP + 22.0,
        said=_words(found),
        panels=tuple(drawn),
        across=tuple(across.ticks()),
        marks=tuple(_marks(found, across)),
        latency=scale is not None,
        silent=any(p.arm(arm) is not None and not panels.asked(p, arm) for p in points for arm in ARMS),
    )


def _words(found: Course) -> str:
    sums = [f"{arm}: {seen.said}" for arm in ARMS if (seen := found.total(arm)) is not None]
    first, last = found.points[0].at, found.points[-1].at
    assert first is not None and last is not None  # noqa: S101, PT018 -- asked by the only caller
    return "; ".join([f"Weight of the canary {found.way} from {first:%H:%M:%S} to {last:%H:%M:%S} UTC", *sums])


def _few(points: Sequence[Point]) -> list[Point]:
    """So many that they can be told apart."""
    every = math.ceil(len(points) / _MOST)
    return list(points[::every])


# -- time --------------------------------------------------------------------------------------------------------------


def _across(first: datetime, last: datetime) -> Across:
    return Across(first, max(2.0, (last - first).total_seconds()))


def _marks(found: Course, across: Across) -> Iterator[Mark]:
    """Of what happened close together there is one mark, with the numbers of all of it."""
    near: list[tuple[float, Happened]] = []
    for one in (one for step in found.steps for one in step.happened):
        if one.at is None:
            continue
        x = across(one.at)
        if near and x - near[0][0] >= _NEAR + 7.0 * (len(near) > 1):
            yield _mark(near)
            near = []
        near.append((x, one))
    if near:
        yield _mark(near)


def _mark(near: Sequence[tuple[float, Happened]]) -> Mark:
    first, last = near[0][1].number, near[-1][1].number
    text = str(first) if first == last else f"{first}–{last}"
    order = ("fail", "error", "inconclusive", "pass", "warn", "")
    tone = min((one.tone for _, one in near), key=order.index)
    x = near[0][0] if len(near) == 1 else round((near[0][0] + near[-1][0]) / 2, 1)
    half = round(max(9.0, 4.0 + 3.6 * len(text)), 1)
    return Mark(min(x, WIDE - half - 1), half, text, tone)
