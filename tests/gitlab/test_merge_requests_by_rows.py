"""Merge requests whose rows decide, through the whole pipeline: a real DVC, a remote, and approvals on the forge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import scenarios
from forges.approving_forges import AFTER, PUSHED, ApprovingGitLab
from forges.fake_forge import MERGE, Reply
from scenarios import Scenarios

from .conftest import copied, runner
from .test_pipelines import facts, give_token

pytestmark = pytest.mark.gitlab


class Reviewed(ApprovingGitLab):
    """For the commit that the test has made."""

    sha = ""

    def _status(self, sha: str, body: dict[str, Any]) -> Reply:
        return super()._status(MERGE if sha == self.sha else sha, body)


@pytest.fixture
def gitlab() -> Iterator[Reviewed]:
    with Reviewed() as fake:
        yield fake
    ours = ("/merge_requests/", "/statuses/", "/members/")  # doctor asks for more, without a token
    assert not [problem for problem in fake.problems if any(part in problem for part in ours)]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("rows")
    scenarios.make(home)
    return runner(home)


@pytest.mark.parametrize("name", scenarios.CASES)
def test_a_merge_request_is_what_its_rows_prove(
    name: str, seed: Path, wheel: Path, tmp_path: Path, gitlab: Reviewed
) -> None:
    case, project = scenarios.CASES[name], copied(seed, wheel, tmp_path)
    change = Scenarios(tmp_path)
    if case.rescore:
        change.rescore()
    project.include(remote=False)
    project.push()
    gitlab.sha = change.change(case.kind)
    gitlab.versions = [(gitlab.sha, PUSHED)]
    if case.approved:
        gitlab.review("ada", at=AFTER)
    project.publish_branch()
    project.as_the_runner_clones()
    give_token(project)
    done = project.merge_request(**facts(gitlab))
    assert done.codes == {"mlgate-run": 0, "mlgate-judge": case.code}, done.text
    reports = done.artifact("mlgate-judge")
    env = done.dotenv("mlgate-judge")
    [note] = gitlab.comments
    said = (env["MLGATE_VERDICT"], int(env["MLGATE_EXIT_CODE"]))
    scenarios.judged(case, *said, note["body"], reports / "evidence" / "visits")
    assert not (reports / "inputs").exists(), "rows are not kept as long as a report"
    assert (reports / "bias" / "visits" / "bias_report.md").exists()
