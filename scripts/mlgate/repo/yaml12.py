"""YAML as DVC reads and writes it: version 1.2, in which `1e-3` is a number, `yes` is text and `010` is ten."""

from __future__ import annotations

import re
from typing import Any

import yaml

_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:timestamp")
_INTEGER = re.compile(r"[-+]?0b[01_]+$|[-+]?0o[0-7_]+$|[-+]?0x[0-9a-fA-F_]+$|[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)


DEEPEST = 100  # levels
_NESTED = re.compile(r"^(?:[ ]|[-?:] ){200,}", re.MULTILINE)


def load(text: str, loader: type[yaml.CSafeLoader] | None = None) -> Any:
    """The value of one document. Raises yaml.YAMLError and ValueError."""
    shallow(text)
    return yaml.load(text, Loader=loader or Loader)  # noqa: S506 -- safe ones


def shallow(text: str) -> None:
    """Raises yaml.YAMLError for a text that is nested very deeply: in the C parser it would end the whole process."""
    if text.count("[") + text.count("{") <= DEEPEST and not _NESTED.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")


class Loader(yaml.CSafeLoader):
    """A safe loader of YAML 1.2."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def _integer(loader: Loader, node: yaml.ScalarNode) -> int:
    digits = str(loader.construct_scalar(node)).replace("_", "")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits.lstrip("+-")[:2], 10)
    return int(digits, base)


Loader.add_constructor("tag:yaml.org,2002:int", _integer)
