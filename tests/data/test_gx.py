# ruff: noqa: E501, S608 -- tables of rows and of what is said to them
"""Great Expectations in its own process: suites of its gallery's types that DuckDB does not answer, and what it says
to data in which nothing can be measured."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.engine_tables import NOW, opened, write
from mlgate.data import engine, gx, reading
from mlgate.data.gx import answers, process
from mlgate.data.nouns import Expectation, Outcome
from mlgate.errors import MlgateError

C = "expect_column_values_"
QUANTILES = "expect_column_quantile_values_to_be_between"
KL = "expect_column_kl_divergence_to_be_less_than"
WHERE = {"condition_parser": "pandas"}
ENGINE = f"great_expectations {version('great-expectations')}"

# Eight rows: text that is several things, and numbers of every kind, the third row of missing values.
ROWS = """
SELECT * FROM (VALUES
  (0, '2026-01-31', '{"a": 1}', 'a1', 1, 9007199254740993, 0.5,  1.25::DECIMAL(6,2), TIMESTAMPTZ '2026-01-01 00:00:00+00', true,  'x'),
  (1, '31.01.2026', '[]',       'b2', 2, 2,                0.25, 2.50,               TIMESTAMPTZ '2026-01-02 00:00:00+00', false, 'y'),
  (2, NULL,         NULL,       NULL, NULL, NULL,          NULL, NULL,               NULL,                                 NULL,  NULL),
  (3, 'soon',       '{"a": ',   'ba', 3, 3,                'NaN'::DOUBLE, 3.75,      TIMESTAMPTZ '2026-01-04 00:00:00+00', true,  'x'),
  (4, '2026-02-30', '"é"',      'ab', 3, 4,                'inf'::DOUBLE, 5.00,      TIMESTAMPTZ '2026-01-03 00:00:00+00', true,  'x')
) t(n, day, json, code, i, big, f, d, z, b, k) ORDER BY n
"""


def asked(
    con: duckdb.DuckDBPyConnection, path: Path, *wanted: tuple[str, dict[str, Any]], **more: Any
) -> list[Outcome]:
    expectations = [Expectation(type_, kwargs) for type_, kwargs in wanted]
    return gx.run(con, opened(con, path), expectations, **({"examples": 5} | more))


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    found = reading.connect()
    yield found
    found.close()


# type, kwargs, holds, unexpected, rows that break it (numbered from 1), a part of what is observed
GALLERY: list[tuple[str, dict[str, Any], bool, int | None, list[int], str]] = [
    (f"{C}to_match_strftime_format", {"column": "day", "strftime_format": "%Y-%m-%d"}, False, 3, [2, 4, 5], ""),
    (f"{C}to_match_strftime_format", {"column": "day", "strftime_format": "%Y-%m-%d", "mostly": 0.25}, True, 3, [], ""),
    (f"{C}to_be_dateutil_parseable", {"column": "day"}, False, 2, [4, 5], ""),
    (f"{C}to_be_json_parseable", {"column": "json"}, False, 1, [4], ""),
    (f"{C}to_match_json_schema", {"column": "json", "json_schema": {}}, None, None, [], ""),
    (f"{C}to_match_regex", {"column": "code", "regex": r"^(?=.*\d)[a-z0-9]+$"}, False, 2, [4, 5], ""),
    (f"{C}to_match_regex", {"column": "code", "regex": r"(?<!b)a"}, False, 2, [2, 4], ""),
    (f"{C}to_be_of_type", {"column": "big", "type_": "int64"}, True, None, [], "int64"),
    (f"{C}to_be_of_type", {"column": "n", "type_": "str"}, False, None, [], "int"),
    (f"{C}to_be_of_type", {"column": "day", "type_": "str"}, True, None, [], "str"),
    (f"{C}to_be_of_type", {"column": "d", "type_": "Decimal"}, True, 0, [], ""),
    (f"{C}to_be_in_type_list", {"column": "f", "type_list": ["float64", "int64"]}, True, None, [], "float64"),
    (f"{C}to_be_in_type_list", {"column": "big", "type_list": ["int64"]}, True, None, [], "int64"),
    (f"{C}to_be_in_type_list", {"column": "big", "type_list": ["int", "str"]}, True, None, [], "int64"),
    (f"{C}to_be_in_type_list", {"column": "big", "type_list": ["float64", "str"]}, False, None, [], "int64"),
    (f"{C}to_be_in_type_list", {"column": "day", "type_list": ["int64"]}, False, None, [], "str"),
    ("expect_column_type_to_be", {"column": "f", "type_": "float64"}, True, None, [], "float64"),
    (f"{C}to_not_be_outliers", {"column": "i", "method": "iqr", "multiplier": 1.5}, True, 0, [], ""),
    (f"{C}to_be_between", {"column": "i", "min_value": 3, "row_condition": 'k=="x"'} | WHERE, False, 1, [1], ""),
    (
        KL,
        {"column": "k", "partition_object": {"values": ["x", "y"], "weights": [0.75, 0.25]}, "threshold": 0.01},
        True, None, [], "0",
    ),
    (
        KL,
        {"column": "i", "partition_object": {"bins": [0, 1.5, 2.5, 3.5], "weights": [0.1, 0.1, 0.8]}, "threshold": 0.01},
        False, None, [], "0.2231",
    ),
    (
        KL,
        {"column": "k", "partition_object": {"values": ["x"], "weights": [1.0]}, "threshold": 1},
        False, None, [], "inf",
    ),
]  # fmt: skip


def test_its_gallery(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    seen = asked(con, path, *[(type_, kwargs) for type_, kwargs, *_ in GALLERY])
    for outcome, (type_, kwargs, holds, unexpected, rows, observed) in zip(seen, GALLERY, strict=True):
        said = f"{type_} {kwargs}: {outcome}"
        assert outcome.engine == ENGINE, said
        if type_.endswith("json_schema"):
            # One value that is no JSON stops it: it raises, which is no result.
            assert outcome.holds is None, said
            assert outcome.trouble.startswith("Great Expectations could not answer"), said
            continue
        assert outcome.holds is holds, said
        assert outcome.unexpected == unexpected, said
        assert [example.row for example in outcome.examples] == rows, said
        assert observed in str(outcome.observed), said


def test_an_example_shows_the_value_as_the_file_has_it(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    wanted = {"column": "day", "strftime_format": "%Y-%m-%d"}
    (seen,) = asked(con, write(tmp_path, ROWS), (f"{C}to_match_strftime_format", wanted), examples=2)
    assert [(one.row, one.values) for one in seen.examples] == [(2, {"day": "31.01.2026"}), (4, {"day": "soon"})]
    assert (seen.rows, seen.nulls, seen.unexpected) == (5, 1, 3)


def test_no_value_changes_on_the_way(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Integers with missing ones beside them keep their last digit; so do decimals, moments and text."""
    rows = f"SELECT *, 170141183460469231731687303715884105727::HUGEINT AS h FROM ({ROWS})"
    path = write(tmp_path, rows.replace("::HUGEINT", "::HUGEINT::VARCHAR"), "data.csv")
    wanted: list[tuple[str, dict[str, Any]]] = [
        (f"{C}to_be_in_set", {"column": "big", "value_set": [9007199254740993, 2, 3, 4]}),
        (f"{C}to_be_in_set", {"column": "big", "value_set": [9007199254740992, 2, 3, 4]}),
        (f"{C}to_be_in_set", {"column": "h", "value_set": [2**127 - 1]}),
        (f"{C}to_be_in_set", {"column": "h", "value_set": [2**127 - 2]}),
        (f"{C}to_match_regex", {"column": "i", "regex": r"^\d$"}),
    ]
    seen = asked(con, path, *wanted)
    assert [one.holds for one in seen] == [True, False, True, False, True]
    assert seen[1].unexpected == 1


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_in_a_text_file_text_is_what_stands_there(con: duckdb.DuckDBPyConnection, tmp_path: Path, form: str) -> None:
    """Dates and times are text to whoever asks for their format, and moments to all others."""
    path = tmp_path / f"data.{form}"
    values = [("2026-01-31", "2026-01-31T10:00Z", "1"), ("2026-02-01", "2026-01-31 11:00:00+01:00", "1.50")]
    lines = ["day,at,f"] if form == "csv" else []
    for day, at, f in values:
        lines.append(f"{day},{at},{f}" if form == "csv" else f'{{"day": "{day}", "at": "{at}", "f": {f}}}')
    path.write_text("\n".join(lines) + "\n")
    assert [column.type for column in opened(con, path).columns] == ["DATE", "TIMESTAMP WITH TIME ZONE", "DOUBLE"]
    seen = asked(
        con,
        path,
        (f"{C}to_match_strftime_format", {"column": "day", "strftime_format": "%Y-%m-%d"}),
        (f"{C}to_match_strftime_format", {"column": "at", "strftime_format": "%Y-%m-%dT%H:%MZ"}),
        (f"{C}to_be_dateutil_parseable", {"column": "at"}),
        (f"{C}to_match_regex", {"column": "at", "regex": "(?=.*T)"}),
        (f"{C}to_be_in_type_list", {"column": "at", "type_list": ["Timestamp", "str"]}),
    )
    assert [one.holds for one in seen] == [True, False, True, False, False]
    assert [one.unexpected for one in seen[:4]] == [0, 1, 0, 1]
    assert [(example.row, example.values["at"]) for example in seen[1].examples] == [(2, values[1][1])]
    assert seen[4].observed == "Timestamp"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_cannot_be_measured_is_never_a_pass(con: duckdb.DuckDBPyConnection, tmp_path: Path, form: str) -> None:
    """It says success to most of these."""
    empty = write(tmp_path, f"SELECT * FROM ({ROWS}) LIMIT 0", f"empty.{form}")
    missing = write(tmp_path, f"SELECT n, CAST(NULL AS VARCHAR) AS day FROM ({ROWS})", f"missing.{form}")
    wanted = [
        (f"{C}to_not_be_null", {"column": "day"}),
        (f"{C}to_be_in_set", {"column": "day", "value_set": ["a"]}),
        (f"{C}to_be_dateutil_parseable", {"column": "day"}),
        (f"{C}to_match_regex", {"column": "day", "regex": "(?=x)"}),
        (f"{C}to_be_unique", {"column": "day"}),
        (f"{C}to_be_of_type", {"column": "day", "type_": "str"}),
    ]
    for outcome in asked(con, empty, *wanted):
        assert (outcome.holds, outcome.trouble) == (None, answers.NO_ROWS)
    not_null, *others = asked(con, missing, *wanted)
    assert (not_null.holds, not_null.unexpected) == (False, 5)
    for outcome in others:
        assert outcome.holds is None
        assert outcome.trouble == "Every value of day is missing, so nothing could be measured."


def test_conditions_that_no_row_meets(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    condition = {"row_condition": 'k=="q"', "condition_parser": "pandas"}
    seen = asked(con, write(tmp_path, ROWS), (f"{C}to_be_between", {"column": "i", "min_value": 0} | condition))
    assert seen[0].holds is None
    assert seen[0].trouble == "No row meets 'k==\"q\"', so nothing could be measured."


def test_each_that_raises_says_why_and_the_others_are_answered(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    seen = asked(
        con,
        write(tmp_path, ROWS),
        ("expect_column_nonsense", {"column": "i"}),
        (f"{C}to_match_strftime_format", {"column": "i", "strftime_format": "%Y"}),
        (f"{C}to_be_between", {"column": "i", "min_value": {"$PARAMETER": "low"}}),
        (f"{C}to_be_between", {"column": "code", "min_value": 3}),
        (f"{C}to_be_between", {"column": "I", "min_value": 3}),
        (QUANTILES, {"column": "i", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[2, 3]]}}),
        (f"{C}to_be_between", {"column": "i", "min_value": 0, "catch_exceptions": False, "result_format": "BOOLEAN_ONLY"}),
    )  # fmt: skip
    assert [one.holds for one in seen] == [None, None, None, None, None, True, True]
    for one in seen[:4]:
        assert re.fullmatch(r"Great Expectations could not answer: .+\.", one.trouble)
        assert "Traceback" not in one.trouble
    assert seen[4].trouble == "There is no column 'I'. Did you mean 'i'?"
    assert seen[6].unexpected == 0


def test_the_engine_asks_it_for_what_does_not_compile(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    table = opened(con, write(tmp_path, ROWS))
    expectations = [
        Expectation(f"{C}to_not_be_null", {"column": "n"}),
        Expectation(f"{C}to_be_dateutil_parseable", {"column": "day"}),
        Expectation(f"{C}to_match_regex", {"column": "code", "regex": r"(?<!b)a"}),
    ]
    seen = engine.run(con, table, expectations, now=NOW, other=lambda _: table)
    assert [one.engine.split()[0] for one in seen] == ["duckdb", "great_expectations", "great_expectations"]
    assert [one.holds for one in seen] == [True, False, False]


def test_row_numbers_of_several_files(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    one = write(tmp_path, "SELECT '2026-01-01' AS d UNION ALL SELECT 'no'", "one.parquet")
    two = write(tmp_path, "SELECT 'neither' AS d", "two.parquet")
    expectation = Expectation(f"{C}to_be_dateutil_parseable", {"column": "d"})
    (seen,) = gx.run(con, opened(con, one, two, shown="folder"), [expectation], examples=5)
    assert [(Path(x.file).name, x.row, x.values["d"]) for x in seen.examples] == [
        ("one.parquet", 2, "no"),
        ("two.parquet", 1, "neither"),
    ]


class TestProcess:
    """What becomes of a worker that does not do as it should: one sentence, and no result."""

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            ("raise SystemExit('no such luck')", "ended before it answered (no such luck)."),
            ("import os; os.kill(os.getpid(), 9)", "ended before it answered (SIGKILL: is there enough memory?)."),
            ("import time; time.sleep(60)", "took more than 0.5 seconds, and was stopped."),
            ("print('noise')", "ended before it answered (noise)."),
            ("open(folder + '/response.json', 'w').write('{')", "gave an answer that cannot be read."),
            ("open(folder + '/response.json', 'w').write('[]')", "gave an answer that cannot be read."),
        ],
    )  # fmt: skip
    def test_that_fails(self, tmp_path: Path, body: str, sentence: str) -> None:
        package = tmp_path / "site" / "mlgate" / "data" / "gx"
        package.mkdir(parents=True)
        (package / "worker.py").write_text(f"def main(folder):\n    {body}\n")
        work = tmp_path / "work"
        work.mkdir()
        started = time.monotonic()
        with pytest.raises(MlgateError) as error:
            process.ask(work, {}, [str(tmp_path / "site")], timeout=0.5 if "sleep" in body else 60)
        assert error.value.message == f"Great Expectations {sentence}"
        assert time.monotonic() - started < 30

    def test_sees_no_configuration_no_credentials_and_no_project(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "site" / "mlgate" / "data" / "gx"
        package.mkdir(parents=True)
        look = "import json, os, sys\n"
        look += "def main(folder):\n    json.dump({'env': dict(os.environ), 'path': sys.path, 'cwd': os.getcwd()}, "
        look += "open(folder + '/response.json', 'w'))\n"
        (package / "worker.py").write_text(look)
        (tmp_path / "great_expectations.py").write_text("raise SystemExit('the project was imported')")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        work = tmp_path / "work"
        work.mkdir()
        seen = process.ask(work, {}, [str(tmp_path / "site")])
        assert not {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH"} & seen["env"].keys()
        assert seen["env"]["GX_ANALYTICS_ENABLED"] == "False"
        assert seen["env"]["HOME"] == seen["env"]["TMPDIR"] == seen["cwd"] == str(work)
        assert str(tmp_path) not in seen["path"]
        assert not any("site-packages" in path for path in seen["path"])

    def test_leaves_nothing_behind(
        self, con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path, ROWS)
        place = tmp_path / "place"
        place.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(place))
        asked(con, path, (f"{C}to_be_dateutil_parseable", {"column": "day"}))
        assert list(place.iterdir()) == []
        with pytest.raises(MlgateError, match="was stopped"):
            asked(con, path, (f"{C}to_be_dateutil_parseable", {"column": "day"}), timeout=0.01)
        assert list(place.iterdir()) == []

    def test_packages_that_cannot_be_had_are_the_trouble_of_what_needs_them(
        self, con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(_: str) -> list[str]:
            raise MlgateError("the packages of 'gx' could not be installed (no route to host).")

        monkeypatch.setattr("mlgate.extras.site", fails)
        table = opened(con, write(tmp_path, ROWS))
        expectations = [
            Expectation(f"{C}to_not_be_null", {"column": "n"}),
            Expectation(f"{C}to_be_dateutil_parseable", {"column": "day"}),
        ]
        seen = engine.run(con, table, expectations, now=NOW, other=lambda _: table)
        assert [one.holds for one in seen] == [True, None]
        assert "no route to host" in seen[1].trouble


class TestAnswers:
    """What it says is believed only where something was measured."""

    ROW = Expectation(f"{C}to_be_between", {"column": "x", "min_value": 0})
    WHOLE = Expectation("expect_column_mean_to_be_between", {"column": "x", "min_value": 0})
    COUNTED: dict[str, Any] = {"element_count": 4, "missing_count": 1, "unexpected_count": 0}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("expectation", "answer"),
        [
            (ROW, {"rows": 0, "success": True, "result": COUNTED}),
            (ROW, {"rows": 4, "success": True, "result": COUNTED, "raised": "KeyError: 1"}),
            (ROW, {"rows": 4, "success": True, "result": COUNTED | {"missing_count": 4}}),
            (ROW, {"rows": 4, "success": True, "result": COUNTED | {"element_count": 0}}),
            (ROW, {"rows": 4, "success": True, "result": COUNTED | {"unexpected_count": None}}),
            (ROW, {"rows": 4, "success": True, "result": COUNTED | {"unexpected_count": 1}}),
            (ROW, {"rows": 4, "success": None, "result": COUNTED}),
            (ROW, {"rows": 4, "success": "yes", "result": COUNTED}),
            (ROW, {"rows": 4, "success": 1, "result": COUNTED}),
            (ROW, {"rows": 4, "success": True, "result": COUNTED, "present": {"x": 0}}),
            (ROW, {"rows": 4}),
            (WHOLE, {"rows": 4, "success": True, "result": {}}),
            (WHOLE, {"rows": 4, "success": True, "result": None}),
            (WHOLE, {"rows": 4, "success": True, "result": {"observed_value": None}}),
            (WHOLE, {"rows": 4, "success": True, "result": {"observed_value": float("nan")}}),
            (WHOLE, {"rows": 4, "success": False, "result": {"observed_value": float("nan")}}),
        ],
    )
    def test_that_are_none(self, expectation: Expectation, answer: dict[str, Any]) -> None:
        seen = answers.outcome(expectation, answer, "gx")
        assert seen.holds is None
        assert seen.trouble.endswith(".")

    def test_that_are_some(self) -> None:
        good = answers.outcome(self.ROW, {"rows": 4, "success": True, "result": self.COUNTED}, "gx")
        bad = answers.outcome(self.WHOLE, {"rows": 4, "success": False, "result": {"observed_value": -1.5}}, "gx")
        assert (good.holds, good.rows, good.nulls, good.unexpected) == (True, 4, 1, 0)
        assert (bad.holds, bad.observed, bad.rows) == (False, -1.5, 4)

    @given(
        st.fixed_dictionaries(
            {"rows": st.integers(0, 3)},
            optional={
                "success": st.sampled_from([True, False, None, "True", 1]),
                "raised": st.sampled_from(["", "boom"]),
                "present": st.dictionaries(st.just("x"), st.integers(0, 3)),
                "result": st.dictionaries(
                    st.sampled_from(["element_count", "missing_count", "unexpected_count", "observed_value"]),
                    st.sampled_from([None, 0, 1, 2, 3, float("nan"), "text", [1]]),
                ),
            },
        )
    )
    def test_a_pass_needs_rows_and_a_result(self, answer: dict[str, Any]) -> None:
        for expectation in (self.ROW, self.WHOLE):
            seen = answers.outcome(expectation, answer, "gx")
            if seen.holds is True:
                assert answer["success"] is True
                assert answer["rows"] > 0
                assert not answer.get("raised")
                assert answer["result"]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def _page(path: Path) -> str:
    parser = _Text()
    parser.feed(path.read_text(encoding="utf-8"))
    return " ".join(" ".join(parser.found).split())


class TestDataDocs:
    SUITE = (
        Expectation(f"{C}to_be_between", {"column": "i", "min_value": 2}, title="i: at least 2"),
        Expectation(f"{C}to_be_dateutil_parseable", {"column": "day"}),
        Expectation(QUANTILES, {"column": "i", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 3]]}}),
        Expectation("expect_column_null_count_to_be_at_most", {"column": "i", "max_value": 0}, title="i: no <nulls>"),
        Expectation(f"{C}to_match_like_pattern", {"column": "k", "like_pattern": "x%"}, title="k: like x%"),
        Expectation(f"{C}to_be_in_set", {"column": "code", "value_set": ["zz"]}),
    )  # fmt: skip

    def test_is_a_site(self, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        table = opened(con, write(tmp_path, ROWS), shown="data/persons.parquet")
        folder = tmp_path / "made" / "here"
        folder.mkdir(parents=True)
        (folder / "old.html").write_text("of an earlier run")
        index = gx.docs(con, table, self.SUITE, folder, private=frozenset({"code"}))
        assert index == folder / "index.html"
        assert not (folder / "old.html").exists()
        assert [path.name for path in folder.parent.iterdir()] == ["here"]
        (suite,) = (folder / "expectations").rglob("*.html")
        (result,) = (folder / "validations").rglob("*.html")
        described, shown = _page(suite), _page(result)
        assert "values must be parseable by dateutil" in described
        assert "Left out, as Great Expectations cannot check it: i: no <nulls>; k: like x%." in described
        assert "data/persons.parquet" in described
        assert "Successful Expectations 1" in shown
        assert "31.01.2026" not in shown  # parseable; the ones that are not are there:
        assert "soon" in shown
        assert not any(value in shown for value in ("a1", "b2"))  # private

    def test_of_a_file_whose_types_show_late(self, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        path = tmp_path / "late.csv"
        path.write_text("x\n" + "1\n" * 50_000 + "none\n")
        expectation = Expectation(f"{C}to_not_be_null", {"column": "x"})
        assert gx.docs(con, opened(con, path), [expectation], tmp_path / "docs").is_file()

    def test_of_nothing_is_refused(self, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        table = opened(con, write(tmp_path, ROWS))
        with pytest.raises(MlgateError, match="none of the expectations is one of Great Expectations'"):
            gx.docs(con, table, self.SUITE[3:5], tmp_path / "docs")
        assert not (tmp_path / "docs").exists()
