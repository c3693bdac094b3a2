"""The commit that a proposal becomes, how it is known again, and what git says when it is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from proposal_samples import BETTER, Project

from builder import Repo
from mlgate.repo import commit, push
from mlgate.repo.git import Git
from mlgate.repo.push import Identity

BOT = Identity("mlgate-bot", "mlgate-bot@noreply.example.org")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def build(project: Project, files: dict[str, bytes | None], *, model: str = "visits", base: str = "") -> str:
    built = commit.build(
        Git(project.repo.path), base or project.base, files, title="Train", models=[model], by=BOT, now=1_800_000_000
    )
    assert built is not None
    return built.commit


def test_the_same_arguments_give_the_same_commit(project: Project) -> None:
    assert build(project, project.files) == build(project, project.files)


def test_the_tree_is_that_of_git_itself(project: Project) -> None:
    sha = build(project, {**project.files, "plots/new dir/ü.json": b"{}", "params.yaml": None})
    project.repo.git("read-tree", sha)
    project.repo.git("checkout-index", "--all", "--force", f"--prefix={project.folder}/")
    assert (project.folder / "metrics/eval.json").read_bytes() == BETTER
    assert (project.folder / "plots/new dir/ü.json").read_bytes() == b"{}"
    assert not (project.folder / "params.yaml").exists()
    assert (project.folder / "src/train.py").read_bytes() == (project.repo.path / "src/train.py").read_bytes()
    assert project.repo.git("fsck", "--strict", "--no-dangling") == ""


def test_line_ends_and_filters_of_the_runner_change_nothing(project: Project) -> None:
    project.repo.git("config", "core.autocrlf", "true")
    project.repo.write(".git/info/attributes", "* text eol=crlf ident\n")
    sha = build(project, {"metrics/eval.json": b'{"auc": 1}\r\n'})
    shown = Git(project.repo.path).at(sha).read("metrics/eval.json")
    assert shown == b'{"auc": 1}\r\n'


def test_an_executable_file_becomes_a_plain_one(project: Project) -> None:
    (project.repo.path / "metrics/eval.json").chmod(0o755)
    base = project.repo.commit("Executable")
    sha = build(project, {"metrics/eval.json": BETTER}, base=base)
    assert Git(project.repo.path).at(sha).files["metrics/eval.json"].mode == "100644"


def test_nothing_is_left_in_the_repository_but_objects(project: Project) -> None:
    project.repo.git("config", "core.splitIndex", "true")
    before = {p: p.read_bytes() for p in (project.repo.path / ".git").rglob("*") if p.is_file()}
    build(project, project.files)
    after = {p for p in (project.repo.path / ".git").rglob("*") if p.is_file()}
    assert {p.relative_to(project.repo.path).parts[:2] for p in after - set(before)} == {(".git", "objects")}
    assert all(p.read_bytes() == data for p, data in before.items())


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    path.mkdir()
    Repo(tmp_path / "other").git("init", "--quiet", "--object-format=sha256", "--initial-branch=main", str(path))
    repo = Repo(path)
    repo.model()
    base = repo.commit()
    built = commit.build(
        Git(path), base, {"metrics/eval.json": BETTER}, title="Train", models=["visits"], by=BOT, now=1_800_000_000
    )
    assert built is not None
    assert len(built.commit) == 64
    assert commit.is_ours(Git(path), built.commit)


def test_no_difference_no_commit(project: Project) -> None:
    same = (project.repo.path / "metrics/eval.json").read_bytes()
    git = Git(project.repo.path)
    assert commit.build(git, project.base, {"metrics/eval.json": same}, title="x", models=["a"], by=BOT, now=1) is None


# -- inputs


def test_inputs_are_what_training_does_not_make(project: Project) -> None:
    git = Git(project.repo.path)
    before = commit.inputs(git, project.base)
    assert commit.inputs(git, build(project, project.files)) == before
    for path in ("src/train.py", "params.yaml", "dvc.yaml", "mlgate.yaml", "data/raw.csv.dvc", "new.txt"):
        assert commit.inputs(git, build(project, {path: b"a: 1\n"})) != before


def test_models_that_take_turns_do_not_go_on_for_ever(project: Project) -> None:
    one = build(project, project.files, model="one")
    two = build(project, {"metrics/eval.json": b'{"auc": 0.1}'}, model="two", base=one)
    git = Git(project.repo.path)
    assert commit.trained(git, two, ["one"]) == one
    assert commit.trained(git, two, ["two"]) == two
    assert commit.trained(git, two, ["three"]) == ""
    assert commit.trained(git, project.base, ["one"]) == ""


def test_a_trailer_in_a_title_is_none(project: Project) -> None:
    sha = project.repo.commit("Mlgate-Train: visits")
    assert commit.mark(Git(project.repo.path), sha) is None


def test_trailers_that_lie_about_the_tree_are_not_ours(project: Project) -> None:
    sha = build(project, project.files)
    text = project.repo.git("log", "-1", "--format=%B", sha)
    project.repo.git("reset", "--quiet", "--hard")
    project.repo.write("src/train.py", "# theirs\n")
    project.repo.git("add", "--all")
    project.repo.git("commit", "--quiet", "--message", text)
    git = Git(project.repo.path)
    assert commit.mark(git, project.repo.head) is not None
    assert not commit.is_ours(git, project.repo.head)
    assert commit.foreign(git, project.repo.head, project.base) == [f"{project.repo.head[:7]} Train (Ada)"]


def test_a_run_link_is_no_place_for_more_trailers(project: Project) -> None:
    git = Git(project.repo.path)
    for url in ("https://x/\nMlgate-Tree: 0", "https://x/ y"):
        built = commit.build(git, project.base, project.files, title="x", models=["a"], by=BOT, now=1, run_url=url)
        assert built is not None
        assert "Mlgate-Run" not in project.repo.git("log", "-1", "--format=%B", built.commit)


def test_blob_ids_are_those_of_git(project: Project) -> None:
    made = hashlib.sha1(b"blob %d\0" % len(BETTER) + BETTER, usedforsecurity=False).hexdigest()
    sha = build(project, {"metrics/eval.json": BETTER})
    assert Git(project.repo.path).at(sha).files["metrics/eval.json"].blob == made


# -- refusals


@pytest.mark.parametrize(
    ("said", "why", "words"),
    [
        ("!\ta:refs/heads/main\t[rejected] (fetch first)\nerror: failed to push some refs", "moved", "fetch first"),
        ("!\ta:refs/heads/main\t[rejected] (stale info)", "moved", "stale info"),
        (
            "remote: error: GH006: Protected branch update failed for refs/heads/main.\nremote: error: Changes must be "
            "made through a pull request.\n!\ta:b\t[remote rejected] (protected branch hook declined)",
            "protected",
            "Changes must be made through a pull request",
        ),
        ("remote: error: GH013: Repository rule violations found for refs/heads/main.", "protected", "GH013"),
        ("remote: GitLab: You are not allowed to push code to protected branches on this project.", "protected", "You"),
        (
            "remote: Permission to acme/visits.git denied to github-actions[bot].\nfatal: unable to access "
            "'https://github.com/acme/visits/': The requested URL returned error: 403",
            "forbidden",
            "denied to github-actions",
        ),
        ("remote: You are not allowed to upload code.\nfatal: error: 403", "forbidden", "not allowed to upload"),
        (
            "remote: Repository not found.\nfatal: repository 'https://x/' not found",
            "forbidden",
            "Repository not found",
        ),
        (
            "remote: HTTP Basic: Access denied.\nfatal: Authentication failed for 'https://x'",
            "unauthenticated",
            "denied",
        ),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "unauthenticated", "Username"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "unreachable", "Could not resolve host"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 502", "unreachable", "502"),
        ("remote: pre-receive says no\n!\ta:b\t[remote rejected] (pre-receive hook declined)", "refused", "says no"),
        ("", "refused", "no answer"),
        ("remote: \x1b[31m" + "x" * 1000, "refused", "…"),
    ],
)
def test_refusals_are_told_apart(said: str, why: str, words: str) -> None:
    error = push.classify(said)
    assert error.why == why
    assert words in error.said
    assert error.said.isprintable()
    assert len(error.said) <= 300


def test_a_server_that_hiccups_is_tried_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    git = Git(project.repo.path)
    remote = push.Remote("http://127.0.0.1:9/nothing")
    with pytest.raises(push.PushError) as error:
        push.push(git, remote, project.base, "main", instead_of="", sleep=waits.append)
    assert error.value.why == "unreachable"
    assert waits == [1.0, 2.0]
