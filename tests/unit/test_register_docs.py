"""docs/register.md: its YAML is a configuration, and what it says of options and outputs is so."""

from __future__ import annotations

import re

import click
import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.commands import register

TEXT = (ROOT / "docs/register.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_yaml_is_a_configuration(block: str) -> None:
    loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
    assert loaded.register_.to


def test_every_option_is_described() -> None:
    own = {"--config", "--working-directory", "--summary", "--debug"}
    options = {o for p in register.command.params if isinstance(p, click.Option) for o in p.opts}
    table = TEXT[TEXT.index("| Option |") :]
    assert options - own == set(re.findall(r"`(--[a-z-]+)`", table.split("\n\n")[0]))
    variables = {
        p.envvar for p in register.command.params if p.name not in ("config", "working_directory", "summary", "debug")
    }
    assert variables == set(re.findall(r"`(MLGATE_[A-Z_]+)`", table.split("\n\n")[0]))


def test_outputs_are_those_of_gto_action_and_more() -> None:
    told = register.outputs([])
    assert list(told)[:7] == ["event", "name", "version", "stage", "type", "path", "description"]
    for name in told:
        assert f"`{name}`" in TEXT
    assert (told["created"], told["registered"]) == ("false", "[]")
