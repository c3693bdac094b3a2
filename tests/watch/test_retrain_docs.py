"""docs/retrain.md: its YAML is a configuration, and what it says of options, outputs and limits is so."""

from __future__ import annotations

import re

import click
import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.commands import retrain, train
from mlgate.commands._retrain_nouns import Asked
from mlgate.commands._retraining import Retrainer
from mlgate.config.watching import Dispatch
from mlgate.setup.retraining import asks

TEXT = (ROOT / "docs/retrain.md").read_text("utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
def test_yaml_is_a_configuration_that_asks_for_a_successor(block: str) -> None:
    assert asks(config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None))


def test_every_option_and_its_variable_is_described() -> None:
    options = [p for p in retrain.command.params if isinstance(p, click.Option)]
    table = TEXT[TEXT.index("| option |") :].split("\n\n")[0]
    assert {o for p in options for o in p.opts} == set(
        re.findall(r"(--[a-z][a-z-]+)", table.replace("`--finish failed`", ""))
    )
    common = {"MLGATE_CONFIG", "MLGATE_WORKING_DIRECTORY", "MLGATE_SUMMARY", "MLGATE_DEBUG"}
    assert {str(p.envvar) for p in options} - common <= set(re.findall(r"MLGATE_[A-Z_]+", TEXT))


def test_the_options_of_train_that_it_shows_are_there() -> None:
    there = {o for p in train.command.params if isinstance(p, click.Option) for o in p.opts}
    for line in re.findall(r"`mlgate train ([^`]*)`", TEXT):
        assert set(re.findall(r"--[a-z-]+", line)) <= there


def test_outputs_and_ways_to_start_are_all_there() -> None:
    table = TEXT[TEXT.index("| output |") :].split("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE)) == set(Retrainer(None, Asked()).outputs())  # type: ignore[arg-type]
    ways = TEXT[TEXT.index("| `retrain.dispatch.by` |") :].split("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z]+)`", ways, re.MULTILINE)) == set(
        Dispatch.model_fields["by"].annotation.__args__  # type: ignore[union-attr]
    )


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
