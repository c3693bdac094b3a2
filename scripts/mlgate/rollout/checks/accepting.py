"""Whether one JSON schema (of OpenAPI 3.1) takes all that another takes. Pure.

    Pair(old_document, new_document).narrowed(old_schema, new_schema, "records[]")        # of requests
    Pair(new_document, old_document, answers=True).narrowed(new_schema, old_schema, "")   # of answers

Who asks may send what was taken before; who is answered may read what was promised before. So for answers the new
document is the one all of which has to be taken by the old one, except for what was added.

Schemas can say more than can be compared; what is compared are the words that servers of models use: types, required
and allowed fields, bounds, enumerations, lists, and alternatives. A word that is not known and differs is a finding:
what was not understood is not taken for the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.rollout.checks import limits
from mlgate.rollout.checks.limits import LOWER, TYPES, UPPER, Schema, types

_SAID = frozenset({  # they say nothing about what is taken
    "title", "description", "summary", "default", "example", "examples", "deprecated", "$comment", "operationId",
    "readOnly", "writeOnly", "externalDocs", "xml", "discriminator", "contentEncoding", "contentMediaType",
})  # fmt: skip
_KNOWN = frozenset({
    "$ref", "type", "nullable", "required", "properties", "additionalProperties", "enum", "const", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength",
    "minProperties", "maxProperties", "anyOf", "oneOf", "allOf", "format",
})  # fmt: skip
_DEEP = 40


# What a finding says, of a request and of an answer; None: no finding there.
_WORDS: Mapping[str, tuple[str, str | None]] = {
    "gone": ("{where} is no longer taken", None),
    "removed": ("", "{where} is no longer answered"),
    "required": ("{where} is now required", "{where} may be missing now"),
    "closed": ("{where} takes no other fields any more", None),
    "type": ("{where} has to be {new}, and was {old}", "{where} is {old} now, and was {new}"),
    "shape": ("{where} has to be {new}, and was {old}", "{where} is {old} now, and was {new}"),
    "types": ("{where} may no longer be {old}", "{where} may be {old} now"),
    "values": ("{where} may only be one of {new} values now", "{where} may be another than the {new} values before"),
    "value": ("{where} may no longer be {old}", "{where} may be {old} now"),
    "bound": ("{where} has to be {new} now", "{where} need not be {new} any more"),
    "places": ("{where} as a list has to have {new} now", "{where} as a list need not have {new} any more"),
    "format": ("{where} has to be a {new} now", "{where} need not be a {new} any more"),
    "word": ("{where} has another `{new}`, which is not compared",) * 2,
    "broken": ("{where} is described by something that is no schema",) * 2,
}  # fmt: skip
# What most callers do not mind: of requests, fields that nobody named, and lists of values in place of names.
_MILD = (frozenset({"closed", "places"}), frozenset({"values", "value", "bound", "places", "format", "word"}))


@dataclass(frozen=True)
class Finding:
    """One way in which somebody may fail: half a sentence. `mild`: few will."""

    said: str
    mild: bool = False
    code: str = ""


class Pair:
    """Two documents, in which references are looked up. `wide`: of whom everything has to be taken."""

    def __init__(self, wide: Schema, narrow: Schema, *, answers: bool = False) -> None:
        self._wide, self._narrow, self._answers = wide, narrow, answers
        self._seen: set[tuple[int, int]] = set()  # that are being compared, or were: a tree may refer to itself
        self._kept: list[Any] = []  # what the numbers in `_seen` are of

    def narrowed(self, old: Any, new: Any, where: str) -> Iterator[Finding]:
        """What `old` takes and `new` does not."""
        yield from self._compare(old, new, where, 0)

    def _say(self, code: str, where: str, *, old: str = "", new: str = "") -> Iterator[Finding]:
        words = _WORDS[code][self._answers]
        if words:
            said = words.format(where=where or "the body", old=old, new=new)
            yield Finding(said, code in _MILD[self._answers], code)

    def _compare(self, old: Any, new: Any, where: str, deep: int) -> Iterator[Finding]:
        old, new = resolved(self._wide, old), resolved(self._narrow, new)
        if new is True or new == {} or old is False:
            return
        if old is True:
            old = {}
        if new is False:
            yield from self._say("gone", where)
            return
        if not isinstance(old, Mapping) or not isinstance(new, Mapping):
            yield from self._say("broken", where)
            return
        key = (id(old), id(new))
        if key in self._seen or deep > _DEEP:
            return
        self._seen.add(key)
        self._kept += [old, new]
        yield from self._alternatives(old, new, where, deep)

    def _alternatives(self, old: Schema, new: Schema, where: str, deep: int) -> Iterator[Finding]:
        """Each alternative of the old one has to be taken by one of the new."""
        before, after = _branches(self._wide, old), _branches(self._narrow, new)
        if before and not after:
            yield from self._say("gone", where)
            return
        if len(before) == len(after) == 1:
            yield from self._one(before[0], after[0], where, deep)
            return
        for one in before:
            found = [self._try(one, other, where, deep) for other in after]
            if all(found):
                best = min(found, key=_apart)
                yield next((each for each in best if not each.mild), best[0])

    def _try(self, old: Schema, new: Schema, where: str, deep: int) -> list[Finding]:
        """Apart from what is being compared: of a trial that failed nothing may be taken for compared."""
        seen = set(self._seen)
        found = list(self._one(old, new, where, deep))
        if found:
            self._seen = seen
        return found

    def _one(self, old: Schema, new: Schema, where: str, deep: int) -> Iterator[Finding]:
        if not types(old):
            return  # nothing is taken by it
        lost = types(old) - types(new) - ({"integer"} if "number" in types(new) else set())
        if lost == types(old):
            shape = {"object", "array"} & (types(old) | types(new))
            yield from self._say("shape" if shape else "type", where, old=_or(types(old)), new=_or(types(new)))
            return
        if lost:
            yield from self._say("types", where, old=_or(lost))
        for code, before, after in (*limits.values(old, new), *limits.bounds(old, new)):
            yield from self._say(code, where, old=before, new=after)
        if "object" in types(old) & types(new):
            yield from self._object(old, new, where, deep)
        if "array" in types(old) & types(new):
            yield from self._array(old, new, where, deep)
        for word in sorted((set(old) | set(new)) - _KNOWN - _SAID):
            if not word.startswith("x-") and word in new and old.get(word) != new.get(word):
                yield from self._say("word", where, new=word)

    def _object(self, old: Schema, new: Schema, where: str, deep: int) -> Iterator[Finding]:
        before, after = _mapping(old.get("properties")), _mapping(new.get("properties"))
        for name in _strings(new.get("required")):
            if name not in _strings(old.get("required")):
                yield from self._say("required", _at(where, name))
        for name in after:
            if name not in before and name not in _strings(new.get("required")):
                yield from self._say("removed", _at(where, name))
        rest = new.get("additionalProperties", True)
        for name, schema in before.items():
            if name in after:
                yield from self._compare(schema, after[name], _at(where, name), deep + 1)
            elif rest is False:
                yield from self._say("gone", _at(where, name))
            elif isinstance(rest, Mapping):
                yield from self._compare(schema, rest, _at(where, name), deep + 1)
        others = old.get("additionalProperties", True)
        if others is not False and rest is False:
            yield from self._say("closed", where)
        elif others is not False and isinstance(rest, Mapping):
            yield from self._compare(others, rest, _at(where, "*"), deep + 1)

    def _array(self, old: Schema, new: Schema, where: str, deep: int) -> Iterator[Finding]:
        before, after = _list(old.get("prefixItems")), _list(new.get("prefixItems"))
        most = old.get("maxItems")
        for number in range(max(len(before), len(after))):
            if isinstance(most, int) and number >= most:
                break
            was = before[number] if number < len(before) else old.get("items", True)
            is_ = after[number] if number < len(after) else new.get("items", True)
            yield from self._compare(was, is_, f"{where}[{number}]", deep + 1)
        if not isinstance(most, int) or most > max(len(before), len(after)):
            yield from self._compare(old.get("items", True), new.get("items", True), f"{where}[]", deep + 1)


def _apart(findings: Sequence[Finding]) -> tuple[bool, int, int, int]:
    """How far an alternative is from what was there: one of another shape is a stranger, and says nothing to people."""
    shape = sum(one.code == "shape" for one in findings)
    strange = sum(one.code in {"required", "gone"} for one in findings)
    return any(not one.mild for one in findings), shape, strange, len(findings)


def resolved(document: Schema, schema: Any) -> Any:
    """What a reference stands for, and the words beside it; an empty mapping for one that leads nowhere."""
    for _ in range(_DEEP):
        if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
            return schema
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        beside = {key: value for key, value in schema.items() if key not in _SAID and key != "$ref"}
        if not beside:
            schema = found if isinstance(found, Mapping | bool) else {}
        else:
            return {"allOf": [found if isinstance(found, Mapping | bool) else {}, beside]}
    return {}


def _branches(document: Schema, schema: Schema) -> list[Schema]:
    """The alternatives of `anyOf` and `oneOf`, each with the words beside it; all of `allOf` are put into one."""
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf", "allOf"}}
    found: list[Schema] = [rest]
    for part in _list(schema.get("allOf")):
        found = [_both(one, other) for one in found for other in _of(document, part)]
    for word in ("anyOf", "oneOf"):
        parts = _list(schema.get(word))
        if parts:
            several = [branch for part in parts for branch in _of(document, part)]
            found = [_both(one, other) for one in found for other in several]
    return found


def _of(document: Schema, part: Any) -> list[Schema]:
    """The alternatives of a part: of what takes nothing, none."""
    found = resolved(document, part)
    if found is False:
        return []
    return _branches(document, found) if isinstance(found, Mapping) else [{}]


def _both(a: Schema, b: Schema) -> Schema:
    """What takes only what both take."""
    if not a or not b:
        return a or b
    found = {**a, **b}
    for word in set(a) & set(b):
        found[word] = _stricter(word, a[word], b[word])
    if "type" in a and "type" in b:
        found["type"] = sorted((types({"type": a["type"]}) | _widened(a)) & (types({"type": b["type"]}) | _widened(b)))
    return found


def _widened(schema: Schema) -> frozenset[str]:
    return frozenset({"integer"}) if "number" in types({"type": schema["type"]}) else frozenset()


def _stricter(word: str, a: Any, b: Any) -> Any:
    if a == b:
        return a
    if word in LOWER and isinstance(a, int | float) and isinstance(b, int | float):
        return max(a, b)
    if word in UPPER and isinstance(a, int | float) and isinstance(b, int | float):
        return min(a, b)
    if word == "required":
        return [*_strings(a), *(one for one in _strings(b) if one not in _strings(a))]
    if word == "properties" and isinstance(a, Mapping) and isinstance(b, Mapping):
        return {name: {"allOf": [a[name], b[name]]} if name in a and name in b else {**a, **b}[name] for name in a | b}  # type: ignore[operator]
    if word == "enum" and isinstance(a, list) and isinstance(b, list):
        return [one for one in a if one in b]
    if word == "additionalProperties" and False in (a, b):
        return False
    return b


def _or(names: frozenset[str] | set[str]) -> str:
    return " or ".join(name for name in TYPES if name in names) or "nothing"


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
