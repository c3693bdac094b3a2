"""What a retraining made, committed with its cause, and its end written to the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlgate.commands import _propose
from mlgate.commands import _retrain_ends as ends
from mlgate.commands import _retrain_why as why
from mlgate.commands._ledger import open_ledger
from mlgate.commands._propose import Done, How
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError


def commit(run: Run, folder: Path, *, how: How, branch: str, trigger: str, gate: str) -> Done:
    """Like `commit_back`, on the one branch of the model or group. Raises MlgateError for a retraining that is over, or
    of other models than the proposal; the ledger then says nothing yet, and the last job that it failed."""
    configs = _configs(run)
    ledger = open_ledger(run, configs[0].ledger, write=True)
    models = {config.model for config in configs}
    begun = ends.taken_up(ledger, trigger, models, None)
    mine = [config for config in configs if config.model in begun.models]
    done = _propose.commit_back(
        run,
        folder,
        how=how,
        branch=branch or (why.branch(begun) if how == "pull-request" else ""),
        title=why.title(begun),
        body=why.body(begun),
        labels=list(dict.fromkeys(label for config in mine for label in config.retrain.labels)),
        only=begun.models,
        gate=gate,
        auto_merge=all(config.retrain.auto_merge for config in mine),
    )
    outcome = "proposed" if done.commit else "unchanged"
    try:
        ends.end(run, ledger, begun.id, outcome, url=done.url or done.commit)
    except MlgateError as error:  # what is proposed is proposed
        return replace(done, said=(*done.said, f"The ledger does not say that it ended as `{outcome}`: {error}"))
    return done


def _configs(run: Run) -> list[Config]:
    """Those of the commit, which a person has merged. Raises MlgateError where there is none, or one is broken."""
    found = []
    at = run.git.at(run.head)
    for file in run.config_files_at(at):
        one = run.load_at(at, file)
        if isinstance(one, Config):
            found.append(one)
        elif one is not None:
            raise one.error
    if not found:
        raise run.no_config()
    return found
