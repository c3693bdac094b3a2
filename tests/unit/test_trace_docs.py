"""docs/trace.md says what is so: its options, its keys, its sections and its words are the command's."""

from __future__ import annotations

import re
from pathlib import Path

import click
from traced import Traced

from builder import ROOT
from mlgate.commands.trace import command

PAGE = (ROOT / "docs/trace.md").read_text("utf-8")


def test_every_option_is_there() -> None:
    own = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
    assert own - {"--config", "--working-directory", "--debug"} == set(re.findall(r"--[a-z]+", PAGE)) & own
    assert set(re.findall(r"(?<![\w-])--[a-z]+", PAGE)) <= own


def test_the_keys_of_the_json_and_the_sections_are_there(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    file = traced.log(traced.line())
    keys = set(traced.told("r-1", "--log", str(file)))
    between = set(traced.told("visits@v1.1.0", "--diff", "visits@v1.0.0"))
    section = PAGE.split("## For scripts\n", 1)[1]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert keys | between == named
    shown = PAGE.split("$ mlgate trace visits@v1.1.0\n", 1)[1].split("```", 1)[0]
    labels = set(re.findall(r"^([a-z]+) {2,}", shown, re.MULTILINE))
    said = traced.trace("visits@v1.1.0")
    assert labels == set(re.findall(r"^([a-z]+) {2,}", said, re.MULTILINE)) - {"code"}


def test_every_word_of_the_first_block_means_something(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    block = PAGE.split("```text\n", 1)[1].split("```", 1)[0]
    words = [line.split("#")[0].split()[2] for line in block.splitlines()]
    assert len(words) == 7
    swapped = {"41": "10", "3f9c1d2": traced.v1[:7], words[2]: f"sha256:{traced.image('one')[:12]}"}
    for word in words:
        if word != "r-7f3a":
            assert traced.trace(swapped.get(word, word))
