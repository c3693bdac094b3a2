"""What each key may say on its own, but not together with the others: checks over settings that are already typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from mlgate import estimators, parity
from mlgate.config import deployed, grouped, recomputed, shipped, watched
from mlgate.config.limits import Rule
from mlgate.config.settings import Config, DataFile
from mlgate.config.values import SET_NAME_PATTERN
from mlgate.config.vocabulary import Finding, Path, closest

_RELATIVE = ("max_relative_regression", "warn_relative_regression", "min_relative_change")


def findings(config: Config) -> Iterator[Finding]:
    """Everything about these settings that would make a gate that cannot do its work."""
    yield from _paths(config)
    yield from _data(config)
    yield from _scores(config)
    for name in config.evaluate:
        if not re.fullmatch(SET_NAME_PATTERN[1:-1], name):
            fix = "Use letters, digits, `_` and `-`, starting with a letter or digit, at most 100 characters."
            yield ("evaluate", name), "cannot name an evaluation set.", fix
    for at, rule in _rules(config):
        key = str(at[-1])
        yield from _estimator(at, key, rule)
        yield from _limits(at, rule, greater=rule.direction(key))
    for key, rule in config.compare.costs.items():
        yield from _strict(("compare", "costs", key), rule, greater=False)
    for section, fairness in (("compare", config.compare.fairness), ("monitor", config.monitor.fairness)):
        for key, rule in fairness.rules.items() if fairness else ():
            known = parity.find(rule.is_ or key)
            yield from _strict((section, "fairness", "rules", key), rule, greater=known and known.greater_is_better)
    yield from recomputed.findings(config)
    yield from grouped.findings(config)
    yield from shipped.findings(config)
    yield from deployed.findings(config)
    yield from watched.findings(config)
    yield from _anchor(config)
    yield from _elsewhere(config)


def _rules(config: Config) -> Iterator[tuple[Path, Rule]]:
    """Every rule about a metric, and where it stands."""
    for key, rule in config.compare.rules.items():
        yield ("compare", "rules", key), rule
    for name, evaluation in config.evaluate.items():
        for key, rule in evaluation.rules.items():
            yield ("evaluate", name, "rules", key), rule
    for key, rule in config.compare.slices.rules.items() if config.compare.slices else ():
        yield ("compare", "slices", "rules", key), rule
    for key, rule in config.monitor.performance.rules.items() if config.monitor.performance else ():
        yield ("monitor", "performance", "rules", key), rule


def _paths(config: Config) -> Iterator[Finding]:
    for path, value in paths(config):
        joined = config.path(value)
        if joined == ".." or joined.startswith(("../", "/")):
            yield path, f"is `{value}`, outside the repository.", "Only files of this repository are read."
        elif joined == ".":
            yield path, f"is `{value}`, the repository itself.", "Name a file or folder in it."


def paths(config: Config) -> Iterator[tuple[Path, str]]:
    """Every path the file names, as it is written."""
    champion = config.compare.champion
    named: dict[Path, str | list[str] | None] = {
        ("extends",): config.extends,
        ("artifact",): config.artifact,
        ("train", "data"): config.train.data,
        ("train", "requirements"): config.train.requirements,
        ("image", "dockerfile"): config.image.dockerfile,
        ("image", "requirements"): config.image.requirements,
        ("image", "include"): config.image.include,
        ("image", "scan", "ignore"): config.image.scan.ignore,
        ("governance", "card"): config.governance.card,
        ("governance", "data_sheet"): config.governance.data_sheet,
        ("governance", "explain", "report"): config.governance.explain.report,
        ("compare", "champion"): champion.removeprefix("path:") if champion.startswith("path:") else None,
    }
    monitor = config.monitor
    if "profile" in monitor.model_fields_set or monitor.drift:
        named["monitor", "profile"] = monitor.profile
    named["monitor", "drift", "reference"] = monitor.drift.reference if monitor.drift else None
    named["monitor", "data", "contract"] = monitor.data.contract if monitor.data else None
    for index, file in enumerate(config.data):
        for key in ("path", "apart_from", "contract", "reference"):
            named["data", index, key] = getattr(file, key)
    for name, evaluation in config.evaluate.items():
        for key in ("metrics", "data", "labels"):
            named["evaluate", name, key] = getattr(evaluation, key)
        if evaluation.predictions:
            named["evaluate", name, "predictions", "path"] = evaluation.predictions.path
    for at, written in named.items():
        if isinstance(written, list):
            yield from (((*at, number), path) for number, path in enumerate(written))
        elif written:
            yield at, written


_CSV = ("delimiter", "quote", "encoding", "header", "nulls")
_PLACES = ("model", "data", "predictions")
_PLACE = re.compile(r"(?<!\$)\{([A-Za-z_]+)\}")


def _data(config: Config) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, file in enumerate(config.data):
        at: Path = ("data", index)
        first = seen.setdefault(config.path(file.path), index)
        if first != index:
            yield (*at, "path"), f"is `{file.path}`, as in data[{first}].", "Write one entry for each data file."
        yield from _itself(config, at, file)
        if file.apart_from and not (file.apart_by or file.id):
            fix = "Add `apart_by: <column>`, such as the person, or `id`."
            yield (*at, "apart_from"), "does not say by what rows are told apart.", fix
        if file.apart_by and not file.apart_from:
            yield (
                (*at, "apart_by"),
                "has no `apart_from`, so it would check nothing.",
                "Name the other data, or remove it.",
            )
        if file.reference and not file.contract:
            fix = "Add a `contract` with `drift` limits, or remove it."
            yield (*at, "reference"), "has no `contract` that measures from it.", fix
        given = [key for key in _CSV if key in file.read.model_fields_set]
        if file.read.format in {"parquet", "jsonl"} and given:
            yield (*at, "read", given[0]), f"is for CSV files, but the format is `{file.read.format}`.", "Remove it."


def _itself(config: Config, at: Path, file: DataFile) -> Iterator[Finding]:
    """What a data file is held against cannot be the file."""
    own = config.path(file.path)
    others: list[tuple[Path, str]] = [
        ((*at, "apart_from", number), other) for number, other in enumerate(file.apart_from)
    ]
    others += [((*at, key), named) for key in ("contract", "reference") if (named := getattr(file, key))]
    for path, other in others:
        if config.path(other) == own:
            yield path, "is the data file itself.", "Name another file, or remove it."


def _scores(config: Config) -> Iterator[Finding]:
    for name, evaluation in config.evaluate.items():
        if evaluation.score is None:
            continue
        at: Path = ("evaluate", name, "score")
        for place in dict.fromkeys(_PLACE.findall(evaluation.score)):
            if place not in _PLACES:
                near = closest(place, list(_PLACES))
                fix = f"Did you mean `{{{near}}}`?" if near else "It may hold `{model}`, `{data}` and `{predictions}`."
                yield at, f"holds `{{{place}}}`, which stands for nothing.", fix
        if evaluation.predictions is None:
            fix = "Add `predictions: {path: <file>}`: what the command writes."
            yield at, "has no `predictions` to be compared with.", fix
        if config.artifact is None:
            yield at, "has no model to score with.", "Add `artifact: <file or folder>` at the top level."
        if evaluation.data is None and "{data}" in evaluation.score:
            yield at, "holds `{data}`, but the evaluation set has no `data`.", "Add `data: <file>` beside it."


def _estimator(at: Path, key: str, rule: Rule) -> Iterator[Finding]:
    known = rule.estimator(key)
    if rule.is_ and known is None:
        names = [*estimators.KNOWN, *estimators.ALIASES]
        near = closest(rule.is_, names)
        guess = f"Did you mean `{near}`? " if near else ""
        fix = f"{guess}For a metric of your own leave `is` out and say `greater_is_better`."
        yield (*at, "is"), f"is `{rule.is_}`, which is not an estimator that mlgate knows.", fix
    elif rule.direction(key) is None and known:
        fix = "Add `greater_is_better: true` or `false`."
        yield at, f"is `{rule.is_ or key}`, of which only you know which way is better.", fix
    elif rule.direction(key) is None and at[:2] != ("compare", "slices"):
        fix = "Add `greater_is_better: true` or `false`, or `is:` with the estimator's name."
        yield at, "does not say which way is better.", fix
    elif (
        known and known.greater_is_better is not None and rule.greater_is_better not in {None, known.greater_is_better}
    ):
        name = rule.is_ or key
        better = "greater" if known.greater_is_better else "lower"
        yield (*at, "greater_is_better"), f"contradicts `{name}`, of which {better} is better.", "Remove the key."
    if known and known.signed:
        for word in _RELATIVE:
            if getattr(rule, word) is not None:
                yield (
                    (*at, word),
                    f"makes no sense for `{rule.is_ or key}`, which can be zero or negative.",
                    f"Use `{word.replace('relative', 'absolute')}`.",
                )


def _limits(at: Path, rule: Rule, *, greater: bool | None) -> Iterator[Finding]:
    if rule.limits():
        yield from _strict(at, rule, greater=greater)
    elif at[:2] != ("compare", "slices"):  # where fewer limits have a meaning
        yield (
            at,
            "has no limit, so it would check nothing.",
            "Add `threshold`, `max_absolute_regression` or another limit.",
        )


def _strict(at: Path, rule: Rule, *, greater: bool | None) -> Iterator[Finding]:
    """Limits that could never fail, or never warn."""
    if greater is not None and rule.threshold is not None and rule.warn_threshold is not None:
        stricter = rule.warn_threshold > rule.threshold if greater else rule.warn_threshold < rule.threshold
        if not stricter:
            fix = f"Set it {'above' if greater else 'below'} `threshold`, or remove it."
            yield (*at, "warn_threshold"), "is not stricter than `threshold`, so it would never warn.", fix
    for kind in ("absolute", "relative"):
        yield from _warns_first(at, rule, kind)
    if greater and rule.max_relative_regression is not None and rule.max_relative_regression >= Decimal(1):
        fix = "Write the share of the champion's value that may be lost, for example `2%`."
        yield (*at, "max_relative_regression"), "is 100 % or more, so it could never fail.", fix


def _warns_first(at: Path, rule: Rule, kind: str) -> Iterator[Finding]:
    fails: Decimal | None = getattr(rule, f"max_{kind}_regression")
    warns: Decimal | None = getattr(rule, f"warn_{kind}_regression")
    if fails is not None and warns is not None and warns >= fails:
        fix = "Make it smaller, or remove it."
        yield (*at, f"warn_{kind}_regression"), f"is not below `max_{kind}_regression`, so it would never warn.", fix


def _anchor(config: Config) -> Iterator[Finding]:
    elsewhere = (("compare", "slices"), ("monitor", "performance"))
    measured = [(at, rule) for at, rule in _rules(config) if at[:2] not in elsewhere]
    users = [at for at, rule in measured if rule.max_anchor_regression is not None]
    if config.compare.anchor is None:
        for at in users:
            fix = "Add `compare.anchor` with a git tag or commit."
            yield (*at, "max_anchor_regression"), "has no anchor to be measured from.", fix
    elif measured and not users:
        fix = "Remove it, or add `max_anchor_regression` to a rule."
        yield ("compare", "anchor"), "is named, but no rule is measured from it.", fix


_USER = re.compile(r"[a-z+]+://[^/@\s]+@", re.IGNORECASE)


def _elsewhere(config: Config) -> Iterator[Finding]:
    """What concerns other places than the model's own files."""
    without = all(recomputed.lacks(config, name) for name in config.evaluate)
    if config.compare.policy.not_comparable == "rescore" and without:
        fix = f"It needs {recomputed.ROWS}; or write `inconclusive`."
        yield ("compare", "policy", "not_comparable"), "is `rescore`, but no evaluation set has rows to score.", fix
    if config.ledger.remote and _USER.match(config.ledger.remote) and not config.ledger.remote.startswith("ssh:"):
        fix = "Leave the user out: git asks the job's own credentials."
        yield ("ledger", "remote"), "holds a user or password, which everybody who can read this file would know.", fix
