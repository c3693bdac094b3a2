"""What `mlgate compare` prints."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings

from mlgate.model import Verdict
from mlgate.render import cells, terminal
from render import samples
from render.shapes import texts

FAILED = """\
doctor-visits  challenger d4e5f6a  champion a1b2c3d (main, 3 days, 2 commits)  6,057 rows
  fail  log_loss  0.5812 -> 0.5992  +3.1 %   allowed up to +2 %
  pass  auc       0.7204 -> 0.7222  +0.0018  allowed down to -0.010
  pass  auc       0.7204 -> 0.7222           allowed at least 0.70
To pass: `log_loss` needs to come back to 0.5928 or less.
changed: params.yaml train.learning_rate 0.10 -> 0.30, src/train.py
controls 14 of 14
verdict: fail   report: .mlgate/report.html
"""
NARROW = """\
doctor-visits
  challenger d4e5f6a
  champion a1b2c3d (main, 3 days, 2 commits)
  6,057 rows
  fail  log_loss
        0.5812 -> 0.5992 +3.1 % allowed up to +2 %
  pass  auc
        0.7204 -> 0.7222 +0.0018 allowed down to -0.010
"""
INTERVALS = """\
  fail  log_loss            0.5812 -> 0.5992  +3.1 %   (+2.4 to +3.8)        allowed up to +2 %               6,057 rows
  warn  auc, health = poor      0.66 -> 0.63  -0.03    (-0.09 to +0.03)      not judged: 98 rows, 300 needed  98 rows
  pass  auc                 0.7204 -> 0.7222  +0.0018  (-0.0030 to +0.0070)  allowed down to -0.010           6,057 rows
"""
BROKEN = """\
  error  auc          0.7204 -> NaN          allowed down to -0.010
  pass   log_loss  0.5812 -> 0.5741  -1.2 %  allowed up to +2 %
  error  `metrics/eval.json` matches dvc.lock: The lock says 3f1e2d00…, the file is 77a0b1c2…: it was edited after `dvc
         repro`.
         dvc repro evaluate
         git add dvc.lock metrics/eval.json
"""


def show(*evidences: samples.Evidence, width: int = 120, color: bool = False, report: str = "") -> str:
    return terminal.show(list(evidences), color=color, width=width, report=report)


def test_a_failed_model() -> None:
    assert show(samples.failed(), report=".mlgate/report.html") == FAILED


def test_a_narrow_terminal() -> None:
    assert show(samples.failed(), width=60).startswith(NARROW)


def test_intervals_and_rows() -> None:
    assert INTERVALS in show(samples.with_intervals())


def test_what_could_not_be_measured_comes_with_the_lines_to_paste() -> None:
    assert BROKEN in show(samples.broken())


def test_what_decides_comes_first_when_it_is_no_number() -> None:
    edited = samples.broken().model_copy(update={"checks": [samples.AUC, samples.broken().checks[-1]]})
    lines = show(edited).splitlines()
    assert lines[1].startswith("  error  `metrics/eval.json` matches dvc.lock: ")
    assert any(line.startswith("  pass  auc") for line in lines[4:])


def test_a_sentence_is_said_once() -> None:
    reason = "The clone is too shallow to find the champion."
    check = samples.doctor().checks[0].model_copy(update={"reason": reason})
    shown = show(samples.doctor().model_copy(update={"checks": [check]}), width=160)
    assert shown.count(reason) == 1


def test_a_changed_rule_is_never_left_out() -> None:
    assert "rule changed: compare.rules.auc.threshold 0.70 -> 0.65" in show(samples.rule_change())
    assert "not run: data/test.parquet: the remote needs credentials" in show(samples.rule_change())


def test_of_many_models_the_worst_comes_last_and_the_unchanged_are_one_line() -> None:
    lines = show(*samples.many()).splitlines()
    assert len(lines) < 130
    assert lines[0].startswith("unchanged: 130 models (region-001, region-002")
    heads = [line.split()[0] for line in lines if "  challenger d4e5f6a" in line]
    assert heads == ["region-040", "region-010", "region-003", "region-041", "region-021"]
    assert lines[-1] == "verdict: error (1 of 200)"


def test_nothing_at_all_is_an_error() -> None:
    assert show() == "verdict: error\n"


def test_colour_only_when_asked() -> None:
    assert "\x1b" not in show(samples.failed())
    colored = show(samples.failed(), color=True)
    assert "\x1b[1;31mfail\x1b[0m  log_loss" in colored
    assert "\x1b[1;32mpass\x1b[0m  auc" in colored


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 160])
@pytest.mark.parametrize("name", sorted(samples.ALL))
def test_lines_fit_the_width(name: str, width: int) -> None:
    evidence = samples.ALL[name]()
    to_copy = {line.strip() for c in evidence.checks for line in c.fix.splitlines()}
    for line in show(evidence, width=width).splitlines():
        assert cells.of(line) <= max(40, width) or line.strip() in to_copy, line


@settings(max_examples=60, deadline=None)
@given(texts)
def test_hostile_text_controls_nothing(text: str) -> None:
    shown = show(samples.hostile(text), samples.passed(), color=True)
    shown = shown.replace("\n", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    for code in ("32", "33", "35", "31"):
        shown = shown.replace(f"\x1b[1;{code}m", "")
    assert not [c for c in shown if unicodedata.category(c) == "Cc"]


@settings(max_examples=60, deadline=None)
@given(texts)
def test_hostile_text_adds_no_verdict_line(text: str) -> None:
    last = [line for line in show(samples.hostile(text)).splitlines() if line.startswith("verdict:")]
    assert last[-1] == "verdict: fail"
    assert show(samples.hostile(text)).endswith("\nverdict: fail\n")


def test_wide_characters_are_aligned() -> None:
    wide = samples.LOG_LOSS_WORSE.model_copy(update={"title": "損失"})
    lines = show(samples.evidence(verdict=Verdict.FAIL, checks=[wide, samples.AUC])).splitlines()
    rows = [line for line in lines if line.startswith("  ") and "->" in line]
    assert {cells.of(line[: line.index("0.")]) for line in rows} == {cells.of("  fail  損失  ")}
