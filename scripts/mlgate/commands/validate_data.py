"""`mlgate validate-data`: the data of this commit, held to its contracts."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from mlgate.commands import _options
from mlgate.commands._binding import Binding, Bound, unique
from mlgate.commands._data import Asked, Checker
from mlgate.commands._entries import Entry, entries, loose
from mlgate.commands._run import Run, Unloadable, failed, file_name, off, say, unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Check, Evidence, Verdict
from mlgate.repo.dvc import Pipeline

VERB = "validate-data"


@click.command(VERB)
@_options.common
@click.option(
    "--data",
    envvar="MLGATE_DATA",
    default="",
    metavar="PATH",
    help="Only these data files of mlgate.yaml, one per line. With --contract: any files.",
)
@click.option(
    "--contract",
    envvar="MLGATE_CONTRACT",
    default="",
    metavar="PATH",
    help="Hold the files of --data to this contract, without any mlgate.yaml.",
)
@click.option(
    "--examples",
    envvar="MLGATE_EXAMPLES",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    metavar="N",
    help="How many failing rows to show for each expectation.",
)
@click.option(
    "--quarantine",
    envvar="MLGATE_QUARANTINE",
    default="",
    metavar="DIR",
    help="Write the rows that break the contract to this folder, and the rest beside them. They are shown in full.",
)
@click.option(
    "--data-docs",
    envvar="MLGATE_DATA_DOCS",
    type=click.BOOL,
    default=False,
    metavar="BOOL",
    help="Build the Data Docs of Great Expectations in .mlgate/data-docs.",
)
@click.option(
    "--memory-limit",
    envvar="MLGATE_MEMORY_LIMIT",
    default="",
    metavar="SIZE",
    help="Memory for the data, such as 2GB; more is kept on the disk. Results stay exact.",
)
@click.option(
    "--optional",
    envvar="MLGATE_OPTIONAL",
    type=click.BOOL,
    default=False,
    metavar="BOOL",
    help="End well, and leave no evidence, where no data file has a contract.",
)
@_options.pull
@_options.python
@click.option("--profile", default="", metavar="FILE", help="Print a contract that this file keeps, and stop.")
def command(
    *,
    config: str,
    working_directory: str,
    data: str,
    contract: str,
    quarantine: str,
    memory_limit: str,
    python: str,
    profile: str,
    examples: int,
    data_docs: bool,
    optional: bool,
    pull: bool,
    summary: bool,
    debug: bool,
) -> int:
    """Hold the data to its contract, and show the rows that break it.

    A contract is a suite of Great Expectations, as JSON or YAML, or the shorter spelling of one. A pull request is held
    to the contract of its base; to its own as well, where it edits it.
    """
    run = Run.start(config, working_directory, summary=summary)
    if profile:
        from mlgate.commands._named import propose  # noqa: PLC0415

        click.echo(propose(run, profile, memory_limit), nl=False)
        return 0
    run.forget(VERB)
    asked = Asked(
        data=tuple(_options.lines(data)),
        examples=examples,
        quarantine=_folder(run, quarantine),
        docs=data_docs,
        memory_limit=memory_limit,
        pull=pull,
        python=python,
    )
    checker = Checker(run, asked)
    try:
        evidences = [checker.check(loose(run, contract, asked.data))] if contract else _models(run, checker, asked)
    except MlgateError as error:
        evidences = [failed(VERB, file_name(contract or (run.patterns[0] if run.patterns else "")), error)]
    finally:
        checker.close()
    if not evidences and optional:
        say(run.forge, "No data file has a contract: there is nothing to check.\n")
        run.forge.set_outputs(_outputs([], checker) | {"verdict": "pass", "passed": "true", "exit-code": "0"})
        return 0
    return run.finish(VERB, evidences or [_nothing()], _outputs(evidences, checker))


def _models(run: Run, checker: Checker, asked: Asked) -> list[Evidence]:
    bound = Binding(run)
    now = Pipeline(run.git.at(run.head), lenient=True)
    evidences, seen, models = [], set(), set()
    for file, own in bound.own():
        models.add(own.model)
        if isinstance(own, Unloadable):
            evidences.append(unloadable(VERB, own))
            continue
        evidence, paths = _one(checker, own.model, own, partial(bound.rules, file, own), now)
        seen |= paths
        evidences += [evidence] if evidence else []
    if not bound.files:
        raise run.no_config()
    for removed in bound.removed():  # a contract cannot be passed by taking its model away
        if (model := removed.binding.model) not in models:
            evidence, paths = _one(checker, model, None, partial(lambda rules: rules, removed), now)
            seen |= paths
            evidences += [evidence] if evidence else []
    if unknown := [path for path in asked.data if path not in seen]:
        raise MlgateError(
            f"--data names {unknown[0]}, which is no data file of any mlgate.yaml here.",
            fix=f"Known: {', '.join(sorted(seen)) or 'none'}. Other files need --contract as well.",
        )
    unique([evidence.model for evidence in evidences])
    return evidences


def _one(
    checker: Checker, model: str, own: Config | None, find: Callable[[], Bound], now: Pipeline
) -> tuple[Evidence | None, set[str]]:
    """The evidence of one model, None where nothing of it has a contract; and its data files as they were written."""
    mode: dict[str, str] = {}
    try:
        rules = find()
        mode = {"mode": rules.binding.mode, "fail_on": rules.binding.fail_on}
        found = entries(checker.run, own, rules, now)
        paths = {entry.written for entry in found}
        wanted: list[Entry] = [e for e in found if not checker.asked.data or e.written in checker.asked.data]
        if not any(entry.checks or entry.notes for entry in wanted):
            return None, paths
        if rules.binding.mode == "off":
            return off(VERB, rules.binding), paths
        evidence = checker.check(wanted, model, rules.notes)
    except MlgateError as error:
        evidence, paths = failed(VERB, model, error), {entry.path for entry in own.data} if own else set()
    return evidence.model_copy(update=mode), paths


def _folder(run: Run, path: str) -> Path | None:
    return run.cwd / path if path else None


def _nothing() -> Evidence:
    reason = "No data file has a contract, so nothing was checked: that is no pass."
    fix = (
        "mlgate validate-data --profile data/train.parquet > contracts/train.yaml\n"
        "# mlgate.yaml\ndata:\n  - {path: data/train.parquet, contract: contracts/train.yaml}"
    )
    check = Check(id="judge.nothing", group="judge", title="contracts", verdict=Verdict.ERROR, reason=reason, fix=fix)
    return Evidence(kind=VERB, model="repository", title=reason, verdict=Verdict.ERROR, checks=[check])


def _outputs(evidences: list[Evidence], checker: Checker) -> dict[str, str]:
    """What later steps want to know. Lists are JSON, ready for fromJson."""
    bad = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE)
    broken = [
        c.id if len(evidences) == 1 else f"{e.model}: {c.id}" for e in evidences for c in e.checks if c.verdict in bad
    ]
    return {
        "models": json.dumps([e.model for e in evidences]),
        "failed-expectations": json.dumps(broken[:1000]),
        "rows": str(checker.rows),
        "quarantine": checker.quarantined,
        "data-docs": checker.docs,
    }
