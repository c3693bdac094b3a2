"""What a forge is handed and what it hands back. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Level = Literal["error", "warning", "notice"]
When = Literal["always", "on-change", "on-failure", "off"]
State = Literal["success", "failure", "error", "pending"]


@dataclass(frozen=True)
class Annotation:
    """One remark at a file and line. `line` counts from 1."""

    level: Level
    message: str
    title: str = ""
    file: str = ""
    line: int | None = None


@dataclass(frozen=True)
class Posted:
    """What became of a comment or a status.

    `said` is one plain sentence, for people, when it could not be posted; empty otherwise. The same cause gives the
    same sentence, so that a caller can say it once.
    """

    url: str | None = None
    said: str = ""
    did: Literal["created", "updated", "unchanged", "nothing"] = "nothing"


@dataclass(frozen=True)
class Request:
    """A pull or merge request as it should be: of `head` into `base`, both branches of this repository."""

    head: str
    base: str
    title: str
    body: str  # Markdown; it is kept apart from what people add around it
    header: str = ""  # tells it apart from other requests of ours
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """The one request that there is now. `said`: what people should know about it, a sentence each."""

    url: str
    number: int
    did: Literal["created", "updated", "unchanged"]
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageRegistry:
    """The registry of images that a forge keeps beside the project, and who this job is there."""

    host: str  # ghcr.io
    repository: str  # ghcr.io/acme/health: the project's own; images of models go below it
    user: str = ""
    password: str = field(default="", repr=False)  # empty where this job has no token
