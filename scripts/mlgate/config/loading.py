"""Reads mlgate.yaml, and the file it extends, into settings; or says everything that is wrong with it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import replace

from pydantic import ValidationError

from mlgate.config import messages, sense, yamlfile
from mlgate.config.known import CONFIG
from mlgate.config.settings import Config
from mlgate.config.values import check_path
from mlgate.config.yamlfile import Node
from mlgate.errors import MlgateError

# What may stand in a file with all its keys commented out.
_SECTIONS = {
    ("train",),
    ("evaluate",),
    ("evaluate", "*", "columns"),
    ("evaluate", "*", "predictions"),
    ("evaluate", "*", "latency"),
    ("evaluate", "*", "rules"),
    ("compare",),
    *(("compare", section) for section in ("rules", "costs", "slices", "fairness", "approval", "policy")),
    ("ledger",),
}


def load(text: str | bytes, *, file: str, base: Callable[[str], bytes | None]) -> Config:
    """The settings in `text`.

    `file` is its repository-relative path, as errors show it. `base` reads the file that `extends:` names, by its
    repository-relative path, from the same commit or working tree; None if it is not there.

    Raises MlgateError: one sentence with file, line, key and fix; for several problems one such line each.
    """
    root, problems = yamlfile.parse(text, file=file)
    if "extends" in root.entries:
        if "model" not in root.entries:
            fix = "Add `model: <name>` here: what several models share cannot name one."
            problems.append(MlgateError("model is missing.", file=file, key="model", fix=fix))
        extended, more = _extended(root, file, base)
        problems += more
        root = _merged(extended, root)
    try:
        config = Config.model_validate(root.raw(), by_alias=True, by_name=False)
    except ValidationError as error:
        raise messages.join(problems + messages.translate(error, root)) from None
    lines = {yamlfile.dotted(path): (node.file, node.line) for path, node in root.walk() if path}
    config = config.placed(file, lines)
    problems += [messages.problem(root, *finding) for finding in sense.findings(config)]
    if problems:
        raise messages.join(problems)
    return config


def _extended(root: Node, file: str, base: Callable[[str], bytes | None]) -> tuple[Node, list[MlgateError]]:
    node = root.entries["extends"]
    try:
        written = check_path(node.raw())
    except ValueError as error:  # pydantic's custom errors are ValueErrors
        context = getattr(error, "context", None) or {}
        raise messages.problem(root, ("extends",), context.get("message", str(error)), context.get("fix", "")) from None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), written))
    if path.startswith(("../", "/")) or path in {"..", "."}:
        fix = "Only files of this repository are read."
        raise messages.problem(root, ("extends",), f"is `{written}`, outside the repository.", fix)
    if path == posixpath.normpath(file):
        raise messages.problem(root, ("extends",), "names this file itself.", "Remove it.")
    content = base(path)
    if content is None:
        fix = "The path is relative to this file's folder; the file must be committed."
        raise messages.problem(root, ("extends",), f"names `{path}`, which is not there.", fix)
    extended, problems = yamlfile.parse(content, file=path)
    if "extends" in extended.entries:
        fix = f"It is extended by {file}, and one level is all there is: move what it extends into it."
        raise messages.problem(extended, ("extends",), "is not allowed in a file that others extend.", fix)
    return extended, problems


def _merged(base: Node, own: Node, path: tuple[str, ...] = ()) -> Node:
    """Mappings key by key, anything else whole; `own` wins.

    A section left empty in `own` keeps what the base has, so that nothing is removed by commenting out its keys. A rule
    or an evaluation set left empty is no such section, and is refused later: it looks like a removal and is none.
    """
    if CONFIG.pattern(path) in _SECTIONS and base.kind == "mapping" and own.empty:
        return base
    if base.kind != "mapping" or own.kind != "mapping":
        return own
    entries = dict(base.entries)
    for key, node in own.entries.items():
        entries[key] = _merged(base.entries[key], node, (*path, key)) if key in base.entries else node
    return replace(own, entries=entries)
