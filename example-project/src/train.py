"""Fit the model that params.yaml asks for and save it as an MLflow model folder."""

import shutil
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

MODEL = "models/visits"
NEEDS = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops")  # what it takes to load and call the model
TRUSTED = [  # skops refuses every type it does not know; these two are scikit-learn's own and hold numbers
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
]


def build(params: dict) -> Pipeline:
    models = {
        "logistic": lambda: LogisticRegression(max_iter=1000, **params["logistic"]),
        "boosting": lambda: HistGradientBoostingClassifier(random_state=params["seed"], **params["boosting"]),
    }
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), params["words"]),
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), params["numbers"]),
    )
    return make_pipeline(columns, models[params["model"]]())


def main() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())["train"]
    train = pd.read_parquet("data/train.parquet")
    features = train[params["words"] + params["numbers"]]
    with threadpool_limits(1):  # sums in another order are other sums: one thread gives the same model every time
        model = build(params).fit(features, train["visited"])

    shutil.rmtree(MODEL, ignore_errors=True)
    example = features.head(5)
    mlflow.sklearn.save_model(
        model,
        MODEL,
        signature=infer_signature(example, model.predict_proba(example)),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in NEEDS],
        pyfunc_predict_fn="predict_proba",
        skops_trusted_types=TRUSTED,
    )


if __name__ == "__main__":
    main()
