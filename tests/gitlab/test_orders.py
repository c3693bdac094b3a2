"""Several successors in one pipeline: the scripts of its jobs in a runner's shell, and a `mlgate` that takes notes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builder import Repo

from .templates import SUCCESSOR, load, variables

pytestmark = pytest.mark.gitlab
ONE, TWO = "1" * 32, "2" * 32
# Leaves a proposal and evidence as `train` does, fails for what is named "broken", and changes a file of the project.
NOTES = """\
#!/bin/sh
echo "$MLGATE_TRIGGER|$MLGATE_CONFIG|$(cat dvc.lock)|${GITLAB_TOKEN:-}|$*" >>"$NOTES"
case "$1" in
  train)
    if [ "${2:-}" = --commit ]; then [ "$5" != refused.yaml ]; exit; fi
    rm -rf .mlgate/evidence
    mkdir -p ".mlgate/evidence/$MLGATE_CONFIG"
    echo "$MLGATE_CONFIG" >".mlgate/evidence/$MLGATE_CONFIG/train.json"
    echo changed >dvc.lock
    if [ "$MLGATE_CONFIG" = broken.yaml ]; then exit 2; fi
    mkdir -p "$MLGATE_PROPOSAL"
    echo '{}' >"$MLGATE_PROPOSAL/proposal.json"
    ;;
  retrain) [ "$3" != failed ] ;;
esac
"""


class Runner:
    """A clone as a runner has it, in which the jobs come one after the other."""

    def __init__(self, folder: Path, **orders: str) -> None:
        self.repo = Repo(folder / "project")
        self.repo.write("dvc.lock", "committed\n")
        self.repo.write(".gitignore", ".mlgate/\n")
        self.repo.commit("Train")
        for trigger, config in orders.items():
            self.repo.write(f".mlgate/orders/{trigger.removeprefix('id')}", f"{config}\n")
        self.notes = folder / "notes"
        self.notes.write_text("")
        bin_ = folder / "bin"
        bin_.mkdir()
        (bin_ / "mlgate").write_text(NOTES)
        (bin_ / "mlgate").chmod(0o755)
        self.path = f"{bin_}:{os.environ['PATH']}"

    def run(self, name: str, *, shell: str = "sh", **inputs: Any) -> tuple[int, list[list[str]]]:
        """The exit code, and what each call of mlgate saw: trigger, configuration, dvc.lock, token, options."""
        job = load(SUCCESSOR).jobs(**inputs)[f"mlgate-{name}"]
        script = [block for block in job["script"] if "MLGATE_HOME=" not in block]
        env = {"PATH": self.path, "NOTES": str(self.notes), "GITLAB_TOKEN": "secret", **variables(job)}
        self.notes.write_text("")
        done = subprocess.run(
            [shell, "-e", "-c", "\n".join(script)],
            cwd=self.repo.path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, [line.split("|") for line in self.notes.read_text().splitlines()]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_each_is_trained_from_the_commit_whatever_came_of_the_others(tmp_path: Path, shell: str) -> None:
    runner = Runner(tmp_path, **{f"id{ONE}": "broken.yaml", f"id{TWO}": "good.yaml"})
    code, calls = runner.run("successor", shell=shell, setup="true")
    assert code == 2
    assert calls == [
        [ONE, "broken.yaml", "committed", "", "train"],
        [TWO, "good.yaml", "committed", "", "train"],
    ]
    state = runner.repo.path / ".mlgate"
    assert sorted(file.parent.name for file in state.glob("evidence/*/train.json")) == ["broken.yaml", "good.yaml"]
    assert [folder.name for folder in (state / "proposals").iterdir()] == [TWO]

    code, calls = runner.run("propose", shell=shell)
    assert code == 1
    assert [call[-1] for call in calls] == [
        f"retrain --finish failed --config broken.yaml --trigger {ONE} --reason It could not be trained.",
        "notify --config broken.yaml --run-result failure",
        f"train --commit pull-request --config good.yaml --proposal .mlgate/proposals/{TWO} --trigger {TWO}",
        f"retrain --finish proposed --config good.yaml --trigger {TWO} --reason ",
        "notify --config good.yaml --run-result success",
    ]
    assert {call[3] for call in calls} == {"secret"}
    assert not list(state.glob("evidence/*")), "of the job that runs project code nothing is told to people"


def test_what_cannot_be_proposed_has_failed(tmp_path: Path) -> None:
    runner = Runner(tmp_path, **{f"id{ONE}": "refused.yaml"})
    assert runner.run("successor")[0] == 0
    code, calls = runner.run("propose", notify=False)
    assert code == 1
    reason = "It was trained, and could not be proposed."
    assert calls[-1][-1] == f"retrain --finish failed --config refused.yaml --trigger {ONE} --reason {reason}"


def test_without_an_order_nothing_is_done(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    assert runner.run("successor", setup="exit 5") == (0, [])
    assert runner.run("propose") == (0, [])


def test_orders_that_a_commit_carries_are_not_believed(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    runner.repo.write(f".mlgate/orders/{ONE}", "good.yaml\n")
    runner.repo.git("add", "--force", ".mlgate")
    runner.repo.commit("Bring an order")
    assert runner.run("ask") == (2, [])
    assert runner.run("propose") == (2, [])
