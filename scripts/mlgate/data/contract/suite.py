"""A Great Expectations suite, today's or from before 1.0, as expectations.

Stricter than Great Expectations itself: what it ignores, or passes without looking, is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from mlgate.config import messages
from mlgate.config.messages import either
from mlgate.config.values import shown
from mlgate.config.vocabulary import Path, closest
from mlgate.config.yamlfile import Node, dotted, visible
from mlgate.data.contract import checking, kinds
from mlgate.data.contract.known import GONE, IGNORED, KNOWN, REFUSED, Known, snake
from mlgate.data.nouns import Expectation, Severity
from mlgate.errors import MlgateError

SEVERITIES: Mapping[str, Severity] = {
    "critical": "error",
    "warning": "warn",
    "info": "warn",
    "error": "error",
    "warn": "warn",
}
_SUITE_KEYS = {
    *("name", "expectations", "id", "meta", "notes", "suite_parameters"),
    *("expectation_suite_name", "ge_cloud_id", "data_asset_type", "evaluation_parameters"),
}
_ENTRY_KEYS = {
    *("type", "expectation_type", "kwargs", "severity", "meta", "id", "notes", "description"),
    *("rendered_content", "expectation_context", "windows", "ge_cloud_id", "success_on_last_run"),
}
_OURS = ("critical", "private")


@dataclass(frozen=True)
class Suite:
    """What a suite says, before ids are given."""

    name: str
    expectations: list[Expectation]
    critical: frozenset[str]
    private: frozenset[str]


class Problems(list[MlgateError]):
    """What is wrong with one file, collected so that all of it is said at once."""

    def __init__(self, root: Node, found: Sequence[MlgateError] = ()) -> None:
        super().__init__(found)
        self.root = root

    def add(self, path: Path, message: str, fix: str = "") -> None:
        self.append(messages.problem(self.root, path, message, fix))

    def value(self, path: Path, kind: str, value: Any) -> Any:
        """The checked value; None, and a problem more, when it is wrong."""
        try:
            return checking.check(kind, value)
        except PydanticCustomError as error:
            context = error.context or {}
            self.add(path, str(context["message"]), str(context["fix"]))
            return None


def read(root: Node, problems: Problems) -> Suite:
    """The suite in this tree; what is wrong with it goes to `problems`."""
    misspelt = set()
    for key in root.entries:
        if key not in _SUITE_KEYS:
            near = closest(key, sorted(_SUITE_KEYS))
            misspelt.add(near)
            problems.add((key,), "is not a key of a suite.", f"Did you mean `{near}`?" if near else "")
    name = root.entries.get("name") or root.entries.get("expectation_suite_name")
    found = root.entries.get("expectations")
    expectations: list[Expectation] = []
    if found is None and "expectations" not in misspelt:
        problems.add(("expectations",), "is missing.", "A suite lists its checks there.")
    elif found is not None:
        expectations = [one for one in entries(found.raw(), problems, default="error") if one]
    ours = _ours(root, problems)
    written = name.raw() if name else ""
    return Suite(visible(written, 200) if isinstance(written, str) else "", expectations, *ours)


def _ours(root: Node, problems: Problems) -> tuple[frozenset[str], frozenset[str]]:
    """`meta: {mlgate: {critical: [...], private: [...]}}`."""
    node = root.at(("meta", "mlgate"))
    raw = node.raw() if node else {}
    if not isinstance(raw, dict):
        problems.add(("meta", "mlgate"), f"must be a mapping of keys, but is {shown(raw)}.")
        return frozenset(), frozenset()
    for key in raw:
        if key not in _OURS:
            problems.add(("meta", "mlgate", key), "is not a key.", f"The keys here are {either(_OURS)}.")
    found = [problems.value(("meta", "mlgate", key), "names", raw[key]) if key in raw else () for key in _OURS]
    critical, private = (frozenset(each or ()) for each in found)
    return critical, private


def entries(raw: Any, problems: Problems, *, default: Severity) -> Iterator[Expectation | None]:
    """The expectations of a list; None for each that is wrong."""
    if not isinstance(raw, list):
        problems.add(("expectations",), f"must be a list, but is {shown(raw)}.")
        return
    for index, entry in enumerate(raw):
        before = len(problems)
        found = _entry(entry, ("expectations", index), problems, default)
        yield found if len(problems) == before else None


def _entry(entry: Any, at: Path, problems: Problems, default: Severity) -> Expectation | None:
    if not isinstance(entry, dict):
        fix = "Write `- {type: expect_column_to_exist, kwargs: {column: age}}`."
        problems.add(at, f"must be a mapping of keys, but is {shown(entry)}.", fix)
        return None
    misspelt = set()
    for key in entry:
        if key not in _ENTRY_KEYS:
            near = closest(key, sorted(_ENTRY_KEYS))
            misspelt.add(near)
            fix = f"Did you mean `{near}`?" if near else "What it takes belongs in `kwargs`."
            problems.add((*at, key), "is not a key of an expectation.", fix)
    if entry.get("windows"):
        problems.add((*at, "windows"), "takes its limits from earlier runs, which is not read.", "Write the limits.")
    type_ = None if "type" in misspelt and "type" not in entry else _type(entry, at, problems)
    severity = _severity(entry, at, problems, default)
    if type_ is None or ("kwargs" in misspelt and "kwargs" not in entry):
        return None
    kwargs = _kwargs(entry.get("kwargs"), KNOWN[type_], type_, (*at, "kwargs"), problems)
    if kwargs is None:
        return None
    _sense(kwargs, KNOWN[type_], type_, (*at, "kwargs"), problems)
    node = problems.root.at(at)
    return Expectation(type=type_, kwargs=kwargs, severity=severity, key=dotted(at), line=node.line if node else None)


def _type(entry: Mapping[str, Any], at: Path, problems: Problems) -> str | None:
    key = "expectation_type" if "expectation_type" in entry and "type" not in entry else "type"
    if key not in entry:
        problems.add((*at, "type"), "is missing.", "Add `type: expect_...`.")
        return None
    if "expectation_type" in entry and key == "type":
        problems.add((*at, "expectation_type"), "says again what `type` says.", "Remove it.")
    written = problems.value((*at, key), "text", entry[key])
    if written is None or written in KNOWN:
        return written if written is None else str(written)
    said = f"is `{visible(written, 100)}`, which"
    if written in REFUSED:
        why, fix = REFUSED[written]
        problems.add((*at, key), f"{said} {why}", fix)
        return None
    near = snake(written) if snake(written) in KNOWN else closest(written[:100], list(KNOWN))
    fix = f"Did you mean `{near}`?" if near else "Custom types are not read."
    problems.add((*at, key), f"{said} is no type that Great Expectations or mlgate has.", fix)
    return None


def _severity(entry: Mapping[str, Any], at: Path, problems: Problems, default: Severity) -> Severity:
    written = entry.get("severity")
    if written is None:
        return default
    if isinstance(written, str) and written in SEVERITIES:
        return SEVERITIES[written]
    near = closest(str(written), list(SEVERITIES))
    said = f"must be {either(list(SEVERITIES))}, but is {shown(written)}."
    problems.add((*at, "severity"), said, f"Did you mean `{near}`?" if near else "")
    return default


def _kwargs(raw: Any, known: Known, type_: str, at: Path, problems: Problems) -> dict[str, Any] | None:
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        problems.add(at, f"must be a mapping of keys, but is {shown(raw)}.")
        return None
    before = len(problems)
    found: dict[str, Any] = {}
    misspelt = set()  # a required key that is misspelt is one mistake, not two
    for key, value in raw.items():
        if key in known.kwargs:
            if value is None:
                continue
            if _parameter(value):
                fix = "Write the value itself: a contract that is judged may not change from run to run."
                problems.add((*at, key), "is a `$PARAMETER`, whose value is given elsewhere.", fix)
                continue
            found[key] = problems.value((*at, key), known.kwargs[key], value)
        elif key in GONE and value not in (None, False):
            fix = "Remove it, and say what must hold with the types of today."
            problems.add((*at, key), "is not read by Great Expectations since 1.0.", fix)
        elif key not in IGNORED and key not in GONE:
            near = closest(key, list(known.kwargs))
            misspelt.add(near)
            fix = f"Did you mean `{near}`?" if near else f"It takes {either(list(known.kwargs))}."
            problems.add((*at, key), f"is not taken by `{type_}`.", fix)
    for key in known.required:
        if raw.get(key) is None and key not in misspelt:
            problems.add((*at, key), f"is missing; `{type_}` needs it.")
    return found if len(problems) == before else None


def _sense(kwargs: Mapping[str, Any], known: Known, type_: str, at: Path, problems: Problems) -> None:
    """What each kwarg may be on its own, but not together with the others."""
    if known.limits and not any(limit in kwargs for limit in known.limits):
        limits = " and ".join(f"`{limit}`" for limit in known.limits)
        problems.add(at, f"has neither {limits.replace(' and ', ' nor ')}, so it would check nothing.")
    elif known.limits == ("min_value", "max_value") and _holds_anyway(kwargs, known):
        problems.add(at, "allows everything there can be, so it would check nothing.")
    if "min_value" in kwargs and "max_value" in kwargs:
        strict = bool(kwargs.get("strict_min") or kwargs.get("strict_max"))
        if wrong := kinds.upside_down(kwargs["min_value"], kwargs["max_value"], strict=strict):
            problems.add((*at, "min_value"), f"makes this hold for nothing: {wrong}.")
    if "column_A" in kwargs and kwargs["column_A"] == kwargs["column_B"]:
        problems.add((*at, "column_B"), "is the same column as `column_A`.")
    if "condition_parser" in kwargs and "row_condition" not in kwargs:
        problems.add((*at, "condition_parser"), "has no `row_condition` to read.", "Remove it.")


def _holds_anyway(kwargs: Mapping[str, Any], known: Known) -> bool:
    """Counts are never below 0, shares never outside 0 to 1."""
    below, above = (known.kwargs[limit] for limit in known.limits)
    no_floor = "min_value" not in kwargs or (
        below in {"count", "amount", "share"} and kwargs["min_value"] == 0 and not kwargs.get("strict_min")
    )
    no_ceiling = "max_value" not in kwargs or (
        above == "share" and kwargs["max_value"] == 1 and not kwargs.get("strict_max")
    )
    return no_floor and no_ceiling


def _parameter(value: Any) -> bool:
    if isinstance(value, dict):
        return "$PARAMETER" in value or any(_parameter(item) for item in value.values())
    return isinstance(value, list) and any(_parameter(item) for item in value)
