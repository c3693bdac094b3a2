"""Approvals on GitHub, Gitea and Forgejo."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mlgate.forges.approving import Mark, time
from mlgate.forges.http import Client, ForgeError

_MAINTAINS = frozenset({"admin", "maintain", "owner"})  # Gitea has owners, and no `maintain`


class PullApprovals:
    """Of one pull request at one head commit."""

    def __init__(self, api: Client, project: str, number: int, head: str) -> None:
        self._api, self._head = api, head
        self._repo = f"repos/{project}"
        self._number = number
        self._pull: Any = None

    def author(self) -> str:
        return _text(self._get(), "user", "login")

    def pushed(self) -> datetime | None:
        """From the activity of the branch, of the fork where it is one's: GitHub's own record of pushes."""
        where, branch = _text(self._get(), "head", "repo", "full_name"), _text(self._get(), "head", "ref")
        if not where or not branch:
            return None
        try:
            for one in self._api.pages(f"repos/{where}/activity", ref=f"refs/heads/{branch}"):
                if _text(one, "after") == self._head:
                    return time(_text(one, "timestamp"))
        except ForgeError as error:
            if error.status in (403, 404):  # an older server, or a fork that this token may not look into
                return None
            raise
        return None

    def marks(self, label: str) -> Iterator[Mark]:
        latest: dict[str, tuple[str, bool]] = {}
        for review in self._api.pages(f"{self._repo}/pulls/{self._number}/reviews"):
            who, state = _text(review, "user", "login"), _text(review, "state")
            if who and state in ("APPROVED", "CHANGES_REQUESTED", "REQUEST_CHANGES", "DISMISSED"):
                ours = state == "APPROVED" and _text(review, "commit_id") == self._head
                latest[who] = (_text(review, "user", "type"), ours and not _dig(review, "dismissed"))
        yield from (Mark(who, "review", person=kind != "Bot") for who, (kind, ours) in latest.items() if ours)
        listed = _dig(self._get(), "labels")
        if not isinstance(listed, list) or label not in [_text(one, "name") for one in listed]:
            return
        last: Any = None
        for event in self._api.pages(f"{self._repo}/issues/{self._number}/events"):
            if _text(event, "event") == "labeled" and _text(event, "label", "name") == label:
                last = event
        if last is not None and (at := time(_text(last, "created_at"))) is not None:
            yield Mark(_text(last, "actor", "login"), "label", at, person=_text(last, "actor", "type") != "Bot")

    def is_maintainer(self, who: str) -> bool:
        return maintains(self._api, self._repo, who)

    def _get(self) -> Any:
        if self._pull is None:
            self._pull = self._api.get(f"{self._repo}/pulls/{self._number}")
        return self._pull


def maintains(api: Client, repo: str, who: str) -> bool:
    """Whether somebody is a maintainer of `repos/owner/name`. Raises ForgeError."""
    try:
        said = api.get(f"{repo}/collaborators/{urllib.parse.quote(who, safe='')}/permission")
    except ForgeError as error:
        if error.status == 404:  # nobody of this repository
            return False
        raise
    return bool(_MAINTAINS & {_text(said, "role_name"), _text(said, "permission")})


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _text(data: Any, *keys: str) -> str:
    found = _dig(data, *keys)
    return found if isinstance(found, str) else ""
