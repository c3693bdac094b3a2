"""docs/notify.md: its YAML is a configuration, and what it says of options, outputs and messages is so."""

from __future__ import annotations

import re

import click
import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.commands import _notify_letters, notify
from mlgate.config.watching import SEVERITIES
from mlgate.watch.alerts import Matter, News

TEXT = (ROOT / "docs/notify.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_yaml_is_a_configuration(block: str) -> None:
    loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
    settings = loaded.notify
    assert set(settings.routes) == set(SEVERITIES)
    assert {name for names in settings.routes.values() for name in names} == set(settings.channels)


def test_every_option_is_described() -> None:
    shared = ("config", "working_directory", "summary", "debug")
    own = [p for p in notify.command.params if isinstance(p, click.Option) and p.name not in shared]
    table = TEXT[TEXT.index("| Option |") :].split("\n\n")[0]
    assert {name for p in own for name in p.opts} == set(re.findall(r"`(--[a-z-]+)", table))
    assert {p.envvar for p in own} == set(re.findall(r"`(MLGATE_[A-Z_]+)`", table))


def test_the_message_is_what_people_get() -> None:
    shown = re.search(r"## What people get\n\n```text\n(.*?)```", TEXT, re.DOTALL)
    assert shown is not None
    matter = Matter(
        "visits", "production", "drift", "critical", "on", said="psi.age 0.31 > 0.2",
        held="2 of 3 in the last 5 windows", since="2026-11-18",
        advice="Ask the clinics whether intake has changed.", version="v1.2.0", commit="a" * 40,
        run="https://ci.example.org/runs/1",
    )  # fmt: skip
    letter = _notify_letters.letter([News(matter, "raised", ("chat",))])
    assert shown[1] == f"{letter.title}\n\n{letter.text}\n"
