"""What earlier windows came to, by the ledger's readings. Indexed once, so that many models cost one pass.

    history = History(ledger.records((READINGS,)))
    history.states("visits", "production", "drift", window, monitor="rule")  # newest first, the window before first

Only windows of the same length that lie end to end before the present one are looked at, so none overlaps another. One
that was read twice counts once: the first measurement stands, and takes the place of one that came to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Reading
from mlgate.model import Past
from mlgate.watch.nouns import State, Window

LONGEST = 4_000  # windows that are looked back at: 90 days of hours, and then some
_LENGTH = len("2026-11-20T00:00:00Z/2026-11-21T00:00:00Z")
_AT_FIRST = 64
_NO_SUBJECT: Mapping[str, str] = {}


class History:
    """The readings of a ledger, by what they are of. `records` may hold anything else as well."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._by: dict[tuple[str, str, str], dict[str, dict[str, list[Reading]]]] = {}
        self.add(record.entry for record in records if isinstance(record.entry, Reading))

    def add(self, entries: Iterable[Reading]) -> None:
        """Readings that were written after those that are here."""
        for entry in entries:
            if len(entry.window) == _LENGTH:
                kinds = self._by.setdefault((entry.model, entry.environment, entry.name), {})
                kinds.setdefault(entry.monitor, {}).setdefault(entry.window, []).append(entry)

    @classmethod
    def of(cls, earlier: History | Iterable[Record]) -> History:
        """The same, or an index of these records."""
        return earlier if isinstance(earlier, History) else cls(earlier)

    def windows(self, model: str, environment: str, name: str, *, monitor: str = "") -> Mapping[str, Sequence[Reading]]:
        """Each window's text -> its readings, in the order in which they were written.

        Without `monitor`: of whichever section has that name, and not of the rules, which may be called the same.
        """
        kinds = self._by.get((model, environment, name), {})
        if monitor:
            return kinds.get(monitor, {})
        return next((kinds[kind] for kind in kinds if kind != "rule"), {})

    def states(
        self,
        model: str,
        environment: str,
        name: str,
        window: Window,
        *,
        monitor: str,
        subject: Mapping[str, str] = _NO_SUBJECT,
    ) -> list[State]:
        """Of the windows before this one, newest first, as far back as there are readings. A window that nobody read,
        and one in which another model was there, is `unknown`."""
        windows = self.windows(model, environment, name, monitor=monitor)
        if not windows:
            return []
        first = min(windows)
        found: list[State] = []
        for text in _back(window):
            if text < first:
                break
            reading = _counted(windows.get(text, ()), subject)
            found.append(reading.state if reading else "unknown")
        while found and found[-1] == "unknown":
            found.pop()  # nothing is known of what was before
        return found


def past(
    history: History | Iterable[Record],
    names: Iterable[str],
    window: Window,
    *,
    model: str,
    environment: str,
    since: str = "",
) -> tuple[Past, ...]:
    """The course of these readings up to the present window and without it, oldest first; those that have none are
    left out. `since`: a moment, ISO 8601, UTC; what ended before it is left out, too. Of windows that overlap (because
    their length was changed, say) all are shown: a chart has an axis of time."""
    known, end = History.of(history), str(window)
    found = []
    for name in dict.fromkeys(names):
        windows = known.windows(model, environment, name)
        shown = [
            (text.partition("/")[2], reading)
            for text in sorted(windows)
            if text < end and text.partition("/")[2] >= since and (reading := _counted(windows[text], _NO_SUBJECT))
        ]
        if shown:
            limits = [reading.limit for _, reading in shown if reading.limit is not None]
            found.append(
                Past(
                    name=name,
                    limit=limits[-1] if limits else None,
                    at=tuple(at for at, _ in shown),
                    values=tuple(reading.value for _, reading in shown),
                    states=tuple(reading.state for _, reading in shown),
                )
            )
    return tuple(found)


def since(
    history: History | Iterable[Record],
    name: str,
    window: Window,
    *,
    model: str,
    environment: str,
    subject: Mapping[str, str] = _NO_SUBJECT,
) -> str:
    """When the first window began of the run in which a reading is breached, ISO 8601, where it is so in the present
    one. A window of which nothing is known neither ends the run nor begins it."""
    known = History.of(history)
    monitor = next((each.monitor for found in known.windows(model, environment, name).values() for each in found), "")
    first = 0
    states = known.states(model, environment, name, window, monitor=monitor, subject=subject) if monitor else []
    for back, state in enumerate(states, start=1):
        if state == "ok":
            break
        first = back if state == "breached" else first
    return start(window, first)


def start(window: Window, back: int = 0) -> str:
    """When the window began that is so many before this one, ISO 8601."""
    return str(window.earlier(back)).partition("/")[0]


def _counted(readings: Sequence[Reading], subject: Mapping[str, str]) -> Reading | None:
    """The reading of one window that counts."""
    mine = [each for each in readings if not _of_another(each.subject, subject)]
    return next((each for each in mine if each.state != "unknown"), mine[0] if mine else None)


def _of_another(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether digests are known to name two models."""
    return any(one[name] != other[name] for name in one.keys() & other.keys())


def _back(window: Window) -> Iterator[str]:
    """The windows before this one, newest first."""
    yield from _grid(window, _AT_FIRST)
    yield from _grid(window, LONGEST)[_AT_FIRST:]


@lru_cache(maxsize=16)
def _grid(window: Window, many: int) -> tuple[str, ...]:
    seconds = int((window.until - window.since).total_seconds())
    most = int(window.since.timestamp()) // seconds if seconds > 0 else 0  # none was before 1970
    return tuple(str(window.earlier(back)) for back in range(1, min(many, most) + 1))
