"""docs/serve.md says what is so of the log and of the metrics: its line, its series and its limits are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from logging_samples import WHO, answer, metrics
from prometheus_client.parser import text_string_to_metric_families

from mlgate.config.shipping import Serve
from mlgate.serving import files, log, requestid, writer
from mlgate.serving.lines import Lines

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serve.md").read_text("utf-8")
PART = PAGE[PAGE.index("## What is logged") :]


def block(kind: str) -> Any:
    found = re.search(rf"^```{kind}\n(.*?)^```", PART, re.DOTALL | re.MULTILINE)
    assert found
    return (json.loads if kind == "json" else yaml.safe_load)(found[1])


def test_the_settings_shown_are_read() -> None:
    serve = Serve.model_validate(block("yaml")["serve"])
    assert serve.log.features == ["age", "visits_last_year"]
    assert serve.log.queue == Serve().log.queue
    assert serve.replay is not None
    assert float(serve.replay.sample) == 0.01


def test_the_line_shown_has_the_fields_of_a_line() -> None:
    shown = block("json")
    lines = Lines(WHO, "production", ["age", "visits_last_year"], ["person"], b"k" * 16)
    made = json.loads(lines.one(lines.taken(answer(1, age=[40], visits_last_year=[3], person=["p"]))))
    assert list(made) == list(shown)
    assert {name: type(value) for name, value in made.items()} == {name: type(value) for name, value in shown.items()}
    assert list(made["features"]) == list(shown["features"])
    assert len(made["hashed"]["person"]) == len(shown["hashed"]["person"])
    assert made["latency_ms"] == shown["latency_ms"]


def test_the_series_named_are_those_there_are() -> None:
    counts = metrics()
    counts.began()
    counts.observe("/predict", 200, 0.1, 1)
    found = {}
    for family in text_string_to_metric_families(counts.render().decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = tuple(key for key in family.samples[0].labels if key != "le")
    table = PART[PART.index("| series |") : PART.index("Errors in per cent")]
    named = {}
    for row in table.splitlines():
        labels = re.search(r"\{([a-z,]+)\}", row)
        for name in re.findall(r"mlgate_[a-z_]+", row):
            assert labels
            named[name] = tuple(labels[1].split(","))
    assert named == found


def test_the_limits_named_are_the_codes() -> None:
    flat = " ".join(PART.split())
    assert f"at most {writer.LAST:g} seconds" in flat
    assert f"{1 / writer.PAUSE:g} times a second" in flat
    assert writer.RETRY == 0.5
    assert "tried again twice a second" in flat
    assert writer.QUIET == 60
    assert f"at least {log._SHORTEST} characters" in flat
    assert files._SHARE == 1 / 8
    assert "seven eighths" in flat
    for character in "AZaz09._:/+=@-":
        assert requestid.take(character.encode() * 128) == character * 128
    assert "1 to 128 characters" in flat
