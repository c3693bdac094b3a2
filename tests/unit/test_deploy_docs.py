"""docs/deploy.md: its YAML is a configuration, and what it says of options and outputs is so."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.commands import deploy

TEXT = (ROOT / "docs/deploy.md").read_text("utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(?:#[^\n]*\n)?(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
def test_yaml_is_a_configuration(block: str) -> None:
    loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
    assert list(loaded.deploy.environments) == ["staging", "production"]


def test_every_option_is_described() -> None:
    options = {o for p in deploy.command.params if isinstance(p, click.Option) for o in p.opts}
    table = TEXT[TEXT.index("| option |") :].split("\n\n")[0]
    assert options == set(re.findall(r"`(--[a-z-]+)`", table))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= options


def test_outputs_and_strategies_are_all_there() -> None:
    from mlgate.commands import _deployment  # noqa: PLC0415
    from mlgate.config.deploying import STRATEGIES  # noqa: PLC0415

    for name in _deployment.OUTPUTS:
        assert f"`{name}`" in TEXT
    assert re.findall(r"^\| `([a-z-]+)` \|", TEXT[TEXT.index("| strategy |") :].split("\n\n")[0], re.MULTILINE) == [
        *STRATEGIES
    ]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (Path(ROOT) / "docs" / target).exists(), target


def test_the_plan_that_is_shown_is_the_plan_of_the_settings_above() -> None:
    from mlgate.commands import _planning  # noqa: PLC0415
    from mlgate.rollout import strategies  # noqa: PLC0415

    block = re.findall(r"^```yaml\n(?:#[^\n]*\n)?(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)[0]
    loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
    settings = loaded.deploy.environments["production"]
    made = _planning.planned(loaded, "production", None)
    assert made is not None
    steps = strategies.plan(settings, stable=True, requests=[one.canary for one in made.steps]).steps
    for line in _planning.table(made, [(step.weight, step.requests) for step in steps], settings):
        assert f"{line}\n" in TEXT
