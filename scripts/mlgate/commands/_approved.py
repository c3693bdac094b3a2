"""Whether somebody has approved that a model comes into an environment, as far as mlgate.yaml wants that.

    approved = _approved.approved(run, config, "production", release)
    if not approved.given: ...          # its checks say why, and what to do; the verdict is `inconclusive`

Who approved is read from the forge's own record of this very run. What is not known is not approved.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from mlgate.commands._ledger import who
from mlgate.commands._order import is_production
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.forges.deploying import Approvers
from mlgate.model import Check, Location, Verdict
from mlgate.rollout.nouns import Release


@dataclass(frozen=True)
class Approved:
    """`by`: whom the ledger names, also where nobody had to. `checks`: of the group `rollout`; none where there is
    nothing to say. Nothing may be deployed unless `given`."""

    by: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def given(self) -> bool:
        return all(check.verdict.rank <= Verdict.WARN.rank for check in self.checks)


@dataclass(frozen=True)
class Asked:
    """What mlgate.yaml wants for one environment."""

    required: bool
    of_another: bool  # one's own approval does not count
    why: str  # "criticality is high"
    waived: str = ""  # what `approval: none` switches off, for everybody to see
    location: Location | None = None


def approved(run: Run, config: Config, environment: str, release: Release) -> Approved:
    """Who has approved; `environment` is one of mlgate.yaml. Never raises for what a forge does not tell."""
    wanted = asked(config, environment)
    forge = run.forge
    told = _at_terminal(run) if forge.name == "none" else forge.approvers(environment, release.commit)
    return decide(wanted, told, environment)


def asked(config: Config, environment: str) -> Asked:
    """What mlgate.yaml says: `approval` of the environment, else `deploy.criticality` for production."""
    settings = config.deploy.environments[environment]
    criticality = config.deploy.criticality
    critical = is_production(config, environment) and criticality in ("medium", "high")
    if settings.approval:
        required, why = settings.approval == "required", f"approval: {settings.approval}"
        key = f"deploy.environments.{environment}.approval"
    else:
        required, why, key = critical, f"criticality: {criticality}", "deploy.criticality"
    waived = f"criticality: {criticality}" if critical and not required else ""
    of_another = criticality == "high" or not settings.self_approval
    return Asked(required, of_another, why, waived, config.location(key))


def decide(wanted: Asked, told: Approvers, environment: str) -> Approved:
    """The decision, from what is wanted and what the forge tells."""
    by = told.others() if wanted.of_another else told.names
    unknown = wanted.of_another and told.own_missing
    if not wanted.required:
        return Approved(by, _waived(wanted, environment) if wanted.waived else ())
    if by and not unknown:
        return Approved(by, (_check(wanted, environment, Verdict.PASS, f"{_and(by)} {told.how}.", observed=_and(by)),))
    if told.names and unknown:
        reason = f"{_and(told.names)} {told.how}, but whether that is their own work is not known: {told.own_missing}"
    elif told.names:
        own = "started the run or wrote what it deploys"
        reason = f"{_and(told.names)} {told.how}, but {own}: somebody else has to approve."
    else:
        reason = told.missing or "Nobody is known to have approved it."
    return Approved((), (_check(wanted, environment, Verdict.INCONCLUSIVE, reason),))


def _waived(wanted: Asked, environment: str) -> tuple[Check, ...]:
    reason = f"{wanted.waived} would need an approval for {environment}; {wanted.why} waives it."
    return (_check(wanted, environment, Verdict.WARN, reason),)


def _check(wanted: Asked, environment: str, verdict: Verdict, reason: str, *, observed: str | None = None) -> Check:
    return Check(
        id="rollout.approval",
        group="rollout",
        title=f"approval for {environment}",
        verdict=verdict,
        reason=reason,
        observed=observed or "nobody",
        expected=f"somebody else's ({wanted.why})" if wanted.of_another else f"somebody's ({wanted.why})",
        location=wanted.location,
    )


def _at_terminal(run: Run) -> Approvers:
    """Who sits at a terminal and types `deploy` has approved it; a CI system that is not known has no such person."""
    if sys.stdin is None or not sys.stdin.isatty():
        return Approvers(
            missing="There is no forge here to ask, and nobody at a terminal: run it at a terminal, or in a job of "
            "GitHub or GitLab."
        )
    person = str(who(run)["actor"])
    return Approvers(names=(person,), how="ran it at a terminal", own=(person,))


def _and(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
