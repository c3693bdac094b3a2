"""What is tried of a release before it gets traffic, at its own address. Also shadows and batches, which get none.

tried = checks.before_traffic(target, candidate, stable, asked, alive=renew)
if worst(check.verdict for check in tried.checks) ...

`asked` says what mlgate.yaml wants of this environment and brings what is needed for it. `alive` is called each second
meanwhile: what it raises ends the work. Nothing here starts, stops or weighs anything.
"""

from __future__ import annotations

from collections.abc import Callable

from mlgate.model import Verdict
from mlgate.rollout.checks import commands, smoke
from mlgate.rollout.checks.nouns import Asked, Published, Rows, Say, StoppedError, Tried, check
from mlgate.rollout.checks.patience import Stop, through
from mlgate.rollout.checks.trial import Trial
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Target


def _still() -> None:
    """Nobody waits for a sign of life."""


def _quiet(_: str) -> None:
    """Nobody wants to read along."""


def before_traffic(
    target: Target, candidate: Release, stable: Release | None, asked: Asked, *,
    alive: Callable[[], None] = _still, say: Say = _quiet,
) -> Tried:  # fmt: skip
    """Everything that `checks` of the environment asks for, of a slot that is ready and has no traffic.

    A server that does not answer is a `fail` of the check that asked it. Raises TargetError where the target does not
    give an address, and what `alive` raises.
    """

    def work(stop: Stop) -> Tried:
        with target.open(candidate.slot) as url:
            return _before(Trial(target, url, candidate, stable, asked, stop, say))

    return through(work, alive)


def _before(trial: Trial) -> Tried:
    wanted, found = trial.asked.settings.checks, Tried()
    if wanted.smoke:
        found.add(smoke.checks(trial))
    if wanted.skew:
        found.add(smoke.same_rows(trial))
    if wanted.run and not _failed(found):
        found.add(commands.checks(trial))
    if not found.checks:
        found.not_run.append(f"`checks` of {trial.asked.environment} asks for nothing before traffic comes.")
        reason = "Nothing was tried of it before its traffic: `checks` asks for nothing."
        found.checks.append(check("checks", "tried before traffic", Verdict.WARN, reason))
    return found


def _failed(found: Tried) -> bool:
    return any(one.verdict.rank >= Verdict.FAIL.rank for one in found.checks)


__all__ = ["Asked", "Published", "Rows", "StoppedError", "Tried", "before_traffic"]
