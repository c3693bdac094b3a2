"""The engine of one place: this machine's, or one reached by TCP or SSH. What it does not do is a TargetError."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mlgate.errors import MlgateError
from mlgate.image import engine as engines
from mlgate.image.engine import TIMEOUT, Engine, Said
from mlgate.rollout.targets import Place, TargetError

_GONE = ("cannot connect to the docker daemon", "error during connect")  # not: what a registry or a container said


@dataclass(frozen=True)
class Reached(Engine):
    """Raises TargetError wherever no answer comes. `address` is what messages call it."""

    address: str = ""

    def ask(
        self, *args: str, given: bytes = b"", timeout: float = TIMEOUT, env: Mapping[str, str] | None = None
    ) -> Said:
        try:
            said = super().ask(*args, given=given, timeout=timeout, env=env)
        except MlgateError as problem:
            raise TargetError(f"the Docker engine {self.address} does not answer: {problem.message}") from None
        if said.code != 0 and any(word in said.err.lower() for word in _GONE):
            raise _unreachable(self.address, said.last)
        return said

    def run(self, *args: str, given: bytes = b"", timeout: float = TIMEOUT) -> str:
        said = self.ask(*args, given=given, timeout=timeout)
        if said.code != 0:
            raise TargetError(f"`docker {args[0]}` failed at {self.address}: {said.last}.")
        return said.out.strip()


def reach(place: Place) -> Reached:
    """Raises TargetError when the engine cannot be reached."""
    environ = {**os.environ, **place.environ}
    if host := place.settings.target.host:
        environ["DOCKER_HOST"] = host
        environ.pop("DOCKER_CONTEXT", None)
    address = environ.get("DOCKER_HOST") or "of this machine"
    try:
        found = engines.find(environ)
    except MlgateError as problem:
        if "cannot be asked" in problem.message:
            raise _unreachable(address, problem.message.partition("asked: ")[2]) from None
        raise TargetError(problem.message, fix=problem.fix) from None
    return Reached(found.command, found.environ, address)


def _unreachable(address: str, said: str) -> TargetError:
    return TargetError(
        f"the Docker engine {address} cannot be reached: {said.rstrip('.')}.",
        fix="Start it, or correct `target.host` or DOCKER_HOST.",
    )
