"""The typed settings of one model: what mlgate.yaml says, closed and frozen.

The descriptions are what editors show beside each key, by way of the JSON Schema.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from mlgate import estimators
from mlgate.config.values import (
    Amount,
    Boolean,
    Character,
    EnvName,
    GitRef,
    ModelName,
    Names,
    NullWord,
    Number,
    RepoPath,
    SchemaVersion,
    Share,
    Text,
)
from mlgate.model import FailOn, Location, Mode

Scalar = str | int | float | bool


def _section(value: Any) -> Any:
    """A section whose keys are all commented out reads as nothing, and means an empty one."""
    return {} if value is None else value


def _list(value: Any) -> Any:
    return [] if value is None else value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else _list(value)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Read(_Closed):
    """How a data file is read, where it does not say so itself."""

    format: Literal["csv", "parquet", "jsonl"] | None = Field(
        default=None, description="The format, where the file's name does not tell."
    )
    delimiter: Character | None = Field(default=None, description="What separates the columns of a CSV file.")
    quote: Character | None = Field(default=None, description="What values of a CSV file are quoted with.")
    encoding: Literal["utf-8", "utf-16", "latin-1"] = Field(default="utf-8", description="Encoding of a CSV file.")
    header: Boolean = Field(default=True, description="Whether the first line of a CSV file names its columns.")
    nulls: Annotated[list[NullWord], BeforeValidator(_list)] = Field(
        default_factory=lambda: [""], description="What a CSV file writes for a missing value."
    )


class DataFile(_Closed):
    """One data file the model is trained or judged with."""

    path: RepoPath = Field(description="The file, folder or glob, or what its DVC pointer or stage tracks.")
    contract: RepoPath | None = Field(
        default=None, description="What the data must be: a Great Expectations suite, or the shorter spelling of one."
    )
    read: Annotated[Read, BeforeValidator(_section)] = Field(
        default_factory=Read, description="How the file is read, where it does not say so itself."
    )
    id: Names | None = Field(
        default=None, description="The column, or columns, that tell one row from another: to say which rows changed."
    )
    apart_from: Annotated[list[RepoPath], BeforeValidator(_one_or_more)] = Field(
        default_factory=list,
        description="Data of which no row may be in this file, such as the training data in evaluation data.",
    )
    apart_by: Names | None = Field(
        default=None, description="The columns by which rows are told apart, such as the person. Without it: by `id`."
    )
    reference: RepoPath | None = Field(
        default=None, description="Earlier data that the contract's `drift` limits are measured from."
    )


class Train(_Closed):
    """How the model is made."""

    data: RepoPath | None = Field(default=None, description="The data the model is fitted to.")
    python: Text | None = Field(
        default=None, description="The project's Python, whose `dvc` is run. Without it: the active interpreter."
    )
    verify: Literal["lock", "score", "reproduce"] = Field(
        default="lock",
        description="How results are proven: `lock` by digests, `score` by scoring again, `reproduce` by `dvc repro`.",
    )
    stages: Annotated[list[Text], BeforeValidator(_list)] = Field(
        default_factory=list, description="The stages that make the model. Without it: all that its files depend on."
    )
    tolerance: Amount = Field(
        default=Decimal("0.000001"), description="How far a number that was made again may be from the committed one."
    )
    environment: Annotated[list[EnvName], BeforeValidator(_list)] = Field(
        default_factory=list,
        description="Variables that project code may see although they look like credentials. It sees no other such.",
    )
    experiment: Text | None = Field(default=None, description="The MLflow experiment. Without it: the model's name.")
    cost_per_hour: Amount | None = Field(
        default=None, description="What an hour of the runner costs, in your currency: recorded with the duration."
    )


class Predictions(_Closed):
    """The model's predictions for the evaluation data, a DVC output."""

    path: RepoPath = Field(description="The file with the predictions.")


class Columns(_Closed):
    """What the columns of the evaluation data are."""

    id: Text | None = Field(default=None, description="The column that tells one row from another.")
    label: Text | None = Field(
        default=None, description="The column with the truth: left out of the input example that MLflow gets."
    )


class EvaluationSet(_Closed):
    """One named set of rows that champion and challenger are measured on."""

    data: RepoPath | None = Field(
        default=None, description="The rows: their digest says whether both sides saw the same."
    )
    metrics: list[RepoPath] = Field(
        min_length=1, description="Metrics files committed to git: JSON, YAML, TOML or CSV."
    )
    predictions: Predictions | None = Field(default=None, description="The model's predictions for these rows.")
    columns: Annotated[Columns, BeforeValidator(_section)] = Field(
        default_factory=Columns, description="What the columns of the evaluation data are."
    )
    score: Text | None = Field(
        default=None,
        description="Command that scores again, with `{model} {data} {predictions}`. Else: the stages after the model.",
    )


class Rule(_Closed):
    """What one metric must keep to. A boundary value passes. No limit has a default."""

    is_: Text | None = Field(
        default=None, alias="is", description="The estimator behind the metric, for example `roc_auc` or `log_loss`."
    )
    greater_is_better: Boolean | None = Field(
        default=None, description="Which way is better. Only for a metric that mlgate does not know."
    )
    threshold: Number | None = Field(
        default=None, description="The worst value allowed: a floor if greater is better, else a ceiling."
    )
    warn_threshold: Number | None = Field(
        default=None, description="Beyond this value the verdict is `warn`. Stricter than `threshold`."
    )
    max_absolute_regression: Amount | None = Field(
        default=None, description="How much worse than the champion it may be, in the metric's own units."
    )
    warn_absolute_regression: Amount | None = Field(
        default=None, description="Worse than the champion by more than this, in the metric's own units, is `warn`."
    )
    max_relative_regression: Share | None = Field(
        default=None,
        description="How much worse than the champion it may be, as a share of the champion's value: `2%` or 0.02.",
    )
    warn_relative_regression: Share | None = Field(
        default=None, description="Worse than the champion by more than this share of the champion's value is `warn`."
    )
    max_anchor_regression: Amount | None = Field(
        default=None,
        description="How much worse than `compare.anchor` it may be, in the metric's units: many small losses add up.",
    )
    min_absolute_change: Amount | None = Field(
        default=None, description="How much better than the champion it must be, in the metric's own units."
    )
    min_relative_change: Share | None = Field(
        default=None, description="How much better than the champion it must be, as a share of the champion's value."
    )

    def estimator(self, key: str) -> estimators.Estimator | None:
        """What is known of the metric that the rule with this key is about."""
        return estimators.find(self.is_ or re.sub(r"[ -]+", "_", key.rpartition(".")[2]))

    def direction(self, key: str) -> bool | None:
        """Whether greater is better: from `is:`, else the known name in the key, else `greater_is_better`.

        Never None in a loaded file: `load` asks for `greater_is_better` where nothing else says it.
        """
        known = self.estimator(key)
        return known.greater_is_better if known else self.greater_is_better

    def limits(self) -> dict[str, Decimal]:
        """The limits that are set, by their word."""
        return {word: value for word in LIMITS if (value := getattr(self, word)) is not None}


LIMITS = tuple(name for name in Rule.model_fields if name not in {"is_", "greater_is_better"})


class Policy(_Closed):
    """The verdict when something cannot be judged."""

    missing_metric: Literal["error", "fail", "inconclusive", "warn"] = Field(
        default="error", description="A metric that has a rule is not in the challenger's metrics files."
    )
    missing_champion: Literal["warn", "inconclusive", "fail", "error"] = Field(
        default="warn", description="There is no champion yet: the base has no such model."
    )
    not_comparable: Literal["inconclusive", "fail", "error", "warn"] = Field(
        default="inconclusive", description="Champion and challenger were not measured on the same rows."
    )
    no_credentials: Literal["warn", "inconclusive", "error"] = Field(
        default="warn", description="A file could not be read because the run has no credentials for it, as for forks."
    )


class Compare(_Closed):
    """The challenger against the champion."""

    champion: GitRef = Field(
        default="auto", description="`auto`: chosen by the event that started the run. Or a git branch, tag or commit."
    )
    anchor: GitRef | None = Field(
        default=None, description="A git tag or commit that `max_anchor_regression` is measured from."
    )
    rules: Annotated[dict[str, Rule], BeforeValidator(_section)] = Field(
        default_factory=dict, description="One rule per metric, by its dotted key in the metrics file."
    )
    policy: Annotated[Policy, BeforeValidator(_section)] = Field(
        default_factory=Policy, description="The verdict when something cannot be judged."
    )


class Config(_Closed):
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
    data: Annotated[list[DataFile], BeforeValidator(_list)] = Field(
        default_factory=list, description="The data files the model depends on."
    )
    train: Annotated[Train, BeforeValidator(_section)] = Field(
        default_factory=Train, description="How the model is made."
    )
    evaluate: Annotated[dict[str, EvaluationSet], BeforeValidator(_section)] = Field(
        min_length=1, description="The evaluation sets, by a name of your choice."
    )
    compare: Annotated[Compare, BeforeValidator(_section)] = Field(
        default_factory=Compare, description="The challenger against the champion."
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
        """What the judge uses, as plain values: paths repository-relative, numbers exact and in one spelling."""
        data = self.model_dump(include={"mode", "fail_on", "evaluate", "compare"}, by_alias=True, exclude_none=True)
        made = self.model_dump(include={"data": True, "train": _JUDGED_OF_TRAIN}, exclude_defaults=True)
        data |= {key: value for key, value in made.items() if value}
        for entry in data.get("data", []):
            for key in ("path", "contract", "reference"):
                if key in entry:
                    entry[key] = self.path(entry[key])
            if "apart_from" in entry:
                entry["apart_from"] = [self.path(path) for path in entry["apart_from"]]
        if "data" in data.get("train", {}):
            data["train"]["data"] = self.path(data["train"]["data"])
        for evaluation in data["evaluate"].values():
            evaluation["metrics"] = [self.path(path) for path in evaluation["metrics"]]
            if not evaluation["columns"]:
                del evaluation["columns"]
            if "data" in evaluation:
                evaluation["data"] = self.path(evaluation["data"])
            if "predictions" in evaluation:
                evaluation["predictions"]["path"] = self.path(evaluation["predictions"]["path"])
        plain: dict[str, Any] = _spelled(data)
        return plain

    def digest(self) -> str:
        """sha256 over what the judge uses: not over formatting, comments, the order of keys or spelled-out defaults."""
        text = json.dumps(self.judged(), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def public(self) -> dict[str, Scalar]:
        """What the judge uses, flat and sorted: dotted key -> value. Two versions differ where these differ."""
        return dict(sorted(_flat(self.judged())))


_JUDGED_OF_TRAIN = {"data", "verify", "stages", "tolerance"}


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
