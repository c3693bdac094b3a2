"""The one comment: how it is known again, and whether it is written.

It begins with a hidden marker and is written by us. Both must hold: somebody who quotes the marker is not overwritten,
and a comment of ours that somebody else's marker talks about is not either. If there are two, the first is ours for
good and the rest is left alone.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from dataclasses import dataclass
from typing import Literal, Protocol

from mlgate.forges.http import ForgeError, UnsureError
from mlgate.forges.nouns import Posted, When
from mlgate.model import Verdict

VOLATILE = "<!-- mlgate:volatile -->"
"""Put it on a line that differs in each run though nothing changed: a run's address, a time. `on-change` skips it."""


@dataclass(frozen=True)
class Existing:
    """A comment of ours that is there."""

    id: int
    body: str
    url: str | None


class Comments(Protocol):
    """The comments of one pull request, seen through one marker. Each method raises ForgeError."""

    def find(self) -> Existing | None:
        """The first one that carries the marker and is ours."""

    def create(self, text: str) -> str | None:
        """Its address. Raises UnsureError when it may have been created all the same."""

    def update(self, existing: Existing, text: str) -> str | None:
        """Its address."""


def marker(header: str = "") -> str:
    """The first line of the comment. Any text can be a header; none can end the HTML comment it stands in."""
    name = urllib.parse.quote(header.strip(), safe="", errors="replace")
    name = name.replace("-", "%2D") if "--" in name else name
    if name.endswith("-"):
        name = name[:-1] + "%2D"
    if len(name) > 100:
        name = "sha256-" + hashlib.sha256(header.strip().encode("utf-8", "surrogatepass")).hexdigest()
    return f"<!-- mlgate:{name} -->"


def carries(body: object, mark: str) -> bool:
    """Whether the marker is the first line, as it is only in what we wrote and in what was copied whole."""
    return isinstance(body, str) and body.split("\n", 1)[0].strip() == mark


def steady(body: str) -> list[str]:
    """The lines that count as a change. Forges store line ends and trailing space in their own way."""
    return [line for line in _lines(body) if VOLATILE not in line]


def _lines(body: str) -> list[str]:
    return [line.rstrip() for line in body.strip().splitlines()]


Step = Literal["create", "update", "nothing"]


def decide(existing: str | None, body: str, when: When, verdict: Verdict) -> Step:
    """What to do about a comment that is there (`existing` is its text) or not (None)."""
    if when == "off":
        return "nothing"
    if existing is None:
        wanted = {
            "always": True,
            "on-change": verdict is not Verdict.PASS,
            "on-failure": verdict.rank > Verdict.WARN.rank,
        }
        return "create" if wanted[when] else "nothing"
    if when == "on-change":
        return "nothing" if steady(existing) == steady(body) else "update"
    return "nothing" if _lines(existing) == _lines(body) else "update"


def post(text: str, when: When, verdict: Verdict, comments: Comments, *, tries: int = 3) -> Posted:
    """Finds ours, decides, writes. Raises ForgeError.

    Creating is the one request that must not be sent twice: after an answer that leaves open whether it was carried out
    (UnsureError), the comments are listed again before anything else happens.
    """
    for attempt in range(1, tries + 1):
        existing = comments.find()
        step = decide(existing.body if existing else None, text, when, verdict)
        if existing is None:
            if step == "nothing":
                return Posted()
            try:
                return Posted(url=comments.create(text), did="created")
            except UnsureError:
                if attempt == tries:
                    raise
        elif step == "nothing":
            return Posted(url=existing.url, did="created" if attempt > 1 else "unchanged")
        else:
            try:
                return Posted(url=comments.update(existing, text), did="updated")
            except ForgeError as error:
                if error.status != 404 or attempt > 1:  # else somebody deleted it just now
                    raise
    raise AssertionError("unreachable")  # pragma: no cover
