"""Who is told what, and when: over runs that follow each other, with channels that fail and hours that are quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config.watching import Notify, Quiet
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Alert
from mlgate.watch import alerts
from mlgate.watch.alerts import Matter, News, forgotten, is_quiet, plan

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
DRIFT = Matter("visits", "production", "drift", "critical", "on", said="psi.age 0.31 > 0.2")
HOUR = timedelta(hours=1)


def settings(**more: Any) -> Notify:
    return Notify.model_validate({"channels": {"chat": "CHAT_URL", "pager": "PAGER_URL"}, **more})


class Days:
    """A ledger, and runs of `notify` over it."""

    def __init__(self, settings: Notify) -> None:
        self.settings = settings
        self.records: list[Record] = []
        self.told: list[tuple[datetime, str, str]] = []  # when, what, who

    def run(self, now: datetime, *matters: Matter, down: tuple[str, ...] = ()) -> list[News]:
        news = plan(matters, self.records, self.settings, now)
        for one in news:
            ok = [name for name in one.channels if name not in down]
            wrong = [name for name in one.channels if name in down]
            self.told += [(now, one.state, name) for name in ok]
            if one.remembered:
                self.write(alerts.entry(one, {}, now, sent=ok, failed=wrong))
        return news

    def write(self, entry: Alert) -> None:
        self.records.append(Record(entry, "l" * 32, "events", len(self.records) + 1, "", ""))

    def said(self) -> list[tuple[str, str]]:
        return [(what, who) for _, what, who in self.told]


def over(matter: Matter = DRIFT) -> Matter:
    return replace(matter, state="over")


# -- one alert ---------------------------------------------------------------------------------------------------------


def test_it_is_told_once_and_when_it_is_over() -> None:
    days = Days(settings())
    for hour in range(6):
        days.run(NOON + hour * HOUR, DRIFT)
    days.run(NOON + 7 * HOUR, over())
    days.run(NOON + 8 * HOUR, over())
    assert days.said() == [("raised", "chat"), ("raised", "pager"), ("recovered", "chat"), ("recovered", "pager")]


def test_what_never_was_is_not_over() -> None:
    assert plan([over()], [], settings(), NOON) == []


def test_it_is_said_again_after_the_time_that_is_set_and_not_before() -> None:
    days = Days(settings(repeat="6h"))
    for hour in range(13):
        days.run(NOON + hour * HOUR, DRIFT)
    assert [(at - NOON) // HOUR for at, _, who in days.told if who == "chat"] == [0, 6, 12]
    assert [what for what, who in days.said() if who == "chat"] == ["raised", "repeated", "repeated"]


def test_the_same_window_twice_is_told_once() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT)
    assert days.run(NOON, DRIFT) == []


def test_a_second_time_is_told_anew() -> None:
    days = Days(settings())
    for hour, matter in enumerate([DRIFT, over(), DRIFT]):
        days.run(NOON + hour * HOUR, matter)
    assert [what for what, who in days.said() if who == "chat"] == ["raised", "recovered", "raised"]


@pytest.mark.parametrize("first", [DRIFT, over()])
def test_what_is_unclear_begins_nothing_and_ends_nothing(first: Matter) -> None:
    days = Days(settings())
    days.run(NOON, first)
    before = days.said()
    assert days.run(NOON + 30 * HOUR, replace(DRIFT, state="unclear")) == []
    assert days.said() == before


def test_models_environments_and_rules_are_told_apart() -> None:
    days = Days(settings())
    others = [replace(DRIFT, model="loans"), replace(DRIFT, environment="staging"), replace(DRIFT, key="auc")]
    days.run(NOON, DRIFT)
    assert len(days.run(NOON, DRIFT, *others)) == 3


def test_a_severity_that_rises_is_told_at_once_and_one_that_falls_is_not() -> None:
    days = Days(settings())
    days.run(NOON, replace(DRIFT, severity="warn"))
    assert [news.state for news in days.run(NOON + HOUR, DRIFT)] == ["repeated"]
    assert days.run(NOON + 2 * HOUR, replace(DRIFT, severity="warn")) == []


# -- to whom -----------------------------------------------------------------------------------------------------------


def test_severities_have_routes() -> None:
    routed = settings(routes={"critical": "pager", "warn": ["chat"], "info": []} | {"info": ["chat"]})
    assert plan([DRIFT], [], routed, NOON)[0].channels == ("pager",)
    assert plan([replace(DRIFT, severity="warn")], [], routed, NOON)[0].channels == ("chat",)
    assert plan([DRIFT], [], settings(routes={"info": "chat"}), NOON)[0].channels == ("chat", "pager")


def test_one_who_could_not_be_reached_is_told_by_the_next_run_and_the_others_are_not_told_twice() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT, down=("pager",))
    days.run(NOON + HOUR, DRIFT, down=("pager",))
    days.run(NOON + 2 * HOUR, DRIFT)
    days.run(NOON + 3 * HOUR, DRIFT)
    assert days.said() == [("raised", "chat"), ("raised", "pager")]


def test_an_end_that_could_not_be_told_is_told_by_the_next_run() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT)
    days.run(NOON + HOUR, over(), down=("pager",))
    days.run(NOON + 2 * HOUR, over(), down=("pager",))
    days.run(NOON + 3 * HOUR, over())
    days.run(NOON + 4 * HOUR, over())
    assert days.said()[2:] == [("recovered", "chat"), ("recovered", "pager")]


def test_what_begins_again_is_told_to_one_who_has_not_heard_the_end() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT)
    days.run(NOON + HOUR, over(), down=("pager",))
    days.run(NOON + 2 * HOUR, DRIFT)
    assert ("raised", "pager") in days.said()[2:]


def test_only_those_hear_the_end_who_heard_the_beginning() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT, down=("pager",))
    days.run(NOON + HOUR, over())
    assert days.said() == [("raised", "chat"), ("recovered", "chat")]


def test_a_channel_that_is_added_hears_of_what_goes_on() -> None:
    days = Days(settings(channels={"chat": "CHAT_URL"}))
    days.run(NOON, DRIFT)
    days.settings = settings()
    assert days.run(NOON + HOUR, DRIFT)[0].channels == ("pager",)


def test_a_channel_that_is_gone_is_left_out() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT)
    days.settings = settings(channels={"chat": "CHAT_URL"})
    assert days.run(NOON + HOUR, over())[0].channels == ("chat",)


def test_ends_can_be_left_unsaid() -> None:
    days = Days(settings(recovered=False))
    days.run(NOON, DRIFT)
    days.run(NOON + HOUR, over())
    assert {what for what, _ in days.said()} == {"raised"}
    days.run(NOON + 2 * HOUR, DRIFT)
    assert days.said()[2:] == [("raised", "chat"), ("raised", "pager")]


def test_without_channels_it_is_remembered_all_the_same() -> None:
    days = Days(settings(channels={}))
    assert [(news.state, news.channels, news.remembered) for news in days.run(NOON, DRIFT)] == [("raised", (), True)]
    assert days.run(NOON + HOUR, DRIFT) == []
    assert [news.state for news in days.run(NOON + 2 * HOUR, over())] == ["recovered"]


# -- issues ------------------------------------------------------------------------------------------------------------


def test_an_issue_is_opened_kept_up_to_date_and_closed_and_only_changes_are_remembered() -> None:
    days = Days(settings(channels={"board": {"issue": True}}, recovered=False, quiet=None))
    first, second, last = (days.run(NOON + n * HOUR, matter)[0] for n, matter in enumerate([DRIFT, DRIFT, over()]))
    assert (first.state, first.channels, first.kept) == ("raised", ("board",), ())
    assert (second.channels, second.kept, second.remembered) == ((), ("board",), False)
    assert (last.state, last.channels) == ("recovered", ("board",))
    assert len(days.records) == 2


def test_the_number_of_an_issue_is_remembered_beyond_its_end() -> None:
    days = Days(settings(channels={"board": {"issue": True}}))
    [news] = plan([DRIFT], [], days.settings, NOON)
    days.write(alerts.entry(news, {}, NOON, sent=["board"], failed=(), issue="17"))
    assert days.run(NOON + HOUR, DRIFT)[0].issue == "17"
    assert days.run(NOON + HOUR, over())[0].issue == "17"
    assert days.run(NOON + 2 * HOUR, DRIFT)[0].issue == "17"


# -- quiet hours -------------------------------------------------------------------------------------------------------

NIGHT = {"since": "22:00", "until": "07:00", "zone": "Europe/Berlin"}
WARN = replace(DRIFT, severity="warn")


def test_what_is_not_urgent_waits_for_the_first_run_after() -> None:
    days = Days(settings(quiet=NIGHT))
    for hour in range(24):
        days.run(datetime(2026, 11, 18, 21, tzinfo=UTC) + hour * HOUR, WARN)  # 22:00 in Berlin
    assert [(at.hour, what) for at, what, who in days.told if who == "chat"] == [(6, "raised")]  # 07:00 there
    assert [record.entry.state for record in days.records] == ["held", "raised"]  # type: ignore[attr-defined]


def test_what_is_urgent_is_sent_all_the_same() -> None:
    assert plan([DRIFT], [], settings(quiet=NIGHT), NOON.replace(hour=23))[0].state == "raised"
    assert plan([WARN], [], settings(quiet=NIGHT | {"above": "warn"}), NOON.replace(hour=23))[0].state == "raised"


def test_what_ends_before_the_night_does_is_told_to_nobody() -> None:
    days = Days(settings(quiet=NIGHT))
    days.run(NOON.replace(hour=23), WARN)
    days.run(NOON.replace(hour=23) + HOUR, over(WARN))
    days.run(NOON + 24 * HOUR, over(WARN))
    assert days.said() == []


def test_an_end_at_night_is_told_in_the_morning() -> None:
    days = Days(settings(quiet=NIGHT))
    days.run(NOON, WARN)
    for hour in range(10, 25):
        days.run(NOON + hour * HOUR, over(WARN))
    assert [(at - NOON) // HOUR for at, what, who in days.told if (what, who) == ("recovered", "chat")] == [18]


def test_an_issue_is_kept_at_night_too() -> None:
    days = Days(settings(channels={"chat": "CHAT_URL", "board": {"issue": True}}, quiet=NIGHT))
    [news] = days.run(NOON.replace(hour=23), WARN)
    assert (news.state, news.channels) == ("held", ("board",))
    days.run(NOON.replace(hour=23) + HOUR, WARN)
    assert days.said() == [("held", "board")]


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        ("2026-11-18T20:59:59Z", False),  # winter: 21:59:59 there
        ("2026-11-18T21:00:00Z", True),
        ("2026-11-19T05:59:59Z", True),
        ("2026-11-19T06:00:00Z", False),
        ("2026-07-15T20:00:00Z", True),  # summer: 22:00 there
        ("2026-07-16T05:00:00Z", False),
        ("2026-03-29T00:59:59Z", True),  # the night in which the clock jumps from two to three
        ("2026-03-29T05:00:00Z", False),  # 07:00 already
        ("2026-10-25T05:59:59Z", True),  # the night that is an hour longer: 06:59:59
        ("2026-10-25T06:00:00Z", False),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(at: str, *, quiet: bool) -> None:
    assert is_quiet(Quiet.model_validate(NIGHT), datetime.fromisoformat(at)) is quiet


def test_weekends_and_hours_within_a_day() -> None:
    siesta = Quiet.model_validate({"since": "13:00", "until": "15:00", "weekends": True})
    assert [is_quiet(siesta, NOON.replace(hour=hour)) for hour in (12, 13, 14, 15)] == [False, True, True, False]
    assert is_quiet(siesta, datetime(2026, 11, 21, 9, tzinfo=UTC))
    assert not is_quiet(siesta, datetime(2026, 11, 23, 9, tzinfo=UTC))


@pytest.mark.parametrize(
    ("change", "key"),
    [({"zone": "Mars/Olympus"}, "zone"), ({"zone": "../etc/passwd"}, "zone"), ({"since": "ten"}, "since"),
     ({"until": "25:00"}, "until")],
)  # fmt: skip
def test_hours_that_are_none_are_said(change: dict[str, str], key: str) -> None:
    with pytest.raises(MlgateError) as caught:
        is_quiet(Quiet.model_validate(NIGHT | change), NOON)
    assert caught.value.key == f"notify.quiet.{key}"
    assert caught.value.fix


# -- two runs at once, and rules that are gone -------------------------------------------------------------------------


def test_what_another_run_is_telling_is_left_to_it_for_a_while() -> None:
    days = Days(settings())
    [news] = plan([DRIFT], days.records, days.settings, NOON)
    days.write(alerts.claim(news, {}, NOON))
    assert days.run(NOON + timedelta(minutes=1), DRIFT) == []
    assert [news.state for news in days.run(NOON + timedelta(minutes=16), DRIFT)] == ["raised"]  # it has died


def test_an_end_that_was_claimed_and_never_told_is_told() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT)
    [news] = plan([over()], days.records, days.settings, NOON + HOUR)
    days.write(alerts.claim(news, {}, NOON + HOUR))
    assert days.run(NOON + HOUR, over()) == []
    assert days.run(NOON + 2 * HOUR, over())[0].channels == ("chat", "pager")


def test_an_alert_of_a_rule_that_is_gone_is_over() -> None:
    days = Days(settings())
    days.run(NOON, DRIFT, replace(DRIFT, key="step deploy"), replace(DRIFT, key="auc"))
    like = replace(DRIFT, key="", state="over", said="")
    [gone] = forgotten([replace(DRIFT, key="auc")], days.records, like)
    assert (gone.key, gone.state, gone.said) == ("drift", "over", "the rule is no longer there")
    days.run(NOON + HOUR, gone)
    assert forgotten([replace(DRIFT, key="auc")], days.records, like) == []
    assert forgotten([], days.records, replace(like, environment="staging")) == []


# -- whatever happens --------------------------------------------------------------------------------------------------

_STEPS = st.lists(
    st.tuples(
        st.integers(1, 30),  # hours since the run before
        st.sampled_from(["on", "on", "on", "over", "unclear"]),
        st.sampled_from(["info", "warn", "critical"]),
        st.sets(st.sampled_from(["chat", "pager"])),  # who cannot be reached
    ),
    max_size=30,
)


@given(_STEPS, st.booleans())
def test_nobody_is_told_twice_and_nothing_is_lost(steps: list[Any], at_night: bool) -> None:
    days = Days(settings(repeat="24h", quiet=NIGHT if at_night else None))
    now, heard = NOON, dict[str, tuple[datetime, int]]()
    for hours, state, severity, down in steps:
        now += hours * HOUR
        matter = replace(DRIFT, state=state, severity=severity)
        count = len(days.told)
        days.run(now, matter, down=tuple(down))
        new = {who: what for _, what, who in days.told[count:]}
        assert len(new) == len(days.told) - count  # one message to each
        rank = ["info", "warn", "critical"].index(severity)
        for who, what in new.items():
            if what == "recovered":
                del heard[who]  # raises for one who never heard that it began
                continue
            if what == "repeated" and who in heard:
                at, before = heard[who]
                assert now - at >= 24 * HOUR or rank > before
            heard[who] = (now, rank)
        silent = at_night and severity != "critical" and is_quiet(Quiet.model_validate(NIGHT), now)
        if state == "on" and not silent:
            assert {"chat", "pager"} - down <= heard.keys()
