"""docs/load.md and docs/shadow.md: their YAML is a configuration, and their options, rules and verdicts are so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from builder import MLGATE
from mlgate import config
from mlgate.commands.load import command
from mlgate.config.deploying import LoadTest, Replayed
from mlgate.rollout.checks import load, replayed

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text("utf-8") for name in ("load.md", "shadow.md")}


@pytest.mark.parametrize("page", PAGES)
def test_its_yaml_is_a_configuration(page: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGES[page], re.DOTALL)
    assert blocks
    for block in blocks:
        loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
        assert loaded.deploy.environments


def test_every_option_is_there_and_none_other() -> None:
    options = {name for one in command.params for name in one.opts if name.startswith("--")}
    named = set(re.findall(r"`(--[a-z0-9-]+)", PAGES["load.md"]))
    assert named <= options
    assert options - named <= {"--config", "--working-directory", "--summary", "--debug"}


def test_every_limit_is_in_the_examples() -> None:
    for page, model, key in (("load.md", LoadTest, "load"), ("shadow.md", Replayed, "shadow")):
        block = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGES[page], re.DOTALL)[0])
        (environment,) = block["deploy"]["environments"].values()
        left_out = {"connections", "latency_p50"}  # said in words
        assert set(model.model_fields) - left_out == set(environment["checks"][key])


def test_the_numbers_are_those_of_the_code() -> None:
    least = load._LEAST
    assert f"{least[0.5]} for p50, {least[0.95]} for p95, {least[0.99]} for p99" in PAGES["load.md"]
    assert f"fewer than {replayed.LEAST} requests" in PAGES["shadow.md"]
