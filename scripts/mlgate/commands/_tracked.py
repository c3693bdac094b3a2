"""One MLflow run for one training that was run here. MLflow never decides about a model."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from mlgate.commands._run import Run
from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.judge.integrity import named
from mlgate.repo import fresh
from mlgate.repo import metrics as metrics_files
from mlgate.repo.dvc import Pipeline
from mlgate.setup.worktree import WorkTree
from mlgate.train import plan
from mlgate.train.project import Project
from mlgate.train.proofs import Shown

if TYPE_CHECKING:
    from mlgate.tracking import Dataset, Example, Logged, Training


def log(run: Run, project: Project, shown: Shown, uri: str) -> Logged | None:
    """What came of it; None where no store is named."""
    from mlgate import tracking  # noqa: PLC0415 -- few runs train

    store = tracking.Store.of(os.environ, uri)
    if store is None:
        return None
    return tracking.log(replace(_training(run, project, shown), example=_example(run, project)), store)


def _example(run: Run, project: Project) -> Example | None:
    """Rows that the model could be asked for: evaluation data without id and label. None where no label is named.

    Which columns are private, the contract of the data says.
    """
    from mlgate import tracking  # noqa: PLC0415
    from mlgate.data import contract, reading  # noqa: PLC0415
    from mlgate.data.reading import sql  # noqa: PLC0415

    settings = next((s for s in project.own.evaluate.values() if s.data and s.columns.label), None)
    if settings is None or settings.data is None:
        return None
    path = project.own.path(settings.data)
    entry = next((one for one in project.own.data if project.own.path(one.path) == path), None)
    left_out = {settings.columns.id, settings.columns.label, *((entry.id or []) if entry else [])}
    try:
        private: frozenset[str] = frozenset()
        if entry and entry.contract:
            file = project.own.path(entry.contract)
            private = contract.load(run.read(file) or b"", file).private
        private |= _private(project, path)
        con = reading.connect()
        try:
            files = reading.resolve(run.git.root, path)
            table = reading.open_table(con, files, path, entry.read if entry else Read())
            inputs = [column for column in table.columns if column.name not in left_out]
            names = ", ".join(sql.name(column.name) for column in inputs)
            rows = con.execute(f"SELECT {names} FROM {table.relation} LIMIT 5")  # noqa: S608 -- quoted just above
            return tracking.Example(
                tuple(tracking.Column(c.name, c.kind if c.kind != "other" else "") for c in inputs),
                tuple(rows.fetchall()),
                private,
            )
        finally:
            con.close()
    except MlgateError:
        return None  # what is wrong with the data is validate-data's to say


def _private(project: Project, path: str) -> frozenset[str]:
    """The columns of a data file that the base calls private: a change does not make them public for this run."""
    from mlgate.data import contract  # noqa: PLC0415

    entry = next((one for one in project.binding.data if project.binding.path(one.path) == path), None)
    if entry is None or entry.contract is None or project.base is None:
        return frozenset()
    file = project.binding.path(entry.contract)
    return contract.load(project.base.read(file) or b"", file).private


def _training(run: Run, project: Project, shown: Shown) -> Training:
    from mlgate import tracking  # noqa: PLC0415

    after = project.at(Pipeline(WorkTree(run.git), lenient=True))
    root, pipeline, event = run.git.root, after.pipeline, run.forge.event
    metrics: dict[str, object] = {}
    for one in after.sets:
        for path in one.metrics:
            values = _metrics(after, path)
            # Two sets may name their metrics alike: then each carries the name of its set.
            metrics |= values if len(after.sets) == 1 else {f"{one.name}.{key}": value for key, value in values.items()}
    params = {key: value for stage in after.chain for values in stage.params.values() for key, value in values.items()}
    digest = named(pipeline, after.artifact, "model").digest if after.artifact else {}
    files = [root / path for path in dict.fromkeys([*after.metrics, *_plots(after)])]
    return tracking.Training(
        model=after.own.model,
        folder=root,
        experiment=after.own.train.experiment or "",
        commit=run.head,
        branch=event.ref or run.git.branch(),
        run_url=event.run_url,
        ci_job=run.forge.job,
        model_digest=next(iter(digest.values()), ""),
        params=params,
        metrics=metrics,
        tags={"mlgate.dirty": "true"} if run.git.dirty() else {},
        dvc={out.path: out.md5 for stage in after.chain for out in (*stage.deps, *stage.outs) if out.md5},
        environment=dict(shown.facts),
        datasets=tuple(_datasets(after)),
        artifact=root / after.artifact if after.artifact and (root / after.artifact).exists() else None,
        artifacts=tuple(file for file in files if file.exists()),
    )


def _metrics(project: Project, path: str) -> dict[str, object]:
    try:
        return dict(metrics_files.parse(project.pipeline.snapshot.read(path) or b"", path))
    except MlgateError:
        return {}  # an error of its own, which the checks say


def _datasets(project: Project) -> list[Dataset]:
    from mlgate import tracking  # noqa: PLC0415

    evaluation = {one.data for one in project.sets if one.data}
    train = project.own.path(project.own.train.data) if project.own.train.data else ""
    paths = [train, *(project.own.path(entry.path) for entry in project.own.data), *sorted(evaluation)]
    found = []
    for path in dict.fromkeys(path for path in paths if path):
        out = project.pipeline.outs.get(path)
        digest = f"md5:{out.md5}" if out and out.md5 else ""
        context: Literal["training", "evaluation"] = "evaluation" if path in evaluation else "training"
        found.append(tracking.Dataset(name=path, path=path, digest=digest, context=context))
    return found


def _plots(project: Project) -> list[str]:
    """Plots that dvc.yaml names and git keeps, of the model's stages."""
    found = []
    for stage in project.chain:
        names = {name for name, _ in fresh.entries((stage.defined or {}).get("plots"))}
        found += [o.path for o in stage.outs if any(o.path == n or o.path.endswith(f"/{n}") for n in names)]
    return [path for path in found if plan.tracked(project.pipeline, path) is None]
