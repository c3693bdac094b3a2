"""docs/approvals.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from forges.conftest import quick
from forges.deploying_forges import COMMIT, DeployingGitHub, DeployingGitLab
from mlgate import config
from mlgate.commands import _approved
from mlgate.forges import detect, github

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "approvals.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MODEL = "schema: 1\nmodel: visits\nartifact: m.joblib\nevaluate: {holdout: {metrics: [m.json]}}\n"
MODEL += "compare: {rules: {auc: {threshold: 0.7}}}\n"


def test_the_settings_load_and_mean_what_the_page_says() -> None:
    (block,) = [block for block in BLOCKS if block.startswith("deploy:")]
    found = config.load(MODEL + block, file="mlgate.yaml", base=lambda _: None)
    wanted = _approved.asked(found, "production")
    assert (wanted.required, wanted.of_another, wanted.why) == (True, True, "approval: required")
    assert not _approved.asked(found, "staging").required


def test_the_job_of_github_has_every_permission_that_a_sentence_may_ask_for() -> None:
    (job,) = [yaml.safe_load(block)["jobs"]["deploy"] for block in BLOCKS if block.startswith("jobs:")]
    granted = {f"{name}: {value}" for name, value in job["permissions"].items()}
    asked = {
        each.strip("` ")
        for doing in ("approvers", "author", "deployment")
        for each in github._PERMISSIONS[doing].split(" and ")
    }
    assert asked == granted
    assert job["environment"]["name"] == "production"


def test_the_job_of_gitlab_is_a_blocking_manual_one() -> None:
    (job,) = [yaml.safe_load(block)["deploy-production"] for block in BLOCKS if block.startswith("deploy-production:")]
    assert job["environment"]["name"] == "production"
    assert [(rule["when"], rule["allow_failure"]) for rule in job["rules"]] == [("manual", False)]


def said() -> str:
    """What there is to say, said by fakes of both forges."""
    lines: list[str] = []

    def tell(fake: DeployingGitHub | DeployingGitLab, **more: str) -> None:
        forge = detect(fake.environ(**more))
        quick(forge)
        told = forge.approvers("production", COMMIT)
        wanted = _approved.Asked(required=True, of_another=True, why="criticality: high")
        lines.extend(check.reason for check in _approved.decide(wanted, told, "production").checks)

    with DeployingGitHub() as fake:
        tell(fake)
        fake.review("mona")
        tell(fake)
        fake.author, fake.openers = None, []
        tell(fake)
        fake.fault("GET", "/approvals", status=403, body={"message": "Resource not accessible by integration"})
        tell(fake)
        fake.reviews.clear()
        fake.reviewers.clear()
        tell(fake)
    with DeployingGitLab() as gitlab:
        tell(gitlab)
        tell(gitlab, GITLAB_TOKEN="")
        gitlab.manual, gitlab.player = [901], "bob"
        tell(gitlab)
    return "\n".join(lines).replace("`", "")


def test_every_sentence_is_one_that_is_said() -> None:
    rows = re.findall(r"^\| `([^|]+)` \| ", PAGE.partition("## When it says")[2], re.MULTILINE)
    assert len(rows) == 8
    there = said()
    for row in rows:
        for part in filter(None, (part.strip(" ,.") for part in row.replace("`", "").split("..."))):
            assert part in there, part
