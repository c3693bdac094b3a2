"""A version in a model registry: MLflow's, or GitLab's. Started in a process of its own, like the logging of runs.

    done = register(Wanted(training, "visits", "v1.2.0", key, tags), store)

The ledger has decided on the version before: here it is brought about. What is there already is left as it is, so that
a second call, or another job at the same time, ends with one version. Raises MlgateError, without secrets, for what did
not come about; a later call completes it.
"""

from __future__ import annotations

import json
import tempfile
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.tracking import bundle, flat, words
from mlgate.tracking.nouns import Training
from mlgate.tracking.run import work
from mlgate.tracking.store import Store

TIMEOUT = 600.0  # seconds for everything after the packages are there; a model may have to be uploaded
Alias = Literal["challenger", "champion", ""]
_NO_NAME = set("/:'\"@%\\")


@dataclass(frozen=True)
class Wanted:
    """One version as it is to be. `training` says what the model is, and where its files are if they are at hand."""

    training: Training
    name: str
    version: str  # v1.2.0
    key: str  # of the ledger's entry: by it a version is known again
    digests: tuple[str, ...] = ()  # of the model, bare: a run that has one as its tag is where it came from
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    alias: Alias = ""


@dataclass(frozen=True)
class Done:
    """What there is now. `number` is the registry's own for the version, `files` whether it has the model itself."""

    number: str
    created: bool
    files: bool
    source: str = ""
    url: str = ""
    alias: str = ""  # what was done about it, in words
    notes: tuple[str, ...] = ()


def problem(name: str, store: Store, folder: Path) -> str:
    """Why nothing could be registered there, told before anything is done; empty when it can be tried."""
    if refused := store.refused(folder):
        return refused
    if _NO_NAME & set(name) or not name.isprintable() or name.strip() != name or not name:
        return f"{name!r} cannot be the name of a registered model: `/ : @ % \\` and quotes are not taken."
    return ""


def register(wanted: Wanted, store: Store, *, timeout: float = TIMEOUT) -> Done:
    """Brings one version about. Raises MlgateError where it, its tags or its alias are not as they should be then."""
    state = _ask(wanted, store, timeout, "register")
    return Done(
        number=str(state["number"]),
        created=bool(state["created"]),
        files=bool(state["files"]),
        source=state.get("source", ""),
        url=state.get("url", "") or _page(store, wanted.name, str(state["number"])),
        alias=state.get("alias", ""),
        notes=tuple(dict.fromkeys(words.redact(note, store.secrets) for note in state.get("left_out", ()))),
    )


def taken(wanted: Wanted, store: Store, *, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """The versions that GitLab has of a name, the highest among them, as `v1.2.0`: there a version is its number."""
    found: Iterable[str] = _ask(wanted, store, timeout, "versions").get("versions", ())
    return tuple(f"v{version}" for version in found)


def _ask(wanted: Wanted, store: Store, timeout: float, what: str) -> dict[str, Any]:
    try:
        return _asked(wanted, store, timeout, what)
    except OSError as error:
        raise MlgateError(words.sentence(store.shown, str(error), secrets=store.secrets)) from None


def _asked(wanted: Wanted, store: Store, timeout: float, what: str) -> dict[str, Any]:
    paths = extras.site(store.extra)
    with tempfile.TemporaryDirectory(prefix="mlgate-mlflow-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        given = replace(wanted.training, artifact=None) if what == "versions" else wanted.training
        made = bundle.make(given, store, scratch)
        tags = flat.tags(wanted.tags, store.limits)
        orders = {
            **made.orders,
            "patience": timeout,
            "at": store.shown,
            "what": what,
            "name": wanted.name,
            "version": wanted.version,
            "registration": wanted.key,
            "digests": list(wanted.digests),
            "version_tags": tags.values,
            "description": wanted.description,
            "alias": wanted.alias,
            "elsewhere": _elsewhere(wanted.training),
        }
        (scratch / "orders.json").write_text(json.dumps(orders), "utf-8")
        trouble = work(scratch, store, paths, timeout, module="registering_worker", doing="registering with")
        try:
            state: dict[str, Any] = json.loads((scratch / "state.json").read_bytes())
        except (OSError, ValueError):
            state = {}
    if failure := state.get("failure"):
        trouble = failure.get("sentence") or words.sentence(
            store.shown, failure["said"], status=failure["status"], secrets=store.secrets
        )
    if not trouble and not state.get("done"):
        trouble = f"{store.shown} gave no answer."
    if trouble:
        raise MlgateError(words.redact(trouble, store.secrets), fix="Run it again: what is there already is kept.")
    state["left_out"] = [*made.notes, *tags.notes, *state.get("left_out", ())]
    return state


def _elsewhere(training: Training) -> str:
    """What a version without files names as its source: MLflow wants one, and takes what it does not know."""
    where = "".join(c for c in training.described().get("mlgate.model", "model") if c.isalnum() or c in "-._")
    return f"dvc://{where}/{training.commit}"


def _page(store: Store, name: str, number: str) -> str:

    return f"{store.uri}/#/models/{urllib.parse.quote(name)}/versions/{number}" if store.kind == "server" else ""
