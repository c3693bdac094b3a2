"""The skew test: what counts as the same prediction, which rows are sent, and that a server that differs is found."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import Stub, predicted
from mlgate.data import reading
from mlgate.data.aligned import Asked, File
from mlgate.errors import MlgateError
from mlgate.image import sampled, skew
from mlgate.image.protocol import INVOCATIONS, PREDICT, Answers
from mlgate.image.service import Service
from mlgate.image.skew import Committed, Compared, Sample
from mlgate.model import Check, Verdict, worst
from mlgate.serving.settings import Input

BINARY = ("0", "1")


def binary(score: list[Any] | None, decided: list[str] | None = None, classes: tuple[str, ...] = BINARY) -> Committed:
    count = len(score or decided or [])
    return Committed("binary", [f"p{n}" for n in range(count)], classes, decided, score)


def wrong(found: Compared) -> list[tuple[int, str]]:
    return [(one.place, one.what) for one in found.differences]


@pytest.mark.parametrize(
    ("committed", "answers", "expected"),
    [
        (binary([0.2, 0.7]), Answers([0, 1], [0.2, 0.7]), []),
        (binary([0.2, 0.7]), Answers([0, 1], [0.2, 0.7 + 2e-6]), [(1, "score")]),
        (binary([0.2, 0.7]), Answers([0, 1], [0.2, 0.7 + 9e-7]), []),
        (binary([0.2, 0.7]), Answers([0, 1], [0.2, math.nan]), [(1, "nothing")]),
        (binary([0.2, 0.7]), Answers([0, None], [0.2, 0.7]), [(1, "nothing")]),
        (binary([0.2, 0.7]), Answers([0, 1], [0.2, math.inf]), [(1, "nothing")]),
        (binary([0.2, 0.7]), Answers([0, 1], [0.2, "0.7x"]), [(1, "score")]),
        (binary([0.2], ["0"]), Answers([1], [0.2]), [(0, "class")]),
        (binary([0.2], ["0"]), Answers([0.0], [0.2]), []),
        (binary([0.2], ["0"]), Answers(["0"], [0.2]), []),
        (binary([0.2], ["0"]), Answers([False], [0.2]), []),
        (binary(None, ["yes"], ("no", "yes")), Answers(["yes"]), []),
        (binary(None, ["yes"], ("no", "yes")), Answers(["Yes!"]), [(0, "class")]),
        # Both probabilities of a row: the positive class is the one that the committed score is of.
        (binary([0.2], None), Answers([0], [[0.8, 0.2]]), []),
        (binary([0.2], None), Answers([0], [[0.2, 0.8]]), [(0, "score")]),
        (binary([0.8], None, ("yes", "no")), Answers(["no"], [[0.8, 0.2]]), []),  # sorted: no, yes
        (binary([0.2], None), Answers([0], [[0.2, 0.8]], classes=[1, 0]), []),
        (binary([0.2], None), Answers([0], [{"0": 0.8, "1": 0.2}]), []),
        # Without a probability a number that is no class is the score.
        (binary([0.2, 0.7]), Answers([0.2, 0.7]), []),
        (binary([0.2, 0.7]), Answers([0.2, 0.6]), [(1, "score")]),
        (Committed("regression", ["a"], (), None, [3.5]), Answers([3.5]), []),
        (Committed("regression", ["a"], (), None, [3.5]), Answers([3.6]), [(0, "score")]),
        (Committed("regression", ["a"], (), None, [3.5]), Answers(["x"]), [(0, "score")]),
        (Committed("regression", ["a"], (), None, [3.5]), Answers([math.nan]), [(0, "nothing")]),
        (Committed("regression", ["a"], (), None, [math.nan]), Answers([3.5]), [(0, "score")]),
        (
            Committed("multiclass", ["a"], ("ant", "bee", "cat"), ["bee"], [[0.1, 0.7, 0.2]]),
            Answers(["bee"], [[0.1, 0.7, 0.2]]), [],
        ),
        (
            Committed("multiclass", ["a"], ("ant", "bee", "cat"), ["bee"], [[0.1, 0.7, 0.2]]),
            Answers(["bee"], [[0.2, 0.7, 0.1]], classes=["cat", "bee", "ant"]), [],
        ),
        (
            Committed("multiclass", ["a"], ("ant", "bee", "cat"), ["bee"], [[0.1, 0.7, 0.2]]),
            Answers(["bee"], [[0.2, 0.7, 0.1]]), [(0, "score")],
        ),
        (
            Committed("multiclass", ["a"], ("ant", "bee", "cat"), ["bee"], [[0.1, 0.7, 0.2]]),
            Answers(["bee"], [[0.7, 0.2]]), [(0, "nothing")],
        ),
        # Ten classes are sorted as numbers.
        (
            Committed("multiclass", ["a"], tuple(map(str, range(11))), None, [[0.0] * 10 + [1.0]]),
            Answers([10], [[0.0] * 10 + [1.0]]), [],
        ),
    ],
)  # fmt: skip
def test_what_is_the_same(committed: Committed, answers: Answers, expected: list[tuple[int, str]]) -> None:
    assert wrong(skew.compare(committed, answers, 1e-6)) == expected


@given(st.floats(), st.floats(), st.floats(0, 1))
def test_nothing_but_two_close_numbers_is_within_a_tolerance(a: float, b: float, tolerance: float) -> None:
    found = skew.compare(Committed("regression", ["x"], (), None, [a]), Answers([b]), tolerance)
    assert (not found.differences) == (math.isfinite(a) and math.isfinite(b) and abs(a - b) <= tolerance)


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_rows_are_spread_evenly(count: int, many: int) -> None:
    found = skew.evenly(count, many)
    assert len(found) == min(count, many) == len(set(found))
    assert found == sorted(found)
    assert 0 <= found[0] <= found[-1] < count
    if many > 1:
        assert (found[0], found[-1]) == (0, count - 1)


# -- through a server --------------------------------------------------------------------------------------------------


def sample(count: int = 60, **more: Any) -> Sample:
    records = [{"age": 20 + n, "income": 60.0 * n} for n in range(count)]
    score = [predicted(row) for row in records]
    decided = [str(int(one >= 0.5)) for one in score]
    committed = Committed("binary", [f"person-{n}" for n in range(count)], BINARY, decided, score)
    return Sample(records, committed, count, "person", **more)


def through(*faults: str, rows: Sample | None = None, wanted: int = 60, most: int = 10_000) -> list[Check]:
    with Stub(faults) as stub:
        return skew.checks(Service(stub.url), PREDICT, rows or sample(), tolerance=1e-6, wanted=wanted, most=most)


def bad(checks: list[Check]) -> dict[str, Verdict]:
    return {c.id.removeprefix("image.skew."): c.verdict for c in checks if c.verdict is not Verdict.PASS}


def test_a_right_server_passes() -> None:
    checks = through()
    assert bad(checks) == {}
    assert {c.id for c in checks} == {"image.skew.class", "image.skew.score", "image.skew.single"}
    assert all(c.rows for c in checks)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("wrong", {"score"}),
        ("wrong-class", {"class"}),
        ("wrong-batch", {"class", "score"}),
        ("nan", {"nothing"}),
        ("short", {"rows"}),
        ("flaky", {"rows"}),
    ],
)
def test_each_fault_is_found(fault: str, found: set[str]) -> None:
    checks = through(fault, most=1 if fault == "flaky" else 50)
    assert found <= bad(checks).keys() <= found | {"single"}
    assert set(bad(checks).values()) == {Verdict.FAIL}


def test_a_server_that_answers_otherwise_alone_is_found() -> None:
    whole, alone = Compared(classes=60), Compared(classes=25)
    alone.differences = [skew.Difference(3, "class", "0", "1")]
    assert bad(list(skew.decide(sample(), whole, alone, 1e-6))) == {"single": Verdict.FAIL}


def test_ids_are_named_and_private_ones_are_not() -> None:
    first = next(c for c in through("wrong") if c.id == "image.skew.score").examples[0]
    assert first.values["person"] == "person-0"
    assert first.values["committed"] != first.values["image"]
    hidden = through("wrong", rows=sample(hidden=True))
    assert "person-0" not in str(hidden)
    assert next(c for c in hidden if c.id == "image.skew.score").examples[0].values["person"] == "(private)"
    assert len(next(c for c in hidden if c.id == "image.skew.score").examples) == 5


@pytest.mark.parametrize(
    ("rows", "wanted", "verdict"),
    [
        (0, 500, Verdict.ERROR),
        (1, 500, Verdict.INCONCLUSIVE),
        (19, 500, Verdict.INCONCLUSIVE),
        (20, 500, Verdict.PASS),
        (5, 5, Verdict.PASS),
        (4, 5, Verdict.INCONCLUSIVE),
    ],
)
def test_too_few_rows_decide_nothing(rows: int, wanted: int, verdict: Verdict) -> None:
    assert worst(c.verdict for c in through(rows=sample(rows), wanted=wanted)) is verdict


def test_without_anything_committed_nothing_passes() -> None:
    empty = dataclasses.replace(sample().committed, decided=None, score=None)
    assert bad(through(rows=dataclasses.replace(sample(), committed=empty))) == {"rows": Verdict.ERROR}


def test_answers_that_cannot_be_held_against_scores_decide_nothing() -> None:
    rows = sample()
    rows = dataclasses.replace(rows, committed=dataclasses.replace(rows.committed, decided=None))
    with Stub({"mlflow"}) as stub:  # its classes, where scores are committed
        checks = skew.checks(Service(stub.url), INVOCATIONS, rows, tolerance=1e-6, wanted=60)
    assert bad(checks) == {"rows": Verdict.INCONCLUSIVE}


def test_classes_alone_are_held_against_a_server_that_gives_no_scores() -> None:
    with Stub({"mlflow"}) as stub:
        checks = skew.checks(Service(stub.url), INVOCATIONS, sample(), tolerance=1e-6, wanted=60)
    assert bad(checks) == {}
    assert {c.id for c in checks} == {"image.skew.class", "image.skew.single"}


def test_a_server_that_is_gone_fails() -> None:
    with Stub() as stub:
        service = Service(stub.url)
    assert bad(skew.checks(service, PREDICT, sample(), tolerance=1e-6, wanted=60)) == {"rows": Verdict.FAIL}


# -- the rows of an evaluation set -------------------------------------------------------------------------------------


def files(tmp_path: Path, count: int = 300, *, labels: bool = False, damage: str = "") -> tuple[Asked, File]:
    people = [(f"{n:04}", 20 + n % 60, 10.5 * n, "00" + str(n % 7)) for n in range(count)]
    score = {id_: predicted({"age": age, "income": income}) for id_, age, income, _ in people}
    head = "id,age,income,zip,label\n"
    rows = [f"x{id_},{age},{income},{zip_},{n % 2}" for n, (id_, age, income, zip_) in enumerate(people)]
    if damage == "twice":
        rows.append(rows[0])
    (tmp_path / "test.csv").write_text(head + "\n".join(rows) + "\n", "utf-8")
    truth = tmp_path / "test.csv"
    if labels:
        truth = tmp_path / "labels.csv"
        truth.write_text("id,label\n" + "\n".join(f"x{p[0]},{n % 2}" for n, p in enumerate(people)) + "\n", "utf-8")
        shown = [rows[n] for n in reversed(range(len(rows)))]
        (tmp_path / "test.csv").write_text(head + "\n".join(shown[1:] if damage == "lost" else shown) + "\n", "utf-8")
    told = [f"x{id_},{score[id_]!r}" for id_ in sorted(score, reverse=True)]  # in another order
    if damage == "nan":
        told[0] = told[0].split(",")[0] + ",nan"
    (tmp_path / "predictions.csv").write_text("id,p\n" + "\n".join(told) + "\n", "utf-8")
    asked = Asked(
        File(truth, truth.name), {"challenger": File(tmp_path / "predictions.csv", "predictions.csv")}, id="id",
        label="label", positive=1, score="p", cut_off=0.5,
    )  # fmt: skip
    return asked, File(tmp_path / "test.csv", "test.csv")


INPUTS = (Input("age", "integer"), Input("income", "number"), Input("zip", "string"))


@pytest.mark.parametrize("labels", [False, True])
def test_rows_are_joined_by_id_and_typed_by_the_signature(tmp_path: Path, labels: bool) -> None:
    asked, data = files(tmp_path, labels=labels)
    with reading.connect() as con:
        found = sampled.read(con, asked, data, count=50, inputs=INPUTS)
    assert len(found.records) == 50
    assert found.available == 300
    assert found.committed.score is not None
    assert found.committed.decided is not None
    for record, id_, score, decided in zip(
        found.records, found.committed.ids, found.committed.score, found.committed.decided, strict=True
    ):
        n = int(id_[1:])
        assert record == {"age": 20 + n % 60, "income": 10.5 * n, "zip": "00" + str(n % 7)}
        assert score == predicted(dict(record))
        assert decided == str(int(score >= 0.5))
    everything = [predicted({"age": 20 + n % 60, "income": 10.5 * n}) for n in range(300)]
    assert {min(everything), max(everything)} <= set(found.committed.score), "both ends are in"


def test_without_a_signature_the_truth_is_not_sent(tmp_path: Path) -> None:
    asked, data = files(tmp_path)
    with reading.connect() as con:
        found = sampled.read(con, asked, data, count=3)
    assert {name for record in found.records for name in record} == {"age", "income", "zip"}


def test_a_private_id_is_known_as_such(tmp_path: Path) -> None:
    asked, data = files(tmp_path)
    with reading.connect() as con:
        assert sampled.read(con, asked, data, count=3, private={"ID"}).hidden
        assert not sampled.read(con, asked, data, count=3, private={"age"}).hidden


@pytest.mark.parametrize(
    ("labels", "damage", "inputs", "said"),
    [
        (False, "twice", INPUTS, "stand for several rows"),
        (False, "nan", INPUTS, "no number"),
        (True, "lost", INPUTS, "lacks 1 of 300 ids"),
        (False, "", (Input("height", "number"),), "has no column 'height'"),
    ],
)
def test_rows_that_cannot_be_used_are_an_error(
    tmp_path: Path, labels: bool, damage: str, inputs: tuple[Input, ...], said: str
) -> None:
    asked, data = files(tmp_path, labels=labels, damage=damage)
    with reading.connect() as con, pytest.raises(MlgateError, match=said) as raised:
        sampled.read(con, asked, data, count=300, inputs=inputs)
    assert "x0000" not in str(raised.value), "no id in a sentence"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "number", None), (math.nan, "number", None), (3.0, "integer", 3), (3.5, "integer", 3.5),
        (7, "string", "7"), (True, "string", "true"), (decimal.Decimal("1.50"), "number", 1.5),
        (decimal.Decimal(7), "integer", 7), (datetime.date(2026, 1, 2), "datetime", "2026-01-02"),
        (b"\x00\x01", "binary", "AAE="), ([1, math.nan], "any", [1, None]), ({"a": 1}, "any", {"a": 1}),
        (1, "boolean", True), (2, "boolean", 2),
    ],
)  # fmt: skip
def test_values_are_said_in_json(value: object, kind: Any, expected: object) -> None:
    assert sampled.plain(value, Input("x", kind)) == expected
    assert type(sampled.plain(value, Input("x", kind))) is type(expected)


def test_an_infinity_cannot_be_said(tmp_path: Path) -> None:
    with pytest.raises(sampled.UnsendableError):
        sampled.plain(math.inf, None)
    checks = skew.decide(sample(left=2), Compared(classes=60), Compared(), 1e-6)
    assert bad(list(checks)) == {"left": Verdict.WARN}
