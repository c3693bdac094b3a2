"""A job on GitHub, as far as its environment and its files go. Nothing answers at the API's address."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from builder import Repo

_OUTPUT = re.compile(r"(?P<key>[^\n=<]+)<<(?P<end>[^\n]+)\n(?P<value>.*?)\n?(?P=end)\n", re.DOTALL)


def environ(folder: Path, repo: Repo, name: str, payload: dict[str, Any], **more: str) -> dict[str, str]:
    """The variables of a job of acme/visits that this event started; `folder` gets the event and the runner's files."""
    folder.mkdir(exist_ok=True)
    event = folder / "event.json"
    event.write_text(json.dumps({"repository": {"full_name": "acme/visits", "default_branch": "main"}, **payload}))
    for file in ("output", "summary"):
        (folder / file).touch()
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": "http://127.0.0.1:9",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_REPOSITORY": "acme/visits",
        "GITHUB_RUN_ID": "1",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": repo.head,
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_WORKSPACE": str(repo.path),
        **more,
    }


def on_github(
    repo: Repo, name: str, payload: dict[str, Any], *args: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """`mlgate compare` in a job that this event started."""
    return repo.mlgate("compare", *args, **environ(repo.path.parent / "job", repo, name, payload, **more))


def pull_request(
    repo: Repo, *args: str, head: str = "", name: str = "pull_request", **more: str
) -> subprocess.CompletedProcess[str]:
    """`mlgate compare` for a pull request of what is committed, into main; the head itself is checked out."""
    return on_github(repo, name, _pull(repo.git("rev-parse", "main"), head or repo.head, "change"), *args, **more)


def _pull(base: str, head: str, branch: str) -> dict[str, Any]:
    side = {"repo": {"full_name": "acme/visits"}}
    pull = {"number": 7, "head": {"sha": head, "ref": branch, **side}, "base": {"sha": base, "ref": "main", **side}}
    return {"action": "synchronize", "number": 7, "pull_request": pull}


def outputs(file: Path) -> dict[str, str]:
    """As the runner reads them: every octet of the file belongs to one of them."""
    text = file.read_text()
    found = {m["key"]: m["value"] for m in _OUTPUT.finditer(text)}
    assert _OUTPUT.sub("", text) == ""
    return found


class Job:
    """A pull request of acme/visits, number 7: `branch` into main, its merge commit checked out in `repo`."""

    def __init__(self, repo: Repo, folder: Path, *, branch: str = "change") -> None:
        self.outputs_file, self.summary_file = folder / "output", folder / "summary"
        head, base = repo.head, repo.git("rev-parse", "main")
        repo.git("checkout", "--quiet", "--detach", "main")
        repo.git("merge", "--quiet", "--no-ff", "--message", "Merge", head)
        refs = {"GITHUB_BASE_REF": "main", "GITHUB_HEAD_REF": branch, "GITHUB_REF": "refs/pull/7/merge"}
        self.environ = environ(folder, repo, "pull_request", _pull(base, head, branch), **refs)

    @property
    def outputs(self) -> dict[str, str]:
        return outputs(self.outputs_file)

    @property
    def summary(self) -> str:
        return self.summary_file.read_text()
