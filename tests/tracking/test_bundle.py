"""What is uploaded under which name, without a copy of anything large."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgate.tracking import Store, Training, bundle


def orders(training: Training, scratch: Path, uri: str = "https://mlflow.example.org") -> bundle.Bundle:
    store = Store.of({}, uri)
    assert store is not None
    scratch.mkdir()
    return bundle.make(training, store, scratch)


def places(made: bundle.Bundle) -> set[str]:
    uploads: list[dict[str, Any]] = made.orders["uploads"]
    return {"/".join(part for part in (u["to"], Path(u["file"]).name) if part) for u in uploads}


def test_links_of_dvc_keep_their_names(training: Training, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "files" / "md5"
    cache.mkdir(parents=True)
    (cache / "0cc175b9").write_text("fpr,tpr\n", "utf-8")
    for name in ("plots/linked.csv", "linked.joblib"):
        (training.folder / name).symlink_to(cache / "0cc175b9")
    made = orders(replace(training, artifacts=(Path("plots"),), artifact=Path("linked.joblib")), tmp_path / "scratch")
    assert places(made) == {"plots/linked.csv", "plots/roc.csv"}
    model = made.orders["model"]
    assert {path.name for path in Path(model["folder"]).iterdir()} == {
        "linked.joblib",
        "signature.json",
        "input_example.json",
    }
    assert (Path(model["folder"]) / "linked.joblib").read_text("utf-8") == "fpr,tpr\n"


def test_nothing_of_the_model_is_copied(training: Training, tmp_path: Path) -> None:
    folder = training.folder / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n", "utf-8")
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(50_000_000_000)  # sparse
    made = orders(replace(training, artifact=Path("model")), tmp_path / "scratch")
    view = Path(made.orders["model"]["folder"])
    assert (view / "weights.bin").is_symlink()
    assert not (view / "MLmodel").is_symlink()
    assert sum(path.lstat().st_blocks for path in view.iterdir() if not path.is_symlink()) < 1000


def test_only_regular_files_are_uploaded(training: Training, tmp_path: Path) -> None:
    os.mkfifo(training.folder / "plots" / "pipe")
    (training.folder / "plots" / "dangling").symlink_to(tmp_path / "gone")
    (training.folder / "plots" / "null").symlink_to("/dev/null")
    (training.folder / "plots" / "loop").symlink_to(training.folder / "plots")
    made = orders(replace(training, artifacts=(Path("plots"),)), tmp_path / "scratch")
    assert places(made) == {"plots/roc.csv"}


@pytest.mark.parametrize("uri", ["https://mlflow.example.org", "https://git.example.org/api/v4/projects/4/ml/mlflow"])
def test_orders_hold_no_secret(training: Training, tmp_path: Path, uri: str) -> None:
    store = Store.of({"MLFLOW_TRACKING_TOKEN": "tok3n"}, uri.replace("https://", "https://me:hunter2@"))
    assert store is not None
    (tmp_path / "scratch").mkdir()
    made = bundle.make(training, store, tmp_path / "scratch")
    assert not any(secret in json.dumps(made.orders) for secret in ("tok3n", "hunter2"))


def test_a_file_outside_the_repository_goes_to_the_top(training: Training, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("x", "utf-8")
    made = orders(replace(training, artifacts=(tmp_path / "report.html", Path("metrics.json"))), tmp_path / "scratch")
    assert places(made) == {"report.html", "metrics.json"}
