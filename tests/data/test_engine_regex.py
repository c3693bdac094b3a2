"""A pattern is either translated with the same meaning as Python's `re.search`, or left alone."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import duckdb
import pytest
from engine_tables import NOW, check, column
from hypothesis import assume, given
from hypothesis import strategies as st

from mlgate.data import engine
from mlgate.data.engine import regex
from mlgate.data.engine.compile import compiled
from mlgate.data.engine.values import Leave
from mlgate.data.nouns import Expectation

LEFT = [
    r"(?=a)b", r"(?!a)b", r"(?<=a)b", r"(?<!a)b", r"(a)\1", r"(?P<x>a)(?P=x)", r"(?x) a # comment", r"(?s)a.b",
    r"(?m)^a$",
    r"(?a)\d", r"a\B", r"(a)?(?(1)b|c)", r"(?i)é", r"(?i:a)b", r"a{2000}", r"(?>a+)b", r"a*+b", r"(a{31,40}){31,40}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", LEFT)
def test_what_the_dialects_do_not_share_is_left_to_great_expectations(tmp_path: Path, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error:
        pytest.skip("not in this Python")
    assert regex.translate(pattern) is None


def test_what_is_no_pattern_raises() -> None:
    with pytest.raises(re.error):
        regex.translate("(")


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def found(con: duckdb.DuckDBPyConnection, translated: regex.Translated, value: str) -> tuple[bool, bool]:
    strange = translated.strange("$2") or "false"
    return con.execute(f"SELECT regexp_matches($2, $1), {strange}", [translated.pattern, value]).fetchone()  # type: ignore[return-value]


SAME = [
    ("^a.c$", ["abc", "a\nc", "xabc", "abcd", "aéc", "", "a🙂c"]),
    ("[[:alpha:]]", ["a:]", "b", ":]", "[]", "p]"]),  # no class of POSIX in Python
    (r"\Aa\Z", ["a", "ab", "a\n"]),
    ("^x{,2}$", ["", "x", "xxx", "x{,2}"]),
    ("é+", ["é", "éé", "e"]),
    (r"[^\d\s]", ["1", "a", " 1 ", "\t", "\x0b", "\x1c", ""]),
    (r"[\W]", ["a_1", "a-1", ""]),
    (r"\bcat\b", ["cat", "a cat.", "cats", "scat"]),
    ("(?i)AbC", ["abc", "ABC", "ab"]),
    ("a|b|", ["", "c"]),
    ("(?:ab){2,3}", ["abab", "ab", "abababab"]),
    (r"\.\\\[", [".\\[", "."]),
    (r"[\]\-^]", ["]", "-", "^", "a"]),
    (r"\x41\u00e9\n", ["Aé\n", "A"]),
    ("a??b", ["b", "ab", "a"]),
]


@pytest.mark.parametrize(("pattern", "values"), SAME)
def test_the_meaning_is_the_same(con: duckdb.DuckDBPyConnection, pattern: str, values: list[str]) -> None:
    translated = regex.translate(pattern)
    assert translated is not None
    for value in values:
        matched, strange = found(con, translated, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            expected = bool(re.search(pattern, value))
        assert strange or matched == expected, value


pieces = st.sampled_from(
    ["a", "b", "é", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\b", "^", "$", "[ab]", "[^a1]", r"[\d_]", r"[^\s]",
     "(a|b)",
     "(?:a1)", "a+", "b*", "1?", "a{1,2}", r"\.", "|", " "]
)  # fmt: skip
texts = st.text(st.sampled_from("aAbB1_ .é٣\n\t\x0b\x1c\u2028ſK-"), max_size=6)


@given(pattern=st.lists(pieces, max_size=6).map("".join), value=texts, fold=st.booleans())
def test_any_pattern_that_is_translated_means_the_same(pattern: str, value: str, fold: bool) -> None:
    pattern = f"(?i){pattern}" if fold else pattern
    translated = regex.translate(pattern)
    assume(translated is not None)
    assert translated is not None
    con = duckdb.connect()
    matched, strange = found(con, translated, value)
    con.close()
    expected = bool(re.search(pattern, value))
    assert strange or matched == expected
    if translated.narrower:
        assert expected or not matched


def test_values_for_which_the_dialects_differ_leave_the_check_to_the_other_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def asks(_scan: object, expectations: list[Expectation], *_: object) -> list[object]:
        asked.extend(one.type for one in expectations)
        return [engine.dispatch.trouble("asked", "asked")] * len(expectations)

    monkeypatch.setattr(engine.dispatch, "_others", asks)
    plain = column(tmp_path, "VARCHAR", ["'a1'", "'b2'"])
    assert check(plain, "values_to_match_regex", column="x", regex=r"\d$").holds is True
    assert not asked
    arabic = column(tmp_path, "VARCHAR", ["'a1'", "'b٢'"])
    assert check(arabic, "values_to_match_regex", column="x", regex=r"\d$").trouble == "asked"
    lines = column(tmp_path, "VARCHAR", ["'a1'", "'b2' || chr(10)"])
    assert check(lines, "values_to_match_regex", column="x", regex="[12]$").trouble == "asked"
    assert check(lines, "values_to_match_regex", column="x", regex="[12]").holds is True
    # What RE2 finds in all of them, Python finds as well; what it finds in none, Python may.
    for path, regex_ in ((arabic, r"^\w"), (lines, r"\d")):
        assert check(path, "values_to_match_regex", column="x", regex=regex_).holds is True
        assert check(path, "values_to_not_match_regex", column="x", regex=rf"9{regex_}x$").trouble == "asked"


@pytest.mark.parametrize(
    ("type_", "kwargs"),
    [
        ("expect_column_values_to_be_of_type", {"column": "x", "type_": "int64"}),
        ("expect_column_values_to_be_in_type_list", {"column": "x", "type_list": ["int64"]}),
        ("expect_column_kl_divergence_to_be_less_than", {"column": "x", "threshold": 1}),
        ("expect_column_values_to_not_be_null",
         {"column": "x", "row_condition": "x > 1", "condition_parser": "pandas"}),
        ("expect_column_values_to_be_in_set", {"column": "x", "value_set": [True, 2]}),
        ("expect_column_quantile_values_to_be_between",
         {"column": "x", "allow_relative_error": "linear",
          "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}}),
        ("expect_column_values_to_be_between", {"column": "d", "min_value": "Jan 1, 2020"}),
    ],
)  # fmt: skip
def test_what_is_left_to_great_expectations(type_: str, kwargs: dict[str, object]) -> None:
    class Column:
        def __init__(self, name: str, type_: str) -> None:
            self.name, self.type = name, type_

    with pytest.raises(Leave):
        compiled(Expectation(type_, kwargs), [Column("x", "BIGINT"), Column("d", "TIMESTAMP")], "parquet", NOW)
