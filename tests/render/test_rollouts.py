"""Rollouts on every surface: the outcome first, each thing once, and nothing drawn that was not measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mlgate.model import ArmSeen, Check, Evidence, Look, Verdict
from mlgate.render import annotations, cells, course, html, junit, markdown, openmetrics, scales, terminal, timeline
from render import rollouts, samples
from render.shapes import Page, blocks, inline_html, texts
from render.shapes import links as linked

NAMES = sorted(rollouts.ALL)


def page(evidence: Evidence) -> str:
    return html.page([evidence])


def words(text: str) -> Page:
    found = Page()
    found.feed(text)
    return found


def shown(evidence: Evidence, width: int = 100) -> str:
    return terminal.show([evidence], color=False, width=width)


def drawn(evidence: Evidence) -> course.Drawn:
    found = timeline.course(evidence)
    assert found is not None
    made = course.draw(found)
    assert made is not None
    return made


def panel(made: course.Drawn, title: str) -> course.Panel:
    return next(one for one in made.panels if one.title.startswith(title))


def path(made: course.Drawn, title: str, style: str) -> str:
    return next(one.path for one in panel(made, title).shapes if one.style == style)


# -- the steps ---------------------------------------------------------------------------------------------------------


def test_steps_carry_all_requests_and_errors_of_their_looks() -> None:
    evidence = rollouts.turned_back()
    found = timeline.course(evidence)
    assert found is not None
    assert [step.name.replace("\u202f", " ") for step in found.steps] == ["Start", "5 %", "25 %", "Turned back"]
    for arm in timeline.ARMS:
        looks = [seen for look in evidence.timeline if (seen := getattr(look, arm)) is not None]
        total = found.total(arm)
        assert total is not None
        assert (total.requests, total.errors) == (sum(s.requests for s in looks), sum(s.errors for s in looks))
    assert [one.number for step in found.steps for one in step.happened] == [1, 2, 3, 4, 5, 6]
    assert [step.tone for step in found.steps] == ["", "", "fail", "fail"]


def test_a_step_begins_when_its_weight_was_set_not_at_its_first_look() -> None:
    found = timeline.course(rollouts.turned_back())
    assert found is not None
    assert [step.clock for step in found.steps] == ["12:00:00", "12:00:09", "12:02:49", "12:03:29"]
    moves = [(f"{at:%H:%M:%S}", weight) for at, weight in timeline.levels(found.points)]
    assert moves == [("12:00:00", 0.0), ("12:00:09", 5.0), ("12:02:49", 25.0), ("12:03:29", 0.0)]


def test_callers_are_not_counted_again_at_each_look() -> None:
    """With sticky callers each look has read its whole step."""
    looks = [
        rollouts.look(at, 5, "5 %", canary=rollouts.arm(count, count // 10), stable=rollouts.arm(10 * count))
        for at, count in ((10, 20), (20, 50), (30, 90))
    ]
    counted = Check(
        id="rollout.requests", group="rollout", title="callers of the canary", verdict=Verdict.PASS, observed=90.0
    )
    evidence = rollouts.evidence("pass", "It goes on.", [counted], looks)
    found = timeline.course(evidence)
    assert found is not None
    total = found.total("canary")
    assert total is not None
    assert (total.requests, total.errors) == (90, 9)
    assert not found.incomplete


def test_counts_that_are_not_whole_are_said_to_be_so() -> None:
    evidence = rollouts.turned_back()
    more = [
        check.model_copy(update={"observed": 9_000.0}) if check.id == "rollout.requests" else check
        for check in evidence.checks
    ]
    thinned = evidence.model_copy(update={"checks": more})
    for render in (page, lambda one: markdown.comment([one])):
        assert "thinned out" in render(thinned)
        assert "thinned out" not in render(evidence)


# -- the drawing -------------------------------------------------------------------------------------------------------


def test_no_line_goes_through_looks_without_a_request() -> None:
    made = drawn(rollouts.held())
    assert made.silent
    for arm in timeline.ARMS:
        name = "the canary" if arm == "canary" else "stable"
        assert path(made, f"Latency of {name}", f"curve {arm} p95").count("M") == 2
        assert path(made, "Errors", f"curve {arm}").count("M") == 2
        looks = [getattr(look, arm) for look in rollouts.held().timeline]
        asked = sum(1 for seen in looks if seen is not None and seen.requests)
        silent = sum(1 for seen in looks if seen is not None and not seen.requests)
        assert path(made, f"Requests of {name}", f"bar {arm}").count("M") == asked
        assert path(made, f"Requests of {name}", "none").count("M") == silent


def test_no_line_goes_from_one_weight_to_the_next() -> None:
    made = drawn(rollouts.complete())
    assert path(made, "Latency of the canary", "curve canary p50").count("M") == 3
    assert path(made, "Latency of stable", "curve stable p50").count("M") == 3


def test_the_weight_falls_to_the_ground_at_the_end() -> None:
    made = drawn(rollouts.turned_back())
    weight = panel(made, "Share of the traffic")
    line = path(made, "Share of the traffic", "curve canary")
    heights = [float(v) for v in re.findall(r"V([\d.]+)", line)]
    assert heights == [*sorted(heights[:-1], reverse=True), weight.frame.bottom]
    assert [text.replace("\u202f", " ") for _, _, text in weight.labels] == ["5 %", "25 %"]


@pytest.mark.parametrize("make", [rollouts.first, rollouts.shadow, rollouts.batch, rollouts.rolled_back])
def test_nothing_is_drawn_where_no_share_was_held(make: object) -> None:
    evidence = make()  # type: ignore[operator]
    found = timeline.course(evidence)
    assert found is not None
    assert course.draw(found) is None
    assert "step by step" in page(evidence)


@pytest.mark.parametrize(
    ("seconds", "first", "most"),
    [(2, "12:00:00", 8), (75, "12:00:00", 8), (3_000, "12:00", 8), (40_000, "12:00", 8), (900_000, "2026-11-", 8)],
)
def test_times_are_round_and_few_enough_to_be_read(seconds: float, first: str, most: int) -> None:
    looks = [*rollouts.begun(), rollouts.look(seconds, 5, "5 %", canary=rollouts.arm(9), stable=rollouts.arm(90))]
    looks[1] = looks[1].model_copy(update={"at": looks[0].at})
    ticks = drawn(rollouts.evidence("pass", "It goes on.", [], looks)).across
    assert 2 <= len(ticks) <= most + 1
    assert ticks[0].text.startswith(first)
    gaps = [b.at - a.at for a, b in pairwise(ticks)]
    assert min(gaps) > 8 * max(len(tick.text) for tick in ticks[1:])


def test_latency_of_both_arms_has_one_scale_and_far_values_make_it_logarithmic() -> None:
    made = drawn(rollouts.turned_back())
    canary, stable = panel(made, "Latency of the canary"), panel(made, "Latency of stable")
    assert [tick.text for tick in canary.upward] == [tick.text for tick in stable.upward]
    assert scales.of([10.0], 5.0, 40.0) == scales.Scale((0.0, 20.0, 40.0), logarithmic=False)
    assert scales.of([10.0, 11.0], 5.0, 9_000.0) == scales.Scale((1.0, 10.0, 100.0, 1e3, 1e4), logarithmic=True)


@pytest.mark.parametrize("most", [0.0, 1.0, 2.0, 3.0, 7.0, 9.99, 10.0, 99.0, 101.0, 1e6, 1e15])
def test_an_axis_ends_no_lower_than_what_is_on_it(most: float) -> None:
    ticks = scales.upward(most)
    assert ticks[0] == 0
    assert ticks[-1] >= most
    assert 2 <= len(ticks) <= 5


def extreme() -> Iterator[list[Look]]:
    huge = ArmSeen(requests=10**400, errors=-5, latency_p50_ms=-1.0, latency_p95_ms=1e308, latency_p99_ms=5e-324)
    yield [Look(at="never", weight=5.0, step="5 %", canary=huge, stable=huge)]
    yield [Look(at="2026-11-20T12:00:00Z", weight=1e308, step="x", canary=huge), Look(at="0001-01-01", weight=-1e308)]
    yield [Look(at="9999-12-31T23:59:59Z", weight=5.0, step="5 %", stable=huge)]
    yield [
        Look(at="0001-01-01T00:00:00Z", weight=5.0, step="5 %", canary=huge, stable=ArmSeen(requests=1, errors=1)),
        Look(at="9999-12-31T23:59:59-01:00", weight=50.0, step="50 %", canary=huge),
    ]
    yield [Look(at="2026-11-20T12:00:00Z", weight=float(at % 101), event="held: x" * 9) for at in range(3_000)]


@pytest.mark.parametrize("looks", list(extreme()), ids=["no time", "backwards", "one", "ages", "many"])
def test_anything_that_evidence_can_say_is_shown(looks: list[Look]) -> None:
    evidence = rollouts.evidence("pass", "It goes on.", [], looks)
    text = page(evidence)
    assert "nan" not in text
    for value in re.findall(r'(?:x|y|x1|x2|y1|y2)="(-?[\d.e+]+)"', text):
        assert -20 <= float(value) <= 900
    assert len(markdown.comment([evidence])) < 20_000
    assert len(shown(evidence).splitlines()) < 60


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_page_lists_the_last_step_first(name: str) -> None:
    evidence = rollouts.ALL[name]()
    found = timeline.course(evidence)
    assert found is not None
    text = page(evidence)
    table = text[text.index("the last first") :]
    at = [table.index(f'<th scope="row">{step.name}</th>') for step in found.last_first]
    assert at == sorted(at)
    assert "<script" not in text


def test_the_page_says_what_it_draws_and_numbers_what_happened() -> None:
    text = page(rollouts.turned_back())
    assert 'aria-label="Weight of the canary 0\u202f% → 5\u202f% → 25\u202f% → 0\u202f% from 12:00:00' in text
    assert "1,400 requests, 26 errors (1.9\u202f%)" in text
    assert ">4–6</text>" in text
    assert "The rollout: what was measured" in text
    assert "<h4>The release</h4>" in text
    assert "The rollout: 2 other checks passed" in text
    found = words(text).words
    assert "Champion" not in found
    assert "this change" not in found.lower()


@settings(max_examples=30, deadline=None)
@given(texts)
def test_hostile_text_in_a_timeline_changes_words_only(text: str) -> None:
    text = f"x-{text[:300]}"
    hostile, tame = words(page(rollouts.hostile(text))), words(page(rollouts.hostile("ta-me")))
    assert hostile.tags == tame.tags
    assert blocks(markdown.comment([rollouts.hostile(text)])) == blocks(markdown.comment([rollouts.hostile("ta-me")]))
    assert inline_html(markdown.comment([rollouts.hostile(text)])) <= {
        "<code>", "</code>", "<sub>", "</sub>", "<!-- mlgate:volatile -->"
    }  # fmt: skip
    assert not linked(markdown.comment([rollouts.hostile(text)]))


# -- Markdown ----------------------------------------------------------------------------------------------------------


def test_the_comment_begins_with_the_end_and_draws_the_weight() -> None:
    text = markdown.comment([rollouts.turned_back()])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.split("|")[2].replace("\u202f", " ").strip() for row in rows[2:6]] == [
        "**Turned back**", "**25 %**", "**5 %**", "**Start**"
    ]  # fmt: skip
    assert re.search(r"^weight  ·+▁+▃+  0.%", text, re.MULTILINE)
    assert "704 requests (26 errors, 3.7\u202f%; p95 13 ms)" in rows[3]
    assert "| | Check | Stable | Canary |".replace(" ", "") in text.replace(" ", "")


def test_what_decided_is_said_once() -> None:
    said = "the ratio lies between 3.1 and 12"
    assert markdown.comment([rollouts.turned_back()]).count(said) == 1
    assert " ".join(shown(rollouts.turned_back()).split()).count(said) == 1
    assert sum(said in note.message for note in annotations.of([rollouts.turned_back()])) == 1


def test_shares_are_percent_and_rules_are_called_by_their_metric() -> None:
    text = markdown.comment([rollouts.turned_back()]).replace("\u202f", " ")
    assert "| error_rate (lower is better) | 0.5 % | 4.2 % |" in text
    assert "| split of the traffic |  | 24.61 % |" in text
    assert "at most 1.5x stable" in text
    shared = markdown.comment([rollouts.shadow()]).replace("\u202f", " ")
    assert "98.71 %" in shared
    assert "(98.24 to 99.06 %)" in shared or "(98.2 to 99.1 %)" in shared


def test_a_rollout_that_passed_beside_a_comparison_is_folded_and_told() -> None:
    deploy = rollouts.complete().model_copy(update={"model": "doctor-visits", "verdict": Verdict.PASS})
    text = markdown.comment([samples.passed(), deploy])
    assert "<summary>✅ deploy: visits v1.2.0 is in production.</summary>" in text
    assert text.index("<summary>✅ deploy") < text.index("**All traffic**")


@pytest.mark.parametrize("count", [1, 40, 400])
def test_a_comment_stays_short_however_long_it_took(count: int) -> None:
    looks = [
        look
        for step in range(count)
        for look in rollouts.watched(step * 60, 2, (step * 7) % 100 + 1, bad=0.01)
    ]  # fmt: skip
    looks = [look.model_copy(update={"event": "held: " + "why " * 40}) for look in looks]
    evidence = rollouts.evidence("inconclusive", "It goes on.", [], looks)
    assert len(markdown.comment([evidence])) < 14_000
    assert len(shown(evidence).splitlines()) < 90


# -- the terminal ------------------------------------------------------------------------------------------------------


def test_the_terminal_begins_with_the_outcome_and_goes_through_the_steps() -> None:
    lines = shown(rollouts.turned_back(), width=160).splitlines()
    assert lines[0].startswith("visits v1.2.0 was turned back: `error_rate <= 1.5x stable` is broken.")
    text = "\n".join(lines)
    assert "challenger" not in text
    assert "  production   canary   3 min 30 s   now at 0 %   traffic moved back within 0.4 s   commit d4e5f6a" in lines
    steps = [line.split()[1] for line in lines if re.match(r"  \d\d:\d\d:\d\d  ", line)]
    assert steps == ["Start", "5", "25", "Turned"]
    assert "canary 704 requests (26 errors, 3.7 %; p95 13 ms)" in text
    assert "deploy.outcome" not in text
    assert "production: outcome" not in text
    assert lines[-1] == "verdict: fail"


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", NAMES)
def test_lines_fit_the_width(name: str, width: int) -> None:
    evidence = rollouts.ALL[name]()
    copied = {line.strip() for check in evidence.checks for line in check.fix.splitlines()}
    for line in shown(evidence, width).splitlines():
        assert cells.of(line) <= width or line.strip() in copied, line


def test_an_outcome_that_the_headline_does_not_say_is_still_shown() -> None:
    evidence = rollouts.turned_back().model_copy(update={"title": "Something else."})
    for text in (shown(evidence), markdown.comment([evidence]), page(evidence)):
        assert "production: outcome" in text


# -- other programs ----------------------------------------------------------------------------------------------------


def test_metrics_of_a_rollout() -> None:
    text = openmetrics.text([rollouts.turned_back(), rollouts.rolled_back()])
    found = {
        (sample.name, sample.labels["verb"], sample.labels.get("arm", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith("mlgate_rollout")
    }
    assert found["mlgate_rollout_weight_percent", "deploy", ""] == 0
    assert found["mlgate_rollout_weight_percent", "rollback", ""] == 100
    assert found["mlgate_rollout_seconds_to_zero", "deploy", ""] == 0.42
    assert found["mlgate_rollout_seconds_to_zero", "rollback", ""] == 0.9
    assert found["mlgate_rollout_requests", "deploy", "canary"] == 1_400
    assert found["mlgate_rollout_errors", "deploy", "canary"] == 26
    assert 'role="stable"' in text
    assert 'role="champion"' not in text


def test_cases_and_notes_stand_below_the_title_of_their_group() -> None:
    root = ET.fromstring(junit.xml([rollouts.turned_back()]))  # noqa: S314 -- made here
    names = {case.get("name"): case.get("classname") for case in root.iter("testcase")}
    assert names["Both statements are signed (deploy.signed)"] == "visits deploy: The release"
    assert names["error_rate <= 1.5x stable (rollout.error_rate)"] == "visits deploy: The rollout"
    assert names["production: outcome (deploy.outcome)"] == "visits deploy: The rollout"
    assert len(names) == len(rollouts.turned_back().checks)
    failure = next(root.iter("failure"))
    assert "stable: 0.5\u202f%" in (failure.text or "")
    titles = [note.title for note in annotations.of([rollouts.turned_back()])]
    assert "visits: The release: Both statements are signed" in titles
    assert "visits: The rollout: production: outcome" in titles


def test_every_check_that_is_not_pass_is_annotated_or_said_by_the_outcome() -> None:
    for make in rollouts.ALL.values():
        evidence = make()
        said = " ".join(note.message for note in annotations.of([evidence]))
        for check in evidence.checks:
            if check.verdict is not Verdict.PASS:
                assert check.reason in said
