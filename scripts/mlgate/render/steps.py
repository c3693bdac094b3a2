"""The steps of a rollout as page, Markdown and terminal list them: the last first, or for a terminal as they came."""

from __future__ import annotations

from typing import NamedTuple

from mlgate.model import Evidence
from mlgate.render import arms, course, details, numbers, timeline
from mlgate.render.timeline import Course, Step, Sum

_BARS = "▁▂▃▄▅▆▇█"
_MOST_EVENTS = 4  # of one step, in one line
_ENDS = {
    "complete": "Complete",
    "judged": "Tried, and taken away",
    "aborted": "Turned back",
    "failed": "Not begun",
}


class Shown(NamedTuple):
    """What one arm did, in words."""

    requests: int
    errors: int
    failed: str  # `no errors`, `12 errors, 9.6 %`
    p95: str  # milliseconds


class Row(NamedTuple):
    step: Step
    took: str
    canary: Shown | None
    stable: Shown | None


class Page(NamedTuple):
    """Of the report."""

    what: str  # rollout | rollback
    course: Course
    drawn: course.Drawn | None
    steps: tuple[Row, ...]
    arms: bool  # any requests were counted
    slow: bool  # any latency was measured


def page(evidence: Evidence) -> Page | None:
    found = timeline.course(evidence)
    if found is None:
        return None
    counted = any(step.canary or step.stable for step in found.steps)
    slow = any(arm is not None and arm.p95 is not None for step in found.steps for arm in (step.canary, step.stable))
    rows = tuple(
        Row(
            step,
            step.took if step.kind != "end" and step.took not in ("", "0.0 s") else "",
            _shown(step.canary),
            _shown(step.stable),
        )
        for step in found.last_first
    )
    return Page(
        "rollback" if evidence.kind == "rollback" else "rollout", found, course.draw(found), rows, counted, slow
    )


def _shown(seen: Sum | None) -> Shown | None:
    return None if seen is None else Shown(seen.requests, seen.errors, failed(seen), latency(seen))


def failed(seen: Sum) -> str:
    """`no errors`, `12 errors, 9.6 %`."""
    if not seen.errors:
        return "no errors"
    return f"{numbers.count(seen.errors, 'error')}, {numbers.percent(seen.errors / seen.requests)}"


def latency(seen: Sum | None) -> str:
    """p95 in milliseconds, as precise as anybody needs it: `12`, `7.3`."""
    if seen is None or seen.p95 is None:
        return ""
    return numbers.fixed(seen.p95, 0) if seen.p95 >= 10 else numbers.show(float(f"{seen.p95:.2g}"))


def facts(evidence: Evidence) -> list[tuple[str, str, str]]:
    """What stands at the head of a rollout: name, value, and what is said below it."""
    if evidence.kind not in arms.KINDS:
        return []
    known = evidence.facts
    text = {name: value for name, value in known.items() if isinstance(value, str)}
    strategy = f"strategy: {text['strategy']}" if "strategy" in text else ""
    outcome = next((c.observed for c in evidence.checks if c.id.endswith(".outcome")), None)
    found = [("Environment", text.get("environment", ""), strategy)]
    if "version" in text or "image" in text:
        digest = numbers.digest(evidence.subject.digest) if evidence.subject is not None else ""
        instead = f"instead of {numbers.short(text['instead_of'])}" if "instead_of" in text else ""
        image = text.get("image", "").partition("@")[0]
        below = ", ".join(part for part in (image, digest if "version" in text else "", instead) if part)
        found.append(("Model", text.get("version") or digest or image, below))
    if isinstance(weight := known.get("weight"), float):
        ended = _ENDS.get(outcome, "") if isinstance(outcome, str) else ""
        found.append(("Its share of the traffic now", numbers.points(weight), ended))
    if isinstance(taken := known.get("seconds_to_zero"), float):
        found.append(("Traffic moved back within", details.seconds(max(0.0, taken)), "of the decision"))
    return [one for one in found if one[1]]


def spark(found: Course, columns: int = 48) -> str:
    """The weight over time in that many columns; a dot where the new model has no traffic. "" without times."""
    first, last = found.points[0].at, found.points[-1].at
    if first is None or last is None or first == last:
        return ""
    line: list[str] = []
    moves = list(timeline.levels(found.points))
    for column in range(columns):
        moment = (last - first).total_seconds() * (column + 0.5) / columns
        weight = next((w for at, w in reversed(moves) if (at - first).total_seconds() <= moment), 0.0)
        line.append("·" if not weight else _BARS[min(7, int(weight / 100 * 8))])
    return "".join(line)


def told(step: Step, headline: str) -> str:
    """What happened in a step, in one line that does not repeat the headline."""
    said: list[str] = []
    holds = [one for one in step.happened if one.tone == "inconclusive"]
    for one in step.happened:
        if one in holds and not step.tone:
            continue  # it is over
        word, colon, rest = one.text.partition(": ")
        if colon and _bare(rest) in _bare(headline):
            text = f"{word}."
        else:  # the name of the step stands before it
            text = f"{rest[:1].upper()}{rest[1:]}" if colon and word == step.name else one.text
        if text not in said and text != f"{step.name}.":
            said.append(text)
    if holds and not step.tone:
        said.insert(0, "Held once." if len(holds) == 1 else f"Held {len(holds)} times.")
    more = len(said) - _MOST_EVENTS
    return " ".join([f"And {more} more before.", *said[-_MOST_EVENTS:]] if more > 0 else said)


def arm(name: str, seen: Sum | None) -> str:
    """`canary 704 (26 errors, 3.7 %; p95 13 ms)`; "" for an arm that was not looked at."""
    if seen is None:
        return ""
    if not seen.requests:
        return f"{name} 0 requests"
    slow = f"; p95 {latency(seen)} ms" if seen.p95 is not None else ""
    return f"{name} {numbers.count(seen.requests, 'request')} ({failed(seen)}{slow})"


def summary(evidence: Evidence, found: Course | None) -> list[str]:
    """What a terminal says below the outcome: `production`, `canary`, `3 min 30 s`, ..."""
    known = evidence.facts
    parts = [value for name in ("environment", "strategy") if isinstance(value := known.get(name), str)]
    if found is not None and found.took:
        parts.append(found.took)
    if isinstance(weight := known.get("weight"), float) and not evidence.title.endswith(f"{weight:g} %"):
        parts.append(f"now at {numbers.points(weight)}")
    if isinstance(taken := known.get("seconds_to_zero"), float):
        parts.append(f"traffic moved back within {details.seconds(max(0.0, taken))}")
    if evidence.source.commit:
        parts.append(f"commit {numbers.commit(evidence.source.commit)}")
    return parts


def _bare(text: str) -> str:
    return text.replace("`", "").strip(" .…").lower()
