"""Targets that others bring: found by their entry point, held to the same promises, and short enough to be written."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.rollout.targets import GROUP, Place, Target, TargetError, find
from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_release import home
from mlgate.rollout.targets.local_servers import Servers
from rollout import example_target, standin
from rollout.conformance import Bench, Conformance
from rollout.local_bench import place, stand_in
from rollout.platform_api import Platform


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip leaves of a package with such an entry point."""
    info = tmp_path / "site" / "acme_target-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-target\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nacme = rollout.example_target:Acme\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


class AcmeBench(Bench):
    words = standin.WORDS
    unable = frozenset({"scores"})  # the platform's API does not tell them

    def __init__(self, folder: Path) -> None:
        self._platforms = [Platform(place(folder, name)) for name in ("staging", "production")]
        self.good = [stand_in(self._platforms[0].place, number) for number in (1, 2)]
        stand_in(self._platforms[1].place, 1)
        self.crashing = stand_in(self._platforms[0].place, 3, fault="crash")
        self.never = stand_in(self._platforms[0].place, 4, fault="never")

    def _at(self, platform: Platform) -> Target:
        port = platform.place.settings.target.port
        told = {
            "target": {"kind": "acme", "options": {"address": platform.address}}, "url": f"http://127.0.0.1:{port}",
        }  # fmt: skip
        return find(replace(platform.place, settings=Environment.model_validate(told)))

    def make(self) -> Target:
        return self._at(self._platforms[0])

    def elsewhere(self) -> Target:
        return self._at(self._platforms[1])

    def kill(self, slot: str) -> None:
        servers = Servers(home(self._platforms[0].place) / "slots" / slot)
        os.killpg(process.pid_of(servers.all()[0].folder), signal.SIGKILL)

    def close(self) -> None:
        for one in self._platforms:
            one.close()


@pytest.mark.usefixtures("installed")
class TestEntryPoint(Conformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        made = AcmeBench(tmp_path)
        yield made
        made.close()


def test_the_example_is_short() -> None:
    assert len(Path(example_target.__file__).read_text("utf-8").splitlines()) < 100


def test_the_page_shows_the_example_that_is_tested() -> None:
    page = Path(__file__).parents[2] / "docs" / "targets.md"
    assert Path(example_target.__file__).read_text("utf-8") in page.read_text("utf-8")


@pytest.mark.usefixtures("installed")
def test_a_platform_that_is_down_is_one_sentence(tmp_path: Path) -> None:
    told = {"target": {"kind": "acme", "options": {"address": "http://127.0.0.1:1"}}}
    where = Place("visits", "staging", Environment.model_validate(told), tmp_path, tmp_path)
    with find(where) as target, pytest.raises(TargetError, match="gives no answer"):
        target.read()


def test_a_kind_that_nobody_brings_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    where = Place("visits", "staging", Environment.model_validate({"target": "acme"}), tmp_path, tmp_path)
    with pytest.raises(MlgateError, match="is 'acme', and nothing that is installed brings such a target") as caught:
        find(where)
    assert caught.value.key == "deploy.environments.staging.target.kind"
    assert "local, docker, kubernetes, command" in caught.value.fix
    assert "mlgate.targets" in caught.value.fix
