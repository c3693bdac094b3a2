"""`mlgate register`: a version for a model that has passed the gate, in the ledger and in the registries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlgate.commands import _options
from mlgate.commands._binding import unique
from mlgate.commands._deciding import where
from mlgate.commands._run import Run, Unloadable, failed, off, unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from mlgate.commands._registering import Asks, Result

VERB = "register"
_GTO = ("event", "name", "version", "stage", "type", "path", "description")


@click.command(VERB)
@_options.common
@click.option(
    "--version",
    "wanted_version",
    envvar="MLGATE_VERSION",
    default="",
    metavar="VERSION",
    help="The version, such as v1.2.0. Default: the one after the highest.",
)
@click.option(
    "--bump",
    envvar="MLGATE_BUMP",
    type=click.Choice(["", "major", "minor", "patch"]),
    default="",
    help="Which part of the version grows. Default: register.bump, else minor.",
)
@click.option(
    "--alias",
    envvar="MLGATE_ALIAS",
    type=click.Choice(["challenger", "champion", "none"]),
    default="challenger",
    show_default=True,
    help="What the version is from now on. `champion` needs the papers that governance.require names.",
)
@click.option(
    "--model-name",
    envvar="MLGATE_MODEL_NAME",
    default="",
    metavar="NAME",
    help="The name in the registries. Default: register.name, else the model's.",
)
@click.option(
    "--image-statement",
    envvar="MLGATE_IMAGE_STATEMENT",
    default="",
    metavar="FILE",
    help="The image's statement, as build-image leaves it. Default: .mlgate/images/<model>.json, where it is.",
)
@click.option(
    "--model-path",
    envvar="MLGATE_MODEL_PATH",
    default="",
    metavar="PATH",
    help="The model's file or folder, to be uploaded where no training has. Default: where the commit has it.",
)
@_options.inputs
@click.option(
    "--run-name",
    envvar="MLGATE_RUN_NAME",
    default="",
    metavar="NAME",
    help="The name of the MLflow run, where one has to be made.",
)
@_options.tracking_uri
@click.option(
    "--gitlab-uri",
    envvar="MLGATE_GITLAB_URI",
    default="",
    metavar="URI",
    help="GitLab's MLflow endpoint, where MLFLOW_TRACKING_URI is another server's. Its token: MLGATE_GITLAB_TOKEN.",
)
@click.option(
    "--image-to",
    envvar="MLGATE_IMAGE_TO",
    default="",
    metavar="NAME",
    help="Copy the image, by its digest and with what is signed about it, to this repository, tagged by the version.",
)
@_options.registry_user
@_options.push_tags
def command(
    *,
    config: str,
    working_directory: str,
    wanted_version: str,
    bump: str,
    alias: str,
    model_name: str,
    image_statement: str,
    model_path: str,
    inputs: str,
    run_name: str,
    tracking_uri: str,
    gitlab_uri: str,
    image_to: str,
    registry_user: str,
    push_tags: bool,
    summary: bool,
    debug: bool,
) -> int:
    """Register a model that has passed the gate: a version in the ledger, in MLflow, in GitLab, as git tags.

    Without a passing decision in the ledger for just this model, nothing is registered. The ledger comes first; what is
    there already is left as it is, so that it can be run again.
    """
    run = Run.start(config, working_directory, summary=summary)
    run.forget(VERB)
    from mlgate.commands._registering import Asks  # noqa: PLC0415 -- pydantic's models of every kind of entry
    from mlgate.commands._registries import Asked  # noqa: PLC0415

    asks = Asks(
        version=wanted_version.strip(),
        bump=bump or None,  # type: ignore[arg-type]
        alias="" if alias == "none" else alias,  # type: ignore[arg-type]
        name=model_name.strip(),
        image_statement=image_statement.strip(),
        model_path=model_path.strip(),
        inputs=run.cwd / Path(inputs),
        run_name=run_name.strip(),
        image_to=image_to.strip(),
        registry_user=registry_user.strip(),
        registries=Asked(tracking_uri.strip(), gitlab_uri.strip(), push_tags),
    )
    results = list(_each(run, asks))
    return run.finish(VERB, [result.evidence for result in results], outputs(results))


def _each(run: Run, asks: Asks) -> Sequence[Result]:
    """One result for each configuration. Raises MlgateError where there is none, or this is no place to register."""
    from mlgate.commands._registering import Registering, Result  # noqa: PLC0415 -- as above

    files = run.config_files()
    if not files:
        raise run.no_config()
    if len(files) > 1 and (asks.version or asks.name or asks.image_statement or asks.model_path or asks.image_to):
        raise MlgateError(
            f"--version, --model-name, --image-statement, --model-path and --image-to are one model's, and there are "
            f"{len(files)}.",
            fix="Name one mlgate.yaml with --config.",
        )
    place = where(run.forge.event, run.head) if run.in_ci else ""
    loaded = [run.load(file) for file in files]
    unique([own.model for own in loaded])
    _apart([own for own in loaded if isinstance(own, Config) and own.mode != "off"])
    found: list[Result] = []
    for own in loaded:
        if isinstance(own, Unloadable):
            found.append(Result(unloadable(VERB, own)))
            continue
        if own.mode == "off":
            found.append(Result(off(VERB, own)))
            continue
        try:
            if place:
                raise MlgateError(
                    f"this run is for {place}, and models are registered from the default branch only.",
                    fix="Run `mlgate register` after the merge.",
                )
            found.append(Registering(run, own, asks).result())
        except MlgateError as error:
            found.append(Result(failed(VERB, own.model, error)))
    return found


def _apart(configs: Sequence[Config]) -> None:
    """Raises MlgateError where two models would be versions of one name: each would seem the other's successor."""
    named: dict[str, str] = {}
    for one in configs:
        name = one.register_.name or one.model
        other = named.setdefault(name.casefold(), one.model)
        if other != one.model:
            raise MlgateError(
                f"{other} and {one.model} would both be registered as {name}.", file=one.file,
                line=one.line("register"), key="register.name", fix="Give each model a name of its own.",
            )  # fmt: skip


def outputs(results: Sequence[Result]) -> dict[str, str]:
    """Those of gto-action (of the first model, where there are several), and each model in `registered`."""
    told = [dict(result.outputs) for result in results if result.outputs]
    first = told[0] if told else {}
    return {
        **{name: str(first.get(name, "")) for name in _GTO},
        "registered": json.dumps(told, sort_keys=True, ensure_ascii=False),
        "created": str(any(one["created"] for one in told)).lower(),
        "ledger-head": next((result.head for result in reversed(results) if result.head), ""),
    }
