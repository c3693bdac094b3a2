"""What is applied to a cluster for one release: plain objects, as Kubernetes' own documentation writes them.

for_slot(place, release, replicas=2)      # Deployment, Service, PodDisruptionBudget, HorizontalPodAutoscaler
for_environment(place)                    # what callers use, and the NetworkPolicy
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from mlgate.errors import MlgateError
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Place
from mlgate.rollout.targets.kube import names

Object = dict[str, Any]

PORT = 80  # of every Service
LINGER = 5  # seconds that a pod goes on answering after it was asked to end: until no router sends to it any more
DEADLINE = 600  # seconds in which a Deployment has to make progress
CONTAINER = "model"
_VERSIONS = {
    "Deployment": "apps/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "Service": "v1",
}
_QUANTITY = re.compile(r"([0-9]+(\.[0-9]+)?|\.[0-9]+)(m|k|Ki|M|Mi|G|Gi|T|Ti)?\Z")
_REFERENCE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9._-]+\Z")


def check(place: Place) -> None:
    """Raises MlgateError for settings that no cluster takes, before one is asked."""
    target, where = place.settings.target, f"deploy.environments.{place.environment}"
    for key, value in (("memory", target.memory), ("cpu", target.cpu)):
        if not _QUANTITY.match(value):
            raise MlgateError(
                f"is {value!r}, which is no quantity of Kubernetes.", key=f"{where}.target.{key}",
                fix="Write it like `500m`, `2`, `512Mi` or `1Gi`.",
            )  # fmt: skip
    for name, value in target.secrets.items():
        if not _REFERENCE.match(value):
            raise MlgateError(
                f"is {value!r}, which names no key of a Secret.", key=f"{where}.target.secrets.{name}",
                fix="Write `secret/key`; the Secret is in the same namespace.",
            )  # fmt: skip
    if target.max_replicas is not None and target.max_replicas < place.settings.replicas:
        raise MlgateError(
            f"is {target.max_replicas}, less than `replicas` ({place.settings.replicas}).",
            key=f"{where}.target.max_replicas", fix="Raise it, or leave it out.",
        )  # fmt: skip
    if target.routing == "gateway" and not target.gateway and not target.gitops:
        raise MlgateError(
            "is missing: `routing: gateway` attaches a route to a Gateway.", key=f"{where}.target.gateway",
            fix="Name it: `gateway: name`, or `namespace/name`.",
        )  # fmt: skip
    if place.settings.sticky:
        raise MlgateError(
            "is not done by Kubernetes: neither a Service nor the standard Gateway API keeps callers by a header.",
            key=f"{where}.sticky", fix="Leave it out, or use a target that does it.",
        )  # fmt: skip


# -- once for each slot ------------------------------------------------------------------------------------------------


def for_slot(place: Place, release: Release, *, replicas: int, scales: bool = True) -> list[Object]:
    """Everything of one release. `scales`: with the autoscaler, where `max_replicas` asks for one."""
    made = [_service(place, release), _budget(place, release), deployment(place, release, replicas=replicas)]
    if scales and place.settings.target.max_replicas is not None:
        made.append(autoscaler(place, release.slot))
    return made


def deployment(place: Place, release: Release, *, replicas: int) -> Object:
    """The servers of one digest. The image is pinned by it, so that the kubelet itself refuses any other."""
    own = names.labels(place.model, place.environment, release.slot)
    spec = {
        "replicas": replicas,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": DEADLINE,
        "selector": {"matchLabels": own},
        # Nothing that answers is taken away before what follows it is ready.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": _all_labels(place, release.slot), "annotations": _about(release)},
            "spec": _pod(place, release),
        },
    }
    return _object("Deployment", place, release, spec)


def _pod(place: Place, release: Release) -> Object:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": round(place.drain) + LINGER + 5,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.labels(place.model, place.environment, release.slot)},
            }
        ],
        "containers": [_container(place, release)],
        # All that may be written to; the rest of the disk is read-only.
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
            {"name": "log", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }


def _container(place: Place, release: Release) -> Object:
    target = place.settings.target
    limits = {"cpu": target.cpu, "memory": target.memory}
    return {
        "name": CONTAINER,
        "image": release.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": release.port, "protocol": "TCP"}],
        "env": _variables(place),
        "resources": {"limits": limits, "requests": dict(limits)},
        "startupProbe": {**_probe(), "periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": {**_probe(), "periodSeconds": 5, "failureThreshold": 2},
        # The server says 503 when calls never return: then it is started again, but not at the first slow answer.
        "livenessProbe": {**_probe(), "periodSeconds": 10, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": LINGER}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- inside the container
            {"name": "log", "mountPath": "/var/log/mlgate"},
        ],
    }


def _probe() -> Object:
    return {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 5}


def _variables(place: Place) -> list[Object]:
    """Sorted, so that the same settings are the same Deployment."""
    target = place.settings.target
    said: list[Object] = [{"name": "MLGATE_ENVIRONMENT", "value": place.environment}]
    said += [{"name": name, "value": value} for name, value in sorted(target.environment.items())]
    for name, value in sorted(target.secrets.items()):
        secret, _, key = value.partition("/")
        said.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return said


def _service(place: Place, release: Release) -> Object:
    """The slot's own: what a route gives weight to, and where a release is tried before it gets any."""
    own = names.labels(place.model, place.environment, release.slot)
    spec = {"selector": own, "ports": _ports()}
    return _object("Service", place, release, spec)


def _budget(place: Place, release: Release) -> Object:
    """One pod at a time may be taken away by whoever empties a node."""
    own = names.labels(place.model, place.environment, release.slot)
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": own}, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return _object("PodDisruptionBudget", place, release, spec)


def autoscaler(place: Place, slot: str) -> Object:
    """Between `replicas` and `max_replicas`, by processor time."""
    name = _slot_name(place, slot)
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": place.settings.replicas,
        "maxReplicas": place.settings.target.max_replicas,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
    }
    return {
        "apiVersion": _VERSIONS["HorizontalPodAutoscaler"],
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": place.settings.target.namespace, "labels": _all_labels(place, slot)},
        "spec": spec,
    }


# -- once for each environment -----------------------------------------------------------------------------------------


def for_environment(place: Place) -> list[Object]:
    """The NetworkPolicy. What callers use is in `front` and `route`: it says who gets the traffic."""
    own = names.labels(place.model, place.environment)
    spec = {
        "podSelector": {"matchLabels": own},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
        "egress": [],  # a model answers, and asks nobody
    }
    return [_shared("NetworkPolicy", place, spec)]


def front(place: Place, selector: dict[str, str]) -> Object:
    """The Service that callers use, with `routing: replicas`."""
    return _shared("Service", place, {"selector": selector, "ports": _ports()})


def route(place: Place, weights: dict[str, int]) -> Object:
    """The HTTPRoute that callers come by, with `routing: gateway`. `weights`: parts by slot."""
    target = place.settings.target
    namespace, _, gateway = (target.gateway or "").rpartition("/")
    parent = {"name": gateway, **({"namespace": namespace} if namespace else {})}
    address = urlsplit(place.settings.url or "")
    backends = [
        {"group": "", "kind": "Service", "name": _slot_name(place, slot), "port": PORT, "weight": parts}
        for slot, parts in sorted(weights.items())
    ]
    rule: Object = {"backendRefs": backends}
    if address.path.strip("/"):
        rule["matches"] = [{"path": {"type": "PathPrefix", "value": address.path.rstrip("/")}}]
        rule["filters"] = [
            {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
        ]
    spec: Object = {"parentRefs": [parent], "rules": [rule]}
    if address.hostname:
        spec["hostnames"] = [address.hostname]
    return _shared("HTTPRoute", place, spec)


# -- what they have in common ------------------------------------------------------------------------------------------


def _ports() -> list[Object]:
    return [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}]


def _slot_name(place: Place, slot: str) -> str:
    return names.of_slot(slot, place.environment)


def _all_labels(place: Place, slot: str = "") -> dict[str, str]:
    common = {"app.kubernetes.io/name": names.label(place.model), "app.kubernetes.io/managed-by": names.MANAGER}
    return {**common, **names.labels(place.model, place.environment, slot)}


def _about(release: Release) -> dict[str, str]:
    """By which anybody who looks at a pod can follow it back."""
    said = {
        "version": release.version,
        "commit": release.commit,
        "decision": release.decision,
        "model-digest": next((f"{kind}:{value}" for kind, value in sorted(release.subject.items())), ""),
        "image": release.image,
    }
    return {f"{names.PREFIX}/{name}": value for name, value in said.items() if value}


def _object(kind: str, place: Place, release: Release, spec: Object) -> Object:
    metadata = {
        "name": _slot_name(place, release.slot),
        "namespace": place.settings.target.namespace,
        "labels": _all_labels(place, release.slot),
        "annotations": _about(release),
    }
    return {"apiVersion": _VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": spec}


def _shared(kind: str, place: Place, spec: Object) -> Object:
    metadata = {
        "name": names.service(place.model, place.environment),
        "namespace": place.settings.target.namespace,
        "labels": _all_labels(place),
    }
    return {"apiVersion": _VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": spec}
