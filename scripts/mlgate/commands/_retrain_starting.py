"""The run that trains: started at the forge, or by the user's own command."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from mlgate.commands._retrain_nouns import Wanted
from mlgate.commands._run import Run, say
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.forges.dispatching import Order, Started
from mlgate.ledger.kinds import clean


def start(run: Run, order: Wanted, trigger: str) -> Started:
    """Raises MlgateError where it could not be started."""
    settings = order.by.retrain.dispatch
    if settings.by == "none":
        return Started()
    given = {"trigger": trigger, "config": files(run, order.configs)}
    if settings.by == "command":
        return _command(run, order, given)
    event = run.forge.event
    ref = settings.ref or event.default_branch or run.git.default_branch()
    name = {"workflow": settings.workflow, "repository": settings.event}.get(settings.by, "")
    return run.forge.dispatch(Order(settings.by, name, ref, given))


def _command(run: Run, order: Wanted, given: dict[str, str]) -> Started:
    from mlgate.repo import credentials  # noqa: PLC0415
    from mlgate.train import process  # noqa: PLC0415 -- only those who start it themselves

    text = order.by.retrain.dispatch.run
    if not text:
        raise MlgateError(
            "`by: command` needs `run`.", file=order.by.file, key="retrain.dispatch.run", fix="Add the command."
        )
    names = os.environ.get("MLGATE_ENV_NAMES", "").split()
    environ = credentials.without(os.environ, allowed=names)
    reason = order.reason
    cause = "; ".join([reason.rule, reason.said or reason.cause, *reason.values])
    environ |= {
        "MLGATE_TRIGGER": given["trigger"],
        "MLGATE_CAUSE": clean(cause, 2000),
        "MLGATE_CONFIG": given["config"],
    }

    def heard(line: str) -> None:
        say(run.forge, f"{line}\n")

    shell = process.shell_of(environ)
    ended = process.run([shell, "-c", text], cwd=run.git.root / order.by.folder, environ=environ, say=heard)
    if ended.code != 0:
        raise MlgateError(
            f"the command that starts the training ended with {ended.how}.", fix="Look at its words above."
        )
    return Started()


def files(run: Run, configs: Sequence[Config]) -> str:
    """Configurations as --config takes them: relative to the folder that this run works in."""
    return "\n".join(posixpath.relpath(config.file, run.prefix or ".") for config in configs)
