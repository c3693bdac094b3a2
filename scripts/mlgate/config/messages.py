"""From what pydantic found to one sentence per problem: file, line, key, what is wrong, how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mlgate import __version__
from mlgate.config import known
from mlgate.config.settings import EvaluationSet
from mlgate.config.values import shown
from mlgate.config.yamlfile import Node, dotted, visible
from mlgate.errors import MlgateError

MAX_SHOWN = 10
_MAX_TRANSLATED = 100  # a file of fifty thousand unknown keys is not worth as many suggestions

_MISSING_FIX = {
    ("schema",): "Add `schema: 1` as the first line.",
    ("model",): "Add `model: <name>`: reports and statuses carry it.",
    ("evaluate",): "Add an evaluation set, for example `evaluate: {holdout: {metrics: [metrics/eval.json]}}`.",
    ("evaluate", "*", "metrics"): "Add `metrics: [<file>]`: a metrics file that is committed to git.",
}


def translate(error: ValidationError, root: Node) -> list[MlgateError]:
    """One problem for each thing pydantic found in the values of this tree."""
    found = error.errors(include_url=False)[:_MAX_TRANSLATED]
    # A required key that is misspelt is one mistake, not two.
    misspelt = {
        (*path[:-1], meant)
        for path in (details["loc"] for details in found if details["type"] == "extra_forbidden")
        if (meant := known.meant(path))
    }
    return [
        _sentence(details, root) for details in found if details["type"] != "missing" or details["loc"] not in misspelt
    ]


def problem(root: Node, path: known.Path, message: str, fix: str = "") -> MlgateError:
    """A problem with what stands at that path. If nothing does, it points at the section it is missing from."""
    node, above = root.at(path), path
    while node is None and above:
        above = above[:-1]
        node = root.at(above)
    at = node or root
    key = dotted(path)
    line = at.line if above else None
    return MlgateError(f"{visible(key, 200)} {message}", file=at.file, line=line, key=key, fix=fix)


def join(problems: Sequence[MlgateError]) -> MlgateError:
    """All of them as one error, in the order of the file; each on a line of its own."""
    unique = {str(each): each for each in problems}
    ordered = sorted(unique.values(), key=lambda each: (each.file, each.line or 0))
    first = ordered[0]
    if len(ordered) == 1:
        return first
    lines = [f"{first.message} {first.fix}".rstrip(), *(str(each) for each in ordered[1:MAX_SHOWN])]
    if len(ordered) > MAX_SHOWN:
        at_least = "at least " if len(ordered) >= _MAX_TRANSLATED else ""
        lines.append(f"... and {at_least}{len(ordered) - MAX_SHOWN} more.")
    return MlgateError("\n".join(lines), file=first.file, line=first.line, key=first.key)


def _sentence(details: ErrorDetails, root: Node) -> MlgateError:
    path: known.Path = tuple(details["loc"])
    message, fix = _words(details["type"], path, details.get("input"), details.get("ctx", {}))
    return problem(root, path, message, fix)


def _words(kind: str, path: known.Path, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    where = known.pattern(path)
    if kind == "mlgate":
        return context["message"], context["fix"]
    if kind == "missing":
        return "is missing.", _MISSING_FIX.get(where, f"Add `{path[-1]}:`.")
    if kind == "extra_forbidden":
        if known.unavailable(path):
            fix = "Remove it: a key that does nothing would look like a check."
            return f"is not available in mlgate {__version__}.", fix
        return "is not a key.", known.suggestion(path)
    if kind == "literal_error":
        return _literal(path, where, value, context)
    if kind == "list_type":
        fix = f"Write it as a list: `[{visible(value)}]`." if isinstance(value, str) else ""
        return f"must be a list, but is {shown(value)}.", fix
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"must be a mapping of keys, but is {shown(value)}.", _mapping_fix(path, where)
    if kind == "too_short":
        return "is empty; at least one is needed.", _MISSING_FIX.get(where, "")
    return f"is not valid: {context.get('error') or kind.replace('_', ' ')}.", ""


def _literal(path: known.Path, where: tuple[str, ...], value: Any, context: dict[str, Any]) -> tuple[str, str]:
    allowed: Iterable[str] = context.get("expected", "").replace(" or ", ", ").replace("'", "").split(", ")
    words = [word for word in allowed if word]
    written = str(value).lower()
    meant = known.MEANT_VALUES.get(where, {}).get(written) or known.closest(written, words)
    if known.unavailable(path, value):
        return f"is `{value}`, which is not available in mlgate {__version__}.", f"Use {_either(words)}."
    return f"must be {_either(words)}, but is {shown(value)}.", f"Did you mean `{meant}`?" if meant else ""


def _either(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words[:-1]) + f" or `{words[-1]}`"


def _mapping_fix(path: known.Path, where: tuple[str, ...]) -> str:
    if where == ("compare", "rules"):
        return "Write one key per metric: `auc: {threshold: 0.7}`."
    if where == ("compare", "rules", "*"):
        return "A rule names its limit: `{threshold: 0.7}`."
    if where == ("data", "*"):
        return "Write `- {path: <file>}`."
    if where == ("evaluate", "*") and path[-1] in known.keys(EvaluationSet):
        return f"Name the evaluation set first: `evaluate: {{holdout: {{{path[-1]}: ...}}}}`."
    return ""
