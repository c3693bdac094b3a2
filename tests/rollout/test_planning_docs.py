"""docs/canary.md: its example is a configuration whose plan can decide, and its figures are those of the planner."""

from __future__ import annotations

import re

import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.config.conditions import KNOWN, parse
from mlgate.rollout.analysis.planning import Pacing, plan

PAGE = (ROOT / "docs/canary.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| ([0-9,]+) \|$", PAGE.split("<!-- planned -->")[1], re.MULTILINE)


def test_the_example_is_read_and_its_plan_decides() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^#.*\n", "", block)
    whole = f"{MLGATE}{plain}"
    if "\nevaluate:" not in whole:
        whole += "evaluate: {holdout: {metrics: [metrics/eval.json]}}\n"
    found = config.load(whole.encode(), file="mlgate.yaml", base=lambda _: None)
    production = found.deploy.environments["production"]
    assert production.expected.error_rate is not None
    assert production.expected.requests_per_second is not None
    made = plan(
        production.rules,
        [float(step) for step in production.steps],
        Pacing(
            error_rate=float(production.expected.error_rate),
            per_second=float(production.expected.requests_per_second),
            at_most=float(production.step.at_most),
        ),
        confidence=production.confidence,
    )
    assert len(made.steps) == 3


@pytest.mark.parametrize(("rule", "requests"), ROWS)
def test_the_requests_that_a_rule_takes_are_those_of_the_plan(rule: str, requests: str) -> None:
    made = plan([parse(rule)], [5.0, 25.0, 50.0], Pacing(error_rate=0.005), confidence=0.95)
    assert made.steps[-1].all == pytest.approx(int(requests.replace(",", "")), rel=0.05)


def test_every_metric_and_every_name_that_is_put_in_is_told() -> None:
    assert len(ROWS) == 8
    for word in (*KNOWN, "{arm}", "{slot}", "{digest}", "{version}", "{environment}", "{seconds}"):
        assert f"`{word}`" in PAGE
    for rule in re.findall(r"`(error_rate [^`]*|latency_p99 [^`]*|prediction_shift [^`]*)`", PAGE):
        parse(rule)
