"""What a model costs: its size, the time that a call takes, and the memory that it needs. Of both models, taking turns.

Times of the challenger alone would say as much about the machine as about the model. So both models are measured on
the same rows in the same minutes: champion, challenger, challenger, champion, and so on. Every time is kept.
"""
# ruff: noqa: S608 -- names and paths are quoted; nothing else of the queries comes from outside

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.config.settings import Latency
from mlgate.errors import MlgateError
from mlgate.judge.made import Side
from mlgate.repo.dvc import Pipeline
from mlgate.train import process, score
from mlgate.train.entry import WORKER, Data
from mlgate.train.process import shell_of
from mlgate.train.ready import Judged, Ready

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

SIZE = "model_mb"
TIMED = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "peak_memory_mb")
_TURNS = Path(__file__).with_name("turns.py")
_WHOLE = 20  # calls of a whole process: each starts an interpreter
_ROWS = 100_000  # of the evaluation data are read at most


@dataclass(frozen=True)
class Measured:
    """One side. `times` in milliseconds, in the order of the calls; `error` says why there are none."""

    bytes: int | None = None
    times: tuple[float, ...] = ()
    peak: int | None = None
    error: str = ""

    def plain(self) -> dict[str, Any]:
        said = {"model_bytes": self.bytes, "latency_ms": list(self.times), "peak_memory_bytes": self.peak}
        return said | ({"error": self.error} if self.error else {})


@dataclass(frozen=True)
class Costs:
    """Of all sides. `how`: `function` (a loaded model is called), `process` (the whole `score` command), or nothing."""

    sides: Mapping[Side, Measured]
    evaluation: str = ""
    how: str = ""
    rows: int = 0
    warmup: int = 0
    machine: Mapping[str, str | float] = field(default_factory=dict)

    def to_json(self) -> str:
        said: dict[str, Any] = {"schema": 1, "set": self.evaluation, "how": self.how, "rows": self.rows}
        said |= {"warmup": self.warmup, "machine": dict(self.machine)}
        said |= {side: one.plain() for side, one in self.sides.items()}
        return json.dumps(said, sort_keys=True, indent=2, allow_nan=False) + "\n"


def timed(names: Iterable[str]) -> bool:
    """Whether any of these costs needs a model to be called."""
    return any(name in TIMED for name in names)


def size(pipeline: Pipeline, path: str) -> int | None:
    """The bytes of a model, file or folder, as its commit tells; None where it does not."""
    out = pipeline.outs.get(path)
    if out is not None and out.md5:
        return out.size
    data = pipeline.snapshot.read(path)
    if data is not None:
        return len(data)
    inside = pipeline.snapshot.below(path)
    texts = [pipeline.snapshot.read(f"{path}/{name}") for name in inside]
    return sum(len(text) for text in texts if text is not None) if inside else None


def on_disk(path: Path) -> int:
    """The same of what lies there."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def sample(con: DuckDBPyConnection, table: Table, data: Data, rows: int, to: Path) -> Data:
    """The first rows of the evaluation data as one file of the same format. Raises duckdb.Error."""
    from mlgate.data.reading import sql  # noqa: PLC0415

    asked = data.request()
    options = {"parquet": "FORMAT parquet", "jsonl": "FORMAT json"}.get(data.format)
    if options is None:
        null = sql.text((asked["nulls"] or [""])[0])
        options = f"FORMAT csv, HEADER, DELIMITER {sql.text(asked['delimiter'])}, QUOTE {sql.text(asked['quote'])}"
        options += f", NULLSTR {null}"
    con.execute(f"COPY (SELECT * FROM {table.relation} LIMIT {min(rows, _ROWS)}) TO {sql.text(str(to))} ({options})")
    read = data.read.model_copy(update={"encoding": "utf-8"})
    return Data([to], data.shown, data.format, read)


def by_function(
    sides: Sequence[Ready], names: Mapping[Side, str], latency: Latency, data: Data
) -> dict[Side, Measured]:
    """A loaded model of each side is called. `names`: side -> `module:function`. Raises MlgateError."""
    asked: dict[Side, dict[str, Any]] = {}
    for ready in sides:
        request = ready.beside("timed") / "request.json"
        model = str(ready.scratch.tree / ready.project.artifact)
        said = {"calls": names[ready.side], "folder": str(ready.folder), "model": model}
        request.write_text(json.dumps({**said, "data": data.request(), "rows": int(latency.rows)}), "utf-8")
        asked[ready.side] = {
            "command": [ready.interpreter, str(WORKER), str(request)],
            "cwd": str(ready.folder),
            "environ": dict(ready.code),
        }
    calls = int(latency.calls)
    return _turns(sides, asked, how="function", calls=calls, warmup=warmup(calls))


def by_process(sides: Sequence[Ready], judged: Mapping[Side, Judged], calls: int, data: Data) -> dict[Side, Measured]:
    """The whole `score` command of each side is run. Raises MlgateError."""
    asked: dict[Side, dict[str, Any]] = {}
    for ready in sides:
        one = judged[ready.side].evaluated
        made = ready.beside("timed") / Path(one.predictions).name
        model = ready.scratch.tree / ready.project.artifact if ready.project.artifact else None
        places = {"model": model, "data": data.files[0], "predictions": made}
        text = score.written(ready.project, one, ready.scratch.tree, places)
        asked[ready.side] = {
            "command": [shell_of(ready.code), "-c", text],
            "cwd": str(ready.scratch.tree / one.folder),
            "environ": dict(ready.code),
            "clear": str(made),
        }
    return _turns(sides, asked, how="process", calls=min(calls, _WHOLE), warmup=1)


def warmup(calls: int) -> int:
    """Calls that do not count: what is loaded late is loaded in them."""
    return max(1, min(20, calls // 10))


def _turns(
    sides: Sequence[Ready], asked: Mapping[Side, Mapping[str, Any]], *, how: str, calls: int, warmup: int
) -> dict[Side, Measured]:
    first = sides[0]
    work = first.beside("turns")
    request, answer = work / "request.json", work / "answer.json"
    answer.unlink(missing_ok=True)
    # The champion begins: what the first call of a machine costs is none of the challenger's.
    order = sorted(asked, key=lambda side: side == "challenger")
    said = {"sides": {side: asked[side] for side in order}, "calls": calls, "warmup": warmup, "how": how}
    request.touch(mode=0o600)
    request.write_text(json.dumps({**said, "answer": str(answer)}), "utf-8")
    first.project.say(f"> {calls} calls of {' and '.join(order)}, taking turns")
    ended = process.run(
        [sys.executable, "-I", str(_TURNS), str(request)], cwd=work, environ=first.code, say=first.project.say
    )
    try:
        found = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        why = ended.tail[-1] if ended.tail else ended.how
        raise MlgateError(f"the models could not be measured ({why}).") from None
    return {side: _measured(found[side]) for side in order}


def _measured(found: Mapping[str, Any]) -> Measured:
    if "error" in found:
        return Measured(error=str(found["error"]))
    return Measured(times=tuple(found["ms"]), peak=found["peak"])
