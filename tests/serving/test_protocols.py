"""The clients that people have: MLflow's and SageMaker's, and those of the Open Inference Protocol v2."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from served import DECIDE, INPUTS, WHO, Client, as_joblib, as_mlflow, label, numbers, people, pipeline, served, species

pytestmark = pytest.mark.filterwarnings(
    "ignore:X does not have valid feature names", "ignore::DeprecationWarning:mlflow", "ignore::UserWarning:mlflow"
)


@pytest.fixture(scope="module")
def folder_server() -> Iterator[Client]:
    with served(as_mlflow("pipeline"), decide=DECIDE) as client:
        yield client


@pytest.fixture(scope="module")
def species_server() -> Iterator[Client]:
    with served(as_joblib("species")) as client:
        yield client


# -- MLflow ------------------------------------------------------------------------------------------------------------


def test_mlflows_own_client_gets_what_mlflow_would_answer(folder_server: Client) -> None:
    import mlflow  # noqa: PLC0415 -- slow
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient  # noqa: PLC0415 -- slow

    rows = people().head(30)
    client = ScoringServerClient("127.0.0.1", folder_server.base.rpartition(":")[2])
    client.ping()
    said = client.invoke(rows).get_predictions()
    own = mlflow.pyfunc.load_model(str(as_mlflow("pipeline"))).predict(rows)
    assert said.iloc[:, 0].tolist() == list(own)


def test_every_form_of_mlflow_gets_the_same_answer(folder_server: Client) -> None:
    rows = people().dropna().head(5)
    wanted = {"predictions": pipeline().predict(rows).tolist()}
    split = json.loads(rows.to_json(orient="split"))
    for body in (
        {"dataframe_split": split},
        {"dataframe_records": rows.to_dict(orient="records")},
        {"instances": rows.to_dict(orient="records")},
        {"inputs": rows.to_dict(orient="list")},
        {"dataframe_split": {key: split[key] for key in ("columns", "data")}, "params": {}},
    ):
        assert folder_server.told(body, "/invocations") == wanted


def test_csv_as_sagemaker_sends_it(folder_server: Client) -> None:
    rows = people().head(12)
    text = io.StringIO()
    rows.assign(person=1).to_csv(text, index=False)
    said = folder_server.told(text.getvalue().encode(), "/invocations", headers={"content-type": "text/csv"})
    assert said == {"predictions": pipeline().predict(rows).tolist()}


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (b"", 400, "a line of column names"),
        (b"age,income\n", 400, "at least one row"),
        (b"age,age\n1,2\n", 400, "twice"),
        (b"age,income,site,insured\n1,2\n", 400, "Row 0 has 2 values"),
        (b"age,income,site,insured\nold,2,north,true\n", 422, "age must be a number"),
        (b"age,income,site,insured\n1,2,north,perhaps\n", 422, "insured must be true or false"),
        (b"income,site,insured\n2,north,true\n", 422, "age is missing"),
        (b"\xff\xfe\n1\n", 400, "UTF-8"),
    ],
)
def test_csv_that_is_wrong_is_refused(folder_server: Client, text: bytes, status: int, words: str) -> None:
    said = folder_server.ask(text, "/invocations", headers={"content-type": "text/csv"})
    assert said.status_code == status
    assert words in said.json()["message"]


def test_mlflows_clients_are_told_in_their_words(folder_server: Client) -> None:
    said = folder_server.ask({"dataframe_records": [{"age": "old"}]}, "/invocations")
    assert said.status_code == 422
    assert said.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert said.json()["message"] == said.json()["error"]


def test_a_model_saved_with_another_method_answers_by_it() -> None:
    import mlflow  # noqa: PLC0415 -- slow

    folder = as_mlflow("logistic", "pickle", pyfunc_predict_fn="predict_proba")
    rows = numbers().head(4)
    with served(folder) as client:
        said = client.told({"dataframe_records": rows.to_dict(orient="records")}, "/invocations")
    assert np.allclose(said["predictions"], mlflow.pyfunc.load_model(str(folder)).predict(rows), atol=1e-12)


# -- the Open Inference Protocol ---------------------------------------------------------------------------------------


@pytest.fixture
def client(folder_server: Client) -> Iterator[Any]:
    made = triton.InferenceServerClient(folder_server.base.removeprefix("http://"))
    yield made
    made.close()


def tensors(rows: Any, *, binary: bool) -> list[Any]:
    made = []
    for name, datatype in (("age", "FP64"), ("income", "FP64"), ("site", "BYTES"), ("insured", "BOOL")):
        values = rows[name].to_numpy().astype(object if datatype == "BYTES" else rows[name].to_numpy().dtype)
        made.append(triton.InferInput(name, [len(rows)], datatype))
        made[-1].set_data_from_numpy(values, binary_data=binary)
    return made


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_gets_the_models_answer(client: Any, binary: bool) -> None:
    rows = people().dropna().head(6)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("predict", "predict_proba")]
    said = client.infer("visits", tensors(rows, binary=binary), outputs=outputs, request_id="t-1")
    score = pipeline().predict_proba(rows)
    assert said.as_numpy("predict").tolist() == (score[:, 1] >= 0.5).astype(int).tolist()
    assert np.allclose(said.as_numpy("predict_proba"), score, atol=1e-12)
    assert said.get_response()["id"] == "t-1"
    assert said.get_response()["model_version"] == "v1.2.0"


def test_tritons_client_without_wishes_and_with_a_version(client: Any) -> None:
    rows = people().dropna().head(3)
    said = client.infer("visits", tensors(rows, binary=True), model_version="v1.2.0")
    assert said.as_numpy("predict").shape == (3,)
    assert said.as_numpy("predict_proba").shape == (3, 2)


def test_tritons_client_asks_who_is_there(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("visits")
    assert client.is_model_ready("visits", "v1.2.0")
    assert not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    about = client.get_model_metadata("visits")
    assert about["versions"] == [WHO.version]
    assert [(one["name"], one["datatype"]) for one in about["inputs"]] == [
        ("age", "FP64"), ("income", "FP64"), ("site", "BYTES"), ("insured", "BOOL"),
    ]  # fmt: skip
    assert [one["name"] for one in about["outputs"]] == ["predict", "predict_proba"]


def test_one_tensor_of_all_columns(species_server: Client) -> None:
    rows = numbers().head(5)
    body = {
        "inputs": [{"name": "input-0", "shape": [5, 3], "datatype": "FP64", "data": rows.to_numpy().ravel().tolist()}]
    }
    for data in (rows.to_numpy().ravel().tolist(), rows.to_numpy().tolist()):
        body["inputs"][0]["data"] = data  # type: ignore[index]
        said = species_server.told(body, "/v2/models/visits/infer")
        outputs = {one["name"]: one for one in said["outputs"]}
        assert outputs["predict"]["data"] == species().predict(rows).tolist()
        assert outputs["predict"]["datatype"] == "BYTES"
        assert outputs["predict_proba"]["shape"] == [5, 3]


def test_strings_come_back_in_binary(species_server: Client) -> None:
    rows = numbers().head(4)
    made = triton.InferenceServerClient(species_server.base.removeprefix("http://"))
    given = triton.InferInput("x", [4, 3], "FP32")
    given.set_data_from_numpy(rows.to_numpy().astype(np.float32))
    said = made.infer("visits", [given])
    made.close()
    assert [one.decode() for one in said.as_numpy("predict")] == species().predict(rows).tolist()


GOOD = {"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [2]}, "has 1 values"),
        ({"shape": []}, "`shape`"),
        ({"shape": [-1]}, "`shape`"),
        ({"datatype": "FP63"}, "`datatype`"),
        ({"data": None}, "no `data`"),
        ({"data": [True]}, "not all of the type FP64"),
        ({"datatype": "INT8", "data": [128]}, "not all of the type INT8"),
        ({"datatype": "INT64", "data": [1.5]}, "not all of the type INT64"),
        ({"datatype": "UINT8", "data": [-1]}, "not all of the type UINT8"),
        ({"datatype": "FP32", "data": [1e39]}, "not all of the type FP32"),
        ({"datatype": "BOOL", "data": [1]}, "not all of the type BOOL"),
        ({"parameters": {"binary_data_size": 8}}, "`binary_data_size`"),
        ({"data": [[1.0], 2.0]}, "not plain values"),
        ({"name": 7}, "`name`"),
    ],
)
def test_a_tensor_that_is_wrong_is_refused(species_server: Client, change: dict[str, Any], words: str) -> None:
    body = {"inputs": [{**GOOD, **change}, {**GOOD, "name": "b"}, {**GOOD, "name": "c"}]}
    said = species_server.ask(body, "/v2/models/visits/infer")
    assert said.status_code == 400
    assert words in said.json()["error"]


def test_a_request_that_is_wrong_is_refused(species_server: Client) -> None:
    three = [{**GOOD, "name": name} for name in "abc"]
    for body, status, words in (
        ({"inputs": []}, 400, "`inputs`"),
        ([], 400, "`inputs`"),
        ({"inputs": three[:2]}, 422, "c is missing"),
        ({"inputs": [*three, three[0]]}, 400, "twice"),
        ({"inputs": [*three[:2], {**GOOD, "name": "c", "shape": [2], "data": [1.0, 2.0]}]}, 400, "number of rows"),
        ({"inputs": three, "outputs": [{"name": "score"}]}, 400, "no output score"),
        ({"inputs": [{**GOOD, "shape": [1, 2], "data": [1.0, 2.0]}]}, 400, "2 columns"),
        ({"inputs": [{**GOOD, "shape": [0, 3], "data": []}]}, 400, "no rows"),
    ):
        said = species_server.ask(body, "/v2/models/visits/infer")
        assert said.status_code == status, said.text
        assert words in said.json()["error"]
    said = species_server.ask(
        b'{"inputs":[]}', "/v2/models/visits/infer", headers={"Inference-Header-Content-Length": "99"}
    )
    assert said.status_code == 400
    assert species_server.ask({"inputs": three}, "/v2/models/other/infer").status_code == 404


def test_the_contract_holds_in_every_protocol() -> None:
    with served(as_joblib("pipeline"), inputs=INPUTS, decide=DECIDE) as client:
        row = {"age": 130, "income": 1.0, "site": "north", "insured": True}
        types = {"age": "INT64", "income": "FP64", "site": "BYTES", "insured": "BOOL"}
        infer = {"inputs": [{"name": n, "shape": [1], "datatype": types[n], "data": [v]} for n, v in row.items()]}
        csv = ",".join(row) + "\n130,1.0,north,true\n"
        for said in (
            client.ask(row),
            client.ask({"dataframe_records": [row]}, "/invocations"),
            client.ask(csv, "/invocations", headers={"content-type": "text/csv"}),
            client.ask(infer, "/v2/models/visits/infer"),
        ):
            assert said.status_code == 422
            assert said.json()["errors"] == [{"row": 0, "field": "age", "message": "must be at most 120"}]
    assert len(label()) == len(people())
