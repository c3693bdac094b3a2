"""Three of the last five windows, the present one among them; what is unknown is neither a breach nor an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config.alarms import Persistence
from mlgate.watch.nouns import State
from mlgate.watch.persistence import Standing, stand
from watch.alarm_samples import LETTERS, states

COURSES = st.text("Bo?", min_size=1, max_size=14).map(states)
ASKED = st.integers(1, 6).flatmap(lambda n: st.integers(1, n).map(lambda k: Persistence(k, n)))


@pytest.mark.parametrize(
    ("asked", "course", "state", "since"),
    [  # newest first
        ("1", "B", "firing", 0),
        ("1", "o", "quiet", None),
        ("1", "?", "unknown", 0),
        ("1", "BBBo", "firing", 2),
        ("1", "B?Bo", "firing", 2),  # nobody looked that day: it did not end
        ("1", "oBB", "recovered", 2),
        ("1", "o?B", "recovered", 2),
        ("1", "ooB", "quiet", None),  # it was said the day before
        ("1", "??oB", "unknown", 1),
        ("3", "BB", "pending", 1),
        ("3", "BBB", "firing", 2),
        ("3", "BB?B", "pending", 1),  # three in a row, and one is not known
        ("3 of 5", "B??BB", "firing", 4),
        ("3 of 5", "B?B", "pending", 2),
        ("3 of 5", "B???BB", "pending", 4),  # the oldest lies too far back
        ("3 of 5", "ooBBB", "firing", 4),  # still three of the last five
        ("3 of 5", "?oBBB", "firing", 4),  # not measuring is not recovering
        ("3 of 5", "oooBBB", "recovered", 5),
        ("3 of 5", "?ooBBB", "unknown", 0),
        ("3 of 5", "o?ooBBB", "recovered", 6),  # when something was last known it fired
        ("3 of 5", "oooBoo", "quiet", None),
        ("3 of 5", "BBBBBBBo", "firing", 6),
        ("2 of 3", "oBBooBB", "firing", 2),
    ],
)
def test_where_it_stands(asked: str, course: str, state: Standing, since: int | None) -> None:
    k, _, n = asked.partition(" of ")
    now, *before = states(course)
    found = stand(now, before, Persistence(int(k), int(n or k)))
    assert (found.state, found.since) == (state, since)


@given(COURSES, ASKED)
def test_it_fires_exactly_when_k_of_the_last_n_were_breached(course: list[State], asked: Persistence) -> None:
    now, *before = course
    found = stand(now, before, asked)
    last = course[: asked.n]
    assert (found.breached, found.unknown) == (last.count("breached"), last.count("unknown"))
    assert (found.state == "firing") == (last.count("breached") >= asked.k)
    if now == "breached":
        assert found.state in ("firing", "pending")
    if found.state in ("firing", "pending", "recovered"):
        assert found.since is not None
        assert course[found.since] == "breached"
    if found.state == "recovered":
        assert now == "ok"
    assert (found.since is None) == (found.state == "quiet")


@given(COURSES, ASKED, st.integers(0, 13))
def test_knowing_less_never_raises_an_alarm_nor_calls_it_quiet(
    course: list[State], asked: Persistence, hidden: int
) -> None:
    at = hidden % len(course)
    less = [*course[:at], LETTERS["?"], *course[at + 1 :]]
    before, after = (stand(one[0], one[1:], asked) for one in (course, less))
    if after.state == "firing":
        assert before.state == "firing"
    if at == 0:
        assert after.state in ("firing", "unknown")


@given(COURSES, ASKED)
def test_one_more_breach_never_ends_an_alarm(course: list[State], asked: Persistence) -> None:
    if stand(course[0], course[1:], asked).state == "firing":
        assert stand("breached", course, asked).state == "firing"
