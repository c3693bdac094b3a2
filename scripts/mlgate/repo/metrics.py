"""Metrics files as DVC allows them, flattened to dotted keys. Values keep their type: rules judge what is a number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from mlgate.errors import MlgateError, why
from mlgate.repo import yaml12
from mlgate.repo.yaml12 import Loader

MAX_BYTES = 16 * 2**20
MAX_KEYS = 100_000  # also stops YAML aliases that multiply
SUFFIXES = (".json", ".yaml", ".yml", ".toml", ".csv", ".tsv")
_NAMED_VALUE = {"metric", "name", "key", "measure"}


class _TwiceError(ValueError):
    pass


def parse(data: bytes, path: str) -> dict[str, Any]:
    """Dotted key -> value. Raises MlgateError naming the file when it is not what its suffix says."""
    if len(data) > MAX_BYTES:
        raise MlgateError(f"is {len(data):,} bytes; a metrics file is at most {MAX_BYTES:,}.", file=path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MlgateError("is not text (UTF-8), so it is not a metrics file.", file=path) from error
    if not text.strip():
        raise MlgateError(
            "is empty: nothing was measured.", file=path, fix="Look at the stage that writes it, and run `dvc repro`."
        )
    reader = _reader(path)
    try:
        value = reader(text)
        if not isinstance(value, Mapping):
            raise MlgateError(f"holds a {type(value).__name__}; a metrics file is a mapping of names.", file=path)
        return _flat(value, path)
    except _TwiceError as error:
        raise MlgateError(f"has the key {error} twice; which one counts cannot be known.", file=path) from error
    except RecursionError as error:
        raise MlgateError("is nested too deeply to be a metrics file.", file=path) from error
    except (ValueError, yaml.YAMLError, csv.Error) as error:
        raise MlgateError(f"cannot be read as {path.rsplit('.', 1)[-1].upper()}: {why(error)}.", file=path) from error


def _reader(path: str) -> Callable[[str], Any]:
    lower = path.lower()
    if lower.endswith(".json"):
        return lambda text: json.loads(text, object_pairs_hook=_once)
    if lower.endswith((".yaml", ".yml")):
        return lambda text: yaml12.load(text, _OnceLoader)
    if lower.endswith(".toml"):
        import tomllib  # noqa: PLC0415 -- few repositories have one

        return tomllib.loads
    if lower.endswith((".csv", ".tsv")):
        return lambda text: _table(text, "\t" if lower.endswith(".tsv") else ",")
    raise MlgateError(
        "is not a kind of metrics file that DVC knows.", file=path, fix=f"Use one of {', '.join(SUFFIXES)}."
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(repr(key))
        found[key] = value
    return found


class _OnceLoader(Loader):
    """A safe loader that refuses the same key twice instead of keeping the last."""


def _mapping(loader: _OnceLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise ValueError("a key is a list or a mapping")
        if key in seen:
            raise _TwiceError(repr(key))
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_OnceLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _table(text: str, delimiter: str) -> dict[str, Any]:
    """One row under a header, or rows of name and value. More rows have no single value to judge."""
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if row]
    if len(rows) < 2:
        raise ValueError("a header and at least one row are needed")
    header = [cell.strip() for cell in rows[0]]
    if len(header) == 2 and header[0].lower() in _NAMED_VALUE:
        rows, header = [[row[1] if len(row) == 2 else "" for row in rows[1:]]], [row[0] for row in rows[1:]]
    else:
        rows = rows[1:]
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows where one is needed (or two columns: metric, value)")
    if len(rows[0]) != len(header):
        raise ValueError(f"{len(rows[0])} values under {len(header)} names")
    return _once([(name, _number(cell)) for name, cell in zip(header, rows[0], strict=True)])


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _flat(value: Mapping[Any, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    visited = 0

    def walk(node: Mapping[Any, Any], prefix: str) -> None:
        nonlocal visited
        for key, item in node.items():
            visited += 1
            if visited > MAX_KEYS:
                raise MlgateError(f"holds more than {MAX_KEYS:,} keys.", file=path)
            dotted = f"{prefix}{key}"
            if isinstance(item, Mapping):
                walk(item, f"{dotted}.")
            elif dotted in found:
                raise MlgateError(f"has two values for {dotted!r} (a dotted key and a nested one).", file=path)
            else:
                found[dotted] = item

    walk(value, "")
    return found
