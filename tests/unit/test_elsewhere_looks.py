"""Looks at a test set, counted by a real ledger; and what a comparison does without one: nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from remembering import Versions, bare, decided, ledger

from builder import MLGATE, ROOT, environment, md5
from measured import MLGATE as BY_ROWS
from measured import TEST, Measured, Persons
from mlgate.ledger.kinds import Comparison

_MODULES = """
import sys
from mlgate.cli import cli
cli.main(["compare"], standalone_mode=False)
print("loaded:", *[name for name in sys.modules if name in {"numpy", "mlflow", "duckdb", "mlgate.ledger.kinds"}])
"""


def test_distinct_models_are_counted_and_verdicts_that_would_not_hold_are_named(tmp_path: Path) -> None:
    origin = bare(tmp_path / "origin.git")
    repo, persons = Measured(tmp_path / "repo"), Persons(1500)
    for seed, config in ((1, BY_ROWS), (2, None)):
        repo.put(persons, persons.scores(0.5, seed=seed), config=config)
        repo.commit()
        if seed == 1:
            repo.git("checkout", "--quiet", "-b", "change")
    repo.git("remote", "add", "origin", f"file://{origin}")
    repo.git("push", "--quiet", "origin", "main")
    before = repo.mlgate("compare")
    assert not [c for c in repo.evidence()["checks"] if c["id"].startswith("judge.looks")], "there is no ledger yet"
    data = f"dvc-md5:{md5((repo.path / TEST).read_bytes())}"
    told = {"model": "visits", "verdict": "fail", "evaluation": {"holdout": data}}
    others = [Comparison(**told, subject={"dvc-md5": f"{n:032x}"}) for n in range(200)]
    writer = ledger(Versions(tmp_path / "repo"), origin)
    writer.append(
        *others,
        *others[:0],
        Comparison(**told | {"evaluation": {"holdout": "dvc-md5:" + "0" * 32}}, subject={"dvc-md5": "f" * 32}),
    )
    own = repo.evidence()["subject"]["digest"]
    writer.append(Comparison(**told, subject=own), Comparison(**told, subject={"dvc-md5": f"{7:032x}"}))
    repo.git("fetch", "--quiet", "origin")
    after = repo.mlgate("compare")
    assert after.returncode == before.returncode, "it changes no verdict"
    check = next(c for c in repo.evidence()["checks"] if c["id"] == "judge.looks.holdout")
    assert (check["group"], check["verdict"]) == ("judge", "pass")
    assert check["reason"].startswith("By the ledger 201 models were judged on holdout, this one included. At the ")
    assert "(0.9998 instead of 0.95)" in check["reason"]


def test_without_a_ledger_nothing_of_it_is_imported_and_no_remote_is_asked(tmp_path: Path) -> None:
    repo = Versions.made(tmp_path / "repo", MLGATE)
    repo.git("remote", "add", "origin", f"file://{tmp_path}/nowhere.git")
    done = subprocess.run(
        [sys.executable, "-c", _MODULES],
        cwd=repo.path, env=environment(PYTHONPATH=str(ROOT / "scripts")), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert repo.evidence()["verdict"] == "pass"
    assert repo.evidence()["not_run"] == []
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("events", [1, 2])
def test_the_ledger_is_fetched_once_for_several_models(tmp_path: Path, events: int) -> None:
    origin = bare(tmp_path / "origin.git")
    repo = Versions.made(tmp_path / "repo", MLGATE)
    for number in range(events):
        repo.model(
            {"auc": 0.74, "log_loss": 0.56}, folder=f"m{number}", config=MLGATE.replace("visits\n", f"m{number}\n")
        )
    repo.commit("More models")
    repo.push(origin)
    ledger(repo, origin).append(decided(repo.new, "new"))
    repo.git("fetch", "--quiet", "origin")
    trace = tmp_path / "trace"
    repo.mlgate("compare", "--config", "mlgate.yaml\nm*/mlgate.yaml", GIT_TRACE=str(trace))
    fetches = [line for line in trace.read_text().splitlines() if "git fetch" in line and "built-in" in line]
    assert len(fetches) == 1
