"""A project on GitLab without GitLab: its repository, its remote, and gitlab-ci-local to run its pipelines."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import tools
from builder import Repo, environment
from example import consumer

from .templates import FOLDER, ROOT

HOST = "gitlab.example.com"
PROJECT = "acme/visits"
IID = 7
_EXIT = re.compile(r"^(\S+) +finished in .*?(?:FAIL (\d+))?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Pipeline:
    """What came of one pipeline: the exit code of each job that ran, all that was printed, and the jobs' artifacts."""

    out: str
    text: str  # with what went to stderr
    codes: dict[str, int]
    state: Path

    def artifact(self, job: str, path: str = ".mlgate") -> Path:
        return self.state / "artifacts" / job / path

    def said(self, job: str) -> str:
        """What the job printed."""
        lines = (line for line in self.text.splitlines() if line.startswith(f"{job} "))
        return "\n".join(re.sub(r"^\S+ +> ?", "", line) for line in lines)

    def dotenv(self, job: str) -> dict[str, str]:
        """What GitLab reads of it: no blank lines, comments or other characters in names."""
        lines = self.artifact(job, ".mlgate/mlgate.env").read_text("utf-8").splitlines()
        assert all(re.fullmatch(r"[A-Za-z0-9_]+=.*", line) for line in lines)
        return dict(line.split("=", 1) for line in lines)


@dataclass(eq=False)
class Project:
    """A repository whose remote is GitLab, as far as git, gitlab-ci-local and the jobs can tell."""

    repo: Repo
    remote: Path
    variables: dict[str, str] = field(default_factory=dict)
    uv: bool = True  # whether the runner's image has uv

    @classmethod
    def copy_of(cls, other: Path, home: Path) -> Project:
        """`other` holds `project`, `origin.git` and `bin` with uv and dvc in it, made once for all tests."""
        shutil.copytree(other, home, symlinks=True, dirs_exist_ok=True)
        project = cls(Repo(home / "project"), home / "origin.git")
        gitconfig = home / "gitconfig"
        gitconfig.write_text(f'[url "file://{project.remote}"]\n\tinsteadOf = https://{HOST}/{PROJECT}.git\n', "utf-8")
        project.variables = {
            "GIT_CONFIG_GLOBAL": str(gitconfig),
            "CI_JOB_TOKEN": "job-token-0000",
            "CI_COMMIT_BEFORE_SHA": "0" * 40,
        }
        return project

    def include(self, name: str = "ml-pipeline", *, by: str = "local", more: str = "", **inputs: Any) -> None:
        """Write .gitlab-ci.yml as a user does; `more` is what else is in it."""
        given = {"mlgate-source": self.variables["WHEEL"], **{k.replace("_", "-"): v for k, v in inputs.items()}}
        caller = self.repo.path / ".gitlab-ci.yml"
        known = yaml.safe_load(caller.read_text("utf-8"))["include"] if caller.exists() else []
        entry = {**self._address(name, by), "inputs": given}
        caller.write_text(more + yaml.safe_dump({"include": [*known, entry]}, sort_keys=False), "utf-8")

    def _address(self, name: str, by: str) -> dict[str, str]:
        file = f"{name}.gitlab-ci.yml"
        if by == "local":
            self._place(name, f"gitlab-templates/{file}")
            return {"local": f"/gitlab-templates/{file}"}
        if by == "component":
            self._place(name, f"templates/{name}.yml")
            return {"component": f"$CI_SERVER_FQDN/$CI_PROJECT_PATH/{name}@$CI_COMMIT_SHA"}
        if by == "remote":
            self._place(name, f".gitlab-ci-local/includes/{HOST}/mlgate/raw/v1/{file}")
            return {"remote": f"https://{HOST}/mlgate/raw/v1/{file}"}
        self.publish("mlgate/mlgate", "v1", name)
        return {"project": "mlgate/mlgate", "ref": "v1", "file": f"/gitlab-templates/{file}"}

    def publish(self, project: str, ref: str, name: str) -> None:
        """Put a template where gitlab-ci-local keeps what it has fetched of another project."""
        self._place(name, f".gitlab-ci-local/includes/{HOST}/{project}/{ref}/gitlab-templates/{name}.gitlab-ci.yml")

    def _place(self, name: str, path: str) -> None:
        target = self.repo.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOLDER / f"{name}.gitlab-ci.yml", target)

    def push(self, message: str = "Call the gate") -> str:
        """Commit everything on the branch that is checked out; the remote gets it."""
        sha = self.repo.commit(message)
        self.publish_branch()
        return sha

    def candidate(self, kind: consumer.Kind, *, start: str = "main", branch: str = "candidate") -> str:
        """A branch with one commit that trains the model anew, checked out and pushed."""
        if self.repo.git("branch", "--list", branch):  # the merge request is changed
            self.repo.git("switch", "--quiet", start)
            self.repo.git("branch", "--quiet", "--delete", "--force", branch)
        sha = consumer.challenger(self.repo.path, kind, start=start, branch=branch)
        self.publish_branch()
        return sha

    def land(self, branch: str = "candidate") -> None:
        """Merge the branch into main."""
        self.repo.git("switch", "--quiet", "main")
        self.repo.git("merge", "--quiet", "--ff-only", branch)
        self.publish_branch()

    def publish_branch(self) -> None:
        """The remote gets the branch that is checked out."""
        branch = self.repo.git("branch", "--show-current")
        self.repo.git("push", "--quiet", f"file://{self.remote}", f"+{branch}:{branch}")
        self.repo.git("update-ref", f"refs/remotes/origin/{branch}", "HEAD")

    def as_the_runner_clones(self) -> None:
        """Only the newest commit, on no branch."""
        git = self.repo.git
        git("switch", "--quiet", "--detach")
        (self.repo.path / ".git" / "shallow").write_text(f"{self.repo.head}\n", "utf-8")
        for ref in git("for-each-ref", "--format=%(refname)").splitlines():
            git("update-ref", "-d", ref)
        git("reflog", "expire", "--expire=now", "--all")
        git("gc", "--quiet", "--prune=now")
        assert git("rev-list", "--count", "--all", "HEAD") == "1"

    def run(self, *arguments: str, source: str = "push", **variables: str) -> Pipeline:
        """A pipeline of the commit that is checked out."""
        given = {"CI_PIPELINE_SOURCE": source, **self.variables, **variables}
        given.pop("WHEEL", None)
        command = [*tools.gitlab_ci_local(), "--no-color", "--force-shell-executor", "--shell-isolation"]
        command += ["--no-artifacts-to-source"]
        command += ["--home", str(self.remote.parent), "--ignore-predefined-vars", ",".join(given)]
        for name, value in given.items():
            command += ["--variable", f"{name}={value}"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.repo.path,
            env=environment(PATH=self._path(), TMPDIR=str(self.remote.parent)),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        text = done.stdout + done.stderr
        codes = {job: int(code or 0) for job, code in _EXIT.findall(text) if job != "pipeline"}
        if done.returncode and not any(codes.values()):
            codes[""] = done.returncode  # no job ran: the pipeline was refused
        return Pipeline(done.stdout, text, codes, self.repo.path / ".gitlab-ci-local")

    def merge_request(self, *arguments: str, **variables: str) -> Pipeline:
        """A pipeline for the merge request of the commit that is checked out, into main."""
        mine = {
            "CI_MERGE_REQUEST_IID": str(IID),
            "CI_MERGE_REQUEST_PROJECT_ID": "1217",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1217",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "candidate",
            "CI_COMMIT_SHA": self.repo.head,
        }
        unset = ["--unset-variable", "CI_COMMIT_BRANCH"]
        return self.run(*unset, *arguments, source="merge_request_event", **(mine | variables))

    def _path(self) -> str:
        """PATH as on a runner: without this interpreter's own scripts, and with uv or without."""
        own = str(Path(sys.executable).parent)
        rest = [p for p in os.environ["PATH"].split(":") if p != own and not (Path(p) / "uv").exists()]
        return ":".join([str(self.remote.parent / "bin"), *rest] if self.uv else rest)


def uv() -> Path:
    """The uv that is there, else the one that requirements/uv.txt pins."""
    beside = str(Path(sys.executable).parent)
    if found := shutil.which("uv") or shutil.which("uv", path=beside):
        return Path(found)
    pins = ROOT / "requirements" / "uv.txt"
    home = tools.cache() / f"uv-{hashlib.sha256(pins.read_bytes()).hexdigest()[:16]}"
    if not (home / "bin" / "uv").exists():
        fresh = tempfile.mkdtemp(prefix=".uv-", dir=tools.cache())
        options = ["--quiet", "--no-deps", "--require-hashes", "--target", fresh, "--requirement", str(pins)]
        subprocess.run(["python3", "-I", "-m", "pip", "install", *options], check=True)
        try:
            Path(fresh).rename(home)
        except OSError:  # another worker was faster
            shutil.rmtree(fresh)
    return home / "bin" / "uv"
