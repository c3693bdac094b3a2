"""Registries follow what an environment has: MLflow's alias `champion`, and the stage tags of GTO's grammar.

    checks += follow(run, config, release, "production")

The ledger was written before: what a registry does not take is a warning, and running it again mends it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlgate.commands import _model
from mlgate.commands._order import is_production
from mlgate.commands._registries import Asked, Registries
from mlgate.commands._release import GROUP
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.ledger import registrations
from mlgate.ledger.registrations import Known
from mlgate.model import Check, Verdict
from mlgate.rollout.nouns import Release
from mlgate.tracking import gto
from mlgate.tracking.gto import Tags
from mlgate.tracking.nouns import Training
from mlgate.tracking.registering import Wanted

_TITLES = {"mlflow": "MLflow's champion", "git": "The stage in git"}
_FIX = "Run it again: what stands already is left as it is."


def follow(run: Run, config: Config, release: Release, environment: str, *, asked: Asked | None = None) -> list[Check]:
    """One check for each registry that mlgate.yaml names and that can follow. Never raises MlgateError.

    MLflow's alias is that of production alone; git has a stage for each environment. GitLab's registry knows neither.
    """
    kinds = [kind for kind in ("mlflow", "git") if kind in config.register_.to]
    kinds = [kind for kind in kinds if kind == "git" or is_production(config, environment)]
    if not kinds:
        return []
    name = config.register_.name or config.model
    try:
        records = _model.records(run, config)
    except MlgateError as error:
        return [_check("version", "Registries follow", Verdict.WARN, str(error), fix=_FIX)]
    known = registrations.known((each.entry for each in records), name)
    version = registrations.of_model(known, release.subject)
    if version is None:
        reason = f"This {config.model} has no version, so no registry can say that it is in {environment}."
        return [_check("version", "Registries follow", Verdict.WARN, reason, fix="Run `mlgate register`.")]
    follower = _Follower(run, config, release, environment, version, asked or Asked())
    return [follower.check(kind) for kind in kinds]


@dataclass(frozen=True)
class _Follower:
    run: Run
    config: Config
    release: Release
    environment: str
    version: Known
    asked: Asked

    def check(self, kind: str) -> Check:
        """One registry. Never raises MlgateError."""
        try:
            return self._champion() if kind == "mlflow" else self._stage()
        except MlgateError as error:
            return _check(kind, _TITLES[kind], Verdict.WARN, str(error), fix=error.fix or _FIX)

    def _champion(self) -> Check:
        """The alias on the version of this model. Raises MlgateError where the registry cannot be asked."""
        config, version = self.config, self.version
        alone = config.model_copy(update={"register_": config.register_.model_copy(update={"to": ["mlflow"]})})
        wanted = Wanted(
            training=self._training(),
            name=version.name,
            version=version.version,
            key=version.id,
            digests=tuple(dict.fromkeys(version.subject.values())),
            tags={"mlgate.version": version.version, "mlgate.registration": version.id},
            description=f"{config.model} {version.version}",
            alias="champion",
        )
        registries = Registries(self.run, alone, version.name, self.asked)
        told = registries.register("mlflow", wanted, commit=self.release.commit, at=version.first.at).check
        if told.verdict.rank > Verdict.WARN.rank:
            return _check("mlflow", _TITLES["mlflow"], Verdict.WARN, told.reason, fix=told.fix or _FIX)
        return _check("mlflow", _TITLES["mlflow"], Verdict.PASS, told.reason, observed=told.observed)

    def _training(self) -> Training:
        """What a registry is told where it has to make the version first."""
        subject = self.version.subject
        known = [subject[name] for name in ("dvc-md5", "sha256", *subject) if name in subject]
        return Training(
            model=self.config.model,
            folder=self.run.git.root,
            experiment=self.config.train.experiment or "",
            run_name="",
            commit=self.release.commit,
            model_digest=known[0],
            ci_job=self.run.forge.job,
        )

    def _stage(self) -> Check:
        """`visits#production#3` on the commit of the version. Raises MlgateError where it is not written."""
        version, environment = self.version, self.environment
        for name in (version.name, environment):
            if said := gto.problem(name):
                raise MlgateError(f"{said}.")
        remote = self.run.forge.push_to() if self.asked.push_tags else None
        tags = Tags(self.run.git, remote, self.run.forge.identity())
        commit = tags.seen(version.name).versions.get(version.version, "")
        if not commit:
            raise MlgateError(
                f"there is no tag {version.name}@{version.version}, so no stage was assigned.",
                fix="Run `mlgate register`.",
            )
        message = f"Put {version.name} {version.version} in {environment}"
        tag, made = tags.assign(version.name, environment, commit, message)
        reason = f"The tag {tag} says so." if made else f"It is in {environment} already."
        return _check("git", _TITLES["git"], Verdict.PASS, reason, observed=tag)


def _check(
    what: str, title: str, verdict: Verdict, reason: str, *, fix: str = "", observed: str | float | None = ""
) -> Check:
    return Check(
        id=f"deploy.follow.{what}", group=GROUP, title=title, verdict=verdict, reason=reason, fix=fix,
        observed=observed or None,
    )  # fmt: skip
