"""Expectations asked of Great Expectations: columns handed over, a worker asked, each answer judged."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate import extras
from mlgate.data.engine.values import missing
from mlgate.data.gx import answers, handover, process
from mlgate.data.nouns import Expectation, Outcome
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

# Kwargs that say how results are shown, not what must hold: shown they are by us.
_SILENT = frozenset({"result_format", "catch_exceptions", "include_config", "batch_id", "meta"})


def run(
    con: DuckDBPyConnection,
    table: Table,
    expectations: Sequence[Expectation],
    *,
    examples: int,
    timeout: float = process.TIMEOUT,
) -> list[Outcome]:
    """An Outcome for each, in their order. One that raised, or that measured nothing, holds `None`.

    Raises MlgateError when Great Expectations cannot be had or gives no answer, and duckdb.Error when the table cannot
    be read.
    """
    names = {column.name for column in table.columns}
    lacking = [next((c for c in e.columns if c not in names), None) for e in expectations]
    asked = [e for e, gone in zip(expectations, lacking, strict=True) if gone is None]
    found = iter(_asked(con, table, asked, examples, timeout) if asked else [])
    return [
        next(found) if gone is None else answers.trouble(missing(table.columns, gone))
        for gone in lacking
    ]  # fmt: skip


def _asked(
    con: DuckDBPyConnection, table: Table, expectations: Sequence[Expectation], most: int, timeout: float
) -> list[Outcome]:
    paths = extras.site("gx")
    with tempfile.TemporaryDirectory(prefix="mlgate-gx-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        given = handover.write(con, table, expectations, folder)
        request = _request("validate", given, expectations) | {"examples": most}
        response = process.ask(folder, request, paths, timeout=timeout)
        said = response.get("answers")
        if not isinstance(said, list) or len(said) != len(expectations):
            raise MlgateError(f"{process.NAME} did not answer everything it was asked.")
        engine = answers.engine(response)
        found = []
        for expectation, one in zip(expectations, said, strict=True):
            outcome = answers.outcome(expectation, one, engine)
            rows = answers.rows(one)[:most] if outcome.holds is False else []
            shown = [column for column in dict.fromkeys(expectation.columns) if column in given.columns]
            examples = handover.examples(con, given, rows, shown, written=handover.of_text(expectation))
            found.append(answers.with_examples(outcome, examples))
        return found


def docs(
    con: DuckDBPyConnection,
    table: Table,
    expectations: Sequence[Expectation],
    folder: Path,
    *,
    private: frozenset[str] = frozenset(),
    timeout: float = process.TIMEOUT,
) -> Path:
    """Great Expectations' own Data Docs in `folder`, which is replaced; the page to open.

    What they cannot show (our own types, and patterns of SQL) is left out, and their page says so. Of private columns
    only whether an expectation holds is shown. Raises MlgateError, and leaves `folder` as it was, when they cannot be
    made.
    """
    from mlgate.data.engine.dispatch import Reader  # noqa: PLC0415 -- which asks this module

    theirs = [e for e in expectations if not e.native and "like_pattern" not in e.type]
    left_out = [e.title or e.type for e in expectations if e not in theirs]
    if not theirs:
        raise MlgateError("Data Docs were not built: none of the expectations is one of Great Expectations'.")
    paths = extras.site("gx")
    with tempfile.TemporaryDirectory(prefix="mlgate-gx-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        # A late value may show what a column really holds.
        given = Reader(con, table).read(lambda scan: handover.write(con, scan.table, theirs, work))
        notes = [f"{table.shown}, as read by DuckDB and checked by Great Expectations."]
        if left_out:
            notes.append(f"Left out, as Great Expectations cannot check it: {'; '.join(left_out)}.")
        request = _request("docs", given, theirs) | {
            "private": sorted(private),
            "notes": notes,
            "suite": table.shown,
            "site": str(work / "site"),
        }
        response = process.ask(work, request, paths, timeout=timeout)
        page = str(response.get("page") or "")
        if not page or not (work / "site" / page).is_file():
            raise MlgateError(f"Data Docs were not built ({str(response.get('raised') or 'no page was made')[:300]}).")
        _put(work / "site", folder)
    return folder / page


def _request(task: str, given: handover.HandOver, expectations: Sequence[Expectation]) -> dict[str, Any]:
    return {
        "task": task,
        "data": str(given.path),
        "columns": list(given.columns),
        "huge": list(given.huge),
        "text": str(given.text_path),
        "written": list(given.written),
        "expectations": [
            {
                "type": e.type,
                "kwargs": _kwargs(e),
                "columns": list(e.columns),
                "of_text": handover.of_text(e),
            }
            for e in expectations
        ],
    }


def _kwargs(expectation: Expectation) -> dict[str, Any]:
    """Without what is ours to say. Of one type, `int64` fits integers that lack some values; of a list, only the name
    that pandas has for those does, so both are given.
    """
    kwargs = {key: value for key, value in expectation.kwargs.items() if key not in _SILENT}
    types = kwargs.get("type_list")
    if expectation.type.endswith("_in_type_list") and types and not {"int", "int64"}.isdisjoint(types):
        kwargs["type_list"] = [*types, "Int64Dtype"]
    return kwargs


def _put(made: Path, folder: Path) -> None:
    """Whole or not at all: beside the old one first, on the same disk."""
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".mlgate-", dir=folder.parent))
        try:
            shutil.copytree(made, beside / "new")
            if folder.exists():
                os.replace(folder, beside / "old")
            os.replace(beside / "new", folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise MlgateError(f"cannot be written ({error.strerror}).", file=str(folder)) from error
