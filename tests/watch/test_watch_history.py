"""What is kept of a window, once; and what was kept of those before it."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from mlgate.ledger.kinds import Reading, parse
from mlgate.watch import history, readings
from mlgate.watch.history import History
from mlgate.watch.nouns import Section, Window
from mlgate.watch.rules import judge
from watch.alarm_samples import LETTERS, NOON, WHERE, WINDOW, course, measure, reading, records, rule, section, states

WHO: dict[str, Any] = {"actor": "cron", "commit": "a" * 40, "run_url": "https://ci.example/1"}
SUBJECT = {"sha256": "1" * 64}


def kept(*sections: Section, window: Window = WINDOW, **more: Any) -> list[Reading]:
    found = judge({"drift": rule()}, sections, [], window, **WHERE)
    given: dict[str, Any] = {**WHERE, "subject": SUBJECT, "who": WHO, **more}
    return readings.entries(sections, found, window, **given)


SECTION = section(
    measure("psi.age", 0.31, 0.2, rows=900), measure("ks.age", None, 0.1, reason="few"), measure("mean", None)
)


def test_a_window_is_kept_as_sections_measures_and_rules() -> None:
    found = {(one.monitor, one.name): one for one in kept(SECTION)}
    assert list(found) == [("drift", "drift"), ("drift", "psi.age"), ("drift", "ks.age"), ("rule", "drift")]
    age = found["drift", "psi.age"]
    assert (age.state, age.value, age.limit, age.rows) == ("breached", 0.31, 0.2, 900)
    assert (age.window, age.at) == ("2026-11-19T00:00:00Z/2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z")
    assert (age.model, age.environment, age.subject, age.actor) == ("visits", "production", SUBJECT, "cron")
    assert (found["drift", "ks.age"].state, found["drift", "ks.age"].reason) == ("unknown", "few")
    assert found["rule", "drift"].reason == "psi.age 0.31 (limit 0.2)"
    assert all(parse(one.to_dict()) == one for one in found.values())


def test_a_second_run_has_the_same_ids_and_everything_else_has_others() -> None:
    first = [one.id for one in kept(SECTION)]
    again = kept(section(measure("psi.age", 0.5, 0.2), measure("ks.age", None, 0.1)), who={"actor": "ada"})
    assert [one.id for one in again] == first
    assert len(set(first)) == 4
    for other in (
        {"window": WINDOW.earlier()},
        {"model": "other"},
        {"environment": "staging"},
        {"subject": {"sha256": "2" * 64}},
    ):
        assert not {one.id for one in kept(SECTION, **other)} & set(first), other


def test_what_came_to_nothing_does_not_stand_in_the_way_of_what_was_measured_later() -> None:
    nothing, measured = (kept(section(measure("psi.age", value, 0.2))) for value in (None, 0.31))
    assert not {one.id for one in nothing} & {one.id for one in measured}
    for both in (nothing + measured, measured + nothing):
        found = History(records(both)).states(**WHERE, name="psi.age", window=WINDOW.earlier(-1), monitor="drift")
        assert found == ["breached"]
    later = kept(section(measure("psi.age", 0.1, 0.2)))
    found = History(records(measured + later)).states(
        **WHERE, name="psi.age", window=WINDOW.earlier(-1), monitor="drift"
    )
    assert found == ["breached"]  # the first measurement stands


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_kept_as_unknown(value: float) -> None:
    found = {one.name: one for one in kept(section(measure("psi.age", value, 0.2, state="ok"), state="ok"))}
    assert (found["psi.age"].state, found["psi.age"].value) == ("unknown", None)
    assert found["drift"].state == "unknown"


def test_a_section_of_an_earlier_window_is_kept_as_that() -> None:
    due = WINDOW.earlier(7)
    auc = section(measure("auc", 0.6, kind="performance"), kind="performance")
    found = {(one.monitor, one.name): one for one in kept(SECTION, auc, windows={"performance": due})}
    assert (found["performance", "auc"].window, found["performance", "auc"].at) == (str(due), "2026-11-13T00:00:00Z")
    assert found["drift", "psi.age"].window == found["rule", "drift"].window == str(WINDOW)


def test_names_that_people_choose_are_kept_as_they_can_be_and_apart() -> None:
    odd = [f"psi.{'x' * 600}{end}" for end in "ab"] + ["psi.tab\there", "psi.Größe"]
    found = [one for one in kept(section(*(measure(name, 0.1, 0.2) for name in odd))) if one.name.startswith("psi.")]
    assert len({one.id for one in found}) == 4
    assert [len(one.name) for one in found] == [500, 500, 12, 9]


# -- back -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "B", "oB", "?B", "B.o", "..B", "Bo?B?oo", "o....................B"])
def test_states_of_the_windows_before(text: str) -> None:
    found = History(course("drift", text)).states(**WHERE, name="drift", window=WINDOW, monitor="rule")
    assert found == states(text.replace(".", "?"))


def test_states_begin_where_something_was_known() -> None:
    found = History(course("drift", "o??")).states(**WHERE, name="drift", window=WINDOW, monitor="rule")
    assert found == ["ok"]


def test_however_long_a_window_is() -> None:
    for length in (timedelta(hours=1), timedelta(days=365), timedelta(days=20_000)):
        window = Window.before(NOON, length)
        old = records([reading("drift", "breached", window.earlier())]) if length.days < 20_000 else []
        found = History(old).states(**WHERE, name="drift", window=window, monitor="rule")
        assert found == ["breached"] * len(old)


def test_past_and_since() -> None:
    days = [reading("psi.age", LETTERS[s], WINDOW.earlier(n), monitor="drift", value=v, limit=0.2)
            for n, s, v in ((4, "o", 0.1), (3, "B", 0.3), (2, "?", None), (1, "B", 0.4))]  # fmt: skip
    other = [reading("psi.age", "ok", WINDOW.earlier(1)), reading("psi.age", "ok", WINDOW, monitor="drift", value=9.0)]
    known = History(records([*other, *days[::-1]]))
    (found,) = history.past(known, ["psi.age", "psi.none", "psi.age"], WINDOW, **WHERE)
    assert (found.name, found.limit, found.values) == ("psi.age", 0.2, (0.1, 0.3, None, 0.4))
    assert found.at == tuple(f"2026-11-{day}T00:00:00Z" for day in (16, 17, 18, 19))
    assert found.states == ("ok", "breached", "unknown", "breached")
    (short,) = history.past(known, ["psi.age"], WINDOW, **WHERE, since="2026-11-18T00:00:00Z")
    assert short.values == (None, 0.4)
    assert history.since(known, "psi.age", WINDOW, **WHERE) == "2026-11-16T00:00:00Z"
    assert history.since(known, "psi.other", WINDOW, **WHERE) == "2026-11-19T00:00:00Z"
    assert history.since(known, "psi.age", WINDOW.earlier(3), **WHERE) == "2026-11-16T00:00:00Z"


def test_what_is_no_window_is_left_alone() -> None:
    one = reading("drift", "breached", WINDOW.earlier())
    odd = [one.model_copy(update={"window": text}) for text in ("", "yesterday", "x" * 41)]
    assert History(records(odd)).states(**WHERE, name="drift", window=WINDOW, monitor="rule") == []
