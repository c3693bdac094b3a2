"""The log of a container, read once: each time only what is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.docker_parts.reached import Reached

T = TypeVar("T")


class Tape(Generic[T]):
    """`read` makes something of a line, or None; `when` says of when it is, so that what is old can be forgotten."""

    def __init__(
        self, engine: Reached, container: str, read: Callable[[str], T | None], when: Callable[[T], float]
    ) -> None:
        self._engine, self._container, self._read, self._when = engine, container, read, when
        self._found: list[T] = []
        self._from = float("inf")  # everything since then is in `_found`
        self._last = ""  # the engine's stamp of the line read last

    def since(self, moment: float) -> list[T]:
        """Everything that was logged from a moment on. Raises TargetError when the engine has no such container."""
        if moment < self._from:
            self._found, self._last, self._from = [], "", moment
        asked = self._last or f"{moment:.6f}"
        said = self._engine.ask("logs", "--timestamps", "--since", asked, self._container, timeout=300)
        if said.code != 0:
            raise TargetError(f"the log of {self._container} cannot be read: {said.last}.")
        for line in said.out.splitlines():
            stamp, _, text = line.partition(" ")
            if stamp <= self._last:
                continue
            self._last = stamp
            if (one := self._read(text)) is not None:
                self._found.append(one)
        if moment > self._from:
            self._from = moment
            self._found = [one for one in self._found if self._when(one) >= moment]
        return list(self._found)
