"""What rules of `monitor`, and `retrain`, may not say: those that nothing could raise, and those that never rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING

from mlgate.config.alarms import Alarm, When, leaves
from mlgate.config.objectives import SHARES, TIMES
from mlgate.config.vocabulary import Finding, Path, closest
from mlgate.config.watching import MEASURES, AlarmRule, Monitor

if TYPE_CHECKING:
    from mlgate.config.settings import Config

SECTIONS = ("drift", "data", "performance", "fairness", "slo")  # each has a rule of its name
ALONE = (*SECTIONS, "prediction_drift")  # what a rule without `when` may be named after
_COUNTS = ("contract_failures", "drifted_columns", "requests")
_TO_ONE = ("drift_share", "truth_share", "classifier_auc", *SHARES)
_TO_ONE_OF = ("ks", "js", "cramers_v", "nulls", "unseen", "out_of_range")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_MANY = 20_000  # ways to fill in a sentence that are tried
Filled = Mapping[Alarm, bool]


def findings(config: Config) -> Iterator[Finding]:
    """About `monitor.rules` and `retrain`."""
    for name, rule in config.monitor.rules.items():
        at: Path = ("monitor", "rules", name)
        if not _NAME.fullmatch(name):
            fix = "Use letters, digits, `_` and `-`, starting with a letter or digit, at most 100 characters."
            yield at, "cannot name a rule.", fix
        yield from _rule(config, at, name, rule)
    yield from _retrain(config)


def there(monitor: Monitor) -> tuple[str, ...]:
    """The sections that are there."""
    return tuple(name for name in SECTIONS if getattr(monitor, name))


def _rule(config: Config, at: Path, name: str, rule: AlarmRule) -> Iterator[Finding]:
    monitor = config.monitor
    if rule.when is None:
        if name in SECTIONS and name not in there(monitor):
            yield at, "is named after a section that is not there.", f"Add `{name}:` to `monitor`, or a `when:`."
        elif name not in ALONE:
            near = closest(name, list(ALONE))
            yield at, "does not say when.", f"Did you mean `{near}`?" if near else "Add `when: drift_share > 30%`."
        else:
            yield from _alone(monitor, at, name)
        return
    here: Path = (*at, "when")
    wrong = False
    for alarm in leaves(rule.when):
        for finding in _sentence(config, here, alarm):
            wrong = True
            yield finding
    if not wrong:
        yield from _possible(here, rule.when)


# -- one sentence -----------------------------------------------------------------------------------------------------


def _sentence(config: Config, at: Path, alarm: Alarm) -> Iterator[Finding]:
    name = alarm.reading
    if name.startswith("estimated_"):
        said = f"names `{name}`, which is shown and decides nothing."
        yield at, said, f"Write `{name.removeprefix('estimated_')}`, which is measured when truth is there."
    elif alarm.operator is None:
        yield from _alone(config.monitor, at, name)
    elif name in ALONE and not _own(config.monitor, name):
        said = f"says `{alarm.text}`, and `{name}` is no number."
        yield at, said, f"Write `{name}` alone: it asks whether a limit was crossed."
    else:
        yield from _measured(config, at, name)
        yield from _unit(at, alarm)


def _own(monitor: Monitor, name: str) -> bool:
    """A number of the user's, or a metric."""
    return name in monitor.metrics or name in _performance(monitor)


def _performance(monitor: Monitor) -> list[str]:
    return list(monitor.performance.rules) if monitor.performance else []


def _objectives(monitor: Monitor) -> list[str]:
    return [text.split()[0].rstrip("<>=") for text in monitor.slo if text.split()]


def _alone(monitor: Monitor, at: Path, name: str) -> Iterator[Finding]:
    """A word alone asks for a limit of its own."""
    if name in SECTIONS:
        if name not in there(monitor):
            yield at, f"names `{name}`, which is not there.", f"Add `{name}:` to `monitor`."
        return
    drift = monitor.drift
    if name == "prediction_drift":
        if drift is None or not any(getattr(drift.prediction, word) is not None for word in MEASURES):
            yield at, "asks for limits of the prediction, and there is none.", "Add `drift: {prediction: {psi: 0.1}}`."
        return
    word, _, column = name.partition(".")
    fix = f"Say how much: `{name} > 0.2`."
    limited = (*_performance(monitor), *_objectives(monitor))
    if word in MEASURES and column and drift is not None:
        own = drift.prediction if column in ("prediction", "score") else drift.columns.get(column, drift)
        if getattr(own, word) is None:
            yield at, f"asks whether `{name}` crossed its limit, and it has none.", fix
    elif name in ("drift_share", "classifier_auc") and drift is not None:
        if (drift.share if name == "drift_share" else drift.classifier) is None:
            yield at, f"asks whether `{name}` crossed its limit, and it has none.", fix
    elif name in limited or _fair(monitor, name):
        return
    elif name in (*monitor.metrics, *_TO_ONE) or (name in _COUNTS and name != "contract_failures"):
        yield at, f"asks whether `{name}` crossed its limit, and it has none.", fix
    elif monitor.data is None or word in MEASURES:  # else an expectation's own name
        yield at, f"names `{name}`, which nobody measures.", _near(monitor, name)


def _fair(monitor: Monitor, name: str) -> bool:
    fairness = monitor.fairness
    return fairness is not None and any(name.startswith(f"{key}.") for key in fairness.rules)


def _measured(config: Config, at: Path, name: str) -> Iterator[Finding]:
    monitor = config.monitor
    word, _, column = name.partition(".")
    if word in MEASURES and column:
        if monitor.drift is None:
            yield at, f"names `{name}`, and nothing looks for drift.", f"Add `drift: {{{word}: 0.2}}` to `monitor`."
        elif column in (monitor.drift.ignore or ()):
            yield at, f"names `{name}`, and `drift.ignore` leaves `{column}` out.", "Remove one of the two."
        else:
            yield from _column(config, at, column)
        return
    by_section = {
        "drifted_columns": monitor.drift,
        "drift_share": monitor.drift,
        "classifier_auc": monitor.drift and monitor.drift.classifier,
        "contract_failures": monitor.data,
        "truth_share": monitor.truth,
    }
    if name in by_section:
        if by_section[name] is None:
            lacking = {"classifier_auc": "drift.classifier", "contract_failures": "data", "truth_share": "truth"}
            fix = f"Add `{lacking.get(name, 'drift')}` to `monitor`."
            yield at, f"names `{name}`, which nobody measures.", fix
    elif name in (*TIMES, *SHARES, "requests") and name not in _objectives(monitor) and name not in monitor.metrics:
        fix = f"Add what has to hold of it to `slo`, such as `{name} <= {'100 ms' if name in TIMES else '1%'}`."
        yield at, f"names `{name}`, which no objective of `slo` does.", fix
    elif not (
        name in (*_performance(monitor), *monitor.metrics, *_objectives(monitor))
        or _fair(monitor, name)
        or monitor.data is not None  # an expectation's own name
    ):
        yield at, f"names `{name}`, which nobody measures.", _near(monitor, name)


def _column(config: Config, at: Path, column: str) -> Iterator[Finding]:
    """Of the log that the model's own image writes it is known which features are in it."""
    log = config.serve.log
    known = [*log.features, *log.hashed]
    if log.features and column not in (*known, "prediction", "score"):
        near = closest(column, known)
        fix = f"Did you mean `{near}`?" if near else "Add it to `serve.log.features`."
        yield at, f"names `{column}`, which `serve.log.features` does not.", fix


def _near(monitor: Monitor, name: str) -> str:
    known = [*ALONE, *_COUNTS, *_TO_ONE, *TIMES, *_performance(monitor), *monitor.metrics]
    near = closest(name, known)
    if not near and (word := closest(name.partition(".")[0], list(MEASURES))) and "." in name:
        near = f"{word}.{name.partition('.')[2]}"
    if near and near != name:
        return f"Did you mean `{near}`?"
    return "Readings are `psi.<column>` and the like, `drift_share`, a metric of `performance`, a name of `metrics`."


def _unit(at: Path, alarm: Alarm) -> Iterator[Finding]:
    name, word = alarm.reading, alarm.reading.partition(".")[0]
    if name in TIMES and alarm.unit not in ("ms", "s"):
        yield at, f"says `{alarm.text}`: a time is not given so.", f"Write it like `{name} > 100 ms`."
    elif alarm.unit in ("ms", "s") and (name in (*_TO_ONE, *_COUNTS) or word in MEASURES):
        yield at, f"says `{alarm.text}`: it is no time.", f"Write it like `{name} > 0.2`."


# -- whether it can be so, and not so ---------------------------------------------------------------------------------


def _possible(at: Path, when: When) -> Iterator[Finding]:
    if filled(when, so=True) is None:
        yield at, "can never be so: nothing would ever be raised.", "Look at its limits, and at `any` and `all`."
    elif filled(when, so=False) is None:
        yield at, "is always so: it would never rest.", "Look at its limits, and at `any` and `all`."


def filled(when: When, *, so: bool) -> Filled | None:
    """What each sentence in it has to come to for the whole to be so, or not so; None where that cannot be.

    Sentences about one reading are held against the same number. Where there are very many ways, the first are tried.
    """
    by_reading: dict[str, list[Alarm]] = {}
    for alarm in dict.fromkeys(leaves(when)):
        by_reading.setdefault(alarm.reading if alarm.operator else f"{alarm.reading} alone", []).append(alarm)
    ways = [_ways(alarms) for alarms in by_reading.values()]
    if prod(len(one) for one in ways) > _MANY:  # each sentence for itself, as far as it can
        ways = [[max(one, key=lambda way: sum(way.values()) * (1 if so else -1))] for one in ways]
    for choice in product(*ways):
        whole = {alarm: is_so for one in choice for alarm, is_so in one.items()}
        if _truth(when, whole) == so:
            return whole
    return None


def _ways(alarms: list[Alarm]) -> list[dict[Alarm, bool]]:
    """What sentences about one reading can come to together."""
    if alarms[0].operator is None:
        return [{alarms[0]: is_so} for is_so in (True, False)]
    found = [{alarm: holds(alarm, value) for alarm in alarms} for value in _tried(alarms)]
    return [one for at, one in enumerate(found) if one not in found[:at]]


def value_of(alarms: list[Alarm], whole: Filled) -> float:
    """A number at which these sentences about one reading come to what they are filled in with; 0 for none."""
    so = (value for value in _tried(alarms) if all(holds(one, value) == whole[one] for one in alarms)) if alarms else ()
    return float(next(iter(so), 0))


def _tried(alarms: list[Alarm]) -> list[Decimal]:
    """Numbers below, at, between and above the limits, as far as the reading can have them."""
    limits = sorted({alarm.number for alarm in alarms if alarm.number is not None})
    values = [limits[0] - 1, *limits, *((one + other) / 2 for one, other in pairwise(limits)), limits[-1] + 1]
    low, high = _domain(alarms[0].reading)
    inside = [value for value in (low, high, *values) if value is not None]
    return [v for v in inside if (low is None or v >= low) and (high is None or v <= high)]


def _domain(name: str) -> tuple[Decimal | None, Decimal | None]:
    word = name.partition(".")[0]
    if name in _TO_ONE or (word in _TO_ONE_OF and "." in name):
        return Decimal(0), Decimal(1)
    if name in (*TIMES, *_COUNTS) or (word in MEASURES and "." in name):
        return Decimal(0), None
    return None, None


def holds(alarm: Alarm, value: Decimal) -> bool:
    """Whether a sentence with a number is so."""
    limit = alarm.number or Decimal(0)
    return {"<=": value <= limit, "<": value < limit, ">=": value >= limit, ">": value > limit}[alarm.operator or ">"]


def _truth(when: When, whole: Filled) -> bool:
    if isinstance(when, Alarm):
        return whole[when]
    return (any if when.how == "any" else all)(_truth(one, whole) for one in when.of)


# -- retraining -------------------------------------------------------------------------------------------------------


def _retrain(config: Config) -> Iterator[Finding]:
    retrain, at = config.retrain, ("retrain",)
    dispatch, here = retrain.dispatch, ("retrain", "dispatch")
    if dispatch.by == "command" and dispatch.run is None:
        yield here, "is `by: command`, and there is none.", "Add `run: <command>`."
    for key, by in (("run", "command"), ("workflow", "workflow"), ("event", "repository")):
        if key in dispatch.model_fields_set and getattr(dispatch, key) is not None and dispatch.by != by:
            yield (*here, key), f"is used by `by: {by}` only.", f"Write `by: {by}`, or remove it."
    if "ref" in dispatch.model_fields_set and dispatch.by not in ("workflow", "pipeline"):
        yield (*here, "ref"), f"is not used by `by: {dispatch.by}`.", "Remove it."
    if dispatch.by == "workflow" and not re.fullmatch(r"[^/\s]+\.ya?ml", dispatch.workflow):
        fix = "Write the name of a file in .github/workflows, such as `model-retrain.yml`."
        yield (*here, "workflow"), f"is `{dispatch.workflow}`, which is no file of a workflow.", fix
    if retrain.launcher is not None and "{command}" not in retrain.launcher:
        yield (*at, "launcher"), "does not run the training.", "Say where: `ssh gpu1 {command}`."
    if retrain.group is not None and not _NAME.fullmatch(retrain.group):
        fix = "Use letters, digits, `_` and `-`, starting with a letter or digit, at most 100 characters."
        yield (*at, "group"), f"is `{retrain.group}`, which cannot name a group.", fix
    if retrain.every is not None and retrain.every < retrain.cooldown:
        fix = f"Write a longer `every`, or a `cooldown` of at most {retrain.every:f} seconds."
        yield (*at, "every"), "is shorter than `cooldown`, which holds it back.", fix
    if retrain.per_day < retrain.at_once:
        fix = "Allow as many in a day as at once, or more."
        yield (*at, "at_once"), f"is {retrain.at_once}, and `per_day` only {retrain.per_day}.", fix


__all__ = ["ALONE", "SECTIONS", "filled", "findings", "holds", "there", "value_of"]
