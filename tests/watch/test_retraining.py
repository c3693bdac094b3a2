"""When a successor is trained, and what holds it back; two hundred models that ask at once pass no limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Trigger
from mlgate.watch.retraining import Asked, Decision, Triggers, decide, due, end_id, held_id, stale
from watch.alarm_samples import DAY, NOON, events, retrain, trigger

HOUR = timedelta(hours=1)
ID = "1" * 32
ASKED = Asked("visits", "drift", "2026-11-19T00:00:00Z/2026-11-20T00:00:00Z")


def began(ago: timedelta, model: str = "visits", ident: str = ID, **more: Any) -> Trigger:
    return trigger("started", NOON - ago, model, id=ident, **more)


def ended(outcome: str, ago: timedelta, model: str = "visits", start: str = ID) -> Trigger:
    return trigger(outcome, NOON - ago, model, started=start, id=end_id(start))


def asked(*entries: Trigger, ask: Asked = ASKED, now: datetime = NOON, **keys: Any) -> Decision:
    return decide(ask, retrain(**keys), events(*entries), now)


def test_it_starts_where_nothing_holds_it_back() -> None:
    found = asked()
    assert found == Decision(
        True, "the rule drift (2026-11-19T00:00:00Z/2026-11-20T00:00:00Z)", "", ("visits",), ASKED.id()
    )


@pytest.mark.parametrize(
    ("entries", "keys", "held"),
    [
        ([began(HOUR)], {}, "a retraining of visits is under way since 2026-11-20 11:00 UTC"),
        ([began(13 * HOUR)], {}, "the last retraining was started at 2026-11-19 23:00 UTC (it failed), and the next "
                                 "may be at 2026-11-20 23:00 UTC"),  # it had 12 hours
        ([began(13 * HOUR), ended("proposed", HOUR)], {}, "the last retraining was started at 2026-11-19 23:00 UTC, "
                                                          "and the next may be at 2026-11-20 23:00 UTC"),
        ([began(DAY), ended("proposed", HOUR)], {}, ""),  # the cooldown ends with its last second
        ([began(DAY - timedelta(seconds=1)), ended("unchanged", HOUR)], {}, "the last retraining was started at "
         "2026-11-19 12:00 UTC, and the next may be at 2026-11-20 12:00 UTC"),
        ([began(2 * HOUR), ended("proposed", HOUR)], {"cooldown": "1 hour"}, ""),
        ([began(HOUR, "other")], {}, "other is retrained now, and `at_once` is 1"),
        ([began(HOUR, "other")], {"at_once": 2}, ""),
        ([began(HOUR, "other", models=("other", "visits"))], {}, "a retraining of other, visits is under way since "
                                                                 "2026-11-20 11:00 UTC"),
        ([began(13 * HOUR, "other")], {}, ""),  # timed out
        ([began(HOUR, "other"), ended("failed", HOUR, "other")], {}, ""),
        ([trigger("held back", NOON - HOUR)], {}, ""),
        ([began(-HOUR)], {}, "a retraining of visits is under way since 2026-11-20 13:00 UTC"),  # a clock that is ahead
    ],
)  # fmt: skip
def test_what_holds_it_back(entries: list[Trigger], keys: dict[str, Any], held: str) -> None:
    found = asked(*entries, **keys)
    assert (found.start, found.held) == (not held, held)


def test_how_many_in_a_day() -> None:
    def others(n: int, ago: timedelta) -> list[Trigger]:
        return [
            each
            for i in range(n)
            for each in (
                began(ago - i * HOUR, f"m{i}", f"{i:032x}"),
                ended("proposed", ago - i * HOUR, f"m{i}", f"{i:032x}"),
            )
        ]

    assert asked(*others(3, 20 * HOUR)).start
    found = asked(*others(4, 20 * HOUR))
    assert found.held == "4 retrainings were started in the last 24 hours, and `per_day` is 4"
    assert found.until == NOON + 4 * HOUR
    assert decide(ASKED, retrain(), events(*others(4, 20 * HOUR)), NOON + 4 * HOUR).start
    assert asked(*others(4, 20 * HOUR), per_day=5).start


def test_a_pause_doubles_with_each_failure_in_a_row() -> None:
    entries: list[Trigger] = []
    pauses = []
    at = NOON
    for n in range(9):
        found = decide(ASKED, retrain(), events(*entries), at)
        assert found.start
        entries += [trigger("started", at, id=found.id), trigger("failed", at, started=found.id, id=end_id(found.id))]
        until = decide(ASKED, retrain(), events(*entries), at).until
        assert until is not None
        assert not decide(ASKED, retrain(), events(*entries), until - timedelta(seconds=1)).start, n
        pauses.append((until - at) // DAY)
        at = until
    assert pauses == [1, 2, 4, 8, 16, 32, 32, 32, 32]
    assert "(9 failed in a row)" in decide(ASKED, retrain(), events(*entries), at - HOUR).held
    entries += [trigger("started", at, id="f" * 32), trigger("proposed", at, started="f" * 32)]
    assert decide(Asked("visits", "drift", "another window"), retrain(), events(*entries), at + DAY).start


def test_one_cause_starts_once_whoever_asks() -> None:
    first = asked()
    started = trigger("started", NOON, id=first.id)
    again = asked(started, now=NOON + HOUR)
    assert (again.start, again.known, again.id) == (False, True, first.id)
    done = trigger("proposed", NOON + HOUR, started=first.id)
    later = asked(started, done, now=NOON + 30 * DAY)
    assert (later.start, later.known) == (False, True)
    assert later.held.endswith("has started one already, at 2026-11-20 12:00 UTC")
    failed = trigger("failed", NOON + HOUR, started=first.id)
    once_more = asked(started, failed, now=NOON + DAY)
    assert once_more.start
    assert once_more.id not in (first.id, ASKED.id())
    for other in (
        Asked("other", "drift", ASKED.cause),
        Asked("visits", "slo", ASKED.cause),
        Asked("visits", "drift", "x"),
    ):
        assert asked(ask=other).id != first.id


def test_that_it_was_held_back_is_said_once() -> None:
    found = asked(began(HOUR))
    assert not found.known
    noted = trigger("held back", NOON, id=held_id(found.id))
    assert asked(began(HOUR), noted).known


def test_a_group_is_trained_together_and_counts_as_one() -> None:
    group = Asked("b", "drift", "window", models=("c", "a", "b"))
    found = asked(ask=group)
    assert found.models == ("a", "b", "c")
    assert found.id == asked(ask=Asked("c", "drift", "window", models=("a", "b"))).id
    started = trigger("started", NOON, "b", id=found.id, models=("a", "b", "c"))
    assert asked(started, ask=Asked("c", "auc", "window")).held.startswith("a retraining of a, b, c is under way")
    assert asked(started, ask=Asked("d", "auc", "window"), at_once=2).start


def test_a_successor_that_waits_to_be_merged() -> None:
    waits = Asked("visits", "drift", "window", proposed={"visits": "https://forge.example/pull/7"})
    assert asked(ask=waits).held == "a successor of visits waits to be merged: https://forge.example/pull/7"
    assert asked(ask=Asked("visits", "drift", "window", proposed={"other": "x"})).start


def test_whoever_forces_it_waits_for_what_is_under_way_alone() -> None:
    forced = Asked("visits", "manual", "run 1", forced=True, proposed={"visits": "x"})
    assert asked(began(13 * HOUR), began(HOUR, "other", "2" * 32), ask=forced, per_day=1).start
    assert asked(began(HOUR), ask=forced).held.startswith("a retraining of visits is under way")
    first = trigger("started", NOON - DAY, id=forced.id())
    assert asked(first, trigger("proposed", NOON, started=forced.id()), ask=forced).start


def test_the_schedule() -> None:
    week = Decimal(7 * 86400)
    assert not due(None, None, NOON)
    assert due(week, None, NOON)
    assert due(week, NOON - 7 * DAY, NOON)
    assert not due(week, NOON - 6 * DAY, NOON)


def test_what_never_said_how_it_ended() -> None:
    entries = events(began(13 * HOUR), began(HOUR, "other", "2" * 32), began(DAY, "third", "3" * 32),
                     ended("proposed", HOUR, "third", "3" * 32))  # fmt: skip
    assert [run.entry.model for run in stale(entries, retrain(), NOON)] == ["visits"]


# -- storms -----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 90), st.sampled_from("psux")), max_size=150),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_a_storm_never_passes_a_limit(asks: list[tuple[int, int, str]], at_once: int, per_day: int) -> None:
    """Any models ask at any time, and each retraining ends as it likes: proposed, unchanged, never, or failed."""
    keys = retrain(at_once=at_once, per_day=per_day, cooldown="6 hours", timeout="3 hours")
    entries: list[Trigger] = []
    began_at: list[tuple[datetime, str, str, datetime]] = []
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for number, minutes, how in asks:
        now += timedelta(minutes=minutes)
        model = f"m{number}"
        found = decide(Asked(model, "drift", f"{now:%Y-%m-%d}"), keys, events(*entries), now)
        assert found.start != bool(found.held)
        if not found.start:
            continue
        running = [one for one in began_at if one[0] <= now < one[3]]
        assert len(running) < at_once
        assert model not in {one[1] for one in running}
        assert sum(now - one[0] < DAY for one in began_at) < per_day
        assert all(now - one[0] >= 6 * HOUR for one in began_at if one[1] == model)
        assert found.id not in {one[2] for one in began_at}
        end = now + timedelta(hours=3 if how == "x" else 0)
        began_at.append((now, model, found.id, end))
        entries.append(trigger("started", now, model, id=found.id))
        if how != "x":
            outcome = {"p": "proposed", "s": "failed", "u": "unchanged"}[how]
            entries.append(trigger(outcome, now, model, started=found.id, id=end_id(found.id)))


def test_two_hundred_models_in_one_minute() -> None:
    known: list[Record] = []
    for n in range(200):
        found = decide(Asked(f"m{n}", "drift", "window"), retrain(at_once=3), Triggers(known), NOON)
        if found.start:
            known += events(trigger("started", NOON, f"m{n}", id=found.id))
    assert len(known) == 3
