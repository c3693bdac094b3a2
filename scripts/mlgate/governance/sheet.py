"""The data sheet: what people say of the data, beside what the commit and the contracts say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mlgate.governance import words
from mlgate.governance.card import unwritten
from mlgate.governance.nouns import Held, Table
from mlgate.governance.words import SheetWords


@dataclass(frozen=True)
class Count:
    """How many rows one data file had when its contract was checked, and where that is written."""

    path: str
    rows: int
    evidence: str
    sha256: str
    check: str


@dataclass(frozen=True)
class Sheet:
    model: str
    commit: str
    words: dict[str, str]
    personal_data: bool
    deidentified: str  # yes | no | not needed
    tables: tuple[Table, ...]
    counts: tuple[Count, ...]
    private: tuple[str, ...]  # columns that contracts call private
    checked: str  # the verdict of `validate-data` for this commit, or that there is none

    def to_json(self) -> str:
        data: dict[str, Any] = {"schema": 1, "kind": "data-sheet"} | asdict(self)
        return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def make(held: Held) -> Sheet:
    """Raises MlgateError where nobody has written the words."""
    if held.sheet is None:
        raise unwritten(held, "data_sheet", "the data sheet has no words.")
    said = held.sheet
    return Sheet(
        model=held.model,
        commit=held.commit,
        words={key: text for key, text in words.texts(said) if text},
        personal_data=bool(said.personal_data),
        deidentified=said.deidentified.state,
        tables=tuple(held.tables),
        counts=tuple(_counts(held)),
        private=tuple(sorted({column for one in held.tables for column in one.private})),
        checked=_checked(held),
    )


def _counts(held: Held) -> Iterator[Count]:
    """The largest number of rows that a check of the data was about: some look at a part of the rows only."""
    evidence, named = held.evidence.get("validate-data"), held.named("validate-data")
    if evidence is None or named is None or held.other_commit(evidence.source.commit):
        return
    for table in held.tables:
        about = [check for check in evidence.checks if check.rows and f"data.{table.path}." in f"{check.id}."]
        if about:
            check = max(about, key=lambda one: one.rows or 0)
            yield Count(table.path, check.rows or 0, named.name, named.digest["sha256"], check.id)


def _checked(held: Held) -> str:
    evidence = held.evidence.get("validate-data")
    if evidence is None or held.other_commit(evidence.source.commit):
        return "not checked against a contract at this commit"
    return f"{evidence.verdict.value}: {evidence.title}" if evidence.title else evidence.verdict.value


def contradictions(held: Held, said: SheetWords) -> Iterator[tuple[str, str]]:
    """Where the sheet, the contracts and the tags do not say the same: key, and what is wrong."""
    private = sorted({column for one in held.tables for column in one.private})
    if private and not said.personal_data:
        yield "personal_data", f"is false, and the contracts call {', '.join(private[:3])} private"
    if said.personal_data and said.deidentified.state == "not needed":
        yield "deidentified.state", "is `not needed`, and `personal_data` is true"
    tag = held.config.governance.tags.get("pii_processed", "").lower()
    identified = said.personal_data and said.deidentified.state == "no"
    if tag in ("false", "no") and identified:
        yield "deidentified.state", "is `no`, and the tag `pii_processed` says that no personal data are processed"


def rights(said: SheetWords) -> Iterator[tuple[str, str]]:
    """What of the rights to the data nobody has written: key, and why it says nothing."""
    wanted = {"use_rights", "licence", "origin", "deidentified.how"}
    yield from ((key, why) for key, why in words.problems(said) if key in wanted)
