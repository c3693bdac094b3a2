"""What every target promises (`mlgate.rollout.targets.Target`), as one suite. A target's tests make a class of it:

    class TestLocal(Conformance):
        @pytest.fixture
        def bench(self, tmp_path) -> Iterator[Bench]: ...

The servers are `standin.py`, or anything that answers as it does. What a place cannot do, its bench says; such tests
are then skipped with the bench's own words, so that a report shows what a target leaves open.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from mlgate.rollout.nouns import Observed, Readiness, Release, Tally
from mlgate.rollout.targets import FencedError, Target, TargetError


class Bench(ABC):
    """One environment to try a target on, empty at first. Whoever makes it takes everything away afterwards."""

    good: Sequence[Release]  # at least two, that come up; `standin.py` with the slot as its name
    crashing: Release | None = None  # ends at once, with `words`
    never: Release | None = None  # runs, and is never ready
    words: str = ""
    patience: float = 60.0  # seconds until a good release is ready
    exact: bool = True  # weights are kept to the request, not only on average
    unable: frozenset[str] = frozenset()  # of: traffic, observe, scores, crash, replicas, drain, image, elsewhere

    @abstractmethod
    def make(self) -> Target:
        """Another object for the same environment, as another job would make it. It knows nothing of the others."""

    def elsewhere(self) -> Target:
        """Another environment of the same model, at the same place."""
        raise NotImplementedError

    def kill(self, slot: str) -> None:
        """Takes one server of a slot away, as a crash would; needed unless `crash` is in `unable`."""
        raise NotImplementedError

    def ask(self, url: str, *, timeout: float = 30.0, headers: dict[str, str] | None = None, **wanted: Any) -> Reply:
        """One prediction. `wanted`: what `standin.py` is to do."""
        parts = urlsplit(url)
        link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        try:
            link.request(
                "POST", "/predict", json.dumps(wanted), {"Content-Type": "application/json", **(headers or {})}
            )
            answer = link.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, repr(error))
        finally:
            link.close()
        with contextlib.suppress(ValueError, AttributeError):
            return Reply(answer.status, str(json.loads(body).get("name", "")))
        return Reply(answer.status, "")


class Reply(tuple[int, str]):
    """Status (0: no answer) and the name of the server that answered."""

    __slots__ = ()

    def __new__(cls, status: int, name: str) -> Reply:
        return super().__new__(cls, (status, name))

    @property
    def status(self) -> int:
        return self[0]

    @property
    def name(self) -> str:
        return self[1]


def wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def settled(target: Target, slot: str, seconds: float) -> Readiness:
    """What `ready` says once it is ready or has ended, or at last."""
    said: list[Readiness] = []

    def over() -> bool:
        said.append(target.ready(slot))
        return said[-1].ready or said[-1].ended

    wait_until(over, seconds)
    return said[-1]


def begin(target: Target, text: str = "{}") -> str:
    """As a rollout does: its state is kept before anything else."""
    kept = target.read()
    return target.write(text, after=kept.mark if kept else "")


def bring_up(bench: Bench, target: Target, *releases: Release, replicas: int = 1) -> None:
    for release in releases:
        target.start(release, replicas=replicas)
    for release in releases:
        said = settled(target, release.slot, bench.patience)
        assert said.ready, f"{release.slot} is not ready: {said.said}"


def weights(target: Target) -> dict[str, float]:
    return {slot.name: slot.weight for slot in target.slots()}


def need(bench: Bench, *what: str) -> None:
    for one in what:
        if one in bench.unable:
            pytest.skip(f"this target cannot: {one}")


def whole(target: Target, slots: Sequence[str], since: float, until: float, requests: int) -> Observed:
    """What was seen, as soon as so many requests are in it: logs may come a moment late."""
    seen: list[Observed] = []

    def there() -> bool:
        seen.append(target.observe(slots, since, until))
        return seen[-1].complete and sum(one.requests for one in seen[-1].tallies.values()) >= requests

    wait_until(there)
    return seen[-1]


class Conformance:
    """Every promise of the interface. `bench`: a fixture of the class that inherits this one."""

    # -- the state of the rollout -------------------------------------------------------------------------------------

    def test_nothing_is_there_at_first(self, bench: Bench) -> None:
        with bench.make() as target:
            assert target.read() is None
            assert list(target.slots()) == []

    def test_what_was_written_is_read_by_another(self, bench: Bench) -> None:
        text = json.dumps({"rollout": "r-1", "said": 'Ä "quoted"\n\\ $HOME `x` 日本', "looks": ["x" * 100] * 300})
        with bench.make() as one, bench.make() as other:
            mark = one.write(text, after="")
            kept = other.read()
            assert kept is not None
            assert (kept.text, kept.mark) == (text, mark)
            later = other.write("{}", after=mark)
            assert later != mark
            again = one.read()
            assert again is not None
            assert (again.text, again.mark) == ("{}", later)

    def test_a_write_has_to_name_the_latest_mark(self, bench: Bench) -> None:
        with bench.make() as one, bench.make() as other:
            first = one.write("one", after="")
            for wrong in ("", "another"):
                with pytest.raises(FencedError):
                    other.write("two", after=wrong)
            second = other.write("two", after=first)
            with pytest.raises(FencedError):
                one.write("three", after=first)
            kept = one.read()
            assert kept is not None
            assert (kept.text, kept.mark) == ("two", second)

    def test_the_same_text_again_has_another_mark(self, bench: Bench) -> None:
        with bench.make() as target:
            first = target.write("same", after="")
            second = target.write("same", after=first)
            assert first != second
            with pytest.raises(FencedError):
                target.write("same", after=first)

    def test_of_many_who_write_at_once_one_succeeds(self, bench: Bench) -> None:
        with bench.make() as target:
            mark = target.write("0", after="")
        ready = threading.Barrier(4)

        def write(text: str) -> str:
            with bench.make() as mine:
                mine.read()
                ready.wait()
                try:
                    mine.write(text, after=mark)
                except FencedError:
                    return ""
                return text

        with ThreadPoolExecutor(4) as pool:
            won = [one for one in pool.map(write, ["a", "b", "c", "d"]) if one]
        assert len(won) == 1
        with bench.make() as target:
            kept = target.read()
            assert kept is not None
            assert kept.text == won[0]

    def test_who_was_overtaken_changes_nothing_any_more(self, bench: Bench) -> None:
        stable, canary = bench.good[:2]
        with bench.make() as one, bench.make() as other:
            begin(one)
            bring_up(bench, one, stable)
            one.weigh({stable.slot: 100})
            before = weights(one)
            begin(other, '{"holder": "other"}')
            for act in (
                lambda: one.start(canary, replicas=1),
                lambda: one.weigh({stable.slot: 0}),
                lambda: one.stop(stable.slot),
            ):
                with pytest.raises(FencedError):
                    act()
            assert weights(one) == before == weights(other)
            other.weigh({stable.slot: 100})
            one.read()  # whoever reads again knows what is there, and may go on
            one.weigh({stable.slot: 100})

    def test_who_has_read_nothing_changes_nothing_where_a_state_is_kept(self, bench: Bench) -> None:
        with bench.make() as one, bench.make() as other:
            begin(one)
            with pytest.raises(FencedError):
                other.start(bench.good[0], replicas=1)
            assert list(one.slots()) == []

    # -- slots --------------------------------------------------------------------------------------------------------

    def test_a_slot_comes_up_without_traffic(self, bench: Bench) -> None:
        release = bench.good[0]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, release)
            (slot,) = target.slots()
            assert (slot.name, slot.replicas, slot.ready, slot.weight) == (release.slot, 1, 1, 0)
            assert slot.image in ({release.image, ""} if "image" in bench.unable else {release.image})
            if "traffic" not in bench.unable and target.url:
                assert bench.ask(target.url).status in {0, 503}

    def test_it_answers_at_its_own_address_past_the_router(self, bench: Bench) -> None:
        need(bench, "traffic")
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, *bench.good[:2])
            for release in bench.good[:2]:
                with target.open(release.slot) as url:
                    assert url.startswith("http://")
                    assert bench.ask(url) == (200, release.slot)

    def test_starting_twice_is_starting_once(self, bench: Bench) -> None:
        release = bench.good[0]
        with bench.make() as one, bench.make() as other:
            begin(one)
            bring_up(bench, one, release)
            one.weigh({release.slot: 100})
            one.start(release, replicas=1)
            other.read()
            other.start(release, replicas=1)
            (slot,) = other.slots()
            assert (slot.replicas, slot.ready, slot.weight) == (1, 1, 100)

    def test_starting_again_brings_it_to_the_number_of_servers(self, bench: Bench) -> None:
        need(bench, "replicas")
        release = bench.good[0]
        with bench.make() as target:
            begin(target)
            for number in (1, 3, 2):
                target.start(release, replicas=number)
                assert wait_until(
                    lambda number=number: [(s.replicas, s.ready) for s in target.slots()] == [(number, number)],
                    bench.patience,
                )

    def test_what_ends_at_once_says_why(self, bench: Bench) -> None:
        need(bench, "crash")
        assert bench.crashing is not None
        with bench.make() as target:
            begin(target)
            target.start(bench.crashing, replicas=1)
            said = settled(target, bench.crashing.slot, bench.patience)
            assert not said.ready
            assert said.ended
            assert bench.words in said.said
            target.stop(bench.crashing.slot)
            assert list(target.slots()) == []

    def test_what_is_never_ready_is_not_called_ready(self, bench: Bench) -> None:
        need(bench, "crash")
        assert bench.never is not None
        with bench.make() as target:
            begin(target)
            target.start(bench.never, replicas=1)
            assert wait_until(lambda: target.slots()[0].replicas == 1, bench.patience)
            time.sleep(1.0)
            said = target.ready(bench.never.slot)
            assert not said.ready
            assert not said.ended
            assert said.said
            assert target.slots()[0].ready == 0
            target.stop(bench.never.slot)

    def test_a_slot_that_is_not_there_is_not_ready(self, bench: Bench) -> None:
        with bench.make() as target:
            begin(target)
            said = target.ready(bench.good[0].slot)
            assert not said.ready
            assert said.said

    def test_stopping_takes_away_and_may_be_repeated(self, bench: Bench) -> None:
        stable, canary = bench.good[:2]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable, canary)
            target.weigh({stable.slot: 100})
            target.stop(canary.slot)
            assert weights(target) == {stable.slot: 100}
            target.stop(canary.slot)
            with pytest.raises(TargetError):
                target.stop(stable.slot)  # it has traffic
            assert weights(target) == {stable.slot: 100}
            target.weigh({})
            target.stop(stable.slot)
            assert list(target.slots()) == []

    def test_what_was_stopped_can_be_started_again(self, bench: Bench) -> None:
        release = bench.good[0]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, release)
            target.stop(release.slot)
            bring_up(bench, target, release)
            target.weigh({release.slot: 100})
            if "traffic" not in bench.unable:
                assert bench.ask(target.url) == (200, release.slot)

    def test_another_environment_is_another_world(self, bench: Bench) -> None:
        need(bench, "elsewhere")
        release = bench.good[0]
        with bench.make() as here, bench.elsewhere() as there:
            begin(here)
            bring_up(bench, here, release)
            assert there.read() is None
            assert list(there.slots()) == []
            begin(there)
            bring_up(bench, there, release)
            there.stop(release.slot)
            assert [slot.ready for slot in here.slots()] == [1]

    # -- weights ------------------------------------------------------------------------------------------------------

    def test_weights_are_what_they_were_set_to(self, bench: Bench) -> None:
        stable, canary = bench.good[:2]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable, canary)
            for share in (0, 5, 25, 50, 100, 5):
                target.weigh({stable.slot: 100 - share, canary.slot: share})
                found = weights(target)
                if bench.exact:
                    assert found == pytest.approx({stable.slot: 100 - share, canary.slot: share}, abs=0.5)
                assert sum(found.values()) == pytest.approx(100)
            target.weigh({stable.slot: 100})  # who is not named gets nothing
            assert weights(target) == {stable.slot: 100, canary.slot: 0}
            with bench.make() as other:
                assert weights(other) == {stable.slot: 100, canary.slot: 0}

    def test_requests_follow_the_weights(self, bench: Bench) -> None:
        need(bench, "traffic")
        stable, canary = bench.good[:2]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable, canary)
            for share in (0, 5, 25, 100):
                target.weigh({stable.slot: 100 - share, canary.slot: share})
                counts = Counter(bench.ask(target.url) for _ in range(200))
                assert set(counts) <= {(200, stable.slot), (200, canary.slot)}
                off = 2 if bench.exact else 25
                assert counts[200, canary.slot] == pytest.approx(2 * share, abs=off if 0 < share < 100 else 0)

    def test_nobody_is_turned_away_while_weights_change(self, bench: Bench) -> None:
        need(bench, "traffic")
        stable, canary = bench.good[:2]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable, canary)
            target.weigh({stable.slot: 100})
            url, over = target.url, threading.Event()

            def call() -> Counter[int]:
                counts: Counter[int] = Counter()
                while not over.is_set():
                    counts[bench.ask(url).status] += 1
                return counts

            with ThreadPoolExecutor(4) as pool:
                calls = [pool.submit(call) for _ in range(4)]
                try:
                    for share in (5, 25, 50, 100):
                        target.weigh({stable.slot: 100 - share, canary.slot: share})
                        time.sleep(0.3)
                    target.stop(stable.slot)
                finally:
                    over.set()
                counted = sum((one.result() for one in calls), Counter[int]())
            assert set(counted) == {200}

    def test_weights_of_what_is_not_there_are_refused(self, bench: Bench) -> None:
        stable, canary = bench.good[:2]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable)
            target.weigh({stable.slot: 100})
            with pytest.raises(TargetError):
                target.weigh({stable.slot: 50, canary.slot: 50})
            assert weights(target) == {stable.slot: 100}

    def test_what_is_under_way_ends_before_the_server(self, bench: Bench) -> None:
        need(bench, "traffic", "drain")
        stable, canary = bench.good[:2]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable, canary)
            target.weigh({canary.slot: 100})
            with ThreadPoolExecutor(1) as pool:
                slow = pool.submit(bench.ask, target.url, seconds=1.5)
                time.sleep(0.5)
                target.weigh({stable.slot: 100})
                target.stop(canary.slot)
                assert slow.result() == (200, canary.slot)
            assert weights(target) == {stable.slot: 100}

    # -- what it does -------------------------------------------------------------------------------------------------

    def test_its_clock_goes(self, bench: Bench) -> None:
        with bench.make() as target:
            before = target.now()
            assert abs(before - time.time()) < 30
            time.sleep(0.3)
            assert 0.1 < target.now() - before < 20

    def test_requests_are_counted_once_each_with_their_errors_and_times(self, bench: Bench) -> None:
        need(bench, "traffic", "observe")
        stable, canary = bench.good[:2]
        slots = [stable.slot, canary.slot]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable, canary)
            target.weigh({stable.slot: 50, canary.slot: 50})
            edges, counts, bad = [target.now()], Counter[str](), Counter[str]()
            for part in range(2):
                for number in range(20):
                    wanted = {"status": 500} if number % 5 == 0 else {"seconds": 0.05} if part else {}
                    status, name = bench.ask(target.url, **wanted)
                    counts[name] += 1
                    bad[name] += status == 500
                time.sleep(0.1)
                edges.append(target.now())
                time.sleep(0.1)
            seen = whole(target, slots, edges[0], edges[2], 40)
            assert (seen.since, seen.until, seen.complete) == (edges[0], edges[2], True), seen.why
            for slot in slots:
                tally = seen.tallies[slot]
                assert (tally.requests, tally.errors) == (counts[slot], bad[slot])
                assert tally.times.total == counts[slot]
            parts = [target.observe(slots, *edges[i : i + 2]) for i in range(2)]
            for slot in slots:  # windows meet without a gap and without counting anything twice
                assert sum(one.tallies[slot].requests for one in parts) == counts[slot]
            later = target.observe(slots, edges[2], target.now())
            assert {slot: later.tallies[slot].requests for slot in slots} == dict.fromkeys(slots, 0)
            with bench.make() as other:
                assert other.observe(slots, edges[0], edges[2]).tallies == seen.tallies

    def test_scores_are_counted(self, bench: Bench) -> None:
        need(bench, "traffic", "observe", "scores")
        release = bench.good[0]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, release)
            target.weigh({release.slot: 100})
            since = target.now()
            for _ in range(20):
                assert bench.ask(target.url).status == 200
            time.sleep(0.1)
            until = target.now()
            found: list[Tally] = []

            def there() -> bool:
                found.append(target.observe([release.slot], since, until).tallies[release.slot])
                scores = found[-1].scores
                return scores is not None and scores.total >= 20

            assert wait_until(there), found[-1]
            assert found[-1].scores is not None
            assert found[-1].scores.total == 20

    def test_of_a_slot_that_was_never_there_nothing_is_seen(self, bench: Bench) -> None:
        need(bench, "observe")
        with bench.make() as target:
            begin(target)
            now = target.now()
            bring_up(bench, target, bench.good[0])
            target.weigh({bench.good[0].slot: 100})
            seen = target.observe([bench.good[1].slot], now, target.now())
            assert seen.tallies.get(bench.good[1].slot, Tally()).requests == 0

    def test_a_server_that_dies_costs_no_caller_an_answer_and_counts(self, bench: Bench) -> None:
        need(bench, "traffic", "observe", "crash")
        stable, canary = bench.good[:2]
        with bench.make() as target:
            begin(target)
            bring_up(bench, target, stable, canary)
            target.weigh({stable.slot: 50, canary.slot: 50})
            since = target.now()
            assert {bench.ask(target.url).status for _ in range(10)} == {200}
            bench.kill(canary.slot)
            assert {bench.ask(target.url).status for _ in range(30)} == {200}
            assert wait_until(lambda: not target.ready(canary.slot).ready, bench.patience)
            time.sleep(0.1)
            until = target.now()
            slots = [stable.slot, canary.slot]
            assert wait_until(lambda: target.observe(slots, since, until).tallies[canary.slot].errors > 0)
            assert target.observe(slots, since, until).tallies[stable.slot].errors == 0
