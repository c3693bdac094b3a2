"""What evidence says that people may have to know: the alerts of `monitor`, and steps that ended badly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mlgate.config.watching import Severity
from mlgate.model import AlertSeen, Evidence, Verdict
from mlgate.render import sentences
from mlgate.watch.alerts import STEP, Matter

MONITOR = "monitor"
RETRAINING, ENDED = "retraining", "retrain.end"  # how one ended is another matter than whether one is due
SILENT = ("notify", "report")  # verbs of which nobody is told: they show what others found
_STATES: dict[str, Literal["on", "over", "unclear"]] = {
    "firing": "on", "recovered": "over", "quiet": "over", "pending": "unclear", "unknown": "unclear",
}  # fmt: skip
_REQUESTS = ("pull_request", "merge_group")


@dataclass(frozen=True)
class Shown:
    """Where this run and what it leaves behind can be looked at; empty where that is not known."""

    report: str = ""
    run: str = ""


def of(evidence: Evidence, shown: Shown) -> Iterator[Matter]:
    """Each matter of one piece of evidence, those that are over among them."""
    if evidence.kind in SILENT:
        return
    monitors = evidence.kind == MONITOR
    if monitors and evidence.watched is not None:
        for alert in evidence.watched.alerts:
            yield _alert(evidence, alert, shown)
    # That a rule failed is said by its own alert; that nobody could look, by nothing else.
    bad = (Verdict.ERROR, Verdict.INCONCLUSIVE) if monitors else (Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.FAIL)
    on = evidence.verdict in bad
    severity: Severity = "critical" if evidence.exit_code in (1, 2) else "warn"
    name = RETRAINING if any(check.id == ENDED for check in evidence.checks) else evidence.kind
    said = f"{name}: {evidence.verdict}: {sentences.headline(evidence)}" if on else f"{name} ends well"
    yield Matter(
        **_facts(evidence, shown),
        key=f"{STEP}{name}",
        severity=severity,
        state="on" if on else "over",
        said=said,
    )


def watched(evidences: Iterable[Evidence], shown: Shown) -> Iterator[Matter]:
    """One matter of each run of `monitor` that did look, by which alerts of rules that are gone are found."""
    for evidence in evidences:
        if evidence.kind == MONITOR and evidence.watched is not None and evidence.verdict is not Verdict.ERROR:
            yield Matter(**_facts(evidence, shown), key="", severity="info", state="over")


def of_run(result: str, model: str, shown: Shown) -> Matter:
    """That the job before this one ended so. It may have left no evidence at all."""
    bad = result != "success"
    return Matter(
        model=model, environment="", key=f"{STEP}run", severity="critical", state="on" if bad else "over",
        said=f"the job before this one ended as {result}" if bad else "the job ends well",
        report=shown.report, run=shown.run,
    )  # fmt: skip


def of_request(evidence: Evidence) -> bool:
    """Whether it is about a proposal: whoever made that sees it there, and nobody else is woken by it."""
    return evidence.source.event in _REQUESTS


def _alert(evidence: Evidence, alert: AlertSeen, shown: Shown) -> Matter:
    return Matter(
        **_facts(evidence, shown),
        key=alert.rule,
        severity=alert.severity,
        state=_STATES[alert.state],
        said=alert.said,
        held=alert.held,
        since=alert.since,
        advice=alert.message,
        retrain=alert.retrain,
    )


def _facts(evidence: Evidence, shown: Shown) -> dict[str, Any]:
    seen = evidence.watched
    named = str(evidence.facts.get("environment", ""))
    version = str(evidence.facts.get("version", ""))
    if seen is not None and seen.versions and not version:
        version = max(seen.versions, key=lambda one: seen.versions[one])
    return {
        "model": evidence.model,
        "environment": seen.environment if seen is not None else named,
        "window": f"{seen.since}/{seen.until}" if seen is not None else "",
        "version": version,
        "commit": evidence.source.commit,
        "report": evidence.links.get("report", "") or shown.report,
        "run": evidence.source.run_url or shown.run,
    }
