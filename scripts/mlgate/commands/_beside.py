"""What is recorded beside the proofs: what changed since the champion, what it was made with, its MLflow run."""

from __future__ import annotations

from mlgate.commands import _rows, _tracked
from mlgate.commands._binding import Binding
from mlgate.commands._run import Run
from mlgate.errors import MlgateError
from mlgate.judge import integrity
from mlgate.model import Champion, Change
from mlgate.repo import changes
from mlgate.repo.dvc import Pipeline
from mlgate.train import environment, plan
from mlgate.train.project import Project
from mlgate.train.proofs import Shown


def changed(binding: Binding, project: Project, shown: Shown) -> tuple[Champion | None, list[Change]]:
    """The champion, and what differs from it; data in rows where ids allow."""
    git = project.git
    try:
        chosen = binding.sides(project.binding.compare.champion, project.binding).champion
    except MlgateError as error:
        shown.not_run.append(f"What changed since the champion: {error}")
        return None, []
    if not chosen.commit:
        return None, []
    then = Pipeline(git.at(chosen.commit), lenient=True)
    data = [project.own.path(entry.path) for entry in project.own.data]
    found = changes.between(then, project.pipeline, produced=integrity.sources(project.own), data=data)
    champion = Champion(
        commit=chosen.commit, ref=chosen.ref, how=chosen.how, committed_at=git.committed_at(chosen.commit)
    )
    return champion, _rows.counted(binding.run, project, then, found, shown)


def facts(project: Project, python: str, shown: Shown, seconds: float) -> None:
    """Environment, seeds, durations and cost. `python` is the project's interpreter; empty for that on PATH."""
    there = str(project.git.root / python) if "/" in python else python
    shown.facts |= environment.facts(there, project.code)
    if seeds := plan.seeds(project.chain):
        shown.facts["seeds"] = ", ".join(f"{key} = {value}" for key, value in seeds.items())
    ran = [one.seconds for one in shown.stages if one.seconds is not None]
    if ran:
        shown.facts["seconds in stages"] = round(sum(ran), 3)
    shown.facts["seconds"] = round(seconds, 3)
    if (price := project.own.train.cost_per_hour) is not None:
        shown.facts["cost"] = round(seconds / 3600 * float(price), 6)


def track(run: Run, project: Project, shown: Shown, uri: str) -> tuple[str, str]:
    """Id and address of the MLflow run; empty where nothing was logged."""
    logged = _tracked.log(run, project, shown, uri)
    if logged is None:
        return "", ""
    if logged.problem:  # shown, and no check: MLflow decides nothing, not even whether a warning fails the build
        shown.not_run.append(f"MLflow: the run was not logged, or not whole: {logged.problem}")
    shown.not_run += [f"MLflow: {said}" for said in logged.left_out]
    if logged.run_id:
        shown.facts["MLflow run"] = logged.run_id
    if logged.how_to_open:
        shown.facts["MLflow opens with"] = logged.how_to_open.replace(f"{run.git.root}/", "")
    return logged.run_id, logged.url
