"""What happens to a model after its merge: the job on main, staging, production, and the way back.

Both environments are processes of this machine. Their state is in the story's folder, and nothing of them outlives it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callers import Callers, bodies
from console import StoryError

if TYPE_CHECKING:
    from team import Team

_PAPERS = "[provenance, explainability, bias, security, licences, documentation]"
_WITHOUT_IMAGE = "[provenance, bias]"  # the others ask for the image, and that takes Docker
ENVIRONMENTS = {"staging": 8081, "production": 8082}  # with their ports in mlgate.yaml
REPOSITORY = "ada/doctor-visits"
_ROWS = """\
import json, pandas
columns = json.load(open("models/visits/serving_input_example.json"))["dataframe_split"]["columns"]
rows = pandas.read_parquet("data/test.parquet")[columns].sample(500, random_state=1)
rows.to_json("{file}", orient="split", index=False)
"""


@dataclass(frozen=True)
class Release:
    """How a merged model has to fare in production."""

    title: str
    verdict: str
    code: int
    last: str  # the state of its last entry in the ledger
    first: bool = False  # nothing is there yet, and so nobody calls
    broken: frozenset[str] = frozenset()  # the rules, as mlgate.yaml says them


class Service:
    """The team's `main` on its forge, and the two places where its models run."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.console = team.console
        self.origin = team.folder / "origin.git"
        self.state = team.folder / "state"
        self.env = {**team.env, "MLGATE_STATE": str(self.state)}
        self.ports = dict(zip(ENVIRONMENTS, free_ports(len(ENVIRONMENTS)), strict=True))

    def begin(self) -> None:
        """A place to push to, which has the ledger, too; and ports that nobody uses."""
        for name, port in ENVIRONMENTS.items():
            self.team.edit("mlgate.yaml", f"port: {port}", f"port: {self.ports[name]}")
        self.team.edit("mlgate.yaml", f"require: {_PAPERS}", f"require: {_WITHOUT_IMAGE}")
        self.team.append("mlgate.yaml", f"ledger: {{remote: {json.dumps(str(self.origin))}}}")
        self.team.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        self.team.git("remote", "add", "origin", str(self.origin))
        self.team.git("config", "user.email", self.team.env["GIT_AUTHOR_EMAIL"])  # the ledger says who did it

    def merge(self, branch: str) -> None:
        """What the forge does when somebody presses the button; then the job on main, which writes the decision."""
        self.team.git("switch", "--quiet", "main")
        before = self.team.head()
        self.team.git("merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", branch)
        self.team.git("push", "--quiet", "origin", "main")
        self.console.say("  in the job on main:")
        shutil.rmtree(self.team.repo / ".mlgate", ignore_errors=True)
        job = self.job("push", before=before)
        for verb in ("validate-data", "compare"):
            self.run(verb, env=job)
        self.console.say("  after it:")
        self.run("register")

    def release(self, wanted: Release, page: Path) -> int:
        """To staging and on to production; the exit code. Raises StoryError when it does not fare as told."""
        self.console.say(f"\n  {wanted.title}\n")
        self.run("deploy", "--environment", "staging")
        with ExitStack() as stack:
            callers = None if wanted.first else stack.enter_context(self._callers())
            code = self.show("deploy", "--environment", "production")
        if callers:
            self.console.say(f"  {callers.said()}.")
        evidence = self.team.evidence("deploy")
        self.keep(page, code)
        broken = {c["title"] for c in evidence["checks"] if c["verdict"] == "fail" and c["group"] == "rollout"}
        told = {
            "exit code": (wanted.code, code),
            "verdict": (wanted.verdict, evidence["verdict"]),
            "broken": (_words(wanted.broken), _words(broken)),
            "last entry": (wanted.last, self._last()),
        }
        if wrong := "; ".join(
            f"{what} {seen} instead of {want}" for what, (want, seen) in told.items() if seen != want
        ):
            raise StoryError(f"this release did not fare as told: {wrong}. Look at {page}")
        return code

    def put_back(self, reason: str, page: Path) -> int:
        """In a job of its own, which finds nothing of what others left. Raises StoryError where it does not work."""
        shutil.rmtree(self.team.repo / ".mlgate", ignore_errors=True)
        with self._callers() as callers:
            code = self.show("rollback", "--environment", "production", "--reason", reason)
        self.console.say(f"  {callers.said()}.")
        self.keep(page, code)
        if code:
            raise StoryError(f"the rollback ended with exit code {code}. Look at {page}")
        self.console.say()
        if self.show("audit", "log", "--environment", "production"):
            raise StoryError("the ledger cannot be read, or is damaged.")
        return code

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        end_all(self.state)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _callers(self) -> Callers:
        file = self.team.folder / "rows.json"
        if not file.exists():
            rows = ["python", "-c", _ROWS.replace("{file}", str(file))]
            self.console.run(rows, cwd=self.team.repo, env=self.env, quiet=True)
        return Callers(self.ports["production"], list(bodies(json.loads(file.read_text(encoding="utf-8")))))

    def run(self, *args: str, env: dict[str, str] | None = None) -> None:
        shown = f"$ mlgate {' '.join(args)}"
        self.console.run([*self.team.mlgate, *args], cwd=self.team.repo, env=env or self.env, shown=shown)

    def show(self, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> int:
        words = " ".join(json.dumps(word) if " " in word else word for word in args)
        return self.console.show(
            [*self.team.mlgate, *args], cwd=cwd or self.team.repo, env=env or self.env, shown=f"$ mlgate {words}"
        )

    def keep(self, page: Path, code: int) -> None:
        self.console.run(
            [*self.team.mlgate, "report"], cwd=self.team.repo, env=self.env, shown="$ mlgate report", code=code
        )
        shutil.copy(self.team.repo / ".mlgate" / "report.html", page)

    def _last(self) -> str:
        """The state of the last deployment to production, as the ledger has it."""
        asked = ["audit", "log", "--environment", "production", "--kind", "deployment", "--json"]
        done = subprocess.run(
            [*self.team.mlgate, *asked], cwd=self.team.repo, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StoryError(f"`mlgate audit log` ended with exit code {done.returncode}:\n{done.stderr}")
        found = json.loads(done.stdout)
        return str(found[-1]["entry"]["state"]) if found else "none"

    def job(self, event: str, *, api: str = "http://127.0.0.1:9", before: str = "") -> dict[str, str]:
        """The variables of a job of GitHub on main; without `api` no forge answers, and none is asked."""
        folder = self.team.folder / "job"
        folder.mkdir(exist_ok=True)
        after = self.team.head()
        told: dict[str, Any] = {
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
            "ref": "refs/heads/main",
        }
        told |= {"before": before, "after": after} if event == "push" else {}
        (folder / "event.json").write_text(json.dumps(told), encoding="utf-8")
        for name in ("output", "summary"):
            (folder / name).write_text("", encoding="utf-8")
        return {
            **self.env,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "ada",
            "GITHUB_API_URL": api,
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "1",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": after,
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_WORKSPACE": str(self.team.repo),
        }


def free_ports(count: int) -> list[int]:
    """Different ones, of which nobody listens on any now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def end_all(state: Path) -> None:
    """Ends every process of local targets under this folder, and deletes it. Who holds a lock named `alive` is one."""
    for lock in [*state.rglob("slots/*/*/alive"), *state.rglob("router/alive")]:
        deadline = time.monotonic() + 10
        while _alive(lock) and time.monotonic() < deadline:
            with suppress(OSError, ValueError):
                os.killpg(int((lock.parent / "pid").read_text(encoding="ascii")), signal.SIGKILL)
            time.sleep(0.02)
    shutil.rmtree(state, ignore_errors=True)


def _alive(lock: Path) -> bool:
    try:
        held = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(held)
    return False


def _words(found: Iterable[str]) -> str:
    return ", ".join(sorted(found)) or "nothing"
