"""What is uploaded, and under which name. Folders are made of links, so that a large model is never copied."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.tracking import flat, signature
from mlgate.tracking.nouns import Dataset, Training
from mlgate.tracking.store import Store
from mlgate.tracking.words import several

_DIGEST = 36  # characters of a dataset's digest that MLflow takes


@dataclass
class Bundle:
    """The worker's orders, as JSON; and the sentences about what was not taken along."""

    orders: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # metric as logged -> as sent


def make(training: Training, store: Store, scratch: Path) -> Bundle:
    """Fills `scratch` with what is to be uploaded. Raises OSError, such as for a full disk."""
    params = flat.params(training.params, store.limits)
    described = training.described()
    tags = flat.tags(described, store.limits)
    metrics = flat.metrics(training.metrics)
    notes = [*params.notes, *tags.notes, *metrics.notes]
    extra = scratch / "extra"
    extra.mkdir()
    if any("parameters.json" in note for note in params.notes):
        _write(extra / "parameters.json", training.params)
    if any("tags.json" in note for note in tags.notes):
        _write(extra / "tags.json", described)
    uploads = [{"file": str(path), "to": ""} for path in sorted(extra.iterdir())]
    for path in training.artifacts:
        found = list(_files(training.folder, path))
        uploads += [{"file": str(file), "to": to} for file, to in found]
        if not found:
            notes.append(f"{_shown(training.folder, path)} is not there, or empty, so it was not logged.")
    model, said = _model(training, scratch)
    orders = {
        "kind": store.kind,
        "uri": store.uri,
        "gitlab": store.gitlab,
        "experiment": training.experiment or training.model,
        "run_name": flat.tags({"name": training.title}, store.limits).values["name"],
        "key": training.key,
        "params": params.values,
        "tags": tags.values,
        "metrics": metrics.values,
        "datasets": [_dataset(data) for data in training.datasets],
        "uploads": uploads,
        "model": model,
        "model_name": _plain(training.model),
    }
    if store.kind == "sqlite":
        database = store.database(training.folder)
        assert database is not None  # noqa: S101 -- refused() has seen to it
        orders |= {
            "uri": f"sqlite:///{database}",
            "root": str(training.folder.resolve()),
            "artifacts": str(database.parent / f"{database.stem}-artifacts"),
        }
    return Bundle(orders, [*notes, *said], metrics.names)


def _model(training: Training, scratch: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The model as a folder of links to its files, with signature and example beside where it lacks them."""
    if training.artifact is None:
        return None, []
    path = training.folder / training.artifact
    if not path.exists():
        return None, [f"{_shown(training.folder, training.artifact)} is not there, so no model was logged."]
    folder = scratch / "model"
    folder.mkdir()
    is_mlflow = (path / "MLmodel").is_file()
    added: dict[str, str | None] = {}
    notes: list[str] = []
    if is_mlflow:
        added, notes = signature.complete(path, training.example)
    else:
        added |= signature.files(training.example) if training.example else {}
        if not training.example:
            notes.append("There was no evaluation data to make a signature and an input example from.")
    if any(name in added for name in (signature.EXAMPLE, "signature.json", "MLmodel")):
        notes += signature.hidden(training.example)
    for file, below in _walk(path):
        target = folder / below
        # An MLflow model's own files give way to completed ones; beside another model, its own files stay.
        if below in added and is_mlflow:
            continue
        added.pop(below, None)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file.resolve())
    for name, text in added.items():
        if text is not None:
            (folder / name).write_text(text, "utf-8")
    return {"folder": str(folder), "mlflow": is_mlflow}, notes


def _files(root: Path, path: Path) -> Iterator[tuple[Path, str]]:
    """Files and the folder of the run they go to: where they lie in the repository, or the top for others."""
    whole = root / path
    try:
        inside = whole.absolute().relative_to(root.absolute()).parent.as_posix()
    except ValueError:
        inside = "."
    inside = "" if inside == "." or ".." in inside.split("/") else inside
    for file, below in _walk(whole):
        folder = os.path.dirname(below) if whole.is_file() else os.path.join(whole.name, os.path.dirname(below))
        # Not resolved: a link into DVC's cache leads to a file that is called by its digest.
        yield file.absolute(), "/".join(part for part in (inside, folder.strip("/")) if part)


def _walk(path: Path) -> Iterator[tuple[Path, str]]:
    """Regular files at or below a path, in order, with their place below it. DVC may have put links there."""
    if path.is_file():
        yield path, path.name
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file():
                yield file, file.relative_to(path).as_posix()


def _dataset(data: Dataset) -> dict[str, Any]:
    bare = data.digest.split(":", 1)[-1]
    return {
        "name": data.name[:500] or data.path[-500:],
        "digest": bare[:_DIGEST] or "unknown",
        "source": json.dumps({"uri": data.path, "digest": data.digest}),
        "schema": json.dumps({"mlflow_colspec": signature.columns(data.columns)}) if data.columns else None,
        "profile": json.dumps({"num_rows": data.rows}) if data.rows is not None else None,
        "context": data.context,
    }


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n", "utf-8")


def _shown(root: Path, path: Path) -> str:
    whole = root / path
    return several([whole.relative_to(root).as_posix() if whole.is_relative_to(root) else path.name])


def _plain(name: str) -> str:
    """A logged model's name must not hold these."""
    return "".join("-" if c in "/:.%\"'" else c for c in name).strip() or "model"
