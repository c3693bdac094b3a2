"""Evidence as OpenMetrics text: for GitLab's metrics report, a push gateway, or anything that reads Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mlgate.model import Check, Evidence, Verdict
from mlgate.render import arms, escape, layout, timeline

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


def _metric(model: Labels, check: Check) -> Iterator[tuple[str, Labels, float]]:
    metric = (*model, ("metric", check.title))
    rule = (*metric, ("rule", check.id))
    rolled = check.group == "rollout"
    if isinstance(check.observed, float):
        yield "mlgate_metric", (*metric, ("role", "canary" if rolled else "challenger")), check.observed
    if isinstance(check.champion, float):
        role = "stable" if rolled else "anchor" if "anchor" in check.id.rpartition(".")[2] else "champion"
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
