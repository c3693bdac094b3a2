"""The smoke test against a small server: a good one passes, and each fault is found by the check made for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from answering import DIGEST, Stub
from mlgate.errors import MlgateError
from mlgate.image import protocol, smoke
from mlgate.image.malformed import Malformed
from mlgate.image.protocol import INVOCATIONS, POSITIONAL, PREDICT, AnswerError, Example
from mlgate.image.service import Answer, Service
from mlgate.model import Verdict, worst
from mlgate.serving.settings import Input

EXAMPLE = Example([{"age": 30, "income": 1200.0}, {"age": 70, "income": 300.5}])
ASKED = smoke.Asked(DIGEST, (Input("age", "integer"), Input("income", "number")))


def run(*faults: str, asked: smoke.Asked = ASKED, example: Example | None = EXAMPLE) -> smoke.Seen:
    with Stub(faults) as stub:
        return smoke.checks(Service(stub.url), example, asked)


def bad(seen: smoke.Seen) -> set[str]:
    return {check.id.removeprefix("image.smoke.") for check in seen.checks if check.verdict is not Verdict.PASS}


def test_a_good_server_passes_everything() -> None:
    seen = run()
    assert worst(check.verdict for check in seen.checks) is Verdict.PASS, bad(seen)
    assert seen.protocol is PREDICT
    words = {check.id.removeprefix("image.smoke.") for check in seen.checks}
    assert {"example", "identity", "single", "malformed.missing", "malformed.type", "debug", "metrics"} <= words
    assert {"version", "after", "lost", "address.health.ready", "malformed.utf8", "malformed.deep"} <= words


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("short", {"example", "after"}),
        ("nan", {"example", "after"}),
        ("anonymous", {"identity"}),
        ("wrong-batch", {"single"}),
        ("nameless", {"malformed.missing", "malformed.type", "malformed.nested"}),
        ("werkzeug", {"debug"}),
        ("console", {"debug"}),
        ("leak-404", {"lost"}),
        ("catch-all", {"lost"}),
        ("uncounted", {"metrics"}),
        ("other-model", {"version"}),
        ("unversioned", {"version"}),
        ("unready", {"address.health", "address.health.live", "address.health.ready"}),
        ("drifting", {"single", "after"}),
    ],
)
def test_each_fault_is_found(fault: str, found: set[str]) -> None:
    seen = run(fault)
    assert bad(seen) == found
    assert all(check.reason for check in seen.checks if check.verdict is not Verdict.PASS)


@pytest.mark.parametrize("fault", ["leak", "own-fault", "lenient"])
def test_malformed_bodies_have_to_be_refused_and_nothing_told(fault: str) -> None:
    found = bad(run(fault))
    assert {
        f"malformed.{word}" for word in ("empty", "cut", "text", "utf8", "scalar", "shape", "none", "missing")
    } <= found


def test_what_a_leak_looks_like_is_not_told_in_full() -> None:
    check = next(c for c in run("leak").checks if c.id == "image.smoke.malformed.missing")
    assert check.verdict is Verdict.FAIL
    assert "Traceback" in check.reason
    assert len(check.reason) < 300


def test_a_server_that_is_gone_fails() -> None:
    with Stub() as stub:
        service = Service(stub.url)
    seen = smoke.checks(service, EXAMPLE, ASKED)
    assert bad(seen) == {"alive"}
    assert seen.checks[-1].verdict is Verdict.FAIL


def test_without_an_example_nothing_passes() -> None:
    seen = run(example=None)
    assert [check.verdict for check in seen.checks] == [Verdict.ERROR]


def test_a_model_without_a_signature_is_a_warning() -> None:
    seen = run(asked=smoke.Asked(DIGEST))
    assert bad(seen) == {"malformed.fields"}
    assert worst(check.verdict for check in seen.checks) is Verdict.WARN


def test_a_model_whose_columns_have_no_names_is_asked_by_their_places() -> None:
    seen = run("nameless-columns")
    assert seen.protocol is POSITIONAL
    assert bad(seen) == {"malformed.fields"}


def test_another_server_is_asked_in_mlflows_way() -> None:
    seen = run("mlflow", asked=smoke.Asked(DIGEST, ASKED.inputs, own=False))
    assert seen.protocol is INVOCATIONS
    assert bad(seen) == set()


def test_a_server_that_predicts_nowhere_fails() -> None:
    assert smoke.checks(Service(""), EXAMPLE, ASKED).checks[-1].verdict is Verdict.FAIL
    seen = smoke.Seen()
    with Stub({"mlflow"}) as stub:
        stub.faults = {"mlflow"}
        stub.invocations = lambda to, body: stub.get(to)  # type: ignore[method-assign]
        seen = smoke.checks(Service(stub.url), EXAMPLE, ASKED)
    assert bad(seen) == {"example"}


@pytest.mark.parametrize(("own", "verdict"), [(True, Verdict.FAIL), (False, Verdict.WARN)])
def test_only_mlgates_own_server_has_to_say_which_model_it_is(own: bool, verdict: Verdict) -> None:
    asked = smoke.Asked(DIGEST, own=own)
    assert smoke.version(Answer(200, b"3.17.2"), asked).verdict is verdict
    assert smoke.version(Answer(404, b""), asked).verdict is verdict
    other = Answer(200, json.dumps({"digest": "sha256:" + "cd" * 32}).encode())
    assert smoke.version(other, asked).verdict is Verdict.FAIL


def test_a_version_of_another_commit_fails() -> None:
    answer = Answer(200, json.dumps({"digest": f"sha256:{DIGEST}", "commit": "a" * 40}).encode())
    assert smoke.version(answer, smoke.Asked(DIGEST, commit="b" * 40)).verdict is Verdict.FAIL
    assert smoke.version(answer, smoke.Asked(DIGEST, commit="a" * 40)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("status", "body", "hostile", "own", "verdict"),
    [
        (400, b"{}", False, True, Verdict.PASS),
        (422, b"{}", True, False, Verdict.PASS),
        (200, b"{}", True, False, Verdict.FAIL),
        (302, b"", False, True, Verdict.FAIL),
        (500, b"{}", True, True, Verdict.FAIL),
        (500, b"{}", False, False, Verdict.FAIL),
        (500, b"{}", True, False, Verdict.WARN),
        (500, b"Traceback (most recent call last)", True, False, Verdict.FAIL),
        (400, b"Traceback (most recent call last)", False, False, Verdict.FAIL),
    ],
)
def test_how_a_refusal_is_judged(status: int, body: bytes, hostile: bool, own: bool, verdict: Verdict) -> None:
    sent = Malformed("deep", "lists", "/predict", b"", hostile=hostile)
    assert smoke.refused(sent, Answer(status, body), own=own).verdict is verdict


def test_a_refusal_names_the_field_however_json_writes_it() -> None:
    sent = Malformed("missing", "a row without größe", "/predict", b"", "größe")
    assert smoke.refused(sent, Answer(422, b'{"error": "gr\\u00f6\\u00dfe is missing"}')).verdict is Verdict.PASS
    assert smoke.refused(sent, Answer(422, b'{"error": "a field is missing"}')).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "body",
    [
        b"Traceback (most recent call last):",
        rb'{"message": "File \"/x/y.py\", line 3"}',
        b'{"stack_trace": "x"}',
        b"/usr/lib/python3/dist-packages/sklearn/base.py",
        b"<mlflow.pyfunc.PyFuncModel object at 0x7f00ab>",
        b"at /opt/mlgate/app/mlgate/serving/app.py",
        b"<title>KeyError // Werkzeug Debugger</title>",
    ],
)
def test_what_only_somebody_inside_should_see(body: bytes) -> None:
    assert smoke.leaked(body)


@pytest.mark.parametrize("body", [b"", b'{"detail": "row 1: age is no integer"}', b'{"error": "trace me at /predict"}'])
def test_what_anybody_may_see(body: bytes) -> None:
    assert not smoke.leaked(body)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (1, 1.0, True), (1, True, False), ("1", 1, False), (0.1 + 0.2, 0.3, True), (float("nan"), float("nan"), False),
        ([1, 2], [1, 2], True), ([1], [1, 2], False), ({"a": 1}, {"a": 1}, True), ({"a": 1}, {"b": 1}, False),
        (None, None, True), (0.5, 0.51, False),
    ],
)  # fmt: skip
def test_near(a: object, b: object, same: bool) -> None:
    assert smoke.near(a, b) is same


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"", 1), (b"no", 1), (b"{}", 1), (b"[]", None), (b'{"prediction": [1, 2]}', 1), (b'{"prediction": 1}', 2),
        (b'{"predictions": [1], "probability": [0.1, 0.2]}', 1), (b"5", 1),
    ],
)  # fmt: skip
def test_what_is_no_prediction(body: bytes, rows: int | None) -> None:
    if b"probability" in body:
        assert protocol.read(Answer(200, body), rows).probability == [[0.1, 0.2]]  # both classes of one row
        return
    with pytest.raises(AnswerError):
        protocol.read(Answer(200, body), rows)


def test_predictions_in_all_forms() -> None:
    def read(data: object, rows: int) -> object:
        return protocol.read(Answer(200, json.dumps(data).encode()), rows).prediction

    assert read({"predictions": [1, 2]}, 2) == [1, 2]
    assert read({"prediction": "yes"}, 1) == ["yes"]
    assert read([1, 2], 2) == [1, 2]
    assert read({"predictions": [{"p": 1}, {"p": 2}]}, 2) == [1, 2]
    assert protocol.numberless([1, None, float("nan"), [0.1, float("inf")], [], {}, "x"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "records", "payload"),
    [
        ('{"columns": ["a"], "data": [[1], [2]]}', [{"a": 1}, {"a": 2}], None),
        ('{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', [{"a": 1}], None),
        ('[{"a": 1}]', [{"a": 1}], None),
        ('{"inputs": [[1, 2]]}', [], {"inputs": [[1, 2]]}),
        ("[[1, 2]]", [], {"inputs": [[1, 2]]}),
        ('{"columns": [0], "data": [[1]]}', [], {"inputs": [[1]]}),
        ('{"a": 1}', [{"a": 1}], None),
    ],
)
def test_an_input_example_is_read_as_mlflow_writes_it(
    tmp_path: Path, text: str, records: list[object], payload: object
) -> None:
    (tmp_path / "input_example.json").write_text(text, "utf-8")
    found = protocol.example(tmp_path)
    assert found is not None
    assert (list(found.records), found.payload) == (records, payload)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"inputs": []}', '{"columns": ["a"], "data": []}', '{"columns": ["a"], "data": [[1, 2]]}'],
)
def test_a_broken_input_example_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "input_example.json").write_text(text, "utf-8")
    with pytest.raises(MlgateError, match=r"input_example\.json"):
        protocol.example(tmp_path)


def test_a_model_without_an_example_has_none(tmp_path: Path) -> None:
    assert protocol.example(tmp_path) is None
    assert protocol.example(tmp_path / "model.joblib") is None
