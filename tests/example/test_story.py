"""`make example` ends as told on this machine, and the tutorial's commands do what its page shows."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from example.consumer import MEASURED, METRICS, PROJECT, git
from example.readme import ROOT, STORY, neutral, play, project_environment

RUN = ROOT / "scripts" / "example" / "run.sh"
FIRST = json.loads((PROJECT / "metrics" / "eval.json").read_text(encoding="utf-8"))


VALUES = {"first-model": FIRST, "boosting": MEASURED["better"]["metrics"], "too-fast": MEASURED["worse"]["metrics"]}


@pytest.mark.dvc
def test_the_story_ends_as_told_with_the_committed_values(tmp_path: Path) -> None:
    """One test, because one run of the story is enough."""
    folder = tmp_path / "story"
    done = subprocess.run([RUN, "--folder", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {"\033", "\r"} & set(done.stdout), "no clock and no colours where nobody watches"
    acts = ["first-model", "boosting", "months", "too-fast", "by-hand", "loosened"]
    pages = [f"{number}-{act}.html" for number, act in enumerate(acts, start=1)]
    assert sorted(page.name for page in (folder / "reports").iterdir()) == pages

    repo, env = folder / "project", project_environment(tmp_path)
    for branch, committed in VALUES.items():
        measured = json.loads(git(repo, "show", f"{branch}:{METRICS}"))
        # Another processor may round the last digits differently; no rule of the story depends on them.
        assert measured == pytest.approx(committed, abs=1e-4), branch

    git(repo, "switch", "--quiet", "main")
    subprocess.run(["dvc", "pull", "--quiet"], cwd=repo, env=env, check=True)
    check = Path(__file__).parent / "check_data.py"
    checked = subprocess.run(["python", check], cwd=repo, env=env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.dvc
@pytest.mark.long
def test_the_tutorial_does_what_its_page_shows(tmp_path: Path) -> None:
    """`python -m example.readme` brings the page up to date."""
    for output in play(tmp_path):
        assert neutral(output.printed) == neutral(output.said), output.command
        assert output.code == output.told_code


def test_an_act_that_ends_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(STORY)
    from story import ACTS, BROKEN, differences  # type: ignore[import-not-found]  # noqa: PLC0415

    def evidence(verdict: str, failed: set[str], changed: set[str]) -> dict[str, object]:
        checks = [{"id": check, "verdict": "fail"} for check in failed] + [
            {"id": "rules.auc.threshold", "verdict": "pass"}
        ]
        return {"verdict": verdict, "checks": checks, "changes": [{"kind": "rule", "what": what} for what in changed]}

    loosened, rule = ACTS[-1], {"compare.rules.log_loss.max_relative_regression"}
    assert differences(loosened, 1, evidence("fail", set(BROKEN), rule)) == ""
    assert "exit code 0 instead of 1" in differences(loosened, 0, evidence("fail", set(BROKEN), rule))
    assert "verdict pass instead of fail" in differences(loosened, 1, evidence("pass", set(BROKEN), rule))
    assert "rules changed nothing instead of" in differences(loosened, 1, evidence("fail", set(BROKEN), set()))
    assert "stopped by nothing instead of" in differences(loosened, 1, evidence("fail", set(), rule))


def test_the_story_refuses_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.txt"
    kept.write_text("all of it", encoding="utf-8")
    done = subprocess.run([RUN, "--folder", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert kept.read_text(encoding="utf-8") == "all of it"
