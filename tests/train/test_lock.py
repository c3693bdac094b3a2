"""`verify: lock`: what a commit shows without project code and without data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import builder
from setup.projects import dvc
from train import projects
from train.projects import Seen

pytestmark = pytest.mark.dvc


def test_a_clone_without_data_is_proven_by_its_lock(bare: builder.Repo) -> None:
    before = projects.data_of(bare)
    seen = Seen(bare)
    assert (seen.verdict, seen.code) == ("pass", 0), seen.reasons
    assert seen.state("code, parameters") == "proven"
    assert seen.state("the committed metrics") == "proven"
    assert seen.state("the model, its data") == "proven"
    assert seen.state("the predictions follow") == "attested"
    assert seen.state("the metrics follow") == "attested"
    assert seen.state("the model follows") == "attested"
    assert seen.evidence["stages"] == []
    assert seen.evidence["facts"]["verify"] == "lock"
    assert seen.evidence["promotable"] is True
    assert projects.data_of(bare) == before  # nothing was fetched, nothing was run
    assert not (bare.path / ".dvc/cache").exists()


def test_the_facts_name_no_person_host_or_path(bare: builder.Repo) -> None:
    facts = Seen(bare).evidence["facts"]
    assert facts["python"].startswith("CPython 3.")
    assert len(facts["packages sha256"]) == 64
    assert facts["packages"] > 10
    assert facts["seeds"] == "train.seed = 7"
    assert facts["cpu cores"] >= 1
    text = json.dumps(facts)
    assert str(Path.home()) not in text
    assert str(bare.path) not in text


def _code(repo: builder.Repo) -> None:
    repo.write("src/train.py", projects.TRAIN + "\n# changed\n")


def _param(repo: builder.Repo) -> None:
    repo.write("params.yaml", json.dumps({"train": {"seed": 8, "shift": 0.25}}) + "\n")


def _cmd(repo: builder.Repo) -> None:
    repo.write("dvc.yaml", projects.PIPELINE.replace("cmd: python src/train.py", "cmd: python -O src/train.py"))


def _dep(repo: builder.Repo) -> None:
    repo.write("src/more.py", "")
    repo.write("dvc.yaml", projects.PIPELINE.replace("deps: [data/train.csv,", "deps: [src/more.py, data/train.csv,"))


def _metrics(repo: builder.Repo) -> None:
    file = repo.path / "metrics/eval.json"
    repo.write("metrics/eval.json", {**json.loads(file.read_text()), "accuracy": 0.99})


def _data(repo: builder.Repo) -> None:
    repo.write("data/train.csv", "id,x,label\n1,1,1\n")
    dvc(repo, "add", "--quiet", "data/train.csv")
    dvc(repo, "push", "--quiet")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_code, "src/train.py"),
        (_param, "params.yaml train"),
        (_cmd, "command"),
        (_dep, "src/more.py"),
        (_metrics, "metrics/eval.json"),
        (_data, "data/train.csv"),
    ],
)
def test_what_changed_after_the_run_makes_the_lock_stale(
    project: builder.Repo, change: object, named: str, tmp_path: Path
) -> None:
    assert callable(change)
    change(project)
    project.commit("By hand")
    seen = Seen(projects.clone(project, tmp_path / "runner"))
    assert (seen.verdict, seen.code) == ("error", 2)
    assert named in seen.reasons
    refuted = [p["claim"] for p in seen.evidence["proofs"] if p["state"] == "refuted"]
    assert refuted
    assert all(p["state"] != "proven" or "remote" in p["claim"] or "lock names" in p["claim"]
               for p in seen.evidence["proofs"])  # fmt: skip


def test_data_that_were_not_pushed_are_missed(project: builder.Repo, tmp_path: Path) -> None:
    project.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": 0.5}}) + "\n")
    projects.repro(project, push=False)
    seen = Seen(projects.clone(project, tmp_path / "runner"))
    assert seen.verdict == "fail"
    assert seen.state("the model, its data") == "refuted"
    assert "models/model.json" in seen.reasons
    assert "dvc push" in seen.checks["proofs.remote"]["fix"]


def test_merge_conflict_markers_are_one_clear_error(project: builder.Repo) -> None:
    lock = (project.path / "dvc.lock").read_text()
    project.write("dvc.lock", f"<<<<<<< HEAD\n{lock}=======\n{lock}>>>>>>> other\n")
    project.commit("Merge")
    seen = Seen(project)
    assert (seen.verdict, seen.code) == ("error", 2)
    assert "merge conflict markers" in seen.reasons


def test_without_any_dvc_it_is_said_that_nobody_asked_it(bare: builder.Repo, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("git", "env"):
        (tools / name).symlink_to(shutil.which(name) or "")
    seen = Seen(bare, PATH=str(tools))
    assert seen.verdict == "warn", seen.reasons
    assert any("no DVC" in line for line in seen.evidence["not_run"])
    assert seen.state("code, parameters") == "proven"
    assert seen.state("the model, its data") == "not run"


def test_an_output_with_a_remote_of_its_own_is_looked_for_there(project: builder.Repo) -> None:
    """Of several remotes, each output has one: that it is not in the default one says nothing."""
    models = project.path.parent / "models"
    models.mkdir()
    dvc(project, "remote", "add", "--quiet", "models", "../models")
    project.commit("Name another remote")  # in a commit of its own: one that moves remotes is told
    project.write(
        "dvc.yaml", projects.PIPELINE.replace("[models/model.json]", "[{models/model.json: {remote: models}}]")
    )
    shutil.rmtree(project.path.parent / "remote")
    (project.path.parent / "remote").mkdir()
    projects.repro(project)
    kept = builder.md5(projects.data_of(project)["models/model.json"])
    assert list(models.rglob(kept[2:]))
    assert not list((project.path.parent / "remote").rglob(kept[2:]))
    seen = Seen(project)
    assert (seen.verdict, seen.code) == ("pass", 0), seen.reasons
    assert seen.state("the model, its data") == "proven"
    shutil.rmtree(models)
    models.mkdir()
    seen = Seen(project)
    assert seen.state("the model, its data") == "refuted"
    assert "models/model.json" in seen.reasons


def test_the_remote_is_left_alone_when_told_so(bare: builder.Repo) -> None:
    seen = Seen(bare, "--remote", "false")
    assert seen.verdict == "pass"
    assert seen.state("the model, its data") == "not run"
    assert any("it was not asked" in line for line in seen.evidence["not_run"])


def test_a_remote_without_credentials_is_the_policys(bare: builder.Repo) -> None:
    bare.write(".dvc/config", "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://bucket/x\n")
    bare.commit("S3")
    seen = Seen(
        bare, AWS_EC2_METADATA_DISABLED="true", AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
        AWS_CONFIG_FILE="/nonexistent", AWS_MAX_ATTEMPTS="1",
    )  # fmt: skip
    assert seen.verdict == "warn", seen.reasons
    assert seen.state("the model, its data") == "not run"
    assert "no credentials" in seen.reasons


def test_pointers_without_a_pipeline(project: builder.Repo) -> None:
    """A model and its data kept by `dvc add` alone: known and there, and nothing says what made them."""
    for name in ("dvc.yaml", "dvc.lock"):
        (project.path / name).unlink()
    for path in ("models/model.json", "eval/predictions.csv"):
        (project.path / path).with_name(".gitignore").unlink(missing_ok=True)
        dvc(project, "add", "--quiet", path)
    dvc(project, "push", "--quiet")
    project.commit("By hand")
    seen = Seen(project)
    assert seen.verdict == "warn", seen.reasons
    assert seen.state("the model, its data") == "proven"
    assert seen.state("code, parameters") == "not run"
    assert seen.state("the model follows") == "not run"
    assert "nothing attests which data and code made it" in seen.reasons


def test_foreach_matrix_templates_folders_and_frozen_stages(project: builder.Repo, tmp_path: Path) -> None:
    pipeline = yaml.safe_load(projects.PIPELINE)
    pipeline["vars"] = [{"regions": ["eu", "us"]}]
    pipeline["stages"]["split"] = {
        "foreach": "${regions}",
        "do": {
            "cmd": "mkdir -p data/${item} && cp data/train.csv data/${item}/rows.csv",
            "deps": ["data/train.csv"],
            "outs": ["data/${item}"],
        },
    }
    pipeline["stages"]["count"] = {
        "matrix": {"region": ["eu", "us"], "size": [1, 2]},
        "cmd": "mkdir -p n && wc -l data/${item.region}/rows.csv > n/${item.region}-${item.size}",
        "deps": ["data/${item.region}"],
        "outs": ["n/${item.region}-${item.size}"],
    }
    pipeline["stages"]["train"]["deps"] += ["data/eu", "data/us", "n/eu-1", "n/us-2"]
    pipeline["stages"]["old"] = {
        "cmd": "echo 1 > old.txt",
        "deps": ["src/train.py"],
        "outs": ["old.txt"],
    }
    pipeline["stages"]["evaluate"]["deps"].append("old.txt")
    project.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))
    projects.repro(project)
    dvc(project, "freeze", "old")
    project.commit("Freeze")
    seen = Seen(projects.clone(project, tmp_path / "a"))
    assert (seen.verdict, seen.state("code, parameters")) == ("pass", "proven"), seen.reasons
    project.write("data/train.csv", "id,x,label\n1,2,0\n2,50,1\n")
    dvc(project, "add", "--quiet", "data/train.csv")
    dvc(project, "push", "--quiet")
    project.commit("Other rows")
    seen = Seen(projects.clone(project, tmp_path / "b"))
    assert seen.verdict == "error"
    assert "split@eu" in seen.reasons
    assert "split@us" in seen.reasons


def test_an_import_is_known_and_not_fetched(project: builder.Repo, tmp_path: Path) -> None:
    source = tmp_path / "source.csv"
    source.write_text("a\n1\n")
    dvc(project, "import-url", "--quiet", str(source), "data/other.csv")
    text = projects.PIPELINE.replace("deps: [data/train.csv,", "deps: [data/other.csv, data/train.csv,")
    project.write("dvc.yaml", text)
    projects.repro(project)
    source.unlink()
    seen = Seen(projects.clone(project, tmp_path / "runner"))
    assert seen.state("code, parameters") == "proven", seen.reasons
    assert seen.verdict in ("pass", "warn")


def test_one_project_of_a_monorepo_is_not_stopped_by_another(project: builder.Repo) -> None:
    project.write("other/dvc.yaml", "stages:\n  a:\n    cmd: echo 1 > a.txt\n    outs: [a.txt]\n")
    dvc(project, "repro", "--quiet", "other/dvc.yaml:a")
    project.commit("Another project")
    project.write("other/dvc.lock", "<<<<<<< a\nschema: '2.0'\n=======\nschema: '2.0'\n>>>>>>> b\n")
    project.commit("Broken elsewhere")
    seen = Seen(project, "--remote", "false")
    assert seen.state("code, parameters") == "proven"
    assert seen.verdict in ("pass", "warn"), seen.reasons


def test_a_level_is_only_ever_raised(project: builder.Repo) -> None:
    done = project.mlgate("train", "--verify", "lok")
    assert done.returncode == 2
    assert "none of lock, score, reproduce" in done.stderr
    done = project.mlgate("train", "--smoke", "some")
    assert done.returncode == 2
    assert "no number of rows" in done.stderr
