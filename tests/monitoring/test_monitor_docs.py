"""docs/monitor.md says what is so: options, what the verdict follows from, and pages that are there."""

from __future__ import annotations

import re

import click

from builder import ROOT
from mlgate.commands import monitor
from mlgate.config.alarmed import SECTIONS
from mlgate.watch.rules import _GRAVE

PAGE = (ROOT / "docs/monitor.md").read_text("utf-8")


def test_every_option_is_there_with_its_variable() -> None:
    rows = dict(re.findall(r"^\| `(--[a-z-]+)` \| `(MLGATE_[A-Z_]+)` \|", PAGE, re.MULTILINE))
    options = {
        one.opts[0]: one.envvar
        for one in monitor.command.params
        if isinstance(one, click.Option) and one.opts[0] != "--debug"
    }
    assert rows == options


def test_every_section_is_there() -> None:
    listed = re.findall(r"^\| `([a-z]+)` \|", PAGE.split("## What it ends with")[0], re.MULTILINE)
    assert {*SECTIONS, "metrics"} == set(listed)


def test_the_verdicts_are_those_of_the_rules() -> None:
    lines = PAGE.split("## What it ends with")[1].split("## What it remembers")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    states = {"fires": "firing", "is so,": "pending", "cannot": "unknown", "is over": "recovered"}
    severities = [re.sub("`", "", one) for one in rows[0][1:]]
    for row in rows[1:]:
        state = next(state for words, state in states.items() if row[0].startswith(words))
        for severity, cell in zip(severities, row[1:], strict=True):
            found = _GRAVE[severity].get(state, "pass")  # type: ignore[call-overload]
            assert cell.split(",")[0] == f"`{found}`", (row[0], severity)


def test_the_pages_it_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
