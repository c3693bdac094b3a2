"""A place whose slots are servers of this process: what the checks before traffic need of a target, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from answering import DIGEST, Stub, answer
from mlgate.config.deploying import Environment
from mlgate.rollout.checks import Asked
from mlgate.rollout.nouns import Kept, Observed, Readiness, Release, Slot
from mlgate.rollout.targets import Place, Target

CANDIDATE = Release("visits", f"r.example/visits@sha256:{'b' * 64}", {"sha256": DIGEST}, version="v2.0.0")
STABLE = Release("visits", f"r.example/visits@sha256:{'a' * 64}", {"sha256": DIGEST}, version="v1.0.0")

ROW = {
    "type": "object", "properties": {"age": {"type": "integer"}, "income": {"type": ["number"]}},
    "required": ["age", "income"],
}  # fmt: skip


def described(row: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An OpenAPI of one operation."""
    request = {
        "type": "object",
        "properties": {"records": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}},
    }
    operation = {
        "requestBody": {"content": {"application/json": {"schema": request}}},
        "responses": {"200": {"content": {"application/json": {"schema": {"required": ["prediction"]}}}}},
    }
    return {"paths": {"/predict": {"post": operation}}, "components": {"schemas": {"Row": dict(row or ROW)}}}


class Server(Stub):
    """A stub that also describes itself, where it is told how; `other` changes the answers."""

    def __init__(self, *faults: str, openapi: Mapping[str, Any] | None = None, digest: str = DIGEST) -> None:
        super().__init__(faults, digest=digest)
        self.openapi = openapi

    def get(self, to: Any) -> None:
        if to.path == "/openapi.json" and self.openapi is not None:
            return answer(to, 200, dict(self.openapi))
        return super().get(to)


class Here(Target):
    """Slots by their addresses. Nothing else of a target is asked for before traffic."""

    def __init__(self, slots: Mapping[str, str], log: Sequence[bytes] = (), **settings: Any) -> None:
        super().__init__(place(**settings))
        self.addresses, self.log = dict(slots), list(log)
        self.opened: list[str] = []

    @contextmanager
    def open(self, slot: str) -> Iterator[str]:
        self.opened.append(slot)
        yield self.addresses[slot]

    def requests(self, slot: str, most: int) -> Iterator[bytes]:
        assert slot == STABLE.slot
        yield from self.log[-most:]

    def _no(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a check changed what runs")

    @property
    def url(self) -> str:
        return ""

    def read(self) -> Kept | None:
        return self._no()  # type: ignore[no-any-return]

    def write(self, text: str, *, after: str) -> str:
        return self._no()  # type: ignore[no-any-return]

    def slots(self) -> Sequence[Slot]:
        return self._no()  # type: ignore[no-any-return]

    def start(self, release: Release, *, replicas: int) -> None:
        self._no()

    def ready(self, slot: str) -> Readiness:
        return self._no()  # type: ignore[no-any-return]

    def weigh(self, weights: Mapping[str, float]) -> None:
        self._no()

    def stop(self, slot: str) -> None:
        self._no()

    def now(self) -> float:
        return self._no()  # type: ignore[no-any-return]

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        return self._no()  # type: ignore[no-any-return]


def environment(**settings: Any) -> Environment:
    return Environment.model_validate({"target": "local", **settings})


def place(**settings: Any) -> Place:
    return Place("visits", "staging", environment(**settings), Path(), Path())


def asked(folder: Path, checks: Mapping[str, Any] | None = None, **more: Any) -> Asked:
    """`checks`: of mlgate.yaml, with nothing on that is not named."""
    wanted = {"smoke": False, "api": False, **(checks or {})}
    settings = environment(checks=wanted, **more.pop("settings", {}))
    return Asked("staging", settings, folder, **{"timeout": 5.0, **more})
