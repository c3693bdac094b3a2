"""Whether committed metrics can be believed without running anything: what `dvc.lock` attests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from mlgate.config import Config
from mlgate.model import Check, Location, Named, Verdict
from mlgate.repo import dvc, fresh
from mlgate.repo.dvc import Pipeline


def named(pipeline: Pipeline, path: str, role: str) -> Named:
    """A path and its digests: DVC's md5 from lock or pointer, else sha256 of the bytes git has; none when unknown.

    Of a file inside a folder that DVC tracks, the lock knows the digest where a stage depends on just that file.
    """
    out = pipeline.outs.get(path)
    if out is not None and out.md5:
        return Named(name=path, digest={"dvc-md5": out.md5}, role=role)
    data = pipeline.snapshot.read(path)
    if data is not None:
        return Named(name=path, digest={"sha256": hashlib.sha256(data).hexdigest()}, role=role)
    inside = pipeline.snapshot.below(path)
    if inside:
        listing = "".join(f"{relpath}\0{entry.blob}\n" for relpath, entry in sorted(inside.items()))
        return Named(name=path, digest={"git-tree-sha256": hashlib.sha256(listing.encode()).hexdigest()}, role=role)
    read = {dep.md5 for stage in pipeline.stages for dep in stage.deps if dep.path == path and dep.md5}
    if len(read) == 1:
        return Named(name=path, digest={"dvc-md5": read.pop()}, role=role)
    return Named(name=path, role=role)


def gated(config: Config, pipeline: Pipeline) -> set[str]:
    """Every committed file whose change can change this model's verdict."""
    produced = sources(config)
    files = {config.file, *([config.path(config.extends)] if config.extends else [])}
    for path in produced:
        files.add(path)
        out = pipeline.outs.get(path)
        if out is not None:
            files.add(out.file)
        for stage in pipeline.upstream(path):
            files |= {stage.lock, stage.lock.removesuffix("lock") + "yaml", *stage.params}
            files |= {pipeline.outs[dep.path].file if dep.path in pipeline.outs else dep.path for dep in stage.deps}
    return files


def sources(config: Config) -> list[str]:
    """The files of a model that stages make: metrics, predictions and the artifact."""
    paths = _metrics(config)
    paths += [config.path(s.predictions.path) for s in config.evaluate.values() if s.predictions]
    return paths + ([config.path(config.artifact)] if config.artifact else [])


def checks(
    config: Config, binding: Config, pipeline: Pipeline, *, dirty: Sequence[str], strict_tree: bool
) -> Iterator[Check]:
    """All integrity checks of one model at the challenger's commit: of what its own version names, and of what is
    still there of what the binding version names, since that is judged too."""
    yield _tree(gated(config, pipeline), dirty, strict=strict_tree)
    metrics = dict.fromkeys([*_metrics(config), *(p for p in _metrics(binding) if p in pipeline.snapshot.files)])
    for path in metrics:
        yield _metrics_file(pipeline, path)
    yield from _stages(pipeline, [*sources(config), *metrics])
    deps = {dep.path for stage in _chain(pipeline, [*sources(config), *metrics]) for dep in stage.deps}
    yield from _contested(pipeline, {*sources(config), *metrics, *deps} | _data(config) | _data(binding))
    yield from _dvc_metrics(config, pipeline, set(metrics))
    yield from _attested(config, binding, pipeline)
    leaks = {check.id: check for version in (config, binding) for check in _leak(version, pipeline)}
    yield from leaks.values()


def _contested(pipeline: Pipeline, files: set[str]) -> Iterator[Check]:
    for path in sorted(files & pipeline.contested.keys()):
        claims = pipeline.contested[path]
        yield Check(
            id=f"integrity.contested.{path}",
            group="integrity",
            title=f"{path} is told one digest",
            verdict=Verdict.ERROR,
            reason=f"{path} has another digest in {' than in '.join(claims)}: which one counts cannot be known. "
            "Keep one.",
            location=Location(file=path),
        )


def _data(config: Config) -> set[str]:
    return {config.path(path) for s in config.evaluate.values() for path in (s.data, s.labels) if path}


def needed(config: Config) -> set[str]:
    """Every path of a model that DVC's files can speak of."""
    return {*sources(config), *_data(config), *([config.path(config.train.data)] if config.train.data else [])}


def _metrics(config: Config) -> list[str]:
    return [config.path(p) for s in config.evaluate.values() for p in s.metrics]


def not_compared(config: Config, pipeline: Pipeline) -> list[str]:
    """What the freshness of the stages rests on and could not be compared, one sentence each."""
    found = []
    for stage in _chain(pipeline, sources(config)):
        found += [f"Stage {s.stage}: {s.what}." for s in fresh.check(pipeline, stage) if not s.known]
    for name, evaluation in config.evaluate.items():
        metrics = [config.path(p) for p in evaluation.metrics]
        attested = all(path in pipeline.producers for path in metrics)
        for path, key in ((evaluation.data, f"evaluate.{name}.data"), (config.artifact, "artifact")):
            if path and attested and not pipeline.reads(metrics, config.path(path)):
                found.append(
                    f"Whether {', '.join(metrics)} was measured with {config.path(path)} ({key}): "
                    "no stage that made it lists it under `deps:`."
                )
    return found


def _tree(files: Iterable[str], dirty: Sequence[str], *, strict: bool) -> Check:
    changed = sorted(set(files) & set(dirty))
    if not changed:
        return Check(id="integrity.tree", group="integrity", title="what is judged is committed", verdict=Verdict.PASS)
    listed = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
    return Check(
        id="integrity.tree",
        group="integrity",
        title="uncommitted changes",
        verdict=Verdict.ERROR if strict else Verdict.WARN,
        reason=f"{listed} differ from the commit being judged. Commit them; the gate reads commits.",
        location=Location(file=changed[0]),
    )


def _metrics_file(pipeline: Pipeline, path: str) -> Check:
    title = "committed metrics"  # of what is wrong with them; a title that says what holds is for a pass
    check_id = f"integrity.lock.{path}"
    where = Location(file=path)
    data = pipeline.snapshot.read(path)
    commit = pipeline.snapshot.commit[:7]
    if data is None:
        cached = path in pipeline.outs and any(m.path == path and m.cached for m in pipeline.metric_files)
        fix = (
            f"Set `cache: false` for it in dvc.yaml, run `dvc repro`, and `git add {path}`."
            if cached
            else f"Run `dvc repro` and `git add {path}` (a .gitignore may hide it)."
        )
        reason = f"{path} is not tracked by git in commit {commit}, so nothing was measured. {fix}"
        return Check(id=check_id, group="integrity", title=title, verdict=Verdict.ERROR, reason=reason, location=where)
    out = pipeline.outs.get(path)
    if out is None or not out.md5:
        reason = (
            f"{path} is in no dvc.lock: nothing attests which data and code made it. "
            f"Make it a `metrics:` output of the stage that writes it (`cache: false`)."
        )
        return Check(id=check_id, group="integrity", title=title, verdict=Verdict.WARN, reason=reason, location=where)
    if not dvc.matches(out, data):
        reason = (
            f"{path} does not match {out.file} (lock {out.md5[:4]}…, file {dvc.md5(data)[:4]}…): "
            f"it was edited after `dvc repro`. Run `dvc repro {out.stage}` and commit both files."
        )
        return Check(id=check_id, group="integrity", title=title, verdict=Verdict.ERROR, reason=reason, location=where)
    return Check(id=check_id, group="integrity", title=f"{path} matches {out.file}", verdict=Verdict.PASS)


def _chain(pipeline: Pipeline, produced: Iterable[str]) -> list[dvc.Stage]:
    found: list[dvc.Stage] = []
    for path in produced:
        found += [stage for stage in pipeline.upstream(path) if stage not in found]
    return found


def _stages(pipeline: Pipeline, produced: list[str]) -> Iterator[Check]:
    for stage in _chain(pipeline, produced):
        found = list(fresh.check(pipeline, stage))
        stale = [s.what for s in found if s.known]
        verdict, reason = Verdict.PASS, ""
        if doubtful := [s.what for s in found if s.doubtful]:
            verdict, reason = Verdict.WARN, f"Stage {stage.name} may be stale: {'; '.join(doubtful[:5])}."
        if stale:
            listed = "; ".join(stale[:5]) + (f"; and {len(stale) - 5} more" if len(stale) > 5 else "")
            reason = f"Stage {stage.name} is stale: {listed}. Run `dvc repro {stage.name}` and commit dvc.lock."
        yield Check(
            id=f"integrity.stage.{stage.lock}.{stage.name}",
            group="integrity",
            title=f"stage {stage.name}" if stale else f"stage {stage.name} is fresh",
            verdict=Verdict.ERROR if stale else verdict,
            reason=reason,
            location=Location(file=stage.lock, key=f"stages.{stage.name}") if reason else None,
        )


def _dvc_metrics(config: Config, pipeline: Pipeline, own: set[str]) -> Iterator[Check]:
    """Each `metrics:` path of the model's dvc.yaml files: DVC and git both losing a file is easy and silent."""
    files = {stage.lock.removesuffix("lock") + "yaml" for stage in _chain(pipeline, sources(config))}
    for metric in pipeline.metric_files:
        if metric.file in files and metric.path not in own and metric.path not in pipeline.snapshot.files:
            reason = (
                f"{metric.file} lists {metric.path} under `metrics:` with `cache: false`, but git does not track it: "
                f"it is stored nowhere. `git add {metric.path}`."
                if not metric.cached
                else f"{metric.path} is in DVC's cache, out of a gate's sight. Set `cache: false` in {metric.file}."
            )
            yield Check(
                id=f"integrity.tracked.{metric.path}",
                group="integrity",
                title=f"{metric.path} is tracked by git",
                verdict=Verdict.WARN if metric.cached else Verdict.ERROR,
                reason=reason,
                location=Location(file=metric.file),
            )


def _attested(own: Config, binding: Config, pipeline: Pipeline) -> Iterator[Check]:
    """What its own version names; and what the binding one names beside, since leaving it out would not be judged."""
    wanted = {key: (binding, path) for key, path in _named(binding)} | {key: (own, path) for key, path in _named(own)}
    for key, (config, path) in wanted.items():
        full = config.path(path)
        known = bool(named(pipeline, full, key).digest)
        reason = (
            f"{full} ({key}) is in neither dvc.lock, a .dvc file nor git: nothing says what it is. Track it with DVC."
        )
        yield Check(
            id=f"integrity.known.{key}",
            group="integrity",
            title=f"{full} is known by digest" if known else key,
            verdict=Verdict.PASS if known else Verdict.ERROR,
            reason="" if known else reason,
            location=None if known else Location(file=config.file, line=config.line(key), key=key),
        )


def _named(config: Config) -> Iterator[tuple[str, str]]:
    """Key and path of each file that a digest has to tell."""
    if config.artifact:
        yield "artifact", config.artifact
    for name, one in config.evaluate.items():
        for key, path in (("data", one.data), ("labels", one.labels)):
            if path:
                yield f"evaluate.{name}.{key}", path
        if one.predictions:
            yield f"evaluate.{name}.predictions.path", one.predictions.path


def _leak(config: Config, pipeline: Pipeline) -> Iterator[Check]:
    """Training and evaluation data of the same digest: what was measured is memory."""
    if not config.train.data:
        return
    train = named(pipeline, config.path(config.train.data), "train").digest
    for name, evaluation in config.evaluate.items():
        if train and evaluation.data and named(pipeline, config.path(evaluation.data), "evaluate").digest == train:
            yield Check(
                id=f"integrity.leak.{name}",
                group="integrity",
                title=f"{name} is not the training data",
                verdict=Verdict.ERROR,
                reason=f"evaluate.{name}.data and train.data are the same bytes, so the metrics measure memory.",
                location=Location(file=config.file, line=config.line(f"evaluate.{name}.data"), key="train.data"),
            )
