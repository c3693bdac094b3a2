"""Approvals on GitLab."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from mlgate.forges.approving import Mark, time
from mlgate.forges.http import Client, ForgeError

MAINTAINER = 40  # GitLab's number for the role


class MergeApprovals:
    """Of one merge request at one head commit. People are told apart by their number and shown by their name."""

    def __init__(self, api: Client, project: str, number: int, head: str) -> None:
        self._api, self._head = api, head
        self._project = f"projects/{urllib.parse.quote(project, safe='')}"
        self._merge = f"{self._project}/merge_requests/{number}"
        self._ids: dict[str, int] = {}

    def author(self) -> str:
        return self._name(self._api.get(self._merge), "author")

    def pushed(self) -> datetime | None:
        """Each push makes a version of the merge request."""
        for version in self._api.pages(f"{self._merge}/versions"):
            if isinstance(version, dict) and version.get("head_commit_sha") == self._head:
                return time(version.get("created_at"))
        return None

    def marks(self, label: str) -> Iterator[Mark]:
        told = self._api.get(f"{self._merge}/approvals")
        approved = told.get("approved_by") if isinstance(told, dict) else None
        for one in approved if isinstance(approved, list) else []:
            who = self._name(one, "user")
            # Without a time (servers of before 2026) nobody can tell whether it is of this commit.
            at = time(one.get("approved_at")) if isinstance(one, dict) else None
            if who:
                yield Mark(who, "review", at or datetime.min.replace(tzinfo=UTC), person=not is_bot(one))
        last: Any = None
        for event in self._api.pages(f"{self._merge}/resource_label_events"):
            named = event.get("label") if isinstance(event, dict) else None
            if isinstance(named, dict) and named.get("name") == label:
                last = event
        if isinstance(last, dict) and last.get("action") == "add":
            at = time(last.get("created_at"))
            if at is not None:
                yield Mark(self._name(last, "user"), "label", at, person=not is_bot(last))

    def is_maintainer(self, who: str) -> bool:
        number = self._ids.get(who)
        return number is not None and maintains(self._api, self._project, number)

    def _name(self, data: Any, key: str) -> str:
        user = data.get(key) if isinstance(data, dict) else None
        name, number = (user.get("username"), user.get("id")) if isinstance(user, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(number, int):
            return ""
        self._ids[name] = number
        return name


def maintains(api: Client, project: str, user: int) -> bool:
    """Whether somebody is a maintainer of `projects/<id>`, or more. Raises ForgeError."""
    try:
        member = api.get(f"{project}/members/all/{user}")
    except ForgeError as error:
        if error.status == 404:  # no member
            return False
        raise
    level = member.get("access_level") if isinstance(member, dict) else None
    return isinstance(level, int) and level >= MAINTAINER


def is_bot(data: Any) -> bool:
    """Users of access tokens are called project_<number>_bot..., of services likewise."""
    user = data.get("user") if isinstance(data, dict) else None
    name = user.get("username") if isinstance(user, dict) else ""
    return isinstance(name, str) and name.startswith(("project_", "group_")) and "_bot" in name
