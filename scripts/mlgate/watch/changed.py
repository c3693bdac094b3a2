"""What kind of change the evidence speaks for: data, what is to be learnt, labels, or what people did. Pure.

    for sign in signs(sections, columns, release=release, labels=labels): print(sign.said)

Each sign is a reading of the evidence, and says so; none is a proof, and no rule asks for one. Where what would tell
two kinds apart was not measured, that is said instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mlgate.model import Change, ColumnSeen
from mlgate.watch import history
from mlgate.watch.nouns import Section, State, Window
from mlgate.watch.sentences import section_state, worst_state

Kind = Literal["data drift", "concept drift", "label schema", "code change", "broken input"]
_NAMED = 3


@dataclass(frozen=True)
class Sign:
    """`said` is one or two sentences for people."""

    kind: Kind
    said: str


@dataclass(frozen=True)
class Release:
    """The model that is there. `at`: when it came, ISO 8601, UTC; `changes`: what its commit changed against that of
    the model before it."""

    at: str
    version: str = ""
    commit: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Labels:
    """The classes that the model was made with, and those that truth had in the window."""

    before: Collection[str]
    now: Collection[str]


def signs(
    sections: Sequence[Section],
    columns: Iterable[ColumnSeen],
    window: Window,
    *,
    release: Release | None = None,
    labels: Labels | None = None,
) -> tuple[Sign, ...]:
    """What the window reads as; nothing where nothing moved. `columns` say since when they moved, as far as it is
    known (`ColumnSeen.since`)."""
    seen = _Seen(sections, tuple(columns))
    found = [*_labels(labels), *_input(seen), *_moved(seen), *_outcome(seen)]
    if release is not None and (seen.any or found):
        found = [*_release(seen, release, window), *found]
    return tuple(found)


class _Seen:
    """What of the window matters here."""

    def __init__(self, sections: Sequence[Section], columns: tuple[ColumnSeen, ...]) -> None:
        self.sections = sections
        self.columns = columns
        self.moved = [one.name for one in columns if one.role == "feature" and one.state == "breached"]
        self.features = self._state(one for one in columns if one.role == "feature")
        self.prediction = self._state(one for one in columns if one.role != "feature")
        self.data = self._section("data")
        self.performance = self._section("performance")

    @property
    def any(self) -> bool:
        return "breached" in (self.features, self.prediction, self.data, self.performance)

    @staticmethod
    def _state(columns: Iterable[ColumnSeen]) -> State:
        return worst_state([one.state for one in columns] or ["unknown"])

    def _section(self, kind: str) -> State:
        return worst_state([section_state(one) for one in self.sections if one.kind == kind] or ["unknown"])

    def worse(self) -> str:
        those = [one for section in self.sections for one in section.measures if section.kind == "performance"]
        return _names([one.name for one in those if one.state == "breached"])


def _labels(labels: Labels | None) -> Iterator[Sign]:
    if labels is None or not labels.before:
        return
    new = sorted(set(labels.now) - set(labels.before))
    if new:
        yield Sign(
            "label schema",
            f"Reads as a change of the label schema: truth has {_names(new)}, which the model cannot answer. "
            "Retraining alone does not mend it where code lists the classes.",
        )


def _input(seen: _Seen) -> Iterator[Sign]:
    if seen.data == "breached":
        yield Sign(
            "broken input",
            "Reads as broken input: production breaks the contract of the training data. Look at what feeds the model "
            "before a successor learns from it.",
        )


def _moved(seen: _Seen) -> Iterator[Sign]:
    if seen.features == "breached":
        what = {
            "breached": "and predictions moved with them",
            "ok": "and predictions did not: it may not matter to this model",
            "unknown": "and whether predictions did is not known",
        }[seen.prediction]
        yield Sign("data drift", f"Reads as data drift: {_names(seen.moved)} moved, {what}.")
    elif seen.prediction == "breached" and seen.features == "ok":
        yield Sign(
            "code change",
            "Predictions moved, and no feature did. Reads as a change in code, in the model, in a feature that is not "
            "logged, or in how several go together.",
        )
    elif seen.prediction == "breached":
        yield Sign("data drift", "Predictions moved, and whether features did is not known: drift of some kind.")


def _outcome(seen: _Seen) -> Iterator[Sign]:
    if seen.performance != "breached":
        return
    worse = seen.worse() or "performance"
    if seen.features == "ok":
        said = f"Reads as concept drift: {worse} fell, and no feature moved: the same cases end differently now."
        yield Sign("concept drift", said)
    elif seen.features == "breached":
        said = f"{worse} fell while features moved: the drift may explain it, and concept drift is not ruled out."
        yield Sign("data drift", said)
    else:
        said = f"{worse} fell, and whether features moved is not known: data drift and concept drift look alike here."
        yield Sign("concept drift", said)


def _release(seen: _Seen, release: Release, window: Window) -> Iterator[Sign]:
    """What began in the very window in which the model came, or in the one after, came with it."""
    began = min((one.since for one in seen.columns if one.state == "breached" and one.since), default="")
    began = began or history.start(window)
    if not release.at or not _came_with(release, began, window):
        return
    what = _changes(release.changes)
    called = release.version or release.commit[:7] or "the model that is there"
    yield Sign(
        "code change",
        f"It began on {began[:10]}, and {called} came on {release.at[:10]}{f', with {what}' if what else ''}. "
        "Reads as a change that people made; a rollback would tell.",
    )


def _came_with(release: Release, began: str, window: Window) -> bool:
    """Whether it began in the window in which the model came, or in the next."""
    length = window.until - window.since
    own = Window.before(_moment(release.at), length).earlier(-1)
    return own.since <= _moment(began) < own.earlier(-1).until


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _changes(changes: Sequence[Change]) -> str:
    """`changed code (src/a.py, src/b.py), changed parameters (lr)`."""
    words = {"code": "code", "parameter": "parameters", "data": "data", "dependency": "dependencies",
             "stage": "stages", "rule": "rules"}  # fmt: skip
    found = []
    for kind, word in words.items():
        names = [one.what for one in changes if one.kind == kind]
        if names:
            found.append(f"changed {word} ({_names(names)})")
    return ", ".join(found)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
