"""What is where, what was there, how often in a row: pure questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import deployment, made, promotion, reading

from mlgate.ledger import query
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Comparison, Decision, Entry, Reset, Rollback, Trigger
from mlgate.ledger.verify import examine


def records(*entries: Entry) -> list[Record]:
    return list(examine(made(list(entries))).records) if entries else []


def back(n: int, **more: str) -> Rollback:
    given = {"model": "visits", "environment": "production", "reason": "errors"}
    return Rollback(**{**given, **more}, subject={"sha256": f"{n:064x}"})  # type: ignore[arg-type]


def number(record: Record | None) -> int | None:
    return int(record.entry.subject["sha256"], 16) if record else None


def there(entries: list[Entry]) -> tuple[int | None, int | None]:
    found = records(*entries)
    return (
        number(query.current(found, "visits", "production")),
        number(query.previous(found, "visits", "production")),
    )


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], (None, None)),
        ([promotion(1)], (1, None)),
        ([promotion(1), promotion(2)], (2, 1)),
        ([deployment(1), promotion(1), deployment(2), promotion(2)], (2, 1)),  # deployed, then promoted: once each
        ([promotion(1), deployment(2, state="started")], (1, None)),
        ([promotion(1), deployment(2, state="advanced"), deployment(2, state="aborted")], (1, None)),
        ([promotion(1), promotion(2), back(1)], (1, None)),  # 2 was taken away: it is not what a rollback puts back
        ([promotion(1), promotion(2), promotion(3), back(2)], (2, 1)),
        ([promotion(1), promotion(2), promotion(3), back(1)], (1, None)),
        ([promotion(1), promotion(2), back(1), promotion(3)], (3, 1)),
        ([promotion(1), promotion(2), back(7)], (7, 1)),  # to one that the ledger never saw there
        ([promotion(1), promotion(2), promotion(1)], (1, 2)),
        ([promotion(1), promotion(2, environment="staging"), promotion(3, model="other")], (1, None)),
    ],
)
def test_current_and_previous(entries: list[Entry], expected: tuple[int | None, int | None]) -> None:
    assert there(entries) == expected


def test_on_a_date() -> None:
    found = records(*(promotion(n, at=f"2026-09-{n:02d}T12:00:00Z") for n in (3, 5, 9)))
    on = {day: number(query.current(found, "visits", "production", on=day)) for day in (
        "2026-09-02", "2026-09-03", "2026-09-04", "2026-09-05T11:59:59Z", "2026-09-05T14:00:00+02:00", "2026-12-31",
    )}  # fmt: skip
    assert list(on.values()) == [None, 3, 3, 3, 5, 9]
    assert number(query.previous(found, "visits", "production", on="2026-09-30")) == 5
    with pytest.raises(ValueError, match="Invalid isoformat"):
        query.current(found, "visits", "production", on="yesterday")


def test_a_clock_that_goes_backwards_reorders_nothing() -> None:
    def now(second: int) -> str:
        return f"2026-09-21T14:13:{second:02d}Z"

    found = records(promotion(1, at=now(20)), promotion(2, at=now(5)))
    assert number(query.current(found, "visits", "production")) == 2


def test_readings_in_a_row() -> None:
    def read(day: int, state: str, **more: str) -> Entry:
        return reading(1, state, at=f"2026-09-{day:02d}T06:00:00Z", **more)

    found = records(
        read(1, "breached"), read(2, "ok"), read(3, "breached"), read(4, "breached"), read(4, "breached", name="auc"),
        read(5, "breached"), read(5, "ok", environment="staging"),
    )  # fmt: skip
    run = query.consecutive(found, "visits", "production", "psi.age")
    assert [record.entry.at[8:10] for record in run] == ["03", "04", "05"]
    assert query.days(run) == 3
    assert query.days(run[:1] + run[2:]) == 1  # a day without a reading
    assert query.days([]) == 0
    twice = records(read(1, "breached"), read(1, "breached"), read(2, "breached"))
    assert query.days(query.consecutive(twice, "visits", "production", "psi.age")) == 2
    unknown = records(read(1, "breached"), read(2, "unknown"))
    assert query.consecutive(unknown, "visits", "production", "psi.age") == []


def test_the_last_trigger_is_one_that_started_something() -> None:
    def trigger(n: int, outcome: str, rule: str = "drift") -> Trigger:
        return Trigger(model="visits", rule=rule, outcome=outcome, reason=str(n))  # type: ignore[arg-type]

    found = records(trigger(1, "started"), trigger(2, "started", "schedule"), trigger(3, "held back"))
    last, of_drift = query.last_trigger(found, "visits"), query.last_trigger(found, "visits", rule="drift")
    assert last is not None
    assert of_drift is not None
    assert (last.entry.reason, of_drift.entry.reason) == ("2", "1")  # type: ignore[attr-defined]
    assert query.last_trigger(found, "other") is None


def test_challengers_of_one_test_set_are_counted_once_each() -> None:
    def looked(n: int, digest: str = "dvc-md5:aa") -> Comparison:
        return Comparison(
            model="visits", subject={"sha256": f"{n:064x}"}, verdict="fail", evaluation={"holdout": digest}
        )

    decided = Decision(
        model="visits", subject={"sha256": f"{3:064x}"}, verdict="pass", rules="sha256:0", statement="0" * 64,
        evaluation={"holdout": "dvc-md5:aa"}, record={},
    )  # fmt: skip
    found = records(looked(1), looked(2), looked(2), looked(4, "dvc-md5:bb"), decided)
    assert [int(s["sha256"], 16) for s in query.challengers(found, "dvc-md5:aa")] == [1, 2, 3]
    assert query.challengers(found, "dvc-md5:aa", model="other") == []
    made_for = query.decision(found, "visits", {"sha256": f"{3:064x}", "dvc-md5": "0" * 32})
    assert made_for is not None
    assert query.decision(found, "visits", {"sha256": f"{1:064x}"}) is None
    assert query.decision(found, "visits", {}) is None


def test_resets_of_the_anchor() -> None:
    def reset(n: int) -> Reset:
        return Reset(model="visits", anchor=f"{n:040x}", approved_by=("bob",), reason="new baseline")

    found = records(reset(1), promotion(1), reset(2))
    assert [int(r.entry.anchor, 16) for r in query.resets(found, "visits")] == [1, 2]  # type: ignore[attr-defined]


def test_history_fits_all_that_is_asked() -> None:
    found = records(promotion(1, at="2026-09-01T00:00:00Z"), deployment(2, at="2026-09-02T23:59:59Z"), back(1))
    assert [r.entry.kind for r in query.history(found, model="visits")] == ["promotion", "deployment", "rollback"]
    assert [r.entry.kind for r in query.history(found, until="2026-09-02")] == ["promotion", "deployment"]
    assert [r.entry.kind for r in query.history(found, kinds=["rollback"])] == ["rollback"]
    assert [r.entry.kind for r in query.history(found, since="2026-09-02", until="2026-09-02")] == ["deployment"]


@given(st.lists(st.tuples(st.sampled_from("pdr"), st.integers(0, 3)), max_size=12))
def test_current_is_the_last_that_was_put_there(steps: list[tuple[str, int]]) -> None:
    entries: list[Entry] = [{"p": promotion, "d": deployment, "r": back}[how](n) for how, n in steps]  # type: ignore[operator]
    now, before = there(entries)
    assert now == (steps[-1][1] if steps else None)
    assert before is None or before != now


def test_questions_to_what_was_ordered_once_have_the_same_answers() -> None:
    found = records(
        promotion(1, at="2026-09-03T00:00:00Z"), promotion(2, at="2026-09-01T00:00:00Z"), promotion(9, model="other"),
        deployment(3), back(1), reading(1, "breached"), promotion(4, model="third"),
    )  # fmt: skip
    known = query.Ordered(found)
    assert list(known) == query.in_order(found) == query.in_order(known)
    for model in ("visits", "other", "third", "none", ""):
        assert query.history(known, model=model) == query.history(found, model=model)
        assert query.current(known, model, "production") == query.current(found, model, "production")
        assert query.previous(known, model, "production") == query.previous(found, model, "production")


def test_a_retraining_of_several_models_is_that_of_each() -> None:
    together = Trigger(model="visits", models=("visits", "stays"), rule="drift", outcome="started")
    found = records(together)
    assert [query.last_trigger(found, model) is not None for model in ("visits", "stays", "other")] == [
        True,
        True,
        False,
    ]
