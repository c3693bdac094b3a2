"""A board for Grafana: every model that a Prometheus knows of, with what production came to and how its server does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_PLACE = 'model=~"$model",environment=~"$environment"'
_WIDE = 24
_GREEN, _YELLOW, _RED, _PURPLE = "green", "yellow", "red", "purple"
_STATES = {"0": ("quiet", _GREEN), "1": ("pending", _YELLOW), "2": ("unknown", _PURPLE), "3": ("firing", _RED)}
_Json = dict[str, Any]


def text() -> str:
    """JSON for Grafana's import, or for a folder that it is provisioned from."""
    return json.dumps(board(), indent=2, ensure_ascii=False) + "\n"


def board() -> _Json:
    return {
        "uid": "mlgate-models",
        "title": "Models in production",
        "description": "What mlgate monitor read of production, and how the servers of the models do.",
        "tags": ["mlgate"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": "now-30d", "to": "now"},
        "refresh": "5m",
        "templating": {"list": list(_variables())},
        "panels": list(_placed(_panels())),
    }


def _variables() -> Iterator[_Json]:
    yield {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    asked = "label_values(mlgate_monitor_window_end_seconds"
    yield _variable("model", "Model", f"{asked}, model)")
    yield _variable("environment", "Environment", f'{asked}{{model=~"$model"}}, environment)')
    column = f"label_values(mlgate_monitor_column{{{_PLACE}}}, column)"
    yield _variable("column", "Column", column)
    yield _variable("reading", "Reading", f"label_values(mlgate_monitor_reading{{{_PLACE}}}, name)")


def _variable(name: str, label: str, query: str) -> _Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels() -> Iterator[tuple[int, int, _Json]]:
    """Width, height, panel."""
    firing = f'mlgate_monitor_alert{{{_PLACE},mlgate_monitor_alert="firing"}}'
    unknown = f'mlgate_monitor_alert{{{_PLACE},mlgate_monitor_alert="unknown"}}'
    pending = f'mlgate_monitor_alert{{{_PLACE},mlgate_monitor_alert="pending"}}'
    yield _WIDE, 1, _row("Now")
    yield 5, 4, _number("Rules firing", f"sum({firing})", [(None, _GREEN), (1, _RED)])
    yield 5, 4, _number("Rules without an answer", f"sum({unknown})", [(None, _GREEN), (1, _PURPLE)])
    yield 5, 4, _number("Columns moved", f"sum(mlgate_monitor_drifted{{{_PLACE}}})", [(None, _GREEN), (1, _YELLOW)])
    ended = f"time() - min(mlgate_monitor_window_end_seconds{{{_PLACE}}})"
    yield 5, 4, _number("Oldest last window", ended, [(None, _GREEN), (172_800, _YELLOW), (604_800, _RED)], unit="s")
    yield 4, 4, _number("Rows in the window", f"sum(mlgate_monitor_rows{{{_PLACE}}})", [(None, _GREEN)])
    state = f"max by (model, environment, rule) (3 * {firing} + ignoring(mlgate_monitor_alert) 2 * {unknown} "
    state += f"+ ignoring(mlgate_monitor_alert) {pending})"
    yield _WIDE, 8, _states("Rules over time", state, "{{model}} {{environment}}: {{rule}}")
    yield _WIDE, 1, _row("Drift")
    psi = f'mlgate_monitor_column{{{_PLACE},measure="psi",column=~"$column"}}'
    yield 12, 9, _lines("Population stability index by column", [(psi, "{{model}} {{column}}")])
    share = f"avg by (model, environment) (mlgate_monitor_drifted{{{_PLACE}}})"
    yield 12, 9, _lines("Share of columns that moved", [(share, "{{model}} {{environment}}")], unit="percentunit")
    yield _WIDE, 1, _row("Readings and limits")
    named = f'{_PLACE},name=~"$reading"'
    readings = [
        (f"mlgate_monitor_reading{{{named}}}", "{{model}} {{name}}"),
        (f"mlgate_monitor_limit{{{named}}}", "{{model}} {{name}}: limit"),
    ]
    yield _WIDE, 9, _lines("Readings", readings, dashed=".*: limit")
    yield _WIDE, 1, _row("Servers")
    yield from _servers()


def _servers() -> Iterator[tuple[int, int, _Json]]:
    which, rate = 'model=~"$model"', "$__rate_interval"
    requests = f"sum by (model, version) (rate(mlgate_requests_total{{{which}}}[{rate}]))"
    failed = f'sum by (model, version) (rate(mlgate_requests_total{{{which},status=~"5.."}}[{rate}]))'
    yield 8, 8, _lines("Requests", [(requests, "{{model}} {{version}}")], unit="reqps")
    yield 8, 8, _lines("Errors", [(f"{failed} / {requests}", "{{model}} {{version}}")], unit="percentunit")
    slow = f"sum by (le, model) (rate(mlgate_request_seconds_bucket{{{which}}}[{rate}]))"
    three = [(f"histogram_quantile({q}, {slow})", f"{{{{model}}}} p{q[2:]}") for q in ("0.50", "0.95", "0.99")]
    yield 8, 8, _lines("Latency", three, unit="s")


# -- panels ------------------------------------------------------------------------------------------------------------


def _placed(panels: Iterator[tuple[int, int, _Json]]) -> Iterator[_Json]:
    """From left to right, then down."""
    x = y = high = 0
    for number, (wide, tall, panel) in enumerate(panels, 1):
        if x + wide > _WIDE:
            x, y, high = 0, y + high, 0
        yield {"id": number, **panel, "gridPos": {"x": x, "y": y, "w": wide, "h": tall}}
        x, high = x + wide, max(high, tall)


def _row(title: str) -> _Json:
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def _panel(kind: str, title: str, asked: Sequence[tuple[str, str]], defaults: _Json, options: _Json) -> _Json:
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": _SOURCE,
            "expr": expression,
            "legendFormat": legend or "__auto",
            "editorMode": "code",
            "range": True,
        }
        for number, (expression, legend) in enumerate(asked)
    ]
    return {
        "type": kind,
        "title": title,
        "datasource": _SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def _number(title: str, asked: str, steps: Sequence[tuple[float | None, str]], *, unit: str = "short") -> _Json:
    levels = [{"value": value, "color": color} for value, color in steps]
    defaults = {
        "unit": unit,
        "decimals": 0,
        "thresholds": {"mode": "absolute", "steps": levels},
        "noValue": "nothing read",
    }
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value"}
    return _panel("stat", title, [(asked, "")], defaults, options)


def _lines(title: str, asked: Sequence[tuple[str, str]], *, unit: str = "short", dashed: str = "") -> _Json:
    custom = {"drawStyle": "line", "lineWidth": 1, "showPoints": "auto", "spanNulls": False}
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    made = _panel("timeseries", title, asked, {"unit": unit, "min": 0, "custom": custom}, options)
    if dashed:
        style = {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 4]}}
        made["fieldConfig"]["overrides"] = [{"matcher": {"id": "byRegexp", "options": dashed}, "properties": [style]}]
    return made


def _states(title: str, asked: str, legend: str) -> _Json:
    shown = {key: {"text": word, "color": color, "index": int(key)} for key, (word, color) in _STATES.items()}
    defaults = {"mappings": [{"type": "value", "options": shown}], "custom": {"fillOpacity": 70, "lineWidth": 0}}
    options = {"mergeValues": True, "showValue": "auto", "legend": {"displayMode": "list", "placement": "bottom"}}
    return _panel("state-timeline", title, [(asked, legend)], defaults, options)
