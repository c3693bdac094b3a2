"""A namespace of a Kubernetes cluster, by kubectl: a Deployment for each digest, and one place that splits the traffic.

    manifests(place, release)         # what would be applied, without a cluster
    make(place).start(release, replicas=2)

What a cluster can do better it does itself: pods that end are replaced, and none is taken away before another is ready.
With `target.gitops` nothing is applied: `kube.gitops` commits the same manifests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import yaml

from mlgate.image.service import last_lines
from mlgate.rollout.nouns import Kept, Observed, Readiness, Release, Slot
from mlgate.rollout.targets import Place, Target, TargetError
from mlgate.rollout.targets.kube import gitops, names, pods, proxying, shares
from mlgate.rollout.targets.kube import manifests as made
from mlgate.rollout.targets.kube.client import GoneError, Kubectl
from mlgate.rollout.targets.kube.state import State
from mlgate.rollout.targets.kube.traffic import Traffic
from mlgate.rollout.targets.kube.watching import Watching

Object = dict[str, Any]

_KINDS = "deployments,services,poddisruptionbudgets,horizontalpodautoscalers"
_CLOCK = 300.0  # seconds after which the cluster's clock is read again


def make(place: Place) -> Target:
    """Raises MlgateError for settings that no cluster takes."""
    made.check(place)
    if place.settings.target.gitops:
        return gitops.GitOps(place)
    return Kubernetes(place)


def manifests(place: Place, release: Release, weights: Mapping[str, float] | None = None) -> list[Object]:
    """Everything that stands for this release, valid on its own: what `apply` would be given.

    `weights`: percent by slot, of a rollout under way; without them the release has all traffic.
    """
    made.check(place)
    if place.settings.target.gitops:
        return gitops.for_commit(place, release)
    gateway = place.settings.target.routing == "gateway"
    weights = weights or {release.slot: 100.0}
    split = shares.split(weights, place.settings.replicas, {})
    count = place.settings.replicas if gateway else split.pods.get(release.slot, place.settings.replicas)
    objects = made.for_environment(place)
    objects += made.for_slot(place, release, replicas=count, scales=gateway or split.mode == "one")
    if gateway:
        objects.append(made.route(place, shares.parts(weights)))
    else:
        objects.append(made.front(place, shares.selector(split, place.model, place.environment)))
    return objects


def written(objects: Sequence[Object]) -> str:
    """As YAML, one document for each object, ready for `kubectl apply --filename -`."""
    return yaml.safe_dump_all(objects, sort_keys=False, explicit_start=True, allow_unicode=True, width=120)


class Kubernetes(Target):
    """One environment in one namespace."""

    def __init__(self, place: Place, kubectl: Kubectl | None = None, *, sleep: Callable[[float], None] = time.sleep):
        super().__init__(place)
        target = place.settings.target
        self._kubectl = kubectl or Kubectl(target.namespace, target.host or "", place.environ)
        self._state = State(self._kubectl, place)
        self._traffic = Traffic(self._kubectl, place, self._state, sleep=sleep)
        self._watching = Watching(self._kubectl, place)
        self._gateway = target.routing == "gateway"
        self._own = names.selector(names.labels(place.model, place.environment))
        self._offset: tuple[float, float] | None = None  # of the cluster's clock, and when it was read

    # -- the state of the rollout -------------------------------------------------------------------------------------

    def read(self) -> Kept | None:
        return self._state.read()

    def write(self, text: str, *, after: str) -> str:
        return self._state.write(text, after=after)

    # -- what runs ----------------------------------------------------------------------------------------------------

    def slots(self) -> Sequence[Slot]:
        deployments = self._deployments()
        if not deployments:
            return []
        there = self._pods()
        ready = {slot: sum(map(pods.is_ready, there.get(slot, []))) for slot in deployments}
        share = self._traffic.percent(self._traffic.found(), ready)
        return [
            Slot(
                name=slot,
                image=next(map(pods.image, there.get(slot, [])), _image(deployment)),
                replicas=len(there.get(slot, [])),
                ready=ready[slot],
                weight=share[slot],
            )
            for slot, deployment in sorted(deployments.items())
        ]

    def _deployments(self) -> dict[str, Object]:
        """By the slot that each is of, without those that are being taken away."""
        found = self._kubectl.list("deployments", self._own)
        return {
            str(one["metadata"]["labels"][names.SLOT]): one
            for one in found
            if not one["metadata"].get("deletionTimestamp") and names.SLOT in one["metadata"]["labels"]
        }

    def _pods(self, slot: str = "") -> dict[str, list[Object]]:
        own = names.selector(names.labels(self.place.model, self.place.environment, slot))
        found: dict[str, list[Object]] = {}
        for pod in pods.living(self._kubectl.list("pods", own)):
            found.setdefault(str(pod["metadata"]["labels"].get(names.SLOT)), []).append(dict(pod))
        return found

    def start(self, release: Release, *, replicas: int) -> None:
        """By server-side apply. What an autoscaler has made of a slot that has all traffic is not undone."""
        self._state.check()
        deployments = self._deployments()
        found = self._traffic.found()
        before = deployments.get(release.slot)
        share = self._traffic.percent(found, dict.fromkeys({*deployments, release.slot}, 1))
        if before is not None and share[release.slot] == 100 and self.place.settings.target.max_replicas is not None:
            replicas = max(replicas, int(before["spec"].get("replicas", 1)))
        elif before is None and not self._gateway:
            how, _ = shares.mode(((found or {}).get("spec") or {}).get("selector") or {})
            if how == "all":
                raise TargetError(
                    f"{release.slot} would get traffic as soon as it is ready: the traffic is split by the number of "
                    "pods between two others.", fix="Give all of it to one of them first: `mlgate deploy --recover`.",
                )  # fmt: skip
        objects = made.for_environment(self.place)
        objects += made.for_slot(self.place, release, replicas=replicas, scales=self._gateway)
        if found is None and not self._gateway:
            objects.append(made.front(self.place, shares.selector(shares.split({}, 1, {}), *self._which)))
        self._kubectl.apply(objects)

    @property
    def _which(self) -> tuple[str, str]:
        return self.place.model, self.place.environment

    def ready(self, slot: str) -> Readiness:
        """What `kubectl rollout status` says, and why. A change of a slot that has traffic is undone if it fails."""
        deployment = self._deployments().get(slot)
        if deployment is None:
            return Readiness(False, ended=True, said=f"{slot} is not there.")
        there = self._pods(slot).get(slot, [])
        wanted = pods.digest(_image(deployment))
        said = pods.readiness(deployment, there, wanted)
        if said.ready:
            name = deployment["metadata"]["name"]
            status = self._kubectl.run("rollout", "status", f"deployment/{name}", "--watch=false").strip()
            return said if "successfully rolled out" in status else Readiness(False, said=status)
        if not said.ended:
            return said
        words = self._words(there)
        return Readiness(
            False, ended=True, said=f"{said.said}{f' It said: {words}' if words else ''}{self._undo(slot)}"
        )

    def _words(self, there: Sequence[Object]) -> str:
        """The last that a crashed container printed."""
        name = pods.crashed(there)
        if not name:
            return ""
        which = ["logs", name, f"--container={made.CONTAINER}", "--tail=20"]
        for more in (["--previous"], []):
            said = self._kubectl.ask(*which, *more)
            if said.code == 0 and said.out.strip():
                return last_lines(said.out)
        return ""

    def _undo(self, slot: str) -> str:
        """The revision before, where this one is a change of a slot that has traffic and still answers."""
        deployment = self._deployments()[slot]
        revision = (deployment["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "1")
        share = self._traffic.percent(self._traffic.found(), {slot: 1})[slot]
        if revision == "1" or not share or not (deployment.get("status") or {}).get("availableReplicas"):
            return ""
        self._state.check()
        self._kubectl.run("rollout", "undo", f"deployment/{deployment['metadata']['name']}")
        return " What answered before was put back (`kubectl rollout undo`)."

    def weigh(self, weights: Mapping[str, float]) -> None:
        """With `routing: replicas`, waits until as many pods are ready as the share takes. Raises TargetError else."""
        self._state.check()
        deployments = self._deployments()
        missing = sorted(slot for slot, weight in weights.items() if weight > 0 and slot not in deployments)
        if missing:
            raise TargetError(f"{missing[0]} is not there, so it can be given no traffic.")
        if self._gateway:
            self._traffic.route(weights)
        elif deployments or any(weights.values()):
            share = {one.name: one.weight for one in self.slots()}
            self._traffic.spread(weights, deployments, share)
        if deployments:
            self._watching.read(self.now(), mark=True)

    def stop(self, slot: str) -> None:
        self._state.check()
        share = next((one.weight for one in self.slots() if one.name == slot), 0.0)
        if share:
            raise TargetError(f"{slot} still has {share:g} % of the traffic.", fix="Give it to another slot first.")
        own = names.selector(names.labels(*self._which, slot))
        self._kubectl.delete(_KINDS, own, timeout=self.place.drain + made.LINGER + 10)

    def open(self, slot: str) -> AbstractContextManager[str]:
        return proxying.opened(self._kubectl, names.of_slot(slot, self.place.environment))

    @property
    def exact(self) -> bool:
        """Shares that are made of pods are as near as these allow; what they really are is judged, and said."""
        return self.place.settings.target.routing == "gateway"

    @property
    def url(self) -> str:
        """With a Gateway, what `url` says; else the Service's name, which the cluster itself knows."""
        if self.place.settings.url or self._gateway:
            return (self.place.settings.url or "").rstrip("/")
        return f"http://{names.service(*self._which)}.{self.place.settings.target.namespace}.svc"

    # -- what it does -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """By the API server's clock, which tells whole seconds."""
        here = time.time()
        if self._offset is None or here - self._offset[1] > _CLOCK:
            before = time.time()
            said = self._kubectl.run(
                "create", "configmap", "mlgate-clock", "--dry-run=server",
                "--output=jsonpath={.metadata.creationTimestamp}",
            )  # fmt: skip
            middle = (before + time.time()) / 2
            try:
                told = datetime.fromisoformat(said.strip()).timestamp()
            except ValueError as error:
                raise TargetError(f"the cluster does not say what time it is: {said.strip()[:80]!r}.") from error
            # Cut to the second, it is up to one second early: only what is beyond that is a difference.
            off = told - middle
            self._offset = (0.0 if -1.0 <= off <= 0.0 else off if off > 0 else off + 1.0, here)
        return time.time() + self._offset[0]

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        """What the pods say they answered. Requests that never reached a pod are not among them."""
        try:
            return self._watching.observe(slots, since, until, self.now())
        except GoneError as error:  # a pod that ended while its log was read
            return Observed(since, until, {}, complete=False, why=error.message)


def _image(deployment: Object) -> str:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return next((str(one["image"]) for one in containers if one["name"] == made.CONTAINER), "")
