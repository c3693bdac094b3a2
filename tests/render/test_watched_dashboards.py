"""Prometheus and Grafana take what we write, and its expressions say what they are meant to say."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import encoder
from grafana_foundation_sdk.models import dashboard
from hypothesis import given, settings
from hypothesis import strategies as st

import tools
from mlgate import config
from mlgate.config.watching import Monitor
from mlgate.model import Evidence
from mlgate.render import openmetrics
from mlgate.render.dashboards import alerting, grafana, promql
from mlgate.render.dashboards.alerting import Watching
from mlgate.serving import metrics as serving
from render import watches

END = 1_795_219_200  # 2026-11-21T00:00:00Z
YAML = """
logs: {path: logs/*.jsonl, fields: {status: status}}
truth: {path: truth/*.csv, label: visited, positive: 1}
performance: {rules: {auc: {is: roc_auc, threshold: 0.7}}}
drift: {psi: 0.2, share: 30%}
slo: [latency_p95 <= 100 ms, error_rate <= 1%, availability >= 99.5%, auc >= 0.7, requests >= 1000]
rules:
  drift: {for: 3 of 5, retrain: true, message: "See the runbook {{ here }}."}
  both: {when: {all: [drift_share > 30%, {any: [auc < 0.7, error_rate > 1%]}]}, severity: warn}
"""


def monitor(text: str = YAML) -> Monitor:
    loaded = config.load(
        b"schema: 1\nmodel: doctor-visits\nevaluate: {holdout: {metrics: [metrics/eval.json]}}\nmonitor:\n"
        + re.sub(r"(?m)^", "  ", text).encode(),
        file="mlgate.yaml",
        base=lambda _: None,
    )
    found: Monitor = loaded.monitor
    return found


def rules(tmp_path: Path, **more: Any) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The file, and its rules by name."""
    known = {"model": "doctor-visits", "environment": "production", "monitor": monitor()} | more
    file = tmp_path / "rules.yaml"
    file.write_text(alerting.text([Watching(**known)]), "utf-8")
    (group,) = yaml.safe_load(file.read_text("utf-8"))["groups"]
    return file, {rule["alert"]: rule for rule in group["rules"]}


def run(file: Path, *scraped: tuple[int, str]) -> list[dict[str, str]]:
    """What Prometheus says of it; the alerts that hold after the last of these pages. Raises for rules it refuses."""
    arguments = []
    for number, (at, text) in enumerate(scraped):
        page = file.parent / f"{number}.txt"
        page.write_text(text, "utf-8")
        arguments.append(f"{at}:{page}")
    done = subprocess.run([tools.prometheus_rules(), file, *arguments], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout) if scraped else []
    return found


def names(found: list[dict[str, str]]) -> set[str]:
    return {one["alertname"] for one in found}


def pages(evidence: Evidence) -> str:
    return openmetrics.text([evidence])


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    file, found = rules(tmp_path)
    assert run(file) == []
    assert set(found) == {
        "MlgateDrift", "MlgatePerformance", "MlgateSlo", "MlgateBoth", "MlgateUnknown", "MlgateStale", "MlgateMissing",
        "MlgateServiceLatencyP95", "MlgateServiceErrorRate", "MlgateServiceAvailability",
    }  # fmt: skip
    assert found["MlgateDrift"]["labels"] == {
        "severity": "critical", "model": "doctor-visits", "environment": "production", "rule": "drift"
    }  # fmt: skip
    assert found["MlgateBoth"]["annotations"]["description"] == (
        "Asked: drift_share > 30% and (auc < 0.7 or error_rate > 1%)."
    )
    said = found["MlgateDrift"]["annotations"]["description"]
    assert "in 3 of 5 windows" in said
    assert '{{ "{{" }} here }}' in said  # a template of Prometheus would be filled in


@settings(max_examples=15, deadline=None)
@given(text=st.sampled_from(['a"b', "a\\b", "{{ x }}", "ä ö", "x}y", "*", "a b", "name{x=1}"]) | st.text(max_size=20))
def test_prometheus_takes_hostile_names(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    shown = "".join(c for c in text if c.isprintable()) or "x"
    file, _ = rules(tmp_path_factory.mktemp("rules"), environment=shown, model=shown)
    assert run(file) == []


def test_what_fires_in_the_evidence_fires_in_prometheus(tmp_path: Path) -> None:
    file, _ = rules(tmp_path)
    found = run(file, (END + 3600, pages(watches.moved())))
    assert names(found) == {"MlgateDrift"}
    assert found[0]["severity"] == "critical"
    assert names(run(file, (END + 3600, pages(watches.calm())))) == set()
    assert names(run(file, (END + 3600, pages(watches.few())))) == {"MlgateUnknown"}


def test_nothing_read_is_said(tmp_path: Path) -> None:
    file, _ = rules(tmp_path)
    old, other = pages(watches.calm()), pages(watches.calm("another"))
    assert names(run(file, (END + 2 * 86_400, old))) == set()
    assert names(run(file, (END + 3 * 86_400 + 60, old))) == {"MlgateStale"}
    assert names(run(file, (END, other))) == {"MlgateMissing"}


def served(requests: Mapping[str, int], slow: float, environment: str = "production") -> str:
    """A page as the server of an image writes it, with what Prometheus adds to it."""
    which = 'job="models",instance="a:8080",model="doctor-visits"'
    total = sum(requests.values())
    lines = [f'mlgate_model_info{{{which},environment="{environment}"}} 1']
    lines += [f'mlgate_requests_total{{{which},status="{status}"}} {count}' for status, count in requests.items()]
    for bound in ("0.05", "0.1", "0.25", "+Inf"):
        count = total if bound == "+Inf" or float(bound) >= slow else 0
        lines.append(f'mlgate_request_seconds_bucket{{{which},le="{bound}"}} {count}')
    return "\n".join([*lines, "# EOF"]) + "\n"


@pytest.mark.parametrize(
    ("requests", "slow", "expected"),
    [
        ({"200": 1000, "500": 2}, 0.05, set()),
        ({"200": 1000, "500": 20}, 0.05, {"MlgateServiceErrorRate", "MlgateServiceAvailability"}),
        ({"200": 1000, "503": 7}, 0.05, {"MlgateServiceAvailability"}),
        ({"200": 1000}, 0.05, set()),
        ({"200": 1000}, 0.25, {"MlgateServiceLatencyP95"}),
        ({"200": 1000, "422": 900}, 0.05, set()),  # the callers' own errors
    ],
)
def test_objectives_are_asked_of_the_server(
    tmp_path: Path, requests: dict[str, int], slow: float, expected: set[str]
) -> None:
    file, _ = rules(tmp_path)
    none = dict.fromkeys(requests, 0)
    found = run(file, (END, served(none, slow)), (END + 60, served(requests, slow)))
    assert names(found) - {"MlgateMissing"} == expected
    elsewhere = [(END, served(none, slow, "staging")), (END + 60, served(requests, slow, "staging"))]
    assert names(run(file, *elsewhere)) == {"MlgateMissing"}


def test_a_server_without_requests_breaks_no_objective(tmp_path: Path) -> None:
    file, _ = rules(tmp_path)
    still = served({"200": 10}, 0.25)
    assert names(run(file, (END, still), (END + 60, still))) == {"MlgateMissing"}


def test_rules_and_board_name_only_metrics_that_there_are() -> None:
    source = Path(serving.__file__).read_text("utf-8")
    exposed = set(re.findall(r"# TYPE (\S+)", pages(watches.moved())))
    exposed |= set(re.findall(r"mlgate_[a-z_]+", source))
    text = grafana.text() + alerting.text([Watching("m", "e", monitor())])
    # A stateset's own label is called as the metric is.
    used = {name.removesuffix("_bucket") for name in re.findall(r"\bmlgate_[a-z_]+", text)}
    assert used
    assert used <= exposed


# -- Grafana -----------------------------------------------------------------------------------------------------------


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from flat(inner, f"{path}[{number}]")
    else:
        yield path, value


def test_grafanas_own_types_know_every_field_of_the_board() -> None:
    """Read into the types that Grafana publishes and written again, nothing is lost: no field is made up."""
    ours = json.loads(grafana.text())
    read = dashboard.Dashboard.from_json(ours)
    again = dict(flat(json.loads(json.dumps(read, cls=encoder.JSONEncoder))))
    lost = {path: value for path, value in flat(ours) if path not in again and value not in (None, False, "", 0)}
    assert lost == {}


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = grafana.board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_boards_queries_are_promql(tmp_path: Path) -> None:
    """Grafana puts its variables in first; what comes of it is read by Prometheus's parser."""
    asked = [target["expr"] for panel in grafana.board()["panels"] for target in panel.get("targets", [])]
    filled = [
        re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(?:model|environment|column|reading)", ".*", q)) for q in asked
    ]
    file = tmp_path / "rules.yaml"
    made = [{"alert": f"A{number}", "expr": query} for number, query in enumerate(filled)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": made}]}), "utf-8")
    answered = names(run(file, (END + 60, pages(watches.moved()))))
    of_monitor = {f"A{number}" for number, query in enumerate(filled) if "mlgate_monitor" in query}
    assert of_monitor <= answered  # each has something to show
    (states,) = (n for n, query in enumerate(filled) if "ignoring" in query)
    shown = [one for one in run(file, (END + 60, pages(watches.moved()))) if one["alertname"] == f"A{states}"]
    assert {one["rule"] for one in shown} == {"drift", "performance", "slo", "data"}


def test_durations_are_prometheus_own() -> None:
    assert [promql.seconds(each) for each in (86_400, 5400, 45, 3600, 0.2)] == ["1d", "90m", "45s", "1h", "1s"]
