"""docs/governance.md says what is so: its samples are read, its names are the code's. The example's words are whole."""

from __future__ import annotations

import json
import re

import click
import pytest

from builder import ROOT
from mlgate import config
from mlgate.commands import audit
from mlgate.config.shipping import PAPERS
from mlgate.governance import explain, words
from mlgate.governance.nouns import BIAS, CARD, EXPLAINED, SERVICE, SHEET

PAGE = (ROOT / "docs/governance.md").read_text("utf-8")
EXAMPLE = ROOT / "example-project"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_is_read() -> None:
    seen = set()
    for block in blocks("yaml"):
        if block.startswith("governance:"):
            whole = f"schema: 1\nmodel: m\nevaluate: {{holdout: {{metrics: [metrics/eval.json]}}}}\n{block}"
            config.load(whole, file="mlgate.yaml", base=lambda _: None)
            seen.add("settings")
        elif "intended_use:" in block:
            assert list(words.problems(words.card(block.encode(), "card.yaml"))) == []
            seen.add("card")
        else:
            assert list(words.problems(words.sheet(block.encode(), "data_sheet.yaml"))) == []
            seen.add("sheet")
    assert seen == {"settings", "card", "sheet"}
    (report,) = blocks("json")
    plain = json.loads(report)
    about = {
        "model": "m", "commit": "", "subject": {"sha256": "..."}, "data": "", "data_digest": {}, "evaluation": "",
        "score": "", "metric": "", "metric_value": None, "rows": 0, "of": 0, "repeats": 0,
    }  # fmt: skip
    assert explain.own(json.dumps(plain).encode(), "explain.json", about).examples[0].row == "17"


@pytest.mark.parametrize("kind", [words.CardWords, words.SheetWords])
def test_every_key_of_the_words_is_named(kind: type[words.CardWords | words.SheetWords]) -> None:
    for name in kind.model_fields:
        assert re.search(rf"`{name}`|^{name}:|^schema: 1", PAGE, re.MULTILINE), name


def test_papers_checks_and_options_are_those_of_the_code() -> None:
    for name in (CARD, SHEET, EXPLAINED, BIAS, SERVICE):
        assert f"| `{name}` |" in PAGE
    assert tuple(re.findall(r"^\| `(\w+)` \| ", PAGE.split("## The checklist")[1], re.MULTILINE)) == PAPERS
    option = next(p for p in audit.command.commands["papers"].params if p.name == "explain")
    assert isinstance(option.type, click.Choice)
    for choice in option.type.choices:
        assert re.search(rf"`(--explain )?{choice}`", PAGE) or choice == "always"


def test_the_words_of_the_example_say_something() -> None:
    found = config.load((EXAMPLE / "mlgate.yaml").read_bytes(), file="mlgate.yaml", base=lambda _: None)
    said = found.governance
    assert said.card
    assert said.data_sheet
    card = words.card((EXAMPLE / said.card).read_bytes(), said.card)
    sheet = words.sheet((EXAMPLE / said.data_sheet).read_bytes(), said.data_sheet)
    assert [*words.problems(card), *words.problems(sheet)] == []
    assert sheet.personal_data
    assert {"latency_p95_ms", "throughput_rps"} <= said.sla.model_fields_set
    assert said.owners
    assert said.rollback
    assert said.retirement
