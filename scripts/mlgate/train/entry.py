"""Metrics of the project's own: a Python function of the evaluation data and the predictions, one value per row."""
# ruff: noqa: S608 -- names and paths are quoted; nothing else of the queries comes from outside

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.config import Config
from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.repo.git import Snapshot
from mlgate.train import process
from mlgate.train.ready import Ready

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORKER = Path(__file__).with_name("worker.py")


class WrongError(MlgateError):
    """The function gave something else than was asked for. `ids`: the first rows that this is about."""

    def __init__(self, message: str, ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.ids = ids


@dataclass(frozen=True)
class Data:
    """Files of one table, as the project's own pandas is to read them. `shown` is what sentences call it."""

    files: Sequence[Path]
    shown: str
    format: str
    read: Read

    def request(self) -> dict[str, Any]:
        tabs = any(".tsv" in file.name.lower() for file in self.files)
        return {
            "files": [str(file) for file in self.files],
            "shown": self.shown,
            "format": self.format,
            "delimiter": self.read.delimiter or ("\t" if tabs else ","),
            "quote": self.read.quote or '"',
            "encoding": {"utf-8": "utf-8-sig"}.get(self.read.encoding, self.read.encoding),
            "nulls": list(self.read.nulls),
        }


def points(config: Config) -> Iterator[tuple[str, str, str]]:
    """Set, key and `module:function` of each entry point of one version of the rules."""
    for name, evaluation in config.evaluate.items():
        rules = {**config.compare.rules, **evaluation.rules}
        if config.compare.slices:
            rules = {**config.compare.slices.rules, **rules}
        for key, rule in rules.items():
            if rule.entry_point:
                yield name, key, rule.entry_point


def source(snapshot: Snapshot, folder: str, entry_point: str) -> tuple[str, bytes] | None:
    """The file of a commit that an entry point is in, and its text; None where it comes from elsewhere."""
    module = entry_point.partition(":")[0].replace(".", "/")
    for name in (f"{module}.py", f"{module}/__init__.py"):
        path = f"{folder}/{name}" if folder else name
        data = snapshot.read(path)
        if data is not None:
            return path, data
    return None


def ask(ready: Ready, entry_point: str, data: Data, predictions: Data, *, id_: str, to: Path) -> int:
    """Write id and value of each row to a CSV file; how many rows that are.

    The code is that of `ready`. Raises MlgateError, which says what the function did wrong.
    """
    work = ready.beside("asked")
    request, answer = work / "request.json", work / "answer.json"
    answer.unlink(missing_ok=True)
    asked: dict[str, Any] = {
        "values": entry_point,
        "folder": str(ready.folder),
        "id": id_,
        "to": str(to),
        "answer": str(answer),
    }
    asked |= {"data": data.request(), "predictions": predictions.request()}
    request.write_text(json.dumps(asked), "utf-8")
    ready.project.say(f"> {entry_point} of {predictions.shown}")
    ended = process.run(
        [ready.interpreter, str(WORKER), str(request)], cwd=ready.folder, environ=ready.code, say=ready.project.say
    )
    if ended.code != 0:
        said = "\n".join(f"  {line.replace(f'{ready.scratch.tree}/', '')}" for line in _user_frames(ended.tail))
        raise MlgateError(f"{entry_point} failed ({ended.how})." + (f" It said last:\n{said}" if said else ""))
    try:
        found = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        raise MlgateError(f"{entry_point} ended the program that asked it, without an answer.") from None
    if "wrong" in found:
        raise WrongError(f"{entry_point}: {found['wrong']}.", tuple(map(str, found["ids"])))
    return int(found["rows"])


def _user_frames(tail: Sequence[str]) -> list[str]:
    """Without the lines of the program that asks."""
    kept: list[str] = []
    skip = False
    for line in tail:
        if line.lstrip().startswith("File "):
            skip = f'"{WORKER}"' in line
        elif not line.startswith(" "):
            skip = False
        if not skip:
            kept.append(line)
    return kept


def keep(con: DuckDBPyConnection, made: Path, id_: str, to: Path) -> None:
    """The values as Parquet: the id under its own name, and `value`."""
    from mlgate.data.reading import sql  # noqa: PLC0415

    if id_ == "value":
        raise MlgateError("an entry point's rows cannot be told apart by a column called `value`.")
    columns = f"{{{sql.text('id')}: 'VARCHAR', 'value': 'DOUBLE'}}"
    rows = f"read_csv({sql.text(sql.literal(str(made)))}, header = true, columns = {columns}, auto_detect = false)"
    con.execute(f"COPY (SELECT id AS {sql.name(id_)}, value FROM {rows}) TO {sql.text(str(to))} (FORMAT parquet)")
