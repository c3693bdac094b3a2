"""The image statement: which model is in an image. An in-toto statement, the second of the two a deployment asks for.

    statement = state(evidence, Facts(...))          # after the push, which tells the image's digest
    data = statement.to_bytes()                      # what is signed, filed, and named by digest in the ledger
    statement.predicate_bytes()                      # for `actions/attest`, which writes the rest itself

The subject is the image by digest; the predicate names the model by digest and the decision it was built on. The first
statement, the decision record, is in `judge.record`. Pure: nothing here reads or writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mlgate.errors import MlgateError
from mlgate.judge import record
from mlgate.judge.record import EVIDENCE, Descriptor, evidence_digest
from mlgate.ledger.chain import canonical
from mlgate.ledger.kinds import Image, clean
from mlgate.ledger.query import same_model
from mlgate.model import Evidence, Named, Source, Verdict

PREDICATE: Final = "https://github.com/mlgate/mlgate/attestation/model-image/v1"
FOLDER = "images"  # of .mlgate: <model>.json, and <model>.predicate.json beside it
LABELS = {  # of the image itself, as the statement has them: what an inspection of the image can be held against
    "io.mlgate.model": "model",
    "io.mlgate.decision": "decision",
    "io.mlgate.inputs": "inputs",
    "org.opencontainers.image.revision": "commit",
}
MODEL_LABEL = "io.mlgate.model-digest"
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, defer_build=True)


class Predicate(_Closed):
    """What is in the image, what it was built from, and on which decision."""

    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    artifact: Descriptor  # the model: its path, its sha256, other digests as notes
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
    decision: _Sha256  # of the decision record's bytes
    inputs: _Sha256  # over everything that the build read
    base: Descriptor | None = None  # the image it was built on
    platform: str = ""
    verdict: Literal["pass", "warn"]
    warned: tuple[str, ...] = ()  # names of the checks that warned
    evidence: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    url: str = ""  # of the run
    tool: str = ""

    @property
    def digests(self) -> dict[str, str]:
        """Every digest of the model that is named, those in notes too."""
        return {**self.artifact.annotations, **self.artifact.digest}


class Statement(_Closed):
    """in-toto's statement about one image."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: Annotated[tuple[Descriptor, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://github.com/mlgate/mlgate/attestation/model-image/v1"] = Field(
        default=PREDICATE, alias="predicateType"
    )
    predicate: Predicate

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """The bytes that are filed and signed: always the same ones for the same statement."""
        return canonical(self.to_dict())

    def predicate_bytes(self) -> bytes:
        """The predicate alone, for signers that make the statement around it themselves."""
        return canonical(self.to_dict()["predicate"])

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def name(self) -> str:
        """The repository the image was pushed to, without tag or digest."""
        return self.subject[0].name

    @property
    def image(self) -> str:
        """The image's digest as registries write it: `sha256:...`."""
        return f"sha256:{self.subject[0].digest.get('sha256', '')}"

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.image}"

    @classmethod
    def parse(cls, value: Any) -> Statement:
        """From plain JSON values. Raises MlgateError for what is no such statement."""
        try:
            return cls.model_validate(value)
        except (ValidationError, RecursionError) as error:
            said = "it is nested too deeply"
            if isinstance(error, ValidationError):
                first = error.errors(include_url=False, include_input=False)[0]
                said = f"{'.'.join(str(part) for part in first['loc']) or 'it'}: {first['msg']}"
            raise MlgateError(f"is no statement about an image: {said}.") from None


@dataclass(frozen=True)
class Facts:
    """What a statement needs to know beside the evidence of the build."""

    name: str  # the repository the image was pushed to, without tag or digest
    image: str  # the pushed image's digest, with or without `sha256:` before it
    subject: Named  # the model: its path, and its digests with `sha256` among them
    commit: str
    decision: str  # sha256 of the decision record: the digest of its statement
    inputs: str  # sha256 over everything that the build read, with or without `sha256:` before it
    base: Named | None = None
    platform: str = ""
    source: Source = field(default_factory=Source)
    tool: str = ""


def state(evidence: Evidence, facts: Facts) -> Statement:
    """The statement for one image. Raises MlgateError where the evidence lets none be made, or a digest is missing."""
    if evidence.verdict not in (Verdict.PASS, Verdict.WARN):
        raise MlgateError(
            f"no statement is made for the image of {evidence.model}: its verdict is {evidence.verdict.value}."
        )
    if not evidence.promotable:
        raise MlgateError(f"no statement is made for the image of {evidence.model}: it must not be deployed.")
    sha256 = facts.subject.digest.get("sha256", "")
    wanted = {"the model": sha256, "the image": _bare(facts.image), "the decision record": facts.decision}
    if missing := [what for what, digest in wanted.items() if not digest]:
        raise MlgateError(
            f"no statement is made for the image of {evidence.model}: {missing[0]} is not known by its sha256."
        )
    notes = {name: value for name, value in sorted(facts.subject.digest.items()) if name != "sha256"}
    warned = sorted({check.id for check in evidence.checks if check.verdict is Verdict.WARN})
    try:
        return Statement(
            subject=(Descriptor(name=facts.name, digest={"sha256": _bare(facts.image)}),),
            predicate=Predicate(
                model=evidence.model,
                artifact=Descriptor(name=facts.subject.name, digest={"sha256": sha256}, annotations=notes),
                commit=facts.commit,
                decision=_bare(facts.decision),
                inputs=_bare(facts.inputs),
                base=_base(facts.base),
                platform=facts.platform,
                verdict="warn" if evidence.verdict is Verdict.WARN else "pass",
                warned=tuple(warned),
                evidence=(Descriptor(name=evidence.kind, digest={EVIDENCE: evidence_digest(evidence)}),),
                url=facts.source.run_url,
                tool=facts.tool,
            ),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MlgateError(f"no statement is made for the image of {evidence.model}: {where}: {first['msg']}.") from None


def _base(base: Named | None) -> Descriptor | None:
    """By digest only: a base that is known by its tag alone says nothing."""
    if base is None or not base.digest:
        return None
    return Descriptor(name=base.name, digest={name: _bare(value) for name, value in sorted(base.digest.items())})


def _bare(digest: str) -> str:
    return digest.removeprefix("sha256:")


# -- in the ledger ---------------------------------------------------------------------------------------------------


def entry(statement: Statement, who: Mapping[str, Any]) -> Image:
    """The ledger's entry of an image: it holds the whole statement. `who` are the fields of `commands._ledger.who`."""
    predicate = statement.predicate
    return Image(
        **{**who, "commit": predicate.commit},
        model=predicate.model,
        subject=predicate.digests,
        name=clean(statement.name),
        image=dict(statement.subject[0].digest),
        decision=predicate.decision,
        statement=statement.digest,
        record=statement.to_dict(),
    )


# -- whether a statement holds ---------------------------------------------------------------------------------------


def problems(statement: Statement) -> Iterator[str]:
    """What contradicts itself in a statement."""
    predicate = statement.predicate
    if len(statement.subject[0].digest.get("sha256", "")) != 64:
        yield "it does not name the image by its sha256"
    if len(predicate.artifact.digest.get("sha256", "")) != 64:
        yield "it does not name the model by its sha256"
    if (predicate.verdict == "warn") != bool(predicate.warned):
        yield f"its verdict is {predicate.verdict} with {len(predicate.warned)} warnings"


def agrees(statement: Statement, found: Image) -> Iterator[str]:
    """Where the ledger's entry and the statement differ."""
    predicate = statement.predicate
    if found.statement != statement.digest:
        yield f"the ledger has the statement {found.statement[:12]}, and this is {statement.digest[:12]}"
    if dict(found.image) != dict(statement.subject[0].digest) or found.name != clean(statement.name):
        yield "the ledger has it for another image"
    if found.model != predicate.model or found.commit != predicate.commit:
        yield "the ledger has it for another model or commit"
    if dict(found.subject) != predicate.digests:
        yield "the ledger has it for another digest of the model"
    if found.decision != predicate.decision:
        yield "the ledger has it for another decision"


def joins(statement: Statement, decision: record.Statement) -> Iterator[str]:
    """Where the image's statement and the decision record it names are not about one model.

    The commits may differ: an image can be built of a later commit that has the same model.
    """
    predicate = statement.predicate
    if predicate.decision != decision.digest:
        yield f"it names the decision record {predicate.decision[:12]}, and this is {decision.digest[:12]}"
    if predicate.model != decision.predicate.decision.model:
        yield f"it is about {predicate.model}, and the decision about {decision.predicate.decision.model}"
    if not same_model(predicate.digests, record.digests(decision)):
        yield "the model in the image is not the one that the decision is about"


def labelled(statement: Statement, labels: Mapping[str, str]) -> Iterator[str]:
    """Where the labels of an image say something else than its statement. A label that is missing is one, too."""
    predicate = statement.predicate
    wanted = {label: str(getattr(predicate, name)) for label, name in LABELS.items()}
    wanted[MODEL_LABEL] = f"sha256:{predicate.artifact.digest.get('sha256', '')}"
    for label, value in sorted(wanted.items()):
        if _bare(labels.get(label, "")) != _bare(value):
            yield f"its label {label} is {labels.get(label) or 'missing'}, and the statement says {value}"
