"""Changes that want `train` to say "proven" of numbers that do not follow, or to see what they should not: one test
per trick.

Project code runs as the same user as mlgate, so none of this is a wall; it is what the tool itself must not get wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import builder
from jobs import Job
from mlgate.data import reading
from mlgate.repo import credentials
from mlgate.train import predictions
from setup.projects import DVC_ENV, dvc, set_remote
from train import projects
from train.projects import Seen

pytestmark = pytest.mark.dvc
SCORE = "    score: python src/predict.py {model} {data} {predictions}\n"
SCORED = projects.CONFIG.replace("    predictions:", f"{SCORE}    predictions:")


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> builder.Repo:
    return projects.make(tmp_path_factory.mktemp("train"))


@pytest.fixture
def project(master: builder.Repo, tmp_path: Path) -> builder.Repo:
    return projects.copy(master, tmp_path / "home")


def python(repo: builder.Repo, *args: str) -> None:
    subprocess.run([sys.executable, *args], cwd=repo.path, check=True)


def forge_predictions(repo: builder.Repo) -> None:
    """Better numbers than the model's, in a commit and a lock that agree with each other."""
    labels = [line.split(",") for line in (repo.path / "data/test.csv").read_text().splitlines()[1:]]
    (repo.path / "eval/predictions.csv").unlink()
    rows = "".join(f"{i},{0.99 if y == '1' else 0.01}\n" for i, _, y in labels)
    repo.write("eval/predictions.csv", f"id,p_visit\n{rows}")
    python(repo, "src/evaluate.py")
    dvc(repo, "commit", "--force", "--quiet", "predict", "evaluate")
    dvc(repo, "push", "--quiet")


# -- what DVC is thought to have said --------------------------------------------------------------------------------


def test_a_stage_that_speaks_like_dvc(project: builder.Repo) -> None:
    """One stage that always runs prints that all the others did."""
    said = "".join(f"print(\"Running stage '{name}':\", flush=True)\n" for name in ("train", "predict", "evaluate"))
    project.write("src/evaluate.py", said + projects.EVALUATE)
    command = "    cmd: python src/evaluate.py\n"
    project.write("dvc.yaml", projects.PIPELINE.replace(command, f"{command}    always_changed: true\n"))
    projects.repro(project, "Speak")
    forge_predictions(project)
    project.commit("Better")
    seen = Seen(project, "--verify", "reproduce")
    assert "train" not in seen.stages or seen.stages["train"] == "not run", seen.stages
    assert seen.state("the model follows") != "proven"
    assert seen.state("the predictions follow") != "proven"
    assert seen.state("the metrics follow") != "proven"


def test_a_stage_named_like_an_option(project: builder.Repo) -> None:
    """`dvc repro --dry` prints what it would run."""
    project.write("dvc.yaml", projects.PIPELINE.replace("  evaluate:", "  --dry:"))
    dvc(project, "repro", "--quiet", "--", "--dry")
    values = json.loads((project.path / "metrics/eval.json").read_text())
    project.write("metrics/eval.json", json.dumps({**values, "accuracy": 0.99}))
    dvc(project, "commit", "--force", "--quiet", "--", "--dry")
    dvc(project, "push", "--quiet")
    project.commit("Better")
    seen = Seen(project, "--verify", "reproduce", "--rerun", "true")
    assert seen.verdict == "fail", seen.evidence["proofs"]
    assert seen.state("the metrics follow") == "refuted"


# -- what scoring reads, and what it can reach -----------------------------------------------------------------------


def test_a_remote_of_the_change_that_gives_other_bytes(project: builder.Repo, tmp_path: Path) -> None:
    """The pointers name the test set of the base; what the change's own remote has under that digest is another.

    The file looks as DVC leaves them (read-only): then DVC does not look into it, as it does not for a bucket.
    """
    project.write("mlgate.yaml", SCORED)
    project.commit("Score by a command")
    data = project.path / "data/test.csv"
    digest = builder.md5(data.read_bytes())
    rows = [line.split(",") for line in data.read_text().splitlines()[1:]]
    easy = "id,x,label\n" + "".join(f"{i},{48 + 400 * (y == '1') - 200},{y}\n" for i, _, y in rows)
    data.unlink()
    data.write_text(easy)
    (project.path / "eval/predictions.csv").unlink()
    python(project, "src/predict.py", "models/model.json", "data/test.csv", "eval/predictions.csv")
    python(project, "src/evaluate.py")
    data.unlink()
    dvc(project, "checkout", "--quiet", "data/test.csv.dvc")
    dvc(project, "commit", "--force", "--quiet", "predict", "evaluate")
    dvc(project, "push", "--quiet")
    shutil.copytree(project.path.parent / "remote", tmp_path / "bucket")
    stored = tmp_path / "bucket/files/md5" / digest[:2] / digest[2:]
    stored.chmod(0o644)
    stored.write_text(easy)
    stored.chmod(0o444)
    set_remote(project, str(tmp_path / "bucket"))
    project.commit("Easier")
    runner = projects.clone(project, tmp_path / "runner")
    seen = Seen(runner, "--verify", "score")
    assert seen.verdict == "error", seen.evidence["proofs"]
    assert "data/test.csv" in seen.reasons
    assert seen.state("the metrics follow") != "proven"
    again = Seen(projects.clone(project, tmp_path / "other"), "--verify", "reproduce", "--rerun", "true")
    assert again.verdict == "error", again.evidence["proofs"]
    assert again.state("the metrics follow") != "proven"


def test_a_change_that_moves_the_remote_is_told(project: builder.Repo) -> None:
    project.git("checkout", "--quiet", "-b", "change")
    shutil.copytree(project.path.parent / "remote", project.path.parent / "mine")
    set_remote(project, "../../mine")
    project.commit("Mine")
    seen = Seen(project)
    assert seen.verdict == "warn"
    assert ".dvc/config" in seen.reasons
    assert seen.state("the model, its data") == "attested"


def test_scoring_that_overwrites_what_it_is_compared_with(project: builder.Repo, tmp_path: Path) -> None:
    """Rather than copy the committed predictions, it puts its own in their place."""
    reach = (
        "import glob, shutil, sys\n"
        "for there in glob.glob('../beside/*/predictions.csv') + glob.glob('/tmp/**/holdout/predictions.csv'):\n"
        "    shutil.copyfile(sys.argv[3], there)\n"
    )
    project.write("src/predict.py", projects.PREDICT + "file.close()\n" + reach)
    projects.repro(project, "Reach")
    forge_predictions(project)
    project.commit("Better")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "score")
    assert seen.verdict in ("fail", "error"), seen.evidence["proofs"]
    assert seen.state("the predictions follow") != "proven"


def test_predictions_that_hold_nothing_but_ids(project: builder.Repo, tmp_path: Path) -> None:
    project.write("src/predict.py", projects.PREDICT)
    rows = (project.path / "eval/predictions.csv").read_text().splitlines()
    (project.path / "eval/predictions.csv").unlink()
    project.write("eval/predictions.csv", "\n".join(row.split(",")[0] for row in rows) + "\n")
    project.write("src/predict.py", projects.PREDICT.replace(', "p_visit"', "").replace(", repr(p)", ""))
    dvc(project, "commit", "--force", "--quiet", "predict", "evaluate")
    dvc(project, "push", "--quiet")
    project.commit("Ids")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "score")
    assert seen.verdict in ("fail", "error")
    assert seen.state("the predictions follow") == "refuted"
    assert "nothing beside" in seen.reasons


def test_a_process_that_leaves_its_group_is_ended_all_the_same(project: builder.Repo, tmp_path: Path) -> None:
    """It would wait for the evidence, and write another."""
    mark = tmp_path / "pid"
    stay = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        [os.close(number) for number in (0, 1, 2)]\n"
        f"        open({str(mark)!r}, 'w').write(str(os.getpid()))\n"
        "        time.sleep(100)\n"
        "    os._exit(0)\n"
        f"while not os.path.exists({str(mark)!r}) or not open({str(mark)!r}).read(): time.sleep(0.01)\n"
    )
    project.write("src/predict.py", stay + projects.PREDICT)
    projects.repro(project, "Stay")
    os.kill(int(mark.read_text()), 9)
    mark.unlink()
    seen = Seen(project, "--verify", "score")
    assert seen.verdict == "pass", seen.reasons
    left = int(mark.read_text())
    for _ in range(50):
        if not Path(f"/proc/{left}").exists() or "\nState:\tZ" in Path(f"/proc/{left}/status").read_text():
            return
        time.sleep(0.02)
    os.kill(left, 9)
    pytest.fail("it is still there")


# -- whose settings bind, and what counts as an excuse ---------------------------------------------------------------


def test_a_new_model_does_not_allow_itself_credentials(project: builder.Repo, tmp_path: Path) -> None:
    spy = f"import json, os; json.dump(dict(os.environ), open({str(tmp_path / 'seen')!r}, 'w'))\n"
    project.git("checkout", "--quiet", "-b", "change")
    project.git("mv", "mlgate.yaml", "other.yaml")
    project.write("src/predict.py", spy + projects.PREDICT)
    allowing = projects.CONFIG.replace("visits", "others").replace("train: {", "train: {environment: [SECRET_KEY], ")
    project.write("other.yaml", allowing)
    projects.repro(project, "Another model")
    job = Job(project, tmp_path / "job")
    project.mlgate("train", "--verify", "score", "--config", "other.yaml", **DVC_ENV, **job.environ, SECRET_KEY="hush")
    assert project.evidence("others", "train")["facts"]["verify"] == "score"
    assert "SECRET_KEY" not in json.loads((tmp_path / "seen").read_text())
    assert "SECRET_KEY" in json.dumps(project.evidence("others", "train")["checks"])


def test_a_failure_that_speaks_of_credentials_is_a_failure(project: builder.Repo, tmp_path: Path) -> None:
    """Not to have credentials is the policy's, by default a warning."""
    project.write("data/no credentials.csv", "x\n1\n")
    dvc(project, "add", "--quiet", "data/no credentials.csv")
    reads = "deps: [models/model.json, data/test.csv, src/predict.py"
    project.write("dvc.yaml", projects.PIPELINE.replace(reads, f"{reads}, data/no credentials.csv"))
    projects.repro(project, "Lose it", push=False)
    dvc(project, "push", "--quiet", "train", "predict", "evaluate", "data/train.csv", "data/test.csv")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "score", "--remote", "false")
    assert (seen.verdict, seen.code) == ("error", 2), seen.reasons
    assert "no credentials.csv could not be fetched" in seen.reasons
    assert ":." not in seen.reasons


def test_evidence_that_a_commit_carries_does_not_hold_back_the_proof(project: builder.Repo) -> None:
    """Data that break their contract keep project code from being run; a file that nobody can read is no such word."""
    project.write(".mlgate/evidence/visits/validate-data.json", "{")
    project.git("add", "--force", ".mlgate")
    project.commit("Carry")
    seen = Seen(project, "--verify", "score")
    assert (seen.verdict, seen.code) == ("error", 2), seen.reasons


@pytest.mark.parametrize(
    "options",
    [
        ("--smoke", "50", "--proposal", "handed"),
        ("--smoke", "50", "--push", "true"),
        ("--smoke", "50", "--verify", "score"),
        ("--rerun", "true"),
    ],
)
def test_options_that_do_nothing_together_are_refused(project: builder.Repo, options: tuple[str, ...]) -> None:
    seen = Seen(project, *options)
    assert (seen.verdict, seen.code) == ("error", 2)
    assert options[-2] in seen.reasons
    assert not (project.path / "handed").exists()


def test_a_proposal_of_an_earlier_run_is_none_of_this_one(project: builder.Repo) -> None:
    again = ("--verify", "reproduce", "--rerun", "true", "--remote", "false", "--proposal", "handed")
    assert Seen(project, *again).code == 0
    assert (project.path / "handed/proposal.json").exists()
    project.write("src/evaluate.py", "raise SystemExit(3)\n")
    project.commit("Break")
    assert Seen(project, *again).code == 2
    assert not (project.path / "handed").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://reader:hush@db/visits"),
        ("https_proxy", "http://me:hush@proxy:3128"),
        ("OPENAI_APIKEY", "hush"),
        ("DB_PASS", "hush"),
        ("SENTRY_DSN", "https://hush@sentry/1"),
        ("GH_PAT", "hush"),
        ("KUBECONFIG", "/home/hush"),
    ],
)
def test_a_credential_by_another_name(name: str, value: str) -> None:
    harmless = {"PATH": "/bin", "PWD": "/home", "OLDPWD": "/", "http_proxy": "http://proxy:3128", "PASSES": "3"}
    assert credentials.without({name: value, **harmless}) == harmless
    assert credentials.without({name: value}, allowed=[name]) == {name: value}


# -- what is logged --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("private", [True, False])
def test_columns_that_the_change_makes_public_are_not_logged_by_it(project: builder.Repo, *, private: bool) -> None:
    public = "schema: 1\ncolumns:\n  x: {type: integer}\n"
    config = projects.CONFIG.replace("test.csv, id: [id]}", "test.csv, id: [id], contract: contracts/test.yaml}")
    project.write("mlgate.yaml", config.replace("columns: {id: id}", "columns: {id: id, label: label}"))
    project.write("contracts/test.yaml", public.replace("integer", "integer, private: true") if private else public)
    project.write(".gitignore", "/mlflow*\n")
    project.commit("Say what is private")
    project.git("checkout", "--quiet", "-b", "change")
    project.write("contracts/test.yaml", f"{public}  id: {{type: integer}}\n")
    project.commit("Show x")
    again = ("--verify", "reproduce", "--rerun", "true", "--remote", "false", "--tracking-uri", "sqlite:///mlflow.db")
    assert Seen(project, *again).evidence["facts"]["MLflow run"]
    shown = [
        p
        for p in project.path.glob("mlflow-artifacts/**/model/*example*")
        if "x" in json.loads(p.read_text())["columns"]
    ]
    assert bool(shown) is not private


# -- predictions without an id ---------------------------------------------------------------------------------------


def test_a_part_of_several_that_is_a_copy_of_another(tmp_path: Path) -> None:
    for part, rows in {"then/p/1.csv": "1\n2\n", "then/p/2.csv": "1\n2\n", "now/p/1.csv": "1\n2\n"}.items():
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / part).write_text(f"p\n{rows}")
    con = reading.connect()
    try:
        tables = predictions.Tables(con, tmp_path / "then/p", tmp_path / "now/p", "p")
        assert predictions.compare(tables, by=None, tolerance=0).wrong == ("2 rows are missing (3, 4)",)
        tables = predictions.Tables(con, tmp_path / "then/p", tmp_path / "then/p", "p")
        assert predictions.compare(tables, by=None, tolerance=0).wrong == ()
    finally:
        con.close()
