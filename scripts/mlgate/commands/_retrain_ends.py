"""A retraining that was started: taken up by the run that trains, and ended by it. All of it is in the ledger.

    begun = taken_up(run, ledger, "7f0c...")          # or "open": the one that is under way
    end(run, ledger, begun.id, "proposed", url="https://...")

The run that was started is handed an id and nothing else. What it is for, and why, stands in the ledger, which is
verified as it is read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from mlgate.commands._ledger import who
from mlgate.commands._retrain_reasons import environment
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.ledger.branch import Ledger
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Entry, Trigger, clean, is_id
from mlgate.model import Verdict
from mlgate.watch.retraining import Run as Begun
from mlgate.watch.retraining import Triggers, end_id

Outcome = Literal["proposed", "unchanged", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("proposed", "unchanged", "failed")
OPEN = "open"  # instead of an id: the only one that is under way
AGAIN = "Start another one: `mlgate retrain --reason ...`."


def taken_up(ledger: Ledger, trigger: str, models: set[str], timeout: Decimal | None) -> Trigger:
    """The retraining that is to be done now. Raises MlgateError where it is over, unknown, or of other models.

    `timeout`: in seconds; None where the work is done, so that it is too late to be late.
    """
    found = find(Triggers(ledger.records()), trigger, models)
    if found.ended is not None:
        raise MlgateError(f"the retraining {found.entry.id} is over: it ended as `{found.ended.outcome}`.", fix=AGAIN)
    if timeout is not None and found.over(datetime.now(UTC), timeout):
        raise MlgateError(
            f"the retraining {found.entry.id} was started at {found.at:%Y-%m-%d %H:%M} UTC, and its time is over.",
            fix=AGAIN,
        )
    if lacking := sorted(found.models - {""} - models):
        raise MlgateError(
            f"the retraining {found.entry.id} is of {', '.join(lacking)}, and --config names no such model.",
            fix="Give it the configurations that the job before has put out.",
        )
    return found.entry


def find(triggers: Triggers, trigger: str, models: set[str]) -> Begun:
    """The retraining of an id, or the only one of these models that is under way. Raises MlgateError."""
    if trigger != OPEN:
        if not is_id(trigger):
            raise MlgateError(f"--trigger {trigger[:60]!a} is no id of the ledger.", fix="It has 32 hex digits.")
        if one := next((run for run in triggers.runs if run.entry.id == trigger), None):
            return one
        raise MlgateError(f"the ledger knows no retraining {trigger}.", fix="Look at `ledger` of mlgate.yaml.")
    there = [run for run in triggers.runs if run.ended is None and run.models & models]
    if len(there) != 1:
        many = "no retraining" if not there else f"{len(there)} retrainings"
        raise MlgateError(
            f"{many} of {', '.join(sorted(models))} is under way, so this run does not know what it is for.",
            fix="Give --trigger, the id that `mlgate retrain` has put out.",
        )
    return there[0]


def end(run: Run, ledger: Ledger, trigger: str, outcome: str, *, url: str = "", reason: str = "") -> Trigger | None:
    """Write how a retraining ended, once; None where it has an end already. Raises MlgateError like `find`."""

    def decide(records: tuple[Record, ...]) -> tuple[Entry, ...]:
        triggers = Triggers(records)
        found = find(triggers, trigger, set())
        return () if found.ended is not None else (ending(run, found.entry, outcome, url=url, reason=reason),)

    written = ledger.append_once(decide).written
    return next((entry for entry in written if isinstance(entry, Trigger)), None)


def ending(run: Run, begun: Trigger, outcome: str, *, url: str = "", reason: str = "") -> Trigger:
    """The entry that says how a retraining ended. It has the same id whoever writes it."""
    return Trigger(
        **who(run),
        id=end_id(begun.id),
        model=begun.model,
        environment=begun.environment,
        rule=begun.rule,
        outcome=outcome,
        started=begun.id,
        group=begun.group,
        models=begun.models,
        url=clean(url),
        reason=clean(reason),
    )


def said(config: Config, outcome: str, ledger: Ledger, why: str) -> tuple[Verdict, str]:
    """How it ended, for people."""
    if outcome == "proposed":
        return Verdict.PASS, "A successor is proposed."
    if outcome == "unchanged":
        return Verdict.PASS, "Training made just what is committed, so nothing is proposed."
    there = _in_production(config, ledger)
    because = f" ({why})" if why else ""
    return Verdict.FAIL, f"The retraining failed{because}: no successor is proposed. {there}"


def _in_production(config: Config, ledger: Ledger) -> str:
    from mlgate.ledger import query  # noqa: PLC0415

    name = environment(config)
    there = query.current(ledger.records(), config.model, name) if name else None
    if there is None:
        return "Nothing else has changed."
    entry = there.entry
    version = getattr(entry, "version", "") or next(iter(entry.subject.values()), "")[:12]
    return f"{name} keeps {version}."
