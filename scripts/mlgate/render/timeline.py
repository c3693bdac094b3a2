"""The looks of a rollout as its steps: when each began, what both models did in it, and what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from statistics import median_low
from typing import Literal, NamedTuple

from mlgate.model import ArmSeen, Evidence, Look, Verdict
from mlgate.render import details, numbers
from mlgate.render.sentences import sentence

Kind = Literal["start", "weight", "all", "end"]

_MOST = 10**15  # of anything that is counted
_SLOWEST = 1e12  # milliseconds
_STAGES: dict[str, Kind] = {
    **dict.fromkeys(("begun", "start", "starting", "checking"), "start"),
    **dict.fromkeys(("promote", "promoting", "settling", "keeping", "complete"), "all"),
    **dict.fromkeys(("roll back", "turning", "leaving", "aborted", "failed", "judged"), "end"),
}

_WORDS = {
    "checked": "passed its checks, before any traffic",
    "all traffic": "all traffic goes to it",
    "judged": "tried beside stable, without traffic",
}

_Clock = Callable[[datetime | None, str], str]

Arm = Literal["canary", "stable"]
ARMS: tuple[Arm, Arm] = ("canary", "stable")


class Sum(NamedTuple):
    """What one arm did in a step."""

    requests: int
    errors: int
    p95: float | None  # milliseconds: of the looks' own, the middle one

    @property
    def said(self) -> str:
        """`668 requests, 2 errors (0.30 %)`."""
        share = f" ({numbers.percent(self.errors / self.requests)})" if self.errors else ""
        return f"{numbers.count(self.requests, 'request')}, {numbers.count(self.errors, 'error')}{share}"


class Happened(NamedTuple):
    """One event. `number` counts from 1 over the whole rollout."""

    number: int
    at: datetime | None
    clock: str
    text: str
    tone: str  # a verdict, or ""


class Step(NamedTuple):
    """Looks that belong together: the start, one weight, the end."""

    kind: Kind
    name: str
    weight: float  # percent
    clock: str  # when it began
    took: str
    tone: str
    canary: Sum | None
    stable: Sum | None
    happened: tuple[Happened, ...]

    def arm(self, name: Arm) -> Sum | None:
        return self.canary if name == "canary" else self.stable


class Point(NamedTuple):
    """One look. `at` never goes back, and is None where no look has a time that can be read."""

    at: datetime | None
    weight: float
    stage: int  # of which step it is
    canary: ArmSeen | None
    stable: ArmSeen | None

    def arm(self, name: Arm) -> ArmSeen | None:
        return self.canary if name == "canary" else self.stable


class Course(NamedTuple):
    """A whole rollout, oldest first."""

    points: tuple[Point, ...]
    steps: tuple[Step, ...]
    zone: str  # what the clocks say: `21 November 2026, UTC`
    incomplete: bool  # some looks were left out: what is counted is of those that are there

    @property
    def last_first(self) -> tuple[Step, ...]:
        return tuple(reversed(self.steps))

    @property
    def weights(self) -> list[float]:
        """Each weight once, in the order in which they came."""
        found: list[float] = []
        for point in self.points:
            if not found or found[-1] != point.weight:
                found.append(point.weight)
        return found

    @property
    def way(self) -> str:
        """`0 % → 5 % → 25 % → 0 %`."""
        shown = [numbers.points(weight) for weight in self.weights]
        return " → ".join(shown if len(shown) <= 9 else [*shown[:4], "…", *shown[-4:]])

    @property
    def took(self) -> str:
        first, last = self.points[0].at, self.points[-1].at
        return "" if first is None or last is None else details.seconds((last - first).total_seconds())

    def total(self, name: Arm) -> Sum | None:
        sums = [found for step in self.steps if (found := step.arm(name)) is not None]
        return Sum(sum(s.requests for s in sums), sum(s.errors for s in sums), None) if sums else None


def course(evidence: Evidence) -> Course | None:
    """None for evidence without a timeline."""
    looks = evidence.timeline
    if not looks:
        return None
    times = _times(looks)
    days = {at.date() for at in times if at is not None}
    stages = list(_stages(looks))
    points = tuple(_points(looks, times, stages, sticky=_by_callers(evidence)))
    clock = partial(_clock, dated=len(days) > 1)
    steps: list[Step] = []
    before: Point | None = None
    numbered = 0
    for _, mine in groupby(zip(looks, points, strict=True), key=lambda pair: pair[1].stage):
        pairs = list(mine)
        happened = list(_happened(evidence, pairs, numbered, clock))
        steps.append(_step(evidence, pairs, before, happened, clock))
        before, numbered = pairs[-1][1], numbered + len(happened)
    left = {at for at, one in enumerate(steps[:-1]) if one.kind == "weight" and steps[at + 1].weight > one.weight}
    # What held a step that was left for the next one is over.
    steps = [one._replace(tone="") if at in left else one for at, one in enumerate(steps)]
    shown = [f"{day.day} {day:%B %Y}" for day in sorted(days)]
    zone = f"{' to '.join(dict.fromkeys([shown[0], shown[-1]]))}, UTC" if shown else ""
    return Course(points, tuple(steps), zone, _thinned(evidence, steps))


def levels(points: Sequence[Point]) -> Iterator[tuple[datetime, float]]:
    """When the weight became what: a step begins right after the look that decided it, not at its own first look."""
    before: Point | None = None
    for point in points:
        if point.at is None:
            continue
        if before is None or point.weight != before.weight:
            looked = point.canary is not None or point.stable is not None
            yield (before.at if before is not None and before.at is not None and looked else point.at), point.weight
        before = point


# -- looks -------------------------------------------------------------------------------------------------------------


def _times(looks: Sequence[Look]) -> list[datetime | None]:
    """Their times; what cannot be read, or goes back, is as late as the look before it."""
    found = [_time(look.at) for look in looks]
    latest = next((at for at in found if at is not None), None)
    times: list[datetime | None] = []
    for at in found:
        latest = at if at is not None and latest is not None and at > latest else latest
        times.append(latest)
    return times


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _stages(looks: Sequence[Look]) -> Iterator[int]:
    """Which step each look belongs to. What was found before any traffic belongs to the start."""
    stage, key = -1, None
    for look in looks:
        mine: tuple[str, float] = (_STAGES.get(look.step, "weight"), _weight(look))
        if mine[0] != "weight":
            mine = (mine[0], 0.0)
        if look.event == "checked" and look.canary is None and key == ("start", 0.0):
            mine = key
        if mine != key:
            stage, key = stage + 1, mine
        yield stage


def _weight(look: Look) -> float:
    return min(100.0, max(0.0, look.weight))


def _points(
    looks: Sequence[Look], times: Sequence[datetime | None], stages: Sequence[int], *, sticky: bool
) -> Iterator[Point]:
    """`sticky`: each look says what its whole step has seen, and here it says what came since the look before."""
    before: tuple[int, ArmSeen | None, ArmSeen | None] = (-1, None, None)
    for look, at, stage in zip(looks, times, stages, strict=True):
        canary, stable = _bounded(look.canary), _bounded(look.stable)
        kept = (stage, canary, stable)
        if sticky and before[0] == stage:
            canary, stable = _since(canary, before[1]), _since(stable, before[2])
        # A weight that is being set is not had yet where the look only tells what was found before it.
        weight = (
            0.0 if look.event == "checked" and canary is None and _is_start(looks, stages, stage) else _weight(look)
        )
        yield Point(at, weight, stage, canary, stable)
        before = kept


def _is_start(looks: Sequence[Look], stages: Sequence[int], stage: int) -> bool:
    return _STAGES.get(looks[stages.index(stage)].step) == "start"


def _bounded(arm: ArmSeen | None) -> ArmSeen | None:
    if arm is None:
        return None
    requests = min(_MOST, max(0, arm.requests))
    return ArmSeen(
        requests=requests,
        errors=min(requests, max(0, arm.errors)),
        latency_p50_ms=_latency(arm.latency_p50_ms, requests),
        latency_p95_ms=_latency(arm.latency_p95_ms, requests),
        latency_p99_ms=_latency(arm.latency_p99_ms, requests),
    )


def _latency(value: float | None, requests: int) -> float | None:
    return None if value is None or not requests else min(_SLOWEST, max(0.0, value))


def _since(now: ArmSeen | None, before: ArmSeen | None) -> ArmSeen | None:
    if now is None or before is None:
        return now
    requests = max(0, now.requests - before.requests)
    return now.model_copy(update={"requests": requests, "errors": min(requests, max(0, now.errors - before.errors))})


def _by_callers(evidence: Evidence) -> bool:
    return any(c.id == "rollout.requests" and c.title.startswith("callers") for c in evidence.checks)


def _thinned(evidence: Evidence, steps: Sequence[Step]) -> bool:
    """Whether the running step's looks count fewer requests than the judge did."""
    running = [step.canary.requests for step in steps if step.kind == "weight" and step.canary is not None]
    counted = [c.observed for c in evidence.checks if c.id == "rollout.requests" and isinstance(c.observed, float)]
    return bool(running and counted) and not _by_callers(evidence) and running[-1] < counted[0]


# -- steps -------------------------------------------------------------------------------------------------------------


def _happened(
    evidence: Evidence, pairs: Sequence[tuple[Look, Point]], numbered: int, clock: _Clock
) -> Iterator[Happened]:
    for look, point in pairs:
        if look.event:
            numbered += 1
            yield Happened(numbered, point.at, clock(point.at, look.at), _said(look, evidence), _tone(look))


def _step(
    evidence: Evidence,
    pairs: Sequence[tuple[Look, Point]],
    before: Point | None,
    happened: Sequence[Happened],
    clock: _Clock,
) -> Step:
    looks, mine = [look for look, _ in pairs], [point for _, point in pairs]
    kind = _STAGES.get(looks[0].step, "weight")
    weight = mine[-1].weight
    seen = any(point.canary is not None or point.stable is not None for point in mine)
    began = before.at if before is not None and seen else mine[0].at
    ended = mine[-1].at
    if kind == "end" and happened:
        happened = [one._replace(tone=one.tone or evidence.verdict.value) for one in happened]
        happened = [one._replace(tone=evidence.verdict.value) if one.tone == "fail" else one for one in happened]
    return Step(
        kind=kind,
        name=_name(kind, weight, looks, evidence),
        weight=weight,
        clock=clock(began, looks[0].at),
        took="" if began is None or ended is None else details.seconds((ended - began).total_seconds()),
        tone=_worst(happened),
        canary=_sum([point.canary for point in mine]),
        stable=_sum([point.stable for point in mine]),
        happened=tuple(happened),
    )


def _sum(arms: Sequence[ArmSeen | None]) -> Sum | None:
    seen = [arm for arm in arms if arm is not None]
    if not seen:
        return None
    # Quantiles cannot be added up. The middle one is what the arm mostly did, and no single slow look decides it.
    slow = [arm.latency_p95_ms for arm in seen if arm.latency_p95_ms is not None]
    return Sum(sum(arm.requests for arm in seen), sum(arm.errors for arm in seen), median_low(slow) if slow else None)


def _name(kind: str, weight: float, looks: Sequence[Look], evidence: Evidence) -> str:
    if kind == "start":
        return "Start"
    if kind == "weight":
        return numbers.points(weight)
    if kind == "all":
        return "All traffic" if weight else "Done"
    return "Turned back" if any(look.event.startswith("turned back") for look in looks) else "End"


def _said(look: Look, evidence: Evidence) -> str:
    text = look.event.strip()
    taken = evidence.facts.get("seconds_to_zero")
    if text == "no traffic left" and isinstance(taken, float):
        text = f"no traffic left, {details.seconds(max(0.0, taken))} after the decision"
    text = _WORDS.get(text, text)
    return sentence(text[:1].upper() + text[1:])


def _tone(look: Look) -> str:
    text = look.event.lower()
    if text.startswith(("turned back", "a rule is broken")):
        return Verdict.FAIL.value
    if text.startswith("held"):
        return Verdict.INCONCLUSIVE.value
    return Verdict.PASS.value if text in ("complete", "all traffic", "judged") else ""


def _worst(happened: Sequence[Happened]) -> str:
    tones = [Verdict(one.tone) for one in happened if one.tone]
    return max(tones, key=lambda tone: tone.rank).value if tones else ""


def _clock(at: datetime | None, raw: str, *, dated: bool) -> str:
    if at is None:
        return raw
    return f"{at:%m-%d %H:%M:%S}" if dated else f"{at:%H:%M:%S}"
