"""The one issue about a matter: found again, kept up to date, closed when it is over, opened again when it is back.

It is known by a hidden marker in the first line of what we write, and by its author, as comments are. What people write
around our part stays, and so do the title, labels and assignees they choose. Who closes it by hand is not contradicted
until the matter begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from mlgate.errors import MlgateError
from mlgate.forges import cutting, proposing, sticky
from mlgate.forges.http import ForgeError, UnsureError

OPEN_LIMIT = 1_000  # of the open issues, newest first, that are looked through for the marker
CLOSED_LIMIT = 200  # of the closed ones, last changed first


@dataclass(frozen=True)
class Issue:
    """An issue as it should be. `open` opens it again; `kept` only brings its text up to date, where there is one."""

    key: str  # by which it is known again
    title: str
    body: str  # Markdown
    state: Literal["open", "kept", "closed"] = "open"
    comment: str = ""  # what is said when it is closed or opened again
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    number: str = ""  # what it was before, where that is known


@dataclass(frozen=True)
class Filed:
    """What became of it. `said`: what people should know; `ok` is False where it is not as it should be."""

    ok: bool
    number: str = ""
    url: str = ""
    did: Literal["created", "updated", "closed", "reopened", "unchanged", "nothing"] = "nothing"
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Existing:
    """An issue of ours that is there."""

    number: int
    body: str
    url: str
    open: bool


@dataclass(frozen=True)
class Members:
    """What a forge calls the members of an issue, and an open one."""

    number: str
    body: str
    url: str
    opened: str

    def existing(self, data: object) -> Existing:
        """An issue as the forge answered it. Raises ForgeError for what is none."""
        of = data if isinstance(data, dict) else {}
        number, body, url = of.get(self.number), of.get(self.body), of.get(self.url)
        if not isinstance(number, int):
            raise ForgeError(0, "The forge answered with something that is no issue.")
        body, url = (text if isinstance(text, str) else "" for text in (body, url))
        return Existing(number, body, url, of.get("state") == self.opened)


class Issues(Protocol):
    """The issues of one project. Each method raises ForgeError."""

    def get(self, number: int, mark: str) -> Existing | None:
        """The one of this number, if it is ours and carries the marker."""

    def find(self, mark: str) -> Existing | None:
        """The first one that is ours and carries the marker; an open one before a closed one."""

    def create(self, issue: Issue, body: str) -> tuple[Existing, tuple[str, ...]]:
        """Also what could not be done of labels and assignees. Raises UnsureError when it may be there all the same."""

    def write(self, existing: Existing, *, body: str | None, open_: bool | None) -> None:
        """Its text, its state, or both."""

    def comment(self, existing: Existing, text: str) -> None:
        """Add a comment."""


def written(issue: Issue, body: str, limit: int) -> str:
    """Our part of the text."""
    mark = sticky.marker(f"issue:{issue.key}")
    text = cutting.cut(body.replace("<!-- mlgate:end", "<!-- ").strip(), limit - len(mark) - len(proposing.END) - 2)
    return f"{mark}\n{text}\n{proposing.END}"


def file(
    issue: Issue, ours: str, issues: Issues, *, explain: Callable[[ForgeError], str], tries: int = 3
) -> Filed:  # fmt: skip
    """Bring the issue to what it should be. Raises ForgeError."""
    mark = ours.split("\n", 1)[0]
    for attempt in range(1, tries + 1):
        existing = _find(issue, mark, issues)
        if existing is not None:
            return _brought(issue, existing, ours, issues, explain)
        if issue.state != "open":
            return Filed(ok=True)
        try:
            made, said = issues.create(issue, ours)
        except UnsureError:
            if attempt == tries:
                raise
            continue
        return Filed(True, str(made.number), made.url, "created", said)
    raise AssertionError("unreachable")  # pragma: no cover


def _find(issue: Issue, mark: str, issues: Issues) -> Existing | None:
    if issue.number.isdecimal() and (known := issues.get(int(issue.number), mark)) is not None:
        return known
    return issues.find(mark)


def _brought(
    issue: Issue, existing: Existing, ours: str, issues: Issues, explain: Callable[[ForgeError], str]
) -> Filed:
    text = proposing.spliced(existing.body, ours)
    changed = sticky.steady(text) != sticky.steady(existing.body.replace("\r\n", "\n"))
    opens, closes = issue.state == "open" and not existing.open, issue.state == "closed" and existing.open
    if issue.state == "closed" and not existing.open:
        return Filed(True, str(existing.number), existing.url, "unchanged")
    if changed or opens or closes:
        issues.write(existing, body=text if changed else None, open_=True if opens else False if closes else None)
    said: tuple[str, ...] = ()
    if issue.comment and (opens or closes):
        try:
            issues.comment(existing, issue.comment)
        except MlgateError as error:
            said = (explain(error) if isinstance(error, ForgeError) else str(error),)
    did: Literal["reopened", "closed", "updated", "unchanged"] = (
        "reopened" if opens else "closed" if closes else "updated" if changed else "unchanged"
    )
    return Filed(True, str(existing.number), existing.url, did, said)
