"""Deployments on GitHub, and who has let a run into an environment there."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlgate.forges.deploying import Approvers, Deployment, Planned, Progress, names
from mlgate.forges.github_approvals import maintains
from mlgate.forges.http import Client, ForgeError
from mlgate.forges.words import on_one_line, web_address

DESCRIPTION_LIMIT = 140
LOOKED_AT = 20  # of the latest deployments of a commit to an environment; a run makes one
_STATES: dict[Progress, str] = {
    "running": "in_progress",
    "success": "success",
    "failure": "failure",
    "inactive": "inactive",
}


@dataclass(frozen=True)
class Job:
    """Which run this is: its number, its page, and the commit that GitHub started it for."""

    run: str
    url: str
    commit: str


def deployment(
    api: Client, project: str, planned: Planned, job: Job, *, explain: Callable[[ForgeError], str]
) -> Deployment:
    """Found, or made. Raises ForgeError."""
    listing = f"repos/{project}/deployments"
    there = api.get(listing, environment=planned.environment, per_page=LOOKED_AT)
    found = [(one, number) for one in there if (number := _number(_dig(one, "id")))] if isinstance(there, list) else []
    for one, number in found:
        if planned.rollout and _payload(one).get("mlgate") == planned.rollout:
            return Deployment(_Posting(api, f"{listing}/{number}", job.url), explain=explain)
    for one, number in found:
        # The record that GitHub makes for a job with an `environment:` says in its statuses which run it is of.
        ours = job.run and _dig(one, "sha") == job.commit
        if ours and any(_of_run(status, project, job.run) for status in api.pages(f"{listing}/{number}/statuses")):
            return Deployment(theirs=True)
    made = _number(_dig(api.send("POST", listing, json=_wanted(planned), repeatable=False).data, "id"))
    if not made:
        raise ForgeError(0, f"{api.host} did not say which deployment it made.")
    return Deployment(_Posting(api, f"{listing}/{made}", job.url), explain=explain)


def _wanted(planned: Planned) -> dict[str, Any]:
    body = {
        "ref": planned.commit,
        "environment": planned.environment,
        "auto_merge": False,  # else GitHub may merge the default branch into what is deployed
        "required_contexts": [],  # the status of this very job is pending
        "description": on_one_line(planned.description, DESCRIPTION_LIMIT),
        "payload": {"mlgate": planned.rollout},
    }
    return body if planned.tier is None else body | {"production_environment": planned.tier == "production"}


class _Posting:
    def __init__(self, api: Client, path: str, run_url: str) -> None:
        self._api, self._path, self._run_url = api, path, run_url

    def post(self, state: Progress, url: str, description: str) -> str:
        body: dict[str, Any] = {"state": _STATES[state], "description": on_one_line(description, DESCRIPTION_LIMIT)}
        if address := web_address(url):
            body["environment_url"] = address
        if log := web_address(self._run_url):
            body["log_url"] = log
        self._api.send("POST", f"{self._path}/statuses", json=body)
        return address


class RunApprovers:
    """Of one run of a workflow. All raise ForgeError."""

    def __init__(self, api: Client, project: str, run: str) -> None:
        self._api, self._repo, self._run = api, f"repos/{project}", run

    def find(self, environment: str, commit: str, *, explain: Callable[[ForgeError], str]) -> Approvers:
        """Reviews of the environment in this run; where it has no reviewers, the maintainer who started it by hand."""
        if not self._run.isdecimal():
            return Approvers(missing="Who has approved it is not known: this job has no GITHUB_RUN_ID.")
        run = self._api.get(f"{self._repo}/actions/runs/{self._run}")
        own, own_missing = self._own(run, commit, explain)
        reviews = self._api.get(f"{self._repo}/actions/runs/{self._run}/approvals")  # which has no pages
        if not isinstance(reviews, list):
            raise ForgeError(0, f"{self._api.host} does not say who has approved this run.")
        ours = [review for review in reviews if environment.casefold() in _environments(review)]
        if refused := names(_text(review, "user", "login") for review in ours if _dig(review, "state") == "rejected"):
            said = (
                f"{', '.join(refused)} rejected {environment} in this run; a run that is started anew is asked again."
            )
            return Approvers(missing=said, own=own, own_missing=own_missing)
        approved = [review for review in ours if _dig(review, "state") == "approved"]
        people = names(_text(review, "user", "login") for review in approved if _person(_dig(review, "user")))
        if people:
            return Approvers(people, f"approved the environment {environment}", "", own, own_missing)
        return self._without_review(run, environment, own, own_missing)

    def _without_review(self, run: Any, environment: str, own: tuple[str, ...], own_missing: str) -> Approvers:
        def missing(said: str) -> Approvers:
            return Approvers(missing=said, own=own, own_missing=own_missing)

        if self._has_reviewers(environment):
            return missing(
                f"Nobody has approved the environment {environment} in this run. It has reviewers, so the job needs "
                f"`environment: {environment}`, which makes it wait for them."
            )
        add = (
            f"Add reviewers under Settings > Environments > {environment}, and `environment: {environment}` to the job"
        )
        if _dig(run, "event") != "workflow_dispatch":
            return missing(f"The environment {environment} has no reviewers, so nobody has approved it. {add}.")
        who = _dig(run, "triggering_actor")
        name = _text(who, "login")
        if not name or not _person(who):
            return missing(f"{name or 'Somebody'} started this run by hand and is no person. {add}.")
        if not maintains(self._api, self._repo, name):
            return missing(f"{name} started this run by hand, but is no maintainer. {add}.")
        return Approvers((name,), "started this run by hand", "", own, own_missing)

    def _own(self, run: Any, commit: str, explain: Callable[[ForgeError], str]) -> tuple[tuple[str, ...], str]:
        """Who started the run, this time and the first time, and who wrote the commit: whom GitHub knows as its author,
        and who opened the pull request that brought it (of a merge or squash commit the other is who merged)."""
        started = names((_text(run, "actor", "login"), _text(run, "triggering_actor", "login")))
        if not started:
            return (), "GitHub does not say who started this run."
        try:
            made = self._api.get(f"{self._repo}/commits/{commit}")
            pulls = list(self._api.pages(f"{self._repo}/commits/{commit}/pulls"))
        except ForgeError as error:
            return started, explain(error)
        author = _text(made, "author", "login")
        opened = [_text(pull, "user", "login") for pull in pulls if _dig(pull, "merged_at")]
        wrote = names((author, *opened))
        if not wrote:
            who = f"GitHub knows no account for the author of {commit[:12]}"
            return started, f"{who}, and no pull request that brought it."
        return names((*started, *wrote)), ""

    def _has_reviewers(self, environment: str) -> bool:
        path = f"{self._repo}/environments/{urllib.parse.quote(environment, safe='')}"
        try:
            found = self._api.get(path)
        except ForgeError as error:
            if error.status == 404:  # there is none of this name
                return False
            raise
        rules = _dig(found, "protection_rules")
        return isinstance(rules, list) and any(_dig(rule, "type") == "required_reviewers" for rule in rules)


def _environments(review: Any) -> set[str]:
    """Names without case: to GitHub they are the same."""
    listed = _dig(review, "environments")
    return {_text(one, "name").casefold() for one in listed} if isinstance(listed, list) else set()


def _person(user: Any) -> bool:
    return _text(user, "type") == "User"


def _of_run(status: Any, project: str, run: str) -> bool:
    page = f"/{project}/actions/runs/{run}".casefold()
    path = urllib.parse.urlsplit(_text(status, "log_url") or _text(status, "target_url")).path.casefold()
    return path == page or path.startswith(f"{page}/")


def _payload(one: Any) -> Mapping[str, Any]:
    """GitHub hands it back as it was sent, or as text."""
    found = _dig(one, "payload")
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            return {}
    return found if isinstance(found, dict) else {}


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _text(data: Any, *keys: str) -> str:
    found = _dig(data, *keys)
    return found if isinstance(found, str) else ""


def _number(data: Any) -> int | None:
    return data if isinstance(data, int) and not isinstance(data, bool) else None
