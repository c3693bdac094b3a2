"""Workflows of GitHub started by another one, and its auto-merge."""

from __future__ import annotations

import urllib.parse
from typing import Any

from mlgate.errors import MlgateError
from mlgate.forges.dispatching import Order, Started, short
from mlgate.forges.http import Client, ForgeError
from mlgate.forges.words import web_address

_METHODS = (("allow_merge_commit", "MERGE"), ("allow_squash_merge", "SQUASH"), ("allow_rebase_merge", "REBASE"))
_ENABLE = (
    "mutation($id: ID!, $method: PullRequestMergeMethod!) "
    "{ enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: $method}) { clientMutationId } }"
)


def dispatch(api: Client, project: str, order: Order, *, gitea: bool) -> Started:
    """Start it. Raises ForgeError for what the token may not, MlgateError for what the workflow is not made for."""
    inputs = short(order.inputs)
    try:
        if order.by == "repository":
            if gitea:
                raise MlgateError(
                    "Gitea and Forgejo have no `repository_dispatch`, so nothing was started.",
                    fix="Use `retrain.dispatch: {by: workflow}`.",
                )
            body: dict[str, Any] = {"event_type": order.name, "client_payload": inputs}
            api.send("POST", f"repos/{project}/dispatches", json=body, repeatable=False)
            return Started()
        body = {"ref": order.ref, "inputs": inputs}
        if not gitea:
            body["return_run_details"] = True
        name = urllib.parse.quote(order.name, safe="")
        path = f"repos/{project}/actions/workflows/{name}/dispatches"
        answer = api.send("POST", path, json=body, repeatable=False)
    except ForgeError as error:
        raise _refused(order, error) or error from None
    url = answer.data.get("html_url") if isinstance(answer.data, dict) else ""
    return Started(web_address(url) if isinstance(url, str) else "")


def _refused(order: Order, error: ForgeError) -> MlgateError | None:
    """What GitHub says of a workflow that cannot be started so, with what to change in it."""
    reason = error.reason.lower()
    said = f"{order.shown} could not be started ({error.status}{': ' + error.reason if error.reason else ''})"
    if error.status == 422 and "workflow_dispatch" in reason:
        return MlgateError(
            f"{said}: it is not started by hand.", fix=f"Add `workflow_dispatch:` under `on:` of {order.name}."
        )
    if error.status == 422 and "unexpected inputs" in reason:
        names = ", ".join(f"`{name}`" for name in order.inputs)
        return MlgateError(
            f"{said}: it does not have these inputs.",
            fix=f"Add {names} under `on.workflow_dispatch.inputs` of {order.name}, each `type: string`.",
        )
    if error.status == 422 and "no ref found" in reason:
        return MlgateError(f"{said}: there is no such branch.", fix="Look at `retrain.dispatch.ref`.")
    if error.status == 404 and order.by == "workflow":
        return MlgateError(
            f"{said}: there is no such workflow on the default branch, or the token may not start it.",
            fix=f"Put the starter there as .github/workflows/{order.name}, and add `actions: write` under "
            "`permissions:` of the job, and of the job that calls it if it is a called workflow.",
        )
    return None


# -- merging by itself -----------------------------------------------------------------------------------------------


def auto_merge(api: Client, graphql: Client, project: str, number: int, base: str) -> str:
    """Let GitHub merge a pull request once every required check has passed; one sentence of what came of it.

    Where no check is required there is nothing to wait for, and GitHub would merge what nobody judged: then it is not
    asked for. Raises ForgeError.
    """
    if not _required(api, project, base):
        return (
            f"It will not be merged by itself: no check is required on {base}, so nothing would have judged it. "
            "Require the check `Model gate` there, by a rule set or a protection."
        )
    repository = api.get(f"repos/{project}")
    if _dig(repository, "allow_auto_merge") is False:
        return (
            "It will not be merged by itself: the repository does not allow it. "
            "Switch on `Allow auto-merge` under Settings > General."
        )
    pull = api.get(f"repos/{project}/pulls/{number}")
    if _dig(pull, "auto_merge"):
        return "It is merged by itself once every required check has passed."
    method = next((method for key, method in _METHODS if _dig(repository, key) is not False), "MERGE")
    variables = {"id": str(_dig(pull, "node_id") or ""), "method": method}
    answer = graphql.send("POST", "", json={"query": _ENABLE, "variables": variables}).data
    errors = _dig(answer, "errors")
    if errors:
        first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
        said = " ".join(str(first.get("message") or "it was refused").split())[:200].rstrip(".")
        return f"It will not be merged by itself: {said}."
    return "It is merged by itself once every required check has passed."


def _required(api: Client, project: str, base: str) -> bool:
    """Whether any status check is required on a branch, by a rule set or by its protection."""
    quoted = urllib.parse.quote(base, safe="")
    rules = api.get(f"repos/{project}/rules/branches/{quoted}")
    if any(_dig(rule, "type") == "required_status_checks" for rule in (rules if isinstance(rules, list) else [])):
        return True
    return bool(_dig(api.get(f"repos/{project}/branches/{quoted}"), "protection", "required_status_checks", "contexts"))


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
