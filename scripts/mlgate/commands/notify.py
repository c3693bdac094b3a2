"""`mlgate notify`: tell people what monitoring and the other verbs found, once."""

from __future__ import annotations

import click

from mlgate.commands import _options
from mlgate.commands._run import Run
from mlgate.commands.report import ENDED


@click.command("notify")
@_options.common
@click.option(
    "--from",
    "sources",
    envvar="MLGATE_FROM",
    default="",
    metavar="PATH",
    help="Evidence to read: a file or a folder, or several on lines of their own. Default: .mlgate/evidence.",
)
@click.option(
    "--run-result",
    envvar="MLGATE_RUN_RESULT",
    type=click.Choice(["", *ENDED]),
    default="",
    help="How the job ended that came before this one; people are told of anything but success.",
)
@click.option(
    "--test",
    envvar="MLGATE_TEST",
    type=click.BOOL,
    is_flag=True,
    default=False,
    help="Only send a test message to each channel. Fails where one cannot be reached.",
)
@click.option(
    "--plan", envvar="MLGATE_PLAN", is_flag=True, default=False, help="Only say who would be told what; send nothing."
)
def command(
    *, config: str, working_directory: str, sources: str, run_result: str, test: bool, plan: bool, summary: bool,
    debug: bool,
) -> int:  # fmt: skip
    """Tell people what was found: by chat, pager, email or webhook, and in issues of the forge.

    Reads the evidence that `monitor` and the other verbs left, and the ledger, which knows who was told what before.
    Each channel gets one message of all that is new to it. A message that cannot be sent is a warning, never a failure.
    """
    run = Run.start(config, working_directory, summary=summary)
    from mlgate.commands import _notifying  # noqa: PLC0415 -- pydantic's models of every kind of entry

    return _notifying.every(
        run,
        _notifying.Asked(
            sources=tuple(_options.lines(sources)), run_result=run_result, test=test, plan=plan
        ),
    )  # fmt: skip
