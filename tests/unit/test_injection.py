"""Names that mean something to a shell, a runner's log, Markdown or a comment's marker, through whole processes.

Renderings are tried text by text in tests/render, runner commands in tests/forges. Here the names come as they do in
life: from a metrics file, a parameters file, file names, a branch and mlgate.yaml, in the job of a pull request.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder import MLGATE, Repo, consumer
from forges.test_runner import commands
from jobs import Job
from render.shapes import MARKDOWN, OURS, Page, inline_html, links

NAMES = [
    "au\"c' or 'x",
    "$(touch pwned)",
    "`touch pwned`",
    "${IFS}; touch pwned #",
    "a%0A::error::x",
    "::set-output name=verdict::pass",
    "::stop-commands::x",
    "##[set-output name=verdict]pass",
    "##vso[task.complete]",
    "verdict=pass",
    "<!-- mlgate: -->",
    "--> <img src=x onerror=alert(1)>",
    "</details></table><script>alert(1)</script>",
    "a | b || c",
    "| --- | --- |",
    "](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "```",
    "-rf",
    "--config=/etc/passwd",
    "*bold* _it_ ~~x~~ # h",
    "@everyone #1",
    "\N{BALLOT BOX WITH X} \N{CJK UNIFIED IDEOGRAPH-6A21} \N{PILE OF POO}",
]
# What mlgate.yaml refuses, because nobody sees it, still comes in with metrics files and file names.
UNSEEN = ["a\n::set-output name=verdict::pass", "a\r::error::x", "\x1b[31mred\x1b[0m", "a\u202eb", "a\u2028b", "a\0b"]
KEYS = {
    "verdict", "passed", "exit-code", "evidence", "report", "models", "unchanged", "failed-rules", "champion",
    "champion-age-days", "comparable", "decided", "ledger-head",
}  # fmt: skip
OURS_IN_A_LOG = {"error", "warning", "notice"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return consumer(tmp_path / "repo")


def judged(repo: Repo, folder: Path, *, branch: str = "change", code: int) -> tuple[Job, str]:
    """`compare` and `report` in the job of a pull request, held against what no name may bring about."""
    repo.commit("Change")
    job = Job(repo, folder, branch=branch)
    before = {p.name for p in repo.path.iterdir()}
    compared = repo.mlgate("compare", **job.environ)
    assert (compared.returncode, compared.stderr) == (code, "")
    outputs = job.outputs
    assert set(outputs) == KEYS
    assert outputs["verdict"] == repo.evidence()["verdict"]
    reported = repo.mlgate("report", **job.environ)
    assert (reported.returncode, reported.stderr) == (code, "")
    assert set(job.outputs) == {*KEYS, "comment-url"}
    log = compared.stdout + reported.stdout
    assert set(commands(log)) <= OURS_IN_A_LOG
    assert "\x1b" not in log
    comment = (repo.path / ".mlgate/report.md").read_text()
    for text in (job.summary, comment):
        assert inline_html(text) <= OURS
        assert all(href.startswith("https://github.com/acme/visits/") for href in links(text))
        assert "<!--" not in text.replace("<!-- mlgate:volatile -->", "")
    page = Page()
    page.feed((repo.path / ".mlgate/report.html").read_text())
    assert not page.open
    assert "script" not in page.tags
    assert "img" not in page.tags
    variables = (repo.path / ".mlgate/mlgate.env").read_text().splitlines()
    assert [v.split("=")[0] for v in variables] == ["MLGATE_VERDICT", "MLGATE_PASSED", "MLGATE_EXIT_CODE"]
    assert {p.name for p in repo.path.iterdir()} == {*before, ".mlgate"}
    return job, comment


def tables(markdown: str) -> list[list[int]]:
    """The cells in each row of each table."""
    found: list[list[int]] = []
    for token in MARKDOWN.parse(markdown):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append(0)
        elif token.type in ("td_open", "th_open"):
            found[-1][-1] += 1
    return found


def with_rule(name: str) -> str:
    rule: dict[str, Any] = {name: {"greater_is_better": True, "threshold": 0.5, "max_absolute_regression": 0.01}}
    loaded = yaml.safe_load(MLGATE)
    loaded["compare"]["rules"] = {**loaded["compare"]["rules"], **rule}
    return yaml.safe_dump(loaded, allow_unicode=True)


def champion_and_change(repo: Repo, champion: dict[str, Any], change: dict[str, Any], text: str) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.model(champion, config=text)
    repo.commit("Champion")
    repo.git("checkout", "--quiet", "-B", "change")
    repo.model(change, config=text)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric(repo: Repo, tmp_path: Path, name: str) -> None:
    good = {"auc": 0.72, "log_loss": 0.58, name: 0.7}
    champion_and_change(repo, good, {**good, name: 0.3}, with_rule(name))
    job, comment = judged(repo, tmp_path / "job", code=1)
    failed = [c["title"] for c in repo.evidence()["checks"] if c["verdict"] == "fail"]
    assert failed == [name, name]
    assert json.loads(job.outputs["failed-rules"]) == [f"rules.{name}.threshold", f"rules.{name}.absolute_regression"]
    for text in (job.summary, comment):
        assert {len(set(rows)) for rows in tables(text)} == {1}
    assert tables(comment) == [[6] * 6]  # the head, two broken limits, three that hold


@pytest.mark.parametrize("name", [*NAMES, *UNSEEN[:-1]])
def test_a_value_and_a_parameter(repo: Repo, tmp_path: Path, name: str) -> None:
    repo.model({"auc": name, "log_loss": 0.5}, seed=name)
    judged(repo, tmp_path / "job", code=2)
    assert any("not a number" in c["reason"] for c in repo.evidence()["checks"] if c["verdict"] == "error")


def test_files(repo: Repo, tmp_path: Path) -> None:
    files = [f"{name}.json" for name in NAMES if "/" not in name]
    repo.model(
        {"auc": 0.5, "log_loss": 0.5},
        config=MLGATE.replace("eval.json]", f"eval.json, {json.dumps(files, ensure_ascii=False)[1:]}"),
    )
    for number, name in enumerate(files):
        repo.write(name, {f"m{number}": 1})
    for name in (n for n in UNSEEN if "\0" not in n):
        repo.write(f"{name}.dvc", "outs: []\n")
    judged(repo, tmp_path / "job", code=2)  # for nothing attests what they measured
    warned = {c["location"]["file"] for c in repo.evidence()["checks"] if "is in no dvc.lock" in c["reason"]}
    assert warned == set(files)


@pytest.mark.parametrize("names", [NAMES[:8], NAMES[8:16], NAMES[16:]])
def test_keys_of_mlgate_yaml(repo: Repo, tmp_path: Path, names: list[str]) -> None:
    repo.write("mlgate.yaml", MLGATE + yaml.safe_dump({n: {n: n} for n in names}, allow_unicode=True))
    job, _ = judged(repo, tmp_path / "job", code=2)
    assert job.outputs["failed-rules"] == '["judge.config"]'
    assert repo.evidence()["checks"][0]["reason"].count(" is not a key.") == len(names)


@pytest.mark.parametrize("name", [*NAMES, *UNSEEN[:-1]])
def test_a_model(repo: Repo, tmp_path: Path, name: str) -> None:
    repo.write("mlgate.yaml", MLGATE.replace("model: visits", f"model: {json.dumps(name)}"))
    repo.commit("Change")
    job = Job(repo, tmp_path / "job")
    done = repo.mlgate("compare", **job.environ)
    assert done.returncode == 2
    assert [p.name for p in (repo.path / ".mlgate/evidence").iterdir()] == ["mlgate.yaml"]
    assert set(commands(done.stdout)) <= OURS_IN_A_LOG
    assert set(job.outputs) == KEYS


BRANCHES = [
    "$(touch${IFS}pwned)",
    "`id`",
    "a'b\"c",
    "x|y",
    "](https",
    "<!--mlgate-->",
    "a%0A::error",
    "##[add-path]/x",
    "@a",
]


@pytest.mark.parametrize("name", BRANCHES)
def test_a_branch(repo: Repo, tmp_path: Path, name: str) -> None:
    repo.model({"auc": 0.5, "log_loss": 0.5})
    _, comment = judged(repo, tmp_path / "job", branch=name, code=1)
    assert tables(comment)


@pytest.mark.parametrize("name", ["x|y", "`id`", "a$(id)", "<!--x-->", "##x]y"])
def test_the_branch_of_the_champion(repo: Repo, name: str) -> None:
    repo.git("branch", name, "main")
    repo.model({"auc": 0.5, "log_loss": 0.5}, config=MLGATE.replace("champion: main", f"champion: {json.dumps(name)}"))
    repo.commit()
    done = repo.mlgate("compare", "--champion", name)
    assert done.returncode == 1
    assert repo.mlgate("report").returncode == 1
    comment = (repo.path / ".mlgate/report.md").read_text()
    assert "<!--" not in comment.replace("<!-- mlgate:volatile -->", "")
    assert {len(set(rows)) for rows in tables(comment)} == {1}
