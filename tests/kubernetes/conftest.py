"""Fixtures of the tests on a cluster: `cluster`, one for each process of a test run, and `space`, a namespace of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubernetes.cluster import Cluster, started
from kubernetes.space import Space


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def space(cluster: Cluster, tmp_path: Path) -> Iterator[Space]:
    made = Space(cluster, tmp_path)
    yield made
    made.remove()
