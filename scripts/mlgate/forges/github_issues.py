"""Issues of GitHub, and of Gitea and Forgejo, whose API has the same paths for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from mlgate.forges.http import Client, ForgeError
from mlgate.forges.issues import CLOSED_LIMIT, OPEN_LIMIT, Existing, Issue, Members
from mlgate.forges.sticky import carries

_OF = Members("number", "body", "html_url", "open")


class GitHubIssues:
    """The issues of one repository. Its lists hold pull requests as well, which are left out."""

    def __init__(
        self, api: Client, project: str, *, is_ours: Callable[[Mapping[str, Any]], bool], gitea: bool = False
    ) -> None:
        self._api, self._is_ours, self._gitea = api, is_ours, gitea
        self._issues = f"repos/{project}/issues"

    def get(self, number: int, mark: str) -> Existing | None:
        try:
            found = self._api.get(f"{self._issues}/{number}")
        except ForgeError as error:
            if error.status in (404, 410):  # deleted, or moved away
                return None
            raise
        return self._ours(found, mark)

    def find(self, mark: str) -> Existing | None:
        return next((found for one in self._listed() if (found := self._ours(one, mark)) is not None), None)

    def _listed(self) -> Iterator[Any]:
        yield from islice(self._api.pages(self._issues, state="open", sort="created", direction="desc"), OPEN_LIMIT)
        yield from islice(self._api.pages(self._issues, state="closed", sort="updated", direction="desc"), CLOSED_LIMIT)

    def _ours(self, found: Any, mark: str) -> Existing | None:
        if not isinstance(found, dict) or found.get("pull_request") or not carries(found.get("body"), mark):
            return None
        return _OF.existing(found) if self._is_ours(found) else None

    def create(self, issue: Issue, body: str) -> tuple[Existing, tuple[str, ...]]:
        wanted: dict[str, Any] = {"title": issue.title, "body": body}
        # Gitea wants numbers for labels here, and names in the request after this one.
        later = issue.labels if self._gitea else ()
        wanted |= {"labels": list(issue.labels)} if issue.labels and not later else {}
        wanted |= {"assignees": list(issue.assignees)} if issue.assignees else {}
        said: tuple[str, ...] = ()
        try:
            data = self._api.send("POST", self._issues, json=wanted, repeatable=False).data
        except ForgeError as error:
            if error.status != 422 or not issue.assignees:
                raise
            del wanted["assignees"]
            data = self._api.send("POST", self._issues, json=wanted, repeatable=False).data
            said = (f"The issue was given to nobody: {', '.join(issue.assignees)} cannot have it ({error.reason}).",)
        made = _OF.existing(data)
        if later:
            try:
                self._api.send("POST", f"{self._issues}/{made.number}/labels", json={"labels": list(later)})
            except ForgeError as error:
                said += (f"The issue's labels {', '.join(later)} were not set: {error.message}",)
        return made, said

    def write(self, existing: Existing, *, body: str | None, open_: bool | None) -> None:
        wanted: dict[str, Any] = {} if body is None else {"body": body}
        if open_ is not None:
            wanted["state"] = "open" if open_ else "closed"
            if not self._gitea:
                wanted["state_reason"] = "reopened" if open_ else "completed"
        self._api.send("PATCH", f"{self._issues}/{existing.number}", json=wanted)

    def comment(self, existing: Existing, text: str) -> None:
        self._api.send("POST", f"{self._issues}/{existing.number}/comments", json={"body": text}, repeatable=False)
