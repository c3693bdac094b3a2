"""Why it passed, or what would have to change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.model import Check, Evidence, Moved, Verdict
from mlgate.render import chart, escape, layout, numbers, sentences
from render import samples


def without_title(evidence: Evidence) -> Evidence:
    return evidence.model_copy(update={"title": ""})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (samples.passed, "3 rules held; nothing is worse than the champion."),
        (samples.failed, "`log_loss` is 3.1 % worse than the champion; at most 2 % is allowed."),
        (samples.unchanged, "The model, its metrics and the evaluation data are the champion's: nothing was compared."),
    ],
)
def test_why(make: object, said: str) -> None:
    assert sentences.headline(without_title(make())) == said  # type: ignore[operator]


def test_why_it_passed_names_the_closest_rule() -> None:
    near = samples.LOG_LOSS.model_copy(update={"observed": 0.5889})
    said = sentences.why(samples.evidence(checks=[samples.AUC, near])).replace(numbers.THIN, " ")
    assert said == "2 rules held; the closest, `log_loss`, used 66 % of what is allowed."


def test_why_counts_what_else_is_wrong() -> None:
    bad = samples.AUC_FLOOR.model_copy(update={"verdict": Verdict.FAIL, "observed": 0.6})
    both = samples.evidence(verdict="fail", checks=[bad, samples.LOG_LOSS_WORSE])
    assert sentences.why(both) == "`auc` is 0.6000; allowed: at least 0.70. 1 more check ends the same way."


def test_nothing_checked_is_said() -> None:
    assert "nothing measured is never a pass" in sentences.why(samples.evidence(checks=[]))
    assert "nothing measured is never a pass" in sentences.overall([])


@pytest.mark.parametrize(
    ("update", "needs"),
    [
        ({}, "`log_loss` needs to come back to 0.5928 or less"),
        ({"change": None}, "`log_loss` needs to come down to 0.5928 or less"),
        ({"greater_is_better": True, "limit": 0.61}, "`log_loss` needs to reach 0.6100 or more"),
        ({"limit": None}, ""),
        ({"observed": "NaN"}, ""),
        ({"observed": 0.59}, ""),  # it holds
    ],
)
def test_what_one_check_needs(update: dict[str, object], needs: str) -> None:
    assert sentences.needed(samples.LOG_LOSS_WORSE.model_copy(update=update)) == needs


def test_what_it_would_take_to_pass() -> None:
    assert sentences.to_pass(samples.failed()) == "To pass: `log_loss` needs to come back to 0.5928 or less."
    assert sentences.to_pass(samples.passed()) == ""
    assert sentences.to_pass(samples.inconclusive()) == ""  # its finding says it, with the lines to paste


def test_many_needs_are_counted() -> None:
    bad = [samples.LOG_LOSS_WORSE.model_copy(update={"title": f"loss_{i}"}) for i in range(5)]
    said = sentences.to_pass(samples.evidence(verdict="fail", checks=bad))
    assert said.count("needs to come back") == 3
    assert said.endswith("; and 2 more.")


def test_a_warning_says_what_it_takes_without_one() -> None:
    warned = samples.LOG_LOSS_WORSE.model_copy(update={"verdict": Verdict.WARN})
    said = sentences.to_pass(samples.evidence(verdict="warn", checks=[warned]))
    assert said.startswith("To pass without a warning: `log_loss`")


@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.booleans(),
    st.sampled_from([True, False, None]),
)
def test_any_number_has_its_sentence_row_and_chart(
    observed: float, champion: float, limit: float, relative: bool, better: bool | None
) -> None:
    check = Check(
        id="x",
        title="x",
        verdict=Verdict.FAIL,
        observed=observed,
        champion=champion,
        limit=limit,
        change=observed - champion,
        relative=relative,
        greater_is_better=better,
    )
    row = layout.row(check)
    if observed != champion:
        assert row.observed != row.champion
    if needs := sentences.needed(check):
        shown = numbers.parse(needs.rpartition(" or ")[0].rpartition(" ")[2])
        room = abs(limit) * 1e-9 + 1e-300
        assert shown >= limit - room if better else shown <= limit + room
    drawn = chart.text([check])
    assert all(len(line) < 120 for line in drawn.splitlines())


def test_besides_the_models_other_steps_are_named() -> None:
    repository = samples.doctor().model_copy(update={"model": "repository"})
    several = [samples.passed(), samples.passed().model_copy(update={"model": "b"}), repository]
    assert sentences.overall(several) == "All 2 models pass. Besides: `repository` (fail)."
    assert sentences.overall([samples.failed(), repository]) == "`doctor-visits`: fail. Besides: `repository` (fail)."
    assert sentences.overall([samples.unchanged("a"), samples.unchanged("b")]) == "Nothing changed in 2 models."


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({}, ""),
        ({"mode": "report"}, "Report mode: this verdict blocks nothing."),
        ({"mode": "off"}, "The gate is off: this verdict blocks nothing."),
        ({"fail_on": "error"}, "`fail_on: error`: this verdict blocks nothing."),
        ({"verdict": Verdict.WARN, "fail_on": "warn"}, "`fail_on: warn`: this verdict blocks."),
    ],
)
def test_what_a_verdict_does(update: dict[str, object], said: str) -> None:
    assert sentences.consequence(samples.failed().model_copy(update=update)) == said


def test_the_text_chart_draws_each_metric_once_where_it_is_closest_to_a_limit() -> None:
    near = samples.AUC.model_copy(update={"observed": 0.7112})
    lines = chart.text([samples.LOG_LOSS_WORSE, near, samples.AUC_FLOOR]).splitlines()
    assert [line.split()[0] for line in lines] == ["champion", "log_loss", "auc"]
    assert lines[0].index("champion") < lines[1].index("├")
    assert lines[2].index("●") < lines[2].index("┤")
    assert lines[2].endswith(f"92{numbers.THIN}% of what is allowed")


def test_the_text_chart_marks_what_is_off_its_scale() -> None:
    far = samples.LOG_LOSS_WORSE.model_copy(update={"observed": 58.0})
    assert "▶  4,940 times what is allowed" in chart.text([far])


MINUS, THIN = numbers.MINUS, numbers.THIN
AUC = {"interval": (-0.003, 0.007), "outcome": "non-inferior"}
LOSS = {"interval": (0.024, 0.038), "outcome": "worse"}


@pytest.mark.parametrize(
    ("check", "update", "said"),
    [
        (samples.AUC, {}, f"`auc` is 0.002 better than the champion; {MINUS}0.01 is allowed."),
        (
            samples.AUC,
            AUC,
            f"`auc` is 0.002 better than the champion; the interval reaches down to {MINUS}0.003, "
            f"and {MINUS}0.01 is allowed.",
        ),
        (
            samples.AUC,
            {"interval": (-0.013, 0.02), "outcome": "inconclusive", "needed": 9_123},
            f"`auc` is 0.002 better than the champion; the interval reaches down to {MINUS}0.013, "
            f"but {MINUS}0.01 is allowed. About 9,200 rows like these would settle it.",
        ),
        (
            samples.LOG_LOSS_WORSE,
            LOSS,
            f"`log_loss` is 3.1{THIN}% worse than the champion; even the good end of the interval is +2.4{THIN}%, "
            f"and +2.0{THIN}% is allowed.",
        ),
        (
            samples.LOG_LOSS_WORSE,
            {"interval": (-0.01, 0.018), "change": 0.004, "outcome": "non-inferior", "verdict": Verdict.PASS},
            f"`log_loss` is 0.40{THIN}% worse than the champion; the interval reaches up to +1.8{THIN}%, "
            f"and +2.0{THIN}% is allowed.",
        ),
        (
            samples.AUC,
            {**AUC, "id": "rules.auc.anchor"},
            f"`auc` is 0.002 better than the anchor; the interval reaches down to {MINUS}0.003, "
            f"and {MINUS}0.01 is allowed.",
        ),
        (
            samples.AUC,
            {"limit": 0.7304, "interval": (-0.003, 0.007), "verdict": Verdict.FAIL},
            "`auc` is 0.002 better than the champion; even the good end of the interval is +0.007, "
            "and +0.01 is required.",
        ),
        (
            samples.AUC,
            {"change": 0.0, "interval": (0.0, 0.0), "method": "the same predictions"},
            "`auc` is the champion's: the same predictions.",
        ),
        (
            samples.AUC,
            {"limit": None, "interval": (-0.09, 0.03), "expected": "not judged: 98 rows, 300 needed"},
            f"`auc` is 0.002 better than the champion; the interval reaches down to {MINUS}0.09; "
            "not judged: 98 rows, 300 needed.",
        ),
        (samples.AUC_FLOOR, {}, "`auc` is 0.7222; allowed: at least 0.70."),
        (
            samples.AUC_FLOOR,
            {"interval": (0.712, 0.731)},
            "`auc` is 0.7222; the interval reaches down to 0.7120, and at least 0.70 is required.",
        ),
        (samples.AUC, {"observed": "NaN", "change": None, "reason": "auc is NaN"}, "auc is NaN."),
    ],
)
def test_a_rule_is_one_plain_sentence(check: Check, update: dict[str, object], said: str) -> None:
    assert sentences.of_check(check.model_copy(update=update)) == said


def test_what_changed_sides_is_counted_both_ways() -> None:
    moved = Moved(name="holdout", by="class", rows=6057, better=40, worse=31, best=("p-17",), worst=("p-99",))
    said = sentences.of_moved(moved)
    assert said == ("`holdout`: of 6,057 rows 31 were right in the champion and are wrong now; 40 the other way.")
    loss = moved.model_copy(update={"by": "loss"})
    assert sentences.of_moved(loss) == (
        "`holdout`: of 6,057 rows 31 have a larger error than in the champion, 40 a smaller one."
    )
    none = moved.model_copy(update={"better": 0, "worse": 0, "name": ""})
    assert sentences.of_moved(none) == "Of 6,057 rows none is decided differently."


def test_the_most_rows_that_any_rule_needs_are_named() -> None:
    less = samples.RECALL_OPEN.model_copy(update={"title": "f1", "needed": 7_000})
    said = sentences.to_pass(samples.evidence(verdict="inconclusive", checks=[less, samples.RECALL_OPEN]))
    assert said == "To pass: `recall` needs about 92,000 rows like these to be decided."


def test_sentences_escape_nothing_themselves() -> None:
    """Escaping twice would show entities to people: only the renderings do it."""
    check = samples.LOG_LOSS_WORSE.model_copy(update={"title": "a|b"})
    assert "`a|b`" in sentences.needed(check)
    assert "<code>a&#124;b</code>" in escape.prose(sentences.needed(check))
