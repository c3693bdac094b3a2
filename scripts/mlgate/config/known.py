"""Words that are not keys here: what was probably meant, and what this version cannot do yet."""

from __future__ import annotations

from pydantic import BaseModel

from mlgate.config.deploying import (
    Batch,
    Checks,
    Commands,
    Deploy,
    Environment,
    Expected,
    LoadTest,
    Metric,
    Pace,
    Replayed,
    Target,
    Verify,
)
from mlgate.config.limits import Fairness, Rule, Slices
from mlgate.config.settings import (
    Approval,
    Columns,
    Compare,
    Config,
    DataFile,
    EvaluationSet,
    Latency,
    Ledger,
    Policy,
    Predictions,
    Read,
    Train,
)
from mlgate.config.shipping import (
    Explain,
    Governance,
    Image,
    Limit,
    Load,
    Log,
    Register,
    Replay,
    Scan,
    Serve,
    Skew,
    Sla,
)
from mlgate.config.vocabulary import Path, Vocabulary, Where, closest, keys
from mlgate.config.watching import (
    AlarmRule,
    Channel,
    Dispatch,
    Drift,
    Fields,
    Limits,
    Logs,
    Monitor,
    Notify,
    Performance,
    Quality,
    Quiet,
    Retrain,
    Truth,
)

__all__ = ["CONFIG", "SECTIONS", "Path", "closest", "keys", "pattern"]

# Where each section stands; `*` is a name of the user's, or a place in a list.
SECTIONS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Config,
    ("data", "*"): DataFile,
    ("data", "*", "read"): Read,
    ("train",): Train,
    ("compare",): Compare,  # first: `rules` alone belongs here
    ("evaluate", "*"): EvaluationSet,
    ("evaluate", "*", "columns"): Columns,
    ("evaluate", "*", "predictions"): Predictions,
    ("evaluate", "*", "latency"): Latency,
    ("evaluate", "*", "rules", "*"): Rule,
    ("compare", "rules", "*"): Rule,
    ("compare", "costs", "*"): Rule,
    ("compare", "slices"): Slices,
    ("compare", "slices", "rules", "*"): Rule,
    ("compare", "fairness"): Fairness,
    ("compare", "fairness", "rules", "*"): Rule,
    ("compare", "approval"): Approval,
    ("compare", "policy"): Policy,
    ("ledger",): Ledger,
    ("image",): Image,
    ("image", "skew"): Skew,
    ("image", "load"): Load,
    ("image", "rules", "*"): Limit,
    ("image", "scan"): Scan,
    ("serve",): Serve,
    ("serve", "log"): Log,
    ("serve", "replay"): Replay,
    ("register",): Register,
    ("governance",): Governance,
    ("governance", "sla"): Sla,
    ("governance", "explain"): Explain,
    ("deploy",): Deploy,
    ("deploy", "verify"): Verify,
    ("deploy", "environments", "*"): Environment,
    ("deploy", "environments", "*", "target"): Target,
    ("deploy", "environments", "*", "target", "commands"): Commands,
    ("deploy", "environments", "*", "step"): Pace,
    ("deploy", "environments", "*", "expected"): Expected,
    ("deploy", "environments", "*", "metrics", "*"): Metric,
    ("deploy", "environments", "*", "checks"): Checks,
    ("deploy", "environments", "*", "checks", "load"): LoadTest,
    ("deploy", "environments", "*", "checks", "shadow"): Replayed,
    ("deploy", "environments", "*", "batch"): Batch,
    ("monitor",): Monitor,
    ("monitor", "logs"): Logs,
    ("monitor", "logs", "fields"): Fields,
    ("monitor", "drift"): Drift,
    ("monitor", "drift", "prediction"): Limits,
    ("monitor", "drift", "columns", "*"): Limits,
    ("monitor", "data"): Quality,
    ("monitor", "truth"): Truth,
    ("monitor", "performance"): Performance,
    ("monitor", "performance", "rules", "*"): Rule,
    ("monitor", "fairness"): Fairness,
    ("monitor", "fairness", "rules", "*"): Rule,
    ("monitor", "metrics", "*"): Metric,
    ("monitor", "rules", "*"): AlarmRule,
    ("notify",): Notify,
    ("notify", "channels", "*"): Channel,
    ("notify", "quiet"): Quiet,
    ("retrain",): Retrain,
    ("retrain", "dispatch"): Dispatch,
}
_RULES = frozenset(where[:-1] for where, section in SECTIONS.items() if section is Rule)

# Classes and columns are the user's own names, too.
_OWN_NAMES: tuple[tuple[str, ...], ...] = (
    ("evaluate", "*", "predictions", "score"),
    ("image", "rules"),
    ("image", "secrets"),
    ("image", "labels"),
    ("image", "scan", "licences"),
    ("register", "tags"),
    ("governance", "tags"),
    ("deploy", "environments", "*", "target", "environment"),
    ("deploy", "environments", "*", "target", "secrets"),
    ("deploy", "environments", "*", "target", "options"),
    ("deploy", "environments", "*", "rules", "*"),
    ("monitor", "rules", "*"),
    ("notify", "channels"),
    ("notify", "routes"),
    ("compare", "slices", "edges"),
    ("compare", "fairness", "edges"),
    ("monitor", "fairness", "edges"),
    *((*rules, "*", "cost_matrix") for rules in _RULES),
    *((*rules, "*", "cost_matrix", "*") for rules in _RULES),
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
        "averaging": "average",
        "multi_class": "average",
        "alpha": "quantile",
        "top_k": "k",
        "n_bins": "bins",
        "costs": "cost_matrix",
        "function": "entry_point",
        "callable": "entry_point",
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
    Train: {
        "env": "environment",
        "dvc_stages": "stages",
        "cost": "cost_per_hour",
        "lock": "requirements",
        "dependencies": "requirements",
    },
    EvaluationSet: {"truth": "labels", "ground_truth": "labels", "problem_type": "task", "type": "task"},
    Predictions: {
        "file": "path",
        "proba": "score",
        "probability": "score",
        "probabilities": "score",
        "prediction": "score",
        "predicted": "score",
        "value": "score",
        "y_score": "score",
        "label": "class",
        "decision": "class",
        "y_pred": "class",
        "threshold": "cut_off",
        "cutoff": "cut_off",
        "decision_threshold": "cut_off",
    },
    Columns: {
        "key": "id",
        "ids": "id",
        "row_id": "id",
        "target": "label",
        "truth": "label",
        "y": "label",
        "y_true": "label",
        "pos_label": "positive",
        "positive_class": "positive",
        "sample_weight": "weight",
        "weights": "weight",
        "group": "cluster",
        "groups": "cluster",
        "qid": "query",
    },
    Latency: {"batch_size": "rows", "batch": "rows", "repeats": "calls", "iterations": "calls", "n": "calls"},
    Compare: {
        "baseline": "champion",
        "base": "champion",
        "metrics": "rules",
        "thresholds": "rules",
        "alpha": "confidence",
        "confidence_level": "confidence",
        "segments": "slices",
        "bias": "fairness",
        "latency": "costs",
        "stale_after": "max_age",
    },
    Slices: {"segments": "by", "columns": "by", "features": "by", "bins": "edges", "min_samples": "min_rows"},
    Fairness: {
        "protected": "by",
        "protected_attributes": "by",
        "sensitive_features": "by",
        "sensitive": "by",
        "columns": "by",
        "metrics": "rules",
        "bins": "edges",
        "min_samples": "min_rows",
    },
    Policy: {"not_approved": "unapproved", "different_data": "not_comparable"},
    Ledger: {"url": "remote", "repository": "remote", "name": "branch"},
    Image: {
        "repository": "name",
        "registry": "name",
        "image": "name",
        "base_image": "base",
        "from": "base",
        "file": "dockerfile",
        "apt": "packages",
        "system_packages": "packages",
        "code": "include",
        "copy": "include",
        "build_args": "secrets",
        "limits": "rules",
        "signing": "sign",
        "platforms": "platform",
    },
    Limit: {
        "min": "threshold",
        "max": "threshold",
        "limit": "threshold",
        "value": "threshold",
        "warn": "warn_threshold",
    },
    Skew: {"n": "rows", "samples": "rows", "atol": "tolerance", "max_difference": "tolerance"},
    Load: {"concurrency": "connections", "clients": "connections", "n": "requests", "calls": "requests"},
    Scan: {
        "allowlist": "trusted",
        "trust": "trusted",
        "ignore_file": "ignore",
        "pip_audit": "environment",
        "allowed_licenses": "allow_licences",
        "allow_licenses": "allow_licences",
        "deny_licenses": "deny_licences",
        "licenses": "licences",
    },
    Serve: {"timeout": "timeout_seconds", "drain": "drain_seconds", "max_body": "max_body_mb", "max_batch": "max_rows"},
    Log: {"columns": "features", "hash": "hashed", "file": "path", "output": "to", "sink": "to", "rotate": "keep"},
    Replay: {"rate": "sample", "share": "sample", "retention": "hours", "file": "path"},
    Register: {"registries": "to", "registry": "to", "model": "name", "labels": "tags"},
    Governance: {
        "model_card": "card",
        "datasheet": "data_sheet",
        "owner": "owners",
        "team": "owners",
        "slo": "sla",
        "rollback_strategy": "rollback",
        "retirement_plan": "retirement",
        "explainability": "explain",
        "checks": "require",
    },
    Sla: {
        "p95_ms": "latency_p95_ms",
        "p99_ms": "latency_p99_ms",
        "throughput": "throughput_rps",
        "uptime": "availability",
    },
    Explain: {"method": "by", "sample": "rows", "n_repeats": "repeats", "file": "report"},
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
    ("compare", "slices", "by"): "Add `by: [<column>]`: the columns whose values make the groups.",
    ("compare", "slices", "min_rows"): "Add `min_rows: 300`, or how many rows a group needs to be judged.",
    ("compare", "slices", "rules"): "Add `rules: {auc: {max_absolute_regression: 0.03}}`, or another rule.",
    ("monitor", "truth", "label"): "Add `label: <column>`: the column with the truth.",
    ("monitor", "performance", "rules"): "Add `rules: {auc: {threshold: 0.7}}`, or another rule.",
    ("monitor", "fairness", "by"): "Add `by: [<column>]`: the columns with the groups of people.",
    ("monitor", "fairness", "min_rows"): "Add `min_rows: 300`, or how many rows a group needs to be judged.",
    ("monitor", "fairness", "rules"): "Add `rules: {disparate_impact_ratio: {threshold: 0.8}}`, or another rule.",
    ("notify", "quiet", "since"): 'Add `since: "22:00"`, the time of day at which it begins.',
    ("notify", "quiet", "until"): 'Add `until: "07:00"`, the time of day at which it ends.',
    ("compare", "fairness", "by"): "Add `by: [<column>]`: the columns with the groups of people.",
    ("compare", "fairness", "min_rows"): "Add `min_rows: 300`, or how many rows a group needs to be judged.",
    ("compare", "fairness", "rules"): "Add `rules: {disparate_impact_ratio: {threshold: 0.8}}`, or another rule.",
}


def _mapping(path: Path, where: Where) -> str:
    if where in _RULES:
        return "Write one key per metric: `auc: {threshold: 0.7}`."
    if where[:-1] in _RULES:
        return "A rule names its limit: `{threshold: 0.7}`."
    if where == ("data", "*"):
        return "Write `- {path: <file>}`."
    if where == ("evaluate", "*") and path[-1] in keys(EvaluationSet):
        return f"Name the evaluation set first: `evaluate: {{holdout: {{{path[-1]}: ...}}}}`."
    return ""


def _key(path: Path, where: Where) -> str:
    word = str(path[-1])
    if where[:-2] not in _RULES:
        return ""
    if word.isdigit():
        return "If `,` is meant as the decimal point, write `.` instead."
    if word.replace(".", "", 1).isdigit():
        return f"Say what it limits: `threshold: {word}`."
    return ""


CONFIG = Vocabulary(
    root=Config,
    sections=SECTIONS,
    names=frozenset({("data",), ("evaluate",), *_RULES, *_OWN_NAMES}),
    meant_keys=_MEANT,
    meant_values=MEANT_VALUES,
    missing=_MISSING,
    mapping=_mapping,
    key=_key,
)
pattern = CONFIG.pattern
