"""The machine of one deployment: its judge, its checks, its ledger, and how it speaks."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from mlgate.commands import _measuring, _rolling
from mlgate.commands._run import Run
from mlgate.config import Config, conditions
from mlgate.config.deploying import Environment
from mlgate.model import Verdict, worst
from mlgate.rollout import checks as trying
from mlgate.rollout.analysis import outcome
from mlgate.rollout.given import Checker
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State
from mlgate.rollout.targets import Target


@dataclass
class Rig:
    """Of one environment. `tried` fills with what the checks of this process said."""

    run: Run
    config: Config
    name: str
    on_stop: Literal["turn back", "stay"] = "turn back"
    drill: bool = False
    tried: list[trying.Tried] = field(default_factory=list)

    @property
    def settings(self) -> Environment:
        return self.config.deploy.environments[self.name]

    def machine(
        self,
        target: Target,
        approved_by: tuple[str, ...],
        *,
        stopping: Callable[[], bool],
        asked: trying.Asked | None = None,
    ) -> Machine:
        """With `asked`, what is new is tried and judged; without, something is put or turned back."""
        metrics = _measuring.Metrics(self.run, self.config, self.name, asked.environ) if asked else None
        return Machine(
            target,
            judge=partial(self._judge, metrics),
            checks=self._checker(asked) if asked else nothing,
            record=_rolling.Recorder(self.run, self.config, approved_by=approved_by),
            holder=self.run.forge.event.run_url or f"{getpass.getuser()} at a terminal",
            lease=float(self.config.deploy.lease),
            say=tell,
            stopping=stopping,
            on_stop=self.on_stop,
        )

    def _judge(self, metrics: _measuring.Metrics | None, state: State, *, complete: bool, why: str) -> outcome.Judged:
        return outcome.judge(
            [conditions.parse(rule) for rule in state.plan.rules],  # those that it began with
            [outcome.Stratum(float(seen.weight), seen.stable, seen.canary) for seen in state.seen],
            confidence=state.plan.confidence,
            planned=state.plan.steps[state.step].requests,
            last=state.step == len(state.plan.steps) - 1,
            steps=len(state.plan.steps),
            metrics=metrics.of(state) if metrics is not None else {},
            streaks=state.streaks,
            sticky=state.plan.sticky,
            complete=complete,
            why=why,
        )

    def _checker(self, asked: trying.Asked) -> Checker:
        """What is tried before traffic, and for a shadow or a batch what is done instead of it."""

        def check(
            target: Target, candidate: Release, stable: Release | None, alive: Callable[[], None], /
        ) -> trying.Tried:
            tried = trying.before_traffic(target, candidate, stable, asked, alive=alive, say=tell)
            self.tried.append(tried)
            if worst(one.verdict for one in tried.checks).rank > Verdict.WARN.rank or self.drill:
                return tried
            more = None
            if self.settings.strategy == "shadow":
                more = trying.shadow(target, candidate, stable, asked, alive=alive, say=tell)
            elif self.settings.strategy == "batch":
                more = trying.batch(target, candidate, asked, alive=alive, say=tell)
            if more is None:
                return tried
            self.tried.append(more)
            return replace(tried, checks=[*tried.checks, *more.checks])

        return check


def kept(target: Target) -> State | None:
    """The state of the environment's last rollout; nothing is taken."""
    return Machine(target, judge=_never, checks=nothing, record=_unsaid).look()


def tell(text: str) -> None:
    """One line for whoever watches, beside the tables of the result."""
    sys.stderr.write(f"{text.rstrip()}\n")
    sys.stderr.flush()


def nothing(target: Target, candidate: Release, stable: Release | None, alive: Callable[[], None], /) -> trying.Tried:
    """Nothing is tried again of what is put back or turned back."""
    del target, candidate, stable, alive
    return trying.Tried()


def _never(state: State, *, complete: bool, why: str) -> outcome.Judged:
    """Of a machine that only looks."""
    del state, complete, why
    raise AssertionError


def _unsaid(transition: object) -> None:
    del transition
