"""What a forge is handed and what it hands back. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
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
