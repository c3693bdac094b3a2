"""Which commit a version of a registered model was trained from. A registry that cannot be asked is an error.

registered(Named.parse("models:/visits@champion"), store, root)     # None: the alias is not set (yet)
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.tracking import words
from mlgate.tracking.run import work
from mlgate.tracking.store import Store

TIMEOUT = 90.0  # seconds for everything after the packages are there
COMMIT = ("mlgate.commit", "mlflow.source.git.commit")  # tags
DIGEST = "mlgate.model_digest"
DECISION = "mlgate.decision"
_SPEC = re.compile(r"models:/(?P<name>[^\s@/]+)(?:@(?P<alias>[A-Za-z0-9_.-]+)|/(?P<version>[1-9][0-9]*))")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Named:
    """A version of a registered model, by its number or by an alias."""

    name: str
    alias: str = ""
    version: str = ""

    @classmethod
    def parse(cls, spec: str) -> Named:
        """Raises MlgateError for what is neither `models:/<name>@<alias>` nor `models:/<name>/<version>`."""
        found = _SPEC.fullmatch(spec)
        if found is None:
            raise MlgateError(f"`{spec[:100]}` names no registered model.", fix="Write models:/visits@champion.")
        return cls(found["name"], found["alias"] or "", found["version"] or "")

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}" if self.alias else f"version {self.version} of {self.name}"


@dataclass(frozen=True)
class Registered:
    """What the registry says of a version. `digest` of the model as its training logged it; empty where none did."""

    version: str
    commit: str
    digest: str = ""


def registered(named: Named, store: Store, folder: Path, *, timeout: float = TIMEOUT) -> Registered | None:
    """None where the registry has the model, and says that no version has that alias.

    `folder` is where a sqlite store lies. Raises MlgateError, without secrets, for all else that is no commit.
    """
    if refused := store.refused(folder) or _no_file(store, folder):
        raise MlgateError(refused, fix="compare.champion names a model registry, and MLFLOW_TRACKING_URI where it is.")
    try:
        state = _ask(named, store, folder, timeout)
    except OSError as error:
        raise MlgateError(_unreachable(words.sentence(store.shown, str(error), secrets=store.secrets))) from None
    absent = state.get("absent")
    if absent == "alias":
        return None
    if absent == "model":
        raise MlgateError(
            f"{store.shown} has no registered model `{named.name}`.",
            fix="Check the name. Until its first version is registered, let compare.champion be a git branch.",
        )
    if absent:
        raise MlgateError(f"{store.shown} has no {named}: it was deleted, or never was there.", fix="Name another one.")
    what = f"version {state['version']} of {named.name}"
    if state["status"] not in ("READY", "None"):
        raise MlgateError(f"{what} is not ready in {store.shown}: it is {words.brief(state['status'])}.")
    return Registered(
        state["version"], _commit(what, state, store), _one(what, "model", _tags(state["tags"], (DIGEST,)), store)
    )


def _no_file(store: Store, folder: Path) -> str:
    """MLflow would make an empty database, and call it a registry without models."""
    database = store.database(folder) if store.kind == "sqlite" else None
    return f"There is no file {database.name}." if database is not None and not database.is_file() else ""


def _ask(named: Named, store: Store, folder: Path, timeout: float) -> dict[str, Any]:
    """What the worker left. Raises MlgateError where the registry did not answer."""
    paths = extras.site(store.extra)
    database = store.database(folder) if store.kind == "sqlite" else None
    with tempfile.TemporaryDirectory(prefix="mlgate-mlflow-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        orders = {
            "kind": store.kind,
            "uri": f"sqlite:///{database}" if database else store.uri,
            "at": store.shown,
            "folder": str(database.parent) if database else "",
            "patience": timeout,
            "name": named.name,
            "alias": named.alias,
            "version": named.version,
        }
        (scratch / "orders.json").write_text(json.dumps(orders), "utf-8")
        trouble = work(scratch, store, paths, timeout, module="registry_worker", doing="asking")
        try:
            state: dict[str, Any] = json.loads((scratch / "state.json").read_bytes())
        except (OSError, ValueError):
            state = {}
    if failure := state.get("failure"):
        trouble = failure.get("sentence") or words.sentence(
            store.shown, failure["said"], status=failure["status"], secrets=store.secrets
        )
    if trouble or not ("absent" in state or "tags" in state):
        trouble = trouble or f"{store.shown} gave no answer."
        raise MlgateError(_unreachable(words.redact(trouble, store.secrets)))
    return state


def _unreachable(said: str) -> str:
    return f"the champion is unreachable: {said}"


def _commit(what: str, state: Mapping[str, Any], store: Store) -> str:
    # A version that `mlgate register` made is of the commit of its decision; its training may have been on a branch.
    own = state["tags"][:1] if state["tags"] and state["tags"][0].get(DECISION) else state["tags"]
    found = _tags(own, COMMIT)
    if not found:
        gone = "its run was removed" if state.get("removed") else f"neither it nor its run has the tag {COMMIT[0]}"
        raise MlgateError(
            f"{store.shown} does not say from which commit {what} was trained: {gone}.",
            fix=f"Set the tag {COMMIT[0]} of that version; a training that mlgate logs has it.",
        )
    commit = _one(what, "commit", found, store)
    if not _SHA.fullmatch(commit):
        raise MlgateError(
            f"{store.shown} names `{words.brief(commit)[:80]}` as the commit of {what}, which is no whole commit id.",
            fix=f"Set the tag {COMMIT[0]} of that version to all of its 40 characters.",
        )
    return commit


def _one(what: str, kind: str, found: Mapping[str, str], store: Store) -> str:
    """Tags of the version, of the model and of the run say the same, or nothing can be said."""
    if len(found) > 1:
        (one, place), (other, there) = list(found.items())[:2]
        raise MlgateError(
            f"{store.shown} has two digests of {what}: {words.brief(one)[:40]} and {words.brief(other)[:40]}."
            if kind == "model"
            else f"{store.shown} has two commits of {what}: {words.brief(one)[:12]} ({place}) and "
            f"{words.brief(other)[:12]} ({there}).",
            fix="Tags of a version and of its run have to agree.",
        )
    return next(iter(found), "")


def _tags(places: Iterable[Mapping[str, str]], names: Iterable[str]) -> dict[str, str]:
    """Every value that any of these tags has, with the tag's name."""
    return {tags[name].strip(): name for tags in places for name in names if tags.get(name, "").strip()}
