"""docs/performance.md: its YAML is a configuration, and what it says of counts and words is so."""

from __future__ import annotations

import re

import pytest

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.config import objectives, watched
from mlgate.config.deploying import FEWEST
from mlgate.config.limits import Rule
from mlgate.watch import performance, truth

TEXT = (ROOT / "docs/performance.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_yaml_is_a_configuration(block: str) -> None:
    loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
    assert loaded.monitor.environment == "production"


def test_every_count_is_described() -> None:
    named = re.findall(r"^\| ((?:predictions|truth) [^|`]+?) \|", TEXT, re.MULTILINE)
    of_truth = (
        truth.STRANGE, truth.AGAIN, truth.SETTLED, truth.EMPTY, truth.UNNAMED, truth.TIMELESS, truth.EARLY
    )  # fmt: skip
    assert named == [*truth.PREDICTIONS, *of_truth]


def test_words_are_those_that_are_taken_and_refused() -> None:
    table = TEXT[TEXT.index("| limit |") :].split("\n\n")[0]
    taken = set(re.findall(r"`([a-z_]+)`", table))
    assert taken == set(watched._LIVE)
    refused = TEXT[TEXT.index("Words that mean nothing here (") :].split(")")[0]
    names = {field.alias or name for name, field in Rule.model_fields.items()}
    for word in re.findall(r"`([a-z_]+)`", refused):
        assert word in names
        assert word not in taken


def test_numbers_are_those_of_the_code() -> None:
    table = TEXT[TEXT.index("| name |") :].split("\n\n")[0]
    assert set(re.findall(r"`((?:latency_p\d\d)|error_rate|availability|requests)`", table)) == set(objectives.SERVICE)
    assert "of 20, 60 and 300 requests at least" in table
    assert list(FEWEST.values()) == [20, 60, 300]
    assert "by 10 points or more" in TEXT
    assert performance.UNEVEN == 0.1
    for word in objectives.WORDS:
        assert f"`{{{word}}}`" in TEXT


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
