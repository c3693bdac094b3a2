"""What `mlgate retrain` leaves in .mlgate/orders for jobs of the same pipeline: what nobody else was asked to train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import Repo
from forges.dispatch_forges import DispatchGitLab
from forges.git_host import GitHost
from forges.place import READERS, WRITERS, clean
from watch.retrained import Watching


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    clean(monkeypatch)
    with DispatchGitLab() as fake, GitHost(tmp_path / "host", write=set(WRITERS), read=READERS) as host:
        yield Watching(tmp_path, fake, host)
        assert fake.problems == []


def orders(repo: Repo) -> dict[str, str]:
    return {file.name: file.read_text("utf-8") for file in (repo.path / ".mlgate/orders").glob("*")}


def test_what_a_pipeline_of_its_own_trains_is_no_order_here(place: Watching) -> None:
    place.seen()
    assert place.retrain().code == 0
    assert len(place.triggers()) == 1
    assert orders(place.repo) == {}


def test_what_the_jobs_after_this_one_train_is_left_until_it_is_asked_again(place: Watching) -> None:
    place.seen()
    assert place.retrain("--dispatch", "false").code == 0
    (begun,) = place.triggers()
    assert orders(place.repo) == {begun.id: "mlgate.yaml\n"}
    assert place.retrain("--dispatch", "false").code == 0
    assert orders(place.repo) == {}, "it is under way, and trained once"


def test_a_team_that_starts_nothing_elsewhere_has_orders_as_well(place: Watching) -> None:
    place.configure("{dispatch: {by: none}}")
    place.seen()
    assert place.retrain().code == 0
    assert orders(place.repo) == {place.triggers()[0].id: "mlgate.yaml\n"}


def test_what_is_taken_up_is_an_order_and_stays_one_when_it_ends(place: Watching) -> None:
    place.seen()
    place.retrain()
    (begun,) = place.triggers()
    repo = place.clone()
    assert place.retrain("--trigger", "open", "--plan", repo=repo).code == 0
    assert orders(repo) == {}, "a plan changes nothing"
    assert place.retrain("--trigger", "open", repo=repo).code == 0
    assert orders(repo) == {begun.id: "mlgate.yaml\n"}
    assert place.retrain("--trigger", begun.id, "--finish", "failed", repo=repo).code == 1
    assert orders(repo) == {begun.id: "mlgate.yaml\n"}, "the job that says so reads them"


def test_orders_that_nobody_gave_are_none(place: Watching) -> None:
    place.repo.write(".mlgate/orders/0123", "other.yaml\n")
    assert place.retrain("--dispatch", "false").code == 0
    assert orders(place.repo) == {}
