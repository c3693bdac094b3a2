"""Alerting rules for Prometheus, from `monitor` of mlgate.yaml.

What a rule of `monitor` asks, and for how many windows, `mlgate monitor` has decided with known error rates: Prometheus
only passes that on (`mlgate_monitor_alert`), and says when there is nothing to pass on. Objectives about latency and
errors are asked of the server itself as well, between two runs of the monitor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mlgate.config.alarms import Alarm, Alarms, When, parse
from mlgate.config.watching import AlarmRule, Monitor
from mlgate.render.dashboards.promql import literal, matched, quoted, seconds
from mlgate.watch.rules import all_rules, sentence

_HEAD = "# Written by `mlgate report --dashboards`, from `monitor` of mlgate.yaml. Write it again when that changes.\n"
_RATE = "5m"  # over which a server's rates are taken
_FOR = "10m"  # how long they have to be so
_QUANTILE = re.compile(r"latency_p([0-9]{2})\Z")
_OPPOSITE = {"<=": ">", "<": ">=", ">=": "<", ">": "<="}
_MISSED = 2  # windows without a run before somebody is told


class Watching(NamedTuple):
    """One model, and how it is watched."""

    model: str
    environment: str
    monitor: Monitor


def text(models: Sequence[Watching]) -> str:
    """A file for `rule_files` of prometheus.yml. Raises MlgateError for a rule that says nothing."""
    import yaml  # noqa: PLC0415 -- nothing else here needs it

    groups = [
        {"name": f"mlgate {one.model} {one.environment}", "rules": list(_rules(one))}
        for one in sorted(models, key=lambda one: (one.model, one.environment))
    ]
    return _HEAD + str(yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=10_000))


def _rules(one: Watching) -> Iterator[dict[str, Any]]:
    place = {"model": one.model, "environment": one.environment}
    for name, rule in all_rules(one.monitor).items():
        yield _fires(name, rule, place)
    worst = _worst(one.monitor)
    unknown = matched("mlgate_monitor_alert", place, 'mlgate_monitor_alert="unknown"')
    yield _rule(
        "MlgateUnknown", f"{unknown} == 1", {"severity": "warn", **place},
        f"{literal(one.model)}: the rule {{{{ $labels.rule }}}} could not be answered",
        "Too few rows, or something that could not be read: the report of `mlgate monitor` says what.",
    )  # fmt: skip
    end = matched("mlgate_monitor_window_end_seconds", place)
    late = float(one.monitor.lag + (1 + _MISSED) * one.monitor.window)
    yield _rule(
        "MlgateStale", f"time() - {end} > {late:.0f}", {"severity": worst, **place},
        f"{literal(one.model)}: nothing was read of {literal(one.environment)} for {seconds(late)}",
        "`mlgate monitor` has not run, or could not read the logs: nobody watches this model.",
    )  # fmt: skip
    yield _rule(
        "MlgateMissing", f"absent({end})", {"severity": worst, **place},
        f"{literal(one.model)}: there are no readings of {literal(one.environment)}",
        "`metrics.txt` of `mlgate monitor` does not reach this Prometheus.",
        lasting="1h",
    )  # fmt: skip
    yield from _objectives(one, place)


def _fires(name: str, rule: AlarmRule, place: Mapping[str, str]) -> dict[str, Any]:
    firing = matched("mlgate_monitor_alert", {**place, "rule": name}, 'mlgate_monitor_alert="firing"')
    asked = f"{said(sentence(name, rule))}, in {rule.for_} windows" if rule.for_.n > 1 else said(sentence(name, rule))
    then = [f"Asked: {asked}.", rule.message or "", "A successor is proposed." if rule.retrain else ""]
    return _rule(
        f"Mlgate{camel(name)}", f"{firing} == 1", {"severity": rule.severity, **place, "rule": name},
        f"{literal(place['model'])}: {literal(name)} fires in {literal(place['environment'])}",
        literal(" ".join(part for part in then if part)),
    )  # fmt: skip


def _objectives(one: Watching, place: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Of the server: latency, errors, availability. What only the logs or your own numbers say, the monitor says."""
    rule = one.monitor.rules.get("slo", AlarmRule())
    for text in one.monitor.slo:
        alarm = parse(text)
        if not isinstance(alarm, Alarm) or alarm.operator is None or alarm.number is None:
            continue
        asked = _of_server(alarm.reading, place)
        if asked:
            yield _rule(
                f"MlgateService{camel(alarm.reading)}",
                f"{asked} {_OPPOSITE[alarm.operator]} {alarm.number.normalize():f}",
                {"severity": rule.severity, **place, "rule": "slo"},
                f"{literal(one.model)}: {literal(alarm.text)} does not hold now",
                "As the server says, over the last 5 minutes; it is {{ $value | humanize }}. "
                "`mlgate monitor` judges whole windows of the log.",
                lasting=_FOR,
            )


def _of_server(reading: str, place: Mapping[str, str]) -> str:
    model = {"model": place["model"]}
    # Its numbers carry model and version; where it runs, `mlgate_model_info` of the same server says.
    here = f" and on (job, instance) {matched('mlgate_model_info', place)}"
    if found := _QUANTILE.match(reading):
        rate = f"rate({matched('mlgate_request_seconds_bucket', model)}[{_RATE}])"
        return f"histogram_quantile(0.{found[1]}, sum by (le) ({rate}{here}))"
    every = f"sum(rate({matched('mlgate_requests_total', model)}[{_RATE}]){here})"
    failed = f"sum(rate({matched('mlgate_requests_total', model, 'status=~' + quoted('5..'))}[{_RATE}]){here})"
    share = f"(({failed} or vector(0)) / {every})"
    return {"error_rate": share, "availability": f"(1 - {share})"}.get(reading, "")


def _rule(
    name: str, expression: str, labels: Mapping[str, str], summary: str, description: str, *, lasting: str = ""
) -> dict[str, Any]:
    made: dict[str, Any] = {"alert": name, "expr": expression}
    if lasting:
        made["for"] = lasting
    labelled = {key: literal(value) for key, value in labels.items()}
    return made | {"labels": labelled, "annotations": {"summary": summary, "description": description}}


def _worst(monitor: Monitor) -> str:
    order = ("info", "warn", "critical")
    return max((rule.severity for rule in all_rules(monitor).values()), key=order.index, default="warn")


def said(when: When) -> str:
    """`drift_share > 30% and (auc < 0.7 or error_rate > 1%)`."""
    if isinstance(when, Alarms):
        word = " and " if when.how == "all" else " or "
        return word.join(f"({said(one)})" if isinstance(one, Alarms) else said(one) for one in when.of)
    return when.text if when.operator else f"{when.reading} beyond its own limits"


def camel(name: str) -> str:
    """`latency_p95` as `LatencyP95`: Prometheus's own form."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name)) or "Rule"
