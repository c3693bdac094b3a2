"""Whether a run may make decisions at all: told without importing anything of the ledger, which most runs need not."""

from __future__ import annotations

from mlgate.commands._run import STATE, Run
from mlgate.model import Event

FOLDER = "decisions"


def forget(run: Run) -> None:
    """A record that an earlier run left here must not be taken for this one's."""
    folder = run.cwd / STATE / FOLDER
    if not folder.is_symlink() and not folder.parent.is_symlink():
        for file in folder.glob("*.json"):
            file.unlink(missing_ok=True)


def where(event: Event, head: str) -> str:
    """What a run judges, where that is not the default branch as it stands there; empty where it is."""
    words = {
        "terminal": "a working tree at a terminal",
        "pull_request": "a pull request",
        "merge_group": "an entry of a merge queue",
        "tag": "a tag",
    }
    if event.kind in words:
        return words[event.kind]
    if event.from_fork:
        return "a fork"
    if not event.default_branch or event.ref != event.default_branch:
        return f"the branch {event.ref or 'without a name'}"
    if event.sha and head != event.sha:
        return f"commit {head[:7]}, which is not the one that the event is about"
    return ""
