"""Evidence of the job that ran project code counts only for what the judge sees itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder import consumer
from mlgate.errors import MlgateError
from mlgate.judge import made
from mlgate.judge.committed import of
from mlgate.judge.handed import Contracted, Handed, checks
from mlgate.model import Champion, Check, Evidence, Named, Source, Verdict
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


# -- what was prepared


def prepared(want: Handed, *names: str, champion: str = "c" * 40) -> Evidence:
    return Evidence(
        kind="prepare", model="visits", verdict=Verdict.PASS, source=Source(commit=want.commit),
        champion=Champion(commit=champion) if champion else None,
        checks=[Check(id=f"prepare.{name}", title=name, verdict=Verdict.PASS) for name in ("inputs", *names)],
    )  # fmt: skip


@pytest.fixture
def asked(want: Handed) -> Handed:
    return replace(want, prepares=True, champion="c" * 40, makes=["entry.holdout.regret.challenger", "costs"])


ALL = ("entry.holdout.regret.challenger", "costs.challenger")


def test_what_was_prepared_for_this_champion_counts(asked: Handed) -> None:
    assert said(asked, prepare=prepared(asked, *ALL)) == {}
    same = replace(asked, unchanged=True)
    assert said(same, prepare=prepared(asked, "unchanged")) == {}, "of an unchanged model nothing new is made"
    bad = validated(asked)
    checks_ = [bad.checks[0].model_copy(update={"verdict": Verdict.FAIL}), bad.checks[1]]
    bad = bad.model_copy(update={"checks": checks_, "verdict": Verdict.FAIL})
    assert said(asked, prepare=prepared(asked, "held-back"), validate_data=bad) == {}, "whose failure stays"
    first = replace(asked, champion="")
    assert said(first, prepare=prepared(asked, *ALL, champion="")) == {}


@pytest.mark.parametrize(
    ("names", "champion", "why"),
    [
        (ALL, "d" * 40, "it speaks of ddddddd as the champion, and ccccccc is the one"),
        (ALL, "", "it speaks of no commit as the champion"),
        (ALL[:1], "c" * 40, "1 of 2 things that project code is to make are not in it (costs)"),
        (("costs-of-living",), "c" * 40, "2 of 2 things"),
        (("unchanged",), "c" * 40, "it says that nothing has changed, and the commits say otherwise"),
        (("held-back",), "c" * 40, "no project code was run because of the data, and nothing is wrong with them"),
    ],
)
def test_what_was_prepared_for_another_or_in_part_counts_as_not_done(
    names: tuple[str, ...], champion: str, why: str, asked: Handed
) -> None:
    found = said(asked, prepare=prepared(asked, *names, champion=champion))
    assert why in found["integrity.handed.prepare"]


def test_what_was_never_prepared_is_missed_only_where_it_is_needed(want: Handed, asked: Handed) -> None:
    assert said(want) == {}
    assert "there is none for this model" in said(asked)["integrity.handed.prepare"]


def test_a_made_file_is_read_by_the_digest_that_was_told(tmp_path: Path) -> None:
    name = made.values("visits", "hold.out", "eval/regret", "champion")
    assert name == "made/visits/hold%2Eout.eval%2Fregret.champion.parquet"
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows")
    digest = {"sha256": hashlib.sha256(b"rows").hexdigest()}
    told = Evidence(
        kind="prepare", model="visits", verdict=Verdict.PASS,
        inputs=[
            Named(name=name, digest=digest, role="values"),
            Named(name="made/visits/h.champion.csv", digest=digest, role=made.role_rescored("h", "champion")),
        ],
    )  # fmt: skip
    assert made.find(told, tmp_path, name) == file
    assert made.find(told, tmp_path, made.costs("visits")) is None, "nobody told of it"
    assert made.find(None, tmp_path, name) is None
    assert [one and one.name for one in (made.rescored_of(told, "h", side) for side in ("champion", "anchor"))] == [
        "made/visits/h.champion.csv",
        None,
    ]
    with pytest.raises(MlgateError, match="is not there"):
        made.find(told, tmp_path, "made/visits/h.champion.csv")
    file.write_bytes(b"other")
    with pytest.raises(MlgateError, match="does not have the digest"):
        made.find(told, tmp_path, name)
    file.unlink()
    file.symlink_to(tmp_path)
    with pytest.raises(MlgateError, match="link"):
        made.find(told, tmp_path, name)
