"""docs/targets.md: its YAML is a configuration, its JSON is what commands may print, its variables are all there."""

from __future__ import annotations

import json
import re

import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.rollout.targets import OWN, command, command_words

PAGE = (ROOT / "docs" / "targets.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_is_a_configuration(block: str) -> None:
    whole = MLGATE + block
    read = config.load(whole.encode(), file="mlgate.yaml", base=lambda _: None)
    assert read.deploy is not None
    assert all(one.target.kind in {*OWN, "acme"} for one in read.deploy.environments.values())


def test_json_is_what_commands_may_print() -> None:
    status, observe = blocks("json")
    (slot,) = command_words.status(status, "status")
    assert (slot.plain().ready, slot.plain().weight) == (2, 95)
    told = command_words.observed(observe, list(json.loads(observe)), "observe")
    one, two = told.tallies.values()
    assert (one.requests, one.times.total, two.bad_units, told.why) == (2000 - 100, 1900, 1, "")


def test_variables_that_are_named_are_those_that_come() -> None:
    source = (ROOT / "scripts" / "mlgate" / "rollout" / "targets" / "command.py").read_text("utf-8")
    assert set(re.findall(r"MLGATE_[A-Z]+", PAGE)) - {"MLGATE_STATE"} == set(re.findall(r'"(MLGATE_[A-Z]+)"', source))


def test_the_longest_time_of_a_command_is_the_one_that_is_said() -> None:
    assert command.LONGEST == 5 * 60
    assert "longer than five minutes" in PAGE
