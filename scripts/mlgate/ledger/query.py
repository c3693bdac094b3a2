"""Questions to the ledger, as pure functions over its records.

    now = current(records, "visits", "production")
    before = previous(records, "visits", "production")

Numbers tell the order, not dates: a clock that goes backwards reorders nothing. Only an entry that waited in a spool
counts from when it happened, because it was written later than entries that it came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import TIME, Comparison, Decision, Deployment, Promotion, Reading, Reset, Rollback, Trigger


class Ordered:
    """Records in the order in which things happened, and those of each model: found out once, for many questions.

    known = Ordered(records)
    for model in models: current(known, model, "production")
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.all = in_order(records)
        self._of: dict[str, list[Record]] = {}
        for record in self.all:
            self._of.setdefault(record.entry.model, []).append(record)

    def of(self, model: str) -> list[Record]:
        return self._of.get(model, []) if model else self.all

    def __iter__(self) -> Iterator[Record]:
        return iter(self.all)


def in_order(records: Iterable[Record]) -> list[Record]:
    """Records in the order in which things happened."""
    if isinstance(records, Ordered):
        return records.all
    found: list[tuple[str, int, Record]] = []
    latest: dict[str, str] = {}
    for record in sorted(records, key=lambda each: (each.chain, each.seq)):
        at = record.entry.at
        if record.waited:
            at = min(at, latest.get(record.chain, at))
        else:
            at = latest[record.chain] = max(latest.get(record.chain, ""), at)
        found.append((at, record.seq, record))
    return [record for _, _, record in sorted(found, key=lambda each: each[:2])]


def history(
    records: Iterable[Record],
    *,
    model: str = "",
    environment: str = "",
    kinds: Iterable[str] = (),
    since: str = "",
    until: str = "",
) -> list[Record]:
    """What fits all that is given, oldest first. `since` and `until` are days or moments, both inclusive."""
    wanted = frozenset(kinds)
    first, last = _moment(since, end=False), _moment(until, end=True)
    return [
        record
        for record in (records.of(model) if isinstance(records, Ordered) else in_order(records))
        if (not model or record.entry.model == model)
        and (not environment or record.entry.environment == environment)
        and (not wanted or record.entry.kind in wanted)
        and (not first or record.entry.at >= first)
        and (not last or record.entry.at <= last)
    ]


def _moment(text: str, *, end: bool) -> str:
    """A day as its first or last moment. Raises ValueError for what is neither a day nor a moment."""
    if not text:
        return ""
    if len(text) == 10:
        date.fromisoformat(text)
        return f"{text}T{'23:59:59' if end else '00:00:00'}Z"
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime(TIME)


# -- what is where ---------------------------------------------------------------------------------------------------


def current(records: Iterable[Record], model: str, environment: str, *, on: str = "") -> Record | None:
    """What made a model the one of an environment, now or at the end of a day (or at a moment, UTC): a promotion, a
    complete deployment or a rollback. None where there was none."""
    stack = _stack(history(records, model=model, environment=environment, until=on))
    return stack[-1] if stack else None


def previous(records: Iterable[Record], model: str, environment: str, *, on: str = "") -> Record | None:
    """What a rollback would put back: the model that was there before the current one came. None where there was none.

    What a rollback took away is not put back by the next one.
    """
    stack = _stack(history(records, model=model, environment=environment, until=on))
    return stack[-2] if len(stack) > 1 else None


def _stack(records: Sequence[Record]) -> list[Record]:
    """The models of an environment, each on top of the one it replaced; a rollback takes away what is above its own."""
    stack: list[Record] = []
    for record in records:
        entry = record.entry
        if isinstance(entry, Rollback):
            below = [at for at, other in enumerate(stack) if same_model(other.entry.subject, entry.subject)]
            stack = stack[: below[-1]] if below else stack[:-1]
        elif not isinstance(entry, Promotion) and not (isinstance(entry, Deployment) and entry.state == "complete"):
            continue
        if stack and same_model(stack[-1].entry.subject, entry.subject):
            stack.pop()  # deployed, then promoted: one model, and the later word on it
        stack.append(record)
    return stack


def same_model(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two sets of digests name one model: by an algorithm that both have."""
    common = one.keys() & other.keys()
    return bool(common) and all(one[name] == other[name] for name in common)


def decision(records: Iterable[Record], model: str, subject: dict[str, str]) -> Record | None:
    """The last decision for just this model; None where none was made."""
    made = history(records, model=model, kinds=("decision",))
    return next((record for record in reversed(made) if same_model(record.entry.subject, subject)), None)


def failed_since(records: Iterable[Record], decided: Record) -> list[Record]:
    """Where the model of a decision was judged again after it, and failed: then it is not the last word any more."""
    return [
        record
        for record in records
        if record.seq > decided.seq
        and isinstance(record.entry, Comparison)
        and record.entry.model == decided.entry.model
        and record.entry.verdict == "fail"
        and same_model(record.entry.subject, decided.entry.subject)
    ]


# -- readings and triggers -------------------------------------------------------------------------------------------


def consecutive(records: Iterable[Record], model: str, environment: str, name: str) -> list[Record]:
    """The latest run of breached readings, oldest first. One that is `ok` or `unknown` ends it."""
    run: list[Record] = []
    for record in history(records, model=model, environment=environment, kinds=("reading",)):
        if isinstance(record.entry, Reading) and record.entry.name == name:
            run = [*run, record] if record.entry.state == "breached" else []
    return run


def days(run: Iterable[Record]) -> int:
    """How many days in a row (UTC) a run of readings covers, up to its latest; a day without a reading ends the row."""
    there = {datetime.strptime(record.entry.at, TIME).date() for record in run}
    day, count = max(there, default=date.min), 0
    while day in there:
        day, count = day - timedelta(days=1), count + 1
    return count


def last_trigger(records: Iterable[Record], model: str, *, rule: str = "") -> Record | None:
    """The last retraining of a model that was started, by any rule or by one, alone or together with others. Those
    that were held back do not count."""
    for record in reversed(history(records, kinds=("trigger",))):
        entry = record.entry
        if not isinstance(entry, Trigger) or model not in (entry.model, *entry.models):
            continue
        if entry.outcome == "started" and rule in ("", entry.rule):
            return record
    return None


# -- looks at a test set, and anchors --------------------------------------------------------------------------------


def challengers(records: Iterable[Record], evaluation: str, *, model: str = "") -> list[dict[str, str]]:
    """The distinct models that were judged on one evaluation digest (`algorithm:hex`), in the order they came."""
    found: list[dict[str, str]] = []
    for record in history(records, model=model, kinds=("decision", "comparison")):
        entry = record.entry
        if (
            isinstance(entry, Decision | Comparison)
            and evaluation in entry.evaluation.values()
            and not any(same_model(entry.subject, other) for other in found)
        ):
            found.append(entry.subject)
    return found


def resets(records: Iterable[Record], model: str) -> list[Record]:
    """Every approved move of a model's anchor, oldest first: the last one names where it is."""
    return [record for record in history(records, model=model) if isinstance(record.entry, Reset)]
