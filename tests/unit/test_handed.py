"""Evidence of the job that ran project code counts only for what the judge sees itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder import consumer
from mlgate.judge.committed import of
from mlgate.judge.handed import Contracted, Handed, checks
from mlgate.model import Check, Evidence, Named, Source, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import discover

CONTRACT = {"contracts/p.yaml": "c" * 64}


@pytest.fixture
def want(tmp_path: Path) -> Handed:
    repo = consumer(tmp_path / "repo")
    git = discover(repo.path, {})
    pipeline = Pipeline(git.at(git.head()))
    committed = {"data/train.csv": of(pipeline, "data/train.csv").digest}
    data = Contracted("data/train.csv", CONTRACT, ["age.min", "age.nulls"], committed)
    return Handed(git.head(), "mlgate.yaml", [data], verify="score", trains=True)


def validated(want: Handed) -> Evidence:
    made = [
        Check(id=f"data.data/train.csv.{name}", title=name, verdict=Verdict.PASS) for name in ("age.min", "age.nulls")
    ]
    inputs = [
        Named(name="contracts/p.yaml", digest={"sha256": "c" * 64}),
        Named(name="data/train.csv", digest=dict(want.data[0].committed["data/train.csv"]), role="data"),
    ]
    return Evidence(
        kind="validate-data", model="visits", verdict=Verdict.PASS, checks=made, inputs=inputs,
        source=Source(commit=want.commit),
    )  # fmt: skip


def trained(want: Handed) -> Evidence:
    return Evidence(
        kind="train", model="visits", verdict=Verdict.PASS, source=Source(commit=want.commit),
        checks=[Check(id="proofs.metrics", title="m", verdict=Verdict.PASS)], facts={"verify": "score"},
    )  # fmt: skip


def said(want: Handed, **evidence: Evidence | None) -> dict[str, str]:
    found = {
        "validate-data": validated(want),
        "train": trained(want),
        **{k.replace("_", "-"): v for k, v in evidence.items()},
    }
    return {c.id: c.reason for c in checks(want, found) if c.verdict is Verdict.ERROR}


def test_evidence_of_this_commit_by_the_binding_contract_counts(want: Handed) -> None:
    assert said(want) == {}
    assert [c.verdict for c in checks(want, {"validate-data": validated(want), "train": trained(want)})] == [
        Verdict.PASS,
        Verdict.PASS,
    ]


def test_a_failed_check_is_the_reports_business_not_a_sign_of_forgery(want: Handed) -> None:
    one = validated(want)
    broken = [one.checks[0].model_copy(update={"verdict": Verdict.FAIL}), one.checks[1]]
    assert said(want, validate_data=one.model_copy(update={"checks": broken, "verdict": Verdict.FAIL})) == {}


Forge = Callable[[Evidence], Evidence]


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda e: e.model_copy(update={"source": Source(commit="f" * 40)}), "it speaks of fffffff"),
        (lambda e: e.model_copy(update={"source": Source()}), "it speaks of no commit"),
        (lambda e: e.model_copy(update={"checks": []}), "it says pass, and its checks say error"),
        (
            lambda e: e.model_copy(update={"checks": e.checks[:1]}),
            "1 of 2 expectations for data/train.csv are not in it",
        ),
        (lambda e: e.model_copy(update={"inputs": e.inputs[1:]}), "contracts/p.yaml is not the version that binds"),
        (lambda e: e.model_copy(update={"inputs": e.inputs[:1]}), "it read another data/train.csv"),
        (
            lambda e: e.model_copy(
                update={"inputs": [e.inputs[0], Named(name="data/train.csv", digest={"dvc-md5": "0" * 32})]}
            ),
            "it read another data/train.csv",
        ),
        (
            lambda e: e.model_copy(
                update={"checks": [e.checks[0].model_copy(update={"verdict": Verdict.ERROR}), e.checks[1]]}
            ),
            "it says pass, and its checks say error",
        ),
    ],
)
def test_forged_data_evidence_is_an_error(want: Handed, forge: Forge, why: str) -> None:
    assert why in said(want, validate_data=forge(validated(want)))["integrity.handed.validate-data"]


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda e: e.model_copy(update={"facts": {}}), "`train.verify` asks for score, and it did nothing"),
        (lambda e: e.model_copy(update={"facts": {"verify": "lock"}}), "asks for score, and it did lock"),
        (lambda e: e.model_copy(update={"facts": {"verify": "everything"}}), "asks for score, and it did everything"),
        (lambda e: e.model_copy(update={"promotable": False}), "a model trained on a sample"),
        (lambda e: e.model_copy(update={"source": Source(commit="f" * 40)}), "it speaks of fffffff"),
    ],
)
def test_forged_training_evidence_is_an_error(want: Handed, forge: Forge, why: str) -> None:
    assert why in said(want, train=forge(trained(want)))["integrity.handed.train"]


def test_more_proof_than_asked_for_counts(want: Handed) -> None:
    assert said(want, train=trained(want).model_copy(update={"facts": {"verify": "reproduce"}})) == {}


def test_a_step_that_left_nothing_is_an_error(want: Handed) -> None:
    found = said(want, validate_data=None, train=None)
    assert set(found) == {"integrity.handed.validate-data", "integrity.handed.train"}
    assert all("there is none for this model" in reason for reason in found.values())


def test_what_nobody_asked_for_need_not_be_there(want: Handed) -> None:
    free = Handed(want.commit, want.file)
    assert list(checks(free, {})) == []


def test_a_file_that_could_not_be_read_carries_its_own_error(want: Handed) -> None:
    unread = Check(id="data.data/train.csv.read", title="data/train.csv", verdict=Verdict.ERROR)
    one = validated(want).model_copy(
        update={"checks": [unread], "verdict": Verdict.ERROR, "inputs": validated(want).inputs[:1]}
    )
    assert said(want, validate_data=one) == {}


def test_data_that_could_not_be_fetched_are_as_the_policy_says_and_no_better(want: Handed) -> None:
    def unread(verdict: Verdict) -> Evidence:
        check = Check(id="data.data/train.csv.unread", title="data/train.csv", verdict=verdict)
        inputs = validated(want).inputs[:1]
        return validated(want).model_copy(update={"checks": [check], "verdict": verdict, "inputs": inputs})

    assert said(want, validate_data=unread(Verdict.WARN)) == {}
    assert set(said(want, validate_data=unread(Verdict.PASS))) == {"integrity.handed.validate-data"}
    strict = Handed(want.commit, want.file, want.data, no_credentials=Verdict.INCONCLUSIVE)
    assert set(said(strict, validate_data=unread(Verdict.WARN))) == {"integrity.handed.validate-data"}


def test_data_that_break_their_contract_are_a_reason_to_run_nothing_on_them(want: Handed) -> None:
    one = validated(want)
    broken = [one.checks[0].model_copy(update={"verdict": Verdict.FAIL}), one.checks[1]]
    bad = one.model_copy(update={"checks": broken, "verdict": Verdict.FAIL})
    by_lock = trained(want).model_copy(update={"facts": {"verify": "lock"}})
    assert said(want, validate_data=bad, train=by_lock) == {}
    assert set(said(want, train=by_lock)) == {"integrity.handed.train"}


def test_what_could_not_be_scored_for_want_of_credentials_is_as_the_policy_says_and_no_better(want: Handed) -> None:
    def unscored(verdict: Verdict) -> Evidence:
        check = Check(id="proofs.score.holdout", title="score", verdict=verdict)
        return trained(want).model_copy(update={"checks": [check], "verdict": verdict, "facts": {"verify": "lock"}})

    assert said(want, train=unscored(Verdict.WARN)) == {}
    assert set(said(want, train=unscored(Verdict.PASS))) == {"integrity.handed.train"}
