"""One window of production: logs, truth and numbers are read here, and each section of `monitor` says what it saw."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands import _watching_model
from mlgate.commands._measuring import TOKEN, URL
from mlgate.commands._run import Run, relative
from mlgate.commands._watching_model import There
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Check, Location, Named, Verdict
from mlgate.repo.credentials import without
from mlgate.setup.doctor import environ
from mlgate.watch.nouns import Kind, Measure, Section, Window

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.profiles import Profile
    from mlgate.watch import fair
    from mlgate.watch.answered import Answered, How
    from mlgate.watch.logs import Logged
    from mlgate.watch.truth import Joined


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
    ) -> None:
        self.run, self.config, self.there, self.profile, self.con = run, config, there, profile, con
        self.now, self.say, self.fetched = now, say, fetched
        self.monitor = config.monitor

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
            yield "performance", lambda: self._performance(window, seen)
            if monitor.performance.estimated:
                yield "estimated", lambda: self._estimated(logged)
        if monitor.fairness is not None:
            yield "fairness", lambda: self._fairness_of_decisions(logged)
            yield "fairness", lambda: self._fairness_of_outcomes(window, seen)
        if monitor.metrics:
            yield "business", lambda: self._business(window)

    # -- logs --------------------------------------------------------------------------------------------------------

    def _logs(self, window: Window, seen: Seen) -> Logged | None:
        """The window's rows; None where they cannot be read, which is an `error` of its own."""
        try:
            logged = self._opened(window)
        except MlgateError as error:
            seen.checks.append(_check("logs", "logs", Verdict.ERROR, str(error), self._at("monitor.logs")))
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
        seen.checks += _about(logged, window, self._at("monitor.logs"))
        return logged

    def _opened(self, window: Window) -> Logged:
        from mlgate.watch.logs import open_logs  # noqa: PLC0415 -- DuckDB

        assert self.monitor.logs is not None  # noqa: S101 -- the verb asks before
        return open_logs(
            self.con, self.monitor.logs, window, root=self.run.git.root / self.config.folder, environ=os.environ,
            model=self.config.model, environment=self.there.environment, digest=self.there.digest, say=self.say,
            wanted=tuple(self.profile.columns) if self.profile else (), now=self.now,
        )  # fmt: skip

    # -- drift and data ----------------------------------------------------------------------------------------------

    def _drift(self, window: Window, logged: Logged | None) -> Section:
        from mlgate.data import drift  # noqa: PLC0415 -- numpy
        from mlgate.watch import drifted  # noqa: PLC0415 -- numpy

        settings, profile = self.monitor.drift, self.profile
        assert settings is not None  # noqa: S101 -- asked before
        if profile is None or logged is None or logged.empty:
            return _unread("drift", "There are no rows." if logged is not None else "The logs could not be read.")
        compared = drift.against(self.con, logged.answered, _columns(logged), profile, private=self._private)
        return drifted.section(
            compared, settings, profile, rows=logged.counts["rows"], min_rows=self.monitor.min_rows,
            length=window.until - window.since,
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
            return _unread("data", "There are no rows." if logged is not None else "The logs could not be read.")
        return quality.section(self.con, logged, contract.load(found[1], found[0]), min_rows=self.monitor.min_rows)

    # -- performance and fairness ------------------------------------------------------------------------------------

    @cached_property
    def _way(self) -> How:
        """What is predicted: as the evaluation set says."""
        from mlgate.watch import answered  # noqa: PLC0415

        chosen = _watching_model.evaluation(self.config)
        if chosen is None:
            raise MlgateError(
                f"there are {len(self.config.evaluate)} evaluation sets, and nothing says which one this is.",
                file=self.config.file, key="monitor.performance.evaluation", fix="Name one of them.",
            )  # fmt: skip
        rules = self.monitor.performance.rules if self.monitor.performance else {}
        return answered.how(chosen[1], self.monitor.truth, rules)

    def _joined(self, window: Window, seen: Seen, *, grouped: bool = False) -> tuple[Joined, Answered, Logged]:
        """The predictions of a window with their truth. `grouped`: with the groups of fairness, of which those with
        edges leave out rows; performance is of all rows."""
        from mlgate.watch import answered, truth  # noqa: PLC0415
        from mlgate.watch.logs import open_source  # noqa: PLC0415

        settings = self.monitor.truth
        assert settings is not None  # noqa: S101 -- asked of mlgate.yaml when it was read
        logged = self._opened(window)
        wanted = [settings.request_id, settings.label, *filter(None, (settings.row, settings.time))]
        known = Window(window.since, max(window.until, _second(self.now)))
        told = open_source(
            self.con, settings, known, root=self.run.git.root / self.config.folder, environ=os.environ,
            wanted=wanted, key="monitor.truth", say=self.say, name="truth",
        )  # fmt: skip
        by = self._groups if grouped else []
        joined = truth.join(
            self.con, logged, told.relation, settings, window=window, now=self.now,
            features=[name for group in by for name in group],
        )  # fmt: skip
        fairness = self.monitor.fairness
        edges = {key: [float(edge) for edge in some] for key, some in (fairness.edges if fairness else {}).items()}
        found = answered.read(
            self.con, joined.relation, self._way, label="label", by=by, edges=edges, features=joined.features
        )
        seen.facts |= {f"truth: {name}": many for name, many in joined.counts.items() if many}
        seen.notes += found.notes
        return joined, found, logged

    @property
    def _groups(self) -> list[tuple[str, ...]]:
        from mlgate.watch import fair  # noqa: PLC0415

        return fair.columns(self.monitor.fairness) if self.monitor.fairness else []

    def _performance(self, window: Window, seen: Seen) -> Section:
        from mlgate.watch import performance, truth  # noqa: PLC0415

        settings, told = self.monitor.performance, self.monitor.truth
        assert settings is not None and told is not None  # noqa: S101, PT018 -- as above
        due = seen.windows["performance"] = truth.due(window, told)
        joined, found, _ = self._joined(due, seen)
        setting = performance.Setting(
            baseline=_watching_model.baseline(self.config, self.there),
            confidence=float(self.config.compare.confidence),
            said=f"the metrics of {self.there.snapshot.commit[:7]}",
            version=self.there.version,
            locate=lambda key: self._at(f"monitor.performance.rules.{key}"),
        )
        made = performance.section(found, joined, settings, setting)
        waiting = truth.waiting(window, told)
        if waiting.since < waiting.until:
            later, young, _ = self._joined(waiting, Seen(waiting))
            if later.known:
                made = replace(made, facts={**made.facts, **performance.provisional(young, settings)})
        return made

    def _estimated(self, logged: Logged | None) -> Section | None:
        from mlgate.watch import answered, estimated, truth  # noqa: PLC0415

        if logged is None or logged.empty:
            return None
        found = answered.read(
            self.con, truth.served(logged.relation), self._way,
            prediction=logged.prediction, score=logged.score, label=None,
        )  # fmt: skip
        rules = self.monitor.performance.rules if self.monitor.performance else {}
        return estimated.section(found, [rule.is_ or key for key, rule in rules.items()])

    def _fairness_of_decisions(self, logged: Logged | None) -> Section | None:
        from mlgate.watch import answered, fair, truth  # noqa: PLC0415

        assert self.monitor.fairness is not None  # noqa: S101 -- as above
        settings, _ = fair.parts(self.monitor.fairness)
        if settings is None:
            return None
        if logged is None or logged.empty:
            return _unread("fairness", "There are no rows." if logged is not None else "The logs could not be read.")
        edges = {key: [float(edge) for edge in some] for key, some in settings.edges.items()}
        found = answered.read(
            self.con, truth.served(logged.relation), self._way, prediction=logged.prediction, score=logged.score,
            label=None, by=self._groups, edges=edges, features=logged.features,
        )  # fmt: skip
        return fair.section(found, settings, self._fair())

    def _fairness_of_outcomes(self, window: Window, seen: Seen) -> Section | None:
        from mlgate.watch import fair, truth  # noqa: PLC0415

        assert self.monitor.fairness is not None  # noqa: S101 -- as above
        _, settings = fair.parts(self.monitor.fairness)
        if settings is None or self.monitor.truth is None:
            return None
        due = truth.due(window, self.monitor.truth)
        _, found, _ = self._joined(due, Seen(due), grouped=True)
        seen.facts["window of fairness with truth"] = str(due)
        return fair.section(found, settings, self._fair())

    def _fair(self) -> fair.Setting:
        from mlgate.watch import fair  # noqa: PLC0415

        return fair.Setting(
            confidence=float(self.config.compare.confidence),
            locate=lambda key: self._at(f"monitor.fairness.rules.{key}"),
        )

    # -- numbers -----------------------------------------------------------------------------------------------------

    def _business(self, window: Window) -> Section:
        from mlgate.watch import business  # noqa: PLC0415

        asking = business.Asking(
            folder=self.run.git.root / self.config.folder,
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
        return objectives.section(self.monitor.slo, values, locate=self._at)

    def _at(self, key: str) -> Location:
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


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _unread(kind: Kind, why: str) -> Section:
    """A section of which nothing could be measured."""
    measure = Measure(kind, kind, "unknown", reason=why)
    check = _check(kind, kind, Verdict.INCONCLUSIVE, why, None)
    return Section(kind, "unknown", (measure,), (check,))


def _broken(kind: Kind, error: MlgateError) -> Section:
    where = Location(file=error.file, line=error.line, key=error.key) if error.file else None
    made = _unread(kind, str(error))
    return replace(made, checks=(_check(kind, kind, Verdict.ERROR, str(error), where),))


def _about(logged: Logged, window: Window, at: Location) -> Iterator[Check]:
    """What is said of the logs as they were found."""
    counts = logged.counts
    if logged.empty:
        why = f"There are no predictions in {_shown(window)}: nothing was logged, or nobody asked."
        if counts["lines"]:
            others = ", ".join(f"{many:,} {name.replace('_', ' ')}" for name, many in counts.items() if many)
            why = f"None of {counts['lines']:,} lines is a prediction of {_shown(window)} ({others})."
        yield _check("rows", "predictions", Verdict.INCONCLUSIVE, why, at, observed=0.0)
        return
    odd = {name: counts[name] for name in ("corrupt", "no_time", "future", "duplicates") if counts[name]}
    odd |= {name: many for name, many in logged.facts.items() if many and name in ("contradicting", "no_prediction")}
    verdict = Verdict.WARN if odd or logged.misfits else Verdict.PASS
    said = [f"{many:,} {name.replace('_', ' ')}" for name, many in odd.items()]
    said += [f"{many:,} values of {name} of another type" for name, many in logged.misfits.items()]
    reason = f"Left out or odd: {', '.join(said)}." if said else ""
    yield _check("rows", "predictions", verdict, reason, at, observed=float(counts["rows"]))


def _shown(window: Window) -> str:
    return f"{window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC"


def _check(
    what: str, title: str, verdict: Verdict, reason: str, at: Location | None, *, observed: float | None = None
) -> Check:
    return Check(
        id=f"watch.{what}", group="watch", title=title, verdict=verdict, reason=reason, observed=observed,
        location=at if at and at.file else None,
    )  # fmt: skip
