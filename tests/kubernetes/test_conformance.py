"""Every promise of the interface of targets, on a real API server."""

from __future__ import annotations

import pytest

from kubernetes.space import Space
from mlgate.rollout.targets import Target
from rollout.conformance import Bench, Conformance

pytestmark = pytest.mark.long


class ClusterBench(Bench):
    exact = False  # by the number of pods
    # No kube-proxy runs here. What callers get is tried in test_traffic; counters, in test_watching.
    unable = frozenset({"traffic", "observe", "scores", "drain"})

    def __init__(self, space: Space) -> None:
        self._space = space
        self.good = [space.release() for _ in range(3)]
        self.crashing = space.release(fault="crash")
        self.never = space.release(fault="never")
        self.words = "the model file is not the one that was asked for"

    def make(self) -> Target:
        return self._space.target()

    def elsewhere(self) -> Target:
        return self._space.target("staging")


class TestKubernetes(Conformance):
    @pytest.fixture
    def bench(self, space: Space) -> Bench:
        return ClusterBench(space)
