"""One line of a segment, taken apart: a record, or what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from mlgate.ledger import chain, kinds
from mlgate.ledger.chain import Record, Segment

Kind = Literal[
    "changed", "dropped", "forged", "reordered", "repeated", "truncated", "missing segment", "rewritten",
    "another ledger", "schema", "foreign file", "index",
]  # fmt: skip
_KEYS = {"chain", "entry", "hash", "ledger", "previous", "seq"}
_MORE = {"beside", "waited"}
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Damage:
    """What was found, where (`line` counts from 1), in one sentence."""

    kind: Kind
    said: str
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{where}{self.kind}: {self.said}"


@dataclass(frozen=True)
class Link:
    """The place of a line in its chain, where its hash is right."""

    seq: int
    previous: str
    hash: str
    ledger: str
    beside: tuple[int, str] | None


@dataclass(frozen=True)
class Found:
    """One line: its link and its record as far as they can be believed, else the damage."""

    file: str
    line: int
    link: Link | None = None
    record: Record | None = None
    damage: Damage | None = None


def read(segment: Segment, data: bytes) -> Iterator[Found]:
    """Every line of a segment."""
    path = segment.path
    rows = data.split(b"\n")
    end = rows.pop()
    for number, raw in enumerate(rows, 1):
        yield _line(segment, number, raw)
    if end:
        number = len(rows) + 1
        whole = _line(segment, number, end)
        said = "its end of line is missing." if whole.damage is None else "the line breaks off in the middle."
        yield Found(path, number, whole.link, whole.record, Damage("truncated", said, path, number))


def last(segment: Segment, data: bytes) -> Found | None:
    """Its last line alone; None of an empty segment."""
    if not data.endswith(b"\n"):
        said = "the line breaks off in the middle."
        number = data.count(b"\n") + 1
        return Found(segment.path, number, damage=Damage("truncated", said, segment.path, number)) if data else None
    raw = data[:-1].rpartition(b"\n")[2]
    return _line(segment, data.count(b"\n"), raw)


def _line(segment: Segment, number: int, raw: bytes) -> Found:
    path = segment.path

    def bad(kind: Kind, said: str, link: Link | None = None) -> Found:
        return Found(path, number, link, None, Damage(kind, said, path, number))

    try:
        value = json.loads(raw.decode())
    except (ValueError, RecursionError):
        return bad("changed", "it is not an entry any more: it cannot be read as JSON.")
    if not _whole(value):
        return bad("changed", "it is not an entry any more: its members are not those of a line.")
    try:
        same = chain.canonical(value) == raw
    except ValueError:
        same = False
    if not same:
        return bad("changed", "its bytes are not as mlgate writes them.")
    if chain.digest_of(raw) != value["hash"]:
        return bad("changed", f"entry {value['seq']} does not have the hash that it states.")
    beside = (value["beside"]["seq"], value["beside"]["hash"]) if "beside" in value else None
    link = Link(value["seq"], value["previous"], value["hash"], value["ledger"], beside)
    if value["chain"] != segment.chain:
        return bad("forged", f"it belongs to the chain {value['chain']!r}, not to {segment.chain!r}.", link)
    kind = value["entry"].get("kind")
    try:
        entry = kinds.parse(value["entry"])
    except (ValidationError, RecursionError) as error:
        return bad("schema", _what(value["entry"], kind, error), link)
    if chain.chain_of(entry.kind) != segment.chain:
        return bad("schema", f"a {entry.kind} does not belong among the {segment.chain}.", link)
    record = Record(
        entry, link.ledger, segment.chain, link.seq, link.previous, link.hash, beside, value.get("waited", 0),
        path, number,
    )  # fmt: skip
    return Found(path, number, link, record)


def _whole(value: Any) -> bool:
    """Whether a line has the members of one, of the right types."""
    if not isinstance(value, dict) or not value.keys() >= _KEYS or value.keys() - _KEYS - _MORE:
        return False
    beside, waited = value.get("beside", {"seq": 1, "hash": "0" * 64}), value.get("waited", 1)
    return (
        _number(value["seq"])
        and _number(waited)
        and isinstance(value["entry"], dict)
        and all(isinstance(value[key], str) for key in ("chain", "hash", "ledger", "previous"))
        and kinds.is_id(value["ledger"])
        and _HASH.fullmatch(value["hash"]) is not None
        and isinstance(beside, dict)
        and beside.keys() == {"seq", "hash"}
        and _number(beside["seq"])
        and isinstance(beside["hash"], str)
    )


def _number(value: Any) -> bool:
    return type(value) is int and 0 < value < 10**12


def _what(entry: dict[str, Any], kind: Any, error: Exception) -> str:
    if not isinstance(kind, str) or kind not in kinds.CLASSES or entry.get("schema") != kinds.SCHEMA:
        shown = f"{kind!r:.60}"
        return (
            f"kind {shown} of schema {entry.get('schema')!r:.20} is not known here. Was it written by a newer mlgate?"
        )
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"][1:])
        return f"a {kind} that does not follow its schema: {key or 'it'}: {first['msg']}."
    return f"a {kind} that does not follow its schema."
