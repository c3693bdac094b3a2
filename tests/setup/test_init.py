"""init in the repositories people have: with DVC and without, empty, with many models, on both forges."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

import builder
from mlgate import __version__, config
from mlgate.setup import compose

GITHUB = "https://github.com/acme/Doctor%20Visits.git"


@pytest.fixture
def repo(tmp_path: Path) -> builder.Repo:
    return builder.Repo(tmp_path / "Some Model!")


def written(repo: builder.Repo, path: str = "mlgate.yaml") -> str:
    return (repo.path / path).read_text()


def load(repo: builder.Repo, path: str = "mlgate.yaml") -> config.Config:
    return config.load(written(repo, path), file=path, base=lambda _: None)


def accepted(text: str) -> str:
    """What a user does: every rule's # taken away."""
    return "\n".join(line.replace("    # ", "    ") if ": {is: " in line else line for line in text.splitlines()) + "\n"


def valid(repo: builder.Repo, path: str = "mlgate.yaml") -> None:
    import subprocess  # noqa: PLC0415

    schema = builder.ROOT / "docs/schema/mlgate.schema.json"
    tool = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run([tool, "--schemafile", schema, repo.path / path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def history(repo: builder.Repo) -> None:
    for auc in (0.712, 0.716, 0.714, 0.72, 0.718, 0.724):
        repo.model({"auc": auc, "log_loss": 0.58, "rows": 6057, "nested": {"f1": 0.6}, "lift": 2.1}, config=None)
        repo.commit(f"Model with {auc}")


def test_a_project_with_dvc_on_github(repo: builder.Repo) -> None:
    history(repo)
    repo.git("remote", "add", "origin", GITHUB)
    repo.write("requirements.txt", "dvc\n")
    done = repo.mlgate("init")
    assert done.returncode == 0, done.stderr
    text = written(repo)
    assert text.startswith("# yaml-language-server: $schema=https://raw.githubusercontent.com/")
    assert (
        "# auc: {is: roc_auc, threshold: 0.705, max_absolute_regression: 0.005} "
        "# last 6 commits: 0.712 to 0.724, largest drop 0.002" in text
    )
    assert "# nested.f1: {is: f1," in text
    assert "# lift: {greater_is_better: true or false, max_absolute_regression: 0.05}" in text
    assert "# Other numbers in these files: rows" in text
    loaded = load(repo)
    assert (loaded.model, loaded.mode, loaded.artifact) == ("Doctor-20Visits", "report", "models/visits.joblib")
    assert loaded.evaluate["holdout"].data == "data/test.csv"
    assert loaded.evaluate["holdout"].metrics == ["metrics/eval.json"]
    assert loaded.compare.rules == {}
    valid(repo)
    rules = config.load(accepted(text), file="mlgate.yaml", base=lambda _: None).compare.rules
    assert set(rules) == {"auc", "log_loss", "nested.f1"}
    caller = yaml.safe_load(written(repo, ".github/workflows/model-gate.yml"))
    assert caller["jobs"]["gate"]["with"] == {"setup": "pip install -r requirements.txt"}


def test_the_first_pull_request_ends_in_a_warning(repo: builder.Repo) -> None:
    history(repo)
    repo.git("checkout", "--quiet", "-b", "add-mlgate")
    repo.mlgate("init", "--forge", "github")
    repo.write("mlgate.yaml", accepted(written(repo)).replace("mode: report", "mode: enforce"))
    repo.commit("Add mlgate")
    done = repo.mlgate("compare")
    found = repo.evidence(written(repo).split("model: ")[1].split("\n")[0])
    assert (found["verdict"], done.returncode) == ("warn", 0), done.stdout
    done = repo.mlgate("doctor")
    assert done.returncode == 0, done.stdout + done.stderr


def test_twice_is_the_same_and_never_over_what_is_there(repo: builder.Repo) -> None:
    history(repo)
    repo.mlgate("init", "--forge", "github")
    first = {path: written(repo, path) for path in ("mlgate.yaml", ".github/workflows/model-gate.yml")}
    repo.write("mlgate.yaml", "mine\n")
    done = repo.mlgate("init", "--forge", "github")
    assert done.returncode == 2
    assert (
        done.stderr == "error: mlgate.yaml exists already; nothing was written. To write it anew: mlgate init --force\n"
    )
    assert written(repo) == "mine\n"
    done = repo.mlgate("init", "--forge", "github", MLGATE_FORCE="true")
    assert done.returncode == 0, done.stderr
    assert {path: written(repo, path) for path in first} == first
    assert sorted(p.name for p in repo.path.iterdir() if p.name.startswith(".mlgate")) == []


def test_the_caller_can_be_added_later_and_the_rules_stay(repo: builder.Repo) -> None:
    history(repo)
    assert "add the caller with `mlgate init --forge github`" in repo.mlgate("init").stdout
    repo.write("mlgate.yaml", "mine\n")
    done = repo.mlgate("init", "--forge", "github")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "wrote .github/workflows/model-gate.yml\nkept  mlgate.yaml (it exists; --force writes over it)\n\nNext:"
    )
    assert written(repo) == "mine\n"
    repo.write(".gitlab-ci.yml", "test: {script: [make]}\n")
    done = repo.mlgate("init", "--forge", "gitlab")
    assert ".gitlab-ci.yml exists and was not changed. Add to it:" in done.stdout
    assert written(repo) == "mine\n"


def test_a_caller_that_is_there_is_kept(repo: builder.Repo) -> None:
    history(repo)
    repo.write(".github/workflows/model-gate.yml", "name: mine\n")
    done = repo.mlgate("init", "--forge", "github")
    assert written(repo, ".github/workflows/model-gate.yml") == "name: mine\n"
    assert "kept  .github/workflows/model-gate.yml" in done.stdout
    assert load(repo).model


def test_another_workflow_that_calls_the_gate_is_enough(repo: builder.Repo) -> None:
    history(repo)
    repo.write(
        ".github/workflows/ci.yml",
        "on: push\njobs:\n  x:\n    steps:\n      - uses: mlgate/mlgate/actions/compare@v1\n",
    )
    done = repo.mlgate("init")
    assert ".github/workflows/ci.yml calls mlgate already." in done.stdout
    assert not (repo.path / ".github/workflows/model-gate.yml").exists()


def test_an_empty_repository(repo: builder.Repo) -> None:
    done = repo.mlgate("init")
    assert done.returncode == 0, done.stderr
    assert load(repo).model == "Some-Model"
    valid(repo)
    assert "no metrics file was found" in done.stdout
    assert "No forge was found" in done.stdout


def test_without_dvc(repo: builder.Repo) -> None:
    repo.write("reports/classification_report.json", {"accuracy": 0.9, "0": {"precision": 0.8, "support": 10}})
    repo.write("package.json", {"version": 1})
    repo.write("tests/data/metrics.json", {"auc": 1.0})
    repo.write("metrics-notes.json", "not json")
    repo.commit()
    repo.mlgate("init")
    loaded = load(repo)
    assert loaded.evaluate["holdout"].metrics == ["reports/classification_report.json"]
    assert loaded.artifact is None
    assert "artifact" not in written(repo)
    assert "# 0.precision: {is: precision" in written(repo) or '# "0.precision": {is: precision' in written(repo)
    valid(repo)


def test_metrics_that_repeat_keys_are_sets_of_their_own(repo: builder.Repo) -> None:
    repo.write("metrics/train.json", {"auc": 0.99})
    repo.write("metrics/test.json", {"auc": 0.7})
    repo.commit()
    repo.mlgate("init")
    assert load(repo).evaluate["holdout"].metrics == ["metrics/test.json"]
    assert "#   metrics: [metrics/train.json]" in written(repo)
    uncommented = written(repo).replace("  # train: #", "  train: #").replace("  #   metrics:", "    metrics:")
    assert set(config.load(uncommented, file="x", base=lambda _: None).evaluate) == {"holdout", "train"}


def test_one_file_for_each_model(repo: builder.Repo) -> None:
    for name in ("a", "b"):
        repo.model({"auc": 0.7}, folder=f"models/{name}", config=None)
    repo.write("models/notes/README.md", "x")
    repo.commit()
    done = repo.mlgate("init")
    assert done.returncode == 2
    assert "mlgate init --config models/a/mlgate.yaml" in done.stderr
    assert not (repo.path / "mlgate.yaml").exists()
    done = repo.mlgate("init", "--config", "models/a/mlgate.yaml")
    assert done.returncode == 0, done.stderr
    loaded = load(repo, "models/a/mlgate.yaml")
    assert (loaded.model, loaded.artifact) == ("a", "models/visits.joblib")
    assert loaded.path(loaded.evaluate["holdout"].metrics[0]) == "models/a/metrics/eval.json"
    done = repo.mlgate("init", "--config", "models/*/mlgate.yaml", "--forge", "github", "--force")
    assert done.returncode == 0, done.stderr
    assert load(repo, "models/b/mlgate.yaml").model == "b"
    assert not (repo.path / "models/notes/mlgate.yaml").exists()
    caller = yaml.safe_load(written(repo, ".github/workflows/model-gate.yml"))
    assert caller["jobs"]["gate"]["with"] == {"config": "models/*/mlgate.yaml"}
    repo.commit("Add")
    done = repo.mlgate("compare", "--config", "models/*/mlgate.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../mlgate.yaml", "leaves the repository"),
        ("/tmp/mlgate.yaml", "leaves the repository"),
        ("x/[ab]/mlgate.yaml", "no folder"),
    ],
)
def test_paths_that_cannot_be(repo: builder.Repo, path: str, said: str) -> None:
    done = repo.mlgate("init", "--config", path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_link_out_of_the_repository_is_not_followed(repo: builder.Repo, tmp_path: Path) -> None:
    repo.commit()
    (tmp_path / "outside").mkdir()
    (repo.path / "models").symlink_to(tmp_path / "outside")
    done = repo.mlgate("init", "--config", "models/mlgate.yaml")
    assert done.returncode == 2
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_folder_that_cannot_be_written(repo: builder.Repo) -> None:
    if os.geteuid() == 0:
        repo.write("models", "a file where a folder should be")
        done = repo.mlgate("init", "--config", "models/mlgate.yaml")
    else:
        repo.path.chmod(0o500)
        done = repo.mlgate("init")
        repo.path.chmod(0o700)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


# -- keys that are only suggested ----------------------------------------------------------------


def test_predictions_are_suggested_with_the_keys_that_work(repo: builder.Repo) -> None:
    history(repo)
    pipeline = yaml.safe_load(written(repo, "dvc.yaml"))
    pipeline["stages"]["evaluate"]["outs"] = ["eval/predictions.parquet"]
    repo.write("dvc.yaml", yaml.safe_dump(pipeline))
    repo.mlgate("init")
    text = written(repo)
    assert "    # predictions: {path: eval/predictions.parquet}\n" in text
    assert load(repo).evaluate["holdout"].predictions is None
    repo.write("mlgate.yaml", text.replace("# predictions:", "predictions:"))
    predictions = load(repo).evaluate["holdout"].predictions
    assert predictions is not None
    assert predictions.path == "eval/predictions.parquet"
    valid(repo)


def test_columns_of_a_csv_are_shown(repo: builder.Repo) -> None:
    history(repo)
    repo.write(".gitignore", "data/\n")
    repo.write("data/test.csv", '\ufeffperson_id,age,Label,"odd, name"\n1,2,0,x\n')
    repo.mlgate("init")
    assert "    # with the columns person_id, age, Label, odd, name\n" in written(repo)
    valid(repo)


@pytest.mark.parametrize("data", [b"1,2,0\n3,4,1\n", b"\x00\xff\xfe,", b""])
def test_no_header_no_columns(repo: builder.Repo, data: bytes) -> None:
    history(repo)
    repo.write("data/test.csv", data)
    repo.mlgate("init")
    assert "columns" not in written(repo)


def test_a_parquet_schema_is_asked_of_the_projects_python(repo: builder.Repo, tmp_path: Path) -> None:
    history(repo)
    text = written(repo, "dvc.yaml").replace("test.csv", "test.parquet")
    repo.write("dvc.yaml", text)
    repo.write("data/test.parquet", b"PAR1")
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho \'["row_id", "y"]\'\n')
    fake.chmod(0o755)
    repo.mlgate("init", PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert "    # with the columns row_id, y\n" in written(repo)


# -- GitLab --------------------------------------------------------------------------------------


def test_gitlab_without_a_pipeline(repo: builder.Repo) -> None:
    history(repo)
    repo.git("remote", "add", "origin", "git@gitlab.example.org:acme/visits.git")
    repo.mlgate("init")
    assert load(repo).model == "visits"
    (include,) = yaml.safe_load(written(repo, ".gitlab-ci.yml"))["include"]
    assert include["ref"] == f"v{__version__}"
    assert (builder.ROOT / include["file"].lstrip("/")).is_file()
    assert "inputs" not in include


def test_a_pipeline_that_is_there_is_printed_for(repo: builder.Repo) -> None:
    history(repo)
    repo.write(".gitlab-ci.yml", "test:\n  script: pytest\n")
    repo.write("requirements.txt", "x\n")
    done = repo.mlgate("init")
    assert written(repo, ".gitlab-ci.yml") == "test:\n  script: pytest\n"
    printed = done.stdout.split("Add to it:\n\n")[1].split("\n\nUnder")[0]
    assert yaml.safe_load(printed)["include"][0]["inputs"] == {"setup": "pip install -r requirements.txt"}
    done = repo.mlgate("init", "--force")
    top = yaml.safe_load(written(repo, ".gitlab-ci.yml"))
    assert top["test"] == {"script": "pytest"}
    assert top["include"][0]["project"] == "mlgate/mlgate"
    again = repo.mlgate("init", "--force")
    assert ".gitlab-ci.yml includes mlgate already." in again.stdout


@pytest.mark.parametrize(
    "existing",
    [
        "include:\n  - local: /x.yml\ntest:\n  script: x\n",
        "include: # ours\n- local: /x.yml\n",
        "stages: [a]\n",
        "",
        "# only a comment\n",
    ],
)
def test_the_include_goes_where_it_belongs(existing: str) -> None:
    before = yaml.safe_load(existing) or {}
    text = compose.into_gitlab(existing, "1.2.3", compose.Caller(setup="pip install ."))
    assert text
    after = yaml.safe_load(text)
    assert after["include"][0]["ref"] == "v1.2.3"
    assert after["include"][1:] == before.get("include", [])
    assert {k: v for k, v in after.items() if k != "include"} == {k: v for k, v in before.items() if k != "include"}
    assert all(line in text for line in existing.splitlines())


@pytest.mark.parametrize("existing", ["include: /x.yml\n", "include: [a, b]\n", "spec:\n  inputs: {}\n---\na: 1\n"])
def test_what_would_have_to_be_reformatted_is_left_alone(existing: str) -> None:
    assert compose.into_gitlab(existing, "1.2.3", compose.Caller()) is None


# -- the pieces ----------------------------------------------------------------------------------


def test_the_packaged_starter_is_the_starter() -> None:
    packaged = resources.files("mlgate.setup").joinpath("templates/model-gate.yml").read_text(encoding="utf-8")
    assert packaged == (builder.ROOT / "workflows/model-gate.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("caller", "inputs"),
    [
        (compose.Caller(), None),
        (compose.Caller(setup="pip install ."), {"setup": "pip install ."}),
        (compose.Caller(config="a/mlgate.yaml\nb/mlgate.yaml"), {"config": "a/mlgate.yaml\nb/mlgate.yaml"}),
        (compose.Caller(branch="rel: #1", setup="a: b # c"), {"setup": "a: b # c"}),
    ],
)
def test_only_known_lines_of_the_starter_change(caller: compose.Caller, inputs: dict[str, str] | None) -> None:
    starter = (builder.ROOT / "workflows/model-gate.yml").read_text(encoding="utf-8")
    before, after = yaml.safe_load(starter), yaml.safe_load(compose.github(starter, caller))
    assert after["jobs"]["gate"].pop("with", None) == inputs
    assert after[True]["push"]["branches"] == [caller.branch]
    before["jobs"]["gate"].pop("with")
    before[True]["push"]["branches"] = after[True]["push"]["branches"]
    assert after == before


@pytest.mark.parametrize(
    ("files", "command", "python"),
    [
        (["requirements.txt", "pyproject.toml"], "pip install -r requirements.txt", ""),
        (["uv.lock", "pyproject.toml"], "pip install uv && uv sync --locked", ".venv/bin/python"),
        (["pyproject.toml"], "pip install .", ""),
        (["README.md"], "", ""),
    ],
)
def test_how_a_project_installs_itself(files: list[str], command: str, python: str) -> None:
    assert compose.setup_command(files, "") == (command, python)


def test_the_models_own_requirements_come_first() -> None:
    files = ["requirements.txt", "models/a b/requirements.txt"]
    assert compose.setup_command(files, "models/a b")[0] == "pip install -r 'models/a b/'requirements.txt"
    assert compose.setup_command(files, "models/c")[0] == "pip install -r requirements.txt"


@given(st.text(min_size=1, max_size=30))
@example("\x7f\x85\u2028\x1b]0;x\x07\U0001f600\ufeff")
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    assert yaml.safe_load(f"{{{compose.scalar(text)}: [{compose.scalar(text)}]}}") == {text: [text]}
    assert yaml.safe_load(f"k: {compose.scalar_or_quoted(text)}\n") == {"k": text}


@pytest.mark.parametrize("text", ["y", "N", "no", "on", "0E0", "1e5", "1.50", "12", "null", "2024-01-01", "2024-13-45"])
def test_text_that_looks_like_another_type_is_quoted(text: str) -> None:
    assert compose.scalar(text) == f'"{text}"'
    assert yaml.safe_load(f"k: {compose.scalar_or_quoted(text)}") == {"k": text}


@given(st.text(max_size=200), st.text(max_size=20))
@example("0E0", "")
def test_every_name_is_one_that_a_model_may_have(one: str, two: str) -> None:
    name = compose.model_name(one, two)
    text = f"schema: 1\nmodel: {compose.scalar(name)}\nevaluate: {{h: {{metrics: [m.json]}}}}\n"
    assert config.load(text, file="mlgate.yaml", base=lambda _: None).model == name


def test_keys_that_try_to_break_out_of_their_comment(repo: builder.Repo) -> None:
    repo.write("metrics.json", {"a\nmode: enforce": 0.5, "b # c": 1, "auc\x1b[31m": 0.7, "x: {y": 0.1, "no": 0.2})
    repo.commit()
    done = repo.mlgate("init")
    assert done.returncode == 0, done.stderr
    assert load(repo).mode == "report"
    assert "\x1b" not in written(repo)
    assert yaml.safe_load(written(repo)).keys() == {"schema", "model", "mode", "evaluate", "compare"}


def test_file_names_that_are_commands(repo: builder.Repo, tmp_path: Path) -> None:
    name = "metrics\n::error::owned\n\x1b[31m.json"
    repo.write(name, {"auc": 0.7})
    repo.write(os.fsdecode(b"metrics-\xff.json"), {"f1": 0.7})
    repo.write("metrics::warning::x.json", {"f1": 0.7})
    repo.commit()
    done = repo.mlgate("init", CI_API_V4_URL="http://127.0.0.1:9", CI_PIPELINE_SOURCE="web", CI_JOB_ID="1")
    assert done.returncode == 0, done.stderr
    assert "\n::error" not in done.stdout
    assert "\x1b" not in done.stdout + written(repo)
    assert load(repo).evaluate["holdout"].metrics == ["metrics::warning::x.json"]
    assert "::warning" in done.stdout
    assert not any(line.lstrip().startswith("::") for line in done.stdout.splitlines())


def test_no_command_of_the_project_is_needed(repo: builder.Repo) -> None:
    history(repo)
    tools = repo.path.parent / "bin"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git") or "")
    done = repo.mlgate("init", PATH=str(tools))
    assert done.returncode == 0, done.stderr
