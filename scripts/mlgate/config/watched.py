"""What the keys of `monitor` and `notify` may not say together: a watch that sees nothing, or that nobody hears."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from mlgate import estimators, parity
from mlgate.config import alarmed, grouped, objectives, recomputed
from mlgate.config.limits import PARAMETERS, Fairness, Rule
from mlgate.config.messages import either
from mlgate.config.vocabulary import Finding, Path, closest
from mlgate.config.watching import MEASURES, Drift, Limits, Monitor, Notify, Quiet, Source

if TYPE_CHECKING:
    from mlgate.config.settings import Config, EvaluationSet

_AT: Path = ("monitor",)
_LEARNT = ("drift", "data", "performance", "fairness", "slo")
_SHORTEST = 60  # seconds
_PLACES = ("date", "year", "month", "day", "hour")
_LIVE = (
    "threshold",
    "warn_threshold",
    "max_absolute_regression",
    "warn_absolute_regression",
    "max_relative_regression",
    "warn_relative_regression",
)
_UP_TO_ONE = ("ks", "js", "cramers_v", "nulls", "unseen", "out_of_range")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_HOUR = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def findings(config: Config) -> Iterator[Finding]:
    """Everything about watching that would see nothing, tell nobody, or look like a check and be none."""
    monitor = config.monitor
    if _asked(monitor):
        yield from _whole(config, monitor)
        for key, source in (("logs", monitor.logs), ("truth", monitor.truth)):
            if source is not None:
                yield from _source((*_AT, key), source)
        if monitor.drift is not None:
            yield from _drift(config, monitor.drift)
        yield from _quality(config, monitor)
        yield from _truth(config, monitor)
        yield from _performance(config, monitor)
        if monitor.fairness is not None:
            yield from _fairness(config, monitor, monitor.fairness)
        yield from objectives.findings(monitor)
    yield from alarmed.findings(config)
    yield from _notify(config.notify)


def _asked(monitor: Monitor) -> bool:
    return bool(monitor.model_fields_set)


def evaluation_of(config: Config) -> tuple[str, EvaluationSet] | None:
    """The evaluation set that production is held against; None where several could be meant, or it does not exist."""
    named = config.monitor.performance.evaluation if config.monitor.performance else None
    if named is None:
        return next(iter(config.evaluate.items())) if len(config.evaluate) == 1 else None
    return (named, config.evaluate[named]) if named in config.evaluate else None


def truthful(fairness: Fairness) -> list[str]:
    """The rules that need truth: all but those about decisions alone."""
    known = {key: parity.find(rule.is_ or key) for key, rule in fairness.rules.items()}
    return [key for key, found in known.items() if found is not None and found.rates != ("selection_rate",)]


# --- the section as a whole


def _whole(config: Config, monitor: Monitor) -> Iterator[Finding]:
    there = [key for key in _LEARNT if getattr(monitor, key)]
    read = [key for key in there if key != "slo"]
    if read and monitor.logs is None:
        yield (*_AT, read[0]), "has no log to look at.", "Add `logs: <file or folder>` to `monitor`."
    if monitor.logs is not None and not there:
        fix = f"Add {either(_LEARNT)}, or remove it."
        yield (*_AT, "logs"), "are read, and nothing is measured in them.", fix
    named, known = monitor.environment, config.deploy.environments
    if named is not None and known and named not in known:
        near = closest(named, list(known))
        fix = f"Did you mean `{near}`?" if near else f"Use {either(list(known)) if len(known) > 1 else f'`{named}`'}."
        yield (*_AT, "environment"), f"is `{named}`, which `deploy.environments` does not have.", fix
    if monitor.window < _SHORTEST or monitor.window % 1:
        yield (*_AT, "window"), f"is {monitor.window:f} seconds.", "Write whole seconds, a minute or more: `1 hour`."
    if monitor.history < monitor.window:
        yield (*_AT, "history"), "is shorter than one window.", "Write how far back charts go: `90 days`."


def _source(at: Path, source: Source) -> Iterator[Finding]:
    if bool(source.path) == (source.query is not None):
        said = "names files and a query." if source.path else "does not say where the rows are."
        yield at, said, "Add `path: <file or folder>`, or `query` and `database`." if not source.path else "Keep one."
    if source.query is not None and source.database is None:
        fix = "Add `database: <NAME>`: the variable that holds its address."
        yield (*at, "query"), "is sent to no database.", fix
    if source.database is not None and source.query is None:
        yield (*at, "database"), "is asked nothing.", "Add `query: SELECT ...`, or remove it."
    if source.format is not None and not source.path:
        yield (*at, "format"), "is for files.", "Remove it."
    for number, path in enumerate(source.path):
        for place in dict.fromkeys(re.findall(r"\{([^{}]*)\}", path)):
            if place not in _PLACES:
                near = closest(place, list(_PLACES))
                fix = f"Did you mean `{{{near}}}`?" if near else f"It may hold {either([f'{{{p}}}' for p in _PLACES])}."
                yield (*at, "path", number), f"holds `{{{place}}}`, which stands for nothing.", fix


# --- drift and data


def _drift(config: Config, drift: Drift) -> Iterator[Finding]:
    at: Path = (*_AT, "drift")
    features = _limits(drift) or [word for one in drift.columns.values() for word in _limits(one)]
    if not (features or _limits(drift.prediction) or drift.classifier is not None or drift.share is not None):
        fix = "Add `psi: 0.2`, or another limit; none has a default."
        yield at, "has no limit, so it would check nothing.", fix
    if drift.share is not None and not features:
        yield (*at, "share"), "counts features that drifted, and no feature has a limit.", "Add `psi: 0.2`."
    if drift.share is not None and drift.share >= 1:
        yield (*at, "share"), "is all of them, which nothing would exceed.", "Write a share below 100 %: `30%`."
    yield from _never(at, drift)
    yield from _never((*at, "prediction"), drift.prediction)
    for name, limits in drift.columns.items():
        below = (*at, "columns", name)
        yield from _never(below, limits)
        if name in (drift.ignore or ()):
            yield below, "has limits, and `ignore` names it.", "Remove one of the two."
        elif not _limits(limits):
            yield below, "has no limit, so it would not be looked at.", "Add `psi: 0.2`, or name it in `ignore`."
        else:
            yield from _logged(config, below, name)
    for number, name in enumerate(drift.by or ()):
        yield from _logged(config, (*at, "by", number), name)
    yield from _evidence(config, at, drift)


def _evidence(config: Config, at: Path, drift: Drift) -> Iterator[Finding]:
    if not 0 < drift.alpha <= Decimal("0.5"):
        said = "is 0, so that nothing would ever be drift." if not drift.alpha else "is more than every second run."
        yield (*at, "alpha"), said, "Write the chance of a false alarm in one run: `1%`."
    if drift.classifier is not None:
        if not Decimal("0.5") < drift.classifier < 1:
            fix = "Write an AUC between 0.5 (nothing moved) and 1, such as 0.6."
            yield (*at, "classifier"), f"is {drift.classifier:f}.", fix
        if drift.reference is None and config.train.data is None:
            fix = "Add `reference: <file>` beside it."
            yield (*at, "classifier"), "has no reference data to tell production from.", fix
    elif drift.reference is not None:
        fix = "Add `classifier: 0.6`, or remove it: everything else is measured from the profile."
        yield (*at, "reference"), "is read by `classifier` only.", fix


def _limits(limits: Limits) -> list[str]:
    return [word for word in MEASURES if getattr(limits, word) is not None]


def _never(at: Path, limits: Limits) -> Iterator[Finding]:
    """Limits that nothing could cross."""
    for word in _UP_TO_ONE:
        value = getattr(limits, word)
        if value is not None and value >= 1:
            yield (*at, word), f"is {value.normalize():f}, which nothing would exceed.", "Write a number below 1."


def _logged(config: Config, at: Path, name: str) -> Iterator[Finding]:
    """Of the log that the model's own image writes it is known which features are in it."""
    log = config.serve.log
    if log.features and name not in {*log.features, *log.hashed}:
        near = closest(name, [*log.features, *log.hashed])
        fix = f"Did you mean `{near}`?" if near else "Add it to `serve.log.features`."
        yield at, f"names `{name}`, which `serve.log.features` does not.", fix


def _quality(config: Config, monitor: Monitor) -> Iterator[Finding]:
    if monitor.data is None or monitor.data.contract is not None:
        return
    trained = config.train.data and config.path(config.train.data)
    if not any(file.contract for file in config.data if config.path(file.path) == trained):
        fix = "Add `contract: <file>`, or a `contract` to the data that `train.data` names."
        yield (*_AT, "data"), "has no contract to hold production against.", fix


# --- outcomes


def _truth(config: Config, monitor: Monitor) -> Iterator[Finding]:
    fairness = truthful(monitor.fairness) if monitor.fairness is not None else []
    if monitor.truth is None:
        fix = "Add `truth: {path: <file>, label: <column>}` to `monitor`."
        if monitor.performance is not None:
            yield (*_AT, "performance"), "has no truth to be measured by.", fix
        for key in fairness:
            yield (*_AT, "fairness", "rules", key), "needs truth, which nothing names.", fix
        return
    if monitor.performance is None and not fairness:
        fix = "Add `performance: {rules: {...}}`, or remove it."
        yield (*_AT, "truth"), "is known, and nothing is measured by it.", fix
    for key in ("request_id", "row", "time"):
        if (name := getattr(monitor.truth, key)) == monitor.truth.label:
            yield (*_AT, "truth", key), f"is `{name}`, as is `label`.", "Name another column."
    if monitor.truth.within > monitor.history:
        fix = "Make `within` shorter, or `history` longer."
        yield (*_AT, "truth", "within"), "is longer than `monitor.history`, so nothing of it would be shown.", fix


def _performance(config: Config, monitor: Monitor) -> Iterator[Finding]:
    performance = monitor.performance
    if performance is None:
        return
    at: Path = (*_AT, "performance")
    named = performance.evaluation
    if named is not None and named not in config.evaluate:
        near = closest(named, list(config.evaluate))
        fix = f"Did you mean `{near}`?" if near else f"The sets are {', '.join(f'`{one}`' for one in config.evaluate)}."
        yield (*at, "evaluation"), f"is `{named}`, which `evaluate` does not have.", fix
    elif named is None and len(config.evaluate) > 1:
        sets = either(list(config.evaluate))
        yield at, "does not say which evaluation set it is held against.", f"Add `evaluation:` {sets}."
    found = evaluation_of(config)
    for key, rule in performance.rules.items():
        yield from _live((*at, "rules", key), key, rule, monitor, found)


def _live(
    at: Path, key: str, rule: Rule, monitor: Monitor, found: tuple[str, EvaluationSet] | None
) -> Iterator[Finding]:
    if key.startswith("estimated_"):
        yield at, "is shown, and decides nothing: it is not measured.", f"Write `{key.removeprefix('estimated_')}`."
        return
    for word, field in type(rule).model_fields.items():
        if getattr(rule, word) is not None and word not in {*_LIVE, "is_", "greater_is_better", *PARAMETERS}:
            fix = f"Remove it; the limits are {either(_LIVE)}."
            yield (*at, field.alias or word), "means nothing in production.", fix
    known = rule.estimator(key)
    name = estimators.canonical(rule.is_ or "") or recomputed.named(key)
    if known is None or name is None:
        if not rule.is_:
            fix = "Add `is:` with the estimator's name."
            yield at, "names no estimator, and there is no metrics file of production.", fix
        return
    if known.needs == "row":
        fix = "Measure it in `monitor.metrics`."
        yield at, "is made of values per row, which production does not log.", fix
        return
    for word, must in known.parameters.items():
        if must == "always" and getattr(rule, word) is None:
            yield at, f"is `{name}`, which needs `{word}`.", f"Add `{word}: ...`, as in `compare.rules`."
    if found is not None:
        yield from _fits(at, name, rule, monitor, found)


def _fits(at: Path, name: str, rule: Rule, monitor: Monitor, found: tuple[str, EvaluationSet]) -> Iterator[Finding]:
    known, (set_name, evaluation) = estimators.KNOWN[name], found
    tasks = recomputed.narrowed(evaluation)
    if "ranking" in known.tasks and known.tasks == {"ranking"}:
        yield at, f"is `{name}`, and rankings are not measured in production.", "Remove the rule."
    elif not known.tasks & tasks:
        yield at, f"is `{name}`, which `evaluate.{set_name}` is not for.", "Name another evaluation set, or remove it."
    elif tasks == {"multiclass"} and known.needs in {"score", "probability"}:
        fix = "Use a metric of the decided class, such as `accuracy`."
        yield at, f"is `{name}`, made of a score for each class, and the log has one prediction.", fix
    elif known.needs in {"score", "probability"} and monitor.logs is not None and monitor.logs.fields.score is None:
        yield at, f"is `{name}`, and the log has no score.", "Name it in `monitor.logs.fields.score`."
    several = tasks == {"multiclass"} and "average" in known.parameters and rule.average is None
    if several and known.needs == "class":
        yield at, f"is `{name}`, which needs `average`, as there are several classes.", "Add `average: macro`."


def _fairness(config: Config, monitor: Monitor, fairness: Fairness) -> Iterator[Finding]:
    at: Path = (*_AT, "fairness")
    yield from grouped.cuts(at, fairness)
    for key, rule in fairness.rules.items():
        yield from grouped.fair(
            (*at, "rules", key), key, rule, ("threshold", "warn_threshold"), "fairness in production"
        )
    found = evaluation_of(config)
    if found is not None and "binary" not in recomputed.narrowed(found[1]):
        yield at, f"compares decisions between two classes, and `evaluate.{found[0]}` has not two.", "Remove it."
    for name in dict.fromkeys(name for entry in fairness.by for name in ([entry] if isinstance(entry, str) else entry)):
        yield from _logged(config, (*at, "by"), name)
        if name in fairness.edges and name in config.serve.log.hashed:
            yield (*at, "edges", name), "is of a column that is logged as a hash.", "Log it in `serve.log.features`."


# --- who is told


def _notify(notify: Notify) -> Iterator[Finding]:
    at: Path = ("notify",)
    for name, channel in notify.channels.items():
        here: Path = (*at, "channels", name)
        if not _NAME.fullmatch(name):
            fix = "Use letters, digits, `_` and `-`, starting with a letter or digit, at most 100 characters."
            yield here, "cannot name a channel.", fix
        if (channel.to is None) == (not channel.issue):
            said = "leads nowhere." if channel.to is None else "is an address and an issue."
            yield here, said, "Write `to: <NAME of the variable with the address>`, or `issue: true`."
        for key in ("labels", "assignees"):
            if getattr(channel, key) and not channel.issue:
                yield (*here, key), "are those of an issue.", "Add `issue: true`, or remove them."
    for severity, names in notify.routes.items():
        for number, name in enumerate(names):
            if name not in notify.channels:
                near = closest(name, list(notify.channels))
                fix = f"Did you mean `{near}`?" if near else "Add it to `notify.channels`."
                yield (*at, "routes", severity, number), f"names `{name}`, which is no channel.", fix
    if notify.quiet is not None:
        yield from _quiet((*at, "quiet"), notify.quiet)


def _quiet(at: Path, quiet: Quiet) -> Iterator[Finding]:
    import zoneinfo  # noqa: PLC0415 -- few files name quiet hours

    for key in ("since", "until"):
        if not _HOUR.fullmatch(value := getattr(quiet, key)):
            yield (*at, key), f"is `{value}`, which is no time of day.", 'Write it like "22:00", in quotes.'
    if quiet.since == quiet.until:
        yield (*at, "until"), "is `since`: it would always be quiet, or never.", "Write when the quiet ends."
    try:
        zoneinfo.ZoneInfo(quiet.zone)
    except (KeyError, ValueError, OSError):
        yield (*at, "zone"), f"is `{quiet.zone}`, which is no time zone.", "Write it like `Europe/Berlin`, or `UTC`."
    if quiet.above == "info":
        yield (*at, "above"), "is `info`, so that nothing would be held.", "Write `warn` or `critical`."
