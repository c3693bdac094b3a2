"""`mlgate monitor` with truth: what turned out, whom it treats how, and what the service keeps to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitoring.production import Production, alerts

MONITOR: dict[str, Any] = {
    "logs": {"path": "logs/{date}.jsonl", "fields": {"status": "status"}},
    "truth": {"path": "truth/*.jsonl", "label": "visited", "positive": 1, "within": "2 days"},
    "performance": {
        "min_rows": 300,
        "rules": {
            "auc": {"is": "roc_auc", "threshold": 0.6, "max_absolute_regression": 0.03},
            "log_loss": {"max_relative_regression": "10%"},
        },
    },
    "fairness": {
        "by": ["site"],
        "min_rows": 50,
        "rules": {"disparate_impact_ratio": {"threshold": 0.5}, "equal_opportunity_difference": {"threshold": 0.4}},
    },
    "slo": ["latency_p95 <= 100 ms", "error_rate <= 1%", "auc >= 0.62", "revenue >= 10"],
    "metrics": {"revenue": {"run": "echo 12.5"}},
}


def three_days(folder: Path, **changes: Any) -> tuple[Production, list[dict[str, Any]]]:
    production = Production(folder, {**MONITOR, **changes})
    lines: list[dict[str, Any]] = []
    for number in range(3):
        lines += production.day(number, edit=lambda line: {**line, "status": 200})
    return production, lines


def by_id(evidence: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in evidence["checks"]}


def readings(production: Production) -> dict[str, Any]:
    """By name; what is an objective as well is that of performance."""
    entries = [record.entry for record in production.records("reading")]
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.monitor == "performance")}


def test_a_model_that_is_as_good_as_it_was_passes(tmp_path: Path) -> None:
    production, lines = three_days(tmp_path)
    production.truth(lines)
    evidence = production.monitor(2, code=0)
    assert alerts(evidence) == {"performance": "quiet", "fairness": "quiet", "slo": "quiet"}
    found = by_id(evidence)
    assert found["watch.performance.auc.threshold"]["rows"] == 1000
    # Beyond the limit, and 1,000 rows do not prove it: said, and no alarm.
    doubtful = found["watch.performance.auc.absolute_regression"]
    assert doubtful["verdict"] == "warn"
    assert "1,000 rows do not prove it (2 limits are asked at once)." in doubtful["reason"]
    kept = readings(production)
    assert kept["auc"].window == "2026-10-01T00:00:00Z/2026-10-02T00:00:00Z"  # two days before the window of the run
    assert kept["latency_p95"].window == "2026-10-03T00:00:00Z/2026-10-04T00:00:00Z"
    assert kept["revenue"].value == 12.5
    assert evidence["facts"]["auc so far"].endswith("2,000 rows")


def test_a_model_that_decays_fails_and_what_is_expected_without_truth_does_not_see_it(tmp_path: Path) -> None:
    production, lines = three_days(tmp_path)
    production.truth(lines, right=0.72)
    evidence = production.monitor(2, code=1)
    assert alerts(evidence) == {"performance": "firing", "fairness": "quiet", "slo": "firing"}
    kept = readings(production)
    assert kept["auc"].state == "breached"
    assert kept["auc"].value < 0.6 < kept["estimated_roc_auc"].value
    assert kept["estimated_roc_auc"].state == "ok"


def test_without_truth_it_is_not_known_and_that_is_no_pass(tmp_path: Path) -> None:
    production, lines = three_days(tmp_path)
    for line in lines:
        line["request_id"] = line["request_id"].upper()
    production.truth(lines)
    evidence = production.monitor(2, code=3)
    assert alerts(evidence)["performance"] == "unknown"
    said = by_id(evidence)["watch.performance.auc.unknown"]["reason"]
    assert said.endswith("(the log has `r-0-0`, the truth `R-0-0`).")
    assert readings(production)["auc"].value is None


def test_truth_that_comes_afterwards_does_not_change_a_window_that_was_read(tmp_path: Path) -> None:
    production, lines = three_days(tmp_path)
    production.truth(lines)
    production.monitor(2)
    before = readings(production)["auc"]
    production.truth(lines, right=0.5)
    production.monitor(2)
    after = [record.entry for record in production.records("reading")]
    assert [entry.id for entry in after if (entry.monitor, entry.name) == ("performance", "auc")] == [before.id]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"status": 503, "prediction": None, "score": None}, "error_rate is 10 %; `error_rate <= 1%` has to hold."),
        ({"latency_ms": 900.0}, "latency_p95 is 900 ms; `latency_p95 <= 100 ms` has to hold."),
    ],
    ids=["errors", "slow"],
)
def test_the_service_and_the_model_stand_side_by_side(tmp_path: Path, edit: dict[str, Any], said: str) -> None:
    production, lines = three_days(tmp_path)
    production.truth(lines)
    production.day(2, edit=lambda line: {**line, "status": 200, **(edit if line["request_id"].endswith("3") else {})})
    evidence = production.monitor(2, code=1)
    assert alerts(evidence) == {"performance": "quiet", "fairness": "quiet", "slo": "firing"}
    assert [one["reason"] for one in evidence["checks"] if one["reason"].startswith(said)]
