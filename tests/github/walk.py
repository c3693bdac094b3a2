"""Runs a consumer's workflow with act, the way GitHub would: the starter, through our reusable workflow and actions.

act cannot read `$/x` yet, so it runs a copy of this repository in which that is spelled `mlgate/mlgate/x@v1`, the form
in which consumers name us. Nor does it know `deployment:` of an environment, which the copy lacks, and it asks nobody
for an approval: who gave one is what the API says. Nothing else is changed. Third-party actions have stand-ins
(standins/). Jobs run on this machine, each in a folder of its own, without a network: the API is a loopback server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_files import ROOT, STANDINS, WORKFLOWS

import tools
from forges.fake_forge import TOKEN, FakeGitHub

SERVER = "https://github.com"
PROJECT = "acme/visits"


@dataclass(frozen=True)
class Walk:
    """What act said."""

    log: list[dict[str, Any]]
    code: int
    artifacts: Path

    def job(self, name: str) -> str:
        """success or failure; empty when the job was not started."""
        found = [e["jobResult"] for e in self.log if e.get("jobResult") and e["job"].split("/")[-1].strip() == name]
        return found[-1] if found else ""

    def step(self, name: str) -> str:
        found = [e["stepResult"] for e in self.log if e.get("stepResult") and _main(e) and e.get("step") == name]
        return found[-1] if found else ""

    def outputs(self, step: str) -> dict[str, str]:
        """Outputs of the step with that name, as the workflow sees them."""
        found = [e for e in self.log if e.get("command") == "set-output" and e.get("step") == step]
        return {e["name"]: e["arg"] for e in found}

    @property
    def summary(self) -> str:
        parts = [e["content"] for e in self.log if e.get("command") == "summary"]
        return "".join(dict.fromkeys(parts))  # act says it again for each action that contains the step

    @property
    def annotations(self) -> list[str]:
        return [str(e["arg"]) for e in self.log if e.get("command") in ("error", "warning", "notice")]

    @property
    def text(self) -> str:
        return "\n".join(str(e.get("msg", "")).rstrip() for e in self.log)


def _main(event: dict[str, Any]) -> bool:
    return event.get("stage") in (None, "Main")


def product(folder: Path) -> Path:
    """The copy that act can read."""
    home = folder / "mlgate"
    if home.exists():  # of an earlier walk in this folder
        return home
    for name in ("actions", "scripts", "requirements", ".github"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in WORKFLOWS:
        copy = home / path.relative_to(ROOT)
        text = re.sub(r"uses: \$/(\S+)", r"uses: mlgate/mlgate/\1@v1", copy.read_text("utf-8"))
        copy.write_text(re.sub(r"^      deployment: .*\n", "", text, flags=re.MULTILINE))
    return home


def act(
    repo: Path,
    event: str,
    payload: dict[str, Any],
    forge: FakeGitHub,
    *,
    secrets: dict[str, str] | None = None,
    more: dict[str, str] | None = None,
    only: str = "",
    timeout: float = 300,
) -> Walk:
    """`repo` is the consumer's clone with the event's commit checked out; jobs clone origin.git beside it. `more` are
    variables of the runner; `only` names one of several workflows."""
    folder = repo.parent
    (folder / "event.json").write_text(json.dumps(payload))
    # Where the forge is pushed to is the repository beside the clone, too.
    origin = (folder / "origin.git").as_uri()
    (folder / "gitconfig").write_text(f'[url "{origin}"]\n\tinsteadOf = {SERVER}/{PROJECT}\n')
    pins = {}
    for path in WORKFLOWS:
        for found in re.finditer(r"uses: (actions/([\w-]+)@[0-9a-f]{40})", path.read_text("utf-8")):
            pins[found[1]] = found[2]
    local = {"mlgate/mlgate@v1": product(folder)}
    local |= {pin: path.parent for pin, name in pins.items() for path in STANDINS if path.parent.name == name}
    env = {
        "GITHUB_API_URL": forge.url,
        "GITHUB_GRAPHQL_URL": f"{forge.host}/graphql",
        "MLGATE_CACHE": str(tools.cache().parent),
        "MLGATE_TEST_ORIGIN": origin,
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "MLGATE_TEST_ARTIFACTS": str(folder / "artifacts"),
    }
    env |= more or {}
    command = [
        *(tools.act(), event, "--eventpath", folder / "event.json", "--json"),
        *(("--workflows", repo / ".github/workflows" / only) if only else ()),
        *(
            "--platform",
            "ubuntu-latest=-self-hosted",
            "--action-offline-mode",
            "--no-cache-server",
            "--no-skip-checkout",
        ),
        *(part for pin, path in local.items() for part in ("--local-repository", f"{pin}={path}")),
        *(part for key, value in env.items() for part in ("--env", f"{key}={value}")),
        *(part for key in {"GITHUB_TOKEN": "", **(secrets or {})} for part in ("--secret", key)),
    ]
    keep = ("HOME", "PATH", "LANG", "SSL_CERT_FILE", "UV_CACHE_DIR")
    surroundings = {key: os.environ[key] for key in keep if key in os.environ}
    # Commands of the project's environment, dvc among them, as its set-up would have installed them.
    surroundings["PATH"] = f"{tools.script('dvc').parent}:{surroundings['PATH']}"
    done = subprocess.run(
        [*map(str, command)],
        cwd=repo,
        env=surroundings | {"XDG_CACHE_HOME": str(folder / "xdg"), "GITHUB_TOKEN": TOKEN, **(secrets or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    log = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert log, done.stderr
    return Walk(log, done.returncode, folder / "artifacts")
