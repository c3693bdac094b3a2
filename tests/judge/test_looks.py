"""How often a test set was looked at: counted, told with the confidence that allows for it, and no verdict changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlgate.judge.case import Measured
from mlgate.judge.evaluation import Compared
from mlgate.judge.looks import Looks, holding
from mlgate.judge.statistics import Compared as ByRows
from mlgate.model import Check, Verdict


def one_set(*, rows: bool = True, name: str = "holdout") -> Compared:
    nothing: Any = SimpleNamespace()
    measured = Measured(compared=ByRows(rows=nothing, confidence=0.95) if rows else None)
    return Compared(name, nothing, None, None, (Verdict.WARN, "none"), measured)


def check(title: str, verdict: Verdict, method: str = "Tango") -> Check:
    return Check(id=f"rules.{title}.absolute_regression", title=title, verdict=verdict, method=method)


def judged(one: Compared) -> list[Check]:
    """As if auc were proven well, and log_loss barely; accuracy is open, and f1 a committed number."""
    assert one.measured.compared is not None
    barely = Verdict.PASS if one.measured.compared.confidence < 0.98 else Verdict.INCONCLUSIVE
    return [
        check("auc", Verdict.PASS),
        check("log_loss", barely),
        check("accuracy", Verdict.INCONCLUSIVE),
        check("f1", Verdict.PASS, method=""),
    ]


def said(count: int, one: Compared | None = None) -> str:
    found = list(Looks({"holdout": count}).checks([one or one_set()], 0.95, judged))
    assert [(c.id, c.group, c.verdict) for c in found] == [("judge.looks.holdout", "judge", Verdict.PASS)]
    return found[0].reason


def test_the_first_look() -> None:
    assert said(1) == "By the ledger this is the first model that is judged on holdout."


def test_every_verdict_holds_while_there_are_few() -> None:
    assert said(2) == (
        "By the ledger 2 models were judged on holdout, this one included. At the confidence that allows for that "
        "(0.975 instead of 0.95) every verdict would hold."
    )


def test_those_that_do_not_hold_are_named() -> None:
    assert said(10) == (
        "By the ledger 10 models were judged on holdout, this one included. At the confidence that allows for that "
        "(0.995 instead of 0.95) 1 of 2 verdicts would hold, and not that of log_loss."
    )


def test_committed_metrics_have_no_intervals() -> None:
    assert said(4, one_set(rows=False)) == (
        "By the ledger 4 models were judged on holdout, this one included: each look makes it likelier that one passes "
        "by luck."
    )


def test_a_set_that_is_not_known_says_nothing() -> None:
    assert not list(Looks({"holdout": 3}).checks([one_set(name="other")], 0.95, judged))


def test_bounds_are_made_anew_for_the_other_confidence() -> None:
    """What is known at one confidence must not answer for another."""
    seen = []

    def judge(one: Compared) -> list[Check]:
        assert one.measured.compared is not None
        seen.append((one.measured.compared.confidence, dict(one.measured.compared.known)))
        return []

    one = one_set()
    assert one.measured.compared is not None
    one.measured.compared.known["bounds",] = SimpleNamespace()  # type: ignore[assignment]
    list(Looks({"holdout": 5}).checks([one], 0.95, judge))
    assert [confidence for confidence, _ in seen] == [0.95, pytest.approx(0.99)]
    assert seen[1][1] == {}


def test_a_failure_that_would_be_open_does_not_hold() -> None:
    checks = [check("auc", Verdict.FAIL)]
    assert holding(checks, checks) == (["auc"], [])
    assert holding(checks, [checks[0].model_copy(update={"verdict": Verdict.INCONCLUSIVE})]) == ([], ["auc"])
    assert holding(checks, []) == ([], ["auc"])
