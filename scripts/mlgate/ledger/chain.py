"""The chain: entries as canonical lines, each with its number, the hash of the one before it, and its own.

    line, head = seal(entry, ledger="...", chain="events", after=head)

A line is JSON with sorted keys, no spaces and UTF-8; its hash is the sha256 of the line without its `hash` member.
There are two chains, so that the many readings need not be fetched to know what is in production: `events` and
`readings`. Each line names the head of the other chain as it was then (`beside`), so neither can be cut without a trace
in the other.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from mlgate.errors import MlgateError
from mlgate.ledger.kinds import FREQUENT, Entry

EVENTS, READINGS = "events", "readings"
CHAINS = (EVENTS, READINGS)
SEGMENT_LINES = 500  # entries of one segment
SEGMENT_BYTES = 1_000_000
LINE_BYTES = 262_144
INDEX, README = "ledger.json", "README.md"

_TOKEN = re.compile(r"mlgate1\.([0-9a-f]{32})\.(events|readings)\.([1-9][0-9]{0,11})\.([0-9a-f]{64})")
_SEGMENT = re.compile(r"(\d{4}-(?:0[1-9]|1[0-2]))/(events|readings)-(\d{8,12})\.jsonl")


def chain_of(kind: str) -> str:
    return READINGS if kind in FREQUENT else EVENTS


@dataclass(frozen=True)
class Head:
    """The last entry of a chain. Kept outside the branch it shows later that nothing before it was cut or rewritten."""

    ledger: str
    chain: str
    seq: int
    hash: str

    @property
    def token(self) -> str:
        """As text, for outputs of runs and payloads of deployments."""
        return f"mlgate1.{self.ledger}.{self.chain}.{self.seq}.{self.hash}"

    @classmethod
    def parse(cls, token: str) -> Head:
        """Raises MlgateError for what is no token."""
        found = _TOKEN.fullmatch(token.strip())
        if found is None:
            raise MlgateError(
                f"{token.strip()[:120]!r} is no head of a ledger.",
                fix="Copy it whole from the output `ledger-head` of a run: mlgate1.<ledger>.<chain>.<number>.<sha256>.",
            )
        return cls(found[1], found[2], int(found[3]), found[4])


@dataclass(frozen=True)
class Record:
    """An entry in its place."""

    entry: Entry
    ledger: str
    chain: str
    seq: int
    previous: str
    hash: str
    beside: tuple[int, str] | None = None  # number and hash of the other chain's head when this was written
    waited: int = 0  # seconds between what happened and its writing, by the clock of the machine it waited on
    file: str = ""
    line: int = 0

    @property
    def head(self) -> Head:
        return Head(self.ledger, self.chain, self.seq, self.hash)


@dataclass(frozen=True, order=True)
class Segment:
    """One file of a chain: its month and the number of its first entry."""

    month: str
    first: int
    chain: str

    @property
    def path(self) -> str:
        return f"{self.month}/{self.chain}-{self.first:08d}.jsonl"

    @classmethod
    def parse(cls, path: str) -> Segment | None:
        found = _SEGMENT.fullmatch(path)
        return cls(found[1], int(found[3]), found[2]) if found else None


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(line: dict[str, Any]) -> str:
    """The hash of a line, from all of it but its hash."""
    return hashlib.sha256(canonical({key: value for key, value in line.items() if key != "hash"})).hexdigest()


def digest_of(raw: bytes) -> str:
    """The same, of the bytes of a line as `canonical` writes it: they are not written a second time.

    A comma and a quotation mark beside each other are never inside of a string, where it is escaped; so the last
    member of this name is that of the line itself, behind which nothing but single values stands.
    """
    before, name, after = raw.rpartition(b',"hash":"')
    return hashlib.sha256(before + after.partition(b'"')[2] if name else raw).hexdigest()


def seal(
    entry: Entry,
    *,
    ledger: str,
    chain: str,
    seq: int,
    previous: str,
    beside: tuple[int, str] | None = None,
    waited: int = 0,
) -> tuple[bytes, Head]:
    """The line of an entry, with its end, and the head that it is. Raises MlgateError for one that is too long."""
    line: dict[str, Any] = {
        "chain": chain,
        "entry": entry.to_dict(),
        "ledger": ledger,
        "previous": previous,
        "seq": seq,
    }
    if beside is not None:
        line["beside"] = {"seq": beside[0], "hash": beside[1]}
    if waited > 0:
        line["waited"] = waited
    own = digest(line)
    data = canonical({**line, "hash": own}) + b"\n"
    if len(data) > LINE_BYTES:
        raise MlgateError(f"a {entry.kind} of {len(data):,} bytes is too long for the ledger ({LINE_BYTES:,} at most).")
    return data, Head(ledger, chain, seq, own)


def following(last: Segment | None, month: str, *, seq: int, lines: int, size: int, chain: str) -> Segment:
    """The segment that takes the next entry: the last one until it is full or its month is over.

    Never an earlier month than the last: a clock that goes backwards must not write behind what is there.
    """
    if last is None or month > last.month:
        return Segment(month, seq, chain)
    if lines >= SEGMENT_LINES or size >= SEGMENT_BYTES:
        return Segment(last.month, seq, chain)
    return last
