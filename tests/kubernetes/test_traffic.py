"""Who gets the traffic: by the number of pods, through the endpoints that real controllers make; and by a Gateway."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kubernetes.space import MODEL, Space
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import FencedError, NotYetError, Target, TargetError
from mlgate.rollout.targets.kube import names, traffic
from rollout.conformance import begin, settled, weights

pytestmark = pytest.mark.long


def up(target: Target, *releases: Release, replicas: int = 1) -> None:
    for one in releases:
        target.start(one, replicas=replicas)
    for one in releases:
        said = settled(target, one.slot, 30)
        assert said.ready, said.said


def test_the_share_of_the_requests_is_the_share_of_the_pods_and_is_said(space: Space) -> None:
    stable, canary = space.release(), space.release()
    target = space.target(replicas=4)
    begin(target)
    up(target, stable, replicas=4)
    target.weigh({stable.slot: 100})
    up(target, canary, replicas=4)  # all of its pods are there to be tried, and none gets a request
    assert space.spread(40) == {stable.slot: 40}
    for weight, pods, real in ((5, 1, 20.0), (25, 1, 20.0), (50, 4, 50.0)):
        target.weigh({stable.slot: 100 - weight, canary.slot: weight})
        assert weights(target)[canary.slot] == pytest.approx(real)
        counts = space.spread(200)
        assert counts[canary.slot] == pytest.approx(2 * real, abs=2)
        assert {one.name: one.ready for one in target.slots()} == {stable.slot: 4, canary.slot: pods}
    target.weigh({canary.slot: 100})
    assert space.spread(40) == {canary.slot: 40}
    assert weights(target) == {stable.slot: 0, canary.slot: 100}


@contextmanager
def calling(space: Space) -> Iterator[Callable[[], Counter[int]]]:
    """Requests without a pause to whatever addresses the Service has, as a proxy on each node would send them."""
    over, counts = threading.Event(), Counter[int]()
    known = [space.settled()]

    def follow() -> None:
        while not over.is_set():
            known[0] = space.addresses() or known[0]
            time.sleep(0.05)

    def call(number: int) -> None:
        while not over.is_set():
            there = known[0]
            counts[space.call(there[number % len(there)])[0]] += 1
            number += 1

    threads = [threading.Thread(target=follow), *(threading.Thread(target=call, args=(at,)) for at in range(2))]
    for one in threads:
        one.start()
    try:
        yield lambda: counts
    finally:
        over.set()
        for one in threads:
            one.join()


def test_no_request_is_lost_while_a_model_is_taken_up_and_turned_back(space: Space) -> None:
    stable, canary = space.release(), space.release()
    target = space.target(replicas=2)
    begin(target)
    up(target, stable, replicas=2)
    target.weigh({stable.slot: 100})
    with calling(space) as counts:
        up(target, canary, replicas=2)
        for weight in (5, 25, 50, 100):
            target.weigh({stable.slot: 100 - weight, canary.slot: weight})
            time.sleep(0.5)
        target.weigh({stable.slot: 100})
        time.sleep(0.5)
        target.stop(canary.slot)
    assert set(counts()) == {200}
    assert counts()[200] > 500
    assert weights(target) == {stable.slot: 100}


def test_the_way_back_waits_for_nothing(space: Space) -> None:
    stable, canary = space.release(), space.release()
    target = space.target(replicas=3)
    begin(target)
    up(target, stable, canary, replicas=3)
    target.weigh({stable.slot: 75, canary.slot: 25})
    before = {one.name: one.ready for one in target.slots()}
    assert before == {stable.slot: 3, canary.slot: 1}
    target.weigh({stable.slot: 100})
    assert weights(target) == {stable.slot: 100, canary.slot: 0}
    assert space.spread(30) == {stable.slot: 30}


def test_traffic_stays_where_it_is_until_enough_pods_are_ready(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "PATIENCE", 3.0)
    stable, canary = space.release(), space.release()
    target = space.target(replicas=3)
    begin(target)
    up(target, stable, replicas=3)
    target.weigh({stable.slot: 100})
    up(target, canary, replicas=1)
    space.cluster.kubelet.behaviours[canary.digest].fault = "never"  # of the pods that are still to come
    with pytest.raises(NotYetError, match=r"pods of .* are ready and the share takes 3: the traffic stays as it was"):
        target.weigh({canary.slot: 100})
    assert weights(target)[stable.slot] == 100


def test_a_third_slot_gets_no_traffic_by_being_started_while_it_is_split(space: Space) -> None:
    stable, canary, third = (space.release() for _ in range(3))
    target = space.target(replicas=1)
    begin(target)
    up(target, stable, canary)
    target.weigh({stable.slot: 50, canary.slot: 50})
    with pytest.raises(TargetError, match="would get traffic as soon as it is ready"):
        target.start(third, replicas=1)
    assert third.slot not in weights(target)


def test_an_autoscaler_is_there_only_where_it_moves_no_share(space: Space) -> None:
    stable, canary = space.release(), space.release()
    target = space.target(replicas=1, target={"max_replicas": 4})

    def scaled() -> set[str]:
        path = f"/apis/autoscaling/v2/namespaces/{space.name}/horizontalpodautoscalers"
        return {one["spec"]["scaleTargetRef"]["name"] for one in space.cluster.api.get(path)["items"]}

    begin(target)
    up(target, stable, canary)
    target.weigh({stable.slot: 100})
    assert scaled() == {names.of_slot(stable.slot, "production")}
    target.weigh({stable.slot: 50, canary.slot: 50})
    assert scaled() == set()
    target.weigh({canary.slot: 100})
    assert scaled() == {names.of_slot(canary.slot, "production")}
    # What the autoscaler has made of the number of pods is not undone by starting the same release again.
    space.cluster.kubectl(
        "scale", f"deployment/{names.of_slot(canary.slot, 'production')}", "--replicas=3", f"--namespace={space.name}"
    )
    target.start(canary, replicas=1)
    deployment = space.cluster.api.get(
        f"/apis/apps/v1/namespaces/{space.name}/deployments/{names.of_slot(canary.slot, 'production')}"
    )
    assert deployment["spec"]["replicas"] == 3


def test_who_was_overtaken_while_it_waited_moves_no_traffic(space: Space) -> None:
    stable, canary = space.release(), space.release()
    slow, other = space.target(replicas=1), space.target(replicas=1)
    begin(slow)
    up(slow, stable, canary)
    slow.weigh({stable.slot: 100})
    put = slow._traffic._put

    def overtaken(made: dict[str, Any]) -> None:
        begin(other, '{"holder": "other"}')
        put(made)

    slow._traffic._put = overtaken  # type: ignore[method-assign]
    with pytest.raises(FencedError):
        slow.weigh({canary.slot: 100})
    assert weights(other)[stable.slot] == 100


# -- gateway -----------------------------------------------------------------------------------------------------------

GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "front"},
    "spec": {"gatewayClassName": "tests", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}  # fmt: skip


def route(space: Space) -> dict[str, Any]:
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{space.name}/httproutes"
    return space.cluster.api.get(f"{path}/{names.service(MODEL, 'production')}")


@contextmanager
def controller(space: Space, *, accepts: bool = True, message: str = "") -> Iterator[None]:
    """What a Gateway's controller does to a route: it says whether it has taken up this generation of it."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.05):
            found = route(space)
            if "spec" not in found:
                continue
            generation = found["metadata"]["generation"]
            condition = {
                "type": "Accepted", "status": str(accepts), "reason": "Accepted" if accepts else "NoMatchingParent",
                "message": message, "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }  # fmt: skip
            parent = {"parentRef": {"name": "front"}, "controllerName": "tests.io/x", "conditions": [condition]}
            name = names.service(MODEL, "production")
            path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{space.name}/httproutes/{name}/status"
            space.cluster.api.patch(path, {"status": {"parents": [parent]}})

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_gateway_splits_to_a_hundredth_of_a_percent(space: Space) -> None:
    stable, canary = space.release(), space.release()
    space.cluster.kubectl("apply", f"--namespace={space.name}", "--filename=-", given=json.dumps(GATEWAY))
    target = space.target(
        replicas=1, url="https://visits.example.com/v1", target={"routing": "gateway", "gateway": "front"}
    )
    begin(target)
    with controller(space):
        up(target, stable, canary)
        assert weights(target) == {stable.slot: 0, canary.slot: 0}
        for share in (0.0, 0.25, 5.0, 100.0):
            target.weigh({stable.slot: 100 - share, canary.slot: share})
            assert weights(target) == pytest.approx({stable.slot: 100 - share, canary.slot: share})
    spec = route(space)["spec"]
    assert spec["hostnames"] == ["visits.example.com"]
    assert spec["rules"][0]["matches"][0]["path"] == {"type": "PathPrefix", "value": "/v1"}
    assert [one["name"] for one in spec["rules"][0]["backendRefs"]] == [names.of_slot(canary.slot, "production")]
    assert target.url == "https://visits.example.com/v1"


def test_a_route_that_nobody_takes_up_is_said(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "TAKEN_UP", 2.0)
    stable = space.release()
    target = space.target(replicas=1, target={"routing": "gateway", "gateway": "elsewhere/front"})
    begin(target)
    up(target, stable)
    with pytest.raises(TargetError, match="no controller has taken up the route"):
        target.weigh({stable.slot: 100})
    with (
        controller(space, accepts=False, message="There is no such Gateway."),
        pytest.raises(TargetError, match=r"does not take the route .*: There is no such Gateway"),
    ):
        target.weigh({stable.slot: 100})
