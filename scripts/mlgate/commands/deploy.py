"""`mlgate deploy`: a model into an environment, step by step, judged by what it does there."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from mlgate.commands import _options
from mlgate.commands._run import Run
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from mlgate.commands._deployment import Way

_WAYS = ("--plan", "--once", "--recover", "--abort", "--drill", "--render", "--take-down")


@click.command("deploy")
@_options.common
@_options.environment
@click.option(
    "--image",
    envvar="MLGATE_IMAGE",
    default="",
    metavar="NAME@DIGEST",
    help="The image to deploy. Default: that of the commit's model, as the ledger has it.",
)
@click.option(
    "--version",
    envvar="MLGATE_VERSION",
    default="",
    metavar="VERSION",
    help="The registered version to deploy, such as v1.2.0, instead of an image.",
)
@click.option(
    "--plan",
    envvar="MLGATE_PLAN",
    is_flag=True,
    default=False,
    help="Change nothing: show each step and the requests it takes to decide; refuse a plan that cannot.",
)
@click.option(
    "--once",
    envvar="MLGATE_ONCE",
    is_flag=True,
    default=False,
    help="Take one step and leave: a schedule goes on with it, so that a rollout may outlive a job.",
)
@click.option(
    "--recover",
    envvar="MLGATE_RECOVER",
    is_flag=True,
    default=False,
    help="Deploy nothing new: make what really runs and the ledger agree, after a crash or changes by hand.",
)
@click.option(
    "--abort",
    envvar="MLGATE_ABORT",
    is_flag=True,
    default=False,
    help="Turn the rollout that is under way back now.",
)
@click.option(
    "--drill",
    envvar="MLGATE_DRILL",
    is_flag=True,
    default=False,
    help="Take it to its steps and roll back on purpose: proves the way back, and leaves the model before in place.",
)
@click.option(
    "--render",
    envvar="MLGATE_RENDER",
    is_flag=True,
    default=False,
    help="Change nothing: write the manifests of a Kubernetes environment to .mlgate/deploy.",
)
@click.option(
    "--take-down",
    envvar="MLGATE_TAKE_DOWN",
    is_flag=True,
    default=False,
    help="End a local environment: its servers and router. The ledger stays as it is; --recover brings it back.",
)
@_options.registry_user
@_options.tracking_uri
@_options.push_tags
@_options.inputs
@_options.pull
@_options.python
def command(
    *,
    config: str,
    working_directory: str,
    environment: str,
    image: str,
    version: str,
    plan: bool,
    once: bool,
    recover: bool,
    abort: bool,
    drill: bool,
    render: bool,
    take_down: bool,
    registry_user: str,
    tracking_uri: str,
    push_tags: bool,
    inputs: str,
    pull: bool,
    python: str,
    summary: bool,
    debug: bool,
) -> int:
    """Bring a model into an environment: by digest, under its rules, back at once when they are broken.

    Nothing is deployed without a passing decision for just this model and a statement that the image holds it. A
    rollout is kept at the target: run it again after anything, and it goes on.
    """
    chosen = [way for way, on in zip(_WAYS, (plan, once, recover, abort, drill, render, take_down), strict=True) if on]
    if len(chosen) > 1 and chosen != ["--once", "--drill"]:
        raise MlgateError(f"{' and '.join(chosen)} cannot be had together.", fix="Leave all but one out.")
    if (recover or abort) and (image or version):
        raise MlgateError(f"{chosen[0]} is about what is there, and takes neither --image nor --version.")
    run = Run.start(config, working_directory, summary=summary)
    from mlgate.commands import _deploying, _deployment  # noqa: PLC0415 -- pydantic's models of every kind of entry

    asked = _deployment.Asked(
        environment=environment.strip(),
        image=image.strip(),
        version=version.strip(),
        way=_way(chosen),
        once=once,
        user=registry_user.strip(),
        tracking_uri=tracking_uri.strip(),
        push_tags=push_tags,
        inputs=run.cwd / inputs,
        python=str(run.cwd / python) if "/" in python else python,
        pull=pull,
    )
    return _deploying.every(run, asked)


def _way(chosen: list[str]) -> Way:
    """`--once` with `--drill` is a drill, step by step."""
    return cast("Way", chosen[-1].removeprefix("--") if chosen else "deploy")
