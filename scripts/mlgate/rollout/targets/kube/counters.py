"""What pods count of themselves (`/metrics`), as differences between two moments.

Counters only grow, and say nothing of when a request came. So they are read at every look, kept beside the state of
the rollout, and a window is the difference between the first reading at or after its begin and the first at or after
its end: windows that meet count every answered request once, and none of those answered in a time that is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Tally, refused

KEPT = 60  # readings
_LARGEST = 700_000  # characters of all that is kept: a ConfigMap holds a megabyte
_BEYOND = 20.0  # seconds: where times are counted that are longer than the last bound
_ROUTES = frozenset({"/predict", "/invocations", "/v2/infer"})
_LINE = re.compile(r"(?P<name>mlgate_request(?:s_total|_seconds_bucket))\{(?P<labels>[^}]*)\}\s+(?P<value>\S+)\s*\Z")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Page:
    """What one server has counted since it was started."""

    requests: int = 0
    errors: int = 0
    times: Mapping[float, int] = field(default_factory=dict)  # upper bound in seconds (inf: none) -> answers, each once
    refused: int = 0


@dataclass(frozen=True)
class Reading:
    """All servers at one moment. A server is `pod's uid/number of its restarts`: a new one counts from nothing."""

    at: float  # seconds since 1970
    pages: Mapping[str, Mapping[str, Page]]  # slot -> server -> page
    whole: bool = True  # False: a server that was there did not answer
    why: str = ""
    mark: bool = False  # taken when weights were changed, so kept longer


def page(text: str) -> Page | None:
    """Of a server's /metrics. None where it counts nothing that we know."""
    if "mlgate_requests_total" not in text:
        return None
    requests = errors = turned_away = 0
    bounds: dict[str, dict[float, int]] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        labels = dict(_LABEL.findall(found["labels"]))
        if labels.get("route") not in _ROUTES:
            continue
        value = int(float(found["value"]))
        if found["name"] == "mlgate_requests_total":
            requests += value
            errors += value if labels.get("status", "").startswith("5") else 0
            turned_away += value if labels.get("status", "").isdigit() and refused(int(labels["status"])) else 0
        else:
            bounds.setdefault(labels["route"], {})[float(labels.get("le", "inf"))] = value
    times: dict[float, int] = {}
    for cumulative in bounds.values():
        below = 0
        for bound, count in sorted(cumulative.items()):
            times[bound] = times.get(bound, 0) + count - below
            below = count
    return Page(requests, errors, {bound: count for bound, count in times.items() if count}, turned_away)


def tally(begin: Reading, end: Reading, slot: str) -> tuple[Tally, str]:
    """What a slot did between two readings; and what of it is not known, in words."""
    before, after = begin.pages.get(slot, {}), end.pages.get(slot, {})
    requests = errors = turned_away = 0
    counts: dict[int, int] = {}
    for server, now in after.items():
        was = before.get(server, Page())
        requests += max(0, now.requests - was.requests)
        errors += max(0, now.errors - was.errors)
        turned_away += max(0, now.refused - was.refused)
        for bound, count in now.times.items():
            more = count - was.times.get(bound, 0)
            if more > 0:
                # Where in its bucket a time lies is not known: the longest it can have been.
                at = bins.latency(min(bound, _BEYOND))
                counts[at] = counts.get(at, 0) + more
    gone = sorted(set(before) - set(after))
    lost = f"{len(gone)} of the servers of {slot} ended, and their last counts with them" if gone else ""
    return Tally(requests, errors, Histogram(counts), refused=turned_away), lost


@dataclass(frozen=True)
class Window:
    """Two readings, and what lies between."""

    begin: Reading
    end: Reading

    @property
    def missing(self) -> str:
        """Why it is not whole; empty where it is."""
        return next((one.why for one in (self.begin, self.end) if not one.whole), "")


def window(readings: Sequence[Reading], since: float, until: float) -> Window:
    """`readings`: oldest first, the last one not before `until`. Without any before `since`, it begins later."""
    begin = next((one for one in readings if one.at >= since), readings[-1])
    end = next((one for one in readings if one.at >= until), readings[-1])
    return Window(begin, end if end.at >= begin.at else begin)


# -- keeping them ------------------------------------------------------------------------------------------------------


def thinned(readings: Sequence[Reading]) -> list[Reading]:
    """The latest ones, and of those before them the ones at which weights were changed."""
    late, early = readings[-KEPT:], readings[:-KEPT]
    return [*[one for one in early if one.mark][-KEPT // 2 :], *late]


def written(readings: Iterable[Reading]) -> str:
    """As text, the oldest ones left out where it would be too long to keep."""
    lines = [_line(one) for one in thinned(list(readings))]
    while len(lines) > 1 and sum(map(len, lines)) + len(lines) > _LARGEST:
        del lines[0]
    return "\n".join(lines)


def read(text: str) -> list[Reading]:
    """What `written` wrote; what is no such text is none."""
    found = []
    for line in text.splitlines():
        try:
            found.append(_reading(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return sorted(found, key=lambda one: one.at)


def _line(one: Reading) -> str:
    pages = {
        slot: {
            server: [page.requests, page.errors, list(_flat(page.times)), page.refused]
            for server, page in servers.items()
        }
        for slot, servers in one.pages.items()
    }
    said = {"at": one.at, "pages": pages, "why": "" if one.whole else one.why or "unknown", "mark": one.mark}
    return json.dumps(said, separators=(",", ":"))


def _flat(times: Mapping[float, int]) -> Iterator[list[str | int]]:
    for bound, count in sorted(times.items()):
        yield [str(bound), count]


def _reading(told: Mapping[str, object]) -> Reading:
    pages = {
        str(slot): {
            str(server): Page(
                int(requests), int(errors), {float(bound): int(count) for bound, count in times}, int(turned_away)
            )
            for server, (requests, errors, times, turned_away) in servers.items()
        }
        for slot, servers in told["pages"].items()  # type: ignore[attr-defined]
    }
    why = str(told["why"])
    return Reading(float(told["at"]), pages, not why, why, bool(told["mark"]))  # type: ignore[arg-type]
