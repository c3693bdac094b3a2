"""mlgate.yaml and the callers as text. The same findings give the same bytes."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from mlgate.config import yamlfile
from mlgate.setup.discover import Found, MetricsFile
from mlgate.setup.suggest import Suggestion

SCHEMA = "https://raw.githubusercontent.com/mlgate/mlgate/v1/docs/schema/mlgate.schema.json"
GUIDE = "https://github.com/mlgate/mlgate/blob/v1/docs/configuration.md"
PLACEHOLDER = "metrics.json"
MOST_RULES = 12
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*")


@dataclass(frozen=True)
class Draft:
    """What goes into one mlgate.yaml. `columns` are those of the evaluation data, as far as they could be read."""

    model: str
    folder: str
    found: Found
    rules: Sequence[Suggestion] = ()
    others: Sequence[str] = ()  # numbers that are no quality of a model
    columns: Sequence[str] = ()
    python: str = ""
    notes: Sequence[str] = field(default_factory=tuple)


def model_name(*candidates: str) -> str:
    """The first that has something left after what a model's name may not hold is taken out."""
    for candidate in candidates:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", candidate).strip("-._")[:100].rstrip("-._")
        if name:
            return name
    return "model"


def scalar(value: str) -> str:
    """Text as YAML reads it back, inside of `[...]` and `{...}` too."""
    # y and n are truth values to some readers of YAML, and text to others; 0e0 is a number to some.
    plain = _PLAIN.fullmatch(value) and value.lower() not in ("y", "n")
    if not plain or _read(value) != value or yamlfile.parse(f"k: {value}\n", file="")[0].raw()["k"] != value:
        return _quoted(value)
    return value


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # a ValueError for what looks like a date and is none
        return None


def _quoted(value: str) -> str:
    """In double quotes; what YAML does not allow in a file is escaped, and half a character is replaced."""
    text = json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in text)


def config(draft: Draft) -> str:
    """The text of mlgate.yaml. Every rule is a comment until somebody accepts its numbers."""
    found, here = draft.found, draft.folder
    lines = [
        f"# yaml-language-server: $schema={SCHEMA}",
        f"# What the gate judges and by which rules. All keys: {GUIDE}",
        "schema: 1",
        f"model: {scalar(draft.model)}",
        "mode: report # shows verdicts and fails nothing; `enforce` once the rules are right",
    ]
    if found.artifact:
        lines.append(f"artifact: {_relative(found.artifact, here)}")
    elif found.dvc:
        lines.append("# artifact: models/model.joblib # the DVC output that is the model")
    if draft.python:
        lines.append(f"train: {{python: {scalar(draft.python)}}}")
    lines += ["evaluate:", "  holdout:"]
    lines += _data(draft)
    lines += _metrics(found, here)
    if found.predictions:
        lines.append(f"    # predictions: {{path: {_relative(found.predictions, here)}}}")
    for double in found.doubles:
        lines.append(f"  # {_set_name(double)}: # repeats keys of the files above, so it is a set of its own")
        lines.append(f"  #   metrics: [{_relative(double.path, here)}]")
    lines += ["compare:", "  rules:", *_rules(draft)]
    return "\n".join(lines) + "\n"


def _data(draft: Draft) -> list[str]:
    if not draft.found.data:
        return ["    # data: data/test.csv # the rows that the metrics were measured on"]
    lines = [f"    data: {_relative(draft.found.data, draft.folder)}"]
    if draft.columns:
        shown = ", ".join(_comment(c) for c in draft.columns[:20]) + (", ..." if len(draft.columns) > 20 else "")
        lines.append(f"    # with the columns {shown}")
    return lines


def _metrics(found: Found, here: str) -> list[str]:
    if not found.metrics:
        return [
            "    # Commit a metrics file such as " + '{"roc_auc": 0.71} (YAML, TOML and CSV are read, too).',
            f"    metrics: [{PLACEHOLDER}]",
        ]
    return [f"    metrics: [{', '.join(_relative(m.path, here) for m in found.metrics)}]"]


def _set_name(file: MetricsFile) -> str:
    return model_name(posixpath.splitext(posixpath.basename(file.path))[0]).replace(".", "-")


def _rules(draft: Draft) -> list[str]:
    if not draft.rules:
        return ["    # auc: {is: roc_auc, threshold: 0.70, max_absolute_regression: 0.01}"]
    lines = ["    # Take the # away from each rule whose numbers you accept."]
    for rule in draft.rules[:MOST_RULES]:
        words = ", ".join(f"{key}: {value}" for key, value in rule.words)
        lines.append(f"    # {scalar(rule.key)}: {{{words}}} # {rule.because}")
    others = [*[r.key for r in draft.rules[MOST_RULES:]], *draft.others]
    if others:
        shown = ", ".join(_comment(key) for key in others[:20]) + (", ..." if len(others) > 20 else "")
        lines.append(f"    # Other numbers in these files: {shown}")
    return lines


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _relative(path: str, folder: str) -> str:
    return scalar(posixpath.relpath(path, folder or "."))


# -- callers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    """What a caller needs to know of the project. `config` is empty where it is the default."""

    branch: str = "main"
    setup: str = ""
    config: str = ""


def github(starter: str, caller: Caller) -> str:
    """The starter workflow, with this project's branch, set-up command and configuration."""
    lines = []
    for line in starter.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip().startswith("setup:"):
            lines += [f"{indent}setup: {scalar_or_quoted(caller.setup)}"] if caller.setup else []
            lines += _config_input(caller, indent)
        else:
            lines.append(line.replace("branches: [main]", f"branches: [{scalar(caller.branch)}]"))
    text = "\n".join(lines) + "\n"
    # Without any input there is no `with:` either.
    return re.sub(r"^ *with:\n(?= *secrets:)", "", text, flags=re.MULTILINE)


def gitlab(version: str, caller: Caller) -> str:
    """The include for .gitlab-ci.yml."""
    return f"include:\n{_remote(version)}{gitlab_entry(version, caller)}"


def _remote(version: str) -> str:
    address = f"https://raw.githubusercontent.com/mlgate/mlgate/v{version}/gitlab-templates/ml-pipeline.gitlab-ci.yml"
    return (
        "  # Without a mirror of mlgate/mlgate on your GitLab, write in place of project, ref and file:\n"
        f"  # remote: {address}\n"
    )


def gitlab_entry(version: str, caller: Caller) -> str:
    """One item of the list under `include:`."""
    lines = [
        "  - project: mlgate/mlgate",
        f"    ref: v{version}",
        "    file: /gitlab-templates/ml-pipeline.gitlab-ci.yml",
    ]
    inputs = [f"      setup: {scalar_or_quoted(caller.setup)}"] if caller.setup else []
    inputs += _config_input(caller, "      ")
    return "\n".join([*lines, *(["    inputs:", *inputs] if inputs else [])]) + "\n"


def into_gitlab(existing: str, version: str, caller: Caller) -> str | None:
    """An existing .gitlab-ci.yml with the include added, None where that cannot be done without reformatting it."""
    entry = gitlab_entry(version, caller)
    match = re.search(r"^include:[ \t]*(#.*)?\n(?P<indent> *)- ", existing, re.MULTILINE)
    if match:
        start = match.end() - len(match["indent"]) - 2
        own = "\n".join(match["indent"] + line[2:] for line in entry.splitlines()) + "\n"
        return existing[:start] + own + existing[start:]
    if re.search(r"^[\"']?include[\"']?\s*:", existing, re.MULTILINE) or re.search(r"^---", existing, re.MULTILINE):
        return None
    return f"{existing.rstrip()}\n\ninclude:\n{entry}" if existing.strip() else f"include:\n{entry}"


def _config_input(caller: Caller, indent: str) -> list[str]:
    if not caller.config:
        return []
    if "\n" in caller.config:
        return [f"{indent}config: |-", *(f"{indent}  {line}" for line in caller.config.splitlines())]
    return [f"{indent}config: {scalar_or_quoted(caller.config)}"]


def scalar_or_quoted(value: str) -> str:
    """A value on its own line: plain where YAML reads the same text back."""
    return value if _read(f"k: {value}") == {"k": value} and value.isprintable() else _quoted(value)


def setup_command(files: Sequence[str], folder: str) -> tuple[str, str]:
    """(command, interpreter): how the project installs itself, by its files; empty when they do not say."""
    present = set(files)
    for here in dict.fromkeys([folder, ""]):
        prefix = f"{here}/" if here else ""
        if f"{prefix}requirements.txt" in present:
            return f"pip install -r {_shell(prefix)}requirements.txt", ""
        if f"{prefix}uv.lock" in present:
            where = f" --project {_shell(here)}" if here else ""
            return f"pip install uv && uv sync --locked{where}", posixpath.relpath(
                f"{prefix}.venv/bin/python", folder or "."
            )
        if f"{prefix}pyproject.toml" in present or f"{prefix}setup.py" in present:
            return f"pip install {_shell(here) or '.'}", ""
    return "", ""


def _shell(path: str) -> str:
    return path if re.fullmatch(r"[A-Za-z0-9_./-]*", path) else "'" + path.replace("'", "'\\''") + "'"
