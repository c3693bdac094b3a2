"""From a strategy of mlgate.yaml to the steps of a rollout."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlgate.config.conditions import written
from mlgate.errors import MlgateError
from mlgate.rollout.state import Plan, Step

if TYPE_CHECKING:
    from mlgate.config.deploying import Environment

READY_WITHIN = 300.0  # seconds


def plan(
    environment: Environment,
    *,
    stable: bool,
    requests: Sequence[int] | None = None,
    timeout: float = 10.0,
    drill: bool = False,
    ready_within: float = READY_WITHIN,
) -> Plan:
    """The way of one release into an environment that has a stable model, or none yet.

    `requests`: for each step, where mlgate.yaml names no number. `timeout`: seconds that an answer may take.
    Without a stable model nothing can be compared: all traffic comes at once, after the checks. Raises MlgateError for
    a canary whose steps do not ascend, and for a drill where there is nothing to come back to.
    """
    strategy, pace = environment.strategy, environment.step
    if drill and (not stable or strategy == "batch"):
        raise MlgateError(
            "a drill takes traffic to the new model and back, and there is none to come back to.",
            fix="Deploy once without `--drill`.",
        )
    steps = _steps(environment, requests) if stable else ()
    if drill:
        shares = [step.weight for step in steps] or [100.0]
        steps = tuple(Step(weight=share, judged=False, at_most=pace.at_most) for share in shares)
    return Plan(
        steps=steps,
        serves=strategy != "batch",
        promotes=not drill and strategy != "shadow",
        replicas=environment.replicas,
        rolling=strategy == "rolling" and not drill,
        period=max(0.1, float(pace.period)),
        warm_up=float(pace.warm_up),
        timeout=timeout,
        ready_within=ready_within,
        keep=float(environment.keep) if strategy in ("blue-green", "canary", "rolling") else 0.0,
        sticky=environment.sticky is not None,
        rules=tuple(written(rule) for rule in environment.rules),
        confidence=float(environment.confidence),
        target=_told(environment),
    )


def _told(environment: Environment) -> str:
    text = f"{environment.replicas} {environment.target.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def straight(environment: Environment, *, timeout: float = 10.0, ready_within: float = READY_WITHIN) -> Plan:
    """The way back: ready, then everything at once."""
    return Plan(
        replicas=environment.replicas,
        period=max(0.1, float(environment.step.period)),
        timeout=timeout,
        ready_within=ready_within,
    )


def _steps(environment: Environment, requests: Sequence[int] | None) -> tuple[Step, ...]:
    """Of a canary as mlgate.yaml names them; of `rolling`, one more server's share at a time. All others have none."""
    pace, judged = environment.step, True
    if environment.strategy == "rolling":
        shares = [100 * done / environment.replicas for done in range(1, environment.replicas)]
        judged = bool(environment.rules)  # without rules each share lasts until the new model has stood it for a while
    elif environment.strategy == "canary":
        given = [float(share) for share in environment.steps]
        shares = [share for share in given if share < 100]  # after the last step everything follows anyway
        if not shares or given != sorted({share for share in given if 0 < share <= 100}):
            raise MlgateError(
                f"a canary takes steps that ascend below 100 %, and these are {given}.",
                fix="Write `steps: [5, 25, 50]`.",
            )
    else:
        return ()
    return tuple(
        Step(
            weight=share,
            requests=(pace.requests or (requests[at] if requests else 0)) if judged else 0,
            at_least=float(pace.at_least),
            at_most=float(pace.at_most),
            judged=judged,
        )
        for at, share in enumerate(shares)
    )
