"""Shadows: the stable model's own requests decide, with an interval, and too few of them decide nothing."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from mlgate.config.deploying import Replayed
from mlgate.image.service import Answer
from mlgate.model import Check, Verdict, worst
from mlgate.rollout import checks
from mlgate.rollout.checks import Tried, replayed, replaying
from mlgate.rollout.checks.replayed import Pairs
from mlgate.serving.lines import stamp
from mlgate.serving.metrics import Metrics
from mlgate.serving.replay import Replay
from mlgate.serving.settings import Identity
from mlgate.serving.settings import Replay as Settings
from rollout.trials import CANDIDATE, STABLE, Here, Server, asked


def line(number: int, **more: Any) -> bytes:
    body = json.dumps({"records": [{"age": 20 + number % 60, "income": 10.0 * (number % 90)}]})
    data = {"time": stamp(1_790_000_000 + number), "request_id": f"r{number}", "route": "/predict",
            "content_type": "application/json", "body": body, **more}  # fmt: skip
    return json.dumps({key: value for key, value in data.items() if value is not None}).encode() + b"\n"


def shadowed(
    folder: Path, log: Sequence[bytes], *faults: str, stable: Sequence[str] = (), **limits: Any
) -> tuple[Tried, Server, Server]:
    wanted = asked(folder, {"shadow": {"agreement": "95%", **limits}}, settings={"strategy": "shadow"})
    with Server(*faults) as candidate, Server(*stable) as old:
        target = Here({CANDIDATE.slot: candidate.url, STABLE.slot: old.url}, log)
        tried = checks.shadow(target, CANDIDATE, STABLE, wanted)
    return tried, candidate, old


def by(found: Tried) -> dict[str, Check]:
    return {one.id.removeprefix("rollout.shadow."): one for one in found.checks}


def verdict(found: Tried) -> Verdict:
    return worst(one.verdict for one in found.checks)


LOG = [line(number) for number in range(120)]


def test_the_same_model_agrees_with_itself(tmp_path: Path) -> None:
    found, candidate, stable = shadowed(tmp_path, LOG, score_difference=1e-6, latency_p95="5 s")
    assert verdict(found) is Verdict.PASS, found.checks
    assert candidate.asked == stable.asked == 120, "each was asked everything, once"
    assert set(by(found)) == {"requests", "error_rate", "agreement", "score_difference", "latency_p95"}
    agreement = by(found)["agreement"]
    assert (agreement.observed, agreement.rows, agreement.method) == (1.0, 120, "Wilson")
    assert agreement.interval is not None
    assert agreement.interval[0] < 1.0
    assert found.facts["shadow_from"] == "2026-09-21T14:13:20.000Z"


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        ("wrong-class", {"agreement"}),
        ("wrong", {"score_difference"}),
        ("nan", {"error_rate"}),
        ("flaky", {"error_rate"}),
        ("drop", {"error_rate"}),
    ],
)
def test_another_model_is_told_by_what_it_does(fault: str, broken: set[str], tmp_path: Path) -> None:
    found, _, _ = shadowed(tmp_path, LOG, fault, score_difference=0.001)
    assert broken <= {name for name, one in by(found).items() if one.verdict is Verdict.FAIL}
    assert verdict(found) is Verdict.FAIL
    assert all("age" not in one.reason for one in found.checks), "nothing of a request is told"


def test_too_few_requests_decide_nothing(tmp_path: Path) -> None:
    for log in ([], LOG[:5]):
        found, _, _ = shadowed(tmp_path, log)
        assert verdict(found) is Verdict.INCONCLUSIVE
    assert "too few" in found.checks[0].reason
    barely, _, _ = shadowed(tmp_path, LOG[:30])
    agreement = by(barely)["agreement"]
    assert agreement.verdict is Verdict.INCONCLUSIVE, "30 of 30 prove no 95 %"
    assert 45 < (agreement.needed or 0) < 60


def test_a_stable_model_that_does_not_answer_decides_nothing(tmp_path: Path) -> None:
    found, _, _ = shadowed(tmp_path, LOG, stable=["mlflow"])
    assert verdict(found) is not Verdict.PASS
    with Server() as candidate, Server() as gone:
        pass
    with Server() as candidate:
        target = Here({CANDIDATE.slot: candidate.url, STABLE.slot: gone.url}, LOG)
        found = checks.shadow(target, CANDIDATE, STABLE, asked(tmp_path, {"shadow": {}}))
    assert verdict(found) is Verdict.INCONCLUSIVE
    assert "itself did not answer" in found.checks[0].reason


def test_what_both_refuse_is_agreed_upon(tmp_path: Path) -> None:
    broken = [line(n, body='{"records": [{"age": "old"}]}') for n in range(30)]
    found, _, _ = shadowed(tmp_path, [*LOG, *broken])
    assert verdict(found) is Verdict.PASS
    assert "30 both refuse" in found.checks[0].reason
    found, _, _ = shadowed(tmp_path, [*LOG, *broken], "own-fault")
    assert by(found)["error_rate"].verdict is Verdict.FAIL, "what one refuses must not be the other's fault"


def test_without_a_stable_model_there_is_no_shadow(tmp_path: Path) -> None:
    with Server() as candidate:
        target = Here({CANDIDATE.slot: candidate.url}, LOG)
        found = checks.shadow(target, CANDIDATE, None, asked(tmp_path, {"shadow": {}}))
    assert verdict(found) is Verdict.WARN
    assert found.not_run


def test_a_shadow_can_be_a_check_of_any_strategy(tmp_path: Path) -> None:
    with Server() as candidate, Server() as stable:
        target = Here({CANDIDATE.slot: candidate.url, STABLE.slot: stable.url}, LOG)
        found = checks.before_traffic(
            target, CANDIDATE, STABLE, asked(tmp_path, {"shadow": {"requests": 50}}, settings={"strategy": "canary"})
        )
    assert by(found)["requests"].rows == 50, "the latest"


# -- the log -----------------------------------------------------------------------------------------------------------


def test_what_the_server_writes_is_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    kept = Replay(Settings(1.0, str(file)), metrics=Metrics(Identity("visits"), "test"))
    kept.start()
    bodies = [b'{"a": "\xc3\xa4"}', b"\xff\x00binary", b"x,y\n1,2\n"]
    for number, body in enumerate(bodies):
        kept.offer(f"r{number}", body, "text/csv" if number == 2 else "application/json", "/invocations")
    kept.close()
    lines = [one + b"\n" for part in sorted(tmp_path.glob("requests.jsonl*")) for one in part.read_bytes().splitlines()]
    found = replaying.read(lines, "visits")
    assert sorted(one.body for one in found.requests) == sorted(bodies)
    assert {one.path for one in found.requests} == {"/invocations"}
    assert not found.left


def test_lines_that_cannot_be_asked_again_are_counted() -> None:
    lines = [
        line(1), b"\n", line(2)[:-20], b"null\n", b"[1]\n", line(3, body=None),
        line(4, body=None, body_base64=base64.b64encode(b"{}").decode()),
        line(5, body=None, body_base64="%"), line(6, route="/v2/infer"),
        line(7, route="/v2/infer", content_type="application/octet-stream"), line(8, request_id="mlgate-shadow"),
        line(9, route="http://elsewhere/predict"),
    ]  # fmt: skip
    found = replaying.read(lines, "visits")
    assert [one.path for one in found.requests] == ["/predict", "/predict", "/v2/models/visits/infer"]
    assert found.left == {
        "a line that is no request": 6, "a request with binary tensors": 1, "a request of mlgate's own": 1,
    }  # fmt: skip


# -- what it comes to --------------------------------------------------------------------------------------------------


def said(
    *predictions: Any, probability: Sequence[float] | None = None, status: int = 200, seconds: float = 0.01
) -> Answer:
    data = {"prediction": list(predictions), "probability": probability}
    return Answer(status, json.dumps(data).encode(), seconds=seconds)


def test_the_open_inference_protocol_is_read() -> None:
    outputs = [{"name": "predict", "data": [1, 0]}, {"name": "predict_proba", "data": [0.1, 0.9, 0.8, 0.2]}]
    pairs = Pairs()
    answer = Answer(200, json.dumps({"outputs": outputs}).encode())
    outputs[1]["data"] = [0.1, 0.9, 0.7, 0.3]
    pairs.add(answer, Answer(200, json.dumps({"outputs": outputs}).encode()))
    assert (pairs.rows, pairs.agreed) == ([2], [2])
    assert pairs.scores == pytest.approx([0.0, 0.1])


def test_rows_of_one_request_are_no_more_than_one() -> None:
    many, single = Pairs(), Pairs()
    for _ in range(10):
        many.add(said(*[1] * 100), said(*[1] * 100))
        for _ in range(100):
            single.add(said(1), said(1))
    assert replayed.agreement(many) == (1.0, 10.0)
    assert replayed.agreement(single) == (1.0, 1000.0)


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_is_wilsons(right: int, count: int, confidence: float) -> None:
    right = min(right, count)
    low, high = replayed.wilson(right / count, count, confidence)
    expected = proportion_confint(right, count, alpha=2 * (1 - confidence), method="wilson")
    assert (low, high) == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.sampled_from(["same", "other", "error", "gone", "nan", "refused", "lost"]), max_size=150),
    st.sampled_from([0.5, 0.9, 0.98]), st.sampled_from([0.0, 0.05]),
)  # fmt: skip
def test_it_passes_only_what_is_proven(what: list[str], agreement: float, errors: float) -> None:
    answers = {
        "same": (said(1), said(1)), "other": (said(1), said(0)), "error": (said(1), said(1, status=500)),
        "gone": (said(1), None), "nan": (said(1), said(None)), "refused": (said(1, status=400), said(1, status=422)),
        "lost": (None, said(1)),
    }  # fmt: skip
    pairs = Pairs()
    for one in what:
        pairs.add(*answers[one])
    limits = Replayed.model_validate({"agreement": agreement, "error_rate": errors})
    found = worst(one.verdict for one in replayed.judge(pairs, limits))
    both, wrong = what.count("same") + what.count("other"), sum(map(what.count, ("error", "gone", "nan")))
    proven = both > 0 and replayed.wilson(what.count("same") / both, both, 0.95)[0] >= agreement
    kept = both + wrong >= 20 and wrong / (both + wrong + what.count("refused")) <= errors
    assert (found is Verdict.PASS) == (proven and kept)
    if not both + wrong:
        assert found is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("scores", "limit", "expected"),
    [
        ([0.01] * 200, 0.02, Verdict.PASS),
        ([0.05] * 200, 0.02, Verdict.FAIL),
        ([0.0] * 192 + [0.5] * 8, 0.02, Verdict.INCONCLUSIVE),
        ([0.01] * 30, 0.02, Verdict.INCONCLUSIVE),
    ],
)
def test_differences_of_scores_are_judged_by_their_bounds(scores: list[float], limit: float, expected: Verdict) -> None:
    pairs = Pairs(asked=len(scores), scores=scores, rows=[1] * max(30, len(scores)), agreed=[1] * max(30, len(scores)))
    limits = Replayed.model_validate({"score_difference": limit})
    (check,) = [one for one in replayed.judge(pairs, limits) if one.id.endswith("score_difference")]
    assert check.verdict is expected
    assert isinstance(check.observed, float)
    assert math.isfinite(check.observed)


def test_answers_without_scores_prove_nothing_of_them() -> None:
    pairs = Pairs()
    for _ in range(100):
        pairs.add(said("a"), said("a"))
    found = list(replayed.judge(pairs, Replayed.model_validate({"score_difference": 0.1})))
    assert {one.id: one.verdict for one in found}["rollout.shadow.score_difference"] is Verdict.INCONCLUSIVE
