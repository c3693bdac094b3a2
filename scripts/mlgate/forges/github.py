"""GitHub and GitHub Enterprise; and Gitea and Forgejo, whose runners set the same variables and whose API has the same
paths as far as comments and statuses go."""

from __future__ import annotations

import json
import os
import secrets
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.forges import commands, cutting
from mlgate.forges.deploying import Approvers, Deployment, Planned
from mlgate.forges.gitconfig import credentials
from mlgate.forges.github_approvals import PullApprovals
from mlgate.forges.github_deployments import Job, RunApprovers, deployment
from mlgate.forges.github_issues import GitHubIssues
from mlgate.forges.github_pulls import SETTING, PullRequests
from mlgate.forges.http import Client, ForgeError, Token
from mlgate.forges.nouns import Annotation, ImageRegistry, Posted, State
from mlgate.forges.sticky import Comments, Existing, carries
from mlgate.forges.words import commit_id, on_one_line, short_ref, web_address
from mlgate.model import Event, EventKind

SUMMARY_LIMIT = 1_040_000  # octets per step; over 1 MiB the whole summary is dropped
DESCRIPTION_LIMIT = 140
FORKS = "docs/github.md shows the second workflow that comments on pull requests from forks"

_KINDS: dict[str, EventKind] = {
    "pull_request": "pull_request",
    "pull_request_target": "pull_request",
    "pull_request_review": "pull_request",
    "pull_request_review_comment": "pull_request",
    "merge_group": "merge_group",
    "push": "push",
    "schedule": "schedule",
}


class GitHub(PullRequests):
    """One job of a workflow."""

    name = "github"
    _comment_limit = 65_000  # GitHub refuses more than 65,536 characters
    _powerless = (
        "Neither comment nor status was written: there is no token. "
        "Pass `github-token: ${{ github.token }}` to the action."
    )
    _nobody = "there is no token. Pass `github-token: ${{ github.token }}` to the action."

    def __init__(self, environ: Mapping[str, str]) -> None:
        env = {key: value for key, value in environ.items() if key != "GITHUB_TOKEN"}
        self._env = env
        self._gitea = env.get("GITEA_ACTIONS") == "true" or env.get("FORGEJO_ACTIONS") == "true"
        self._token = Token("Authorization", "Bearer", environ.get("GITHUB_TOKEN", "").strip())
        self._server = env.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
        self.project = env.get("GITHUB_REPOSITORY", "")
        self._client: Client | None = None
        self._login = ""

    def __repr__(self) -> str:
        return f"GitHub({self.project})"

    # -- what started this run

    def _read_event(self) -> Event:
        return read_event(self._env, _payload(self._env.get("GITHUB_EVENT_PATH", "")), gitea=self._gitea)

    # -- what the runner reads

    def fetch_env(self) -> dict[str, str]:
        if not self._token:
            return {}
        return credentials(self._env, self._server, "x-access-token", self._token.value)

    def image_registry(self) -> ImageRegistry | None:
        """ghcr.io; `containers.<host>` of GitHub Enterprise; of Gitea and Forgejo the server itself."""
        if not self.project:
            return None
        server = urllib.parse.urlsplit(self._server).netloc.rpartition("@")[2]
        elsewhere = server if self._gitea else f"containers.{server}"
        host = "ghcr.io" if server == "github.com" else elsewhere
        repository = f"{host}/{self.project}".lower()  # no registry takes capitals
        return ImageRegistry(host, repository, self._env.get("GITHUB_ACTOR", ""), self._token.value)

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        path = self._env.get("GITHUB_OUTPUT", "")
        if not path:
            return
        text = ""
        for name, value in outputs.items():
            # Random: who knew the line that ends a value could write outputs of their own.
            end = f"mlgate-{secrets.token_hex(16)}"
            text += f"{name}<<{end}\n{value}\n{end}\n"
        _append(path, text, "GITHUB_OUTPUT")

    def add_summary(self, markdown: str) -> None:
        path = self._env.get("GITHUB_STEP_SUMMARY", "")
        if not path or not markdown:
            return
        try:
            there = os.path.getsize(path)
        except OSError:
            there = 0
        room = SUMMARY_LIMIT - there
        text = cutting.cut(markdown.rstrip("\n") + "\n\n", room, full=self._run_url(), size=cutting.octets)
        if cutting.octets(text) <= room:  # else an earlier summary of this step left nothing; one more would lose both
            _append(path, text, "GITHUB_STEP_SUMMARY")

    def annotate(self, notes: Sequence[Annotation]) -> None:
        for line in commands.marks(notes):
            self._print(line)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self._print(f"::group::{commands.escape_data(on_one_line(title, 200))}")
        try:
            yield
        finally:
            self._print("::endgroup::")

    # -- what people see on the pull request

    def _approvals(self, number: int) -> PullApprovals:
        return PullApprovals(self.api(), self.project, number, self.event.head_sha)

    def _approvers(self, environment: str, commit: str) -> Approvers:
        asked = RunApprovers(self.api(), self.project, self._env.get("GITHUB_RUN_ID", ""))
        what = "who wrote what it deploys could not be read"
        return asked.find(environment, commit, explain=lambda error: self._explain(what, error, "author"))

    def _deployment(self, planned: Planned, explain: Callable[[ForgeError], str]) -> Deployment:
        if self._gitea:
            return Deployment()  # which knows no deployments
        if not self._token:
            return Deployment(said=f"The deployment is not shown on GitHub: {self._nobody}")
        job = Job(self._env.get("GITHUB_RUN_ID", ""), self.event.run_url, self._env.get("GITHUB_SHA", ""))
        return deployment(self.api(), self.project, planned, job, explain=explain)

    def _comments(self, number: int, mark: str) -> Comments:
        return _Comments(self.api(), self.project, number, mark, is_ours=self._is_ours)

    def _issues(self) -> GitHubIssues:
        return GitHubIssues(self.api(), self.project, is_ours=self._is_ours, gitea=self._gitea)

    def _status(self, context: str, state: State, description: str, url: str) -> Posted:
        event = self.event
        if not event.head_sha or not self.project:
            return Posted(said="The status was not set: the event does not say on which commit.")
        if event.name == "workflow_run" and event.from_fork and state == "success":
            return Posted(said="The status was not set: what a fork reports about itself is never a success.")
        body = {"state": state, "context": on_one_line(context, 255)}
        if words := on_one_line(description, DESCRIPTION_LIMIT):
            body["description"] = words
        if address := web_address(url):
            body["target_url"] = address
        self.api().send("POST", f"repos/{self.project}/statuses/{event.head_sha}", json=body)
        return Posted(url=address or None, did="created")

    def api(self) -> Client:
        """GitHub's API; requests raise ForgeError."""
        if self._client is None:
            headers = {"Accept": "application/vnd.github+json"}
            if not self._gitea:
                headers["X-GitHub-Api-Version"] = "2022-11-28"
            base = self._env.get("GITHUB_API_URL", "https://api.github.com")
            self._client = Client(base, self._token, headers=headers)
        return self._client

    def _run_url(self) -> str:
        try:
            return self.event.run_url
        except MlgateError:
            return ""

    def _pull_request(self) -> int | None:
        """The pull request to write on. A `workflow_run` after a fork's pull request does not name it: it is looked up
        by its branch, and counts only if its head is still the commit that was run."""
        event = self.event
        if event.pull_request is not None or event.name != "workflow_run" or not event.ref:
            return event.pull_request
        run = _dig(_payload(self._env.get("GITHUB_EVENT_PATH", "")), "workflow_run")
        if _dig(run, "event") != "pull_request":
            return None
        repository = _dig(run, "head_repository", "full_name")
        owner = _dig(run, "head_repository", "owner", "login")
        if not isinstance(repository, str) or not isinstance(owner, str) or not self._token:
            return None
        pulls = self.api().pages(f"repos/{self.project}/pulls", state="open", head=f"{owner}:{event.ref}")
        for pull in pulls:
            head = _dig(pull, "head")
            if _dig(head, "sha") == event.head_sha and _dig(head, "repo", "full_name") == repository:
                return _number(_dig(pull, "number"))
        return None

    def _is_ours(self, comment: Mapping[str, Any]) -> bool:
        return _dig(comment, "user", "login") in self._logins()

    def _logins(self) -> set[str]:
        if self._gitea:
            return {self._whoami(), "gitea-actions", "forgejo-actions"}
        return {self._whoami()}

    def _whoami(self) -> str:
        """Who writes with this token. A person's token can ask; the token of an app cannot, but GraphQL answers it."""
        if not self._login:
            self._login = self._ask_user() or self._ask_graphql() or "github-actions[bot]"
        return self._login

    def _ask_user(self) -> str:
        if self._token.value.startswith("ghs_"):  # a token of an app, GitHub Actions included
            return ""
        try:
            login = _dig(self.api().get("user"), "login")
        except ForgeError as error:
            if error.status in (401, 403, 404):
                return ""
            raise
        return login if isinstance(login, str) else ""

    def _ask_graphql(self) -> str:
        url = self._env.get("GITHUB_GRAPHQL_URL", "")
        if not url or self._gitea:
            return ""
        client = Client(url, self._token)
        client.patience = self.api().patience
        try:
            answer = client.send("POST", "", json={"query": "query { viewer { login } }"})
        except ForgeError:
            return ""
        login = _dig(answer.data, "data", "viewer", "login")
        return login if isinstance(login, str) else ""

    def _explain(self, what: str, error: ForgeError, doing: str) -> str:
        answered = f"{error.status}{': ' + error.reason if error.reason else ''}"
        if error.status == 401:
            return f"{what}: the token is not valid ({answered}). Pass `github-token: ${{{{ github.token }}}}`."
        if "not permitted to create or approve pull requests" in error.reason:
            return (
                f"{what}: a setting forbids it ({answered}). Switch on `{SETTING}` under Settings > Actions > General, "
                "Workflow permissions (of the organisation first), or pass the token of a GitHub App as `github-token`."
            )
        if error.status in (403, 404) and not error.limited:
            if "locked" in error.reason.lower():
                return f"{what}: the conversation is locked ({answered})."
            if self.event.from_fork:
                return f"{what}: jobs of a pull request from a fork get a read-only token ({answered}); {FORKS}."
            return (
                f"{what}: the token may not ({answered}). Add `{_PERMISSIONS[doing]}` under `permissions:` of the job, "
                "and of the job that calls it if it is a called workflow."
            )
        if error.status in (400, 410, 422):
            return f"{what}: it was refused ({answered})."
        return f"{what}: {error.message}"


_PERMISSIONS = {
    "approval": "pull-requests: read",
    "approvers": "actions: read",
    "author": "contents: read` and `pull-requests: read",
    "deployment": "deployments: write",
    "dispatch": "actions: write",
    "event": "contents: write",
    "merge": "contents: write` and `pull-requests: write",
    "comment": "pull-requests: write",
    "issue": "issues: write",
    "status": "statuses: write",
    "request": "pull-requests: write",
}


class _Comments:
    """The comments of one pull request: on GitHub, those of the issue of the same number."""

    def __init__(
        self, api: Client, project: str, number: int, mark: str, *, is_ours: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        self._api, self._mark, self._is_ours = api, mark, is_ours
        self._issues = f"repos/{project}/issues"
        self._list = f"{self._issues}/{number}/comments"

    def find(self) -> Existing | None:
        for comment in self._api.pages(self._list):
            id_ = _number(_dig(comment, "id"))
            if id_ and carries(_dig(comment, "body"), self._mark) and self._is_ours(comment):
                return Existing(id_, comment["body"], _text(comment, "html_url") or None)
        return None

    def create(self, text: str) -> str | None:
        data = self._api.send("POST", self._list, json={"body": text}, repeatable=False).data
        return _text(data, "html_url") or None

    def update(self, existing: Existing, text: str) -> str | None:
        data = self._api.send("PATCH", f"{self._issues}/comments/{existing.id}", json={"body": text}).data
        return _text(data, "html_url") or existing.url


def read_event(env: Mapping[str, str], payload: Mapping[str, Any], *, gitea: bool = False) -> Event:
    """The event in words both forges share. Raises MlgateError for a payload that lacks what its kind must have."""
    name = env.get("GITHUB_EVENT_NAME", "")
    ref = env.get("GITHUB_REF", "")
    sha = commit_id(env.get("GITHUB_SHA", ""))
    project = f"{env.get('GITHUB_SERVER_URL', 'https://github.com').rstrip('/')}/{env.get('GITHUB_REPOSITORY', '')}"
    facts: dict[str, Any] = {
        "forge": "github",
        "kind": _KINDS.get(name, "manual"),
        "name": name,
        "sha": sha,
        "head_sha": sha,
        "ref": short_ref(ref),
        "default_branch": _text(payload, "repository", "default_branch"),
        "actor": env.get("GITHUB_ACTOR", ""),
        "run_url": _run_url(env, project, gitea=gitea),
        "commit_url": f"{project}/commit/",
        "file_url": f"{project}/src/commit/" if gitea else f"{project}/blob/",
    }
    if facts["kind"] == "pull_request":
        facts |= _from_pull_request(env, payload, sha)
    elif name == "merge_group":
        facts |= _from_merge_group(payload, sha)
    elif name == "push":
        facts |= _from_push(payload, ref)
    elif name == "workflow_run":
        facts |= _from_workflow_run(payload)
    elif ref.startswith("refs/tags/"):
        facts["kind"] = "tag"  # a tag may have the name of a branch
    elif name == "schedule" and not facts["default_branch"]:
        facts["default_branch"] = facts["ref"]  # schedules run on the default branch only
    return Event(**facts)


def _from_pull_request(env: Mapping[str, str], payload: Mapping[str, Any], sha: str) -> dict[str, Any]:
    pull = _dig(payload, "pull_request")
    if not isinstance(pull, dict):
        raise _corrupt("a pull request event without `pull_request`")
    head = _dig(pull, "head", "repo", "full_name")
    base = _dig(pull, "base", "repo", "full_name") or _dig(payload, "repository", "full_name")
    return {
        "head_sha": commit_id(_dig(pull, "head", "sha")) or sha,
        "base_ref": _text(pull, "base", "ref") or env.get("GITHUB_BASE_REF", ""),
        "base_sha": commit_id(_dig(pull, "base", "sha")),
        "ref": _text(pull, "head", "ref") or env.get("GITHUB_HEAD_REF", ""),
        "pull_request": _number(_dig(pull, "number")) or _number(_dig(payload, "number")),
        # A head repository that is gone was a fork. One that nobody described (a hand-made event in act) is ours.
        "from_fork": "repo" in (pull.get("head") or {}) and head != base,
    }


def _from_merge_group(payload: Mapping[str, Any], sha: str) -> dict[str, Any]:
    group = _dig(payload, "merge_group")
    base_sha = commit_id(_dig(group, "base_sha"))
    if not base_sha:
        raise _corrupt("a merge queue event without `merge_group.base_sha`")
    return {
        "head_sha": commit_id(_dig(group, "head_sha")) or sha,
        "base_ref": short_ref(_text(group, "base_ref")),
        "base_sha": base_sha,
    }


def _from_push(payload: Mapping[str, Any], ref: str) -> dict[str, Any]:
    return {
        "kind": "tag" if ref.startswith("refs/tags/") else "push",
        "before": "" if payload.get("created") is True else commit_id(payload.get("before")),
        "forced": payload.get("forced") is True,
    }


def _from_workflow_run(payload: Mapping[str, Any]) -> dict[str, Any]:
    run = _dig(payload, "workflow_run")
    head_sha = commit_id(_dig(run, "head_sha"))
    if not head_sha:
        raise _corrupt("a `workflow_run` event without `workflow_run.head_sha`")
    ours = _dig(payload, "repository", "full_name")
    pulls = _dig(run, "pull_requests")
    number = None
    for pull in pulls if isinstance(pulls, list) else []:
        # A fork's pull requests to itself can be listed too: the one meant has this head and this repository as base.
        here = _dig(pull, "base", "repo", "id") == _dig(payload, "repository", "id")
        if here and _dig(pull, "head", "sha") == head_sha:
            number = _number(_dig(pull, "number"))
            break
    return {
        "head_sha": head_sha,
        "ref": _text(run, "head_branch"),
        "pull_request": number,
        "from_fork": _dig(run, "head_repository", "full_name") != ours,
    }


def _run_url(env: Mapping[str, str], project: str, *, gitea: bool) -> str:
    # Gitea counts runs per repository in its addresses.
    run = env.get("GITHUB_RUN_NUMBER" if gitea else "GITHUB_RUN_ID", "")
    if not run:
        return ""
    attempt = env.get("GITHUB_RUN_ATTEMPT", "1")
    return f"{project}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt != "1" and not gitea else "")


def _payload(path: str) -> dict[str, Any]:
    if not path:
        raise MlgateError(
            "GITHUB_EVENT_PATH is not set, so nothing says what started this run.",
            fix="The runner sets it; pass the environment of the job on.",
        )
    try:
        data = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise MlgateError(
            f"The event file cannot be read ({error.strerror}).",
            file=path,
            fix="GITHUB_EVENT_PATH must name the file that the runner wrote.",
        ) from None
    except (ValueError, RecursionError):
        raise _corrupt("no JSON", path) from None
    if not isinstance(data, dict):
        raise _corrupt("no JSON object", path)
    return data


def _corrupt(what: str, file: str = "") -> MlgateError:
    return MlgateError(
        f"The event file holds {what}.",
        file=file,
        fix="GITHUB_EVENT_PATH must name the file that the runner wrote for GITHUB_EVENT_NAME.",
    )


def _append(path: str, text: str, name: str) -> None:
    try:
        with open(path, "a", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise MlgateError(f"The file of {name} cannot be written ({error.strerror}).", file=path) from None


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def _text(data: Any, *keys: str) -> str:
    found = _dig(data, *keys)
    return found if isinstance(found, str) else ""


def _number(found: Any) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None
