"""The application on a real port, inside the test's process, and the models that it is given."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import joblib
import numpy as np
import pandas as pd
import requests
import uvicorn
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlgate.serving import app as application
from mlgate.serving.limits import Protocol
from mlgate.serving.settings import Decide, Identity, Input, Log, Settings

WHO = Identity(model="visits", version="v1.2.0", digest="ab" * 32, commit="c" * 40, decision="d" * 64)
HOME = Path(mkdtemp(prefix="mlgate-served-"))


class Client(requests.Session):
    """Speaks with one server; `app` is what answers."""

    def __init__(self, base: str, app: application.App) -> None:
        super().__init__()
        self.base = base
        self.app = app
        self.trust_env = False

    def ask(self, body: Any, path: str = "/predict", **more: Any) -> requests.Response:
        if isinstance(body, bytes | str):
            return self.post(self.base + path, data=body, timeout=30, **more)
        return self.post(self.base + path, json=body, timeout=30, **more)

    def told(self, body: Any, path: str = "/predict", **more: Any) -> Any:
        """What a request that is answered gets."""
        said = self.ask(body, path, **more)
        assert said.status_code == 200, said.text
        return said.json()

    def read(self, path: str) -> requests.Response:
        return self.get(self.base + path, timeout=30)


@contextmanager
def served(model: Path, **settings: Any) -> Iterator[Client]:
    """The server of this model until the block ends."""
    settings.setdefault("log", Log(to="none"))
    app = application.create(Settings(settings.pop("identity", WHO), **settings), model, environment="test")
    config = uvicorn.Config(app, port=0, http=Protocol, lifespan="on", log_config=None, ws="none", loop="asyncio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with Client(f"http://127.0.0.1:{port}", app) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


# -- models ------------------------------------------------------------------------------------------------------------


@cache
def people(rows: int = 400) -> pd.DataFrame:
    """Columns of several types, with missing numbers in one of them."""
    rng = np.random.default_rng(7)
    age = rng.integers(0, 90, rows).astype("float64")
    income = rng.normal(8000, 2000, rows)
    income[rng.random(rows) < 0.1] = np.nan
    site = rng.choice(["north", "south", "über"], rows)
    return pd.DataFrame({"age": age, "income": income, "site": site, "insured": rng.random(rows) < 0.5})


@cache
def label(rows: int = 400) -> np.ndarray:
    table = people(rows)
    return ((table["age"] > 40) ^ (table["site"] == "south")).astype("int64").to_numpy()


@cache
def pipeline() -> Any:
    """Picks its columns by name, so it has to be given a frame."""
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["site"]), remainder="passthrough"
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20, random_state=0)).fit(people(), label())


@cache
def numbers(rows: int = 300) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(1).normal(size=(rows, 3)), columns=["a", "b", "c"])


@cache
def logistic() -> Any:
    """Takes numbers only, and none that is missing."""
    table = numbers()
    return LogisticRegression().fit(table, np.where(table["a"] + table["b"] > 0, "yes", "no"))


@cache
def species() -> Any:
    """Three classes."""
    table = numbers()
    kinds = np.select([table["a"] > 0.5, table["b"] > 0.5], ["cat", "dog"], "eel")
    return RandomForestClassifier(n_estimators=10, random_state=0).fit(table, kinds)


@cache
def regressor() -> Any:
    return LinearRegression().fit(numbers().to_numpy(), numbers()["a"].to_numpy() * 3)


def as_mlflow(name: str, form: str = "skops", **more: Any) -> Path:
    """A folder that MLflow wrote, with a signature and an example."""
    import mlflow  # noqa: PLC0415 -- slow
    from mlflow.models import infer_signature  # noqa: PLC0415 -- slow

    folder = HOME / "-".join(["mlflow é", name, form, *more.values()])
    if folder.exists():
        return folder
    model, table = {
        "pipeline": (pipeline, people), "logistic": (logistic, numbers), "species": (species, numbers)
    }[name]  # fmt: skip
    trusted = ["numpy.dtype", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
               "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
               "sklearn._loss.loss.HalfBinomialLoss", "sklearn._loss.link.LogitLink", "sklearn._loss.link.Interval",
               "sklearn.compose._column_transformer._RemainderColsList"]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            model(), str(folder), signature=infer_signature(table(), model().predict(table())),
            input_example=table().dropna().head(3), serialization_format=form, pip_requirements=["scikit-learn"],
            **({"skops_trusted_types": trusted} if form == "skops" else {}), **more,
        )  # fmt: skip
    return folder


@cache
def as_joblib(name: str) -> Path:
    path = HOME / f"{name}.joblib"
    joblib.dump({"pipeline": pipeline, "logistic": logistic, "species": species, "regressor": regressor}[name](), path)
    return path


INPUTS = (
    Input("age", "integer", nullable=False, minimum=0, maximum=120),
    Input("income", "number"),
    Input("site", "string", values=("north", "south", "über")),
    Input("insured", "boolean", nullable=False),
)
DECIDE = Decide(cut_off=0.5, positive=1)
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def records(rows: int = 3) -> list[dict[str, Any]]:
    """Rows as a client would send them."""
    table = people().head(rows).astype(object)
    made: list[dict[str, Any]] = table.where(table.notna(), None).to_dict(orient="records")
    return made
