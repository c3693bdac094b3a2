"""What every section of mlgate.yaml has in common: closed, frozen, and nothing where all its keys are commented out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def section(value: Any) -> Any:
    """A section whose keys are all commented out reads as nothing, and means an empty one."""
    return {} if value is None else value


def as_list(value: Any) -> Any:
    return [] if value is None else value


def one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else as_list(value)


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
