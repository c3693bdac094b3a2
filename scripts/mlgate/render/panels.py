"""The panels of a drawn rollout: the weight, requests, errors, latency. Shapes and words in units of the drawing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import NamedTuple

from mlgate.render import numbers, scales
from mlgate.render.scales import Scale
from mlgate.render.timeline import ARMS, Arm, Course, Point, levels

LEFT, RIGHT = 58.0, 846.0  # of the field inside the axes
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 31_536_000, 315_360_000),
)  # seconds between two ticks

_Values = tuple[float, ...]
_At = tuple[datetime, _Values]


class Across(NamedTuple):
    first: datetime
    seconds: float

    def __call__(self, at: datetime) -> float:
        share = (at - self.first).total_seconds() / self.seconds
        return round(LEFT + min(1.0, max(0.0, share)) * (RIGHT - LEFT), 1)

    def ticks(self) -> Iterator[Tick]:
        """Round times, each with as much of it as tells it from the others."""
        step = next((s for s in _STEPS if self.seconds / s <= 8), _STEPS[-1])
        form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%Y-%m-%d"
        start = self.first.timestamp()
        day = None
        end = min(start + self.seconds, datetime.max.replace(tzinfo=UTC).timestamp() - 1)
        for number in range(math.ceil(start / step), math.floor(end / step) + 1):
            at = datetime.fromtimestamp(number * step, UTC)
            text = f"{at:{form}}"
            if 60 <= step < 86_400 and self.seconds > 86_400 and at.date() != day:
                text = f"{at:%m-%d} {text}"
            day = at.date()
            x = self(at)
            yield Tick(x, text, "end" if x > RIGHT - 26 else "middle")


class Frame(NamedTuple):
    """Where a panel is drawn."""

    across: Across
    top: float
    bottom: float

    def y(self, share: float) -> float:
        return round(self.bottom - min(1.0, max(0.0, share)) * (self.bottom - self.top), 1)


class Tick(NamedTuple):
    at: float
    text: str
    anchor: str = "middle"


class Shape(NamedTuple):
    """A path. `width`: of its stroke, where the style does not say."""

    style: str
    path: str
    width: float = 0.0


class Panel(NamedTuple):
    title: str
    note: str  # at its right: what it comes to
    frame: Frame
    upward: tuple[Tick, ...]
    shapes: tuple[Shape, ...]
    labels: tuple[tuple[float, float, str], ...] = ()  # x, y, text


def weight(found: Course, frame: Frame) -> Panel:
    def y(percent: float) -> float:
        return frame.y(percent / 100)

    bottom = frame.bottom
    path = f"M{LEFT:g} {bottom:g}"
    labels: list[tuple[float, float, str]] = []
    free = 0.0
    before: tuple[float, float] | None = None
    for at, share in levels(found.points):
        x = frame.across(at)
        path += f"H{x:g}V{y(share):g}"
        text = numbers.points(share)
        if share and x >= free and (before is None or share != before[1]):
            wide = 7.0 * len(text) + 8
            labels.append((min(x + 4, RIGHT - wide), max(frame.top + 11, y(share) - 4), text))
            free = x + wide
        before = (x, share)
    last = found.points[-1].at
    end = frame.across(last) if last is not None else RIGHT
    ticks = tuple(Tick(y(share), f"{share:g}{numbers.THIN}%") for share in (0.0, 50.0, 100.0))
    shapes = (Shape("area canary", f"{path}H{end:g}V{bottom:g}Z"), Shape("curve canary", f"{path}H{end:g}"))
    return Panel("Share of the traffic that the canary gets", "", frame, ticks, shapes, tuple(labels))


def requests(found: Course, points: Sequence[Point], arm: Arm, frame: Frame) -> Panel:
    seen = [(frame.across(p.at), look) for p in points if p.at is not None and (look := p.arm(arm)) is not None]
    most = max(look.requests for _, look in seen)
    ticks = scales.upward(float(most))
    high = ticks[-1]
    width = _bar([x for x, _ in seen])

    bottom = frame.bottom

    def up(count: float) -> float:
        return round(bottom - frame.y(count / high), 1)

    bars = "".join(f"M{x:g} {bottom:g}v-{max(1.0, up(look.requests)):g}" for x, look in seen if look.requests)
    none = "".join(f"M{x:g} {bottom - 2:g}h0.01" for x, look in seen if not look.requests)
    shapes = [Shape(f"bar {arm}", bars, width), Shape("none", none)]
    total = found.total(arm)
    return Panel(
        title=f"Requests of {'the canary' if arm == 'canary' else 'stable'} in each look",
        note=total.said if total is not None else "",
        frame=frame,
        upward=tuple(Tick(frame.y(tick / high), f"{tick:,.0f}") for tick in ticks),
        shapes=tuple(shape for shape in shapes if shape.path),
    )


def errors(points: Sequence[Point], frame: Frame) -> Panel:
    """The share of errors in each look: of both arms on one scale, because that is how they are compared."""

    def failing(arm: Arm, point: Point) -> _Values | None:
        seen = point.arm(arm)
        return (100 * seen.errors / seen.requests,) if seen is not None and seen.requests else None

    runs = {arm: list(_runs(points, arm, partial(failing, arm))) for arm in ARMS}
    most = max((values[0] for arm in ARMS for run in runs[arm] for _, values in run), default=0.0) or 1.0
    ticks = [0.0, most / 2, most] if most < 1 else [min(100.0, tick) for tick in scales.upward(most)]

    def y(share: float) -> float:
        return frame.y(share / ticks[-1])

    shapes = []
    for arm in reversed(ARMS):
        path = ""
        for run in runs[arm]:
            path += "M" + "L".join(f"{frame.across(at):g} {y(values[0]):g}" for at, values in run)
            path += "h0.01" if len(run) == 1 else ""
        shapes.append(Shape(f"curve {arm}", path))
    shown = numbers.together(*(float(f"{tick:.2g}") for tick in ticks))
    return Panel(
        title="Errors, as a share of the requests in each look",
        note="",
        frame=frame,
        upward=tuple(Tick(y(tick), f"{text}{numbers.THIN}%") for tick, text in zip(ticks, shown, strict=True)),
        shapes=tuple(shape for shape in shapes if shape.path),
    )


def _bar(xs: Sequence[float]) -> float:
    gaps = [b - a for a, b in itertools.pairwise(xs) if b > a]
    return round(min(8.0, max(1.5, 0.7 * median(gaps))), 1) if gaps else 8.0


def asked(point: Point, arm: Arm) -> int:
    seen = point.arm(arm)
    return 0 if seen is None else seen.requests


def slow(arm: Arm, point: Point) -> _Values | None:
    """p50, p95 and p99 of a look, None without a request."""
    seen = point.arm(arm)
    if seen is None or not seen.requests:
        return None
    p50, p95, p99 = seen.latency_p50_ms, seen.latency_p95_ms, seen.latency_p99_ms
    return None if p50 is None or p95 is None or p99 is None else (p50, p95, p99)


def latency_scale(points: Sequence[Point]) -> Scale | None:
    every = [three for point in points for arm in ARMS if (three := slow(arm, point)) is not None]
    if not every:
        return None
    return scales.of([three[1] for three in every], min(map(min, every)), max(map(max, every)))


def latency(points: Sequence[Point], arm: Arm, scale: Scale, frame: Frame) -> Panel:
    def y(value: float) -> float:
        return frame.y(scale.share(value))

    lines = {"p50": "", "p95": "", "p99": ""}
    band = ""
    for run in _runs(points, arm, partial(slow, arm)):
        at = [(frame.across(when), three) for when, three in run]
        for number, name in enumerate(lines):
            lines[name] += "M" + "L".join(f"{x:g} {y(three[number]):g}" for x, three in at)
            lines[name] += "h0.01" if len(at) == 1 else ""
        there = "L".join(f"{x:g} {y(three[1]):g}" for x, three in at)
        back = "L".join(f"{x:g} {y(three[0]):g}" for x, three in reversed(at))
        band += f"M{there}L{back}Z" if len(at) > 1 else ""
    shapes = [Shape(f"area {arm}", band), *(Shape(f"curve {arm} {name}", path) for name, path in lines.items())]
    shown = numbers.together(*scale.ticks) if not scale.logarithmic else [numbers.show(tick) for tick in scale.ticks]
    return Panel(
        title=f"Latency of {'the canary' if arm == 'canary' else 'stable'}, ms",
        note="logarithmic" if scale.logarithmic else "",
        frame=frame,
        upward=tuple(Tick(y(tick), text) for tick, text in zip(scale.ticks, shown, strict=True)),
        shapes=tuple(shape for shape in shapes if shape.path),
    )


def _runs(points: Sequence[Point], arm: Arm, measured: Callable[[Point], _Values | None]) -> Iterator[list[_At]]:
    """Looks in a row, of one weight, in each of which something was measured."""
    run: list[_At] = []
    stage = -1
    for point in points:
        if point.arm(arm) is None or point.at is None:
            continue
        values = measured(point)
        if run and (values is None or point.stage != stage):
            yield run
            run = []
        if values is not None:
            run.append((point.at, values))
        stage = point.stage
    if run:
        yield run
