"""The files of an append: entries chained to the ends of a ledger. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlgate.ledger import chain, kinds
from mlgate.ledger.chain import CHAINS, INDEX, README, Head, Segment
from mlgate.ledger.kinds import Entry, Genesis, Moved
from mlgate.ledger.words import ABOUT

LATE = 60  # seconds after which an entry counts as one that waited


@dataclass(frozen=True)
class Ends:
    """What is chained to: the ledger, and the last entry and segment of each chain. `root` begins the second chain."""

    ledger: str
    repository: str
    heads: Mapping[str, Head]
    tails: Mapping[str, tuple[Segment, bytes]]
    root: str = ""


@dataclass(frozen=True)
class Built:
    """The files that change, the ends as they are then, and the place of each entry by its id."""

    files: Mapping[str, bytes]
    ends: Ends
    placed: Mapping[str, Head]


def begin(entry: Entry, repository: str, now: float) -> Genesis:
    """The first entry of a new ledger; the run that makes it is that of the entry which needs it."""
    who = {key: getattr(entry, key) for key in ("actor", "run_url", "event", "trigger", "forge", "commit")}
    at = datetime.fromtimestamp(now, UTC).strftime(kinds.TIME)
    made = Genesis(ledger="0" * 32, repository=kinds.clean(repository), at=at, **who)
    return made.model_copy(update={"ledger": made.id})


def build(ends: Ends | None, entries: Sequence[Entry], *, repository: str, now: float) -> Built:
    """Entries behind the ends of a ledger, or a new ledger of `repository` where there are none (None)."""
    files: dict[str, bytes] = {}
    if ends is None:
        genesis = begin(entries[0], repository, now)
        ends, entries = Ends(genesis.ledger, genesis.repository, {}, {}), [genesis, *entries]
        files[README] = ABOUT.encode()
    heads, tails, root, placed = dict(ends.heads), dict(ends.tails), ends.root, {}
    repository = ends.repository
    for entry in entries:
        name = chain.chain_of(entry.kind)
        head, other = heads.get(name), next((heads[each] for each in CHAINS if each != name and each in heads), None)
        seq = head.seq + 1 if head else 1
        line, heads[name] = chain.seal(
            entry,
            ledger=ends.ledger,
            chain=name,
            seq=seq,
            previous=head.hash if head else root,
            beside=(other.seq, other.hash) if other else None,
            waited=_waited(entry, now),
        )
        root = root or heads[name].hash
        last, data = tails.get(name, (None, b""))
        into = chain.following(last, entry.at[:7], seq=seq, lines=data.count(b"\n"), size=len(data), chain=name)
        tails[name] = (into, (data if into == last else b"") + line)
        files[into.path] = tails[name][1]
        placed[entry.id] = heads[name]
        repository = entry.repository if isinstance(entry, Moved) else repository
    files[INDEX] = _index(ends.ledger, repository, heads)
    return Built(files, Ends(ends.ledger, repository, heads, tails, root), placed)


def title(entries: Sequence[Entry]) -> str:
    """Of the commit. No pipeline belongs to this branch: `[skip ci]` keeps those quiet that run for every branch."""
    what = f"{entries[0].kind} of {entries[0].model}".removesuffix(" of ")
    return f"Append {what if len(entries) == 1 else f'{len(entries)} entries'} [skip ci]"


def _waited(entry: Entry, now: float) -> int:
    """Seconds between what happened and now, by one clock; nothing where it is the time an append takes anyway."""
    then = datetime.strptime(entry.at, kinds.TIME).replace(tzinfo=UTC).timestamp()
    return int(now - then) if now - then >= LATE else 0


def _index(ledger: str, repository: str, heads: Mapping[str, Head]) -> bytes:
    ends = {name: {"seq": head.seq, "hash": head.hash} for name, head in heads.items()}
    value = {"ledger": ledger, "repository": repository, "heads": ends}
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()
