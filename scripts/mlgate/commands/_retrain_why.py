"""Why a model was trained again, as its pull request tells it. Nothing in it is executed, and all of it is escaped."""

from __future__ import annotations

import re
from contextlib import suppress

from mlgate.ledger.kinds import Trigger
from mlgate.render import escape
from mlgate.watch.nouns import Window
from mlgate.watch.retraining import MANUAL, NEW_DATA, SCHEDULE


def asked(entry: Trigger) -> str:
    """Who or what asked, for a title: `rule drift`, `new data`, `schedule`, `by hand`."""
    if entry.rule in (NEW_DATA, SCHEDULE):
        return entry.rule
    return "by hand" if entry.rule == MANUAL else f"rule {entry.rule}"


def title(entry: Trigger) -> str:
    """Of the commit and its request."""
    return f"Retrain {entry.group or ', '.join(entry.models)} ({asked(entry)})"[:190]


def branch(entry: Trigger) -> str:
    """The one branch of a model or group: a second retraining brings its request up to date."""
    return branch_of(entry.group or entry.models[0])


def branch_of(name: str) -> str:
    """A name of mlgate.yaml as part of a branch's."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "model"
    return f"mlgate/{re.sub(r'[.]{2,}|[.]lock$', '-', slug)}/retrain"


def body(entry: Trigger) -> str:
    """Markdown: the cause, above what was trained."""
    lines = ["### Why", "", "| | |", "|---|---|", f"| Asked by | {_by(entry)} |"]
    if entry.values:
        lines.append(f"| Measured | {'<br>'.join(escape.text(value) for value in entry.values)} |")
    if window := _window(entry.reason):
        lines.append(f"| Window | {window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC |")
    if entry.report:
        lines.append(f"| Report | sha256 {escape.code(entry.report)} |")
    if entry.run_url:
        lines.append(f"| Started by | {escape.link('this run', entry.run_url)} |")
    lines.append(f"| Ledger | trigger {escape.code(entry.id)}, {entry.at.replace('T', ' ').rstrip('Z')} UTC |")
    lines += ["", "What is in production stays there: this model is judged like any other change."]
    return "\n".join(lines)


def _by(entry: Trigger) -> str:
    if entry.rule == MANUAL:
        return f"{escape.text(entry.actor or 'somebody')}, by hand: {escape.text(entry.reason)}"
    if entry.rule in (NEW_DATA, SCHEDULE):
        return entry.rule
    return f"the rule {escape.code(entry.rule)}"


def _window(reason: str) -> Window | None:
    with suppress(ValueError):
        return Window.parse(reason)
    return None
