"""The local target keeps every promise of targets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.conformance import Bench, Conformance
from rollout.local_bench import LocalBench


class TestLocal(Conformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        made = LocalBench(tmp_path)
        yield made
        made.close()
