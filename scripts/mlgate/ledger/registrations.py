"""Which versions of a name the ledger knows, and which one comes next. Pure.

There is one registration of a model's digest under a name: the first entry gives it its version. Later entries of the
same version add what was not known then: the number that a registry gave it, and its image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from mlgate.errors import MlgateError
from mlgate.ledger import query
from mlgate.ledger.kinds import Entry, Registration

FIRST = "v1.0.0"
Bump = Literal["major", "minor", "patch"]
_VERSION = re.compile(r"v(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Known:
    """One version of a name, from all entries about it. `first` is the one that decided."""

    first: Registration
    name: str
    version: str
    subject: Mapping[str, str]
    registries: Mapping[str, str]  # mlflow -> its own number
    image: Mapping[str, str]  # of the last entry that has one

    @property
    def id(self) -> str:
        return self.first.id


def known(entries: Iterable[Entry], name: str) -> list[Known]:
    """Every version of a name, in the order in which they were registered: that of the entries."""
    found: dict[str, Known] = {}
    for entry in entries:
        if not isinstance(entry, Registration) or entry.name != name:
            continue
        old = found.get(entry.version)
        if old is None:
            old = Known(entry, name, entry.version, {}, {}, {})
        elif not query.same_model(dict(old.subject), entry.subject):
            continue  # one version is one model: whatever this says, the first one counts
        found[entry.version] = Known(
            old.first, name, entry.version, {**old.subject, **entry.subject},
            {**old.registries, **entry.registries}, dict(entry.image) or old.image,
        )  # fmt: skip
    return list(found.values())


def of_model(versions: Iterable[Known], subject: Mapping[str, str]) -> Known | None:
    """The version of a model, by its digests."""
    return next((one for one in versions if query.same_model(dict(one.subject), dict(subject))), None)


def parse(text: str) -> tuple[int, int, int]:
    """Raises MlgateError for what is no version."""
    found = _VERSION.fullmatch(text)
    if found is None:
        raise MlgateError(f"{text[:60]!r} is no version.", fix="Write three numbers: v1.2.0.")
    return int(found[1]), int(found[2]), int(found[3])


def spelled(text: str) -> str:
    """A version that somebody wrote, with or without its `v`. Raises MlgateError for what is none."""
    version = text if text.startswith("v") else f"v{text}"
    parse(version)
    return version


def following(taken: Iterable[str], bump: Bump) -> str:
    """The version after the highest one; FIRST where there is none. What is no version does not count."""
    numbers = [parse(version) for version in taken if _VERSION.fullmatch(version)]
    if not numbers:
        return FIRST
    major, minor, patch = max(numbers)
    return {
        "major": f"v{major + 1}.0.0",
        "minor": f"v{major}.{minor + 1}.0",
        "patch": f"v{major}.{minor}.{patch + 1}",
    }[bump]
