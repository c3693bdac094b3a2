"""Whether the new model's interface keeps what callers of the one before rely on: both say it by OpenAPI.

What was taken has to be taken, what was answered has to be answered. Additions are fine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlgate.image.service import Service, UnreachableError
from mlgate.model import Check, Verdict
from mlgate.rollout.checks import described
from mlgate.rollout.checks.accepting import Finding, Pair, resolved
from mlgate.rollout.checks.nouns import Tried, check
from mlgate.rollout.checks.trial import Trial

TITLE = "keeps what callers rely on"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SHOWN = 5

Document = Mapping[str, Any]


def checks(trial: Trial) -> Tried:
    """The challenger's description against the champion's, each from its own slot."""
    stable = trial.stable
    if stable is None or stable.slot == trial.candidate.slot:
        return Tried(not_run=["The interface was held against no other: nothing is deployed there yet."])
    try:
        new = described.document(trial.service)
    except UnreachableError as error:
        return Tried([check("api", TITLE, Verdict.FAIL, f"Its description cannot be read: {error}.")])
    try:
        with trial.target.open(stable.slot) as url:
            old = described.document(Service(url))
    except UnreachableError as error:
        reason = f"The champion does not answer at its own address, so nothing was compared: {error}."
        return Tried([check("api", TITLE, Verdict.INCONCLUSIVE, reason)])
    if old is None:
        reason = f"The champion does not describe itself ({described.PATH}), so nothing was compared."
        return Tried([check("api", TITLE, Verdict.WARN, reason)], not_run=[reason])
    if new is None:
        reason = f"The champion describes itself, and this does not: {described.PATH} is no OpenAPI."
        return Tried([check("api", TITLE, Verdict.FAIL, reason)])
    return Tried([judge(old, new)])


def judge(old: Document, new: Document) -> Check:
    """One check: what is broken, by name."""
    found = list(dict.fromkeys(differences(old, new)))
    broken, mild = [one for one in found if not one.mild], [one for one in found if one.mild]
    shown = broken or mild
    reason = ""
    if shown:
        more = f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        reason = f"{'; '.join(one.said for one in shown[:_SHOWN])}{more}."
        reason = f"{reason[:1].upper()}{reason[1:]}"
    verdict = Verdict.FAIL if broken else Verdict.WARN if mild else Verdict.PASS
    operations = sum(1 for _ in _operations(old))
    if not operations:
        verdict, reason = Verdict.WARN, "The champion's description has no operation, so nothing was compared."
    return check(
        "api", TITLE, verdict, reason, rows=operations, unexpected=len(shown) or None,
        expected="what the champion takes is taken, what it answers is answered",
    )  # fmt: skip


def differences(old: Document, new: Document) -> Iterator[Finding]:
    """What callers of `old` may fail on at `new`."""
    paths = _mapping(new.get("paths"))
    templates = {_template(path): path for path in paths}
    for path, method, was in _operations(old):
        item = _mapping(resolved(new, paths.get(templates.get(_template(path), path))))
        is_ = _mapping(resolved(new, item.get(method)))
        name = f"{method.upper()} {path}"
        if not is_:
            others = any(one in item for one in _METHODS)
            yield Finding(f"{name} is gone" if others or item else f"{path} is gone")
            continue
        yield from _parameters(old, new, was, is_, name)
        yield from _request(old, new, was, is_, name)
        yield from _responses(old, new, was, is_, name)
        if _secured(is_, new) and not _secured(was, old):
            yield Finding(f"{name} asks for a login now")
    yield from _order(old, new)


def _operations(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in _mapping(document.get("paths")).items():
        found = _mapping(resolved(document, item))
        for method in _METHODS:
            if method in found:
                shared = _items(document, found.get("parameters"))
                operation = dict(_mapping(found[method]))
                operation["parameters"] = [*shared, *_items(document, operation.get("parameters"))]
                yield path, method, operation


def _template(path: str) -> str:
    """What a parameter of a path is called is nothing to callers."""
    return "/".join("{}" if part.startswith("{") and part.endswith("}") else part for part in path.split("/"))


def _parameters(old: Document, new: Document, was: Document, is_: Document, name: str) -> Iterator[Finding]:
    before = {_key(one): one for one in _items(old, was.get("parameters"))}
    for one in _items(new, is_.get("parameters")):
        place, called = _key(one)
        known = before.get((place, called))
        if known is None and one.get("required") is True and place != "path":
            yield Finding(f"{name} now needs the {place} parameter {called}")
        if known is not None:
            if one.get("required") is True and known.get("required") is not True:
                yield Finding(f"{name} now needs the {place} parameter {called}")
            pair = Pair(old, new)
            yield from pair.narrowed(known.get("schema", {}), one.get("schema", {}), f"the parameter {called}")


def _key(parameter: Mapping[str, Any]) -> tuple[str, str]:
    place, name = str(parameter.get("in")), str(parameter.get("name"))
    return place, name.lower() if place == "header" else "{}" if place == "path" else name


def _request(old: Document, new: Document, was: Document, is_: Document, name: str) -> Iterator[Finding]:
    before, after = _mapping(resolved(old, was.get("requestBody"))), _mapping(resolved(new, is_.get("requestBody")))
    if after.get("required") is True and before.get("required") is not True:
        yield Finding(f"{name} now needs a body")
    kinds = _mapping(after.get("content"))
    for kind, media in _mapping(before.get("content")).items():
        if kind not in kinds:
            yield Finding(f"{name} no longer takes {kind}")
            continue
        schema = _mapping(media).get("schema", True)
        for one in Pair(old, new).narrowed(schema, _mapping(kinds[kind]).get("schema", True), ""):
            yield Finding(f"{name}: {one.said}", one.mild)


def _responses(old: Document, new: Document, was: Document, is_: Document, name: str) -> Iterator[Finding]:
    """Of what was asked for in vain nothing was promised: only good answers are compared."""
    answers = _mapping(is_.get("responses"))
    for status, answer in _mapping(was.get("responses")).items():
        if not str(status).startswith("2"):
            continue
        other = answers.get(status, answers.get("2XX"))
        if other is None:
            yield Finding(f"{name} no longer answers {status}")
            continue
        given = _mapping(_mapping(resolved(new, other)).get("content"))
        for kind, media in _mapping(_mapping(resolved(old, answer)).get("content")).items():
            if kind not in given:
                yield Finding(f"{name} no longer answers with {kind}")
                continue
            schema, promised = _mapping(given[kind]).get("schema", True), _mapping(media).get("schema", True)
            for one in Pair(new, old, answers=True).narrowed(schema, promised, ""):
                yield Finding(f"the answer of {name}: {one.said}", one.mild)


def _secured(operation: Mapping[str, Any], document: Document) -> bool:
    found = operation.get("security", document.get("security"))
    return isinstance(found, list) and bool(found) and {} not in found


def _order(old: Document, new: Document) -> Iterator[Finding]:
    """Rows may be sent as lists of values (`Values`, as mlgate's server calls it): then the columns' order is told."""
    rows = [_mapping(_mapping(one.get("components")).get("schemas")) for one in (old, new)]
    if not all("Values" in schemas and "properties" in _mapping(schemas.get("Row")) for schemas in rows):
        return
    before, after = ([*_mapping(schemas["Row"])["properties"]] for schemas in rows)
    moved = [name for name, other in zip(before, after, strict=False) if name != other]
    if moved:
        yield Finding(f"a row that is sent as a list of values means something else now: {moved[0]} has moved")


def _items(document: Document, value: Any) -> list[Mapping[str, Any]]:
    found = [resolved(document, one) for one in value] if isinstance(value, list) else []
    return [one for one in found if isinstance(one, Mapping)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
