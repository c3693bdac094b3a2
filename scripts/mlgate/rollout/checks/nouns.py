"""What the checks before traffic are given, and what they come to. Plain data, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlgate.config.deploying import Environment
from mlgate.config.settings import Read
from mlgate.image.protocol import Example
from mlgate.image.skew import Sample
from mlgate.model import Check, Verdict
from mlgate.serving.settings import Input

GROUP = "rollout"

Say = Callable[[str], None]  # gets one line for people


class StoppedError(Exception):
    """Whoever waits for the checks does not want them any more. Nothing is concluded of what was left out."""


@dataclass(frozen=True)
class Rows:
    """Rows of one evaluation set with their committed predictions, or the check that says why there are none."""

    name: str
    sample: Sample | None = None
    missing: Check | None = None


@dataclass(frozen=True)
class Published:
    """Where a file that was put into the project's DVC can be had from."""

    pointer: Path  # the .dvc file, for whoever commits it
    digest: str  # "md5:..." as the pointer says it
    size: int  # octets


@dataclass(frozen=True)
class Batch:
    """What a batch is made of."""

    data: Path  # the rows, as DVC gave them
    output: Path
    publish: Callable[[Path], Published]  # `dvc add` and `dvc push` of the project
    read: Read = field(default_factory=Read)  # how the data's file is read
    id: str = ""  # its column of ids, where an evaluation set names one
    truth: Sequence[str] = ()  # columns that no model is sent


@dataclass(frozen=True)
class Asked:
    """What one environment wants to know of a release, and with what it can be found out."""

    environment: str  # its name
    settings: Environment  # of mlgate.yaml
    folder: Path  # in which the user's commands run: that of mlgate.yaml
    example: Example | None = None  # the model's own; None: one is made of what the server says that it takes
    inputs: Sequence[Input] = ()  # the model's signature; empty: as the server says it
    rows: Sequence[Rows] = ()  # for `skew`, one for each evaluation set
    wanted: int = 500  # rows of each that `skew` asks for (image.skew.rows)
    tolerance: float = 1e-6  # of a score (image.skew.tolerance)
    most: int = 10_000  # rows of one request (serve.max_rows)
    timeout: float = 10.0  # seconds for one answer (serve.timeout_seconds)
    own: bool = True  # the image has mlgate's server, and all its addresses
    environ: Mapping[str, str] = field(default_factory=dict)  # of the user's commands
    batch: Batch | None = None  # of `strategy: batch`


@dataclass
class Tried:
    """What was found out. `facts`: numbers for people, name -> value with its unit in the name."""

    checks: list[Check] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)  # one sentence each
    facts: dict[str, str | float] = field(default_factory=dict)
    artifacts: list[Path] = field(default_factory=list)

    def add(self, other: Tried) -> None:
        self.checks += other.checks
        self.not_run += other.not_run
        self.facts |= other.facts
        self.artifacts += other.artifacts


def check(word: str, title: str, verdict: Verdict, reason: str = "", **more: object) -> Check:
    """A check of this room: `rollout.<word>`."""
    return Check.model_validate({
        "id": f"rollout.{word}", "group": GROUP, "title": title, "verdict": verdict, "reason": reason, **more
    })  # fmt: skip


def as_rollout(checks: Sequence[Check]) -> list[Check]:
    """Checks of an image, as those of a place where it runs: `image.smoke.example` is `rollout.smoke.example` there."""
    return [one.model_copy(update={"id": f"rollout.{one.id.removeprefix('image.')}", "group": GROUP}) for one in checks]
