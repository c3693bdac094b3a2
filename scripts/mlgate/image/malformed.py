"""Bodies that a server has to refuse: no requests at all, and rows that break the model's signature. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlgate.image import protocol
from mlgate.image.protocol import Example, Protocol
from mlgate.serving.settings import Input

_NUMBERS = ("integer", "number")
_DEEP = 20_000


@dataclass(frozen=True)
class Malformed:
    """A body that has to be refused, and which words the refusal needs. `word` names it in the check's id."""

    word: str
    what: str
    path: str
    body: bytes
    names: str = ""  # a column, which the refusal has to name
    type: str = "application/json"
    hostile: bool = False  # nobody sends it by mistake


def bodies(example: Example, inputs: Sequence[Input], spoken: Protocol) -> Iterator[Malformed]:
    """Bodies that are no request, and rows that break the model's signature, one way each."""
    path = spoken.path
    yield Malformed("empty", "an empty body", path, b"")
    yield Malformed("cut", "JSON that is cut off", path, protocol.payload(spoken, example)[:-2])
    yield Malformed("text", "a text that is no JSON", path, b"predict, please")
    yield Malformed("utf8", "bytes that are no UTF-8", path, b'{"records": [{"\xff\xfe": 1}]}')
    yield Malformed("scalar", "a number", path, b"42")
    yield Malformed("shape", "rows that are no rows", path, b'{"records": 5, "dataframe_split": 5}')
    yield Malformed(
        "none", "no rows", path, spoken.body([]) if spoken.name == "predict" else b'{"dataframe_split": {}}'
    )
    yield Malformed("deep", "lists within lists", path, b"[" * _DEEP + b"]" * _DEEP, hostile=True)
    if not example.records or spoken.positional:
        return
    record = dict(example.records[0])
    needed = next((one for one in inputs if one.required and one.name in record), None)
    if needed is not None:
        rest = {name: value for name, value in record.items() if name != needed.name}
        yield Malformed("missing", f"a row without {needed.name}", path, spoken.body([rest]), needed.name)
    number = next((one for one in inputs if one.type in _NUMBERS and one.name in record and one.shape is None), None)
    if number is not None:
        wrong = spoken.body([{**record, number.name: "not a number"}])
        yield Malformed("type", f"a text as {number.name}", path, wrong, number.name)
        wrong = spoken.body([{**record, number.name: [1, 2]}])
        yield Malformed("nested", f"a list as {number.name}", path, wrong, number.name)
