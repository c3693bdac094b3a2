"""Forges on the loopback that know reviews, labels, pushes and roles of one pull request: number 7 of acme/visits."""

from __future__ import annotations

import re
from typing import Any

from forges import description
from forges.fake_forge import HEAD, FakeGitHub, FakeGitLab, Reply, Seen

PERMISSION = "repository-collaborator-permission-response-if-user-has-admin-permissions"
PUSHED, BEFORE, AFTER = "2026-01-02T03:00:00Z", "2026-01-02T02:00:00Z", "2026-01-02T04:00:00Z"


class ApprovingGitHub(FakeGitHub):
    """`mona` is the author; roles are those of the repository."""

    def __init__(self) -> None:
        super().__init__()
        self.author = "mona"
        self.roles: dict[str, str] = {"ada": "maintain", "bob": "write", "mona": "admin"}
        self.reviews: list[dict[str, Any]] = []
        self.labelled: list[dict[str, Any]] = []
        self.labels: list[str] = []
        self.pushes: list[tuple[str, str]] = [(HEAD, PUSHED)]

    def review(self, who: str, state: str = "APPROVED", commit: str = HEAD) -> None:
        example = description.github().example("pull-request-review-items")[0]
        user = example["user"] | {"login": who, "type": "Bot" if who.endswith("[bot]") else "User"}
        self.reviews.append(example | {"state": state, "commit_id": commit, "user": user})

    def label(self, who: str, name: str = "mlgate-approved", at: str = AFTER) -> None:
        example = description.github().example("issue-event-for-issue-items")[0]
        actor = example["actor"] | {"login": who, "type": "Bot" if who.endswith("[bot]") else "User"}
        label = {"name": name, "color": "ffffff"}
        self.labelled.append(example | {"event": "labeled", "actor": actor, "created_at": at, "label": label})
        self.labels.append(name)

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        repo = f"/repos/{self.project}"
        if (seen.method, path) == ("GET", f"{repo}/pulls/7"):
            return Reply(200, self._pull())
        if path == f"{repo}/pulls/7/reviews":
            return self._page(self.reviews, seen)
        if path == f"{repo}/issues/7/events":
            return self._page(self.labelled, seen)
        if path == f"{repo}/activity":
            return Reply(200, [self._activity(seen, *push) for push in self.pushes])
        if match := re.fullmatch(rf"{repo}/collaborators/([^/]+)/permission", path):
            return self._permission(match[1])
        return super()._serve_other(seen, path)

    def _pull(self) -> dict[str, Any]:
        pull: dict[str, Any] = description.github().example("pull-request")
        label = description.github().example("label-items")[0]
        pull |= {"number": 7, "requested_teams": [], "labels": [label | {"name": name} for name in self.labels]}
        pull["head"] |= {"sha": HEAD, "ref": "better"}
        pull["head"]["repo"]["full_name"] = self.project
        pull["user"]["login"] = self.author
        return pull

    def _activity(self, seen: Seen, after: str, at: str) -> dict[str, Any]:
        example: dict[str, Any] = description.github().example("activity-items")[0]
        actor = description.github().example("pull-request-review-items")[0]["user"]  # which this example forgets
        known = {"activity_type": "push", "actor": actor}
        return example | known | {"ref": seen.query["ref"], "after": after, "timestamp": at}

    def _permission(self, who: str) -> Reply:
        role = self.roles.get(who)
        if role is None:
            return Reply(404, {"message": "Not Found"})
        example: dict[str, Any] = description.github().example(PERMISSION)
        permission = {"maintain": "write", "triage": "read"}.get(role, role)
        example["user"]["role_name"] = role  # which the example forgets
        return Reply(200, example | {"role_name": role, "permission": permission})


class ApprovingGitLab(FakeGitLab):
    """`mona` is the author; roles are GitLab's numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.roles = {"ada": 40, "bob": 30, "mona": 50}
        self.approvals: list[dict[str, Any]] = []
        self.labelled: list[dict[str, Any]] = []
        self.versions: list[tuple[str, str]] = [(HEAD, PUSHED)]

    def review(self, who: str, at: str | None = AFTER) -> None:
        self.approvals.append({"user": self.user(who)} | ({"approved_at": at} if at else {}))

    def label(self, who: str, name: str = "mlgate-approved", at: str = AFTER, action: str = "add") -> None:
        self.labelled.append({
            "id": len(self.labelled) + 1, "user": self.user(who), "created_at": at, "resource_type": "MergeRequest",
            "resource_id": 70, "label": {"id": 1, "name": name}, "action": action,
        })  # fmt: skip

    def _serve(self, seen: Seen, path: str) -> Reply:
        merge = "/projects/12/merge_requests/7"
        if (seen.method, path) == ("GET", merge):
            made = self.merge("better", author="mona")
            self.merges.remove(made)
            return Reply(200, made | {"iid": 7})
        if path == f"{merge}/approvals":
            return Reply(200, {"approved": bool(self.approvals), "approved_by": self.approvals})
        if path == f"{merge}/versions":
            return Reply(200, [self._version(*one) for one in self.versions])
        if path == f"{merge}/resource_label_events":
            return Reply(200, self.labelled)
        if match := re.fullmatch(r"/projects/12/members/all/(\d+)", path):
            who = next((name for name, number in self._ids.items() if number == int(match[1])), "")
            if who not in self.roles:
                return Reply(404, {"message": "404 Not found"})
            return Reply(200, {"id": int(match[1]), "username": who, "access_level": self.roles[who]})
        return super()._serve(seen, path)

    @staticmethod
    def _version(head: str, at: str) -> dict[str, Any]:
        return {
            "id": 1, "head_commit_sha": head, "base_commit_sha": "b" * 40, "start_commit_sha": "b" * 40,
            "created_at": at, "merge_request_id": 70, "state": "collected",
        }  # fmt: skip
