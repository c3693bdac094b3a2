"""The page that people copy from: every block is what it says it is."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import pytest
import yaml

import builder
from mlgate import __version__, config
from mlgate.model import Verdict
from mlgate.setup import codeowners, github_workflows, gitlab_pipeline

PAGE = (builder.ROOT / "docs/adopting.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", PAGE, re.MULTILINE | re.DOTALL)
YAML = [textwrap.dedent(body) for _, kind, body in FENCES if kind == "yaml"]


def read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize("block", YAML)
def test_every_block_is_one_of_the_files_it_stands_for(block: str) -> None:
    top = read(block)
    if "jobs" in top:
        assert block == (builder.ROOT / "workflows/model-gate.yml").read_text(encoding="utf-8")
        workflow = github_workflows.read("x.yml", block.encode())
        assert workflow
        branch = github_workflows.Branch("main", ["Model gate"], True, True)
        assert {c.verdict for c in github_workflows.findings([workflow], branch)} == {Verdict.PASS}
    elif "include" in top:
        assert gitlab_pipeline.read(".gitlab-ci.yml", block.encode()).gate
        assert f"v{__version__}" in block
    elif "stages" in top:
        assert top["stages"]["evaluate"]["metrics"] == [{"metrics/eval.json": {"cache": False}}]
    elif "with" in top:
        assert set(top["with"]) <= set(inputs())
    else:
        whole = {"schema": 1, "model": "m", "evaluate": {"e": {"metrics": ["m.json"]}}} | top
        config.load(yaml.safe_dump(whole), file="mlgate.yaml", base=lambda _: None)


def inputs() -> dict[str, Any]:
    text = (builder.ROOT / ".github/workflows/model-gate.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = read(text)[True]["workflow_call"]["inputs"]
    return found


def test_the_rules_that_are_commented_out_are_rules() -> None:
    block = next(b for b in YAML if "schema: 1" in b)
    loaded = config.load(block.replace("    # ", "    "), file="mlgate.yaml", base=lambda _: None)
    assert set(loaded.compare.rules) == {"auc", "log_loss"}
    assert config.load(block, file="mlgate.yaml", base=lambda _: None).compare.rules == {}


def test_the_owners_own_what_decides() -> None:
    block = next(body for _, kind, body in FENCES if kind == "text")
    for forge in ("github", "gitlab"):
        sections = codeowners.parse(block, forge)
        for path in (".github/workflows/model-gate.yml", ".gitlab-ci.yml", "mlgate.yaml"):
            assert codeowners.owners(sections, path) == ("@acme/ml-platform",)


def test_every_link_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        if target.startswith("#"):
            assert target[1:] in headings
        elif not target.startswith("https://"):
            assert (builder.ROOT / "docs" / target.split("#")[0]).is_file()


def test_the_demo_is_what_init_writes(tmp_path: Any) -> None:
    repo = builder.Repo(tmp_path / "doctor-visits")
    for auc, loss in ((0.712, 0.585), (0.716, 0.583), (0.714, 0.584), (0.72, 0.58), (0.718, 0.581), (0.724, 0.578)):
        repo.model({"auc": auc, "log_loss": loss, "rows": 6057}, config=None)
        repo.commit(f"auc {auc}")
    repo.mlgate("init", "--forge", "github")
    shown = next(b for b in YAML if "schema: 1" in b).splitlines()
    text = (repo.path / "mlgate.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in shown if line not in text] == []
