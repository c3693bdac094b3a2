"""What is not pass, at the file and line where it can be mended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

from mlgate.model import Check, Evidence, Verdict, exit_code
from mlgate.render import arms, escape, layout, sentences
from mlgate.render.layout import NOWHERE, Links


class Note(NamedTuple):
    """In the order of `forges.Annotation`: `forges.Annotation(*note)`. The text is not escaped for a log yet."""

    level: Literal["error", "warning", "notice"]
    message: str
    title: str = ""
    file: str = ""
    line: int | None = None


def of(evidences: Sequence[Evidence]) -> list[Note]:
    """One per check that is not pass, worst first. What blocks is an error, the rest a warning."""
    notes = []
    for evidence in layout.ordered(evidences):
        for check in layout.by_verdict(evidence.checks):
            if check.verdict is not Verdict.PASS and not arms.in_outcome(check, evidence):
                notes.append(_note(evidence, check, evidences))
        if evidence.verdict.rank > max((c.verdict.rank for c in evidence.checks), default=0):
            own = Check(id="verdict", title="", verdict=evidence.verdict, reason=sentences.headline(evidence))
            notes.append(_note(evidence, own, evidences))
    return notes


def gitlab(links: Links = NOWHERE) -> str:
    """GitLab's `reports: annotations`: links that stand on the job's page; an empty object without any."""
    named = (("Model report", links.report), ("Evidence", links.evidence))
    found = [{"external_link": {"label": label, "url": escape.url(to)}} for label, to in named if escape.url(to)]
    return json.dumps({"mlgate": found} if found else {}, indent=2) + "\n"


def _note(evidence: Evidence, check: Check, among: Sequence[Evidence]) -> Note:
    blocks = exit_code(check.verdict, mode=evidence.mode, fail_on=evidence.fail_on) != 0
    where = check.location
    said = sentences.sentence(check.reason) or _facts(check)
    needs = sentences.needed(check)
    names = [layout.label(evidence, among), arms.title(check), check.title or check.verdict]
    return Note(
        level="error" if blocks else "warning",
        message=escape.clip(escape.plain(f"{said} {needs}." if needs else said), 1000),
        title=escape.clip(escape.plain(": ".join(filter(None, names))), 200),
        file=escape.plain(where.file if where else _config(evidence)),
        line=where.line if where else None,
    )


def _facts(check: Check) -> str:
    row = layout.row(check)
    measured = f"is {row.observed}" if row.observed else check.verdict.value
    return f"{check.title} {measured}; allowed: {row.allowed}." if row.allowed else f"{check.title} {measured}."


def _config(evidence: Evidence) -> str:
    return next((n.name for n in evidence.inputs if n.role == "config"), "")
