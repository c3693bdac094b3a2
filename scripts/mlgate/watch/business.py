"""Numbers of the user's own for one window: an answer of Prometheus, or what a command prints.

No number (nothing, NaN, several, a command that fails) is `unknown`, with the reason, and never a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlgate.config.deploying import Metric
from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.rollout.analysis import metrics
from mlgate.watch.nouns import Measure, Section, Window, state_of


@dataclass(frozen=True)
class Asking:
    """By what numbers are asked for. `environ`: the variables of the user's commands, which hold no credentials but
    those that the project names; `url` and `token`: of Prometheus, where a metric names no address of its own."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    token: str = field(default="", repr=False)
    ask: metrics.Ask | None = None  # for tests: instead of the network


def words(window: Window, *, model: str, environment: str) -> dict[str, str]:
    """What stands for `{since}`, `{until}` (ISO 8601, UTC), `{seconds}`, `{model}` and `{environment}`."""
    since, _, until = str(window).partition("/")
    seconds = str(int((window.until - window.since).total_seconds()))
    return {"since": since, "until": until, "seconds": seconds, "model": model, "environment": environment}


def section(asked: Mapping[str, Metric], window: Window, asking: Asking, *, model: str, environment: str) -> Section:
    """One measure for each metric, by its name. Prometheus is asked as of the window's end."""
    told = words(window, model=model, environment=environment)
    measures = tuple(_one(name, metric, window, told, asking) for name, metric in asked.items())
    return Section("business", state_of(measures), measures, tuple(_check(one) for one in measures))


def _one(name: str, metric: Metric, window: Window, told: Mapping[str, str], asking: Asking) -> Measure:
    try:
        return Measure("business", name, "ok", _asked(metric, window, told, asking))
    except MlgateError as error:
        return Measure("business", name, "unknown", reason=str(error))


def _asked(metric: Metric, window: Window, told: Mapping[str, str], asking: Asking) -> float:
    if metric.run:
        more = {f"MLGATE_{name.upper()}": value for name, value in told.items()}
        return metrics.command(metrics.filled(metric.run, told), {**asking.environ, **more}, asking.folder)
    url = metric.prometheus or asking.url
    if not url:
        raise MlgateError("no Prometheus is named.", fix="Set `prometheus` beside the query, or MLGATE_PROMETHEUS_URL.")
    query = metrics.filled(metric.query or "", told)
    return metrics.prometheus(url, query, asking.token, asking.ask, at=window.until.timestamp())


def _check(one: Measure) -> Check:
    return Check(
        id=f"watch.business.{one.name}",
        group="watch",
        title=one.name,
        verdict=Verdict.PASS if one.state == "ok" else Verdict.INCONCLUSIVE,
        reason=one.reason,
        observed=one.value if one.value is not None else "not measured",
    )
