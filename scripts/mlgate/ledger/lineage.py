"""What a word means to the ledger (a version, image, entry, digest or commit), and all it knows about that model.

    (target,) = named(records, "visits@v1.4.0")
    known = about(records, target)

Pure. Which commit has which model is asked of git elsewhere, for commits that no entry is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlgate.ledger import query
from mlgate.ledger.chain import EVENTS, Record
from mlgate.ledger.kinds import (
    Comparison,
    Decision,
    Deployment,
    Entry,
    Image,
    Promotion,
    Registration,
    Rollback,
)

SHORTEST = 6  # digits of a digest, a commit or an id that is not given whole
_HEX = re.compile(r"[0-9a-f]{6,128}(\.dir)?")
_NUMBER = re.compile(r"(?:(events|readings):)?([0-9]{1,5})")
_REGISTRY = re.compile(r"models:/([^/@]+)/([^/]+)")


@dataclass(frozen=True)
class Target:
    """What was asked about: one model by its digests, and what the word named it by."""

    kind: str  # "model version", "image", "deployment", "model", "commit", "decision", "environment", "prediction", ...
    model: str
    subject: Mapping[str, str]
    said: str  # for people: visits@v1.4.0
    commit: str = ""  # where the word is one
    entry: Record | None = None  # of the ledger, where the word is one of it

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.model, tuple(sorted(self.subject.items()))


@dataclass(frozen=True)
class Known:
    """All that the ledger has about one model, oldest first."""

    subject: Mapping[str, str]  # every digest that any entry names it by
    records: tuple[Record, ...]

    def of(self, *kinds: str) -> list[Record]:
        return [each for each in self.records if each.entry.kind in kinds]


@dataclass(frozen=True)
class Span:
    """A time in which a model was the one of an environment. `until` is empty where it still is."""

    environment: str
    since: str
    until: str
    by: Record  # the entry that brought it


def named(records: Sequence[Record], word: str) -> list[Target]:
    """The models that a word can mean, each once: none where the ledger knows no such thing."""
    found = list(_named(records, word.strip()))
    distinct: list[Target] = []
    for target in found:
        known = next((one for one in distinct if _same(one, target)), None)
        if known is None:
            distinct.append(target)
        else:  # two words for one model: all its digests
            at = distinct.index(known)
            distinct[at] = replace(known, subject={**target.subject, **known.subject})
    return distinct


def about(records: Iterable[Record], target: Target) -> Known:
    """Every entry about a model, by whichever digests it is named there."""
    history = [each for each in query.history(records, model=target.model) if each.chain == EVENTS]
    subject = dict(target.subject)
    while True:  # an entry that has both digests joins those that have either
        found = [each for each in history if _is_about(each.entry, subject)]
        more = {name: value for each in found for name, value in _own(each.entry, subject).items()}
        if more.items() <= subject.items():
            return Known(subject, tuple(found))
        subject = {**more, **subject}


def spans(records: Iterable[Record], model: str, subject: Mapping[str, str]) -> list[Span]:
    """When a model was in which environment, oldest first."""
    history = query.history(records, model=model)
    environments = dict.fromkeys(each.entry.environment for each in history if each.entry.environment)
    return sorted(
        (span for name in environments for span in _spans(history, name, dict(subject))), key=lambda span: span.since
    )


def at(records: Iterable[Record], model: str, environment: str, moment: str) -> Record | None:
    """What was in an environment at a moment (ISO 8601); None where nothing was, as far as the ledger knows."""
    return query.current(records, model, environment, on=moment)


# -- words -----------------------------------------------------------------------------------------------------------


def _named(records: Sequence[Record], word: str) -> Iterator[Target]:
    if registry := _REGISTRY.fullmatch(word):
        yield from _in_registry(records, registry[1], registry[2])
        return
    if entry := _NUMBER.fullmatch(word):
        wanted = (entry[1] or EVENTS, int(entry[2]))
        yield from (_of(each, word) for each in records if (each.chain, each.seq) == wanted and each.entry.subject)
        return
    name, _, rest = word.rpartition("@")
    if rest.startswith("sha256:"):
        yield from _by_hex(records, rest.removeprefix("sha256:"), repository=name)
    elif name:
        yield from _by_version(records, name, rest)
    elif "#" in word:
        yield from _by_version(records, *word.split("#", 1))
    else:
        algorithm, _, value = word.rpartition(":")
        if _HEX.fullmatch(value) and re.fullmatch(r"[a-z0-9-]*", algorithm):
            yield from _by_hex(records, value, algorithm=algorithm)


def _in_registry(records: Sequence[Record], name: str, number: str) -> Iterator[Target]:
    for each in records:
        entry = each.entry
        if isinstance(entry, Registration) and entry.name == name and number in entry.registries.values():
            yield Target("model version", entry.model, entry.subject, f"{name}@{entry.version}", entry=each)


def _by_version(records: Sequence[Record], name: str, rest: str) -> Iterator[Target]:
    """`name@v1.2.0`, or `name@production` for what is there now."""
    versions = {rest, f"v{rest}"}
    registered = False
    for each in records:
        entry = each.entry
        if isinstance(entry, Registration) and entry.name == name and entry.version in versions:
            registered = True
            yield Target("model version", entry.model, entry.subject, f"{name}@{entry.version}", entry=each)
    if registered:
        return
    for each in records:
        entry = each.entry
        told = getattr(entry, "version", "")
        if entry.model == name and told and told in versions:
            yield Target("model version", name, entry.subject, f"{name}@{told}", entry=each)
            registered = True
    now = None if registered else query.current(records, name, rest)
    if now is not None:
        yield Target("environment", name, now.entry.subject, f"{name} in {rest}", entry=now)


def _by_hex(records: Sequence[Record], value: str, *, algorithm: str = "", repository: str = "") -> Iterator[Target]:
    """A digest, a commit or an entry's id, whole or its beginning."""
    if len(value) < SHORTEST:
        return
    for each in records:
        entry = each.entry
        if not entry.model or not entry.subject or each.chain != EVENTS:
            continue
        if isinstance(entry, Image) and _begins(entry.image, value, algorithm) and repository in ("", entry.name):
            yield Target("image", entry.model, entry.subject, f"{entry.name}@{_digest(entry.image)}", entry=each)
        elif repository:
            continue
        elif _begins(entry.subject, value, algorithm):
            yield Target("model", entry.model, entry.subject, f"{entry.model} {_digest(entry.subject)}")
        elif isinstance(entry, Deployment) and _begins(entry.image, value, algorithm):
            yield Target("image", entry.model, entry.subject, f"image {_digest(entry.image)}", entry=each)
        elif not algorithm and entry.id.startswith(value):
            yield _of(each, f"entry {each.seq}")
        elif isinstance(entry, Decision | Comparison | Image) and not algorithm and entry.commit.startswith(value):
            yield Target("commit", entry.model, entry.subject, f"commit {entry.commit[:12]}", entry.commit)
        elif isinstance(entry, Decision | Image) and algorithm in ("", "sha256") and entry.statement.startswith(value):
            what = "decision" if isinstance(entry, Decision) else "image"
            yield Target(what, entry.model, entry.subject, f"record {entry.statement[:12]}", entry=each)


def _of(each: Record, said: str) -> Target:
    place = f"entry {each.seq}" if each.chain == EVENTS else f"entry {each.chain}:{each.seq}"
    return Target(each.entry.kind, each.entry.model, each.entry.subject, said if said == place else place, entry=each)


def _begins(digests: Mapping[str, str], value: str, algorithm: str) -> bool:
    return any(hexed.startswith(value) for name, hexed in digests.items() if algorithm in ("", name))


def _digest(digests: Mapping[str, str]) -> str:
    name = "sha256" if "sha256" in digests else next(iter(digests), "")
    return f"{name}:{digests[name]}" if name else ""


def _same(one: Target, other: Target) -> bool:
    return one.model == other.model and query.same_model(dict(one.subject), dict(other.subject))


# -- a model ---------------------------------------------------------------------------------------------------------


def _is_about(entry: Entry, subject: dict[str, str]) -> bool:
    if query.same_model(entry.subject, subject):
        return True
    return isinstance(entry, Rollback) and query.same_model(entry.instead_of, subject)


def _own(entry: Entry, subject: dict[str, str]) -> dict[str, str]:
    """The digests by which an entry names this model, which a rollback can have as what it took away."""
    if query.same_model(entry.subject, subject):
        return dict(entry.subject)
    return dict(getattr(entry, "instead_of", {}))


def _spans(history: Sequence[Record], environment: str, subject: dict[str, str]) -> Iterator[Span]:
    begun: Record | None = None
    for each in history:
        entry: Any = each.entry
        if entry.environment != environment or not isinstance(entry, Promotion | Deployment | Rollback):
            continue
        if isinstance(entry, Deployment) and entry.state != "complete":
            continue
        here = query.same_model(entry.subject, subject)
        if here and begun is None:
            begun = each
        elif not here and begun is not None:
            yield Span(environment, begun.entry.at, entry.at, begun)
            begun = None
    if begun is not None:
        yield Span(environment, begun.entry.at, "", begun)
