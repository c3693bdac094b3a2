"""The story of example-project: changes to one model, each judged as its pull request would be, and what was merged
goes to production.

Real data, real training, real DVC with a folder as its remote, real processes that answer real requests; no Docker and
no server elsewhere. Every act says how it has to end, and the exit code is 1 when one does not: the story is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
from console import Console, StoryError
from forge import Forge
from service import REPOSITORY, Release, Service
from successor import Successor, month_of_production
from team import METRICS, PROJECT, Team

MARK = ".mlgate-example"  # tells a folder of the story, which may be replaced, from any other
AUTHOR = {"NAME": "Ada", "EMAIL": "ada@example.com"}


@dataclass(frozen=True)
class Act:
    """One pull request: what its author did, and how it has to end."""

    branch: str
    title: str
    change: Callable[[Team], None]
    message: str
    verdict: str
    code: int
    stopped_by: frozenset[str] = frozenset()  # all checks that are worse than `warn`, by id
    rules_changed: frozenset[str] = frozenset()
    start: str = "main"
    verbs: tuple[str, ...] = ("compare",)  # of the pull request's jobs; the last one decides, the others pass
    release: Release | None = None  # it is merged, and how it fares then


def first_model(team: Team) -> None:
    team.train()


def boosting(team: Team) -> None:
    team.edit("params.yaml", "model: logistic", "model: boosting")
    team.train()


def too_fast(team: Team) -> None:
    team.edit("params.yaml", "learning_rate: 0.05", "learning_rate: 0.5")
    team.train()


def by_hand(team: Team) -> None:
    auc = json.loads((team.repo / METRICS).read_text(encoding="utf-8"))["auc"]
    team.edit(METRICS, f'"auc": {auc}', '"auc": 0.91')


def months(team: Team) -> None:
    team.edit("src/ingest.py", '"age": raw["xage"],', '"age": raw["xage"] * 12,  # in months')
    team.dvc("repro", "split")
    team.dvc("push")


def too_slow(team: Team) -> None:
    team.edit("params.yaml", "learning_rate: 0.05", "learning_rate: 0.0035")
    team.edit("params.yaml", "max_iter: 200", "max_iter: 3000")
    team.train()


def loosen(team: Team) -> None:
    team.edit("mlgate.yaml", "max_relative_regression: 2%", "max_relative_regression: 30%")


# The more it learns by heart, the less its probabilities are worth, and its ranks and decisions follow.
BROKEN = frozenset(
    {"rules.auc.absolute_regression", "rules.log_loss.relative_regression", "rules.accuracy.absolute_regression"}
)
HALVES = ("train", "test")
BROKEN_DATA = frozenset(f"data.data/{half}.parquet.age.{what}" for half in HALVES for what in ("max", "mean"))
ACTS = (
    Act(
        "first-model", "The first model. There is no champion yet, and the gate says so.",
        first_model, "Train the first model", "warn", 0, verbs=("validate-data", "compare"),
        release=Release(
            "Merged. Nothing is there yet that it could be compared with: it gets all requests.",
            "warn", 0, "complete", first=True,
        ),
    ),
    Act(
        "boosting", "A better challenger: gradient boosting instead of logistic regression.",
        boosting, "Try gradient boosting", "pass", 0, verbs=("train", "compare"),
        release=Release(
            "Merged. In production it gets a quarter of the requests, then half, then all.", "warn", 0, "complete"
        ),
    ),
    Act(
        "months", "Corrupted data: a colleague stores ages in months. Stopped before anything is trained on them.",
        months, "Store the age in months", "fail", 1, BROKEN_DATA, verbs=("validate-data",),
    ),
    Act(
        "too-fast", "A worse challenger: somebody lets it learn ten times as fast.",
        too_fast, "Learn faster", "fail", 1, BROKEN,
    ),
    Act(
        "by-hand", "A metrics file written by hand: dvc.lock and the predictions know better.",
        by_hand, "Improve the model", "error", 2,
        frozenset({f"integrity.lock.{METRICS}", "rules.auc.recomputed.challenger"}),
    ),
    Act(
        "loosened", "The worse challenger again, with a rule loosened: the rules of main decide.",
        loosen, "Allow a little more", "fail", 1, BROKEN,
        frozenset({"compare.rules.log_loss.max_relative_regression"}), start="too-fast",
    ),
    Act(
        "too-slow", "A model that the gate cannot fault: fifteen times as many trees, and a little better.",
        too_slow, "Grow more trees, more carefully", "pass", 0,
        release=Release(
            "Merged. Beside the model that is there, it takes several times as long to answer.", "fail", 1, "aborted",
            broken=frozenset({"latency_p50 <= 2x stable"}),
        ),
    ),
)  # fmt: skip


def play(team: Team, service: Service, act: Act, number: int) -> list[str]:
    """One act; lines for the summary. Raises StoryError when it does not end as told."""
    team.console.heading(f"{number}. {act.title}")
    team.git("switch", "--quiet", "--create", act.branch, act.start)
    act.change(team)
    team.commit(act.message)
    code, evidence = judge(team, act)
    page = keep_report(team, act, number)
    if wrong := differences(act, code, evidence):
        raise StoryError(f"this act did not end as told: {wrong}. Look at {page}")
    lines = [line(act.branch, act.verdict, code, page)]
    if act.release:
        service.merge(act.branch)
        page = page.with_stem(f"{page.stem}-in-production")
        code = service.release(act.release, page)
        lines.append(line("  production", act.release.last, code, page))
    return lines


def put_back(service: Service, number: int) -> list[str]:
    """Nobody has to build or train anything for it."""
    service.console.heading(f"{number}. Second thoughts: the first model is put back, and the ledger says why.")
    page = service.team.folder / "reports" / f"{number}-put-back.html"
    code = service.put_back("until the budget office knows what gradient boosting goes by", page)
    return [line("put-back", "", code, page)]


def watch(service: Service, number: int) -> list[str]:
    """The last two acts: what production logs moves, and a successor is proposed."""
    month, page = month_of_production(service, number)
    lines = [line("month", "fail", 1, page)]
    with Forge(REPOSITORY) as forge:
        page, body, code = Successor(service, month, forge).play(number + 1)
    return [*lines, line("successor", "pass", code, page), f"{'':<29} {body}"]


def line(what: str, how: str, code: int, page: Path) -> str:
    return f"{what:<12} {how:<8} exit {code}   {page}"


def judge(team: Team, act: Act) -> tuple[int, dict[str, Any]]:
    """What the pull request's jobs run: each verb shows its table and leaves its evidence. What the last one found."""
    shutil.rmtree(team.repo / ".mlgate", ignore_errors=True)
    code, found = 0, {}
    for verb in act.verbs:
        if code:
            raise StoryError(f"`mlgate {act.verbs[0]}` ended with exit code {code}, and it should pass.")
        code = team.console.show([*team.mlgate, verb], cwd=team.repo, env=team.env, shown=f"$ mlgate {verb}")
        found = team.evidence(verb)
    return code, found


def keep_report(team: Team, act: Act, number: int) -> Path:
    """`report` turns the evidence into the page, and ends as the gate did."""
    team.console.run([*team.mlgate, "report"], cwd=team.repo, env=team.env, shown="$ mlgate report", code=act.code)
    page = team.folder / "reports" / f"{number}-{act.branch}.html"
    page.parent.mkdir(exist_ok=True)
    shutil.copy(team.repo / ".mlgate" / "report.html", page)
    return page


def differences(act: Act, code: int, evidence: dict[str, Any]) -> str:
    """How the end of an act differs from what was told; empty when it does not."""
    stopped_by = {
        c["id"].split("@")[0] for c in evidence["checks"] if c["verdict"] in {"fail", "error", "inconclusive"}
    }
    rules_changed = {c["what"] for c in evidence["changes"] if c["kind"] == "rule"}
    told: dict[str, tuple[object, object]] = {
        "exit code": (act.code, code),
        "verdict": (act.verdict, evidence["verdict"]),
        "stopped by": (_words(act.stopped_by), _words(stopped_by)),
        "rules changed": (_words(act.rules_changed), _words(rules_changed)),
    }
    return "; ".join(f"{what} {seen} instead of {want}" for what, (want, seen) in told.items() if seen != want)


def _words(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)) or "nothing"


def prepare(console: Console, folder: Path) -> dict[str, str]:
    """The environment of the project, and variables that let its tools work the same everywhere."""
    console.heading("Setting up")
    home = environment.cache(os.environ)
    home.mkdir(parents=True, exist_ok=True)
    env = environment.clean(os.environ)
    bin_folder = environment.make(console, home, env, PROJECT / "requirements.txt")
    settings = folder / "settings"
    settings.mkdir()
    (settings / "config").write_text("[core]\n    analytics = false\n    check_update = false\n", encoding="utf-8")
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()}
    return {
        **env,
        **who,
        "PATH": f"{bin_folder}{os.pathsep}{env.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(bin_folder.parent),
        "MLGATE_CACHE": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(settings),
        "DVC_SITE_CACHE_DIR": str(settings / "site-cache"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def scratch(named: str) -> Path:
    """A new folder, or the one that was named: empty, absent, or left by an earlier run. Raises StoryError."""
    if not named:
        folder = Path(tempfile.mkdtemp(prefix="mlgate-example-"))
    else:
        folder = Path(named).expanduser().absolute()
        if (folder / MARK).exists():
            shutil.rmtree(folder)
        elif folder.exists() and any(folder.iterdir()):
            raise StoryError(f"{folder} is not empty, and no earlier run of the example left it: name another folder.")
        folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.sh", description="Play the story of example-project on this machine.")
    parser.add_argument("--folder", default="", help="where to play; what an earlier run left there is replaced")
    parser.add_argument("--remove", action="store_true", help="remove the folder when the story ended as told")
    parser.add_argument("--mlgate", default="", help="the command to run instead of this checkout's scripts/run.sh")
    options = parser.parse_args()
    mlgate = shlex.split(options.mlgate) or [str(environment.ROOT / "scripts" / "run.sh")]
    try:
        folder = scratch(options.folder)
        console = Console(folder / "commands.log")
        console.say(f"Everything happens in {folder}")
        team = Team(folder, console, prepare(console, folder), mlgate)
        console.run([*mlgate, "--version"], cwd=folder, env=team.env, shown="mlgate itself")
        console.say("  the team's repository")
        service = Service(team)
        team.begin()
        service.begin()
        team.commit("Describe the pipeline and the rules")
        with service:
            lines = [line for number, act in enumerate(ACTS, start=1) for line in play(team, service, act, number)]
            lines += put_back(service, len(ACTS) + 1)
            lines += watch(service, len(ACTS) + 2)
    except StoryError as failed:
        sys.stderr.write(f"\nerror: {failed}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        return 130
    console.heading(f"{len(ACTS) + 3} acts, each ended as told, in {console.elapsed():.0f} s")
    for line in lines:
        console.say(f"  {line}")
    if options.remove:
        shutil.rmtree(folder)
        console.say(f"\n  {folder} is removed again.")
    else:
        console.say(f"\n  The repository to try more in: {team.repo} (what ran is stopped)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
