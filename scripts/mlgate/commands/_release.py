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
from mlgate.judge import record
from mlgate.ledger import query, registrations
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Decision, Image
from mlgate.model import Check, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.rollout.nouns import Release
from mlgate.signing import statement
from mlgate.signing.statement import Statement

GROUP = "deploy"


@dataclass(frozen=True)
class Chosen:
    """A release, and what it stands on. `records` are the events of the ledger that it was found in."""

    release: Release
    statement: Statement  # image -> model
    decision: Decided  # model -> may be deployed
    image: Record  # the ledger's entry
    records: tuple[Record, ...]

    @property
    def version(self) -> str:
        return self.release.version

    @property
    def subject(self) -> Mapping[str, str]:
        """Every digest of the model."""
        return self.release.subject


def find(
    run: Run, config: Config, *, image: str = "", version: str = "", records: tuple[Record, ...] | None = None
) -> Chosen:
    """What is to be deployed: by image, by version, else the image of the model that the commit names.

    Raises MlgateError where the ledger has no such image, or one of the two statements does not hold.
    """
    known = _model.records(run, config) if records is None else records
    if image:
        if version:
            raise MlgateError("--image and --version both say what to deploy.", fix="Give one of them.")
        return chosen(run, config, known, _by_digest(config, known, image), repository=image.partition("@")[0])
    if version:
        return chosen(run, config, known, _by_version(config, known, version))
    return chosen(run, config, known, _of_commit(run, config, known))


def chosen(run: Run, config: Config, records: tuple[Record, ...], image: Record, *, repository: str = "") -> Chosen:
    """The release of an image that the ledger has, `repository` naming where else it was copied to.

    Raises MlgateError where one of the two statements does not hold.
    """
    made, decided = held(records, image)
    entry = image.entry
    named = _registered(config, records, entry.subject)
    own = _as_built(run, config, made.predicate.commit)
    release = Release(
        model=config.model,
        image=f"{repository or made.name}@{made.image}",
        subject={**decided.entry.entry.subject, **made.predicate.digests},
        version=named.version if named else "",
        commit=decided.commit,
        decision=decided.entry.entry.id,
        port=own.serve.port,
    )
    return Chosen(release, made, decided, image, records)


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


def _by_version(config: Config, records: Sequence[Record], text: str) -> Record:
    name = config.register_.name or config.model
    version = registrations.spelled(text.rpartition("@")[2])
    known = registrations.known((each.entry for each in records), name)
    found = next((one for one in known if one.version == version and one.first.model == config.model), None)
    if found is None:
        there = ", ".join(one.version for one in known[-5:])
        raise MlgateError(
            f"the ledger has no {version} of {name}.",
            fix=f"It has {there}." if there else "Run `mlgate register` first.",
        )
    if not found.image:
        raise MlgateError(
            f"{version} of {name} was registered without an image.",
            fix="Build it (`mlgate build-image`) and run `mlgate register` again.",
        )
    digest = f"sha256:{found.image.get('sha256', '')}"
    for each in reversed(records):
        entry = each.entry
        if isinstance(entry, Image) and entry.model == config.model and _digest(entry) == digest:
            return each
    raise MlgateError(f"{version} of {name} names the image {digest[:19]}…, which the ledger does not have.")


def _of_commit(run: Run, config: Config, records: Sequence[Record]) -> Record:
    model = _model.named(config, Pipeline(run.git.at(run.head), lenient=True))
    mine = (each for each in reversed(records) if isinstance(each.entry, Image) and each.entry.model == config.model)
    found = next((each for each in mine if query.same_model(each.entry.subject, model.digest)), None)
    if found is not None:
        return found
    name, value = next(iter(model.digest.items()))
    about = f"{config.model} with {name} {value[:12]}…"
    if query.decision(records, config.model, model.digest) is None:
        raise MlgateError(
            f"the ledger has no passing decision for {about}, so nothing of it is deployed.",
            fix="Decisions are made by `mlgate compare` on the default branch, in the mode enforce.",
        )
    raise MlgateError(
        f"the ledger has no image of {about}.", fix="Run `mlgate build-image`, then `mlgate register`, on this commit."
    )


def _digest(entry: Image) -> str:
    return f"sha256:{entry.image.get('sha256', '')}"


def _registered(config: Config, records: Sequence[Record], subject: Mapping[str, str]) -> registrations.Known | None:
    name = config.register_.name or config.model
    return registrations.of_model(registrations.known((each.entry for each in records), name), subject)


def _as_built(run: Run, config: Config, commit: str) -> Config:
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
    told = record.Statement.parse(_of(decision).record)
    if wrong := list(_wrong(made, entry, told, _of(decision))):
        raise MlgateError(
            f"the image {made.image[:19]}… is not deployed: {wrong[0]}.", fix="`mlgate audit verify` says more."
        )
    return made, Decided(decision, told)


def _of(found: Record) -> Decision:
    assert isinstance(found.entry, Decision)  # noqa: S101 -- they are collected by kind
    return found.entry


def _wrong(made: Statement, image: Image, told: record.Statement, decision: Decision) -> Iterator[str]:
    yield from statement.problems(made)
    yield from statement.agrees(made, image)
    yield from record.problems(told)
    yield from record.agrees(told, decision)
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
        there = registry.exists(engine(env), name)
    if there is None:
        raise MlgateError(
            f"{found.release.image} is not in its registry.",
            fix="Was it removed there, and may this login read it? An image is found again by `mlgate build-image`.",
        )
    if wrong := list(statement.labelled(found.statement, there.labels)):
        raise MlgateError(f"{found.release.image} is not what its statement says: {wrong[0]}.", fix="Build it again.")
    return Check(
        id="deploy.image", group=GROUP, title="The image is in its registry", verdict=Verdict.PASS,
        observed=found.release.image, reason="Its octets have this digest, and its labels say what its statement says.",
    )  # fmt: skip
