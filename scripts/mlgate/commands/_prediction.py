"""Logged predictions: the lines of one request in the prediction log, and whether the ledger agrees with them."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from mlgate.errors import MlgateError
from mlgate.ledger import lineage, query
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import TIME, Registration
from mlgate.ledger.lineage import Target

_LONGEST = 1_000_000  # octets of a line
_ROWS = 10_000  # of one request


@dataclass(frozen=True)
class Logged:
    """One request, as the log has it: a line for each row."""

    request_id: str
    rows: tuple[dict[str, Any], ...]
    file: str

    @property
    def first(self) -> dict[str, Any]:
        return self.rows[0]

    def told(self, key: str) -> str:
        return str(self.first.get(key) or "")

    def target(self) -> Target:
        digest = self.told("digest").removeprefix("sha256:")
        return Target("prediction", self.told("model"), {"sha256": digest}, f"request {self.request_id}")


def find(logs: Sequence[str], request_id: str) -> list[Logged]:
    """The request in these logs, once for each model that answered it (a shadow answers too): by digest.

    `-` is standard input, `.gz` is unpacked; what stands before a line's first brace, such as a time that a container
    runtime has put there, is left out. Raises MlgateError where no line is of that request.
    """
    found: dict[tuple[str, str], tuple[str, list[dict[str, Any]]]] = {}
    lines = 0
    for name in logs:
        with _opened(name) as file:
            for raw in _lines(file):
                lines += 1
                if request_id.encode() not in raw:
                    continue
                line = _parsed(raw)
                if line is None or line.get("request_id") != request_id:
                    continue
                key = (str(line.get("model") or ""), str(line.get("digest") or ""))
                rows = found.setdefault(key, (name, []))[1]
                if len(rows) < _ROWS and line not in rows[-1:]:
                    rows.append(line)
    if not found:
        raise MlgateError(
            f"no line of {', '.join(logs)} is of the request {request_id!r} ({lines:,} lines were read).",
            fix="Give the rotated files too, each with --log. The id is the one of the answer's `request_id`.",
        )
    return [Logged(request_id, tuple(sorted(rows, key=_row)), name) for name, rows in found.values()]


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as file:
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if name.endswith(".gz") else file
    except (OSError, EOFError) as error:
        raise MlgateError(f"cannot be read ({getattr(error, 'strerror', None) or error}).", file=name) from None


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines of any length, of which only the beginning of a very long one is given: it is no prediction."""
    whole = True
    while chunk := file.readline(_LONGEST):
        if whole:
            yield chunk
        whole = chunk.endswith(b"\n")


def _parsed(raw: bytes) -> dict[str, Any] | None:
    start = raw.find(b"{")
    if start < 0:
        return None
    try:
        value = json.loads(raw[start:])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _row(row: dict[str, Any]) -> int:
    number = row.get("row")
    return number if isinstance(number, int) else 0


def agreement(logged: Logged, records: Sequence[Record], known: lineage.Known) -> Iterator[tuple[bool, str]]:
    """Whether what the line says of its model is what the ledger says: each claim, and whether it holds."""
    model, version, commit = logged.told("model"), logged.told("version"), logged.told("commit")
    if commit:
        there = sorted({each.entry.commit for each in known.of("decision", "image") if each.entry.commit})
        told = "where the model was judged or built"
        if commit not in there:
            told = f"and the ledger has this model from {', '.join(each[:12] for each in there) or 'no commit'}"
        yield commit in there, f"the line's commit is {commit[:12]}, {told}"
    if version:
        entries = [each.entry for each in known.of("registration")]
        versions = sorted({each.version for each in entries if isinstance(each, Registration)})
        told = "as it was registered"
        if version not in versions:
            told = f"and this model was registered as {', '.join(versions) or 'nothing'}"
        yield version in versions, f"the line's version is {version}, {told}"
    environment, moment = logged.told("environment"), logged.told("time")
    if environment and moment:
        yield _there(records, known, model, environment, _second(moment))


def _there(
    records: Sequence[Record], known: lineage.Known, model: str, environment: str, moment: str
) -> tuple[bool, str]:
    """Whether the ledger had the model in that environment then, wholly or with a part of the traffic."""
    then = lineage.at(records, model, environment, moment)
    if then is not None and query.same_model(then.entry.subject, dict(known.subject)):
        return True, f"the ledger had this model in {environment} then"
    partly = [
        each for each in known.of("deployment") if each.entry.environment == environment and each.entry.at <= moment
    ]
    if partly and getattr(partly[-1].entry, "state", "") in ("started", "advanced"):
        return True, f"the ledger had this model with a part of the traffic of {environment} then"
    if then is None:
        return False, f"the ledger had nothing in {environment} then"
    other = getattr(then.entry, "version", "") or next(iter(then.entry.subject.values()), "")[:12]
    return False, f"the ledger had {other} in {environment} then, not this model"


def _second(moment: str) -> str:
    """A moment as the ledger writes them; as it is where it is none."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).strftime(TIME)
