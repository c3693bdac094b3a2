"""The page about alarms: its YAML is read, what it shows is what is said, and its readings can be named."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.watch import readings
from mlgate.watch.controls import controls
from mlgate.watch.history import History
from mlgate.watch.nouns import Window
from mlgate.watch.rules import all_rules, judge
from watch.alarm_samples import WHERE, measure, rule, section

PAGE = (ROOT / "docs/alarms.md").read_text("utf-8")
DAYS = [(0.05, 0.74), (0.31, 0.73), (0.08, 0.69), (0.27, 0.72), (0.29, None), (None, None), (0.06, 0.73), (0.04, 0.74),
        (0.05, 0.74)]  # fmt: skip
RULES = {
    "drift": rule(**{"for": "2 of 3", "retrain": True}),
    "auc_low": rule(when="auc < 0.7", severity="warn"),
}


def course() -> list[str]:
    """What is said of nine days."""
    history, lines = History(), []
    for day, (psi, auc) in enumerate(DAYS):
        window = Window.before(datetime(2026, 11, 4 + day, tzinfo=UTC), timedelta(days=1))
        sections = [
            section(measure("psi.age", psi, 0.2, reason="There are no predictions." if psi is None else "")),
            section(measure("auc", auc, reason="No truth yet." if auc is None else "", kind="performance"),
                    kind="performance"),
        ]  # fmt: skip
        judged = judge(RULES, sections, history, window, **WHERE)
        history.add(readings.entries(sections, judged, window, **WHERE, subject={}, who={}))
        lines += [
            f"{window.since:%d %b}  {one.name:<7}  {one.alert.state:<9}  {one.check.verdict:<12}  {one.check.reason}"
            for one in judged.rules
            if one.alert.state != "quiet"
        ]
    return lines


def test_what_the_page_shows_is_what_is_said() -> None:
    assert "\n\n" + "\n".join(f"    {line}" for line in course()) + "\n\n" in PAGE


def test_its_yaml_is_read_and_its_rules_can_tell() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        found = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
        if "rules:" in block:
            assert list(all_rules(found.monitor)) == ["drift", "performance", "slo", "decay", "revenue"]
            shown = controls(all_rules(found.monitor))
            assert shown.passed == shown.total == 25
