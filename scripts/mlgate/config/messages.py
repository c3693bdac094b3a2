"""From what pydantic found to one sentence per problem: file, line, key, what is wrong, how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mlgate.config.known import CONFIG
from mlgate.config.values import shown
from mlgate.config.vocabulary import Path, Vocabulary, Where, closest
from mlgate.config.yamlfile import Node, dotted, visible
from mlgate.errors import MlgateError

MAX_SHOWN = 10
_MAX_TRANSLATED = 100  # a file of fifty thousand unknown keys is not worth as many suggestions


def translate(error: ValidationError, root: Node, words: Vocabulary = CONFIG) -> list[MlgateError]:
    """One problem for each thing pydantic found in the values of this tree."""
    found = error.errors(include_url=False)[:_MAX_TRANSLATED]
    # A required key that is misspelt is one mistake, not two.
    misspelt = {
        (*path[:-1], meant)
        for path in (details["loc"] for details in found if details["type"] == "extra_forbidden")
        if (meant := words.meant(path))
    }
    return [
        _sentence(details, root, words)
        for details in found
        if details["type"] != "missing" or details["loc"] not in misspelt
    ]


def problem(root: Node, path: Path, message: str, fix: str = "") -> MlgateError:
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


def _sentence(details: ErrorDetails, root: Node, words: Vocabulary) -> MlgateError:
    path: Path = tuple(details["loc"])
    message, fix = _words(words, details["type"], path, details.get("input"), details.get("ctx", {}))
    return problem(root, path, message, fix)


def _words(words: Vocabulary, kind: str, path: Path, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    where = words.pattern(path)
    if kind == "mlgate":
        return context["message"], context["fix"]
    if kind == "missing":
        return "is missing.", words.missing.get(where, f"Add `{path[-1]}:`.")
    if kind == "extra_forbidden":
        return "is not a key.", words.suggestion(path)
    if kind == "literal_error":
        return _literal(words, where, value, context)
    if kind == "list_type":
        fix = f"Write it as a list: `[{visible(value)}]`." if isinstance(value, str) else ""
        return f"must be a list, but is {shown(value)}.", fix
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"must be a mapping of keys, but is {shown(value)}.", words.mapping(path, where)
    if kind == "too_short":
        return "is empty; at least one is needed.", words.missing.get(where, "")
    return f"is not valid: {context.get('error') or kind.replace('_', ' ')}.", ""


def _literal(words: Vocabulary, where: Where, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    allowed: Iterable[str] = context.get("expected", "").replace(" or ", ", ").replace("'", "").split(", ")
    choices = [word for word in allowed if word]
    written = str(value).lower()
    meant = words.meant_values.get(where, {}).get(written) or closest(written, choices)
    return f"must be {either(choices)}, but is {shown(value)}.", f"Did you mean `{meant}`?" if meant else ""


def either(words: Sequence[str]) -> str:
    """`a`, `b` or `c`."""
    return ", ".join(f"`{word}`" for word in words[:-1]) + f" or `{words[-1]}`"
