"""Champions that the ledger or a folder names: found, or a clear sentence. Real git remotes, real processes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from remembering import BRANCH, Versions, bare, ledger, model, promoted, rolled_back

from builder import GOOD, MLGATE, Repo
from jobs import on_github
from mlgate.ledger.kinds import Deployment

LEDGER = MLGATE.replace("champion: main", "champion: ledger:production")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return bare(tmp_path / "origin.git")


@pytest.fixture
def repo(tmp_path: Path, origin: Path) -> Versions:
    repo = Versions.made(tmp_path / "repo", LEDGER)
    repo.push(origin)
    return repo


class TestTheLedger:
    def test_the_model_in_production_not_the_base(self, repo: Versions, origin: Path) -> None:
        written = ledger(repo, origin)
        written.append(promoted(repo.new, "new", environment="staging"), promoted(repo.old, "old"))
        done = repo.mlgate("compare")
        assert (done.returncode, done.stderr) == (0, "")
        champion = repo.evidence()["champion"]
        assert champion["commit"] == repo.old
        assert re.fullmatch(r"in production since \d{4}-\d\d-\d\d, by the ledger", champion["how"])
        assert champion["ref"] == "ledger:production"
        assert champion["subject"]["digest"] == model("old")

    def test_no_ledger_and_no_entry_is_no_champion_yet(self, repo: Versions, origin: Path) -> None:
        assert repo.mlgate("compare").returncode == 0
        assert "the ledger has no visits in production yet" in repo.evidence()["title"]
        ledger(repo, origin).append(promoted(repo.new, "new", environment="staging"))
        assert repo.mlgate("compare").returncode == 0
        assert repo.evidence()["verdict"] == "warn"
        assert repo.evidence()["champion"] is None

    def test_after_a_rollback_it_is_the_one_that_was_put_back(self, repo: Versions, origin: Path) -> None:
        """Its entry is written by a run at another commit than the model's."""
        written = ledger(repo, origin)
        written.append(promoted(repo.old, "old"), promoted(repo.new, "new"), rolled_back(repo.new, "old"))
        repo.mlgate("compare")
        assert repo.evidence()["champion"]["commit"] == repo.old

    def test_a_deployment_counts_when_it_is_complete(self, repo: Versions, origin: Path) -> None:
        told = {"model": "visits", "environment": "production", "commit": repo.new, "subject": model("new")}
        ledger(repo, origin).append(promoted(repo.old, "old"), Deployment(**told, state="advanced"))
        repo.mlgate("compare")
        assert repo.evidence()["champion"]["commit"] == repo.old
        ledger(repo, origin).append(Deployment(**told, state="complete"))
        repo.mlgate("compare")
        assert repo.evidence()["champion"]["commit"] == repo.new

    def test_another_model_than_the_commit_has(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted(repo.old, "new"))
        assert repo.mlgate("compare").returncode == 2
        assert re.search(
            rf"the ledger's entry \w{{8}} has visits in production as dvc-md5 \w+…, and the commit {repo.old[:7]} that "
            r"it names has models/visits.joblib as \w+…: its metrics are another model's",
            repo.said(),
        )

    def test_digests_that_have_nothing_in_common_prove_nothing(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted(repo.old, "old", subject={"sha256": "0" * 64}))
        assert repo.mlgate("compare").returncode == 2
        assert "nothing shows that they are one model" in repo.said()

    def test_a_commit_that_this_repository_does_not_have(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted("d" * 40, "old"))
        assert repo.mlgate("compare").returncode == 2
        assert "at the commit dddddddddddd, which this repository does not have" in repo.said()
        assert "no champion yet" not in repo.said().lower()

    def test_an_entry_without_a_commit(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted("", "old"))
        assert repo.mlgate("compare").returncode == 2
        assert "does not say at which commit" in repo.said()

    def test_a_damaged_ledger(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted(repo.old, "old"))
        eve = Repo(repo.path.parent / "eve")
        eve.git("fetch", "--quiet", f"file://{origin}", BRANCH)
        eve.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
        segment = next(eve.path.glob("*/events-*.jsonl"))
        segment.write_text(segment.read_text().replace("production", "prodoction"))
        eve.commit("Edit")
        eve.git("push", "--quiet", f"file://{origin}", f"HEAD:refs/heads/{BRANCH}")
        assert repo.mlgate("compare").returncode == 2
        assert f"the ledger on {BRANCH} cannot be believed" in repo.said()

    def test_a_ledger_that_cannot_be_reached_is_not_no_champion_yet(self, repo: Versions, tmp_path: Path) -> None:
        repo.git("remote", "set-url", "origin", f"file://{tmp_path}/nowhere.git")
        assert repo.mlgate("compare").returncode == 2
        assert "the ledger cannot be read" in repo.said()

    def test_a_remote_that_several_repositories_share(self, tmp_path: Path, origin: Path) -> None:
        shared = bare(tmp_path / "shared.git")
        repo = Versions.made(tmp_path / "one", LEDGER + f"ledger: {{remote: 'file://{shared}'}}\n")
        repo.push(origin)
        ledger(repo, shared).append(promoted(repo.old, "old"))
        assert repo.mlgate("compare").returncode == 0, repo.said()
        assert repo.evidence()["champion"]["commit"] == repo.old

    def test_a_change_cannot_choose_its_champion(self, tmp_path: Path, origin: Path) -> None:
        """It names the ledger, and the base does not: the base's version decides."""
        repo = Versions.made(tmp_path / "one", MLGATE)
        repo.push(origin)
        ledger(repo, origin).append(promoted(repo.old, "old"))
        repo.write("mlgate.yaml", LEDGER)
        repo.commit("Choose")
        payload = {"pull_request": {"number": 7, "head": {"sha": repo.head, "ref": "change"}, "base": {"ref": "main"}}}
        on_github(repo, "pull_request", payload)
        assert repo.evidence()["champion"]["commit"] == repo.new


class TestASchedule:
    """On the default branch, with nobody named: the model that was promoted last."""

    @pytest.fixture
    def repo(self, tmp_path: Path, origin: Path) -> Versions:
        repo = Versions.made(tmp_path / "repo", MLGATE.replace("  champion: main\n", ""))
        repo.git("checkout", "--quiet", "main")
        repo.git("merge", "--quiet", "change")
        repo.push(origin)
        return repo

    def test_the_last_promoted_model(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted(repo.old, "old"))
        assert on_github(repo, "schedule", {}).returncode == 0, repo.said()
        assert repo.evidence()["champion"]["commit"] == repo.old

    def test_a_rollback_takes_a_promotion_back(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted(repo.old, "old"), promoted(repo.new, "new"), rolled_back(repo.new, "old"))
        on_github(repo, "schedule", {})
        assert repo.evidence()["champion"]["commit"] == repo.old

    def test_without_a_ledger_the_first_parent(self, repo: Versions) -> None:
        assert on_github(repo, "schedule", {}).returncode == 0
        assert repo.evidence()["champion"]["commit"] == repo.new
        assert repo.evidence()["champion"]["how"] == "the commit before"
        assert not [said for said in repo.evidence()["not_run"] if "ledger" in said]

    def test_a_remote_that_does_not_answer_is_an_error(self, repo: Versions, tmp_path: Path) -> None:
        repo.git("remote", "set-url", "origin", f"file://{tmp_path}/nowhere.git")
        assert on_github(repo, "schedule", {}).returncode == 2
        assert "whether there is a ledger cannot be told" in repo.said()

    def test_other_events_ask_the_ledger_for_no_champion(self, repo: Versions, origin: Path) -> None:
        ledger(repo, origin).append(promoted(repo.old, "old"))
        on_github(repo, "workflow_dispatch", {}, GITHUB_REF="refs/heads/main", GITHUB_REF_NAME="main")
        assert repo.evidence()["champion"]["commit"] == repo.new


class TestAFolder:
    CONFIG = MLGATE.replace("champion: main", "champion: path:baseline")

    def make(self, path: Path, *, before: bool = True, **metrics: float) -> Repo:
        repo = Repo(path)
        repo.model(GOOD, seed="base", config=self.CONFIG)
        if before:
            repo.write("baseline/eval.json", {"auc": 0.65, "log_loss": 0.6, **metrics})
        repo.commit("Base")
        repo.git("checkout", "--quiet", "-b", "change")
        repo.model({"auc": 0.70, "log_loss": 0.6}, seed="challenger", config=self.CONFIG)
        repo.commit("Worse than main, better than the baseline")
        return repo

    def check(self, repo: Repo, check_id: str) -> dict[str, object]:
        found: dict[str, object] = next(c for c in repo.evidence()["checks"] if c["id"] == check_id)
        return found

    def test_its_metrics_are_the_champions(self, tmp_path: Path) -> None:
        repo = self.make(tmp_path / "repo")
        assert repo.mlgate("compare").returncode == 0
        evidence = repo.evidence()
        assert self.check(repo, "rules.auc.absolute_regression")["champion"] == 0.65
        assert evidence["champion"]["how"] == "compare.champion is the folder baseline"
        assert evidence["champion"]["subject"] is None  # the base's own model is not what lies there
        assert [said for said in evidence["not_run"] if "baseline" in said] == [
            "Whether baseline was measured on the same rows of holdout: a folder does not say by digest which ones "
            "those were, and committed metrics alone were compared."
        ]
        assert not [c for c in evidence["checks"] if c["id"] == "judge.comparable.holdout"]

    def test_what_a_change_puts_there_is_no_champion(self, tmp_path: Path) -> None:
        repo = self.make(tmp_path / "repo")
        repo.write("baseline/eval.json", {"auc": 0.1, "log_loss": 9})
        repo.commit("Lower the bar")
        repo.mlgate("compare")
        assert self.check(repo, "rules.auc.absolute_regression")["champion"] == 0.65

    def test_a_folder_that_the_change_brings_is_no_champion_yet(self, tmp_path: Path) -> None:
        repo = self.make(tmp_path / "repo", before=False)
        repo.write("baseline/eval.json", {"auc": 0.1, "log_loss": 9})
        repo.commit("First baseline")
        assert repo.mlgate("compare").returncode == 0
        assert repo.evidence()["verdict"] == "warn"
        assert "baseline is not in the base yet" in repo.evidence()["title"]

    def test_a_folder_that_is_nowhere_is_a_typing_error(self, tmp_path: Path) -> None:
        repo = self.make(tmp_path / "repo", before=False)
        assert repo.mlgate("compare").returncode == 2
        assert (
            "there is no folder baseline in this repository, which compare.champion names" in repo.evidence()["title"]
        )

    def test_a_folder_without_the_metrics_file(self, tmp_path: Path) -> None:
        repo = self.make(tmp_path / "repo", before=False)
        repo.git("checkout", "--quiet", "main")
        repo.write("baseline/README.md", "to come\n")
        repo.commit("Promise")
        repo.git("checkout", "--quiet", "change")
        repo.git("rebase", "--quiet", "main")
        assert repo.mlgate("compare").returncode == 2
        assert "baseline/eval.json (evaluate.holdout.metrics) is not in it at the base" in repo.evidence()["title"]


@pytest.mark.parametrize(("day", "warns"), [("2020-01-01", True), ("", False)])
def test_the_champions_age_is_shown_and_max_age_warns(tmp_path: Path, day: str, *, warns: bool) -> None:
    config = MLGATE.replace("champion: main", "champion: main\n  max_age: 90 days")
    repo = Repo(tmp_path / "repo")
    repo.model(config=config)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "-m", "Model", **({"GIT_COMMITTER_DATE": f"{day}T00:00:00Z"} if day else {}))
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.74, "log_loss": 0.56}, config=config)
    repo.commit("Better")
    done = repo.mlgate("compare")
    assert done.returncode == 0
    assert repo.evidence()["verdict"] == ("warn" if warns else "pass")
    said = [c["reason"] for c in repo.evidence()["checks"] if c["id"] == "judge.champion.age"]
    assert bool(said) is warns
    if warns:
        assert re.fullmatch(r"The champion \w{7} is \d{4} days old; compare.max_age is 90 days\.", said[0])
        assert re.search(r"\d years|\d{4} days|\d,\d{3} days", done.stdout)
        assert re.search(r"\d years|\d{4} days|\d,\d{3} days", (repo.path / ".mlgate/report.html").read_text())
