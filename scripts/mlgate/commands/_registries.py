"""The registries that mlgate.yaml names: what can be told before, and one version brought about in each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlgate.commands._claiming import PRODUCTION
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Check, Named, Verdict
from mlgate.repo import content
from mlgate.tracking import gto, registering
from mlgate.tracking.gto import Seen, Tags
from mlgate.tracking.nouns import Training
from mlgate.tracking.registering import Wanted
from mlgate.tracking.store import Store

GROUP = "registry"
TITLES = {"mlflow": "MLflow's model registry", "gitlab": "GitLab's model registry", "git": "git tags"}
GITLAB_TOKEN = "MLGATE_GITLAB_TOKEN"  # noqa: S105 -- the name of a variable


@dataclass(frozen=True)
class Asked:
    """What the command line says about registries."""

    tracking_uri: str = ""
    gitlab_uri: str = ""
    push_tags: bool = True


@dataclass(frozen=True)
class Told:
    """What came of one registry. `number` is its own name for the version, empty where it has none now."""

    check: Check
    number: str = ""
    link: str = ""
    tag: str = ""  # that assigns the stage


class Registries:
    """Those of one model. Made before anything is written: raises MlgateError for what cannot be tried at all."""

    def __init__(self, run: Run, config: Config, name: str, asked: Asked) -> None:
        self._run = run
        self._name = name
        self.names = tuple(dict.fromkeys(config.register_.to))
        self._stores: dict[str, Store] = {kind: _store(config, kind, asked) for kind in self.names if kind != "git"}
        for store in self._stores.values():
            if said := registering.problem(name, store, run.git.root):
                raise MlgateError(said, file=config.file, line=config.line("register"), key="register")
        self._tags: Tags | None = None
        if "git" in self.names:
            if said := gto.problem(name):
                raise MlgateError(
                    f"{said}.", file=config.file, line=config.line("register"), key="register.name",
                    fix=f"Set register.name, such as {name.replace('.', '-')}.",
                )  # fmt: skip
            remote = run.forge.push_to() if asked.push_tags else None
            self._tags = Tags(run.git, remote, run.forge.identity())
        self.stage = ""  # the tag that assigned it

    @property
    def servers(self) -> bool:
        return bool(self._stores)

    def seen(self) -> Seen:
        """The tags of this name; none where git is no registry. Raises MlgateError when they cannot be read."""
        return self._tags.seen(self._name) if self._tags else Seen(self._name, {})

    def taken(self, training: Training) -> set[str]:
        """The versions that GitLab has: there, a version is its number. Raises MlgateError when it cannot be asked."""
        store = self._stores.get("gitlab")
        return set(registering.taken(Wanted(training, self._name, "", ""), store)) if store else set()

    def register(self, kind: str, wanted: Wanted, *, commit: str, at: str) -> Told:
        """One version in one registry. Never raises MlgateError: what went wrong is in the check."""
        try:
            if kind == "git":
                return self._in_git(wanted, commit, at)
            return self._in_server(kind, wanted)
        except MlgateError as error:
            stands = f"{wanted.version} stands in the ledger, and running this again completes it."
            reason = f"{error.message.rstrip('.')}. {stands}"
            return Told(_check(kind, Verdict.ERROR, reason, fix=error.fix))

    def _in_server(self, kind: str, wanted: Wanted) -> Told:
        store = self._stores[kind]
        done = registering.register(wanted, store)
        number = f"version {done.number}"
        said = [f"{number} of {wanted.name} {'was made' if done.created else 'was there'} at {store.shown}."]
        if done.alias:
            said.append(f"It is {done.alias}.")
        verdict = Verdict.PASS
        if not done.files:
            verdict = Verdict.WARN
            said.append(
                "It has no files of the model, because no training of it was logged there and its bytes were not at "
                "hand: what loads models from the registry does not find it."
            )
        check = _check(kind, verdict, " ".join([*said, *done.notes]), observed=number)
        return Told(check, done.number, done.url)

    def _in_git(self, wanted: Wanted, commit: str, at: str) -> Told:
        assert self._tags is not None  # noqa: S101 -- __init__ has seen to it
        version, message = wanted.version, f"Register {wanted.description}"
        tag, made = self._tags.register(self._name, version, commit, message, at=at)
        said = [f"The tag {tag} {'was put on' if made else 'is on'} the commit {commit[:7]}."]
        stage = ""
        if wanted.alias == "champion":
            stage, assigned = self._tags.assign(
                self._name, PRODUCTION, commit, f"Put {self._name} {version} in production"
            )
            said.append(
                f"The tag {stage} says that it is in production." if assigned else "It is in production already."
            )
        return Told(_check("git", Verdict.PASS, " ".join(said), observed=tag), tag, tag=stage)


def _check(kind: str, verdict: Verdict, reason: str, *, fix: str = "", observed: str = "") -> Check:
    return Check(
        id=f"register.{kind}", group=GROUP, title=TITLES[kind], verdict=verdict, reason=reason, fix=fix,
        observed=observed or None,
    )  # fmt: skip


def _store(config: Config, kind: str, asked: Asked) -> Store:
    """Where a registry is. The address is never mlgate.yaml's: a change could point it, and the token, elsewhere."""
    environ: Mapping[str, str] = os.environ
    uri = asked.tracking_uri
    if kind == "gitlab" and asked.gitlab_uri:
        uri = asked.gitlab_uri
        if token := environ.get(GITLAB_TOKEN, ""):
            environ = {**environ, "MLFLOW_TRACKING_TOKEN": token}
    where = {"file": config.file, "line": config.line("register"), "key": "register.to"}
    store = Store.of(environ, uri)
    if store is None:
        raise MlgateError(
            f"names {kind}, and nothing says where that registry is.", **where,  # type: ignore[arg-type]
            fix="Set MLFLOW_TRACKING_URI (and MLFLOW_TRACKING_TOKEN) in the environment of this job.",
        )  # fmt: skip
    if (store.kind == "gitlab") != (kind == "gitlab") and store.kind != "none":
        other = "gitlab" if store.kind == "gitlab" else "mlflow"
        raise MlgateError(
            f"names {kind}, and the address that is set is {store.shown}.", **where,  # type: ignore[arg-type]
            fix=f"Write `to: [{other}]`, or set {'MLGATE_GITLAB_URI' if kind == 'gitlab' else 'MLFLOW_TRACKING_URI'}.",
        )  # fmt: skip
    return store


def is_model(path: Path, named: Named) -> bool:
    """Whether a file or folder is the committed model. Raises OSError."""
    like = {name: value for name, value in named.digest.items() if name in ("dvc-md5", "sha256")}
    if "dvc-md5" in like:
        return content.is_named(path, like["dvc-md5"])
    return bool(like) and content.digest(path, {}) == like


def at_hand(training: Training, path: Path | None, scratch: Path, name: str) -> Training:
    """The training with the model's files, under the name that the model has in the repository."""
    if path is None:
        return training
    link = scratch / name
    link.symlink_to(path.resolve(), target_is_directory=path.is_dir())
    return replace(training, artifact=link)
