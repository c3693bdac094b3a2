"""Intervals drawn against their limits: always as wide, never on the wrong side, right is worse."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.model import Check, Verdict
from mlgate.render import cells, interval, layout, markdown, terminal
from mlgate.render.interval import ASCII, PICTURE, Held
from render import samples

LIMIT, POINT, CHAMPION, FULL = PICTURE.limit, PICTURE.point, PICTURE.champion, PICTURE.interval
AUC = samples.AUC.model_copy(update={"interval": (-0.003, 0.007), "outcome": "non-inferior"})
LOSS = samples.LOG_LOSS_WORSE.model_copy(update={"interval": (0.024, 0.038), "outcome": "worse"})


def drawn(check: Check, **update: object) -> str:
    held = interval.held(check.model_copy(update=update))
    assert held is not None
    return interval.draw(held)


@pytest.mark.parametrize("check", [AUC, LOSS])
def test_the_champion_stands_left_of_the_limit_whichever_way_is_better(check: Check) -> None:
    line = drawn(check)
    assert line.index(CHAMPION) < line.index(LIMIT)


def test_what_is_worse_than_allowed_lies_right_of_the_limit() -> None:
    line = drawn(LOSS)
    assert line.index(LIMIT) < line.index(FULL) < line.index(POINT)
    line = drawn(AUC, interval=(-0.05, -0.02), change=-0.03, limit=0.7104)
    assert line.index(LIMIT) < line.index(FULL) < line.index(POINT)


def test_what_is_within_the_limit_lies_left_of_it() -> None:
    line = drawn(AUC)
    assert line.rindex(FULL) < line.index(LIMIT)
    assert line.index(FULL) < line.index(POINT) < line.rindex(FULL)


def test_a_required_gain_lies_left_of_the_champion() -> None:
    line = drawn(AUC, limit=0.7304)  # 0.01 more than the champion
    assert line.index(LIMIT) < line.index(CHAMPION)


@pytest.mark.parametrize("greater", [True, False])
def test_a_threshold_is_drawn_alone(greater: bool) -> None:
    check = samples.AUC_FLOOR.model_copy(
        update={"interval": (0.69, 0.731) if greater else (0.68, 0.71), "greater_is_better": greater, "observed": 0.7}
    )
    line = drawn(check)
    assert CHAMPION not in line
    before, after = line.split(LIMIT)
    assert FULL in before
    assert FULL in after


@pytest.mark.parametrize(
    "update",
    [
        {"interval": None},
        {"limit": None},
        {"greater_is_better": None},
        {"change": None, "observed": "NaN"},
        {"champion": None},
        {"champion": 0.0, "relative": True},
    ],
)
def test_what_has_no_interval_or_no_limit_is_not_drawn(update: Mapping[str, object]) -> None:
    assert interval.held(AUC.model_copy(update=dict(update))) is None


def test_an_unbounded_side_goes_on_to_the_end() -> None:
    open_ended = Held(low=None, high=0.2, point=0.0, limit=0.5, champion=0.0)
    line = interval.draw(open_ended)
    assert line.startswith("◀█")
    assert line[-1] == PICTURE.line
    both = interval.draw(open_ended._replace(high=None))
    assert (both[0], both[-1]) == ("◀", "▶")
    assert LIMIT in both
    assert drawn(AUC, interval=(-1e301, 0.007)).endswith("█▶")  # of a metric of which greater is better, down is worse


finite = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1e-300, -1e-300, 1e290, -1e290, 5e-324])


@given(st.tuples(finite, finite), finite, finite, st.none() | finite, st.integers(12, 80))
def test_a_line_is_as_wide_as_asked_and_tells_the_sides_truly(
    ends: tuple[float, float], point: float, limit: float, champion: float | None, width: int
) -> None:
    low, high = sorted(ends)
    line = interval.draw(Held(low, high, min(max(point, low), high), limit, champion), width=width)
    assert len(line) == cells.of(line) == width
    at = line.index(LIMIT)
    marks = FULL + POINT
    if high <= limit:
        assert not any(mark in line[at + 1 :] for mark in marks)
    else:
        assert any(mark in line[at + 1 :] for mark in marks)
    if low >= limit:
        assert not any(mark in line[:at] for mark in marks)
    else:
        assert any(mark in line[:at] for mark in marks)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.001, 1))
def test_greater_and_lower_are_mirror_images(low: float, high: float, margin: float) -> None:
    low, high = sorted((low, high))
    change = (low + high) / 2
    up = AUC.model_copy(
        update={"champion": 5.0, "limit": 5.0 - margin, "change": change, "interval": (low, high), "observed": 5.0}
    )
    down = up.model_copy(
        update={"limit": 5.0 + margin, "change": -change, "interval": (-high, -low), "greater_is_better": False}
    )
    one, other = interval.held(up), interval.held(down)
    assert one is not None
    assert other is not None
    for a, b in zip(one, other, strict=True):
        assert a is not None
        assert b is not None
        assert math.isclose(a, b, abs_tol=1e-12)


def test_lines_of_wide_names_stand_below_each_other() -> None:
    wide = AUC.model_copy(update={"title": "再現率"})
    lines = interval.text([LOSS, wide]).splitlines()
    assert [cells.of(line[: line.index("|")]) for line in lines[1:]] == [10, 10]
    assert cells.of(lines[0]) == 10 + 1 + interval.WIDTH
    assert lines[0].split() == ["better", CHAMPION, "champion", LIMIT, "limit", "worse"]


def test_each_rule_is_drawn_once_where_it_went_worst_and_groups_that_hold_are_not() -> None:
    floor = samples.AUC_FLOOR.model_copy(
        update={"interval": (0.69, 0.73), "verdict": Verdict.WARN, "reason": "not proven"}
    )
    group = AUC.model_copy(update={"title": "auc, health = poor", "group": "slices"})
    many = [AUC.model_copy(update={"title": f"m{number}"}) for number in range(9)]
    lines = interval.text([LOSS, floor, AUC, group, *many]).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["log_loss", "auc", "m0", "m1", "m2", "m3"]
    assert lines[2].endswith("not proven")
    assert interval.text([samples.AUC]) == ""


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"outcome": "superior"}, "better"),
        ({"outcome": "non-inferior"}, "within the limit"),
        ({"outcome": "worse"}, "worse than allowed"),
        ({"outcome": "inconclusive"}, "undecided"),
        ({"outcome": "inconclusive", "needed": 6_158}, "undecided; about 6,200 rows would settle it"),
        ({"outcome": None, "verdict": Verdict.FAIL}, "missed"),
        ({"outcome": None, "verdict": Verdict.WARN}, "not proven"),
        ({"outcome": None, "verdict": Verdict.PASS}, "met"),
    ],
)
def test_a_few_words_say_what_is_proven(update: Mapping[str, object], words: str) -> None:
    assert interval.said(AUC.model_copy(update=dict(update))) == words


@pytest.mark.parametrize(("count", "shown"), [(1, "1"), (99, "99"), (101, "110"), (6_158, "6,200"), (91_234, "92,000")])
def test_an_estimate_is_rounded_up(count: int, shown: str) -> None:
    assert interval.about(count) == shown


# --- where it stands


def test_the_comment_names_the_interval_draws_it_and_says_it_in_words() -> None:
    text = markdown.comment([samples.with_figures()])
    assert "| Difference, 90\u202f% interval |" in text
    assert "(−0.0140 to +0.0180)" in text
    assert "| (0.7120 to 0.7310) |" in text
    assert "undecided; about 92,000 rows would settle it" in text
    assert "In words: 4 sentences" in text
    assert "of 6,057 rows 31 were right in the champion and are wrong now; 40 the other way." in text
    assert "2 groups of rows within their limits" in text


@pytest.mark.parametrize("confidence", [0.95, 0.975, 0.9])
def test_the_header_says_how_sure_an_interval_is(confidence: float) -> None:
    evidence = samples.with_figures().model_copy(update={"confidence": confidence})
    rows = [layout.row(check) for check in evidence.checks]
    assert layout.interval_word(evidence, rows) == f", {200 * confidence - 100:g}\u202f% interval"
    assert layout.interval_word(samples.failed(), [layout.row(samples.AUC)]) == ""


def test_no_row_of_the_data_stands_in_a_comment_or_on_a_terminal() -> None:
    evidence = samples.with_figures()
    shown = markdown.comment([evidence]) + markdown.summary([evidence])
    shown += terminal.show([evidence], color=False, width=200)
    assert not [one for moved in evidence.moved for one in (*moved.best, *moved.worst) if one in shown]


def test_the_terminal_draws_in_ascii_what_does_not_simply_hold() -> None:
    shown = terminal.show([samples.with_figures()], color=False, width=120)
    assert "better     ' champion   ! limit     worse" in shown
    assert any("recall" in line and ASCII.interval in line and "|" in line for line in shown.splitlines())
    assert shown.isascii()
    passing = samples.passed().model_copy(update={"checks": [AUC]})
    assert ASCII.interval not in terminal.show([passing], color=False, width=120)
    assert ASCII.interval not in terminal.show([samples.with_figures()], color=False, width=60)
