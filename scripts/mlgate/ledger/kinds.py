"""What the ledger remembers: one closed schema per kind of entry.

    entry = Promotion(**who, model="visits", environment="production", subject={"sha256": "..."}, decision="4f1c...")
    entry = parse({"kind": "promotion", ...})

An entry says what happened, to which model, by whom and in which run. Where it stands in the chain is not part of it.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from mlgate.model import Number

SCHEMA = 1
TIME = "%Y-%m-%dT%H:%M:%SZ"


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return value


@lru_cache(maxsize=4096)  # the readings of a window all have the same
def _moment(value: str) -> str:
    datetime.strptime(value, TIME)  # raises for what is no moment
    return value


Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Moment = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"), AfterValidator(_moment)
]
Algorithm = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32,128}(\.dir)?$")]
Digest = Annotated[dict[Algorithm, Hex], Field(min_length=1, max_length=8)]
Texts = Annotated[tuple[Text, ...], Field(max_length=200)]


class Entry(BaseModel):
    """What every kind has."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, defer_build=True, strict=False
    )

    schema_version: Literal[1] = Field(default=1, alias="schema")
    kind: str
    id: Id = Field(default_factory=lambda: uuid.uuid4().hex)  # by which an entry that is pushed twice is known again
    at: Moment = Field(default_factory=lambda: datetime.now(UTC).strftime(TIME))  # when it happened, UTC
    model: Name | Literal[""] = ""
    environment: Name | Literal[""] = ""
    subject: dict[Algorithm, Hex] = Field(default_factory=dict, max_length=8)  # digests of the model
    commit: Commit = ""
    actor: Text = ""  # the person or service that started the run
    run_url: Text = ""
    event: Text = ""  # pull_request | push | schedule | manual | terminal | ...
    trigger: Text = ""  # the forge's own word for it
    forge: Text = ""
    repository: Text = ""  # where it happened: several repositories may share one ledger

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without what is at its default."""
        plain = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"schema": self.schema_version, "kind": self.kind, "id": self.id, "at": self.at, **plain}


class Genesis(Entry):
    """The first entry: which ledger this is, and whose."""

    kind: Literal["genesis"] = "genesis"
    ledger: Id
    repository: Annotated[Text, StringConstraints(min_length=1)]


class Moved(Entry):
    """The repository got another address, and somebody said so."""

    kind: Literal["moved"] = "moved"
    repository: Annotated[Text, StringConstraints(min_length=1)]
    before: Text


class _OfModel(Entry):
    model: Name


class Comparison(_OfModel):
    """A challenger was judged and no decision came of it. It is kept because every look at a test set counts."""

    kind: Literal["comparison"] = "comparison"
    subject: Digest
    verdict: Literal["pass", "warn", "inconclusive", "fail", "error"]
    evaluation: dict[Name, Text] = Field(default_factory=dict, max_length=100)  # set -> "algorithm:digest" of its data
    reasons: Texts = ()  # why there is no decision


class Decision(_OfModel):
    """A model passed on the default branch, and may be deployed."""

    kind: Literal["decision"] = "decision"
    subject: Digest
    verdict: Literal["pass", "warn"]
    warns: Texts = ()
    rules: Text  # "sha256:..." of the rules that bound
    evaluation: dict[Name, Text] = Field(default_factory=dict, max_length=100)
    champion: dict[Algorithm, Hex] = Field(default_factory=dict, max_length=8)  # whom it was made against
    champion_commit: Commit = ""
    anchor: Commit = ""  # from which `max_anchor_regression` was measured
    statistics: Text = ""
    statement: Sha256  # of the in-toto statement's bytes
    record: dict[str, Any]  # the statement itself


class Image(_OfModel):
    """An image was built of a model that has a decision, proven, and pushed."""

    kind: Literal["image"] = "image"
    subject: Digest
    name: Annotated[Text, StringConstraints(min_length=1)]  # repository it was pushed to, without tag or digest
    image: Digest
    decision: Sha256  # of the decision record it was built on
    statement: Sha256  # of the in-toto statement's bytes: image digest -> model digest
    record: dict[str, Any]  # the statement itself


class Registration(_OfModel):
    """A model got a version. There is one registration of a model's digest under a name, whoever comes first."""

    kind: Literal["registration"] = "registration"
    subject: Digest
    name: Annotated[Text, StringConstraints(min_length=1)]  # in the registries
    version: Annotated[Text, StringConstraints(min_length=1)]  # v1.2.0
    registries: dict[Name, Text] = Field(default_factory=dict, max_length=8)  # mlflow -> its own number of the version
    image: dict[Algorithm, Hex] = Field(default_factory=dict, max_length=8)
    decision: Sha256


class Promotion(_OfModel):
    """A model became the one of an environment."""

    kind: Literal["promotion"] = "promotion"
    environment: Name
    subject: Digest
    version: Text = ""
    decision: Id | Literal[""] = ""
    approved_by: Texts = ()
    reason: Text = ""


class Deployment(_OfModel):
    """One step of bringing a model into an environment. Only `complete` makes it the one that is there.

    `judged`: a shadow or a drill that went well, and left the environment's model as it was.
    """

    kind: Literal["deployment"] = "deployment"
    environment: Name
    subject: Digest
    state: Literal["started", "advanced", "held", "complete", "judged", "aborted", "failed"]
    rollout: Id | Literal[""] = ""  # the same for all entries of one rollout
    strategy: Text = ""
    weight: Annotated[Number, Field(ge=0, le=100)] | None = None  # percent of the traffic
    version: Text = ""
    image: dict[Algorithm, Hex] = Field(default_factory=dict, max_length=8)
    decision: Id | Literal[""] = ""
    approved_by: Texts = ()
    reason: Text = ""


class Rollback(_OfModel):
    """An earlier model was put back. `subject` is what is there now, `instead_of` what was taken away."""

    kind: Literal["rollback"] = "rollback"
    environment: Name
    subject: Digest
    instead_of: dict[Algorithm, Hex] = Field(default_factory=dict, max_length=8)
    version: Text = ""
    image: dict[Algorithm, Hex] = Field(default_factory=dict, max_length=8)
    seconds: Annotated[Number, Field(ge=0)] | None = None  # from the decision until the other had no traffic
    approved_by: Texts = ()
    reason: Annotated[Text, StringConstraints(min_length=1)]


class Reading(_OfModel):
    """One reading of one monitor. What could not be measured has no value and is `unknown`, never `ok`.

    `rule`: whether what a rule asks for was so in that window, before its `for`.
    """

    kind: Literal["reading"] = "reading"
    monitor: Literal["data", "drift", "performance", "fairness", "slo", "cost", "business", "estimated", "rule"]
    name: Annotated[Text, StringConstraints(min_length=1)]  # psi.age, auc, latency_p95_ms
    state: Literal["ok", "breached", "unknown"]
    value: Number | None = None
    limit: Number | None = None
    rows: Annotated[int, Field(ge=0)] | None = None
    window: Text = ""  # what it was read over: "2026-11-20T00:00:00Z/2026-11-21T00:00:00Z"
    reason: Text = ""


class Alert(_OfModel):
    """What people were told about one rule, or why they were not yet. The last one of a key says where it stands."""

    kind: Literal["alert"] = "alert"
    key: Annotated[Text, StringConstraints(min_length=1)]  # of what: "drift", by which messages are the same
    state: Literal["raised", "repeated", "recovered", "held"]  # held: quiet hours
    severity: Literal["info", "warn", "critical"]
    sent: Texts = ()  # names of channels
    failed: Texts = ()  # those that could not be reached
    issue: Text = ""  # number of the forge's issue
    window: Text = ""
    reason: Text = ""


class Trigger(_OfModel):
    """A retraining was asked for: started, or held back, by which rule and after which readings; and how it ended."""

    kind: Literal["trigger"] = "trigger"
    rule: Annotated[Text, StringConstraints(min_length=1)]  # a rule's name, or: new data, schedule, manual
    outcome: Literal["started", "held back", "proposed", "unchanged", "failed"]
    started: Id | Literal[""] = ""  # how it ended: the entry that it began with
    writer: Id | Literal[""] = ""  # of two that would start one thing at once, with one id, tells who did
    group: Text = ""  # the models that are trained together
    models: Texts = ()
    values: Texts = ()  # what was measured, in words: "psi.age 0.31 > 0.2"
    report: Sha256 | Literal[""] = ""  # of the evidence that it was decided by
    url: Text = ""  # of the pull request, once there is one
    reason: Text = ""
    readings: Annotated[tuple[Id, ...], Field(max_length=200)] = ()


class Reset(_OfModel):
    """The anchor was moved, with somebody's approval."""

    kind: Literal["reset"] = "reset"
    anchor: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]  # the commit it is at now
    before: Commit = ""
    approved_by: Annotated[Texts, Field(min_length=1)]
    reason: Annotated[Text, StringConstraints(min_length=1)]


Any_ = (
    Genesis | Moved | Comparison | Decision | Image | Registration | Promotion | Deployment | Rollback
    | Reading | Alert | Trigger | Reset
)  # fmt: skip
CLASSES: dict[str, type[Entry]] = {cls.model_fields["kind"].default: cls for cls in get_args(Any_)}
FREQUENT = frozenset({"reading"})  # kinds whose segments are their own


@cache
def _adapter() -> TypeAdapter[Any_]:
    return TypeAdapter(Annotated[Any_, Field(discriminator="kind")])


def parse(value: Any) -> Entry:
    """An entry from plain JSON values. Raises pydantic.ValidationError for what is none."""
    return _adapter().validate_python(value)


def clean(text: str, limit: int = 500) -> str:
    """Text as an entry may hold it: printable, on one line, not longer than `limit`."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None
