"""Brings a version of a registered model about, in the worker's own process: what is there is found, the rest is made.

Two of these at the same time end with one version: GitLab has each version once by itself; of two in MLflow the one
with the lower number stays.
"""

from __future__ import annotations

import re
import urllib.parse
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlgate.tracking.worker import COMPLETE, StopError, Worker, finish

_PATIENCE = 120  # seconds for each answer
_STAGES = {"challenger": "Staging", "champion": "Production"}  # for servers that know no aliases
_DIGEST = "mlgate.model_digest"
_REGISTRATION = "mlgate.registration"


class Registrar(Worker):
    """One version. Types of MLflow are `Any`, as in its parent."""

    def work(self) -> None:
        """Raises whatever MLflow raises. `done` is saved last."""
        if self.kind == "sqlite":
            folder = Path(self.orders["artifacts"]).parent
            folder.mkdir(parents=True, exist_ok=True)
            self._lock(folder)
        self._wait(min(_PATIENCE, float(self.orders["patience"]) / 4))
        self.client = self._connect()
        self.name: str = self.orders["name"]
        if self.orders["what"] == "versions":
            self.save(versions=self._versions(), done=True)
        elif self.kind == "gitlab":
            self._in_gitlab()
        else:
            self._in_mlflow()
        self.save(done=True)

    # -- the registered model ----------------------------------------------------------------------------------------

    def _registered(self) -> Any:
        """The registered model; None where the server says clearly that there is none."""
        try:
            found = self.client.get_registered_model(self.name)
        except Exception as error:
            if self._code(error) != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if getattr(found, "name", "") != self.name:
            raise StopError(f"{self.orders['at']} answers, but not as MLflow does: is a login page in front of it?")
        return found

    def _ensure_model(self) -> Any:
        if (found := self._registered()) is not None:
            return found
        try:
            self.client.create_registered_model(self.name)
        except Exception as error:
            if self._code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
        if (found := self._registered()) is None:  # nor did another job make it just now
            raise self._not_taken()
        return found

    def _not_taken(self) -> StopError:
        return StopError(
            f"{self.orders['at']} takes no model `{self.name[:100]}`: a model experiment of that name is in the way, "
            "or the name is not allowed there. Set register.name to another one."
        )

    def _code(self, error: Exception) -> str:
        """MLflow's own word for what is wrong. Over HTTP only what the answer itself has: any proxy can say 404."""
        answered = getattr(error, "json", None)
        if self.kind == "sqlite":
            return str(getattr(error, "error_code", ""))
        return str(answered.get("error_code", "")) if isinstance(answered, dict) else ""

    # -- MLflow ------------------------------------------------------------------------------------------------------

    def _in_mlflow(self) -> None:
        model = self._ensure_model()
        version = self._mine()
        created = False
        if version is None:
            version, created = self._create()
        self.save(number=str(version.version), created=created, source=str(version.source or ""))
        self.save(files=not str(version.source or "").startswith("dvc:"))
        there = dict(version.tags or {})
        for key, value in self.orders["version_tags"].items():
            if there.get(key) != value:
                self.client.set_model_version_tag(self.name, version.version, key, value)
        self._alias(model, str(version.version))

    def _mine(self) -> Any:
        """The version of this registration: of several, the one with the lowest number."""
        found, token = [], None
        while True:
            page = self.client.search_model_versions(f"name = '{self.name}'", max_results=1000, page_token=token)
            found += [v for v in page if (v.tags or {}).get(_REGISTRATION) == self.orders["registration"]]
            token = page.token
            if not token or not len(page):
                return min(found, key=lambda version: int(version.version), default=None)

    def _create(self) -> tuple[Any, bool]:
        source, run_id = self._source()
        given = {"model_id": self.model_id} if self.model_id else {}
        made = self.client.create_model_version(
            self.name,
            source=source,
            run_id=run_id,
            tags={**self.orders["version_tags"], _REGISTRATION: self.orders["registration"]},
            description=self.orders["description"],
            await_creation_for=60,
            **given,
        )
        first = self._mine()
        if first is None:
            raise StopError(f"{self.orders['at']} did not keep version {made.version} of `{self.name[:100]}`.")
        if str(first.version) == str(made.version):
            return made, True
        self.client.delete_model_version(self.name, made.version)  # another job was quicker
        return first, False

    def _source(self) -> tuple[str, str | None]:
        """Where the model is: as its training logged it, else uploaded now, else not in MLflow at all."""
        run = self._trained()
        if run is None and self.orders["model"]:
            experiment = self._experiment()
            if not self._find_or_create(experiment):
                self._describe()
                self._model()
                self._finish()
            run = self.client.get_run(self.run.info.run_id)
        if run is None:
            return self.orders["elsewhere"], None
        self.run = run
        outputs = getattr(getattr(run, "outputs", None), "model_outputs", None) or []
        for output in outputs:
            if self._ready(output.model_id):
                self.model_id = output.model_id
                return f"models:/{self.model_id}", run.info.run_id
        self.model_id = ""
        if any(entry.path == "model" for entry in self.client.list_artifacts(run.info.run_id)):
            return f"{run.info.artifact_uri}/model", run.info.run_id
        return self.orders["elsewhere"], run.info.run_id

    def _ready(self, model_id: str) -> bool:
        with suppress(Exception):
            return str(self.client.get_logged_model(model_id).status) in ("READY", "LoggedModelStatus.READY")
        return False

    def _trained(self) -> Any:
        """The first whole run that logged this very model; None where there is none, or it has not the files."""
        experiment = self.client.get_experiment_by_name(self.orders["experiment"])
        if experiment is None or experiment.lifecycle_stage != "active":
            return None
        for digest in self.orders["digests"]:
            if not re.fullmatch(r"[0-9a-f]{32,128}(\.dir)?", digest):
                continue
            found = self.client.search_runs(
                [experiment.experiment_id],
                f"tags.`{_DIGEST}` = '{digest}' and tags.`{COMPLETE}` = 'true'",
                order_by=["attributes.start_time ASC"],
                max_results=20,
            )
            for run in found:
                outputs = getattr(getattr(run, "outputs", None), "model_outputs", None) or []
                if any(self._ready(output.model_id) for output in outputs):
                    return run
                if any(entry.path == "model" for entry in self.client.list_artifacts(run.info.run_id)):
                    return run
        return None

    def _alias(self, model: Any, number: str) -> None:
        alias = self.orders["alias"]
        if not alias:
            return
        there = dict(getattr(model, "aliases", None) or {})
        if str(there.get(alias, "")) == number:
            self.save(alias=f"{alias}, as before")
        else:
            try:
                self.client.set_registered_model_alias(self.name, alias, number)
            except Exception as error:
                if self.status not in (404, 405, 501) or self._code(error) == "RESOURCE_DOES_NOT_EXIST":
                    raise
                self._stage(alias, number)
                return
            self.save(alias=alias)
        if alias == "champion" and str(there.get("challenger", "")) == number:
            self.client.delete_registered_model_alias(self.name, "challenger")

    def _stage(self, alias: str, number: str) -> None:
        """Servers before MLflow 2.3 have nothing else."""
        stage = _STAGES[alias]
        now = self.client.get_model_version(self.name, number)
        if now.current_stage != stage:
            self.client.transition_model_version_stage(
                self.name, number, stage, archive_existing_versions=alias == "champion"
            )
        self.save(alias=f"the stage {stage}")
        self.leave_out(f"{self.orders['at']} knows no aliases, so the version is in the stage {stage} instead.")

    # -- GitLab ------------------------------------------------------------------------------------------------------

    @property
    def _number(self) -> str:
        """GitLab's versions are semantic ones, without a letter before them."""
        return str(self.orders["version"]).removeprefix("v")

    def _versions(self) -> list[str]:
        found = self._registered()
        if found is None:
            # GitLab makes an experiment with each model, and takes no name that one has.
            if self.client.get_experiment_by_name(self.name) is not None:
                raise self._not_taken()
            return []
        versions = [*(found.latest_versions or []), *self.client.get_latest_versions(self.name)]
        told = {str(alias) for version in versions for alias in (version.aliases or [])}
        told |= {str(version.version) for version in versions if "." in str(version.version)}
        return sorted(told)

    def _in_gitlab(self) -> None:
        self._ensure_model()
        version, created = self._version(), False
        if version is None:
            try:
                self.client.create_model_version(
                    self.name,
                    source="",
                    tags={**self.orders["version_tags"], "gitlab.version": self._number},
                    description=self.orders["description"],
                    await_creation_for=0,
                )
                created = True
            except Exception as error:
                if self._code(error) != "INVALID_PARAMETER_VALUE":
                    raise
                if (version := self._version()) is None:  # nor was another job quicker
                    raise
            version = version or self._version()
        if version is None:
            raise StopError(f"{self.orders['at']} did not keep version {self._number} of `{self.name[:100]}`.")
        self.run = self.client.get_run(version.run_id)
        self._is_ours(version)
        self.save(number=self._number, created=created, source=str(version.source or ""), url=self._web(version))
        if (version.description or "") != self.orders["description"]:
            self.client.update_model_version(self.name, self._number, self.orders["description"])
        self._run_tags()
        self._files()
        if self.orders["alias"]:
            self.leave_out(
                "GitLab's registry has neither aliases nor stages: that this version is the "
                f"{self.orders['alias']} stands in the ledger."
            )

    def _version(self) -> Any:
        try:
            return self.client.get_model_version(self.name, self._number)
        except Exception as error:
            if self._code(error) != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _is_ours(self, version: Any) -> None:
        """That number may have been given by hand. Older servers keep the tags of the version's run only."""
        tags = {**dict(self.run.data.tags or {}), **dict(version.tags or {})}
        told = tags.get(_DIGEST) or (version.description or "")
        if not any(digest in told for digest in self.orders["digests"]):
            raise StopError(
                f"{self.orders['at']} has a version {self._number} of `{self.name[:100]}` that is not this model: "
                "it was left as it is. Delete it there if it was made by mistake."
            )

    def _run_tags(self) -> None:
        """A version is a run as well, and what it was tagged with cannot be changed: what is new is added there."""
        from mlflow.entities import RunTag  # noqa: PLC0415

        there = dict(self.run.data.tags or {})
        wanted = {**self.orders["tags"], **self.orders["version_tags"]}
        if new := [RunTag(key, value) for key, value in wanted.items() if key not in there]:
            self.client.log_batch(self.run.info.run_id, tags=new)
        changed = [key for key, value in self.orders["version_tags"].items() if there.get(key, value) != value]
        if changed:
            self.leave_out(f"GitLab keeps the first value of a tag: {', '.join(sorted(changed)[:3])} stayed as before.")

    def _files(self) -> None:
        if self.run.data.tags.get(COMPLETE) == "true":
            self.save(files=True)
        elif not self.orders["model"]:
            self.save(files=False)
        else:
            before = len(self.state["left_out"])
            self._model()
            whole = len(self.state["left_out"]) == before
            if whole:
                self.client.set_tag(self.run.info.run_id, COMPLETE, "true")
            self.save(files=whole)

    def _web(self, version: Any) -> str:
        """The version's page, where it is one of this server."""
        own, there = urllib.parse.urlsplit(self.orders["uri"]), urllib.parse.urlsplit(str(version.source or ""))
        return str(version.source) if there.scheme in ("http", "https") and there.netloc == own.netloc else ""


def main(folder: str) -> None:
    """Does what `orders.json` says and leaves `state.json`."""
    finish(Registrar(Path(folder)))
