"""What README.md shows is what the tool prints and does."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from builder import ROOT, Repo
from mlgate.model import Verdict

README = (ROOT / "README.md").read_text(encoding="utf-8")
RENAMED = {"models/visits.joblib": "models/visits", "data/test.csv": "data/test.parquet"}  # as the page's sample has it
THREE_DAYS = 3 * 86_400 + 60


def sample(kind: str, containing: str) -> str:
    (found,) = [b for b in re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL) if containing in b]
    return str(found)


def write(repo: Repo, metrics: dict[str, Any], *, seed: str) -> None:
    repo.model(metrics, seed=seed, config=sample("yaml", "model: doctor-visits"))
    for file in ("dvc.yaml", "dvc.lock"):
        text = (repo.path / file).read_text()
        for old, new in RENAMED.items():
            text = text.replace(old, new)
        repo.write(file, text)


def neutral(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{7}\b", "COMMIT", text)


def test_the_terminal_shows_what_the_page_shows(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    write(repo, {"auc": 0.72, "log_loss": 0.581}, seed="1")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "Champion", GIT_COMMITTER_DATE=f"@{time.time() - THREE_DAYS:.0f} +0000")
    repo.git("checkout", "--quiet", "-b", "change")
    write(repo, {"auc": 0.722, "log_loss": 0.599}, seed="2")
    repo.commit("Change")
    done = repo.mlgate("compare")
    assert done.returncode == 1
    shown = sample("console", "0.5810 -> 0.5990").removeprefix("$ mlgate compare\n")
    assert neutral(done.stdout) == neutral(shown)


def test_the_table_of_verdicts() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d) \|$", README, re.MULTILINE)
    assert rows == [(verdict.value, str(verdict.exit_code)) for verdict in Verdict]
