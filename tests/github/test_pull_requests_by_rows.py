"""Pull requests whose rows decide, through the whole gate: a real runner, DVC, a remote, and reviews on the forge.

The run job prepares with the project's own tools; the judge sees a fresh checkout and what was handed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import walk
from test_walks import Forge, consumer, publish, pull_request

import scenarios
from forges.approving_forges import ApprovingGitHub
from scenarios import Scenarios

pytestmark = pytest.mark.act


class Reviewed(Forge, ApprovingGitHub):
    """And reviews."""


@pytest.fixture
def forge() -> Iterator[Reviewed]:
    with Reviewed() as fake:
        yield fake
    assert not fake.problems


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Scenarios:
    """The project and its caller on main. Only to be copied."""
    home = tmp_path_factory.mktemp("rows")
    made = scenarios.make(home)
    consumer(home, made=made.path, remote=False)
    return made


@pytest.mark.parametrize("name", scenarios.CASES)
def test_a_pull_request_is_what_its_rows_prove(name: str, seed: Scenarios, tmp_path: Path, forge: Reviewed) -> None:
    case, project = scenarios.CASES[name], seed.copy(tmp_path)
    if case.rescore:
        project.rescore()
        publish(project.path, "refs/heads/main")
    head, told = pull_request(project.path, case.kind, change=lambda _, kind: project.change(kind))
    if case.approved:
        forge.review("ada", commit=head)
    done = walk.act(project.path, "pull_request", told, forge)
    assert (done.job("Run"), done.job("Judge")) == ("success", "success" if case.code == 0 else "failure"), done.text
    report = done.artifacts / "mlgate-report"
    said = done.outputs("Report")
    [comment] = forge.comments
    scenarios.judged(case, said["verdict"], int(said["exit-code"]), comment["body"], report / "evidence" / "visits")
    assert said["passed"] == str(case.code == 0).lower()
    assert {status["sha"] for status in forge.statuses} == {head}
    assert not (report / "inputs").exists(), "rows are not kept as long as a report"
    assert (report / "bias" / "visits" / "bias_report.md").exists()
