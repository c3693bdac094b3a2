"""Which earlier model a rollback means, by the ledger alone. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlgate.errors import MlgateError
from mlgate.ledger import query, registrations
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Deployment, Promotion, Rollback

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")


def find(records: Sequence[Record], *, model: str, name: str, environment: str, to: str = "") -> Record:
    """The entry that brought the model which is to be put back. `name` is that of its versions.

    `to`: a version, a day or a moment; without it, what was there before the model that is there now. Only what was in
    this environment already can be put back. Raises MlgateError where there is none.
    """
    now = query.current(records, model, environment)
    if now is None:
        raise MlgateError(
            f"the ledger has no {model} in {environment}, so there is nothing to roll back.",
            fix=f"`mlgate audit log` shows what there is; deploy with `mlgate deploy --environment {environment}`.",
        )
    found = _then(records, model, environment, to) if _DAY.fullmatch(to) else None
    if to and found is None:
        found = _version(records, model, name, environment, to)
    if not to:
        found = query.previous(records, model, environment)
        if found is None:
            raise MlgateError(
                f"{_said(now)} is the first {model} in {environment}: there is none before it.",
                fix=f"Stop it where it runs, or deploy another one; {_there(records, model, environment)}.",
            )
    assert found is not None  # noqa: S101 -- each way gives one or raises
    if query.same_model(found.entry.subject, now.entry.subject):
        raise MlgateError(
            f"{environment} has {_said(now)} already, by the ledger.",
            fix=f"If something else answers there: `mlgate deploy --environment {environment} --recover`.",
        )
    return found


def _then(records: Sequence[Record], model: str, environment: str, moment: str) -> Record:
    try:
        found = query.current(records, model, environment, on=moment.replace(" ", "T"))
    except ValueError:
        raise MlgateError(
            f"--to {moment!r} is no day or moment.", fix="Write 2026-10-01 or 2026-10-01T12:00Z."
        ) from None
    if found is None:
        raise MlgateError(
            f"the ledger has no {model} in {environment} on {moment}.", fix=f"{_there(records, model, environment)}."
        )
    return found


def _version(records: Sequence[Record], model: str, name: str, environment: str, text: str) -> Record:
    try:
        version = registrations.spelled(text.rpartition("@")[2])
    except MlgateError:
        raise MlgateError(
            f"--to {text[:60]!r} is neither a version nor a day.", fix="Write v1.2.0, or 2026-10-01."
        ) from None
    known = registrations.known((each.entry for each in records), name)
    subject = next((dict(one.subject) for one in known if one.version == version), None)
    brought = _brought(records, model, environment)
    mine = [
        each
        for each in brought
        if getattr(each.entry, "version", "") == version
        or (subject is not None and query.same_model(each.entry.subject, subject))
    ]
    if not mine:
        what = "was never in" if subject is not None else "is not known, and was not in"
        raise MlgateError(
            f"{version} {what} {environment}: a rollback puts back what was there.",
            fix=f"{_there(records, model, environment)}. Another model comes there by `mlgate deploy`.",
        )
    return mine[-1]


def _brought(records: Sequence[Record], model: str, environment: str) -> list[Record]:
    """Every entry that made a model the one of the environment."""
    return [
        each
        for each in query.history(records, model=model, environment=environment)
        if isinstance(each.entry, Promotion | Rollback)
        or (isinstance(each.entry, Deployment) and each.entry.state == "complete")
    ]


def _there(records: Sequence[Record], model: str, environment: str) -> str:
    found = dict.fromkeys(_said(each) for each in _brought(records, model, environment))
    return f"{environment} had {', '.join(list(found)[-6:])}" if found else f"{environment} had none"


def _said(record: Record) -> str:
    version = getattr(record.entry, "version", "")
    return f"{version or 'a model without a version'} (since {record.entry.at[:10]})"
