"""The pipeline run again by the project's own DVC, in the working tree, and what that left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.model import StageRun, Verdict
from mlgate.repo import dvc as dvc_files
from mlgate.repo import fresh, project_dvc
from mlgate.repo import metrics as metrics_files
from mlgate.repo.dvc import Pipeline, Stage
from mlgate.repo.project_dvc import Changed
from mlgate.train import agreement, listening, plan, score
from mlgate.train.project import Project
from mlgate.train.proofs import Claim, Shown, State
from mlgate.train.score import Made
from mlgate.train.stages import StageError, failed


def targets(project: Project) -> list[str]:
    """What to ask `dvc repro` for: train.stages, else the stages that make the model and its results.

    Raises MlgateError where nothing makes them.
    """
    if project.binding.train.stages:
        return list(project.binding.train.stages)
    makers = plan.Makers(plan.live(project.pipeline))
    found: dict[str, None] = {}
    for path in [*([project.artifact] if project.artifact else []), *project.results]:
        for stage in makers.of(path):
            found[plan.address(stage, project.home)] = None
    new = plan.never_ran(project.pipeline, _files(project))
    if not found or new:
        # What never ran is in no lock: only DVC knows what it makes.
        found |= dict.fromkeys(_sinks(project))
    if not found:
        raise MlgateError(
            "no stage of dvc.yaml makes the model or its metrics, so there is nothing to reproduce.",
            file=project.own.file, fix="Name them in train.stages, or write a dvc.yaml.",
        )  # fmt: skip
    return list(found)


def _files(project: Project) -> list[str]:
    files = {stage.lock.removesuffix("lock") + "yaml" for stage in project.chain}
    near = f"{project.own.folder}/dvc.yaml" if project.own.folder else "dvc.yaml"
    return sorted(file for file in {*files, near} if file in project.pipeline.snapshot.files)


def _sinks(project: Project) -> list[str]:
    """The stages that make each result, by the graph that DVC draws of what is behind it."""
    found = []
    for path in [*([project.artifact] if project.artifact else []), *project.results]:
        below = path[len(project.home) + 1 :] if project.home else path
        nodes, edges = listening.graph(project, below)
        found += [node for node in nodes if node not in {a for a, _ in edges} and not node.endswith(".dvc")]
    return found


def needed(project: Project, changed: Changed, *, rerun: bool) -> list[str]:
    """What to pull first: what the stages that will run read and do not make, and the predictions to compare with."""
    todo = list(project.chain)
    if not rerun and not plan.never_ran(project.pipeline, _files(project)):
        said = [*changed.stages, *changed.always]
        todo = plan.stale(project.pipeline, project.chain, said, project.home)
    frozen = [stage for stage in todo if (stage.defined or {}).get("frozen") is True]
    todo = [stage for stage in todo if stage not in frozen]
    wanted = plan.inputs(project.pipeline, todo)
    wanted += [out.path for stage in frozen for out in stage.outs if plan.tracked(project.pipeline, out.path)]
    if todo:
        wanted += [one.predictions for one in project.sets if one.predictions]
    return [p for p in dict.fromkeys(wanted) if plan.tracked(project.pipeline, p)]


def run(
    project: Project, wanted: Sequence[str], shown: Shown, *, rerun: bool, launcher: str | None = None
) -> list[StageRun]:
    """`dvc repro`, without credentials. Raises StageError when a stage fails, MlgateError when DVC does."""
    assert project.dvc is not None  # noqa: S101 -- the caller looked
    log = listening.Log(project.say)
    arguments = ["--allow-missing", *(["--force"] if rerun else []), "--", *wanted]
    ended = listening.repro(project, arguments, project.git.root / project.home, log, launcher=launcher)
    if ended.code == 0:
        log.close("ran")
        shown.stages += log.stages
        return log.stages
    name = log.running
    if not name:
        said = [line for line in ended.tail if line.startswith("ERROR")]
        raise MlgateError(
            f"`dvc repro` ended with {ended.how}: {'; '.join(said or ended.tail[-1:]) or 'it said nothing'}"
        )
    log.close("failed", ended.how)
    raise StageError(failed(name, ended, project.git.root), log.stages)


# -- what it left ----------------------------------------------------------------------------------------------------


def expect(project: Project, shown: Shown) -> None:
    """Before new work is made, nothing of it is shown."""
    for claim in ("lock", "metrics file", "remote", *_made(project)):
        shown.claim(claim, "not run", "it was still to be made")


def fell(project: Project, shown: Shown, state: State, by: str) -> None:
    """What was made again is not whole, so it shows nothing."""
    for claim in _made(project):
        shown.reclaim(claim, state, by)


def _made(project: Project) -> list[Claim]:
    """The claims about what stages make."""
    claims: list[Claim] = ["metrics"]
    if project.artifact:
        claims.append("model")
    if any(one.predictions for one in project.sets):
        claims.append("predictions")
    return claims


@dataclass(frozen=True)
class Before:
    """What was there when it began: predictions by evaluation set, DVC's configuration, and files that differed from
    the commit (path -> digest)."""

    predictions: dict[str, Path]
    config: bytes
    dirty: dict[str, str]


def remember(project: Project, folder: Path) -> Before:
    kept = {}
    for one in project.sets:
        there = project.git.root / one.predictions
        # Only what the commit names is worth holding anything to.
        if one.predictions and there.exists() and score.is_committed(project, there, one.predictions):
            kept[one.name] = score.set_aside(there, folder / one.name)
    return Before(kept, configuration(project), _dirty(project))


def _dirty(project: Project) -> dict[str, str]:
    found = {}
    for path in project.git.dirty():
        file = project.git.root / path
        found[path] = dvc_files.md5(file.read_bytes()) if file.is_file() else ""
    return found


def configuration(project: Project) -> bytes:
    """DVC's configuration as it lies there: where data are pushed to is no business of project code."""
    home = project.git.root / project.home / ".dvc"
    return b"\0".join((home / name).read_bytes() for name in ("config", "config.local") if (home / name).is_file())


def check(project: Project, now: Pipeline, ran: Sequence[StageRun], before: Before, shown: Shown) -> None:
    """Outputs, metrics, freshness; and whether it follows from the commit.

    A `project` that is itself read from the working tree is new work: there is nothing to hold it to.
    """
    new = project.pipeline is now
    root = project.git.root
    names = {run.name for run in ran if run.state in ("ran", "cached")}
    chain = plan.chain(now, [*([project.artifact] if project.artifact else []), *project.results])
    done = [stage for stage in chain if plan.address(stage, project.home) in names]
    count = len(shown.checks)
    whole = _outputs(root, done, shown) and _finite(project, done, shown)
    whole = _clean(project, now, chain, before, shown) and whole
    if not whole:
        fell(project, shown, "refuted", shown.checks[count].reason.rstrip("."))
        return
    if not names:
        reason = "Every stage is unchanged, so nothing was made again. `--rerun` runs them all the same."
        shown.check("reproduced", "dvc repro", Verdict.WARN, reason)
        return
    cached = sorted(run.name for run in ran if run.state == "cached")
    if cached:
        reason = f"{', '.join(cached[:5])}: taken from DVC's run cache, not run. `--rerun` runs them all the same."
        shown.check("cached", "run cache", Verdict.WARN, reason)
    state: State = "attested" if cached else "proven"
    if new:
        shown.check("reproduced", "dvc repro", Verdict.PASS, f"{len(names)} stages: new work, to be committed.")
        fell(project, shown, state, f"made by this run: {', '.join(sorted(names)[:5])}")
        return
    _follows(project, done, before, shown, state)


def _follows(project: Project, done: Sequence[Stage], before: Before, shown: Shown, state: State) -> None:
    """Hold what was made again against the commit; `state` is what agreement comes to at best."""
    written = [out.path for stage in done for out in stage.outs]
    shown.renew("metrics", "predictions")
    for one in project.sets:
        again = [path for path in one.metrics if path in written]
        scored = any(one.predictions == path or one.predictions.startswith(f"{path}/") for path in written)
        made = Made(project.git.root, before.predictions.get(one.name), again, "made again")
        if one.predictions and scored:
            score.scores(project, one, made, shown)
        elif one.predictions:
            shown.claim("predictions", "attested", f"those of {one.name} were not made again")
        if again:
            score.measures(project, one, made, shown)
        if not again or (one.predictions and not scored):
            shown.claim("metrics", "attested", f"{one.name} was not made again as a whole")
    for claim in ("metrics", "predictions"):
        if state == "attested" and shown.state(claim) == "proven":
            shown.reclaim(claim, state, "taken from the run cache")
    _model(project, written, shown, state)


def _model(project: Project, written: Sequence[str], shown: Shown, state: State) -> None:
    wrong = [claim for claim in _RESULTS if shown.state(claim) == "refuted"]
    if wrong:
        shown.reclaim("model", "refuted", f"what was made again has other {' and '.join(wrong)}")
    elif project.artifact and any(plan.within(path, project.artifact) for path in written):
        if shown.state("metrics") == "proven":
            shown.reclaim("model", state, "made again, and its results are the committed ones")
        else:
            shown.reclaim("model", "attested", "made again, and its results were not")


_RESULTS: tuple[Claim, ...] = ("metrics", "predictions")


def _outputs(root: Path, done: Iterable[Stage], shown: Shown) -> bool:
    lost = [(stage.name, out.path) for stage in done for out in stage.outs if not (root / out.path).exists()]
    for name, path in lost:
        reason = f"Stage {name} ended well, but it did not write {path}."
        shown.check(f"output.{path}", path, Verdict.ERROR, reason, file=path)
    return not lost


def _finite(project: Project, done: Sequence[Stage], shown: Shown) -> bool:
    fine = True
    makers = {out.path: stage.name for stage in done for out in stage.outs}
    for path in project.metrics:
        if path not in makers:
            continue
        file = project.git.root / path
        try:
            values = metrics_files.parse(file.read_bytes() if file.is_file() else b"", path)
            wrong = agreement.not_finite(values, path)
        except MlgateError as error:
            wrong = [str(error)]
        if wrong:
            fine = False
            reason = f"Stage {makers[path]} ended well, but {wrong[0].rstrip('.')}: that is no measurement."
            shown.check(f"metrics.{path}", path, Verdict.ERROR, reason, file=path)
    return fine


def _clean(project: Project, now: Pipeline, chain: Sequence[Stage], before: Before, shown: Shown) -> bool:
    """Afterwards nothing may be stale: a stage that changes its own inputs leaves it so."""
    assert project.dvc is not None  # noqa: S101
    addresses = [plan.address(stage, project.home) for stage in chain]
    folder = project.git.root / project.home
    changed = (
        project_dvc.changed(project.dvc, folder, project.home, addresses, project.environ) if addresses else Changed()
    )
    stale = {name: list(said) for name, said in changed.stages.items()}
    # DVC takes a stage's inputs as they are when it ends: one that writes to them is fresh in its eyes.
    made = {out.path for stage in chain for out in stage.outs}
    for path, digest in _dirty(project).items():
        if path in made or before.dirty.get(path) == digest:
            continue
        for stage in chain:
            if any(plan.within(path, read) for read in (*(dep.path for dep in stage.deps), *stage.params)):
                stale.setdefault(plan.address(stage, project.home), []).append(f"{path} was changed while it ran")
    for stage in chain:
        for one in fresh.check(now, stage):
            if one.known and plan.address(stage, project.home) not in stale:
                stale.setdefault(plan.address(stage, project.home), []).append(one.what)
    for name, said in stale.items():
        reason = (
            f"Stage {name} is stale although it has just run: {'; '.join(said[:3])}. "
            "A stage must not change what it, or a stage before it, reads."
        )
        shown.check(f"left-stale.{name}", f"stage {name}", Verdict.ERROR, reason)
    if changed.trouble:
        shown.check("left-stale", "dvc status", Verdict.ERROR, f"`dvc status` does not answer: {changed.said}.")
    return not stale and not changed.trouble


def push(project: Project, now: Pipeline, before: Before) -> str:
    """`dvc push` of what the model's stages made; "" or one sentence why it failed."""
    assert project.dvc is not None  # noqa: S101
    if configuration(project) != before.config:
        return "DVC's configuration changed while project code ran: nothing is pushed to where it now points"
    chain = plan.chain(now, [*([project.artifact] if project.artifact else []), *project.results])
    names = [plan.address(stage, project.home) for stage in chain]
    pointers = [out.file for path in plan.inputs(now, chain) if (out := plan.tracked(now, path)) and not out.stage]
    below = [file[len(project.home) + 1 :] if project.home else file for file in pointers]
    return project_dvc.do(
        project.dvc, project.git.root / project.home, ["push", "--", *names, *dict.fromkeys(below)], project.environ
    )
