"""What `deploy --plan` shows: each step, the requests that it takes to decide, and how long they take to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlgate.config import Config
from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.rollout import strategies
from mlgate.rollout.analysis import planning
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State
from mlgate.rollout.targets import Target


@dataclass(frozen=True)
class Shown:
    """The plan for people, and for evidence."""

    text: str
    title: str
    checks: list[Check]
    facts: dict[str, str | float] = field(default_factory=dict)


def planned(config: Config, name: str, kept: State | None) -> planning.Plan | None:
    """What the rules need of each step; None where nothing is judged. Raises MlgateError for a plan that cannot
    decide, with what would."""
    settings = config.deploy.environments[name]
    at = f"deploy.environments.{name}"
    try:
        shares = _shares(settings)
    except MlgateError as error:
        key = f"{at}.{error.key}"
        raise MlgateError(error.message, file=config.file, line=config.line(key), key=key, fix=error.fix) from None
    if not shares or not settings.rules:
        return None
    rate = float(settings.expected.error_rate) if settings.expected.error_rate is not None else _seen(kept)
    try:
        return planning.plan(settings.rules, shares, _pacing(settings, rate), confidence=settings.confidence)
    except MlgateError as error:
        raise MlgateError(
            error.message, file=config.file, line=config.line(at), key=error.key or f"{at}.rules", fix=error.fix
        ) from None


def _pacing(settings: Environment, rate: float | None) -> planning.Pacing:
    pace, speed = settings.step, settings.expected.requests_per_second
    return planning.Pacing(
        error_rate=rate,
        per_second=float(speed) if speed is not None else None,
        requests=pace.requests,
        at_least=float(pace.at_least),
        at_most=float(pace.at_most),
        wait=float(pace.warm_up),
        sticky=settings.sticky is not None,
    )


def _shares(settings: Environment) -> list[float]:
    if settings.strategy == "rolling":
        return [100 * done / settings.replicas for done in range(1, settings.replicas)]
    asked = [float(share) for share in settings.steps if share < 100] if settings.strategy == "canary" else []
    if settings.target.kind != "kubernetes" or settings.target.routing != "replicas" or not asked:
        return asked
    from mlgate.rollout.targets.kube import shares  # noqa: PLC0415 -- of this place alone

    real = shares.of_steps(asked, settings.replicas)
    if sorted(set(real)) != real:
        said = ", ".join(f"{step:g} % is {share:.3g} %" for step, share in zip(asked, real, strict=True))
        raise MlgateError(
            f"shares are made of replicas, and with {settings.replicas} of them some steps are the same: {said}.",
            key="steps", fix="Use `routing: gateway`, more replicas, or fewer steps.",
        )  # fmt: skip
    return real


def _seen(kept: State | None) -> float | None:
    """How often the stable model failed while the rollout before was watched."""
    requests = sum(seen.stable.requests for seen in kept.seen) if kept else 0
    errors = sum(seen.stable.errors for seen in kept.seen) if kept else 0
    return errors / requests if requests >= 1000 and errors else None


def shown(config: Config, release: Release, stable: Release | None, kept: State | None, target: Target) -> Shown:
    """The whole way. Raises MlgateError where it cannot decide, or the place cannot be asked."""
    name = target.place.environment
    settings = config.deploy.environments[name]
    what = f"{config.model} {release.version}".strip()
    there = f"{stable.version or stable.digest[:19]}" if stable else "nothing"
    lines = [f"{what} to {name} ({settings.target.kind}, {settings.strategy}); there now: {there}"]
    if kept is not None and not kept.over:
        lines.append(f"under way: {kept.candidate.version or kept.candidate.digest[:19]} at {kept.weight:g} %")
    again = stable is not None and stable.digest == release.digest
    other = None if again else stable  # what is there already is compared with nothing: it only has to be up
    made = planned(config, name, kept) if other else None
    if again:
        lines.append("it is there already: it has to be up, and have all traffic")
    if stable is None and settings.strategy in ("canary", "rolling", "blue-green"):
        lines.append("nothing can be compared with: it gets all traffic after the checks")
    plan = strategies.plan(
        settings, stable=other is not None, requests=[step.canary for step in made.steps] if made else None
    )
    lines += table(made, [(step.weight, step.requests) for step in plan.steps], settings)
    running = ", ".join(f"{slot.name} {slot.weight:g} %" for slot in target.slots()) or "nothing"
    lines.append(f"running: {running}")
    steps = f" in {len(plan.steps) + 1} steps" if plan.steps else ""
    title = f"{what} can come into {name}{steps}, once everything that is asked of it holds."
    if again:
        title = f"{what} is in {name}."
    check = Check(id="deploy.plan", group="deploy", title=f"{name}: plan", verdict=Verdict.PASS, reason=title)
    facts: dict[str, str | float] = {}
    if made:
        facts["requests"] = sum(step.all for step in made.steps)
    return Shown("\n".join(lines) + "\n", title, [check], facts)


def table(made: planning.Plan | None, steps: Sequence[tuple[float, int]], settings: Environment) -> list[str]:
    """A line for each step: percent, requests, time."""
    pace = settings.step
    rows = []
    for at, (weight, requests) in enumerate(steps):
        least = f"at least {_time(float(pace.at_least))}, at most {_time(float(pace.at_most))}"
        if made is None:
            rows.append(f"  {weight:5g} %  {least}")
            continue
        step = made.steps[at]
        wait = f", {_time(step.seconds)} at the rate expected" if step.seconds is not None else ""
        wait += f"; really {step.weight:.3g} %" if abs(step.weight - weight) > 0.5 else ""
        rows.append(f"  {weight:5g} %  {requests:>7,} requests of the new model ({step.all:,} of all{wait}); {least}")
    return [
        *rows,
        "    100 %" + (f"  the model before stays for {_time(float(settings.keep))}" if settings.keep else ""),
    ]


def _time(seconds: float) -> str:
    for size, word in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds:.3g} s"
