"""One window of production: logs, truth and numbers are read here, and each section of `monitor` says what it saw."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands._measuring import TOKEN, URL
from mlgate.commands._run import Run, relative
from mlgate.commands._watching_model import There
from mlgate.commands._watching_outcomes import Outcomes, check, unread
from mlgate.config import Config
from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.model import Check, Location, Named, Verdict
from mlgate.repo.credentials import without
from mlgate.setup.doctor import environ
from mlgate.watch.changed import Labels
from mlgate.watch.nouns import Kind, Measure, Section, Window

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.profiles import Profile
    from mlgate.watch.classifier import Told
    from mlgate.watch.logs import Logged


@dataclass
class Seen:
    """What a window came to. `windows`: sections that are of another window than this one."""

    window: Window
    sections: list[Section] = field(default_factory=list)
    windows: dict[str, Window] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)  # about the reading itself: no rule is about them
    counts: dict[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    labels: Labels | None = None  # classes before and now, where truth has any
    facts: dict[str, str | float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    inputs: list[Named] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)


class Reader:
    """Reads windows of one model in one environment. `now`: the present."""

    def __init__(
        self,
        run: Run,
        config: Config,
        there: There,
        profile: Profile | None,
        con: DuckDBPyConnection,
        *,
        now: datetime,
        say: Callable[[str], object],
        fetched: Callable[[str], str] | None = None,
        then: Callable[[datetime], There] | None = None,
    ) -> None:
        """`then`: what was there at another moment, by the ledger."""
        self.run, self.config, self.there, self.profile, self.con = run, config, there, profile, con
        self.now, self.say, self.fetched = now, say, fetched
        self.then = then or (lambda _: there)
        self.monitor = config.monitor
        self.folder = run.git.root / config.folder
        self.outcomes = Outcomes(self)

    def read(self, window: Window) -> Seen:
        """Every section that mlgate.yaml has. One that cannot be read is an `error` beside the others."""
        seen = Seen(window)
        logged = self._logs(window, seen)
        for name, section in self._sections(window, logged, seen):
            try:
                found = section()
            except MlgateError as error:
                found = _broken(name, error)
            if found is not None:
                seen.sections.append(found)
                seen.facts |= found.facts
                seen.notes += found.not_run
        if self.monitor.slo:
            seen.sections.append(self._objectives(logged, seen))
        return seen

    def _sections(
        self, window: Window, logged: Logged | None, seen: Seen
    ) -> Iterator[tuple[Kind, Callable[[], Section | None]]]:
        monitor = self.monitor
        if monitor.drift is not None:
            yield "drift", lambda: self._drift(window, logged)
        if monitor.data is not None:
            yield "data", lambda: self._quality(logged)
        if monitor.performance is not None:
            yield "performance", lambda: self.outcomes.performance(window, seen)
            if monitor.performance.estimated:
                yield "estimated", lambda: self.outcomes.estimated(logged)
        if monitor.fairness is not None:
            yield "fairness", lambda: self.outcomes.fairness_of_decisions(logged)
            yield "fairness", lambda: self.outcomes.fairness_of_outcomes(window, seen)
        if monitor.metrics:
            yield "business", lambda: self._business(window)

    # -- logs --------------------------------------------------------------------------------------------------------

    def _logs(self, window: Window, seen: Seen) -> Logged | None:
        """The window's rows; None where they cannot be read, which is an `error` of its own."""
        try:
            logged = self.opened(window, self.there)
        except MlgateError as error:
            seen.checks.append(check("logs", "logs", Verdict.ERROR, str(error), self.at("monitor.logs")))
            return None
        counts = logged.counts
        seen.rows, seen.versions = counts["rows"], dict(logged.versions)
        seen.counts = {
            name: many for name, many in {**counts, **logged.facts}.items() if many and name not in ("rows", "lines")
        }
        seen.notes += logged.notes
        seen.facts["log files"] = len(logged.where.files)
        if logged.quarantine is not None:
            seen.artifacts.append(relative(logged.quarantine))
        seen.checks += _about(logged, window, self.at("monitor.logs"))
        return logged

    def opened(self, window: Window, there: There) -> Logged:
        """The rows of a window that one model answered. Raises MlgateError."""
        from mlgate.watch.logs import open_logs  # noqa: PLC0415 -- DuckDB

        assert self.monitor.logs is not None  # noqa: S101 -- the verb asks before
        return open_logs(
            self.con, self.monitor.logs, window, root=self.folder, environ=os.environ,
            model=self.config.model, environment=self.there.environment, digest=there.digest, say=self.say,
            wanted=tuple(self.profile.columns) if self.profile else (), now=self.now,
        )  # fmt: skip

    # -- drift and data ----------------------------------------------------------------------------------------------

    def _drift(self, window: Window, logged: Logged | None) -> Section:
        from mlgate.data import drift  # noqa: PLC0415 -- numpy
        from mlgate.data.drift import sliced  # noqa: PLC0415
        from mlgate.watch import drifted, truth  # noqa: PLC0415 -- numpy

        settings, profile = self.monitor.drift, self.profile
        assert settings is not None  # noqa: S101 -- asked before
        if profile is None or logged is None or logged.empty:
            return unread("drift", "There are no rows." if logged is not None else "The logs could not be read.")
        # A row that lacks a prediction and did not fail is drift of the prediction, and not to be left out.
        columns, relation = _columns(logged), truth.served(logged.relation)
        compared = drift.against(self.con, relation, columns, profile, private=self._private)
        judged = partial(
            drifted.section, compared, settings, profile, rows=logged.counts["rows"], min_rows=self.monitor.min_rows,
            length=window.until - window.since, told=self._told(logged) if settings.classifier is not None else None,
        )  # fmt: skip
        found = judged()
        moved = [one.name for one in found.columns if one.state == "breached"]
        if not settings.by or not moved:
            return found
        return judged(slices=sliced.sliced(
            self.con, relation, columns, profile, moved=moved, by=settings.by, private=self._private
        ))  # fmt: skip

    def _told(self, logged: Logged) -> Told:
        """Whether a classifier tells the window from the reference data."""
        from mlgate.data import reading  # noqa: PLC0415
        from mlgate.data.reading import sql  # noqa: PLC0415
        from mlgate.watch import classifier  # noqa: PLC0415

        path, profile = self._reference(), self.profile
        read = next((one.read for one in self.config.data if self.config.path(one.path) == path), Read())
        root = self.run.git.root
        table = reading.open_table(self.con, reading.resolve(root, path), path, read)
        known = {column.name: sql.name(column.name) for column in table.columns}
        ignored = set(self.monitor.drift.ignore or ()) if self.monitor.drift else set()
        features = [name for name in (profile.columns if profile else ()) if name not in ignored]
        return classifier.tell(
            self.con, (logged.answered, logged.features), (table.relation, known), features=features,
            private=self._private,
        )  # fmt: skip

    def _reference(self) -> str:
        """Where the reference data of the classifier are, fetched if need be. Raises MlgateError."""
        settings = self.monitor.drift
        path = (settings.reference if settings else None) or self.config.train.data
        if path is None or self.fetched is None:
            raise MlgateError("no reference data are named.", key="monitor.drift.reference", fix="Name them.")
        return self.fetched(self.config.path(path))

    @cached_property
    def _contract(self) -> tuple[str, bytes] | None:
        """The contract's path and text, of the commit that is judged."""
        settings = self.monitor.data
        named = settings.contract if settings else None
        if named is None:
            wanted = self.config.train.data
            named = next((one.contract for one in self.config.data if one.path == wanted), None)
        if named is None:
            return None
        path = self.config.path(named)
        data = self.run.read(path)
        if data is None:
            raise MlgateError("does not exist.", file=path, key="monitor.data.contract")
        return path, data

    @cached_property
    def _private(self) -> frozenset[str]:
        """Columns whose values are never shown, as the contract says."""
        from mlgate.data import contract  # noqa: PLC0415

        found = self._contract
        return contract.load(found[1], found[0]).private if found else frozenset()

    def _quality(self, logged: Logged | None) -> Section:
        from mlgate.data import contract  # noqa: PLC0415
        from mlgate.watch import quality  # noqa: PLC0415

        found = self._contract
        if found is None:
            raise MlgateError(
                "no contract is named, so there is nothing to hold the data to.", file=self.config.file,
                line=self.config.line("monitor.data"), key="monitor.data", fix="Add `contract: <file>`.",
            )  # fmt: skip
        if logged is None or logged.empty:
            return unread("data", "There are no rows." if logged is not None else "The logs could not be read.")
        return quality.section(self.con, logged, contract.load(found[1], found[0]), min_rows=self.monitor.min_rows)

    # -- numbers -----------------------------------------------------------------------------------------------------

    def _business(self, window: Window) -> Section:
        from mlgate.watch import business  # noqa: PLC0415

        asking = business.Asking(
            folder=self.folder,
            environ=without(environ(), allowed=self.config.train.environment),
            url=os.environ.get(URL, ""),
            token=os.environ.get(TOKEN, ""),
        )
        return business.section(
            self.monitor.metrics, window, asking, model=self.config.model, environment=self.there.environment
        )

    def _objectives(self, logged: Logged | None, seen: Seen) -> Section:
        from mlgate.watch import objectives  # noqa: PLC0415

        values: dict[str, Measure] = {}
        if logged is not None and not logged.empty:
            values |= objectives.of_service(self.con, logged.relation)
        values |= {one.name: one for section in seen.sections for one in section.measures}
        return objectives.section(self.monitor.slo, values, locate=self.at)

    def apart(self, window: Window) -> Seen:
        """For what is read of another window, and is no part of what is said of this one."""
        return Seen(window)

    def at(self, key: str) -> Location:
        return self.config.location(key)


def connect(memory_limit: str) -> DuckDBPyConnection:
    extras.use("data")
    from mlgate.data import reading  # noqa: PLC0415

    return reading.connect(memory_limit)


def tell(text: str) -> None:
    """Progress, where somebody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")


def _columns(logged: Logged) -> dict[str, str]:
    """A profile's name of each column -> SQL for it."""
    found = {**logged.features, "prediction": logged.prediction}
    return {**found, "score": logged.score} if logged.score else found


def _broken(kind: Kind, error: MlgateError) -> Section:
    where = Location(file=error.file, line=error.line, key=error.key) if error.file else None
    made = unread(kind, str(error))
    return replace(made, checks=(check(kind, kind, Verdict.ERROR, str(error), where),))


def _about(logged: Logged, window: Window, at: Location) -> Iterator[Check]:
    """What is said of the logs as they were found."""
    counts = logged.counts
    if logged.empty:
        why = f"There are no predictions in {_shown(window)}: nothing was logged, or nobody asked."
        if counts["lines"]:
            others = ", ".join(
                f"{many:,} {name.replace('_', ' ')}" for name, many in counts.items() if many and name != "lines"
            )
            why = f"None of {counts['lines']:,} lines is a prediction of {_shown(window)} ({others})."
        yield check("rows", "predictions", Verdict.INCONCLUSIVE, why, at, observed=0.0)
        return
    odd = {name: counts[name] for name in ("corrupt", "no_time", "future", "duplicates") if counts[name]}
    odd |= {name: many for name, many in logged.facts.items() if many and name in ("contradicting", "no_prediction")}
    # Ids are what callers send, and the ledger may be wrong: a few rows among many such say little of production.
    odd |= {name: counts[name] for name in ("own", "other_version") if counts[name] > counts["rows"]}
    verdict = Verdict.WARN if odd or logged.misfits else Verdict.PASS
    said = [f"{many:,} {name.replace('_', ' ')}" for name, many in odd.items()]
    said += [f"{many:,} values of {name} of another type" for name, many in logged.misfits.items()]
    reason = f"Left out or odd: {', '.join(said)}." if said else ""
    yield check("rows", "predictions", verdict, reason, at, observed=float(counts["rows"]))


def _shown(window: Window) -> str:
    return f"{window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC"
