"""docs/dashboards.md: its YAML loads, what it shows is what comes, and every metric, alert and option is there."""

from __future__ import annotations

import json
import re

import click
from prometheus_client.parser import text_string_to_metric_families

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.commands import _dashboards, report
from mlgate.model import Evidence
from mlgate.render import openmetrics, overview
from mlgate.render.dashboards import alerting
from mlgate.render.dashboards.alerting import Watching
from render import watches

TEXT = (ROOT / "docs/dashboards.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def table(head: str) -> str:
    return TEXT[TEXT.index(head) :].split("\n\n")[0]


def test_the_rules_that_are_shown_are_those_of_the_settings_above() -> None:
    settings, shown = BLOCKS
    (watching,) = _dashboards.watching(
        [config.load((MLGATE + settings).encode(), file="mlgate.yaml", base=lambda _: None)]
    )
    made = alerting.text([watching])
    assert shown.removeprefix("# prometheus-mlgate.yaml\n") in made
    named = set(re.findall(r"alert: (\w+)", made))
    for kind in re.findall(r"^\| `(Mlgate\w+)", table("| alert |"), re.MULTILINE):
        assert any(alert.startswith(kind) for alert in named)


def test_every_metric_is_described_with_its_labels() -> None:
    exposed: dict[str, set[str]] = {}
    for name, labels in re.findall(
        r"^(mlgate_monitor_\w+)\{(.*)\} ", openmetrics.text([watches.moved()]), re.MULTILINE
    ):
        exposed.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    described = {
        name: {*re.findall(r"`(\w+)`", labels), "model", "environment"}
        for name, labels in re.findall(r"^\| `(mlgate_monitor_\w+)` \| ([^|]*)\|", table("| metric |"), re.MULTILINE)
    }
    assert described == exposed


def test_a_pushgateway_can_read_what_the_page_sends() -> None:
    """It reads the older format, in which a comment may name only the types of that one."""
    sent = "".join(f"{line}\n" for line in openmetrics.text([watches.moved()]).splitlines() if not line.startswith("#"))
    found = {one.name for family in text_string_to_metric_families(sent) for one in family.samples}
    assert "mlgate_monitor_alert" in found


def test_states_of_the_page_are_all_there() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", table("| state |"), re.MULTILINE)) == overview.STATES


def test_options_are_those_of_the_command() -> None:
    options = {o: p.envvar for p in report.command.params if isinstance(p, click.Option) for o in p.opts}
    for option, variable in re.findall(r"^\| `(--[a-z-]+)` \| `(\w+)` \|", table("| option |"), re.MULTILINE):
        assert options[option] == variable


def test_the_question_to_the_evidence_has_an_answer() -> None:
    (asked,) = re.findall(r"\{(name, [a-z, ]+)\}", TEXT)
    evidence = json.loads(watches.moved().to_json())
    for column in evidence["watched"]["columns"]:
        assert set(asked.split(", ")) <= column.keys()
    assert Evidence.model_fields["watched"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target


def test_an_environment_that_is_not_named_is_the_last_one() -> None:
    loaded = config.load(
        (MLGATE + "monitor: {logs: x.jsonl, drift: {psi: 0.2}}\n").encode(), file="m.yaml", base=lambda _: None
    )
    (watching,) = _dashboards.watching([loaded])
    assert watching == Watching("visits", "production", loaded.monitor)
