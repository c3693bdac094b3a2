"""What is applied, without a cluster: valid by Kubernetes' own schemas, pinned, and with nothing more than it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubernetes.space import place, release
from mlgate.config.values import NAME_PATTERN
from mlgate.errors import MlgateError
from mlgate.rollout.nouns import slot
from mlgate.rollout.targets.kube import names
from mlgate.rollout.targets.kube.gitops import for_commit
from mlgate.rollout.targets.kubernetes import manifests, written

FULL = {
    "replicas": 2, "url": "https://visits.example.com/v1",
    "target": {"max_replicas": 6, "memory": "512Mi", "cpu": "500m", "environment": {"MODE": "fast"},
               "secrets": {"MLGATE_LOG_KEY": "visits/log-key"}},
}  # fmt: skip
GATEWAY = {"target": {"routing": "gateway", "gateway": "infra/front"}}


def kinds(objects: list[dict[str, Any]]) -> list[str]:
    return sorted(one["kind"] for one in objects)


def the(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (one for one in objects if one["kind"] == kind)
    return found


@pytest.mark.parametrize("version", ["1.30", "1.33", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("keys", [{}, FULL, GATEWAY, {**FULL, **GATEWAY}], ids=["least", "full", "gateway", "both"])
def test_every_manifest_is_valid_without_a_cluster(tmp_path: Path, version: str, keys: dict[str, Any]) -> None:
    objects = manifests(place(tmp_path, **keys), release())
    known = [one for one in objects if one["kind"] != "HTTPRoute"]  # tried against its own CRD, on a real API server
    assert len(objects) - len(known) == (1 if "routing" in keys.get("target", {}) else 0)
    for one in known:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_tell_a_wrong_manifest_from_a_right_one(tmp_path: Path) -> None:
    deployment = the("Deployment", manifests(place(tmp_path), release()))
    deployment["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.33", strict=True)


def test_everything_that_the_plan_asks_for_is_there(tmp_path: Path) -> None:
    least = ["Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service"]
    assert kinds(manifests(place(tmp_path), release())) == least
    assert kinds(manifests(place(tmp_path, **FULL), release())) == sorted([*least, "HorizontalPodAutoscaler"])
    gateway = ["Deployment", "HTTPRoute", "NetworkPolicy", "PodDisruptionBudget", "Service"]
    assert kinds(manifests(place(tmp_path, **GATEWAY), release())) == gateway


def test_a_pod_runs_one_digest_and_may_do_nothing_else(tmp_path: Path) -> None:
    asked = release()
    deployment = the("Deployment", manifests(place(tmp_path, **FULL), asked))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == asked.image
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["resources"] == {
        "limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "500m", "memory": "512Mi"},
    }  # fmt: skip
    assert {one for one in container if one.endswith("Probe")} == {"startupProbe", "readinessProbe", "livenessProbe"}
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert pod["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"] + 1
    assert deployment["spec"]["template"]["metadata"]["annotations"]["mlgate.io/decision"] == asked.decision
    policy = the("NetworkPolicy", manifests(place(tmp_path), asked))["spec"]
    assert (policy["egress"], policy["policyTypes"]) == ([], ["Ingress", "Egress"])


def test_a_secret_is_named_and_never_written(tmp_path: Path) -> None:
    deployment = the("Deployment", manifests(place(tmp_path, **FULL), release()))
    env = {one["name"]: one for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["MLGATE_LOG_KEY"] == {
        "name": "MLGATE_LOG_KEY", "valueFrom": {"secretKeyRef": {"name": "visits", "key": "log-key"}},
    }  # fmt: skip
    assert env["MODE"] == {"name": "MODE", "value": "fast"}


def test_the_same_release_is_the_same_text(tmp_path: Path) -> None:
    asked = release()
    text = written(manifests(place(tmp_path, **FULL), asked))
    assert text == written(manifests(place(tmp_path, **FULL), asked))
    assert list(yaml.safe_load_all(text)) == manifests(place(tmp_path, **FULL), asked)


def test_a_share_is_rendered_as_the_pods_that_make_it(tmp_path: Path) -> None:
    stable, canary = release(), release()
    weights = {stable.slot: 75.0, canary.slot: 25.0}
    objects = manifests(place(tmp_path, replicas=3, target={"max_replicas": 9}), canary, weights)
    assert the("Deployment", objects)["spec"]["replicas"] == 1
    assert "HorizontalPodAutoscaler" not in kinds(objects)
    routed = the("HTTPRoute", manifests(place(tmp_path, **GATEWAY), canary, weights))
    assert [one["weight"] for one in routed["spec"]["rules"][0]["backendRefs"]] in ([7500, 2500], [2500, 7500])


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        ({"target": {"memory": "1 GB"}}, "target.memory", "no quantity of Kubernetes"),
        ({"target": {"cpu": "lots"}}, "target.cpu", "no quantity of Kubernetes"),
        ({"target": {"secrets": {"KEY": "JOB_VARIABLE"}}}, "target.secrets.KEY", "names no key of a Secret"),
        ({"replicas": 3, "target": {"max_replicas": 2}}, "target.max_replicas", "less than `replicas`"),
        ({"target": {"routing": "gateway"}}, "target.gateway", "attaches a route to a Gateway"),
        ({"sticky": "X-User"}, "sticky", "is not done by Kubernetes"),
    ],
)
def test_settings_that_no_cluster_takes_are_said(tmp_path: Path, keys: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(MlgateError, match=words) as caught:
        manifests(place(tmp_path, **keys), release())
    assert caught.value.key == f"deploy.environments.production.{key}"
    assert caught.value.fix


def test_what_is_rendered_is_what_would_be_committed(tmp_path: Path) -> None:
    asked, where = release(), place(tmp_path, target={"gitops": "deploy"})
    assert manifests(where, asked) == for_commit(where, asked)


def test_what_is_committed_is_valid_and_keeps_its_names(tmp_path: Path) -> None:
    one, other = (for_commit(place(tmp_path, **FULL), release()) for _ in range(2))
    assert [each["metadata"]["name"] for each in one] == [each["metadata"]["name"] for each in other]
    assert len({(each["kind"], each["metadata"]["name"]) for each in one}) == len(one)
    for each in one:
        kubernetes_validate.validate(each, "1.33", strict=True)
    selector = the("Deployment", one)["spec"]["selector"]["matchLabels"]
    assert selector == the("Deployment", other)["spec"]["selector"]["matchLabels"]  # which nobody may change
    assert selector.items() <= the("Deployment", one)["spec"]["template"]["metadata"]["labels"].items()
    assert the("Service", one)["spec"]["selector"] == selector


_TEXT = st.text(min_size=1, max_size=120)
_MODEL = st.from_regex(re.compile(NAME_PATTERN, re.ASCII), fullmatch=True)


@given(_MODEL, _TEXT)
def test_every_name_is_one_that_kubernetes_takes(model: str, environment: str) -> None:
    for name in (names.service(model, environment), names.of_slot(slot(model, "sha256:ab"), environment)):
        assert len(name) <= 63
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name), name
    for value in names.labels(model, environment, "s").values():
        assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)", value), value


@given(_TEXT, _TEXT)
def test_two_names_stay_two(one: str, other: str) -> None:
    if one != other:
        assert names.plain(one, 24) != names.plain(other, 24)
        assert names.label(one) != names.label(other)
