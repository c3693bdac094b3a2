"""`mlgate monitor` on logs of days: what it says of them, what it remembers, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlgate.ledger.kinds import Reading
from monitoring.production import DAY, FIRST, MONITOR, Production, alerts, checks

MOVED = 12.0  # years


@pytest.fixture
def production(tmp_path: Path) -> Production:
    return Production(tmp_path)


def with_(**sections: Any) -> dict[str, Any]:
    return {**MONITOR, **sections}


# -- what is said of a window ----------------------------------------------------------------------------------------


def test_a_day_like_the_training_data_passes(production: Production) -> None:
    production.day(0)
    evidence = production.monitor(0, code=0)
    assert evidence["verdict"] == "pass", production.said
    assert alerts(evidence) == {"drift": "quiet"}
    assert evidence["watched"]["rows"] == 1000
    assert evidence["controls"]["passed"] == evidence["controls"]["total"] > 0


def test_a_day_of_older_people_fails_and_says_what_moved(production: Production) -> None:
    production.day(0, older=MOVED)
    evidence = production.monitor(0, code=1)
    assert alerts(evidence) == {"drift": "firing"}
    columns = {one["name"]: one for one in evidence["watched"]["columns"]}
    assert {name for name, one in columns.items() if one["state"] == "breached"} == {"prediction", "score", "age"}
    assert columns["age"]["since"] == "2026-10-01T00:00:00Z"
    assert evidence["watched"]["signs"] == ["Reads as data drift: age moved, and predictions moved with them."]
    assert evidence["watched"]["since"] == "2026-10-01T00:00:00Z"


def test_a_report_alone_fails_nothing(tmp_path: Path) -> None:
    production = Production(tmp_path, mode="report")
    production.day(0, older=MOVED)
    assert production.monitor(0, code=0)["verdict"] == "fail"


def test_what_is_not_watched_is_said(production: Production) -> None:
    production.day(0)
    said = production.monitor(0)["not_run"]
    assert said == [
        "Not watched, because mlgate.yaml does not ask for it: data quality, performance, fairness, objectives."
    ]


# -- rules that look back --------------------------------------------------------------------------------------------


def test_a_rule_of_three_days_waits_for_the_third(tmp_path: Path) -> None:
    production = Production(tmp_path, with_(rules={"drift": {"for": "3 of 5", "retrain": True}}))
    states = []
    for day in range(5):
        production.day(day, older=MOVED if day in {1, 2, 4} else 0.0)
        evidence = production.monitor(day)
        states.append((alerts(evidence)["drift"], production.code))
    assert states == [("quiet", 0), ("pending", 0), ("pending", 0), ("quiet", 0), ("firing", 1)]
    assert evidence["watched"]["alerts"][0]["retrain"] is True
    assert evidence["watched"]["alerts"][0]["since"] == "2026-10-02T00:00:00Z"


def test_a_run_makes_up_for_days_that_nobody_read(tmp_path: Path) -> None:
    production = Production(tmp_path, with_(rules={"drift": {"for": "3 of 3"}}))
    for day in range(3):
        production.day(day, older=MOVED)
    assert alerts(production.monitor(2, "--windows", "3", code=1)) == {"drift": "firing"}
    windows = {one.entry.window for one in production.records("reading") if isinstance(one.entry, Reading)}
    assert len(windows) == 3


def test_what_is_over_is_said(tmp_path: Path) -> None:
    production = Production(tmp_path)
    production.day(0, older=MOVED)
    production.day(1)
    production.monitor(0, code=1)
    evidence = production.monitor(1, code=0)
    assert alerts(evidence) == {"drift": "recovered"}
    assert evidence["verdict"] == "pass"


def test_a_window_is_remembered_once_however_often_it_is_read(production: Production) -> None:
    production.day(0)
    production.monitor(0)
    first = [one.entry.id for one in production.records("reading")]
    production.day(0, older=MOVED)  # the first measurement stands
    production.monitor(0)
    assert [one.entry.id for one in production.records("reading")] == first


def test_nothing_is_remembered_where_that_is_asked_for(production: Production) -> None:
    production.day(0)
    production.monitor(0, "--ledger", "false", code=0)
    assert production.records("reading") == []


def test_a_ledger_out_of_reach_is_an_error_and_not_a_quiet_past(production: Production) -> None:
    production.day(0)
    production.bare.rename(production.bare.with_name("gone.git"))
    evidence = production.monitor(0, code=2)
    assert evidence["verdict"] == "error"


# -- truth, objectives, quality --------------------------------------------------------------------------------------

PERFORMANCE = {
    "truth": {"path": "truth/*.jsonl", "label": "visited", "within": "2 days"},
    "performance": {"rules": {"auc": {"is": "roc_auc", "threshold": 0.6}}},
}


def test_performance_is_judged_when_truth_is_due(tmp_path: Path) -> None:
    production = Production(tmp_path, {"logs": MONITOR["logs"], **PERFORMANCE})
    lines = [line for day in range(4) for line in production.day(day)]
    production.truth(lines)
    evidence = production.monitor(3, code=0)
    assert checks(evidence)["watch.performance.auc.threshold"] == "pass"
    assert evidence["facts"]["performance window"] == "2026-10-02T00:00:00Z/2026-10-03T00:00:00Z"
    assert "auc so far" in evidence["facts"]


def test_decay_fails(tmp_path: Path) -> None:
    production = Production(tmp_path, {"logs": MONITOR["logs"], **PERFORMANCE})
    lines = [line for day in range(3) for line in production.day(day)]
    production.truth(lines, right=0.4)
    evidence = production.monitor(2, code=1)
    assert alerts(evidence) == {"performance": "firing"}
    assert "concept drift" in evidence["watched"]["signs"][0]


def test_without_truth_nothing_passes(tmp_path: Path) -> None:
    production = Production(tmp_path, {"logs": MONITOR["logs"], **PERFORMANCE})
    for day in range(3):
        production.day(day)
    (production.repo.path / "truth").mkdir()
    production.repo.write("truth/truth.jsonl", "")
    assert production.monitor(2, code=3)["verdict"] == "inconclusive"


def test_objectives_of_service_and_model_stand_side_by_side(tmp_path: Path) -> None:
    slo = ["latency_p95 <= 8 ms", "auc >= 0.6", "conversion >= 2%"]
    metrics = {"conversion": {"run": "echo 0.031"}}
    production = Production(tmp_path, {"logs": MONITOR["logs"], **PERFORMANCE, "slo": slo, "metrics": metrics})
    production.truth([line for day in range(3) for line in production.day(day)])
    evidence = production.monitor(2, code=1)
    found = {key: value for key, value in checks(evidence).items() if key.startswith("watch.slo.")}
    assert sorted(found.values()) == ["fail", "pass", "pass"]
    assert alerts(evidence)["slo"] == "firing"


def test_a_metric_command_sees_no_credentials(tmp_path: Path) -> None:
    metrics = {
        "conversion": {
            "run": "python -c \"import os; print(len([k for k in os.environ if k == 'AWS_SECRET_ACCESS_KEY']))\""
        }
    }
    production = Production(tmp_path, {**MONITOR, "metrics": metrics})
    production.day(0)
    evidence = production.monitor(0, AWS_SECRET_ACCESS_KEY="abcdefgh", code=0)
    assert next(c["observed"] for c in evidence["checks"] if c["id"] == "watch.business.conversion") == 0


def test_production_is_held_to_the_contract(tmp_path: Path) -> None:
    production = Production(tmp_path, {"logs": MONITOR["logs"], "data": {"contract": "contracts/live.yaml"}})
    production.repo.write("contracts/live.yaml", "schema: 1\ncolumns:\n  site: {type: text, in: [north, south]}\n")
    production.configure()
    production.day(0)
    evidence = production.monitor(0, code=1)
    assert alerts(evidence) == {"data": "firing"}


# -- bad input -------------------------------------------------------------------------------------------------------


def test_an_empty_window_decides_nothing(production: Production) -> None:
    production.day(1)
    production.write_log(0, [])
    evidence = production.monitor(0, code=3)
    assert alerts(evidence) == {"drift": "unknown"}
    assert "nothing was logged" in " ".join(checks(evidence, "inconclusive").values())


def test_too_few_rows_decide_nothing(production: Production) -> None:
    production.day(0, rows=100, older=MOVED)
    assert production.monitor(0, code=3)["verdict"] == "inconclusive"


def test_a_log_that_is_not_there_is_an_error(production: Production) -> None:
    evidence = production.monitor(0, code=2)
    assert "logs does not exist" in " ".join(checks(evidence, "error").values())


def test_corrupt_lines_are_counted_and_put_aside(production: Production) -> None:
    lines: list[Any] = production.day(0)
    production.write_log(0, [*lines[:500], '{"time": "2026-10-01T12:0', *lines[500:]])
    evidence = production.monitor(0, code=0)
    assert evidence["watched"]["counts"]["corrupt"] == 1
    assert checks(evidence)["watch.rows"] == "warn"
    (kept,) = evidence["artifacts"]
    put_aside = json.loads((production.repo.path / kept).read_text("utf-8"))
    assert put_aside == {"file": "logs/2026-10-01.jsonl", "line": 501, "text": '{"time": "2026-10-01T12:0'}


def test_too_many_corrupt_lines_are_an_error(production: Production) -> None:
    lines: list[Any] = production.day(0)
    production.write_log(0, [*lines, *['{"time": "2026-10-01'] * 100, *lines[:1]])
    assert production.monitor(0, code=2)["verdict"] == "error"


def test_lines_of_other_models_are_left_out_and_counted(production: Production) -> None:
    lines = production.day(0)
    others = [{**line, "model": "another", "request_id": f"o{at}"} for at, line in enumerate(lines[:300])]
    old = [
        {**line, "version": "v0.9.0", "digest": "b" * 64, "request_id": f"b{at}"} for at, line in enumerate(lines[:200])
    ]
    production.write_log(0, [*lines, *others, *old])
    evidence = production.monitor(0, code=0)
    assert evidence["watched"]["rows"] == 1000
    assert evidence["watched"]["counts"]["other_model"] == 300
    assert evidence["watched"]["counts"]["other_version"] == 200
    assert evidence["watched"]["versions"] == {"v1.0.0": 1000, "v0.9.0": 200}


def test_twice_logged_requests_count_once(production: Production) -> None:
    lines = production.day(0)
    production.write_log(0, [*lines, *lines[:50]])
    evidence = production.monitor(0, code=0)
    assert (evidence["watched"]["rows"], evidence["watched"]["counts"]["duplicates"]) == (1000, 50)


def test_a_column_that_is_all_missing_is_no_pass(production: Production) -> None:
    production.day(0, edit=lambda line: {**line, "features": {**line["features"], "age": None}})
    assert production.monitor(0)["verdict"] == "fail"


def test_a_column_of_another_type_is_no_pass(production: Production) -> None:
    production.day(0, edit=lambda line: {**line, "features": {**line["features"], "age": "old"}})
    evidence = production.monitor(0)
    assert evidence["verdict"] in {"fail", "inconclusive", "error"}
    assert "age" in production.said


def test_another_schema_names_what_is_missing(production: Production) -> None:
    production.write_log(0, [json.dumps({"timestamp": "2026-10-01T10:00:00Z", "answer": 1})] * 500)
    evidence = production.monitor(0, code=2)
    assert "time" in " ".join(checks(evidence, "error").values())


@pytest.mark.parametrize(
    ("profile", "said"),
    [("{}", "no reference profile"), ("", "no reference profile"), (None, "does not exist")],
)
def test_a_profile_that_is_none_is_an_error(production: Production, profile: str | None, said: str) -> None:
    production.day(0)
    file = production.repo.path / "metrics/profile.json"
    if profile is None:
        file.unlink()
    else:
        file.write_text(profile)
    production.repo.commit("Break it")
    production.repo.git("push", "--quiet", "origin", "main")
    production.deploy("v1.1.0", FIRST - DAY / 2)
    assert said in " ".join(checks(production.monitor(0, code=2), "error").values())


def test_a_profile_of_another_model_is_an_error(production: Production) -> None:
    production.day(0)
    production.repo.write("metrics/profile.json", production.profile(model="another"))
    production.repo.commit("Take another's")
    production.repo.git("push", "--quiet", "origin", "main")
    production.deploy("v1.1.0", FIRST - DAY / 2)
    assert "profile of another" in " ".join(checks(production.monitor(0, code=2), "error").values())


def test_a_profile_of_another_file_of_the_model_is_an_error(production: Production) -> None:
    production.day(0)
    production.deploy("v1.1.0", FIRST - DAY / 2, digest="c" * 64)
    assert "another model file" in " ".join(checks(production.monitor(0, code=2), "error").values())


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ({}, "does not say where predictions are logged"),
        ({"logs": "logs/"}, "nothing is measured in them"),
    ],
)
def test_a_monitor_without_anything_to_do_is_an_error(tmp_path: Path, monitor: dict[str, Any], said: str) -> None:
    production = Production(tmp_path, monitor)
    assert said in " ".join(checks(production.monitor(0, code=2), "error").values())


@pytest.mark.parametrize("until", ["yesterday", "2026-10-01T06:00:00Z", "2099-01-01"])
def test_a_moment_at_which_no_window_ends_is_refused(production: Production, until: str) -> None:
    done = production.repo.mlgate("monitor", "--until", until)
    assert done.returncode == 2
    assert until in done.stdout + done.stderr


def test_without_a_deployment_every_version_is_read_and_that_is_said(tmp_path: Path) -> None:
    production = Production(tmp_path)
    production.day(0, edit=lambda line: {**line, "environment": "staging"})
    evidence = production.monitor(0, "--environment", "staging", code=0)
    assert checks(evidence)["watch.against"] == "warn"
    assert "The ledger has no visits in staging" in production.said


def test_logs_older_than_the_ledger_are_held_against_what_is_there_now(production: Production) -> None:
    production.day(-20)
    evidence = production.monitor(-20, code=0)
    assert evidence["subject"]["digest"] == {"sha256": production.digest}
    assert "came to production on 2026-09-21, after this window" in checks(evidence, "warn")["watch.against"]


def test_performance_is_of_the_model_that_answered_then(tmp_path: Path) -> None:
    production = Production(tmp_path, {"logs": MONITOR["logs"], **PERFORMANCE})
    lines = [line for day in range(3) for line in production.day(day)]
    lines += production.day(3, edit=lambda line: {**line, "digest": "d" * 64, "version": "v1.1.0"})
    production.truth(lines)
    production.deploy("v1.1.0", FIRST + 3 * DAY, digest="d" * 64)
    evidence = production.monitor(3, code=0)
    assert checks(evidence)["watch.performance.auc.threshold"] == "pass", "the day before yesterday, v1.0.0 answered"


# -- the rest of drift -----------------------------------------------------------------------------------------------


def test_it_is_said_in_which_slice_a_drift_sits(tmp_path: Path) -> None:
    production = Production(tmp_path, with_(drift={**MONITOR["drift"], "by": ["site"]}))

    def only_north(line: dict[str, Any]) -> dict[str, Any]:
        features = line["features"]
        older = features["age"] + (40 if features["site"] == "north" else 0)
        return {**line, "features": {**features, "age": older}}

    production.day(0, edit=only_north)
    evidence = production.monitor(0, code=1)
    (age,) = [one for one in evidence["watched"]["columns"] if one["name"] == "age"]
    assert age["slices"][0].startswith("without site = north:")


def test_a_classifier_tells_what_no_single_column_shows(tmp_path: Path) -> None:
    drift = {"classifier": 0.6, "reference": "data/reference.jsonl"}
    production = Production(tmp_path, with_(drift=drift))
    text = (production.folder / "reference.jsonl").read_text("utf-8")
    production.repo.write("data/reference.jsonl", text)
    production.configure()
    production.day(0)
    assert production.monitor(0, code=0)["verdict"] == "pass", production.said

    def together(line: dict[str, Any]) -> dict[str, Any]:
        site = "north" if line["features"]["age"] > 48 else "south"
        return {**line, "features": {**line["features"], "site": site}}

    production.day(1, edit=together)
    evidence = production.monitor(1, code=1)
    (auc,) = [c for c in evidence["checks"] if "classifier_auc" in c["id"]]
    assert auc["verdict"] == "fail", production.said


def test_a_new_class_of_the_truth_reads_as_a_change_of_labels(tmp_path: Path) -> None:
    production = Production(tmp_path, with_(**PERFORMANCE))
    lines = [line for day in range(3) for line in production.day(day)]
    production.truth(lines)
    file = production.repo.path / "truth/truth.jsonl"
    told = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for line in told[::50]:
        line["visited"] = 2
    production.repo.write("truth/truth.jsonl", "".join(json.dumps(line) + "\n" for line in told))
    signs = production.monitor(2)["watched"]["signs"]
    assert any("truth has 2, which the model cannot answer" in one for one in signs), production.said
