"""The router's log: what it says of a window, however long it is and however often it was put aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Tally
from mlgate.rollout.targets import local_access as access
from mlgate.serving.lines import stamp

BEGAN = 1_767_225_600.0
SALT = b"0123456789abcdef"


def log(path: Path) -> access.Log:
    return access.Log(path, SALT)


def write(to: access.Log, at: float, slot: str = "a", **more: Any) -> None:
    to.write(**{"slot": slot, "at": BEGAN + at, "seconds": 0.01, "status": 200, "lost": [], **more})  # type: ignore[arg-type]


def seen(path: Path, since: float = 0.0, until: float = 1e6, *, sticky: bool = False) -> dict[str, Tally]:
    return access.read(path, ["a", "b"], BEGAN + since, BEGAN + until, sticky=sticky).tallies


def test_a_request_counts_when_it_began_in_the_window(tmp_path: Path) -> None:
    to = log(tmp_path / "log")
    for at in (9.999, 10.0, 15.0, 19.999, 20.0):
        write(to, at)
    assert seen(tmp_path / "log", 10, 20)["a"].requests == 3


def test_without_a_log_nothing_was_seen(tmp_path: Path) -> None:
    assert seen(tmp_path / "log") == {"a": Tally(), "b": Tally()}


def test_what_was_lost_is_an_error_of_who_lost_it_and_a_request_of_who_answered(tmp_path: Path) -> None:
    to = log(tmp_path / "log")
    write(to, 1, "a", lost=["b"])
    write(to, 2, "", status=502, lost=["a", "b"])
    write(to, 3, "b", status=500)
    write(to, 4, "a", status=499)
    write(to, 5, "a", lost=["a"])  # another server of it answered
    found = seen(tmp_path / "log")
    assert [(one.requests, one.errors, one.times.total) for one in found.values()] == [(4, 2, 3), (3, 3, 1)]


def test_times_are_those_of_answers(tmp_path: Path) -> None:
    to = log(tmp_path / "log")
    for seconds in (0.01, 0.01, 0.2):
        write(to, 1, seconds=seconds)
    write(to, 1, slot="", lost=["a"], seconds=10.0, status=504)
    assert seen(tmp_path / "log")["a"].times.counts == {bins.latency(0.01): 2, bins.latency(0.2): 1}


def test_callers_are_counted_once_and_their_names_are_not_in_the_log(tmp_path: Path) -> None:
    to = log(tmp_path / "log")
    for number in range(30):
        write(to, number, caller=f"ada-{number % 3}", status=500 if number == 4 else 200)
    found = seen(tmp_path / "log", sticky=True)["a"]
    assert (found.requests, found.units, found.bad_units) == (30, 3, 1)
    assert "ada" not in (tmp_path / "log").read_text("utf-8")
    units = {json.loads(line)["unit"] for line in (tmp_path / "log").read_text("utf-8").splitlines()}
    other = access.Log(tmp_path / "other", b"another salt....")
    write(other, 1, caller="ada-0")
    assert json.loads((tmp_path / "other").read_text("utf-8"))["unit"] not in units


def test_half_a_line_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(log(path), 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-20])
    assert seen(path)["a"].requests == 1


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 5)), min_size=1, max_size=60), st.floats(0, 20))
def test_adjacent_windows_count_each_request_once(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[tuple[float, float]], edge: float
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    to, now = log(path), 0.0
    for gap, seconds in gaps:  # lines come in the order in which requests end
        now += gap
        write(to, now - seconds, seconds=seconds)
    whole = seen(path, -100)["a"].requests
    assert whole == len(gaps)
    assert seen(path, -100, edge)["a"].requests + seen(path, edge)["a"].requests == whole


def test_a_long_log_is_searched_and_what_was_put_aside_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_OCTETS", 200_000)
    to, path = log(tmp_path / "log"), tmp_path / "log"
    for number in range(10_000):
        write(to, number / 10)
    assert (tmp_path / "log.2").exists()
    for since, until in ((0, 1000), (100, 200), (500.05, 500.15), (999, 2000), (300, 700)):
        expected = sum(since <= number / 10 < until for number in range(10_000))
        assert seen(path, since, until)["a"].requests == expected


def test_a_log_that_does_not_reach_back_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_OCTETS", 20_000)
    to, path = log(tmp_path / "log"), tmp_path / "log"
    write(to, 0)
    assert access.read(path, ["a"], BEGAN, BEGAN + 1, sticky=False).back_to == 0.0
    for number in range(3000):
        write(to, number / 10)
    back = access.read(path, ["a"], BEGAN, BEGAN + 1000, sticky=False).back_to - BEGAN
    assert 100 < back < 300
    counted = seen(path, back, 1000)["a"].requests
    assert counted == pytest.approx(sum(number / 10 >= back for number in range(3000)), abs=1)


def test_scores_are_those_of_requests_in_the_window(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    lines = [
        {"time": stamp(BEGAN + at), "prediction": 1, "score": score, "row": 0}
        for at, score in ((9, 0.1), (10, 0.5), (11, 0.5), (12, None), (19, 0.25), (20, 0.1))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    found = access.scores(path, BEGAN + 10, BEGAN + 20)
    assert found is not None
    assert found.counts == {bins.score(0.5): 2, bins.score(1): 1, bins.score(0.25): 1}


def test_a_score_is_in_the_window_though_its_stamp_is_rounded_down(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    at = BEGAN + 10.0004
    path.write_text(json.dumps({"time": stamp(at + 0.0001), "score": 0.5}) + "\n", "utf-8")
    windows = [(at - 1, at), (at, at + 1), (at + 1, at + 2)]
    totals = [found.total for one in windows if (found := access.scores(path, *one)) is not None]
    assert totals == [0, 1, 0]  # in one of windows that meet, and in no other


def test_scores_without_a_log_are_unknown_not_none_at_all(tmp_path: Path) -> None:
    assert access.scores(tmp_path / "predictions.jsonl", BEGAN, BEGAN + 1) is None


def test_the_latest_lines_come_oldest_first_from_all_files(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    (tmp_path / "requests.jsonl.2").write_bytes(b"1\n2\n")
    (tmp_path / "requests.jsonl.1").write_bytes(b"3\n4\n")
    path.write_bytes(b"5\n6\nhal")
    assert access.last(path, 3) == [b"4\n", b"5\n", b"6\n"]
    assert access.last(path, 100) == [b"%d\n" % number for number in range(1, 7)]
    assert access.last(tmp_path / "none", 3) == []
