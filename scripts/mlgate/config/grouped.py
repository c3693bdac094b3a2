"""What rules for groups and for costs may say: checks over typed settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from mlgate import parity
from mlgate.config.limits import PARAMETERS, Fairness, Rule, Slices
from mlgate.config.messages import either
from mlgate.config.recomputed import ROWS, decides, lacks, narrowed, rule_findings
from mlgate.config.settings import COSTS, Config, EvaluationSet
from mlgate.config.vocabulary import Finding, Path, closest

_ABSOLUTE = ("threshold", "warn_threshold", "max_absolute_regression", "warn_absolute_regression")
_LIMITS = (*_ABSOLUTE, "max_relative_regression", "warn_relative_regression")


def findings(config: Config) -> Iterator[Finding]:
    """Everything about slices, fairness and costs that could not be judged as it is written."""
    used = {name: one for name, one in config.evaluate.items() if not lacks(config, name)}
    if config.compare.slices:
        yield from _slices(config, config.compare.slices, used)
    if config.compare.fairness:
        yield from _fairness(config.compare.fairness, used)
    yield from _same_edges(config.compare.slices, config.compare.fairness)
    yield from _costs(config)


def _same_edges(slices: Slices | None, fairness: Fairness | None) -> Iterator[Finding]:
    """One column makes the same groups wherever it is named."""
    for column in (slices.edges.keys() & fairness.edges.keys()) if slices and fairness else ():
        if slices and fairness and slices.edges[column] != fairness.edges[column]:
            fix = "Use the same edges in both."
            yield ("compare", "fairness", "edges", column), "is not what `compare.slices.edges` says.", fix


def _slices(config: Config, slices: Slices, used: dict[str, EvaluationSet]) -> Iterator[Finding]:
    at: Path = ("compare", "slices")
    yield from _groups(at, slices, used)
    for key, rule in slices.rules.items():
        below = (*at, "rules", key)
        yield from words(below, rule, _LIMITS, "a slice", taken=("is_", "greater_is_better", *PARAMETERS))
        if rule.estimator(key) is None and not rule.is_:
            fix = "Add `is:` with the estimator's name; `is: row_mean` for a metric of your own."
            yield below, "names no estimator, and a metric of a group has to be recomputed.", fix
        elif used:
            yield from rule_findings(config, below, key, rule, used)


def _fairness(fairness: Fairness, used: dict[str, EvaluationSet]) -> Iterator[Finding]:
    at: Path = ("compare", "fairness")
    yield from _groups(at, fairness, used)
    two = {name: one for name, one in used.items() if "binary" in narrowed(one)}
    if used and not two:
        yield at, "compares decisions between two classes, and no evaluation set has two.", "Remove it."
    if two and not any(decides(evaluation) for evaluation in two.values()):
        name = next(iter(two))
        fix = f"Add `class: <column>`, or `score` and `cut_off`, to `evaluate.{name}.predictions`."
        yield at, f"compares decisions, which `evaluate.{name}.predictions` does not name.", fix
    for key, rule in fairness.rules.items():
        yield from fair((*at, "rules", key), key, rule)


def fair(
    at: Path, key: str, rule: Rule, limits: tuple[str, ...] = parity.LIMITS, of: str = "fairness"
) -> Iterator[Finding]:
    """What one rule of fairness may not say; `limits` are the words that mean something there."""
    known = parity.find(rule.is_ or key)
    if known is None:
        near = closest(rule.is_ or key, [*parity.KNOWN, *parity.ALIASES])
        fix = f"Did you mean `{near}`?" if near else f"Use {either(list(parity.KNOWN))}."
        if rule.is_:
            yield (*at, "is"), f"is `{rule.is_}`, which is no fairness metric that mlgate knows.", fix
        else:
            yield at, "is no fairness metric that mlgate knows.", fix
        return
    yield from words(at, rule, limits, of, taken=("is_", "greater_is_better"))
    yield from _direction(at, rule, greater=known.greater_is_better, name=rule.is_ or key)
    for word in ("threshold", "warn_threshold"):
        value = getattr(rule, word)
        if value is None:
            continue
        if not 0 <= value <= 1:
            yield (
                (*at, word),
                f"is `{value}`, but a {known.kind} of rates lies between 0 and 1.",
                "Write it as a share.",
            )
        elif value == (0 if known.greater_is_better else 1):
            yield (*at, word), f"is `{value}`, which every {known.kind} keeps to.", "Write what is the worst allowed."


def _costs(config: Config) -> Iterator[Finding]:
    for key, rule in config.compare.costs.items():
        at: Path = ("compare", "costs", key)
        if key not in COSTS:
            near = closest(key, list(COSTS))
            fix = f"Did you mean `{near}`?" if near else f"Use {either(COSTS)}, or a rule on your own metric."
            yield at, "is no cost that mlgate measures.", fix
            continue
        yield from words(at, rule, _LIMITS, "a cost", taken=("greater_is_better",))
        yield from _direction(at, rule, greater=False, name=key)
        if config.artifact is None:
            yield at, "has no model to measure.", "Add `artifact: <file or folder>` at the top level."
        elif key != "model_mb" and not any(_scored(one) for one in config.evaluate.values()):
            fix = "Add `score: <command>` or `latency: {predict: module:function}` to an evaluation set."
            yield at, "is measured while the model scores, and nothing says how.", fix
    if not any(key.startswith(("latency", "peak")) for key in config.compare.costs):
        for name, evaluation in config.evaluate.items():
            if evaluation.latency.model_fields_set:
                fix = "Add a rule such as `latency_p95_ms`, or remove it."
                yield ("evaluate", name, "latency"), "has no rule in `compare.costs` that it is measured for.", fix


def _scored(evaluation: EvaluationSet) -> bool:
    return bool(evaluation.score or evaluation.latency.predict)


def _groups(at: Path, section: Slices | Fairness, used: dict[str, EvaluationSet]) -> Iterator[Finding]:
    if not used:
        yield at, f"needs {ROWS}.", "Add them, or remove the section."
    columns = {name for entry in section.by for name in ([entry] if isinstance(entry, str) else entry)}
    for evaluation in used.values():
        if evaluation.columns.id in columns:
            fix = "Name a column whose values many rows share."
            yield (*at, "by"), f"names `{evaluation.columns.id}`, of which every row has its own.", fix
    yield from cuts(at, section)


def cuts(at: Path, section: Slices | Fairness) -> Iterator[Finding]:
    """What the edges of groups may not say."""
    columns = {name for entry in section.by for name in ([entry] if isinstance(entry, str) else entry)}
    for column, edges in section.edges.items():
        below = (*at, "edges", column)
        if column not in columns:
            near = closest(column, sorted(columns))
            yield below, "is no column of `by`.", f"Did you mean `{near}`?" if near else "Add it there, or remove it."
        elif not edges:
            yield below, "is empty.", "Write where one group ends and the next begins: `[18, 40, 65]`."
        elif any(later <= earlier for earlier, later in itertools.pairwise(edges)):
            yield (
                below,
                "is not in ascending order.",
                f"Write `[{', '.join(str(edge) for edge in sorted(set(edges)))}]`.",
            )


def words(at: Path, rule: Rule, limits: tuple[str, ...], of: str, *, taken: tuple[str, ...]) -> Iterator[Finding]:
    """Words of a rule that mean nothing here."""
    if not rule.limits().keys() & set(limits):
        yield at, "has no limit, so it would check nothing.", f"Add {either(limits)}."
    for word, field in type(rule).model_fields.items():
        value: Any = getattr(rule, word)
        if value is not None and word not in {*limits, *taken}:
            yield (*at, field.alias or word), f"means nothing for {of}.", f"Remove it; the limits are {either(limits)}."


def _direction(at: Path, rule: Rule, *, greater: bool, name: str) -> Iterator[Finding]:
    if rule.greater_is_better not in {None, greater}:
        better = "greater" if greater else "lower"
        yield (*at, "greater_is_better"), f"contradicts `{name}`, of which {better} is better.", "Remove the key."
