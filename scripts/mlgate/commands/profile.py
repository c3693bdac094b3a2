"""`mlgate profile`: what the training data and the predictions were like, for production to be held against."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import click

from mlgate import extras
from mlgate.commands import _options
from mlgate.commands._named import inside
from mlgate.commands._run import Run, Unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Verdict

if TYPE_CHECKING:
    from mlgate.repo.dvc import Pipeline

VERB = "profile"


@click.command(VERB)
@_options.common
@click.option(
    "--data",
    envvar="MLGATE_DATA",
    default="",
    metavar="PATH",
    help="The data to describe. Default: train.data of mlgate.yaml.",
)
@click.option(
    "--output",
    envvar="MLGATE_OUTPUT",
    default="",
    metavar="FILE",
    help="Where the profile goes. Default: monitor.profile of mlgate.yaml.",
)
@click.option(
    "--check",
    envvar="MLGATE_CHECK",
    type=click.BOOL,
    is_flag=False,
    flag_value=True,
    default=False,
    metavar="BOOL",
    help="Write nothing: say whether the profile is that of the committed data, and exit with 1 where it is not.",
)
@click.option(
    "--memory-limit",
    envvar="MLGATE_MEMORY_LIMIT",
    default="",
    metavar="SIZE",
    help="Memory for reading the data, such as 2GB.",
)
@_options.pull
@_options.python
def command(
    *,
    config: str,
    working_directory: str,
    data: str,
    output: str,
    memory_limit: str,
    python: str,
    check: bool,
    pull: bool,
    summary: bool,
    debug: bool,
) -> int:
    """Describe the training data and the predictions, for `mlgate monitor` to tell what moved.

    Quantiles, counts, missing values and categories of each logged feature, in a small JSON file that is committed
    beside the metrics. `mlgate train` writes it as well, whenever it makes a model anew.
    """
    run = Run.start(config, working_directory, summary=summary)
    own = _configs(run)
    if (data or output) and len(own) > 1:
        raise MlgateError(
            f"--data and --output are for one model, and there are {len(own)}.", fix="Name its mlgate.yaml: --config."
        )
    given = (inside(run, data) if data else "", inside(run, output) if output else "")
    if check:
        return _check(run, own, given)
    if "/" in python:
        python = str(run.cwd / python)
    return _write(run, own, given, memory_limit=memory_limit, python=python, pull=pull)


def _configs(run: Run) -> list[Config]:
    """The models that are watched; where none is, those that name their training data."""
    found: list[Config] = []
    for file in run.config_files():
        own = run.load(file)
        if isinstance(own, Unloadable):
            raise own.error
        found.append(own)
    if not found:
        raise run.no_config()
    if len(found) == 1:
        return found
    watched = [one for one in found if one.monitor.logs is not None]
    return watched or [one for one in found if one.train.data]


def _pipeline(run: Run) -> Pipeline:
    """In CI what the commit says, in a terminal what is about to be committed."""
    from mlgate.repo.dvc import Pipeline  # noqa: PLC0415
    from mlgate.setup.worktree import WorkTree  # noqa: PLC0415

    return Pipeline(run.git.at(run.head) if run.in_ci else WorkTree(run.git), lenient=True)


def _check(run: Run, own: list[Config], given: tuple[str, str]) -> int:
    from dataclasses import replace  # noqa: PLC0415

    from mlgate.data.profiles import writing  # noqa: PLC0415
    from mlgate.setup import profiled  # noqa: PLC0415

    pipeline = _pipeline(run)
    stale = []
    for one in own:
        want = profiled.wanted(one, pipeline, run.read, data=given[0])
        want = replace(want, file=given[1] or want.file)
        text = run.read(want.file)
        if text is None:
            why = f"There is no {want.file}."
        else:
            why = profiled.why_stale(writing.read(text, want.file, model=want.model), want)
        click.echo(f"{one.model}: {why or f'{want.file} is that of the committed data.'}")
        stale += [one.model] if why else []
    if stale:
        click.echo("Write it again and commit it: `mlgate profile`.")
    verdict = Verdict.FAIL if stale else Verdict.PASS
    run.forge.set_outputs({
        "verdict": verdict.value, "passed": str(not stale).lower(), "exit-code": str(int(bool(stale))),
        "stale": str(bool(stale)).lower(),
    })  # fmt: skip
    return 1 if stale else 0


def _write(run: Run, own: list[Config], given: tuple[str, str], *, memory_limit: str, python: str, pull: bool) -> int:
    extras.use("data")
    from mlgate.commands import _profiling, _pull  # noqa: PLC0415
    from mlgate.data import reading  # noqa: PLC0415
    from mlgate.setup import profiled  # noqa: PLC0415

    pipeline = _pipeline(run)
    con = reading.connect(memory_limit)
    changed, files = False, []
    try:
        for one in own:

            def fetch(paths: object, one: Config = one) -> None:
                missing = list(paths)  # type: ignore[call-overload]
                if not pull:
                    raise MlgateError(f"{missing[0]} is not here, and `pull` is off.", fix="Run `dvc pull` first.")
                _pull.pull(run, missing, python or one.interpreter)

            want = profiled.wanted(one, pipeline, run.read, data=given[0])
            text = _profiling.Maker(run, one, pipeline, con, fetch).make(want)
            path = given[1] or want.file
            wrote = _profiling.write(run, path, text)
            changed |= wrote
            files.append(path)
            click.echo(_said(path, text, wrote=wrote))
    finally:
        con.close()
    run.forge.set_outputs({
        "verdict": "pass", "passed": "true", "exit-code": "0", "changed": str(changed).lower(),
        "profile": "\n".join(files),
    })  # fmt: skip
    return 0


def _said(path: str, text: str, *, wrote: bool) -> str:
    """One line: what was described, and how large it is."""
    from mlgate.data.profiles import writing  # noqa: PLC0415

    found = writing.read(text, path)
    said = [name for name, one in (("prediction", found.prediction), ("score", found.score)) if one]
    parts = [f"{found.rows:,} rows", f"{len(found.columns)} features", *said]
    if found.days:
        parts.append(f"{len(found.days)} days")
    did = "Wrote" if wrote else "Nothing changed in"
    return f"{did} {posixpath.normpath(path)}: {', '.join(parts)}; {len(text.encode()) / 1000:,.0f} kB."
