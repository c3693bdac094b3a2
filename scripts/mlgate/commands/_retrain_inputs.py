"""What a model was made of, and whether any of it differs now. Read from committed files; nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.ledger import query
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import TIME
from mlgate.repo import commit, fresh
from mlgate.repo.dvc import Pipeline, Stage
from mlgate.train import plan
from mlgate.watch.retraining import Triggers


def chain(config: Config, pipeline: Pipeline) -> list[Stage]:
    """Every stage behind the model and its metrics."""
    paths = [config.artifact] if config.artifact else []
    paths += [path for one in config.evaluate.values() for path in one.metrics]
    return plan.chain(pipeline, [config.path(path) for path in paths])


def unchanged(run: Run, configs: Sequence[Config], pipeline: Pipeline) -> str:
    """Why training these models again would make the same; empty where it might not, or nobody can tell."""
    files = [config.file for config in configs]
    models = [config.model for config in configs]
    trained = commit.trained(run.git, run.head, models, files)
    if trained and len(configs) == 1:
        return f"data, code and parameters are those that commit {trained[:7]} was trained from"
    for config in configs:
        stages = chain(config, pipeline)
        if not stages or any(_always(stage) for stage in stages):
            return ""
        near = {stage.lock.removesuffix("lock") + "yaml" for stage in stages}
        if plan.never_ran(pipeline, near) or any(True for stage in stages for _ in fresh.check(pipeline, stage)):
            return ""
    return "data, code and parameters are those that the model was made of"


def _always(stage: Stage) -> bool:
    """Whether DVC runs a stage each time: it says so, or it reads and makes nothing."""
    return bool((stage.defined or {}).get("always_changed")) or not (stage.deps or stage.params or stage.outs)


def new_data(pipeline: Pipeline, stages: Sequence[Stage]) -> dict[str, str]:
    """Data that a pointer now names otherwise than these stages have read it: path -> digest."""
    found: dict[str, str] = {}
    for stage in stages:
        for dep in stage.deps:
            now = pipeline.outs.get(dep.path)
            if now is not None and now.file.endswith(".dvc") and now.md5 and now.md5 != dep.md5:
                found[dep.path] = now.md5
    return dict(sorted(found.items()))


def last_trained(run: Run, config: Config, pipeline: Pipeline, records: Sequence[Record]) -> datetime | None:
    """When the model was trained last, as far as ledger and history tell; None where neither does."""
    ours = Triggers(records).about([config.model])
    moments = [one.at for one in ours if one.ended is None or one.ended.outcome != "failed"]
    with suppress(ValueError):
        decided = query.history(records, model=config.model, kinds=("decision",))
        moments += [datetime.strptime(one.entry.at, TIME).replace(tzinfo=UTC) for one in decided[-1:]]
    if not run.git.shallow:  # the oldest commit of a shallow clone seems to have made everything
        for lock in {stage.lock for stage in chain(config, pipeline)}:
            done = run.git.try_run("log", "-1", "--format=%ct", run.head, "--", f":(top,literal){lock}")
            if text := done.stdout.decode().strip():
                moments.append(datetime.fromtimestamp(int(text), UTC))
    return max(moments, default=None)
