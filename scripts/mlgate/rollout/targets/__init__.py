"""Places where models run, behind one small interface that others can implement.

target = find(place)            # a module of this package, or an entry point of the group `mlgate.targets`
with target:
    target.start(release, replicas=2)
    target.weigh({"visits-0a1b": 95, "visits-9f3c": 5})
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.errors import MlgateError
from mlgate.rollout.nouns import Kept, Observed, Readiness, Release, Slot

if TYPE_CHECKING:
    from mlgate.config.deploying import Environment

GROUP = "mlgate.targets"
OWN = ("local", "docker", "kubernetes", "command")


class TargetError(MlgateError):
    """The place cannot be reached, or refused. Nothing is known to have changed."""


class NotYetError(TargetError):
    """What was asked takes longer than one call may: nothing has changed for callers, and asking again goes on."""


class FencedError(MlgateError):
    """Somebody else has written the state since it was read: this process must not touch the environment any more."""


@dataclass(frozen=True)
class Place:
    """Which environment of which model, and what a target may use to get there."""

    model: str
    environment: str  # its name
    settings: Environment  # of mlgate.yaml
    folder: Path  # the repository: what relative paths of `settings` are relative to
    state: Path  # a folder of this machine that outlives a job, for targets that have no place of their own
    environ: Mapping[str, str] = field(default_factory=dict)  # the process's variables: credentials, DOCKER_HOST
    timeout: float = 10.0  # seconds that one answer of the model may take (serve.timeout_seconds)
    drain: float = 20.0  # seconds that requests under way may take when a slot is stopped
    port: int = 8080  # inside the image
    pull: Callable[[str], AbstractContextManager[Mapping[str, str]]] | None = None  # registry -> login environment


class Target(ABC):
    """One environment at one place. Every method raises TargetError when the place does not do it.

    All calls but `write` may be repeated: what is there already is left as it is. `write` is the fence: it succeeds
    only if nobody has written since. `start`, `weigh` and `stop` ask first whether what is kept still has the mark that
    this object has read or written last, and raise FencedError where somebody else has written.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 -- most targets hold nothing open
        """Lets go of connections; what runs keeps running."""

    # -- the state of the rollout, kept where the model runs ----------------------------------------------------------

    @abstractmethod
    def read(self) -> Kept | None:
        """The state as it was last written; None where there is none."""

    @abstractmethod
    def write(self, text: str, *, after: str) -> str:
        """Keeps `text` and gives its mark. Raises FencedError unless what is kept has the mark `after` ("": none)."""

    # -- what runs ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def slots(self) -> Sequence[Slot]:
        """What is really there, with the weights that the router really has. Slots of other environments are not."""

    @abstractmethod
    def start(self, release: Release, *, replicas: int) -> None:
        """Brings up exactly this digest, without traffic, with so many servers. Does not wait for readiness."""

    @abstractmethod
    def ready(self, slot: str) -> Readiness:
        """How it is now. Never waits."""

    @abstractmethod
    def weigh(self, weights: Mapping[str, float]) -> None:
        """Percent of new requests per slot, all others get none; what survives a restart is written first."""

    @abstractmethod
    def stop(self, slot: str) -> None:
        """Lets requests under way end, then takes it away. Its weight must be 0."""

    @abstractmethod
    def open(self, slot: str) -> AbstractContextManager[str]:
        """The address (http://...) at which this slot alone answers while the context lasts, past the router."""

    @property
    def exact(self) -> bool:
        """Whether the router gives just the percent that it is told, to one point."""
        return True

    @property
    @abstractmethod
    def url(self) -> str:
        """The address that callers use; empty where the platform gives none."""

    # -- what it does -------------------------------------------------------------------------------------------------

    @abstractmethod
    def now(self) -> float:
        """Seconds since 1970 by the clock that stamps what is observed."""

    @abstractmethod
    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        """What the router saw of these slots: requests that began in [since, until)."""

    def requests(self, slot: str, most: int) -> Iterator[bytes]:
        """The latest lines of a slot's request log (`serve.replay`), oldest first. Raises TargetError without one."""
        raise TargetError(
            f"the requests that {slot} has kept cannot be read at a target of kind {self.place.settings.target.kind}.",
            fix="Use a local or docker target for shadows.",
        )

    def run(self, release: Release, data: Path, output: Path, rows: int) -> None:
        """Predicts a file once (`strategy: batch`): the same file format out. Raises TargetError where it cannot."""
        raise TargetError(f"batches are not run at this kind of target ({self.place.settings.target.kind}).")


def find(place: Place) -> Target:
    """The target of an environment. Raises MlgateError for a kind that nobody brings."""
    kind = place.settings.target.kind
    if kind in OWN:
        made: Target = importlib.import_module(f"mlgate.rollout.targets.{kind}").make(place)
        return made
    for point in entry_points(group=GROUP):
        if point.name == kind:
            found: Target = point.load()(place)
            return found
    raise MlgateError(
        f"is {kind!r}, and nothing that is installed brings such a target.",
        key=f"deploy.environments.{place.environment}.target.kind",
        fix=f"Use one of {', '.join(OWN)}, or install the package whose entry point in `{GROUP}` has this name.",
    )
