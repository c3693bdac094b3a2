"""Before traffic: what mlgate.yaml asks for is tried at the slot, and what was not tried is no pass."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from answering import Stub, predicted
from mlgate.image.protocol import Example
from mlgate.image.skew import Committed, Sample
from mlgate.model import Verdict, worst
from mlgate.rollout import checks
from mlgate.rollout.checks import Asked, Rows, Tried, patience
from mlgate.rollout.checks.nouns import StoppedError
from mlgate.rollout.targets import FencedError
from mlgate.serving.settings import Input
from rollout.trials import CANDIDATE, ROW, STABLE, Here, Server, asked, described

EXAMPLE = Example([{"age": 40, "income": 100.0}, {"age": 50, "income": 200.0}])
INPUTS = (Input("age", "integer"), Input("income", "number"))


def before(server: Stub, wanted: Asked, *, stable: Stub | None = None, **more: Any) -> Tried:
    slots = {CANDIDATE.slot: server.url, **({STABLE.slot: stable.url} if stable else {})}
    target = Here(slots)
    return checks.before_traffic(target, CANDIDATE, STABLE if stable else None, wanted, **more)


def verdict(tried: Tried) -> Verdict:
    return worst(one.verdict for one in tried.checks)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(openapi=described()) as one:
        yield one


def test_nothing_asked_is_no_pass(server: Server, tmp_path: Path) -> None:
    tried = before(server, asked(tmp_path))
    assert verdict(tried) is Verdict.WARN
    assert tried.not_run


def test_smoke_with_the_models_own_example(server: Server, tmp_path: Path) -> None:
    tried = before(server, asked(tmp_path, {"smoke": True}, example=EXAMPLE, inputs=INPUTS))
    assert verdict(tried) is Verdict.PASS, [one for one in tried.checks if one.verdict is not Verdict.PASS]
    assert len(tried.checks) > 10
    assert {one.id.split(".")[0] for one in tried.checks} == {"rollout"}
    assert {one.group for one in tried.checks} == {"rollout"}


def test_without_the_model_a_row_is_made_of_what_the_server_says(server: Server, tmp_path: Path) -> None:
    tried = before(server, asked(tmp_path, {"smoke": True}))
    assert verdict(tried) is Verdict.PASS
    assert "rollout.smoke.malformed.missing" in {one.id for one in tried.checks}, "the columns are known, too"


def test_a_server_that_says_nothing_is_not_taken_for_smoked(tmp_path: Path) -> None:
    with Server() as silent:
        assert verdict(before(silent, asked(tmp_path, {"smoke": True}))) is Verdict.ERROR


@pytest.mark.parametrize("fault", ["wrong-batch", "nan", "leak", "lenient", "console", "drifting"])
def test_what_the_image_would_have_failed_fails_here(fault: str, tmp_path: Path) -> None:
    with Server(fault, openapi=described()) as one:
        assert verdict(before(one, asked(tmp_path, {"smoke": True}, example=EXAMPLE))) is Verdict.FAIL


def test_another_model_at_the_address_is_found(tmp_path: Path) -> None:
    with Server(openapi=described(), digest="ef" * 32) as other:
        tried = before(other, asked(tmp_path, {"smoke": True}, example=EXAMPLE))
    (check,) = [one for one in tried.checks if one.id == "rollout.smoke.version"]
    assert check.verdict is Verdict.FAIL


def test_a_slot_that_does_not_answer_fails(tmp_path: Path) -> None:
    with Server() as gone:
        pass
    wanted = {"smoke": True, "api": True, "load": {"rate": 5, "duration": "1 second"}}
    tried = before(gone, asked(tmp_path, wanted, example=EXAMPLE))
    assert verdict(tried) is Verdict.FAIL
    assert "`checks.load` was not run: a check before it failed." in tried.not_run


# -- skew --------------------------------------------------------------------------------------------------------------


def rows(count: int = 40, off: float = 0.0) -> Rows:
    records = [{"age": 20 + n, "income": 60.0 * n} for n in range(count)]
    scores = [predicted(record) + off for record in records]
    decided = ["1" if predicted(record) >= 0.5 else "0" for record in records]
    committed = Committed("binary", [str(n) for n in range(count)], ("0", "1"), decided, scores)
    return Rows("holdout", Sample(records, committed, count))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([rows()], Verdict.PASS),
        ([rows(off=1e-3)], Verdict.FAIL),
        ([rows(3)], Verdict.INCONCLUSIVE),
        ([], Verdict.ERROR),
        ([Rows("holdout")], Verdict.ERROR),
        ([rows(), Rows("other")], Verdict.ERROR),
    ],
)
def test_rows_have_to_be_predicted_as_they_were_judged(
    given: list[Rows], expected: Verdict, server: Server, tmp_path: Path
) -> None:
    tried = before(server, asked(tmp_path, {"skew": True}, rows=given))
    assert verdict(tried) is expected, tried.checks


# -- the interface -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (described(), Verdict.PASS),
        (described({**ROW, "required": [*ROW["required"], "town"]}), Verdict.FAIL),
        (None, Verdict.FAIL),
    ],
)
def test_the_champion_is_asked_at_its_own_slot(new: Any, expected: Verdict, tmp_path: Path) -> None:
    with Server(openapi=new) as candidate, Server(openapi=described()) as stable:
        tried = before(candidate, asked(tmp_path, {"api": True}), stable=stable)
    assert verdict(tried) is expected
    assert [one.id for one in tried.checks] == ["rollout.api"]


def test_a_champion_without_a_description_is_said(server: Server, tmp_path: Path) -> None:
    with Server() as silent:
        tried = before(server, asked(tmp_path, {"api": True}), stable=silent)
    assert (verdict(tried), len(tried.not_run)) == (Verdict.WARN, 1)


def test_a_champion_that_is_gone_decides_nothing(server: Server, tmp_path: Path) -> None:
    with Server() as gone:
        pass
    assert verdict(before(server, asked(tmp_path, {"api": True}), stable=gone)) is Verdict.INCONCLUSIVE


def test_the_first_deployment_has_nothing_to_keep(server: Server, tmp_path: Path) -> None:
    tried = before(server, asked(tmp_path, {"api": True}))
    assert verdict(tried) is Verdict.WARN
    assert "nothing is deployed there yet" in " ".join(tried.not_run)


# -- load and commands -------------------------------------------------------------------------------------------------


def test_load_is_asked_of_the_slot(server: Server, tmp_path: Path) -> None:
    load = {"rate": 30, "duration": "1 second", "latency_p95": "5 s"}
    tried = before(server, asked(tmp_path, {"load": load}, example=EXAMPLE))
    assert verdict(tried) in {Verdict.PASS, Verdict.INCONCLUSIVE}
    assert {one.id for one in tried.checks} == {"rollout.load.errors", "rollout.load.latency_p95"}
    assert tried.facts["load_requests"] == 30
    with Server("flaky", openapi=described()) as flaky:
        load["duration"] = "3 seconds"
        assert verdict(before(flaky, asked(tmp_path, {"load": load}, example=EXAMPLE))) is Verdict.FAIL


@pytest.mark.parametrize("load", [{}, {"rate": 1, "connections": 1}])
def test_load_without_a_measure_is_an_error(load: dict[str, Any], server: Server, tmp_path: Path) -> None:
    assert verdict(before(server, asked(tmp_path, {"load": load}, example=EXAMPLE))) is Verdict.ERROR


def test_commands_get_what_they_need(server: Server, tmp_path: Path) -> None:
    said: list[str] = []
    command = 'echo "$MLGATE_URL $MLGATE_SLOT $MLGATE_ENVIRONMENT $MLGATE_VERSION $OWN $(pwd)"'
    wanted = asked(tmp_path, {"run": command}, environ={**os.environ, "OWN": "mine"})
    tried = before(server, wanted, say=said.append)
    assert verdict(tried) is Verdict.PASS
    assert said == [f"{server.url} {CANDIDATE.slot} staging v2.0.0 mine {tmp_path.resolve()}"]


@pytest.mark.parametrize(("command", "said"), [("echo no; exit 3", "exit code 3"), ("kill -9 $$", "signal 9")])
def test_a_command_that_fails_stops_it(command: str, said: str, server: Server, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    tried = before(server, asked(tmp_path, {"run": [command, f"touch {mark}"]}, environ=dict(os.environ)))
    assert [one.verdict for one in tried.checks] == [Verdict.FAIL]
    assert said in tried.checks[0].reason
    assert not mark.exists()
    assert len(tried.not_run) == 1


def test_what_a_command_says_is_told_without_secrets(server: Server, tmp_path: Path) -> None:
    command = "echo https://user:hunter2@example.org; exit 1"
    (check,) = before(server, asked(tmp_path, {"run": command}, environ=dict(os.environ))).checks
    assert "example.org" in check.reason
    assert "hunter2" not in check.reason


def test_a_command_that_does_not_end_is_ended(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.commands, "TIMEOUT", 0.3)
    mark = tmp_path / "ran"
    tried = before(server, asked(tmp_path, {"run": f"(sleep 2; touch {mark}) & sleep 60"}, environ=dict(os.environ)))
    assert "did not end" in tried.checks[0].reason
    time.sleep(2.5)
    assert not mark.exists(), "what it started is gone, too"


# -- who waits ---------------------------------------------------------------------------------------------------------


def test_the_lease_is_renewed_meanwhile_and_its_loss_ends_it(server: Server, tmp_path: Path) -> None:
    calls: list[float] = []
    mark = tmp_path / "ran"

    def alive() -> None:
        assert threading.current_thread() is threading.main_thread()
        calls.append(time.monotonic())
        if len(calls) == 2:
            raise FencedError("somebody else has it.")

    wanted = asked(tmp_path, {"run": f"sleep 30; touch {mark}"}, environ=dict(os.environ))
    began = time.monotonic()
    with pytest.raises(FencedError):
        before(server, wanted, alive=alive)
    assert time.monotonic() - began < 15
    assert len(calls) == 2
    assert not mark.exists()


def test_what_the_work_raises_is_raised() -> None:
    def work(_: patience.Stop) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        patience.through(work, lambda: None)
    stop = patience.Stop()
    stop.look()
    stop.set()
    with pytest.raises(StoppedError):
        stop.look()
