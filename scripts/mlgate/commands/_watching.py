"""One run of `monitor`: windows are read, rules look back, the ledger remembers, and evidence says what came of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlgate.commands import _ledger, _pull, _watching_model, _watching_window
from mlgate.commands._run import Run, Unloadable, failed, off, unloadable
from mlgate.commands._watching_asked import Asked, Memory, window
from mlgate.commands._watching_model import There
from mlgate.commands._watching_window import Reader, Seen
from mlgate.config import Config
from mlgate.config.watching import AlarmRule
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import TIME, Reading
from mlgate.model import AlertSeen, Check, ColumnSeen, Evidence, Location, Named, Past, Verdict, Watched, worst
from mlgate.watch import changed, controls, history, readings, rules
from mlgate.watch.changed import Release
from mlgate.watch.history import History
from mlgate.watch.nouns import Window
from mlgate.watch.rules import Judged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.ledger.branch import Ledger

VERB = "monitor"
_SERIOUS = ("firing", "unknown", "pending", "recovered", "quiet")


def every(run: Run, asked: Asked) -> int:
    """All models that --config names; the exit code of the worst."""
    run.forget(VERB)
    files = run.config_files()
    if not files:
        raise run.no_config()
    now = datetime.now(UTC)
    memory = Memory(run, asked)
    found = [_logged(run, _one(run, run.load(file), asked, now, memory), asked) for file in files]
    return run.finish(VERB, found, _outputs(found))


def _one(run: Run, own: Config | Unloadable, asked: Asked, now: datetime, memory: Memory) -> Evidence:
    if isinstance(own, Unloadable):
        return unloadable(VERB, own)
    if own.mode == "off":
        return off(VERB, own)
    try:
        return Watching(run, own, asked, now, memory).evidence()
    except MlgateError as error:
        return failed(VERB, own.model, error).model_copy(update={"mode": own.mode, "fail_on": own.fail_on})


def _logged(run: Run, made: Evidence, asked: Asked) -> Evidence:
    """With the address of its MLflow run, where readings are logged as one. It decides nothing."""
    if not asked.tracking_uri or made.watched is None:
        return made
    from mlgate.tracking import watched  # noqa: PLC0415 -- rarely asked for
    from mlgate.tracking.store import Store  # noqa: PLC0415

    store = Store.of(os.environ, asked.tracking_uri)
    if store is None:
        return made
    done = watched.log(made.model_copy(update={"source": run.source()}), store, folder=run.git.root)
    if done.problem:
        return made.model_copy(update={"not_run": [*made.not_run, f"Nothing was logged to MLflow: {done.problem}"]})
    return made.model_copy(update={"links": {**made.links, "MLflow run": done.url}} if done.url else {})


class Watching:
    """One model. Whatever was found out is in the evidence, also where the ledger cannot be reached."""

    def __init__(self, run: Run, config: Config, asked: Asked, now: datetime, memory: Memory) -> None:
        self.run, self.config, self.asked, self.now, self.memory = run, config, asked, now, memory
        self.checks: list[Check] = []
        self.inputs: list[Named] = []
        self.head = ""

    def evidence(self) -> Evidence:
        """Raises MlgateError where there is nothing to read, or nothing to hold it against."""
        config, monitor = self.config, self.config.monitor
        if monitor.logs is None:
            raise MlgateError(
                "does not say where predictions are logged, so there is nothing to watch.", file=config.file,
                line=config.line("monitor"), key="monitor.logs", fix="Add `monitor: {logs: <folder>}`.",
            )  # fmt: skip
        asked = rules.all_rules(monitor)
        if not asked:
            raise MlgateError(
                "asks for nothing: no section of it is there.", file=config.file, line=config.line("monitor"),
                key="monitor", fix="Add `drift:`, `data:`, `performance:` or `slo:` with a limit.",
            )  # fmt: skip
        last = window(config, self.asked.until, self.now)
        name = _watching_model.environment(config, self.asked.environment)
        began = last.earlier(self.asked.windows - 1).until - timedelta(seconds=float(monitor.history))
        ledger, records, earlier = self.memory.of(config, began)
        with closing(_watching_window.connect(self.asked.memory_limit)) as con:
            seen, judged, there, made = self._windows(last, name, records, earlier=earlier, asked=asked, con=con)
        if ledger is not None:
            self._remember(ledger, made)
        released = _watching_model.release(
            self.run, config, there, records, on=last.until.strftime(TIME)
        )  # fmt: skip
        tried = controls.controls(asked)
        if tried.passed != tried.total:
            why = f"{tried.total - tried.passed} of {tried.total} controls were judged wrongly: the rules cannot tell."
            self.checks.append(_said("controls", "controls", Verdict.ERROR, why))
        evidence = self._made(seen, judged, there, earlier)
        return self._signed(evidence, seen, released).model_copy(update={"controls": tried})

    def _signed(self, made: Evidence, seen: Seen, released: Release | None) -> Evidence:
        """With what the window reads as: data, concept, labels or code."""
        assert made.watched is not None  # noqa: S101 -- it was just made
        found = changed.signs(
            seen.sections, made.watched.columns, seen.window, release=released, labels=seen.labels
        )  # fmt: skip
        watched = made.watched.model_copy(update={"signs": tuple(one.said for one in found)})
        return made.model_copy(update={"watched": watched})

    # -- the windows, oldest first -----------------------------------------------------------------------------------

    def _windows(
        self,
        last: Window,
        name: str,
        records: Sequence[Record],
        *,
        earlier: History,
        asked: Mapping[str, AlarmRule],
        con: DuckDBPyConnection,
    ) -> tuple[Seen, Judged, There, list[Reading]]:
        """What the last one came to, and the readings of all. `earlier` learns of those before it."""
        made: list[Reading] = []
        for back in reversed(range(self.asked.windows)):
            each = last.earlier(back)
            there = _watching_model.there(self.run, self.config, name, records, on=each.until.strftime(TIME))
            seen = self._reader(there, con, each.until, records).read(each)
            judged = rules.judge(
                asked, seen.sections, earlier, each, model=self.config.model, environment=name, subject=there.subject
            )
            new = self._entries(seen, judged, there)
            made += new
            if back:
                earlier.add(new)  # what the last one looks back at
        return seen, judged, there, made

    def _reader(self, there: There, con: DuckDBPyConnection, until: datetime, records: Sequence[Record]) -> Reader:
        profile = None
        if self.config.monitor.drift is not None:
            profile, named, said = _watching_model.profile(self.run, self.config, there)
            self.inputs = [named]
        else:
            said = there.said
        where = Location(file=self.config.path(self.config.monitor.profile))
        self.checks = [_said("against", "the model that is there", Verdict.WARN, said, where)] if said else []
        return Reader(
            self.run, self.config, there, profile, con, now=max(until, self.now), say=_watching_window.tell,
            fetched=self._fetched,
            then=lambda on: _watching_model.there(
                self.run, self.config, there.environment, records, on=on.strftime(TIME)
            ),
        )  # fmt: skip

    def _fetched(self, path: str) -> str:
        """A data file of the repository, fetched where it is missing. Raises MlgateError."""
        here = self.run.git.root / path
        if not here.exists() and self.asked.pull:
            _pull.pull(self.run, [path], self.asked.python or self.config.interpreter)
        if not here.exists():
            raise MlgateError("is not here.", file=path, fix="Fetch it: `dvc pull`.")
        return path

    # -- the ledger --------------------------------------------------------------------------------------------------

    def _entries(self, seen: Seen, judged: Judged, there: There) -> list[Reading]:
        return readings.entries(
            seen.sections, judged, seen.window, model=self.config.model, environment=there.environment,
            subject=there.subject, who=_ledger.who(self.run), windows=seen.windows,
        )  # fmt: skip

    def _remember(self, ledger: Ledger, entries: Sequence[Reading]) -> None:
        """What could not be written waits, and that is said: rules that look back would miss it."""
        try:
            receipt = ledger.append_new(*entries)
        except MlgateError as error:
            self.checks.append(_said("ledger", "readings in the ledger", Verdict.WARN, str(error)))
            return
        self.head = receipt.head.token if receipt.head else ""
        for sentence in receipt.said:
            self.checks.append(_said("ledger", "readings in the ledger", Verdict.WARN, sentence))

    # -- what is said ------------------------------------------------------------------------------------------------

    def _made(self, seen: Seen, judged: Judged, there: There, earlier: History) -> Evidence:
        checks = [*judged.checks, *self.checks, *seen.checks, *rules.shown(seen.sections, judged)]
        watched = self._watched(seen, judged, there, earlier)
        facts: dict[str, str | float] = {"environment": there.environment, **seen.facts}
        facts |= {"version": there.version} if there.version else {}
        facts |= {"in production since": there.since} if there.since else {}
        facts["held against commit"] = there.snapshot.commit[:7]
        facts |= {"ledger head": self.head} if self.head else {}
        model = self.config.artifact or self.config.model
        subject = Named(name=model, digest=dict(there.subject), role="model") if there.subject else None
        return Evidence(
            kind=VERB,
            model=self.config.model,
            title=_title(judged, checks, watched),
            verdict=worst(check.verdict for check in checks),
            mode=self.config.mode,
            fail_on=self.config.fail_on,
            subject=subject,
            inputs=[*self.inputs, *seen.inputs],
            checks=checks,
            not_run=[*dict.fromkeys(seen.notes), *_not_watched(self.config)],
            watched=watched,
            facts=facts,
            artifacts=seen.artifacts,
        )

    def _watched(self, seen: Seen, judged: Judged, there: There, earlier: History) -> Watched:
        of: dict[str, Any] = {"model": self.config.model, "environment": there.environment}
        measured = {one.name: one for section in reversed(seen.sections) for one in section.measures}
        since = (seen.window.until - timedelta(seconds=float(self.config.monitor.history))).strftime(TIME)
        before = {one.name: one for one in history.past(earlier, measured, seen.window, since=since, **of)}
        end = seen.window.until.strftime(TIME)
        past = []
        for name, one in measured.items():
            was = before.get(name, Past(name=name))
            if one.kind == "data" and {*was.states, one.state} == {"ok"} and len({*was.values, one.value}) == 1:
                continue  # most expectations never have anything to show
            past.append(was.model_copy(update={
                "limit": one.limit if one.limit is not None else was.limit, "at": (*was.at, end),
                "values": (*was.values, one.value), "states": (*was.states, one.state),
            }))  # fmt: skip
        columns = [column for section in seen.sections for column in section.columns]
        return Watched(
            environment=there.environment,
            since=seen.window.since.strftime(TIME),
            until=end,
            rows=seen.rows,
            counts=seen.counts,
            versions=seen.versions,
            columns=tuple(self._dated(one, seen, there, earlier) for one in columns),
            alerts=tuple(sorted(judged.alerts, key=_grave)),
            history=tuple(past),
        )

    def _dated(self, column: ColumnSeen, seen: Seen, there: There, earlier: History) -> ColumnSeen:
        """With the first window since which one of its limits is crossed."""
        if column.state != "breached":
            return column
        own = [
            one.name for section in seen.sections for one in section.measures
            if one.state == "breached" and one.name.partition(".")[2] == column.name
        ]  # fmt: skip
        began = [
            history.since(
                earlier, name, seen.window, model=self.config.model, environment=there.environment,
                subject=there.subject,
            )
            for name in own
        ]  # fmt: skip
        return column.model_copy(update={"since": min(began)}) if began else column


def _grave(alert: AlertSeen) -> tuple[int, int]:
    severities = ("critical", "warn", "info")
    return _SERIOUS.index(alert.state), severities.index(alert.severity)


def _title(judged: Judged, checks: Sequence[Check], watched: Watched) -> str:
    """One plain sentence."""
    firing = [one for one in judged.alerts if one.state == "firing"]
    if firing:
        worst_one = min(firing, key=_grave)
        return f"{worst_one.rule}: {worst_one.said}" + (f", since {worst_one.since[:10]}" if worst_one.since else "")
    bad = [check for check in checks if check.verdict.rank > Verdict.WARN.rank]
    if bad:
        return max(bad, key=lambda check: check.verdict.rank).reason
    pending = [one for one in judged.alerts if one.state == "pending"]
    if pending:
        return f"{pending[0].rule}: {pending[0].said}, not for long enough yet."
    over = [one for one in judged.alerts if one.state == "recovered"]
    if over:
        return f"{over[0].rule} is over."
    return f"{watched.rows:,} predictions, and nothing has moved beyond its limits."


def _said(what: str, title: str, verdict: Verdict, reason: str, at: Location | None = None) -> Check:
    return Check(id=f"watch.{what}", group="watch", title=title, verdict=verdict, reason=reason, location=at)


def _not_watched(config: Config) -> list[str]:
    """Sections that mlgate.yaml does not have: what nobody looks at is said."""
    monitor = config.monitor
    there = {
        "drift": monitor.drift, "data quality": monitor.data, "performance": monitor.performance,
        "fairness": monitor.fairness, "objectives": monitor.slo,
    }  # fmt: skip
    left = [name for name, section in there.items() if not section]
    return [f"Not watched, because mlgate.yaml does not ask for it: {', '.join(left)}."] if left else []


# -- outputs ---------------------------------------------------------------------------------------------------------


def _outputs(found: Sequence[Evidence]) -> dict[str, str]:
    watched = [(one.model, one.watched) for one in found if one.watched is not None]
    alone = watched[0][1] if len(found) == 1 and watched else None
    drifted = [
        column.name if alone else f"{model}: {column.name}"
        for model, seen in watched for column in seen.columns if column.state == "breached"
    ]  # fmt: skip
    alerts = [
        {"model": model, "rule": one.rule, "severity": one.severity, "said": one.said}
        for model, seen in watched for one in seen.alerts if one.state == "firing"
    ]  # fmt: skip
    retrain = any(one.retrain and one.state == "firing" for _, seen in watched for one in seen.alerts)
    return {
        "environment": alone.environment if alone else "",
        "window": f"{alone.since}/{alone.until}" if alone else "",
        "rows": str(sum(seen.rows for _, seen in watched)),
        "drifted": json.dumps(drifted, ensure_ascii=False),
        "alerts": json.dumps(alerts, ensure_ascii=False, sort_keys=True),
        "retrain": str(retrain).lower(),
    }
