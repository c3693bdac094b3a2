"""Whether decision records hold: those in the ledger, and those that lie in files.

Image statements are looked at in `_images`, by the same functions for files and envelopes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate.commands._deciding import FOLDER
from mlgate.commands._run import STATE, Run, relative
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import record
from mlgate.judge.record import RULES, Statement
from mlgate.ledger import dsse
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Decision
from mlgate.ledger.verify import Report

SIGNED = ".dsse.json"  # beside a record: its DSSE envelope
_LARGEST = 10_000_000


@dataclass(frozen=True)
class Checked:
    """What was found: `wrong` sentences, and `said` about what holds or could not be checked."""

    count: int = 0  # of those in the ledger
    wrong: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def check(run: Run, report: Report, files: Sequence[Path], key: Path | None = None) -> Checked:
    """Every decision of the ledger, and the files that are named, else those of `.mlgate/decisions`.

    With a public `key`, each of these files has to be signed with it. Raises MlgateError where that is no key.
    """
    made = [(each, each.entry) for each in report.records if isinstance(each.entry, Decision)]
    wrong: list[str] = []
    unread = 0
    for found, entry in made:
        try:
            statement = Statement.parse(entry.record)
        except MlgateError as error:
            wrong.append(f"{place(found)}: its record {error}")
            continue
        told = [*record.problems(statement), *record.agrees(statement, entry)]
        known = _rules(run, statement)
        if known is None:
            unread += 1
        elif known:
            told.append(known)
        wrong += [f"{place(found)}: {each}." for each in told]
    said = [f"{count(len(made), 'decision')}: every record follows its schema and is what the ledger names."]
    said = said if made and not wrong else []
    if unread:
        rules = f"The rules of {count(unread, 'decision')} were not read again"
        said.append(f"{rules}: their commits are not in this clone.")
    named = list(files) or found_in(run)
    for path in named:
        problems, signed = _file(path, [entry for _, entry in made], key)
        wrong += [f"{relative(path)}: {each}" for each in problems]
        said.append(f"{relative(path)}: {signed}")
    if made and not named:
        said.append("Records in the ledger are not signed: the chain, and heads kept elsewhere, vouch for them.")
    return Checked(len(made), tuple(wrong), tuple(said))


def found_in(run: Run) -> list[Path]:
    """The decision records that lie in .mlgate."""
    files = sorted((run.cwd / STATE / FOLDER).glob("*.json"))
    return [path for path in files if not path.name.endswith(SIGNED)]


def place(found: Record) -> str:
    return f"{found.file}:{found.line}"


def count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _rules(run: Run, statement: Statement) -> str | None:
    """Whether the rules of the record are those of its commit: a sentence where not, "" where so, None if unknown."""
    rules = statement.predicate.configuration[0]
    commit = rules.annotations.get("commit", "")
    if not commit or run.git.resolve(commit) != commit:
        return None
    try:
        loaded = run.load_at(run.git.at(commit), rules.name)
    except MlgateError:
        return None
    if loaded is None:
        return f"commit {commit[:7]} has no {rules.name}, whose rules it names"
    if not isinstance(loaded, Config):
        return f"{rules.name} of commit {commit[:7]} cannot be read, and its rules are named"
    if loaded.digest() != rules.digest.get(RULES):
        return f"the rules of {rules.name} in commit {commit[:7]} are not those that it names"
    return ""


def _file(path: Path, entries: Sequence[Decision], key: Path | None) -> tuple[list[str], str]:
    """What is wrong with a record in a file, and what is to be said of its signature."""
    try:
        data, value = read(path, "a decision record")
        statement = Statement.parse(value)
    except MlgateError as error:
        return [error.message], "not signed, as far as can be told."
    wrong = [f"{each}." for each in record.problems(statement)]
    if data != statement.to_bytes():
        wrong.append("its bytes are not as mlgate writes them.")
    entry = next((entry for entry in entries if entry.statement == statement.digest), None)
    if entry is None:
        wrong.append(f"the ledger has no decision with this record ({statement.digest[:12]}).")
    else:
        wrong += [f"{each}." for each in record.agrees(statement, entry)]
    more, signed = envelope(path, data, key)
    return [*wrong, *more], signed


def read(path: Path, what: str) -> tuple[bytes, Any]:
    """The bytes of a record in a file, and the JSON they are. Raises MlgateError for what is none."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError
        data = path.read_bytes()
        return data, json.loads(data.decode())
    except (OSError, ValueError, RecursionError):
        raise MlgateError(f"it cannot be read as {what}.") from None


def envelope(path: Path, data: bytes, key: Path | None) -> tuple[list[str], str]:
    """What is wrong with the envelope beside a record, and what is to be said of its signature."""
    beside = path.with_name(path.name + SIGNED)
    try:
        envelope = beside.read_bytes()
    except FileNotFoundError:
        return (["it is not signed, and --key asks for that."] if key else []), "not signed."
    except OSError as error:
        return [f"{beside.name} beside it cannot be read ({error.strerror})."], "not signed, as far as can be told."
    if wrong := dsse.problem(envelope, data):
        return [f"{beside.name} beside it {wrong}."], "not signed, as far as can be told."
    if key is None:
        return [], f"signed by {beside.name}; by whom was not verified: give `--key`, the public key in PEM form."
    try:
        if dsse.is_signed(envelope, data, key.read_bytes()):
            return [], f"signed with {key.name}."
    except MlgateError as error:
        raise MlgateError(error.message, file=key.name, fix=error.fix) from error
    return [f"{beside.name} beside it is not signed with {key.name}."], "signed with another key."
