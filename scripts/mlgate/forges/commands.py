"""Commands to the runner in a job's log, and how text of others is kept from being one.

A runner reads commands from what a job prints. GitHub takes `::name key=value::data` at the start of a line, after any
white space, and the older `##[name key=value]data` anywhere in it; GitLab folds the log at `section_start:` marks.
Names of files, metrics, models and branches are written by others, so they are escaped inside commands and disarmed
everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mlgate.forges.nouns import Annotation

PER_LEVEL = 10  # GitHub shows no more of one level per step
LONGEST = 4000  # characters of one message: a log line should stay readable

_LINE = re.compile(r"[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
# Colour codes count as white space here: one log viewer may drop them before it looks for commands.
_START = re.compile(r"((?:\s|\x1b\[[0-9;]*m|[\u200b\ufeff])*):(?=:)")
_OLD = re.compile(r"##(?=\[)")
_SECTION = re.compile(r"section(?=_(?:start|end):)")


def escape_data(text: str) -> str:
    """For the part after the second `::`."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """For a value between the two `::`."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def quiet_commands(text: str) -> str:
    """The same text for people, with nothing in it that a runner takes for a command: a space splits each mark."""
    text = _LINE.sub(lambda line: _START.sub(r"\1: ", line[0], count=1) if _START.match(line[0]) else line[0], text)
    text = _OLD.sub("## ", text)
    return _SECTION.sub("section ", text)


def marks(notes: Iterable[Annotation]) -> Iterator[str]:
    """One command per note, at most ten per level: when there are more, the tenth counts the rest."""
    levels: dict[str, list[Annotation]] = {"error": [], "warning": [], "notice": []}
    for note in notes:
        levels[note.level].append(note)
    for level, found in levels.items():
        shown = found if len(found) <= PER_LEVEL else found[: PER_LEVEL - 1]
        for note in shown:
            yield _command(note)
        if rest := len(found) - len(shown):
            what = {"error": "errors", "warning": "warnings", "notice": "notices"}[level]
            yield f"::{level}::{rest} more {what} are in the job summary and in the report."


def _command(note: Annotation) -> str:
    place = [("file", note.file)] if note.file else []
    if note.file and note.line and note.line > 0:
        place.append(("line", str(note.line)))
    if note.title:
        place.append(("title", note.title))
    properties = ",".join(f"{key}={escape_property(_printable(value))}" for key, value in place)
    message = _printable(note.message, keep="\n")
    if len(message) > LONGEST:
        message = message[:LONGEST] + "…"
    return f"::{note.level}{' ' + properties if properties else ''}::{escape_data(message)}"


def _printable(text: str, keep: str = "") -> str:
    return "".join(c if c.isprintable() or c in keep else " " for c in text)
