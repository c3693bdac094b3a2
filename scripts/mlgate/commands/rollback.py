"""`mlgate rollback`: an earlier model back into an environment, by its digest, at once."""

from __future__ import annotations

from pathlib import Path

import click

from mlgate.commands import _options
from mlgate.commands._run import Run


@click.command("rollback")
@_options.common
@_options.environment
@click.option(
    "--to",
    envvar="MLGATE_TO",
    default="",
    metavar="WHAT",
    help="A version (v1.2.0), or a day or moment (2026-10-01): what was there then. Default: what was there before.",
)
@click.option(
    "--reason",
    envvar="MLGATE_REASON",
    default="",
    metavar="TEXT",
    help="Why, for the ledger. Needed, except with --plan.",
)
@click.option(
    "--plan", envvar="MLGATE_PLAN", is_flag=True, default=False, help="Only say what would be put back, and how."
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
    to: str,
    reason: str,
    plan: bool,
    registry_user: str,
    tracking_uri: str,
    push_tags: bool,
    inputs: str,
    pull: bool,
    python: str,
    summary: bool,
    debug: bool,
) -> int:
    """Put an earlier model back: what was there before, a version, or what was there on a day.

    Nothing is built or trained. Where that model still runs, only weights change; else it is started and has to be
    ready first. A rollout that is under way is turned back, and that is all, unless --to names another model.
    """
    run = Run.start(config, working_directory, summary=summary)
    from mlgate.commands import _putting_back  # noqa: PLC0415 -- pydantic's models of every kind of entry

    asked = _putting_back.Asked(
        environment=environment.strip(),
        to=to.strip(),
        reason=" ".join(reason.split()),
        plan=plan,
        user=registry_user.strip(),
        tracking_uri=tracking_uri.strip(),
        push_tags=push_tags,
        inputs=run.cwd / Path(inputs),
        python=str(run.cwd / python) if "/" in python else python,
        pull=pull,
    )
    return _putting_back.every(run, asked)
