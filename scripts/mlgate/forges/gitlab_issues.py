"""Issues of GitLab."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from mlgate.forges.http import Client, ForgeError
from mlgate.forges.issues import CLOSED_LIMIT, OPEN_LIMIT, Existing, Issue, Members
from mlgate.forges.sticky import carries

_OF = Members("iid", "description", "web_url", "opened")


class GitLabIssues:
    """The issues of one project."""

    def __init__(self, api: Client, project: str, *, is_ours: Callable[[Mapping[str, Any]], bool]) -> None:
        self._api, self._is_ours = api, is_ours
        self._issues = f"projects/{urllib.parse.quote(project, safe='')}/issues"

    def get(self, number: int, mark: str) -> Existing | None:
        try:
            found = self._api.get(f"{self._issues}/{number}")
        except ForgeError as error:
            if error.status == 404:
                return None
            raise
        return self._ours(found, mark)

    def find(self, mark: str) -> Existing | None:
        return next((found for one in self._listed() if (found := self._ours(one, mark)) is not None), None)

    def _listed(self) -> Iterator[Any]:
        newest = {"order_by": "created_at", "sort": "desc"}
        changed = {"order_by": "updated_at", "sort": "desc"}
        yield from islice(self._api.pages(self._issues, state="opened", **newest), OPEN_LIMIT)
        yield from islice(self._api.pages(self._issues, state="closed", **changed), CLOSED_LIMIT)

    def _ours(self, found: Any, mark: str) -> Existing | None:
        if not isinstance(found, dict) or not carries(found.get("description"), mark):
            return None
        return _OF.existing(found) if self._is_ours(found) else None

    def create(self, issue: Issue, body: str) -> tuple[Existing, tuple[str, ...]]:
        ids, said = self._assignees(issue.assignees)
        wanted: dict[str, Any] = {"title": issue.title, "description": body}
        wanted |= {"labels": ",".join(issue.labels)} if issue.labels else {}
        wanted |= {"assignee_ids": ids} if ids else {}
        return _OF.existing(self._api.send("POST", self._issues, json=wanted, repeatable=False).data), said

    def _assignees(self, names: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
        """Their numbers, which is what GitLab wants, and a sentence about those who have none."""
        ids: list[int] = []
        unknown: list[str] = []
        for name in names:
            try:
                users = self._api.get("users", username=name)
            except ForgeError:
                users = []
            found = users[0].get("id") if isinstance(users, list) and users and isinstance(users[0], dict) else None
            if isinstance(found, int):
                ids.append(found)
            else:
                unknown.append(name)
        return ids, (f"The issue was not given to {', '.join(unknown)}: GitLab knows no such user.",) if unknown else ()

    def write(self, existing: Existing, *, body: str | None, open_: bool | None) -> None:
        wanted: dict[str, Any] = {} if body is None else {"description": body}
        if open_ is not None:
            wanted["state_event"] = "reopen" if open_ else "close"
        self._api.send("PUT", f"{self._issues}/{existing.number}", json=wanted)

    def comment(self, existing: Existing, text: str) -> None:
        self._api.send("POST", f"{self._issues}/{existing.number}/notes", json={"body": text}, repeatable=False)
