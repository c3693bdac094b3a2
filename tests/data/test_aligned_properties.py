"""The join against a merge of pandas, and what may not change it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from data.aligned_files import Set
from mlgate.data import reading
from mlgate.data.aligned import Aligned

WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 12)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.sampled_from(
    ["7", "07", "007", "7.0", "+7", "-0", "0", "1e3", "NaN", "null", " 7"]
)
CON = reading.connect("1GB")


def read(labels: pd.DataFrame, scores: pd.DataFrame, **asked: Any) -> Aligned:
    with tempfile.TemporaryDirectory() as folder:
        there = Set(Path(folder))
        there.__dict__["con"] = CON
        found = there.read(
            there.write("test.parquet", labels), there.write("p.parquet", scores), **{"score": "p", **asked}
        )  # fmt: skip
        if found.rows is not None:  # while the files are there
            object.__setattr__(found.rows, "ids", [found.rows.id_of(row) for row in range(found.rows.count)])
        return found


@st.composite
def two(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Ids of the labels and of the predictions: the same, or some more, less or twice; each as numbers or as text."""
    words = draw(st.booleans())
    labels = draw(st.lists(WORDS if words else WHOLE, min_size=1, max_size=12))
    predictions = draw(st.permutations(labels))
    for _ in range(draw(st.integers(0, 2))):
        predictions = draw(
            st.sampled_from(
                [predictions[1:], [*predictions, *predictions[:1]], [*predictions, draw(WORDS if words else WHOLE)]]
            )
        )
    if not words and draw(st.booleans()):
        predictions = [str(value) for value in predictions]
    elif not words and draw(st.booleans()):
        labels = [str(value) for value in labels]
    return labels, predictions


@given(two(), st.randoms(use_true_random=False))
@settings(max_examples=120)
def test_it_is_the_merge_that_pandas_makes_or_none(ids: tuple[list[Any], list[Any]], random: Any) -> None:
    here, there = ids
    labels = pd.DataFrame({"id": here, "y": [random.random() for _ in here]})
    scores = pd.DataFrame({"id": there, "p": [random.random() for _ in there]})
    found = read(labels, scores, task="regression")
    left, right = labels.assign(id=labels["id"].astype(str)), scores.assign(id=scores["id"].astype(str))
    whole = (
        left["id"].is_unique and right["id"].is_unique and set(left["id"]) == set(right["id"])
    )  # fmt: skip
    assert (found.rows is not None) == whole == (not found.findings)
    if found.rows is not None:
        merged = left.merge(right, on="id", how="left", validate="one_to_one")
        assert found.rows.label.tolist() == merged["y"].tolist()
        assert found.rows.challenger.score is not None
        assert found.rows.challenger.score.tolist() == merged["p"].tolist()
        assert found.rows.ids == merged["id"].tolist()  # type: ignore[attr-defined]
    elif not there:
        assert [finding.sentence for finding in found.findings] == ["p.parquet (challenger) has no rows."]
    elif left["id"].is_unique:
        counts = [len(set(left["id"]) - set(right["id"])), int((~right["id"].isin(left["id"])).sum())]
        again = int(right["id"].duplicated().sum())
        assert [finding.count for finding in found.findings] == [count for count in (again, *counts) if count]
    else:
        assert [finding.count for finding in found.findings] == [left["id"][left["id"].duplicated()].nunique()]


@given(st.integers(2, 60), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=40)
def test_codes_of_groups_and_clusters_name_the_values_of_their_rows(count: int, random: Any, sparse: bool) -> None:
    scale = 10**15 if sparse else 1
    labels = pd.DataFrame(
        {
            "id": random.sample(range(1000), count),
            "y": [0.5 + random.randrange(3) for _ in range(count)],
            "who": [random.randrange(8) * scale for _ in range(count)],
            "team": [random.choice("abc") for _ in range(count)],
            "age": [float(random.randrange(100)) for _ in range(count)],
        }
    )
    scores = pd.DataFrame({"id": labels["id"].sample(frac=1, random_state=random.randrange(99)), "p": 0.5})
    by = (("who",), ("team", "who"), ("age",))
    found = read(labels, scores, task="regression", cluster="who", query=None, groups=by, edges={"age": (20.0, 65.0)})
    assert found.findings == ()
    rows = found.rows
    assert rows is not None
    assert rows.cluster is not None
    distinct = sorted(set(labels["who"]))
    assert rows.cluster.tolist() == [distinct.index(who) for who in labels["who"]]
    named = [rows.groups["who"].names[code] for code in rows.groups["who"].codes]
    assert named == [f"who = {who}" for who in labels["who"]]
    both = rows.groups["team x who"]
    assert [both.names[code] for code in both.codes] == [
        f"team = {team}, who = {who}" for team, who in zip(labels["team"], labels["who"], strict=True)
    ]
    assert set(both.codes.tolist()) == set(range(len(both.names)))
    bins = pd.cut(labels["age"], [-np.inf, 20, 65, np.inf], right=False, labels=False)
    assert rows.groups["age"].codes.tolist() == bins.tolist()


@given(st.lists(st.sampled_from(["cat", "dog", "eel"]), min_size=3, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_rows_and_the_names_of_classes_change_nothing(labels: list[str], random: Any) -> None:
    ids = [f"row {n}" for n in range(len(labels))]
    frame = pd.DataFrame({"id": ids, "y": labels, "c": [random.choice(labels) for _ in labels]})
    names = {"cat": "Katze", "dog": "Hund", "eel": "Aal"}
    other = frame.assign(y=frame["y"].map(names), c=frame["c"].map(names)).sample(frac=1, random_state=1)
    asked = {"decided": "c", "task": "multiclass", "score": None}
    one = read(frame[["id", "y"]], frame[["id", "c"]], **asked).rows
    two = read(other[["id", "y"]], other[["id", "c"]].sample(frac=1, random_state=2), **asked).rows
    assert one is not None
    assert two is not None

    def said(rows: Any, called: dict[str, str]) -> list[tuple[str, str, str]]:
        classes = [called[name] for name in rows.classes]
        pairs = zip(rows.ids, rows.label, rows.challenger.decided, strict=True)
        return sorted((id_, classes[int(label)], classes[decided]) for id_, label, decided in pairs)

    expected = sorted(frame.itertuples(index=False, name=None))
    assert said(one, {name: name for name in names}) == expected
    assert said(two, {value: key for key, value in names.items()}) == expected
