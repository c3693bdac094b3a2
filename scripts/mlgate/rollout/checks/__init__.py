"""What is tried of a release before it gets traffic, at its own address. Also shadows and batches, which get none.

tried = checks.before_traffic(target, candidate, stable, asked, alive=renew)
if worst(check.verdict for check in tried.checks) ...

`asked` says what mlgate.yaml wants of this environment and brings what is needed for it. `alive` is called each second
meanwhile: what it raises ends the work. Nothing here starts, stops or weighs anything.
"""

from __future__ import annotations

from collections.abc import Callable

from mlgate.config.deploying import Replayed
from mlgate.model import Verdict
from mlgate.rollout.checks import api, batches, commands, load, replaying, smoke
from mlgate.rollout.checks.nouns import Asked, Batch, Published, Rows, Say, StoppedError, Tried, check
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


def shadow(
    target: Target, candidate: Release, stable: Release | None, asked: Asked, *,
    alive: Callable[[], None] = _still, say: Say = _quiet,
) -> Tried:  # fmt: skip
    """`strategy: shadow`, of a slot that has passed `before_traffic`: the stable model's requests, answered again.

    Raises TargetError where the target has no requests to give.
    """

    def work(stop: Stop) -> Tried:
        with target.open(candidate.slot) as url:
            trial = Trial(target, url, candidate, stable, asked, stop, say)
            return replaying.checks(trial, asked.settings.checks.shadow or Replayed())

    return through(work, alive)


def batch(
    target: Target, candidate: Release, asked: Asked, *, alive: Callable[[], None] = _still, say: Say = _quiet
) -> Tried:
    """`strategy: batch`, of a slot that has passed `before_traffic`: every row is predicted, and the output published.

    Raises TargetError where the target does not give an address.
    """

    def work(stop: Stop) -> Tried:
        if type(target).run is not Target.run:
            return batches.checks(Trial(target, "", candidate, None, asked, stop, say))
        with target.open(candidate.slot) as url:
            return batches.checks(Trial(target, url, candidate, None, asked, stop, say))

    return through(work, alive)


def _before(trial: Trial) -> Tried:
    """The cheap ones first. Where one of them failed, those that take long or need a whole model are not run."""
    asked, found = trial.asked.settings, Tried()
    wanted = asked.checks
    if wanted.smoke:
        found.add(smoke.checks(trial))
    if wanted.api:
        found.add(api.checks(trial))
    if wanted.skew:
        found.add(smoke.same_rows(trial))
    later: list[tuple[str, bool, Callable[[], Tried]]] = [
        ("load", wanted.load is not None, lambda: load.checks(trial)),
        (
            "shadow", wanted.shadow is not None and asked.strategy != "shadow",
            lambda: replaying.checks(trial, wanted.shadow or Replayed()),
        ),
        ("run", bool(wanted.run), lambda: commands.checks(trial)),
    ]  # fmt: skip
    for name, is_wanted, work in later:
        if not is_wanted:
            continue
        if any(one.verdict.rank >= Verdict.FAIL.rank for one in found.checks):
            found.not_run.append(f"`checks.{name}` was not run: a check before it failed.")
            continue
        trial.stop.look()
        found.add(work())
    if not found.checks:
        found.not_run.append(f"`checks` of {trial.asked.environment} found nothing to try before traffic comes.")
        reason = "Nothing was tried of it before its traffic: `checks` asks for nothing that could be."
        found.checks.append(check("checks", "tried before traffic", Verdict.WARN, reason))
    return found


__all__ = ["Asked", "Batch", "Published", "Rows", "StoppedError", "Tried", "batch", "before_traffic", "shadow"]
