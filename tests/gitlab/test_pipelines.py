"""Pipelines as GitLab would run them: included in each way, for each event, with good and bad commits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import builder
import trained
from forges.fake_forge import MERGE, FakeGitLab, Reply
from train import prepared

from .pipelines import HOST, IID, PROJECT, Project
from .templates import BUILD, PIPELINE, ROOT, SUCCESSOR, VERBS, WATCH, load, option_variables

pytestmark = pytest.mark.gitlab
TOKEN = "glpat-made-up-0000"
FORGER = (
    "mkdir -p .mlgate && cd .mlgate && mkdir -p evidence/doctor-visits evidence/other"
    " && echo '{}' > evidence/doctor-visits/compare.json && echo '{}' > evidence/other/report.json"
    ' && echo PATH=/nowhere > mlgate.env && echo "in setup: <$GITLAB_TOKEN>"'
)
HOSTILE = {
    "config": "$(touch pwned)",
    "working-directory": "x`touch pwned`",
    "champion": '"; touch pwned; "',
    "comment-header": "a\n    script: [touch pwned]",
    "comment": "always; touch pwned",
    "python": 'python\' -c \'open("pwned", "w")',
    "stage": 'test"\nscript: [touch pwned]',
    "image": "python\nscript: x",
    "job-prefix": "$(touch pwned)-",
    "mlgate-source": "/x.whl; touch pwned",
    "setup": "true\ntouch pwned",
    "summary": "yes; touch pwned",
    "tracking-uri": "https://example.com/$(touch pwned)",
    "memory-limit": "2GB; touch pwned",
    "examples": "5\nscript: [touch pwned]",
}


class GitLabOfOurs(FakeGitLab):
    """The fake one, for the commit that the test has made."""

    sha = ""

    def _status(self, sha: str, body: dict[str, Any]) -> Reply:
        return super()._status(MERGE if sha == self.sha else sha, body)


@pytest.fixture
def gitlab() -> Iterator[GitLabOfOurs]:
    with GitLabOfOurs() as fake:
        yield fake


def facts(gitlab: FakeGitLab) -> dict[str, str]:
    """What a job knows of the project and its API; not of the commit, which is the test's own."""
    known = {k: v for k, v in gitlab.environ().items() if k.startswith("CI_") and not k.startswith("CI_COMMIT")}
    return known | {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "", "CI_MERGE_REQUEST_EVENT_TYPE": "detached"}


def give_token(project: Project) -> None:
    """As docs/gitlab.md says: for jobs of the environment `mlgate` alone."""
    scoped = {"GITLAB_TOKEN": {"values": {"mlgate": TOKEN}}}
    (project.repo.path / ".gitlab-ci-local-variables.yml").write_text(yaml.safe_dump(scoped), "utf-8")


def lay_traps(project: Project) -> None:
    """Files that would run, or say where to install from, if anything looked for them in the repository."""
    for name in ("pip", "venv", "click", "mlgate"):
        project.repo.write(f"{name}/__init__.py", "raise SystemExit('trapped')\n")
    project.repo.write("sitecustomize.py", "raise SystemExit('trapped')\n")
    project.repo.write("uv.toml", 'index-url = "http://127.0.0.1:9/simple"\n')
    project.variables |= {"PYTHONPATH": ".", "PIP_CONSTRAINT": "nowhere.txt", "UV_CONSTRAINT": "nowhere.txt"}


def assert_harmless(dotenv: dict[str, str]) -> None:
    """These become variables of later jobs, mlgate's own among them. A server may take no more than 20."""
    assert len(dotenv) <= 20
    assert not set(dotenv) & {variable for verb in VERBS for variable in option_variables(verb)}


def junit(reports: Path) -> ElementTree.Element:
    return ElementTree.fromstring((reports / "junit.xml").read_text("utf-8"))  # noqa: S314 - our own file


# -- including it


@pytest.mark.parametrize("by", ["local", "project", "remote", "component"])
def test_each_way_to_include_gives_the_same_jobs(project: Project, by: str) -> None:
    project.include(by=by, job_prefix="gate ")
    project.push()
    jobs = yaml.safe_load(project.run("--preview").out)
    expected = load(PIPELINE).jobs(mlgate_source=project.variables["WHEEL"], job_prefix="gate ")
    assert set(expected) == {"gate run", "gate judge"}
    for name, job in expected.items():
        for key in ("script", "rules", "artifacts", "inherit", "timeout"):
            assert jobs[name].get(key) == job.get(key), f"{name}: {key}"


def test_the_example_projects_own_file_works(project: Project) -> None:
    """Not a word of it is changed; only the files that it names are put where gitlab-ci-local looks."""
    text = (ROOT / "example-project" / ".gitlab-ci.yml").read_text("utf-8")
    gate, build, watch, successor = entries = yaml.safe_load(text)["include"]
    for entry, name in zip(entries, (PIPELINE, BUILD, WATCH, SUCCESSOR), strict=True):
        project.publish(entry["project"], entry["ref"], name)
    project.repo.write(".gitlab-ci.yml", text)
    project.push()
    jobs = yaml.safe_load(project.run("--preview").out)
    for job, entry in (("mlgate-run", gate), ("mlgate-fetch", build), ("mlgate-successor", successor)):
        assert jobs[job]["variables"]["MLGATE_SETUP"] == entry["inputs"]["setup"]
    assert jobs["mlgate-fetch"]["needs"][0]["job"] == "mlgate-judge"
    assert "mlgate-monitor" in jobs
    assert "inputs" not in watch
    assert [service["name"] for service in jobs["mlgate-build"]["services"]] == ["docker:28-dind"]


def test_two_includes_live_side_by_side(project: Project) -> None:
    project.include(working_directory="a", job_prefix="a-")
    project.include(working_directory="b", job_prefix="b-")
    project.push()
    jobs = yaml.safe_load(project.run("--preview").out)
    assert {"a-run", "a-judge", "b-run", "b-judge"} <= set(jobs)
    assert jobs["a-judge"]["variables"]["MLGATE_WORKING_DIRECTORY"] == "a"
    assert [need["job"] for need in jobs["b-judge"]["needs"]] == ["b-run"]


@pytest.mark.parametrize(
    ("source", "branch", "runs"),
    [("push", "main", True), ("schedule", "main", True), ("web", "other", True), ("push", "other", False)],
)
def test_what_starts_the_gate(project: Project, source: str, branch: str, runs: bool) -> None:
    project.include()
    project.push()
    if branch != "main":
        project.repo.git("switch", "--quiet", "--create", branch)
    listed = project.run("--list-csv", source=source).out
    assert ("mlgate-judge;" in listed) is runs


@pytest.mark.parametrize("key", HOSTILE)
def test_a_bad_input_stops_the_pipeline_before_anything_runs(project: Project, key: str) -> None:
    project.include(**{key: HOSTILE[key]})
    project.push()
    done = project.run()
    assert done.codes == {"": 1}
    assert "This GitLab CI configuration is invalid" in done.text
    assert f"`{key}` input:" in done.text
    assert not list(project.repo.path.rglob("pwned"))


# -- merge requests


def test_a_better_model_passes_on_its_merge_request(project: Project, gitlab: GitLabOfOurs) -> None:
    project.include(by="remote", remote=False)
    base = project.push()
    project.candidate("better")
    project.as_the_runner_clones()
    done = project.merge_request(CI_API_V4_URL=gitlab.url)
    assert done.codes == {"mlgate-run": 0, "mlgate-judge": 0}, done.text
    env = done.dotenv("mlgate-judge")
    assert (env["MLGATE_VERDICT"], env["MLGATE_PASSED"], env["MLGATE_EXIT_CODE"]) == ("pass", "true", "0")
    assert_harmless(env)
    reports = done.artifact("mlgate-judge")
    assert junit(reports).get("failures") == "0"
    assert (reports / "metrics.txt").read_text("utf-8").endswith("# EOF\n")
    links = [e for group in json.loads((reports / "annotations.json").read_text("utf-8")).values() for e in group]
    assert all(set(entry["external_link"]) == {"label", "url"} for entry in links)
    assert "visits" in (reports / "report.html").read_text("utf-8")
    evidence = json.loads((reports / "evidence" / "doctor-visits" / "compare.json").read_text("utf-8"))
    assert evidence["champion"]["commit"] == base
    assert evidence["source"]["pull_request"] == IID
    # No token: one sentence, and only from the job that would use it.
    assert done.said("mlgate-judge").count("GITLAB_TOKEN") == 1
    assert project.variables["CI_JOB_TOKEN"] not in done.text


def test_a_worse_model_is_stopped_and_its_code_cannot_speak_for_the_judge(
    project: Project, gitlab: GitLabOfOurs
) -> None:
    project.include(
        by="project",
        remote=False,
        setup=FORGER,
        more="default:\n  before_script: [echo hello from before_script]\n",
    )
    give_token(project)
    lay_traps(project)
    project.push()
    gitlab.sha = project.candidate("loosened")  # its own mlgate.yaml would let it pass
    project.as_the_runner_clones()
    gitlab.fault("POST", "/notes", status=403, body={"message": "403 Forbidden"})
    done = project.merge_request(**facts(gitlab))
    assert done.codes == {"mlgate-run": 0, "mlgate-judge": 1}, done.text
    assert "in setup: <>" in done.said("mlgate-run")
    assert "hello from before_script" in done.said("mlgate-run")
    assert "hello from before_script" not in done.said("mlgate-judge")
    assert done.dotenv("mlgate-judge")["MLGATE_VERDICT"] == "fail"
    reports = done.artifact("mlgate-judge")
    assert int(junit(reports).get("failures", "0")) > 0
    assert not (reports / "evidence" / "other").exists()
    handed = sorted(p.name for p in done.artifact("mlgate-run").rglob("*") if p.is_file())
    assert handed == ["doctor.json", "prepare.json", "train.json"]
    assert "was not written: GITLAB_TOKEN may not (403: 403 Forbidden)" in done.said("mlgate-judge")
    assert TOKEN not in done.text


def test_the_note_is_written_once_and_kept_up_to_date(project: Project, gitlab: GitLabOfOurs) -> None:
    project.include("compare")
    project.include("report", statuses=True)
    project.push()
    gitlab.sha = project.candidate("worse")
    give_token(project)
    done = project.merge_request(**facts(gitlab))
    assert done.codes == {"mlgate-compare": 1, "mlgate-report": 1}, done.text
    (note,) = gitlab.comments
    assert "**doctor-visits: fail.**" in note["body"]
    assert {(s["sha"], s["status"]) for s in gitlab.statuses} == {(MERGE, "failed")}
    gitlab.sha = project.candidate("better")
    done = project.merge_request(**facts(gitlab))
    assert done.codes == {"mlgate-compare": 0, "mlgate-report": 0}, done.text
    (note,) = gitlab.comments
    assert "doctor-visits: pass" in note["body"]
    assert gitlab.problems == []
    assert TOKEN not in done.text


def test_when_setup_fails_the_judge_judges_and_says_so(project: Project, gitlab: GitLabOfOurs) -> None:
    project.include(setup="echo not today && false", remote=False)
    project.push()
    project.candidate("better")
    project.as_the_runner_clones()
    done = project.merge_request(CI_API_V4_URL=gitlab.url)
    assert done.codes["mlgate-run"] == 1, done.text
    assert done.codes["mlgate-judge"] == 2
    assert done.dotenv("mlgate-judge")["MLGATE_VERDICT"] == "error"
    evidence = done.artifact("mlgate-judge") / "evidence" / "doctor-visits" / "compare.json"
    wrong = [c["id"] for c in json.loads(evidence.read_text("utf-8"))["checks"] if c["verdict"] == "error"]
    assert wrong == ["integrity.handed.train"], "the comparison itself is fine"


# -- data and training: a project with a real DVC

# kind -> verdict of the run job's steps, and the judge's verdict and exit code
CHANGES = {
    "good": ({"doctor": "pass", "validate-data": "pass", "train": "pass"}, "pass", 0),
    "bad-data": ({"validate-data": "fail"}, "fail", 1),
    "stale": ({"train": "error"}, "error", 2),
    "unpushed": ({"train": "fail"}, "fail", 1),
    "hand-edited": ({"train": "error"}, "error", 2),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_what_its_data_and_its_lock_say(
    kind: trained.Kind, trained_project: Project, gitlab: GitLabOfOurs
) -> None:
    project = trained_project
    project.include()
    project.push()
    gitlab.sha = trained.Trained(project.remote.parent).change(kind)
    project.publish_branch()
    project.as_the_runner_clones()
    give_token(project)
    done = project.merge_request(**facts(gitlab))
    verdicts, verdict, code = CHANGES[kind]
    assert done.codes["mlgate-judge"] == code, done.text
    assert (done.codes["mlgate-run"] == 0) is (code == 0)
    assert done.dotenv("mlgate-judge")["MLGATE_VERDICT"] == verdict
    found = done.artifact("mlgate-judge") / "evidence" / "visits"
    assert {verb: json.loads((found / f"{verb}.json").read_text())["verdict"] for verb in verdicts} == verdicts
    [note] = gitlab.comments
    assert ("| 301 | age = -3 |" in note["body"]) is (kind == "bad-data")


def test_a_champion_of_other_rows_is_scored_again_for_a_judge_without_data(
    rows_project: Project, gitlab: GitLabOfOurs
) -> None:
    project = rows_project
    project.include()
    project.push()
    repo = builder.Repo(project.remote.parent / "project")
    prepared.change(repo, data=prepared.rows(20_000, 400, 5))
    gitlab.sha = repo.head
    project.publish_branch()
    project.as_the_runner_clones()
    done = project.merge_request(**facts(gitlab))
    found = done.artifact("mlgate-judge") / "evidence" / "visits"
    made = json.loads((found / "prepare.json").read_text())
    assert made["verdict"] == "pass", done.text
    assert "champion scored again on holdout" in {one["role"] for one in made["inputs"]}
    compared = {c["id"]: c for c in json.loads((found / "compare.json").read_text())["checks"]}
    assert compared["integrity.handed.prepare"]["verdict"] == "pass"
    assert compared["rules.regret.threshold"]["rows"] == 400, "computed from the rows, which are in no commit"
    assert not (done.artifact("mlgate-judge") / "inputs").exists(), "rows are no report"
    assert (done.artifact("mlgate-run") / "inputs/made/visits/holdout.champion.csv").exists()


def test_evidence_that_a_commit_carries_is_not_believed(trained_project: Project, gitlab: GitLabOfOurs) -> None:
    """Its own job fails at once, and the commit brings what a good one would have left."""
    project = trained_project
    project.include(setup="false")
    project.push()
    trained.Trained(project.remote.parent).change("good")
    for verb in ("doctor", "validate-data", "train"):
        project.repo.write(f".mlgate/evidence/visits/{verb}.json", {"kind": verb, "model": "visits", "verdict": "pass"})
    project.push("Bring evidence")
    project.as_the_runner_clones()
    done = project.merge_request(CI_API_V4_URL=gitlab.url)
    assert done.codes["mlgate-judge"] == 2, done.text
    assert "git rm -r --cached .mlgate" in done.said("mlgate-judge")
    evidence = done.artifact("mlgate-judge") / "evidence" / "visits"
    assert [file.name for file in evidence.iterdir()] == ["compare.json"]


def test_training_is_proposed_as_one_merge_request(trained_project: Project, gitlab: GitLabOfOurs) -> None:
    """By the job that runs none of it and alone has the token."""
    project = trained_project
    project.include("train", verify="reproduce", push=True, commit="pull-request", setup='echo "token <$GITLAB_TOKEN>"')
    project.repo.write("params.yaml", "train:\n  smoothing: 2\n")
    base = project.push("Ask for another model")
    give_token(project)
    ours = {"CI_SERVER_URL": f"https://{HOST}", "CI_PROJECT_URL": f"https://{HOST}/{PROJECT}"}
    of_a_request = ("CI_MERGE_REQUEST", "CI_PIPELINE_SOURCE")
    known = {key: value for key, value in facts(gitlab).items() if not key.startswith(of_a_request)}
    done = project.run(source="schedule", **known | ours)
    assert done.codes == {"mlgate-train": 0, "mlgate-commit": 0}, done.text
    assert "token <>" in done.said("mlgate-train")
    [merge] = gitlab.merges
    git = project.repo.git
    git("fetch", "--quiet", f"file://{project.remote}", f"refs/heads/{merge['source_branch']}")
    assert git("rev-parse", "FETCH_HEAD^") == base
    assert git("diff", "--name-only", base, "FETCH_HEAD").split() == ["dvc.lock", "metrics/eval.json"]
    assert TOKEN not in done.text
    assert "mlgate-commit;" not in project.run("--list-csv", source="push").out


# -- the default branch, and schedules


def test_hand_edited_metrics_are_an_error_on_the_default_branch(project: Project) -> None:
    project.include("compare")
    before = project.push()
    project.candidate("hand-edited")
    project.land()
    done = project.run(CI_COMMIT_BEFORE_SHA=before)
    assert done.codes == {"mlgate-compare": 2}, done.text
    env = done.dotenv("mlgate-compare")
    assert (env["MLGATE_VERDICT"], env["MLGATE_PASSED"], env["MLGATE_EXIT_CODE"]) == ("error", "false", "2")
    assert_harmless(env)
    assert "dvc.lock" in done.said("mlgate-compare")


def test_a_schedule_judges_in_a_folder_without_uv(project: Project) -> None:
    project.uv = False
    folder = "services/visits"
    lay_traps(project)
    project.repo.model(folder=folder)
    project.include("compare", working_directory=folder)
    project.push("Add another model")
    project.repo.model({"auc": 0.73, "log_loss": 0.57}, folder=folder)
    project.push("Train it better")
    done = project.run(source="schedule")
    assert done.codes == {"mlgate-compare": 0}, done.text
    env = done.artifact("mlgate-compare", f"{folder}/.mlgate/mlgate.env").read_text("utf-8")
    assert env.startswith("MLGATE_VERDICT=pass\n")


# -- beginning


def test_init_by_hand_leaves_the_files_to_commit(project: Project) -> None:
    (project.repo.path / "mlgate.yaml").unlink()
    project.include("init")
    project.push()
    done = project.run("--manual", "mlgate-init", source="web")
    assert done.codes == {"mlgate-init": 0}, done.text
    written = yaml.safe_load(done.artifact("mlgate-init", "mlgate.yaml").read_text("utf-8"))
    assert written["mode"] == "report"
    assert written["evaluate"]
