"""What an image is built of, by a commit: the model, its locked environment, code, settings of the server, labels."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands._build_inputs import Source
from mlgate.config.settings import DataFile
from mlgate.errors import MlgateError
from mlgate.image import build, context, dockerfile, registry
from mlgate.image import plan as plans
from mlgate.image.build import Built
from mlgate.image.engine import Engine
from mlgate.image.plan import Plan
from mlgate.image.reference import Reference
from mlgate.model import Check, Named, Verdict
from mlgate.repo import artifact
from mlgate.serving import mlmodel
from mlgate.serving.settings import Identity, Settings

if TYPE_CHECKING:
    from mlgate.commands._model import Decided
    from mlgate.data.nouns import Contract

# MLflow writes itself into the requirements of each model, and few models are served with it.
_MLFLOW = ("mlflow", "mlflow-skinny", "mlflow-tracing")
_OWN = frozenset(f"org.opencontainers.image.{name}" for name in ("revision", "base.name", "base.digest"))


@dataclass
class Planned:
    """One build before it begins. `digest` is over everything that it reads, without a prefix."""

    plan: Plan
    settings: Settings
    context: Path
    digest: str
    commit: str  # by which the image is known: that of the decision
    base: Named | None
    platform: str
    locks: dict[str, str]  # the model's requirements: name -> text
    seed: str = ""  # of what is drawn for its proof: nobody knew it when the predictions were committed
    checks: list[Check] = field(default_factory=list)
    inputs: list[Named] = field(default_factory=list)

    def build(self, engine: Engine, tag: str, *, cache: str) -> Built:
        """The image, in the engine. Raises MlgateError with the line that says why not."""
        return build.build(engine, self.plan, self.context, tag=tag, log=_say, cache_from=[cache] if cache else ())


def _say(line: str) -> None:
    """The log of a build is for people that watch; in CI it would bury what is said of the model."""
    if sys.stderr.isatty():
        sys.stderr.write(f"  {line[:160]}\n")


def plan(
    source: Source,
    model: Path,
    subject: Named,
    decided: Decided | None,
    *,
    base: str,
    preview: bool,
    engine: Engine,
) -> Planned:
    """Raises MlgateError for whatever is missing to build."""
    config, git = source.config, source.run.git
    commit = decided.commit if decided is not None else source.pipeline.snapshot.commit
    checks: list[Check] = []
    inputs: list[Named] = []
    _check_ignore(source)
    locks, without = _requirements(source, model, inputs)
    own = _own_dockerfile(source, inputs)
    pinned = _base(source, base, own, preview=preview, engine=engine, checks=checks)
    identity = Identity(
        model=config.model, digest=subject.digest["sha256"], commit=commit,
        decision=decided.statement.digest if decided is not None else "",
    )  # fmt: skip
    from mlgate.commands import _serving  # noqa: PLC0415

    settings = _serving.settings(config, model=model, identity=identity, contract=rows_contract(source))
    _check_log(source, model, settings)
    labels = {
        "org.opencontainers.image.title": config.model,
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.source": _address(source),
        "org.opencontainers.image.base.name": pinned.partition("@")[0],
        "org.opencontainers.image.base.digest": pinned.partition("@")[2],
        plans.MODEL_LABEL: config.model,
        plans.DIGEST_LABEL: f"sha256:{identity.digest}",
        plans.DECISION_LABEL: identity.decision,
        **({"io.mlgate.preview": "true"} if preview else {}),
    }
    if taken := sorted(name for name in config.image.labels if name.startswith("io.mlgate.") or name in _OWN):
        raise MlgateError(
            f"the label {taken[0]} is mlgate's own to set.", file=config.file, line=config.line("image"),
            key=f"image.labels.{taken[0]}", fix="Give it another name.",
        )  # fmt: skip
    labels |= config.image.labels
    made = Plan(
        model=model,
        name=config.model,
        base=pinned,
        settings=settings.to_json(),
        requirements=tuple(_written(source, locks)),
        serve=extras.requirements("serve"),
        packages=tuple(config.image.packages),
        include=tuple(_include(source, inputs)),
        secrets=_secrets(source),
        labels={key: value for key, value in labels.items() if value},
        platform=config.image.platform,
        builder=config.image.builder,
        dockerfile=own,
        port=config.serve.port,
        created=int(git.run("show", "--no-patch", "--format=%ct", commit).strip() or 0),
        without=without,
        mlflow=(source.python or config.interpreter or "python3",),
    )
    if unused := build.unused_secrets(made):
        raise MlgateError(
            f"has {unused[0]}, which the template never looks for.", file=config.file, key="image.secrets",
            fix=f"Name it one of {', '.join(sorted(plans.TEMPLATE_SECRETS))}, or write a Dockerfile that uses it.",
        )  # fmt: skip
    place = source.scratch / "context"
    digest = context.write(made, place).removeprefix("sha256:")
    from dataclasses import replace  # noqa: PLC0415

    made = replace(made, labels={**made.labels, plans.INPUTS_LABEL: f"sha256:{digest}"})
    reference = Reference.parse(pinned)
    known = Named(name=reference.name, digest={"sha256": reference.digest.removeprefix("sha256:")}, role="base image")
    return Planned(
        made, settings, place, digest, commit, known if reference.digest else None,
        config.image.platform or _platform(engine), locks,
        f"{decided.entry.entry.id} {decided.statement.digest}" if decided is not None else commit,
        checks, [*inputs, known],
    )  # fmt: skip


def _check_ignore(source: Source) -> None:
    """Told before anything is built, although it is read at the end."""
    named, snapshot = source.config.image.scan.ignore, source.pipeline.snapshot
    if named is not None and snapshot.read(source.config.path(named)) is None:
        raise MlgateError(
            f"is not in commit {snapshot.commit[:7]}.", file=source.config.path(named), key="image.scan.ignore",
            fix="Commit it, or remove the key.",
        )  # fmt: skip


def _check_log(source: Source, model: Path, settings: Settings) -> None:
    """A column that the model does not take is in no request, and would never be logged."""
    if not (model.is_dir() and (model / "MLmodel").is_file()) or not settings.inputs:
        return  # only its server knows what a model without a signature takes
    known = {one.name for one in settings.inputs}
    for key, names in (("features", settings.log.features), ("hashed", settings.log.hashed)):
        if unknown := [name for name in names if name not in known]:
            raise MlgateError(
                f"serve.log.{key} names `{unknown[0]}`, which is no input of the model: it would never be logged.",
                file=source.config.file, line=source.config.line(f"serve.log.{key}"), key=f"serve.log.{key}",
                fix=f"It takes {', '.join(sorted(known)[:10])}{' and more' if len(known) > 10 else ''}.",
            )  # fmt: skip


# -- its parts -------------------------------------------------------------------------------------------------------


def _requirements(source: Source, model: Path, inputs: list[Named]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The lock of the model's environment by file name, and what of it serving does not need."""
    config = source.config
    named = config.image.requirements
    inside = model / "requirements.txt"
    if not named and inside.is_file():
        without = _MLFLOW if mlmodel.read(model).native else ()
        return {inside.name: _text(inside.read_bytes(), inside.name)}, without
    found = {}
    for path in named or config.train.requirements:
        place = config.path(path)
        data = source.pipeline.snapshot.read(place)
        if data is None:
            raise MlgateError(
                f"is not in commit {source.pipeline.snapshot.commit[:7]}.", file=place, key="image.requirements",
                fix="Commit the lock of the model's environment.",
            )  # fmt: skip
        found[place] = _text(data, place)
        inputs.append(Named(name=place, digest=_sha256(data), role="requirements"))
    if not found and config.image.builder == "template":
        raise MlgateError(
            "nothing says which packages the model needs.", file=config.file, key="image.requirements",
            fix="Add `image: {requirements: [requirements.txt]}`: versions pinned, as the model was trained with.",
        )  # fmt: skip
    return found, ()


def _written(source: Source, locks: dict[str, str]) -> list[Path]:
    """The locks of the commit, not those that happen to lie in the working tree."""
    folder = source.scratch / "requirements"
    folder.mkdir()
    found = []
    for number, text in enumerate(locks.values()):
        path = folder / f"{number}.txt"
        path.write_text(text, "utf-8")
        found.append(path)
    return found


def _include(source: Source, inputs: list[Named]) -> list[tuple[Path, str]]:
    """Code of the commit that loading the model needs, under the paths that it has in the project."""
    found = []
    snapshot, config = source.pipeline.snapshot, source.config
    for number, path in enumerate(config.image.include):
        place = config.path(path)
        data = snapshot.read(place)
        files = {"": data} if data is not None else {
            name: snapshot.git.blob(entry.blob) for name, entry in snapshot.below(place).items()
        }  # fmt: skip
        if not files:
            raise MlgateError(
                f"is not in commit {snapshot.commit[:7]}.", file=place, key="image.include", fix="Commit it."
            )
        target = source.scratch / "include" / str(number)
        for name, content in files.items():
            file = target / name if name else target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        inputs.append(Named(name=place, digest={"sha256": _digest(target)}, role="code"))
        found.append((target, path))
    return found


def _digest(path: Path) -> str:
    from mlgate.judge import record  # noqa: PLC0415

    found = artifact.sha256s(path)
    return found[path.name] if path.is_file() else record.model_digest(found)


def _own_dockerfile(source: Source, inputs: list[Named]) -> Path | None:
    written = source.config.image.dockerfile
    if source.config.image.builder != "dockerfile" or written is None:
        return None
    place = source.config.path(written)
    data = source.pipeline.snapshot.read(place)
    if data is None:
        raise MlgateError(
            f"is not in commit {source.pipeline.snapshot.commit[:7]}.", file=place, key="image.dockerfile",
            fix="Commit it.",
        )  # fmt: skip
    inputs.append(Named(name=place, digest=_sha256(data), role="Dockerfile"))
    made = source.scratch / "Dockerfile"
    made.write_bytes(data)
    return made


def _base(source: Source, base: str, own: Path | None, *, preview: bool, engine: Engine, checks: list[Check]) -> str:
    """The base with its digest; of a Dockerfile of the user's, what its last stage is built on."""
    if own is not None:
        file, text = source.config.image.dockerfile or "", own.read_text("utf-8", "replace")
        dockerfile.pinned_stages(text, file=file)
        if not (found := dockerfile.base_of(text)):
            raise MlgateError("builds on no image.", file=file, fix="FROM python:3.13-slim@sha256:...")
        return found
    try:
        pinned, said = plans.pinned(
            base or source.config.image.base, lambda name: registry.digest_of(engine, name), preview=preview
        )
    except MlgateError as error:
        raise MlgateError(
            error.message, file=source.config.file, line=source.config.line("image"), key="image.base", fix=error.fix
        ) from error
    if said:
        checks.append(Check(
            id="image.base", group="image", title="base pinned by digest", verdict=Verdict.WARN, reason=said
        ))  # fmt: skip
    return pinned


def _secrets(source: Source) -> dict[str, str]:
    found = {}
    for name, variable in source.config.image.secrets.items():
        if not os.environ.get(variable):
            raise MlgateError(
                f"names the variable {variable}, which is not set in this job.", file=source.config.file,
                key=f"image.secrets.{name}", fix="Hand it over: `env:` of the action, a masked variable on GitLab.",
            )  # fmt: skip
        found[name] = os.environ[variable]
    return found


def contract(source: Source, path: str) -> tuple[DataFile | None, Contract | None]:
    """The entry of a data file, and the contract it is held to. Raises MlgateError for a contract that is none."""
    from mlgate.data import contract as contracts  # noqa: PLC0415 -- few verbs read data

    entry = next((one for one in source.config.data if source.config.path(one.path) == path), None)
    if entry is None or entry.contract is None:
        return entry, None
    file = source.config.path(entry.contract)
    return entry, contracts.load(source.pipeline.snapshot.read(file) or b"", file)


def rows_contract(source: Source) -> Contract | None:
    """Of the rows that the model is evaluated with: what it may be asked."""
    for rows in source.rows():
        _, found = contract(source, rows.data.name)
        if found is not None:
            return found
    return None


def _platform(engine: Engine) -> str:
    said = engine.ask("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
    return said.out.strip() if said.code == 0 else ""


def _address(source: Source) -> str:
    """Of the project, without any credentials."""
    from mlgate.ledger.place import address  # noqa: PLC0415

    url = source.run.git.remote_url()
    found = address(url) if url else ""
    return found if "://" in found and not found.startswith("file:") else ""


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MlgateError("is not UTF-8 text.", file=name) from error


def _sha256(data: bytes) -> dict[str, str]:
    import hashlib  # noqa: PLC0415

    return {"sha256": hashlib.sha256(data).hexdigest()}
