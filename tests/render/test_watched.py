"""Production on every surface: what moved first, nothing drawn that was not measured, no text that leaves its place."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mlgate.model import Bars, Check, Evidence, Past, Verdict
from mlgate.render import cells, html, junit, layout, markdown, openmetrics, past, spread, terminal, watched
from render import samples, watches
from render.shapes import Page, blocks, inline_html, texts
from render.shapes import links as linked

NAMES = sorted(watches.ALL)
THIN = "\u202f"


def page(evidence: Evidence) -> str:
    return html.page([evidence])


def words(text: str) -> Page:
    found = Page()
    found.feed(text)
    return found


def shown(evidence: Evidence, width: int = 120) -> str:
    return terminal.show([evidence], color=False, width=width)


def samples_of(evidence: Evidence) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(openmetrics.text([evidence])):
        for one in family.samples:
            found.setdefault(one.name, []).append((dict(one.labels), one.value))
    return found


def replaced(evidence: Evidence, **more: object) -> Evidence:
    assert evidence.watched is not None
    return evidence.model_copy(update={"watched": evidence.watched.model_copy(update=more)})


# -- order and words ---------------------------------------------------------------------------------------------------


def test_what_moved_comes_first_prediction_and_score_before_features() -> None:
    seen = watched.of(watches.moved())
    assert seen is not None
    assert [one.name for one in seen.columns[:5]] == ["score", "age", "health", "income", "prediction"]
    assert [one.word for one in seen.columns[:5]] == ["moved", "moved", "moved", "unknown", "steady"]
    assert [(one.seen.rule, one.seen.state) for one in seen.alerts] == [
        ("drift", "firing"), ("performance", "pending"), ("data", "recovered"), ("slo", "quiet")
    ]  # fmt: skip
    assert [one.tone.value for one in seen.alerts] == ["fail", "warn", "pass", "pass"]


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "20 November 2026, UTC"),
        ("2026-11-12T00:00:00Z", "2026-11-19T00:00:00Z", "12 to 18 November 2026, UTC"),
        ("2026-10-29T00:00:00Z", "2026-11-05T00:00:00Z", "29 October to 4 November 2026, UTC"),
        ("2025-12-25T00:00:00Z", "2026-01-01T00:00:00Z", "25 to 31 December 2025, UTC"),
        ("2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z", "29 December 2025 to 4 January 2026, UTC"),
        ("2026-11-20T13:00:00Z", "2026-11-20T14:00:00Z", "20 November 2026, 13:00 to 14:00, UTC"),
        ("2026-11-20T23:00:00Z", "2026-11-21T01:00:00Z", "20 November 2026 23:00 to 21 November 2026 01:00, UTC"),
        ("2026-11-20T01:00:00+01:00", "2026-11-21T01:00:00+01:00", "20 November 2026, UTC"),
        ("then", "now", "then to now"),
    ],
)
def test_a_window_is_said_as_people_say_it(since: str, until: str, said: str) -> None:
    assert watched.window(since, until) == said


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("2026-11-12", "12 November"),
        ("2026-11-12T00:00:00Z", "12 November"),
        ("2026-11-12T06:30:00Z", "12 November 06:30"),
        ("2025-12-31T00:00:00Z", "31 December 2025"),
        ("long ago", "long ago"),
    ],
)
def test_since_when(since: str, said: str) -> None:
    assert watched.since(since, watches.END) == said


def test_every_surface_says_what_crossed_what_since_when_and_by_how_much() -> None:
    evidence = watches.moved()
    for text in (words(page(evidence)).words, shown(evidence), markdown.comment([evidence])):
        plain = text.replace(THIN, " ").replace("->", "→").replace("&gt;", ">")
        for said in ("drift_share 32 % > 30 %", "14 November", "mean 41.2 → 46.8", "noise 0.011", "PSI 0.42",
                     "12,034", "corrupt lines: 3", "since 12 November" if text.startswith("doctor") else "12 November",
                     "every value is missing", "Reads as data drift"):  # fmt: skip
            assert said in plain, said
        assert "in the future" not in plain  # there were none


def test_what_the_tables_say_is_not_said_again() -> None:
    evidence = watches.moved()
    for text in (words(page(evidence)).words, markdown.comment([evidence]), shown(evidence)):
        assert "in 5 of the last 5 windows." not in text
    assert "psi.age" not in [row.title for row in layout.rules(evidence)]


def test_a_check_of_what_no_table_has_is_shown_as_it_is() -> None:
    """A rule or a column that is missing in `watched` must not vanish because its check is called so."""
    stray = watches.check("watch.rules.lost", "lost", Verdict.FAIL, reason="lost is so.")
    column = watches.check(
        "watch.drift.psi.gone", "psi.gone", Verdict.FAIL, observed=0.4, limit=0.2, greater_is_better=False
    )
    broken = watches.check("watch.rules.drift", "drift", Verdict.ERROR, reason="drift cannot be asked.")
    evidence = watches.moved()
    evidence = evidence.model_copy(update={"checks": [*evidence.checks, stray, column, broken]})
    for text in (words(page(evidence)).words, markdown.comment([evidence]), shown(evidence)):
        assert "lost is so" in text
        assert "psi.gone" in text
        assert "drift cannot be asked" in text


def test_what_is_only_estimated_is_one_sentence_and_no_row() -> None:
    evidence = watches.moved()
    for text in (words(page(evidence)).words, markdown.comment([evidence]), shown(evidence)):
        plain = " ".join(text.split())
        assert "Expected without truth, from the scores alone, and shown only: accuracy 0.687." in plain
        assert "accuracy, expected without truth" not in plain.partition('"checks"')[0]


def test_a_window_that_ended_at_midnight_is_one_of_the_day_before() -> None:
    drawn = past.draw(watches.past("psi.age", [0.1] * 10, 0.2))
    assert drawn is not None
    assert [tick.text for tick in drawn.across] == ["11 Nov", "16 Nov", "20 Nov"]


def test_many_columns_that_are_unknown_for_one_reason_share_a_line() -> None:
    text = shown(watches.few())
    assert text.count("500 needed") == 3
    assert "prediction and 3 more" in text
    assert markdown.comment([watches.few()]).count("112 rows in the window") == 2


def test_shares_are_percent_and_times_milliseconds_on_every_surface() -> None:
    evidence = watches.moved()
    for text in (words(page(evidence)).words, markdown.comment([evidence]), shown(evidence)):
        plain = text.replace(THIN, " ")
        assert "42.3 ms" in plain
        assert "0.11 %" in plain
        assert "0.0423" not in plain


def test_the_terminal_keeps_to_its_width_and_colours_only_when_asked() -> None:
    for name in NAMES:
        for width in (60, 80, 120):
            text = shown(watches.ALL[name](), width)
            assert all(cells.of(line) <= width for line in text.splitlines())
            assert text.isascii() or "…" in text or "é" in text
            assert "\x1b" not in text
    assert "\x1b[1;31mfiring\x1b[0m" in terminal.show([watches.moved()], color=True, width=120)


# -- several models ----------------------------------------------------------------------------------------------------


def test_several_models_are_one_page_with_a_row_each() -> None:
    many = [watches.moved(), watches.calm("churn"), watches.few().model_copy(update={"model": "fraud"})]
    text = html.page(many)
    table = text[text.index('<section class="all') : text.index("<article")]
    assert table.count("<svg") == 2  # too few rows: nothing to draw
    read = words(table)
    for said in ("firing", "pending", "unknown", "drift_share", "psi.prediction", "20 November 2026"):
        assert said in read.words
    only = html.page([samples.passed(), samples.failed().model_copy(update={"model": "b"})])
    assert "Alerts</th>" not in only  # nobody has looked at production


# -- charts ------------------------------------------------------------------------------------------------------------


def test_a_line_stops_where_nothing_was_measured_or_a_window_is_missing() -> None:
    line = watches.past("psi.age", [0.01, 0.02, None, 0.03, 0.02], 0.2)
    drawn = past.draw(line)
    assert drawn is not None
    assert drawn.line.count("M") == 2
    assert len(drawn.unknown) == 1
    holes = Past(
        name="psi.age",
        at=tuple(f"2026-11-{day:02}T00:00:00Z" for day in (1, 2, 3, 4, 9, 10, 11)),
        values=(0.01,) * 7,
        states=("ok",) * 7,
    )
    found = past.draw(holes)
    assert found is not None
    assert found.line.count("M") == 2
    assert found.unknown == ()


def test_the_limit_is_on_the_chart_and_what_crossed_it_is_marked() -> None:
    line = watches.past("psi.age", [0.01, 0.02, 0.3, 0.25, 0.02], 0.2)
    drawn = past.draw(line)
    assert drawn is not None
    assert drawn.limit is not None
    crossed = [dot for dot in drawn.dots if dot.state == "breached"]
    assert len(crossed) == 2
    assert all(dot.y < drawn.limit for dot in crossed)
    assert all(dot.y > drawn.limit for dot in drawn.dots if dot.state == "ok")
    assert drawn.said == "psi.age: 0.02 at the end, limit 0.2, crossed in 2 of 5 windows"
    far = past.draw(watches.past("auc", [0.722, 0.721, 0.719], 0.5, below=True))
    assert far is not None
    assert far.limit is not None
    assert 16 <= far.limit <= 108


def test_what_never_changes_has_an_axis_that_makes_sense() -> None:
    for value, ends in ((1.0, ["0\u202f%", "100\u202f%"]), (0.0, ["0\u202f%", "50\u202f%"])):
        drawn = past.draw(watches.past("truth_share", [value] * 5, None))
        assert drawn is not None
        assert [drawn.upward[0].text, drawn.upward[-1].text] == ends


@pytest.mark.parametrize("values", [[], [0.1], [None, None, 0.1], [None] * 5])
def test_nothing_is_drawn_of_less_than_two_numbers(values: list[float | None]) -> None:
    line = watches.past("psi.age", values, 0.2)
    assert past.draw(line) is None
    assert past.small(line) is None
    assert past.spark(line) == ""


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.none() | st.floats(-1e12, 1e12) | st.floats(0, 1), min_size=2, max_size=400),
    limit=st.none() | st.floats(-1e9, 1e9) | st.floats(0, 1),
)
def test_every_course_stays_in_its_drawing_and_keeps_what_crossed(
    values: list[float | None], limit: float | None
) -> None:
    line = watches.past("psi.age", values, limit)
    drawn = past.draw(line)
    if drawn is None:
        return
    for dot in drawn.dots:
        assert 46 <= dot.x <= 390
        assert 15.9 <= dot.y <= 108.1
    assert drawn.limit is None or 15.9 <= drawn.limit <= 108.1
    if "breached" in line.states:
        assert any(dot.state == "breached" for dot in drawn.dots)
    small = past.small(line)
    assert small is not None
    assert all(0 <= dot.x <= 108 and 0 <= dot.y <= 24 for dot in small.dots)
    assert len(past.spark(line, 30)) in (0, min(30, len(values)))


def test_a_thousand_windows_are_as_many_points_as_can_be_seen() -> None:
    values: list[float | None] = [0.01] * 2160
    values[1234] = 0.5
    until = watches.UNTIL
    at = tuple(f"{until - timedelta(hours=2160 - n):%Y-%m-%dT%H:%M:%SZ}" for n in range(2160))
    states = tuple("breached" if n == 1234 else "ok" for n in range(2160))
    drawn = past.draw(Past(name="psi.age", limit=0.2, at=at, values=tuple(values), states=states))
    assert drawn is not None
    assert drawn.line.count("L") < 260
    assert [dot.state for dot in drawn.dots].count("breached") == 1


def test_bars_stand_for_their_shares() -> None:
    drawn = spread.draw(watches.AGE.bars, upright=True)
    assert drawn is not None
    bars = watches.AGE.bars
    assert bars is not None
    for style, shares in (("before", bars.before), ("now", bars.now)):
        heights = [bar.high for bar in drawn.bars if bar.style == style]
        assert len(heights) == len(shares)
        assert all(abs(high / 98.0 * 0.15 - share) < 0.001 for high, share in zip(heights, shares, strict=True))
    lying = spread.draw(watches.HEALTH.bars, upright=False)
    assert lying is not None
    assert "poor: 11\u202f% before, 27\u202f% now" in lying.said


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.text(max_size=30), st.floats(0, 1), st.floats(0, 1)), max_size=60), upright=st.booleans()
)
def test_bars_stay_in_their_drawing(rows: list[tuple[str, float, float]], *, upright: bool) -> None:
    bars = Bars(labels=tuple(r[0] for r in rows), before=tuple(r[1] for r in rows), now=tuple(r[2] for r in rows))
    drawn = spread.draw(bars, upright=upright)
    assert (drawn is None) is (not rows)
    if drawn is not None:
        assert all(bar.x >= 0 and bar.x + bar.wide <= 401 and bar.y >= 0 for bar in drawn.bars)
        assert all(bar.y + bar.high <= drawn.high for bar in drawn.bars)
        assert len(drawn.bars) == 2 * min(len(rows), 24)


# -- OpenMetrics and JUnit ---------------------------------------------------------------------------------------------


def test_readings_are_exposed_and_what_is_unknown_has_no_sample() -> None:
    found = samples_of(watches.moved())
    place = {"model": "doctor-visits", "environment": "production"}
    assert ({**place, "column": "age", "measure": "psi"}, 0.312) in found["mlgate_monitor_column"]
    assert ({**place, "column": "age", "measure": "noise"}, 0.0114) in found["mlgate_monitor_column"]
    drifted = {labels["column"]: value for labels, value in found["mlgate_monitor_drifted"]}
    assert (drifted["age"], drifted["lab_00"]) == (1, 0)
    assert "income" not in drifted
    readings = {labels["name"]: value for labels, value in found["mlgate_monitor_reading"]}
    assert "auc" not in readings  # its last windows were not measured
    assert readings["latency_p95"] < 0.1
    limits = {labels["name"]: value for labels, value in found["mlgate_monitor_limit"]}
    assert limits["auc"] == 0.7
    states = [
        (labels["rule"], labels["mlgate_monitor_alert"]) for labels, value in found["mlgate_monitor_alert"] if value
    ]
    assert sorted(states) == [("data", "recovered"), ("drift", "firing"), ("performance", "pending"), ("slo", "quiet")]
    assert found["mlgate_monitor_window_end_seconds"] == [(place, watches.UNTIL.timestamp())]
    assert found["mlgate_monitor_window_seconds"] == [(place, 86_400)]
    assert found["mlgate_monitor_rows"] == [(place, 12_034)]
    assert ({**place, "what": "corrupt lines"}, 3) in found["mlgate_monitor_lines"]
    roles = {labels["role"] for labels, _ in found["mlgate_metric"]}
    assert roles == {"production", "committed"}


def test_junit_has_a_case_for_every_check_of_production() -> None:
    evidence = watches.moved()
    root = ET.fromstring(junit.xml([evidence]))  # noqa: S314 -- ours
    assert root.attrib["tests"] == str(len(evidence.checks))
    assert root.attrib["failures"] == str(sum(one.verdict is Verdict.FAIL for one in evidence.checks))
    named = {one.attrib["name"]: one.attrib["value"] for one in root.iter("property")}
    assert (named["environment"], named["until"]) == ("production", watches.END)


# -- hostile text, and the evidence itself -----------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(text=texts)
def test_texts_of_others_change_words_and_nothing_else(text: str) -> None:
    plain, other = watches.hostile("plain"), watches.hostile(text or "x")
    read, again = words(page(plain)), words(page(other))
    assert again.attributes <= read.attributes | {"title"}
    assert not again.open
    assert not [target for target in again.targets if not target.startswith(("#", samples.LINKS.run))]
    assert "script" not in again.tags
    comment = markdown.comment([other])
    assert {block.split(":")[0] for block in blocks(comment)} <= {
        block.split(":")[0] for block in blocks(markdown.comment([plain]))
    }
    assert not [
        tag
        for tag in inline_html(comment)
        if tag not in ("<code>", "</code>", "<sub>", "</sub>") and "mlgate:" not in tag
    ]
    assert linked(comment) == []
    assert "\x1b" not in shown(other)
    list(text_string_to_metric_families(openmetrics.text([other])))
    ET.fromstring(junit.xml([other]))  # noqa: S314 -- ours


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_whole_fetch_nothing_and_their_evidence_reads_back(name: str, tmp_path: Path) -> None:
    evidence = watches.ALL[name]()
    found = words(page(evidence))
    assert not found.open
    assert all(target.startswith("#") for target in found.targets if target != samples.LINKS.run)
    file = tmp_path / "monitor.json"
    file.write_text(evidence.to_json(), "utf-8")
    assert Evidence.from_json(file.read_bytes()) == evidence
    assert json.loads(file.read_text("utf-8"))["watched"]["environment"] == "production"


def test_200_models_with_25_columns_are_a_page_that_a_browser_opens() -> None:
    many = [watches.calm(f"m{n:03}") for n in range(199)] + [watches.moved()]
    text = html.page(many)
    assert len(text) < 12_000_000
    assert len(markdown.comment(many)) < 60_000


def test_thousands_of_columns_do_not_flood_any_surface() -> None:
    columns = tuple(watches.AGE.model_copy(update={"name": f"c{n}"}) for n in range(3000))
    evidence = replaced(watches.moved(), columns=columns)
    assert len(markdown.comment([evidence])) < 60_000
    assert len(shown(evidence).splitlines()) < 100
    text = page(evidence)
    assert text.count('class="moved') == 24
    assert "2976 more moved" in text.replace(",", "")


def test_checks_without_watched_are_as_they_were() -> None:
    check = Check(id="watch.rules.drift", title="drift", group="watch", verdict=Verdict.FAIL, reason="It is so.")
    evidence = watches.moved().model_copy(update={"watched": None, "checks": [check]})
    assert "It is so." in shown(evidence)
