"""The typed settings of one model: what mlgate.yaml says, closed and frozen.

The descriptions are what editors show beside each key, by way of the JSON Schema.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from mlgate.config.base import Closed, as_list, one_or_more, section
from mlgate.config.deploying import Deploy
from mlgate.config.limits import Fairness, Rule, Slices
from mlgate.config.shipping import Governance, Image, Register, Serve
from mlgate.config.values import (
    Amount,
    Boolean,
    ChampionRef,
    Character,
    Confidence,
    Count,
    Duration,
    EntryPoint,
    EnvName,
    GitRef,
    Label,
    ModelName,
    Names,
    NullWord,
    Number,
    RepoPath,
    SchemaVersion,
    ScoreColumns,
    Text,
)
from mlgate.config.watching import Monitor, Notify, Retrain
from mlgate.model import FailOn, Location, Mode

Scalar = str | int | float | bool


class Read(Closed):
    """How a data file is read, where it does not say so itself."""

    format: Literal["csv", "parquet", "jsonl"] | None = Field(
        default=None, description="The format, where the file's name does not tell."
    )
    delimiter: Character | None = Field(default=None, description="What separates the columns of a CSV file.")
    quote: Character | None = Field(default=None, description="What values of a CSV file are quoted with.")
    encoding: Literal["utf-8", "utf-16", "latin-1"] = Field(default="utf-8", description="Encoding of a CSV file.")
    header: Boolean = Field(default=True, description="Whether the first line of a CSV file names its columns.")
    nulls: Annotated[list[NullWord], BeforeValidator(as_list)] = Field(
        default_factory=lambda: [""], description="What a CSV file writes for a missing value."
    )


class DataFile(Closed):
    """One data file the model is trained or judged with."""

    path: RepoPath = Field(description="The file, folder or glob, or what its DVC pointer or stage tracks.")
    contract: RepoPath | None = Field(
        default=None, description="What the data must be: a Great Expectations suite, or the shorter spelling of one."
    )
    read: Annotated[Read, BeforeValidator(section)] = Field(
        default_factory=Read, description="How the file is read, where it does not say so itself."
    )
    id: Names | None = Field(
        default=None, description="The column, or columns, that tell one row from another: to say which rows changed."
    )
    apart_from: Annotated[list[RepoPath], BeforeValidator(one_or_more)] = Field(
        default_factory=list,
        description="Data of which no row may be in this file, such as the training data in evaluation data.",
    )
    apart_by: Names | None = Field(
        default=None, description="The columns by which rows are told apart, such as the person. Without it: by `id`."
    )
    reference: RepoPath | None = Field(
        default=None, description="Earlier data that the contract's `drift` limits are measured from."
    )


class Train(Closed):
    """How the model is made."""

    data: RepoPath | None = Field(default=None, description="The data the model is fitted to.")
    python: Text | None = Field(
        default=None, description="The project's Python, whose `dvc` is run. Without it: the active interpreter."
    )
    verify: Literal["lock", "score", "reproduce"] = Field(
        default="lock",
        description="How results are proven: `lock` by digests, `score` by scoring again, `reproduce` by `dvc repro`.",
    )
    stages: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="The stages that make the model. Without it: all that its files depend on."
    )
    tolerance: Amount = Field(
        default=Decimal("0.000001"), description="How far a number that was made again may be from the committed one."
    )
    environment: Annotated[list[EnvName], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description="Variables that project code may see although they look like credentials. It sees no other such.",
    )
    requirements: Annotated[list[RepoPath], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description="The locked dependencies, such as requirements.txt: a champion is scored again with its own.",
    )
    experiment: Text | None = Field(default=None, description="The MLflow experiment. Without it: the model's name.")
    cost_per_hour: Amount | None = Field(
        default=None, description="What an hour of the runner costs, in your currency: recorded with the duration."
    )


class Predictions(Closed):
    """The model's predictions for the evaluation data, a DVC output; rows are joined to the data by `columns.id`."""

    path: RepoPath = Field(description="The file with the predictions.")
    score: ScoreColumns | None = Field(
        default=None,
        description="The column with the score: the probability of the positive class, or the predicted value. "
        "Of several classes: one column each, `{cat: p_cat, dog: p_dog}`.",
    )
    class_: Text | None = Field(
        default=None,
        alias="class",
        description="The column with the decided class. Without it: from score and cut_off.",
    )
    cut_off: Number | None = Field(
        default=None, description="A row whose score is this or more is decided to be positive."
    )


class Columns(Closed):
    """What the columns of the evaluation data are."""

    id: Text | None = Field(default=None, description="The column that tells one row from another.")
    label: Text | None = Field(default=None, description="The column with the truth.")
    positive: Label | None = Field(default=None, description="The label that counts as positive, such as 1 or `yes`.")
    weight: Text | None = Field(default=None, description="The column with the weight of each row.")
    cluster: Text | None = Field(
        default=None, description="The column whose rows belong together, such as the person: they are no new evidence."
    )
    query: Text | None = Field(default=None, description="The column whose rows are ranked against each other.")


class Latency(Closed):
    """How the time to score is measured for `compare.costs`."""

    rows: Count = Field(default=1, description="How many rows are scored in one call.")
    calls: Count = Field(default=200, description="How many calls of each model are measured, taking turns.")
    predict: EntryPoint | None = Field(
        default=None,
        description="Python function `module:name` that takes the model's path and gives a function of a data frame. "
        "Without it the whole `score` command is timed, its start included.",
    )


class EvaluationSet(Closed):
    """One named set of rows that champion and challenger are measured on."""

    data: RepoPath | None = Field(
        default=None, description="The rows: their digest says whether both sides saw the same."
    )
    metrics: list[RepoPath] = Field(
        min_length=1, description="Metrics files committed to git: JSON, YAML, TOML or CSV."
    )
    predictions: Predictions | None = Field(default=None, description="The model's predictions for these rows.")
    columns: Annotated[Columns, BeforeValidator(section)] = Field(
        default_factory=Columns, description="What the columns of the evaluation data are."
    )
    score: Text | None = Field(
        default=None,
        description="Command that scores again, with `{model} {data} {predictions}`. Else: the stages after the model.",
    )
    labels: RepoPath | None = Field(
        default=None,
        description="A small file beside large data with the columns that `columns` names, tracked by DVC or git.",
    )
    task: Literal["binary", "multiclass", "regression", "ranking"] | None = Field(
        default=None, description="What is predicted, where the estimators and columns do not say so."
    )
    latency: Annotated[Latency, BeforeValidator(section)] = Field(
        default_factory=Latency, description="How the time to score is measured for `compare.costs`."
    )
    rules: Annotated[dict[str, Rule], BeforeValidator(section)] = Field(
        default_factory=dict,
        description="Rules for this evaluation set, instead of those of the same key for all sets.",
    )


class Policy(Closed):
    """The verdict when something cannot be judged."""

    missing_metric: Literal["error", "fail", "inconclusive", "warn"] = Field(
        default="error", description="A metric that has a rule is not in the challenger's metrics files."
    )
    missing_champion: Literal["warn", "inconclusive", "fail", "error"] = Field(
        default="warn", description="There is no champion yet: the base has no such model."
    )
    not_comparable: Literal["rescore", "inconclusive", "fail", "error", "warn"] = Field(
        default="inconclusive",
        description="Champion and challenger were not measured on the same rows. `rescore`: the champion is scored on "
        "the challenger's rows in the `run` job, and where that cannot be done it is `inconclusive`.",
    )
    unapproved: Literal["inconclusive", "fail", "error", "warn"] = Field(
        default="inconclusive",
        description="The change edits what it is judged by, and no maintainer has approved that yet.",
    )
    no_credentials: Literal["warn", "inconclusive", "error"] = Field(
        default="warn", description="A file could not be read because the run has no credentials for it, as for forks."
    )
    unattested: Literal["undecided", "decided"] = Field(
        default="undecided",
        description="Committed metrics that no stage of a dvc.lock made are a warning. `decided`: the model may "
        "still get a decision record.",
    )


class Approval(Closed):
    """What shows that a maintainer has seen that a change edits what it is judged by. An approving review does, too."""

    label: Text = Field(default="mlgate-approved", description="The label that a maintainer sets on the head commit.")


# What a model can cost; less is better of each.
COSTS = ("model_mb", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "peak_memory_mb")


class Compare(Closed):
    """The challenger against the champion."""

    champion: ChampionRef = Field(
        default="auto",
        description="`auto`: chosen by the event that started the run. Or a git branch, tag or commit, "
        "`ledger:<environment>`, `models:/<name>@<alias>`, `models:/<name>/<version>`, or `path:<folder>`.",
    )
    max_age: Duration | None = Field(
        default=None, description="A champion that is older than this, such as `90 days`, is a warning."
    )
    confidence: Confidence = Field(
        default=Decimal("0.95"), description="Of each one-sided bound. 0.95 is drawn as a two-sided interval of 90 %."
    )
    anchor: GitRef | None = Field(
        default=None, description="A git tag or commit that `max_anchor_regression` is measured from."
    )
    rules: Annotated[dict[str, Rule], BeforeValidator(section)] = Field(
        default_factory=dict, description="One rule per metric, by its dotted key in the metrics file."
    )
    costs: Annotated[dict[str, Rule], BeforeValidator(section)] = Field(
        default_factory=dict,
        description="Rules for what the model costs: `model_mb`, `latency_p50_ms`, `latency_p95_ms`, `latency_p99_ms`, "
        "`peak_memory_mb`.",
    )
    slices: Slices | None = Field(
        default=None, description="Groups of rows in which the challenger may not be proven to be worse."
    )
    fairness: Fairness | None = Field(default=None, description="How differently groups of people may be treated.")
    approval: Annotated[Approval, BeforeValidator(section)] = Field(
        default_factory=Approval, description="What shows that a maintainer has approved a change of the rules."
    )
    policy: Annotated[Policy, BeforeValidator(section)] = Field(
        default_factory=Policy, description="The verdict when something cannot be judged."
    )


class Ledger(Closed):
    """Where decisions are remembered: a branch of its own that nobody edits by hand."""

    remote: Text | None = Field(
        default=None,
        description="Address of the repository that holds the ledger, where two forges share one. Without: this one.",
    )
    branch: GitRef = Field(default="mlgate-ledger", description="The branch of the ledger.")


class Config(Closed):
    """One model's mlgate.yaml."""

    schema_version: SchemaVersion = Field(alias="schema", description="The version of this file's format.")
    extends: RepoPath | None = Field(
        default=None, description="A file to take keys from that this one does not have. It may not extend another."
    )
    model: ModelName = Field(description="The model's name in reports, statuses and evidence.")
    mode: Mode = Field(
        default="enforce", description="`enforce` fails the build, `report` only says, `off` does nothing."
    )
    fail_on: FailOn = Field(
        default="inconclusive", description="The mildest verdict that fails the build. Milder ones exit with 0."
    )
    artifact: RepoPath | None = Field(default=None, description="The model: a DVC output, either a folder or a file.")
    data: Annotated[list[DataFile], BeforeValidator(as_list)] = Field(
        default_factory=list, description="The data files the model depends on."
    )
    train: Annotated[Train, BeforeValidator(section)] = Field(
        default_factory=Train, description="How the model is made."
    )
    evaluate: Annotated[dict[str, EvaluationSet], BeforeValidator(section)] = Field(
        min_length=1, description="The evaluation sets, by a name of your choice."
    )
    compare: Annotated[Compare, BeforeValidator(section)] = Field(
        default_factory=Compare, description="The challenger against the champion."
    )
    image: Annotated[Image, BeforeValidator(section)] = Field(
        default_factory=Image, description="The image that serves the model: how it is built, proven and audited."
    )
    serve: Annotated[Serve, BeforeValidator(section)] = Field(
        default_factory=Serve, description="How the model answers requests, and what is logged of them."
    )
    register_: Annotated[Register, BeforeValidator(section)] = Field(
        default_factory=Register, alias="register", description="Where a version of the model is registered."
    )
    governance: Annotated[Governance, BeforeValidator(section)] = Field(
        default_factory=Governance, description="The papers that a model in production must show."
    )
    deploy: Annotated[Deploy, BeforeValidator(section)] = Field(
        default_factory=Deploy, description="How a model that passed comes to those who call it."
    )
    monitor: Annotated[Monitor, BeforeValidator(section)] = Field(
        default_factory=Monitor, description="What is read of production, and what is said of it."
    )
    notify: Annotated[Notify, BeforeValidator(section)] = Field(default_factory=Notify, description="Who is told what.")
    retrain: Annotated[Retrain, BeforeValidator(section)] = Field(
        default_factory=Retrain, description="When a successor is proposed, and how often at most."
    )
    ledger: Annotated[Ledger, BeforeValidator(section)] = Field(
        default_factory=Ledger, description="Where decisions are remembered."
    )

    _file: str = PrivateAttr(default="mlgate.yaml")
    _lines: dict[str, tuple[str, int]] = PrivateAttr(default_factory=dict)

    def placed(self, file: str, lines: dict[str, tuple[str, int]]) -> Config:
        """This config, told where it was read: `lines` is dotted key -> (file, line). For the loader."""
        self._file = file
        self._lines = lines
        return self

    @property
    def file(self) -> str:
        """Where it was read, repository-relative."""
        return self._file

    @property
    def folder(self) -> str:
        """Its folder, empty at the root. Every path in the file is relative to it, also those that `extends` brings."""
        return posixpath.dirname(self._file)

    def line(self, key: str) -> int | None:
        """The line of a dotted key in `file`. None for a key that is not there, or that stands in the extended file."""
        found = self._lines.get(key)
        return found[1] if found and found[0] == self._file else None

    def location(self, key: str) -> Location:
        """File, line and key to show beside a check: of the key, or of the nearest section above it that is written."""
        above = key
        while above not in self._lines and above:
            above = above[: max(above.rfind("."), above.rfind("["), 0)]
        file, line = self._lines.get(above, (self._file, None))
        return Location(file=file, line=line, key=key)

    def path(self, path: str) -> str:
        """A path of this file, repository-relative and normalised."""
        return posixpath.normpath(posixpath.join(self.folder, path))

    @property
    def interpreter(self) -> str:
        """`train.python`, repository-relative unless it is a name on PATH; empty where it is not set."""
        python = self.train.python or ""
        return self.path(python) if "/" in python else python

    def judged(self) -> dict[str, Any]:
        """What the judge uses, as plain values: paths repository-relative, numbers exact and in one spelling.

        Keys that an older mlgate did not know stand in it only where they say more than their default, so that a file
        keeps its digest.
        """
        data = self.model_dump(include={"mode", "fail_on", "evaluate", "compare"}, by_alias=True, exclude_none=True)
        included: dict[str, Any] = {
            "data": True,
            "train": _JUDGED_OF_TRAIN,
            "ledger": True,
            "image": _JUDGED_OF_IMAGE,
            "deploy": _JUDGED_OF_DEPLOY,
        }
        made = self.model_dump(include=included, exclude_defaults=True)
        data |= {key: value for key, value in made.items() if value}
        for entry in data.get("data", []):
            self._repository_relative(entry, "path", "contract", "reference", "apart_from")
        self._repository_relative(data.get("train", {}), "data", "requirements")
        self._repository_relative(data.get("image", {}).get("scan", {}), "ignore")
        for evaluation in data["evaluate"].values():
            self._repository_relative(evaluation, "metrics", "data", "labels")
            self._repository_relative(evaluation.get("predictions", {}), "path")
            _unsaid(evaluation, {"columns": {}, "rules": {}, "latency": Latency().model_dump(exclude_none=True)})
        compare = data["compare"]
        if compare["champion"].startswith("path:"):
            compare["champion"] = f"path:{self.path(compare['champion'].removeprefix('path:'))}"
        _unsaid(compare, {"confidence": Compare().confidence, "costs": {}, "approval": Approval().model_dump()})
        _unsaid(compare["policy"], {"unapproved": Policy().unapproved, "unattested": Policy().unattested})
        for groups in ("slices", "fairness"):
            _unsaid(compare.get(groups, {}), {"edges": {}})
        plain: dict[str, Any] = _spelled(data)
        return plain

    def _repository_relative(self, section: dict[str, Any], *keys: str) -> None:
        for key in keys:
            written = section.get(key)
            if isinstance(written, list):
                section[key] = [self.path(path) for path in written]
            elif written is not None:
                section[key] = self.path(written)

    def digest(self) -> str:
        """sha256 over what the judge uses: not over formatting, comments, the order of keys or spelled-out defaults."""
        text = json.dumps(self.judged(), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def public(self) -> dict[str, Scalar]:
        """What the judge uses, flat and sorted: dotted key -> value. Two versions differ where these differ."""
        return dict(sorted(_flat(self.judged())))


_JUDGED_OF_IMAGE = {"rules", "skew", "scan"}
_JUDGED_OF_ENVIRONMENT = {
    "strategy", "steps", "step", "sticky", "rules", "metrics", "confidence", "checks", "approval", "self_approval",
}  # fmt: skip
_JUDGED_OF_DEPLOY = {
    "environments": {"__all__": _JUDGED_OF_ENVIRONMENT}, "criticality": True, "trust": True, "verify": True,
}  # fmt: skip
_JUDGED_OF_TRAIN = {"data", "verify", "stages", "tolerance", "requirements"}


def _unsaid(section: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Takes out what says no more than its default."""
    for key, default in defaults.items():
        if key in section and section[key] == default:
            del section[key]


def exact(number: Decimal) -> str:
    """A decimal in its one spelling: `0.7` for 0.70, without an exponent."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _spelled(value: Any) -> Any:
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    return value


def _flat(value: Any, path: str = "") -> list[tuple[str, Scalar]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(item, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [pair for index, item in enumerate(value) for pair in _flat(item, f"{path}[{index}]")]
    return [(path, value)]
