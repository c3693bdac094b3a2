"""skops: a JSON tree that says which types to make. Each is held against our list, whatever the file itself trusts."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

from mlgate.supply.limits import MIB, MalformedError
from mlgate.supply.names import Name, words
from mlgate.supply.report import Scan, listed, plain

SCHEMA = "schema.json"
_LOADERS = words(
    "DictNode DefaultDictNode ListNode SetNode TupleNode BytesNode BytearrayNode SliceNode FunctionNode MethodNode "
    "PartialNode TypeNode ConstructorFromReduceNode ObjectNode JsonNode OperatorFuncNode NdArrayNode MaskedArrayNode "
    "DTypeNode RandomStateNode RandomGeneratorNode SparseMatrixNode TreeNode LossNode QuantileForestNode CachedNode "
    "SGDNode _DictWithDeprecatedKeysNode"
)
_GENERATORS = words("MT19937 PCG64 PCG64DXSM Philox SFC64")


def look(scan: Scan, file: str, archive: zipfile.ZipFile) -> bool:
    """Looks through the schema of a .skops file. False where the archive is none."""
    if SCHEMA not in archive.namelist():
        return False
    scan.kind("skops")
    if archive.getinfo(SCHEMA).file_size > 256 * MIB:
        raise MalformedError("has a schema of more than 256 MiB")
    try:
        schema = json.loads(archive.read(SCHEMA))
        found: list[Name] = []
        odd: dict[str, None] = {}
        for node in _nodes(schema):
            found += _names(node, odd)
    except RecursionError:
        raise MalformedError("is nested too deeply to be looked through") from None
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedError(f"has a schema that cannot be read ({plain(str(error))})") from error
    if odd:
        scan.doubt(file, f"its schema has nodes that no skops writes: {listed(list(odd))}.")
    scan.judge(file, found)
    return True


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of the tree, without recursion."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _names(node: dict[str, Any], odd: dict[str, None]) -> Iterator[Name]:
    """What one node would load."""
    marks = {"__class__", "__module__", "__loader__"} & set(node)
    if not marks:
        return
    loader = node.get("__loader__")
    module, attribute = node.get("__module__"), node.get("__class__")
    if not (isinstance(loader, str) and isinstance(module, str) and isinstance(attribute, str)):
        odd["a node without class, module and loader"] = None
        return
    if loader not in _LOADERS:
        odd[loader] = None
    content = node.get("content")
    if loader == "JsonNode":
        return  # text, read as JSON
    if loader == "MethodNode":
        function = content.get("func") if isinstance(content, dict) else None
        yield module, f"{attribute}.{function}"
    if loader == "FunctionNode" and isinstance(content, dict) and "function" in content:  # before protocol 1
        yield str(content.get("module_path")), str(content["function"])
        return
    if loader == "RandomGeneratorNode":
        name = _generator(content)
        if name not in _GENERATORS:
            yield "numpy.random", str(name)
    yield module, attribute


def _generator(content: Any) -> Any:
    try:
        return json.loads(content["bit_generator"]["content"]["bit_generator"]["content"])
    except (KeyError, TypeError, ValueError):
        return None
