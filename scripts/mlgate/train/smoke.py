"""The pipeline on a sample of its training data, in a worktree: whether it runs at all. Never a model to deploy."""

from __future__ import annotations

import csv
import gzip
import hashlib
import heapq
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mlgate.errors import MlgateError
from mlgate.model import StageRun, Verdict
from mlgate.repo import fresh
from mlgate.repo import metrics as metrics_files
from mlgate.train import agreement, listening, plan, stages
from mlgate.train.project import Project
from mlgate.train.proofs import Shown
from mlgate.train.scratch import Scratch
from mlgate.train.stages import StageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Sampled:
    rows: int
    of: int


def run(project: Project, rows: int, scratch: Scratch, shown: Shown) -> Sampled:
    """Train on `rows` rows. Raises StageError when project code fails, MlgateError when it cannot be tried."""
    if not project.own.train.data:
        raise MlgateError(
            "a smoke run needs `train.data`: the file that it takes a sample of.", file=project.own.file, key="train"
        )
    assert project.dvc is not None  # noqa: S101 -- the caller looked
    data = project.own.path(project.own.train.data)
    todo = behind(project, data, scratch)
    named = [path for path in _reads(project, todo) if plan.tracked(project.pipeline, path)]
    if plan.tracked(project.pipeline, data):
        named.append(data)
    project.pull(scratch.tree, project.commit, list(dict.fromkeys(named)))
    scratch.forget_credentials()
    sampled = sample(scratch.tree / data, rows, project.connect, data)
    shown.stages += _repro(project, todo, scratch)
    _metrics(project, scratch.tree)
    return sampled


def behind(project: Project, data: str, scratch: Scratch) -> list[str]:
    """The stages that depend on the data and lead to the model or its metrics, in order. As DVC itself sees them."""
    home = scratch.tree / project.home
    nodes, edges = listening.graph(project, folder=home)
    results = [*([project.artifact] if project.artifact else []), *project.results]
    goals = set(project.binding.train.stages) or {s for path in results for s in _makers(project, path, home)}
    makers = _makers(project, data, home)
    after = _reached(makers, edges)
    before = _reached(goals, [(b, a) for a, b in edges])
    todo = [node for node in _ordered(nodes, edges) if node in after & before and node not in makers]
    todo = [node for node in todo if not node.endswith(".dvc")]
    if not makers:  # git has the data: what reads it is only in the lock and in dvc.yaml
        readers = {plan.address(s, project.home) for s in plan.after(project.chain, [data])}
        todo = [node for node in _ordered(nodes, edges) if node in readers]
    if not todo:
        raise MlgateError(
            f"no stage of dvc.yaml that leads to the model depends on {data} (train.data).", file=project.own.file,
            fix="List it under `deps:` of the stage that reads it.",
        )  # fmt: skip
    return todo


def _makers(project: Project, path: str, folder: Path) -> set[str]:
    below = path[len(project.home) + 1 :] if project.home else path
    nodes, edges = listening.graph(project, below, folder)
    return {node for node in nodes if node not in {a for a, _ in edges}}


def _reached(start: Iterable[str], edges: Sequence[tuple[str, str]]) -> set[str]:
    after: dict[str, list[str]] = {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
    found, queue = set(start), list(start)
    while queue:
        new = [node for node in after.get(queue.pop(), []) if node not in found]
        found.update(new)
        queue += new
    return found


def _ordered(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[str]:
    left = {node: {a for a, b in edges if b == node} for node in nodes}
    found: list[str] = []
    while left:
        ready = [node for node, needs in left.items() if not needs & left.keys()] or list(left)
        found += ready
        for node in ready:
            del left[node]
    return found


def _reads(project: Project, todo: Sequence[str]) -> Iterator[str]:
    """What these stages read and do not make: by the lock, and by dvc.yaml for those that are in none."""
    known = {plan.address(stage, project.home): stage for stage in plan.live(project.pipeline)}
    yield from plan.inputs(project.pipeline, [known[name] for name in todo if name in known])
    for name in (name for name in todo if name not in known):
        folder, _, stage = name.rpartition(":")
        file = os.path.join(project.home, folder or "dvc.yaml")
        data = project.pipeline.snapshot.read(file)
        defined = ((fresh.parameters(data, file) or {}).get("stages") or {}).get(stage) if data else None
        for path, _ in fresh.entries((defined or {}).get("deps")):
            yield os.path.normpath(os.path.join(os.path.dirname(file), str((defined or {}).get("wdir") or ""), path))


def _repro(project: Project, todo: Sequence[str], scratch: Scratch) -> list[StageRun]:
    assert project.dvc is not None  # noqa: S101
    log = listening.Log(project.say)
    arguments = ["--single-item", "--force", "--no-commit", "--no-run-cache", "--", *todo]
    ended = listening.repro(project, arguments, scratch.tree / project.home, log)
    if ended.code == 0:
        log.close("ran")
        return log.stages
    name = log.running
    if not name:
        raise MlgateError(f"`dvc repro` ended with {ended.how}: {'; '.join(ended.tail[-1:]) or 'it said nothing'}")
    log.close("failed", ended.how)
    raise StageError(stages.failed(name, ended, scratch.tree), log.stages)


def _metrics(project: Project, tree: Path) -> None:
    for path in project.metrics:
        file = tree / path
        if not file.is_file():
            raise MlgateError("was not written.", file=path)
        if wrong := agreement.not_finite(metrics_files.parse(file.read_bytes(), path), path):
            raise MlgateError(
                f"{wrong[0]} after training on the sample.", fix="Is the sample too small? Ask for more rows."
            )


# -- the sample ------------------------------------------------------------------------------------------------------


def sample(file: Path, rows: int, connect: Callable[[], DuckDBPyConnection], shown: str) -> Sampled:
    """Replace a data file by `rows` of its rows, always the same ones and in their order. Raises MlgateError."""
    if not file.is_file():
        what = "is a folder; a smoke run takes a sample of one file." if file.is_dir() else "is not there."
        raise MlgateError(what, file=shown)
    name = file.name.lower().removesuffix(".gz")
    temporary = file.with_name(f".mlgate-{file.name}")
    try:
        if name.endswith(".parquet"):
            found = _parquet(connect(), file, temporary, rows)
        elif name.endswith((".csv", ".tsv", ".jsonl", ".ndjson")):
            found = _text(file, temporary, rows, table=name.endswith((".csv", ".tsv")))
        else:
            raise MlgateError(
                "is of no kind that a sample can be taken of.", file=shown, fix="Use CSV, JSON lines or Parquet."
            )
        os.replace(temporary, file)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise MlgateError(f"cannot be read ({error}).", file=shown) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    if not found.rows:
        raise MlgateError("holds no rows.", file=shown)
    return found


def _text(source: Path, target: Path, rows: int, *, table: bool) -> Sampled:
    """Chosen by the digest of the row's own bytes and its place: a bad row is as likely in the sample as any other."""
    chosen: list[tuple[int, int, str]] = []
    count, head = 0, ""
    with _open(source, "r") as lines:
        records = _records(lines) if table else (line for line in lines if line.strip())
        head = next(records, "") if table else ""
        for count, record in enumerate(records, 1):
            rank = int.from_bytes(hashlib.blake2b(f"{count}\0{record}".encode(), digest_size=8).digest(), "big")
            entry = (-rank, count, record)
            if len(chosen) < rows:
                heapq.heappush(chosen, entry)
            elif entry > chosen[0]:
                heapq.heapreplace(chosen, entry)
    with _open(target, "w", like=source) as out:
        out.write(head)
        for _, _, record in sorted(chosen, key=lambda entry: entry[1]):
            out.write(record if record.endswith("\n") else f"{record}\n")
    return Sampled(len(chosen), count)


def _records(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a CSV file as they stand, those joined that a quoted value holds together."""
    held = ""
    for line in lines:
        held += line
        if held.count('"') % 2 == 0:
            if held.strip():
                yield held
            held = ""
    if held:
        yield held


def _open(file: Path, mode: str, like: Path | None = None) -> IO[Any]:
    if (like or file).name.lower().endswith(".gz"):
        return io.TextIOWrapper(gzip.GzipFile(file, f"{mode}b"), encoding="utf-8", newline="")
    return file.open(mode, encoding="utf-8", newline="")


def _parquet(con: DuckDBPyConnection, source: Path, target: Path, rows: int) -> Sampled:
    import duckdb  # noqa: PLC0415 -- `con` brought it

    def text(path: Path) -> str:
        return "'" + str(path).replace("'", "''") + "'"

    try:
        relation = f"read_parquet({text(source)}, file_row_number = true)"
        row = con.execute(f"SELECT count(*) FROM {relation}").fetchone()  # noqa: S608 -- a quoted path
        count = int(row[0]) if row else 0
        con.execute(
            f"COPY (SELECT * EXCLUDE (file_row_number) FROM (SELECT * FROM {relation} "  # noqa: S608
            f"ORDER BY md5(file_row_number::VARCHAR) LIMIT {int(rows)}) ORDER BY file_row_number) "
            f"TO {text(target)} (FORMAT parquet)"
        )
    except duckdb.Error as error:
        raise MlgateError(f"cannot be read as Parquet ({str(error).splitlines()[0]}).", file=source.name) from error
    return Sampled(min(rows, count), count)


def show(sampled: Sampled, project: Project, shown: Shown) -> None:
    path = project.own.path(project.own.train.data or "")
    reason = f"{sampled.rows:,} of {sampled.of:,} rows of {path}: the pipeline runs, and its metrics are numbers."
    shown.check("smoke", "training on a sample", Verdict.PASS, reason, rows=sampled.rows)
