"""The real server as the slot of the new model and of the stable one: smoke, interface, load, and a shadow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from logging_samples import until
from running import WHO, Server, serving, wrk

from mlgate.commands.load import command
from mlgate.model import Verdict, worst
from mlgate.rollout import checks
from mlgate.rollout.nouns import Release
from mlgate.serving.settings import Input, Replay
from rollout.trials import CANDIDATE, STABLE, Here, asked

INPUTS = (Input("x", "number"), Input("y", "number"))


def release(of: Release) -> Release:
    return replace(of, subject={"sha256": WHO.digest}, commit=WHO.commit)


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_everything_before_traffic(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    candidate, stable = release(CANDIDATE), release(STABLE)
    with (
        serving(tmp_path / "new", kind="linear", inputs=INPUTS) as new,
        serving(tmp_path / "old", kind="linear", inputs=INPUTS, replay=Replay(1.0, str(log))) as old,
    ):
        for number in range(150):
            assert old.predict(number / 10)[0] == 200
        until(lambda: log.is_file() and len(log.read_bytes().splitlines()) == 150)
        target = Here({candidate.slot: url(new), stable.slot: url(old)}, log.read_bytes().splitlines())
        wanted = {
            "smoke": True, "api": True, "load": {"rate": 50, "duration": "2 seconds"},
            "shadow": {"agreement": "95%", "score_difference": 1e-9},
        }  # fmt: skip
        tried = checks.before_traffic(target, candidate, stable, asked(tmp_path, wanted))
    said = [f"{one.id}: {one.reason}" for one in tried.checks if one.verdict is not Verdict.PASS]
    assert worst(one.verdict for one in tried.checks) is Verdict.PASS, said
    words = {one.id.split(".")[1] for one in tried.checks}
    assert words == {"smoke", "api", "load", "shadow"}
    assert tried.facts["shadow_compared"] == 150
    assert tried.facts["load_requests"] == 100


def test_another_model_beside_it(tmp_path: Path) -> None:
    """A narrower contract breaks the interface; another column, too."""
    with (
        serving(tmp_path / "new", kind="linear", inputs=(replace(INPUTS[0], maximum=5.0), INPUTS[1])) as new,
        serving(tmp_path / "old", kind="linear", inputs=INPUTS) as old,
    ):
        target = Here({CANDIDATE.slot: url(new), STABLE.slot: url(old)})
        tried = checks.before_traffic(target, CANDIDATE, STABLE, asked(tmp_path, {"api": True}))
    (check,) = tried.checks
    assert check.verdict is Verdict.FAIL
    assert "x has to be at most 5 now" in check.reason


def test_load_of_an_address_alone_sees_what_wrk_sees(tmp_path: Path) -> None:
    """Two callers: both tools wait for the same server, so they agree, but for what else this machine does."""
    with serving(tmp_path, kind="linear", inputs=INPUTS) as server:
        done = CliRunner().invoke(
            command, [url(server), "--connections", "2", "--duration", "3 s", "--json"], standalone_mode=False
        )
        assert done.return_value == 0, done.output
        other, trouble = wrk(server, connections=2, seconds=3)
    assert trouble == ""
    told = json.loads(done.output)
    assert told["answered"] == told["requests"] > 0
    assert told["throughput_rps"] == pytest.approx(other / 3, rel=0.85)
