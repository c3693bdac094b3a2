"""ONNX: operators are named, not carried. What matters is whose they are, and which other files the model reads."""

from __future__ import annotations

import io
import posixpath

from mlgate.supply.limits import LimitError, MalformedError, skip
from mlgate.supply.pickles import Opener
from mlgate.supply.report import Scan, listed, plain

# Operators of these domains are part of ONNX or of its runtime; of others somebody has to load a library.
_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft",
     "com.microsoft.experimental", "com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten"}
)  # fmt: skip
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _OPSET, _ENTRY, _EXTERNAL = range(10)
# message -> field -> message inside
_INSIDE = {
    _MODEL: {7: _GRAPH, 8: _OPSET, 14: _ENTRY, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _TENSOR: {13: _EXTERNAL},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 9: _OPSET, 11: _ATTRIBUTE},
}  # fmt: skip
_TEXTS = {(_NODE, 7), (_NODE, 4), (_OPSET, 1), (_ENTRY, 1), (_FUNCTION, 10), (_EXTERNAL, 1), (_EXTERNAL, 2)}
_LONG = 4096  # octets of a name
_DEEP = 64


class _Reader:
    """The wire format of protocol buffers, read once from start to end."""

    def __init__(self, source: io.BufferedReader, scan: Scan) -> None:
        self._source = source
        self._scan = scan
        self._steps = 0
        self.domains: dict[str, None] = {}
        self.locations: dict[str, None] = {}
        self.functions: set[str] = set()
        self.graphs = 0

    def model(self) -> None:
        self._message(_MODEL, None, 0)
        if not self.graphs:
            raise MalformedError("is no ONNX model: it has no graph")

    def _message(self, kind: int, left: int | None, depth: int) -> None:
        if depth > _DEEP:
            raise MalformedError("is nested too deeply to be looked through")
        key = ""
        while left is None or left > 0:
            if left is None and not self._source.peek(1):
                return
            self._steps += 1
            if not self._steps & 0xFFF:
                self._scan.budget.step(0x1000)
            tag, size = self._varint()
            used = size
            field, wire = tag >> 3, tag & 7
            if not field:
                raise MalformedError("is no ONNX model")
            if wire == 0:
                used += self._varint()[1]
            elif wire in (1, 5):
                skip(self._source, 8 if wire == 1 else 4)
                used += 8 if wire == 1 else 4
            elif wire == 2:
                length, size = self._varint()
                used += size + length
                if left is not None and used > left:
                    raise MalformedError("is a broken ONNX model")
                key = self._field(kind, field, length, depth, key)
            else:
                raise MalformedError("is no ONNX model")
            if left is not None:
                left -= used
                if left < 0:
                    raise MalformedError("is a broken ONNX model")

    def _field(self, kind: int, field: int, length: int, depth: int, key: str) -> str:
        """One field with a length; returns the key of an entry, whose value follows."""
        inside = _INSIDE.get(kind, {}).get(field)
        if inside is not None:
            self.graphs += kind == _MODEL and inside == _GRAPH
            self._message(inside, length, depth + 1)
            return key
        if (kind, field) not in _TEXTS or length > _LONG:
            skip(self._source, length)
            return key
        data = self._source.read(length)
        if len(data) != length:
            raise MalformedError("ends too soon")
        text = data.decode("utf-8", "replace")
        if (kind, field) in ((_NODE, 7), (_OPSET, 1)):
            self.domains[text] = None
        elif (kind, field) == (_FUNCTION, 10):
            self.functions.add(text)
        elif (kind, field) == (_EXTERNAL, 1):
            return text
        elif (kind, field) == (_EXTERNAL, 2) and key == "location":
            self.locations[text] = None
        return key

    def _varint(self) -> tuple[int, int]:
        value = shift = 0
        for size in range(1, 11):
            byte = self._source.read(1)
            if not byte:
                raise MalformedError("ends too soon")
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value, size
            shift += 7
        raise MalformedError("is no ONNX model")


def look(scan: Scan, file: str, opener: Opener, folder: str | None) -> None:
    """Looks through one model. `folder`: the path of its folder in what is scanned; None inside of an archive."""
    scan.kind("ONNX")
    try:
        reader = _Reader(opener(), scan)
        reader.model()
    except MalformedError as error:
        scan.doubt(file, f"it {error}, so it cannot be vouched for.")
        return
    except LimitError as error:
        scan.limit(file, error)
        return
    foreign = [one for one in reader.domains if one not in _DOMAINS | reader.functions and not scan.trusts(one)]
    if foreign:
        scan.doubt(file, f"it has operators of {listed(foreign)}, for which a library has to be loaded.", foreign)
    for location in reader.locations:
        path = posixpath.normpath(location)
        if location.startswith(("/", "\\")) or ":" in location or "\\" in location or path.split("/")[0] == "..":
            scan.harm(file, f"it reads its numbers from `{plain(location)}`, outside of the model.")
        elif folder is None:
            scan.doubt(file, f"it reads its numbers from `{plain(location)}`, which is not in the archive's reach.")
        else:
            scan.beside.add(posixpath.normpath(posixpath.join(folder, path)))


def probable(head: bytes) -> bool:
    """Whether bytes may begin a ModelProto: its version of the format comes first."""
    return len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 0x40 and head[2] in (0x12, 0x1A, 0x22, 0x32, 0x3A, 0x42)
