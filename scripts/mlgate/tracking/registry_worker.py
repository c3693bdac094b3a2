"""Asks a model registry for one version, in the worker's own process: what it answered, word for word, in `state.json`.

"There is none" is told from "it could not be asked": only MLflow's own answer that a thing does not exist counts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlgate.tracking.worker import StopError, Worker, finish

_PATIENCE = 20  # seconds for each answer
_NO_ALIAS = re.compile(r"alias .*not found", re.IGNORECASE | re.DOTALL)


class Asker(Worker):
    """One question. Types of MLflow are `Any`, as in its parent."""

    def work(self) -> None:
        """Raises whatever MLflow raises, unless it says clearly that something is not there."""
        name, alias, number = self.orders["name"], self.orders["alias"], self.orders["version"]
        if self.kind == "sqlite":
            self._lock(Path(self.orders["folder"]))
        self._wait(min(_PATIENCE, float(self.orders["patience"]) / 3))
        self.client = self._connect()
        try:
            model = self.client.get_registered_model(name)
        except Exception as error:
            self._absent("model", error)
            return
        if getattr(model, "name", "") != name:
            raise StopError(f"{self.orders['at']} answers, but not as MLflow does: is a login page in front of it?")
        try:
            version = (
                self.client.get_model_version_by_alias(name, alias)
                if alias
                else self.client.get_model_version(name, number)
            )
        except Exception as error:
            self._absent("alias" if alias else "version", error)
            return
        self.save(version=str(version.version), status=str(version.status), tags=[dict(version.tags or {})])
        self._lineage(version)

    def _lineage(self, version: Any) -> None:
        """The tags of the model and of the run that the version is from; a run that was removed for good has none."""
        run, model = version.run_id, getattr(version, "model_id", None)
        if model:
            try:
                logged = self.client.get_logged_model(model)
            except Exception as error:
                self._gone(error)
            else:
                run = run or logged.source_run_id
                self._add(logged.tags)
        if run:
            try:
                self._add(self.client.get_run(run).data.tags)
            except Exception as error:
                self._gone(error)

    def _add(self, tags: Any) -> None:
        self.save(tags=[*self.state["tags"], dict(tags or {})])

    def _gone(self, error: Exception) -> None:
        if not self._says_absent(error):
            raise error
        self.save(removed=True)

    def _absent(self, what: str, error: Exception) -> None:
        if not self._says_absent(error) and not (what == "alias" and self._says_no_alias(error)):
            raise error
        self.save(absent=what)

    def _says_absent(self, error: Exception) -> bool:
        return self._code(error) == "RESOURCE_DOES_NOT_EXIST"

    def _says_no_alias(self, error: Exception) -> bool:
        return self._code(error) == "INVALID_PARAMETER_VALUE" and bool(_NO_ALIAS.search(str(error)))

    def _code(self, error: Exception) -> str:
        """MLflow's own word for what is wrong. Over HTTP only what the answer itself has: any proxy can say 404."""
        answered = getattr(error, "json", None)
        if self.kind == "sqlite":
            return str(getattr(error, "error_code", ""))
        return str(answered.get("error_code", "")) if isinstance(answered, dict) else ""


def main(folder: str) -> None:
    """Does what `orders.json` says and leaves `state.json`."""
    finish(Asker(Path(folder)))
