"""Data files opened, given to the engines, and judged."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands import _pull
from mlgate.commands._entries import Entry, Rules, inside
from mlgate.commands._run import STATE, Run, file_name, relative
from mlgate.config.settings import Read
from mlgate.data.nouns import Expectation
from mlgate.errors import MlgateError
from mlgate.judge import contract as judge
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
        checks, inputs, artifacts = list(notes), [], []
        facts: dict[str, str | float] = {}
        unread = self._pull(entries)
        several = len([e for e in entries if e.checks]) > 1
        for entry in entries:
            checks += entry.notes
            inputs += [one for one in entry.contracts if one not in inputs]
            if not entry.checks:
                continue
            if unread and not (self.run.git.root / entry.path).exists():
                checks.append(_not_read(entry, unread))
                inputs.append(Named(name=entry.path, role="data"))
                continue
            try:
                found, digest, made = self._entry(entry, several=several)
            except MlgateError as error:
                checks.append(_unreadable(entry, error))
                inputs.append(Named(name=entry.path, role="data"))
                continue
            checks += found
            artifacts += made
            inputs.append(Named(name=entry.path, digest=digest, role="data"))
            if counted := [c.rows for c in found if c.rows is not None]:
                facts[f"rows of {entry.path}"] = float(max(counted))
                self.rows += max(counted)
        verdict = worst(c.verdict for c in checks)
        return Evidence(
            kind=KIND,
            model=model or file_name(entries[0].written),
            title=_sentence(checks),
            verdict=verdict,
            inputs=inputs,
            checks=checks,
            changes=[change for entry in entries for change in entry.changes],
            facts=facts,
            artifacts=artifacts,
            not_run=[unread] if unread else [],
        )

    def _pull(self, entries: Sequence[Entry]) -> str:
        """What DVC tracks and this machine lacks, before any of it is read; and why it could not be had.

        Only for want of credentials that is a sentence; everything else raises MlgateError.
        """
        wanted = [e.path for e in entries if e.checks]
        wanted += [other for e in entries for c in e.checks for x in c.expectations for other in _others(x)]
        missing = [path for path in dict.fromkeys(wanted) if not (self.run.git.root / path).exists()]
        if missing and self.asked.pull:
            python = self.asked.python or next((e.python for e in entries if e.python), "")
            try:
                _pull.pull(self.run, missing, python)
            except _pull.NoCredentialsError as error:
                return error.message
        return ""

    def _entry(self, entry: Entry, *, several: bool) -> tuple[list[Check], Digests, list[str]]:
        from mlgate.data import engine  # noqa: PLC0415

        digest = self._pool.submit(self._digest, entry)
        table = self._table(entry.path, entry.settings.read)
        self._progress(f"checking {entry.path}")
        found: list[Check] = []
        artifacts: list[str] = []
        now = datetime.now(UTC)
        for rules in entry.checks:
            outcomes = engine.run(
                self._con, table, rules.expectations, now=now, other=self._other, examples=self.asked.examples
            )
            about = entry.path if several else ""
            found += [
                judge.check(judge.Held(e, o, entry.path, _place(e, rules), rules.private, about, rules.version))
                for e, o in zip(rules.expectations, outcomes, strict=True)
            ]
            if rules.version:
                continue
            if self.asked.quarantine is not None:
                artifacts += self._quarantine(table, entry, rules)
            if self.asked.docs:
                artifacts.append(self._docs(table, entry, rules))
        seen = self._seen(entry, digest)
        self._progress("")
        return [_same(entry, seen, in_ci=self.run.in_ci), *found], seen, artifacts

    def _table(self, path: str, read: Read) -> Table:
        from mlgate.data import reading  # noqa: PLC0415

        if path not in self._tables:
            files = reading.resolve(self.run.git.root, path)
            self._tables[path] = reading.open_table(self._con, files, path, read)
        return self._tables[path]

    def _other(self, path: str) -> Table:
        """Another data file that an expectation speaks of. Raises MlgateError when it cannot be read."""
        if not path:
            raise MlgateError("mlgate.yaml names no `reference:` for this file, so drift has nothing to start from.")
        return self._table(path, Read())

    def _digest(self, entry: Entry) -> Digests:
        path = self.run.git.root / entry.path
        return content.digest(path, entry.committed.digest, legacy=entry.legacy) if path.exists() else {}

    def _seen(self, entry: Entry, digest: Future[Digests]) -> Digests:
        try:
            return digest.result()
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
        page = gx.docs(self._con, table, rules.expectations, folder / file_name(entry.path))
        self.docs = relative(folder)
        return relative(page)

    def _progress(self, text: str) -> None:
        """On a terminal, what is being looked at; nothing in a log."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}{' ...' if text else ''}")
            sys.stderr.flush()


def propose(run: Run, path: str, memory_limit: str) -> str:
    """A contract that a file keeps. Raises MlgateError for a file that cannot be read."""
    extras.use("data")
    from mlgate.data import profile, reading  # noqa: PLC0415

    there = inside(run, path)
    con = reading.connect(memory_limit)
    try:
        return profile.propose(
            con, reading.open_table(con, reading.resolve(run.git.root, there), there, Read()), name=there
        )
    finally:
        con.close()


def _others(expectation: Expectation) -> list[str]:
    return [str(expectation.kwargs[key]) for key in ("other", "reference") if expectation.kwargs.get(key)]


def _place(expectation: Expectation, rules: Rules) -> str:
    """The file that says it."""
    return rules.config if expectation.key.startswith("data[") else rules.file


def _same(entry: Entry, seen: Digests, *, in_ci: bool) -> Check:
    """Whether what was checked is what the commit names."""
    path, committed = entry.path, entry.committed.digest
    if not committed:
        reason = f"{path} is in neither dvc.lock, a .dvc file nor git: nothing says which data these are. Track it."
        return _file(entry, "data file", Verdict.WARN, reason)
    if seen != committed and not committed.keys() & {"git-tree-sha256"}:
        reason = (
            f"The {path} here is not the one that the commit names "
            f"({_short(committed)}, here {_short(seen)}). `dvc checkout {path}`, or commit what is here."
        )
        return _file(entry, "data file", Verdict.ERROR if in_ci else Verdict.WARN, reason)
    return _file(entry, f"{path} is what the commit names", Verdict.PASS, "")


def _short(digest: Digests) -> str:
    return f"{next(iter(digest.values()))[:8]}…" if digest else "nothing"


def _file(entry: Entry, title: str, verdict: Verdict, reason: str) -> Check:
    return Check(
        id=f"data.{entry.path}.file", group="integrity", title=title, verdict=verdict, reason=reason,
        location=Location(file=entry.path) if reason else None,
    )  # fmt: skip


def _unreadable(entry: Entry, error: MlgateError) -> Check:
    return Check(
        id=f"data.{entry.path}.read", group="data", title=entry.path, verdict=Verdict.ERROR, reason=str(error),
        location=Location(file=error.file or entry.path, line=error.line, key=error.key),
    )  # fmt: skip


def _not_read(entry: Entry, why: str) -> Check:
    """For want of credentials, as the policy says: `main` looks again with them."""
    return Check(
        id=f"data.{entry.path}.unread", group="data", title=entry.path, verdict=entry.no_credentials,
        reason=f"Its contract was not checked. {why}", location=Location(file=entry.path),
    )  # fmt: skip


def _sentence(checks: Sequence[Check]) -> str:
    held = [c for c in checks if c.group == "data"]
    wrong = sorted((c for c in checks if c.verdict is not Verdict.PASS), key=lambda c: -c.verdict.rank)
    if not wrong:
        return f"The data keep their contract ({len(held)} expectations)."
    first = wrong[0]
    broken = [c for c in held if c.verdict is not Verdict.PASS]
    count = f"{len(broken)} of {len(held)} expectations do not hold. First: " if len(broken) > 1 else ""
    named = "" if first.title in first.reason else f"{first.title}: "
    return f"{count}{named}{first.reason}"
