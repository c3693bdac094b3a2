"""What the run job makes for the judge beside the committed files: where it lies, and whether it is what was told.

All of it lies in `made/<model>/` of the inputs folder. The evidence of `compare --prepare` lists each file under that
path with its sha256. A file that it does not list, or that is another one by now, is not read.

| file | what it holds |
|---|---|
| `<set>.<side>.parquet` | predictions of a champion or anchor that was scored again on the challenger's rows |
| `<set>.exclude.parquet` | `id`, `side`: rows that champion or anchor was trained on, which leave the comparison |
| `<set>.<key>.<side>.parquet` | `id`, `value`: what the entry point of the rule `key` says of each row |
| `costs.json` | size, latency and memory of challenger and champion, with every sample |

The predictions keep the ending that the project writes (`.csv`, `.jsonl`). Sets and keys are quoted as in addresses,
dots too: `eval%2Eauc`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import quote

from mlgate.errors import MlgateError
from mlgate.model import Evidence, Named
from mlgate.repo import inputs

Side = Literal["challenger", "champion", "anchor"]
FOLDER = "made"


def rescored(model: str, evaluation: str, side: Side, ending: str = ".parquet") -> str:
    """Predictions of a side for the challenger's rows. `ending` as that of the project's own file."""
    return f"{FOLDER}/{model}/{_word(evaluation)}.{side}{ending}"


def exclude(model: str, evaluation: str) -> str:
    """The rows that were training data of a side."""
    return f"{FOLDER}/{model}/{_word(evaluation)}.exclude.parquet"


def values(model: str, evaluation: str, key: str, side: Side) -> str:
    """What an entry point gave for each row."""
    return f"{FOLDER}/{model}/{_word(evaluation)}.{_word(key)}.{side}.parquet"


def costs(model: str) -> str:
    """What was measured of both models."""
    return f"{FOLDER}/{model}/costs.json"


def rescored_of(evidence: Evidence | None, evaluation: str, side: Side) -> Named | None:
    """The predictions of a side that was scored again, whatever their format."""
    told = evidence.inputs if evidence is not None else []
    return next((one for one in told if one.role == role_rescored(evaluation, side)), None)


def role_rescored(evaluation: str, side: Side) -> str:
    return f"{side} scored again on {evaluation}"


def find(evidence: Evidence | None, folder: Path, name: str) -> Path | None:
    """A made file by its name, None where the evidence has none. Raises MlgateError when it is not what was told."""
    told = next((one for one in evidence.inputs if one.name == name), None) if evidence is not None else None
    if told is None:
        return None
    found = inputs.made(folder, name, told.digest.get("sha256", ""))
    if found is None:
        raise MlgateError(
            "is not there, and the evidence of the run job lists it.", file=f"{folder.name}/{name}",
            fix="Hand the inputs folder over together with the evidence.",
        )  # fmt: skip
    return found


def _word(text: str) -> str:
    return quote(text, safe="+@=, ").replace(".", "%2E")  # dots stand between words
