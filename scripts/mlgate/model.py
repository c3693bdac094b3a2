"""The nouns: Verdict, Check, Evidence, Event. Plain data, no I/O.

Everything a user sees (terminal, comment, summary, annotations, JUnit, OpenMetrics, HTML, exit code) is a rendering of
`Evidence`. Its JSON form is canonical: sorted keys, no NaN, and the same inputs give the same bytes outside `source`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EVIDENCE_SCHEMA = 1


class Verdict(StrEnum):
    """Best to worst. The worst check decides."""

    PASS = "pass"  # noqa: S105 -- measured, and within every rule
    WARN = "warn"  # measured; a warn-level rule was crossed, something is unattested, or there is no champion yet
    INCONCLUSIVE = "inconclusive"  # measured, but the data cannot decide
    FAIL = "fail"  # measured, and a rule was broken
    ERROR = "error"  # could not measure

    @property
    def rank(self) -> int:
        return _ORDER.index(self)

    @property
    def exit_code(self) -> int:
        return _EXIT[self]


_ORDER = [Verdict.PASS, Verdict.WARN, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR]
_EXIT = {Verdict.PASS: 0, Verdict.WARN: 0, Verdict.INCONCLUSIVE: 3, Verdict.FAIL: 1, Verdict.ERROR: 2}

FailOn = Literal["warn", "inconclusive", "fail", "error", "never"]
Mode = Literal["enforce", "report", "off"]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them. Of nothing it is `error`: nothing measured is never a pass."""
    return max(verdicts, key=lambda v: v.rank, default=Verdict.ERROR)


def exit_code(verdict: Verdict, *, mode: Mode = "enforce", fail_on: FailOn = "inconclusive") -> int:
    """0 outside `enforce` and below `fail_on`, else the verdict's own; a `warn` that must not pass counts as a fail."""
    if mode != "enforce" or fail_on == "never" or verdict.rank < Verdict(fail_on).rank or verdict is Verdict.PASS:
        return 0
    return verdict.exit_code or 1


class _Plain(BaseModel):
    # Built on first use: no verb needs all of these.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, defer_build=True)


Number = Annotated[float, Field(allow_inf_nan=False)]
Digests = dict[str, str]  # algorithm -> hex: "sha256", or "dvc-md5" as the lock gives it


class Location(_Plain):
    """Where to look, or where to mend: `line` counts from 1, `key` is a dotted path inside the file."""

    file: str
    line: int | None = None
    key: str = ""


class Example(_Plain):
    """One row that breaks a check. `row` counts from 1, a header left out; private values are masked."""

    row: int | None = None  # None where the engine that found it cannot say
    values: dict[str, str] = Field(default_factory=dict)  # column -> value as text
    file: str = ""  # of several files


class Check(_Plain):
    """One thing that was looked at. `observed` and `champion` are numbers, or the words of what was found instead."""

    id: str  # stable, dotted: rules.auc.threshold, integrity.lock.metrics/eval.json
    title: str  # what a person calls it: "roc_auc", "metrics/eval.json matches dvc.lock"
    verdict: Verdict
    group: str = "rules"  # rules | data | proofs | integrity | judge | setup | rollout | watch: sections
    reason: str = ""  # one sentence: why this verdict, and what would change it
    fix: str = ""  # exact lines to paste, where there are any
    observed: Number | str | None = None
    champion: Number | str | None = None
    expected: str = ""  # what is allowed, in words: "at least 0.70", "up to +2 %"
    limit: Number | None = None  # the value of `observed` at which the verdict changes, where there is one
    change: Number | None = None  # observed - champion, or that over |champion| when `relative`
    relative: bool = False
    greater_is_better: bool | None = None
    interval: tuple[Number, Number] | None = None  # of `change`; of `observed` where there is no `change`
    outcome: Literal["superior", "non-inferior", "worse", "inconclusive"] | None = None  # of the interval at the limit
    method: str = ""  # how the interval was made: "DeLong", "Tango", "joint cells"
    needed: int | None = None  # rows like these that would settle it
    rows: int | None = None
    location: Location | None = None
    engine: str = ""  # what answered, where there is more than one: "duckdb 2.0.0", "great_expectations 1.24.1"
    unexpected: int | None = None  # how many of the rows break it
    examples: tuple[Example, ...] = ()  # the first of them


class Named(_Plain):
    """A file or model and its digests. `role` says what it was read as: metrics, lock, config, evaluation data, ..."""

    name: str
    digest: Digests = Field(default_factory=dict)
    role: str = ""


class Champion(_Plain):
    """What the challenger was held against. `how` says by which rule it was chosen."""

    commit: str
    ref: str = ""
    how: str = ""
    committed_at: str = ""  # ISO 8601, UTC
    commits: int | None = None  # how many lie between it and the challenger
    subject: Named | None = None


class Change(_Plain):
    """One difference between champion and challenger, read from committed files."""

    kind: Literal["parameter", "data", "code", "dependency", "stage", "rule"]
    what: str
    before: str | None = None
    after: str | None = None


class Proof(_Plain):
    """One claim about how the model came to be, and what stands behind it."""

    claim: str  # "the predictions follow from the model and the evaluation data"
    state: Literal["proven", "attested", "refuted", "not run"]  # attested: the lock says so, and nothing was run
    by: str = ""  # "scored again: 6,097 rows, largest difference 0"


class StageRun(_Plain):
    """One stage of the project's pipeline in this run."""

    name: str
    state: Literal["ran", "cached", "failed", "not run"]
    seconds: Number | None = None
    reason: str = ""


class Approval(_Plain):
    """Whether a maintainer who is not its author has approved a change as it stands at one commit."""

    by: str = ""  # who; empty where nobody has
    how: str = ""  # "an approving review", "the label mlgate-approved"
    missing: str = ""  # why not, one sentence for people

    @property
    def given(self) -> bool:
        return bool(self.by)


class Series(_Plain):
    """One line of a figure, or one row of its matrix."""

    name: str  # "champion", "challenger"; of a matrix: the true class
    x: tuple[Number, ...]
    y: tuple[Number, ...]


class Figure(_Plain):
    """What a chart shows, as numbers: few enough to be kept in evidence."""

    kind: Literal["roc", "precision-recall", "calibration", "confusion", "residuals"]
    title: str
    x: str = ""  # what the axes say
    y: str = ""
    classes: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()


class Moved(_Plain):
    """The rows of one evaluation set that the two models see differently."""

    name: str  # of the evaluation set
    by: Literal["class", "loss"]  # of two decisions only one is right; or the error differs
    rows: int  # how many were looked at
    better: int  # right in the challenger only, or with a smaller error
    worse: int
    best: tuple[str, ...] = ()  # ids of the first of them; for the report alone
    worst: tuple[str, ...] = ()


class ArmSeen(_Plain):
    """What one model did in one look at a rollout."""

    requests: int = 0
    errors: int = 0
    latency_p50_ms: Number | None = None
    latency_p95_ms: Number | None = None
    latency_p99_ms: Number | None = None


class Look(_Plain):
    """One moment of a rollout: the weight, what each arm has done since the look before, and what was decided."""

    at: str  # ISO 8601, UTC
    weight: Number  # percent of the traffic that the new model got
    step: str = ""  # "start", "5 %", "promote", "roll back"
    event: str = ""  # what happened: "checked", "held: too few requests"; empty for a look alone
    stable: ArmSeen | None = None
    canary: ArmSeen | None = None


class Bars(_Plain):
    """How a column is spread: the same bins before and now, as shares."""

    labels: tuple[str, ...]
    before: tuple[Number, ...]
    now: tuple[Number, ...]


class ColumnSeen(_Plain):
    """What one column came to in a window, beside the reference profile. None: not asked for, or not to be had."""

    name: str
    role: Literal["prediction", "score", "feature"] = "feature"
    kind: Literal["number", "category"]
    state: Literal["ok", "breached", "unknown"]
    reason: str = ""  # why it is unknown, or what moved: "mean 41.2 -> 46.8"
    rows: int = 0
    psi: Number | None = None
    floor: Number | None = None  # the PSI that chance alone stays below
    ks: Number | None = None
    p: Number | None = None  # adjusted for all columns of the run
    js: Number | None = None
    kl: Number | None = None
    wasserstein: Number | None = None
    cramers_v: Number | None = None
    nulls: tuple[Number, Number] | None = None  # shares, before and now
    unseen: Number | None = None  # share
    out_of_range: Number | None = None  # share
    slices: tuple[str, ...] = ()  # where it sits: "health = poor: PSI 0.42"
    since: str = ""  # the first day of the run of windows in which it was so
    bars: Bars | None = None


class Past(_Plain):
    """One reading over time, oldest first."""

    name: str
    limit: Number | None = None
    at: tuple[str, ...] = ()  # ends of windows, ISO 8601, UTC
    values: tuple[Number | None, ...] = ()
    states: tuple[Literal["ok", "breached", "unknown"], ...] = ()


class AlertSeen(_Plain):
    """Where one rule stands. `pending`: it holds now, and not yet in as many windows as it asks for."""

    rule: str
    severity: Literal["info", "warn", "critical"]
    state: Literal["quiet", "pending", "firing", "recovered", "unknown"]
    said: str = ""  # what crossed what: "psi.age 0.31 > 0.2"
    held: str = ""  # "2 of 3 in the last 5 windows"
    since: str = ""  # the first window of it, ISO 8601
    retrain: bool = False
    message: str = ""  # what people are to do


class Watched(_Plain):
    """What one window of production came to."""

    environment: str
    since: str  # ISO 8601, UTC
    until: str
    rows: int = 0  # of the model that is there
    counts: dict[str, int] = Field(default_factory=dict)  # what else was found: "corrupt lines" -> 3
    versions: dict[str, int] = Field(default_factory=dict)  # rows by version
    columns: tuple[ColumnSeen, ...] = ()
    alerts: tuple[AlertSeen, ...] = ()
    signs: tuple[str, ...] = ()  # what it reads as, a sentence or two each: data drift, concept drift, a code change
    history: tuple[Past, ...] = ()


class Source(_Plain):
    """Where and why this evidence was made. The only part that differs between two runs over the same commits."""

    commit: str = ""
    dirty: bool = False
    run_url: str = ""
    actor: str = ""
    event: str = ""
    trigger: str = ""
    forge: str = "none"
    pull_request: int | None = None
    at: str = ""  # ISO 8601, UTC
    reported_by_fork: bool = False


class Controls(_Plain):
    """Challengers the rules were fed that must not pass, and how many were indeed stopped."""

    passed: int
    total: int


class Tool(_Plain):
    name: str = "mlgate"
    version: str = ""


class Evidence(_Plain):
    """What one step saw about one model, and what it concluded."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    kind: str  # the verb: compare, doctor, ...
    model: str
    title: str = ""  # one plain sentence: why it passed, or what would have to change
    verdict: Verdict
    mode: Mode = "enforce"
    fail_on: FailOn = "inconclusive"
    statistics: str = ""  # "none": point estimates decided
    confidence: Number | None = None  # of each one-sided bound: 0.95 is a two-sided interval of 90 %
    unchanged: bool = False  # model, metrics and evaluation data are the champion's: nothing was compared
    subject: Named | None = None
    source: Source = Field(default_factory=Source)
    champion: Champion | None = None
    approval: Approval | None = None  # of what the change edits in its judge's inputs
    inputs: list[Named] = Field(default_factory=list)
    checks: list[Check] = Field(default_factory=list)
    changes: list[Change] = Field(default_factory=list)
    not_run: list[str] = Field(default_factory=list)  # each thing that could not be read, one sentence each
    controls: Controls | None = None
    proofs: list[Proof] = Field(default_factory=list)
    stages: list[StageRun] = Field(default_factory=list)
    figures: list[Figure] = Field(default_factory=list)
    moved: list[Moved] = Field(default_factory=list)
    timeline: list[Look] = Field(default_factory=list)  # of a rollout, oldest first; at most a few hundred
    watched: Watched | None = None  # of production
    facts: dict[str, str | Number] = Field(default_factory=dict)  # environment, duration, cost: name -> value
    links: dict[str, str] = Field(default_factory=dict)  # name -> web address: the MLflow run
    promotable: bool = True  # False for a model that must never be deployed, such as one trained on a sample
    artifacts: list[str] = Field(default_factory=list)
    tool: Tool = Field(default_factory=Tool)

    @property
    def exit_code(self) -> int:
        return exit_code(self.verdict, mode=self.mode, fail_on=self.fail_on)

    def to_json(self) -> str:
        """Canonical: sorted keys, two-space indent, UTF-8, a newline at the end."""
        data: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Evidence:
        """Raises pydantic.ValidationError for anything that is not evidence of this schema."""
        return cls.model_validate_json(text)


EventKind = Literal["pull_request", "merge_group", "push", "tag", "schedule", "manual", "terminal"]


class Event(_Plain):
    """What started this run, in words both forges share. `forges/` makes it; nothing else reads CI variables."""

    forge: Literal["github", "gitlab", "none"] = "none"
    kind: EventKind = "terminal"
    name: str = ""  # the forge's own word: pull_request_target, merge_request_event, ...
    sha: str = ""  # the commit the job was started for
    head_sha: str = ""  # the commit that carries statuses: the pull request's head, never the merge commit
    base_ref: str = ""  # target branch of a pull request or merge queue entry
    base_sha: str = ""  # its tip, where the event says so
    before: str = ""  # push: the tip before it; empty for a new branch
    ref: str = ""  # branch or tag name without refs/...
    default_branch: str = ""
    pull_request: int | None = None
    from_fork: bool = False
    forced: bool = False
    actor: str = ""
    run_url: str = ""
    commit_url: str = ""  # prefix to which a commit id is appended, or ""
    file_url: str = ""  # prefix to which "<commit>/<path>" is appended, or ""
