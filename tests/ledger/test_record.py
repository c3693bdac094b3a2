"""The decision record: when there is one, what it says, and that it cannot be changed unseen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import MlgateError
from mlgate.judge import record
from mlgate.judge.record import RULES, Facts, Statement
from mlgate.model import Champion, Check, Controls, Evidence, Named, Source, Verdict

COMMIT, BEFORE = "a" * 40, "b" * 40
FACTS = Facts(
    commit=COMMIT,
    default_branch=True,
    rules=Named(name="mlgate.yaml", digest={RULES: "c" * 64}),
    evaluation={"holdout": Named(name="data/test.csv", digest={"dvc-md5": "d" * 32})},
    source=Source(run_url="https://github.com/acme/visits/actions/runs/1"),
    tool="mlgate 0.1.0",
)
WHO = {"actor": "ada", "run_url": "https://github.com/acme/visits/actions/runs/1", "event": "push", "commit": COMMIT}


def checked(check_id: str, verdict: str = "pass", group: str = "rules") -> Check:
    reason = "" if verdict == "pass" else f"{check_id} crossed its limit."
    return Check(id=check_id, title=check_id, verdict=Verdict(verdict), group=group, reason=reason)


def evidence(**more: Any) -> Evidence:
    given = {
        "kind": "compare",
        "model": "visits",
        "verdict": Verdict.PASS,
        "statistics": "paired",
        "subject": Named(name="models/visits.joblib", digest={"dvc-md5": "e" * 32}),
        "champion": Champion(commit=BEFORE, subject=Named(name="m", digest={"dvc-md5": "f" * 32})),
        "checks": [checked("rules.auc.threshold"), checked("integrity.lock.m.json", group="integrity")],
        "controls": Controls(passed=18, total=18),
    }
    return Evidence(**{**given, **more})


def test_a_pass_is_an_in_toto_test_result() -> None:
    value = record.state(evidence(), FACTS).to_dict()
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert [(s["name"], s["digest"]) for s in value["subject"]] == [("models/visits.joblib", {"dvc-md5": "e" * 32})]
    predicate = value["predicate"]
    assert (predicate["result"], predicate["failedTests"], predicate["warnedTests"]) == ("PASSED", [], [])
    assert predicate["passedTests"] == ["integrity.lock.m.json", "rules.auc.threshold"]
    assert predicate["configuration"][0]["digest"] == {RULES: "c" * 64}
    assert predicate["configuration"][0]["annotations"] == {"commit": COMMIT}
    decided = predicate["mlgate_decision"]
    assert decided["champion"]["digest"] == {"dvc-md5": "f" * 32}
    assert decided["champion_commit"] == BEFORE
    assert decided["evaluation"]["holdout"]["digest"] == {"dvc-md5": "d" * 32}
    assert decided["controls"] == "18 of 18"


def test_every_warning_is_there_by_name() -> None:
    warned = evidence(
        verdict=Verdict.WARN, checks=[checked("rules.auc.threshold", "warn"), checked("slices.x", "warn")]
    )
    made = record.state(warned, FACTS)
    assert made.predicate.result == "WARNED"
    assert made.predicate.warned == ("rules.auc.threshold", "slices.x")
    assert [(w.name, w.reason) for w in made.predicate.decision.warns] == [
        ("rules.auc.threshold", "rules.auc.threshold crossed its limit."),
        ("slices.x", "slices.x crossed its limit."),
    ]
    assert list(record.problems(made)) == []


def test_the_sha256_is_the_subject_where_the_bytes_were_there() -> None:
    made = record.state(evidence(), replace(FACTS, sha256="9" * 64))
    assert made.subject[0].digest == {"sha256": "9" * 64}
    assert made.subject[0].annotations == {"dvc-md5": "e" * 32}
    assert record.entry(made, WHO).subject == {"sha256": "9" * 64, "dvc-md5": "e" * 32}


def test_a_models_digest_is_over_its_sorted_files() -> None:
    one = record.model_digest({"b": "2" * 64, "a": "1" * 64})
    assert one == record.model_digest({"a": "1" * 64, "b": "2" * 64})
    assert one == hashlib.sha256(f"a\0{'1' * 64}\nb\0{'2' * 64}\n".encode()).hexdigest()
    assert one != record.model_digest({"a": "1" * 64, "c": "2" * 64})


NONE = [
    ({"unchanged": True}, {}, "The model is the champion, so the decision for it stands."),
    ({}, {"default_branch": False, "where": "a pull request"}, "this run judges a pull request."),
    ({"mode": "report"}, {}, "The mode is report; only enforce makes decisions."),
    ({"mode": "off"}, {}, "The mode is off"),
    ({"verdict": Verdict.INCONCLUSIVE}, {}, "The verdict is inconclusive."),
    ({"verdict": Verdict.FAIL}, {}, "The verdict is fail."),
    ({"verdict": Verdict.ERROR}, {}, "The verdict is error."),
    ({"promotable": False}, {}, "it was trained on a sample."),
    ({"subject": None}, {}, "Nothing says what the model is"),
    ({"subject": Named(name="m")}, {}, "Nothing says what the model is"),
    (
        {"checks": [checked("rules.auc"), checked("integrity.lock.metrics/eval.json", "warn", "integrity")]},
        {},
        "Nothing attests what made metrics/eval.json",
    ),
    ({"statistics": "none"}, {"predictions": ("holdout",)}, "only committed metrics were compared"),
    ({"checks": [checked("integrity.tree", group="integrity")]}, {}, "No rule was judged."),
    ({"checks": []}, {}, "No rule was judged."),
]


@pytest.mark.parametrize(("changed", "facts", "said"), NONE, ids=[each[2][:40] for each in NONE])
def test_when_there_is_none(changed: dict[str, Any], facts: dict[str, Any], said: str) -> None:
    reasons = record.against(evidence(**changed), replace(FACTS, **facts))
    assert len(reasons) == 1
    assert said in reasons[0]
    with pytest.raises(MlgateError, match="no decision is made for visits"):
        record.state(evidence(**changed), replace(FACTS, **facts))


def test_what_is_allowed() -> None:
    unattested = evidence(
        verdict=Verdict.WARN,
        checks=[checked("rules.auc"), checked("integrity.lock.m.json", "warn", "integrity")],
    )
    assert record.against(unattested, replace(FACTS, allow_unattested=True)) == ()
    # Metrics alone are all there is; and of the first model there is nothing to pair with.
    assert record.against(evidence(statistics="none"), FACTS) == ()
    first = evidence(statistics="none", champion=None)
    assert record.against(first, replace(FACTS, predictions=("holdout",))) == ()
    assert record.state(first, FACTS).predicate.decision.champion is None


@given(
    st.sampled_from(list(Verdict)),
    st.sampled_from(["enforce", "report", "off"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_nothing_but_a_measured_pass_or_warn_is_ever_decided(
    verdict: Verdict, mode: str, unchanged: bool, promotable: bool, default: bool
) -> None:
    seen = evidence(verdict=verdict, mode=mode, unchanged=unchanged, promotable=promotable)
    none = record.against(seen, replace(FACTS, default_branch=default))
    fine = verdict in (Verdict.PASS, Verdict.WARN) and mode == "enforce" and not unchanged and promotable and default
    assert (not none) == fine


def test_the_bytes_are_always_the_same_and_come_back() -> None:
    made = record.state(evidence(), FACTS)
    data = made.to_bytes()
    again = Statement.parse(json.loads(data))
    assert again == made
    assert again.to_bytes() == data
    assert made.digest == hashlib.sha256(data).hexdigest()
    later = evidence(source=Source(run_url="https://example.org/2", at="2026-10-01T00:00:00Z"))
    assert record.state(later, FACTS).digest == made.digest  # of what was seen, not of when


def test_the_ledger_has_the_whole_record() -> None:
    made = record.state(evidence(), FACTS)
    entry = record.entry(made, WHO)
    assert list(record.agrees(made, entry)) == []
    assert Statement.parse(entry.record) == made
    assert entry.evaluation == {"holdout": f"dvc-md5:{'d' * 32}"}
    assert entry.champion_commit == BEFORE
    for change, said in (
        ({"statement": "0" * 64}, "the ledger has the record 000000000000"),
        ({"model": "other"}, "for another model or commit"),
        ({"subject": {"dvc-md5": "0" * 32}}, "for another digest of the model"),
        ({"verdict": "warn"}, "the ledger says warn, the record says pass"),
        ({"rules": "sha256:0"}, "the ledger names other rules"),
    ):
        assert said in "; ".join(record.agrees(made, entry.model_copy(update=change)))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1", "_type"),
        (("subject",), [], "subject"),
        (("predicateType",), "https://example.org/x", "predicateType"),
        (("predicate", "result"), "FAILED", "predicate.result"),
        (("predicate", "failedTests"), ["rules.auc"], "predicate.failedTests"),
        (("predicate", "mlgate_decision", "verdict"), "fail", "verdict"),
        (("predicate", "mlgate_decision", "evidence"), [], "evidence"),
        (("predicate", "more"), 1, "predicate.more: Extra inputs are not permitted"),
    ],
)
def test_what_is_no_decision_record(path: tuple[str, ...], value: Any, said: str) -> None:
    changed = record.state(evidence(), FACTS).to_dict()
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(MlgateError, match=f"is no decision record: .*{said}"):
        Statement.parse(changed)


def test_a_record_that_contradicts_itself() -> None:
    made = record.state(evidence(), FACTS).to_dict()
    made["predicate"]["result"] = "WARNED"
    assert list(record.problems(Statement.parse(made))) == ["its result is WARNED and its verdict pass"]
    made["predicate"]["warnedTests"] = ["rules.auc"]
    made["predicate"]["configuration"][0]["digest"] = {"sha256": "0" * 64}
    assert len(list(record.problems(Statement.parse(made)))) == 3


def test_a_challenger_without_a_decision_is_remembered() -> None:
    failed = evidence(verdict=Verdict.FAIL)
    found = record.comparison(failed, FACTS, ("The verdict is fail.",), WHO)
    assert found is not None
    assert (found.verdict, found.reasons) == ("fail", ("The verdict is fail.",))
    assert found.evaluation == {"holdout": f"dvc-md5:{'d' * 32}"}
    assert record.comparison(evidence(subject=None), FACTS, (), WHO) is None
