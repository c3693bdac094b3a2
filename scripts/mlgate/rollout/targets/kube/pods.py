"""What a cluster says of the pods of a slot: whether they are ready, and whether waiting is of any use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlgate.rollout.nouns import Readiness
from mlgate.rollout.targets.kube.manifests import CONTAINER

Object = Mapping[str, Any]

# Reasons that no waiting changes, and what each means.
_HOPELESS = {
    "InvalidImageName": "the name of its image is none",
    "ErrImageNeverPull": "its image is not on the node, and may not be pulled",
    "CreateContainerConfigError": "a Secret or a setting that it needs is missing",
    "CreateContainerError": "its container cannot be made",
    "RunContainerError": "its container cannot be started",
}
_REFUSED = re.compile(
    r"not found|manifest unknown|denied|unauthorized|forbidden", re.IGNORECASE
)  # else it may come yet
_CRASHES = 2  # ends of a container after which it is one that does not run


def digest(image: str) -> str:
    return image.rpartition("@")[2] if "@" in image else ""


def living(pods: Iterable[Object]) -> list[Object]:
    """Those that are not on their way out."""
    ended = {"Succeeded", "Failed"}
    return [
        pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and _status(pod).get("phase") not in ended
    ]


def is_ready(pod: Object) -> bool:
    return any(
        one.get("type") == "Ready" and one.get("status") == "True" for one in _status(pod).get("conditions") or []
    )


def image(pod: Object) -> str:
    """What the pod was made of: not always what the Deployment says, since a webhook may rewrite it."""
    containers = pod["spec"].get("containers") or []
    return next((str(one.get("image")) for one in containers if one.get("name") == CONTAINER), "")


def server(pod: Object) -> str:
    """Which process answers in it: after a restart it is another one."""
    restarts = next((one.get("restartCount", 0) for one in _containers(pod)), 0)
    return f"{pod['metadata']['uid']}/{restarts}"


def readiness(deployment: Object, pods: Sequence[Object], wanted: str) -> Readiness:
    """Of a Deployment and its pods. `wanted`: the digest that has to run. The words of a crash come from elsewhere."""
    name, asked = deployment["metadata"]["name"], int(deployment["spec"].get("replicas", 1))
    there = living(pods)
    for pod in there:
        if digest(image(pod)) != wanted:
            said = f"a pod of {name} runs {image(pod) or 'nothing'}, not {wanted}: something in the cluster rewrote it."
            return Readiness(False, ended=True, said=said)
    hopeless = next(_hopeless(there), "")
    if hopeless:
        return Readiness(False, ended=True, said=f"{name} does not come up: {hopeless}.")
    if _overdue(deployment):
        words = next(_waiting(there), "no pod is ready")
        return Readiness(False, ended=True, said=f"{name} made no progress in time: {words}.")
    status = deployment.get("status") or {}
    observed = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
    ready = sum(map(is_ready, there))
    current = observed and int(status.get("updatedReplicas", 0)) >= asked
    if current and ready >= asked > 0 and int(status.get("availableReplicas", 0)) >= asked:
        return Readiness(True, said=f"{ready} of {asked} pods are ready.")
    words = next(_waiting(there), "")
    return Readiness(False, said=f"{ready} of {asked} pods of {name} are ready{f': {words}' if words else ''}.")


def crashed(pods: Iterable[Object]) -> str:
    """A pod whose container ended, by name: its words are worth reading."""
    for pod in living(pods):
        for one in _containers(pod):
            if _ended(one) is not None:
                return str(pod["metadata"]["name"])
    return ""


def _hopeless(pods: Iterable[Object]) -> Iterator[str]:
    for pod in pods:
        for one in _containers(pod):
            waiting = (one.get("state") or {}).get("waiting") or {}
            reason, message = str(waiting.get("reason") or ""), _short(waiting.get("message"))
            if reason in _HOPELESS:
                yield f"{_HOPELESS[reason]} ({message or reason})"
            elif reason == "ImagePullBackOff" or (reason == "ErrImagePull" and _REFUSED.search(message)):
                yield f"its image cannot be pulled ({message or reason})"
            elif reason == "CrashLoopBackOff" or (int(one.get("restartCount", 0)) >= _CRASHES and not one.get("ready")):
                yield _crash(one)


def _crash(one: Object) -> str:
    ended = _ended(one) or {}
    if ended.get("reason") == "OOMKilled":
        return "its container was killed for want of memory"
    return f"its container ends at once (exit code {ended.get('exitCode', 'unknown')})"


def _ended(one: Object) -> Object | None:
    for which in ("state", "lastState"):
        found = (one.get(which) or {}).get("terminated")
        if found:
            return dict(found)
    return None


def _waiting(pods: Iterable[Object]) -> Iterator[str]:
    """Why the first pod that is not ready is not."""
    for pod in pods:
        if is_ready(pod):
            continue
        for condition in _status(pod).get("conditions") or []:
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                yield f"no node takes it ({_short(condition.get('message'))})"
        for one in _containers(pod):
            state = one.get("state") or {}
            reason = (state.get("waiting") or {}).get("reason")
            if reason:
                yield f"its container waits ({reason})"
            elif state.get("running") and not one.get("ready"):
                yield "its container runs, and its readiness probe does not pass"


def _overdue(deployment: Object) -> bool:
    return any(
        one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded"
        for one in (deployment.get("status") or {}).get("conditions") or []
    )


def _status(pod: Object) -> Object:
    return pod.get("status") or {}


def _containers(pod: Object) -> Sequence[Object]:
    return [one for one in _status(pod).get("containerStatuses") or [] if one.get("name") == CONTAINER]


def _short(message: object) -> str:
    return " ".join(str(message or "").split())[:200].rstrip(".")
