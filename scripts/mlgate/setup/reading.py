"""YAML of somebody else's making, read for what it says: unknown tags are let through, nothing is executed."""

from __future__ import annotations

from typing import Any

import yaml

from mlgate.repo import yaml12

MAX_BYTES = 1 << 20


class _Loader(yaml.CSafeLoader):
    """A safe loader that reads tags it does not know (GitLab's `!reference`) as what is under them."""


def _untagged(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _untagged)


def documents(data: bytes) -> list[dict[str, Any]]:
    """Every mapping among the documents of a file; nothing when it is not YAML at all."""
    if len(data) > MAX_BYTES or data.count(b"*") > 10_000:
        return []
    try:
        yaml12.shallow(data.decode())
        loaded = list(yaml.load_all(data.decode(), Loader=_Loader))
    except (UnicodeDecodeError, yaml.YAMLError, ValueError, TypeError, RecursionError):
        return []
    return [d for d in loaded if isinstance(d, dict)]


def mapping(value: Any) -> dict[str, Any]:
    """The mapping, with keys as text (`on:` is read as a boolean by YAML 1.1); empty for anything else."""
    if not isinstance(value, dict):
        return {}
    return {"on" if key is True else str(key): item for key, item in value.items()}


def listing(value: Any) -> list[Any]:
    """A list as it is, nothing for nothing, and one thing as a list of it."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
