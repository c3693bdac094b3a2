"""Words that are not keys here: what was probably meant, and what this version cannot do yet."""

from __future__ import annotations

from pydantic import BaseModel

from mlgate.config.settings import (
    Columns,
    Compare,
    Config,
    DataFile,
    EvaluationSet,
    Policy,
    Predictions,
    Read,
    Rule,
    Train,
)
from mlgate.config.vocabulary import Path, Vocabulary, Where, closest, keys

__all__ = ["CONFIG", "NOT_YET", "NOT_YET_VALUES", "SECTIONS", "Path", "closest", "keys", "pattern"]

# Where each section stands; `*` is a name of the user's, or a place in a list.
SECTIONS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Config,
    ("data", "*"): DataFile,
    ("data", "*", "read"): Read,
    ("train",): Train,
    ("evaluate", "*"): EvaluationSet,
    ("evaluate", "*", "columns"): Columns,
    ("evaluate", "*", "predictions"): Predictions,
    ("compare",): Compare,
    ("compare", "rules", "*"): Rule,
    ("compare", "policy"): Policy,
}

# Keys of the format whose work is not built yet. They are refused: a key that does nothing would look like a check.
NOT_YET: frozenset[tuple[str, ...]] = frozenset(
    {
        ("image",),
        ("deploy",),
        ("monitor",),
        ("notify",),
        ("governance",),
        ("evaluate", "*", "columns", "positive"),
        ("evaluate", "*", "columns", "cluster"),
        ("evaluate", "*", "labels"),
        ("evaluate", "*", "predictions", "score"),
        ("evaluate", "*", "predictions", "cut_off"),
        ("compare", "confidence"),
        ("compare", "costs"),
        ("compare", "slices"),
        ("compare", "fairness"),
        ("compare", "rules", "*", "threshold_by"),
        ("compare", "rules", "*", "tolerance"),
    }
)
NOT_YET_VALUES: frozenset[tuple[tuple[str, ...], str]] = frozenset(
    {(("compare", "policy", "not_comparable"), "rescore")}
)

# What other tools and habits call our words.
_MEANT: dict[type[BaseModel], dict[str, str]] = {
    Rule: {
        "min": "threshold",
        "max": "threshold",
        "minimum": "threshold",
        "maximum": "threshold",
        "limit": "threshold",
        "value": "threshold",
        "warn": "warn_threshold",
        "metric": "is",
        "estimator": "is",
        "type": "is",
        "higher_is_better": "greater_is_better",
        "lower_is_better": "greater_is_better",
        "min_improvement": "min_absolute_change",
        "max_regression": "max_absolute_regression",
        "max_drop": "max_absolute_regression",
        "tolerance": "max_absolute_regression",
    },
    Config: {
        "name": "model",
        "version": "schema",
        "evaluation": "evaluate",
        "dataset": "data",
        "model_path": "artifact",
    },
    DataFile: {
        "suite": "contract",
        "expectations": "contract",
        "schema": "contract",
        "file": "path",
        "key": "id",
        "ids": "id",
        "disjoint_from": "apart_from",
        "baseline": "reference",
    },
    Read: {
        "sep": "delimiter",
        "separator": "delimiter",
        "na_values": "nulls",
        "null_values": "nulls",
        "type": "format",
    },
    Train: {"env": "environment", "dvc_stages": "stages", "cost": "cost_per_hour"},
    Compare: {"baseline": "champion", "base": "champion", "metrics": "rules", "thresholds": "rules"},
}

# Values that other gates use for the same setting.
MEANT_VALUES: dict[tuple[str, ...], dict[str, str]] = {
    ("mode",): {
        "enabled": "enforce",
        "true": "enforce",
        "on": "enforce",
        "block": "enforce",
        "dry_run": "report",
        "dry-run": "report",
        "warn": "report",
        "advisory": "report",
        "disabled": "off",
        "false": "off",
    },
    ("fail_on",): {"failure": "fail", "errors": "error", "warning": "warn", "none": "never", "off": "never"},
}


_MISSING = {
    ("schema",): "Add `schema: 1` as the first line.",
    ("model",): "Add `model: <name>`: reports and statuses carry it.",
    ("evaluate",): "Add an evaluation set, for example `evaluate: {holdout: {metrics: [metrics/eval.json]}}`.",
    ("evaluate", "*", "metrics"): "Add `metrics: [<file>]`: a metrics file that is committed to git.",
}


def _mapping(path: Path, where: Where) -> str:
    if where == ("compare", "rules"):
        return "Write one key per metric: `auc: {threshold: 0.7}`."
    if where == ("compare", "rules", "*"):
        return "A rule names its limit: `{threshold: 0.7}`."
    if where == ("data", "*"):
        return "Write `- {path: <file>}`."
    if where == ("evaluate", "*") and path[-1] in keys(EvaluationSet):
        return f"Name the evaluation set first: `evaluate: {{holdout: {{{path[-1]}: ...}}}}`."
    return ""


def _key(path: Path, where: Where) -> str:
    word = str(path[-1])
    if where[:-1] != ("compare", "rules", "*"):
        return ""
    if word.isdigit():
        return "If `,` is meant as the decimal point, write `.` instead."
    if word.replace(".", "", 1).isdigit():
        return f"Say what it limits: `threshold: {word}`."
    return ""


CONFIG = Vocabulary(
    root=Config,
    sections=SECTIONS,
    names=frozenset({("data",), ("evaluate",), ("compare", "rules")}),
    meant_keys=_MEANT,
    meant_values=MEANT_VALUES,
    missing=_MISSING,
    mapping=_mapping,
    key=_key,
    not_yet=NOT_YET,
    not_yet_values=NOT_YET_VALUES,
)
pattern = CONFIG.pattern
