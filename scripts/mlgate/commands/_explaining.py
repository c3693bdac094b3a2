"""The explainability report of one model: made by its own code in a worktree of the commit, or taken from a stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlgate.commands._held import Gatherer
from mlgate.commands._training import Trainer
from mlgate.config import Config, recomputed
from mlgate.config.settings import EvaluationSet
from mlgate.errors import MlgateError
from mlgate.governance import explain
from mlgate.governance.explain import MASKED, Explanation
from mlgate.governance.nouns import Held
from mlgate.judge import integrity
from mlgate.repo import content
from mlgate.repo.dvc import Pipeline
from mlgate.train import plan, process
from mlgate.train.entry import Data
from mlgate.train.project import Project
from mlgate.train.proofs import Shown
from mlgate.train.ready import Ready
from mlgate.train.scratch import Scratch, worktree

_GOVERNANCE = Path(explain.__file__).parent
EXPLAINER = _GOVERNANCE / "explainer.py"
READER = _GOVERNANCE.parent / "train" / "worker.py"


# What the project's code says; who it speaks of, it does not.
_ANSWERED = ("rows", "of", "score", "metric", "metric_value", "features", "examples", "notes", "made_with")


def evaluated(config: Config) -> tuple[str, EvaluationSet]:
    """The evaluation set whose rows are explained: the first that names its data. Raises MlgateError without one."""
    found = next(((name, one) for name, one in config.evaluate.items() if one.data), None)
    if found is None:
        raise MlgateError(
            "no evaluation set names its data, so there are no rows to explain.", file=config.file, key="evaluate",
            fix="Add `data:` to one of them.",
        )  # fmt: skip
    return found


def made(trainer: Trainer, config: Config, held: Held) -> Explanation:
    """Made by the project's code: call it only where project code may run. Raises MlgateError."""
    name, one = evaluated(config)
    bound = trainer.binding.rules(config.file, config)
    project, why = trainer.project(config, bound, Shown())
    if not project.artifact:
        raise MlgateError("names no model to explain.", file=config.file, key="artifact", fix="Add `artifact: <path>`.")
    data = config.path(one.data or "")
    wanted = [path for path in (project.artifact, data) if plan.tracked(project.pipeline, path)]
    if wanted and project.dvc is None:
        raise MlgateError(f"{wanted[0]} cannot be had: {why}")
    with worktree(project.git, project.commit, project.homes, project.environ) as scratch:
        project.pull(scratch.tree, project.commit, wanted)
        scratch.forget_credentials()
        ready = Ready("challenger", project, scratch, project.code, _python(trainer, config))
        answer = _ask(ready, _request(ready, held, name, one))
        _untouched(project, scratch, data)
    return _explanation(held, config, name, data, answer)


def _python(trainer: Trainer, config: Config) -> str:
    """The project's interpreter, where it lies in the repository itself: the worktree has none."""
    python = trainer.asked.python or config.interpreter
    return str(trainer.run.git.root / python) if "/" in python else python


def _untouched(project: Project, scratch: Scratch, data: str) -> None:
    """Loading a model runs its code, which could change the rows it is asked about."""
    for path in (project.artifact, data):
        out, there = project.pipeline.outs.get(path), scratch.tree / path
        if out and out.md5 and not content.is_named(there, out.md5, legacy=out.legacy):
            raise MlgateError("was changed while the model was asked.", file=path)


def _request(ready: Ready, held: Held, name: str, one: EvaluationSet) -> dict[str, Any]:
    project, said = ready.project, held.config.governance.explain
    tasks = recomputed.tasks(one)
    columns = one.columns
    apart = [c for c in (columns.weight, columns.cluster, columns.query) if c]
    positive: Any = columns.positive
    return {
        "folder": str(ready.folder),
        "model": str(ready.scratch.tree / project.artifact),
        "data": _data(ready, held.config, name, one).request(),
        "reader": str(READER),
        "id": columns.id,
        "label": columns.label or "",
        "apart": apart,
        "positive": positive if isinstance(positive, bool | int | str) or positive is None else float(positive),
        "task": next(iter(tasks)) if len(tasks) == 1 else None,
        "predict": said.predict or one.latency.predict or "",
        "trusted": list(held.config.image.scan.trusted),
        "rows": int(said.rows),
        "repeats": int(said.repeats),
        "examples": int(said.examples),
        "by": said.by,
    }


def _data(ready: Ready, config: Config, name: str, one: EvaluationSet) -> Data:
    """How the rows are read: as mlgate.yaml says, else as the file is."""
    path = config.path(one.data or "")
    there = ready.scratch.tree / path
    read = next((entry.read for entry in config.data if config.path(entry.path) == path), None)
    connection = ready.project.connect()
    from mlgate.config.settings import Read  # noqa: PLC0415
    from mlgate.data import reading  # noqa: PLC0415 -- `connect` brought DuckDB

    settings = read or Read()
    files = reading.resolve(there.parent, there.name)
    found = reading.open_table(connection, files, path, settings)
    return Data(files, path, found.format, settings)


def _ask(ready: Ready, request: dict[str, Any]) -> dict[str, Any]:
    work = ready.beside("explained")
    asked, answer = work / "request.json", work / "answer.json"
    answer.unlink(missing_ok=True)
    asked.write_text(json.dumps({**request, "answer": str(answer)}), "utf-8")
    ready.project.say(f"> what {ready.project.artifact} goes by, on {request['data']['shown']}")
    ended = process.run(
        [ready.interpreter, str(EXPLAINER), str(asked)], cwd=ready.folder, environ=ready.code, say=ready.project.say
    )
    if ended.code != 0:
        said = "\n".join(f"  {line.replace(f'{ready.scratch.tree}/', '')}" for line in ended.tail[-8:])
        raise MlgateError(f"the model could not be asked ({ended.how})." + (f" It said last:\n{said}" if said else ""))
    try:
        found = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        raise MlgateError("the model's code ended the program that asked it, without an answer.") from None
    if "wrong" in found:
        raise MlgateError(f"the model cannot be explained: {found['wrong']}.")
    return dict(found)


def _explanation(held: Held, config: Config, name: str, data: str, answer: dict[str, Any]) -> Explanation:
    """What the project's job answered, with what must not be shown masked. Raises MlgateError for what is no answer."""
    pipeline_digest = next((one.digest for one in held.tables if one.path == data), {})
    one = config.evaluate[name]
    hidden = {column for column in held.private if column}
    id_hidden = one.columns.id is not None and one.columns.id.casefold() in hidden
    try:
        for number, example in enumerate(answer["examples"]):
            if id_hidden:
                example["row"] = f"row {number + 1} of those shown"
            for each in example["contributions"]:
                if str(each["feature"]).casefold() in hidden:
                    each["value"] = MASKED
        plain = {
            "schema": explain.EXPLAIN_SCHEMA,
            "kind": "explainability",
            "model": held.model,
            "commit": held.head,
            "subject": dict(sorted(held.subject.digest.items())),
            "data": data,
            "data_digest": dict(sorted(pipeline_digest.items())),
            "evaluation": name,
            "method": config.governance.explain.by,
            "repeats": int(config.governance.explain.repeats) if config.governance.explain.by == "permutation" else 1,
            **{key: answer[key] for key in _ANSWERED},
        }
        return explain.parse(json.dumps(plain, allow_nan=False).encode(), "explainability.json")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MlgateError(f"the model's code gave an answer that is none ({error}).") from None


# -- a report of the user's own --------------------------------------------------------------------------------------


def given(trainer: Trainer, gatherer: Gatherer, config: Config, held: Held) -> Explanation:
    """`governance.explain.report`: of this commit, and made from this model. Raises MlgateError."""
    path = config.path(config.governance.explain.report or "")
    now = gatherer.pipeline()
    data = _bytes(trainer, config, now, path)
    if not _follows(now, path, config.path(config.artifact or "")) and not explain.says_model(
        data, path, held.subject.digest
    ):
        raise MlgateError(
            "is not shown to be about this model: no stage of dvc.lock makes it from the model.", file=path,
            fix='Let a stage make it with the model among its `deps`, or write its digest into it: '
            f'"model_digest": {json.dumps(dict(sorted(held.subject.digest.items())))}.',
        )  # fmt: skip
    name, one = evaluated(config) if any(each.data for each in config.evaluate.values()) else ("", None)
    rows = config.path(one.data) if one is not None and one.data else ""
    about: dict[str, Any] = {
        "model": held.model,
        "commit": held.head,
        "subject": dict(sorted(held.subject.digest.items())),
        "data": rows,
        "data_digest": dict(sorted(integrity.named(now, rows, "").digest.items())) if rows else {},
        "evaluation": name,
        "score": "",
        "metric": "",
        "metric_value": None,
        "rows": 0,
        "of": 0,
        "repeats": 0,
    }
    return explain.own(data, path, about)


def _follows(now: Pipeline, path: str, artifact: str) -> bool:
    """Whether the lock has a stage that makes the report, with the model behind it, and with its present digests."""
    stage = now.producers.get(path)
    if stage is None or not artifact:
        return False
    model = now.outs.get(artifact)
    return any(
        dep.path == artifact and model is not None and dep.md5 == model.md5
        for one in now.upstream(path)
        for dep in one.deps
    )


def _bytes(trainer: Trainer, config: Config, now: Pipeline, path: str) -> bytes:
    """As the commit has it: from git, where its digest has to be that of the lock, else from DVC."""
    out, data = now.outs.get(path), now.snapshot.read(path)
    if data is None and out is None:
        raise MlgateError(
            "is not in this commit.", file=path, key="governance.explain.report", fix="Let a stage make it, and commit."
        )
    if data is not None:
        if out is not None and out.md5:
            from mlgate.repo.dvc import matches  # noqa: PLC0415

            if not matches(out, data):
                raise MlgateError("is not what dvc.lock names: it was edited.", file=path, fix="Run `dvc repro`.")
        return data
    project, _ = trainer.project(config, trainer.binding.rules(config.file, config), Shown())
    with worktree(project.git, project.commit, project.homes, project.environ) as scratch:
        project.pull(scratch.tree, project.commit, [path])
        return (scratch.tree / path).read_bytes()
