"""Starting a workflow or pipeline elsewhere on the forge, and letting the forge merge a request by itself.

What is handed over is an order: a name, a branch and a few short texts. Nothing of it is code, and nothing of it is
long: a run that was started finds the rest in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

By = Literal["workflow", "repository", "pipeline"]

INPUTS = 25  # of a workflow, the most that GitHub takes
PAYLOAD = 10  # properties of a repository_dispatch, likewise
LENGTH = 1000  # characters of one of them


@dataclass(frozen=True)
class Order:
    """What is to be started. `name`: a workflow's file, or the type of an event; pipelines have none.

    `inputs` go as inputs of the workflow, as `client_payload`, or as variables `MLGATE_<INPUT>` of a pipeline.
    """

    by: By
    name: str
    ref: str
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """What people call it."""
        if self.by == "pipeline":
            return f"a pipeline on {self.ref}"
        return f"the event {self.name}" if self.by == "repository" else f"{self.name} on {self.ref}"


@dataclass(frozen=True)
class Started:
    """What was started. `url` is the address of the run, where the forge tells it; `said`: what people should know."""

    url: str = ""
    said: tuple[str, ...] = ()


def short(inputs: Mapping[str, str]) -> dict[str, str]:
    """Inputs as a forge takes them: without control characters, and not too long."""
    return {
        name: "".join(c if c.isprintable() or c == "\n" else " " for c in value)[:LENGTH]
        for name, value in inputs.items()
    }
