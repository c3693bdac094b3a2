"""The ways in which gates of this field turn green without having checked anything, each tried here.

Every test is named after the case, runs the real command on a real repository, and looks at the exit code, because that
is what a required check sees.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import MLGATE, Repo, consumer, reasons


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return consumer(tmp_path / "repo")


def test_dvc_metrics_diff_01_metrics_file_missing(repo: Repo) -> None:
    repo.model({"auc": 0.9, "log_loss": 0.1})
    repo.git("rm", "--cached", "--quiet", "metrics/eval.json")
    repo.write(".gitignore", "metrics/\n")
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert "metrics/eval.json is not tracked by git" in reasons(repo, "error")


@pytest.mark.parametrize("text", ['{"auc": 0.9', "", "\0\1\2", "[]", "nul"])
def test_dvc_metrics_diff_01_metrics_file_corrupt(repo: Repo, text: str) -> None:
    repo.model(text)
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert "metrics/eval.json" in reasons(repo, "error")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "null", '"0.9"', "[0.9]", "true"])
def test_dvc_metrics_diff_02_metric_is_not_a_number(repo: Repo, value: str) -> None:
    repo.model(f'{{"auc": {value}, "log_loss": 0.1}}')
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


def test_dvc_metrics_diff_03_a_clean_checkout_is_still_compared_with_the_commit_before(repo: Repo) -> None:
    repo.model({"auc": 0.5, "log_loss": 0.9})
    repo.commit()
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--ff-only", "change")
    assert repo.mlgate("compare").returncode == 1


@pytest.mark.parametrize("side", ["challenger", "champion"])
def test_mlflow_04_nan_with_a_relative_rule(tmp_path: Path, side: str) -> None:
    repo = Repo(tmp_path / "repo")
    rule = MLGATE.split("    auc:")[0] + "    auc: {is: roc_auc, min_relative_change: 1%}\n"
    repo.model('{"auc": NaN}' if side == "champion" else '{"auc": 0.7}', config=rule)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model('{"auc": NaN}' if side == "challenger" else '{"auc": 0.9}', config=rule)
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert f"auc is NaN in the {side}'s metrics/eval.json" in reasons(repo, "error")


@pytest.mark.parametrize("rules", ["{}", ""])
def test_mlflow_05_evidently_08_no_rule_at_all_is_not_a_pass(tmp_path: Path, rules: str) -> None:
    repo = Repo(tmp_path / "repo")
    repo.model(config=MLGATE.split("  rules:")[0] + (f"  rules: {rules}\n" if rules else ""))
    repo.commit()
    repo.mlgate("compare")
    assert repo.evidence()["verdict"] == "warn"
    assert "nothing can fail" in reasons(repo, "warn")


def test_mlflow_05_a_rule_without_a_limit(repo: Repo) -> None:
    repo.write("mlgate.yaml", MLGATE + "    brier: {is: brier_score}\n")
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


@pytest.mark.parametrize("metrics", ["{}", '{"other": 1}'])
def test_great_expectations_06_nothing_in_the_file(repo: Repo, metrics: str) -> None:
    repo.model(metrics)
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


def test_clearml_09_a_worse_challenger(repo: Repo) -> None:
    repo.model({"auc": 0.69, "log_loss": 0.58})
    repo.commit()
    done = repo.mlgate("compare")
    assert done.returncode == 1
    assert repo.evidence()["verdict"] == "fail"


def test_mlops_stacks_10_an_unreachable_champion_is_not_a_first_model(repo: Repo) -> None:
    repo.model({"auc": 0.9, "log_loss": 0.1})
    repo.commit()
    done = repo.mlgate("compare", "--champion", "gone")
    assert done.returncode == 2
    assert "'gone' is not a commit of this clone" in reasons(repo, "error")


def test_mlops_stacks_10_a_corrupt_champion_is_not_a_first_model(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.model("{broken")
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.9, "log_loss": 0.1})
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert "The champion's metrics/eval.json" in reasons(repo, "error")


def test_mlops_stacks_10_a_champion_whose_metrics_were_never_committed(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.model()
    (repo.path / "metrics/eval.json").unlink()
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.9, "log_loss": 0.1})
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert "has a model but no metrics/eval.json" in reasons(repo, "error")


def test_report_only_11_the_report_is_written_and_the_exit_code_still_stops(repo: Repo) -> None:
    repo.model({"auc": 0.5, "log_loss": 0.58})
    repo.commit()
    assert repo.mlgate("compare").returncode == 1
    assert repo.mlgate("report").returncode == 1
    assert "0.5" in (repo.path / ".mlgate/report.html").read_text()


@pytest.mark.parametrize("renamed", ["challenger", "champion"])
def test_github_action_benchmark_12_a_metric_renamed_on_one_side(tmp_path: Path, renamed: str) -> None:
    repo = Repo(tmp_path / "repo")
    names = {"challenger": ("auc", "AUC"), "champion": ("AUC", "auc")}[renamed]
    repo.model({names[0]: 0.9, "log_loss": 0.5})
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({names[1]: 0.9, "log_loss": 0.5})
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert f"auc is missing in the {renamed}'s metrics/eval.json" in reasons(repo, "error")


def test_soda_13_a_report_without_any_evidence(repo: Repo) -> None:
    assert repo.mlgate("report").returncode == 2


def test_soda_13_a_report_over_evidence_that_is_cut_short(repo: Repo) -> None:
    repo.mlgate("compare")
    file = repo.path / ".mlgate/evidence/visits/compare.json"
    file.write_text(file.read_text()[:200])
    assert repo.mlgate("report").returncode == 2


@pytest.mark.parametrize(
    "broken",
    [
        MLGATE.replace("threshold: 0.70", "treshold: 0.70"),
        MLGATE.replace("mode: enforce", "mode: enabled"),
        MLGATE + "  policy: {missing_metric: ignore}\n",
        MLGATE + "  policy: {missing_champion: pass}\n",
        MLGATE + "fail_on: nothing\n",
        MLGATE + "  rules: {}\n",
        MLGATE + "\t- not yaml: [",
        "",
    ],
)
def test_multivon_14_a_malformed_policy_never_falls_back_to_defaults(repo: Repo, broken: str) -> None:
    repo.write("mlgate.yaml", broken)
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


def test_codecov_target_shorthand_is_refused_rather_than_half_understood(repo: Repo) -> None:
    repo.write("mlgate.yaml", MLGATE + "    f1: {target: auto, threshold: 1%}\n")
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


def test_a_gate_cannot_be_passed_by_deleting_it(repo: Repo) -> None:
    repo.git("rm", "--quiet", "mlgate.yaml")
    repo.model({"auc": 0.1, "log_loss": 9}, config=None)
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert repo.mlgate("compare", "--config", "**/mlgate.yaml").returncode == 2


def test_a_gate_cannot_be_passed_by_switching_it_off_in_the_change_itself(repo: Repo) -> None:
    repo.model({"auc": 0.1, "log_loss": 9}, config=MLGATE.replace("mode: enforce", "mode: off"))
    repo.commit()
    assert repo.mlgate("compare").returncode == 1


def test_a_gate_cannot_be_passed_by_loosening_its_rule(repo: Repo) -> None:
    repo.model({"auc": 0.65, "log_loss": 0.58}, config=MLGATE.replace("0.70", "0.60").replace("0.01", "0.5"))
    repo.commit()
    assert repo.mlgate("compare").returncode == 1
    assert "compare.rules.auc.threshold: 0.7 → 0.6" in reasons(repo, "warn")


def test_a_gate_cannot_be_passed_by_choosing_an_easier_champion(repo: Repo) -> None:
    repo.model({"auc": 0.705, "log_loss": 0.58}, config=MLGATE.replace("champion: main", "champion: HEAD"))
    repo.commit()
    assert repo.mlgate("compare").returncode == 1


def test_a_hand_edited_metrics_file(repo: Repo) -> None:
    repo.model({"auc": 0.5, "log_loss": 0.58})
    repo.write("metrics/eval.json", '{"auc": 0.99, "log_loss": 0.1}')
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert "it was edited after `dvc repro`" in reasons(repo, "error")


def test_code_changed_without_running_it_again(repo: Repo) -> None:
    repo.model({"auc": 0.9, "log_loss": 0.1})
    repo.write("src/train.py", "# another algorithm\n")
    repo.commit()
    assert repo.mlgate("compare").returncode == 2
    assert "Stage train is stale: src/train.py changed after it ran" in reasons(repo, "error")


def test_parameters_changed_without_running_it_again(repo: Repo) -> None:
    repo.model({"auc": 0.9, "log_loss": 0.1})
    repo.write("params.yaml", "train: {seed: other}\n")
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


def test_another_test_set_is_never_a_delta(repo: Repo) -> None:
    repo.model({"auc": 0.99, "log_loss": 0.1}, data="an easier test set")
    repo.commit()
    assert repo.mlgate("compare").returncode == 3
    assert "Not the same test set" in reasons(repo, "inconclusive")


def test_evaluated_on_the_training_data(repo: Repo) -> None:
    repo.model({"auc": 0.99, "log_loss": 0.1}, data="train rows")
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


def test_metrics_that_no_lock_attests_are_named(repo: Repo) -> None:
    repo.git("rm", "--quiet", "dvc.lock", "dvc.yaml")
    repo.write("models/visits.joblib", "model in git")
    repo.write("data/test.csv", "rows")
    repo.write("metrics/eval.json", '{"auc": 0.99, "log_loss": 0.1}')
    repo.commit()
    repo.mlgate("compare")
    assert repo.evidence()["verdict"] != "pass"
    assert "metrics/eval.json is in no dvc.lock: nothing attests" in reasons(repo, "warn")
