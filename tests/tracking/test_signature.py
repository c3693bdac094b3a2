"""Signature and input example, as MLflow itself reads them."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow.models import Model, ModelSignature

from mlgate.tracking import Column, Example, signature

EXAMPLE = Example(
    (
        Column("age", "integer"),
        Column("balance", "number"),
        Column("plan", "text"),
        Column("active", "boolean"),
        Column("since", "date"),
        Column("seen", "timestamp"),
        Column("blob", ""),
        Column("ssn", "text"),
    ),
    tuple(
        (i, Decimal("1.5"), "gold", True, datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4), "?", "secret")
        for i in range(9)
    ),
    frozenset({"ssn"}),
)
MLMODEL = {
    "flavors": {"python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.skops"}},
    "mlflow_version": "3.17.2",
    "model_uuid": "m-1",
}


def test_mlflow_reads_the_signature() -> None:
    read = ModelSignature.from_dict(signature.signature(EXAMPLE))
    assert [str(t) for t in read.inputs.input_types()] == [
        "DataType.long",
        "DataType.double",
        "DataType.string",
        "DataType.boolean",
        "DataType.datetime",
        "DataType.datetime",
        "Any",
        "DataType.string",
    ]
    assert read.inputs.input_names()[-1] == "ssn"  # the model needs it; only its values are private


def test_the_example_has_five_rows_and_no_private_column() -> None:
    made = signature.frame(EXAMPLE)
    assert made is not None
    assert len(made["data"]) == 5
    assert "ssn" not in made["columns"]
    assert "secret" not in json.dumps(made)
    assert made["data"][0] == [0, 1.5, "gold", True, "2026-01-02", "2026-01-02T03:04:00", "?"]


def test_json_has_no_nan() -> None:
    made = signature.files(Example((Column("x", "number"),), ((math.nan,), (math.inf,), (None,))))
    assert json.loads(made["input_example.json"])["data"] == [[None], [None], [None]]


def test_only_private_columns_make_no_example() -> None:
    only = Example((Column("ssn", "text"),), (("1",),), frozenset({"ssn"}))
    assert signature.frame(only) is None
    assert set(signature.files(only)) == {"signature.json"}


def test_a_bare_model_folder_gets_both(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(MLMODEL), "utf-8")
    before = (tmp_path / "MLmodel").read_bytes()
    made, notes = signature.complete(tmp_path, EXAMPLE)
    assert notes == []
    assert set(made) == {"MLmodel", "input_example.json", "serving_input_example.json"}
    assert (tmp_path / "MLmodel").read_bytes() == before  # a copy is completed, never the model itself
    for name, text in made.items():
        (tmp_path / name).write_text(text or "", "utf-8")
    model = Model.load(str(tmp_path))
    assert model.signature is not None
    frame = model.load_input_example(str(tmp_path))
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["age", "balance", "plan", "active", "since", "seen", "blob"]
    assert len(frame) == 5
    assert json.loads(model.get_serving_input(str(tmp_path)) or "")["dataframe_split"]["columns"] == list(frame.columns)
    assert model.flavors == MLMODEL["flavors"]


def test_what_a_model_has_stays(tmp_path: Path) -> None:
    own = {"inputs": '[{"type": "double", "name": "x"}]', "outputs": None, "params": None}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({**MLMODEL, "signature": own}), "utf-8")
    made, _ = signature.complete(tmp_path, EXAMPLE)
    assert yaml.safe_load(made["MLmodel"] or "")["signature"] == own
    full = {**MLMODEL, "signature": own, "saved_input_example_info": {"artifact_path": "mine.json"}}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(full), "utf-8")
    assert signature.complete(tmp_path, Example(EXAMPLE.columns, EXAMPLE.rows)) == ({}, [])
    assert signature.complete(tmp_path, None) == ({}, [])


@pytest.mark.parametrize(
    ("own", "goes"),
    [
        ('{"columns": ["age", "ssn"], "data": [[1, "secret"]]}', True),
        ('[[1, "secret"]]', True),  # nobody can tell what its columns are
        ("not json", True),
        ('{"columns": ["age"], "data": [[1]]}', False),
    ],
)
def test_an_example_that_came_with_the_model_shows_no_private_columns(tmp_path: Path, own: str, goes: bool) -> None:
    info = {"artifact_path": "mine.json", "serving_input_path": "serving.json", "type": "dataframe"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({**MLMODEL, "saved_input_example_info": info}), "utf-8")
    (tmp_path / "mine.json").write_text(own, "utf-8")
    (tmp_path / "serving.json").write_text(own, "utf-8")
    made, notes = signature.complete(tmp_path, EXAMPLE)
    read = yaml.safe_load(made["MLmodel"] or "")
    assert ("mine.json" in made, "serving.json" in made) == (goes, goes)
    assert read["saved_input_example_info"]["artifact_path"] == ("input_example.json" if goes else "mine.json")
    assert notes == (
        ["The model came with an input example of its own that may show private columns; it was left out."]
        if goes
        else []
    )
    unknown, _ = signature.complete(tmp_path, Example(EXAMPLE.columns, (), EXAMPLE.private))
    assert ("mine.json" in unknown) == goes


def test_without_data_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(MLMODEL), "utf-8")
    made, notes = signature.complete(tmp_path, None)
    assert made == {}
    assert notes == [
        "The model has no signature and no input example, and there was no evaluation data to make one from."
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"- a\n", b"a: [", b"\xff\xfe", b"!!python/object/apply:os.system [id]", b"a: b\n" * 300_000, b"[" * 5_000],
)
def test_a_broken_mlmodel_is_logged_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "MLmodel").write_bytes(content)
    made, notes = signature.complete(tmp_path, EXAMPLE)
    assert made == {}
    assert notes == ["The model's MLmodel file cannot be read, so it was logged as it is."]
