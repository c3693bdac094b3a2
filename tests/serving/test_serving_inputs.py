"""Holding requests to signature and contract: which field, which row, and never the value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import INPUTS, people

from mlgate.serving import bodies
from mlgate.serving.inputs import Reader
from mlgate.serving.refused import RefusedError
from mlgate.serving.settings import Input

GOOD = {"age": 50, "income": 1.5, "site": "north", "insured": True}
READER = Reader(INPUTS, {}, 100)


def refused(body: Any, reader: Reader = READER) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        reader.read(body)
    return caught.value


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"age": "50"}, "age", "must be an integer, and is a string"),
        ({"age": 50.5}, "age", "must be an integer"),
        ({"age": True}, "age", "must be an integer, and is true or false"),
        ({"age": None}, "age", "must not be null"),
        ({"age": -1}, "age", "must be at least 0"),
        ({"age": 121}, "age", "must be at most 120"),
        ({"age": [50]}, "age", "must be an integer, and is a list"),
        ({"income": "much"}, "income", "must be a number, and is a string"),
        ({"site": 3}, "site", "must be a string, and is an integer"),
        ({"site": "west"}, "site", "must be one of north, south, über"),
        ({"insured": 1}, "insured", "must be true or false, and is an integer"),
        ({"insured": "true"}, "insured", "must be true or false, and is a string"),
    ],
)
def test_the_field_and_the_row_are_named_and_the_value_is_not(change: dict[str, Any], field: str, message: str) -> None:
    error = refused([GOOD, {**GOOD, **change}])
    assert error.status == 422
    assert [(one.row, one.field, one.message) for one in error.problems] == [(1, field, message)]
    assert "west" not in error.message
    assert "much" not in error.message


def test_numbers_may_be_missing_where_they_may_be_null() -> None:
    made = READER.read([{**GOOD, "income": None}, GOOD])
    assert np.isnan(made.array(1)[0])
    assert made.array(1)[1] == 1.5


def test_integers_that_other_languages_write_as_floats_are_integers() -> None:
    made = READER.read({**GOOD, "age": 50.0})
    assert made.array(0).tolist() == [50]
    assert made.array(0).dtype == np.int64


@pytest.mark.parametrize("missing", list(GOOD))
def test_a_field_that_is_missing_is_named(missing: str) -> None:
    row = {name: value for name, value in GOOD.items() if name != missing}
    for body in (row, [GOOD, row], {name: [value] for name, value in row.items()}):
        error = refused(body)
        assert error.status == 422
        assert error.problems[0].field == missing
        assert error.problems[0].message == "is missing"


def test_an_optional_field_is_null_and_a_misspelled_one_is_found() -> None:
    reader = Reader([*INPUTS, Input("note", "string", required=False)], {}, 100)
    made = reader.read([GOOD, {**GOOD, "note": "x"}])
    assert list(made.values[4]) == [None, "x"]
    assert refused({**GOOD, "notes": "x"}, reader).problems[0].field == "notes"
    assert (
        refused({name: [value] for name, value in {**GOOD, "notes": "x"}.items()}, reader).problems[0].field == "notes"
    )


def test_a_lacking_optional_field_may_be_missing_where_it_must_not_be_null() -> None:
    reader = Reader([Input("a", "number"), Input("b", "number", required=False, nullable=False)], {}, 10)
    assert reader.read([{"a": 1}]).rows == 1
    assert refused([{"a": 1, "b": None}], reader).problems[0].message == "must not be null"


def test_what_does_not_fit_the_type_that_the_model_was_trained_with_is_refused() -> None:
    reader = Reader([Input("i", "integer"), Input("f", "number")], {"i": "int32", "f": "float32"}, 10)
    assert reader.read({"i": 2**31 - 1, "f": 1e38}).array(1).dtype == np.float32
    assert refused({"i": 2**31, "f": 0}, reader).problems[0].field == "i"
    assert refused({"i": 0, "f": 1e39}, reader).problems[0].field == "f"


def test_times_and_octets_are_read() -> None:
    reader = Reader([Input("at", "datetime"), Input("image", "binary")], {}, 10)
    made = reader.read({"at": "2026-11-21T12:00:00+02:00", "image": "aGk="})
    assert made.array(0)[0] == np.datetime64("2026-11-21T10:00:00", "ns")
    assert made.array(1)[0] == b"hi"
    assert refused({"at": "yesterday", "image": "aGk="}, reader).problems[0].message == "must be a time in ISO 8601"
    assert refused({"at": "9999-01-01", "image": "aGk="}, reader).problems[0].field == "at"
    assert refused({"at": "2026-01-01", "image": "a"}, reader).problems[0].field == "image"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (3, "object or a list of rows"),
        ([], "at least one"),
        ([1, 2], "objects, or all of them lists"),
        ([GOOD, [1]], "objects, or all of them lists"),
        ({"records": 3}, "object or a list of rows"),
        ({"features": 3}, "`features`"),
        ({"features": []}, "`features`"),
        ({"features": [1, 2]}, "the inputs are 4: age, income, site, insured"),
        ({"dataframe_split": [1]}, "split frame"),
        ({"dataframe_split": {"columns": [""], "data": [[], []]}}, "Row 0 has 0 values"),
        ({"dataframe_split": {"columns": [""], "data": [[1, 2]]}}, "Row 0 has 2 values"),
        ({"columns": ["age", 3], "data": [[1, 2]]}, "list of names"),
        ({"columns": ["age", "age"], "data": [[1, 2]]}, "twice"),
        ({"columns": ["age"], "data": [[1, 2]]}, "Row 0 has 2 values"),
        ({"columns": ["age"], "data": []}, "at least one"),
        ({"age": [1, 2], "income": [1]}, "differ in length"),
        ({"age": [], "income": []}, "no rows"),
    ],
)
def test_other_shapes_are_refused_with_a_sentence(body: Any, words: str) -> None:
    error = refused(body)
    assert error.status == 400
    assert words in error.message


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"{]", b"NaN", b'{"a": NaN}', b'{"a": 1e999}', b'"\xff"', b"[" * 5000, b"\x00"]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        bodies.decode(body)
    assert caught.value.status == 400


def test_only_so_many_problems_are_named() -> None:
    error = refused([{**GOOD, "age": "x"}] * 100)
    assert len(error.problems) == 20
    assert refused([{}] * 100).status == 422


def test_a_model_that_does_not_say_what_it_takes_gets_what_is_sent() -> None:
    reader = Reader((), {}, 10)
    made = reader.read([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}])
    assert list(made.names) == ["x", "y"]
    assert made.array(0).dtype == np.int64
    assert refused([{"x": 1}, {"x": 1, "z": 2}], reader).problems[0].field == "z"
    assert refused([{"x": 1, "y": 2}, {"x": 1}], reader).problems[0].field == "y"
    assert reader.read([[1, 2.5], [3, 4]]).matrix().tolist() == [[1, 2.5], [3, 4]]
    assert refused([[1], [2, 3]], reader).status == 400


def test_an_input_may_be_called_like_a_shape() -> None:
    reader = Reader([Input("records", "number"), Input("data", "number")], {}, 10)
    assert reader.read({"records": 1, "data": 2}).rows == 1
    assert reader.read({"records": [1, 2], "data": [3, 4]}).rows == 2
    assert Reader([Input("features", "number")], {}, 10).read({"features": 3.5}).array(0).tolist() == [3.5]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "records", "data", "columns", "x"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_anything_in_json_is_read_or_refused_and_nothing_else(body: Any) -> None:
    for reader in (READER, Reader((), {}, 10), Reader([Input("", "number", shape=(-1, 2))], {"": "float64"}, 10)):
        try:
            made = reader.read(body)
        except RefusedError as error:
            status, said = error.status, error.message
        else:
            assert made.rows > 0
            for index in range(len(made.names)):
                assert len(made.array(index)) == made.rows
            continue
        assert status in (400, 413, 422)
        assert said.endswith(".")


ROWS = st.lists(
    st.fixed_dictionaries({
        "age": st.integers(0, 120),
        "income": st.none() | st.floats(-1e300, 1e300) | st.integers(-(2**60), 2**60),
        "site": st.none() | st.sampled_from(["north", "south", "über"]),
        "insured": st.booleans(),
    }),
    min_size=1, max_size=20,
)  # fmt: skip


@given(ROWS)
def test_every_shape_holds_the_same_values(rows: list[dict[str, Any]]) -> None:
    names = list(GOOD)
    columnar = {name: [row[name] for row in rows] for name in names}
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    first = READER.read(rows)
    for body in (columnar, split, {"features": split["data"]}):
        other = READER.read(body)
        for index in range(4):
            assert [repr(v) for v in other.array(index)] == [repr(v) for v in first.array(index)]
    frame = first.frame()
    assert list(frame.columns) == names
    assert len(frame) == len(rows)


def test_the_same_types_are_checked_again_for_their_limits() -> None:
    """Combinations of types that were right once are remembered; limits and nulls are not."""
    assert READER.read(GOOD).rows == 1
    assert refused({**GOOD, "age": 121}).status == 422
    assert refused({**GOOD, "site": "west"}).status == 422
    plain = Reader([Input("a", "number"), Input("b", "string")], {}, 10)
    assert plain.read({"a": 1, "b": "x"}).rows == 1
    assert plain.read({"a": 2, "b": "y"}).array(0).tolist() == [2]
    assert refused({"a": "x", "b": "y"}, plain).status == 422


def test_a_real_table_is_what_pandas_would_hold() -> None:
    table = people().astype({"age": "int64"})
    rows = json.loads(table.to_json(orient="records"))
    made = Reader(INPUTS, {}, 1000).read(rows).frame()
    assert np.allclose(made["income"], table["income"], equal_nan=True)
    assert made["age"].tolist() == table["age"].tolist()
    assert made["site"].tolist() == table["site"].tolist()
    assert made["insured"].dtype == bool
