"""Which release is meant: an image by its digest, what states that it holds a model, and the decision about that model.

    chosen = find(run, config)                                  # the image of the commit's own model
    chosen = find(run, config, version="v1.2.0")                # or the image of a version
    chosen = find(run, config, image="ghcr.io/acme/visits@sha256:...")

The ledger is asked, and no file of a job: an image that `mlgate register` has not written there is not deployed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlgate.commands import _model
from mlgate.commands._model import Decided
from mlgate.commands._run import Run
from mlgate.commands._signing_login import logged_in
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.image import registry
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference
from mlgate.judge import record as decisions
from mlgate.ledger import query, registrations
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Decision, Image
from mlgate.model import Check, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.rollout.nouns import Release
from mlgate.signing import statement
from mlgate.signing.statement import Statement

GROUP = "deploy"
LOCAL = "local/"  # before the name of what stands for an image where there is none


@dataclass(frozen=True)
class Chosen:
    """A release, and what it stands on. `records` are the events of the ledger that it was found in.

    Without an image (`statement` and `image` are None) it is a model whose own files a local target serves.
    """

    release: Release
    statement: Statement | None  # image -> model
    decision: Decided  # model -> may be deployed
    image: Record | None  # the ledger's entry
    records: tuple[Record, ...]

    @property
    def version(self) -> str:
        return self.release.version

    @property
    def subject(self) -> Mapping[str, str]:
        """Every digest of the model."""
        return self.release.subject


def find(
    run: Run,
    config: Config,
    *,
    image: str = "",
    version: str = "",
    record: Record | None = None,
    local: bool = False,
    records: tuple[Record, ...] | None = None,
) -> Chosen:
    """What is to be deployed: by image, by version, else the image of the model that the commit names.

    `record`: an entry that brought it into an environment, instead. `local`: the target serves the model's own files,
    so that a decision is enough where there is no image. Raises MlgateError where the ledger has no such image, or one
    of the two statements does not hold.
    """
    known = _model.records(run, config) if records is None else records
    if image and version:
        raise MlgateError("--image and --version both say what to deploy.", fix="Give one of them.")
    if record is not None:
        return of_entry(run, config, known, record, local=local)
    if local and image.startswith(LOCAL):
        return _without_image(run, config, known, {"sha256": image.rpartition(":")[2]})
    if image:
        return chosen(run, config, known, _by_digest(config, known, image), repository=image.partition("@")[0])
    if version:
        named = _by_version(config, known, version)
        if local and not named.image:
            return _without_image(run, config, known, named.subject)
        return chosen(run, config, known, _image_of(known, named))
    model = _model.named(config, Pipeline(run.git.at(run.head), lenient=True))
    built = _last_image(config, known, model.digest)
    if built is None and local:
        return _without_image(run, config, known, model.digest)
    if built is None:
        raise _none_built(config, known, model.digest)
    return chosen(run, config, known, built)


def of_entry(run: Run, config: Config, records: tuple[Record, ...], found: Record, *, local: bool = False) -> Chosen:
    """The release that an entry of the ledger brought into an environment. Raises MlgateError like `find`."""
    told = getattr(found.entry, "image", {}).get("sha256", "")
    mine = [each for each in records if isinstance(each.entry, Image) and each.entry.model == config.model]
    built = next((each for each in reversed(mine) if told and each.entry.image.get("sha256") == told), None)  # type: ignore[attr-defined]
    built = built or (None if told else _last_image(config, records, found.entry.subject))
    if built is not None:
        return chosen(run, config, records, built)
    if local and not told:
        return _without_image(run, config, records, found.entry.subject)
    raise MlgateError(
        f"the ledger does not have the image of what was in {found.entry.environment} on {found.entry.at[:10]}.",
        fix="Name another version with --to, or build and deploy that model again.",
    )


def there(config: Config, records: Sequence[Record], name: str) -> Record | None:
    """The entry that brought what mlgate has in an environment now. A promotion alone brings nothing anywhere."""
    moved = [each for each in records if each.entry.kind != "promotion"]
    return query.current(moved, config.model, name)


def chosen(run: Run, config: Config, records: tuple[Record, ...], image: Record, *, repository: str = "") -> Chosen:
    """The release of an image that the ledger has, `repository` naming where else it was copied to.

    Raises MlgateError where one of the two statements does not hold.
    """
    made, decided = held(records, image)
    subject = {**decided.entry.entry.subject, **made.predicate.digests}
    own = as_built(run, config, made.predicate.commit)
    release = _release(config, (records, decided), f"{repository or made.name}@{made.image}", subject, own.serve.port)
    return Chosen(release, made, decided, image, records)


def _without_image(run: Run, config: Config, records: tuple[Record, ...], subject: Mapping[str, str]) -> Chosen:
    """A model by its decision alone. Raises MlgateError without one, and for one that names no sha256."""
    entry = query.decision(records, config.model, dict(subject))
    if entry is None:
        raise _undecided(config, subject)
    told = decisions.Statement.parse(_of(entry).record)
    if wrong := [*decisions.problems(told), *decisions.agrees(told, _of(entry))]:
        raise MlgateError(f"the decision about {config.model} does not hold: {wrong[0]}.")
    sha256 = entry.entry.subject.get("sha256", "")
    if not sha256:
        raise MlgateError(
            f"the decision about {config.model} does not name the model by its sha256, so its files cannot be held "
            "against it.",
            fix="Let `mlgate compare` run where the model's files are, or build an image of it.",
        )
    decided = Decided(entry, told)
    image = f"{LOCAL}{config.model.lower()}@sha256:{sha256}"
    port = as_built(run, config, decided.commit).serve.port
    return Chosen(_release(config, (records, decided), image, entry.entry.subject, port), None, decided, None, records)


def _release(
    config: Config, found: tuple[Sequence[Record], Decided], image: str, subject: Mapping[str, str], port: int
) -> Release:
    records, decided = found
    named = _registered(config, records, subject)
    return Release(
        model=config.model, image=image, subject=dict(subject), version=named.version if named else "",
        commit=decided.commit, decision=decided.entry.entry.id, port=port,
    )  # fmt: skip


# -- which image -----------------------------------------------------------------------------------------------------


def _by_digest(config: Config, records: Sequence[Record], text: str) -> Record:
    name = Reference.parse(text)
    if not name.digest:
        raise MlgateError(
            f"--image {text} names no digest, and a tag can be another image tomorrow.",
            fix="Name it as repository@sha256:..., as `mlgate build-image` says it.",
        )
    about = [each for each in records if isinstance(each.entry, Image) and _digest(each.entry) == name.digest]
    mine = [each for each in about if each.entry.model == config.model]
    if about and not mine:
        raise MlgateError(f"{name.digest[:19]}… is an image of {about[-1].entry.model}, not of {config.model}.")
    if not mine:
        raise MlgateError(
            f"the ledger has no image {name.digest}, so nothing states which model is in it, and no decision let that "
            "model through.",
            fix="Deploy what `mlgate build-image` built and `mlgate register` wrote into the ledger. A preview is "
            "never deployed.",
        )
    return mine[-1]


def _by_version(config: Config, records: Sequence[Record], text: str) -> registrations.Known:
    name = config.register_.name or config.model
    version = registrations.spelled(text.rpartition("@")[2])
    known = registrations.known((each.entry for each in records), name)
    found = next((one for one in known if one.version == version and one.first.model == config.model), None)
    if found is None:
        last = ", ".join(one.version for one in known[-5:])
        fix = f"It has {last}." if last else "Run `mlgate register` first."
        raise MlgateError(f"the ledger has no {version} of {name}.", fix=fix)
    return found


def _image_of(records: Sequence[Record], found: registrations.Known) -> Record:
    if not found.image:
        raise MlgateError(
            f"{found.version} of {found.name} was registered without an image.",
            fix="Build it (`mlgate build-image`) and run `mlgate register` again.",
        )
    digest = f"sha256:{found.image.get('sha256', '')}"
    for each in reversed(records):
        entry = each.entry
        if isinstance(entry, Image) and entry.model == found.first.model and _digest(entry) == digest:
            return each
    raise MlgateError(f"{found.version} names the image {digest[:19]}…, which the ledger does not have.")


def _last_image(config: Config, records: Sequence[Record], subject: Mapping[str, str]) -> Record | None:
    mine = (each for each in reversed(records) if isinstance(each.entry, Image) and each.entry.model == config.model)
    return next((each for each in mine if query.same_model(each.entry.subject, dict(subject))), None)


def _none_built(config: Config, records: Sequence[Record], subject: Mapping[str, str]) -> MlgateError:
    if query.decision(records, config.model, dict(subject)) is None:
        return _undecided(config, subject)
    return MlgateError(
        f"the ledger has no image of {_about(config, subject)}.",
        fix="Run `mlgate build-image`, then `mlgate register`, on this commit.",
    )


def _undecided(config: Config, subject: Mapping[str, str]) -> MlgateError:
    return MlgateError(
        f"the ledger has no passing decision for {_about(config, subject)}, so nothing of it is deployed.",
        fix="Decisions are made by `mlgate compare` on the default branch, in the mode enforce.",
    )


def _about(config: Config, subject: Mapping[str, str]) -> str:
    name, value = next(iter(subject.items()))
    return f"{config.model} with {name} {value[:12]}…"


def _digest(entry: Image) -> str:
    return f"sha256:{entry.image.get('sha256', '')}"


def _registered(config: Config, records: Sequence[Record], subject: Mapping[str, str]) -> registrations.Known | None:
    name = config.register_.name or config.model
    return registrations.of_model(registrations.known((each.entry for each in records), name), subject)


def as_built(run: Run, config: Config, commit: str) -> Config:
    """mlgate.yaml as the image was built with it: its server listens where that says. Else the one that there is."""
    try:
        found = run.load_at(run.git.at(run.git.ensure(commit)), config.file)
    except MlgateError:
        return config
    return found if isinstance(found, Config) and found.model == config.model else config


# -- the two statements ----------------------------------------------------------------------------------------------


def held(records: Sequence[Record], image: Record) -> tuple[Statement, Decided]:
    """Both statements of an image. Raises MlgateError where one does not hold, or they are not about one model."""
    entry = image.entry
    assert isinstance(entry, Image)  # noqa: S101 -- the caller's choice
    made = Statement.parse(entry.record)
    before = (each for each in records if isinstance(each.entry, Decision) and each.seq < image.seq)
    decision = next((each for each in before if _of(each).statement == made.predicate.decision), None)
    if decision is None:
        raise MlgateError(
            f"the image {made.image[:19]}… names the decision {made.predicate.decision[:12]}, which the ledger did not "
            "have before it.",
            fix="Build the image of a model that has a decision; `mlgate audit verify` says more.",
        )
    told = decisions.Statement.parse(_of(decision).record)
    if wrong := list(_wrong(made, entry, told, _of(decision))):
        raise MlgateError(
            f"the image {made.image[:19]}… is not deployed: {wrong[0]}.", fix="`mlgate audit verify` says more."
        )
    return made, Decided(decision, told)


def _of(found: Record) -> Decision:
    assert isinstance(found.entry, Decision)  # noqa: S101 -- they are collected by kind
    return found.entry


def _wrong(made: Statement, image: Image, told: decisions.Statement, decision: Decision) -> Iterator[str]:
    yield from statement.problems(made)
    yield from statement.agrees(made, image)
    yield from decisions.problems(told)
    yield from decisions.agrees(told, decision)
    yield from statement.joins(made, told)


# -- in its registry -------------------------------------------------------------------------------------------------


def engine(environ: Mapping[str, str]) -> Engine:
    """What knows the logins, and which registries have no TLS. A runner without Docker has neither."""
    command = environ.get("MLGATE_DOCKER") or shutil.which("docker", path=environ.get("PATH"))
    return Engine(command or "false", environ)


def in_registry(run: Run, found: Chosen, *, user: str = "", environ: Mapping[str, str] | None = None) -> Check:
    """That the registry has just this image, and that the image says of itself what its statement says.

    `user`, with the password of the environment, is for a registry that is not the forge's own. Raises MlgateError
    where it is not there, or cannot be asked.
    """
    name = Reference.parse(found.release.image)
    with logged_in([name.name], run.forge.image_registry(), user, environ or os.environ) as env:
        seen = registry.exists(engine(env), name)
    if seen is None:
        raise MlgateError(
            f"{found.release.image} is not in its registry.",
            fix="Was it removed there, and may this login read it? An image is found again by `mlgate build-image`.",
        )
    if found.statement is None:
        raise MlgateError(f"nothing states which model is in {found.release.image}.")
    if wrong := list(statement.labelled(found.statement, seen.labels)):
        raise MlgateError(f"{found.release.image} is not what its statement says: {wrong[0]}.", fix="Build it again.")
    return Check(
        id="deploy.image", group=GROUP, title="The image is in its registry", verdict=Verdict.PASS,
        observed=found.release.image, reason="Its octets have this digest, and its labels say what its statement says.",
    )  # fmt: skip
