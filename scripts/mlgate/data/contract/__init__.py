"""What a contract file says, as expectations: a Great Expectations suite, or the shorter spelling of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from pydantic import ValidationError

from mlgate.config import messages
from mlgate.config.yamlfile import Node
from mlgate.data.contract import reading, short, spelled, suite, words
from mlgate.data.contract.suite import Problems, Suite
from mlgate.data.nouns import Contract, Expectation
from mlgate.errors import MlgateError

__all__ = ["load"]

_SHORT_KEYS = {"schema", "columns", "table", "relations", "severity"}


def load(data: bytes, file: str) -> Contract:
    """All that the contract in `data` says. `file` is how errors name it.

    Raises MlgateError with file, line, key and fix for what cannot be read, for what no engine could check, and for a
    contract that checks nothing. Several problems are one error, each on a line of its own, ten at most.
    """
    root, found = reading.tree(data, file)
    problems = Problems(root, found)
    said = _short(root, problems) if _is_short(root) else suite.read(root, problems)
    if problems:
        raise messages.join(problems)
    if not said.expectations:
        fix = "A contract without expectations passes any data: add one, or remove the contract."
        raise MlgateError("has no expectations, so it checks nothing.", file=file, fix=fix)
    return Contract(
        file=file,
        digest=hashlib.sha256(data).hexdigest(),
        expectations=tuple(_finished(said)),
        private=said.private,
        name=said.name,
    )


def _is_short(root: Node) -> bool:
    """A suite has `expectations` and a name, and none of our own words."""
    keys = set(root.entries)
    if keys & _SHORT_KEYS:
        return not {"name", "expectation_suite_name"} & keys or bool(keys & (_SHORT_KEYS - {"severity"}))
    return "expectations" not in keys and not {"expectation_suite_name", "name"} & keys


def _short(root: Node, problems: Problems) -> Suite:
    try:
        read = short.Short.model_validate(root.raw(), by_alias=True, by_name=False)
    except ValidationError as error:
        problems += messages.translate(error, root, short.VOCABULARY)
        if "expectations" in root.entries:  # so that what is wrong with them is said at the same time
            list(suite.entries(root.entries["expectations"].raw(), problems, default="error"))
        return Suite("", [], frozenset(), frozenset())
    for finding in spelled.findings(read):
        problems.add(*finding)
    more = [one for one in suite.entries(read.expectations, problems, default=read.severity) if one]
    return Suite(
        name=read.name or "",
        expectations=[*spelled.expectations(read, root), *more],
        critical=frozenset(name for name, column in read.columns.items() if column.critical),
        private=frozenset(name for name, column in read.columns.items() if column.private),
    )


def _finished(said: Suite) -> Iterable[Expectation]:
    """With what follows from the others: severity of critical columns, unique ids, words."""
    seen: set[str] = set()
    for one in said.expectations:
        identity = plain = one.id or _id(one)
        for number in count(2):
            if identity not in seen:
                break
            identity = f"{plain}.{number}"
        seen.add(identity)
        title, expected = words.describe(one.type, one.kwargs)
        yield replace(
            one,
            id=identity,
            severity="error" if _names(one) & said.critical else one.severity,
            title=title,
            expected=expected,
        )


def _names(one: Expectation) -> set[str]:
    """The columns it is about; not those of a list of all columns."""
    return set() if one.type.startswith("expect_table_") else set(one.columns)


def _id(one: Expectation) -> str:
    """`age.values_to_be_between`: it stays when others are added before it."""
    said = one.type.removeprefix("expect_").removeprefix("table_").removeprefix("column_")
    return f"{','.join(one.columns) or 'table'}.{said}"
