"""The comment: what a reviewer sees first, and what nobody can break from inside."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from mlgate.forges import VOLATILE
from mlgate.model import Evidence, Verdict
from mlgate.render import markdown
from render import samples
from render.shapes import MARKDOWN, OURS, REFERENCES, blocks, inline_html, links, texts, words_outside_code

THIN = "\u202f"
FAILED = f"""\
> [!CAUTION]
> **doctor-visits: fail.** `log_loss` is 3.1 % worse than the champion; at most 2 % is allowed.

|  | Metric | Champion `a1b2c3d` | This change | Difference | Allowed | Rows |
| --- | --- | ---: | ---: | ---: | --- | ---: |
| ❌ | log_loss (lower is better) | 0.5812 | 0.5992 | +3.1{THIN}% | up to +2 % | 6,057 |
| ✅ | auc | 0.7204 | 0.7222 | +0.0018 | down to −0.010 | 6,057 |
| ✅ | auc | 0.7204 | 0.7222 |  | at least 0.70 | 6,057 |

```text
                  champion              limit
log_loss              ├───────────────────┤          ●      155{THIN}% of what is allowed
auc                 ● ├───────────────────┤                 better than the champion
```

<details><summary>3 other checks passed</summary>

- ✅ `metrics/eval.json` matches dvc.lock
- ✅ stage evaluate is fresh
- ✅ every metrics file is committed: 1 file.

</details>

<details><summary>Since the champion (3 days, 2 commits): parameters 1, data 0, code 1</summary>{VOLATILE}

- `params.yaml train.learning_rate` `0.10` → `0.30`
- `src/train.py` changed

</details>

**To pass:** `log_loss` needs to come back to 0.5928 or less.

<sub>controls 14 of 14 · point estimates decided · nothing left unread · \
[report](https://forge.example/team/visits/actions/runs/7/artifacts/1) · \
[evidence](https://forge.example/team/visits/actions/runs/7/artifacts/2) · \
[run](https://forge.example/team/visits/actions/runs/7) · \
commit [`d4e5f6a`](https://forge.example/team/visits/commit/{samples.CHALLENGER})</sub> {VOLATILE}
"""


def comment(*evidences: Evidence, **more: int) -> str:
    return markdown.comment(evidences, links=samples.LINKS, **more)


def table(body: str) -> list[list[str]]:
    """The cells of the first table, as a forge reads them."""
    rows: list[list[str]] = []
    tokens = MARKDOWN.parse(body)
    for at, token in enumerate(tokens):
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            rows[-1].append(tokens[at + 1].content)
    return rows


def test_a_failed_model() -> None:
    assert comment(samples.failed()) == FAILED


def test_the_table_is_a_table() -> None:
    rows = table(comment(samples.with_intervals()))
    assert rows[0] == ["", "Metric", "Champion `a1b2c3d`", "This change", "Difference and interval", "Allowed", "Rows"]
    assert [row[0] for row in rows[1:]] == ["❌", "⚠️", "✅"]
    assert rows[1][4] == f"+3.1{THIN}% (+2.4 to +3.8)"
    assert {len(row) for row in rows} == {7}


def test_columns_without_a_value_are_left_out() -> None:
    rows = table(comment(samples.first_champion()))
    assert rows[0] == ["", "Metric", "This change", "Allowed", "Rows"]


@pytest.mark.parametrize(
    ("make", "alert"),
    [
        (samples.passed, "TIP"),
        (samples.first_champion, "WARNING"),
        (samples.inconclusive, "IMPORTANT"),
        (samples.failed, "CAUTION"),
        (samples.broken, "CAUTION"),
    ],
)
def test_the_first_line_is_the_verdict(make: object, alert: str) -> None:
    evidence = make()  # type: ignore[operator]
    first, second = comment(evidence).split("\n")[:2]
    assert first == f"> [!{alert}]"
    assert second.startswith(f"> **doctor-visits: {evidence.verdict}.** ")


def test_no_chart_when_it_would_say_nothing() -> None:
    assert "champion              limit" in comment(samples.failed())
    assert "champion              limit" not in comment(samples.passed())


def test_an_error_shows_what_to_do() -> None:
    body = comment(samples.broken())
    assert "it was edited after `dvc repro`." in body
    fences = [t.content for t in MARKDOWN.parse(body) if t.type == "fence"]
    assert fences == ["dvc repro evaluate\ngit add dvc.lock metrics/eval.json\n"]
    assert f"[`metrics/eval.json`]({samples.LINKS.file}{samples.CHALLENGER}/metrics/eval.json)" in body


def test_changed_rules_stand_in_the_open() -> None:
    body = comment(samples.rule_change())
    change = "`compare.rules.auc.threshold` `0.70` → `0.65`"
    assert change in body
    assert "<details>" not in body[: body.index(change)]
    passed = comment(samples.rule_change().model_copy(update={"verdict": Verdict.PASS}), samples.passed())
    assert change in passed


def test_what_was_not_read_is_listed() -> None:
    body = comment(samples.rule_change())
    assert "**Not read:**\n\n- data/test.parquet: the remote needs credentials" in body
    assert "1 not read" in body


def test_report_mode_says_that_nothing_is_blocked() -> None:
    body = comment(samples.failed().model_copy(update={"mode": "report"}))
    assert "> Report mode: this verdict blocks nothing." in body
    assert "blocks nothing" not in comment(samples.failed())


def test_what_a_fork_reports_about_itself_is_never_green() -> None:
    forked = samples.passed().model_copy(update={"source": samples.source(reported_by_fork=True)})
    lines = comment(forked).split("\n")
    assert lines[0] == "> [!NOTE]"
    assert lines[1].startswith("> **doctor-visits: pass, as reported by the fork’s own run.** ")
    assert "[!CAUTION]" in comment(forked.model_copy(update={"verdict": Verdict.FAIL}))


def test_another_step_that_passed_is_one_word_and_one_that_failed_a_section() -> None:
    doctor = samples.doctor()
    well = doctor.model_copy(update={"verdict": Verdict.PASS, "checks": doctor.checks[1:]})
    assert "· doctor pass ·" in comment(samples.passed(), well)
    assert table(comment(samples.passed(), well)) == table(comment(samples.passed()))
    both = comment(samples.passed(), doctor)
    assert "> **doctor-visits: fail.** doctor: The clone is too shallow to find the champion." in both
    assert "**❌ doctor: fail.**" in both
    assert "fetch-depth: 0" in both


def test_a_mere_warning_of_another_step_is_told_after_the_model() -> None:
    doctor = samples.doctor().model_copy(update={"verdict": Verdict.WARN, "title": "1 of 2 checks needs attention."})
    lines = comment(samples.passed(), doctor).split("\n")
    assert lines[:4] == [
        "> [!TIP]",
        "> **doctor-visits: pass.** `auc` and `log_loss` are at least as good as the champion's.",
        ">",
        "> **doctor: warn.** 1 of 2 checks needs attention.",
    ]
    assert "<details><summary>⚠️ doctor: warn</summary>" in lines
    several = comment(samples.passed(), doctor, samples.unchanged("b"))
    assert "at least as good as the champion's. Besides, doctor: warn. |" in several
    repository = comment(samples.passed(), samples.unchanged("b"), doctor.model_copy(update={"model": "repository"}))
    assert repository.split("\n")[:2] == [
        "> [!TIP]",
        "> **pass.** All 2 models pass, 1 of them unchanged. Besides: `repository` (warn).",
    ]


def test_a_warning_about_an_unchanged_model_is_not_folded_away() -> None:
    doctor = samples.doctor().model_copy(update={"verdict": Verdict.WARN, "model": "region-001"})
    shown = [row[1] for row in table(comment(*samples.many(80), doctor))[1:]]
    assert shown == [f"`region-{n}`" for n in ("021", "003", "041", "010", "040", "001")]


def test_several_models_worst_first() -> None:
    rows = table(comment(*(f().model_copy(update={"model": n}) for n, f in samples.ALL.items() if n != "doctor")))
    assert rows[0] == ["", "Model", "Verdict", "Why"]
    ranks = [Verdict(row[2]).rank for row in rows[1:]]
    assert ranks == sorted(ranks, reverse=True)
    assert "`unchanged`" not in [row[1] for row in rows]


def test_two_hundred_models_stay_readable() -> None:
    body = comment(*samples.many(200))
    assert len(body) < 20_000
    assert body.split("\n")[1] == "> **error.** 195 of 200 models pass; 1 error, 2 fail, 1 inconclusive, 1 warn."
    assert [row[1] for row in table(body)[1:]] == [f"`region-{n}`" for n in ("021", "003", "041", "010", "040")]
    assert body.count("\n### ") == 5
    assert "<details><summary>130 models unchanged, not compared</summary>" in body


@pytest.mark.parametrize("limit", [8_000, 20_000, 60_000])
def test_a_comment_keeps_to_its_limit_and_leaves_out_the_least_first(limit: int) -> None:
    evidences = [samples.broken().model_copy(update={"model": f"bad-{i:03d}"}) for i in range(150)]
    body = comment(*evidences, limit=limit)
    assert len(body) <= max(limit, 16_000)
    assert "more models did not fit here: they are in [the full report]" in body


def test_no_evidence_is_an_error() -> None:
    assert "**error.** There is no evidence" in comment()


@settings(max_examples=120, deadline=None)
@given(texts)
def test_hostile_text_changes_words_only(text: str) -> None:
    text = f"x{text}x" if not text.strip() else text
    body = comment(samples.hostile(text))
    tame = comment(samples.hostile("tame"))
    assert blocks(body) == blocks(tame)
    assert inline_html(body) <= OURS
    assert "<!--" not in body.replace(VOLATILE, "")
    assert body.count(VOLATILE) == tame.count(VOLATILE)
    assert all(href.startswith("https://forge.example/team/visits/") for href in links(body))
    assert not REFERENCES.search(words_outside_code(body))


@settings(max_examples=60, deadline=None)
@given(texts)
def test_hostile_text_changes_words_only_among_several(text: str) -> None:
    text = (f"x{text}x" if not text.strip() else text)[:300]  # longer, and a section is left out for want of room
    others = [samples.failed(), samples.unchanged("same"), samples.passed().model_copy(update={"model": "fine"})]
    body, tame = comment(samples.hostile(text), *others), comment(samples.hostile("tame"), *others)
    assert sorted(blocks(body)) == sorted(blocks(tame))
    assert inline_html(body) <= OURS
    assert "<!--" not in body.replace(VOLATILE, "")
    assert not REFERENCES.search(words_outside_code(body))


def test_every_line_that_differs_between_runs_is_marked() -> None:
    later = samples.source(at="2026-12-20T12:00:00Z", commit="f" * 40, run_url="https://forge.example/2")
    one, two = comment(samples.failed()), comment(samples.failed().model_copy(update={"source": later}))
    differing = [pair for pair in zip(one.split("\n"), two.split("\n"), strict=True) if pair[0] != pair[1]]
    assert differing
    assert all(VOLATILE in line for pair in differing for line in pair)
