"""The job templates as a test reads them: what they ask for, and what GitLab makes of them with inputs filled in."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "gitlab-templates"
VERBS = (
    *("compare", "report", "doctor", "init", "validate-data", "train", "build-image", "register"),
    *("deploy", "rollback"),
    *("monitor", "notify", "retrain"),
)
PIPELINE, BUILD, DEPLOY = "ml-pipeline", "model-build", "model-deploy"
WATCH, SUCCESSOR = "model-monitor", "model-retrain"
NAMES = (*VERBS, PIPELINE, BUILD, DEPLOY, WATCH, SUCCESSOR)
# Where and in what a job runs: GitHub says these in a workflow, so actions have no such inputs.
PLACE = {"stage", "image", "judge-image", "commit-image", "prepare-image", "setup", "job-prefix", "mlgate-source"}
PLACE |= {"build-image", "register-image", "docker", "docker-image"}
PLACE |= {
    "starts",
    "when",
    "tier",
    "client",
    "timeout",
}  # when, and with whose leave: events and environments on GitHub
PLACE |= {"expire-in", "inputs-expire-in"}  # GitHub's workflow says these in days
_BLOCK = re.compile(r"\$\[\[\s*inputs\.([a-z-]+)\s*\]\]")

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """One file: the comment on top, `spec:inputs`, and the text of the jobs."""

    name: str
    text: str

    @property
    def comment(self) -> str:
        lines = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.removeprefix("#").removeprefix(" "))
        return "\n".join(lines)

    @property
    def body(self) -> str:
        return self.text.split("\n---\n", 1)[1]

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        header = yaml.safe_load(self.text.split("\n---\n", 1)[0])
        assert set(header) == {"spec"}
        found: dict[str, dict[str, Any]] = header["spec"]["inputs"]
        return found

    def values(self, given: Inputs) -> Inputs:
        assert set(given) <= set(self.inputs), "an input that the template does not have"
        return {name: given.get(name, spec["default"]) for name, spec in self.inputs.items()}

    def in_text(self, **given: Any) -> dict[str, Any]:
        """Filled in as text, before the YAML is read: one of the two ways GitLab has done it."""
        values = self.values(_dashed(given))

        def value(match: re.Match[str]) -> str:
            found = values[match[1]]
            return found if isinstance(found, str) else json.dumps(found)

        read: dict[str, Any] = yaml.safe_load(_BLOCK.sub(value, self.body))
        return read

    def in_nodes(self, **given: Any) -> dict[str, Any]:
        """Filled in after the YAML is read, each scalar by itself: the other way."""
        values = self.values(_dashed(given))

        def fill(node: Any) -> Any:
            if isinstance(node, dict):
                return {fill(key): fill(value) for key, value in node.items()}
            if isinstance(node, list):
                return [fill(item) for item in node]
            if not isinstance(node, str):
                return node
            if whole := _BLOCK.fullmatch(node):
                return values[whole[1]]
            return _BLOCK.sub(lambda m: v if isinstance(v := values[m[1]], str) else json.dumps(v), node)

        filled: dict[str, Any] = fill(yaml.safe_load(self.body))
        return filled

    def jobs(self, **given: Any) -> dict[str, dict[str, Any]]:
        return {name: job for name, job in self.in_nodes(**given).items() if not name.startswith(".")}


# A pipeline that trains a successor is one of the default branch, and would else gate, build and deploy it once more.
NOT_FOR_A_SUCCESSOR = {"if": "$MLGATE_TRIGGER", "when": "never"}


def rules(job: dict[str, Any]) -> list[dict[str, Any]]:
    """When it runs, apart from the rule that keeps it out of pipelines that train a successor."""
    first, *rest = job["rules"]
    assert first == NOT_FOR_A_SUCCESSOR
    return rest


def load(name: str) -> Template:
    return Template(name, (FOLDER / f"{name}.gitlab-ci.yml").read_text("utf-8"))


def accepts(spec: dict[str, Any], value: str) -> bool:
    """Whether GitLab takes the value. Its `^` and `$` are those of RE2: the ends of the text, not of a line."""
    if "options" in spec:
        return value in spec["options"]
    pattern: str = spec["regex"]
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    return re.fullmatch(pattern[1:-1], value, re.ASCII) is not None


def variables(job: dict[str, Any]) -> dict[str, str]:
    """The job's variables, each as the value it has."""
    found = {name: v["value"] if isinstance(v, dict) else v for name, v in job["variables"].items()}
    return {name: json.dumps(v) if isinstance(v, bool) else v for name, v in found.items()}


def option_variables(verb: str) -> set[str]:
    """The environment variables that are options of a verb."""
    module = importlib.import_module(f"mlgate.commands.{verb.replace('-', '_')}")
    command = module.sign if verb == "_signing" else module.command  # `mlgate audit sign`
    names: set[str] = set()
    for parameter in command.params:
        names |= {parameter.envvar} if isinstance(parameter.envvar, str) else set(parameter.envvar or ())
    return names


def _dashed(given: Inputs) -> Inputs:
    return {name.replace("_", "-"): value for name, value in given.items()}
