"""Labels and predictions joined by id: the arrays that come out, and every way in which none may come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.aligned_files import PREDICTIONS, Set, only
from mlgate.data.aligned import File, Made

LABELS = {"id": [1, 2, 3, 4], "y": [0, 1, 1, 0]}
SCORES = {"id": [1, 2, 3, 4], "p": [0.1, 0.9, 0.4, 0.5]}


@pytest.fixture
def at(tmp_path: Path) -> Set:
    return Set(tmp_path)


def some(scores: list[Any]) -> dict[str, list[Any]]:
    return {"id": [1, 2, 3, 4], "p": scores}


# -- what comes out --------------------------------------------------------------------------------------------------


def test_binary_rows_in_the_order_of_the_labels(at: Set) -> None:
    labels = {**LABELS, "w": [1.0, 2.0, 0.0, 1.0], "who": ["b", "a", "b", "c"], "sex": ["f", "m", "f", "m"]}
    shuffled = {"id": [3, 1, 4, 2], "p": [0.4, 0.1, 0.5, 0.9], "loss": [3, 1, 4, 2], "y": [9, 9, 9, 9]}
    found = at.read(
        labels, SCORES, shuffled, score="p", cut_off=0.5, weight="w", cluster="who", groups=(("sex",),)
    )  # fmt: skip
    rows = found.rows
    assert found.findings == ()
    assert rows is not None
    assert rows.champion is not None
    assert rows.champion.score is not None
    assert rows.task == "binary"
    assert rows.classes == ("0", "1")
    assert rows.count == 4
    assert rows.label.tolist() == [0, 1, 1, 0]
    assert rows.challenger.score is not None
    assert rows.challenger.score.tolist() == [0.1, 0.9, 0.4, 0.5]
    assert rows.champion.score.tolist() == [0.1, 0.9, 0.4, 0.5]
    assert rows.challenger.decided is not None
    assert rows.challenger.decided.tolist() == [0, 1, 0, 1]
    assert rows.weight is not None
    assert rows.weight.tolist() == [1, 2, 0, 1]
    assert rows.cluster is not None
    assert sorted(set(rows.cluster.tolist())) == [0, 1, 2]
    assert rows.cluster[0] == rows.cluster[2] != rows.cluster[1]
    assert rows.groups["sex"].names == ("sex = f", "sex = m")
    assert rows.groups["sex"].codes.tolist() == [0, 1, 0, 1]
    assert [rows.id_of(row) for row in range(4)] == ["1", "2", "3", "4"]


def test_several_classes_with_a_column_of_scores_each(at: Set) -> None:
    labels = {"id": ["a", "b", "c"], "y": ["dog", "cat", "dog"]}
    scores = {"id": ["c", "b", "a"], "p_cat": [0.2, 0.7, 0.1], "p_dog": [0.5, 0.2, 0.8], "p_owl": [0.3, 0.1, 0.1]}
    found = at.read(
        labels, scores, score={"cat": "p_cat", "dog": "p_dog", "owl": "p_owl"}, probabilities=True
    )  # fmt: skip
    rows = found.rows
    assert rows is not None
    assert rows.task == "multiclass"
    assert rows.classes == ("cat", "dog", "owl")
    assert rows.label.tolist() == [1, 0, 1]
    assert rows.challenger.score is not None
    assert rows.challenger.score.tolist() == [[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.5, 0.3]]
    assert rows.challenger.decided is not None
    assert rows.challenger.decided.tolist() == [1, 0, 1]
    note = only(found)
    assert note.level == "note"
    assert "never is owl" in note.sentence


def test_decided_classes_without_scores(at: Set) -> None:
    found = at.read(
        {"id": [1, 2, 3], "y": [10, 20, 30]}, {"id": [1, 2, 3], "c": ["10", "30", "20"]}, decided="c"
    )  # fmt: skip
    rows = found.rows
    assert rows is not None
    assert rows.task == "multiclass"
    assert rows.classes == ("10", "20", "30")
    assert rows.challenger.decided is not None
    assert rows.challenger.decided.tolist() == [0, 2, 1]
    assert rows.challenger.score is None
    assert found.findings == ()


def test_a_class_that_only_a_model_knows_is_listed_and_keeps_its_place(at: Set) -> None:
    labels = {"id": [1, 2, 3], "y": ["cat", "dog", "eel"]}
    found = at.read(
        labels, {"id": [1, 2, 3], "c": ["cat", "ant", "eel"]}, {"id": [3, 2, 1], "c": ["ant", "bee", "cat"]},
        decided="c",
    )  # fmt: skip
    rows = found.rows
    assert rows is not None
    assert rows.champion is not None
    assert rows.classes == ("cat", "dog", "eel", "ant", "bee")
    assert rows.challenger.decided is not None
    assert rows.challenger.decided.tolist() == [0, 3, 2]
    assert rows.champion.decided is not None
    assert rows.champion.decided.tolist() == [0, 4, 3]
    assert [finding.level for finding in found.findings] == ["note", "note"]


def test_numbers_and_rankings(at: Set) -> None:
    labels = {"id": [1, 2, 3, 4], "y": [0.5, 2.5, 3.5, 1.0], "q": ["b", "a", "b", "a"]}
    rows = at.read(labels, some([1, 2, 3, 4]), score="p").rows
    assert rows is not None
    assert rows.task == "regression"
    assert rows.label.tolist() == [0.5, 2.5, 3.5, 1.0]
    assert rows.challenger.decided is None
    assert rows.classes == ()
    rows = at.read(labels, some([1, 2, 3, 4]), score="p", query="q").rows
    assert rows is not None
    assert rows.task == "ranking"
    assert rows.query is not None
    assert rows.query[0] == rows.query[2] != rows.query[1] == rows.query[3]


@pytest.mark.parametrize(
    ("label", "asked", "task", "classes"),
    [
        ([0, 1, 0, 1], {}, "binary", ("0", "1")),
        ([0.0, 1.0, 0.0, 1.0], {}, "binary", ("0", "1")),
        ([-1, 1, 1, -1], {}, "binary", ("-1", "1")),
        ([True, False, True, True], {}, "binary", ("false", "true")),
        (["no", "yes", "no", "no"], {"positive": "yes"}, "binary", ("no", "yes")),
        (["no", "yes", "no", "no"], {"positive": "no"}, "binary", ("yes", "no")),
        (["0", "1", "0", "1"], {}, "binary", ("0", "1")),
        ([1, 2, 1, 2], {"positive": 2}, "binary", ("1", "2")),
        ([1.0, 2.0, 1.0, 2.0], {"positive": "2"}, "binary", ("1", "2")),
        ([0, 1, 0, 1], {"positive": True}, "binary", ("0", "1")),
        ([True, False, True, True], {"positive": 0}, "binary", ("true", "false")),
        ([0, 1, 0, 1], {"task": "regression"}, "regression", ()),
        ([0, 1, 2, 1], {}, "regression", ()),
        ([7, 7, 7, 7], {}, "regression", ()),
        (["a", "b", "c", "a"], {"score": None}, "multiclass", ("a", "b", "c")),
    ],
)
def test_what_the_labels_are(at: Set, label: Any, asked: Any, task: str, classes: tuple[str, ...]) -> None:
    rows = at.read({"id": [1, 2, 3, 4], "y": label}, SCORES, **{"score": "p", **asked}).rows
    assert rows is not None
    assert (rows.task, rows.classes) == (task, classes)
    if task == "binary":
        assert rows.label.tolist() == [float(str(value).lower().removesuffix(".0") == classes[1]) for value in label]


def test_groups_by_edges_and_combinations(at: Set) -> None:
    labels = {**LABELS, "age": [29.5, 30, 60, 80], "sex": ["f", "m", "f", "m"], "site": [3, 10, 3, 10]}
    found = at.read(
        labels, SCORES, score="p", edges={"age": (60, 30, 90)},
        groups=(("age",), ("sex", "site"), ("site",), ("age", "sex")),
    )  # fmt: skip
    rows = found.rows
    assert rows is not None
    assert found.findings == ()
    assert rows.groups["age"].names == ("age < 30", "30 <= age < 60", "60 <= age < 90", "age >= 90")
    assert rows.groups["age"].codes.tolist() == [0, 1, 2, 2]
    assert rows.groups["sex x site"].names == ("sex = f, site = 3", "sex = m, site = 10")
    assert rows.groups["site"].names == ("site = 3", "site = 10")
    names = rows.groups["age x sex"].names
    assert [names[code] for code in rows.groups["age x sex"].codes] == [
        "age < 30, sex = f", "30 <= age < 60, sex = m", "60 <= age < 90, sex = f", "60 <= age < 90, sex = m",
    ]  # fmt: skip


def test_rows_that_a_model_was_trained_with_are_left_out_of_all_sides(at: Set) -> None:
    out = at.write("made/exclude.parquet", {"id": [2]})
    labels = {**LABELS, "who": [5, 6, 7, 7]}
    found = at.read(labels, SCORES, some([0.5, 0.6, 0.7, 0.8]), score="p", exclude=out, cluster="who")
    rows = found.rows
    assert rows is not None
    assert rows.champion is not None
    assert rows.champion.score is not None
    assert found.excluded == 1
    assert found.findings == ()
    assert rows.label.tolist() == [0, 1, 0]
    assert rows.champion.score.tolist() == [0.5, 0.7, 0.8]
    assert rows.cluster is not None
    assert rows.cluster.tolist() == [0, 1, 1]
    assert [rows.id_of(row) for row in range(3)] == ["1", "3", "4"]
    assert found.whole is not None
    assert found.whole.label.tolist() == [0, 1, 1, 0]


def test_ids_to_leave_out_have_a_column_of_their_own(at: Set) -> None:
    labels, scores = ({"person": ["7", "x", "y", "z"], **more} for more in ({"y": [0, 1, 1, 0]}, {"p": [0.1] * 4}))
    out = at.write("made/exclude.parquet", {"id": ["x", "7", "x"], "side": ["champion", "champion", "challenger"]})
    found = at.read(labels, scores, id="person", score="p", exclude=out)
    assert found.excluded == 2
    assert found.rows is not None
    assert [found.rows.id_of(row) for row in range(2)] == ["y", "z"]


def test_leaving_out_may_leave_too_little(at: Set) -> None:
    found = at.read(LABELS, SCORES, score="p", exclude=at.write("made/x.parquet", {"id": [1, 2, 3, 4]}))
    assert found.rows is None
    assert only(found).level == "inconclusive"
    found = at.read(LABELS, SCORES, score="p", exclude=at.write("made/y.parquet", {"id": [2, 3]}))
    assert found.rows is not None
    assert only(found).level == "inconclusive"
    assert "one class only is left" in only(found).sentence
    found = at.read(LABELS, SCORES, score="p", exclude=at.write("made/z.parquet", {"id": [2, 30]}))
    assert found.rows is None
    assert only(found).level == "error"
    assert "1 rows to leave out" in only(found).sentence


def test_values_per_row_of_predictions_and_of_entry_points(at: Set) -> None:
    made = Made(at.write("made/own.parquet", {"id": [4, 3, 2, 1], "v": [4.0, 3.0, 2.0, 1.0]}), {"profit": "v"})
    found = at.read(
        LABELS, {**SCORES, "hit": [True, False, True, True]}, values=("hit",), made={"challenger": (made,)}
    )  # fmt: skip
    assert found.rows is not None
    assert found.findings == ()
    values = found.rows.challenger.values
    assert {key: array.tolist() for key, array in values.items()} == {"hit": [1, 0, 1, 1], "profit": [1, 2, 3, 4]}


def test_values_that_lack_rows_or_are_nan_are_left_out_with_a_finding(at: Set) -> None:
    made = Made(at.write("made/own.parquet", {"id": [4, 3, 2], "v": [4.0, 3.0, 2.0]}), {"profit": "v"})
    found = at.read(
        LABELS, {**SCORES, "hit": [1, 2, np.nan, 4]}, values=("hit", "gone"), made={"challenger": (made,)}, score="p"
    )  # fmt: skip
    assert found.rows is not None
    assert found.rows.challenger.values == {}
    said = [finding.sentence for finding in found.findings]
    assert len(said) == 3
    assert all(finding.level == "error" for finding in found.findings)
    assert "no column 'gone'" in said[0]
    assert "no number in 1 of 4 rows" in said[1]
    assert "1 of the 4 ids (id) of data/test.parquet are missing" in said[2]


# -- ids -------------------------------------------------------------------------------------------------------------

BIG = 2**62 + 1


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        ([1, 2, 3, 4], ["3", "1", "4", "2"]),
        (["4", "3", "2", "1"], [1, 2, 3, 4]),
        ([1, 2, 3, 4], [4.0, 2.0, 3.0, 1.0]),
        ([1.0, 2.0, 3.0, 4.0], ["1", "2", "4", "3"]),
        ([BIG, BIG + 1, BIG + 2, -BIG], [BIG + 2, BIG + 1, BIG, -BIG]),
        ([BIG, BIG + 1, BIG + 2, -BIG], [str(BIG + 2), str(BIG + 1), str(BIG), str(-BIG)]),
        (["007", "7", "7.0", ""], ["7", "007", "", "7.0"]),
        ([0.5, 1.5, 2.0, -1e300], [2.0, 1.5, 0.5, -1e300]),
        (["ä", "a" * 100, "a" * 101, "'"], ["'", "ä", "a" * 101, "a" * 100]),
        ([10**9 * n for n in (4, 1, 3, 2)], [10**9 * n for n in (1, 2, 3, 4)]),
    ],
)
def test_ids_that_are_the_same(at: Set, labels: list[Any], predictions: list[Any]) -> None:
    def name(value: Any) -> str:
        return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else str(value)

    places = [list(map(name, labels)).index(name(value)) for value in predictions]
    scores = {"id": predictions, "p": [place / 10 for place in places]}
    found = at.read({"id": labels, "y": [0, 1, 1, 0]}, scores, score="p")
    assert found.findings == ()
    assert found.rows is not None
    assert found.rows.challenger.score is not None
    assert found.rows.challenger.score.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert [found.rows.id_of(row).removesuffix("e+300") for row in range(4)] == [
        name(value).removesuffix("e+300") for value in labels
    ]


@pytest.mark.parametrize(
    ("labels", "predictions", "lost", "extra"),
    [
        (["007", "2", "3"], ["7", "2", "3"], ("007",), ("7",)),
        ([7, 2, 3], ["007", "2", "3"], ("7",), ("007",)),
        (["007", "2", "3"], [7, 2, 3], ("007",), ("7",)),
        ([BIG, 2, 3], [BIG + 1, 2, 3], (str(BIG),), (str(BIG + 1),)),
        ([2**53 + 1, 2, 3], [float(2**53), 2.0, 3.0], (str(2**53 + 1),), ("9007199254740992.0",)),
        (["a", "b", "c"], ["A", "b", "c "], ("a", "c"), ("A", "c ")),
    ],
)
def test_ids_that_only_look_the_same(
    at: Set, labels: list[Any], predictions: list[Any], lost: tuple[str, ...], extra: tuple[str, ...]
) -> None:
    found = at.read({"id": labels, "y": [0, 1, 0]}, {"id": predictions, "p": [0.1, 0.2, 0.3]}, score="p")
    assert found.rows is None
    assert [finding.examples for finding in found.findings] == [lost, extra]
    assert f"{len(lost)} of the 3 ids (id) of data/test.parquet are missing" in found.findings[0].sentence
    if {type(value) for value in labels} != {type(value) for value in predictions}:
        assert "007 is not 7" in found.findings[0].fix


def test_wrong_ids_of_a_side_are_counted_and_leave_that_side_out(at: Set) -> None:
    wrong = {"id": [2, 9, 2, None, 8, 2], "p": [0.1] * 6}
    found = at.read(LABELS, SCORES, wrong, score="p")
    assert found.rows is not None
    assert found.rows.champion is None
    assert {finding.side for finding in found.findings} == {"champion"}
    assert [(f.count, f.examples) for f in found.findings] == [
        (1, ()),
        (2, ("2", "2")),
        (3, ("1", "3", "4")),
        (2, ("9", "8")),
    ]
    assert all(finding.file == PREDICTIONS and finding.column == "id" for finding in found.findings)
    assert str(found.findings[2]) == (
        f"{PREDICTIONS} (champion): 3 of the 4 ids (id) of data/test.parquet are missing. First ids: 1, 3, 4. "
        "id is DOUBLE here and BIGINT there, and 007 is not 7: write it in the same way in both."
    )
    found = at.read(LABELS, wrong, SCORES, score="p")
    assert found.rows is None
    assert {finding.side for finding in found.findings} == {"challenger"}


def test_one_row_too_few_too_many_or_twice_is_never_joined(at: Set) -> None:
    for ids, words in (
        ([1, 2, 3], ["1 of the 4 ids"]),
        ([1, 2, 3, 4, 5], ["1 of 5 ids"]),
        ([1, 2, 3, 4, 4], ["1 of 5 rows have an id"]),
        ([1, 2, 3, 3], ["1 of 4 rows have an id", "1 of the 4 ids"]),
    ):
        found = at.read(LABELS, {"id": ids, "p": [0.5] * len(ids)}, score="p")
        assert found.rows is None
        assert len(found.findings) == len(words)
        assert all(word in finding.sentence for word, finding in zip(words, found.findings, strict=True))


def test_ids_of_the_labels_that_are_missing_or_there_twice(at: Set) -> None:
    found = at.read({"id": ["b", "a", "b", None], "y": [0, 1, 0, 1]}, SCORES, score="p")
    assert found.rows is None
    assert [finding.side for finding in found.findings] == [None, None]
    assert [(f.count, f.examples) for f in found.findings] == [(1, ()), (1, ("b",))]


def test_files_without_rows_columns_or_bytes(at: Set) -> None:
    empty: dict[str, list[float]] = {"id": [], "p": []}
    assert "has no rows" in only(at.read(LABELS, empty, score="p")).sentence
    assert "has no rows" in only(at.read({"id": [], "y": []}, SCORES, score="p")).sentence
    finding = only(at.read(LABELS, SCORES, score="q"))
    assert finding.sentence == f"{PREDICTIONS} (challenger) has no column 'q' (`predictions.score`)."
    assert finding.column == "q"
    finding = only(at.read(LABELS, {"id": [1], "p_visit": [1.0]}, score="p_vist"))
    assert "It has 'p_visit'" in finding.fix
    (at.root / "none.parquet").write_bytes(b"")
    assert "is empty" in only(at.read(LABELS, File(at.root / "none.parquet", PREDICTIONS), score="p")).sentence
    gone = only(at.read(LABELS, File(at.root / "gone.parquet", PREDICTIONS), score="p"))
    assert gone.sentence == f"{PREDICTIONS} (challenger) is not there."


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, None, np.inf, -np.inf])
def test_a_score_that_is_no_number(at: Set, bad: Any) -> None:
    finding = only(found := at.read(LABELS, some([0.1, bad, 0.3, bad]), score="p"))
    assert found.rows is None
    assert (finding.side, finding.column, finding.count, finding.examples) == ("challenger", "p", 2, ("2", "4"))
    kind = "infinite" if bad is not None and np.isinf(bad) else "missing or NaN"
    assert f"p has no number in 2 of 4 rows (2 {kind}; predictions.score)" in finding.sentence


@pytest.mark.parametrize(
    ("column", "asked"),
    [
        ({"y": [1.5, None, 2.5, 3.5]}, {}),
        ({"y": [1.5, np.inf, 2.5, 3.5]}, {}),
        ({"y": ["a", None, "b", "a"]}, {"positive": "a"}),
        ({"y": [True, None, False, True]}, {}),
        ({"y": [1, None, 0, 1]}, {"task": "binary"}),
        ({"w": [1.0, None, 1.0, 2.0]}, {"weight": "w"}),
        ({"w": [1.0, np.inf, 1.0, 2.0]}, {"weight": "w"}),
        ({"w": [1.0, -0.5, 1.0, 2.0]}, {"weight": "w"}),
        ({"c": ["a", None, "b", "a"]}, {"cluster": "c"}),
        ({"c": [1.0, None, 1.0, 2.0]}, {"cluster": "c"}),
        ({"q": [1.0, np.nan, 1.0, 2.0]}, {"query": "q"}),
    ],
)
def test_values_of_the_labels_that_are_missing(at: Set, column: dict[str, Any], asked: dict[str, Any]) -> None:
    finding = only(found := at.read({**LABELS, **column}, SCORES, score="p", **asked))
    assert found.rows is None
    assert (finding.side, finding.column, finding.count, finding.examples) == (None, next(iter(column)), 1, ("2",))
    assert finding.level == "error"
    assert finding.file == "data/test.parquet"


def test_weights_that_are_all_zero(at: Set) -> None:
    finding = only(at.read({**LABELS, "w": [0, 0, 0, 0]}, SCORES, score="p", weight="w"))
    assert "is 0 in all 4 rows" in finding.sentence


def test_a_group_that_is_missing_is_left_out_and_the_rest_stays(at: Set) -> None:
    labels = {**LABELS, "sex": ["f", None, "f", "m"], "age": [1.0, 2.0, np.nan, 3.0], "site": [1, 1, 2, 2]}
    by = (("sex",), ("site",), ("site", "sex"), ("age",), ("gone",))
    found = at.read(labels, SCORES, score="p", groups=by, edges={"age": (2,)})
    assert found.rows is not None
    assert list(found.rows.groups) == ["site"]
    assert {(f.column, f.count, f.examples, f.level) for f in found.findings} == {
        ("sex", 1, ("2",), "error"), ("age", 1, ("3",), "error"), ("gone", 0, (), "error"),
    }  # fmt: skip


def test_no_columns_make_no_groups(at: Set) -> None:
    found = at.read(LABELS, SCORES, score="p", groups=((), ("y",)))
    assert found.rows is not None
    assert list(found.rows.groups) == ["y"]
    assert only(found).level == "error"


def test_names_that_sql_would_stumble_over(at: Set) -> None:
    id_, label, decided = 'my "id"', "y'", "c; --"
    labels = {id_: ["a\0b", "it's", '"', ""], label: ["", "x\0y", "'", ""]}
    found = at.read(labels, {**labels, decided: labels[label]}, id=id_, label=label, decided=decided)
    assert found.findings == ()
    assert found.rows is not None
    assert found.rows.classes == ("", "'", "x\0y")
    assert [found.rows.id_of(row) for row in range(4)] == labels[id_]


def test_a_column_with_too_many_values_makes_no_groups(at: Set) -> None:
    count = 1_001
    labels = {"id": range(count), "y": [0, 1] * 500 + [1], "name": [f"n{n}" for n in range(count)]}
    labels |= {"number": [n + 0.5 for n in range(count)]}
    scores = {"id": range(count), "p": [0.5] * count}
    found = at.read(labels, scores, score="p", groups=(("name",), ("number",)))
    assert found.rows is not None
    assert found.rows.groups == {}
    assert [finding.column for finding in found.findings] == ["name", "number"]
    assert "`edges`" in found.findings[1].fix


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (["yes", "no", "yes", "no"], "holds decided classes (text)"),
        ([True, False, True, False], "holds decided classes (true and false)"),
        ([1, 0, 1, 0], "holds decided classes (whole numbers, 0 and 1)"),
        (["0.1", "0.2", "0.3", "0.4"], "is text, where numbers are expected (predictions.score), although"),
        (["0.1", "0.2", "n/a", "0.4"], "is text, where numbers are expected (predictions.score): 1 of its values"),
    ],
)
def test_classes_where_scores_are_expected(at: Set, scores: Any, words: str) -> None:
    finding = only(found := at.read(LABELS, some(scores), score="p"))
    assert found.rows is None
    assert words in finding.sentence
    if "n/a" in scores:
        assert finding.examples == ("3",)


def test_scores_of_0_and_1_alone_are_worth_a_note(at: Set) -> None:
    found = at.read(LABELS, some([0.0, 1.0, 1.0, 0.0]), score="p")
    assert found.rows is not None
    assert only(found).level == "note"


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([0.1, 0.9, 0.4, 0.5], "holds scores, such as 0.1"),
        (["yes", "no", "yes", "no"], "is no, yes in 4 of 4 rows"),
        (["a", "a", "a", "maybe"], "is maybe in 1 of 4 rows, where the classes are b, a"),
        (["a", None, "b", "a"], "is missing in 1 of 4 rows"),
        ([0, 1, 1, 0], "is 0, 1 in 4 of 4 rows"),
    ],
)
def test_no_classes_where_classes_are_expected(at: Set, classes: Any, words: str) -> None:
    labels = {"id": [1, 2, 3, 4], "y": ["a", "b", "b", "a"]}
    finding = only(found := at.read(labels, {"id": [1, 2, 3, 4], "c": classes}, decided="c", positive="a"))
    assert found.rows is None
    assert words in finding.sentence
    if classes == [0, 1, 1, 0]:
        assert "It is a number, and y is text" in finding.fix


@pytest.mark.parametrize(
    "classes", [[0, 1, 1, 0], [0.0, 1.0, 1.0, 0.0], ["0", "1", "1", "0"], [False, True, True, False]]
)
@pytest.mark.parametrize(
    "labels", [[0, 1, 1, 0], [False, True, True, False], ["0", "1", "1", "0"], [0.0, 1.0, 1.0, 0.0]]
)
def test_classes_mean_the_same_whatever_type_holds_them(at: Set, labels: Any, classes: Any) -> None:
    found = at.read({"id": [1, 2, 3, 4], "y": labels}, {"id": [1, 2, 3, 4], "c": classes}, decided="c")
    if isinstance(labels[0], str) and isinstance(classes[0], bool):
        assert found.rows is None
        assert "where the classes are 0, 1" in only(found).sentence
        return
    assert found.findings == ()
    assert found.rows is not None
    assert found.rows.challenger.decided is not None
    assert found.rows.challenger.decided.tolist() == found.rows.label.tolist() == [0, 1, 1, 0]


def test_probabilities_are_checked_only_where_a_metric_needs_them(at: Set) -> None:
    assert at.read(LABELS, some([-3.0, 0.5, 7.0, 0.1]), score="p").findings == ()
    finding = only(at.read(LABELS, some([-3.0, 0.5, 7.0, 0.1]), score="p", probabilities=True))
    assert "p is outside 0 to 1 in 2 of 4 rows (-3 to 7)" in finding.sentence
    assert (finding.count, finding.examples) == (2, ("1", "3"))
    labels = {"id": [1, 2], "y": ["a", "b"]}
    scores = {"id": [2, 1], "p_a": [0.5, 0.5], "p_b": [0.5, 0.4]}
    mapping = {"a": "p_a", "b": "p_b"}
    assert at.read(labels, scores, score=mapping).findings == ()
    finding = only(at.read(labels, scores, score=mapping, probabilities=True))
    assert "the scores of 1 of 2 rows are not one together (off by up to 0.1)" in finding.sentence
    assert finding.examples == ("1",)


def test_one_class_only(at: Set) -> None:
    for label, classes in (([1, 1, 1, 1], ("0", "1")), ([0, 0, 0, 0], ("0", "1")), ([True] * 4, ("false", "true"))):
        found = at.read({"id": [1, 2, 3, 4], "y": label}, SCORES, score="p")
        finding = only(found)
        assert found.rows is not None
        assert found.rows.classes == classes
        assert finding.level == "inconclusive"
        assert "one class only" in finding.sentence
        assert finding.count == 4
    found = at.read({"id": [1, 2, 3, 4], "y": ["no"] * 4}, SCORES, score="p", positive="yes")
    assert found.rows is not None
    assert found.rows.classes == ("no", "yes")
    assert not found.rows.label.any()


@pytest.mark.parametrize(
    ("label", "asked", "words"),
    [
        (["Y", "N", "Y", "N"], {"positive": "yes"}, "is never yes (`columns.positive`): it is N or Y"),
        ([1, 2, 1, 2], {}, "none of them says that it is the positive one"),
        (["a", "b", "a", "b"], {}, "none of them says that it is the positive one"),
        ([0, 1, 2, 1], {"task": "binary"}, "has 3 values (0, 1, 2), where two are expected"),
        ([0, 1, 2, 1], {"cut_off": 0.5}, "has 3 values (0, 1, 2), where two are expected"),
        (["a", "b", "c", "a"], {}, "one column of scores does not do"),
        (["a", "b", "c", "a"], {"task": "regression"}, "y is text, where numbers are expected"),
        ([1, 2, 3, 4], {"task": "ranking"}, "which rows are ranked against each other"),
        (["a", "b", "c", "a"], {"score": {"a": "p", "b": "p"}}, "classes that no column of scores is for: c (1 rows)"),
    ],
)
def test_labels_that_do_not_fit(at: Set, label: Any, asked: Any, words: str) -> None:
    found = at.read({"id": [1, 2, 3, 4], "y": label}, SCORES, **{"score": "p", **asked})
    assert found.rows is None
    assert words in only(found).sentence
