"""Files that are no pickles and run code all the same, and files that nobody can vouch for."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import yaml

from mlgate.model import Check, Verdict
from mlgate.supply import model
from supply import malice


def verdict(path: Path, trusted: tuple[str, ...] = ()) -> Verdict:
    return model.scan(path, trusted=trusted)[0].verdict


def words(path: Path, trusted: tuple[str, ...] = ()) -> str:
    return " ".join(check.reason for check in model.scan(path, trusted=trusted))


# skops


def skops_file(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from skops import io as skops_io  # noqa: PLC0415

    made = path / "made.skops"
    skops_io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), made)
    with zipfile.ZipFile(made) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema)
    members["schema.json"] = json.dumps(schema).encode()
    made.write_bytes(malice.zipped(members))
    return made


def _forged(schema: dict[str, Any], **node: Any) -> None:
    schema["content"]["content"]["C"] = node


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"__module__": "os", "__class__": "system", "__loader__": "TypeNode"}, Verdict.FAIL),
        ({"__module__": "builtins", "__class__": "eval", "__loader__": "FunctionNode"}, Verdict.FAIL),
        (
            {"__module__": "builtins", "__class__": "function", "__loader__": "FunctionNode",
             "content": {"module_path": "os", "function": "system"}},
            Verdict.FAIL,
        ),
        (
            {"__module__": "operator", "__class__": "methodcaller", "__loader__": "OperatorFuncNode", "attrs": {}},
            Verdict.FAIL,
        ),
        (
            {"__module__": "sklearn.svm._classes", "__class__": "SVC", "__loader__": "MethodNode",
             "content": {"func": "fit", "obj": {"__module__": "sklearn.svm._classes", "__class__": "SVC",
                                                "__loader__": "ObjectNode"}}},
            Verdict.ERROR,
        ),
        ({"__module__": "features", "__class__": "Encoder", "__loader__": "ObjectNode"}, Verdict.ERROR),
        ({"__module__": "sklearn.svm._classes", "__class__": "SVC", "__loader__": "ShellNode"}, Verdict.ERROR),
        (
            {"__module__": "numpy.random._generator", "__class__": "Generator", "__loader__": "RandomGeneratorNode",
             "content": {"bit_generator": {"content": {"bit_generator": {"content": '"seed"'}}}, "seed_seq": {}}},
            Verdict.ERROR,
        ),
        ({"__module__": ["os"], "__class__": "system", "__loader__": "TypeNode"}, Verdict.ERROR),
    ],
)  # fmt: skip
def test_forged_types_of_skops(node: dict[str, Any], expected: Verdict, tmp_path: Path) -> None:
    path = skops_file(tmp_path, lambda schema: _forged(schema, **node))
    found = {check.verdict for check in model.scan(path)}
    assert expected in found


def test_skops_types_that_a_person_trusts(tmp_path: Path) -> None:
    node = {"__module__": "features", "__class__": "Encoder", "__loader__": "ObjectNode"}
    path = skops_file(tmp_path, lambda schema: _forged(schema, **node))
    assert verdict(path, ("features.Encoder",)) is Verdict.PASS
    assert verdict(path, ("features.*",)) is Verdict.PASS
    assert verdict(path, ("features",)) is Verdict.ERROR
    assert "features.Encoder" in words(path, ("features.*",))


# MLflow


def mlflow_folder(path: Path, **function: Any) -> Path:
    folder = path / "ein modell"
    folder.mkdir()
    flavors = {"python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl", **function}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}), encoding="utf-8")
    (folder / "model.pkl").write_bytes(pickle.dumps(np.arange(3)))
    return folder


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ({}, Verdict.PASS),
        ({"loader_module": "backdoor"}, Verdict.ERROR),
        ({"loader_module": None}, Verdict.ERROR),
        ({"code": "code"}, Verdict.ERROR),
        ({"code": ["src", "lib"]}, Verdict.ERROR),
        ({"model_code_path": "model.py"}, Verdict.ERROR),
        ({"model_path": "../../other.pkl"}, Verdict.FAIL),
        ({"data": "/tmp/other.pkl"}, Verdict.FAIL),
        ({"pickle_module_name": "backdoor"}, Verdict.ERROR),
    ],
)
def test_mlmodel(function: dict[str, Any], expected: Verdict, tmp_path: Path) -> None:
    assert expected in {check.verdict for check in model.scan(mlflow_folder(tmp_path, **function))}


def test_mlmodel_that_cannot_be_read(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path)
    for text in ("flavors: [", "a: 1", "flavors: {}", ""):
        (folder / "MLmodel").write_text(text, encoding="utf-8")
        assert verdict(folder) is (Verdict.ERROR if text else Verdict.PASS)


def test_code_beside_a_model_is_refused_unless_trusted(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path, code="code")
    (folder / "code").mkdir()
    (folder / "code" / "features.py").write_text("import os\n", encoding="utf-8")
    assert verdict(folder) is Verdict.ERROR
    assert verdict(folder, ("code", "features")) is Verdict.PASS
    (folder / "code" / "more.py").write_text("", encoding="utf-8")
    (folder / "code" / "other.py").write_text("1\n", encoding="utf-8")
    assert verdict(folder, ("code", "features")) is Verdict.ERROR


@pytest.mark.filterwarnings("ignore")
def test_a_pickled_python_model_of_mlflow(tmp_path: Path) -> None:
    import mlflow.pyfunc  # noqa: PLC0415

    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(  # noqa: S102 -- a class that belongs to no module, as one in a notebook
        "import mlflow.pyfunc\n"
        "class Doubler(mlflow.pyfunc.PythonModel):\n    def predict(self, context, model_input, params=None):\n"
        "        return model_input * 2\n",
        namespace,
    )
    folder = tmp_path / "pyfunc"
    mlflow.pyfunc.save_model(str(folder), python_model=namespace["Doubler"](), pip_requirements=["mlflow"])
    checks = model.scan(folder)
    assert checks[0].verdict is Verdict.ERROR
    said = " ".join(check.reason for check in checks)
    assert "by value" in said
    assert "__main__.Doubler" in said
    assert verdict(folder, ("__main__.Doubler",)) is Verdict.ERROR, "MLflow wraps the method, by value too"
    wrapped = "mlflow.pyfunc.utils.data_validation._wrap_predict_with_pyfunc"
    assert verdict(folder, ("__main__.Doubler", wrapped)) is Verdict.PASS


# Code by value


def by_value(path: Path, source: str, name: str) -> Path:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)  # noqa: S102
    made = path / "model.pkl"
    made.write_bytes(cloudpickle.dumps(namespace[name]))
    return made


def test_functions_by_value_are_an_error_unless_trusted_by_name(tmp_path: Path) -> None:
    path = by_value(tmp_path, "import math\ndef f(x):\n    return (lambda y: math.exp(y))(x)\n", "f")
    checks = model.scan(path)
    assert checks[1].verdict is Verdict.ERROR
    assert "__main__.f" in checks[1].reason
    assert "- __main__.f" in checks[1].fix
    assert verdict(path, ("__main__.f",)) is Verdict.PASS
    assert verdict(path, ("__main__.g",)) is Verdict.ERROR
    assert verdict(path, ("__main__.f.*",)) is Verdict.ERROR


def test_modules_that_code_by_value_refers_to_are_looked_at_too(tmp_path: Path) -> None:
    path = by_value(tmp_path, "import shutil\ndef f(x):\n    return shutil.which(x)\n", "f")
    assert verdict(path, ("__main__.f",)) is Verdict.ERROR
    assert "shutil" in words(path, ("__main__.f",))
    assert verdict(path, ("__main__.f", "shutil")) is Verdict.PASS


def test_one_trusted_function_does_not_let_another_in(tmp_path: Path) -> None:
    source = "def f(x):\n    return x\ndef g(x):\n    return x\nboth = [f, g]\n"
    path = by_value(tmp_path, source, "both")
    assert verdict(path, ("__main__.f",)) is Verdict.ERROR
    assert verdict(path, ("__main__.f", "__main__.g")) is Verdict.PASS


class Own:
    """A class of a project."""


def test_a_projects_own_classes_are_named_and_can_be_trusted(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"encoder": Own()}))
    name = f"{Own.__module__}.Own"
    check = model.scan(path)[1]
    assert check.verdict is Verdict.ERROR
    assert name in check.reason
    assert f"- {name}" in check.fix
    assert verdict(path, (name,)) is Verdict.PASS


def test_trust_does_not_reach_through_a_module(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04\x8c\x08features\x8c\x09os.system\x93\x8c\x02id\x85R.")
    assert verdict(path, ("features.*",)) is Verdict.FAIL
    path.write_bytes(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.")
    assert verdict(path, ("os.*",)) is Verdict.FAIL
    assert verdict(path, ("os.system",)) is Verdict.PASS, "by its full name, a person may"


# ONNX


def onnx_model(path: Path, **change: Any) -> Path:
    import onnx  # noqa: PLC0415
    from onnx import TensorProto, helper  # noqa: PLC0415

    weights = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    if location := change.get("location"):
        weights.ClearField("float_data")
        weights.data_location = TensorProto.EXTERNAL
        entry = weights.external_data.add()
        entry.key, entry.value = "location", location
    node = helper.make_node("Add", ["x", "w"], ["y"], domain=change.get("domain", ""))
    inside = [node]
    if change.get("nested"):
        branch = helper.make_graph(
            [helper.make_node("Evil", [], ["z"], domain="evil.ops")],
            "g",
            [],
            [helper.make_tensor_value_info("z", 1, [2])],
        )
        inside = [node, helper.make_node("If", ["c"], ["q"], then_branch=branch, else_branch=branch)]
    graph = helper.make_graph(
        inside,
        "g",
        [helper.make_tensor_value_info("x", 1, [2])],
        [helper.make_tensor_value_info("y", 1, [2])],
        [weights],
    )
    made = path / "model.onnx"
    onnx_bytes = helper.make_model(graph).SerializeToString()
    assert onnx.ModelProto.FromString(onnx_bytes).graph.node
    made.write_bytes(onnx_bytes)
    return made


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "C:\\x", "a/../../b"])
def test_onnx_that_reads_files_elsewhere(location: str, tmp_path: Path) -> None:
    assert verdict(onnx_model(tmp_path, location=location)) is Verdict.FAIL


def test_onnx_with_numbers_that_are_not_there(tmp_path: Path) -> None:
    onnx_model(tmp_path, location="weights.bin")
    assert verdict(tmp_path) is Verdict.ERROR
    (tmp_path / "weights.bin").write_bytes(np.zeros(2, dtype=np.float32).tobytes())
    assert verdict(tmp_path) is Verdict.PASS


def test_onnx_with_operators_of_somebody(tmp_path: Path) -> None:
    assert verdict(onnx_model(tmp_path)) is Verdict.PASS
    path = onnx_model(tmp_path, domain="evil.ops")
    assert verdict(path) is Verdict.ERROR
    assert verdict(path, ("evil.ops",)) is Verdict.PASS
    assert "evil.ops" in words(onnx_model(tmp_path, nested=True))


def test_broken_onnx(tmp_path: Path) -> None:
    data = onnx_model(tmp_path).read_bytes()
    for wrong in (data[:-3], data[:20], b"\x08\x09", b"hello", data + b"\xff"):
        (tmp_path / "model.onnx").write_bytes(wrong)
        assert verdict(tmp_path / "model.onnx") is Verdict.ERROR


# Keras


def keras_archive(path: Path, layer: dict[str, Any]) -> Path:
    config = {"class_name": "Sequential", "module": "keras", "config": {"layers": [layer]}, "registered_name": None}
    made = path / "model.keras"
    made.write_bytes(
        malice.zipped(
            {"config.json": json.dumps(config).encode(), "metadata.json": b"{}",
             "model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(64)}
        )
    )  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"class_name": "Dense", "module": "keras.layers", "config": {}}, Verdict.PASS),
        ({"class_name": "Lambda", "module": "keras.layers", "config": {}}, Verdict.FAIL),
        ({"class_name": "Dense", "module": "keras.layers",
          "config": {"activation": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}}}, Verdict.FAIL),
        ({"class_name": "Dense", "module": "backdoor", "config": {}}, Verdict.ERROR),
    ],
)  # fmt: skip
def test_keras(layer: dict[str, Any], expected: Verdict, tmp_path: Path) -> None:
    path = keras_archive(tmp_path, layer)
    assert expected in {check.verdict for check in model.scan(path)}
    old = tmp_path / "old.h5"
    text = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()
    old.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100) + b"model_config\0\0" + text + b"\0" + bytes(50))
    assert expected in {check.verdict for check in model.scan(old)}


def test_keras_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\nmodel_config\0" + b'{"class_name": "Seq' + bytes(50))
    assert verdict(path) is Verdict.ERROR


# Whatever else lies in a folder


_SHORT_ARRAY = b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (5,), }".ljust(80) + b"x"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("helper.so", b"\x7fELF\x02\x01", Verdict.FAIL),
        ("weights.bin", b"\x7fELF\x02\x01", Verdict.FAIL),
        ("x.pyc", b"\xa7\r\r\n", Verdict.FAIL),
        ("setup.py", b"print(1)\n", Verdict.ERROR),
        ("run", b"#!/bin/sh\nrm -rf /\n", Verdict.ERROR),
        ("model.yaml", b"a: !!python/object/apply:os.system [id]\n", Verdict.FAIL),
        ("model.txt", b"a: !!python/object/apply:os.system [id]\n", Verdict.FAIL),
        ("model.rds", b"\x00\x01\x02\x03 something else \xff\xfe", Verdict.ERROR),
        ("model.7z", b"7z\xbc\xaf\x27\x1c\x00\x04", Verdict.ERROR),
        ("model.pkl", b"", Verdict.ERROR),
        ("model.pkl", b"not a pickle at all", Verdict.ERROR),
        ("model.joblib", b"ZF0x10 old", Verdict.ERROR),
        ("model.skops", b"PK\x03\x04broken", Verdict.ERROR),
        ("model.npy", b"\x93NUMPY\x01\x00\x04\x00{}  ", Verdict.ERROR),
        ("model.npy", _SHORT_ARRAY, Verdict.ERROR),
        ("a.parquet", b"PAR1" + b"arrow.py_extension_type" + b"PAR1", Verdict.FAIL),
        ("a.parquet", b"PAR1 numbers PAR1", Verdict.PASS),
        ("a.png", b"\x89PNG\r\n\x1a\n\x00\x00", Verdict.PASS),
        ("pickle_module_info.txt", b"backdoor", Verdict.ERROR),
        ("pickle_module_info.txt", b"mlflow.pytorch.pickle_module", Verdict.PASS),
        ("saved_model.pb", b"\x08\x01\x12\x08ReadFile\x00", Verdict.FAIL),
    ],
)  # fmt: skip
def test_other_files(name: str, data: bytes, expected: Verdict, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert verdict(tmp_path) is expected, words(tmp_path)


def test_links_and_devices(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.txt").write_text("a", encoding="utf-8")
    (folder / "b.txt").symlink_to("a.txt")
    assert verdict(folder) is Verdict.PASS
    (tmp_path / "secret.txt").write_text("s", encoding="utf-8")
    (folder / "c.txt").symlink_to("../secret.txt")
    assert verdict(folder) is Verdict.FAIL
    (folder / "c.txt").unlink()
    if sys.platform != "win32":
        os.mkfifo(folder / "pipe")
        assert verdict(folder) is Verdict.ERROR


def test_nothing_there(tmp_path: Path) -> None:
    assert verdict(tmp_path) is Verdict.ERROR
    assert verdict(tmp_path / "missing") is Verdict.ERROR


def test_archives_that_readers_read_differently(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(1))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("data.pkl", pickle.dumps(2))
    assert verdict(path) is Verdict.ERROR
    path.write_bytes(malice.zipped({"a.txt": b"hello" * 100}))
    data = bytearray(path.read_bytes())
    data[6] |= 1  # encrypted, says the local header
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(bytes(data))
    assert verdict(path) is Verdict.ERROR


def test_the_report_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"c`evil`\x1b[31m\nname\n.")
    checks: list[Check] = model.scan(path)
    said = " ".join(check.reason + check.fix + check.title for check in checks)
    assert checks[0].verdict is Verdict.ERROR
    assert "\x1b" not in said
    assert all(check.group == "supply" for check in checks)
    assert len({check.id for check in checks}) == len(checks)
