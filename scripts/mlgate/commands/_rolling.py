"""What a rollout needs from the repository: the place, and a hand that writes the ledger.

target = targets.find(place(run, config, "production", user=""))
record = Recorder(run, config, approved_by=("grace",))
Machine(target, record=record, ...)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlgate.commands._ledger import open_ledger, who
from mlgate.commands._release import LOCAL
from mlgate.commands._run import Run
from mlgate.commands._signing_login import logged_in
from mlgate.config import Config
from mlgate.ledger.branch import Ledger
from mlgate.ledger.chain import Head, Record
from mlgate.ledger.kinds import TIME, Deployment, Entry, Promotion, Rollback, clean
from mlgate.ledger.place import address
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import Transition
from mlgate.rollout.targets import Place

_STATES = ("started", "advanced", "held", "complete", "judged", "aborted", "failed")
STATE = "MLGATE_STATE"  # the name of a variable


# -- where -----------------------------------------------------------------------------------------------------------


def place(run: Run, config: Config, environment: str, *, user: str = "") -> Place:
    """An environment as its target needs it. `user`, with the password of the environment, is of the registry."""
    return Place(
        model=config.model,
        environment=environment,
        settings=config.deploy.environments[environment],
        folder=run.git.root,
        state=state_folder(run, os.environ),
        environ=dict(os.environ),
        timeout=float(config.serve.timeout_seconds),
        drain=float(config.serve.drain_seconds),
        port=config.serve.port,
        pull=_pulling(run, user),
    )


def _pulling(run: Run, user: str) -> Callable[[str], AbstractContextManager[Mapping[str, str]]]:
    own = run.forge.image_registry()
    return lambda host: logged_in([f"{host}/any"], own, user, os.environ)


def state_folder(run: Run, environ: Mapping[str, str]) -> Path:
    """Of this user and this repository, wherever the job's checkout is: what runs outlives the checkout.

    MLGATE_STATE names another one.
    """
    home = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or Path.home()) / ".local/state"
    above = Path(environ.get(STATE) or Path(home) / "mlgate")
    url = run.git.remote_url()
    whose = address(url) if url else str(run.git.root.resolve())
    return above / hashlib.sha256(whose.encode()).hexdigest()[:16]


def actor(run: Run) -> str:
    """Who started this run."""
    return str(who(run)["actor"])


# -- the ledger ------------------------------------------------------------------------------------------------------


class Recorder:
    """Writes transitions into the ledger, each once however often it is told.

    `approved_by`: who let this run's release in; what another run has begun keeps the names that it was begun with.
    `head` is the end of the ledger after the last one. A call raises MlgateError where the ledger is not reached.
    """

    def __init__(self, run: Run, config: Config, *, approved_by: Sequence[str] = ()) -> None:
        self._run = run
        self._config = config
        self._approved_by = tuple(clean(name) for name in approved_by)
        self._ledger: Ledger | None = None
        self.head: Head | None = None

    def __call__(self, transition: Transition) -> None:
        if not any(entries(transition, {}, ())):
            return
        told = who(self._run, commit=transition.candidate.commit)

        def decide(records: tuple[Record, ...]) -> Sequence[Entry]:
            there = {record.entry.id for record in records}
            made = entries(transition, told, self._approvers(transition, records))
            return [entry for entry in made if entry.id not in there]

        if self._ledger is None:
            self._ledger = open_ledger(self._run, self._config.ledger, write=True)
        self.head = self._ledger.append_once(decide).head or self.head

    def _approvers(self, transition: Transition, records: Sequence[Record]) -> tuple[str, ...]:
        begun = [
            record.entry
            for record in records
            if isinstance(record.entry, Deployment) and record.entry.rollout == transition.rollout
        ]
        return begun[0].approved_by if begun else self._approved_by


def entries(transition: Transition, told: Mapping[str, Any], approved_by: tuple[str, ...]) -> Iterator[Entry]:
    """The entries of a transition: of most one, of a new model of the environment two, of some none.

    `told` are the fields of `_ledger.who`. Pure: the same transition gives the same entries.
    """
    if transition.purpose == "recover":
        return
    if transition.purpose == "rollback" and transition.name == "complete":
        yield _rollback(transition, told, approved_by)
        return
    if transition.name not in _STATES or (transition.purpose == "rollback" and transition.name in ("started", "held")):
        return
    release = transition.candidate
    given = {**told, "at": _at(transition), **_of(transition, release), "approved_by": approved_by}
    yield Deployment(
        **given,
        id=transition.id,
        state=transition.name,
        rollout=transition.rollout,
        strategy=clean(transition.strategy if transition.purpose == "deploy" else transition.purpose),
        weight=transition.weight if transition.name in ("advanced", "held") else None,
        image=_image(release),
        decision=release.decision,
        reason=clean(transition.reason),
    )
    if transition.name == "complete":
        yield Promotion(
            **given, id=transition.entry_id("promotion"), decision=release.decision, reason=clean(transition.reason)
        )


def _rollback(transition: Transition, told: Mapping[str, Any], approved_by: tuple[str, ...]) -> Rollback:
    release, taken = transition.candidate, transition.stable
    return Rollback(
        **{**told, "at": _at(transition), **_of(transition, release)},
        id=transition.id,
        instead_of=dict(taken.subject) if taken is not None else {},
        image=_image(release),
        seconds=None if transition.seconds is None else max(0.0, transition.seconds),
        approved_by=approved_by,
        reason=clean(transition.reason or transition.state.reason) or "no reason was given",
    )


def _of(transition: Transition, release: Release) -> dict[str, Any]:
    return {
        "model": transition.model,
        "environment": transition.environment,
        "subject": dict(release.subject),
        "version": clean(release.version),
    }


def _image(release: Release) -> dict[str, str]:
    """None where a local target serves the model's own files: what stands there is the model's digest."""
    return {} if release.image.startswith(LOCAL) else {"sha256": release.digest.removeprefix("sha256:")}


def _at(transition: Transition) -> str:
    return datetime.fromtimestamp(transition.at, UTC).strftime(TIME)
