"""A model's signature and input example in MLflow's own form, made from columns: the model is never loaded."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from mlgate.tracking.nouns import Column, Example
from mlgate.tracking.words import several

ROWS = 5
EXAMPLE, SERVING = "input_example.json", "serving_input_example.json"
_TYPES = {
    "integer": "long",
    "number": "double",
    "text": "string",
    "boolean": "boolean",
    "date": "datetime",
    "timestamp": "datetime",
}
_LARGEST = 1_000_000  # bytes of an MLmodel file; real ones have a few thousand


def columns(given: tuple[Column, ...]) -> list[dict[str, Any]]:
    """MLflow's column specification; a type nobody knows is not enforced."""
    return [{"type": _TYPES.get(c.kind, "any"), "name": c.name, "required": True} for c in given]


def signature(example: Example) -> dict[str, Any]:
    """The value of `signature` in an MLmodel file: JSON in text, as MLflow writes it."""
    return {"inputs": json.dumps(columns(example.columns)), "outputs": None, "params": None}


def frame(example: Example) -> dict[str, Any] | None:
    """Up to five rows as pandas splits a frame, private columns left out; None when nothing is left."""
    kept = [i for i, column in enumerate(example.columns) if column.name not in example.private]
    if not kept or not example.rows:
        return None
    return {
        "columns": [example.columns[i].name for i in kept],
        "data": [[_json(row[i]) for i in kept] for row in example.rows[:ROWS]],
    }


def files(example: Example) -> dict[str, str]:
    """What lies beside a model that is no MLflow model: name -> text."""
    made = {"signature.json": _dumps({**signature(example), "inputs": columns(example.columns)})}
    if (split := frame(example)) is not None:
        made[EXAMPLE] = _dumps(split)
    return made


def complete(folder: Path, example: Example | None) -> tuple[dict[str, str | None], list[str]]:
    """What an MLflow model folder lacks, and what to say of it.

    File name -> text that replaces or joins its own, None for a file that is not to be logged. Raises nothing.
    """
    document = _read(folder / "MLmodel", yaml.safe_load)
    if not isinstance(document, dict):
        return {}, ["The model's MLmodel file cannot be read, so it was logged as it is."]
    made: dict[str, str | None] = {}
    notes = _drop_private(folder, document, example, made)
    lacks = [
        word
        for word, key in (("signature", "signature"), ("input example", "saved_input_example_info"))
        if not document.get(key)
    ]
    if example is None and lacks:
        return {}, [f"The model has no {' and no '.join(lacks)}, and there was no evaluation data to make one from."]
    if example is None or not lacks:
        return made, notes
    if "signature" in lacks:
        document["signature"] = signature(example)
    if "input example" in lacks and (split := frame(example)) is not None:
        made |= {EXAMPLE: _dumps(split), SERVING: _dumps({"dataframe_split": split})}
        document["saved_input_example_info"] = {
            "artifact_path": EXAMPLE,
            "pandas_orient": "split",
            "serving_input_path": SERVING,
            "type": "dataframe",
        }
    return {**made, "MLmodel": yaml.safe_dump(document, sort_keys=False, allow_unicode=True)}, notes


def _drop_private(
    folder: Path, document: dict[str, Any], example: Example | None, made: dict[str, str | None]
) -> list[str]:
    """Takes away an example that came with the model and shows private columns, or may do so."""
    info = document.get("saved_input_example_info")
    if not info or example is None or not example.private:
        return []
    names = [name for key, name in info.items() if key.endswith("_path")] if isinstance(info, dict) else []
    split = _read(folder / str(names[0]), json.loads) if names else None
    shown = split.get("columns") if isinstance(split, dict) else None
    if isinstance(shown, list) and not example.private & {str(name) for name in shown}:
        return []
    made.update({str(name): None for name in names})
    document["saved_input_example_info"] = None
    return ["The model came with an input example of its own that may show private columns; it was left out."]


def _read(path: Path, parse: Callable[[bytes], Any]) -> Any:
    """What a small file holds; None for what cannot be read."""
    try:
        return parse(path.read_bytes()) if path.stat().st_size <= _LARGEST else None
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return None


def hidden(example: Example | None) -> list[str]:
    """What is said of private columns."""
    names = [c.name for c in example.columns if c.name in example.private] if example else []
    return [f"The input example is without the private column {several(names)}."] if names else []


def _dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _json(value: Any) -> Any:
    """JSON has no NaN, no dates and no decimals."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
