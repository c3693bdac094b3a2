"""What a change edits in that by which it is judged: settings, contracts, test sets, and who calls the gate.

None of it decides: the base's version does. It is listed, and a maintainer has to have seen it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mlgate.judge import integrity, wanted
from mlgate.judge.case import Case, Side
from mlgate.model import Approval, Change, Check, Location, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot

_LISTED = 5
_CALLERS = re.compile(r"\.(github|gitea|forgejo)/(workflows|actions)/.+|\.gitlab-ci\.ya?ml|\.gitlab/.+\.ya?ml")
_INCLUDED = re.compile(r"(?!(.*/)?(mlgate|dvc)[^/]*$).+\.ya?ml")  # what .gitlab-ci.yml may include lies anywhere
_WHO = re.compile(r"(.*/)?CODEOWNERS")


def found(case: Case) -> list[Change]:
    """One change of kind `rule` for each difference from the base; none on the base itself."""
    return [*_settings(case), *_test_sets(case), *_files(case)]


def check(changes: list[Change], case: Case, approval: Approval | None) -> Check:
    """What the verdict makes of them. `approval` is None where there is nobody to ask, as at a terminal."""
    shown = [f"{c.what}: {c.before or 'not set'} → {c.after or 'not set'}" for c in changes[:_LISTED]]
    more = f"; and {len(changes) - _LISTED} more" if len(changes) > _LISTED else ""
    edits = f"This change edits what it is judged by ({'; '.join(shown)}{more})."
    decides = f"The rules of {_base(case)} decide, and its own are judged beside them."
    if approval is None:
        verdict, said = Verdict.WARN, "On a pull request a maintainer has to approve that."
    elif approval.given:
        verdict, said = Verdict.PASS, f"{approval.by} approved that ({approval.how})."
    else:
        verdict, said = Verdict(case.binding.compare.policy.unapproved), approval.missing
    return Check(
        id="judge.rules-changed",
        group="judge",
        title="the rules themselves",
        verdict=verdict,
        reason=f"{edits} {decides} {said}",
        location=Location(file=case.binding.file),
    )


def _base(case: Case) -> str:
    """Whose rules they are, for people: a champion that was named may be another commit."""
    if case.base is None or case.base.commit == case.chosen.commit:
        return case.chosen.ref or "the base"
    return f"the base {case.base.commit[:7]}"


def _settings(case: Case) -> Iterator[Change]:
    own = case.challenger.config
    if own is None or own is case.binding:
        return
    before, after = case.binding.public(), own.public()
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield Change(kind="rule", what=key, before=_text(before.get(key)), after=_text(after.get(key)))


def _test_sets(case: Case) -> Iterator[Change]:
    """The rows that the base's version measures on: as the base has them, whoever the champion is."""
    if case.base is None:
        return
    base = Side(Pipeline(case.base, lenient=True), case.binding, trusted=True)
    for name, one in case.binding.evaluate.items():
        for key, path in (("data", one.data), ("labels", one.labels)):
            if not path:
                continue
            then, now = (_digest(side, case, name, key) for side in (base, case.challenger))
            if then and now and then != now:
                yield Change(kind="rule", what=f"evaluate.{name}.{key} ({path})", before=then, after=now)


def _digest(side: Side, case: Case, name: str, key: str) -> str:
    path = wanted.place(side, case.binding, name, lambda one: getattr(one, key))
    digest = integrity.named(side.pipeline, path, "").digest if path else {}
    return f"{next(iter(digest.values()))[:9]}…" if digest else ""


def _files(case: Case) -> Iterator[Change]:
    """Contracts, and the workflows that call the gate, as far as they stand in the repository."""
    if case.base is None:
        return
    then, now = case.base, case.challenger.pipeline.snapshot
    contracts = {case.binding.path(entry.contract) for entry in case.binding.data if entry.contract}
    includes = any(path in then.files for path in (".gitlab-ci.yml", ".gitlab-ci.yaml"))
    for path in sorted({*then.files, *now.files}):
        if then.files.get(path) == now.files.get(path):
            continue
        caller = _CALLERS.fullmatch(path) or (includes and _INCLUDED.fullmatch(path))
        if path in contracts or _WHO.fullmatch(path) or (caller and _calls(path, then, now)):
            yield Change(kind="rule", what=path, before=_blob(then, path), after=_blob(now, path))


def _calls(path: str, *snapshots: Snapshot) -> bool:
    """Whether a workflow speaks of the gate, in either version."""
    return any(b"mlgate" in (snapshot.read(path) or b"").lower() for snapshot in snapshots if path in snapshot.files)


def _blob(snapshot: Snapshot, path: str) -> str | None:
    entry = snapshot.files.get(path)
    return f"{entry.blob[:9]}…" if entry is not None else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
