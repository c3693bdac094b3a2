"""The one pull or merge request of a branch: found again, else opened; its text kept up without touching people's.

What we write stands between two hidden marks. Whatever people write around them stays, and so does the title.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from mlgate.errors import MlgateError
from mlgate.forges import cutting, sticky
from mlgate.forges.http import ForgeError, UnsureError
from mlgate.forges.nouns import Opened, Request

END = "<!-- mlgate:end -->"


@dataclass(frozen=True)
class Existing:
    """An open request from this branch."""

    number: int
    body: str
    url: str
    labels: tuple[str, ...] = ()


class Requests(Protocol):
    """The requests of one project. Each method raises ForgeError."""

    def find(self, head: str, base: str) -> Existing | None:
        """The open one of this branch of the project itself into that branch."""

    def create(self, request: Request, body: str) -> Existing:
        """Raises UnsureError when it may have been created all the same."""

    def exists_already(self, error: ForgeError) -> bool:
        """Whether an error says that there is one."""

    def rewrite(self, existing: Existing, body: str) -> None:
        """Replace its text."""

    def label(self, existing: Existing, labels: tuple[str, ...]) -> None:
        """Add labels to those it has."""


def written(body: str, header: str, limit: int, full: str) -> str:
    """Our part of the text."""
    start = sticky.marker(f"train:{header}")
    room = limit - len(start) - len(END) - 2
    text = cutting.cut(body.replace("<!-- mlgate:end", "<!-- ").strip(), room, full=full)
    return f"{start}\n{text}\n{END}"


def spliced(existing: str, ours: str) -> str:
    """The text that is there with our part put anew; without our marks it is somebody's own, and stays."""
    start = re.escape(ours.split("\n", 1)[0])
    pattern = re.compile(rf"{start}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: ours, existing.replace("\r\n", "\n"), count=1)


def propose(request: Request, ours: str, requests: Requests, *, word: str, tries: int = 3) -> Opened:
    """Find it, or open it. Raises ForgeError."""
    for attempt in range(1, tries + 1):
        existing = requests.find(request.head, request.base)
        if existing is not None:
            return _kept_up(request, existing, ours, requests, word=word, anew=attempt > 1)
        try:
            existing = requests.create(request, ours)
        except ForgeError as error:
            again = isinstance(error, UnsureError) or requests.exists_already(error)
            if not again or attempt == tries:
                raise
            continue
        return Opened(existing.url, existing.number, "created", _labelled(request, existing, requests))
    raise AssertionError("unreachable")  # pragma: no cover


def _kept_up(request: Request, existing: Existing, ours: str, requests: Requests, *, word: str, anew: bool) -> Opened:
    said: tuple[str, ...] = ()
    text = spliced(existing.body, ours)
    if ours not in text:
        said = (f"The {word} of {request.head} was opened by somebody else: its text was left alone.",)
    changed = sticky.steady(text) != sticky.steady(existing.body.replace("\r\n", "\n"))
    if changed:
        requests.rewrite(existing, text)
    said += _labelled(request, existing, requests)
    did: Literal["created", "updated", "unchanged"] = "updated" if changed else "created" if anew else "unchanged"
    return Opened(existing.url, existing.number, did, said)


def _labelled(request: Request, existing: Existing, requests: Requests) -> tuple[str, ...]:
    missing = tuple(label for label in request.labels if label not in existing.labels)
    if not missing:
        return ()
    try:
        requests.label(existing, missing)
    except MlgateError as error:
        return (f"The labels {', '.join(missing)} were not set: {str(error).rstrip('.')}.",)
    return ()
