"""`compare --prepare`: what the run job hands to a judge that runs no project code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import pytest

import builder
from setup.projects import dvc
from train import prepared, projects
from train.prepared import RESCORE, Seen

pytestmark = pytest.mark.dvc


def test_committed_files_are_handed_over_by_digest(compared: builder.Repo, tmp_path: Path) -> None:
    """On a fresh runner: fetched by the project's dvc, and no project code runs."""
    prepared.change(compared)
    runner = projects.clone(compared, tmp_path / "runner")
    runner.git("fetch", "--quiet", "origin", "main:main")
    before = projects.data_of(runner)
    seen = Seen(runner)
    assert (seen.verdict, seen.code) == ("pass", 0), seen.reasons
    roles = {"labels of holdout", "predictions of holdout (challenger)", "predictions of holdout (champion)"}
    assert set(seen.inputs) == roles
    for role in roles:
        file = seen.file(role)
        assert file.name == f"dvc-md5-{hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()}"
    assert seen.file("labels of holdout").read_bytes() == (compared.path / "data/test.csv").read_bytes()
    now, then = (seen.file(f"predictions of holdout ({side})").read_text() for side in ("challenger", "champion"))
    assert now == (compared.path / "eval/predictions.csv").read_text() != then
    assert seen.made == []
    assert seen.evidence["stages"] == []
    assert seen.evidence["champion"]["commit"] == compared.git("rev-parse", "main")
    assert seen.verdict_of("overlap.holdout.challenger") == seen.verdict_of("overlap.holdout.champion") == "pass"
    assert projects.data_of(runner) == before
    assert runner.git("worktree", "list").count("\n") == 0


def test_rules_on_metrics_alone_need_nothing(compared: builder.Repo) -> None:
    rows = [(", label: label, positive: 1", ""), (", score: p_visit, cut_off: 0.5", "")]
    prepared.settle(compared, prepared.config(*rows))
    prepared.change(compared)
    seen = Seen(compared)
    assert seen.verdict == "pass", seen.reasons
    assert seen.inputs == {}
    assert not seen.folder.exists() or list(seen.folder.iterdir()) == []


def test_the_same_model_needs_nothing(compared: builder.Repo) -> None:
    prepared.settle(compared, prepared.config(more="  costs: {latency_p95_ms: {threshold: 1}}\n"))
    compared.git("switch", "--quiet", "--create", "change", "main")
    compared.write("README.md", "Words\n")
    compared.commit()
    seen = Seen(compared)
    assert seen.verdict_of("unchanged") == "pass"
    assert seen.made == []


def test_training_rows_in_the_evaluation_data(compared: builder.Repo) -> None:
    """An error for the challenger; for the champion they are listed, and leave."""
    prepared.settle(compared, prepared.CONFIG)
    mixed = prepared.rows(10_000, 120, 7) + "5,1,0\n9,1,0\n"
    prepared.change(compared, data=mixed, train=prepared.rows(1_000, 300, 3) + "9,1,0\n")
    seen = Seen(compared)
    assert (seen.verdict, seen.code) == ("error", 2)
    check = seen.checks["prepare.overlap.holdout.challenger"]
    assert "1 of 122 rows of data/test.csv are in data/train.csv" in check["reason"]
    assert check["examples"][0]["values"] == {"id": "9"}
    assert seen.verdict_of("overlap.holdout.champion") == "pass"
    assert seen.made == ["made/visits/holdout.exclude.parquet"]
    file = seen.folder / seen.made[0]
    told = hashlib.sha256(file.read_bytes()).hexdigest()
    assert seen.inputs["rows of holdout to leave out"] == {"sha256": told}
    assert duckdb.read_parquet(str(file)).order("id").fetchall() == [("5", "champion"), ("9", "champion")]


def test_what_cannot_be_had_for_want_of_credentials_is_the_policys(compared: builder.Repo, tmp_path: Path) -> None:
    prepared.settle(compared, prepared.config(more="  policy: {no_credentials: inconclusive}\n"))
    prepared.change(compared)
    runner = projects.clone(compared, tmp_path / "runner")
    runner.git("fetch", "--quiet", "origin", "main:main")
    runner.write(".dvc/config.local", "['remote \"storage\"']\n    url = s3://bucket/data\n")
    env = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }
    seen = Seen(runner, **env)
    assert (seen.verdict, seen.code) == ("inconclusive", 3), seen.reasons
    assert "has no credentials" in seen.checks["prepare.inputs.labels.data/test.csv"]["reason"]
    assert any("has no credentials" in said for said in seen.evidence["not_run"])
    assert seen.inputs == {}


def test_what_was_never_pushed_is_an_error(compared: builder.Repo, tmp_path: Path) -> None:
    prepared.change(compared)
    runner = projects.clone(compared, tmp_path / "runner")
    runner.git("fetch", "--quiet", "origin", "main:main")
    seen = Seen(runner, "--pull", "false")
    assert (seen.verdict, seen.code) == ("error", 2)
    assert "`pull` is off" in seen.reasons


def test_a_commit_that_carries_the_folder_as_a_link_is_refused(compared: builder.Repo, tmp_path: Path) -> None:
    prepared.change(compared)
    (tmp_path / "elsewhere").mkdir()
    kept = tmp_path / "elsewhere" / f"dvc-md5-{'0' * 32}"
    kept.write_text("mine")
    (compared.path / ".mlgate").mkdir()
    (compared.path / ".mlgate/inputs").symlink_to(tmp_path / "elsewhere")
    done = compared.mlgate("compare", "--prepare")
    assert done.returncode == 2
    assert "symbolic link" in done.stdout + done.stderr
    assert kept.read_text() == "mine"


CODE = """\
import os
def each(rows):
    bad = [name for name in os.environ if "SECRET" in name or name.startswith("MLGATE")]
    assert not bad, bad
    text = "".join(open(f"{folder}/config.local").read() for folder in [".dvc"] if os.path.exists(".dvc/config.local"))
    assert "hush" not in text, text
    return rows["x"]
"""


def test_project_code_sees_no_credentials_and_its_own_edit_is_named(compared: builder.Repo) -> None:
    prepared.settle(compared, prepared.config(more=prepared.ENTRY))
    prepared.change(compared)
    compared.write("src/regret.py", CODE)
    compared.write(".dvc/config.local", "['remote \"other\"']\n    url = s3://bucket\n    secret_access_key = hush\n")
    compared.commit("Another regret")
    seen = Seen(compared, AWS_SECRET_ACCESS_KEY="x", MLGATE_ENV_NAMES="", MLGATE_CHAMPION="")
    assert seen.verdict == "warn", seen.reasons
    assert "This change edits src/regret.py" in seen.checks["prepare.entry-edited.regret"]["reason"]
    assert seen.verdict_of("entry.holdout.regret.challenger") == seen.verdict_of("entry.holdout.regret.champion")
    assert len(seen.made) == 2


def test_an_entry_point_that_fails_is_an_error_with_the_users_own_lines(compared: builder.Repo) -> None:
    prepared.settle(compared, prepared.config(more=prepared.ENTRY))
    prepared.change(compared)
    compared.write("src/regret.py", "def each(rows):\n    return rows['colour']\n")
    compared.commit("Break the metric")
    seen = Seen(compared)
    assert (seen.verdict, seen.code) == ("error", 2)
    reason = seen.checks["prepare.entry.holdout.regret.challenger"]["reason"]
    assert reason.endswith("KeyError: 'colour'")
    assert "worker.py" not in reason
    assert seen.made == []


def test_data_that_break_their_contract_stop_project_code(compared: builder.Repo) -> None:
    prepared.settle(compared, prepared.config(more=prepared.ENTRY + "  costs: {latency_p50_ms: {threshold: 9}}\n"))
    prepared.change(compared)
    stopped = {
        "schema": 1, "kind": "validate-data", "model": "visits", "verdict": "fail",
        "source": {"commit": compared.head}, "checks": [{"id": "data.x", "title": "x", "verdict": "fail"}],
    }  # fmt: skip
    compared.write(".mlgate/evidence/visits/validate-data.json", stopped)
    seen = Seen(compared)
    assert seen.verdict == "warn", seen.reasons
    assert "the data break their contract" in seen.checks["prepare.held-back"]["reason"]
    assert any("regret by src.regret:each" in said for said in seen.evidence["not_run"])
    assert seen.made == ["made/visits/costs.json"]
    assert len(seen.inputs) == 4, "what is committed is handed over all the same"


def test_costs_are_measured_of_both(compared: builder.Repo) -> None:
    latency = "    latency: {rows: 5, calls: 4, predict: 'src.latency:load'}\ncompare:"
    rules = "  costs: {latency_p95_ms: {threshold: 50}, model_mb: {threshold: 1}}\n"
    prepared.settle(compared, prepared.config(("compare:", latency), more=rules))
    prepared.change(compared)
    seen = Seen(compared)
    assert seen.verdict == "pass", seen.reasons
    told = json.loads((seen.folder / "made/visits/costs.json").read_text())
    assert (told["set"], told["how"], told["rows"]) == ("holdout", "function", 5)
    for side in ("challenger", "champion"):
        assert len(told[side]["latency_ms"]) == 4
        assert told[side]["peak_memory_bytes"] > 1e6
        assert told[side]["model_bytes"] > 10
    assert seen.verdict_of("costs.challenger") == seen.verdict_of("costs.champion") == "pass"


def test_a_run_starts_from_an_empty_folder(compared: builder.Repo) -> None:
    prepared.change(compared)
    stale = [f"dvc-md5-{'0' * 32}", "made/visits/costs.json", "made/other/x.parquet"]
    for name in stale:
        compared.write(f".mlgate/inputs/{name}", "old")
    compared.write(".mlgate/inputs/notes.txt", "mine")
    seen = Seen(compared)
    assert not any((seen.folder / name).exists() for name in stale)
    assert (seen.folder / "notes.txt").read_text() == "mine"


def test_rules_that_ask_for_a_champion_of_the_same_rows_do_not_score(compared: builder.Repo) -> None:
    """Without `rescore` the policy is the judge's business."""
    prepared.change(compared, data=prepared.rows(20_000, 90, 5))
    seen = Seen(compared)
    assert seen.verdict == "pass", seen.reasons
    assert seen.made == []
    assert RESCORE not in (compared.path / "mlgate.yaml").read_text()
    assert dvc(compared, "status", "--quiet") == ""
