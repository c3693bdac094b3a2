"""docs/rollback.md says what is so: options, outputs, and the words of the ledger's entry."""

from __future__ import annotations

import re

import click

from builder import ROOT
from mlgate.commands import rollback
from mlgate.ledger.kinds import Rollback

PAGE = (ROOT / "docs/rollback.md").read_text("utf-8")


def test_every_option_is_there() -> None:
    shared = {"--config", "--working-directory", "--debug", "--summary"}
    own = {o for p in rollback.command.params if isinstance(p, click.Option) for o in p.opts} - shared
    others = {"--alias", "--drill"}
    assert set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", PAGE)) - others == own


def test_the_entry_has_these_members() -> None:
    block = PAGE.split("```json\n", 1)[1].split("```", 1)[0]
    assert set(re.findall(r'"([a-z_]+)":', block)) - {"sha256"} <= set(Rollback.model_fields)


def test_the_outputs_are_named() -> None:
    source = (ROOT / "scripts/mlgate/commands/_putting_back.py").read_text("utf-8")
    (names,) = re.findall(r"names = \((.*?)\)", source)
    section = PAGE.split("Outputs: ", 1)[1].split("and those", 1)[0]
    assert re.findall(r"`([a-z-]+)`", section) == re.findall(r'"([a-z-]+)"', names)


def test_the_pages_it_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
