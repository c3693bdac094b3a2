"""Words that are not keys here: what was probably meant, and what this version cannot do yet."""

from __future__ import annotations

from typing import Any

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

Path = tuple[str | int, ...]

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
        ("evaluate", "*", "columns", "label"),
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


def pattern(path: Path) -> tuple[str, ...]:
    """The path with the user's own names as `*`."""
    if path and path[0] in ("data", "evaluate") and len(path) > 1:
        path = (path[0], "*", *path[2:])
    elif path[:2] == ("compare", "rules") and len(path) > 2:
        path = (*path[:2], "*", *path[3:])
    return tuple(str(step) for step in path)


def keys(section: type[BaseModel]) -> list[str]:
    """A section's keys as the file spells them."""
    return [field.alias or name for name, field in section.model_fields.items()]


def unavailable(path: Path, value: Any = None) -> bool:
    """Whether this key, or this value of it, is for a later version."""
    where = pattern(path)
    return where in NOT_YET or (where, str(value)) in NOT_YET_VALUES


def meant(path: Path) -> str:
    """The key of the same section that was probably meant, or nothing."""
    section = SECTIONS.get(pattern(path[:-1]))
    if section is None:
        return ""
    return _MEANT.get(section, {}).get(_plain(path[-1])) or closest(_plain(path[-1]), keys(section))


def suggestion(path: Path) -> str:
    """How to mend a key that does not exist."""
    section = SECTIONS.get(pattern(path[:-1]))
    word = str(path[-1])
    if section is None:
        return ""
    if section is Rule and word.isdigit():
        return "If `,` is meant as the decimal point, write `.` instead."
    if section is Rule and word.replace(".", "", 1).isdigit():
        return f"Say what it limits: `threshold: {word}`."
    if here := meant(path):
        return f"Did you mean `{here}`?"
    plain = _plain(word)
    for where, other in SECTIONS.items():
        if plain in keys(other) and other is not section and other is not Config:
            return f"`{plain}` belongs in `{'.'.join(where).replace('*', '<name>')}`."
    if plain in keys(Config):
        return f"`{plain}` belongs at the top level: look at the indentation."
    return f"The keys here are {', '.join(f'`{key}`' for key in keys(section))}."


def _plain(word: str | int) -> str:
    return str(word).lower().strip().replace("-", "_").replace(" ", "_")


def closest(word: str, words: list[str]) -> str:
    """The word that was most likely misspelt, or nothing."""
    import difflib  # noqa: PLC0415 -- only on a mistake

    found = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return found[0] if found else ""
