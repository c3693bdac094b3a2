"""Evidence as OpenMetrics text: for GitLab's metrics report, a push gateway, or anything that reads Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mlgate.model import Check, Evidence, Verdict, Watched
from mlgate.render import arms, escape, layout, timeline, watched

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]

_MOST = 100_000  # samples of one family
_LABEL = 300

_FAMILIES = {
    "mlgate_metric": ("gauge", "Value of a metric that a rule looks at, by the role of the model it was measured on."),
    "mlgate_metric_limit": ("gauge", "Value of the metric at which the verdict of a rule changes."),
    "mlgate_metric_change": ("gauge", "Challenger minus champion; over the champion when the rule is relative."),
    "mlgate_checks": ("gauge", "Checks of a step by their verdict."),
    "mlgate_controls_passed": ("gauge", "Made-up results that the rules judged rightly."),
    "mlgate_controls": ("gauge", "Made-up results that the rules were fed."),
    "mlgate_rollout_weight_percent": ("gauge", "Share of an environment's traffic that the model has at the end."),
    "mlgate_rollout_seconds_to_zero": ("gauge", "From the decision until what was taken away had no traffic."),
    "mlgate_rollout_requests": ("gauge", "Requests of a rollout's looks by arm."),
    "mlgate_rollout_errors": ("gauge", "Errors among them."),
    "mlgate_monitor_alert": ("stateset", "Where a rule about production stands."),
    "mlgate_monitor_reading": ("gauge", "The newest value of a reading of production; shares as fractions, seconds."),
    "mlgate_monitor_reading_end_seconds": (
        "gauge",
        "When the window of that value ended: truth comes late, so performance is of an earlier one.",
    ),
    "mlgate_monitor_limit": ("gauge", "The limit of a reading."),
    "mlgate_monitor_column": ("gauge", "How far a column has moved from the reference profile, by measure."),
    "mlgate_monitor_drifted": ("gauge", "1 for a column that has moved, 0 for one that has not; absent when unknown."),
    "mlgate_monitor_rows": ("gauge", "Rows that were read of the window."),
    "mlgate_monitor_lines": ("gauge", "What else was found in the logs, by what it is."),
    "mlgate_monitor_version_rows": ("gauge", "Rows of the window by version of the model."),
    "mlgate_monitor_window_seconds": ("gauge", "How long the window is."),
    "mlgate_monitor_window_end_seconds": ("gauge", "When the window ended, in seconds since 1970."),
    "mlgate_verdict": ("stateset", "The verdict of a step on a model."),
}


def text(evidences: Sequence[Evidence]) -> str:
    """The exposition, with HELP and TYPE of each family, no label set twice, and EOF at the end."""
    ordered = sorted(evidences, key=lambda e: (e.model, e.kind))
    samples: dict[str, dict[Labels, float]] = {name: {} for name in _FAMILIES}
    for evidence in ordered:
        for family, labels, value in _samples(evidence):
            known = samples[family]
            if len(known) < _MOST:
                known.setdefault(labels, value)
    lines: list[str] = []
    for family, (kind, help_) in _FAMILIES.items():
        if samples[family]:
            lines += [f"# TYPE {family} {kind}", f"# HELP {family} {help_}"]
            lines += [f"{family}{{{_joined(labels)}}} {_number(v)}" for labels, v in samples[family].items()]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _samples(evidence: Evidence) -> Iterator[tuple[str, Labels, float]]:
    model = (("model", evidence.model),)
    for check in evidence.checks:
        if layout.is_rule(check):
            yield from _metric(model, check)
    base = (*model, ("verb", evidence.kind))
    counts = Counter(c.verdict for c in evidence.checks)
    for verdict in Verdict:
        yield "mlgate_checks", (*base, ("verdict", verdict.value)), counts[verdict]
        yield "mlgate_verdict", (*base, ("mlgate_verdict", verdict.value)), evidence.verdict is verdict
    yield from _rollout(evidence, base)
    yield from _monitor(evidence, model)
    if evidence.controls is not None:
        yield "mlgate_controls_passed", base, evidence.controls.passed
        yield "mlgate_controls", base, evidence.controls.total


def _rollout(evidence: Evidence, base: Labels) -> Iterator[tuple[str, Labels, float]]:
    if evidence.kind not in arms.KINDS:
        return
    environment = evidence.facts.get("environment")
    place = (*base, ("environment", environment if isinstance(environment, str) else ""))
    for fact, family in (("weight", "weight_percent"), ("seconds_to_zero", "seconds_to_zero")):
        if isinstance(value := evidence.facts.get(fact), float):
            yield f"mlgate_rollout_{family}", place, value
    found = timeline.course(evidence)
    for arm in timeline.ARMS:
        if found is not None and (seen := found.total(arm)) is not None:
            yield "mlgate_rollout_requests", (*place, ("arm", arm)), seen.requests
            yield "mlgate_rollout_errors", (*place, ("arm", arm)), seen.errors


def _monitor(evidence: Evidence, model: Labels) -> Iterator[tuple[str, Labels, float]]:
    """What production came to. What is unknown has no sample: an old value is never shown as a new one."""
    seen = evidence.watched
    if seen is None:
        return
    place = (*model, ("environment", seen.environment))
    for alert in seen.alerts:
        rule = (*place, ("rule", alert.rule), ("severity", alert.severity))
        for state in ("quiet", "pending", "firing", "recovered", "unknown"):
            yield "mlgate_monitor_alert", (*rule, ("mlgate_monitor_alert", state)), alert.state == state
    for past in seen.history:
        name = (*place, ("name", past.name))
        if past.limit is not None:
            yield "mlgate_monitor_limit", name, past.limit
        if past.at and past.values and past.states and past.states[-1] != "unknown":
            value = past.values[-1]
            end = watched.moment(past.at[-1])
            if value is not None and end is not None:
                yield "mlgate_monitor_reading", name, value
                yield "mlgate_monitor_reading_end_seconds", name, end.timestamp()
    yield from _columns(seen, place)
    yield "mlgate_monitor_rows", place, seen.rows
    for what, count in seen.counts.items():
        yield "mlgate_monitor_lines", (*place, ("what", what)), count
    for version, count in seen.versions.items():
        yield "mlgate_monitor_version_rows", (*place, ("version", version)), count
    first, last = watched.moment(seen.since), watched.moment(seen.until)
    if first is not None and last is not None:
        yield "mlgate_monitor_window_seconds", place, (last - first).total_seconds()
        yield "mlgate_monitor_window_end_seconds", place, last.timestamp()


def _columns(seen: Watched, place: Labels) -> Iterator[tuple[str, Labels, float]]:
    for column in seen.columns:
        which = (*place, ("column", column.name))
        measured = {key: getattr(column, key) for key in watched.NAMES}
        measured |= {"unseen": column.unseen, "out_of_range": column.out_of_range, "noise": column.floor}
        measured |= {"nulls": column.nulls[1] if column.nulls else None}
        for measure, value in measured.items():
            if value is not None:
                yield "mlgate_monitor_column", (*which, ("measure", measure)), value
        if column.state != "unknown":
            yield "mlgate_monitor_drifted", which, column.state == "breached"


def _metric(model: Labels, check: Check) -> Iterator[tuple[str, Labels, float]]:
    metric = (*model, ("metric", check.title))
    rule = (*metric, ("rule", check.id))
    own = {"rollout": "canary", "watch": "production"}.get(check.group, "challenger")
    if isinstance(check.observed, float):
        yield "mlgate_metric", (*metric, ("role", own)), check.observed
    if isinstance(check.champion, float):
        anchor = "anchor" if "anchor" in check.id.rpartition(".")[2] else "champion"
        role = {"rollout": "stable", "watch": "committed"}.get(check.group, anchor)
        yield "mlgate_metric", (*metric, ("role", role)), check.champion
    if check.limit is not None:
        yield "mlgate_metric_limit", rule, check.limit
    if check.change is not None:
        yield "mlgate_metric_change", rule, check.change


def _joined(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    shown = escape.clip(escape.visible(value, newline="\n"), _LABEL)
    return shown.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
