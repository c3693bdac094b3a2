"""Options that several verbs share. Each has an environment variable of its own, so that actions and templates pass
inputs by environment and never build an argument list from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def lines(value: str) -> list[str]:
    """A newline-separated list; empty lines do not count."""
    return [line.strip() for line in value.splitlines() if line.strip()]


config = click.option(
    "--config",
    envvar="MLGATE_CONFIG",
    default="mlgate.yaml",
    show_default=True,
    metavar="PATH",
    help="mlgate.yaml of the model; a glob, or several on lines of their own (models/*/mlgate.yaml).",
)
working_directory = click.option(
    "--working-directory",
    envvar="MLGATE_WORKING_DIRECTORY",
    default=".",
    metavar="DIR",
    help="Folder to work in: paths given here and the .mlgate folder are relative to it.",
)
summary = click.option(
    "--summary",
    envvar="MLGATE_SUMMARY",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Write the job summary, where the forge has one.",
)
pull = click.option(
    "--pull",
    envvar="MLGATE_PULL",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Fetch what is missing here by the project's own dvc.",
)
python = click.option(
    "--python",
    envvar="MLGATE_PYTHON",
    default="",
    metavar="PATH",
    help="The project's interpreter, whose dvc is asked. Default: train.python, else what is on PATH.",
)
registry_user = click.option(
    "--registry-user",
    envvar="MLGATE_REGISTRY_USER",
    default="",
    metavar="NAME",
    help="User of the registry; MLGATE_REGISTRY_PASSWORD has the password. Default: this job's own at its forge.",
)
environment = click.option(
    "--environment",
    envvar="MLGATE_ENVIRONMENT",
    default="",
    metavar="NAME",
    help="The environment, as deploy.environments names it. Default: the only one.",
)
tracking_uri = click.option(
    "--tracking-uri",
    envvar="MLGATE_TRACKING_URI",
    default="",
    metavar="URI",
    help="Where the model registry is. Default: MLFLOW_TRACKING_URI.",
)
push_tags = click.option(
    "--push-tags",
    envvar="MLGATE_PUSH_TAGS",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Push git tags. If not, they are made in this clone only.",
)
inputs = click.option(
    "--inputs",
    envvar="MLGATE_INPUTS",
    default=".mlgate/inputs",
    show_default=True,
    metavar="DIR",
    help="Files by digest, as another job gathered them.",
)
decisions = click.option(
    "--decision",
    "decisions",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A decision record in a file; can be repeated. Default: those of .mlgate/decisions.",
)
image_statements = click.option(
    "--image-statement",
    "images",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An image's statement in a file; can be repeated. Default: those of .mlgate/images.",
)
debug = click.option("--debug", envvar="MLGATE_DEBUG", is_flag=True, help="Show the trace of an error.")


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """--config, --working-directory, --summary and --debug."""
    for option in (debug, summary, working_directory, config):
        function = option(function)
    return function
