"""Merge requests of GitLab."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any

from mlgate.errors import MlgateError
from mlgate.forges import gitlab_dispatch
from mlgate.forges.base import Forge
from mlgate.forges.dispatching import Order, Started
from mlgate.forges.gitconfig import push_credentials
from mlgate.forges.http import Client, ForgeError, Token
from mlgate.forges.nouns import Opened, Request
from mlgate.forges.proposing import Existing
from mlgate.repo.push import Identity, PushError, Remote

NEEDED = (
    "Set the CI/CD variable GITLAB_TOKEN (masked, environment scope `mlgate`) to a project access token with the role "
    "Developer and the scopes `api` and `write_repository`; for a push alone, `Allow Git push requests to the "
    "repository` under Settings > CI/CD > Job token permissions is enough."
)


class Merges:
    """The merge requests of one project."""

    def __init__(self, api: Client, project: str) -> None:
        self._api = api
        self._merges = f"projects/{urllib.parse.quote(project, safe='')}/merge_requests"

    def find(self, head: str, base: str) -> Existing | None:
        for merge in self._api.pages(self._merges, state="opened", source_branch=head, target_branch=base):
            # A fork may have a branch of the same name.
            if isinstance(merge, dict) and merge.get("source_project_id") == merge.get("target_project_id"):
                return _existing(merge)
        return None

    def create(self, request: Request, body: str) -> Existing:
        wanted: dict[str, Any] = {
            "source_branch": request.head,
            "target_branch": request.base,
            "title": request.title,
            "description": body,
            "remove_source_branch": True,
        }
        return _existing(self._api.send("POST", self._merges, json=wanted, repeatable=False).data)

    def exists_already(self, error: ForgeError) -> bool:
        return error.status == 409 and "already exists" in error.reason.lower()

    def rewrite(self, existing: Existing, body: str) -> None:
        self._api.send("PUT", f"{self._merges}/{existing.number}", json={"description": body})

    def label(self, existing: Existing, labels: tuple[str, ...]) -> None:
        self._api.send("PUT", f"{self._merges}/{existing.number}", json={"add_labels": ",".join(labels)})


class MergeRequests(Forge):
    """What a job of GitLab can do beside writing notes: push a branch, and open its merge request."""

    request_word = "merge request"
    _env: Mapping[str, str]
    _job_token: Token

    def push_to(self) -> Remote:
        server, project = self._env.get("CI_SERVER_URL", "").rstrip("/"), self._env.get("CI_PROJECT_URL", "")
        token = self._token or self._job_token
        if not token or not server or not project:
            raise MlgateError(f"nothing can be pushed: this job has no token of GitLab. {NEEDED}")
        user = "oauth2" if self._token else "gitlab-ci-token"
        env = push_credentials(self._env, server, user, token.value)
        if own := self._env.get("CI_SERVER_TLS_CA_FILE"):
            env["GIT_SSL_CAINFO"] = own
        return Remote(f"{project.rstrip('/')}.git", env)

    def identity(self) -> Identity:
        """Whose token it is: projects can refuse commits by anybody else."""
        host = urllib.parse.urlsplit(self._env.get("CI_SERVER_URL", "")).hostname or "localhost"
        bot = Identity("mlgate-bot", f"mlgate-bot@noreply.{host}")
        if not self._token:
            return bot
        try:
            user = self.api().get("user")
        except ForgeError:
            return bot
        found = user if isinstance(user, dict) else {}
        email = next((found[k] for k in ("commit_email", "email", "public_email") if _plain(found.get(k))), "")
        name = next((found[k] for k in ("name", "username") if _plain(found.get(k))), "")
        return Identity(name, email) if name and "@" in email else bot

    def push_refused(self, error: PushError, branch: str) -> MlgateError:
        said = f"{branch} was not pushed ({error.said})"
        if error.why == "protected":
            return MlgateError(
                f"{said}: it is a protected branch.",
                fix="Allow the token's user under Settings > Repository > Protected branches > Allowed to push and "
                "merge, or use `commit: pull-request`.",
            )
        if error.why in ("forbidden", "unauthenticated") and self._token:
            return MlgateError(
                f"{said}: GITLAB_TOKEN is not valid, or may not push.",
                fix="It needs the scope `write_repository` and the role Developer in this project.",
            )
        if error.why in ("forbidden", "unauthenticated"):
            return MlgateError(f"{said}: CI_JOB_TOKEN may not push here. {NEEDED}")
        return MlgateError(f"{said}.")

    def held_back(self, *, request: bool) -> str:
        del request
        if self._token or not self._job_token:
            return ""
        return (
            "GitLab starts no pipeline for what is pushed with CI_JOB_TOKEN, so nothing judges this commit yet. "
            "With GITLAB_TOKEN (scopes `api` and `write_repository`, role Developer) one starts by itself."
        )

    def _dispatch(self, order: Order) -> Started:
        if order.by == "repository":
            raise MlgateError(
                "GitLab has no `repository_dispatch`, so nothing was started.",
                fix="Use `retrain.dispatch: {by: pipeline}`.",
            )
        pipeline = Order("pipeline", "", order.ref, order.inputs)
        job_token = Token() if self._token else self._job_token
        if not self._token and not job_token:
            raise ForgeError(0, f"this job has no token of GitLab. {NEEDED}")
        return gitlab_dispatch.dispatch(self.api(), self.project, pipeline, job_token=job_token)

    def _auto_merge(self, opened: Opened, request: Request, commit: str) -> str:
        del request
        return gitlab_dispatch.auto_merge(self.api(), self.project, opened.number, commit)

    def _requests(self) -> Merges:
        if not self._token:
            raise ForgeError(0, f"CI_JOB_TOKEN cannot. {NEEDED}")
        return Merges(self.api(), self.project)

    def _by_hand(self, request: Request) -> str:
        project = self._env.get("CI_PROJECT_URL", "")
        names = {"merge_request[source_branch]": request.head, "merge_request[target_branch]": request.base}
        return f"{project}/-/merge_requests/new?{urllib.parse.urlencode(names)}" if project else ""


def _plain(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value.strip() != "" and not set(value) & set("<>")


def _existing(merge: Any) -> Existing:
    number = merge.get("iid") if isinstance(merge, dict) else None
    if not isinstance(number, int):
        raise ForgeError(0, "GitLab answered with something that is no merge request.")
    body, url, labels = merge.get("description"), merge.get("web_url"), merge.get("labels")
    return Existing(
        number,
        body if isinstance(body, str) else "",
        url if isinstance(url, str) else "",
        tuple(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else (),
    )
