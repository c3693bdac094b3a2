"""The branch as it is now, checked before anything is built on it.

What must not be built on is a MlgateError: a branch that is gone, cut or rewritten since this clone saw it, one that
belongs to another repository, and one whose end cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlgate.errors import MlgateError
from mlgate.ledger import chain, kinds, lines, verify
from mlgate.ledger.chain import CHAINS, INDEX, Head, Segment
from mlgate.ledger.kinds import Entry
from mlgate.ledger.place import Home, same
from mlgate.ledger.store import Store, Tip

_ID = re.compile(rb'"id":"([0-9a-f]{32})"')


@dataclass(frozen=True)
class State:
    """Where the branch is, whose it is, and the end of each chain that will be written to."""

    tip: Tip | None = None
    ledger: str = ""
    repository: str = ""
    heads: Mapping[str, Head] = field(default_factory=dict)
    tails: Mapping[str, tuple[Segment, bytes]] = field(default_factory=dict)
    there: Mapping[str, Head] = field(default_factory=dict)  # of the entries asked for, those that it has already


class View:
    """One ledger as one clone sees it."""

    def __init__(self, store: Store, home: Home, *, branch: str, address: str) -> None:
        self.store = store
        self.home = home
        self.branch = branch
        self.address = address

    def to_write(self, entries: Sequence[Entry], fresh: Collection[str], since: Mapping[str, int]) -> State:
        """Fetch, and check the ends that these entries will be chained to. Raises PushError when it cannot be had.

        `fresh`: ids of entries that cannot be in the branch yet but behind the numbers `since`; nowhere without them.
        """
        tip = self.store.fetch()
        if tip is None:
            if self.home.known():
                raise self._diverged("it is gone from the remote")
            return State()
        segments = segments_of(tip)
        names = {chain.chain_of(entry.kind) for entry in entries}
        tails = {name: segments[name][-1] for name in names if segments[name]}
        look = {
            s
            for entry in entries
            for s in _places(segments[chain.chain_of(entry.kind)], entry, since if entry.id in fresh else None)
        }
        found = self._read(tip, [*look, *tails.values()])
        state = self._state(tip, found)
        for name in names:
            self._check_tail(state.heads.get(name), tails.get(name), found)
        self._check_known(state, segments)
        self._check_owner(state, entries)
        self.remember(state)
        there = _there({entry.id for entry in entries}, {s: found[s.path] for s in look})
        ends = {name: (tail, found[tail.path]) for name, tail in tails.items()}
        return State(tip, state.ledger, state.repository, state.heads, ends, there)

    def to_read(self) -> State:
        """Fetch, and check that nothing was cut since this clone last saw it. Raises PushError when that fails."""
        tip = self.store.fetch()
        if tip is None:
            if self.home.known():
                raise self._diverged("it is gone from the remote")
            return State()
        state = self._state(tip, self._read(tip, []))
        self._check_known(state, segments_of(tip))
        self.remember(state)
        return state

    def first_hash(self, tip: Tip) -> str:
        """The hash of the genesis, at which the second chain begins."""
        segment = segments_of(tip)[chain.EVENTS][0]
        data = self.store.read(tip, [segment.path])[segment.path]
        first = lines.last(segment, data.split(b"\n", 1)[0] + b"\n")
        if first is None or first.link is None or first.link.seq != 1:
            raise self._damaged(f"{segment.path} does not begin with the first entry")
        return first.link.hash

    def remember(self, state: State) -> None:
        """Note what was seen, so that a branch that loses it is found out here."""
        heads = {name: [head.seq, head.hash] for name, head in state.heads.items()}
        commit = state.tip.commit if state.tip else ""
        value = {"ledger": state.ledger, "commit": commit, "heads": heads}
        if value != self.home.known():
            self.home.know(value)

    def known_heads(self) -> tuple[Head, ...]:
        """Of each chain, as this clone last saw it."""
        known = self.home.known()
        return tuple(Head(known["ledger"], name, *head) for name, head in known.get("heads", {}).items())

    # -- checks ------------------------------------------------------------------------------------------------------

    def _read(self, tip: Tip, segments: Iterable[Segment]) -> dict[str, bytes]:
        if INDEX not in tip.files:
            raise self._damaged(f"it has no {INDEX}")
        return self.store.read(tip, {INDEX, *(segment.path for segment in segments)})

    def _state(self, tip: Tip, found: Mapping[str, bytes]) -> State:
        try:
            index = verify.parse_index(found[INDEX])
        except ValueError:
            raise self._damaged(f"its {INDEX} cannot be read") from None
        heads = {name: Head(index["ledger"], name, head["seq"], head["hash"]) for name, head in index["heads"].items()}
        return State(tip, index["ledger"], index["repository"], heads)

    def _check_tail(self, head: Head | None, tail: Segment | None, found: Mapping[str, bytes]) -> None:
        """What is chained to is the last line as it was written."""
        if head is None and tail is None:
            return
        last = lines.last(tail, found[tail.path]) if tail else None
        link = last.link if last else None
        if head is None or link is None or (link.seq, link.hash) != (head.seq, head.hash):
            said = str(last.damage) if last and last.damage else f"its last line is not the one that {INDEX} names"
            raise self._damaged(said.rstrip("."))

    def _check_known(self, state: State, segments: Mapping[str, Sequence[Segment]]) -> None:
        """What was seen of this ledger earlier, here, is still there."""
        known = self.home.known()
        if not known or state.tip is None:
            return
        if known["ledger"] != state.ledger:
            raise self._diverged(f"another ledger ({state.ledger}) stands in its place")
        for name, (seq, digest) in known["heads"].items():
            head = state.heads.get(name)
            if head is None or head.seq < seq:
                raise self._diverged(f"its {name} end at entry {head.seq if head else 0}, and there were {seq}")
            there: str | None = head.hash
            if head.seq > seq:
                holding = [s for s in segments[name] if s.first <= seq][-1:]
                data = self.store.read(state.tip, [s.path for s in holding])
                links = (found.link for s in holding for found in lines.read(s, data[s.path]) if found.link)
                there = next((link.hash for link in links if link.seq == seq), None)
            if there != digest:
                raise self._diverged(f"entry {seq} of its {name} is not the one that was there")

    def _check_owner(self, state: State, entries: Sequence[Entry]) -> None:
        if same(state.repository, self.address) or any(isinstance(entry, kinds.Moved) for entry in entries):
            return
        raise MlgateError(
            f"the branch {self.branch} holds the ledger of {state.repository}, and this is {self.address}, so nothing "
            "was written to it.",
            fix="A fork has a copy of it: delete that branch here, or name a repository under `ledger.remote`. If the "
            "repository was renamed or moved, say so once with `mlgate audit adopt`.",
        )

    def _diverged(self, how: str) -> MlgateError:
        commit = self.home.known().get("commit", "")
        return MlgateError(
            f"the ledger on {self.branch} has diverged from what this clone saw of it: {how}. It was cut, rewritten or "
            "replaced, so nothing was written to it.",
            fix=f"Put the branch back to commit {commit} (the forge may still have it). If it was meant to be: remove "
            f"{self.home.folder}.",
        )

    def _damaged(self, said: str) -> MlgateError:
        return MlgateError(
            f"the ledger on {self.branch} is damaged, so nothing was written to it: {said}.",
            fix="`mlgate audit verify` names all that is wrong with it.",
        )


def segments_of(tip: Tip) -> dict[str, list[Segment]]:
    """The segments of each chain, in order."""
    found: dict[str, list[Segment]] = {name: [] for name in CHAINS}
    for path in tip.files:
        if segment := Segment.parse(path):
            found[segment.chain].append(segment)
    return {name: sorted(segments) for name, segments in found.items()}


def _places(segments: Sequence[Segment], entry: Entry, since: Mapping[str, int] | None) -> list[Segment]:
    """Where an entry can be already: with `since`, behind that number; without, in its month or a later one.

    An append never writes into an earlier month than the entry's own.
    """
    if since is None:
        return [s for s in segments if s.month >= entry.at[:7]]
    if not since:
        return []
    after = since.get(chain.chain_of(entry.kind), 0)
    ends = [later.first - 1 for later in segments[1:]]
    return [s for s, end in zip(segments, [*ends, after + 1], strict=bool(segments)) if end > after]


def _there(wanted: Collection[str], found: Mapping[Segment, bytes]) -> dict[str, Head]:
    there, ids = {}, {entry_id.encode() for entry_id in wanted}
    for segment, data in found.items():
        if not ids.isdisjoint(_ID.findall(data)):  # one pass, however many are wanted
            for line in lines.read(segment, data):
                if line.record and line.record.entry.id in wanted:
                    there[line.record.entry.id] = line.record.head
    return there
