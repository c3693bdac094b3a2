"""`mlgate doctor`: before money is spent, what would make the gate fail or lie."""

from __future__ import annotations

import click

from mlgate.commands import _options
from mlgate.commands._run import Run, Unloadable, unloadable
from mlgate.setup.doctor import Doctor, environ
from mlgate.setup.worktree import WorkTree


@click.command("doctor")
@_options.common
@click.option(
    "--remote",
    envvar="MLGATE_REMOTE",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Ask the DVC remote whether what the pointers name is in it.",
)
@_options.python
def command(config: str, working_directory: str, python: str, *, summary: bool, debug: bool, remote: bool) -> int:
    """Find what would make the gate fail or lie, each with the exact lines to paste."""
    run = Run.start(config, working_directory, summary=summary)
    run.forget("doctor")
    files = run.git.at(run.head) if run.in_ci else WorkTree(run.git)
    if "/" in python:
        python = str(run.cwd / python)
    doctor = Doctor(run.git, run.forge, files, environ(), python=python, ask_remote=remote)
    loaded = [run.load(file) for file in run.config_files()]
    said = run.no_config().message
    missing = "" if loaded else said[0].upper() + said[1:]
    broken = [unloadable("doctor", one) for one in loaded if isinstance(one, Unloadable)]
    fine = [one for one in loaded if not isinstance(one, Unloadable)]
    return run.finish("doctor", doctor.evidence(fine, broken, missing))
