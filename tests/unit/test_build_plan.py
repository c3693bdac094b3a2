"""What a build refuses before anything is built."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from config_samples import FULL, read

from mlgate.commands import _build_plan, _serving
from mlgate.errors import MlgateError
from mlgate.serving.settings import Identity

MLMODEL = """\
flavors: {python_function: {loader_module: mlflow.sklearn}}
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "string", "name": "plan", "required": true}]'
"""


def check(model: Path, log: str) -> None:
    config = read(f"{FULL}serve:\n  log:\n    {log}\n")
    settings = _serving.settings(config, model=model, identity=Identity("visits"), contract=None)
    source: Any = SimpleNamespace(config=config)
    _build_plan._check_log(source, model, settings)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "MLmodel").write_text(MLMODEL)
    return tmp_path


def test_a_column_that_the_model_does_not_take_is_never_logged_in_silence(model: Path) -> None:
    check(model, "features: [age]")
    with pytest.raises(MlgateError) as caught:
        check(model, "features: [aeg]")
    assert "serve.log.features names `aeg`, which is no input of the model" in str(caught.value)
    assert "It takes age, plan." in str(caught.value)
    with pytest.raises(MlgateError, match=r"serve\.log\.hashed names `person`"):
        check(model, "hashed: [person]")


def test_of_a_model_without_a_signature_only_its_server_knows(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"")
    check(tmp_path / "model.joblib", "features: [anything]")
