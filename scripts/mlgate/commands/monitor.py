"""`mlgate monitor`: what production logged, held against what the model was made of."""

from __future__ import annotations

import click

from mlgate.commands import _options
from mlgate.commands._run import Run


@click.command("monitor")
@_options.common
@click.option(
    "--environment",
    envvar="MLGATE_ENVIRONMENT",
    default="",
    metavar="NAME",
    help="The environment that is watched. Default: monitor.environment, else the last of deploy.environments.",
)
@click.option(
    "--until",
    envvar="MLGATE_UNTIL",
    default="",
    metavar="MOMENT",
    help="When the window ends, as 2026-11-20 or 2026-11-20T06:00:00Z. Default: the last window that is over.",
)
@click.option(
    "--windows",
    envvar="MLGATE_WINDOWS",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    metavar="N",
    help="How many windows to read, oldest first: more than one makes up for runs that did not happen.",
)
@click.option(
    "--ledger",
    envvar="MLGATE_LEDGER",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Keep the readings in the ledger, so that rules can look back.",
)
@click.option(
    "--tracking-uri",
    envvar="MLGATE_TRACKING_URI",
    default="",
    metavar="URI",
    help="MLflow server to log the readings to, as a run. Default: none.",
)
@click.option(
    "--memory-limit",
    envvar="MLGATE_MEMORY_LIMIT",
    default="",
    metavar="SIZE",
    help="How much memory reading may use, as 2GB. Default: DuckDB's own.",
)
@_options.pull
@_options.python
def command(
    *,
    config: str,
    working_directory: str,
    environment: str,
    until: str,
    windows: int,
    ledger: bool,
    tracking_uri: str,
    memory_limit: str,
    pull: bool,
    python: str,
    summary: bool,
    debug: bool,
) -> int:
    """Read what production logged, and say whether data, predictions or performance have moved.

    A window of the logs is held against the reference profile, the training contract, the truth that has arrived and
    the objectives of mlgate.yaml. Readings go to the ledger; rules look back on them. Too few rows decide nothing.
    """
    run = Run.start(config, working_directory, summary=summary)
    from mlgate.commands import _watching  # noqa: PLC0415 -- typed settings are behind it
    from mlgate.commands._watching_asked import Asked  # noqa: PLC0415

    asked = Asked(
        environment=environment.strip(),
        until=until.strip(),
        windows=windows,
        ledger=ledger,
        tracking_uri=tracking_uri.strip(),
        memory_limit=memory_limit.strip(),
        pull=pull,
        python=str(run.cwd / python) if "/" in python else python,
    )
    return _watching.every(run, asked)
