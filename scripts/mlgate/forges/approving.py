"""Who has approved a change: by a review of its head commit, or by a label that was set after that commit was pushed.

Everything is asked of the forge: what a job says of itself, a pull request's own workflow could say, too. Times are the
forge's own; the dates in a commit are whatever its author wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from mlgate.model import Approval


@dataclass(frozen=True)
class Mark:
    """One approval as the forge tells it. `at` is None where it belongs to the commit without a time."""

    who: str
    how: Literal["review", "label"]
    at: datetime | None = None
    person: bool = True  # False for a bot: a workflow of the change could act through it


class Approvals(Protocol):
    """What is asked of a forge about one pull request. All raise ForgeError."""

    def author(self) -> str: ...

    def pushed(self) -> datetime | None:
        """When the head commit came to be the head; None where the forge does not tell."""

    def marks(self, label: str) -> Iterable[Mark]: ...

    def is_maintainer(self, who: str) -> bool: ...


def decide(asked: Approvals, label: str) -> Approval:
    """The first approval that counts, or why none does. Raises ForgeError."""
    author, why = asked.author(), ""
    marks = list(asked.marks(label))
    pushed = asked.pushed() if any(mark.at is not None for mark in marks) else None
    for mark in marks:
        how = "an approving review" if mark.how == "review" else f"the label {label}"
        if mark.who == author:
            why = why or f"{how} is the author's own"
        elif not mark.person:
            why = why or f"{how} comes from {mark.who}, which is no person"
        elif mark.at is not None and pushed is None:
            why = why or f"when the head commit was pushed is not known, so {how} may be older"
        elif mark.at is not None and pushed is not None and mark.at < pushed:
            why = why or f"{how} is older than the head commit"
        elif not asked.is_maintainer(mark.who):
            why = why or f"{mark.who} ({how}) is no maintainer"
        else:
            return Approval(by=mark.who, how=how)
    found = f" ({why})" if why else ""
    return Approval(
        missing=f"It needs an approving review of the head commit, or the label `{label}`, by a maintainer who is not "
        f"the author{found}."
    )


def time(text: object) -> datetime | None:
    """An ISO 8601 time with its zone; None for anything else."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
