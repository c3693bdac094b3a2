"""What lies between two models that `mlgate trace` knows: the changes that can have moved one into the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlgate.commands._tracing import Plain, Story
from mlgate.errors import MlgateError
from mlgate.ledger import query
from mlgate.repo import changes

_COMMITS = 50


def between(before: Story, after: Story) -> Plain:
    """From the one to the other, as JSON values."""
    unknown = [f"{before.target.said}: {each}" for each in before.unknown()]
    unknown += [f"{after.target.said}: {each}" for each in after.unknown()]
    told, missing = _changes(before, after)
    commits, lost = _commits(before, after)
    one, other = before.plain(), after.plain()
    return {
        "from": _side(one),
        "to": _side(other),
        "same_model": query.same_model(dict(before.known.subject), dict(after.known.subject)),
        "changes": told,
        "metrics": _values(one["metrics"], other["metrics"]),
        "decision": _decisions(one["decision"], other["decision"]),
        "image": _images(one["images"], other["images"]),
        "commits": commits,
        "unknown": [*unknown, *missing, *lost],
    }


def _side(plain: Plain) -> Plain:
    return {key: plain[key] for key in ("asked", "kind", "model", "digests", "commit", "environments", "approvals")} | {
        "versions": [f"{one['name']}@{one['version']}" for one in plain["registrations"]]
    }


def _changes(before: Story, after: Story) -> tuple[list[Plain], list[str]]:
    """Parameters, data, code, commands and packages, from the files of both commits."""
    if before.origin is None or after.origin is None:
        return [], ["What changed is not known: one of the commits cannot be read."]
    produced = [before.wanted.artifact, after.wanted.artifact, *before.wanted.metrics, *after.wanted.metrics]
    data = [*before.wanted.data, *after.wanted.data]
    try:
        found = changes.between(
            before.tracer.pipeline(before.commit),
            after.tracer.pipeline(after.commit),
            produced=list(dict.fromkeys(path for path in produced if path)),
            data=list(dict.fromkeys(data)),
        )
    except MlgateError as error:
        return [], [f"What changed is not known: {error}"]
    return [change.model_dump(mode="json", exclude_none=True) for change in found], []


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Plain]:
    """Numbers that differ, with the difference; words that differ."""
    found: list[Plain] = []
    for key in dict.fromkeys([*before, *after]):
        one: Any = before.get(key)
        other: Any = after.get(key)
        if one == other:
            continue
        change = {"change": other - one} if _is_number(one) and _is_number(other) else {}
        found.append({"what": key, "before": one, "after": other, **change})
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decisions(before: Plain | None, after: Plain | None) -> Plain:
    one, other = before or {}, after or {}
    warned = [{warn["name"] for warn in side.get("warns", ())} for side in (one, other)]
    found: Plain = {
        key: {"before": one.get(key), "after": other.get(key)}
        for key in ("verdict", "statistics", "evaluation", "champion_commit", "anchor", "controls", "approved_by")
        if one.get(key) != other.get(key)
    }
    rules = [(side.get("rules") or {}).get("digest", "") for side in (one, other)]
    if rules[0] != rules[1]:
        found["rules"] = {"before": rules[0], "after": rules[1]}
    if warned[0] != warned[1]:
        found["warns"] = {"gone": sorted(warned[0] - warned[1]), "new": sorted(warned[1] - warned[0])}
    return found


def _images(before: Sequence[Plain], after: Sequence[Plain]) -> Plain:
    """Of the last image of each."""
    one, other = (dict(side[-1]) if side else {} for side in (before, after))
    return {
        key: {"before": one.get(key), "after": other.get(key)}
        for key in ("name", "digest", "base", "platform", "verdict")
        if one.get(key) != other.get(key)
    }


def _commits(before: Story, after: Story) -> tuple[Plain, list[str]]:
    """Those that the later one has and the earlier one does not, newest first."""
    if before.origin is None or after.origin is None or before.commit == after.commit:
        return {"count": 0 if before.commit and before.commit == after.commit else None, "first": []}, []
    git = after.tracer.run.git
    old, new = before.commit, after.commit
    ahead = git.is_ancestor(old, new)
    if not ahead and git.is_ancestor(new, old):
        old, new = new, old
    elif not ahead:
        return {"count": None, "first": []}, ["Neither commit is an ancestor of the other, as far as this clone goes."]
    done = git.try_run("log", "--no-show-signature", f"-{_COMMITS}", "--format=%H%x00%an%x00%s", f"{old}..{new}")
    listed = [line.split("\0") for line in done.stdout.decode(errors="replace").splitlines() if line.count("\0") == 2]
    first = [{"id": one, "author": _shown(who), "title": _shown(title)} for one, who, title in listed]
    return {"count": git.count_between(old, new), "first": first, "backwards": not ahead}, []


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200]
