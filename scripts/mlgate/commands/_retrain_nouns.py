"""What a call of `mlgate retrain` was asked for, which models it wants trained, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mlgate.commands._retrain_reasons import Reason
from mlgate.config import Config
from mlgate.forges.dispatching import Started
from mlgate.model import Check, Evidence, Verdict, worst
from mlgate.watch import retraining
from mlgate.watch.retraining import Decision

VERB = "retrain"
GROUP = "watch"


@dataclass(frozen=True)
class Asked:
    """The options of the verb."""

    by_hand: str = ""
    folder: Path | None = None
    rule: str = ""
    trigger: str = ""
    finish: str = ""
    url: str = ""
    plan: bool = False
    force: bool = False
    dispatch: bool = True


@dataclass
class Wanted:
    """Models that are trained together, and what came of it."""

    configs: list[Config]
    by: Config  # whose settings hold: the first that asks
    reason: Reason
    decision: Decision | None = None
    unchanged: str = ""
    started: Started | None = None

    @property
    def group(self) -> str:
        return self.by.retrain.group or ""

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(sorted(config.model for config in self.configs))


@dataclass
class Told:
    """What is said of one model."""

    config: Config
    checks: list[Check] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    facts: dict[str, str | float] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, title: str, verdict: Verdict, reason: str) -> None:
        self.checks.append(Check(id=f"retrain.{what}", group=GROUP, title=title, verdict=verdict, reason=reason))


def asker(order: Wanted) -> str:
    reason = order.reason
    if reason.rule == retraining.MANUAL:
        return f"by hand ({reason.said})"
    if reason.rule in (retraining.NEW_DATA, retraining.SCHEDULE):
        return (
            f"by {'the ' if reason.rule == retraining.SCHEDULE else ''}{reason.rule} ({'; '.join(reason.values[:3])})"
        )
    return f"by the rule {reason.rule}{' (' + '; '.join(reason.values[:3]) + ')' if reason.values else ''}"


def evidence(told: Told) -> Evidence:
    wrong = sorted(told.checks, key=lambda check: -check.verdict.rank)
    if not told.checks:
        told.add("asked", "Retraining", Verdict.PASS, "Nothing is started: it is not of this retraining.")
    return Evidence(
        kind=VERB,
        model=told.config.model,
        title=(wrong or told.checks)[0].reason,
        verdict=worst(check.verdict for check in told.checks),
        mode="enforce",
        fail_on="inconclusive",  # what could not be started does not end well, whatever the gate's mode is
        checks=told.checks,
        not_run=list(dict.fromkeys(told.not_run)),
        facts=told.facts,
        links=told.links,
    )
