"""docs/audit.md says what is so: kinds, damages, options and messages are the code's."""

from __future__ import annotations

import re
from typing import get_args

import click
import pytest

from builder import ROOT
from mlgate.commands import _ledger, audit
from mlgate.ledger import chain, kinds, lines

PAGE = (ROOT / "docs/audit.md").read_text("utf-8")


def table(heading: str) -> str:
    """What stands between a heading and the next one."""
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_kind_is_there() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", table("What is kept"), re.MULTILINE)) == set(kinds.CLASSES)


def test_every_damage_is_there() -> None:
    named = set(re.findall(r"`([a-z ]+)`", table("What verification finds")))
    assert set(get_args(lines.Kind)) <= named


def test_every_subcommand_and_option_is_there() -> None:
    section = table("Commands")
    for name, command in audit.command.commands.items():
        row = next(row for row in section.splitlines() if row.startswith(f"| `mlgate audit {name}"))
        options = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
        own = options - {"--config", "--working-directory", "--debug"}
        assert own <= set(re.findall(r"--[a-z-]+", row)), name
        assert set(re.findall(r"--[a-z-]+", row)) <= options | {"--kind"}, name


def test_numbers_and_names_are_those_of_the_code() -> None:
    assert f"at most {chain.SEGMENT_LINES} entries" in PAGE
    assert _ledger.TOKEN in PAGE
    first = chain.Segment("2026-10", 1, "events").path
    assert f"git show origin/mlgate-ledger:{first}" in PAGE


@pytest.mark.parametrize("file", ["view.py", "words.py", "branch.py"])
def test_messages_that_are_explained_are_said(file: str) -> None:
    code = re.sub(r'"\s+f?"', "", (ROOT / "scripts/mlgate/ledger" / file).read_text("utf-8"))
    told = [
        row.split("|")[1].strip(" `")
        for row in table("When something is refused").splitlines()
        if row.startswith("| `")
    ]
    mine = {
        "view.py": ["holds the ledger of", "has diverged from what this clone saw of it", "is damaged, so nothing was"],
        "words.py": ["a rule or a hook of the server protects the branch", "the token may not write"],
        "branch.py": ["cannot be reached"],
    }[file]
    for words in mine:
        assert words in code
        assert any(row.startswith(words) for row in told)
