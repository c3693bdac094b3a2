"""Pipelines of GitLab started by another one, and its auto-merge."""

from __future__ import annotations

import urllib.parse
from typing import Any

from mlgate.errors import MlgateError
from mlgate.forges.dispatching import Order, Started, short
from mlgate.forges.http import Client, ForgeError, Token
from mlgate.forges.words import web_address

TRIES = 6  # for GitLab to have made the pipeline of a merge request
PAUSE = 2.0  # seconds between two of them
_FORBIDDEN = "insufficient permissions to set pipeline variables"


def dispatch(api: Client, project: str, order: Order, *, job_token: Token) -> Started:
    """Start a pipeline: by GITLAB_TOKEN, else by `job_token`. Raises ForgeError.

    New projects let nobody set variables of a pipeline. It is started without them then, and finds in the ledger
    what it was started for.
    """
    values = {f"MLGATE_{name.upper().replace('-', '_')}": value for name, value in short(order.inputs).items()}
    try:
        return _create(api, project, order.ref, values, job_token)
    except ForgeError as error:
        if not values or error.status not in (400, 403, 422) or _FORBIDDEN not in error.reason.lower():
            raise
    started = _create(api, project, order.ref, {}, job_token)
    said = (
        "This project lets nobody set variables of a pipeline (Settings > CI/CD > Variables > Minimum role to use "
        "pipeline variables), so it was started without them and looks up in the ledger what it is for."
    )
    return Started(started.url, (said,))


def _create(api: Client, project: str, ref: str, values: dict[str, str], job_token: Token) -> Started:
    path = f"projects/{urllib.parse.quote(project, safe='')}"
    body: dict[str, Any] = {"ref": ref}
    if job_token:
        # The token of a job may start pipelines by the address for triggers only, and as a field.
        body |= {"token": job_token.value, "variables": values} if values else {"token": job_token.value}
        data = api.send("POST", f"{path}/trigger/pipeline", json=body, repeatable=False).data
    else:
        if values:
            body["variables"] = [{"key": key, "value": value} for key, value in values.items()]
        data = api.send("POST", f"{path}/pipeline", json=body, repeatable=False).data
    url = data.get("web_url") if isinstance(data, dict) else ""
    return Started(web_address(url) if isinstance(url, str) else "")


def auto_merge(api: Client, project: str, number: int, commit: str) -> str:
    """Let GitLab merge a merge request once its pipeline has passed; one sentence of what came of it.

    Where the project lets a request be merged while its pipeline fails, that would merge what nobody judged: then it is
    not asked for. Raises ForgeError.
    """
    path = f"projects/{urllib.parse.quote(project, safe='')}"
    settings = api.get(path)
    if not isinstance(settings, dict) or settings.get("only_allow_merge_if_pipeline_succeeds") is not True:
        return (
            "It will not be merged by itself: this project lets a merge request be merged while its pipeline fails. "
            "Switch on Settings > Merge requests > Merge checks > Pipelines must succeed."
        )
    # Both spellings: servers before 17.11 know the second only.
    wanted = {"auto_merge": True, "merge_when_pipeline_succeeds": True, "sha": commit}
    for attempt in range(1, TRIES + 1):
        try:
            api.send("PUT", f"{path}/merge_requests/{number}/merge", json=wanted)
        except ForgeError as error:
            if error.status not in (405, 422) or attempt == TRIES:
                raise
            api.wait(PAUSE)  # its pipeline is made in the background
            continue
        return "It is merged by itself once its pipeline has passed."
    raise MlgateError("unreachable")  # pragma: no cover
