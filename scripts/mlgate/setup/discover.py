"""What a repository has that a gate can judge: metrics files, the model, the evaluation data. Read, never run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.errors import MlgateError
from mlgate.repo import metrics as metrics_files
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot
from mlgate.setup.ground import numeric
from mlgate.setup.reading import documents, listing, mapping

_METRICS_NAME = re.compile(
    r"(?:^|[^a-z0-9])(?:metrics?|scores?|results?|eval(?:uation)?|classification[_-]report|performance)(?:[^a-z0-9]|$)",
    re.IGNORECASE,
)
_MODEL_NAME = re.compile(
    r"(?:^|[/_.-])(?:models?|classifier|regressor|estimator|weights|checkpoint)(?:[/_.-]|$)", re.IGNORECASE
)
_MODEL_SUFFIX = (
    ".joblib", ".pkl", ".pickle", ".skops", ".onnx", ".pt", ".pth", ".h5", ".hdf5", ".keras", ".safetensors", ".bst",
    ".ubj", ".cbm", ".gguf", ".mlmodel", ".pmml", ".tflite",
)  # fmt: skip
_DATA_SUFFIX = (".csv", ".tsv", ".parquet", ".feather", ".arrow", ".jsonl", ".ndjson", ".npz", ".npy", ".avro", ".orc")
_HELD_OUT = re.compile(
    r"(?:^|[/_.-])(?:test|holdout|hold_out|eval|evaluation|val|valid|validation|dev)(?:[/_.-]|$)", re.IGNORECASE
)
_TRAINING = re.compile(r"(?:^|[/_.-])train(?:ing)?(?:[/_.-]|$)", re.IGNORECASE)
_ASIDE = re.compile(
    r"(?:^|/)(?:node_modules|\.[^/]+|site-packages|tests?/(?:data|fixtures))/|(?:^|/)(?:package|tsconfig)[^/]*\.json$"
)
MOST_FILES = 8
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class MetricsFile:
    """A metrics file and its numbers; none when it is not there yet or cannot be read."""

    path: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    stage: str = ""


@dataclass(frozen=True)
class Found:
    """Paths are relative to the repository. `doubles` repeat keys of `metrics`, so they need a set of their own."""

    metrics: tuple[MetricsFile, ...] = ()
    doubles: tuple[MetricsFile, ...] = ()
    artifact: str = ""
    data: str = ""
    predictions: str = ""
    stage: str = ""  # the one that writes the first metrics file
    dvc: bool = False


@dataclass(frozen=True)
class _Stage:
    name: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    metrics: tuple[str, ...]


def look(files: Snapshot, folder: str) -> Found:
    """What is below `folder` ("" is everything)."""
    pipeline = Pipeline(files)
    stages = list(_stages(files, pipeline))
    inside = f"{folder}/" if folder else ""
    declared = [(path, s.name) for s in stages for path in s.metrics if path.startswith(inside)]
    dvc = any(posixpath.basename(p) in ("dvc.yaml", "dvc.lock") or p.endswith(".dvc") for p in files.files)
    if not declared:
        declared = [(path, "") for path in files.files if path.startswith(inside) and _looks_like_metrics(path)]
        declared = [(path, stage) for path, stage in declared if _numbers(files, path)]
    # A name that cannot be printed cannot be written down either.
    names = {path: stage for path, stage in declared if path.isprintable()}
    read = [MetricsFile(path, _numbers(files, path), stage) for path, stage in names.items()]
    read.sort(key=lambda m: (not m.numbers, bool(_TRAINING.search(m.path)), not _HELD_OUT.search(m.path), m.path))
    metrics, doubles = _apart(read[:MOST_FILES])
    if not metrics:
        return Found(dvc=dvc)
    stage = next((s for s in stages if metrics[0].path in s.metrics), None)
    around = _around(stage, stages, pipeline, inside) if stage else _Around()
    return Found(
        metrics=tuple(metrics),
        doubles=tuple(doubles),
        artifact=around.artifact,
        data=around.data,
        predictions=around.predictions,
        stage=stage.name if stage else "",
        dvc=dvc,
    )


def folders(files: Snapshot) -> list[str]:
    """The folders with a pipeline that writes metrics: each holds one model."""
    found = {posixpath.dirname(m.file) for m in _metric_files(files)}
    return sorted(found)


def _metric_files(files: Snapshot) -> Iterable[Any]:
    try:
        return Pipeline(files).metric_files
    except MlgateError:
        return []


def _numbers(files: Snapshot, path: str) -> dict[str, float]:
    try:
        data = files.read(path)
        return numeric(metrics_files.parse(data, path)) if data and len(data) <= MAX_BYTES else {}
    except MlgateError:
        return {}


def _looks_like_metrics(path: str) -> bool:
    return path.endswith(metrics_files.SUFFIXES) and not _ASIDE.search(path) and bool(_METRICS_NAME.search(path))


def _apart(files: Sequence[MetricsFile]) -> tuple[list[MetricsFile], list[MetricsFile]]:
    """Files whose keys are all new, and those that repeat one: a rule's key must name one number."""
    taken: set[str] = set()
    first: list[MetricsFile] = []
    doubles: list[MetricsFile] = []
    for file in files:
        (doubles if taken & set(file.numbers) else first).append(file)
        taken |= set(file.numbers)
    return first, doubles


# -- the stages ------------------------------------------------------------------------------------


def _stages(files: Snapshot, pipeline: Pipeline) -> Iterable[_Stage]:
    """As dvc.yaml defines them, and as dvc.lock resolved those whose names dvc.yaml only has as a template."""
    locked = {s.name: s for s in _locked(pipeline)}
    for path in files.files:
        if posixpath.basename(path) != "dvc.yaml":
            continue
        try:
            top = next(iter(documents(files.read(path) or b"")), {})
        except MlgateError:
            continue
        here = posixpath.dirname(path)
        whole = _paths(here, top.get("metrics"))
        if whole:
            yield _Stage("", (), (), whole)
        for name, raw in mapping(top.get("stages")).items():
            body = mapping(raw)
            body = mapping(body.get("do")) or body
            folder = posixpath.normpath(posixpath.join(here, str(body.get("wdir") or ".")))
            lock = locked.get(name)
            yield _Stage(
                name,
                _paths(folder, body.get("deps")) + tuple(d.path for d in (lock.deps if lock else ())),
                _paths(folder, body.get("outs")),
                _paths(folder, body.get("metrics")),
            )


def _locked(pipeline: Pipeline) -> Iterable[Any]:
    try:
        return pipeline.stages
    except MlgateError:
        return []


def _paths(folder: str, entries: Any) -> tuple[str, ...]:
    names = [next(iter(e), "") if isinstance(e, dict) else e for e in listing(entries)]
    usable = [n for n in names if isinstance(n, str) and n and "${" not in n and "://" not in n]
    joined = [posixpath.normpath(posixpath.join(folder, n)) for n in usable]
    return tuple(p for p in joined if not p.startswith(("../", "/")))


@dataclass(frozen=True)
class _Around:
    artifact: str = ""
    data: str = ""
    predictions: str = ""


def _around(stage: _Stage, stages: Sequence[_Stage], pipeline: Pipeline, inside: str) -> _Around:
    try:
        outs = pipeline.outs
    except MlgateError:
        outs = {}
    made = {path for s in stages for path in s.outs} | set(outs)
    near = [p for p in dict.fromkeys([*stage.deps, *stage.outs]) if p in made and p.startswith(inside)]
    models = [p for p in near if _is_model(p)]
    sizes = {p: outs[p].size or 0 for p in near if p in outs}
    data = [
        p for p in dict.fromkeys(stage.deps) if p.startswith(inside) and p.endswith(_DATA_SUFFIX) and p not in models
    ]
    data.sort(key=lambda p: (not _HELD_OUT.search(p), bool(_TRAINING.search(p))))
    predictions = [
        p for p in stage.outs if p.endswith(_DATA_SUFFIX) and re.search(r"pred|score|proba", p, re.IGNORECASE)
    ]
    return _Around(
        artifact=max(models, key=lambda p: sizes.get(p, 0), default=""),
        data=next((p for p in data if _HELD_OUT.search(p) or not (_TRAINING.search(p) or len(data) > 1)), ""),
        predictions=predictions[0] if predictions else "",
    )


def _is_model(path: str) -> bool:
    return path.endswith(_MODEL_SUFFIX) or (
        bool(_MODEL_NAME.search(path)) and not path.endswith((*_DATA_SUFFIX, ".py"))
    )
