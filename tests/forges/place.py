"""A project that is hosted on a forge, cloned as a job has it, and trained again: all that committing back needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from builder import Repo, environment, md5
from forges.conftest import quick
from forges.fake_forge import TOKEN, FakeForge, FakeGitHub, FakeGitLab
from forges.git_host import GitHost
from mlgate.commands._propose import Done, How, commit_back
from mlgate.commands._run import Run
from mlgate.forges import detect
from mlgate.repo import proposal
from mlgate.repo.git import Git

BETTER = {"auc": 0.75, "log_loss": 0.55}
GITLAB_TOKEN, JOB_TOKEN = "glpat-made-up", "glcbt-64_made-up"
READERS = {f"gitlab-ci-token:{JOB_TOKEN}"}
WRITERS = {f"x-access-token:{TOKEN}", f"oauth2:{GITLAB_TOKEN}"}


class Place:
    """`fake` answers the API, `host` holds the repository, `repo` is the clone of the job."""

    def __init__(self, tmp_path: Path, fake: FakeForge, host: GitHost) -> None:
        self.tmp_path, self.fake, self.host = tmp_path, fake, host
        self.folder = tmp_path / "proposal"
        origin = Repo(tmp_path / "people")
        origin.model()
        origin.write("data/.gitignore", "/test.csv\n/train.csv\n")
        origin.commit("Model")
        origin.git("push", "--quiet", str(host.bare), "main")
        self.people = origin
        self.repo = self.clone()

    def clone(self, *options: str, branch: str = "main") -> Repo:
        path = self.tmp_path / f"job-{sum(1 for p in self.tmp_path.iterdir() if p.name.startswith('job-'))}"
        self.people.git("clone", "--quiet", f"--branch={branch}", *options, f"file://{self.host.bare}", str(path))
        repo = Repo(path)
        repo.git("remote", "set-url", "origin", f"{self.host.url}/acme/visits")
        return repo

    def environ(self, repo: Repo, **more: str) -> dict[str, str]:
        """What a job for a push to main finds."""
        if isinstance(self.fake, FakeGitHub):
            payload = {"before": "0" * 40, "created": True, "repository": {"default_branch": "main"}}
            ours = {"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": repo.head, "GITHUB_SERVER_URL": self.host.url}
            return self.fake.environ("push", payload) | ours | more
        assert isinstance(self.fake, FakeGitLab)
        ours = {
            "CI_PIPELINE_SOURCE": "push",
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_SHA": repo.head,
            "CI_SERVER_URL": self.host.url,
            "CI_PROJECT_URL": f"{self.host.url}/acme/visits",
        }
        return self.fake.environ() | ours | more

    def trained(self, metrics: dict[str, float] | None = None, repo: Repo | None = None) -> None:
        """Leave the proposal of a training run with these metrics."""
        at = repo or self.repo
        text = Repo(self.tmp_path / "scratch").write("m.json", dict(metrics or BETTER)).read_bytes()
        lock = yaml.safe_load((at.path / "dvc.lock").read_text())
        lock["stages"]["evaluate"]["outs"][0]["md5"] = md5(text)
        files = {"metrics/eval.json": text, "dvc.lock": yaml.safe_dump(lock, sort_keys=False).encode()}
        proposal.write(self.folder, Git(at.path), base=at.head, files=files, model="visits")

    def run(self, repo: Repo | None = None, **more: str) -> Run:
        at = repo or self.repo
        forge = detect(self.environ(at, **more))
        if forge.name != "none":
            quick(forge)
        return Run(at.path, Git(at.path, forge.fetch_env()), forge, [])

    def back(self, how: How = "pull-request", *, repo: Repo | None = None, env: Any = None, **more: Any) -> Done:
        return commit_back(self.run(repo, **(env or {})), self.folder, how=how, **more)

    def requests(self) -> list[dict[str, Any]]:
        """Pull or merge requests, in one shape."""
        if isinstance(self.fake, FakeGitHub):
            return [
                {
                    "head": p["head"]["ref"],
                    "base": p["base"]["ref"],
                    "body": p["body"],
                    "title": p["title"],
                    "labels": [label["name"] for label in p["labels"]],
                }
                for p in self.fake.pulls
            ]
        assert isinstance(self.fake, FakeGitLab)
        return [
            {
                "head": m["source_branch"],
                "base": m["target_branch"],
                "body": m["description"],
                "title": m["title"],
                "labels": m["labels"],
            }
            for m in self.fake.merges
        ]

    def person(self, branch: str, file: str = "notes.md", *, onto: str = "") -> str:
        """Somebody pushes a commit to a branch."""
        self.people.git("fetch", "--quiet", str(self.host.bare), "+refs/heads/*:refs/remotes/host/*")
        self.people.git("checkout", "--quiet", "--detach", f"host/{onto or branch}")
        self.people.write(file, f"by a person on {branch}\n")
        sha = self.people.commit("Look into it")
        self.people.git("push", "--quiet", str(self.host.bare), f"{sha}:refs/heads/{branch}")
        return sha


def clean(monkeypatch: Any) -> None:
    """This process as a job has it: no configuration and no identity of whoever runs the tests."""
    import os  # noqa: PLC0415

    kept = environment()
    for name in set(os.environ) - set(kept):
        monkeypatch.delenv(name)
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    for role in ("AUTHOR", "COMMITTER"):
        for what in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{what}")
