"""The report: one page that fetches nothing, runs nothing, and says the same as everything else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from mlgate.model import Check, Evidence, Verdict
from mlgate.render import html
from mlgate.render.layout import Links
from render import samples
from render.shapes import Page, texts


def page(*evidences: Evidence) -> str:
    return html.page(evidences, links=samples.LINKS)


def parsed(text: str) -> Page:
    found = Page()
    found.feed(text.removeprefix("<!doctype html>"))
    found.close()
    assert not found.open
    return found


@pytest.mark.parametrize("name", sorted(samples.ALL))
def test_every_page_is_whole_and_fetches_nothing(name: str) -> None:
    text = page(samples.ALL[name]())
    found = parsed(text)
    assert text.lstrip().startswith("<!doctype html>")
    assert "default-src 'none'" in text
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(found.tags)
    assert not [a for a in found.attributes if a.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    assert all(t.startswith(("#", "https://forge.example/team/visits/")) for t in found.targets)


def test_a_page_says_verdict_numbers_limit_and_what_would_have_to_change() -> None:
    text = page(samples.failed())
    words = parsed(text).words
    for said in ("doctor-visits", "fail", "0.5812", "0.5992", "up to +2 %", "3 days, 2 commits", "14 of 14"):
        assert said in words
    assert "<title>fail: doctor-visits · mlgate</title>" in text
    assert "<code>log_loss</code> needs to come back to 0.5928 or less." in text


def test_tables_have_headers_and_charts_have_words() -> None:
    text = page(samples.with_intervals())
    assert text.count("<th scope=") >= 10
    assert 'aria-label="log_loss: this change 0.5992, limit 0.5928, champion 0.5812"' in text
    assert text.count('role="img"') == 2


def test_the_limit_lies_where_the_allowed_region_ends() -> None:
    lower = html.chart(samples.LOG_LOSS_WORSE)
    higher = html.chart(samples.AUC)
    assert lower is not None
    assert higher is not None
    assert lower.band[0] == 0
    assert lower.band[1] == lower.limit.x < lower.observed.x
    assert higher.band[0] == higher.limit.x < higher.observed.x
    assert lower.champion is not None
    assert lower.champion.x < lower.limit.x
    assert html.chart(samples.AUC.model_copy(update={"observed": "NaN"})) is None
    assert html.chart(samples.AUC.model_copy(update={"limit": None})) is None


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324, 0.0])
def test_a_chart_of_extreme_values_stays_on_the_page(value: float) -> None:
    drawn = html.chart(samples.AUC.model_copy(update={"observed": value, "champion": -value, "limit": value / 2}))
    if drawn is not None:
        assert 0 <= drawn.observed.x <= 400
    page(samples.evidence(checks=[samples.AUC.model_copy(update={"observed": value, "change": value})]))


def test_changed_rules_and_unread_things_are_not_folded() -> None:
    text = page(samples.rule_change())
    before = text[: text.index("compare.rules.auc.threshold</code>")]
    assert before.count("<details") == before.count("</details>")
    assert "Not read" in text


def test_many_models_are_an_index_then_the_bad_ones_then_folds() -> None:
    text = page(*samples.many(200))
    words = parsed(text).words
    assert "195 of 200 models pass; 1 error, 2 fail, 1 inconclusive, 1 warn." in words
    assert text.count("<article") == 70
    assert text.count('class="folded"') == 66
    assert "130 models unchanged" in words
    targets = [t[1:] for t in parsed(text).targets if t.startswith("#")]
    assert len(targets) == 5
    assert all(f'id="{t}"' in text for t in targets)


def test_no_evidence_is_a_page_too() -> None:
    assert "There is no evidence" in parsed(page()).words


def test_another_step_of_the_same_model_stands_inside_it() -> None:
    text = page(samples.failed(), samples.doctor())
    assert text.count("<article") == 1
    assert text.index('<section class="step fail"><h3>doctor') < text.index("other checks passed")


@settings(max_examples=40, deadline=None)
@given(texts)
def test_hostile_text_changes_words_only(text: str) -> None:
    text = f"x-{text[:400]}"  # raw evidence that grows too large is left out
    found, tame = parsed(page(samples.hostile(text))), parsed(page(samples.hostile("ta-me")))
    assert found.tags == tame.tags
    assert found.attributes == tame.attributes
    assert not [t for t in found.targets if not t.startswith(("#", "https://forge.example/team/visits/"))]


def test_control_characters_show_by_name() -> None:
    text = page(samples.hostile("a\x1b[31m\u202e\x00b"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "a␛[31m⟨U+202E⟩␀b" in text


def test_an_address_that_is_not_of_the_web_is_no_link() -> None:
    text = html.page([samples.failed()], links=Links(run="javascript:alert(1)", commit="data:"))
    assert "javascript:" not in text
    assert parsed(text).targets == []


def test_raw_evidence_is_there_and_is_left_out_when_it_is_too_large() -> None:
    assert "Evidence as it was written" in page(samples.failed())
    large = samples.failed().model_copy(update={"not_run": ["x" * 300_000]})
    assert "Evidence as it was written" not in page(large)


def test_only_the_page_needs_its_template_engine() -> None:
    source = Path(html.__file__).parents[2]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from mlgate.render import annotations, html, junit, markdown, openmetrics, terminal\n"
        "sys.exit(int('jinja2' in sys.modules or 'requests' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(source)], check=False).returncode == 0


def test_no_colour_carries_meaning_alone() -> None:
    text = page(*(samples.passed().model_copy(update={"verdict": v, "model": v.value}) for v in Verdict))
    for verdict in Verdict:
        glyph = html.GLYPH[verdict]
        assert f'<span class="badge {verdict}"><span aria-hidden="true">{glyph}</span> {verdict}</span>' in text


@pytest.mark.parametrize(("verdicts", "heading"), [("fail", "What does not hold"), ("pass fail", "What was measured")])
def test_the_table_of_a_step_is_called_what_it_is(verdicts: str, heading: str) -> None:
    found = [
        Check(id=f"image.{n}", group="image", title=f"image_mb {n}", verdict=Verdict(word), reason="", observed=512.0)
        for n, word in enumerate(verdicts.split())
    ]
    text = page(samples.evidence(kind="build-image", checks=found))
    assert f"<h3>{heading}</h3>" in text
    assert text.count("<h3>What ") == 1


def test_checks_are_other_ones_only_beside_some_that_are_shown() -> None:
    passed = Check(id="image.user", group="image", title="is not root", verdict=Verdict.PASS, reason="")
    shown = passed.model_copy(update={"id": "image.image_mb", "observed": 512.0})
    assert "<summary>1 check passed</summary>" in page(samples.evidence(kind="build-image", checks=[passed]))
    assert "<summary>1 other check passed</summary>" in page(
        samples.evidence(kind="build-image", checks=[passed, shown])
    )
