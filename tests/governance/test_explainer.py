"""Which columns a model goes by: real models of several libraries, held against what is known of how they were made."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlgate.commands._explaining import EXPLAINER, READER

joblib: Any = importlib.import_module("joblib")
numpy: Any = importlib.import_module("numpy")
pandas: Any = importlib.import_module("pandas")
linear: Any = importlib.import_module("sklearn.linear_model")
preprocessing: Any = importlib.import_module("sklearn.preprocessing")

ROWS = 400


def data() -> Any:
    """`strong` makes the label, `weak` a little of it, `noise` nothing; `word` moves it, too."""
    random = numpy.random.default_rng(5)
    rows = pandas.DataFrame(
        {
            "id": numpy.arange(ROWS) + 100,
            "strong": random.normal(size=ROWS),
            "weak": random.normal(size=ROWS),
            "noise": random.normal(size=ROWS),
            "word": random.choice(["red", "blue"], size=ROWS),
        }
    )
    score = 3 * rows["strong"] + 0.7 * rows["weak"] + (rows["word"] == "red")
    rows["label"] = (score + random.normal(size=ROWS) > 0.5).astype(int)
    rows["kind"] = numpy.where(score < -1, "low", numpy.where(score < 1, "middle", "high"))
    rows["value"] = score
    return rows


FEATURES = ["strong", "weak", "noise", "word"]


def pipeline(model: Any) -> Any:
    encode = [(preprocessing.OneHotEncoder(), ["word"]), (preprocessing.StandardScaler(), FEATURES[:3])]
    columns = importlib.import_module("sklearn.compose").make_column_transformer(*encode)
    return importlib.import_module("sklearn.pipeline").make_pipeline(columns, model)


class Asked:
    def __init__(self, folder: Path, rows: Any = None) -> None:
        self.folder = folder
        rows = data() if rows is None else rows
        rows.to_parquet(folder / "rows.parquet")

    def __call__(self, model: str, *, code: int = 0, **more: Any) -> dict[str, Any]:
        table = {
            "files": [str(self.folder / "rows.parquet")], "shown": "rows.parquet", "format": "parquet",
            "delimiter": ",", "quote": '"', "encoding": "utf-8", "nulls": [],
        }  # fmt: skip
        request = {
            "folder": str(self.folder), "model": str(self.folder / model), "data": table, "reader": str(READER),
            "id": "id", "label": "label", "apart": ["kind", "value"], "positive": 1, "task": None, "predict": "",
            "trusted": [], "rows": 300, "repeats": 4, "examples": 3, "by": "permutation",
            "answer": str(self.folder / "answer.json"), **more,
        }  # fmt: skip
        (self.folder / "request.json").write_text(json.dumps(request))
        done = subprocess.run(
            [sys.executable, str(EXPLAINER), str(self.folder / "request.json")], cwd=self.folder, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return dict(json.loads((self.folder / "answer.json").read_text())) if not code else {"said": done.stderr}


def importance(found: dict[str, Any]) -> dict[str, float]:
    return {one["name"]: one["importance"] for one in found["features"]}


@pytest.fixture
def binary(tmp_path: Path) -> Asked:
    rows = data()
    joblib.dump(pipeline(linear.LogisticRegression()).fit(rows[FEATURES], rows["label"]), tmp_path / "model.joblib")
    return Asked(tmp_path)


def test_the_columns_that_make_the_label_come_first(binary: Asked) -> None:
    found = binary("model.joblib")
    assert (found["rows"], found["of"], found["metric"]) == (300, ROWS, "roc_auc")
    assert found["score"] == "probability of 1"
    by = importance(found)
    assert next(iter(by)) == "strong"
    assert by["strong"] > 0.2
    assert abs(by["noise"]) < 0.01
    for one in found["features"]:
        assert one["lowest"] <= one["importance"] <= one["highest"]


def test_it_agrees_with_scikit_learn(binary: Asked) -> None:
    rows = data()
    model = joblib.load(binary.folder / "model.joblib")
    theirs = importlib.import_module("sklearn.inspection").permutation_importance(
        model, rows[FEATURES], rows["label"], scoring="roc_auc", n_repeats=30, random_state=0
    )
    ours = importance(binary("model.joblib", rows=ROWS, repeats=30))
    for name, mean, spread in zip(FEATURES, theirs.importances_mean, theirs.importances_std, strict=True):
        assert ours[name] == pytest.approx(mean, abs=4 * spread / 30**0.5 + 0.002)


def test_single_rows_add_up_to_what_is_known_of_a_linear_model(tmp_path: Path) -> None:
    rows = data()
    model = linear.LinearRegression().fit(rows[FEATURES[:3]], rows["value"])
    joblib.dump(model, tmp_path / "model.joblib")
    asked = Asked(tmp_path, rows[["id", "value", *FEATURES[:3]]])
    found = asked("model.joblib", label="value", positive=None, task="regression", rows=100)
    assert (found["metric"], found["score"]) == ("rmse", "predicted value")
    assert next(iter(importance(found))) == "strong"
    chosen = {one["row"]: one for one in found["examples"]}
    assert len(chosen) == 3
    weights = dict(zip(FEATURES[:3], model.coef_, strict=True))
    for name, one in chosen.items():
        row = rows[rows["id"] == int(name)].iloc[0]
        said = {each["feature"]: each["contribution"] for each in one["contributions"]}
        # Of a linear model with all 100 rows as background: weight times distance from their mean.
        pair = ("strong", "weak")
        means = {f: row[f] - said[f] / weights[f] for f in pair}
        for other in chosen.values():
            same = rows[rows["id"] == int(other["row"])].iloc[0]
            moved = {each["feature"]: each["contribution"] for each in other["contributions"]}
            for feature in pair:
                assert same[feature] - moved[feature] / weights[feature] == pytest.approx(means[feature], abs=1e-6)
        assert sum(said.values()) == pytest.approx(one["score"] - one["baseline"], abs=1e-6)


def test_the_same_rows_in_another_order_give_the_same_sample(binary: Asked) -> None:
    first = binary("model.joblib")
    again = binary("model.joblib")
    assert first == again
    shuffled = Asked(binary.folder, data().sample(frac=1, random_state=1).reset_index(drop=True))("model.joblib")
    assert {one["row"] for one in shuffled["examples"]} == {one["row"] for one in first["examples"]}
    assert shuffled["metric_value"] == pytest.approx(first["metric_value"], abs=1e-9)


def test_several_classes(tmp_path: Path) -> None:
    rows = data()
    joblib.dump(
        pipeline(linear.LogisticRegression(max_iter=500)).fit(rows[FEATURES], rows["kind"]), tmp_path / "m.joblib"
    )
    found = Asked(tmp_path)("m.joblib", label="kind", positive=None, apart=["label", "value"], task="multiclass")
    assert (found["metric"], found["score"]) == ("accuracy", "probability of the class that is decided")
    assert next(iter(importance(found))) == "strong"
    assert all(0 <= one["score"] <= 1 for one in found["examples"])


def test_classes_without_probabilities(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def load(path):\n    return lambda rows: rows['word'].map({'red': 'high', 'blue': 'low'}).to_numpy()\n"
    )
    found = Asked(tmp_path)(
        "none", label="kind", positive=None, apart=["label", "value"], task="multiclass", predict="own:load"
    )
    by = importance(found)
    assert by["word"] > 0
    assert by["strong"] == by["noise"] == 0


def test_a_function_of_the_projects_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def load(path):\n    return lambda rows: [1.0 * x for x in rows['weak']]\n")
    found = Asked(tmp_path)("none", predict="own:load")
    by = importance(found)
    assert by["weak"] > 0
    assert {by[name] for name in FEATURES if name != "weak"} == {0}


def test_onnx(tmp_path: Path) -> None:
    skl2onnx = pytest.importorskip("skl2onnx")
    rows = data()
    model = linear.LogisticRegression().fit(rows[FEATURES[:3]].to_numpy(dtype="float32"), rows["label"])
    converted = skl2onnx.to_onnx(model, rows[FEATURES[:3]].head(1).to_numpy(dtype="float32"))
    (tmp_path / "model.onnx").write_bytes(converted.SerializeToString())
    found = Asked(tmp_path, rows[["id", "label", *FEATURES[:3]]])("model.onnx")
    assert found["score"] == "probability of 1"
    assert next(iter(importance(found))) == "strong"
    assert found["made_with"]["onnxruntime"]


def test_skops_loads_only_what_is_trusted(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    rows = data()
    model = pipeline(linear.LogisticRegression()).fit(rows[FEATURES], rows["label"])
    skops.dump(model, tmp_path / "model.skops")
    trusted = skops.get_untrusted_types(file=tmp_path / "model.skops")
    found = Asked(tmp_path)("model.skops", trusted=trusted)
    assert next(iter(importance(found))) == "strong"


def test_shap_adds_up_to_the_score(binary: Asked) -> None:
    pytest.importorskip("shap")
    found = binary("model.joblib", by="shap", rows=40)
    assert found["metric"] == "mean absolute SHAP value"
    assert next(iter(importance(found))) == "strong"
    assert importance(found)["noise"] < importance(found)["strong"] / 10
    for one in found["examples"]:
        total = one["baseline"] + sum(each["contribution"] for each in one["contributions"])
        assert total == pytest.approx(one["score"], abs=1e-6)
    assert found["made_with"]["shap"]
    assert found == binary("model.joblib", by="shap", rows=40)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("lambda rows: [float('nan')] * len(rows)", "gave NaN or infinity for 300 rows"),
        ("lambda rows: [0.5]", "the model gave (1,) for 300 rows"),
        ("lambda rows: [[[1]]] * len(rows)", "the model gave (300, 1, 1) for 300 rows"),
    ],
)
def test_a_model_that_gives_no_scores_is_not_explained(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "own.py").write_text(f"def load(path):\n    return {body}\n")
    assert said in Asked(tmp_path)("none", predict="own:load")["wrong"]


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    (tmp_path / "folder").mkdir()
    assert "governance.explain.predict" in asked("model.bin")["wrong"]
    assert "holds no MLmodel" in asked("folder")["wrong"]
    assert "no column" in asked("model.bin", id="person")["wrong"]


def test_code_that_fails_shows_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def load(path):\n    raise RuntimeError('no such weights')\n")
    assert "no such weights" in Asked(tmp_path)("none", predict="own:load", code=1)["said"]


def test_without_labels_the_score_says_how_far_it_moves(binary: Asked) -> None:
    found = binary("model.joblib", label="", apart=["label", "kind", "value"])
    assert found["metric"] == "mean change of the score"
    assert found["metric_value"] is None
    assert next(iter(importance(found))) == "strong"
    assert "no labels" in found["notes"][0]
