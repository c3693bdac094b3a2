"""The actions and workflows of this repository, read once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTIONS = sorted(ROOT.glob("actions/*/action.yml"))
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))  # pathlib's glob sees dot-files as well
REUSABLE = [p for p in WORKFLOWS if not p.name.startswith(".")]
OURS = [p for p in WORKFLOWS if p.name.startswith(".")]
STARTERS = sorted(ROOT.glob("workflows/*.yml"))
CALLERS = [*STARTERS, *sorted(ROOT.glob("example-project/.github/workflows/*.yml"))]
STANDINS = sorted((ROOT / "tests" / "github" / "standins").glob("*/action.yml"))


def name(path: Path) -> str:
    """The path as people write it, for test ids and messages."""
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> dict[str, Any]:
    return parse(path.read_text("utf-8"))


def parse(text: str) -> dict[str, Any]:
    """YAML as GitHub reads it: `on` is a key, not a truth value."""
    data: dict[Any, Any] = yaml.safe_load(text)
    if True in data:
        data["on"] = data.pop(True)
    return data


def called(workflow: dict[str, Any]) -> dict[str, Any]:
    """What `workflow_call` declares."""
    declared: dict[str, Any] = workflow["on"]["workflow_call"]
    return declared


def steps(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step of an action or a workflow, with the name of its job."""
    for step in data.get("runs", {}).get("steps", []):
        yield "", step
    for job, body in data.get("jobs", {}).items():
        for step in body.get("steps", []):
            yield job, step


def uses(text: str) -> Iterator[tuple[str, str]]:
    """Every `uses:` with what follows it on the line."""
    for line in text.splitlines():
        if found := re.match(r"\s*(?:- )?uses:\s*(\S+)\s*(.*)$", line):
            yield found[1], found[2]


@dataclass(frozen=True)
class Block:
    """A YAML block in a page."""

    file: str
    line: int
    text: str

    @cached_property
    def data(self) -> Any:
        return yaml.safe_load(self.text)


def blocks(path: Path) -> list[Block]:
    text = path.read_text("utf-8")
    return [
        Block(name(path), text.count("\n", 0, found.start()) + 1, found[1])
        for found in re.finditer(r"^```ya?ml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def as_workflow(block: Block) -> str | None:
    """A whole workflow from what a page shows: itself, or its steps or jobs put into one. None for other YAML."""
    data = block.data
    indented = "".join(f"      {line}" if line.strip() else line for line in block.text.splitlines(keepends=True))
    head = "on: push\njobs:\n"
    if isinstance(data, list) and all(isinstance(s, dict) and ({"uses", "run"} & s.keys()) for s in data):
        return f"{head}  shown:\n    runs-on: ubuntu-latest\n    timeout-minutes: 5\n    steps:\n{indented}"
    if isinstance(data, dict) and "jobs" in data:
        return block.text if {"on", True} & data.keys() else f"on: push\n{block.text}"
    return None
