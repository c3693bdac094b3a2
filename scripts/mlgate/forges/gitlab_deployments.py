"""Deployments on GitLab, and who has let a job into an environment there."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from mlgate.forges.deploying import Approvers, Deployment, Planned, Progress, names
from mlgate.forges.gitlab_approvals import is_bot, maintains
from mlgate.forges.http import Client, ForgeError
from mlgate.forges.words import web_address

LOOKED_AT = 20  # of the latest deployments to an environment
MANUAL_PAGES = 10  # of a hundred manual jobs in one pipeline
_MANUAL_JOBS = """query($path: ID!, $after: String) { project(fullPath: $path) {
  pipeline(id: "gid://gitlab/Ci::Pipeline/PIPELINE") {
    jobs(whenExecuted: ["manual"], first: 100, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } } }
"""
_STATES: dict[Progress, str] = {"running": "running", "success": "success", "failure": "failed", "inactive": "canceled"}


class Deployments:
    """Of one project. The job's own token may ask and write these."""

    def __init__(self, api: Client, project: str) -> None:
        self._api = api
        self._project = f"projects/{urllib.parse.quote(project, safe='')}"

    def deployment(self, planned: Planned, ref: str, *, tag: bool, explain: Callable[[ForgeError], str]) -> Deployment:
        """The one of this commit that still runs and that no job made, or a new one. Raises ForgeError."""
        self._describe(planned)
        path = f"{self._project}/deployments"
        query = {"environment": planned.environment, "status": "running", "order_by": "id", "sort": "desc"}
        there = self._api.get(path, **query, per_page=LOOKED_AT)
        for one in there if isinstance(there, list) else []:
            ours = _dig(one, "deployable") is None and _dig(one, "sha") == planned.commit
            if ours and (number := _number(_dig(one, "id"))):
                return Deployment(_Posting(self, planned, number), explain=explain)
        body = {"environment": planned.environment, "sha": planned.commit, "ref": ref, "tag": tag, "status": "running"}
        number = _number(_dig(self._api.send("POST", path, json=body, repeatable=False).data, "id"))
        if not number:
            raise ForgeError(0, f"{self._api.host} did not say which deployment it made.")
        return Deployment(_Posting(self, planned, number), explain=explain)

    def _describe(self, planned: Planned) -> None:
        """Makes the environment of the wanted tier, and says where it is. A deployment alone would guess its tier."""
        path = f"{self._project}/environments"
        listed = self._api.get(path, name=planned.environment)
        found = next((e for e in listed if _dig(e, "name") == planned.environment), None) if listed else None
        address = web_address(planned.url)
        wanted = {key: value for key, value in (("tier", planned.tier), ("external_url", address)) if value}
        if found is None:
            self._api.send("POST", path, json={"name": planned.environment, **wanted}, repeatable=False)
        elif any(_dig(found, key) != value for key, value in wanted.items()) and (number := _number(found.get("id"))):
            self._api.send("PUT", f"{path}/{number}", json=wanted)

    def update(self, number: int, status: str) -> None:
        path = f"{self._project}/deployments/{number}"
        try:
            self._api.send("PUT", path, json={"status": status})
        except ForgeError as error:
            # GitLab refuses a status that it has already: an earlier try may have come through.
            if error.status != 400 or _dig(self._api.get(path), "status") != status:
                raise

    def address(self, planned: Planned, url: str) -> str:
        address = web_address(url)
        if address and address != planned.url:
            self._describe(Planned(planned.environment, planned.commit, planned.tier, url=address))
        return address


class _Posting:
    def __init__(self, to: Deployments, planned: Planned, number: int) -> None:
        self._to, self._planned, self._number = to, planned, number
        self._last = "running"

    def post(self, state: Progress, url: str, description: str) -> str:
        del description  # GitLab shows none
        address = self._to.address(self._planned, url)
        wanted = _STATES[state]
        if wanted not in ("running", self._last):  # it began as running, and never does so again
            self._to.update(self._number, wanted)
            self._last = wanted
        return address


class JobApprovers:
    """Of the job whose token `job` carries: which job that is, GitLab says, and nobody else. All raise ForgeError."""

    def __init__(self, api: Client, job: Client, graphql: Client, project: str, full_path: str) -> None:
        self._api, self._job, self._graphql = api, job, graphql
        self._project = f"projects/{urllib.parse.quote(project, safe='')}"
        self._full_path = full_path

    def find(self, environment: str, commit: str, *, explain: Callable[[ForgeError], str]) -> Approvers:
        """Approvals of the deployment (Premium), else who played the manual job, as the environment or role allows."""
        job = self._job.get("job")
        number, pipeline = _number(_dig(job, "id")), _number(_dig(job, "pipeline", "id"))
        if not number or not pipeline:
            return Approvers(missing="GitLab does not say which job this is, so who has approved it is not known.")
        own, own_missing = self._own(pipeline, commit, explain)

        def missing(said: str) -> Approvers:
            return Approvers(missing=said, own=own, own_missing=own_missing)

        deployment = self._deployment(environment, number)
        approvals = list(_approvals(deployment))
        if refused := names(_name(one) for one in approvals if _dig(one, "status") == "rejected"):
            return missing(f"{', '.join(refused)} rejected this deployment to {environment}.")
        people = names(_name(one) for one in approvals if _dig(one, "status") == "approved" and not is_bot(one))
        if people:
            return Approvers(people, f"approved the deployment to {environment}", "", own, own_missing)
        advice = f"Give the job `when: manual` and `environment: {environment}`, and protect the environment or branch."
        if not self._by_hand(pipeline, number):
            return missing(f"No deployment to {environment} was approved, and this job is not a manual one. {advice}")
        who, user = _name(job), _number(_dig(job, "user", "id"))
        if not who or not user or is_bot(job):
            return missing(f"{who or 'Somebody'} started this manual job and is no person. {advice}")
        if deployment is not None and self._protected(environment):
            return Approvers(
                (who,), f"started the manual job to {environment}, which is protected", "", own, own_missing
            )
        if not maintains(self._api, self._project, user):
            return missing(f"{who} started this manual job, but is no maintainer. {advice}")
        return Approvers((who,), "started this manual job", "", own, own_missing)

    def _own(self, pipeline: int, commit: str, explain: Callable[[ForgeError], str]) -> tuple[tuple[str, ...], str]:
        """Who started the pipeline (of a push: who pushed), and who opened the merge request that brought the commit.
        A commit itself names no account."""
        try:
            started = _name(self._api.get(f"{self._project}/pipelines/{pipeline}"))
            found = self._api.pages(f"{self._project}/repository/commits/{commit}/merge_requests")
            opened = [_name(merge, "author") for merge in found if _dig(merge, "state") == "merged"]
        except ForgeError as error:
            return (), explain(error)
        own = names((started, *opened))
        if not started:
            return own, "GitLab does not say who started this pipeline."
        if not any(opened):
            return own, f"no merge request brought {commit[:12]}, so whose work it is is not known."
        return own, ""

    def _deployment(self, environment: str, job: int) -> Any:
        """The deployment that GitLab made of this job, whole; None where the job has no such `environment:`."""
        path = f"{self._project}/deployments"
        # Made with the pipeline, which may be old: among those that run now it is found whatever came since.
        for narrowed in ({"status": "running"}, {}):
            query = {"environment": environment, "order_by": "id", "sort": "desc", "per_page": LOOKED_AT, **narrowed}
            there = self._api.get(path, **query)
            for one in there if isinstance(there, list) else []:
                if _number(_dig(one, "deployable", "id")) == job and (number := _number(_dig(one, "id"))):
                    return self._api.get(f"{path}/{number}")
        return None

    def _by_hand(self, pipeline: int, job: int) -> bool:
        """REST does not tell, and CI_JOB_MANUAL is a variable that whoever starts a pipeline may set."""
        variables: dict[str, Any] = {"path": self._full_path, "after": None}
        query = _MANUAL_JOBS.replace("PIPELINE", str(pipeline))
        for _ in range(MANUAL_PAGES):
            answer = self._graphql.send("POST", "", json={"query": query, "variables": variables}).data
            found = _dig(answer, "data", "project", "pipeline", "jobs")
            nodes = _dig(found, "nodes")
            if not isinstance(nodes, list):
                raise ForgeError(0, f"{self._graphql.host} does not say which jobs of this pipeline are manual.")
            if any(str(_dig(node, "id")).endswith(f"/{job}") for node in nodes):
                return True
            if _dig(found, "pageInfo", "hasNextPage") is not True:
                return False
            variables["after"] = _dig(found, "pageInfo", "endCursor")
        return False

    def _protected(self, environment: str) -> bool:
        """Whether GitLab itself has seen to it that only some may run this job (Premium)."""
        path = f"{self._project}/protected_environments/{urllib.parse.quote(environment, safe='')}"
        try:
            return bool(_dig(self._api.get(path), "name") == environment)
        except ForgeError as error:
            if error.status in (403, 404):  # not protected, or not for this token to know: then the role decides
                return False
            raise


def _approvals(deployment: Any) -> Iterator[Any]:
    """Of both settings: one rule for all, and several rules."""
    direct = _dig(deployment, "approvals")
    yield from direct if isinstance(direct, list) else []
    rules = _dig(deployment, "approval_summary", "rules")
    for rule in rules if isinstance(rules, list) else []:
        found = _dig(rule, "deployment_approvals")
        yield from found if isinstance(found, list) else []


def _name(data: Any, key: str = "user") -> str:
    found = _dig(data, key, "username")
    return found if isinstance(found, str) else ""


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _number(data: Any) -> int | None:
    return data if isinstance(data, int) and not isinstance(data, bool) else None
