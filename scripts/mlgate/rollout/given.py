"""What a rollout is given from outside: a judge, checks, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from mlgate.errors import MlgateError
from mlgate.model import Check
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State
from mlgate.rollout.targets import Target


class LedgerError(MlgateError):
    """The ledger was not told. The rollout stays where it is."""


class Stopped(Exception):  # noqa: N818 -- no error: the job was told to end
    """Raised into checks that are under way when the job was told to end."""


class Judged(Protocol):
    """What `analysis.outcome.judge` gives."""

    @property
    def outcome(self) -> Literal["promote", "continue", "hold", "roll back"]: ...
    @property
    def reason(self) -> str: ...
    @property
    def checks(self) -> Sequence[Check]: ...
    @property
    def streaks(self) -> Mapping[str, int]: ...


class Judge(Protocol):
    """Judges `state.seen`, of which the last is the running step. `complete` is false where `why` is said."""

    def __call__(self, state: State, *, complete: bool, why: str) -> Judged: ...


class Tried(Protocol):
    """What `checks.before_traffic`, `checks.shadow` and `checks.batch` give."""

    @property
    def checks(self) -> Sequence[Check]: ...


class Checker(Protocol):
    """Tries the candidate at its slot. `alive` is to be called each second or so; what it raises has to come out."""

    def __call__(
        self, target: Target, candidate: Release, stable: Release | None, alive: Callable[[], None], /
    ) -> Tried: ...
