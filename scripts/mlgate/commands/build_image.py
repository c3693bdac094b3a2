"""`mlgate build-image`: one image of a model that has passed; proven before it is pushed."""

from __future__ import annotations

import os

import click

from mlgate.commands import _options
from mlgate.commands._run import Run


@click.command("build-image")
@_options.common
@click.option(
    "--image",
    envvar="MLGATE_IMAGE",
    default="",
    metavar="NAME",
    help="Repository to push to, instead of image.name; with several models its last part is the model's name.",
)
@click.option(
    "--tag",
    envvar="MLGATE_TAG",
    default="",
    metavar="TAGS",
    help="More tags, one per line. The image is always tagged by its commit and by what it was built from.",
)
@click.option(
    "--base",
    envvar="MLGATE_BASE",
    default="",
    metavar="IMAGE",
    help="Image to build on, pinned by digest, instead of image.base.",
)
@click.option(
    "--push",
    envvar="MLGATE_PUSH",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Push what is proven. Without it there is no digest, and nothing to deploy.",
)
@click.option(
    "--preview",
    envvar="MLGATE_PREVIEW",
    is_flag=True,
    default=False,
    help="Build a model without a decision. No deployment takes such an image.",
)
@click.option(
    "--layer-cache",
    envvar="MLGATE_LAYER_CACHE",
    default="",
    metavar="CACHE",
    help="Where BuildKit keeps layers between runs: `gha`, or a repository such as ghcr.io/acme/cache.",
)
@_options.registry_user
@click.option(
    "--inputs",
    envvar="MLGATE_INPUTS",
    default=".mlgate/inputs",
    show_default=True,
    metavar="DIR",
    help="Model, data and predictions by their digests, as --prepare leaves them.",
)
@click.option(
    "--prepare",
    envvar="MLGATE_PREPARE",
    is_flag=True,
    default=False,
    help="Build nothing: gather what the build needs in --inputs, by the project's dvc.",
)
@_options.pull
@_options.python
def command(
    *,
    config: str,
    working_directory: str,
    image: str,
    tag: str,
    base: str,
    push: bool,
    preview: bool,
    layer_cache: str,
    registry_user: str,
    inputs: str,
    prepare: bool,
    pull: bool,
    python: str,
    summary: bool,
    debug: bool,
) -> int:
    """Build the image that serves a model that passed, prove it, and push it.

    The image is started as it will run and has to predict what was judged. Only then it is pushed, and stated to hold
    just this model. The same inputs again build nothing again.
    """
    run = Run.start(config, working_directory, summary=summary)
    folder = run.cwd / inputs
    interpreter = str(run.cwd / python) if "/" in python else python
    if prepare:
        from mlgate.commands import _build_inputs  # noqa: PLC0415 -- a job of its own

        return _build_inputs.every(run, folder, python=interpreter, pull=pull)
    from mlgate.commands import _building  # noqa: PLC0415

    asked = _building.Asked(
        image=image.strip(),
        tags=tuple(_options.lines(tag)),
        base=base.strip(),
        push=push,
        preview=preview,
        cache=layer_cache.strip(),
        user=registry_user.strip(),
        password=os.environ.get("MLGATE_REGISTRY_PASSWORD", ""),
        inputs=folder,
        python=interpreter,
        pull=pull,
    )
    return _building.every(run, asked)
