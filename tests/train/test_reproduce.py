"""`verify: reproduce`: the pipeline run again by the project's own DVC, and what is caught of what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import builder
from setup.projects import dvc
from train import projects
from train.projects import Seen

pytestmark = pytest.mark.dvc
# The bad trainings below write no predictions that anyone would compare.
NO_PREDICTIONS = projects.CONFIG.replace("    predictions: {path: eval/predictions.csv}\n", "")


def new_work(repo: builder.Repo, shift: float = 0.5) -> None:
    """A parameter changed and committed, and nothing run yet: what retraining starts from."""
    repo.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": shift}}) + "\n")
    repo.commit("Another shift")


def test_unchanged_stages_prove_no_more_than_the_lock(bare: builder.Repo) -> None:
    seen = Seen(bare, "--verify", "reproduce")
    assert (seen.verdict, seen.code) == ("warn", 0), seen.reasons
    assert "nothing was made again" in seen.reasons
    assert set(seen.stages.values()) == {"not run"}
    assert seen.state("the model follows") == "attested"
    assert seen.evidence["facts"]["verify"] == "reproduce"


def test_everything_made_again_follows_from_the_commit(bare: builder.Repo) -> None:
    seen = Seen(bare, "--verify", "reproduce", "--rerun", "true")
    assert (seen.verdict, seen.code) == ("pass", 0), seen.reasons
    assert {name: state for name, state in seen.stages.items() if ".dvc" not in name} == {
        "train": "ran", "predict": "ran", "evaluate": "ran",
    }  # fmt: skip
    assert "trained on 400 rows" in seen.printed
    assert " 1 values" not in json.dumps(seen.evidence["proofs"])
    for claim in ("the predictions follow", "the metrics follow", "the model follows", "code, parameters"):
        assert seen.state(claim) == "proven"
    assert bare.git("status", "--porcelain") == ""


def test_what_does_not_follow_from_the_commit_fails(project: builder.Repo, tmp_path: Path) -> None:
    """Metrics of a better run, a lock that agrees with them: only making it again shows it."""
    values = json.loads((project.path / "metrics/eval.json").read_text())
    project.write("metrics/eval.json", {**values, "accuracy": values["accuracy"] + 0.05})
    dvc(project, "commit", "--force", "--quiet", "evaluate")
    project.commit("Better")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "reproduce", "--rerun", "true")
    assert (seen.verdict, seen.code) == ("fail", 1), seen.reasons
    assert "does not follow from the commit" in seen.reasons
    assert seen.state("the metrics follow") == "refuted"
    assert seen.state("the model follows") == "refuted"


def test_new_work_is_made_pushed_and_handed_over(project: builder.Repo, tmp_path: Path) -> None:
    new_work(project)
    runner = projects.clone(project, tmp_path / "runner")
    seen = Seen(runner, "--verify", "reproduce", "--push", "true", "--proposal", "handed")
    assert seen.verdict in ("pass", "warn"), seen.reasons
    assert {name: state for name, state in seen.stages.items() if ".dvc" not in name} == {
        "train": "ran", "predict": "ran", "evaluate": "ran",
    }  # fmt: skip
    assert seen.state("the model, its data") == "proven"
    assert seen.state("the model follows") == "proven"
    manifest = json.loads((runner.path / "handed/proposal.json").read_text())
    assert [file["path"] for file in manifest["files"]] == ["dvc.lock", "metrics/eval.json"]
    assert manifest["base"] == runner.head
    # What was pushed is what the new lock names: another clone of the same remote can read it.
    lock = (runner.path / "dvc.lock").read_text()
    model = (runner.path / "models/model.json").read_text()
    assert json.loads(model)["shift"] == 0.5
    pushed = {p.read_text() for p in (tmp_path / "runner/remote").rglob("*") if p.is_file()}
    assert model in pushed
    assert lock != (project.path / "dvc.lock").read_text()


def test_a_first_training_needs_no_lock(project: builder.Repo) -> None:
    project.git("rm", "--quiet", "dvc.lock", "metrics/eval.json")
    project.commit("Not trained yet")
    seen = Seen(project, "--verify", "reproduce", "--rerun", "true", "--proposal", "handed", "--remote", "false")
    assert seen.verdict in ("pass", "warn"), seen.reasons
    assert seen.state("the model follows") == "proven"
    manifest = json.loads((project.path / "handed/proposal.json").read_text())
    assert [file["path"] for file in manifest["files"]] == ["dvc.lock", "metrics/eval.json"]


def test_only_what_was_made_again_is_proven(project: builder.Repo, tmp_path: Path) -> None:
    """The last stage alone is stale by its code, and comes out as committed: the rest stays attested."""
    project.write("src/evaluate.py", projects.EVALUATE + "# a comment\n")
    project.commit("Comment")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "reproduce")
    assert seen.stages["evaluate"] == "ran"
    assert seen.stages["train"] == "not run"
    assert seen.state("the predictions follow") != "proven"
    assert seen.state("the metrics follow") != "proven"
    assert seen.state("the model follows") != "proven"
    assert seen.verdict == "error"  # the commit itself holds a stale lock


def test_the_same_work_without_a_proposal_is_a_stale_lock(project: builder.Repo) -> None:
    new_work(project)
    seen = Seen(project, "--verify", "reproduce")
    assert seen.verdict == "error"
    assert "stale" in seen.reasons


def test_a_failed_push_is_an_error_and_nothing_is_handed_over(project: builder.Repo, tmp_path: Path) -> None:
    new_work(project)
    runner = projects.clone(project, tmp_path / "runner")
    dvc(runner, "pull", "--quiet")
    remote = tmp_path / "runner/remote"
    remote.rename(tmp_path / "gone")
    remote.write_text("no folder any more")
    seen = Seen(runner, "--verify", "reproduce", "--push", "true", "--proposal", "handed", "--remote", "false")
    assert (seen.verdict, seen.code) == ("error", 2), seen.reasons
    assert "dvc push" in seen.reasons
    assert not (runner.path / "handed").exists()


def test_a_run_that_was_cached_says_so(project: builder.Repo) -> None:
    new_work(project)
    dvc(project, "repro", "--quiet")
    project.git("checkout", "--quiet", "dvc.lock", "metrics")
    seen = Seen(project, "--verify", "reproduce", "--proposal", "handed", "--remote", "false")
    assert seen.stages["train"] == "cached", seen.printed
    assert seen.state("the model follows") == "attested"
    assert "run cache" in seen.reasons
    assert seen.verdict in ("pass", "warn"), seen.reasons


def _without_output(repo: builder.Repo) -> None:
    repo.write("src/train.py", "print('all good')\n")


def _nan_metrics(repo: builder.Repo) -> None:
    repo.write("src/evaluate.py", "open('metrics/eval.json', 'w').write('{\"accuracy\": NaN, \"log_loss\": 0.5}')\n")


def _empty_metrics(repo: builder.Repo) -> None:
    repo.write("src/evaluate.py", "open('metrics/eval.json', 'w').write('')\n")


def _own_input(repo: builder.Repo) -> None:
    repo.write("src/state.txt", "0\n")
    repo.write("dvc.yaml", projects.PIPELINE.replace("src/train.py]", "src/train.py, src/state.txt]", 1))
    repo.write("src/train.py", projects.TRAIN + "\nopen('src/state.txt', 'a').write('1\\n')\n")


def _fails(repo: builder.Repo) -> None:
    repo.write("src/train.py", "print('reading')\nraise ValueError('column x is gone')\n")


def _killed(repo: builder.Repo) -> None:
    repo.write("src/train.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")


def _changes_data(repo: builder.Repo) -> None:
    repo.write(
        "src/evaluate.py",
        "import os\n" + projects.EVALUATE + "\ntext = open('data/train.csv').read()\nos.unlink('data/train.csv')\n"
        "open('data/train.csv', 'w').write(text + '999,1,1\\n')\n",
    )


BAD = {
    "writes no model": (_without_output, "train", "models/model.json"),
    "NaN metrics": (_nan_metrics, "evaluate", "accuracy is nan"),
    "empty metrics": (_empty_metrics, "evaluate", "is empty"),
    "changes its own input": (_own_input, "train", "stale although it has just run"),
    "changes the training data": (_changes_data, "train", "data/train.csv"),
    "raises": (_fails, "train", "column x is gone"),
    "is killed": (_killed, "train", "failed"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_trainings_are_caught_with_their_stage_and_file(
    project: builder.Repo, bad: tuple[object, str, str]
) -> None:
    change, stage, named = bad
    assert callable(change)
    project.write("mlgate.yaml", NO_PREDICTIONS)
    change(project)
    project.commit("Bad training")
    seen = Seen(project, "--verify", "reproduce", "--proposal", "handed", "--remote", "false")
    assert (seen.verdict, seen.code) == ("error", 2), seen.reasons
    assert named in seen.reasons
    assert stage in seen.reasons
    assert seen.state("the model follows") != "proven"
    assert not (project.path / "handed").exists()


def test_a_failing_stage_shows_its_last_lines(project: builder.Repo) -> None:
    project.write("src/train.py", "for i in range(40): print('line', i)\nraise SystemExit(4)\n")
    project.commit("Fail")
    seen = Seen(project, "--verify", "reproduce", "--proposal", "handed", "--remote", "false")
    reason = seen.checks["proofs.reproduce"]["reason"]
    assert "Stage train failed" in reason
    assert "line 39" in reason
    assert "line 12" not in reason
    assert seen.stages["train"] == "failed"
    assert not any("It said last" in proof["by"] for proof in seen.evidence["proofs"])


def test_a_proposal_needs_something_to_be_made(project: builder.Repo) -> None:
    seen = Seen(project, "--proposal", "handed")
    assert seen.code == 2
    assert "--verify reproduce" in seen.reasons
