"""Models in each form give the answers of the library that made them, or are refused with a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pandas as pd
import pytest
import skops.io
import threadpoolctl
from served import (
    HOME,
    INPUTS,
    WHO,
    as_joblib,
    as_mlflow,
    label,
    logistic,
    numbers,
    people,
    pipeline,
    regressor,
    served,
    species,
)
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlgate.errors import MlgateError
from mlgate.serving import mlmodel, models
from mlgate.serving.inputs import Reader
from mlgate.serving.settings import Decide, Input, Settings

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names", "ignore:::mlflow")
SCRIPTS = str(Path(__file__).parents[2] / "scripts")


def settings(**more: Any) -> Settings:
    return Settings(WHO, **more)


def rows(count: int = 20) -> list[dict[str, Any]]:
    return numbers().head(count).to_dict(orient="records")


@pytest.mark.parametrize("form", ["skops", "cloudpickle", "pickle"])
def test_an_mlflow_folder_of_scikit_learn_in_each_form(form: str) -> None:
    table = people().dropna().head(20)
    with served(as_mlflow("pipeline", form), decide=Decide(0.5, 1)) as client:
        assert client.app.model.kind == "sklearn"
        said = client.told(table.to_dict(orient="records"))
    assert said["probability"] == pytest.approx(pipeline().predict_proba(table)[:, 1].tolist(), abs=1e-12)


def test_a_skops_file() -> None:
    path = HOME / "a file ü.skops"
    skops.io.dump(species(), path)
    with served(path) as client:
        assert client.told(rows())["prediction"] == species().predict(numbers().head(20)).tolist()


def test_a_type_that_nobody_trusts_is_not_loaded(tmp_path: Path) -> None:
    skops.io.dump(FunctionTransformer(subprocess.run), tmp_path / "m.skops")
    with pytest.raises(MlgateError, match=r"would load subprocess\.run, which mlgate does not know"):
        models.load(tmp_path, settings())


def test_what_a_model_names_itself_is_not_trusted_for_it(tmp_path: Path) -> None:
    """MLflow trusts the list inside the model; a model that is made to do harm brings such a list."""
    shutil.copytree(as_mlflow("logistic"), tmp_path / "m")
    skops.io.dump(FunctionTransformer(subprocess.run), tmp_path / "m" / "model.skops")
    text = (tmp_path / "m" / "MLmodel").read_text()
    (tmp_path / "m" / "MLmodel").write_text(
        text.replace("skops_trusted_types:", "skops_trusted_types: [subprocess.run]\n    x:")
    )
    with pytest.raises(MlgateError, match=r"subprocess\.run"):
        models.load(tmp_path / "m", settings())


def onnx_file(model: Any, name: str, **options: Any) -> Path:
    from skl2onnx import to_onnx  # noqa: PLC0415 -- slow

    path = HOME / f"{name}.onnx"
    made = to_onnx(model, numbers().to_numpy().astype(np.float32)[:1], options=options or None)
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("zipmap", [True, False])
def test_an_onnx_classifier(zipmap: bool) -> None:
    path = onnx_file(species(), f"species {zipmap}", zipmap=zipmap)
    table = numbers().head(20)
    with served(path) as client:
        assert client.app.model.kind == "onnx"
        said = client.told({"features": table.to_numpy().tolist()})
        alone = client.told({"features": table.to_numpy()[0].tolist()})
    assert said["prediction"] == species().predict(table).tolist()
    assert np.allclose(said["probability"], species().predict_proba(table), atol=1e-5)
    assert alone["prediction"] == said["prediction"][0]


def test_the_cut_off_decides_of_an_onnx_classifier_too() -> None:
    path = onnx_file(logistic(), "logistic")
    table = numbers().head(50)
    yes = logistic().predict_proba(table)[:, 1]
    with served(path, decide=Decide(0.8, "yes")) as client:
        said = client.told({"features": table.to_numpy().tolist()})
    assert said["prediction"] == np.where(yes >= 0.8, "yes", "no").tolist()
    assert np.allclose(said["probability"], yes, atol=1e-5)


def test_an_onnx_regressor_and_one_input_for_each_column() -> None:
    from skl2onnx import to_onnx  # noqa: PLC0415 -- slow
    from skl2onnx.common.data_types import FloatTensorType  # noqa: PLC0415 -- slow

    with served(onnx_file(regressor(), "regressor")) as client:
        assert client.told({"features": [[1, 0, 0], [2, 0, 0]]})["prediction"] == pytest.approx([3, 6], abs=1e-5)
    model = make_pipeline(make_column_transformer((StandardScaler(), ["a", "b", "c"])), LinearRegression())
    model.fit(numbers(), numbers()["a"])
    path = HOME / "columns.onnx"
    kinds = [(name, FloatTensorType([None, 1])) for name in "abc"]
    path.write_bytes(to_onnx(model, initial_types=kinds).SerializeToString())
    with served(path) as client:
        assert [one.name for one in client.app.reader.inputs] == ["a", "b", "c"]
        assert np.allclose(client.told(rows())["prediction"], model.predict(numbers().head(20)), atol=1e-5)


def test_an_mlflow_folder_of_onnx_answers_as_mlflow_does() -> None:
    import mlflow  # noqa: PLC0415 -- slow
    from mlflow.models import infer_signature  # noqa: PLC0415 -- slow

    folder = HOME / "mlflow onnx"
    table = numbers().astype("float32")
    mlflow.onnx.save_model(
        onnx.load(onnx_file(species(), "for mlflow", zipmap=False)), str(folder),
        signature=infer_signature(table), pip_requirements=["onnxruntime"],
    )  # fmt: skip
    frame = table.head(5)
    with served(folder) as client:
        assert client.told(rows(5))["prediction"] == species().predict(numbers().head(5)).tolist()
    one = HOME / "mlflow onnx regressor"
    mlflow.onnx.save_model(
        onnx.load(onnx_file(regressor(), "for mlflow too")), str(one), signature=infer_signature(table),
        pip_requirements=["onnxruntime"],
    )  # fmt: skip
    with served(one) as client:
        said = client.told({"dataframe_records": frame.to_dict(orient="records")}, "/invocations")
    own = mlflow.pyfunc.load_model(str(one)).predict(frame)
    assert [row["variable"] for row in said["predictions"]] == pytest.approx(own["variable"].tolist())


def pyfunc_folder(name: str, **more: Any) -> Path:
    import mlflow  # noqa: PLC0415 -- slow

    class Model(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # MLflow makes a signature of type hints
            return model_input["a"] * (params or {}).get("times", 2)

    folder = HOME / name
    mlflow.pyfunc.save_model(str(folder), python_model=Model(), pip_requirements=["pandas"], **more)
    return folder


def test_any_other_flavour_goes_through_pyfunc() -> None:
    from mlflow.models import infer_signature  # noqa: PLC0415 -- slow

    folder = pyfunc_folder("pyfunc", signature=infer_signature(numbers(), numbers()["a"], params={"times": 2.0}))
    with served(folder) as client:
        assert client.app.model.kind == "pyfunc"
        wanted = (numbers()["a"].head(3) * 2).tolist()
        assert client.told(rows(3))["prediction"] == pytest.approx(wanted)
        body = {"dataframe_records": rows(3), "params": {"times": 10.0}}
        said = client.told(body, "/invocations")["predictions"]
        assert [row["a"] for row in said] == pytest.approx([one * 5 for one in wanted])
        assert client.ask([{"a": "x", "b": 1, "c": 1}]).status_code == 422


def test_a_score_of_pyfunc_is_decided_by_the_cut_off() -> None:
    from mlflow.models import infer_signature  # noqa: PLC0415 -- slow

    folder = pyfunc_folder("pyfunc score", signature=infer_signature(numbers(), numbers()["a"]))
    with served(folder, decide=Decide(0.5, 1)) as client:
        said = client.told(rows())
    score = numbers()["a"].head(20) * 2
    assert said["probability"] == pytest.approx(score.tolist())
    assert said["prediction"] == (score >= 0.5).astype(int).tolist()


def test_a_model_without_a_signature_gets_requests_as_mlflow_reads_them() -> None:
    with served(pyfunc_folder("pyfunc bare")) as client:
        said = client.told({"dataframe_records": rows(2)}, "/invocations")
        assert [row["a"] for row in said["predictions"]] == pytest.approx((numbers()["a"].head(2) * 2).tolist())
        bad = client.ask({"nonsense": 1}, "/invocations")
    assert bad.status_code in (400, 500)
    assert "Traceback" not in bad.text


def test_tensors_of_a_signature() -> None:
    import mlflow  # noqa: PLC0415 -- slow
    from mlflow.models import infer_signature  # noqa: PLC0415 -- slow

    folder = HOME / "tensor"
    values = numbers().to_numpy()
    mlflow.sklearn.save_model(
        regressor(), str(folder), signature=infer_signature(values), serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )  # fmt: skip
    with served(folder) as client:
        wanted = regressor().predict(values[:4]).tolist()
        assert client.told({"inputs": values[:4].tolist()})["prediction"] == pytest.approx(wanted)
        assert client.told({"instances": values[:4].tolist()}, "/invocations")["predictions"] == pytest.approx(wanted)
        assert client.told({"features": values[0].tolist()})["prediction"] == pytest.approx(wanted[0])
        assert client.ask({"inputs": [[1, 2]]}).status_code == 422
        assert client.ask({"inputs": [[1, 2, "x"]]}).status_code == 422


def test_the_signature_is_read_without_mlflow() -> None:
    read = mlmodel.read(as_mlflow("pipeline"))
    assert [(one.name, one.type) for one in read.inputs] == [
        ("age", "number"), ("income", "number"), ("site", "string"), ("insured", "boolean"),
    ]  # fmt: skip
    script = (
        f"import sys; sys.path.insert(0, {SCRIPTS!r}); from pathlib import Path; "
        "from mlgate.serving import models; from mlgate.serving.settings import Settings, Identity; "
        f"models.load(Path({str(as_mlflow('logistic'))!r}), Settings(Identity('m'))); "
        "print(sorted({'mlflow', 'pandas', 'pyarrow', 'pytest'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"  # what is not loaded costs neither time nor memory


def test_numbers_that_the_model_cannot_be_without_are_asked_for() -> None:
    """scikit-learn's models say whether NaN is fine: found out before a request fails by it."""
    with served(as_joblib("logistic"), decide=Decide(positive="yes")) as client:
        said = client.ask({"a": 1.0, "b": None, "c": 0.0})
        assert said.status_code == 422
        assert said.json()["errors"] == [{"row": 0, "field": "b", "message": "must not be null"}]
    with served(as_joblib("pipeline"), inputs=INPUTS, decide=Decide(0.5, 1)) as client:
        row = {"age": 50, "income": None, "site": "north", "insured": True}
        assert client.ask(row).status_code == 200


def test_only_models_of_libraries_are_asked_for_several_requests_at_once(tmp_path: Path) -> None:
    own = make_pipeline(FunctionTransformer(np.sort), logistic())
    joblib.dump(own, tmp_path / "m.joblib")
    assert not models.load(tmp_path, settings()).rowwise
    assert models.load(as_joblib("pipeline"), settings()).rowwise


def test_one_request_takes_one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of OpenMP, whose setting is that of the thread which calls the model."""
    found: dict[str, list[int]] = {}
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    model: Any = models.load(as_joblib("pipeline"), settings())

    def look(name: str) -> None:
        if name == "settled":
            model.settle()
        info = threadpoolctl.threadpool_info()
        found[name] = [one["num_threads"] for one in info if one["user_api"] == "openmp"]

    for name in ("settled", "another thread"):
        thread = threading.Thread(target=look, args=(name,))
        thread.start()
        thread.join()
    assert set(found["settled"]) == {1}
    assert found["another thread"] == [os.cpu_count()] * len(found["settled"])


def test_models_that_cannot_be_served_say_why(tmp_path: Path) -> None:
    for name, content, words in (
        ("m.joblib", b"\x80\x04broken", "does not load"),
        ("m.pkl", b"", "does not load"),
        ("m.onnx", b"no graph", "does not load"),
        ("m.skops", b"no archive", "does not load"),
        ("m.txt", b"", "has no MLmodel file and holds no model"),
        ("MLmodel", b"flavors: 3", "cannot be read"),
        ("MLmodel", b"flavors: {spark: {}}", "no python_function"),
    ):
        folder = tmp_path / f"{name}{len(words)}"
        folder.mkdir()
        (folder / name).write_bytes(content)
        with pytest.raises(MlgateError, match=words):
            models.load(folder, settings())
    with pytest.raises(MlgateError, match="is not here"):
        models.load(tmp_path / "nothing", settings())
    joblib.dump({"not": "a model"}, tmp_path / "dict.joblib")
    with pytest.raises(MlgateError, match="no `predict`"):
        models.load(tmp_path / "dict.joblib", settings())
    with pytest.raises(MlgateError, match="counts as positive is 'perhaps'"):
        models.load(as_joblib("logistic"), settings(decide=Decide(0.5, "perhaps")))


def test_the_frame_has_the_types_of_the_signature(tmp_path: Path) -> None:
    inputs = [Input("i", "integer"), Input("f", "number"), Input("s", "string"), Input("b", "boolean")]
    reader = Reader(inputs, {"i": "int32", "f": "float32"}, 10)
    frame = reader.read([{"i": 1, "f": 2, "s": "x", "b": True}]).frame()
    assert [str(one) for one in frame.dtypes][:2] == ["int32", "float32"]
    assert frame["b"].dtype == bool
    assert isinstance(frame, pd.DataFrame)
    assert len(label()) == 400
