"""The last two acts: a month in which other people come, and the pull request that follows from it.

What jobs of the forge do is done here by the same commands, with the variables of such jobs. The forge itself is a few
lines of this story (forge.py): it takes the pull request and the issue, and shows what was put into them.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console import StoryError
from forge import Forge
from month import LOOKS, MOVES, OUTAGE, Month
from service import REPOSITORY, Service

MODEL = "doctor-visits"
BRANCH = f"mlgate/{MODEL}/retrain"
RULE = "drift"


@dataclass(frozen=True)
class Told:
    """How the gate judges the successor."""

    verdict: str
    code: int


GATE = Told("pass", 0)


def month_of_production(service: Service, number: int) -> tuple[Month, Path]:
    """The act of the month. Raises StoryError."""
    team, console = service.team, service.console
    console.heading(
        f"{number}. A month in production, ending yesterday. From day {MOVES} on older and sicker people come; on day "
        f"{OUTAGE} nothing is logged."
    )
    team.git("switch", "--quiet", "main")
    team.git("revert", "--mainline", "1", "--no-edit", "HEAD")  # what was too slow for production has no place on main
    team.git("push", "--quiet", "origin", "main")
    team.dvc("checkout", "--quiet")
    shutil.rmtree(team.repo / ".mlgate", ignore_errors=True)
    month = Month(service)
    month.live()
    for look in LOOKS:
        month.look(look, service.env)
    page = team.folder / "reports" / f"{number}-month.html"
    service.keep(page, LOOKS[-1].code)
    return month, page


class Successor:
    """From the alert to the pull request."""

    def __init__(self, service: Service, month: Month, forge: Forge) -> None:
        self.service, self.team, self.console = service, service.team, service.console
        self.month, self.forge = month, forge
        self.clone = self.team.folder / "retrain"
        self.proposal = self.team.folder / "proposal"

    def play(self, number: int) -> tuple[Path, Path, int]:
        """The report of the gate, the file with the request's text, and the gate's exit code. Raises StoryError."""
        self.console.heading(f"{number}. A successor: trained on what the month has brought, and proposed.")
        self._alert()
        trigger = self._start()
        request = self._train(trigger)
        body = self.team.folder / "reports" / f"{number}-pull-request.md"
        body.write_text(f"# {request['title']}\n\n{request['body']}\n", encoding="utf-8")
        self._hold(request, trigger)
        page = self.team.folder / "reports" / f"{number}-successor.html"
        code = self._judge(page)
        if self.service.show("audit", "log", "--kind", "trigger"):
            raise StoryError("the ledger cannot be read, or is damaged.")
        self.console.heading(f"The pull request, into {request['base']['ref']} from {request['head']['ref']}:")
        self.console.say(f"\n# {request['title']}\n")
        self.console.say(shown(request["body"]))
        return page, body, code

    # -- the job of the schedule -------------------------------------------------------------------------------------

    def _alert(self) -> None:
        self.console.say(f"  {self.month.collected():,} different visits with their truth are known now.")
        self.service.run("notify", env=self._job("schedule"))
        told = [issue for issue in self.forge.issues if issue["state"] == "open"]
        if not any(RULE in issue["title"] for issue in told):
            raise StoryError(f"no issue says that the rule {RULE} fires. Look at {self.console.log}")
        for issue in told:
            self.console.say(f"  issue {issue['number']}: {issue['title']}")

    def _start(self) -> str:
        """The id of the retraining, as the run gets it that was started."""
        job = self._job("schedule")
        if self.service.show("retrain", env=job):
            raise StoryError("the retraining was not started.")
        started = [one for one in self.forge.started if one["workflow"] == "model-retrain.yml"]
        if len(started) != 1:
            raise StoryError(f"model-retrain.yml was started {len(started)} times, and it should be once.")
        found: str = started[0]["inputs"]["trigger"]
        self.console.say(f"  The forge starts model-retrain.yml with trigger {found}.")
        return found

    # -- the workflow that it starts ---------------------------------------------------------------------------------

    def _train(self, trigger: str) -> dict[str, Any]:
        """In a clone of its own, as a job has it; the pull request as the forge got it."""
        self.team.git("clone", "--quiet", str(self.service.origin), str(self.clone))
        job = self._job("workflow_dispatch")
        common = ("--proposal", str(self.proposal), "--trigger", trigger)
        if self._do("train", "--verify", "reproduce", "--push", "true", *common, env=job):
            raise StoryError("the successor could not be trained.")
        if self._do("train", "--commit", "pull-request", "--gate-workflow", "model-gate.yml", *common, env=job):
            raise StoryError("the successor could not be proposed.")
        if len(self.forge.pulls) != 1:
            raise StoryError(f"{len(self.forge.pulls)} pull requests were opened, and it should be one.")
        return self.forge.pulls[0]

    def _judge(self, page: Path) -> int:
        """The gate of that pull request."""
        self.console.say()
        for words in (("fetch", "--quiet", "origin"), ("switch", "--quiet", "--force", BRANCH)):
            self.console.run(["git", *words], cwd=self.clone, env=self.team.env)
        shutil.rmtree(self.clone / ".mlgate", ignore_errors=True)
        code = self._do("compare", env=self.service.env)
        found = self.team.evidence("compare", repo=self.clone)
        if (found["verdict"], code) != (GATE.verdict, GATE.code):
            raise StoryError(f"the gate says {found['verdict']} (exit code {code}) instead of {GATE.verdict}.")
        report = [*self.team.mlgate, "report"]
        self.console.run(report, cwd=self.clone, env=self.service.env, shown="$ mlgate report", code=GATE.code)
        shutil.copy(self.clone / ".mlgate" / "report.html", page)
        return code

    def _hold(self, request: dict[str, Any], trigger: str) -> None:
        """What the text of the request has to say. Raises StoryError."""
        body = request["body"]
        wanted = {
            "the rule": f"the rule `{RULE}`",
            "the window": f"{self.month.until:%Y-%m-%d} 00:00 UTC",
            "the report's digest": "sha256 `",
            "the ledger's entry": trigger,
            "what was measured": "psi.age",
            "metrics before and after": "| `metrics/eval.json` | `auc` |",
            "the pointer to the new data": "data/collected.parquet.dvc",
            "the profile": "metrics/profile.json",
        }
        lacking = [what for what, words in wanted.items() if words not in body]
        if lacking or request["head"]["ref"] != BRANCH:
            raise StoryError(f"the pull request lacks {', '.join(lacking)}:\n{body}")

    # -- inside ------------------------------------------------------------------------------------------------------

    def _do(self, *args: str, env: dict[str, str]) -> int:
        return self.service.show(*args, env=env, cwd=self.clone)

    def _job(self, event: str) -> dict[str, str]:
        """With a token, and what git needs to find the forge on this machine."""
        here = self.clone if self.clone.exists() else self.team.repo
        return {
            **self.service.job(event, api=self.forge.api),
            "GITHUB_TOKEN": "of-this-story",
            "GITHUB_WORKSPACE": str(here),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{self.service.origin.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": f"https://github.com/{REPOSITORY}",
        }


def shown(body: str) -> str:
    """Without the marks that are hidden on the forge."""
    return os.linesep.join(line for line in body.splitlines() if not line.startswith("<!--")).strip()
