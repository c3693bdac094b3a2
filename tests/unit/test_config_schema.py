"""The published JSON Schemas and the reference page say what the loader does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from config_samples import BASE, CHILD, FULL, ROWS, SMALL, WIDE, read
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import BaseModel
from pydantic_core import PydanticCustomError
from test_config_errors import DATA, KEYS, PATHS, RECOMPUTED, TOGETHER, TYPES
from test_config_properties import plain

from mlgate import estimators, parity, schemas
from mlgate.config import known, yamlfile
from mlgate.config import values as config_values
from mlgate.config.settings import COSTS
from mlgate.errors import MlgateError
from mlgate.model import Check, Controls, Evidence, Named, Verdict

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "schema"
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

CONFIG = Draft7Validator(schemas.config_schema())
SHARED = Draft7Validator(schemas.base_schema())
EVIDENCE = Draft202012Validator(schemas.evidence_schema())


def values(text: str) -> Any:
    return plain(yamlfile.parse(text, file="mlgate.yaml")[0].raw())


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


# --- the files


@pytest.mark.parametrize("name", schemas.FILES)
def test_the_published_schemas_are_current(name: str) -> None:
    written = (PUBLISHED / name).read_text(encoding="utf-8")
    assert written == schemas.text(schemas.FILES[name]()), "run `python -m mlgate.schemas docs/schema`"


def test_the_command_writes_them_the_same_each_time(tmp_path: Path) -> None:
    for seed in ("0", "1"):
        env = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-m", "mlgate.schemas", str(tmp_path / seed)], env=env, check=True)
    for name in schemas.FILES:
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == sorted(schemas.FILES)


def test_the_schemas_are_schemas() -> None:
    Draft7Validator.check_schema(CONFIG.schema)
    Draft7Validator.check_schema(SHARED.schema)
    Draft202012Validator.check_schema(EVIDENCE.schema)


def test_every_key_is_described_and_every_section_closed() -> None:
    def check(schema: dict[str, Any], path: str) -> int:
        seen = 0
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path
        for key, inner in schema.get("properties", {}).items():
            assert inner.get("description"), f"{path}.{key}"
            seen += 1 + check(inner, f"{path}.{key}")
        for below in ("items", "additionalProperties"):
            if isinstance(schema.get(below), dict):
                seen += check(schema[below], f"{path}.*")
        return seen + sum(check(option, path) for option in schema.get("anyOf", []))

    expected = sum(len(known.keys(section)) for section in known.SECTIONS.values())
    assert check(CONFIG.schema, "") == expected
    assert check(SHARED.schema, "") == expected - 1


# --- the schema and the loader agree


@pytest.mark.parametrize(
    "text", [FULL, WIDE, ROWS, SMALL, SMALL + "compare:\n  rules:\n", FULL.replace("mode: report", "mode: off")]
)
def test_the_schema_accepts_what_the_loader_reads(text: str) -> None:
    read(text)
    assert not list(CONFIG.iter_errors(values(text)))


def test_the_schema_lets_files_that_extend_leave_keys_out() -> None:
    assert not list(CONFIG.iter_errors(values(CHILD)))
    assert not list(SHARED.iter_errors(values(BASE)))
    assert list(CONFIG.iter_errors(values(CHILD.replace("model: visits\n", ""))))
    assert list(CONFIG.iter_errors(values(CHILD.replace("extends: ../../mlgate.base.yaml\n", ""))))
    assert list(SHARED.iter_errors(values(BASE + "extends: x.yaml\n")))
    assert list(SHARED.iter_errors(values(BASE.replace("threshold", "treshold"))))


# What a schema cannot see: how YAML was written, a value against another value, the folder of the file.
BEYOND = re.compile(
    r"given twice|which some readers|is not read|holds the unseen character|more digits|a finite number"
    r"|would never warn|is not below|contradicts|no rule is measured|does not say which way|it could never fail"
    r"|\.yaml:1: schema must be"
)


@pytest.mark.parametrize(("before", "after", "message"), [*KEYS, *TYPES, *TOGETHER])
def test_the_schema_refuses_what_the_loader_refuses(before: str, after: str, message: str) -> None:
    text = FULL.replace(before, after, 1)
    try:
        found = list(CONFIG.iter_errors(values(text)))
    except MlgateError:
        return  # not even YAML
    assert found or BEYOND.search(message)


# Neither do schemas see one key against another, or what a word in a command stands for.
BESIDE = re.compile(
    r"as in data|the data file itself|outside the repository\. Only|has no `|does not say by|which stands for nothing"
    r"|holds `\{data\}`|is for CSV files|has no model|finite number|but is `no`|is for CSV"
)


@pytest.mark.parametrize(("before", "after", "message"), DATA)
def test_the_schema_refuses_what_the_loader_refuses_of_data_and_training(before: str, after: str, message: str) -> None:
    assert list(CONFIG.iter_errors(values(WIDE.replace(before, after, 1)))) or BESIDE.search(message)


# Nor which keys need each other, or in which order numbers stand.
APART = re.compile(
    r"is read only when|has no file|does not name|has no `score` to|is not used|for two classes|which is for|, as is `"
    r"|needs `|which needs one|only you know|no parameter|belongs to an estimator|could be about|of recomputed values"
    r"|is for regression|ascending order|is empty\. Write|no column of `by`|with itself|same groups twice|own\. Name"
    r"|means nothing for|has to be recomputed|no fairness metric that mlgate knows|lies between 0|keeps to|has no limit"
    r"|contradicts|not stricter|has no rule in|nothing says how|user or password|needs rows|names a column twice"
    r"|no cost other than|makes no sense for a cost|above the|below which|alone\. Use"
    r"|outside the repository\. Only|but is `yes`|is `yes`"
)


@pytest.mark.parametrize(("before", "after", "message"), RECOMPUTED)
def test_the_schema_refuses_what_the_loader_refuses_of_rows(before: str, after: str, message: str) -> None:
    assert list(CONFIG.iter_errors(values(ROWS.replace(before, after, 1)))) or APART.search(message)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[data/train.csv, "data/old/*.csv"]', "data/train.csv"),
        ("apart_by: [person, year]", "apart_by: person"),
        ("stages: [prepare, train]", "stages:"),
        ("environment: [LICENSE_KEY]", "environment:"),
        ("columns: {id: person_year}", "columns:"),
        ("format: csv", "format: ~"),
        ('nulls: ["", NA, "-999"]', "nulls: ~"),
        ('delimiter: ";"', 'delimiter: "\\t"'),
    ],
)
def test_the_schema_accepts_the_other_ways_to_write_it(before: str, after: str) -> None:
    assert before in WIDE
    text = WIDE.replace(before, after, 1)
    read(text)
    assert not list(CONFIG.iter_errors(values(text)))


def test_the_schema_refuses_what_a_rule_cannot_mean() -> None:
    for before, after in [
        ("is: roc_auc", "is: roc_auk"),
        ("is: roc_auc", "is: r2, max_relative_regression: 1%"),
        ("is: roc_auc", "max_relative_regression: 1.0"),
        ("  anchor: visits@v1.0.0\n", ""),
        ("{max_relative_regression: 2%, warn_relative_regression: 0.01}", "{is: log_loss}"),
        ("schema: 1", "schema: true"),
    ]:
        assert list(CONFIG.iter_errors(values(FULL.replace(before, after, 1)))), after


@pytest.mark.parametrize("path", [path for path, message in PATHS if ".." not in path and path != "."])
def test_the_schema_refuses_paths_that_are_never_right(path: str) -> None:
    assert list(CONFIG.iter_errors({**values(SMALL), "artifact": path.replace("\\\\", "\\")}))


@settings(deadline=None)
@given(st.text(max_size=30))
def test_what_the_loader_takes_as_a_path_the_schema_takes(path: str) -> None:
    document = {**values(SMALL), "artifact": path}
    try:
        read(json.dumps(document))
    except MlgateError:
        return
    assert not list(CONFIG.iter_errors(document))


@settings(deadline=None)
@given(st.text(alphabet="ab/.-@{}~^:*?[] \\", max_size=8))
def test_the_loader_and_the_schema_take_the_same_git_references(ref: str) -> None:
    document = {**values(SMALL), "compare": {"champion": ref}}
    try:
        read(json.dumps(document))
        taken = True
    except MlgateError:
        taken = False
    assert not taken or not list(CONFIG.iter_errors(document))


# --- evidence


def test_the_schema_accepts_evidence_and_refuses_what_is_none() -> None:
    evidence = Evidence(
        kind="compare",
        model="m",
        verdict=Verdict.WARN,
        subject=Named(name="models/m", digest={"dvc-md5": "0" * 32}),
        checks=[Check(id="rules.auc", title="auc", verdict=Verdict.WARN, observed=0.7, interval=(0.6, 0.8))],
        controls=Controls(passed=2, total=2),
    )
    document = json.loads(evidence.to_json())
    assert not list(EVIDENCE.iter_errors(document))
    for wrong in (
        {**document, "schema": 2},
        {**document, "verdict": "approved"},
        {**document, "note": ""},
        {key: value for key, value in document.items() if key != "model"},
        {**document, "checks": [{**document["checks"][0], "interval": [0.6]}]},
    ):
        assert list(EVIDENCE.iter_errors(wrong))


# --- the reference page


def test_every_example_of_the_page_loads() -> None:
    found = blocks("yaml")
    assert len(found) >= 9
    shared: dict[str, str] = {}
    for block in found:
        first = block.splitlines()[0]
        if first == "# mlgate.base.yaml":
            shared["mlgate.base.yaml"] = block
            assert not list(SHARED.iter_errors(values(block)))
        elif "extends:" in block:
            config = read(block, first.removeprefix("# "), shared)
            assert not list(CONFIG.iter_errors(values(block)))
            assert config.path(config.evaluate["holdout"].metrics[0]) in PAGE
        else:
            whole = block if "\nmodel:" in block else f"schema: 1\nmodel: m\n{block}"
            if "evaluate:" not in whole:
                whole += "evaluate: {holdout: {metrics: [metrics/eval.json]}}\n"
            read(whole)
            assert not list(CONFIG.iter_errors(values(whole)))


def test_every_complete_example_names_the_schema() -> None:
    for block in blocks("yaml"):
        if "\nmodel:" in block:
            assert schemas.CONFIG_LINE in block
    assert schemas.BASE_LINE in PAGE


def sections() -> list[tuple[type[BaseModel], str]]:
    return [(section, key) for section in known.SECTIONS.values() for key in known.keys(section)]


@pytest.mark.parametrize(("section", "key"), sections(), ids=lambda value: getattr(value, "__name__", value))
def test_the_page_lists_every_key_with_its_default(section: type[BaseModel], key: str) -> None:
    field = next(f for name, f in section.model_fields.items() if (f.alias or name) == key)
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in PAGE.splitlines() if row.startswith(f"| `{key}` |")
    ]
    assert rows
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        expected = {"required"}
    elif isinstance(default, str):
        expected = {f"`{default}`"}
    elif default is None:
        expected = {"none", "from the key", "from the estimator"}
    elif isinstance(default, bool):
        expected = {f"`{str(default).lower()}`", "see below"}
    elif isinstance(default, int | Decimal):
        expected = {f"`{default:f}`" if isinstance(default, Decimal) else f"`{default}`", "see below"}
    else:
        expected = {"empty", "see below"} | ({"required"} if key == "evaluate" else set())
    if isinstance(default, Decimal):  # a time is shown with its unit
        expected |= {row[2] for row in rows if len(row) == 4 and _seconds(row[2]) == default}
    assert any(len(row) == 4 and row[2] in expected for row in rows)
    shown = "\n".join(blocks("yaml"))
    assert re.search(rf"\b{key}:", shown), f"no example shows {key}"


def _seconds(cell: str) -> Decimal | None:
    try:
        return config_values.span(cell.strip("`"))
    except PydanticCustomError:
        return None


def test_the_page_lists_every_estimator_and_what_is_refused() -> None:
    for name, estimator in estimators.KNOWN.items():
        assert f"`{name}`{' ±' if estimator.signed else ''}" in PAGE
    for alias in (*estimators.ALIASES, *parity.KNOWN, *parity.ALIASES, *COSTS):
        assert f"`{alias}`" in PAGE


def test_the_page_shows_errors_as_they_are() -> None:
    (example,) = [block for block in blocks("console") if "verdict: error" in block]
    said = example.splitlines()[2].removeprefix("  error  mlgate.yaml:21: ")
    with pytest.raises(MlgateError) as caught:
        read(FULL.replace("threshold: 0.70", "treshold: 0.70", 1))
    assert str(caught.value) == f"mlgate.yaml:21: {said}"


def samples() -> list[tuple[str, str]]:
    """Every mlgate.yaml of the repository, in files and in Markdown."""
    folders = [ROOT / name for name in ("docs", "example-project", "actions", "workflows", "gitlab-templates")]
    configs = [path for folder in folders for path in sorted(folder.rglob("mlgate.yaml"))]
    pages = [*sorted(ROOT.glob("*.md")), *(page for folder in folders for page in sorted(folder.rglob("*.md")))]
    found = [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in configs]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^([ ]*)```ya?ml\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL):
            if re.search(r"^\s*schema: 1$", block[1], re.MULTILINE) and "\nmodel:" in block[1]:
                found.append((str(page.relative_to(ROOT)), textwrap.dedent(block[1])))
    return found


@pytest.mark.parametrize(("name", "text"), samples(), ids=[name for name, _ in samples()])
def test_every_sample_loads_and_names_the_schema(name: str, text: str) -> None:
    read(text)
    assert text.startswith(schemas.CONFIG_LINE)
    assert not list(CONFIG.iter_errors(values(text)))


def test_the_samples_are_found() -> None:
    assert {"README.md", "docs/configuration.md", "example-project/mlgate.yaml"} <= {name for name, _ in samples()}
