"""`mlgate compare` as a forge runs it: for a pull request, a push, a tag."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import yaml

from builder import Repo


def edit(repo: Repo, path: str, change: Callable[[dict[str, Any]], object]) -> None:
    value = yaml.safe_load((repo.path / path).read_text())
    change(value)
    repo.write(path, yaml.safe_dump(value, sort_keys=False))


def on_github(
    repo: Repo, name: str, payload: dict[str, Any], *args: str, **env: str
) -> subprocess.CompletedProcess[str]:
    file = repo.path.parent / "event.json"
    file.write_text(json.dumps({"repository": {"default_branch": "main", "full_name": "o/r"}, **payload}))
    known = {"GITHUB_SHA": repo.head, "GITHUB_REPOSITORY": "o/r", **env}
    return repo.mlgate(
        "compare", *args, GITHUB_ACTIONS="true", GITHUB_EVENT_NAME=name, GITHUB_EVENT_PATH=str(file), **known
    )


def pull_request(
    repo: Repo, *args: str, head: str = "", name: str = "pull_request", **env: str
) -> subprocess.CompletedProcess[str]:
    """`mlgate compare` for a pull request of what is committed, into main."""
    base = {"sha": repo.git("rev-parse", "main"), "ref": "main"}
    pull = {"number": 1, "head": {"sha": head or repo.head, "ref": "change"}, "base": base}
    return on_github(repo, name, {"number": 1, "pull_request": pull}, *args, **env)


def reasons(repo: Repo, verdict: str, model: str = "visits") -> str:
    return "\n".join(c["reason"] for c in repo.evidence(model)["checks"] if c["verdict"] == verdict)
