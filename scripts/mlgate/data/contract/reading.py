"""The bytes of a contract, JSON or YAML, as a tree whose every value knows its line."""

from __future__ import annotations

import json
import re

from mlgate.config import yamlfile
from mlgate.config.yamlfile import Advice, Node
from mlgate.errors import MlgateError

_ADVICE = Advice(
    empty="A contract lists what must hold: `mlgate validate-data --profile <data file>` proposes one.",
    start="A contract starts with `schema: 1` and `columns:`, a suite with `name:` and `expectations:`.",
    single="One file holds one contract: delete the `---`.",
    deep="No contract is that deep.",
    merge="Write the keys out.",
)

_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def tree(data: bytes, file: str) -> tuple[Node, list[MlgateError]]:
    """The tree, and the keys that were given twice. Raises MlgateError when there is no tree to give."""
    text = yamlfile.decode(data, file)
    if text.lstrip().startswith(("{", "[")):
        text = _as_yaml(text)
    try:
        return yamlfile.parse(text, file=file, advice=_ADVICE)
    except MlgateError as error:
        raise (_not_json(text, file) if file.lower().endswith(".json") else None) or error from None


def _not_json(text: str, file: str) -> MlgateError | None:
    """What is wrong with a file that is meant to be JSON, in the words of JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        said = f"{error.msg[:1].lower()}{error.msg[1:]}".removesuffix(" starting at")
        return MlgateError(f"is not JSON: {said}.", file=file, line=error.lineno, fix="Was it cut off?")
    except (ValueError, RecursionError):
        return None
    return None


def _as_yaml(text: str) -> str:
    """JSON is YAML, but for tabs between its values and for characters that are written as two escapes."""
    parts, end = [], 0
    for string in _STRING.finditer(text):
        parts += [text[end : string.start()].replace("\t", " "), _PAIR.sub(_character, string[0])]
        end = string.end()
    return "".join(parts) + text[end:].replace("\t", " ")


def _character(pair: re.Match[str]) -> str:
    return chr(0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + int(pair[2], 16) - 0xDC00)
