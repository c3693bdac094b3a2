"""A release's whole way on a real API server: by the state machine, past faults, and back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from kubernetes.kubelet import Behaviour
from kubernetes.space import Space, release
from kubernetes.test_traffic import up
from mlgate.config.deploying import Environment
from mlgate.model import Check, Verdict
from mlgate.rollout import strategies
from mlgate.rollout.analysis import outcome
from mlgate.rollout.machine import Machine, Transition
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State
from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.kube import names
from mlgate.rollout.targets.kube.client import Kubectl
from mlgate.rollout.targets.kubernetes import Kubernetes
from rollout.conformance import begin, settled, weights

pytestmark = pytest.mark.long

CANARY: dict[str, Any] = {
    "strategy": "canary", "replicas": 3, "steps": ["25%", "50%"], "rules": ["error_rate <= 5%"],
    "step": {"requests": 150, "at_least": "1 s", "at_most": "90 s", "period": "1 s", "warm_up": "0.2 s"},
}  # fmt: skip


@dataclass
class Tried:
    checks: Sequence[Check] = ()


@dataclass
class Told:
    names: list[str] = field(default_factory=list)

    def __call__(self, transition: Transition) -> None:
        self.names.append(transition.name)

    @property
    def without_held(self) -> list[str]:
        """A look that comes before the first request cannot decide."""
        return [name for name in self.names if name != "held"]


def tried(target: Any, candidate: Release, stable: Release | None, alive: Callable[[], None]) -> Tried:
    """One request at its own address."""
    import requests  # noqa: PLC0415

    with target.open(candidate.slot) as url:
        said = requests.post(f"{url}/predict", json={}, timeout=5)
    alive()
    verdict = Verdict.PASS if said.json().get("name") == candidate.slot else Verdict.FAIL
    return Tried([Check(id="rollout.smoke", title="answers", group="rollout", verdict=verdict)])


def judge(settings: Environment) -> Callable[..., Any]:
    def decide(state: State, *, complete: bool, why: str) -> outcome.Judged:
        strata = [outcome.Stratum(one.weight, one.stable, one.canary) for one in state.seen]
        step = state.plan.steps[state.step]
        return outcome.judge(
            settings.rules, strata, confidence=0.95, planned=step.requests, steps=len(state.plan.steps),
            last=state.step == len(state.plan.steps) - 1, streaks=state.streaks, complete=complete, why=why,
        )  # fmt: skip

    return decide


def deploy(target: Kubernetes, candidate: Release, stable: Release | None) -> tuple[State, Told]:
    settings, told = target.place.settings, Told()
    machine = Machine(target, judge=judge(settings), checks=tried, record=told)
    plan = strategies.plan(settings, stable=stable is not None, timeout=0.5)
    return machine.loop(machine.begin(candidate, stable, plan, strategy=settings.strategy)), told


@contextmanager
def traffic(space: Space) -> Iterator[list[int]]:
    """Callers without a pause; the statuses they got."""
    over, statuses = threading.Event(), [0]
    statuses.clear()

    def call(number: int) -> None:
        while not over.is_set():
            there = space.addresses()
            for one in range(20):
                if there:
                    statuses.append(space.call(there[(number + one) % len(there)])[0])
                time.sleep(0.01)
            number += 20

    threads = [threading.Thread(target=call, args=(at,)) for at in range(2)]
    for one in threads:
        one.start()
    try:
        yield statuses
    finally:
        over.set()
        for one in threads:
            one.join()


def test_a_good_model_takes_over_and_a_bad_one_is_turned_back(space: Space) -> None:
    first, good, bad = space.release(), space.release(), space.release(errors=0.3)
    target = space.target(**CANARY)
    state, told = deploy(target, first, None)
    assert (state.outcome, weights(target)) == ("complete", {first.slot: 100})
    with traffic(space) as statuses:
        state, told = deploy(target, good, first)
        assert state.outcome == "complete", state.reason
        assert told.without_held == [
            "started",
            "checked",
            "advanced",
            "advanced",
            "promoting",
            "complete",
        ]
        assert [round(one.weight) for one in state.seen] == [25, 50]
        assert all(one.canary.requests >= 150 for one in state.seen)
        assert weights(target)[good.slot] == 100
        assert set(statuses) == {200}
        state, told = deploy(target, bad, good)
        assert (state.outcome, state.verdict) == ("aborted", Verdict.FAIL)
        assert "error_rate" in state.reason
        assert weights(target) == {good.slot: 100}
        assert set(statuses) == {200, 500}
        assert [round(one.weight) for one in state.seen] == [25]  # it got no further


def test_rolling_goes_pod_by_pod(space: Space) -> None:
    old, new = space.release(), space.release()
    target = space.target(strategy="rolling", replicas=3, step={"at_least": "1 s", "period": "1 s", "warm_up": "0 s"})
    deploy(target, old, None)
    most = [0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            most.append(len(space.addresses()))

    thread = threading.Thread(target=look)
    thread.start()
    with traffic(space) as statuses:
        state, _ = deploy(target, new, old)
    over.set()
    thread.join()
    assert state.outcome == "complete", state.reason
    assert weights(target) == {new.slot: 100}
    assert [one.ready for one in target.slots()] == [3]
    assert set(statuses) == {200}
    assert max(most) <= 5


@pytest.mark.parametrize(
    ("fault", "words"),
    [("crash", "the model file is not the one"), ("image", "its image cannot be pulled (manifest unknown)")],
)
def test_a_release_that_does_not_come_up_gets_no_traffic(space: Space, fault: str, words: str) -> None:
    first, bad = space.release(), space.release(fault=fault)
    target = space.target(strategy="blue-green", replicas=1)
    deploy(target, first, None)
    state, _ = deploy(target, bad, first)
    assert state.outcome in {"aborted", "failed"}
    assert words in state.reason
    assert weights(target) == {first.slot: 100}


def test_a_change_of_what_answers_is_undone_where_it_fails(space: Space) -> None:
    """The same digest with other settings is a new revision of the Deployment that has the traffic."""
    stable = space.release()
    target = space.target(replicas=1)
    begin(target)
    up(target, stable)
    target.weigh({stable.slot: 100})
    space.cluster.kubelet.behaviours[stable.digest] = Behaviour(fault="crash")
    changed = space.target(replicas=1, target={"environment": {"MODE": "broken"}})
    changed.read()
    changed.start(stable, replicas=1)
    said = settled(changed, stable.slot, 30)
    assert said.ended
    assert "What answered before was put back" in said.said
    assert space.spread(10) == {stable.slot: 10}
    space.cluster.kubelet.behaviours[stable.digest] = Behaviour()
    assert settled(changed, stable.slot, 30).ready
    name = names.of_slot(stable.slot, "production")
    path = f"/apis/apps/v1/namespaces/{space.name}/deployments/{name}"
    env = space.cluster.api.get(path)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [one["name"] for one in env] == ["MLGATE_ENVIRONMENT"]


def test_an_image_that_something_rewrote_is_not_called_ready(space: Space) -> None:
    stable, other = space.release(), space.release()
    target = space.target(replicas=1)
    begin(target)
    up(target, stable)
    (pod,) = [one for one in space.cluster.kubelet.pods.values() if one.slot == stable.slot]
    patch = json.dumps({"spec": {"containers": [{"name": "model", "image": other.image}]}})
    space.cluster.kubectl("patch", "pod", pod.name, f"--namespace={space.name}", f"--patch={patch}")
    said = target.ready(stable.slot)
    assert (said.ready, said.ended) == (False, True)
    assert "something in the cluster rewrote it" in said.said
    assert target.slots()[0].image == other.image


def test_a_state_whose_answer_was_lost_is_still_ours(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    target = space.target()
    mark = target.write("one", after="")
    replace = Kubectl.replace

    def twice(self: Kubectl, made: dict[str, Any]) -> dict[str, Any]:
        replace(self, made)
        return replace(self, made)  # as who did not hear the first answer

    monkeypatch.setattr(Kubectl, "replace", twice)
    later = target.write("two", after=mark)
    kept = target.read()
    assert kept is not None
    assert (kept.text, kept.mark) == ("two", later)


def test_a_cluster_that_is_not_there_or_says_no_is_said(space: Space) -> None:
    for environ, words, fix in (
        ({"KUBECONFIG": "/nonexistent"}, "the cluster cannot be reached", "kubeconfig"),
        ({"PATH": "/nonexistent"}, "there is no `kubectl` on PATH", "Install it"),
    ):
        target = space.target()
        target._state._kubectl = Kubectl(space.name, environ={**space.cluster.environ(space.cluster.of_job), **environ})
        with pytest.raises(TargetError, match=words) as caught:
            target.read()
        assert fix in caught.value.fix
    target = space.target(target={"host": "no-such-context"})
    with pytest.raises(TargetError, match=r"cannot be reached: .*no-such-context"):
        target.read()
    target = space.target(target={"namespace": "no-such-namespace"})
    with pytest.raises(TargetError, match="no-such-namespace"):
        target.write("{}", after="")


def test_what_the_job_may_not_do_is_said(space: Space) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space.name}/rolebindings/job"
    space.cluster.api.delete(path)
    with pytest.raises(TargetError, match=r"the cluster refuses `kubectl get`: .*cannot get resource") as caught:
        space.target().read()
    assert "docs/kubernetes.md" in caught.value.fix


def test_a_clock_that_is_off_is_seen(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    target = space.target()
    assert abs(target.now() - time.time()) < 2
    real = time.time
    monkeypatch.setattr("mlgate.rollout.targets.kubernetes.time.time", lambda: real() - 100)
    off = space.target()
    assert 97 < off.now() - time.time() < 103


def test_rendered_manifests_are_what_the_cluster_takes(space: Space) -> None:
    from mlgate.rollout.targets.kubernetes import manifests, written  # noqa: PLC0415

    for routing in ({}, {"routing": "gateway", "gateway": "front"}):
        target = space.target(replicas=2, target={"max_replicas": 4, **routing})
        text = written(manifests(target.place, release()))
        command = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", "--output=name"]
        said = space.cluster.kubectl(*command, f"--namespace={space.name}", given=text).split()
        assert len(said) == 6
