"""Sentences over what a window came to, and what follows from them: verdicts, alerts, retraining."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config.alarms import Alarm, Alarms, When, parse
from mlgate.config.watching import Monitor
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.model import Check, Verdict
from mlgate.watch.history import History
from mlgate.watch.nouns import Section
from mlgate.watch.rules import Judged, all_rules, judge, shown
from mlgate.watch.sentences import Measured, Told
from watch.alarm_samples import ENVIRONMENT, MODEL, WHERE, WINDOW, course, measure, records, rule, section

SECTION = section(
    measure("psi.age", 0.31, 0.2), measure("psi.income", 0.02, 0.2), measure("drift_share", 0.04), measure("auc", None)
)


def tell(when: Any, *sections: Section) -> Told:
    return Measured(sections or (SECTION,)).tell(parse(when))


def judged(sections: list[Section], earlier: list[Record] | None = None, **rules: Any) -> Judged:
    return judge({name: rule(**keys) for name, keys in rules.items()}, sections, earlier or [], WINDOW, **WHERE)


@pytest.mark.parametrize(
    ("when", "state", "said"),
    [
        ("psi.age > 0.2", "breached", "psi.age 0.31 > 0.2"),
        ("psi.age > 0.31", "ok", "psi.age 0.31 is not > 0.31"),
        ("psi.age >= 0.31", "breached", "psi.age 0.31 >= 0.31"),
        ("psi.income >= 2%", "breached", "psi.income 2 % >= 2 %"),
        ("drift_share > 30%", "ok", "drift_share 4 % is not > 30 %"),
        ("psi.age", "breached", "psi.age 0.31 (limit 0.2)"),
        ("psi.income", "ok", "psi.income 0.02 (limit 0.2)"),
        ("auc < 0.7", "unknown", "auc: it was not measured"),
        ("psi.height > 0.2", "unknown", "psi.height was not measured"),
        ("performance", "unknown", "performance was not measured"),
        ("drift", "breached", "psi.age 0.31 (limit 0.2)"),
        ({"any": ["psi.age > 0.2", "auc < 0.7"]}, "breached", "psi.age 0.31 > 0.2"),
        ({"all": ["psi.age > 0.2", "auc < 0.7"]}, "unknown", "auc: it was not measured"),
        ({"all": ["psi.age > 0.4", "auc < 0.7"]}, "ok", "psi.age 0.31 is not > 0.4"),
        ({"any": ["psi.age > 0.4", "auc < 0.7"]}, "unknown", "auc: it was not measured"),
        ({"all": ["psi.age > 0.2", {"any": ["drift", "auc < 0.7"]}]}, "breached", "psi.age 0.31 > 0.2; "
         "psi.age 0.31 (limit 0.2)"),
    ],
)  # fmt: skip
def test_a_sentence(when: Any, state: str, said: str) -> None:
    found = tell(when)
    assert (found.state, found.said) == (state, said)


def test_numbers_are_compared_exactly_and_shown_so_that_they_differ() -> None:
    seen = section(measure("psi.a", 0.1 + 0.2), measure("latency_p95", 0.100000001), measure("psi.b", 1e-9))
    assert tell("psi.a > 0.3", seen).said == "psi.a 0.30000000000000004 > 0.3"
    assert tell("latency_p95 > 100 ms", seen).said == "latency_p95 100.000001 ms > 100 ms"
    assert tell("psi.b > 0", seen).said == "psi.b 1e−9 > 0"
    exact = section(measure("share", 0.3))
    assert tell("share > 30%", exact).state == "ok"
    assert tell("share >= 30%", exact).state == "breached"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("when", ["psi.age > 0.2", "psi.age < 0.2", "psi.age", "drift"])
def test_what_is_no_number_is_neither_so_nor_not_so(value: float | None, when: str) -> None:
    for limit in (None, 0.2):
        claimed = section(measure("psi.age", value, limit, state="ok"), state="ok")
        assert tell(when, claimed).state == "unknown"


def test_a_section_that_measured_nothing_is_not_in_order() -> None:
    assert tell("drift", section(state="ok")).state == "unknown"
    assert tell("drift", section(measure("psi.age", None, 0.2))).state == "unknown"
    few = section(measure("psi.age", None, 0.2, reason="12 rows, and 500 are asked for."))
    assert tell("drift", few).said == "psi.age: 12 rows, and 500 are asked for"


def test_a_section_names_the_first_of_what_moved() -> None:
    many = section(*(measure(f"psi.c{n}", 0.3 + n / 100, 0.2) for n in range(5)))
    assert tell("drift", many).said == (
        "psi.c0 0.3 (limit 0.2), psi.c1 0.31 (limit 0.2), psi.c2 0.32 (limit 0.2) and 2 more"
    )


def test_one_name_in_two_sections_is_the_worse_where_no_number_is_asked() -> None:
    two = (section(measure("auc", 0.8), kind="slo"), section(measure("auc", 0.6, state="breached"), kind="performance"))
    assert tell("auc", *two).state == "breached"


# -- Kleene ----------------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c")
TREES: st.SearchStrategy[When] = st.recursive(
    st.sampled_from(NAMES).map(lambda name: Alarm(name, name)),
    lambda inner: st.builds(
        lambda how, of: Alarms(how, tuple(of)), st.sampled_from(["any", "all"]), st.lists(inner, min_size=2, max_size=3)
    ),
    max_leaves=6,
)


def plain(tree: When, truth: dict[str, bool]) -> bool:
    if isinstance(tree, Alarm):
        return truth[tree.reading]
    return (any if tree.how == "any" else all)(plain(one, truth) for one in tree.of)


@given(TREES, st.fixed_dictionaries({name: st.sampled_from([True, False, None]) for name in NAMES}))
def test_an_answer_holds_whatever_the_unknown_turns_out_to_be(tree: When, truth: dict[str, bool | None]) -> None:
    """And where the answer is known, finding out the rest never changes it."""
    states = {True: "breached", False: "ok", None: "unknown"}
    seen = section(*(measure(name, 1.0, 0.5, state=states[so]) for name, so in truth.items()))
    found = Measured([seen]).tell(tree).state
    unknown = [name for name, so in truth.items() if so is None]
    known = {name: bool(so) for name, so in truth.items()}
    answers = {
        plain(tree, known | dict(zip(unknown, rest, strict=True)))
        for rest in itertools.product([True, False], repeat=len(unknown))
    }
    if found != "unknown":
        assert answers == {found == "breached"}
    elif len(answers) == 1:
        assert len(set(names(tree))) < len(list(names(tree)))  # a word twice: Kleene does not see `a or a`


def names(tree: When) -> list[str]:
    return [tree.reading] if isinstance(tree, Alarm) else [name for one in tree.of for name in names(one)]


# -- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "value", "for_", "earlier", "expected"),
    [
        ("critical", 0.3, 1, "", ("firing", "fail")),
        ("warn", 0.3, 1, "", ("firing", "warn")),
        ("info", 0.3, 1, "", ("firing", "pass")),
        ("critical", 0.3, "2 of 3", "", ("pending", "warn")),
        ("warn", 0.3, "2 of 3", "oo", ("pending", "warn")),
        ("info", 0.3, "2 of 3", "", ("pending", "pass")),
        ("critical", 0.3, "2 of 3", ".B", ("firing", "fail")),
        ("critical", 0.3, "2 of 3", "..B", ("pending", "warn")),
        ("critical", None, 1, "", ("unknown", "inconclusive")),
        ("warn", None, 1, "B", ("unknown", "inconclusive")),
        ("info", None, 1, "", ("unknown", "warn")),
        ("critical", None, "2 of 3", "BB", ("firing", "fail")),
        ("critical", 0.1, 1, "", ("quiet", "pass")),
        ("critical", 0.1, 1, "B", ("recovered", "pass")),
        ("critical", 0.1, "2 of 3", "BB", ("firing", "fail")),
    ],
)
def test_severity_and_persistence_make_the_verdict(
    severity: str, value: float | None, for_: Any, earlier: str, expected: tuple[str, str]
) -> None:
    keys = {"when": "psi.age > 0.2", "severity": severity, "for": for_}
    found = judged([section(measure("psi.age", value, 0.2))], course("age", earlier), age=keys)
    assert (found.alerts[0].state, found.checks[0].verdict) == expected
    assert found.verdict == expected[1]


def test_what_is_said() -> None:
    keys = {"when": "psi.age > 0.2", "for": "3 of 5", "retrain": True, "message": "Call the surgery."}
    found = judged([SECTION], course("age", "B?B"), age=keys)
    alert, check = found.alerts[0], found.checks[0]
    assert (alert.said, alert.held, alert.since) == (
        "psi.age 0.31 > 0.2",
        "in 3 of the last 5 windows, 1 unknown",
        "2026-11-16T00:00:00Z",
    )
    assert (alert.rule, alert.retrain, alert.message) == ("age", True, "Call the surgery.")
    assert check.reason == (
        "psi.age 0.31 > 0.2, in 3 of the last 5 windows, 1 unknown, since 2026-11-16 00:00 UTC. Call the surgery."
    )
    assert (check.id, check.group, check.observed, check.limit) == ("watch.rules.age", "watch", 0.31, 0.2)
    assert check.expected == "not: psi.age > 0.2 in 3 of 5 windows"
    assert found.retrain == ("age",)


def test_only_what_fires_asks_for_a_successor() -> None:
    seen = [SECTION]
    pending = {"when": "psi.age > 0.2", "for": 2, "retrain": True}
    unknown = {"when": "auc < 0.7", "retrain": True}
    quiet = {"when": "psi.age > 0.4", "retrain": True}
    assert judged(seen, pending=pending, unknown=unknown, quiet=quiet).retrain == ()
    assert judged(seen, info={"when": "psi.age", "severity": "info", "retrain": True}).retrain == ("info",)


def test_windows_of_another_length_or_another_model_do_not_count() -> None:
    two = {"when": "psi.age > 0.2", "for": 2}
    day = course("age", "B")
    assert judged([SECTION], day, age=two).alerts[0].state == "firing"
    half = "2026-11-18T12:00:00Z/2026-11-19T00:00:00Z"
    for other in (
        {"model": "other"},
        {"environment": "staging"},
        {"window": half},
        {"monitor": "drift"},
        {"name": "height"},
    ):
        moved = records([day[0].entry.model_copy(update=other)])
        assert judged([SECTION], moved, age=two).alerts[0].state == "pending", other
    # One that was read twice counts once, and what it came to first stands.
    assert judged([SECTION], day * 3, age={**two, "for": 3}).alerts[0].state == "pending"


def test_the_model_before_is_not_held_against_its_successor() -> None:
    new, old = {"sha256": "2" * 64}, {"sha256": "1" * 64}
    rules = {"age": rule(when="psi.age > 0.2", **{"for": 2})}
    for subject, state in ((old, "firing"), (new, "pending"), ({}, "firing")):
        earlier = History(course("age", "B", subject=old))
        found = judge(rules, [SECTION], earlier, WINDOW, model=MODEL, environment=ENVIRONMENT, subject=subject)
        assert found.alerts[0].state == state


# -- what is there without being written ------------------------------------------------------------------------------


def monitor(**keys: Any) -> Monitor:
    return Monitor.model_validate({"logs": "logs", "drift": {"psi": 0.2}, "slo": ["error_rate <= 1%"], **keys})


def test_each_section_has_a_rule_of_its_name() -> None:
    found = all_rules(monitor(rules={"age": {"when": "psi.age > 0.2"}, "slo": {"severity": "warn"}}))
    assert list(found) == ["drift", "slo", "age"]
    assert (found["drift"].severity, found["slo"].severity) == ("critical", "warn")
    empty = judge(found, [], [], WINDOW, **WHERE)
    assert [alert.state for alert in empty.alerts] == ["unknown"] * 3
    assert empty.verdict is Verdict.INCONCLUSIVE


def test_a_rule_that_says_nothing_is_refused() -> None:
    with pytest.raises(MlgateError, match="the rule age does not say when"):
        all_rules(monitor(rules={"age": {"severity": "warn"}}))


def test_no_rules_at_all_are_no_pass() -> None:
    assert Judged(()).verdict is Verdict.ERROR


# -- checks of sections -----------------------------------------------------------------------------------------------


def test_a_section_is_no_worse_than_what_its_rules_came_to() -> None:
    def seen(verdict: str, name: str = "psi.age") -> Check:
        return Check(id=f"watch.drift.{name}", title=name, verdict=Verdict(verdict), group="watch")

    def verdicts(checks: tuple[Check, ...], **rules: Any) -> list[str]:
        those = section(measure("psi.age", 0.31, 0.2), checks=checks)
        return [str(check.verdict) for check in shown([those], judged([those], **rules))]

    checks = (seen("fail"), seen("pass"), seen("inconclusive"), seen("error"))
    assert verdicts(checks, drift={}) == ["fail", "pass", "inconclusive", "error"]
    assert verdicts(checks, drift={"for": 3}) == ["warn", "pass", "warn", "error"]
    assert verdicts(checks, drift={"severity": "warn"}) == ["warn", "pass", "warn", "error"]
    assert verdicts(checks, drift={"severity": "info"}) == ["pass", "pass", "pass", "error"]
    assert verdicts(checks, drift={"severity": "info"}, age={"when": "psi.age > 0.3"})[0] == "fail"
    assert verdicts((seen("warn"),), drift={"when": "psi.age > 0.9"}) == ["warn"]  # beyond its limit without proof
    assert verdicts(checks, other={"when": "auc < 0.7"})[0] == "fail"  # no rule speaks of it: as it is
