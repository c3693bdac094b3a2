"""Whether a ledger is whole: every line as it was written, every entry in its place, none cut, nothing put in.

    report = examine(files, against=[Head.parse(token)])
    report.damages      # each with file, line and kind

Pure: `files` are the bytes of the branch by path. Somebody who may rewrite the branch can make a new chain that is
whole in itself; only heads that were kept elsewhere (`against`) show that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mlgate.errors import MlgateError
from mlgate.ledger import chain, kinds, lines
from mlgate.ledger.chain import CHAINS, EVENTS, INDEX, README, Head, Record, Segment
from mlgate.ledger.kinds import Genesis, Moved
from mlgate.ledger.lines import Damage, Found, Link


@dataclass(frozen=True)
class Report:
    """What was found. `records` are the readable entries of each chain, in order of their numbers."""

    records: tuple[Record, ...]
    damages: tuple[Damage, ...]
    notes: tuple[str, ...]
    heads: tuple[Head, ...]
    segments: int
    ledger: str = ""
    repository: str = ""

    @property
    def whole(self) -> bool:
        return not self.damages


@dataclass
class _Walked:
    """One chain after its walk."""

    name: str
    segments: list[Segment]
    found: list[Found] = field(default_factory=list)
    links: dict[int, Link] = field(default_factory=dict)  # by number; of those whose hash is right
    seen: set[int] = field(default_factory=set)  # every number that has a line, also a damaged one
    last: int = 0


def examine(
    files: Mapping[str, bytes],
    *,
    against: Iterable[Head] = (),
    chains: Collection[str] = CHAINS,
    partial: bool = False,
    listed: Collection[str] | None = None,
) -> Report:
    """Everything that is wrong with these files of the branch.

    `chains`: those whose files were read. `partial`: only their latest segments, so they may begin anywhere. `listed`:
    every path of the branch, where `files` are not all.
    """
    damages = [
        Damage("foreign file", "it does not belong to a ledger.", path)
        for path in sorted(listed if listed is not None else files)
        if path not in (INDEX, README) and Segment.parse(path) is None
    ]
    walks: dict[str, _Walked] = {}
    for name in (name for name in CHAINS if name in chains):
        segments = sorted(s for path in files if (s := Segment.parse(path)) and s.chain == name)
        walks[name] = _Walked(name, segments)
        damages += _walk(walks[name], files, partial=partial)
    ledger, repository = _identity(walks)
    damages += _ids(walks, ledger, partial=partial)
    damages += _beside(walks)
    index = _index(files, damages)
    damages += _against_index(walks, index, repository)
    damages += _against(walks, list(against), ledger or str(index.get("ledger", "")))
    records = [f.record for walk in walks.values() for f in walk.found if f.record is not None]
    records.sort(key=lambda record: (record.chain, record.seq))
    heads = [Head(link.ledger, walk.name, walk.last, link.hash) for walk in walks.values() for link in _end(walk)]
    return Report(
        records=tuple(records),
        damages=tuple(dict.fromkeys(damages)),
        notes=tuple(_notes(records)),
        heads=tuple(heads),
        segments=sum(len(walk.segments) for walk in walks.values()),
        ledger=ledger or str(index.get("ledger", "")),
        repository=repository or str(index.get("repository", "")),
    )


def _end(walk: _Walked) -> list[Link]:
    return [walk.links[walk.last]] if walk.last in walk.links else []


# -- one chain -------------------------------------------------------------------------------------------------------


def _walk(walk: _Walked, files: Mapping[str, bytes], *, partial: bool) -> Iterator[Damage]:
    """Lines in the order of the files first, then entries in the order of their numbers."""
    placed: list[tuple[int, Found, Segment]] = []
    expected = 0
    for segment in walk.segments:
        for found in lines.read(segment, files[segment.path]):
            walk.found.append(found)
            if found.damage is not None:
                yield found.damage
            # A line that cannot be believed stands where it stands; its own number may be what was changed.
            expected = expected or (segment.first if not placed else 0)
            seq = found.link.seq if found.link else max(expected, 1)
            if found.link and seq < expected and seq not in walk.seen:
                said = f"entry {seq} stands after entry {expected - 1}."
                yield Damage("reordered", said, found.file, found.line)
            walk.seen.add(seq)
            expected = max(expected, seq + 1)
            placed.append((seq, found, segment))
    placed.sort(key=lambda one: one[0])
    yield from _begin(walk, placed, partial=partial)
    for (seq, found, segment), (next_seq, after, into) in pairwise(placed):
        if next_seq == seq:
            yield _twice(seq, found, after)
        elif next_seq > seq + 1:
            yield from _gap(seq + 1, next_seq - 1, (found, segment, _count(placed, segment)), (after, into))
        elif found.link and after.link and after.link.previous != found.link.hash:
            yield _unchained(found, after, last=next_seq == placed[-1][0])
    walk.links = {seq: found.link for seq, found, _ in placed if found.link}
    walk.last = placed[-1][0] if placed else 0


def _count(placed: Sequence[tuple[int, Found, Segment]], segment: Segment) -> int:
    return sum(one[2] == segment for one in placed)


def _begin(walk: _Walked, placed: Sequence[tuple[int, Found, Segment]], *, partial: bool) -> Iterator[Damage]:
    if not placed:
        return
    seq, found, segment = placed[0]
    if seq > segment.first:
        yield Damage("dropped", f"{_entries(segment.first, seq - 1)} missing before it.", found.file, found.line)
    if segment.first > 1 and not partial:
        yield Damage(
            "missing segment", f"{_entries(1, segment.first - 1)} missing: the chain begins here.", segment.path
        )
    if seq == 1 and found.link and walk.name == EVENTS and found.link.previous:
        yield Damage("forged", "the first entry names one before it.", found.file, found.line)


def _twice(seq: int, found: Found, after: Found) -> Damage:
    if found.link and after.link and found.link.hash == after.link.hash:
        return Damage("repeated", f"entry {seq} is there twice.", after.file, after.line)
    said = f"there are two entries {seq}; the other one is {found.file}:{found.line}."
    return Damage("forged", said, after.file, after.line)


def _unchained(found: Found, after: Found, *, last: bool) -> Damage:
    """Either of the two may be the forged one. A last one that fits nothing was put there; else the earlier was."""
    here, other = (after, found) if last else (found, after)
    said = f"it and its neighbour {other.file}:{other.line} are not chained: one of them was put there later."
    return Damage("forged", said, here.file, here.line)


def _gap(first: int, last: int, before: tuple[Found, Segment, int], after: tuple[Found, Segment]) -> Iterator[Damage]:
    """Entries that are not there, by where they must have stood."""
    (found, segment, count), (later, into) = before, after
    if segment == into:
        yield Damage("dropped", f"{_entries(first, last)} missing before it.", later.file, later.line)
        return
    if first < into.first:
        gone = _entries(first, min(last, into.first - 1))
        if segment.month == into.month and count < chain.SEGMENT_LINES:
            yield Damage("truncated", f"{gone} missing at its end.", segment.path, found.line)
        else:
            said = f"{gone} missing between {segment.path} and this one."
            yield Damage("missing segment", said, into.path)
    if into.first <= last:
        gone = _entries(max(first, into.first), last)
        yield Damage("dropped", f"{gone} missing before it.", later.file, later.line)


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"


# -- across chains ---------------------------------------------------------------------------------------------------


def _identity(walks: Mapping[str, _Walked]) -> tuple[str, str]:
    """Ledger id and repository as the chain of events says; the last word counts."""
    ledger = repository = ""
    for found in walks[EVENTS].found if EVENTS in walks else []:
        entry = found.record.entry if found.record else None
        if isinstance(entry, Genesis) and not ledger:
            ledger, repository = entry.ledger, entry.repository
        elif isinstance(entry, Moved):
            repository = entry.repository
    return ledger, repository


def _ids(walks: Mapping[str, _Walked], ledger: str, *, partial: bool) -> Iterator[Damage]:
    known: dict[str, Found] = {}
    for name, walk in walks.items():
        for found in walk.found:
            record = found.record
            if found.link and ledger and found.link.ledger != ledger:
                said = f"entry {found.link.seq} belongs to the ledger {found.link.ledger}, not to {ledger}."
                yield Damage("another ledger", said, found.file, found.line)
            if record is None:
                continue
            if (record.chain, record.seq) == (EVENTS, 1) and not isinstance(record.entry, Genesis):
                yield Damage("forged", "the first entry is no genesis.", found.file, found.line)
            if isinstance(record.entry, Genesis) and record.seq != 1:
                yield Damage("forged", f"entry {record.seq} is a second genesis.", found.file, found.line)
            other = known.setdefault(record.entry.id, found)
            if other is not found and other.link and other.link.hash != record.hash:
                said = f"it has the id of {other.file}:{other.line}: one append is there twice."
                yield Damage("repeated", said, found.file, found.line)
        if name != EVENTS and EVENTS in walks and not partial:
            yield from _rooted(walk, walks[EVENTS])


def _rooted(walk: _Walked, events: _Walked) -> Iterator[Damage]:
    """The other chain begins with the hash of the genesis."""
    genesis, first = events.links.get(1), walk.links.get(1)
    if genesis and first and first.previous != genesis.hash:
        yield Damage("forged", "its first entry does not begin at the genesis.", walk.segments[0].path, 1)


def _beside(walks: Mapping[str, _Walked]) -> Iterator[Damage]:
    """What each entry says of the other chain. Only the furthest word about a cut is told."""
    for name, walk in walks.items():
        other = next((walks[each] for each in walks if each != name), None)
        if other is None:
            continue
        cut: tuple[int, Found] | None = None
        for found in walk.found:
            if not found.link or not found.link.beside:
                continue
            seq, digest = found.link.beside
            if seq > other.last:
                cut = max(cut or (0, found), (seq, found), key=lambda one: one[0])
            elif (there := other.links.get(seq)) and there.hash != digest:
                where = next(f for f in other.found if f.link is there)
                said = f"entry {seq} is not the one that {found.file}:{found.line} saw there."
                yield Damage("rewritten", said, where.file, where.line)
                break
        if cut:
            yield _cut(other, cut[0], f"{cut[1].file}:{cut[1].line}")


def _cut(walk: _Walked, seq: int, by: str) -> Damage:
    file = walk.segments[-1].path if walk.segments else ""
    line = sum(found.file == file for found in walk.found) or None
    ends = f"the {walk.name} end at entry {walk.last}" if walk.last else f"there are no {walk.name}"
    return Damage("truncated", f"{ends}, and {by} says that they had reached {seq}.", file, line)


# -- the index and heads from elsewhere ------------------------------------------------------------------------------


def _index(files: Mapping[str, bytes], damages: list[Damage]) -> dict[str, Any]:
    if INDEX not in files:
        damages.append(Damage("index", "it is missing.", INDEX))
        return {}
    try:
        return parse_index(files[INDEX])
    except ValueError:
        damages.append(Damage("index", "it cannot be read.", INDEX))
    return {}


def parse_index(data: bytes) -> dict[str, Any]:
    """`ledger.json`: the ledger's id, its repository, and the head of each chain. Raises ValueError."""
    try:
        value = json.loads(data.decode())
        for name, head in value["heads"].items():
            Head.parse(f"mlgate1.{value['ledger']}.{name}.{head['seq']}.{head['hash']}")
        if not isinstance(value["repository"], str) or not kinds.is_id(value["ledger"]):
            raise ValueError("it names no repository")
    except (KeyError, TypeError, AttributeError, RecursionError, MlgateError) as error:
        raise ValueError("it is no index of a ledger") from error
    return dict(value)


def _against_index(walks: Mapping[str, _Walked], index: Mapping[str, Any], repository: str) -> Iterator[Damage]:
    if not index:
        return
    for name, walk in walks.items():
        head = index["heads"].get(name)
        there = walk.links.get(walk.last)
        if head is None:
            if walk.last:
                yield Damage("index", f"it knows of no {name}, and there are {walk.last}.", INDEX)
        elif head["seq"] > walk.last:
            yield _cut(walk, head["seq"], INDEX)
        elif head["seq"] < walk.last:
            yield Damage("index", f"it says that the {name} end at entry {head['seq']}, not {walk.last}.", INDEX)
        elif there and there.hash != head["hash"]:
            yield Damage("rewritten", f"its last entry is not the one that {INDEX} names.", walk.segments[-1].path)
    if repository and index["repository"] != repository:
        yield Damage("index", f"it names {index['repository']!r}, and the chain names {repository!r}.", INDEX)


def _against(walks: Mapping[str, _Walked], heads: Iterable[Head], ledger: str) -> Iterator[Damage]:
    for head in heads:
        walk = walks.get(head.chain)
        if walk is None:
            continue
        there = walk.links.get(head.seq)
        if head.ledger != ledger:
            said = f"the head {head.token} is of the ledger {head.ledger}, and this is {ledger or 'none'}."
            yield Damage("another ledger", f"{said} Was it made anew?", INDEX)
        elif head.seq > walk.last:
            yield _cut(walk, head.seq, f"the head {head.token}")
        elif there and there.hash != head.hash:
            where = next(found for found in walk.found if found.link is there)
            said = f"entry {head.seq} is not the one of the head {head.token}."
            yield Damage("rewritten", said, where.file, where.line)


def _notes(records: Sequence[Record]) -> Iterator[str]:
    back = [
        (a, b)
        for a, b in pairwise(records)
        if a.chain == b.chain and not a.waited and not b.waited and b.entry.at < a.entry.at
    ]
    if back:
        a, b = back[0]
        more = f", and {len(back) - 1} more" if len(back) > 1 else ""
        yield (
            f"Entry {b.seq} of the {b.chain} is dated {b.entry.at}, before entry {a.seq} ({a.entry.at}){more}: "
            "clocks differ. Numbers tell the order, not dates."
        )
