"""Counters as windows: nothing twice, nothing lost between windows that meet, and what is lost is said."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mlgate.rollout.analysis import bins
from mlgate.rollout.targets.kube import counters
from mlgate.rollout.targets.kube.counters import Page, Reading
from mlgate.rollout.targets.kube.watching import scores
from mlgate.serving.metrics import Metrics
from mlgate.serving.settings import Identity


def test_the_page_of_the_real_server_is_read() -> None:
    metrics = Metrics(Identity("visits", 'v"1\\'), "production", routes=("/predict", "/invocations"))
    for route, status, seconds in (
        ("/predict", 200, 0.003), ("/predict", 200, 0.3), ("/predict", 503, 30.0), ("/invocations", 422, 0.003),
        ("/health", 503, 0.001), ("/nowhere", 404, 0.001),
    ):  # fmt: skip
        metrics.observe(route, status, seconds, 1)
    page = counters.page(metrics.render().decode())
    assert page == Page(requests=4, errors=1, times={0.005: 2, 0.5: 1, float("inf"): 1}, refused=1)


def test_another_server_is_not_taken_for_one_that_has_no_errors() -> None:
    assert counters.page("python_info 1\n") is None
    assert counters.page("") is None
    assert counters.page(Metrics(Identity("m"), "e", routes=("/predict",)).render().decode()) == Page()


def test_times_count_at_the_longest_that_they_can_have_been() -> None:
    begin = Reading(0.0, {"a": {"1/0": Page(2, 0, {0.005: 2})}})
    end = Reading(1.0, {"a": {"1/0": Page(5, 1, {0.005: 4, 0.5: 1})}})
    tally, lost = counters.tally(begin, end, "a")
    assert (tally.requests, tally.errors, lost) == (3, 1, "")
    assert tally.times.counts == {bins.latency(0.005): 2, bins.latency(0.5): 1}


def test_a_server_that_ended_is_missed_and_a_new_one_counts_from_nothing() -> None:
    begin = Reading(0.0, {"a": {"1/0": Page(100, 9)}})
    end = Reading(1.0, {"a": {"1/1": Page(4, 1)}})
    tally, lost = counters.tally(begin, end, "a")
    assert (tally.requests, tally.errors) == (4, 1)
    assert "1 of the servers of a ended" in lost


@given(st.lists(st.integers(0, 50), min_size=3, max_size=30), st.data())
def test_windows_that_meet_count_everything_once(grown: list[int], data: st.DataObject) -> None:
    total, readings = 0, []
    for number, more in enumerate(grown):
        total += more
        readings.append(Reading(float(number), {"a": {"s": Page(total, total // 3)}}))
    last = float(len(grown) - 1)
    edges = sorted(data.draw(st.lists(st.floats(0, last), min_size=2, max_size=6)))
    windows = [counters.window(readings, *pair) for pair in itertools.pairwise(edges)]
    parts = [counters.tally(one.begin, one.end, "a")[0] for one in windows]
    whole = counters.window(readings, edges[0], edges[-1])
    tally, _ = counters.tally(whole.begin, whole.end, "a")
    assert sum(one.requests for one in parts) == tally.requests
    assert sum(one.errors for one in parts) == tally.errors


def test_what_was_answered_before_a_window_is_not_in_it() -> None:
    readings = [Reading(at, {"a": {"s": Page(count)}}) for at, count in ((0.0, 5), (10.0, 50), (20.0, 60))]
    window = counters.window(readings, 1.0, 20.0)  # what came up to the reading at 10 is of the warm-up
    assert counters.tally(window.begin, window.end, "a")[0].requests == 10


def test_readings_survive_being_kept_and_rubbish_does_not_harm() -> None:
    whole = Reading(1.5, {"a": {"u/0": Page(3, 1, {0.5: 2, float("inf"): 1})}}, mark=True)
    broken = Reading(2.5, {}, whole=False, why="x did not answer")
    text = counters.written([whole, broken])
    assert counters.read(text) == [whole, broken]
    assert counters.read(f"{text}\nno JSON\n{{}}\n[1]\n") == [whole, broken]
    assert counters.window([whole, broken], 1.0, 2.0).missing == "x did not answer"


def test_no_more_is_kept_than_a_config_map_holds() -> None:
    page = Page(10**6, 10**4, {0.01 * bound: 10**6 for bound in range(15)})
    servers = {f"{number:036}/0": page for number in range(60)}
    many = [Reading(float(at), {"a": servers}, mark=at % 50 == 0) for at in range(400)]
    text = counters.written(many)
    assert len(text) < 1_000_000
    kept = counters.read(text)
    assert kept[-1].at == 399.0
    light = [Reading(float(at), {}, mark=at % 50 == 0) for at in range(400)]
    assert [one.at for one in counters.thinned(light) if one.mark] == [0, 50, 100, 150, 200, 250, 300, 350]
    assert len(counters.thinned(light)) <= 2 * counters.KEPT


def test_scores_are_those_of_the_window_and_of_predictions() -> None:
    lines = [
        '{"time": "2026-01-01T00:00:00.500Z", "score": 0.25, "prediction": 1}',
        '{"time": "2026-01-01T00:00:00.600Z", "score": null, "prediction": "yes"}',
        '{"time": "2026-01-01T00:00:02.000Z", "score": 0.5}',  # later
        "INFO: something else", '{"broken', '{"time": 5, "score": 1}',
        '{"time": "2026-01-01T00:00:00.700Z", "score": [1]}',
    ]  # fmt: skip
    begin = 1767225600.0
    assert list(scores(lines, begin, begin + 1)) == [0.25, "yes"]
