"""POST /predict: the shapes that it takes, what it answers, and that the answer is the model's own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from served import DECIDE, INPUTS, Client, as_joblib, logistic, numbers, people, pipeline, records, served, species

from mlgate.serving.settings import Decide

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # as the server itself does


@pytest.fixture(scope="module")
def people_server() -> Iterator[Client]:
    with served(as_joblib("pipeline"), inputs=INPUTS, decide=DECIDE) as client:
        yield client


@pytest.fixture(scope="module")
def number_server() -> Iterator[Client]:
    with served(as_joblib("logistic"), decide=Decide(positive="yes")) as client:
        yield client


def shapes(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(rows[0])
    split = {"columns": names[::-1], "data": [[row[name] for name in names[::-1]] for row in rows]}
    columnar = {name: [row[name] for row in rows] for name in names}
    return {
        "records": {"records": rows},
        "a list of records": rows,
        "dataframe_records": {"dataframe_records": rows},
        "instances": {"instances": rows},
        "split": split,
        "split with an index": {**split, "index": list(range(len(rows)))},
        "dataframe_split": {"dataframe_split": split},
        "columns": columnar,
        "inputs by column": {"inputs": columnar},
        "inputs by row": {"inputs": rows},
        "features as lists": {"features": [list(row.values()) for row in rows]},
        "features as records": {"features": rows},
        "lists": [list(row.values()) for row in rows],
        "records with a column that the model does not take": [{**row, "person": 7} for row in rows],
    }


@pytest.mark.parametrize("shape", shapes(records()))
def test_every_shape_of_a_batch_gets_the_same_answer(people_server: Client, shape: str) -> None:
    rows = people().head(3)
    score = pipeline().predict_proba(rows)[:, 1]
    said = people_server.told(shapes(records())[shape])
    assert said["prediction"] == (score >= 0.5).astype(int).tolist()
    assert said["probability"] == pytest.approx(score.tolist(), abs=1e-12)
    assert said["model_version"] == "v1.2.0"


def test_a_single_row_gets_a_single_answer(people_server: Client) -> None:
    row = records(1)[0]
    score = float(pipeline().predict_proba(people().head(1))[0, 1])
    for body in (row, {"features": list(row.values())}, {"features": row}):
        said = people_server.told(body)
        assert said["probability"] == pytest.approx(score, abs=1e-12)
        assert said["prediction"] == int(score >= 0.5)


def test_curl_without_a_content_type_is_understood(people_server: Client) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = b'{"age": 50, "income": 1, "site": "north", "insured": true}'
    assert people_server.ask(body, headers=headers).status_code == 200


def test_the_class_is_spelled_as_the_model_spells_it_and_the_cut_off_decides(number_server: Client) -> None:
    rows = numbers().head(20)
    said = number_server.told(rows.to_dict(orient="records"))
    yes = logistic().predict_proba(rows)[:, list(logistic().classes_).index("yes")]
    assert said["prediction"] == logistic().predict(rows).tolist()
    assert said["probability"] == pytest.approx(yes.tolist(), abs=1e-12)
    with served(as_joblib("logistic"), decide=Decide(cut_off=float(yes[0]), positive="yes")) as client:
        strict = client.told(rows.to_dict(orient="records"))["prediction"]
    assert strict == np.where(yes >= yes[0], "yes", "no").tolist()  # the boundary itself is positive


def test_the_other_class_can_be_the_positive_one() -> None:
    rows = numbers().head(20)
    with served(as_joblib("logistic"), decide=Decide(cut_off=0.9, positive="no")) as client:
        said = client.told(rows.to_dict(orient="records"))
    no = logistic().predict_proba(rows)[:, 0]
    assert said["probability"] == pytest.approx(no.tolist())
    assert said["prediction"] == np.where(no >= 0.9, "no", "yes").tolist()


def test_more_than_two_classes_have_a_probability_each() -> None:
    rows = numbers().head(4)
    with served(as_joblib("species")) as client:
        said = client.told(rows.to_dict(orient="records"))
        one = client.told(rows.iloc[0].to_dict())
    assert said["prediction"] == species().predict(rows).tolist()
    assert said["classes"] == ["cat", "dog", "eel"]
    assert np.allclose(said["probability"], species().predict_proba(rows))
    assert one["prediction"] == said["prediction"][0]
    assert one["probability"] == said["probability"][0]


def test_a_model_without_names_takes_rows_of_numbers() -> None:
    with served(as_joblib("regressor")) as client:
        assert client.told({"features": [1.0, 0, 0]})["prediction"] == pytest.approx(3.0)
        assert client.told({"inputs": [[1, 0, 0], [2, 0, 0]]})["prediction"] == pytest.approx([3.0, 6.0])
        refused = client.ask({"features": [1.0, 2.0]})
    assert refused.status_code == 422
    assert "shape [1, 2]" in refused.json()["error"]


def test_a_request_id_is_taken_over_or_made(number_server: Client) -> None:
    body = numbers().iloc[0].to_dict()
    said = number_server.ask(body, headers={"X-Request-ID": "visit-42"})
    assert said.headers["x-request-id"] == said.json()["request_id"] == "visit-42"
    made = number_server.ask(body)
    assert len(made.json()["request_id"]) == 36
    assert number_server.read("/health").headers["x-request-id"]


def test_many_at_once_each_get_their_own_answer(number_server: Client) -> None:
    """Requests that wait are answered by one call of the model: no answer may reach another one's asker."""
    rows = numbers().to_dict(orient="records")
    wanted = logistic().predict_proba(numbers())[:, 1]
    with ThreadPoolExecutor(32) as pool:
        said = list(pool.map(lambda row: number_server.told(row)["probability"], rows))
    assert np.allclose(said, wanted, atol=1e-12, rtol=0)
