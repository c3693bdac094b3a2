"""The docker target keeps every promise of targets, on the real engine and the real HAProxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from docker.rollout_bench import DockerBench, world
from engine.proxy import Standins
from mlgate.image.engine import Engine
from rollout.conformance import Bench, Conformance

pytestmark = pytest.mark.docker


@pytest.mark.long  # each promise brings up a router and servers; what test_rollout_live does is in every run
class TestDocker(Conformance):
    @pytest.fixture
    def bench(self, engine: Engine, proxy_image: str, standins: Standins, tmp_path: Path) -> Iterator[Bench]:
        with world(engine, proxy_image, standins, tmp_path) as made:
            yield DockerBench(made)
