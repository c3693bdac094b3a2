"""What rules of a rollout may not say: those that nothing would break, or nothing could prove, gate nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlgate.config import asking
from mlgate.config.conditions import KNOWN, Condition, leaves
from mlgate.config.deploying import Environment
from mlgate.config.vocabulary import Finding, Path, closest

if TYPE_CHECKING:
    from mlgate.config.settings import Config
_ARMS = ("{arm}", "{slot}", "{digest}", "{version}")
_JUDGED = ("canary", "rolling")


def findings(config: Config, at: Path, environment: Environment) -> Iterator[Finding]:
    """Of one environment, which stands at `at`."""
    strategy, rules = environment.strategy, environment.rules
    if strategy == "canary" and not rules:
        fix = "Add `rules: [error_rate <= 1.5x stable]`."
        yield at, "is a canary without `rules`, which nothing would judge.", fix
    if rules and strategy not in _JUDGED:
        fix = "Write `strategy: canary`, or remove them."
        yield (*at, "rules"), f"are asked while two models answer, which they do not with `{strategy}`.", fix
    commands = environment.target.commands
    if rules and commands is not None and commands.observe is None:
        fix = "Add `observe: <command>`, which prints what happened."
        yield (*at, "target", "commands"), "have no `observe`, without which no rule can be judged.", fix
    seen: set[str] = set()
    for index, tree in enumerate(rules):
        for rule in leaves(tree):
            here: Path = (*at, "rules", index)
            if rule.text in seen:
                yield here, f"says `{rule.text}`, which stands there already.", "Remove one."
            seen.add(rule.text)
            yield from _known(here, rule, environment)
            yield from _sense(here, rule)
            if rule.periods * environment.step.period > environment.step.at_most:
                fix = "Ask for fewer periods, or let a step take longer."
                yield here, f"says `{rule.text}`, which takes longer than a step may (`at_most`).", fix
            if rule.metric == "prediction_shift" and config.serve.log.to != "stdout":
                fix = "Write `serve: {log: {to: stdout}}`, or remove the rule."
                yield here, "asks for scores, which are read from the log of predictions on stdout.", fix
    yield from _metrics(at, environment)


def _known(at: Path, rule: Condition, environment: Environment) -> Iterator[Finding]:
    if rule.metric in KNOWN or rule.metric in environment.metrics:
        return
    near = closest(rule.metric, [*KNOWN, *environment.metrics])
    fix = f"Did you mean `{near}`?" if near else "Name it in `metrics`, with a `query` or a `run`."
    yield at, f"names `{rule.metric}`, which nobody measures.", fix


def _sense(at: Path, rule: Condition) -> Iterator[Finding]:
    if rule.metric not in KNOWN:
        return
    if rule.operator not in ("<=", "<"):
        fix = f"Write `{rule.text.replace('>=', '<=').replace('>', '<')}`."
        yield at, f"says `{rule.text}`, and more of that is never better.", fix
        return
    slow = rule.metric.startswith("latency_")
    wrong = rule.unit in (("%",) if slow else ("ms", "s"))
    missing = slow and rule.kind != "times" and not rule.unit and rule.number
    if wrong or missing:
        fix = f"Write it like `{rule.metric} <= 200 ms`." if slow else f"Write it like `{rule.metric} <= 1%`."
        said = f"in `{rule.unit}`" if wrong else "without a unit"
        yield at, f"says `{rule.text}`: {'a time' if slow else 'a share'} is not given {said}.", fix
    elif rule.metric == "prediction_shift" and rule.kind != "absolute":
        fix = "Write a number, such as `prediction_shift <= 0.1`."
        yield at, "compares with stable twice: the shift is the distance from stable's scores.", fix
    else:
        yield from _limit(at, rule, slow=slow)


def _limit(at: Path, rule: Condition, *, slow: bool) -> Iterator[Finding]:
    never = "which nothing can prove: no canary would ever be promoted."
    if rule.kind == "absolute":
        if not slow and rule.number >= 1:
            yield at, f"says `{rule.text}`, which nothing would break.", "Write a share below 100 %, such as `1%`."
        elif rule.number <= 0:
            yield at, f"says `{rule.text}`, {never}", "Leave some room: `<= 0.1%`." if not slow else "Leave some room."
    elif rule.kind == "times" and rule.number <= 1:
        yield at, f"says `{rule.text}`, {never}", f"Leave a margin: `{rule.metric} <= 1.5x stable`."
    elif rule.kind == "beside" and rule.number <= 0:
        more = "50 ms" if slow else "0.2%"
        yield at, f"says `{rule.text}`, {never}", f"Leave a margin: `{rule.metric} <= stable + {more}`."
    elif rule.kind == "beside" and not slow and rule.number >= 1:
        yield at, f"says `{rule.text}`, which nothing would break.", "Write it like `error_rate <= stable + 0.2%`."


def _metrics(at: Path, environment: Environment) -> Iterator[Finding]:
    against = {rule.metric for tree in environment.rules for rule in leaves(tree) if rule.against_stable}
    for name, metric in environment.metrics.items():
        here: Path = (*at, "metrics", name)
        yield from asking.findings(here, metric, taken=name in KNOWN)
        if metric.query is not None and name in against and not any(word in metric.query for word in _ARMS):
            fix = "Name the arm in it: `{slot}`, `{digest}`, `{version}` or `{arm}`."
            yield (*here, "query"), "asks the same of both models, and a rule compares them.", fix
