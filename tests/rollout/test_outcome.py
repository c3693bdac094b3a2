"""What one look concludes: promote, continue, hold, roll back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config.conditions import parse
from mlgate.model import Evidence, Verdict
from mlgate.rollout.analysis.outcome import Judged, Stratum, judge, merged
from mlgate.rollout.nouns import Histogram, Tally
from rollout.tallies import tally

ALL = ["error_rate <= 1.5x stable", "error_rate <= 2%", "latency_p99 <= 1 s", "prediction_shift <= 0.1"]


def look(rules: list[Any], *strata: Stratum, **more: Any) -> Judged:
    asked = {"confidence": 0.95, "planned": 1000, "steps": 3, **more}
    return judge([parse(rule) for rule in rules], strata, **asked)


def step(weight: float, canary: Tally, *, bad: int | None = None, stable: Tally | None = None) -> Stratum:
    n = round(canary.requests / weight * (100 - weight))
    return Stratum(weight, stable or tally(n, round(n * 0.005) if bad is None else bad), canary)


GOOD = step(50, tally(100_000, 500))


def of(judged: Judged, title: str) -> Any:
    return next(check for check in judged.checks if check.title == title)


def test_a_good_canary_is_promoted_when_every_bound_is_inside() -> None:
    judged = look(ALL, GOOD)
    assert judged.outcome == "promote"
    assert {check.verdict for check in judged.checks} == {Verdict.PASS}
    assert {check.group for check in judged.checks} == {"rollout"}
    assert len({check.id for check in judged.checks}) == len(judged.checks) == 6
    errors = of(judged, "error_rate <= 1.5x stable")
    assert (errors.observed, errors.champion, errors.rows) == (0.005, 0.005, 100_000)
    assert errors.relative
    assert errors.interval[0] < 0 < errors.interval[1] < 0.5
    assert "0.5 %" in errors.reason


def test_nothing_is_promoted_before_the_planned_exposure_however_good_it_looks() -> None:
    judged = look(ALL, GOOD, planned=100_001)
    assert judged.outcome == "continue"
    assert "100,000 of the 100,001 requests" in judged.reason


@pytest.mark.parametrize("rule", ALL)
def test_a_broken_rule_rolls_back_at_any_look_with_the_numbers(rule: str) -> None:
    bad = replace(tally(1000, 100, ms=3000), scores=tally(1000, at=(0.5,)).scores)
    judged = look([rule], step(5, bad))
    assert judged.outcome == "roll back"
    assert rule in judged.reason
    assert [check.verdict for check in judged.checks if check.title == rule] == [Verdict.FAIL]


@pytest.mark.parametrize("more", [{"complete": False, "why": "lines were lost"}, {"planned": 10**6}])
def test_it_rolls_back_even_where_it_would_hold_otherwise(more: dict[str, Any]) -> None:
    assert look(["error_rate <= 1.5x stable"], step(5, tally(1000, 100)), **more).outcome == "roll back"


def test_a_split_that_is_off_holds_and_never_rolls_back_by_itself() -> None:
    judged = look(ALL, step(50, tally(100_000, 500), stable=tally(40_000, 200)))
    assert judged.outcome == "hold"
    assert "71.4% and should have got 50 %" in judged.reason.replace(",", "")
    assert of(judged, "split of the traffic").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("strata", "said"),
    [
        ((), "no request of the canary was counted"),
        ((step(5, Tally(), stable=tally(3, 0)),), "no request of the canary was counted"),
        ((Stratum(50, Tally(), tally(2000, 0)),), "no request of stable was counted"),
    ],
)
def test_silence_never_promotes(strata: tuple[Stratum, ...], said: str) -> None:
    judged = look(["error_rate <= 1.5x stable"], *strata, planned=1)
    assert judged.outcome == "hold"
    assert said in judged.reason
    assert look([], GOOD).outcome == "hold"
    assert look(["error_rate <= 1%"], *strata, planned=0, last=False).outcome in ("hold", "continue")


def test_no_errors_at_all_are_not_decided_by_a_comparison() -> None:
    """Zero against zero says nothing about a ratio, however long it lasts; an absolute rule can prove it."""
    calm = step(50, tally(200_000, 0), bad=0)
    assert look(["error_rate <= 1.5x stable"], calm).outcome == "continue"
    assert look(["error_rate <= 0.1%"], calm).outcome == "promote"
    assert look([{"any": ["error_rate <= 1.5x stable", "error_rate <= 0.1%"]}], calm).outcome == "promote"


def test_lost_lines_hold() -> None:
    judged = look(ALL, GOOD, complete=False, why="the proxy's log was cut")
    assert judged.outcome == "hold"
    assert "the proxy's log was cut" in judged.reason


def test_a_step_before_the_last_goes_on_when_it_had_its_requests_and_nothing_is_broken() -> None:
    early = step(5, tally(1000, 5))
    assert look(["error_rate <= 1.5x stable"], early, last=False).outcome == "promote"
    assert look(["error_rate <= 1.5x stable"], early, last=True).outcome == "continue"
    assert look(["error_rate <= 1.5x stable"], early, last=False, planned=1001).outcome == "continue"


def test_earlier_steps_count() -> None:
    before = step(5, tally(5000, 60))
    now = step(25, tally(5000, 60))
    assert look(["error_rate <= 1.5x stable"], now).outcome == "continue"
    assert look(["error_rate <= 1.5x stable"], before, now).outcome == "roll back"


# --- for N periods


def test_a_rule_for_periods_is_broken_only_after_so_many_looks_in_a_row() -> None:
    rule = "latency_p95 <= 100 ms for 3 periods"
    slow, fast = step(5, tally(2000, ms=300)), step(5, tally(2000, ms=20))
    streaks: dict[str, int] = {}
    outcomes = []
    for stratum in (slow, slow, fast, slow, slow, slow):
        judged = look([rule], stratum, streaks=streaks, last=False)
        streaks = dict(judged.streaks)
        outcomes.append((judged.outcome, streaks[rule]))
    assert outcomes == [
        ("continue", 1),
        ("continue", 2),
        ("promote", 0),
        ("continue", 1),
        ("continue", 2),
        ("roll back", 3),
    ]
    assert "2 of 3 looks" in of(look([rule], slow, streaks={rule: 1}), rule).reason


def test_a_look_without_its_number_neither_breaks_nor_mends_a_streak() -> None:
    rule = "refunds <= 5 for 2 periods"
    judged = look([rule], GOOD, metrics={"refunds": {"canary": "Prometheus cannot be reached"}}, streaks={rule: 1})
    assert (judged.outcome, judged.streaks) == ("hold", {rule: 1})
    assert look([rule], GOOD, metrics={"refunds": {"canary": 9.0}}, streaks=judged.streaks).outcome == "roll back"


# --- numbers of the user's own


@pytest.mark.parametrize(
    ("rule", "canary", "stable", "outcome"),
    [
        ("sold >= 100", 100.0, None, "promote"),
        ("sold > 100", 100.0, None, "roll back"),
        ("sold <= 1.2x stable", 12.0, 10.0, "promote"),
        ("sold <= 1.2x stable", 12.1, 10.0, "roll back"),
        ("sold >= stable - 2", 8.0, 10.0, "promote"),
        ("sold >= stable - 2", 7.9, 10.0, "roll back"),
        ("sold < 5%", 0.05, None, "roll back"),
        ("sold >= 0.9x stable", 5.0, None, "hold"),
        ("sold >= 1", float("nan"), None, "hold"),
        ("sold >= 1", float("inf"), None, "hold"),
        ("sold >= 1", "the query gives nothing", None, "hold"),
        ("sold >= 1", None, None, "hold"),
    ],
)
def test_numbers_of_the_users_own_are_taken_as_they_are(rule: str, canary: Any, stable: Any, outcome: str) -> None:
    arms = {name: value for name, value in (("canary", canary), ("stable", stable)) if value is not None}
    judged = look([rule], GOOD, metrics={"sold": arms} if arms else {})
    assert judged.outcome == outcome
    if isinstance(canary, str):
        assert canary in judged.reason


# --- trees


BROKEN, HOLDS, MISSING = "a <= 1", "b <= 1", "c <= 1"
VALUES = {"a": {"canary": 2.0}, "b": {"canary": 0.0}, "c": {}}


@pytest.mark.parametrize(
    ("tree", "outcome"),
    [
        ({"any": [BROKEN, HOLDS]}, "promote"),
        ({"any": [BROKEN, "a <= 0"]}, "roll back"),
        ({"any": [BROKEN, MISSING]}, "hold"),
        ({"any": [HOLDS, MISSING]}, "promote"),
        ({"all": [BROKEN, HOLDS]}, "roll back"),
        ({"all": [HOLDS, MISSING]}, "hold"),
        ({"all": [BROKEN, MISSING]}, "roll back"),
        ({"all": [HOLDS, {"any": [BROKEN, "b <= 2"]}]}, "promote"),
        ({"any": [BROKEN, {"all": [HOLDS, "a <= 0"]}]}, "roll back"),
    ],
)
def test_rules_together(tree: Any, outcome: str) -> None:
    judged = look([tree], GOOD, metrics=VALUES)
    assert judged.outcome == outcome
    worst = {"promote": (Verdict.PASS, Verdict.WARN), "hold": (Verdict.INCONCLUSIVE,), "roll back": (Verdict.FAIL,)}
    assert max((check.verdict for check in judged.checks), key=lambda v: v.rank) in worst[outcome]


# --- what is missing


def test_scores_that_are_not_there_hold() -> None:
    silent = replace(tally(2000), scores=None)
    judged = look(["prediction_shift <= 0.1"], step(50, silent))
    assert judged.outcome == "hold"
    assert "no score of the canary was logged" in judged.reason


def test_scores_that_are_nan_for_most_requests_hold_and_do_not_pass() -> None:
    some = replace(tally(100_000), scores=tally(40_000).scores)
    judged = look(["prediction_shift <= 0.1"], step(50, some))
    assert judged.outcome == "hold"
    assert "NaN" in judged.reason


def test_a_constant_output_is_turned_back() -> None:
    assert look(["prediction_shift <= 0.1"], step(5, tally(500, at=(0.5,)))).outcome == "roll back"


def test_answers_without_times_hold() -> None:
    without = replace(tally(2000), times=Histogram())
    judged = look(["latency_p99 <= 1 s"], step(50, without))
    assert judged.outcome == "hold"
    assert "only 0 of the 2,000 answers of the canary have a time" in judged.reason


def test_requests_without_an_answer_break_a_rule_of_times() -> None:
    lost = replace(tally(5000, 500), times=tally(4500).times)
    assert look(["latency_p95 <= 1 s"], step(50, lost)).outcome == "roll back"


@pytest.mark.parametrize(("ms", "outcome"), [(20, "promote"), (22, "promote"), (29, "continue"), (45, "roll back")])
def test_times_against_stable(ms: float, outcome: str) -> None:
    # Bins are two percent wide, so that 29 ms is neither within 1.45 times 20 ms nor beyond it.
    judged = look(["latency_p95 <= 1.45x stable"], step(50, tally(20_000, ms=ms)))
    assert judged.outcome == outcome
    assert look(["latency_p95 <= stable + 9 ms"], step(50, tally(20_000, ms=ms))).outcome == outcome


# --- callers


def test_with_sticky_callers_are_counted() -> None:
    """One caller with 200 errors is one caller with errors."""
    canary = tally(10_000, 200, units=1000, bad_units=6)
    stable = tally(190_000, 950, units=19_000, bad_units=95)
    rule = ["error_rate <= 1.5x stable"]
    assert look(rule, Stratum(5, stable, canary)).outcome == "roll back"
    judged = look(rule, Stratum(5, stable, canary), sticky=True)
    assert judged.outcome == "continue"
    assert of(judged, "callers of the canary").observed == 1000
    assert look(rule, Stratum(5, stable, replace(canary, bad_units=60)), sticky=True).outcome == "roll back"


def test_with_sticky_unknown_callers_hold() -> None:
    judged = look(["error_rate <= 1.5x stable"], GOOD, sticky=True)
    assert judged.outcome == "hold"
    assert "callers" in judged.reason


# --- alpha


def test_more_rules_ask_for_more_evidence_to_roll_back() -> None:
    near = step(5, tally(1000, 23))
    assert look(["error_rate <= 1.5x stable"], near).outcome == "roll back"
    many = ["error_rate <= 1.5x stable", *(f"latency_p99 <= {n} s" for n in range(10, 90))]
    assert look(many, near).outcome == "continue"
    assert look(["error_rate <= 1.5x stable"], near, confidence=0.9999).outcome == "continue"


def test_two_windows_of_one_slot_add_up() -> None:
    one, other = tally(100, 3, ms=20), tally(50, 1, ms=40)
    both = merged(one, other)
    assert (both.requests, both.errors, both.times.total) == (150, 4, 150)
    assert both.scores is not None
    assert both.scores.total == 150
    assert merged(Tally(), one) is one
    assert merged(one, Tally()) is one
    assert merged(one, replace(other, scores=None)).scores is None
    # Who called in both is one caller: two numbers do not tell.
    assert merged(replace(one, units=5, bad_units=1), replace(other, units=5, bad_units=1)).units is None


# --- whatever was seen

RULES = [
    *ALL,
    "error_rate <= stable + 0.5%",
    "latency_p95 <= 1.2x stable",
    "latency_p50 <= stable + 5 ms for 2 periods",
]
tallies = st.builds(
    lambda n, part, ms, at: tally(n, round(n * part), ms=ms, at=at),
    st.sampled_from([0, 1, 7, 500, 40_000]),
    st.sampled_from([0.0, 0.005, 0.02, 0.5, 1.0]),
    st.sampled_from([1.0, 20.0, 3000.0]),
    st.sampled_from([(0.2, 0.4, 0.6, 0.8), (0.5,), (0.2, 0.4, 0.6, 0.9)]),
)


@given(
    st.lists(st.sampled_from(RULES), max_size=3, unique=True),
    st.lists(st.tuples(tallies, tallies), max_size=3),
    st.sampled_from([0, 1, 1000, 50_000]),
    st.booleans(),
    st.booleans(),
)
def test_promoted_is_only_what_was_seen_enough_and_proven(
    rules: list[str], seen: list[tuple[Tally, Tally]], planned: int, last: bool, complete: bool
) -> None:
    strata = [Stratum(50, stable, canary) for stable, canary in seen]
    judged = look(rules, *strata, planned=planned, last=last, complete=complete)
    asked = [check for check in judged.checks if check.title in rules]
    assert len(asked) == len(rules)
    assert set(judged.streaks) == set(rules)
    if judged.outcome == "promote":
        assert rules
        assert complete
        assert strata[-1].canary.requests >= max(1, planned)
        assert all(check.verdict is not Verdict.FAIL and check.observed is not None for check in asked)
        assert not last or {check.verdict for check in judged.checks} == {Verdict.PASS}
    assert (judged.outcome == "roll back") == any(check.verdict is Verdict.FAIL for check in asked)
    assert judged.reason
    evidence = Evidence(kind="deploy", model="m", verdict=Verdict.PASS, checks=list(judged.checks))
    assert Evidence.from_json(evidence.to_json()) == evidence


# -- what is refused -------------------------------------------------------------------------------------------------


def refusing(n: int, refused: int) -> Tally:
    return replace(tally(n, round(n * 0.005)), refused=refused)


def test_a_canary_that_refuses_what_stable_takes_is_no_good_one_though_it_never_fails() -> None:
    """A server that answers 422 to everything has no errors, and is fast."""
    judged = look(["error_rate <= 1%", "latency_p99 <= 1 s"], step(10, replace(tally(60, 0), refused=60)))
    assert judged.outcome == "roll back"
    assert judged.reason == "The canary refuses 100.0% of its requests (400 to 499), and stable 0.0%."
    assert of(judged, "requests that are refused").verdict is Verdict.FAIL


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7])
def test_what_callers_send_wrong_is_held_against_neither(share: float) -> None:
    n = 20_000
    judged = look(ALL, step(50, refusing(n, round(n * share)), stable=refusing(n, round(n * share))), planned=n)
    assert of(judged, "requests that are refused").verdict is Verdict.PASS
    assert judged.outcome != "roll back"


def test_refusals_of_two_windows_are_one_sum() -> None:
    assert merged(refusing(10, 3), refusing(10, 4)).refused == 7


def test_where_almost_nothing_is_answered_nothing_is_judged() -> None:
    n = 20_000
    judged = look(ALL, step(50, refusing(n, round(n * 0.9)), stable=refusing(n, round(n * 0.9))), planned=n)
    assert judged.outcome == "hold"
    assert "nothing was judged" in judged.reason
