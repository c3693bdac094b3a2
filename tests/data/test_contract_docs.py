"""What the pages say about contracts is what the loader does."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel
from test_contract_schema import SCHEMA, values

from mlgate import config, schemas
from mlgate.data.contract import load
from mlgate.data.contract.known import REFUSED
from mlgate.data.contract.short import VOCABULARY, Column, Drift, Relation, Short, Table
from mlgate.errors import MlgateError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
CONFIG = Draft7Validator(schemas.config_schema())


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(rf"^([ ]*)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def is_contract(text: str) -> bool:
    keys = set(re.findall(r"^\"?(\w+)\"?:", text, re.MULTILINE))
    return "model" not in keys and bool(keys & {"columns", "relations", "expectations"})


def contracts() -> list[tuple[str, str]]:
    """Every contract of the repository's pages and projects."""
    folders = [ROOT / name for name in ("docs", "example-project", "actions", "workflows", "gitlab-templates")]
    pages = [*sorted(ROOT.glob("*.md")), *(page for folder in folders for page in sorted(folder.rglob("*.md")))]
    found = [
        (f"{page.relative_to(ROOT)}:{number}", block)
        for page in pages
        for number, block in enumerate(blocks(page.read_text(encoding="utf-8"), "ya?ml"))
        if is_contract(block)
    ]
    files = [file for folder in folders for file in sorted(folder.rglob("contracts/*.*ml"))]
    return found + [(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")) for file in files]


@pytest.mark.parametrize(("name", "text"), contracts(), ids=[name for name, _ in contracts()])
def test_every_contract_that_is_shown_is_read(name: str, text: str) -> None:
    assert load(text.encode(), name).expectations
    if re.search(r"^schema:", text, re.MULTILINE):
        assert not list(SCHEMA.iter_errors(values(text)))


def test_the_page_has_its_contracts() -> None:
    assert len([name for name, _ in contracts() if name.startswith("docs/contracts.md")]) >= 7
    assert schemas.CONTRACT_LINE in PAGE


def test_every_other_block_is_part_of_mlgate_yaml() -> None:
    rest = [block for block in blocks(PAGE, "yaml") if not is_contract(block)]
    assert len(rest) >= 3
    for block in rest:
        whole = f"schema: 1\nmodel: m\nevaluate: {{holdout: {{metrics: [metrics/eval.json]}}}}\n{block}"
        config.load(whole, file="mlgate.yaml", base=lambda _: None)


@pytest.mark.parametrize("section", [Short, Table, Column])
def test_the_page_lists_every_key_and_shows_it(section: type[BaseModel]) -> None:
    shown = "\n".join(block for block in blocks(PAGE, "yaml") if is_contract(block))
    for name, field in section.model_fields.items():
        key = field.alias or name
        assert re.search(rf"^\| `{key}` \|", PAGE, re.MULTILINE), key
        assert re.search(rf"\b{key}:", shown), key


def test_the_page_lists_no_key_that_there_is_not() -> None:
    keys = {field.alias or name for model in VOCABULARY.sections.values() for name, field in model.model_fields.items()}
    part = PAGE.split("## Every key")[1].split("## Severities")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) <= keys
    for model in (Drift, Relation):
        for name, field in model.model_fields.items():
            assert re.search(rf"\b{field.alias or name}\b", PAGE)


def test_both_spellings_on_the_page_say_the_same() -> None:
    (suite,) = blocks(PAGE, "json")
    short = next(block for block in blocks(PAGE, "yaml") if "mostly: 99%}\n  plan: {in:" in block)
    json.loads(suite)
    one, other = load(short.encode(), "short"), load(suite.encode(), "suite")
    assert [(e.type, e.kwargs, e.severity, e.title) for e in one.expectations] == [
        (e.type, e.kwargs, e.severity, e.title) for e in other.expectations
    ]


def test_the_page_shows_an_error_as_it_is() -> None:
    (said,) = [block for block in blocks(PAGE, "console") if "Did you mean" in block]
    with pytest.raises(MlgateError) as caught:
        load(b"schema: 1\ncolumns:\n  age: {minimum: 0}\n", "contracts/persons.yaml")
    assert str(caught.value) == said.strip()


def test_the_page_names_the_types_that_ask_a_database() -> None:
    for type_, (why, _) in REFUSED.items():
        if "database" in why:
            assert f"`{type_}`" in PAGE
    assert len([1 for why, _ in REFUSED.values() if "never built" in why]) == 4


def test_what_the_page_says_is_refused_is_refused() -> None:
    entry = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": 0}}
    for kwargs in (
        {"mostly": 0},
        {"min_value": None},
        {"min_value": {"$PARAMETER": "x"}},
        {"parse_strings_as_datetimes": True},
        {"auto": True},
    ):
        suite = {"name": "s", "expectations": [{**entry, "kwargs": entry["kwargs"] | kwargs}]}  # type: ignore[operator]
        with pytest.raises(MlgateError):
            load(json.dumps(suite).encode(), "s.json")
    left_alone = {"result_format": "SUMMARY", "catch_exceptions": False}
    kept = {**entry, "kwargs": {**entry["kwargs"], **left_alone}, "rendered_content": [], "notes": "x"}  # type: ignore[dict-item]
    assert load(json.dumps({"name": "s", "expectations": [kept]}).encode(), "s.json").expectations
