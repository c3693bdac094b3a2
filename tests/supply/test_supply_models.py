"""Real models pass: what scikit-learn, numpy, ONNX and MLflow write is known, whichever way it is written."""

from __future__ import annotations

import importlib
import io
import pickle
import pkgutil
import re
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from mlgate.model import Verdict
from mlgate.supply import model, names

RNG = np.random.default_rng(3)
X = RNG.normal(size=(80, 4))
Y = (X[:, 0] > 0).astype(int)
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(kind=np.where(X[:, 1] > 0, "u", "v"))


def passes(path: Path, *, trusted: tuple[str, ...] = ()) -> None:
    checks = model.scan(path, trusted=trusted)
    assert [check.verdict for check in checks] == [Verdict.PASS], [check.reason for check in checks]


def pipeline() -> Any:
    from sklearn.compose import make_column_selector, make_column_transformer  # noqa: PLC0415
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler  # noqa: PLC0415

    numbers = make_pipeline(FunctionTransformer(np.tanh), StandardScaler())
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), make_column_selector(dtype_exclude="number")), (numbers, ["a", "b"])
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5)).fit(FRAME, Y)


def fitted() -> dict[str, Any]:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import GridSearchCV  # noqa: PLC0415
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415

    return {
        "linear": LogisticRegression().fit(X, Y),
        "forest": RandomForestClassifier(5).fit(X, Y),
        "boosted": GradientBoostingClassifier(n_estimators=5).fit(X, Y),
        "neighbours": KNeighborsClassifier(algorithm="kd_tree").fit(X, Y),
        "search": GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring="roc_auc", cv=2).fit(X, Y),
        "pipeline": pipeline(),
    }


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return fitted()


@pytest.mark.parametrize("protocol", range(6))
def test_pickled_by_every_protocol(protocol: int, models: dict[str, Any], tmp_path: Path) -> None:
    for name, one in models.items():
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(pickle.dumps(one, protocol))
        passes(path)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_written_by_joblib(compress: Any, models: dict[str, Any], tmp_path: Path) -> None:
    for name, one in models.items():
        path = tmp_path / f"{name} ä.joblib"
        joblib.dump(
            {"model": one, "frame": FRAME, "names": np.array(["x", None], dtype=object)}, path, compress=compress
        )
        passes(path)


def test_written_by_skops(models: dict[str, Any], tmp_path: Path) -> None:
    from skops import io as skops_io  # noqa: PLC0415

    for name in ("linear", "forest", "boosted", "neighbours", "pipeline"):
        path = tmp_path / f"{name}.skops"
        skops_io.dump(models[name], path)
        passes(path)


def test_every_estimator_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.utils.discovery import all_estimators  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    x, y = X[:24], Y[:24]
    inputs = [(x, y), (abs(x), y), (["a b", "c d"] * 12, y), (x[:, 0], x[:, 1]), ([{"a": 1}] * 24, y), (x, x[:, :2])]
    path, count = tmp_path / "model.pkl", 0
    limits = threadpool_limits(1)  # many small fits: threads would only wait for one another
    for name, kind in all_estimators():
        if name in ("TSNE", "MLPClassifier", "MLPRegressor"):
            continue  # slow to fit, and of nothing but numbers
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one = kind()
        except TypeError:
            continue  # it wants another estimator
        for data in inputs:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    one.fit(*data)
                break
            except Exception:  # noqa: S112 -- of another kind of data
                continue
        path.write_bytes(pickle.dumps(one))
        passes(path)
        count += 1
    limits.restore_original_limits()
    assert count > 150


def test_frames_and_numbers(tmp_path: Path) -> None:
    frame = FRAME.assign(day=pd.Timestamp("2024-01-01"), tag=pd.Categorical(FRAME["kind"]), part=pd.array([1] * 80))
    things = [
        frame, frame.set_index("day"), frame.set_index(["a", "b"]), frame["a"], frame.convert_dtypes(), np.arange(3),
        np.ma.masked_array([1, 2], [0, 1]), np.random.default_rng(1), np.random.RandomState(1), np.log1p,
        np.rec.array([(1, 2.0)]), np.array([1, "a", None], dtype=object), {"a": [1.5, (2, {3})], b"b": bytearray(b"c")},
    ]  # fmt: skip
    for number, thing in enumerate(things):
        for protocol in (0, 2, 5):
            path = tmp_path / f"{number}.{protocol}.pkl"
            path.write_bytes(pickle.dumps(thing, protocol))
            passes(path)


def test_arrays_of_numpy(tmp_path: Path) -> None:
    kinds = [
        np.zeros((2, 0)),
        np.array("x"),
        np.zeros(3, dtype=[("a", "<f4"), ("b", "<i2", (2,))]),
        np.array([None, 1]),
    ]
    for number, array in enumerate(kinds):
        np.save(tmp_path / f"{number}.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.savez_compressed(tmp_path / "b.npz", x=X, names=np.array(["u", "v"]))
    passes(tmp_path)


def test_onnx_with_its_numbers_beside_it(tmp_path: Path) -> None:
    import onnx  # noqa: PLC0415
    from skl2onnx import to_onnx  # noqa: PLC0415
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forest = to_onnx(RandomForestClassifier(5).fit(X, Y), X[:1].astype(np.float32))
    weights = onnx.numpy_helper.from_array(np.ones((4, 64), dtype=np.float32), "w")
    info = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    network = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [info("x", 1, [1, 4])], [info("y", 1, [1, 64])], [weights])
    )
    (tmp_path / "forest.onnx").write_bytes(forest.SerializeToString())
    (tmp_path / "forest.bin").write_bytes(forest.SerializeToString())
    onnx.save_model(
        network, str(tmp_path / "network.onnx"), save_as_external_data=True, location="weights", size_threshold=16
    )
    assert (tmp_path / "weights").is_file()
    passes(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["skops", "cloudpickle", "pickle"])
def test_mlflow_folder(form: str, models: dict[str, Any], tmp_path: Path) -> None:
    import mlflow.sklearn  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415

    trusted = {"skops_trusted_types": ["numpy.tanh"]} if form == "skops" else {}
    mlflow.sklearn.save_model(
        models["linear"], str(tmp_path / "my model"), serialization_format=form, input_example=X[:2],
        signature=infer_signature(X, Y), pip_requirements=["scikit-learn"], **trusted,
    )  # fmt: skip
    passes(tmp_path / "my model")


def test_only_what_scikit_learn_defines_gets_through_by_its_family() -> None:
    """Classes that its modules only import would be found under these names too: each of them has been looked at."""
    looked_at = {
        "StringIO", "ABC", "ABCMeta", "MethodType", "Counter", "UserDict", "Iterable", "Mapping", "MutableMapping",
        "Sequence", "Parameter", "Integral", "Number", "Real", "ComplexWarning", "VisibleDeprecationWarning",
        "LinAlgError", "MaskedArray", "Path", "BSpline", "SparseEfficiencyWarning", "LinearOperator", "Enum",
        "ThreadpoolController", "SkipTest",
    }  # fmt: skip
    import sklearn  # noqa: PLC0415

    odd = set()
    for found in pkgutil.walk_packages(sklearn.__path__, "sklearn."):
        if not any(m.fullmatch(found.name) for m, _ in names._FAMILIES):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(found.name)
        except ImportError:
            continue  # for a library that is not installed
        for name, value in vars(module).items():
            if names.standing((found.name, name), ()) is not names.Standing.KNOWN or not callable(value):
                continue
            home = getattr(value, "__module__", None) or ""
            if not home.startswith(("sklearn", "_cyutility", "typing", "View.MemoryView")) and name not in looked_at:
                odd.add(f"{found.name}.{name} of {home}")
    assert not {one for one in odd if not re.search(r" of (numpy|scipy)", one)}, odd


def test_a_known_name_is_never_harmful_to_call() -> None:
    """What is in the list is there for good: none of it starts, opens or imports anything."""
    bad = {"eval", "exec", "open", "compile", "load", "loads", "system", "run", "getattr", "__import__", "memmap"}
    for module, known in names._KNOWN.items():
        assert not known & bad, module
        assert module.split(".", 1)[0] not in {"os", "posix", "subprocess", "sys", "importlib", "pickle"}


def test_empty_archive_and_text(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("Ein Modell, Größe 3\n", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("click\njinja2\nnumpy==2.0\n", encoding="utf-8")
    (tmp_path / "conda.yaml").write_text("channels:\n- conda-forge\ndependencies:\n- pip\n", encoding="utf-8")
    out = io.BytesIO()
    np.savez(out)
    (tmp_path / "empty.npz").write_bytes(out.getvalue())
    passes(tmp_path)
