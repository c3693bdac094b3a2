"""What a local target needs before it can start a release: the model's own files, and what its server is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.errors import MlgateError
from mlgate.repo.dvc import Pipeline

if TYPE_CHECKING:
    from mlgate.commands._release import Chosen
    from mlgate.commands._run import Run
    from mlgate.config import Config
    from mlgate.rollout.targets import Target


def prepare_local(
    run: Run, config: Config, target: Target, chosen: Chosen, *,
    folder: Path, inputs: Path, python: str = "", pull: bool = True,
) -> None:  # fmt: skip
    """Leaves a copy of the model where the target finds it; one that is there is left as it is.

    `folder` is private to this run, `inputs` has files by digest as another job gathered them. Raises MlgateError where
    the model of the release cannot be had.
    """
    from mlgate.commands import _build_plan, _release, _serving, serve  # noqa: PLC0415 -- of local targets alone
    from mlgate.commands._build_inputs import Source  # noqa: PLC0415
    from mlgate.rollout.targets import local  # noqa: PLC0415
    from mlgate.rollout.targets.local_release import command  # noqa: PLC0415
    from mlgate.serving.settings import Identity  # noqa: PLC0415

    release = chosen.release
    snapshot = run.git.at(run.git.ensure(release.commit))
    own = _release.as_built(run, config, release.commit)
    source = Source(run, own, Pipeline(snapshot, lenient=True), folder, inputs, python or own.interpreter, pull)
    subject, path = source.model()
    if subject.digest["sha256"] != release.subject.get("sha256"):
        raise MlgateError(
            f"the model of {release.commit[:7]} is not the one that was decided on.", file=subject.name,
            fix="Run `dvc pull`, so that the file is the one that dvc.lock names.",
        )  # fmt: skip
    interpreter, behind = serve.interpreter(run, python or own.interpreter)
    identity = Identity(
        model=config.model, digest=subject.digest["sha256"], commit=release.commit, version=release.version,
        decision=chosen.decision.statement.digest,
    )  # fmt: skip
    settings = _serving.settings(own, model=path, identity=identity, contract=_build_plan.rows_contract(source))
    local.prepare(
        target.place, release, path, settings.to_json(), command=command(interpreter, behind),
        folder=run.git.root / own.folder,
    )  # fmt: skip
