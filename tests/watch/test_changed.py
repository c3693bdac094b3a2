"""Data, what is to be learnt, labels and code told apart, as far as the evidence goes and no further."""

from __future__ import annotations

import pytest

from mlgate.model import Change, ColumnSeen
from mlgate.watch.changed import Labels, Release, Sign, signs
from mlgate.watch.nouns import Section, State
from watch.alarm_samples import WINDOW, measure, section


def column(name: str, state: State, since: str = "") -> ColumnSeen:
    role = name if name in ("prediction", "score") else "feature"
    return ColumnSeen(name=name, role=role, kind="number", state=state, since=since)  # type: ignore[arg-type]


def performance(state: State) -> Section:
    value = None if state == "unknown" else 0.6
    return section(measure("auc", value, state=state, kind="performance"), kind="performance")


def read(
    features: State, score: State, live: State = "unknown", data: State = "ok", **more: object
) -> tuple[Sign, ...]:
    sections = [performance(live), section(measure("contract_failures", 0.0, state=data, kind="data"), kind="data")]
    columns = [column("age", features), column("income", "ok"), column("score", score)]
    return signs(sections, columns, WINDOW, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("features", "score", "live", "kinds", "said"),
    [
        ("ok", "ok", "ok", [], ""),
        ("unknown", "unknown", "unknown", [], ""),
        ("breached", "breached", "unknown", ["data drift"], "age moved, and predictions moved with them"),
        ("breached", "ok", "ok", ["data drift"], "and predictions did not: it may not matter to this model"),
        ("breached", "unknown", "ok", ["data drift"], "and whether predictions did is not known"),
        ("ok", "breached", "ok", ["code change"], "Predictions moved, and no feature did"),
        ("unknown", "breached", "ok", ["data drift"], "whether features did is not known"),
        ("ok", "ok", "breached", ["concept drift"], "Reads as concept drift: auc fell, and no feature moved"),
        ("breached", "ok", "breached", ["data drift", "data drift"], "concept drift is not ruled out"),
        ("unknown", "ok", "breached", ["concept drift"], "look alike here"),
        ("ok", "breached", "breached", ["code change", "concept drift"], "no feature did"),
    ],
)
def test_what_a_window_reads_as(features: State, score: State, live: State, kinds: list[str], said: str) -> None:
    found = read(features, score, live)
    assert [one.kind for one in found] == kinds
    assert said in " ".join(one.said for one in found)


def test_broken_input_and_new_labels_are_named_first() -> None:
    labels = Labels(before=["no", "yes"], now=["maybe", "yes", "unsure"])
    found = read("breached", "breached", data="breached", labels=labels)
    assert [one.kind for one in found] == ["label schema", "broken input", "data drift"]
    assert "truth has maybe, unsure, which the model cannot answer" in found[0].said
    assert read("ok", "ok", labels=Labels(before=["no", "yes"], now=["yes"])) == ()
    assert read("ok", "ok", labels=Labels(before=[], now=["yes"])) == ()


CHANGES = (
    Change(kind="code", what="src/features.py"),
    Change(kind="parameter", what="params.yaml lr", before="0.1", after="0.2"),
    *(Change(kind="dependency", what=f"d{n}") for n in range(5)),
)


@pytest.mark.parametrize(
    ("came", "since", "so"),
    [
        ("2026-11-12T09:30:00Z", "2026-11-12", True),  # in the window of the release
        ("2026-11-12T09:30:00Z", "2026-11-13T00:00:00Z", True),  # in the next
        ("2026-11-12T09:30:00Z", "2026-11-14", False),
        ("2026-11-12T09:30:00Z", "2026-11-11", False),  # before it: not its doing
        ("2026-11-19T00:00:00Z", "", True),  # since when is not known: now
        ("2026-11-12T09:30:00Z", "", False),
        ("", "2026-11-12", False),
    ],
)
def test_what_began_with_a_release(came: str, since: str, so: bool) -> None:
    release = Release(came, version="v1.3.0", commit="a" * 40, changes=CHANGES)
    found = signs([], [column("age", "breached", since), column("score", "ok")], WINDOW, release=release)
    assert [one.kind for one in found] == (["code change", "data drift"] if so else ["data drift"])
    if so:
        assert (
            f"v1.3.0 came on {came[:10]}, with changed code (src/features.py), changed parameters (params.yaml lr), "
            "changed dependencies (d0, d1, d2 and 2 more)"
        ) in found[0].said


def test_a_release_alone_is_no_sign() -> None:
    release = Release("2026-11-19T00:00:00Z", changes=CHANGES)
    assert signs([], [column("age", "ok"), column("score", "ok")], WINDOW, release=release) == ()
