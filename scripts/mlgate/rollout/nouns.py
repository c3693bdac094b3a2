"""The nouns of a rollout: what is deployed, where it stands, and what was seen of it. Plain data, no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Arm = Literal["stable", "canary"]


@dataclass(frozen=True)
class Release:
    """One image of one model, as both statements name it. Two releases with one image digest are the same."""

    model: str
    image: str  # repository@sha256:...
    subject: Mapping[str, str]  # digests of the model
    version: str = ""
    commit: str = ""
    decision: str = ""  # id of the ledger's entry
    port: int = 8080  # inside the image

    @property
    def digest(self) -> str:
        """`sha256:...` of the image."""
        return self.image.rpartition("@")[2]

    @property
    def slot(self) -> str:
        """The name under which it runs in an environment: of a release always the same, of two never."""
        return slot(self.model, self.digest)


def slot(model: str, digest: str) -> str:
    """A name that every target can use: a short form of the model's name and twelve digits of the image's digest."""
    plain = "".join(c if c.isalnum() else "-" for c in model.lower()).strip("-")[:30].strip("-") or "model"
    return f"{plain}-{hashlib.sha256(digest.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Slot:
    """What is really there of one release, as the target sees it now."""

    name: str
    image: str = ""  # repository@sha256:..., as the platform says it; empty where it cannot tell
    replicas: int = 0  # that run
    ready: int = 0  # that answer
    weight: float = 0.0  # percent of new requests that the router sends there


@dataclass(frozen=True)
class Readiness:
    """Of one slot: `ended` when waiting is of no use any more. `said`: one sentence, its last words among it."""

    ready: bool
    ended: bool = False
    said: str = ""


_NOT_REFUSED = frozenset({408, 429})  # late, or too many: no word on what was sent


def refused(status: int) -> bool:
    """Whether an answer says that the request is not what the server takes."""
    return 400 <= status < 500 and status not in _NOT_REFUSED


@dataclass(frozen=True)
class Histogram:
    """Counts by bin: small, exact to merge. Which bins, the maker and `analysis` agree on (`latency`, `score`)."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Tally:
    """What one slot did in a window. `requests` answered or lost, of which `errors`: 5xx, no answer, redispatched.

    With `sticky`, `units` callers were seen, of which `bad_units` had an error. `None` where the target cannot tell.
    """

    requests: int = 0
    errors: int = 0
    times: Histogram = Histogram()  # of the answers, in bins of `analysis.bins.latency`
    scores: Histogram | None = None  # of the predictions, in bins of `analysis.bins.score`
    units: int | None = None
    bad_units: int | None = None
    refused: int = 0  # answers of 400 to 499: what callers sent was not taken


@dataclass(frozen=True)
class Observed:
    """A window of all slots. `complete` is false where lines were lost or the router was not reached: `why` says it."""

    since: float  # seconds since 1970, by the target's clock
    until: float
    tallies: Mapping[str, Tally] = field(default_factory=dict)  # slot -> what it did
    complete: bool = True
    why: str = ""


@dataclass(frozen=True)
class Kept:
    """The state of a rollout as a target keeps it, and the mark by which a write must name it."""

    text: str
    mark: str
