"""A profile as a file: canonical, read back whole, and refused where it does not add up."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.data import profiles
from mlgate.data.profiles import Profile
from mlgate.errors import MlgateError

from .tables import build, save


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    random = np.random.default_rng(7)
    moments = [datetime(2026, 10, 1 + n // 200, tzinfo=UTC) for n in range(1_000)]
    file = save(
        tmp_path_factory.mktemp("profile") / "t.parquet",
        at=pa.array(moments, pa.timestamp("us", "UTC")),
        age=random.normal(40, 12, 1_000),
        plan=random.integers(0, 4, 1_000),
        city=random.choice(["Köln", "Ulm", "New\nYork"], 1_000),
        mail=["a@b.example"] * 1_000,
    )
    found = build(file, time="at", private=frozenset({"mail"}), data={"data/t.parquet": "dvc-md5:" + "0" * 32})
    score = replace(found.columns["age"])
    return replace(found, score=score, digest="a" * 64)


def test_reads_back_what_was_written(profile: Profile) -> None:
    text = profiles.text(profile)
    assert profiles.read(text, "p.json") == profile
    assert profiles.read(text.encode(), "p.json", model="visits") == profile
    assert profiles.text(profiles.read(text, "p.json")) == text


def test_is_plain_json_a_line_for_each_column(profile: Profile) -> None:
    text = profiles.text(profile)
    said = json.loads(text)
    assert said["schema"] == 1
    lines = text.splitlines()
    assert [line.partition(":")[0] for line in lines if line[:7] in ('"age":{', '"city":', '"mail":', '"plan":')] == [
        '"age"', '"city"', '"mail"', '"plan"',
    ]  # fmt: skip
    assert "e+" not in text
    assert ".0," not in text
    assert sum(said["columns"]["age"]["counts"]) == 1_000


def test_a_profile_of_another_model_is_refused(profile: Profile) -> None:
    with pytest.raises(MlgateError, match=r"p\.json is the reference profile of visits, and the model is costs"):
        profiles.read(profiles.text(profile), "p.json", model="costs")


Edit = Callable[[dict[str, Any]], None]


def _set(*keys: str | int, to: Any) -> Edit:
    def edit(said: dict[str, Any]) -> None:
        inner: Any = said
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = to

    return edit


def _drop(*keys: str) -> Edit:
    def edit(said: dict[str, Any]) -> None:
        inner = said
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return edit


BAD: dict[str, tuple[Edit, str]] = {
    "newer": (_set("schema", to=2), "its schema is '2', and this version of mlgate reads 1"),
    "no schema": (_drop("schema"), "its schema is 'None'"),
    "schema true": (_set("schema", to=True), "its schema is 'True'"),
    "unknown key": (_set("extra", to=1), "it has a key 'extra'"),
    "no rows": (_drop("rows"), "it lacks rows"),
    "negative": (_set("rows", to=-1), "rows is no count"),
    "float count": (_set("rows", to=1000.0), "rows is no count"),
    "other rows": (_set("rows", to=999), "age has 1000 rows, and all have 999"),
    "digest": (_set("digest", to="x"), "its digest is none"),
    "columns": (_set("columns", to=[]), "columns is no mapping"),
    "kind": (_set("columns", "age", "kind", to="text"), "age is of no kind"),
    "kind and of": (_set("columns", "age", "of", to="text"), "age is of no kind"),
    "unhashable": (_set("columns", "age", "kind", to=[]), "age is of no kind"),
    "count": (_set("columns", "age", "counts", 0, to=0), "the counts of age do not add up"),
    "count of text": (_set("columns", "age", "counts", 0, to="9"), "age.counts is no count"),
    "no counts": (_drop("columns", "age", "counts"), "the counts of age do not add up"),
    "no knots": (_drop("columns", "age", "knots"), "age has counts, and no knots"),
    "order": (_set("columns", "age", "knots", 3, to=-99), "the knots of age do not ascend"),
    "knot": (_set("columns", "age", "knots", 3, to=None), "age.knots is no number"),
    "huge knot": (_set("columns", "age", "knots", 3, to=10**400), "age.knots is not finite"),
    "edge": (_set("columns", "age", "edges", 0, to=-5), "the edges of age are no knots"),
    "mean": (_set("columns", "age", "mean", to="x"), "age is no number"),
    "missing": (_set("columns", "age", "missing", to=1_001), "age has more missing values than rows"),
    "values": (_set("columns", "city", "values", "Ulm", to=1), "the values of city do not add up"),
    "kept": (_set("columns", "city", "kept", 0, to="Bonn"), "city keeps categories that it does not list"),
    "other": (_set("columns", "city", "other", to=[1]), "the values of city do not add up"),
    "number": (_set("columns", "plan", "values", to={"x": 1_000}), "plan keeps categories"),
    "hidden": (_set("columns", "mail", "distinct", to=3), "mail is hidden, and says something"),
    "days": (_set("days", "day", 0, to="2026-10-09"), "its days are not in their order"),
    "no day": (_set("days", "day", 0, to="1 October"), "its days are not in their order"),
    "day rows": (_set("days", "rows", 0, to=1), "do not add up to the day's rows"),
    "day bins": (_set("days", "counts", "age", 0, to=[200]), "do not add up to the day's rows"),
    "day column": (_set("days", "counts", "nobody", to=[None] * 5), "its days count 'nobody'"),
    "no days": (_set("days", to=None), "days is no mapping"),
    "data": (_set("data", "data/t.parquet", to=None), "data is no text"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_add_up_is_refused_in_one_sentence(profile: Profile, case: str) -> None:
    edit, sentence = BAD[case]
    said = copy.deepcopy(json.loads(profiles.text(profile)))
    edit(said)
    with pytest.raises(MlgateError) as caught:
        profiles.read(json.dumps(said), "metrics/profile.json")
    assert sentence in caught.value.message
    assert (caught.value.file, caught.value.fix) == ("metrics/profile.json", "Write it again: `mlgate profile`.")


@pytest.mark.parametrize(
    "text",
    [
        "", "nothing", "[]", "{", '{"schema": NaN}', '{"schema": 1, "schema": 1}', "[" * 100_000, b"\xff\xfe",
        "<<<<<<< HEAD\n{}",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(MlgateError, match="no reference profile that can be used"):
        profiles.read(text, "p.json")


@given(st.data())
def test_no_damage_ends_in_a_traceback(profile: Profile, data: st.DataObject) -> None:
    text = profiles.text(profile)
    start = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.text('0123456789.-{}[]",:enull', max_size=6))
    try:
        found = profiles.read(text[:start] + put + text[start + data.draw(st.integers(0, 8)) :], "p.json")
    except MlgateError:
        return
    for one in found.columns.values():
        assert sum(profiles.frozen(one).counts) == one.rows == found.rows


def test_what_is_far_too_large_is_not_even_parsed() -> None:
    with pytest.raises(MlgateError, match="it is too large"):
        profiles.read(" " * 50_000_001, "p.json")
