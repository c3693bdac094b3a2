"""One page over all models in production, from the ledger: where their rules stand, what was read last, and since when.

A model that nobody reads any more is not quiet: it is stale, and stands above those that are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from mlgate.ledger import query
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Alert, Deployment, Promotion, Reading, Rollback, Trigger
from mlgate.model import Past, Verdict
from mlgate.render import escape, html, numbers, past, watched

STATES = ("firing", "stale", "unknown", "crossed", "quiet")  # worst first
_TONES = {
    "firing": Verdict.FAIL,
    "stale": Verdict.INCONCLUSIVE,
    "unknown": Verdict.INCONCLUSIVE,
    "crossed": Verdict.WARN,
    "quiet": Verdict.PASS,
}
_MISSED = 3  # windows after which a model counts as stale
_DRAWN = 2  # readings that are drawn of each model
_LAST = 60  # windows of them
_FIRST = ("drift_share", "drifted_columns", "psi.score", "psi.prediction")
_SHOWN = frozenset({"drift", "performance", "slo", "business"})
_TOLD = 5  # rules of one model

_Place = tuple[str, str]  # model, environment


class Rule(NamedTuple):
    name: str
    state: str  # firing | crossed | unknown | quiet
    tone: Verdict
    since: str
    said: str


class Line(NamedTuple):
    """One model in one environment."""

    model: str
    environment: str
    state: str
    tone: Verdict
    version: str
    rules: tuple[Rule, ...]  # that are not quiet
    quiet: int
    window: str
    age: str  # of the last window: `3 days`
    courses: tuple[tuple[str, str, past.Small], ...]  # name, newest value, line
    retraining: str
    url: str


@dataclass
class _Known:
    """What the ledger has of one model in one environment."""

    readings: dict[tuple[str, str], dict[str, Reading]] = field(default_factory=dict)  # (monitor, name) -> end -> it
    alerts: dict[str, Alert] = field(default_factory=dict)  # the last of each key
    raised: dict[str, str] = field(default_factory=dict)  # key -> since when, where it goes on


def lines(records: Iterable[Record], now: datetime, expected: Iterable[_Place] = ()) -> list[Line]:
    """Worst first. `expected`: models that are to be watched, of which there may be no reading at all."""
    known: dict[_Place, _Known] = {place: _Known() for place in expected}
    triggers: dict[str, Trigger] = {}
    there: dict[_Place, list[Record]] = {}  # what was brought where
    for record in query.in_order(records):
        entry = record.entry
        if isinstance(entry, Trigger):
            triggers |= dict.fromkeys({entry.model, *entry.models}, entry)
            continue
        place = (entry.model, entry.environment)
        if isinstance(entry, Reading):
            end = entry.window.partition("/")[2] or entry.at
            those = known.setdefault(place, _Known()).readings.setdefault((entry.monitor, entry.name), {})
            if end not in those or those[end].state == "unknown":
                those[end] = entry
        elif isinstance(entry, Alert) and entry.state != "held":
            mine = known.setdefault(place, _Known())
            mine.alerts[entry.key] = entry
            if entry.state == "recovered":
                mine.raised.pop(entry.key, None)
            else:
                mine.raised.setdefault(entry.key, entry.at)
        elif isinstance(entry, Deployment | Promotion | Rollback):
            there.setdefault(place, []).append(record)
    found = [
        _line(place, mine, _version(there.get(place, ()), place), triggers.get(place[0]), now)
        for place, mine in known.items()
    ]
    return sorted(found, key=lambda one: (STATES.index(one.state), one.model, one.environment))


def page(found: Sequence[Line], *, now: datetime, tool: str, title: str = "") -> str:
    """Self-contained, like every page: nothing is fetched and nothing runs."""
    counts = Counter(one.state for one in found)
    return (
        html.environment()
        .get_template("overview.html.j2")
        .render(
            lines=found,
            title=title or numbers.count(len(found), "model in production", "models in production"),
            tally=[(state, counts[state], _TONES[state]) for state in STATES if counts[state]],
            worst=next((_TONES[state] for state in STATES if counts[state]), Verdict.ERROR),
            several=len({one.environment for one in found}) > 1,
            at=f"{now:%Y-%m-%d %H:%M} UTC",
            tool=tool,
        )
    )


def _line(place: _Place, mine: _Known, version: str, trigger: Trigger | None, now: datetime) -> Line:
    ends = [end for those in mine.readings.values() for end in those]
    last = max(ends, default="")
    window = next((those[last].window for those in mine.readings.values() if last in those), "")
    rules = list(_rules(mine))
    told = [one for one in rules if one.state != "quiet"]
    state = min((one.state for one in rules), key=STATES.index, default="unknown")
    if _stale(window, now) and STATES.index(state) > STATES.index("stale"):
        state = "stale"
    start, _, end = window.partition("/")
    return Line(
        model=place[0],
        environment=place[1],
        state=state,
        tone=_TONES[state],
        version=version,
        rules=tuple(told[:_TOLD]),
        quiet=len(rules) - len(told),
        window=watched.window(start, end).removesuffix(", UTC") if end else "never read",
        age=numbers.age(end, f"{now:%Y-%m-%dT%H:%M:%SZ}") if end else "",
        courses=tuple(_courses(mine)),
        retraining=_retraining(trigger, f"{now:%Y-%m-%dT%H:%M:%SZ}"),
        url=escape.url(trigger.url or trigger.run_url) if trigger else "",
    )


def _stale(window: str, now: datetime) -> bool:
    first, _, last = window.partition("/")
    start, end = watched.moment(first), watched.moment(last)
    return start is None or end is None or now - end > _MISSED * (end - start)


def _rules(mine: _Known) -> Iterator[Rule]:
    """Where each rule stands: what people were told, else what it came to in the last window."""
    ended = max((end for (kind, _), those in mine.readings.items() if kind == "rule" for end in those), default="")
    for (kind, name), those in sorted(mine.readings.items()):
        if kind != "rule" or ended not in those:
            continue  # a rule that is no longer asked
        reading = those[ended]
        state, since = "quiet", ""
        if name in mine.raised:
            state, since = "firing", _since(those) or mine.raised[name]
        elif reading.state == "breached":
            state, since = "crossed", _since(those)
        elif reading.state == "unknown":
            state = "unknown"
        yield Rule(name, state, _TONES[state], watched.since(since, ended) if since else "", reading.reason)


def _since(those: Mapping[str, Reading]) -> str:
    """When the first window began of those in a row, the last one among them, in which it was so."""
    since = ""
    for end in sorted(those, reverse=True):
        if those[end].state == "ok":
            break
        since = those[end].window.partition("/")[0] if those[end].state == "breached" else since
    return since


def _courses(mine: _Known) -> Iterator[tuple[str, str, past.Small]]:
    """The readings that say most: of drift, then of whatever else has a limit."""
    drawn = 0
    keys = [key for key in mine.readings if key[0] in _SHOWN]
    first = [next((key for key in keys if key[1] == name), None) for name in _FIRST]
    ordered = [key for key in first if key is not None][:1]
    ordered += sorted(key for key in keys if key[0] in ("performance", "business"))
    ordered += sorted(key for key in keys if key[0] == "slo")
    for key in ordered:
        those = mine.readings[key]
        ends = sorted(those)[-_LAST:]
        limits = [those[end].limit for end in ends if those[end].limit is not None]
        one = Past(
            name=key[1],
            limit=limits[-1] if limits else None,
            at=tuple(ends),
            values=tuple(those[end].value for end in ends),
            states=tuple(those[end].state for end in ends),
        )
        small = past.small(one)
        if small is not None:
            value = next(v for v in reversed(one.values) if v is not None)
            yield key[1], past.shows(key[1], float(f"{value:.3g}"))[0], small
            drawn += 1
        if drawn == _DRAWN:
            return


def _version(there: Sequence[Record], place: _Place) -> str:
    record = query.current(there, *place)
    if record is None:
        return ""
    version = getattr(record.entry, "version", "")
    return version or numbers.digest(record.entry.subject)


def _retraining(trigger: Trigger | None, now: str) -> str:
    """`proposed 2 days ago, by drift`."""
    if trigger is None:
        return ""
    age = numbers.age(trigger.at, now)
    ago = age if age in ("", "just now") else f"{age} ago"
    return f"{trigger.outcome} {ago}, by {trigger.rule}".replace(" ,", ",")
