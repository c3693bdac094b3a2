"""The image statement: which model is in which image, and on which decision."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statement_samples import COMMIT, MODEL, WHO, decided, evidence, facts, stated

from mlgate.errors import MlgateError
from mlgate.judge.record import EVIDENCE, evidence_digest
from mlgate.ledger import kinds
from mlgate.model import Named, Verdict
from mlgate.signing import statement
from mlgate.signing.statement import Statement


def test_it_is_an_in_toto_statement_from_the_image_to_the_model() -> None:
    told = json.loads(stated().to_bytes())
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == statement.PREDICATE
    assert told["subject"] == [{"name": "registry.test/acme/visits", "digest": {"sha256": "1" * 64}, "annotations": {}}]
    predicate = told["predicate"]
    assert predicate["artifact"]["digest"] == {"sha256": "a" * 64}
    assert predicate["artifact"]["annotations"] == {"dvc-md5": f"{'b' * 32}.dir"}
    assert predicate["commit"] == COMMIT
    assert predicate["decision"] == decided().digest
    assert predicate["inputs"] == "2" * 64
    assert predicate["base"]["digest"] == {"sha256": "3" * 64}
    assert predicate["evidence"] == [
        {"name": "build-image", "digest": {EVIDENCE: evidence_digest(evidence())}, "annotations": {}}
    ]


def test_the_same_facts_give_the_same_bytes_which_are_read_back() -> None:
    one, other = stated(), stated()
    assert one.to_bytes() == other.to_bytes()
    assert one.digest == other.digest
    assert Statement.parse(json.loads(one.to_bytes())) == one
    assert json.loads(one.predicate_bytes()) == json.loads(one.to_bytes())["predicate"]
    assert one.reference == f"registry.test/acme/visits@sha256:{'1' * 64}"


def test_a_build_that_warned_names_what_warned() -> None:
    made = statement.state(evidence(Verdict.WARN), facts())
    assert (made.predicate.verdict, made.predicate.warned) == ("warn", ("image.skew.holdout",))
    assert list(statement.problems(made)) == []


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE])
def test_no_statement_for_an_image_that_did_not_pass(verdict: Verdict) -> None:
    with pytest.raises(MlgateError, match=f"no statement is made .*its verdict is {verdict.value}"):
        statement.state(evidence(verdict), facts())


def test_no_statement_for_what_must_not_be_deployed() -> None:
    with pytest.raises(MlgateError, match="must not be deployed"):
        statement.state(evidence(promotable=False), facts())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"subject": Named(name="m", digest={"dvc-md5": "b" * 32})}, "the model is not known by its sha256"),
        ({"image": ""}, "the image is not known by its sha256"),
        ({"decision": ""}, "the decision record is not known by its sha256"),
        ({"decision": "d" * 63}, "predicate.decision|decision: String should match"),
        ({"inputs": ""}, "inputs: String should match"),
        ({"commit": "HEAD"}, "commit: String should match"),
        ({"image": "sha256:latest"}, "digest.sha256: String should match"),
    ],
)
def test_no_statement_without_the_digests_it_is_about(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(MlgateError, match=said):
        stated(**changed)


def test_what_is_no_statement_is_refused_with_the_place() -> None:
    told = stated().to_dict()
    more = {**told, "predicate": {**told["predicate"], "trusted": True}}
    other = {**told, "predicateType": "https://in-toto.io/attestation/test-result/v0.1"}
    for value, said in ((more, "predicate.trusted"), (other, "predicateType"), ([], "it: "), (decided().to_dict(), "")):
        with pytest.raises(MlgateError, match=f"is no statement about an image: .*{said}"):
            Statement.parse(value)


def test_the_ledger_entry_holds_the_statement_and_agrees_with_it() -> None:
    made = stated()
    entry = statement.entry(made, {**WHO, "commit": "e" * 40})
    again = kinds.parse(json.loads(json.dumps(entry.to_dict())))
    assert isinstance(again, kinds.Image)
    assert Statement.parse(again.record) == made
    assert (again.commit, again.image, again.decision) == (COMMIT, {"sha256": "1" * 64}, decided().digest)
    assert dict(again.subject) == dict(MODEL.digest)
    assert list(statement.agrees(made, again)) == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("image", {"sha256": "9" * 64}, "another image"),
        ("name", "registry.test/evil/visits", "another image"),
        ("model", "other", "another model or commit"),
        ("commit", "e" * 40, "another model or commit"),
        ("subject", {"sha256": "9" * 64}, "another digest of the model"),
        ("decision", "9" * 64, "another decision"),
        ("statement", "9" * 64, "the ledger has the statement 999999999999"),
    ],
)
def test_each_field_of_the_entry_is_held_against_the_statement(field: str, value: Any, said: str) -> None:
    made = stated()
    entry = statement.entry(made, WHO).model_copy(update={field: value})
    assert any(said in told for told in statement.agrees(made, entry))


def test_a_statement_that_contradicts_itself() -> None:
    told = stated().to_dict()
    cases = []
    for path, value, said in (
        (("predicate", "verdict"), "warn", "its verdict is warn with 0 warnings"),
        (("predicate", "warned"), ["image.size"], "its verdict is pass with 1 warnings"),
        (("predicate", "artifact", "digest"), {"md5": "b" * 32}, "does not name the model by its sha256"),
        (("subject", 0, "digest"), {"md5": "b" * 32}, "does not name the image by its sha256"),
    ):
        changed: Any = copy.deepcopy(told)
        part = changed
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
        cases.append((Statement.parse(changed), said))
    for made, said in cases:
        assert [each for each in statement.problems(made) if said in each]


def test_the_two_statements_join_by_the_model() -> None:
    assert list(statement.joins(stated(), decided())) == []
    later = stated(commit="e" * 40)  # the same model, at a later commit
    assert list(statement.joins(later, decided())) == []
    other = decided(Named(name="models/visits", digest={"sha256": "9" * 64}))
    assert len(list(statement.joins(stated(), other))) == 2
    assert any("is about visits" in each for each in statement.joins(stated(), decided(model="other")))


def labels() -> dict[str, str]:
    predicate = stated().predicate
    return {
        "io.mlgate.model": "visits",
        "io.mlgate.model-digest": f"sha256:{'a' * 64}",
        "io.mlgate.decision": predicate.decision,
        "io.mlgate.inputs": f"sha256:{predicate.inputs}",
        "org.opencontainers.image.revision": COMMIT,
    }


def test_labels_of_the_image_are_held_against_its_statement() -> None:
    assert list(statement.labelled(stated(), labels())) == []
    for label in labels():
        for changed in ({**labels(), label: "9" * 64}, {k: v for k, v in labels().items() if k != label}):
            assert [each for each in statement.labelled(stated(), changed) if label in each]


_SCALAR = st.none() | st.booleans() | st.integers() | st.text()
_JSON = st.recursive(_SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(value=_JSON, key=st.sampled_from(["subject", "predicate", "predicateType", "_type"]))
def test_anything_in_the_place_of_a_part_is_refused_in_one_sentence(value: Any, key: str) -> None:
    told = stated().to_dict()
    if told[key] == value:
        return
    with pytest.raises(MlgateError) as caught:
        Statement.parse({**told, key: value})
    assert "\n" not in caught.value.message
