"""Vulnerabilities that people have accepted, each with its reason and until a day. After that day it is an error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlgate.errors import MlgateError, why
from mlgate.model import Check, Location, Verdict

_FIX = "Write it as `- {id: PYSEC-2024-1, until: 2027-01-31, reason: not reachable from our code}`."
_KEYS = {"id", "until", "reason"}


@dataclass(frozen=True)
class Accepted:
    """One entry of the file. `until` is the last day on which it holds."""

    id: str
    until: dt.date
    reason: str
    line: int = 0


def load(path: Path, *, name: str = "") -> list[Accepted]:
    """The entries of an ignore file. Raises MlgateError for what is none."""
    file = name or str(path)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else why(error)
        raise MlgateError(f"cannot be read: {said}.", file=file) from error
    if node is None:
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise MlgateError("is not a list.", file=file, line=node.start_mark.line + 1, fix=_FIX)
    found = [_entry(one, file) for one in node.value]
    seen: dict[str, int] = {}
    for one in found:
        if one.id.lower() in seen:
            raise MlgateError(f"`{one.id}` stands there twice.", file=file, line=one.line)
        seen[one.id.lower()] = one.line
    return found


def _entry(node: Any, file: str) -> Accepted:
    line = node.start_mark.line + 1
    value = yaml.SafeLoader("").construct_document(node) if isinstance(node, yaml.MappingNode) else None
    if not isinstance(value, dict):
        raise MlgateError("an entry is no mapping.", file=file, line=line, fix=_FIX)
    if unknown := sorted(set(map(str, value)) - _KEYS):
        raise MlgateError(f"`{unknown[0]}` is not a key of an entry.", file=file, line=line, fix=_FIX)
    name, until, reason = value.get("id"), value.get("until"), value.get("reason")
    if not isinstance(name, str) or not name.strip():
        raise MlgateError("an entry has no `id`.", file=file, line=line, fix=_FIX)
    if isinstance(until, dt.datetime) or not isinstance(until, dt.date):
        raise MlgateError(f"`{name}` has no `until` that is a day.", file=file, line=line, key="until", fix=_FIX)
    if not isinstance(reason, str) or not reason.strip():
        raise MlgateError(f"`{name}` has no `reason`.", file=file, line=line, key="reason", fix=_FIX)
    return Accepted(name.strip(), until, " ".join(reason.split()), line)


def expired(entries: Iterable[Accepted], today: dt.date, *, file: str) -> list[Check]:
    """One error per entry whose day is over."""
    return [
        Check(
            id=f"supply.ignore.{one.id}",
            title=f"{one.id} was accepted until {one.until.isoformat()}",
            group="supply",
            verdict=Verdict.ERROR,
            reason=f"`{one.id}` was accepted until {one.until.isoformat()} ({one.reason}), and that day is over.",
            fix=f"# {file}: mend it, or decide again and say until when\n"
            f"- {{id: {one.id}, until: YYYY-MM-DD, reason: ...}}",
            location=Location(file=file, line=one.line or None),
        )
        for one in entries
        if one.until < today
    ]


def unused(entries: Iterable[Accepted], met: Iterable[str], *, file: str) -> list[Check]:
    """A warning for what is accepted and no longer found: it would hide what comes back under the same name."""
    known = {one.lower() for one in met}
    left = [one for one in entries if one.id.lower() not in known]
    if not left:
        return []
    names = ", ".join(f"`{one.id}`" for one in left[:10])
    return [
        Check(
            id="supply.ignore.unused",
            title="accepted vulnerabilities that are not there",
            group="supply",
            verdict=Verdict.WARN,
            reason=f"{names} {'is' if len(left) == 1 else 'are'} accepted, and no longer found. Take the entries out.",
            location=Location(file=file, line=left[0].line or None),
        )
    ]


def accepts(entries: Sequence[Accepted], ids: Iterable[str], today: dt.date) -> Accepted | None:
    """The entry that covers a finding by one of its ids, while it holds."""
    wanted = {one.lower() for one in ids}
    return next((one for one in entries if one.id.lower() in wanted and one.until >= today), None)
