"""`mlgate compare` from commits to evidence: policies, modes, many models, first pull requests, both forges' events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder import GOOD, MLGATE, Repo, consumer
from jobs import environ

BETTER = {"auc": 0.74, "log_loss": 0.56}
WORSE = {"auc": 0.72, "log_loss": 0.60}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return consumer(tmp_path / "repo with spaces")


def check(repo: Repo, check_id: str, model: str = "visits") -> dict[str, Any]:
    return next(c for c in repo.evidence(model)["checks"] if c["id"] == check_id)


def test_a_better_challenger_passes_and_the_evidence_says_against_what(repo: Repo) -> None:
    champion = repo.git("rev-parse", "main")
    repo.model(BETTER)
    challenger = repo.commit()
    done = repo.mlgate("compare")
    assert (done.returncode, done.stderr) == (0, "")
    evidence = repo.evidence()
    assert evidence["verdict"] == "pass"
    assert evidence["champion"]["commit"] == champion
    assert evidence["source"]["commit"] == challenger
    assert evidence["statistics"] == "none"
    assert evidence["controls"] == {"passed": 12, "total": 12}
    assert evidence["subject"]["digest"].keys() == {"dvc-md5"}
    assert "3 limits hold against the champion" in evidence["title"]
    kinds = {(c["kind"], c["what"]) for c in evidence["changes"]}
    assert kinds == {("parameter", "params.yaml train.seed"), ("code", "src/train.py")}


def test_evidence_is_canonical_and_the_same_for_the_same_commits(repo: Repo) -> None:
    repo.model(WORSE)
    repo.commit()
    repo.mlgate("compare")
    file = repo.path / ".mlgate/evidence/visits/compare.json"
    first = file.read_text()
    repo.mlgate("compare")
    one, two = json.loads(first), json.loads(file.read_text())
    assert first == json.dumps(one, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    del one["source"], two["source"]
    assert one == two


def test_nothing_of_ours_shows_up_in_git(repo: Repo) -> None:
    repo.mlgate("compare")
    assert repo.git("status", "--porcelain") == ""


def test_an_unchanged_model_is_named_and_not_compared(repo: Repo) -> None:
    repo.write("README.md", "Words only\n")
    repo.commit()
    assert repo.mlgate("compare").returncode == 0
    assert repo.evidence()["unchanged"] is True
    assert not [c for c in repo.evidence()["checks"] if c["id"].startswith("rules.")]


@pytest.mark.parametrize(("policy", "code"), [("warn", 0), ("inconclusive", 3), ("fail", 1), ("error", 2)])
def test_no_champion_yet_is_what_the_policy_says(tmp_path: Path, policy: str, code: int) -> None:
    repo = Repo(tmp_path / "repo")
    repo.model(config=MLGATE + f"  policy: {{missing_champion: {policy}}}\n")
    repo.commit()
    assert repo.mlgate("compare").returncode == code
    assert repo.evidence()["verdict"] == policy


def test_the_first_pull_request_that_adds_mlgate_is_a_warning(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.model(config=None)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "adopt")
    repo.write("mlgate.yaml", MLGATE)
    repo.commit()
    done = repo.mlgate("compare")
    assert done.returncode == 0
    assert repo.evidence()["verdict"] == "warn"
    assert "mlgate.yaml is new" in done.stdout


@pytest.mark.parametrize(
    ("mode", "code", "verdict"), [("enforce", 1, "fail"), ("report", 0, "fail"), ("off", 0, "warn")]
)
def test_modes(tmp_path: Path, mode: str, code: int, verdict: str) -> None:
    repo = Repo(tmp_path / "repo")
    config = MLGATE.replace("mode: enforce", f"mode: {mode}")
    repo.model(config=config)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model(WORSE, config=config)
    repo.commit()
    assert repo.mlgate("compare").returncode == code
    assert repo.evidence()["verdict"] == verdict


@pytest.mark.parametrize(
    ("fail_on", "code"), [("warn", 1), ("inconclusive", 1), ("fail", 1), ("error", 0), ("never", 0)]
)
def test_fail_on(tmp_path: Path, fail_on: str, code: int) -> None:
    repo = Repo(tmp_path / "repo")
    config = MLGATE.replace("mode: enforce", f"mode: enforce\nfail_on: {fail_on}")
    repo.model(config=config)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model(WORSE, config=config)
    repo.commit()
    assert repo.mlgate("compare").returncode == code


def test_a_rule_that_the_change_tightens_is_judged_too(repo: Repo) -> None:
    repo.model(GOOD, seed="other", config=MLGATE.replace("0.70", "0.80"))
    repo.commit()
    assert repo.mlgate("compare").returncode == 1
    assert check(repo, "rules.auc.threshold")["verdict"] == "pass"
    assert check(repo, "proposed.auc.threshold")["verdict"] == "fail"


def test_a_metric_that_comes_with_its_rule_warns_instead_of_blocking_for_ever(repo: Repo) -> None:
    repo.model(
        {**BETTER, "brier": 0.1}, config=MLGATE + "    brier: {is: brier_score, max_absolute_regression: 0.01}\n"
    )
    repo.commit()
    assert repo.mlgate("compare").returncode == 0
    assert "the champion did not measure it yet" in check(repo, "proposed.brier.comparison")["reason"]


def test_an_anchor_stops_many_small_losses(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    config = MLGATE.replace("champion: main", "champion: main\n  anchor: visits@v1.0.0").replace(
        "max_absolute_regression: 0.01", "max_absolute_regression: 0.01, max_anchor_regression: 0.015"
    )
    repo.model({"auc": 0.73, "log_loss": 0.58}, config=config)
    repo.commit()
    repo.git("tag", "visits@v1.0.0")
    repo.model({"auc": 0.722, "log_loss": 0.58}, config=config)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.714, "log_loss": 0.58}, config=config)
    repo.commit()
    assert repo.mlgate("compare").returncode == 1
    assert check(repo, "rules.auc.absolute_regression")["verdict"] == "pass"
    assert check(repo, "rules.auc.anchor")["verdict"] == "fail"


def test_several_metrics_files_formats_and_keys_with_spaces(tmp_path: Path) -> None:
    config = MLGATE.replace("metrics: [metrics/eval.json]", "metrics: [metrics/eval.json, reports/more.yaml, r.toml]")
    config += "    weighted avg.f1-score: {is: f1, threshold: 0.5}\n    test.rmse: {is: rmse, threshold: 2}\n"
    repo = Repo(tmp_path / "repo")
    for values in (GOOD, BETTER):
        repo.model({**values, "weighted avg": {"f1-score": 0.6}}, config=config)
        repo.write("reports/more.yaml", "n: 3\n")
        repo.write("r.toml", "[test]\nrmse = 1.5\n")
        repo.commit()
    assert repo.mlgate("compare").returncode == 0
    assert check(repo, "rules.weighted avg.f1-score.threshold")["observed"] == 0.6
    assert check(repo, "rules.test.rmse.threshold")["observed"] == 1.5


def test_one_key_with_two_values_in_two_files_is_an_error(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    config = MLGATE.replace("metrics: [metrics/eval.json]", "metrics: [metrics/eval.json, other.json]")
    repo.model(config=config)
    repo.write("other.json", {"auc": 0.9})
    repo.commit()
    assert repo.mlgate("compare").returncode == 2


class TestManyModels:
    @pytest.fixture
    def repo(self, tmp_path: Path) -> Repo:
        repo = Repo(tmp_path / "repo")
        for name in ("churn", "fraud", "visits"):
            repo.model(folder=f"models/{name}", config=MLGATE.replace("model: visits", f"model: {name}"))
        repo.commit()
        repo.git("checkout", "--quiet", "-b", "change")
        return repo

    def test_what_changed_is_judged_and_the_rest_is_named(self, repo: Repo) -> None:
        repo.model(WORSE, folder="models/fraud", config=None)
        repo.commit()
        done = repo.mlgate("compare", "--config", "models/*/mlgate.yaml")
        assert done.returncode == 1
        assert [repo.evidence(m)["unchanged"] for m in ("churn", "fraud", "visits")] == [True, False, True]
        assert "unchanged: 2 models (churn, visits)" in done.stdout

    def test_a_change_to_one_model_does_not_touch_another_ones_verdict(self, repo: Repo) -> None:
        repo.write("models/churn/mlgate.yaml", "broken: [")
        repo.commit()
        assert repo.mlgate("compare", "--config", "models/*/mlgate.yaml").returncode == 2
        assert repo.evidence("visits")["verdict"] == "pass"

    def test_two_models_of_one_name(self, repo: Repo) -> None:
        repo.write("models/churn/mlgate.yaml", MLGATE)
        repo.commit()
        done = repo.mlgate("compare", "--config", "models/*/mlgate.yaml")
        assert done.returncode == 2
        assert "2 configurations call their model 'visits'" in done.stdout

    def test_a_model_that_leaves_with_its_metrics_is_retired_with_a_warning(self, repo: Repo) -> None:
        repo.git("rm", "-r", "--quiet", "models/churn")
        repo.commit()
        assert repo.mlgate("compare", "--config", "models/*/mlgate.yaml").returncode == 0
        assert repo.evidence("churn")["verdict"] == "warn"

    def test_a_model_that_only_loses_its_gate_is_an_error(self, repo: Repo) -> None:
        repo.git("rm", "--quiet", "models/churn/mlgate.yaml")
        repo.commit()
        assert repo.mlgate("compare", "--config", "models/*/mlgate.yaml").returncode == 2

    def test_from_a_folder_inside(self, repo: Repo) -> None:
        repo.model(BETTER, folder="models/fraud", config=None)
        repo.commit()
        assert repo.mlgate("compare", "--working-directory", "models/fraud").returncode == 0
        assert (repo.path / "models/fraud/.mlgate/evidence/fraud/compare.json").is_file()


class TestInAJob:
    """What only a forge's event decides."""

    def test_a_branch_that_lacks_changes_of_its_target_is_asked_to_rebase(self, repo: Repo, tmp_path: Path) -> None:
        repo.model(BETTER)
        head = repo.commit()
        repo.git("checkout", "--quiet", "main")
        repo.model({"auc": 0.73, "log_loss": 0.57})
        repo.commit("Meanwhile")
        repo.git("checkout", "--quiet", "--detach", head)
        pull = {"number": 7, "head": {"sha": head, "repo": {"full_name": "acme/visits"}}}
        pull["base"] = {"ref": "main", "sha": head, "repo": {"full_name": "acme/visits"}}
        env = environ(tmp_path / "job", repo, "pull_request", {"pull_request": pull, "number": 7})
        assert repo.mlgate("compare", **env).returncode == 3
        assert "changed" in check(repo, "judge.rebase")["reason"]

    def test_a_push_to_main_is_judged_by_its_own_rules_against_the_tip_before(self, repo: Repo, tmp_path: Path) -> None:
        before = repo.git("rev-parse", "main")
        repo.model(WORSE, config=MLGATE.replace("2%", "9%").replace("1%", "8%"))
        repo.commit()
        payload = {"ref": "refs/heads/main", "before": before, "after": repo.head, "forced": False}
        env = environ(tmp_path / "job", repo, "push", payload, GITHUB_REF="refs/heads/main", GITHUB_REF_NAME="main")
        assert repo.mlgate("compare", **env).returncode == 0
        assert repo.evidence()["champion"]["commit"] == before

    def test_outputs_are_written_before_a_red_exit(self, repo: Repo, tmp_path: Path) -> None:
        before = repo.git("rev-parse", "main")
        repo.model(WORSE)
        repo.commit()
        payload = {"ref": "refs/heads/main", "before": before, "after": repo.head, "forced": False}
        env = environ(tmp_path / "job", repo, "push", payload, GITHUB_REF="refs/heads/main", GITHUB_REF_NAME="main")
        assert repo.mlgate("compare", **env).returncode == 1
        outputs = (tmp_path / "job/output").read_text()
        for line in ("fail", "false", json.dumps(["rules.log_loss.relative_regression"]), before):
            assert f"\n{line}\n" in outputs
        assert "log_loss" in (tmp_path / "job/summary").read_text()

    def test_a_working_tree_that_differs_from_the_commit_is_an_error(self, repo: Repo, tmp_path: Path) -> None:
        before = repo.git("rev-parse", "main")
        repo.model(BETTER)
        repo.commit()
        repo.write("metrics/eval.json", {"auc": 1.0, "log_loss": 0.0})
        payload = {"ref": "refs/heads/main", "before": before, "after": repo.head, "forced": False}
        env = environ(tmp_path / "job", repo, "push", payload, GITHUB_REF="refs/heads/main", GITHUB_REF_NAME="main")
        assert repo.mlgate("compare", **env).returncode == 2
        assert "differ from the commit being judged" in check(repo, "integrity.tree")["reason"]


def test_uncommitted_work_is_only_a_warning_in_a_terminal(repo: Repo) -> None:
    repo.model(BETTER)
    repo.commit()
    repo.write("metrics/eval.json", {"auc": 1.0, "log_loss": 0.0})
    assert repo.mlgate("compare").returncode == 0
    assert repo.evidence()["verdict"] == "warn"


@pytest.mark.parametrize("argument", [["compar"], ["compare", "--chmapion", "main"], ["--nothing"]])
def test_a_mistyped_call_is_exit_2_with_a_guess(repo: Repo, argument: list[str]) -> None:
    done = repo.mlgate(*argument)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if argument != ["--nothing"]:
        assert "Did you mean" in done.stderr
