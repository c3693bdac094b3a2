"""DuckDB and Great Expectations see the same data alike: every expectation that compiles, on generated files.

Where both measure, the verdict, the counts, the failing rows and the values agree. The places where they part are
listed in `_parts`, each with its reason; there we are the stricter one.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from data.agreement import GENERATORS, MOMENTS, NOT_FOR_FILES, Data, cases
from mlgate.config.settings import Read
from mlgate.data import reading
from mlgate.data.engine.compile import _COMPILERS
from mlgate.data.engine.dispatch import in_one_pass
from mlgate.data.engine.scan import Scan
from mlgate.data.gx import answers, handover, process, worker
from mlgate.data.nouns import NATIVE, Expectation, Outcome

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MOST = 5


@dataclass
class Both:
    """The two engines, for as long as a test module runs."""

    con: duckdb.DuckDBPyConnection
    writer: duckdb.DuckDBPyConnection
    folder: Path
    session: Any = None

    def ask(self, data: Data, expectation: Expectation) -> tuple[Outcome | None, Outcome]:
        """What DuckDB saw (None: it leaves it to the other), and what Great Expectations saw."""
        path = self.folder / f"data.{data.format}"
        options = {"csv": "FORMAT csv, HEADER true", "jsonl": "FORMAT json"}.get(data.format, "FORMAT parquet")
        self.writer.execute(f"COPY ({data.select}) TO '{path}' ({options})")
        table = reading.open_table(self.con, [path], path.name, Read())
        while True:
            try:
                scan = Scan(self.con, table)
                ours = in_one_pass(scan, [expectation], NOW, MOST)[0]
                given = handover.write(self.con, table, [Expectation("all"), expectation], self.folder)
                break
            except duckdb.Error as error:
                table = reading.recover(self.con, table, error)
        note(f"columns: {[(column.name, column.type) for column in table.columns]}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = worker.frame(given.path, given.columns, given.huge)
            if self.session is None:
                self.session = worker.Session(frame)
            else:
                self.session.load(frame)
            # As they reach the worker.
            kwargs = json.loads(
                json.dumps(dict(expectation.kwargs), default=process.packed), object_hook=process.unpacked
            )
            asked = {"type": expectation.type, "kwargs": kwargs, "columns": expectation.columns, "of_text": False}
            said = self.session.ask(asked, MOST)
        note(f"Great Expectations: {said}")
        theirs = answers.outcome(expectation, said, "gx")
        rows = answers.rows(said) if theirs.holds is False else []
        shown = handover.examples(self.con, given, rows, [])
        return ours, answers.with_examples(theirs, shown)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    con, writer = reading.connect(), duckdb.connect()
    writer.execute("SET TimeZone = 'UTC'")
    yield Both(con, writer, tmp_path_factory.mktemp("both"))
    con.close()
    writer.close()


def test_that_every_type_that_compiles_is_generated() -> None:
    assert set(_COMPILERS) - NATIVE == set(GENERATORS) | NOT_FOR_FILES


def _agree(both: Both, type_: str, examples: int) -> None:
    measured = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=cases(type_))
    def search(case: tuple[Data, dict[str, Any]]) -> None:
        nonlocal measured
        data, kwargs = case
        expectation = Expectation(type_, kwargs)
        ours, theirs = both.ask(data, expectation)
        note(f"ours:   {ours}\ntheirs: {theirs}")
        if ours is None or _parts(data, expectation, ours, theirs):
            return
        assert ours.holds == theirs.holds
        if ours.holds is None:
            return
        measured += 1
        if not type_.startswith(("expect_table_column", "expect_column_to_exist")):
            assert ours.rows == theirs.rows
        assert ours.unexpected == theirs.unexpected
        if theirs.unexpected is not None:
            assert ours.nulls == theirs.nulls
        if ours.holds is False:
            assert [example.row for example in ours.examples] == [example.row for example in theirs.examples]
        assert _same(ours.observed, theirs.observed, 1e-6 if "single" in data.kinds(expectation.columns) else 1e-9)

    search()
    assert measured, "none of the generated cases was measured by both"


def _same(ours: Any, theirs: Any, tolerance: float) -> bool:
    """Values of doubles within 1e-9; of floats, pandas computes with less. What one says in words is not compared."""
    if isinstance(ours, str) or isinstance(theirs, str) or ours is None or theirs is None:
        return True
    if math.isinf(ours) or math.isinf(theirs):
        return float(ours) == float(theirs)
    return math.isclose(float(ours), float(theirs), rel_tol=tolerance, abs_tol=tolerance)


def _there(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _parts(data: Data, expectation: Expectation, ours: Outcome, theirs: Outcome) -> bool:
    """Whether this is one of the known places where they part."""
    # pandas, or Great Expectations, cannot do what is asked; DuckDB can.
    if theirs.holds is None and theirs.trouble.startswith("Great Expectations could not answer"):
        return True
    kinds = data.kinds(expectation.columns)
    if ours.holds is None:
        # The deviation of infinities, of one value, or one beyond all doubles, is none. Great Expectations finds no
        # score above a limit that is NaN, and passes.
        if "standard deviation" in ours.trouble:
            return True
        # What a text file holds is only what it looks like: nothing, or numbers among text. They are not compared.
        if data.format != "parquet" and any(word in ours.trouble for word in ("compared", "added", "No pair")):
            return True
    # It compares the text of moments with moments, and finds none.
    if expectation.type == "expect_column_most_common_value_to_be_in_set" and kinds & set(MOMENTS):
        return True
    # The mean of equal values is not always their value to pandas, and its deviation then is not quite nothing.
    if "threshold" in expectation.kwargs and len(set(filter(_there, data.columns["x"][1]))) == 1:
        return True
    # It does not look at the index where that is 0.
    return expectation.kwargs.get("column_index") == 0


@pytest.mark.parametrize("type_", sorted(GENERATORS))
def test_agreement(both: Both, type_: str) -> None:
    _agree(both, type_, 12)


@pytest.mark.long
@pytest.mark.parametrize("type_", sorted(GENERATORS))
def test_agreement_at_length(both: Both, type_: str) -> None:
    _agree(both, type_, 400)


@pytest.mark.parametrize("type_", sorted(NOT_FOR_FILES))
@given(st.data())
@settings(max_examples=1)
def test_that_the_rest_is_nothing_great_expectations_can_do(both: Both, type_: str, data: st.DataObject) -> None:
    patterns = {"like_pattern_list": ["a%"]} if type_.endswith("_list") else {"like_pattern": "a%"}
    rows = Data({"n": ("integer", [0, 1]), "x": ("text", ["ab", "c"])}, "parquet")
    ours, theirs = both.ask(rows, Expectation(type_, {"column": "x"} | patterns))
    assert ours is not None
    assert ours.unexpected == 1
    assert theirs.holds is None
