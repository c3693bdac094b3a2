"""Data files opened, given to the engines, and judged."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands import _pull
from mlgate.commands._entries import Entry, Rules, other_files
from mlgate.commands._run import STATE, Run, file_name, relative
from mlgate.config.settings import Read
from mlgate.data.nouns import Expectation
from mlgate.errors import MlgateError
from mlgate.judge import committed
from mlgate.judge import contract as judge
from mlgate.judge.committed import Committed
from mlgate.model import Check, Digests, Evidence, Location, Named, Verdict, worst
from mlgate.repo import content

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

KIND = "validate-data"


@dataclass(frozen=True)
class Asked:
    """The options of the verb."""

    data: tuple[str, ...] = ()
    examples: int = 5
    quarantine: Path | None = None
    docs: bool = False
    memory_limit: str = ""
    pull: bool = True
    python: str = ""


@dataclass(eq=False)
class Checker:
    """Holds entries to their contracts. One connection for a whole run."""

    run: Run
    asked: Asked
    rows: int = 0
    quarantined: str = ""
    docs: str = ""
    _tables: dict[str, Table] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    @cached_property
    def _con(self) -> DuckDBPyConnection:
        extras.use("data")
        from mlgate.data import reading  # noqa: PLC0415

        return reading.connect(self.asked.memory_limit)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if "_con" in self.__dict__:
            with suppress(Exception):
                self._con.close()

    def check(self, entries: Sequence[Entry], model: str = "", notes: Sequence[Check] = ()) -> Evidence:
        """The evidence of one model. A file that cannot be read is an `error` beside the others."""
        checks, artifacts = list(notes), []
        inputs: dict[str, Named] = {}
        facts: dict[str, str | float] = {}
        unread = self._pull(entries)
        several = len([e for e in entries if e.checks]) > 1
        for entry in entries:
            checks += entry.notes
            inputs |= {one.name: one for one in entry.contracts}
            if not entry.checks:
                continue
            inputs.setdefault(entry.path, Named(name=entry.path, role="data"))
            if unread and self._missing(entry.committed):
                checks.append(_not_read(entry, entry.path, unread))
                continue
            try:
                found, digests, made = self._entry(entry, unread, several=several)
            except MlgateError as error:
                checks.append(_unreadable(entry, error))
                continue
            checks += found
            artifacts += made
            inputs |= {path: Named(name=path, digest=digest, role="data") for path, digest in digests.items()}
            if counted := [c.rows for c in found if c.rows is not None]:
                facts[f"rows of {entry.path}"] = float(max(counted))
                self.rows += max(counted)
        checks = list({check.id: check for check in checks}.values())  # a file may be compared with more than once
        return Evidence(
            kind=KIND,
            model=model or file_name(entries[0].written),
            title=_sentence(checks, "" if several else next((e.path for e in entries if e.checks), "")),
            verdict=worst(c.verdict for c in checks),
            inputs=list(inputs.values()),
            checks=checks,
            changes=[change for entry in entries for change in entry.changes],
            facts=facts,
            artifacts=artifacts,
            not_run=[unread] if unread else [],
        )

    def _missing(self, committed: Committed) -> list[str]:
        """What the commit has and this machine lacks."""
        names = [*committed.claims] or [committed.path]
        return [name for name in names if not (self.run.git.root / name).exists()]

    def _pull(self, entries: Sequence[Entry]) -> str:
        """What DVC tracks and this machine lacks, before any of it is read; and why it could not be had.

        Only for want of credentials that is a sentence; everything else raises MlgateError.
        """
        wanted = [one for e in entries if e.checks for one in (e.committed, *e.others)]
        missing = list(dict.fromkeys(name for one in wanted for name in self._missing(one)))
        if missing and self.asked.pull:
            python = self.asked.python or next((e.python for e in entries if e.python), "")
            try:
                _pull.pull(self.run, missing, python)
            except _pull.NoCredentialsError as error:
                return error.message
        return ""

    def _entry(self, entry: Entry, unread: str, *, several: bool) -> tuple[list[Check], dict[str, Digests], list[str]]:
        """The checks of one data file, the digests of all that was read for them, and the files that were written."""
        from mlgate.data import engine, reading  # noqa: PLC0415

        files = reading.resolve(self.run.git.root, entry.path)
        before = _stamps(files)
        lacking = [one.path for one in entry.others if self._missing(one)] if unread else []
        others = [one for one in entry.others if one.path not in lacking]
        reading_them = self._pool.submit(lambda: {one.path: self._digest(one) for one in (entry.committed, *others)})
        self._progress(f"checking {entry.path}")
        found = [_not_read(entry, path, unread) for path in lacking]
        found += _left_out(entry, reading.left_out(self.run.git.root, entry.path))
        artifacts: list[str] = []
        now = datetime.now(UTC)
        for rules in entry.checks:
            table = self._table(entry.path, rules.read)
            private, note = _private(entry, rules, [column.name for column in table.columns])
            found += note
            able = [one for one in rules.expectations if not set(other_files(one)) & set(lacking)]
            outcomes = engine.run(
                self._con, table, able, now=now, other=partial(self._other, rules), examples=self.asked.examples
            )
            about = entry.path if several else ""
            found += [
                judge.check(judge.Held(e, o, entry.path, _place(e, rules), private, about, rules.version))
                for e, o in zip(able, outcomes, strict=True)
            ]
            found += [_not_compared(entry, one, rules, unread) for one in rules.expectations if one not in able]
            if rules.version:
                continue
            if self.asked.quarantine is not None:
                artifacts += self._quarantine(table, entry, rules)
            if self.asked.docs:
                artifacts.append(self._docs(table, entry, rules))
        seen = self._seen(entry, reading_them)
        if _stamps(files) != before:
            raise MlgateError("was changed while it was read.", file=entry.path, fix="Let nothing write to it.")
        self._progress("")
        same = [committed.check(one, seen[one.path], strict=self.run.in_ci) for one in (entry.committed, *others)]
        digests = {path: committed.whole(path, digests) for path, digests in seen.items()}
        return [*same, *found], digests, artifacts

    def _table(self, path: str, read: Read) -> Table:
        from mlgate.data import reading  # noqa: PLC0415

        key = f"{path} {read!r}"
        if key not in self._tables:
            files = reading.resolve(self.run.git.root, path)
            self._tables[key] = reading.open_table(self._con, files, path, read)
        return self._tables[key]

    def _other(self, rules: Rules, path: str) -> Table:
        """Another data file that an expectation speaks of. Raises MlgateError when it cannot be read."""
        if not path:
            raise MlgateError("mlgate.yaml names no `reference:` for this file, so drift has nothing to start from.")
        return self._table(path, rules.reads.get(path, Read()))

    def _digest(self, one: Committed) -> dict[str, Digests]:
        """What is here of a path: all that the commit has of it, and every file that is read although it has not."""
        from mlgate.data import reading  # noqa: PLC0415

        root = self.run.git.root
        seen: dict[str, Digests] = {}
        for name, claim in one.claims.items():
            there = root / name
            seen[name] = content.digest(there, claim.digest, legacy=claim.legacy) if there.exists() else {}
        try:
            files = reading.resolve(root, one.path)
        except MlgateError:
            return seen  # who reads it says so
        for file in files:
            name = file.relative_to(root.resolve()).as_posix()
            if not any(name == claimed or name.startswith(f"{claimed}/") for claimed in one.claims):
                seen[name] = content.digest(file, {})
        return seen

    def _seen(self, entry: Entry, reading_them: Future[dict[str, dict[str, Digests]]]) -> dict[str, dict[str, Digests]]:
        try:
            return reading_them.result()
        except OSError as error:
            raise MlgateError(f"cannot be read ({error.strerror or error}).", file=entry.path) from error

    def _quarantine(self, table: Table, entry: Entry, rules: Rules) -> list[str]:
        from mlgate.data import engine  # noqa: PLC0415

        assert self.asked.quarantine is not None  # noqa: S101 -- asked by the caller
        folder = self.asked.quarantine / file_name(entry.path)
        done = engine.quarantine(self._con, table, rules.expectations, folder)
        self.quarantined = relative(self.asked.quarantine)
        return [relative(done.bad), relative(done.good)]

    def _docs(self, table: Table, entry: Entry, rules: Rules) -> str:
        from mlgate.data import gx  # noqa: PLC0415

        folder = self.run.cwd / STATE / "data-docs"
        place = folder / file_name(entry.path)
        page = gx.docs(self._con, table, rules.expectations, place, private=rules.private)
        self.docs = relative(folder)
        return relative(page)

    def _progress(self, text: str) -> None:
        """On a terminal, what is being looked at; nothing in a log."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}{' ...' if text else ''}")
            sys.stderr.flush()


def _place(expectation: Expectation, rules: Rules) -> str:
    """The file that says it."""
    return rules.config if expectation.key.startswith("data[") else rules.file


def _stamps(files: Sequence[Path]) -> list[tuple[int, int, int]]:
    return [(at.st_ino, at.st_size, at.st_mtime_ns) for at in (file.stat() for file in files)]


def _private(entry: Entry, rules: Rules, columns: Sequence[str]) -> tuple[frozenset[str], list[Check]]:
    """Columns whose values are hidden: all of them where the contract hides one that the data have not."""
    there = {column.casefold() for column in columns}
    unknown = sorted(name for name in rules.private if name.casefold() not in there)
    if not unknown:
        return rules.private, []
    reason = (
        f"{rules.file} calls {unknown[0]} private, and {entry.path} has no such column. "
        "Until that is cleared up, no values are shown."
    )
    note = Check(
        id=f"{rules.version or 'data'}.{entry.path}.private", group="judge", title="private columns",
        verdict=Verdict.WARN, reason=reason, location=Location(file=rules.file),
    )  # fmt: skip
    return rules.private | frozenset(columns), [note]


def _left_out(entry: Entry, names: Sequence[str]) -> list[Check]:
    if not names:
        return []
    more = f", and {len(names) - 1} more" if len(names) > 1 else ""
    reason = f"{names[0]}{more} ends like data, and its name begins as those of files that nobody reads: it was not."
    return [
        Check(
            id=f"data.{entry.path}.left", group="judge", title=entry.path, verdict=Verdict.WARN,
            reason=f"{reason} Rename it, or remove it.", location=Location(file=names[0]),
        )
    ]  # fmt: skip


def _unreadable(entry: Entry, error: MlgateError) -> Check:
    return Check(
        id=f"data.{entry.path}.read", group="data", title=entry.path, verdict=Verdict.ERROR, reason=str(error),
        location=Location(file=error.file or entry.path, line=error.line, key=error.key),
    )  # fmt: skip


def _not_read(entry: Entry, path: str, why: str) -> Check:
    """For want of credentials, as the policy says: `main` looks again with them."""
    return Check(
        id=f"data.{path}.unread", group="data", title=path, verdict=entry.no_credentials,
        reason=f"What it is held to was not checked. {why}", location=Location(file=path),
    )  # fmt: skip


def _not_compared(entry: Entry, expectation: Expectation, rules: Rules, why: str) -> Check:
    return Check(
        id=f"{rules.version or 'data'}.{entry.path}.{expectation.id}", group="data", title=expectation.title,
        verdict=entry.no_credentials, expected=expectation.expected, reason=f"It was not checked. {why}",
        location=Location(file=_place(expectation, rules), line=expectation.line, key=expectation.key),
    )  # fmt: skip


def _sentence(checks: Sequence[Check], about: str) -> str:
    """`about` is the data file where there is one: with several, the checks name theirs."""
    held = [c for c in checks if c.group == "data"]
    wrong = sorted((c for c in checks if c.verdict is not Verdict.PASS), key=lambda c: -c.verdict.rank)
    if not wrong:
        return f"The data keep their contract ({len(held)} {'expectation' if len(held) == 1 else 'expectations'})."
    first = wrong[0]
    broken = [c for c in held if c.verdict is not Verdict.PASS]
    count = f"{len(broken)} of {len(held)} expectations do not hold. First: " if len(broken) > 1 else ""
    said = first.reason if first.title in first.reason else f"{first.title}: {first.reason}"
    where = f"{about}: " if about and first.group == "data" and not said.startswith(about) else ""
    return f"{count}{where}{said}"
