"""A model on a forge whose monitor has seen something, and `mlgate retrain` as a job calls it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from builder import MLGATE, Repo
from forges.fake_forge import FakeForge
from forges.git_host import GitHost
from forges.place import Place
from mlgate.commands._ledger import open_ledger
from mlgate.ledger.branch import Ledger
from mlgate.ledger.kinds import Entry, Reading, Trigger
from mlgate.model import AlertSeen, Evidence, Verdict, Watched

SINCE, UNTIL = "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"
SAID = "psi.age 0.31 > 0.2"
ASKS = "monitor: {metrics: {shift: {run: ./shift.sh}}, rules: {drift: {when: shift > 0.2, retrain: true}}}"


class Watching(Place):
    """`place.retrain(...)` is the verb in a job on main. Code changed since the model was made, unless `fresh`."""

    def __init__(
        self, tmp_path: Path, fake: FakeForge, host: GitHost, *, retrain: str = "", fresh: bool = False
    ) -> None:
        super().__init__(tmp_path, fake, host)
        host.git("config", "uploadpack.allowFilter", "true")
        self.output = tmp_path / "output"
        self.configure(retrain)
        if not fresh:
            self.person_pushes("src/train.py", "# another way to train\n")

    def configure(self, retrain: str, file: str = "mlgate.yaml", model: str = "visits", text: str = ASKS) -> None:
        """Put `retrain:` into a configuration that ends with `text`, and push it."""
        more = MLGATE.replace("model: visits", f"model: {model}")
        self.person_pushes(file, f"{more}{text}\n{f'retrain: {retrain}' if retrain else ''}\n")

    def person_pushes(self, file: str, text: str) -> None:
        self.people.git("checkout", "--quiet", "main")
        self.people.write(file, text)
        self.people.commit(f"Write {file}")
        self.people.git("push", "--quiet", str(self.host.bare), "main")
        self.repo = self.clone()

    def ledger(self, *, write: bool = True) -> Ledger:
        return open_ledger(self.run(), None, write=write)

    def triggers(self) -> list[Trigger]:
        return [record.entry for record in self.ledger().records() if isinstance(record.entry, Trigger)]

    def write(self, *entries: Entry) -> None:
        assert self.ledger().append(*entries).pushed

    def seen(
        self, *, model: str = "visits", state: str = "firing", read: bool = True, repo: Repo | None = None, **more: Any
    ) -> Path:
        """Leave the evidence of a monitor whose rule `drift` fires, with its reading in the ledger."""
        alert = {
            "rule": "drift",
            "severity": "critical",
            "state": state,
            "said": SAID,
            "held": "3 of 5",
            "retrain": True,
        }
        watched = Watched(
            environment="production", since=SINCE, until=UNTIL, rows=4000, alerts=(AlertSeen(**(alert | more)),)
        )
        evidence = Evidence(kind="monitor", model=model, verdict=Verdict.FAIL, watched=watched)
        if read:
            self.write(Reading(
                monitor="rule", name="drift", state="breached", model=model, environment="production",
                window=f"{SINCE}/{UNTIL}",
            ))  # fmt: skip
        file = (repo or self.repo).path / f".mlgate/evidence/{model}/monitor.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(evidence.to_json())
        return file

    def retrain(self, *args: str, repo: Repo | None = None, verb: str = "retrain", **more: str) -> Told:
        at = repo or self.repo
        self.output.write_text("")
        env = self.environ(at, **{"GITHUB_OUTPUT": str(self.output), **more})
        return Told(at.mlgate(verb, *args, **env), at, self.output)

    def start(self, *args: str, **more: str) -> Told:
        """As a job would start that shares nothing with this clone's: for two at once."""
        repo = self.clone()
        self.seen(read=False, repo=repo)
        return self.retrain(*args, repo=repo, **more)


class Told:
    """What a run of the verb printed, put out and left behind."""

    def __init__(self, done: subprocess.CompletedProcess[str], repo: Repo, output: Path) -> None:
        self.code = done.returncode
        self.text = done.stdout + done.stderr
        self.outputs = _outputs(output.read_text())
        self._repo = repo

    def evidence(self, model: str = "visits") -> dict[str, Any]:
        return self._repo.evidence(model, "retrain")

    @property
    def reason(self) -> str:
        return str(self.evidence()["checks"][0]["reason"])

    @property
    def verdict(self) -> str:
        return str(self.evidence()["verdict"])

    @property
    def trigger(self) -> str:
        return self.outputs["trigger"]

    @property
    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.outputs["orders"])
        return found


def _outputs(text: str) -> dict[str, str]:
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        for inner in lines:
            if inner == end:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found
