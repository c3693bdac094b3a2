"""`mlgate retrain`: whether a successor is trained now, and the run that trains it."""

from __future__ import annotations

import click

from mlgate.commands import _options
from mlgate.commands._run import Run


@click.command("retrain")
@_options.common
@click.option(
    "--from",
    "source",
    envvar="MLGATE_FROM",
    default="",
    metavar="PATH",
    help="Evidence of `mlgate monitor`: the file, or the folder it is in. Default: .mlgate/evidence.",
)
@click.option("--reason", envvar="MLGATE_REASON", default="", metavar="TEXT", help="Start one by hand, and say why.")
@click.option(
    "--rule", envvar="MLGATE_RULE", default="", metavar="NAME", help="Look at this rule of the monitor alone."
)
@click.option(
    "--trigger",
    envvar="MLGATE_TRIGGER",
    default="",
    metavar="ID",
    help="Take up a retraining that was started: its id in the ledger, or `open` for the only one under way.",
)
@click.option(
    "--finish",
    envvar="MLGATE_FINISH",
    default="",
    metavar="HOW",
    help="proposed, unchanged or failed: say how the retraining --trigger ended, and do nothing else.",
)
@click.option(
    "--request-url",
    "url",
    envvar="MLGATE_REQUEST_URL",
    default="",
    metavar="URL",
    help="With --finish: the pull request.",
)
@click.option(
    "--plan", envvar="MLGATE_PLAN", is_flag=True, default=False, help="Only say what would be done; write nothing."
)
@click.option(
    "--force",
    envvar="MLGATE_FORCE",
    type=click.BOOL,
    is_flag=False,
    flag_value="true",
    default=False,
    metavar="BOOL",
    help="Whatever cooldown, limits, open requests and unchanged inputs say.",
)
@click.option(
    "--dispatch",
    envvar="MLGATE_DISPATCH",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Start what retrain.dispatch names. If not, the jobs after this one train.",
)
def command(
    *,
    config: str,
    working_directory: str,
    source: str,
    reason: str,
    rule: str,
    trigger: str,
    finish: str,
    url: str,
    plan: bool,
    force: bool,
    dispatch: bool,
    summary: bool,
    debug: bool,
) -> int:
    """Decide whether a successor is trained now, write that to the ledger, and start the run that trains it.

    A rule of the monitor asks, new data, the schedule, or somebody by hand. Nothing is trained here.
    """
    run = Run.start(config, working_directory, summary=summary)
    from mlgate.commands import _retraining  # noqa: PLC0415 -- pydantic's models of every kind of entry
    from mlgate.commands._retrain_nouns import Asked  # noqa: PLC0415 -- as below

    asked = Asked(
        by_hand=" ".join(reason.split()),
        folder=run.cwd / source.strip() if source.strip() else None,
        rule=rule.strip(),
        trigger=trigger.strip(),
        finish=finish.strip(),
        url=url.strip(),
        plan=plan,
        force=force,
        dispatch=dispatch,
    )
    return _retraining.every(run, asked)
