"""The state of a rollout in a ConfigMap, whose resourceVersion is the fence: the API server itself refuses the late."""

from __future__ import annotations

import secrets
from typing import Any

from mlgate.rollout.nouns import Kept
from mlgate.rollout.targets import FencedError, Place, TargetError
from mlgate.rollout.targets.kube import names
from mlgate.rollout.targets.kube.client import ConflictError, GoneError, Kubectl

Object = dict[str, Any]

FENCE = f"{names.PREFIX}/fence"  # on what splits the traffic: the mark of who wrote it last
_WRITTEN_BY = f"{names.PREFIX}/written-by"
_LARGEST = 900_000  # octets: a ConfigMap holds a megabyte


class State:
    """Reads and writes it, and knows which mark this process has seen last."""

    def __init__(self, kubectl: Kubectl, place: Place) -> None:
        self._kubectl = kubectl
        self._place = place
        self._name = f"{names.service(place.model, place.environment)}-rollout"
        self.mark = ""

    def read(self) -> Kept | None:
        found = self._kubectl.get("configmap", self._name)
        self.mark = _mark(found) if found else ""
        return Kept(str((found.get("data") or {}).get("state", "")), self.mark) if found else None

    def write(self, text: str, *, after: str) -> str:
        """Raises FencedError unless what is kept has the mark `after`."""
        if len(text.encode()) > _LARGEST:
            raise TargetError(f"the state of the rollout has more than {_LARGEST:,} octets, which no ConfigMap holds.")
        if after and not after.isdecimal():
            raise self._fenced()
        mine = secrets.token_hex(8)
        metadata: Object = {
            "name": self._name,
            "namespace": self._place.settings.target.namespace,
            "labels": {**names.labels(self._place.model, self._place.environment)},
            "annotations": {_WRITTEN_BY: mine},
        }
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"state": text}}
        try:
            if after:
                metadata["resourceVersion"] = after
                self.mark = _mark(self._kubectl.replace(made))
            else:
                self.mark = _mark(self._kubectl.create(made))
        except GoneError as error:
            if not after:
                error.fix = f"Create the namespace {metadata['namespace']} first."
                raise
            raise self._fenced() from None
        except ConflictError:
            # An answer that was lost on its way here leaves what it answered: that is not somebody else's.
            found = self._kubectl.get("configmap", self._name)
            if found is None or (found["metadata"].get("annotations") or {}).get(_WRITTEN_BY) != mine:
                raise self._fenced() from None
            self.mark = _mark(found)
        return self.mark

    def check(self) -> None:
        """Raises FencedError when what is kept is not what this process has read or written last."""
        found = self._kubectl.get("configmap", self._name)
        if (_mark(found) if found else "") != self.mark:
            raise self._fenced()

    def allows(self, found: Object) -> None:
        """Raises FencedError when a later holder has written this object already."""
        latest = str((found["metadata"].get("annotations") or {}).get(FENCE, ""))
        if latest.isdecimal() and int(latest) > int(self.mark or 0):
            raise self._fenced()

    def stamp(self, made: Object) -> Object:
        """The object with the mark of this process on it."""
        annotations = {**(made["metadata"].get("annotations") or {}), FENCE: self.mark or "0"}
        return {**made, "metadata": {**made["metadata"], "annotations": annotations}}

    def _fenced(self) -> FencedError:
        return FencedError(
            f"somebody else goes on with the rollout of {self._place.model} in {self._place.environment}.",
            fix="Let it; run `mlgate deploy --once` when it has ended.",
        )


def _mark(found: Object) -> str:
    return str(found["metadata"]["resourceVersion"])
