"""docs/profile.md: its YAML is a configuration, and what it says of options, outputs and limits is so."""

from __future__ import annotations

import re

import click
import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.commands import profile
from mlgate.data import profiles
from mlgate.data.profiles import building, categories, knots
from mlgate.data.profiles.nouns import FLOOR

TEXT = (ROOT / "docs/profile.md").read_text("utf-8")


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_yaml_is_a_configuration(block: str) -> None:
    loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
    assert loaded.monitor.logs is not None


def test_every_option_is_described() -> None:
    shared = ("config", "working_directory", "summary", "debug")
    options = [p for p in profile.command.params if isinstance(p, click.Option) and p.name not in shared]
    table = TEXT[TEXT.index("| Option |") :].split("\n\n")[0]
    assert {o for p in options for o in p.opts} == {found.split()[0] for found in re.findall(r"\| `(--[^`]+)`", table)}
    assert {p.envvar for p in options} == set(re.findall(r"`(MLGATE_[A-Z_]+)`", table))


def test_limits_are_those_of_the_code() -> None:
    assert (FLOOR, categories.LISTED, categories.LONGEST, categories.FEW) == (10, 500, 200, 20)
    assert (knots.BINS - 1, building.DAYS, building.LEAST, categories.SHARE) == (1_023, 92, 100, 0.005)
    for said in ("A floor of ten rows", "up to 500 values", "more than 200 characters", "up to 20 different", "1,023",
                 "newest 92 days", "100 rows or more", "0.5 %"):  # fmt: skip
        assert said in TEXT, said


def test_the_python_it_shows_calls_what_there_is() -> None:
    block = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    for name in re.findall(r"profiles\.(\w+)", block):
        assert callable(getattr(profiles, name))
    compile(block, "profile.md", "exec")
