"""What the router's log says, and whether all of it is there. Nothing here is I/O.

Each request is a line of the log, with the server that answered at last. Who had it before, when it was sent on to
another server, only the router's counters know: what they grew by in a window is charged to that slot as errors. The
counters also say how many lines there should be.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Tally, refused
from mlgate.rollout.targets.docker_parts.haproxy import Counted

_FAILED = frozenset("sSDK")  # the server gave up, took too long, went down, or was cut off
_LEFT = frozenset("Cc")  # the caller did
_FAR = 600.0  # seconds before a window in which lines are not counted for it any more


class Entry(NamedTuple):
    """One request; times in seconds since 1970."""

    begin: float
    end: float
    seconds: float  # until the answer began, or the request was given up
    slot: str  # empty: no server was there
    status: int
    ended: str  # HAProxy's two letters
    retries: int
    sent_on: bool
    unit: str
    looks: bool = False  # it asks how the server is, and for no prediction


def entry(line: str) -> Entry | None:
    """A line of the router's log; None for what is no request."""
    if not line.startswith('{"b":"'):
        return None
    try:
        told = json.loads(line)
        begin, end = int(told["b"]) / 1e6, int(told["e"]) / 1e6
        answered = told["a"]
        at = int(answered) / 1e6 if answered.isdigit() else end
        server, retries, status = told["s"], told["r"], int(told["c"])
        slot = "" if server.startswith("<") else server.rpartition("-")[0]
        unit = told["u"] if told["u"] != "-" else ""
        return Entry(
            begin, end, max(at - begin, 0.0), slot, status, told["t"], int(retries.lstrip("+")),
            retries.startswith("+"), unit, told.get("w") == "1",
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # a request that was never understood has no times


def tallies(
    entries: Iterable[Entry],
    slots: Sequence[str],
    *,
    timeout: float,
    sent_on: Mapping[str, int],
    scores: Mapping[str, Histogram | None],
    sticky: bool,
) -> dict[str, Tally]:
    """Of the requests of one window. `sent_on`: how many more each slot lost to another one."""
    count: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    turned_away: Counter[str] = Counter()
    times: dict[str, Counter[int]] = {slot: Counter() for slot in slots}
    units: dict[str, set[str]] = {slot: set() for slot in slots}
    bad_units: dict[str, set[str]] = {slot: set() for slot in slots}
    for number, one in enumerate(entries):
        slot = one.slot
        if slot not in times or one.looks:
            continue
        failed = (
            one.seconds >= timeout  # a caller who left before that may have been in a hurry
            if one.ended[:1] in _LEFT and one.status < 500
            else one.status >= 500 or one.status < 100 or one.ended[:1] in _FAILED
        )
        count[slot] += 1
        bad[slot] += failed
        turned_away[slot] += refused(one.status)
        times[slot][bins.latency(one.seconds)] += 1
        if sticky:
            unit = one.unit or f"#{number}"
            units[slot].add(unit)
            if failed:
                bad_units[slot].add(unit)
    return {
        slot: Tally(
            requests=count[slot] + sent_on.get(slot, 0), errors=bad[slot] + sent_on.get(slot, 0),
            times=Histogram(dict(times[slot])), scores=scores.get(slot),
            units=len(units[slot]) + sent_on.get(slot, 0) if sticky else None,
            bad_units=len(bad_units[slot]) + sent_on.get(slot, 0) if sticky else None, refused=turned_away[slot],
        )
        for slot in slots
    }  # fmt: skip


class Scored(NamedTuple):
    """One prediction, and the bin of its score."""

    at: float
    bin: int | None


def scored(line: str) -> Scored | None:
    """A line of the prediction log; None for what is none."""
    if not line.startswith("{") or '"prediction"' not in line:
        return None
    try:
        told: dict[str, Any] = json.loads(line)
        at = datetime.fromisoformat(told["time"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return None
    value = next((v for v in (told.get("score"), told.get("prediction")) if isinstance(v, str | int | float)), None)
    return Scored(at, None if value is None else bins.score(value))


def scores(found: Sequence[Scored], since: float, until: float) -> Histogram | None:
    """None where there is not one prediction, which then are logged elsewhere."""
    if not found:
        return None
    return Histogram(dict(Counter(one.bin for one in found if since <= one.at < until and one.bin is not None)))


# -- whether all of it is there ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """What a process of the router had counted at a time, as it is kept beside the state."""

    before: float
    after: float
    process: tuple[int, int]  # when it began, and its number
    answers: int
    dropped: int
    sent_on: Mapping[str, int]  # by server

    @classmethod
    def of(cls, told: Counted) -> Snapshot:
        sent = {name: many for name, many in told.sent_on.items() if many}
        return cls(told.before, told.after, (told.began, told.process), told.answers, told.dropped, sent)

    def to_json(self) -> str:
        return json.dumps(
            [self.before, self.after, *self.process, self.answers, self.dropped, dict(self.sent_on)],
            separators=(",", ":"),
        )

    @classmethod
    def read(cls, text: str) -> Iterator[Snapshot]:
        """Every whole line."""
        for line in text.splitlines():
            try:
                before, after, began, process, answers, dropped, sent = json.loads(line)
            except ValueError:
                continue
            yield cls(before, after, (began, process), answers, dropped, sent)


@dataclass(frozen=True)
class Whole:
    """Sums over all processes of the router, up to one moment."""

    before: float
    after: float
    answers: int = 0
    dropped: int = 0
    sent_on: Mapping[str, int] = field(default_factory=dict)  # by slot


def summed(snapshots: Iterable[Snapshot]) -> list[Whole]:
    """Counters that never go back, oldest first; the first stands for the beginning of the first process."""
    ordered = sorted(snapshots, key=lambda one: one.before)
    if not ordered:
        return []
    began = float(ordered[0].process[0])
    found = [Whole(began, began)]
    last: Snapshot | None = None
    for one in ordered:
        same = last is not None and last.process == one.process
        known = last if same and last is not None else Snapshot(0, 0, one.process, 0, 0, {})
        total = found[-1]
        sent = Counter(total.sent_on)
        for server, many in one.sent_on.items():
            grown = many - known.sent_on.get(server, 0)
            # One that was taken out of a running router and put back counts from nothing again.
            sent[server.rpartition("-")[0]] += grown if grown >= 0 else many
        found.append(
            Whole(
                one.before, one.after, total.answers + max(one.answers - known.answers, 0),
                total.dropped + max(one.dropped - known.dropped, 0), sent,
            )
        )  # fmt: skip
        last = one
    return found


@dataclass(frozen=True)
class Checked:
    """`sent_on`: how many requests of the window each slot lost to another. `why` is empty where nothing is missing."""

    sent_on: Mapping[str, int]
    why: str = ""


def reach(wholes: Sequence[Whole], since: float) -> float:
    """From when on lines have to be read, so that those of a window can be counted."""
    start = _start(wholes, since)
    return min(since, start.before) if start else since


def _start(wholes: Sequence[Whole], since: float) -> Whole | None:
    """The last moment before a window; one within it, where the router was asked for nothing for long before."""
    before = [one for one in wholes if one.after <= since and since - one.before <= _FAR]
    return before[-1] if before else next((one for one in wholes if one.after > since), None)


def checked(wholes: Sequence[Whole], entries: Sequence[Entry], since: float, until: float) -> Checked:
    """`entries`: all since `reach`; the last of `wholes` was counted after all of them were read... or before."""
    if not wholes:
        return Checked({}, "The router has never said what it counted.")
    end = wholes[-1]
    start = _start(wholes, since) or end
    why = ""
    lost = end.answers - start.answers - sum(
        1 for one in entries if start.before < one.end <= end.after and one.status >= 100
    )  # fmt: skip
    if end.dropped > start.dropped:
        lost = end.dropped - start.dropped
        why = f"The router could not write {lost} {'line' if lost == 1 else 'lines'} of its log."
    elif lost > 0:
        why = f"{lost} of {end.answers - start.answers} requests that the router counted are not in its log."
    inside = [one for one in entries if since <= one.begin < until]
    none = sum(1 for one in inside if not one.slot and one.status == 503)
    if none:
        why = why or f"{none} requests found no server that was up."
    switched = [one for one in inside if one.sent_on]
    if not switched:
        return Checked({}, why)
    earlier = [one for one in wholes if one.after <= since] or [wholes[0]]
    grown = {slot: many - earlier[-1].sent_on.get(slot, 0) for slot, many in end.sent_on.items()}
    grown = {slot: many for slot, many in grown.items() if many > 0}
    if sum(grown.values()) < len(switched):
        why = why or (
            f"{len(switched)} requests were sent on to another server, and the router was started again before it "
            "said whose they were."
        )
    most = sum(max(one.retries, 1) for one in switched)
    return Checked({slot: min(many, most) for slot, many in grown.items()}, why)
