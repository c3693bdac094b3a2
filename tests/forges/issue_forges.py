"""Forges on the loopback that keep issues: created, listed, written, closed, commented."""

from __future__ import annotations

import re
from typing import Any

from forges import description
from forges.fake_forge import FakeForge, FakeGitea, FakeGitHub, FakeGitLab, Reply, Seen


class _GitHub(FakeGitHub):
    def __init__(self, me: str | None = None) -> None:
        super().__init__(me)
        self.issues: list[dict[str, Any]] = []
        self.said: list[tuple[int, str]] = []  # comments: number of the issue, and the text
        self.nobody: set[str] = set()  # who cannot be given an issue

    def issue(self, body: str, *, author: str | None = None, open_: bool = True, pull: bool = False) -> dict[str, Any]:
        issue: dict[str, Any] = description.github().example("issue")
        issue |= {
            "number": 100 + len(self.issues),
            "body": body,
            "state": "open" if open_ else "closed",
            "labels": [],
            "assignees": [],
            "title": "",
        }
        issue["html_url"] = f"{self.host}/{self.project}/issues/{issue['number']}"
        issue.pop("pull_request", None)
        if pull:
            issue["pull_request"] = dict.fromkeys(("url", "html_url", "diff_url", "patch_url"), "https://x.test")
        login = author or self.me
        issue["user"] |= {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        self.issues.append(issue)
        return issue

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        listing = f"/repos/{self.project}/issues"
        if (seen.method, path) == ("GET", listing):
            found = [one for one in reversed(self.issues) if one["state"] == seen.query["state"]]
            return self._page(found, seen)
        if (seen.method, path) == ("POST", listing):
            if self.nobody & set(seen.body.get("assignees", ())):
                errors = [{"resource": "Issue", "field": "assignees", "code": "invalid"}]
                return Reply(422, {"message": "Validation Failed", "errors": errors, "documentation_url": "x"})
            made = self.issue(seen.body["body"])
            made["title"] = seen.body["title"]
            self._label(made, seen.body.get("labels", []))
            user = description.github().example("issue")["user"]
            made["assignees"] = [user | {"login": login} for login in seen.body.get("assignees", [])]
            return Reply(201, made)
        if match := re.fullmatch(rf"{listing}/(\d+)(/comments|/labels)?", path):
            issue = next((one for one in self.issues if one["number"] == int(match[1])), None)
            if issue is None:
                return super()._serve_other(seen, path)
            if match[2] == "/comments" and seen.method == "POST":
                self.said.append((issue["number"], seen.body["body"]))
                return Reply(201, self.add(seen.body["body"]))
            if match[2] == "/labels" and seen.method == "POST":
                return Reply(200, self._label(issue, seen.body["labels"]))
            if seen.method == "PATCH":
                issue |= seen.body
            return Reply(200, issue)
        return super()._serve_other(seen, path)

    def _label(self, issue: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
        example = description.github().example("label-items")[0]
        issue["labels"] = [*issue["labels"], *(example | {"name": name} for name in names)]
        labels: list[dict[str, Any]] = issue["labels"]
        return labels


class IssueGitHub(_GitHub):
    """GitHub."""


class IssueGitea(_GitHub, FakeGitea):
    """Gitea, which takes numbers for labels when an issue is made."""

    prefix, me = FakeGitea.prefix, FakeGitea.me

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        if (seen.method, path) == ("POST", f"/repos/{self.project}/issues") and "labels" in seen.body:
            return Reply(422, {"message": "json: cannot unmarshal string into Go struct field .labels of type int64"})
        return super()._serve_other(seen, path)


class IssueGitLab(FakeGitLab):
    """GitLab, where `ada` and `bob` are users."""

    def __init__(self) -> None:
        super().__init__()
        self.issues: list[dict[str, Any]] = []
        self.said: list[tuple[int, str]] = []
        self.nobody: set[str] = set()

    def issue(self, body: str, *, author: str | None = None, open_: bool = True) -> dict[str, Any]:
        iid = 100 + len(self.issues)
        issue = {
            "id": 900 + iid,
            "iid": iid,
            "project_id": 12,
            "title": "",
            "description": body,
            "state": "opened" if open_ else "closed",
            "labels": [],
            "author": self.user(author or self.me),
            "assignees": [],
            "web_url": f"{self.host}/acme/visits/-/issues/{iid}",
            "created_at": "2026-01-02T03:04:05.678Z",
            "updated_at": "2026-01-02T03:04:05.678Z",
        }
        self.issues.append(issue)
        return issue

    def _serve(self, seen: Seen, path: str) -> Reply:
        listing = "/projects/12/issues"
        if (seen.method, path) == ("GET", listing):
            found = [one for one in reversed(self.issues) if one["state"] == seen.query["state"]]
            size, page = int(seen.query.get("per_page", "20")), int(seen.query.get("page", "1"))
            more = {"X-Next-Page": str(page + 1) if page * size < len(found) else ""}
            return Reply(200, found[(page - 1) * size : page * size], more)
        if (seen.method, path) == ("POST", listing):
            made = self.issue(seen.body["description"])
            made["title"] = seen.body["title"]
            made["labels"] = [label for label in seen.body.get("labels", "").split(",") if label]
            names = {id_: name for name, id_ in self._ids.items()}
            made["assignees"] = [self.user(names[id_]) for id_ in seen.body.get("assignee_ids", [])]
            return Reply(201, made)
        if (seen.method, path) == ("GET", "/users"):
            name = seen.query["username"]
            return Reply(200, [] if name in self.nobody else [self.user(name)])
        if match := re.fullmatch(rf"{listing}/(\d+)(/notes)?", path):
            issue = next((one for one in self.issues if one["iid"] == int(match[1])), None)
            if issue is None:
                return Reply(404, {"message": "404 Not found"})
            if match[2]:
                self.said.append((issue["iid"], seen.body["body"]))
                return Reply(201, self.add(seen.body["body"]))
            if seen.method == "PUT":
                issue["description"] = seen.body.get("description", issue["description"])
                event = seen.body.get("state_event")
                issue["state"] = {"close": "closed", "reopen": "opened"}.get(event, issue["state"])
            return Reply(200, issue)
        return super()._serve(seen, path)


def text(issue: dict[str, Any]) -> str:
    """Its text, whichever forge it is of."""
    return str(issue.get("body") or issue.get("description") or "")


def is_open(issue: dict[str, Any]) -> bool:
    return issue["state"] in ("open", "opened")


def labels(issue: dict[str, Any]) -> list[str]:
    return [one if isinstance(one, str) else one["name"] for one in issue["labels"]]


def assignees(issue: dict[str, Any]) -> list[str]:
    return [one.get("login") or one["username"] for one in issue["assignees"]]


KINDS: tuple[type[FakeForge], ...] = (IssueGitHub, IssueGitea, IssueGitLab)
