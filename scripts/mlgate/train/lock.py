"""What the committed lock shows, and what the project's own DVC says of it. No project code is run."""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.model import Check, Verdict
from mlgate.repo import dvc as dvc_files
from mlgate.repo import fresh, project_dvc
from mlgate.repo.dvc import Pipeline, Stage
from mlgate.repo.project_dvc import Changed, Trouble
from mlgate.train import plan
from mlgate.train.project import Project
from mlgate.train.proofs import Shown

_SAID = 5


def prove(project: Project, shown: Shown, *, why_no_dvc: str = "") -> Changed:
    """Everything but the remote. `why_no_dvc` is one sentence where the project's DVC cannot be asked."""
    changed = _asked(project, shown, why_no_dvc)
    _lock(project, shown, changed)
    _metrics_files(project, shown)
    _results(project, shown)
    return changed


def _asked(project: Project, shown: Shown, why_no_dvc: str) -> Changed:
    targets = list(project.targets())
    if not targets:
        return Changed()
    if project.dvc is None:
        shown.not_run.append(f"Whether DVC finds the lock fresh: {why_no_dvc}")
        shown.check(
            "dvc", "the project's DVC", Verdict.WARN,
            f"{why_no_dvc} The lock was compared with the commit, and nobody asked DVC.",
        )  # fmt: skip
        return Changed()
    folder = project.git.root / project.home
    changed = project_dvc.changed(project.dvc, folder, project.home, targets, project.environ)
    if changed.trouble:
        shown.not_run.append(f"Whether DVC finds the lock fresh: {changed.said}.")
        verdict = Verdict.ERROR if changed.trouble is Trouble.CONFIG else Verdict.WARN
        reason = f"`dvc status` does not answer: {changed.said or changed.trouble.value}."
        shown.check("dvc", "dvc status", verdict, reason)
        return changed
    known = {
        plan.address(s, project.home) for s in project.chain if any(f.known for f in fresh.check(project.pipeline, s))
    }
    for name, differences in sorted(changed.stages.items()):
        if name not in known:  # the commit shows it, and that is said already
            stale(shown, name, differences)
    for name in sorted(changed.always):
        shown.check(
            f"always.{name}", f"stage {name}", Verdict.WARN,
            f"Stage {name} runs each time, whatever its inputs (`always_changed`, or no dependencies): "
            "the lock cannot say what its outputs follow from.",
        )  # fmt: skip
    if not changed.stages:
        shown.check("dvc", "dvc status", Verdict.PASS, f"DVC {project.dvc.version} finds nothing changed.")
    return changed


def stale(shown: Shown, name: str, differences: Sequence[str]) -> None:
    """DVC finds a stage, or the pointer of a data file, changed."""
    said = "; ".join(differences[:_SAID]) + (f"; and {len(differences) - _SAID} more" if differences[_SAID:] else "")
    what, do = (f"`{name}`", f"dvc add {name[:-4]}") if name.endswith(".dvc") else (f"Stage {name}", "dvc repro")
    shown.check(
        f"stale.{name}", f"{name} is stale", Verdict.ERROR,
        f"{what} is stale, DVC says: {said}. Run `{do}` and commit what it changes.",
        file=name if name.endswith(".dvc") else "",
    )  # fmt: skip


def _lock(project: Project, shown: Shown, changed: Changed) -> None:
    if not project.chain:
        return shown.claim("lock", "not run", "no stage of a dvc.yaml makes the model or its metrics")
    found = [(stage, one) for stage in project.chain for one in fresh.check(project.pipeline, stage)]
    wrong = [f"{stage.name}: {one.what}" for stage, one in found if one.known]
    wrong += [f"{name}: {', '.join(said[:3])}" for name, said in changed.stages.items()]
    if wrong:
        return shown.claim("lock", "refuted", "; ".join(wrong[:3]))
    unknown = [one.what for _, one in found if not one.known] + [f"{name} always runs" for name in changed.always]
    if unknown:
        return shown.claim("lock", "attested", f"{len(project.chain)} stages; {unknown[0]}")
    by = f"digests of {_stages(project.chain)}"
    return shown.claim("lock", "proven", by + (", and `dvc status`" if project.dvc and not changed.trouble else ""))


def _stages(stages: Sequence[Stage]) -> str:
    return f"{len(stages)} stages" if len(stages) != 1 else "1 stage"


def _metrics_files(project: Project, shown: Shown) -> None:
    for path in project.metrics:
        out, data = project.pipeline.outs.get(path), project.pipeline.snapshot.read(path)
        if data is None:
            shown.claim("metrics file", "not run", f"{path} is not committed")
        elif out is None or not out.md5:
            shown.claim("metrics file", "not run", f"{path} is in no dvc.lock")
        elif dvc_files.matches(out, data):
            shown.claim("metrics file", "proven", f"{path} has the digest of {out.file}")
        else:
            shown.claim("metrics file", "refuted", f"{path} was edited after it was made")


def _results(project: Project, shown: Shown) -> None:
    """What the lock attests of the numbers, without anything having been run."""
    fine = shown.state("lock") in ("proven", "attested")
    lock = "dvc.lock" if fine else "the lock is stale"
    pipeline = project.pipeline
    if project.artifact:
        made = bool(plan.chain(pipeline, [project.artifact]))
        by = lock if made else f"no stage makes {project.artifact}"
        shown.claim("model", "attested" if made and fine else "not run", by)
    for one in project.sets:
        read = [path for path in (project.artifact, one.data) if path]
        if one.predictions:
            state, by = _read_by(pipeline, [one.predictions], read, lock)
            shown.claim("predictions", "attested" if state and fine else "not run", by)
        state, by = _read_by(pipeline, one.metrics, read, lock)
        edited = shown.state("metrics file") == "refuted"
        by = "the metrics file is not what the lock names" if edited else by
        shown.claim("metrics", "attested" if state and fine and not edited else "not run", by)


def _read_by(pipeline: Pipeline, produced: Sequence[str], read: Sequence[str], lock: str) -> tuple[bool, str]:
    if not all(plan.chain(pipeline, [path]) for path in produced):
        return False, f"no stage makes {', '.join(produced)}"
    if unread := [path for path in read if not reads(pipeline, produced, path)]:
        return False, f"no stage behind {', '.join(produced)} lists {unread[0]} under `deps:`"
    return True, lock


def reads(pipeline: Pipeline, produced: Sequence[str], path: str) -> bool:
    """Whether a stage behind these files depends on a path, or makes it (one stage that trains and evaluates)."""
    stages = plan.chain(pipeline, produced)
    return any(plan.within(entry.path, path) for stage in stages for entry in (*stage.deps, *stage.outs))


def remote(shown: Shown, check: Check, unread: str) -> None:
    """What the remote holds, as `doctor` found it."""
    found = check.model_copy(update={"id": "proofs.remote", "group": "proofs"})
    shown.checks.append(found)
    if unread:
        shown.not_run.append(unread)
        shown.claim("remote", "not run", unread.rstrip("."))
    elif found.verdict is Verdict.PASS:
        shown.claim("remote", "proven", found.reason.rstrip("."))
    elif found.verdict is Verdict.WARN:
        shown.claim("remote", "proven", "all that this model needs; other files are missing")
    else:
        shown.claim("remote", "refuted", found.reason.rstrip("."))
