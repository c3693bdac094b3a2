"""`mlgate train`: what the model was made of, proven as far as is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from mlgate.commands import _options
from mlgate.commands._proving import LEVELS, VERB, Asked
from mlgate.commands._run import Run, failed, file_name
from mlgate.commands._training import Trainer
from mlgate.errors import MlgateError
from mlgate.model import Evidence
from mlgate.train.process import ended_cleanly

_HOW: dict[str, Literal["branch", "pull-request"]] = {"branch": "branch", "pull-request": "pull-request"}


def _switch(name: str, *, default: bool, text: str) -> Callable[[Any], Any]:
    variable = f"MLGATE_{name.upper()}"
    return click.option(
        f"--{name}", envvar=variable, type=click.BOOL, default=default, show_default=True, metavar="BOOL", help=text
    )


@click.command(VERB)
@_options.common
@click.option(
    "--verify",
    envvar="MLGATE_VERIFY",
    default="",
    metavar="LEVEL",
    help="lock, score or reproduce. Only ever more than train.verify of the base's mlgate.yaml.",
)
@_switch("rerun", default=False, text="With reproduce: run every stage, even a fresh one.")
@click.option(
    "--smoke",
    envvar="MLGATE_SMOKE",
    default="",
    metavar="ROWS",
    help="Instead, train on this many rows of train.data: does it run at all? Never promotable.",
)
@_switch("push", default=False, text="With reproduce: `dvc push` what was made.")
@_switch("remote", default=True, text="Ask the DVC remote whether it holds the model.")
@_options.pull
@_options.python
@click.option(
    "--tracking-uri",
    envvar="MLGATE_TRACKING_URI",
    default="",
    metavar="URI",
    help="Log a training that ran here to this MLflow store. Default: MLFLOW_TRACKING_URI.",
)
@click.option(
    "--proposal",
    envvar="MLGATE_PROPOSAL",
    default="",
    metavar="DIR",
    help="With reproduce: leave lock, pointers and metrics here, for a job that may commit. New work is no failure.",
)
@click.option(
    "--commit",
    envvar="MLGATE_COMMIT",
    default="off",
    metavar="HOW",
    help="off, branch or pull-request: commit what is in --proposal, and do nothing else. Runs no project code.",
)
@click.option(
    "--commit-branch", envvar="MLGATE_COMMIT_BRANCH", default="", metavar="NAME", help="The branch to commit to."
)
@click.option(
    "--trigger",
    envvar="MLGATE_TRIGGER",
    default="",
    metavar="ID",
    help="The retraining that this is, by its id in the ledger: retrain.prepare is run first, and stages by "
    "retrain.launcher. With --commit: the request says why, and the ledger how it ended.",
)
@click.option(
    "--gate-workflow",
    envvar="MLGATE_GATE_WORKFLOW",
    default="",
    metavar="FILE",
    help="With --commit: the workflow that judges the branch, started where the forge starts none (model-gate.yml).",
)
def command(
    *,
    config: str,
    working_directory: str,
    verify: str,
    smoke: str,
    python: str,
    tracking_uri: str,
    proposal: str,
    commit: str,
    commit_branch: str,
    trigger: str,
    gate_workflow: str,
    rerun: bool,
    push: bool,
    remote: bool,
    pull: bool,
    summary: bool,
    debug: bool,
) -> int:
    """Prove what the model was made of.

    By the lock (no project code runs), by scoring the committed model again, or by making it again. Project code runs
    after everything was fetched, and without credentials in its environment.
    """
    run = Run.start(config, working_directory, summary=summary)
    folder = run.cwd / proposal if proposal.strip() else None
    if how := _HOW.get(_word(commit, "--commit", ("off", *_HOW))):
        return _commit(run, folder, how, commit_branch.strip(), trigger=trigger.strip(), gate=gate_workflow.strip())
    run.forget(VERB)
    level = _word(verify, "--verify", LEVELS)
    asked = Asked(
        verify=level,
        rerun=rerun,
        smoke=_rows(smoke),
        push=push,
        remote=remote,
        pull=pull,
        python=str(run.cwd / python) if "/" in python else python,
        tracking=tracking_uri.strip(),
        proposal=folder,
        retraining=bool(trigger.strip()),
    )
    trainer = Trainer(run, asked)
    try:
        with ended_cleanly():
            evidences = trainer.all()
    except MlgateError as error:
        evidences = [failed(VERB, file_name(run.patterns[0] if run.patterns else ""), error)]
    finally:
        trainer.close()
    return run.finish(VERB, evidences, _outputs(evidences, trainer))


def _word(value: str, option: str, words: tuple[str, ...]) -> str:
    value = value.strip()
    if value and value not in words:
        raise MlgateError(f"{option} {value!r} is none of {', '.join(words)}.")
    return value


def _rows(value: str) -> int:
    value = value.strip().replace("_", "").replace(",", "")
    if not value:
        return 0
    if not value.isascii() or not value.isdigit() or not int(value):
        raise MlgateError(f"--smoke {value!r} is no number of rows.", fix="Give one, such as 500.")
    return int(value)


def _commit(
    run: Run, folder: Path | None, how: Literal["branch", "pull-request"], branch: str, *, trigger: str, gate: str
) -> int:
    if folder is None:
        raise MlgateError("--commit needs --proposal: the folder that `train --proposal` has filled.")
    if trigger:
        from mlgate.commands import _retrain_commit  # noqa: PLC0415 -- few jobs may commit

        done = _retrain_commit.commit(run, folder, how=how, branch=branch, trigger=trigger, gate=gate)
    else:
        from mlgate.commands import _propose  # noqa: PLC0415 -- as above

        done = _propose.commit_back(run, folder, how=how, branch=branch, gate=gate)
    for line in done.said:
        click.echo(line)
    outputs = {"commit": done.commit, "branch": done.branch, "pull-request-url": done.url}
    run.forge.set_outputs(outputs | {"verdict": "pass", "passed": "true", "exit-code": "0"})
    return 0


def _outputs(evidences: list[Evidence], trainer: Trainer) -> dict[str, str]:
    """What later steps want to know. Lists are JSON, ready for fromJson."""
    several = len(evidences) > 1

    def listed(pairs: list[tuple[str, str]]) -> str:
        return json.dumps([f"{model}: {text}" if several else text for model, text in pairs][:1000])

    logged = trainer.logged[0] if len(trainer.logged) == 1 else ("", "")
    return {
        "models": json.dumps([e.model for e in evidences]),
        "proven": listed([(e.model, p.claim) for e in evidences for p in e.proofs if p.state == "proven"]),
        "stages-run": listed([(e.model, s.name) for e in evidences for s in e.stages if s.state == "ran"]),
        "changed": json.dumps(list(trainer.prover.changed)[:1000]),
        "run-id": logged[0],
        "run-url": logged[1],
        "promotable": str(all(e.promotable for e in evidences)).lower(),
        "commit": "",
        "branch": "",
        "pull-request-url": "",
    }
