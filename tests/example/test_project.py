"""What is committed of example-project agrees with itself, with the tool and with the forges' schemas."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from example.consumer import PROJECT
from example.readme import PREPARED, ROOT, blocks, commands
from mlgate import __version__, config
from mlgate.cli import VERBS
from mlgate.data import profiles

LOCK: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.lock").read_text(encoding="utf-8"))
PIPELINE: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))
METRICS: dict[str, Any] = json.loads((PROJECT / "metrics" / "eval.json").read_text(encoding="utf-8"))
STARTERS = {"model-gate": "model-deploy", "model-monitor": "model-monitor", "model-retrain": "model-retrain"}


def read(path: str) -> str:
    return (PROJECT / path).read_text(encoding="utf-8")


def entries() -> list[dict[str, Any]]:
    return [entry for stage in LOCK["stages"].values() for entry in [*stage["deps"], *stage["outs"]]]


def is_committed(path: str) -> bool:
    return not path.startswith(("data/", "models/", "eval/"))


def test_the_lock_attests_every_committed_file() -> None:
    committed = [entry for entry in entries() if is_committed(entry["path"])]
    assert {e["path"] for e in committed} >= {"metrics/eval.json", "requirements.txt", "src/train.py"}
    for entry in committed:
        data = (PROJECT / entry["path"]).read_bytes()
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == entry["md5"], (
            f"{entry['path']} changed: dvc repro"
        )


def test_the_lock_was_made_with_these_stages_and_parameters() -> None:
    params = yaml.safe_load(read("params.yaml"))
    assert LOCK["stages"].keys() == PIPELINE["stages"].keys()
    for name, stage in PIPELINE["stages"].items():
        locked = LOCK["stages"][name]
        assert locked["cmd"] == stage["cmd"]
        assert [d["path"] for d in locked["deps"]] == sorted(stage["deps"])
        asked = {section: params[section] for section in stage.get("params", [])}
        assert locked.get("params", {}).get("params.yaml", {}) == asked


def test_stages_agree_on_the_digest_of_what_they_hand_over() -> None:
    digests: dict[str, set[str]] = {}
    for entry in entries():
        digests.setdefault(entry["path"], set()).add(entry["md5"])
    assert all(len(found) == 1 for found in digests.values()), digests


def test_the_rules_load_and_the_champion_meets_its_own_thresholds() -> None:
    found = config.load(read("mlgate.yaml"), file="mlgate.yaml", base=lambda _path: None)
    assert found.model == "doctor-visits"
    assert found.compare.rules.keys() <= METRICS.keys()
    for name, rule in found.compare.rules.items():
        assert rule.threshold is None or METRICS[name] >= rule.threshold
    outputs = {entry["path"] for entry in entries()}
    evaluation = found.evaluate["holdout"]
    assert evaluation.predictions is not None
    named = {
        found.artifact,
        evaluation.data,
        evaluation.predictions.path,
        *evaluation.metrics,
        *(d.path for d in found.data),
    }
    assert named <= outputs


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        *(("vendor.github-workflows", f".github/workflows/{name}.yml") for name in STARTERS),
        ("vendor.gitlab-ci", ".gitlab-ci.yml"),
    ],
)
def test_callers_follow_the_forges_schemas(schema: str, file: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    if schema == "vendor.gitlab-ci":
        command += ["--data-transform", "gitlab-ci"]
    done = subprocess.run([*command, str(PROJECT / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_profile_is_that_of_the_committed_model() -> None:
    """By the digests that it was made of, which are those of the lock."""
    found = profiles.read((PROJECT / "metrics" / "profile.json").read_bytes(), "profile.json", model="doctor-visits")
    digests = {entry["path"]: f"dvc-md5:{entry['md5']}" for entry in entries()}
    assert found.data.items() <= digests.items()
    assert {"data/train.parquet", "eval/predictions.parquet"} <= found.data.keys()
    settings = config.load(read("mlgate.yaml"), file="mlgate.yaml", base=lambda _path: None)
    assert settings.monitor.profile == "metrics/profile.json"
    assert found.columns.keys() == set(settings.serve.log.features)
    assert found.prediction is not None
    assert found.score is not None


@pytest.mark.parametrize(("name", "starter"), STARTERS.items())
def test_the_github_callers_are_the_starters(name: str, starter: str) -> None:
    wanted = (ROOT / "workflows" / f"{starter}.yml").read_text(encoding="utf-8")
    assert read(f".github/workflows/{name}.yml") == wanted


def test_the_gitlab_caller_includes_this_version_with_inputs_that_exist() -> None:
    includes = yaml.safe_load(read(".gitlab-ci.yml"))["include"]
    included = [Path(include["file"]).name.partition(".")[0] for include in includes]
    assert included == ["ml-pipeline", "model-build", "model-monitor", "model-retrain"]
    for include in includes:
        assert include["ref"] == f"v{__version__}"
        template = (ROOT / include["file"].lstrip("/")).read_text(encoding="utf-8")
        inputs = next(yaml.safe_load_all(template))["spec"]["inputs"]
        for name, value in include.get("inputs", {}).items():
            assert re.fullmatch(inputs[name]["regex"], value)


def test_the_image_has_the_versions_that_the_model_was_trained_with() -> None:
    whole, part = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", read(f"requirements{name}.txt"), re.MULTILINE))
        for name in ("", "-model")
    )
    assert part.items() <= whole.items()
    assert {"scikit-learn", "pandas", "skops", "numpy"} <= part.keys()


def test_requirements_are_exact_and_name_no_address() -> None:
    text = read("requirements.txt")
    assert "://" not in text
    wanted = re.split(r"\n(?=\S)", text.strip())
    for requirement in wanted:
        assert re.match(r"[a-z0-9][a-z0-9._-]*==\S+", requirement)
        assert "--hash=sha256:" in requirement
    direct = {re.split(r"[\[<>=]", line)[0] for line in read("requirements.in").split()}
    assert direct <= {requirement.split("==")[0] for requirement in wanted}


def test_nothing_but_pointers_is_committed_for_what_dvc_keeps() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    kept = [path for path in tracked.split("\0") if path and not is_committed(path)]
    assert sorted(kept) == ["data/.gitignore", "eval/.gitignore", "models/.gitignore"]


def test_the_page_uses_commands_and_files_that_exist() -> None:
    page = read("README.md")
    for command in commands(page):
        words = command.split()
        assert command.startswith(PREPARED) or words[0] in {"cp", "cd", "git", "dvc", "mlgate"}, command
        if words[0] == "mlgate":
            assert words[1] in VERBS
    for quoted in set(
        re.findall(r"`((?:src|metrics|\.github|\.gitlab-ci|params|dvc|mlgate|requirements)[\w./-]*\.\w+)`", page)
    ):
        assert (PROJECT / quoted).exists(), quoted
    assert [block.kind for block in blocks(page)].count("text") == 6


def test_the_page_gives_the_measured_values() -> None:
    measured = json.loads((Path(__file__).parent / "challengers.json").read_text(encoding="utf-8"))
    rows = [METRICS, measured["better"]["metrics"], measured["worse"]["metrics"]]
    for row in rows:
        assert f"| {row['auc']:.3f} | {row['log_loss']:.3f} | {row['accuracy']:.3f} |" in read("README.md")
