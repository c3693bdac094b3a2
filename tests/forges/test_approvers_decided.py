"""Whether what the forge tells is enough for what mlgate.yaml wants, row by row, and end to end on both forges."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import Repo
from forges.conftest import quick
from forges.deploying_forges import COMMIT, DeployingGitHub, DeployingGitLab
from mlgate.commands._approved import Approved, asked, decide
from mlgate.commands._approved import approved as ask
from mlgate.commands._run import Run
from mlgate.config import Config, load
from mlgate.forges import Forge, detect
from mlgate.forges.deploying import Approvers
from mlgate.model import Verdict
from mlgate.repo.git import Git
from mlgate.rollout.nouns import Release

_MODEL = """\
schema: 1
model: visits
artifact: m.joblib
evaluate: {holdout: {metrics: [m.json]}}
compare: {rules: {auc: {threshold: 0.7}}}
"""
RELEASE = Release("visits", f"registry.test/visits@sha256:{'1' * 64}", {"sha256": "2" * 64}, commit=COMMIT)
ADA = Approvers(("ada",), "approved it", own=("mona",))
OWN = Approvers(("mona",), "approved it", own=("mona",))
BOTH = Approvers(("mona", "ada"), "approved it", own=("mona",))
UNSURE = Approvers(("ada",), "approved it", own=("mona",), own_missing="GitHub does not say who wrote it.")
NOBODY = Approvers(missing="Nobody has approved it in this run.")


def settings(criticality: str = "", environment: str = "", name: str = "production") -> Config:
    text = f"{_MODEL}deploy:\n  trust: branch\n"
    text += f"  criticality: {criticality}\n" if criticality else ""
    text += "  environments:\n    staging: {target: {kind: local, port: 8081}}\n"
    text += f"    {name}: {{target: local{', ' if environment else ''}{environment}}}\n"
    return load(text, file="mlgate.yaml", base=lambda path: None)


def decided(config: Config, told: Approvers, environment: str = "production") -> Approved:
    return decide(asked(config, environment), told, environment)


# criticality, keys of the environment, what the forge tells -> given, by, verdict (none: no check)
TABLE: list[tuple[str, str, Approvers, tuple[bool, tuple[str, ...], Verdict | None]]] = [
    ("", "", NOBODY, (True, (), None)),
    ("", "", ADA, (True, ("ada",), None)),
    ("low", "", NOBODY, (True, (), None)),
    ("low", "", OWN, (True, ("mona",), None)),
    ("low", "approval: required", NOBODY, (False, (), Verdict.INCONCLUSIVE)),
    ("low", "approval: required", OWN, (True, ("mona",), Verdict.PASS)),
    ("low", "approval: required, self_approval: false", OWN, (False, (), Verdict.INCONCLUSIVE)),
    ("low", "approval: required, self_approval: false", BOTH, (True, ("ada",), Verdict.PASS)),
    ("", "approval: required", ADA, (True, ("ada",), Verdict.PASS)),
    ("medium", "", NOBODY, (False, (), Verdict.INCONCLUSIVE)),
    ("medium", "", OWN, (True, ("mona",), Verdict.PASS)),
    ("medium", "", UNSURE, (True, ("ada",), Verdict.PASS)),
    ("medium", "self_approval: false", OWN, (False, (), Verdict.INCONCLUSIVE)),
    ("medium", "self_approval: false", ADA, (True, ("ada",), Verdict.PASS)),
    ("medium", "self_approval: false", UNSURE, (False, (), Verdict.INCONCLUSIVE)),
    ("medium", "approval: none", NOBODY, (True, (), Verdict.WARN)),
    ("high", "", NOBODY, (False, (), Verdict.INCONCLUSIVE)),
    ("high", "", OWN, (False, (), Verdict.INCONCLUSIVE)),
    ("high", "", BOTH, (True, ("ada",), Verdict.PASS)),
    ("high", "", ADA, (True, ("ada",), Verdict.PASS)),
    ("high", "", UNSURE, (False, (), Verdict.INCONCLUSIVE)),
    ("high", "self_approval: true", OWN, (False, (), Verdict.INCONCLUSIVE)),
    ("high", "approval: required", OWN, (False, (), Verdict.INCONCLUSIVE)),
    ("high", "tier: testing", NOBODY, (True, (), None)),
]


@pytest.mark.parametrize(("criticality", "keys", "told", "expected"), TABLE)
def test_the_table(
    criticality: str, keys: str, told: Approvers, expected: tuple[bool, tuple[str, ...], Verdict | None]
) -> None:
    # Where production is called testing, the tier of another environment is production's.
    config = settings(criticality, keys) if "tier" not in keys else _two_tiers(criticality)
    found = decided(config, told)
    given, by, verdict = expected
    assert (found.given, found.by) == (given, by)
    assert [check.verdict for check in found.checks] == ([verdict] if verdict else [])


def _two_tiers(criticality: str) -> Config:
    text = f"{_MODEL}deploy:\n  trust: branch\n  criticality: {criticality}\n  environments:\n"
    text += "    production: {target: local, tier: testing}\n    live: {target: {kind: local, port: 8081}}\n"
    return load(text, file="mlgate.yaml", base=lambda path: None)


def test_environments_before_production_need_nobody() -> None:
    assert decided(settings("high"), NOBODY, "staging") == Approved()


def test_what_is_called_otherwise_and_comes_last_is_production() -> None:
    config = settings("medium", name="customers")
    assert not decided(config, NOBODY, "customers").given


def test_the_check_says_what_is_wanted_by_which_line_and_what_is_missing() -> None:
    (check,) = decided(settings("high"), OWN).checks
    assert check.reason == (
        "mona approved it, but started the run or wrote what it deploys: somebody else has to approve."
    )
    assert (check.id, check.group, check.observed) == ("rollout.approval", "rollout", "nobody")
    assert check.expected == "somebody else's (criticality: high)"
    assert check.location is not None
    assert (check.location.line, check.location.key) == (8, "deploy.criticality")
    (check,) = decided(settings("low", "approval: required"), NOBODY).checks
    assert check.reason == "Nobody has approved it in this run."
    assert check.location is not None
    assert check.location.key == "deploy.environments.production.approval"


def test_two_approvers_are_both_named() -> None:
    told = Approvers(("ada", "bob", "eve"), "approved the environment production", own=())
    found = decided(settings("high"), told)
    assert found.by == ("ada", "bob", "eve")
    assert found.checks[0].reason == "ada, bob and eve approved the environment production."


def test_an_answer_with_nothing_in_it_is_no_approval() -> None:
    found = decided(settings("medium"), Approvers())
    assert not found.given
    assert found.checks[0].reason == "Nobody is known to have approved it."


# -- end to end


@pytest.fixture
def github() -> Iterator[DeployingGitHub]:
    with DeployingGitHub() as fake:
        yield fake
        assert not fake.problems


@pytest.fixture
def gitlab() -> Iterator[DeployingGitLab]:
    with DeployingGitLab() as fake:
        yield fake
        assert not fake.problems


def run_of(tmp_path: Path, forge: Forge) -> Run:
    repo = Repo(tmp_path / "project")
    repo.write("a.txt", "a\n")
    repo.commit("A file")
    if forge.name != "none":
        quick(forge)
    return Run(repo.path, Git(repo.path, {}), forge, [])


def test_a_review_on_github_lets_a_critical_model_in(tmp_path: Path, github: DeployingGitHub) -> None:
    run = run_of(tmp_path, detect(github.environ()))
    assert not ask(run, settings("high"), "production", RELEASE).given
    github.review("mona")
    assert not ask(run, settings("high"), "production", RELEASE).given
    github.review("ada")
    assert ask(run, settings("high"), "production", RELEASE).by == ("ada",)


def test_a_manual_job_on_gitlab_lets_a_model_in(tmp_path: Path, gitlab: DeployingGitLab) -> None:
    run = run_of(tmp_path, detect(gitlab.environ()))
    assert not ask(run, settings("medium"), "production", RELEASE).given
    gitlab.manual = [901]
    assert ask(run, settings("medium"), "production", RELEASE).by == ("mona",)
    assert not ask(run, settings("high"), "production", RELEASE).given  # she merged and wrote it herself


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal_the_person_there_approves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, detect({}))
    Git(run.cwd).run("config", "user.email", "grace@visits.test")
    monkeypatch.setattr("sys.stdin", _Terminal())
    found = ask(run, settings("medium"), "production", RELEASE)
    assert (found.given, found.by) == (True, ("grace@visits.test",))
    assert not ask(run, settings("high"), "production", RELEASE).given
    assert not ask(run, settings("medium", "self_approval: false"), "production", RELEASE).given


@pytest.mark.parametrize("stdin", [io.StringIO(), None], ids=["a pipe", "nothing"])
def test_a_ci_system_that_is_not_known_has_no_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO | None
) -> None:
    run = run_of(tmp_path, detect({"BUILD_ID": "7", "JENKINS_URL": "https://ci.test/"}))
    monkeypatch.setattr("sys.stdin", stdin)
    found = ask(run, settings("medium"), "production", RELEASE)
    assert not found.given
    assert "nobody at a terminal" in found.checks[0].reason
    assert ask(run, settings("low"), "production", RELEASE) == Approved()
