"""What the checks of an environment need of the commit: the model's example and columns, rows with their committed
predictions, and the data of a batch. By digest, from wherever they are."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.commands import _model
from mlgate.commands._build_inputs import Source
from mlgate.commands._pull import NoCredentialsError
from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.image import protocol
from mlgate.judge import integrity
from mlgate.model import Verdict
from mlgate.repo import project_dvc
from mlgate.repo.credentials import without
from mlgate.repo.dvc import Pipeline
from mlgate.rollout.checks.nouns import Asked, Batch, Published, Rows, check
from mlgate.setup.doctor import environ

if TYPE_CHECKING:
    from mlgate.commands._run import Run
    from mlgate.config import Config
    from mlgate.rollout.nouns import Release
    from mlgate.serving.settings import Input

_ADD, _PUSH = 3600.0, 3600.0  # seconds


def asked(
    run: Run, config: Config, name: str, release: Release, *, scratch: Path, inputs: Path | None = None,
    python: str = "", pull: bool = True,
) -> Asked:  # fmt: skip
    """Of the environment `name`. `inputs`: the folder of what another job handed over. Nothing large is fetched unless
    a check wants it: then what cannot be had is that check's verdict.

    Raises MlgateError for a batch whose data cannot be had.
    """
    settings = config.deploy.environments[name]
    commit = run.git.resolve(release.commit) or run.head  # that was judged, where this clone has it
    pipeline = Pipeline(run.git.at(commit), lenient=True)
    source = Source(run, config, pipeline, scratch, inputs or scratch / "inputs", python, pull)
    found = Asked(
        environment=name, settings=settings, folder=run.git.root / config.folder, wanted=config.image.skew.rows,
        tolerance=float(config.image.skew.tolerance), most=config.serve.max_rows,
        timeout=float(config.serve.timeout_seconds), own=config.image.builder == "template",
        environ=_unprivileged(config),
    )  # fmt: skip
    found = _with_model(found, source, config, fetch=settings.checks.skew)
    if settings.checks.skew:
        found = replace(found, rows=tuple(_rows(source, found.inputs)))
    if settings.strategy == "batch":
        found = replace(found, batch=_batch(source, config, name))
    return found


def _unprivileged(config: Config) -> dict[str, str]:
    """What the user's commands see: this job may write, and they have no part in that."""
    return without(environ(), allowed=config.train.environment)


def _with_model(found: Asked, source: Source, config: Config, *, fetch: bool) -> Asked:
    """Its example and its signature, where the model is at hand. Without them the server says what it takes."""
    from mlgate.commands import _build_plan, _build_proof, _serving  # noqa: PLC0415 -- the contract's reader
    from mlgate.serving.settings import Identity  # noqa: PLC0415

    try:
        wanted = _model.named(config, source.pipeline)
        path = source.have(wanted) if fetch else source.find(wanted)
        if path is None:
            return found
        told = _serving.settings(
            config, model=path, identity=Identity(config.model), contract=_build_plan.rows_contract(source)
        )
        return replace(found, example=protocol.example(path), inputs=tuple(_build_proof.columns(path, told)))
    except MlgateError:
        return found  # what a check lacks without it, that check says


def _rows(source: Source, inputs: Sequence[Input]) -> list[Rows]:
    from mlgate.commands import _build_proof  # noqa: PLC0415 -- only for a check of rows

    # Drawn anew each time: rows that nobody knew before have to be predicted as they were judged.
    seed, title = secrets.token_hex(16), "predicts what was judged"
    found = []
    for rows in source.rows():
        try:
            found.append(Rows(rows.name, _build_proof.sample(source, rows, inputs, seed)))
        except NoCredentialsError as error:
            reason = f"The rows of {rows.name} could not be had: {error}"
            found.append(Rows(rows.name, missing=check("skew.rows", title, Verdict.INCONCLUSIVE, reason)))
        except MlgateError as error:
            reason = f"The rows of {rows.name} cannot be used: {error}"
            found.append(Rows(rows.name, missing=check("skew.rows", title, Verdict.ERROR, reason)))
    return found


# -- a batch -----------------------------------------------------------------------------------------------------------


def _batch(source: Source, config: Config, name: str) -> Batch:
    wanted = config.deploy.environments[name].batch
    if wanted is None:
        raise MlgateError(
            "is a batch, and does not say of what.", file=config.file, key=f"deploy.environments.{name}.batch",
            fix="Add `batch: {data: data/new.parquet, output: predictions/new.parquet}`.",
        )  # fmt: skip
    place = config.path(wanted.data)
    path = source.have(integrity.named(source.pipeline, place, "data of the batch"))
    entry = next((one for one in config.data if config.path(one.path) == place), None)
    sets = [one.columns for one in config.evaluate.values()]
    truth = [
        column for one in sets for column in (one.label, one.weight, one.cluster, one.query) if column is not None
    ]  # fmt: skip
    return Batch(
        data=_named(path, Path(place).name, source.scratch), output=source.run.git.root / config.path(wanted.output),
        publish=lambda output: publish(source.run, output, source.python or config.interpreter),
        id=next((one.id for one in sets if one.id), ""), truth=tuple(dict.fromkeys(truth)),
        read=Read() if entry is None else entry.read,
    )  # fmt: skip


def _named(path: Path, name: str, scratch: Path) -> Path:
    """A cache calls a file by its digest; how it is read, the end of its name says."""
    if path.name == name:
        return path
    link = scratch / "batch" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(path.absolute())
    return link


def publish(run: Run, output: Path, python: str) -> Published:
    """`dvc add` and `dvc push` of the project. Raises MlgateError, and then nobody can take the pointer for pushed."""
    folder, shown = output.parent, os.path.relpath(output, run.git.root)
    dvc = project_dvc.find(python, run.git.root, environ())
    if isinstance(dvc, str):
        raise MlgateError(f"{shown} cannot be published. {dvc}", fix="Install the project's DVC.")
    for words, seconds in ((("add", output.name), _ADD), (("push", f"{output.name}.dvc"), _PUSH)):
        if said := project_dvc.do(dvc, folder, words, environ(), timeout=seconds):
            raise MlgateError(
                f"{shown} cannot be published: `dvc {words[0]}` says: {said.rstrip(' .')}.",
                fix="Does this job have the remote's credentials, and is the output not tracked by git?",
            )
    pointer = output.with_name(f"{output.name}.dvc")
    import yaml  # noqa: PLC0415

    out = yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0]
    return Published(pointer, f"{out.get('hash', 'md5')}:{out['md5']}", int(out.get("size", output.stat().st_size)))
