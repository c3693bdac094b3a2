"""The decision record: what a deployment asks for. An in-toto statement about one model, and when there is none.

    reasons = against(evidence, Facts(...))          # empty: a decision is made
    statement = state(evidence, facts)
    data = statement.to_bytes()                      # what is signed, filed, and named by digest in the ledger

The subject is the model by digest; the predicate is in-toto's test-result with what mlgate adds in `mlgate_decision`.
Pure: nothing here reads or writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mlgate.errors import MlgateError
from mlgate.ledger.chain import canonical
from mlgate.ledger.kinds import Algorithm, Comparison, Decision, Hex, clean
from mlgate.model import Evidence, Named, Source, Tool, Verdict

RULES = "mlgate-rules-sha256"  # a digest of what the judge uses of mlgate.yaml, not of the file's bytes
EVIDENCE = "mlgate-evidence-sha256"  # of the evidence without its `source` and `tool`
_ATTESTED = "integrity.lock."  # the check of a metrics file against dvc.lock: it warns where none has it
_MOST = 200  # warnings by name in the ledger; the statement has all


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, defer_build=True)


class Descriptor(_Closed):
    """in-toto's ResourceDescriptor: a thing by name and digest."""

    name: str
    digest: Annotated[dict[Algorithm, Hex], Field(min_length=1)]
    annotations: dict[str, str] = Field(default_factory=dict)


class Warned(_Closed):
    """A check that warned, and why."""

    name: str
    reason: str = ""


class Decided(_Closed):
    """What mlgate adds to a test result."""

    model: str
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
    verdict: Literal["pass", "warn"]
    warns: tuple[Warned, ...] = ()
    statistics: str = ""
    champion: Descriptor | None = None  # whom it was made against; nobody: the first of its name
    champion_commit: str = ""
    anchor: str = ""  # the commit that small losses are added up from
    evaluation: dict[str, Descriptor] = Field(default_factory=dict)
    evidence: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    controls: str = ""  # "18 of 18"
    approved_by: str = ""
    tool: str = ""


class Predicate(_Closed):
    """in-toto's test-result."""

    result: Literal["PASSED", "WARNED"]
    configuration: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    url: str = ""
    passed: tuple[str, ...] = Field(default=(), alias="passedTests")
    warned: tuple[str, ...] = Field(default=(), alias="warnedTests")
    failed: Annotated[tuple[str, ...], Field(max_length=0)] = Field(default=(), alias="failedTests")
    decision: Decided = Field(alias="mlgate_decision")


class Statement(_Closed):
    """in-toto's statement about one model."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: Annotated[tuple[Descriptor, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://in-toto.io/attestation/test-result/v0.1"] = Field(
        default="https://in-toto.io/attestation/test-result/v0.1", alias="predicateType"
    )
    predicate: Predicate

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """The bytes that are filed and signed: always the same ones for the same statement."""
        return canonical(self.to_dict())

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def parse(cls, value: Any) -> Statement:
        """From plain JSON values. Raises MlgateError for what is no decision record."""
        try:
            return cls.model_validate(value)
        except (ValidationError, RecursionError) as error:
            said = "it is nested too deeply"
            if isinstance(error, ValidationError):
                first = error.errors(include_url=False, include_input=False)[0]
                said = f"{'.'.join(str(part) for part in first['loc']) or 'it'}: {first['msg']}"
            raise MlgateError(f"is no decision record: {said}.") from None


@dataclass(frozen=True)
class Facts:
    """What a decision needs to know beside the evidence."""

    commit: str
    default_branch: bool  # this run judges a commit of the default branch, as it is there
    where: str = ""  # what it judges otherwise: "a pull request", "the branch retrain"
    rules: Named = field(default_factory=lambda: Named(name="mlgate.yaml"))  # those that bound, by RULES
    rules_commit: str = ""  # from which they were read
    evaluation: Mapping[str, Named] = field(default_factory=dict)  # set -> its data
    predictions: tuple[str, ...] = ()  # sets for which mlgate.yaml names predictions
    sha256: str = ""  # of the model, where its bytes were at hand: `model_digest`
    allow_unattested: bool = False
    source: Source = field(default_factory=Source)
    tool: str = ""


def model_digest(files: Mapping[str, str]) -> str:
    """The digest of a model that is a folder: the sha256 over its sorted (path, sha256) list, paths relative to it.

    A model that is one file has the sha256 of that file.
    """
    listing = "".join(f"{path}\0{digest}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def evidence_digest(evidence: Evidence) -> str:
    """Of all that was seen and concluded, not of who ran it and when."""
    plain = evidence.model_copy(update={"source": Source(), "tool": Tool()})
    return hashlib.sha256(plain.to_json().encode()).hexdigest()


# -- when there is none ----------------------------------------------------------------------------------------------


def against(evidence: Evidence, facts: Facts) -> tuple[str, ...]:
    """Why no decision is made, one sentence each; nothing where one is."""
    return tuple(_against(evidence, facts))


def _against(evidence: Evidence, facts: Facts) -> Iterator[str]:
    if evidence.unchanged:
        yield "The model is the champion, so the decision for it stands."
    if not facts.default_branch:
        yield f"Decisions are made on the default branch only, and this run judges {facts.where or 'something else'}."
    if evidence.mode != "enforce":
        yield f"The mode is {evidence.mode}; only enforce makes decisions."
    if evidence.verdict not in (Verdict.PASS, Verdict.WARN):
        yield f"The verdict is {evidence.verdict.value}."
    if not evidence.promotable:
        yield "The model must not be deployed: it was trained on a sample."
    if evidence.subject is None or not evidence.subject.digest:
        yield "Nothing says what the model is: `artifact` is not set, or neither dvc.lock nor git knows its digest."
    if not facts.allow_unattested and (files := _unattested(evidence)):
        yield f"Nothing attests what made {', '.join(files[:3])}: no stage of dvc.lock has it as an output."
    if facts.predictions and evidence.statistics == "none" and evidence.champion is not None:
        sets = ", ".join(facts.predictions[:3])
        yield f"There are predictions ({sets}), and only committed metrics were compared: no interval was computed."
    if unread := [name for name in facts.predictions if _unread(evidence, name)]:
        yield f"The predictions or labels of {', '.join(unread[:3])} could not be read: its metrics are only said."
    if unmeasured := [check.title for check in evidence.checks if check.id.endswith(".unmeasured")]:
        yield f"{', '.join(unmeasured[:3])} could not be measured on the rows: the committed numbers are only said."
    if not evidence.unchanged and not any(check.group not in {"integrity", "judge"} for check in evidence.checks):
        yield "No rule was judged."


def _unread(evidence: Evidence, name: str) -> bool:
    """Whether the rows of the challenger itself were not at hand, in one set of several."""
    ids = {f"judge.rows.{name}.{what}" for what in ("challenger", "labels")}
    return any(check.id in ids and check.verdict is not Verdict.PASS for check in evidence.checks)


def _unattested(evidence: Evidence) -> list[str]:
    warned = (check.id for check in evidence.checks if check.verdict is Verdict.WARN)
    return [check_id.removeprefix(_ATTESTED) for check_id in warned if check_id.startswith(_ATTESTED)]


# -- when there is one -----------------------------------------------------------------------------------------------


def state(evidence: Evidence, facts: Facts) -> Statement:
    """The decision for one model. Raises MlgateError where none may be made."""
    if reasons := against(evidence, facts):
        raise MlgateError(f"no decision is made for {evidence.model}: {reasons[0]}")
    subject = evidence.subject
    assert subject is not None  # noqa: S101 -- one of the reasons above
    by = {v: [c for c in evidence.checks if c.verdict is v] for v in (Verdict.PASS, Verdict.WARN)}
    champion = evidence.champion
    decided = Decided(
        model=evidence.model,
        commit=facts.commit,
        verdict="pass" if evidence.verdict is Verdict.PASS else "warn",
        warns=tuple(Warned(name=check.id, reason=check.reason) for check in by[Verdict.WARN]),
        statistics=evidence.statistics,
        champion=_named(champion.subject) if champion and champion.subject and champion.subject.digest else None,
        champion_commit=champion.commit if champion else "",
        anchor=next((one.digest.get("git-commit", "") for one in evidence.inputs if one.role == "anchor"), ""),
        evaluation={name: _named(data) for name, data in sorted(facts.evaluation.items()) if data.digest},
        evidence=(Descriptor(name=evidence.kind, digest={EVIDENCE: evidence_digest(evidence)}),),
        controls=f"{evidence.controls.passed} of {evidence.controls.total}" if evidence.controls else "",
        approved_by=evidence.approval.by if evidence.approval else "",
        tool=facts.tool,
    )
    rules = _named(facts.rules).model_copy(update={"annotations": {"commit": facts.rules_commit or facts.commit}})
    predicate = Predicate(
        result="PASSED" if decided.verdict == "pass" else "WARNED",
        configuration=(rules,),
        url=facts.source.run_url,
        passed=tuple(sorted({check.id for check in by[Verdict.PASS]})),
        warned=tuple(sorted({check.id for check in by[Verdict.WARN]})),
        decision=decided,
    )
    return Statement(subject=(_subject(subject, facts.sha256),), predicate=predicate)


def _subject(subject: Named, sha256: str) -> Descriptor:
    """The sha256 where the model's bytes were at hand; DVC's md5 beside it as a note, else as all there is."""
    if not sha256:
        return _named(subject)
    notes = {name: value for name, value in sorted(subject.digest.items()) if name != "sha256"}
    return Descriptor(name=subject.name, digest={"sha256": sha256}, annotations=notes)


def _named(named: Named) -> Descriptor:
    return Descriptor(name=named.name, digest=dict(sorted(named.digest.items())))


# -- in the ledger ---------------------------------------------------------------------------------------------------


def entry(statement: Statement, who: Mapping[str, Any]) -> Decision:
    """The ledger's entry of a decision: it holds the whole record. `who` are the fields of `commands._ledger.who`."""
    decided = statement.predicate.decision
    return Decision(
        **{**who, "commit": decided.commit},
        model=decided.model,
        subject=digests(statement),
        verdict=decided.verdict,
        warns=tuple(clean(warned.name) for warned in decided.warns[:_MOST]),
        rules=f"{RULES}:{statement.predicate.configuration[0].digest[RULES]}",
        evaluation={name: f"{alg}:{hex_}" for name, one in decided.evaluation.items() for alg, hex_ in _one(one)},
        champion=dict(decided.champion.digest) if decided.champion else {},
        champion_commit=decided.champion_commit,
        anchor=decided.anchor,
        statistics=decided.statistics,
        statement=statement.digest,
        record=statement.to_dict(),
    )


def comparison(evidence: Evidence, facts: Facts, reasons: tuple[str, ...], who: Mapping[str, Any]) -> Comparison | None:
    """The entry of a model that was judged without a decision; None where nothing says what the model is."""
    if evidence.subject is None or not evidence.subject.digest:
        return None
    digest = {**evidence.subject.digest, **({"sha256": facts.sha256} if facts.sha256 else {})}
    data = {name: _named(named) for name, named in facts.evaluation.items() if named.digest}
    return Comparison(
        **{**who, "commit": facts.commit},
        model=evidence.model,
        subject=digest,
        verdict=evidence.verdict.value,
        evaluation={name: f"{alg}:{hex_}" for name, one in data.items() for alg, hex_ in _one(one)},
        reasons=tuple(clean(reason) for reason in reasons),
    )


def digests(statement: Statement) -> dict[str, str]:
    """Every digest of the model that a record names, those in its notes too."""
    subject = statement.subject[0]
    return {**subject.annotations, **subject.digest}


def _one(descriptor: Descriptor) -> list[tuple[str, str]]:
    """One digest: sha256 where there is one."""
    return sorted(descriptor.digest.items(), key=lambda pair: pair[0] != "sha256")[:1]


# -- whether a record holds ------------------------------------------------------------------------------------------


def problems(statement: Statement) -> Iterator[str]:
    """What contradicts itself in a record."""
    predicate = statement.predicate
    decided = predicate.decision
    if predicate.result != {"pass": "PASSED", "warn": "WARNED"}[decided.verdict]:
        yield f"its result is {predicate.result} and its verdict {decided.verdict}"
    if sorted({warned.name for warned in decided.warns}) != sorted(predicate.warned):
        yield "it names other warnings in `warnedTests` than in `warns`"
    if (decided.verdict == "warn") != bool(decided.warns):
        yield f"its verdict is {decided.verdict} with {len(decided.warns)} warnings"
    if RULES not in predicate.configuration[0].digest:
        yield "it does not name the rules by digest"


def agrees(statement: Statement, found: Decision) -> Iterator[str]:
    """Where the ledger's entry and the record differ."""
    decided = statement.predicate.decision
    if found.statement != statement.digest:
        yield f"the ledger has the record {found.statement[:12]}, and this is {statement.digest[:12]}"
    if found.model != decided.model or found.commit != decided.commit:
        yield "the ledger has it for another model or commit"
    if dict(found.subject) != digests(statement):
        yield "the ledger has it for another digest of the model"
    if found.verdict != decided.verdict:
        yield f"the ledger says {found.verdict}, the record says {decided.verdict}"
    if found.rules != f"{RULES}:{statement.predicate.configuration[0].digest.get(RULES, '')}":
        yield "the ledger names other rules"
