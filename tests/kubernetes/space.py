"""One namespace of the tests' cluster: releases that behave as asked, targets for them, and where callers get."""

from __future__ import annotations

import http.client
import itertools
import secrets
import time
from pathlib import Path
from typing import Any

from kubernetes.cluster import Cluster
from kubernetes.kubelet import Behaviour
from mlgate.config.deploying import Environment
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Place
from mlgate.rollout.targets.kube import names
from mlgate.rollout.targets.kubernetes import Kubernetes

MODEL = "Doctor visits"  # no name that Kubernetes would take as it is


def place(
    folder: Path, *, environment: str = "production", environ: dict[str, str] | None = None, **keys: Any
) -> Place:
    """Of an environment whose settings are `keys` of mlgate.yaml."""
    target = {"kind": "kubernetes", **keys.pop("target", {})}
    settings = Environment.model_validate({"target": target, **keys})
    return Place(MODEL, environment, settings, folder, folder / "state", environ=environ or {}, drain=1.0)


def release(digest: str = "", *, version: str = "v1.0.0") -> Release:
    image = f"registry.test/acme/visits@sha256:{digest or secrets.token_hex(32)}"
    return Release(MODEL, image, {"sha256": "ab" * 32}, version, "c0ffee", "d" * 64)


class Space:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.name = cluster.namespace()

    def remove(self) -> None:
        self.cluster.api.delete(f"/api/v1/namespaces/{self.name}")

    def release(self, **behaves: Any) -> Release:
        made = release()
        self.cluster.kubelet.behaviours[made.digest] = Behaviour(**behaves)
        return made

    def target(self, environment: str = "production", **keys: Any) -> Kubernetes:
        asked = {"namespace": self.name, **keys.pop("target", {})}
        made = place(
            self.folder,
            environment=environment,
            environ=self.cluster.environ(self.cluster.of_job),
            target=asked,
            **keys,
        )
        return Kubernetes(made)

    def addresses(self, environment: str = "production") -> list[str]:
        """Where the Service of an environment leads now, as kube-proxy knows it."""
        service = names.service(MODEL, environment)
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.name}/endpointslices"
        found = self.cluster.api.get(f"{path}?labelSelector=kubernetes.io/service-name={service}")
        return sorted(
            address
            for one in found["items"]
            for endpoint in one["endpoints"] or []
            if endpoint["conditions"]["ready"]
            for address in endpoint["addresses"]
        )

    def call(self, address: str, body: str = "{}") -> tuple[int, str]:
        """Status (0: no answer), and what was answered."""
        link = http.client.HTTPConnection(address, 8080, timeout=10)
        try:
            link.request("POST", "/predict", body)
            answer = link.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            link.close()

    def spread(self, requests: int, environment: str = "production") -> dict[str, int]:
        """Calls each address in turn, as the Service does on average: how many answers came of which slot."""
        counts: dict[str, int] = {}
        for _, address in zip(range(requests), itertools.cycle(self.settled(environment)), strict=False):
            status, said = self.call(address)
            key = said.split('"')[3] if status == 200 else str(status)
            counts[key] = counts.get(key, 0) + 1
        return counts

    def settled(self, environment: str = "production") -> list[str]:
        """The addresses, as soon as they stay the same: controllers follow within moments."""
        seen: list[list[str]] = [[]]
        end = time.monotonic() + 10
        while time.monotonic() < end and (not seen[-1] or seen[-4:] != [seen[-1]] * 4):
            time.sleep(0.15)
            seen.append(self.addresses(environment))
        return seen[-1]
