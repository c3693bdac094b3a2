"""What each check works with: a slot at its own address, and who waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mlgate.image.service import Service
from mlgate.rollout.checks.nouns import Asked, Say
from mlgate.rollout.checks.patience import Stop
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Target


@dataclass(frozen=True)
class Trial:
    """One release in one environment, ready and past the router."""

    target: Target
    url: str  # of the candidate's slot
    candidate: Release
    stable: Release | None
    asked: Asked
    stop: Stop
    say: Say

    @cached_property
    def service(self) -> Service:
        return Service(self.url)
