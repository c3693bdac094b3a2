"""The numbers of the user's own that rules name, of both arms: asked of Prometheus, or printed by a command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.config.conditions import KNOWN, leaves, parse
from mlgate.config.deploying import Metric
from mlgate.errors import MlgateError
from mlgate.rollout.analysis import metrics
from mlgate.rollout.nouns import Arm, Release
from mlgate.rollout.state import State

URL, TOKEN = "MLGATE_PROMETHEUS_URL", "MLGATE_PROMETHEUS_TOKEN"


class Metrics:
    """Of one environment. `environ`: the variables of the user's commands."""

    def __init__(self, run: Run, config: Config, environment: str, environ: Mapping[str, str]) -> None:
        self._settings = config.deploy.environments[environment]
        self._folder: Path = run.git.root / config.folder
        self._environment = environment
        self._environ = environ

    def of(self, state: State) -> dict[str, dict[Arm, float | str]]:
        """By name and arm; words where there is no number, and why."""
        named = {leaf.metric for rule in state.plan.rules for leaf in leaves(parse(rule))} - set(KNOWN)
        arms: dict[Arm, Release | None] = {"canary": state.candidate, "stable": state.stable}
        return {
            name: {arm: self._one(name, arm, release, state) for arm, release in arms.items() if release is not None}
            for name in sorted(named)
        }

    def _one(self, name: str, arm: Arm, release: Release, state: State) -> float | str:
        metric = self._settings.metrics.get(name)
        if metric is None:
            return f"deploy.environments.{self._environment}.metrics does not have it"
        try:
            return self._asked(metric, self._words(arm, release, state))
        except MlgateError as error:
            return str(error)

    def _words(self, arm: Arm, release: Release, state: State) -> dict[str, str]:
        since = max(1, round(state.looked - state.step_began))
        return {
            "arm": arm,
            "slot": release.slot,
            "digest": release.digest,
            "version": release.version,
            "environment": self._environment,
            "seconds": str(since),
        }

    def _asked(self, metric: Metric, words: Mapping[str, str]) -> float:
        if metric.run:
            told = {f"MLGATE_{name.upper()}": value for name, value in words.items()}
            return metrics.command(metrics.filled(metric.run, words), {**self._environ, **told}, self._folder)
        url = metric.prometheus or os.environ.get(URL, "")
        if not url:
            raise MlgateError(f"no Prometheus is named: neither `prometheus` nor {URL} is set")
        return metrics.prometheus(url, metrics.filled(metric.query or "", words), os.environ.get(TOKEN, ""))
