"""Pull requests of GitHub, and of Gitea and Forgejo, whose API has the same paths for them."""

from __future__ import annotations

import urllib.parse
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from mlgate.errors import MlgateError
from mlgate.forges import github_dispatch
from mlgate.forges.base import Forge
from mlgate.forges.dispatching import Order, Started
from mlgate.forges.gitconfig import push_credentials
from mlgate.forges.http import Client, ForgeError
from mlgate.forges.nouns import Opened, Request
from mlgate.forges.proposing import Existing
from mlgate.repo.push import Identity, PushError, Remote

SETTING = "Allow GitHub Actions to create and approve pull requests"
BOT = "github-actions[bot]"
BOT_ID = 41898282  # of the account on github.com; an Enterprise Server numbers its own


class Pulls:
    """The pull requests of one repository."""

    def __init__(self, api: Client, project: str) -> None:
        self._api, self._project = api, project
        self._pulls = f"repos/{project}/pulls"
        self.opened_by = ""  # whose token opened the one that `create` made

    def find(self, head: str, base: str) -> Existing | None:
        owner = self._project.split("/")[0]
        # Gitea knows neither filter; all are looked at here in any case.
        for pull in self._api.pages(self._pulls, state="open", head=f"{owner}:{head}", base=base):
            source, target = _dig(pull, "head"), _dig(pull, "base")
            ours = _dig(source, "repo", "full_name") == self._project
            if ours and _dig(source, "ref") == head and _dig(target, "ref") == base:
                return _existing(pull)
        return None

    def create(self, request: Request, body: str) -> Existing:
        wanted = {"title": request.title, "head": request.head, "base": request.base, "body": body}
        pull = self._api.send("POST", self._pulls, json=wanted, repeatable=False).data
        login = _dig(pull, "user", "login")
        self.opened_by = login if isinstance(login, str) else ""
        return _existing(pull)

    def exists_already(self, error: ForgeError) -> bool:
        return error.status in (409, 422) and "already exists" in error.reason.lower()

    def rewrite(self, existing: Existing, body: str) -> None:
        self._api.send("PATCH", f"{self._pulls}/{existing.number}", json={"body": body})

    def label(self, existing: Existing, labels: tuple[str, ...]) -> None:
        path = f"repos/{self._project}/issues/{existing.number}/labels"
        self._api.send("POST", path, json={"labels": list(labels)})


class PullRequests(Forge):
    """What a job of GitHub can do beside commenting: push a branch, and open its pull request."""

    _env: Mapping[str, str]
    _server: str
    _gitea: bool
    _pulls: Pulls | None = None

    @abstractmethod
    def _whoami(self) -> str: ...

    def push_to(self) -> Remote:
        if not self._token or not self.project:
            raise MlgateError(
                "nothing can be pushed: this step has no token.",
                fix="Pass `github-token: ${{ github.token }}` to the action.",
            )
        env = push_credentials(self._env, self._server, "x-access-token", self._token.value)
        return Remote(f"{self._server}/{self.project}", env)

    def identity(self) -> Identity:
        host = urllib.parse.urlsplit(self._server).hostname or "github.com"
        if self._gitea:
            return Identity("mlgate-bot", f"mlgate-bot@noreply.{host}")
        number = f"{BOT_ID}+" if host == "github.com" else ""
        return Identity(BOT, f"{number}{BOT}@users.noreply.{host}")

    def push_refused(self, error: PushError, branch: str) -> MlgateError:
        said = f"{branch} was not pushed ({error.said})"
        if error.why == "protected":
            return MlgateError(
                f"{said}: a rule protects it.",
                fix="Use `commit: pull-request`, or let the token's app or user bypass the rule.",
            )
        if error.why == "unauthenticated":
            return MlgateError(f"{said}: the token is not valid.", fix="Pass `github-token: ${{ github.token }}`.")
        if error.why == "forbidden":
            return MlgateError(
                f"{said}: the token may only read.",
                fix="Add `contents: write` under `permissions:` of the job, and of the job that calls it if it is a "
                "called workflow; the token of an app or a person needs write access to Contents.",
            )
        return MlgateError(f"{said}.")

    def propose(self, request: Request) -> Opened:
        self._pulls = Pulls(self.api(), self.project)
        return super().propose(request)

    def held_back(self, *, request: bool) -> str:
        """Events made with the token of a job start no workflow: GitHub's guard against loops."""
        if not self._by_job():
            return ""
        mend = "With the token of a GitHub App, or a personal one, as `github-token` they start by themselves."
        if self._gitea:
            return "Pushed with the job's own token, for which no workflow starts. " + mend.replace("GitHub App", "bot")
        if not request:
            return f"Pushed with the job's own token, for which GitHub starts no workflows. {mend}"
        return (
            "This was done with the job's own token, so the workflows of the pull request wait until somebody with "
            f"write access selects `Approve workflows to run` in it (GitHub Enterprise Server starts none). {mend}"
        )

    def _by_job(self) -> bool:
        """Whether the token is the job's own; unknown is no."""
        opened_by = self._pulls.opened_by if self._pulls else ""
        try:
            who = opened_by or self._whoami()
        except ForgeError:
            return False  # what was pushed is pushed, whoever did it
        return who in (BOT, "gitea-actions", "forgejo-actions")

    def start_gate(self, workflow: str, branch: str) -> Started | None:
        """By `workflow_dispatch`, which a job's own token may cause. The statuses of the gate are set on the branch's
        head, where a pull request shows them."""
        return self.dispatch(Order("workflow", workflow, branch)) if self._by_job() else None

    def _dispatch(self, order: Order) -> Started:
        if order.by == "pipeline":
            raise MlgateError(
                "there are no pipelines on GitHub, so nothing was started.",
                fix="Use `retrain.dispatch: {by: workflow}`.",
            )
        if not self._token:
            raise ForgeError(401, "There is no token.", reason="there is none")
        return github_dispatch.dispatch(self.api(), self.project, order, gitea=self._gitea)

    def _auto_merge(self, opened: Opened, request: Request, commit: str) -> str:
        del commit
        if self._gitea:
            return "It will not be merged by itself: mlgate does not ask Gitea or Forgejo for that."
        if self._by_job():
            return (
                "It will not be merged by itself: GitHub starts no workflow for what the job's own token merges, so "
                f"{request.base} would not be judged or deployed. Give the token of a GitHub App, or a personal one."
            )
        graphql = Client(self._env.get("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql"), self._token)
        graphql.patience = self.api().patience
        return github_dispatch.auto_merge(self.api(), graphql, self.project, opened.number, request.base)

    def _requests(self) -> Pulls:
        return self._pulls or Pulls(self.api(), self.project)

    def _by_hand(self, request: Request) -> str:
        names = "...".join(urllib.parse.quote(name, safe="/") for name in (request.base, request.head))
        return f"{self._server}/{self.project}/compare/{names}"


def _existing(pull: Any) -> Existing:
    number, body, url = _dig(pull, "number"), _dig(pull, "body"), _dig(pull, "html_url")
    if not isinstance(number, int):
        raise ForgeError(0, "The forge answered with something that is no pull request.")
    listed = _dig(pull, "labels")
    names = [_dig(label, "name") for label in listed] if isinstance(listed, list) else []
    return Existing(
        number,
        body if isinstance(body, str) else "",
        url if isinstance(url, str) else "",
        tuple(name for name in names if isinstance(name, str)),
    )


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
