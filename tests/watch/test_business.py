"""Numbers of one's own: of Prometheus as of the window's end, or of a command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlgate.config.deploying import Metric
from mlgate.model import Verdict
from mlgate.watch import business
from mlgate.watch.business import Asking
from mlgate.watch.nouns import Section
from watch.outcomes_samples import WINDOW


def section(metrics: dict[str, dict[str, str]], asking: Asking) -> Section:
    asked = {name: Metric.model_validate(keys) for name, keys in metrics.items()}
    return business.section(asked, WINDOW, asking, model="visits", environment="production")


def vector(*values: str) -> str:
    result = [{"metric": {}, "value": [1, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


class Prometheus:
    def __init__(self, answer: str) -> None:
        self.answer, self.asked = answer, list[tuple[str, dict[str, str], dict[str, str]]]()

    def __call__(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, str]:
        self.asked.append((url, dict(form), dict(headers)))
        return 200, self.answer


def test_prometheus_is_asked_as_of_the_end_of_the_window(tmp_path: Path) -> None:
    server = Prometheus(vector("0.031"))
    asking = Asking(tmp_path, url="http://prometheus:9090", token="t0ken", ask=server)
    found = section({"conversion": {"query": 'sum(increase(x{env="{environment}"}[{seconds}s]))'}}, asking)
    [one] = found.measures
    assert (found.kind, one.kind, one.name, one.value, one.state) == ("business", "business", "conversion", 0.031, "ok")
    [(url, form, headers)] = server.asked
    assert url == "http://prometheus:9090/api/v1/query"
    assert form == {"query": 'sum(increase(x{env="production"}[86400s]))', "time": "1795219200.000"}
    assert headers == {"Authorization": "Bearer t0ken"}
    assert "t0ken" not in repr(asking) + repr(found)


def test_a_command_gets_the_window_and_nothing_it_was_not_given(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOME_SECRET", "42")
    (tmp_path / "ask.sh").write_text(
        'echo "$MLGATE_SINCE $MLGATE_UNTIL $MLGATE_MODEL $MLGATE_ENVIRONMENT" > said\necho "${SOME_SECRET:-0}$1"\n'
    )
    asking = Asking(tmp_path, environ={"PATH": "/usr/bin:/bin"})
    found = section({"revenue": {"run": "sh ask.sh {seconds}"}}, asking)
    assert found.measures[0].value == 86400
    assert (tmp_path / "said").read_text() == "2026-11-20T00:00:00Z 2026-11-21T00:00:00Z visits production\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (vector(), "gives nothing"),
        (vector("NaN"), "gives NaN"),
        (vector("+Inf"), "gives infinity"),
        (vector("1", "2"), "gives 2 series"),
        ("<html>", "is no Prometheus"),
    ],
)
def test_no_number_is_unknown_and_never_zero(tmp_path: Path, answer: str, why: str) -> None:
    asking = Asking(tmp_path, url="http://prometheus:9090", ask=Prometheus(answer))
    found = section({"conversion": {"query": "x"}}, asking)
    [one], [check] = found.measures, found.checks
    assert (found.state, one.state, one.value) == ("unknown", "unknown", None)
    assert why in one.reason
    assert (check.verdict, check.observed) == (Verdict.INCONCLUSIVE, "not measured")


@pytest.mark.parametrize(
    ("command", "why"), [("exit 3", "exit code 3"), ("true", "printed nothing"), ("echo NaN", "printed NaN")]
)
def test_a_command_without_a_number_is_unknown(tmp_path: Path, command: str, why: str) -> None:
    found = section(
        {"revenue": {"run": command}, "other": {"run": "echo 1"}}, Asking(tmp_path, {"PATH": "/bin:/usr/bin"})
    )
    assert why in found.measures[0].reason
    assert (found.measures[1].value, found.measures[1].state) == (1.0, "ok")
    assert found.state == "unknown"


def test_without_an_address_it_is_unknown(tmp_path: Path) -> None:
    found = section({"conversion": {"query": "x"}}, Asking(tmp_path))
    assert "no Prometheus is named" in found.measures[0].reason
    own = Prometheus(vector("2"))
    asked = section({"conversion": {"query": "x", "prometheus": "http://own:9090"}}, Asking(tmp_path, ask=own))
    assert asked.measures[0].value == 2
    assert own.asked[0][0].startswith("http://own:9090/")
