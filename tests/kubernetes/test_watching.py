"""What is seen of the pods: counters by the API server's proxy, scores from logs, and what is said to be missed."""

from __future__ import annotations

import pytest
import requests

from kubernetes.space import Space
from kubernetes.test_traffic import up
from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Target
from rollout.conformance import begin, wait_until

pytestmark = pytest.mark.long


def pods(space: Space, release: Release) -> list[str]:
    """Addresses of a slot's pods."""
    return sorted(one.address for one in space.cluster.kubelet.pods.values() if one.slot == release.slot)


def both(space: Space, **keys: object) -> tuple[Target, Release, Release]:
    stable, canary = space.release(score=0.2), space.release(score=0.9)
    target = space.target(replicas=2, **keys)
    begin(target)
    up(target, stable, canary, replicas=2)
    target.weigh({stable.slot: 50, canary.slot: 50})
    return target, stable, canary


def test_answers_errors_and_times_are_counted_once_in_windows_that_meet(space: Space) -> None:
    target, stable, canary = both(space)
    slots = [stable.slot, canary.slot]
    edges = [target.now()]
    target.observe(slots, edges[0], edges[0])
    for number in range(2):
        for address in pods(space, stable):
            for _ in range(10 + number):
                assert space.call(address)[0] == 200
        for status in (500, 503, 422):
            assert space.call(pods(space, canary)[0], f'{{"status": {status}}}')[0] == status
        edges.append(target.now())
        seen = target.observe(slots, edges[-2], edges[-1])
        assert seen.complete, seen.why
        assert (seen.tallies[stable.slot].requests, seen.tallies[stable.slot].errors) == (2 * (10 + number), 0)
        assert (seen.tallies[canary.slot].requests, seen.tallies[canary.slot].errors) == (3, 2)
        assert seen.tallies[stable.slot].times.total == 2 * (10 + number)
        assert seen.tallies[stable.slot].scores is None  # no rule asks for them
    whole = target.observe(slots, edges[0], edges[2])
    assert whole.tallies[stable.slot].requests == 42
    assert whole.tallies[canary.slot].errors == 4


def test_another_process_goes_on_from_what_was_counted(space: Space) -> None:
    target, stable, canary = both(space)
    edge = target.now()
    target.observe([stable.slot], edge, edge)
    for _ in range(7):
        space.call(pods(space, stable)[0])
    later = space.target(replicas=2)
    later.read()
    seen = later.observe([stable.slot, canary.slot], edge, later.now())
    assert seen.complete, seen.why
    assert seen.tallies[stable.slot].requests == 7
    assert seen.tallies[canary.slot].requests == 0


def test_what_a_server_counted_before_it_was_started_again_is_missed_and_said(space: Space) -> None:
    target, stable, canary = both(space)
    edge = target.now()
    target.observe([canary.slot], edge, edge)
    for _ in range(5):
        space.call(pods(space, canary)[0])
    space.cluster.kubelet.restart(canary.slot)

    def missed() -> bool:
        seen = target.observe([stable.slot, canary.slot], edge, target.now())
        return not seen.complete and "ended, and their last counts with them" in seen.why

    assert wait_until(missed, 10)


def test_a_pod_that_counts_nothing_is_said(space: Space) -> None:
    target, stable, _ = both(space)
    for one in space.cluster.kubelet.pods.values():
        if one.slot == stable.slot:
            one.metrics.render = lambda: b"python_info 1\n"  # type: ignore[method-assign]
    now = target.now()
    seen = target.observe([stable.slot], now, now)
    assert not seen.complete
    assert "counts no requests at /metrics" in seen.why


def test_scores_are_read_where_a_rule_asks_for_them(space: Space) -> None:
    target, stable, canary = both(space, rules=["prediction_shift <= 0.1"])
    since = target.now()
    for address in (*pods(space, stable), *pods(space, canary)):
        for _ in range(5):
            assert space.call(address)[0] == 200
    seen = target.observe([stable.slot, canary.slot], since - 2, target.now() + 2)
    for release, score in ((stable, 0.2), (canary, 0.9)):
        scores = seen.tallies[release.slot].scores
        assert scores is not None
        assert scores.counts == {bins.score(score): 10}


def test_a_slot_is_reached_past_the_router(space: Space) -> None:
    target, stable, canary = both(space)
    target.weigh({stable.slot: 100})
    for release in (stable, canary):
        with target.open(release.slot) as url:
            assert requests.get(f"{url}/health", timeout=5).status_code == 200
            answer = requests.post(f"{url}/predict", json={}, timeout=5)
            assert (answer.status_code, answer.json()) == (200, {"name": release.slot})
            assert requests.post(f"{url}/predict", json={"status": 422}, timeout=5).status_code == 422
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/health", timeout=5)
