"""Keras: a configuration that says which layers to make. A Lambda layer is Python's bytecode in disguise."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from mlgate.supply.limits import MIB, LimitError, MalformedError
from mlgate.supply.pickles import Opener
from mlgate.supply.report import Scan, listed, plain

_MODULES = re.compile(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.[A-Za-z_]\w*)*")
_LAMBDA = {"Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda", "function", "python_function"}
# Graphs can name operators that read and write files, or call back into Python.
_OPERATORS = (b"ReadFile", b"WriteFile", b"MatchingFiles", b"PyFunc", b"EagerPyFunc", b"PyFuncStateless", b"PrintV2",
              b"MergeV2Checkpoints", b"RestoreV2Slice", b"DebugIdentity")  # fmt: skip
_CONFIG = re.compile(rb'\{\s*"(?:class_name|module|name|config)"\s*:')


def look(scan: Scan, file: str, archive: zipfile.ZipFile) -> bool:
    """Looks through config.json of a .keras archive; False where the archive is none."""
    names = archive.namelist()
    if "config.json" not in names or not any(name.endswith(".weights.h5") for name in names):
        return False
    scan.kind("Keras")
    if archive.getinfo("config.json").file_size > 256 * MIB:
        raise MalformedError("has a configuration of more than 256 MiB")
    try:
        config = json.loads(archive.read("config.json"))
    except (ValueError, RecursionError) as error:
        raise MalformedError("has a configuration that cannot be read") from error
    _judge(scan, file, config)
    return True


def _judge(scan: Scan, file: str, config: Any) -> None:
    lambdas: dict[str, None] = {}
    foreign: dict[str, None] = {}
    for node in _nodes(config):
        name, module = node.get("class_name"), node.get("module")
        if not isinstance(name, str):
            continue
        registered = node.get("registered_name")
        if name in _LAMBDA and not (name == "function" and isinstance(module, str) and _MODULES.fullmatch(module)):
            lambdas[name] = None
        elif isinstance(module, str) and not _MODULES.fullmatch(module) and module != "builtins":
            foreign[f"{module}.{name}"] = None
        elif module is None and isinstance(registered, str) and registered not in ("", name) and ">" in registered:
            foreign[registered] = None
    if lambdas:
        scan.harm(file, f"it has a layer of Python code ({listed(list(lambdas))}).", list(lambdas))
    unknown = [one for one in foreign if not scan.trusts(one)]
    if unknown:
        scan.doubt(file, f"it loads {listed(unknown)}, of which nobody has said that loading it is safe.", unknown)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def configuration(scan: Scan, file: str, config: Any) -> None:
    """A JSON file that may be a model's configuration."""
    if isinstance(config, dict) and "class_name" in config and "config" in config:
        scan.kind("Keras")
        _judge(scan, file, config)


def hdf5(scan: Scan, file: str, opener: Opener) -> None:
    """HDF5: its texts are stored as they are, so the configuration is found without reading the tree of the file."""
    scan.kind("HDF5")
    try:
        data = bytearray()
        source = opener()
        while piece := source.read(MIB):
            scan.budget.keep(len(piece))
            data += piece
        scan.budget.keep(-len(data))
    except (MalformedError, LimitError) as error:
        scan.doubt(file, f"it {error}, so it cannot be vouched for.")
        return
    if b"PYTABLES_FORMAT_VERSION" in data or b"pandas_type" in data:
        scan.doubt(file, "it is a file of PyTables, which loads pickles out of its attributes.")
        return
    found = False
    for match in _CONFIG.finditer(data):
        end = data.find(b"\0", match.start())
        text = bytes(data[match.start() : end if end > 0 else None]).decode("utf-8", "replace")
        try:
            config, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(config, dict):
            found = True
            _judge(scan, file, config)
    if b'"Lambda"' in data or b"__lambda__" in data:
        scan.harm(file, "it has a layer of Python code (`Lambda`).", ["Lambda"])
    elif b"model_config" in data and not found:
        scan.doubt(file, "its configuration cannot be read, so it cannot be vouched for.")


def saved_model(scan: Scan, file: str, opener: Opener) -> None:
    """TensorFlow's SavedModel: looks for the names of operators that reach out of the graph."""
    scan.kind("SavedModel")
    found: dict[str, None] = {}
    before = b""
    try:
        source = opener()
        while piece := source.read(MIB):
            for name in _OPERATORS:
                if re.search(rb"(?<![A-Za-z0-9_/])" + name + rb"(?![A-Za-z0-9_])", before + piece):
                    found[name.decode()] = None
            before = piece[-64:]
    except (MalformedError, LimitError) as error:
        scan.doubt(file, f"it {plain(str(error))}, so it cannot be vouched for.")
        return
    untrusted = [one for one in found if not scan.trusts(one)]
    if untrusted:
        scan.harm(file, f"its graph has operators that reach out of it ({listed(untrusted)}).", untrusted)
