"""doctor against the real DVC: a folder remote, an S3 server, and every way in which they fail people."""

from __future__ import annotations

import shutil
import stat
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import builder
from setup.projects import DVC_ENV, dvc, set_remote

pytestmark = pytest.mark.dvc
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "hunter2secret", "AWS_DEFAULT_REGION": "us-east-1"}
NO_AWS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_MAX_ATTEMPTS": "1",
}


class Seen(dict[str, dict[str, Any]]):
    """Checks by what follows `setup.`, and the rest of the evidence."""

    evidence: dict[str, Any]
    exit_code: int
    printed: str


def doctor(repo: builder.Repo, *args: str, **env: str) -> Seen:
    done = repo.mlgate("doctor", *args, **{**DVC_ENV, **NO_AWS, **env})
    assert "Traceback" not in done.stderr, done.stderr
    seen = Seen()
    seen.evidence = repo.evidence(verb="doctor")
    seen.update({c["id"].removeprefix("setup."): c for c in seen.evidence["checks"]})
    seen.exit_code, seen.printed = done.returncode, done.stdout + done.stderr
    return seen


def test_a_project_that_is_ready(project: builder.Repo) -> None:
    seen = doctor(project)
    assert {key: c["verdict"] for key, c in seen.items() if c["verdict"] != "pass"} == {}
    assert (seen.evidence["verdict"], seen.exit_code) == ("pass", 0)
    assert seen.evidence["not_run"] == [
        "The required checks, merge queue and reviews: this is a terminal, and only a job on the forge may ask it."
    ]
    assert seen["pushed"]["reason"].startswith("3 pointers")
    assert seen["tools.dvc"]["reason"].startswith("DVC 3.")
    assert "brings 0 bytes" in seen["disk"]["reason"]  # all of it is in the cache


def test_what_was_never_pushed(project: builder.Repo) -> None:
    """One file of a folder is lost in the remote: DVC without `--granular` looks only for the folder's listing."""
    for file in (project.path.parent / "remote").rglob("*"):
        if file.is_file() and file.read_bytes() == b"a\n":
            file.unlink()
    seen = doctor(project)
    assert seen["pushed"]["verdict"] == "fail"
    assert "`models/visits/MLmodel`: not in `storage`" in seen["pushed"]["reason"]
    assert seen["pushed"]["fix"] == "dvc push --remote storage"
    assert seen.exit_code == 1


def test_an_empty_remote_asks_whether_the_address_is_right(project: builder.Repo) -> None:
    remote = project.path.parent / "remote"
    shutil.rmtree(remote)
    remote.mkdir()
    seen = doctor(project)
    assert seen["pushed"]["verdict"] == "fail"
    assert "right address" in seen["pushed"]["reason"]


def test_a_folder_remote_that_is_not_mounted(project: builder.Repo) -> None:
    """DVC itself would say that everything is missing, and exit with 0."""
    shutil.rmtree(project.path.parent / "remote")
    seen = doctor(project)
    assert seen["remote"]["verdict"] == "error"
    assert "is not there" in seen["remote"]["reason"]
    assert "pushed" not in seen
    assert seen.exit_code == 2


def test_no_remote_at_all(project: builder.Repo) -> None:
    project.write(".dvc/config", "")
    seen = doctor(project)
    assert seen["remote"]["verdict"] == "warn"
    assert "dvc remote add -d" in seen["remote"]["fix"]
    assert "pushed" not in seen


def test_a_fresh_clone_needs_all_the_bytes(project: builder.Repo) -> None:
    shutil.rmtree(project.path / ".dvc/cache")
    size = sum(len((project.path / p).read_bytes()) for p in ("data/train.csv", "data/test.csv"))
    size += sum(f.stat().st_size for f in (project.path / "models/visits").iterdir())
    seen = doctor(project, "--remote", "false")
    assert f"brings {2 * size / 1e3:.1f} kB" in seen["disk"]["reason"]
    assert "What the DVC remote holds: it was not asked (`remote` is false)." in seen.evidence["not_run"]
    assert "pushed" not in seen


def test_no_dvc_anywhere(project: builder.Repo, tmp_path: Path) -> None:
    """mlgate runs in an environment that has a dvc, and does not use that one."""
    for name in ("git", "env", "sh"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    seen = doctor(project, PATH=str(tmp_path / "bin"))
    assert seen["tools.dvc"]["verdict"] == "warn"
    assert "no `dvc` on PATH" in seen["tools.dvc"]["reason"]
    assert "The DVC remote: there is no DVC to ask it with." in seen.evidence["not_run"]
    assert "at least" not in seen["disk"]["reason"]


def test_the_named_interpreter_is_the_one_that_is_asked(project: builder.Repo, tmp_path: Path) -> None:
    wrong = tmp_path / "python"
    wrong.write_text("#!/bin/sh\necho 'no module named dvc' >&2\nexit 1\n")
    wrong.chmod(wrong.stat().st_mode | stat.S_IXUSR)
    seen = doctor(project, "--python", str(wrong), "--remote", "false")
    assert "-m dvc --version` does not work (no module named dvc)" in seen["tools.dvc"]["reason"]
    seen = doctor(project, "--remote", "false", MLGATE_PYTHON=sys.executable, PATH="/usr/bin:/bin")
    assert seen["tools.dvc"]["verdict"] == "pass"


def test_a_dvc_from_long_ago(project: builder.Repo, tmp_path: Path) -> None:
    old = tmp_path / "dvc"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 2.10.0 && exit\necho "invalid choice" >&2\nexit 254\n')
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    seen = doctor(project, PATH=f"{tmp_path}:{DVC_ENV['PATH']}")
    assert seen["tools.dvc"]["verdict"] == "fail"
    assert "2.10.0" in seen["tools.dvc"]["reason"]


# -- S3 ------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(project: builder.Repo, s3: str, request: pytest.FixtureRequest) -> str:
    name = "b" + "".join(c for c in request.node.name if c.isalnum())[-40:]
    put = urllib.request.Request(f"{s3}/{name}", method="PUT")  # noqa: S310 -- a loopback server
    put.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")
    urllib.request.urlopen(put, timeout=10).close()  # noqa: S310
    set_remote(project, f"s3://{name}/visits", endpointurl=s3)
    return name


def test_s3(project: builder.Repo, bucket: str) -> None:
    seen = doctor(project, **AWS)
    assert seen["pushed"]["verdict"] == "fail"
    dvc(project, "push", "--quiet", **AWS)
    seen = doctor(project, **AWS)
    assert seen["pushed"]["verdict"] == "pass"
    assert seen["remote"]["reason"] == f"`storage`: s3://{bucket}/visits"


def test_s3_without_credentials_is_what_the_policy_says(project: builder.Repo, bucket: str) -> None:
    seen = doctor(project)
    assert seen["pushed"]["verdict"] == "warn"
    assert "no credentials for remote `storage`" in seen["pushed"]["reason"]
    assert any("Unable to locate credentials" in sentence for sentence in seen.evidence["not_run"])
    assert seen.exit_code == 0
    project.write("mlgate.yaml", (project.path / "mlgate.yaml").read_text() + "  policy: {no_credentials: error}\n")
    assert doctor(project).exit_code == 2


def test_s3_down_is_one_sentence(project: builder.Repo) -> None:
    set_remote(project, "s3://bucket/visits", endpointurl="http://127.0.0.1:9")
    seen = doctor(project, **AWS)
    assert seen["pushed"]["verdict"] == "error"
    assert "cannot be reached: Could not connect to the endpoint URL" in seen["pushed"]["reason"]
    assert seen.exit_code == 2


def test_a_plugin_that_the_project_lacks(project: builder.Repo) -> None:
    set_remote(project, "gs://bucket/visits")
    seen = doctor(project)
    assert seen["pushed"]["verdict"] == "error"
    assert seen["pushed"]["fix"].endswith('-m pip install "dvc[gs]"')


def test_no_secret_of_a_remote_is_shown_anywhere(project: builder.Repo) -> None:
    set_remote(project, "https://ada:hunter2secret@127.0.0.1:9/x")
    seen = doctor(project, **AWS)
    assert seen["pushed"]["verdict"] == "error"
    assert "(https://***@127.0.0.1:9/x) cannot be reached" in seen["pushed"]["reason"]
    left = [f for f in (project.path / ".mlgate").rglob("*") if f.is_file() and b"hunter2secret" in f.read_bytes()]
    assert left == []
    assert "hunter2secret" not in seen.printed
