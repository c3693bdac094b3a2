"""The plan of a canary: enough requests to decide, and a refusal where none are."""

from __future__ import annotations

from typing import Any

import pytest

from mlgate.config.conditions import parse
from mlgate.errors import MlgateError
from mlgate.rollout.analysis.planning import FEWEST, Pacing, Plan, plan

STEPS = (5.0, 25.0, 50.0)


def planned(*rules: Any, steps: tuple[float, ...] = STEPS, confidence: float = 0.95, **pacing: Any) -> Plan:
    return plan([parse(rule) for rule in rules], steps, Pacing(**pacing), confidence=confidence)


def refusal(*rules: Any, **more: Any) -> str:
    with pytest.raises(MlgateError) as caught:
        planned(*rules, **more)
    assert caught.value.fix
    return str(caught.value)


def test_each_step_takes_equally_long_and_shows_requests_and_time() -> None:
    made = planned("error_rate <= 1.5x stable", error_rate=0.005, per_second=40, wait=20)
    first, second, third = made.steps
    assert (first.weight, second.weight, third.weight) == STEPS
    assert first.all == pytest.approx(second.all, rel=0.001)
    assert second.all == pytest.approx(third.all, rel=0.001)
    assert third.canary == pytest.approx(third.all / 2, abs=1)
    assert 20_000 < third.canary < 80_000
    assert third.seconds == pytest.approx(20 + third.all / 40)
    assert made.requests == (first.canary, second.canary, third.canary)
    assert "stable fails at 0.5 %" in made.why[0]


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("error_rate <= 2x stable", "error_rate <= 1.5x stable"),
        ("error_rate <= 1.5x stable", "error_rate <= 1.2x stable"),
        ("error_rate <= 2%", "error_rate <= 1%"),
        ("error_rate <= stable + 1%", "error_rate <= stable + 0.5%"),
        ("latency_p50 <= 1 s", "latency_p99 <= 1 s"),
        ("latency_p95 <= 1.2x stable", "latency_p99 <= 1.2x stable"),
        ("prediction_shift <= 0.2", "prediction_shift <= 0.1"),
    ],
)
def test_a_narrower_margin_takes_more(less: str, more: str) -> None:
    few, many = planned(less, error_rate=0.005), planned(more, error_rate=0.005)
    assert few.requests[-1] < many.requests[-1]
    assert planned(less, more, error_rate=0.005).requests[-1] >= many.requests[-1]


def test_rarer_errors_more_rules_and_more_confidence_take_more() -> None:
    rule = "error_rate <= 1.5x stable"
    base = planned(rule, error_rate=0.005).requests[-1]
    assert planned(rule, error_rate=0.001).requests[-1] > 4 * base
    assert planned(rule, error_rate=0.005, confidence=0.99).requests[-1] > base
    assert planned(rule, "latency_p99 <= 1 s", "prediction_shift <= 0.3", error_rate=0.005).requests[-1] > base
    assert planned(rule, error_rate=0.005, sticky=True).requests[-1] > base


def test_of_alternatives_the_easier_one_is_planned() -> None:
    easy, hard = "error_rate <= 3x stable", "error_rate <= 1.2x stable"
    both = planned({"any": [easy, hard]}, error_rate=0.005).requests[-1]
    assert planned(easy, error_rate=0.005).requests[-1] <= both < planned(hard, error_rate=0.005).requests[-1] / 2
    assert planned({"all": [easy, hard]}, error_rate=0.005).requests[-1] >= planned(hard, error_rate=0.005).requests[-1]


def test_numbers_of_the_users_own_need_no_requests_but_some_are_asked_for() -> None:
    made = planned("sold >= 0.9x stable")
    assert made.requests[0] == FEWEST
    assert "as they are" in made.why[0]


def test_a_plan_that_cannot_decide_is_refused_with_what_would_help() -> None:
    assert "expected: {error_rate" in refusal("error_rate <= 1.5x stable")
    assert "as good" in refusal("error_rate <= 1x stable", error_rate=0.005)
    assert "as good" in refusal("error_rate <= stable + 0%", error_rate=0.005)
    assert "1.5x stable" in refusal("error_rate <= 0.4%", error_rate=0.005)
    assert "any number of requests" in refusal("prediction_shift <= 0", error_rate=0.005)
    assert "no rules" in refusal(error_rate=0.005)
    assert "no rules, or no steps" in refusal("error_rate <= 1%", steps=(), error_rate=0.005)


def test_requests_that_are_too_few_are_refused_with_the_number_that_would_do() -> None:
    said = refusal("error_rate <= 1.5x stable", error_rate=0.005, requests=1000)
    assert "`step.requests` is 1,000" in said
    enough = int(said.split("Write `requests: ")[1].split("`")[0])
    assert planned("error_rate <= 1.5x stable", error_rate=0.005, requests=enough).requests == (enough,) * 3
    refusal("error_rate <= 1.5x stable", error_rate=0.005, requests=enough // 2)


def test_a_step_that_would_take_longer_than_it_may_is_refused() -> None:
    said = refusal("error_rate <= 1.5x stable", error_rate=0.005, per_second=1, at_most=6 * 3600)
    assert "at 1 a second" in said
    assert "6 hours" in said
    assert "`error_rate <= 1.5x stable`" in said
    slow = planned("error_rate <= 1.5x stable", error_rate=0.005, per_second=40, at_most=6 * 3600, at_least=4000)
    assert slow.steps[0].seconds == 4000
