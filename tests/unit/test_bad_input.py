"""Whatever is wrong with what a gate is given, it ends in exit code 2, a sentence that names the place, and evidence.

Each case is a real process on a real repository, in a terminal and in the job of a pull request. Mistakes inside
mlgate.yaml have their sentences tested one by one in test_config_errors.py; here is one of each kind, end to end.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from builder import MLGATE, ROOT, Repo, consumer, edit, environment
from jobs import Job

SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/schema/evidence.schema.json").read_text()))
FILES = {
    ".gitignore",
    "annotations.json",
    "evidence",
    "junit.xml",
    "metrics.txt",
    "mlgate.env",
    "report.html",
    "report.md",
    "summary.md",
}
PNG = b"\x89PNG\r\n\x1a\n\0\xff"
BETTER = {"auc": 0.9, "log_loss": 0.1}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return consumer(tmp_path / "repo")


def config(before: str, after: str) -> Callable[[Repo], None]:
    def spoil(repo: Repo) -> None:
        assert before in MLGATE
        repo.write("mlgate.yaml", MLGATE.replace(before, after))

    return spoil


def metrics(text: str) -> Callable[[Repo], None]:
    """A model whose pipeline really wrote this."""
    return lambda repo: repo.model(text)


def file(path: str, content: bytes) -> Callable[[Repo], None]:
    def spoil(repo: Repo) -> None:
        repo.write(path, content)

    return spoil


def link(path: str, to: str) -> Callable[[Repo], None]:
    def spoil(repo: Repo) -> None:
        at = repo.path / path
        at.unlink() if at.is_file() else shutil.rmtree(at)
        at.symlink_to(to)

    return spoil


def champion(spoil: Callable[[Repo], None]) -> Callable[[Repo], None]:
    """The base has it; the change itself is fine."""

    def build(repo: Repo) -> None:
        repo.git("checkout", "--quiet", "main")
        spoil(repo)
        repo.commit()
        repo.git("checkout", "--quiet", "-B", "change")
        repo.model(BETTER)

    return build


# What is wrong, then what is said. In both places of work the sentence is the same.
CASES: dict[str, tuple[Callable[[Repo], None], str]] = {
    "misspelt key": (
        config("threshold: 0.70", "treshold: 0.70"),
        "mlgate.yaml:13: compare.rules.auc.treshold is not a key. Did you mean `threshold`?",
    ),
    "unknown key": (config("mode: enforce", "colour: red"), "mlgate.yaml:3: colour is not a key. The keys here are"),
    "wrong type": (
        config("threshold: 0.70", 'threshold: "0.70"'),
        'mlgate.yaml:13: compare.rules.auc.threshold must be a number, but is the text `"0.70"`. Remove the quotes',
    ),
    "not YAML": (config("  rules:", "  rules: ["), "mlgate.yaml:14 is not YAML: did not find expected ',' or ']'."),
    "same key twice": (
        config("    log_loss:", "    auc: {threshold: 0}\n    log_loss:"),
        "mlgate.yaml:14: compare.rules.auc is given twice; the first is on line 13.",
    ),
    "mlgate.yaml empty": (file("mlgate.yaml", b""), "mlgate.yaml is empty."),
    "mlgate.yaml binary": (file("mlgate.yaml", PNG), "mlgate.yaml is not text: byte 0x89 at offset 0 is not UTF-8."),
    "mlgate.yaml linked": (link("mlgate.yaml", "/etc/passwd"), "mlgate.yaml is a symbolic link"),
    "metrics outside": (
        config("metrics/eval.json", "../eval.json"),
        "mlgate.yaml:9: evaluate.holdout.metrics[0] is `../eval.json`, outside the repository.",
    ),
    "metrics absolute": (
        config("metrics/eval.json", "/etc/eval.json"),
        "mlgate.yaml:9: evaluate.holdout.metrics[0] is",
    ),
    "metrics missing": (
        config("metrics/eval.json", "metrics/other.json"),
        "metrics/other.json is not in the challenger's commit",
    ),
    "metrics deleted": (
        lambda repo: (repo.path / "metrics/eval.json").unlink(),
        "metrics/eval.json is not in the challenger's commit",
    ),
    "metrics linked": (link("metrics/eval.json", "/etc/passwd"), "metrics/eval.json is a symbolic link."),
    "metrics folder linked": (link("metrics", "/etc"), "metrics/eval.json is not in the challenger's commit"),
    "metrics binary": (file("metrics/eval.json", PNG), "The challenger's metrics/eval.json is not text (UTF-8)"),
    "metrics cut short": (metrics('{"auc": 0.9'), "The challenger's metrics/eval.json cannot be read as JSON: "),
    "metrics empty": (metrics(""), "The challenger's metrics/eval.json is empty: nothing was measured."),
    "metric twice": (
        metrics('{"auc": 0.5, "log_loss": 0.1, "auc": 0.9}'),
        "The challenger's metrics/eval.json has the key 'auc' twice; which one counts cannot be known.",
    ),
    "metric absent": (metrics('{"log_loss": 0.1}'), "auc is missing in the challenger's metrics/eval.json."),
    "metric NaN": (metrics('{"auc": NaN, "log_loss": 0.1}'), "auc is NaN in the challenger's metrics/eval.json."),
    "metric infinite": (
        metrics('{"auc": Infinity, "log_loss": 0}'),
        "auc is infinite in the challenger's metrics/eval",
    ),
    "metric text": (metrics('{"auc": "0.9", "log_loss": 0.1}'), "auc is the text '0.9'"),
    "metric list": (metrics('{"auc": [0.9], "log_loss": 0.1}'), "auc is a list"),
    "metric beyond numbers": (
        metrics(f'{{"auc": 1{"0" * 400}, "log_loss": 0.1}}'),
        "auc is too large to be a measurement in the challenger's metrics/eval.json.",
    ),
    "lock binary": (file("dvc.lock", PNG), "dvc.lock cannot be read as YAML: "),
    "lock linked": (link("dvc.lock", "/etc/passwd"), "dvc.lock is a symbolic link."),
    "pipeline cut short": (file("dvc.yaml", b"stages: {train: {cmd: ["), "dvc.yaml cannot be read as YAML: "),
    "parameters linked": (link("params.yaml", "/etc/passwd"), "params.yaml is a symbolic link."),
    "champion without metrics": (
        champion(lambda repo: (repo.path / "metrics/eval.json").unlink()),
        "has a model but no metrics/eval.json.",
    ),
    "champion corrupt": (champion(metrics("{broken")), "The champion's metrics/eval.json cannot be read as JSON: "),
    "champion NaN": (champion(metrics('{"auc": NaN, "log_loss": 0.5}')), "auc is NaN in the champion's metrics/eval"),
}


def reasons(repo: Repo, model: str = "visits") -> list[str]:
    """The error checks of whole and valid evidence."""
    evidence = repo.evidence(model)
    SCHEMA.validate(evidence)
    assert evidence["verdict"] == "error"
    return [c["reason"] for c in evidence["checks"] if c["verdict"] == "error"]


def only_whole_files(repo: Repo) -> None:
    state = repo.path / ".mlgate"
    assert {path.name for path in state.iterdir()} <= FILES
    assert [p.suffix for p in state.glob("evidence/*/*")] == [".json"] * len(list(state.glob("evidence/*")))
    assert (state / "report.html").read_text().rstrip().endswith("</html>")
    assert (state / "mlgate.env").read_text() == "MLGATE_VERDICT=error\nMLGATE_PASSED=false\nMLGATE_EXIT_CODE=2\n"


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("place", ["terminal", "pull request"])
@pytest.mark.parametrize("case", CASES)
def test_it_is_one_sentence_exit_2_and_evidence(repo: Repo, tmp_path: Path, case: str, place: str) -> None:
    spoil, said = CASES[case]
    spoil(repo)
    repo.commit("Spoil it")
    job = Job(repo, tmp_path / "job") if place == "pull request" else None
    done = repo.mlgate("compare", **(job.environ if job else {}))
    assert (done.returncode, done.stderr) == (2, "")
    model = next((repo.path / ".mlgate/evidence").iterdir()).name
    assert model in ("visits", "mlgate.yaml")  # the second where a name cannot be read
    assert sum(said in reason for reason in reasons(repo, model)) >= 1, reasons(repo, model)
    assert said in flat(done.stdout)
    only_whole_files(repo)
    if job:
        assert job.outputs["verdict"] == "error"
        assert (job.outputs["passed"], job.outputs["exit-code"]) == ("false", "2")
        assert "::error file=" in done.stdout
        assert job.summary.startswith("> [!CAUTION]\n> **")


@pytest.mark.parametrize(
    ("args", "model", "said"),
    [
        (["--config", "models/x/mlgate.yaml"], "models-x-mlgate.yaml", "there is no models/x/mlgate.yaml in this"),
        (["--config", "../mlgate.yaml"], "mlgate.yaml", "--config '../mlgate.yaml' leaves the repository."),
        (["--config", "/etc/passwd"], "etc-passwd", "--config '/etc/passwd' leaves the repository."),
        (["--champion", "gone"], "visits", "'gone' is not a commit of this clone and could not be fetched"),
        (["--champion", "--upload-pack=touch x"], "visits", "'--upload-pack=touch x' is not a commit of this clone"),
    ],
)
def test_an_option_that_names_what_is_not_there(repo: Repo, args: list[str], model: str, said: str) -> None:
    repo.model(BETTER)
    repo.commit()
    done = repo.mlgate("compare", *args)
    assert (done.returncode, done.stderr) == (2, "")
    assert len(reasons(repo, model)) == 1
    assert said in reasons(repo, model)[0]
    assert said in flat(done.stdout)
    only_whole_files(repo)


def pushed(repo: Repo, job: Job, *, before: str, forced: bool) -> dict[str, str]:
    """The job of a push to main."""
    repo.git("checkout", "--quiet", "-B", "main")
    event = {
        "ref": "refs/heads/main",
        "before": before,
        "after": repo.head,
        "forced": forced,
        "repository": {"full_name": "acme/visits", "default_branch": "main"},
    }
    Path(job.environ["GITHUB_EVENT_PATH"]).write_text(json.dumps(event))
    no_base = {"GITHUB_BASE_REF": "", "GITHUB_HEAD_REF": "", "GITHUB_REF": "refs/heads/main"}
    return {**job.environ, **no_base, "GITHUB_EVENT_NAME": "push", "GITHUB_SHA": repo.head}


@pytest.mark.parametrize(
    ("forced", "said"),
    [
        (True, "the push was forced, and the commit before it (ddddddd"),
        (False, "is not a commit of this clone and could not be fetched"),
    ],
)
def test_a_base_that_is_gone(repo: Repo, tmp_path: Path, forced: bool, said: str) -> None:
    repo.model(BETTER)
    repo.commit()
    environ = pushed(repo, Job(repo, tmp_path / "job"), before="d" * 40, forced=forced)
    done = repo.mlgate("compare", **environ)
    assert (done.returncode, done.stderr) == (2, "")
    assert said in reasons(repo)[0]
    only_whole_files(repo)


def test_a_target_branch_that_is_gone(repo: Repo, tmp_path: Path) -> None:
    repo.model(BETTER)
    repo.commit()
    head = repo.head
    job = Job(repo, tmp_path / "job")
    repo.git("checkout", "--quiet", "--detach", head)  # as with `ref: head.sha`: no merge commit to take a base from
    repo.git("branch", "--quiet", "-D", "main")
    done = repo.mlgate("compare", **job.environ)
    assert (done.returncode, done.stderr) == (2, "")
    assert "'main' is not a commit of this clone and could not be fetched" in reasons(repo)[0]


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_an_object_of_git_that_cannot_be_read(repo: Repo, how: str) -> None:
    repo.model(BETTER)
    repo.commit()
    blob = repo.git("rev-parse", "HEAD:metrics/eval.json")
    at = repo.path / ".git/objects" / blob[:2] / blob[2:]
    at.unlink()
    if how == "damaged":
        at.write_bytes(b"not an object")
    done = repo.mlgate("compare")
    assert (done.returncode, done.stderr) == (2, "")
    assert f"git object {blob[:12]} is missing or damaged" in reasons(repo)[0]
    only_whole_files(repo)


@pytest.mark.parametrize("verb", ["compare", "doctor", "init"])
def test_no_repository_and_nothing_is_left_behind(tmp_path: Path, verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlgate", verb],
        cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT / "scripts")), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path} is not inside a git repository")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["compare", "doctor"])
def test_no_commit_yet(tmp_path: Path, verb: str) -> None:
    repo = Repo(tmp_path / "repo")
    repo.write("mlgate.yaml", MLGATE)
    done = repo.mlgate(verb)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: this repository has no commit yet. A gate reads commits. Commit first.\n"
    assert sorted(p.name for p in repo.path.iterdir()) == [".git", "mlgate.yaml"]


@pytest.mark.parametrize("verb", ["compare", "report", "doctor", "init"])
@pytest.mark.parametrize("room", [0, 500])
def test_a_full_disk_leaves_nothing_half_written(repo: Repo, verb: str, room: int) -> None:
    repo.model(BETTER)
    repo.commit()
    if verb == "report":
        assert repo.mlgate("compare").returncode == 0
    if verb == "init":
        (repo.path / "mlgate.yaml").unlink()
    before = everything(repo)
    done = subprocess.run(
        [sys.executable, "-m", "mlgate", verb],
        cwd=repo.path,
        env=environment(PYTHONPATH=str(ROOT / "scripts"), PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot write {repo.path}")
    assert len(done.stderr.splitlines()) == 1
    after = everything(repo)
    assert {path: after[path] for path in before} == before
    assert [path for path in after if path not in before and after[path] == b""] == []
    assert [path for path in after if path.name.startswith(".") and path.name != ".gitignore"] == []


def everything(repo: Repo) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in repo.path.rglob("*") if p.is_file() and ".git" not in p.parts}


@pytest.mark.parametrize("path", [".mlgate", ".mlgate/evidence", ".mlgate/evidence/visits"])
def test_what_is_left_behind_follows_no_link(repo: Repo, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    theirs = outside / Path(".mlgate/evidence/visits/compare.json").relative_to(path)
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    at = repo.path / path
    at.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(outside, at)
    done = repo.mlgate("compare")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {path} is a symbolic link; mlgate writes only where it works. Remove it.\n"
    assert [p for p in outside.rglob("*") if p.is_file()] == [theirs]
    assert theirs.read_text() == "theirs"


def test_a_file_in_the_place_of_the_folder(repo: Repo) -> None:
    repo.write(".mlgate", "mine\n")
    done = repo.mlgate("compare")
    assert done.returncode == 2
    assert "/.mlgate/evidence/visits/compare.json (Not a directory)." in done.stderr
    assert (repo.path / ".mlgate").read_text() == "mine\n"


def test_a_forge_that_does_not_answer_changes_no_verdict(repo: Repo, tmp_path: Path) -> None:
    repo.model(BETTER)
    repo.commit()
    job = Job(repo, tmp_path / "job")
    assert repo.mlgate("compare", **job.environ).returncode == 0
    done = repo.mlgate("report", **job.environ, GITHUB_TOKEN="ghs_secret")
    assert (done.returncode, done.stderr) == (0, "")
    assert "note: The status was not set: 127.0.0.1 cannot be reached.\n" in done.stdout
    assert "note: The comment was not written: 127.0.0.1 cannot be reached.\n" in done.stdout
    assert "The comment was not written" in job.summary
    assert "ghs_secret" not in done.stdout + job.summary
    evidence: dict[str, Any] = repo.evidence()
    SCHEMA.validate(evidence)
    assert evidence["verdict"] == "pass"


@pytest.mark.parametrize("file", ["dvc.lock", "dvc.yaml", "params.yaml", "metrics/eval.yaml", "mlgate.yaml"])
@pytest.mark.parametrize(
    "text", ["a: " + "[" * 100_000, "- " * 100_000, "\n".join(" " * n + "a:" for n in range(1_000))]
)
def test_a_file_that_is_nested_without_end_is_an_error_and_no_crash(tmp_path: Path, file: str, text: str) -> None:
    repo = consumer(tmp_path / "repo")
    edit(repo, "mlgate.yaml", lambda c: c["evaluate"]["holdout"]["metrics"].append("metrics/eval.yaml"))
    repo.write("metrics/eval.yaml", "f1: 0.5\n")
    repo.write(file, text)
    repo.commit()
    done = repo.mlgate("compare")
    assert done.returncode == 2
    assert "nested" in done.stdout + done.stderr
