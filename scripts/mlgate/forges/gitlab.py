"""GitLab.com and self-managed GitLab."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.forges.commands import quiet_commands
from mlgate.forges.deploying import Approvers, Deployment, Planned
from mlgate.forges.gitconfig import credentials
from mlgate.forges.gitlab_approvals import MergeApprovals
from mlgate.forges.gitlab_deployments import Deployments, JobApprovers
from mlgate.forges.gitlab_issues import GitLabIssues
from mlgate.forges.gitlab_merges import MergeRequests
from mlgate.forges.http import Client, ForgeError, Token
from mlgate.forges.nouns import Annotation, ImageRegistry, Posted, State
from mlgate.forges.sticky import Comments, Existing, carries
from mlgate.forges.words import commit_id, on_one_line, web_address
from mlgate.model import Event, EventKind

FIELD_LIMIT = 255

_KINDS: dict[str, EventKind] = {
    "merge_request_event": "pull_request",
    "push": "push",
    "schedule": "schedule",
}
_STATES = {"success": "success", "failure": "failed", "error": "failed", "pending": "pending"}


class GitLab(MergeRequests):
    """One job of a pipeline. Outputs, summaries and annotations are report files there: nothing to do for them here."""

    name = "gitlab"
    _comment_limit = 990_000  # GitLab refuses more than 1,000,000 characters
    _powerless = (
        "Neither note nor status was written on GitLab: CI_JOB_TOKEN cannot, so a project access token with the role "
        "Developer and the scope `api` is needed as the CI/CD variable GITLAB_TOKEN (masked, environment scope "
        "`mlgate`, not protected)."
    )
    _nobody = (
        "CI_JOB_TOKEN may not, so a project access token with the scope `read_api` or `api` is needed as GITLAB_TOKEN."
    )
    _no_issues = (
        "CI_JOB_TOKEN cannot, so a project access token with the role Reporter (or more) and the scope `api` is needed "
        "as GITLAB_TOKEN."
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        secret = ("GITLAB_TOKEN", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD")
        env = {key: value for key, value in environ.items() if key not in secret}
        self._env = env
        self.job = environ.get("CI_JOB_ID", "")
        self._token = Token("PRIVATE-TOKEN", "", environ.get("GITLAB_TOKEN", "").strip())
        self._job_token = Token("JOB-TOKEN", "", environ.get("CI_JOB_TOKEN", "").strip())
        self._registry_password = environ.get("CI_REGISTRY_PASSWORD", "")
        self.project = env.get("CI_PROJECT_ID", "")
        self._client: Client | None = None
        self._user: int | None = None

    def __repr__(self) -> str:
        return f"GitLab({self.project})"

    def _read_event(self) -> Event:
        return read_event(self._env)

    def fetch_env(self) -> dict[str, str]:
        server = self._env.get("CI_SERVER_URL", "").rstrip("/")
        if not self._job_token or not server:
            return {}
        return credentials(self._env, server, "gitlab-ci-token", self._job_token.value)

    def image_registry(self) -> ImageRegistry | None:
        """None where the server or the project has its registry switched off."""
        env = self._env
        host, repository = env.get("CI_REGISTRY", ""), env.get("CI_REGISTRY_IMAGE", "").lower()
        if not host or not repository:
            return None
        return ImageRegistry(host, repository, env.get("CI_REGISTRY_USER", ""), self._registry_password)

    def artifact_url(self, path: Path) -> str:
        job, project = self._env.get("CI_JOB_URL", ""), self._env.get("CI_PROJECT_DIR", "")
        if not job or not project or not path.is_relative_to(project):
            return ""
        kind, inside = "browse" if path.is_dir() else "file", urllib.parse.quote(str(path.relative_to(project)))
        return web_address(f"{job}/artifacts/{kind}/{inside}")

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        name = f"mlgate_{re.sub(r'[^a-z0-9]+', '_', title.lower())[:60]}"
        shown = quiet_commands(on_one_line(title, 200))
        self._print(f"\x1b[0Ksection_start:{int(time.time())}:{name}[collapsed=true]\r\x1b[0K{shown}")
        try:
            yield
        finally:
            self._print(f"\x1b[0Ksection_end:{int(time.time())}:{name}\r\x1b[0K")

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        pass

    def add_summary(self, markdown: str) -> None:
        pass

    def annotate(self, notes: Sequence[Annotation]) -> None:
        pass

    def _approvals(self, number: int) -> MergeApprovals:
        return MergeApprovals(self.api(), self.project, number, self.event.head_sha)

    def _approvers(self, environment: str, commit: str) -> Approvers:
        api, verify = self.api(), self._env.get("CI_SERVER_TLS_CA_FILE") or None
        job = Client(api.base, self._job_token, verify=verify)
        bearer = Token("Authorization", "Bearer", self._token.value)
        graphql = Client(self._env.get("CI_API_GRAPHQL_URL", ""), bearer, verify=verify)
        asked = JobApprovers(api, job, graphql, self.project, self._env.get("CI_PROJECT_PATH", ""))
        what = "who started this pipeline and wrote what it deploys could not be read"
        return asked.find(environment, commit, explain=lambda error: self._explain(what, error, "author"))

    def _deployment(self, planned: Planned, explain: Callable[[ForgeError], str]) -> Deployment:
        if self._env.get("CI_ENVIRONMENT_NAME") == planned.environment:
            return Deployment(theirs=True)
        if not self._token and not self._job_token:
            return Deployment(said="The deployment is not shown on GitLab: the job has no token.")
        ref, tag = self.event.ref, bool(self._env.get("CI_COMMIT_TAG"))
        return Deployments(self.api(), self.project).deployment(planned, ref, tag=tag, explain=explain)

    def _comments(self, number: int, mark: str) -> Comments:
        # The merge request lives in the target project; a fork's pipeline runs in the fork.
        project = self._env.get("CI_MERGE_REQUEST_PROJECT_ID") or self.project
        page = self._env.get("CI_MERGE_REQUEST_PROJECT_URL") or self._env.get("CI_PROJECT_URL", "")
        return _Notes(self.api(), project, number, mark, page=page, is_ours=self._is_ours)

    def _disarm(self, body: str) -> str:
        return without_quick_actions(body)

    def _status(self, context: str, state: State, description: str, url: str) -> Posted:
        """Sets the status in this very pipeline.

        Without `pipeline_id`, or on another commit than the pipeline's, GitLab makes a second pipeline of the status
        alone, and that one, being newer, would stand for the merge request: green by itself.
        """
        wanted = _STATES[state]
        sha = self.event.sha
        if not sha or not self.project:
            return Posted(said="The status was not set: the job does not say on which commit.")
        body: dict[str, Any] = {"state": wanted, "name": on_one_line(context, FIELD_LIMIT)}
        if words := on_one_line(description, FIELD_LIMIT):
            body["description"] = words
        if (address := web_address(url)) and len(address) <= FIELD_LIMIT:
            body["target_url"] = address
        pipeline = self._env.get("CI_PIPELINE_ID", "")
        if pipeline.isdecimal():
            body["pipeline_id"] = int(pipeline)
        try:
            self.api().send("POST", f"projects/{_quoted(self.project)}/statuses/{sha}", json=body)
        except ForgeError as error:
            # GitLab refuses a status that is what it was, and says from which state it would not move.
            if error.status == 400 and "Cannot transition" in error.reason and f"from :{wanted}" in error.reason:
                return Posted(did="unchanged")
            raise
        return Posted(url=address or None, did="created")

    def api(self) -> Client:
        """GitLab's API; requests raise ForgeError."""
        if self._client is None:
            base = self._env.get("CI_API_V4_URL", "")
            if not base:
                raise ForgeError(0, "CI_API_V4_URL is not set, so GitLab's API cannot be found.")
            # The runner hands over the certificate of a server that signs its own.
            own = self._env.get("CI_SERVER_TLS_CA_FILE") or None
            self._client = Client(base, self._token or self._job_token, verify=own)
        return self._client

    def _issues(self) -> GitLabIssues:
        return GitLabIssues(self.api(), self.project, is_ours=self._is_ours)

    def _is_ours(self, note: Mapping[str, Any]) -> bool:
        if self._user is None:
            user = self.api().get("user")
            found = user.get("id") if isinstance(user, dict) else None
            if not isinstance(found, int):
                raise ForgeError(0, "GitLab does not say whose token GITLAB_TOKEN is.")
            self._user = found
        author = note.get("author")
        return isinstance(author, dict) and author.get("id") == self._user

    def _explain(self, what: str, error: ForgeError, doing: str) -> str:
        answered = f"{error.status}{': ' + error.reason if error.reason else ''}"
        if error.status == 401:
            return f"{what}: GITLAB_TOKEN is not valid or has expired ({answered})."
        if error.status in (403, 404) and not error.limited:
            return (
                f"{what}: GITLAB_TOKEN may not ({answered}). "
                "It needs the scope `api` and the role Developer in this project."
            )
        if error.status in (400, 409, 422):
            return f"{what}: it was refused ({answered})."
        return f"{what}: {error.message}"


class _Notes:
    """The notes of one merge request."""

    def __init__(
        self,
        api: Client,
        project: str,
        number: int,
        mark: str,
        *,
        page: str,
        is_ours: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        self._api, self._mark, self._is_ours = api, mark, is_ours
        self._notes = f"projects/{_quoted(project)}/merge_requests/{number}/notes"
        self._page = f"{page}/-/merge_requests/{number}" if page else ""

    def find(self) -> Existing | None:
        for note in self._api.pages(self._notes, sort="asc", order_by="created_at"):
            id_ = _id(note)
            if id_ and not note.get("system") and carries(note.get("body"), self._mark) and self._is_ours(note):
                return Existing(id_, note["body"], self._link(id_))
        return None

    def create(self, text: str) -> str | None:
        id_ = _id(self._api.send("POST", self._notes, json={"body": text}, repeatable=False).data)
        return self._link(id_) if id_ else None

    def update(self, existing: Existing, text: str) -> str | None:
        self._api.send("PUT", f"{self._notes}/{existing.id}", json={"body": text})
        return existing.url

    def _link(self, id_: int) -> str | None:
        return f"{self._page}#note_{id_}" if self._page else None


def _quoted(project: str) -> str:
    return urllib.parse.quote(project, safe="")


def _id(note: Any) -> int | None:
    found = note.get("id") if isinstance(note, dict) else None
    return found if isinstance(found, int) else None


def read_event(env: Mapping[str, str]) -> Event:
    """The event in words both forges share. Raises MlgateError for a merge request without a number."""
    source = env.get("CI_PIPELINE_SOURCE", "")
    sha = commit_id(env.get("CI_COMMIT_SHA", ""))
    before = commit_id(env.get("CI_COMMIT_BEFORE_SHA", ""))
    url = env.get("CI_PROJECT_URL", "").rstrip("/")
    kind = _KINDS.get(source, "manual")
    if env.get("CI_COMMIT_TAG"):
        kind = "tag"
    # A child pipeline is judged as its parent: it inherits the merge request, or the commit before the push.
    if source == "parent_pipeline" and env.get("CI_MERGE_REQUEST_IID"):
        kind = "pull_request"
    elif source == "parent_pipeline" and before and env.get("CI_COMMIT_BRANCH"):
        kind = "push"
    facts: dict[str, Any] = {
        "forge": "gitlab",
        "kind": kind,
        "name": source,
        "sha": sha,
        "head_sha": sha,
        "before": before,
        "ref": env.get("CI_COMMIT_TAG") or env.get("CI_COMMIT_BRANCH") or env.get("CI_COMMIT_REF_NAME", ""),
        "default_branch": env.get("CI_DEFAULT_BRANCH", ""),
        "actor": env.get("GITLAB_USER_LOGIN", ""),
        "run_url": env.get("CI_JOB_URL") or env.get("CI_PIPELINE_URL", ""),
        "commit_url": f"{url}/-/commit/" if url else "",
        "file_url": f"{url}/-/blob/" if url else "",
    }
    if kind == "pull_request":
        facts |= _from_merge_request(env, sha)
    return Event(**facts)


def _from_merge_request(env: Mapping[str, str], sha: str) -> dict[str, Any]:
    number = env.get("CI_MERGE_REQUEST_IID", "")
    if not number.isdecimal() or int(number) < 1:
        raise MlgateError(
            "CI_MERGE_REQUEST_IID is not a number, so nothing says which merge request this is.",
            fix="GitLab sets it in merge request pipelines; do not set CI_* variables yourself.",
        )
    ours = env.get("CI_MERGE_REQUEST_PROJECT_ID") or env.get("CI_PROJECT_ID", "")
    source = env.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "")
    facts: dict[str, Any] = {
        "head_sha": commit_id(env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "")) or sha,
        "base_ref": env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", ""),
        "base_sha": commit_id(env.get("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "")),
        "ref": env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", ""),
        "pull_request": int(number),
        "from_fork": bool(source) and source != ours,
        "before": "",
    }
    # A merge train is GitLab's merge queue. Its base holds the merge requests ahead of this one, so what this one is
    # added to is not the target's tip but that base, as in GitHub's `merge_group`.
    if env.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train" and facts["base_sha"]:
        facts["kind"] = "merge_group"
    return facts


def without_quick_actions(body: str) -> str:
    """The same note without commands: GitLab obeys a line like `/merge` as if the token's owner had typed it."""
    lines, fence = [], ""
    for line in body.split("\n"):
        mark = re.match(r"(`{3,}|~{3,})", line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        command = re.match(r"\s*/", line)
        # In a code block an entity would show as it is written; a space before it disarms the line as well.
        safe = f" {line}" if fence else line.replace("/", "&#47;", 1)
        lines.append(safe if command else line)
    return "\n".join(lines)
