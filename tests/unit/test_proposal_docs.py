"""docs/commit-back.md shows what works: its YAML is read, its inputs exist, its numbers and words are the code's."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from builder import ROOT
from mlgate.forges.github_pulls import SETTING
from mlgate.repo import commit, proposal

PAGE = (ROOT / "docs/commit-back.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def blocks(key: str) -> list[dict[str, Any]]:
    return [loaded for loaded in map(yaml.safe_load, BLOCKS) if key in loaded]


def test_the_workflow_gives_inputs_that_there_are() -> None:
    (shown,) = blocks("jobs")
    called = yaml.safe_load((ROOT / ".github/workflows/train.yml").read_text("utf-8"))
    accepted = called[True]["workflow_call"]  # YAML 1.1 reads `on` as true
    job = shown["jobs"]["train"]
    assert job["uses"].startswith("mlgate/mlgate/.github/workflows/train.yml@")
    assert set(job["with"]) <= set(accepted["inputs"])
    assert set(job["secrets"]) <= set(accepted["secrets"])
    assert job["permissions"] == {"contents": "write", "pull-requests": "write"}


def test_the_template_gives_inputs_that_there_are() -> None:
    (shown,) = blocks("include")
    (include,) = shown["include"]
    text = (ROOT / include["file"].lstrip("/")).read_text("utf-8")
    accepted = next(yaml.safe_load_all(text))["spec"]["inputs"]
    for name, value in include["inputs"].items():
        assert value in accepted[name].get("options", [value])


def test_settings_and_limits_are_those_of_the_code() -> None:
    assert f"`{SETTING}`" in PAGE
    assert f"{proposal.FILE_LIMIT // 10**6} MB a file, {proposal.TOTAL_LIMIT // 10**6} MB in all" in PAGE
    assert f"{proposal.COUNT_LIMIT:,} files" in PAGE
    shown = re.search(r"```text\nTrain .*?```", PAGE, re.DOTALL)
    assert shown is not None
    assert set(commit._TRAILER.findall(shown[0])) >= {("Train", "doctor-visits")}


@pytest.mark.parametrize("said", re.findall(r"^\| (\*[^*].*?\*) \|", PAGE, re.MULTILINE))
def test_what_it_says_is_what_the_code_says(said: str) -> None:
    sources = [*(ROOT / "scripts/mlgate/forges").glob("*.py"), ROOT / "scripts/mlgate/commands/_propose.py"]
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text("utf-8") for path in sources))
    code = re.sub(r"\{[^{}]*\}", "...", code)
    for words in re.findall(r"\*(.+?)\*", said):
        if "verified signatures" in words:  # GitHub's own
            continue
        pieces = [piece.strip() for piece in words.split("...")]
        assert all(piece.replace("pull request", "...") in code or piece in code for piece in pieces), words


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
