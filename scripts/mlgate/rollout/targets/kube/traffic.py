"""Who gets how much of the traffic: the Service with `routing: replicas`, the HTTPRoute with `routing: gateway`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from mlgate.rollout.targets import NotYetError, Place, TargetError
from mlgate.rollout.targets.kube import manifests, names, pods, shares
from mlgate.rollout.targets.kube.client import ConflictError, Kubectl
from mlgate.rollout.targets.kube.state import State

Object = dict[str, Any]

PATIENCE = 20.0  # seconds for pods to be ready in one call: less than the lease that a call begins with
TAKEN_UP = 15.0  # seconds in which a Gateway's controller says that it has taken a route up
_TRIES = 5


class Traffic:
    """Of one environment. Every change is made to what was read, or not at all."""

    def __init__(
        self, kubectl: Kubectl, place: Place, state: State, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._kubectl = kubectl
        self._place = place
        self._state = state
        self._sleep = sleep
        self._name = names.service(place.model, place.environment)
        self._kind = "httproute" if place.settings.target.routing == "gateway" else "service"

    def found(self) -> Object | None:
        """The Service, or the HTTPRoute, as it is."""
        return self._kubectl.get(self._kind, self._name)

    def percent(self, found: Object | None, ready: Mapping[str, int]) -> dict[str, float]:
        """What each of these slots really gets. `ready`: pods by slot."""
        if self._kind == "service":
            return shares.percent(((found or {}).get("spec") or {}).get("selector"), ready)
        parts = {
            str(backend["name"]): int(backend.get("weight", 1))
            for rule in ((found or {}).get("spec") or {}).get("rules") or []
            for backend in rule.get("backendRefs") or []
        }
        total = sum(parts.values())
        named = {slot: names.of_slot(slot, self._place.environment) for slot in ready}
        return {slot: 100.0 * parts.get(name, 0) / total if total else 0.0 for slot, name in named.items()}

    # -- gateway ------------------------------------------------------------------------------------------------------

    def route(self, weights: Mapping[str, float]) -> None:
        """Raises TargetError where no controller takes the route up."""
        self._put(manifests.route(self._place, shares.parts(weights)))
        end = time.monotonic() + TAKEN_UP
        while (said := refused(self.found() or {})) is not None:
            if said:
                raise TargetError(f"the Gateway does not take the route {self._name}: {said}.")
            if time.monotonic() > end:
                raise TargetError(
                    f"no controller has taken up the route {self._name}, so the weights may not be those asked for.",
                    fix="See whether the Gateway that `target.gateway` names is there and programmed.",
                )
            self._sleep(0.5)

    # -- replicas -----------------------------------------------------------------------------------------------------

    def spread(
        self, weights: Mapping[str, float], deployments: Mapping[str, Object], share: Mapping[str, float]
    ) -> None:
        """Moves pods, then traffic, then what is left over of the pods. `share`: percent that each slot has now."""
        now = {slot: int(one["spec"].get("replicas", 1)) for slot, one in deployments.items()}
        # `rolling` starts and ends pods one by one itself: here the traffic only follows.
        counted = self._place.settings.strategy == "rolling"
        plan = shares.split(weights, self._place.settings.replicas, now, counted=counted)
        if plan.mode == "all":
            # A number that somebody else changes is no share; and who is not named gets nothing.
            self._delete_autoscalers(list(deployments))
            self._scale({slot: 0 for slot, count in now.items() if slot not in plan.pods and count})
            idle = {slot: count for slot, count in plan.pods.items() if not share.get(slot)}
            self._scale({slot: count for slot, count in idle.items() if now[slot] > count})
        self._scale({slot: count for slot, count in plan.pods.items() if now[slot] < count})
        # Whoever has most of the traffic already gets the rest at once: that is the way back.
        urgent = plan.mode == "one" and share.get(plan.only, 0.0) >= 50
        self._wait(plan, exactly=[slot for slot in deployments if not share.get(slot)], urgent=urgent)
        selector = shares.selector(plan, self._place.model, self._place.environment)
        self._put(manifests.front(self._place, selector))
        if plan.mode == "all":
            self._scale({slot: count for slot, count in plan.pods.items() if now[slot] > count})
        elif plan.only and self._place.settings.target.max_replicas is not None:
            self._delete_autoscalers([slot for slot in deployments if slot != plan.only])
            self._kubectl.apply([manifests.autoscaler(self._place, plan.only)])

    def _scale(self, wanted: Mapping[str, int]) -> None:
        for slot, count in wanted.items():
            name = names.of_slot(slot, self._place.environment)
            self._kubectl.run("scale", f"deployment/{name}", f"--replicas={count}")

    def _delete_autoscalers(self, slots: list[str]) -> None:
        if self._place.settings.target.max_replicas is None:
            return
        for slot in slots:
            name = names.of_slot(slot, self._place.environment)
            self._kubectl.run("delete", "horizontalpodautoscaler", name, "--ignore-not-found")

    def _wait(self, plan: shares.Split, *, exactly: list[str], urgent: bool) -> None:
        """Until the pods are there that the split takes; with `all`, idle slots may not have more of them either."""
        end = time.monotonic() + PATIENCE
        while True:
            ready = self._ready()
            short = [slot for slot, count in plan.pods.items() if ready.get(slot, 0) < (1 if urgent else count)]
            if plan.mode == "all":
                short += [slot for slot in exactly if ready.get(slot, 0) > plan.pods.get(slot, 0)]
            if not short:
                return
            if time.monotonic() > end:
                slot = short[0]
                raise NotYetError(
                    f"{ready.get(slot, 0)} pods of {slot} are ready and the share takes {plan.pods.get(slot, 0)}: "
                    "the traffic stays as it was.",
                    fix="See why with `kubectl describe pods`; run it again.",
                )
            self._sleep(0.5)

    def _ready(self) -> dict[str, int]:
        """Pods that get requests when they are selected, by slot: those on their way out may yet get some."""
        own = names.selector(names.labels(self._place.model, self._place.environment))
        counts: dict[str, int] = {}
        for pod in self._kubectl.list("pods", own):
            slot = pod["metadata"]["labels"].get(names.SLOT, "")
            if pods.is_ready(pod) and not pod["metadata"].get("deletionTimestamp"):
                counts[slot] = counts.get(slot, 0) + 1
        return counts

    # -- both ---------------------------------------------------------------------------------------------------------

    def _put(self, made: Object) -> None:
        """Makes it, or replaces exactly what was read: who was overtaken meanwhile changes nothing."""
        for _ in range(_TRIES):
            found = self.found()
            self._state.check()
            try:
                if found is None:
                    self._kubectl.create(self._state.stamp(made))
                    return
                self._state.allows(found)
                self._kubectl.replace(self._state.stamp(_changed(found, made)))
            except ConflictError:
                continue  # such as its status, which its controller writes: read again, and ask again
            return
        raise TargetError(f"{self._kind} {self._name} is written by somebody else all the time.")


def _changed(found: Object, made: Object) -> Object:
    """What was found, with our part of it in place: a Service keeps its addresses, and both what others added."""
    spec = {**found["spec"], **made["spec"]} if found["kind"] == "Service" else made["spec"]
    labels = {**(found["metadata"].get("labels") or {}), **made["metadata"]["labels"]}
    return {**found, "metadata": {**found["metadata"], "labels": labels}, "spec": spec}


def refused(route: Mapping[str, Any]) -> str | None:
    """None when a controller has taken up this generation of a route; why not, or "" where none has said anything."""
    generation = (route.get("metadata") or {}).get("generation")
    for parent in (route.get("status") or {}).get("parents") or []:
        current = {
            str(one.get("type")): one
            for one in parent.get("conditions") or []
            if one.get("observedGeneration") == generation
        }
        for one in current.values():
            if one.get("status") == "False" and one.get("type") in ("Accepted", "ResolvedRefs"):
                return str(one.get("message") or one.get("reason") or "it does not say why").rstrip(".")
        if current.get("Accepted", {}).get("status") == "True":
            return None
    return ""
