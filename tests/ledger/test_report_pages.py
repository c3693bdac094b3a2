"""`mlgate report --overview` and `--dashboards`, as a process of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from ledger_samples import BRANCH, Forge, edit, segments

from builder import MLGATE, Repo
from mlgate.ledger.kinds import Deployment
from render.shapes import Page
from render.test_watched_overview import NOW, alert, month

MONITOR = MLGATE + "monitor: {logs: logs/*.jsonl, drift: {psi: 0.2, share: 30%}, slo: [latency_p95 <= 100 ms]}\n"
# Days between the samples' own day and today: readings that are months old are not fetched.
LATER = (NOW.date() - datetime.now(UTC).date()).days


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def repo(forge: Forge) -> Repo:
    """A clone with a month of two models in the ledger, one of which it knows."""
    repo = forge.clone()
    ledger = forge.ledger(repo)
    what = {"model": "visits", "environment": "production", "subject": {"sha256": "9f" * 32}, "commit": "a" * 40}
    ledger.append(Deployment(**what, state="complete", version="v1.4.0"))
    ledger.append(*month("visits", [0.02, 0.03, 0.34, 0.38], first=LATER), *month("churn", [0.02] * 4, first=LATER))
    ledger.append(alert("visits", "drift", "raised", LATER))
    return repo


def test_one_page_over_every_model_of_the_ledger(repo: Repo) -> None:
    repo.write("mlgate.yaml", MONITOR)
    repo.write("ranking.yaml", MONITOR.replace("visits", "ranking"))
    done = repo.mlgate("report", "--overview", "site/models.html", "--config", "mlgate.yaml\nranking.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"3 models: {repo.path}/site/models.html\n"
    page = Page()
    page.feed((repo.path / "site/models.html").read_text("utf-8"))
    for said in ("visits", "v1.4.0", "firing", "churn", "quiet", "ranking", "never read", "drift_share 38\u202f%"):
        assert said in page.words
    assert page.words.index("visits") < page.words.index("ranking") < page.words.index("churn")
    assert not (repo.path / ".mlgate" / "report.html").exists()  # it shows no evidence, and judges nothing


def test_a_damaged_ledger_is_no_page(forge: Forge, repo: Repo) -> None:
    repo.write("mlgate.yaml", MONITOR)
    files = forge.files(BRANCH)
    path = segments(files, "readings")[0]
    forge.rewrite(edit(files, path, lambda lines: lines.pop(1)))
    done = repo.mlgate("report", "--overview", "models.html")
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert not (repo.path / "models.html").exists()


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    repo = Forge(tmp_path, "empty").clone("e")
    repo.write("mlgate.yaml", MLGATE)
    for option in ("--overview", "--dashboards"):
        done = repo.mlgate("report", option, "made")
        assert (done.returncode, "no model is watched" in done.stderr) == (2, True), done
        assert not (repo.path / "made").exists()


def test_a_board_and_rules_are_written_of_what_mlgate_yaml_says(repo: Repo) -> None:
    repo.write("mlgate.yaml", MONITOR)
    done = repo.mlgate("report", "--dashboards", "dashboards")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "written: dashboards/grafana-mlgate.json",
        "written: dashboards/prometheus-mlgate.yaml",
    ]
    (group,) = yaml.safe_load((repo.path / "dashboards/prometheus-mlgate.yaml").read_text("utf-8"))["groups"]
    assert {"MlgateDrift", "MlgateSlo", "MlgateServiceLatencyP95"} <= {rule["alert"] for rule in group["rules"]}
    before = {file.name: file.read_bytes() for file in (repo.path / "dashboards").iterdir()}
    repo.mlgate("report", "--dashboards", "dashboards")
    assert {file.name: file.read_bytes() for file in (repo.path / "dashboards").iterdir()} == before


def test_a_broken_configuration_writes_nothing(repo: Repo) -> None:
    repo.write("mlgate.yaml", MONITOR.replace("share: 30%", "sahre: 30%"))
    for option in ("--dashboards", "--overview"):
        done = repo.mlgate("report", option, "made")
        assert (done.returncode, "sahre" in done.stderr) == (2, True)
        assert not (repo.path / "made").exists()
