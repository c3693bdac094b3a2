"""A job on GitHub, as far as its environment and its files go. Nothing answers at the API's address."""

from __future__ import annotations

import json
import re
from pathlib import Path

from builder import Repo

_OUTPUT = re.compile(r"(?P<key>[^\n=<]+)<<(?P<end>[^\n]+)\n(?P<value>.*?)\n?(?P=end)\n", re.DOTALL)


class Job:
    """A pull request of acme/visits, number 7: `branch` into main, its merge commit checked out in `repo`."""

    def __init__(self, repo: Repo, folder: Path, *, branch: str = "change") -> None:
        folder.mkdir()
        self.outputs_file, self.summary_file = folder / "output", folder / "summary"
        head, base = repo.head, repo.git("rev-parse", "main")
        repo.git("checkout", "--quiet", "--detach", "main")
        repo.git("merge", "--quiet", "--no-ff", "--message", "Merge", head)
        side = {"repo": {"full_name": "acme/visits"}}
        event = {
            "action": "synchronize",
            "number": 7,
            "pull_request": {
                "number": 7,
                "head": {"sha": head, "ref": branch, **side},
                "base": {"sha": base, "ref": "main", **side},
            },
            "repository": {"full_name": "acme/visits", "default_branch": "main"},
        }
        (folder / "event.json").write_text(json.dumps(event))
        self.environ = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": "http://127.0.0.1:9",
            "GITHUB_BASE_REF": "main",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_HEAD_REF": branch,
            "GITHUB_OUTPUT": str(self.outputs_file),
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_REPOSITORY": "acme/visits",
            "GITHUB_RUN_ID": "1",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": repo.head,
            "GITHUB_STEP_SUMMARY": str(self.summary_file),
            "GITHUB_WORKSPACE": str(repo.path),
        }

    @property
    def outputs(self) -> dict[str, str]:
        """As the runner reads them: every octet of the file belongs to one of them."""
        text = self.outputs_file.read_text()
        found = {m["key"]: m["value"] for m in _OUTPUT.finditer(text)}
        assert _OUTPUT.sub("", text) == ""
        return found

    @property
    def summary(self) -> str:
        return self.summary_file.read_text()
