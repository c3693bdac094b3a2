"""Fakes that are started, forges that do not really wait, and a check that every exchange was as described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forges.fake_forge import FakeForge, FakeGitea, FakeGitHub, FakeGitLab
from mlgate.forges import Forge, detect


def quick(forge: Forge) -> list[float]:
    """Waits are noted, not waited."""
    waits: list[float] = []
    forge.api()._sleep = waits.append
    return waits


def job(fake: FakeForge, **more: str) -> Forge:
    """The forge as a job for pull request 7 sees it."""
    forge = detect(fake.environ(**more))
    quick(forge)
    return forge


def _run(kind: type[FakeForge]) -> Iterator[FakeForge]:
    with kind() as fake:
        yield fake
        assert fake.problems == []


@pytest.fixture(params=[FakeGitHub, FakeGitea, FakeGitLab])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    yield from _run(request.param)


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    yield from _run(FakeGitHub)  # type: ignore[misc]


@pytest.fixture
def gitlab() -> Iterator[FakeGitLab]:
    yield from _run(FakeGitLab)  # type: ignore[misc]
