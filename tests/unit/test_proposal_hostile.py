"""Proposals tampered with in every way we could think of: each is refused with one sentence, and nothing is used."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proposal_samples import BETTER, POINTER, Project

from builder import md5
from mlgate.errors import MlgateError
from mlgate.repo import proposal
from mlgate.repo.git import Git
from mlgate.repo.owned import Owned
from mlgate.repo.plain import inside, one_line


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def refused(project: Project, **more: Any) -> str:
    with pytest.raises(MlgateError) as error:
        project.read(**more)
    said = str(error.value)
    assert "nothing was committed" in said or "there is no proposal" in said
    assert "\n" not in said
    assert said.isprintable()
    return said


# -- paths


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("src/train.py", "not code"),
        (".github/workflows/evil.yml", "not a plain path"),
        (".gitlab-ci.yml", "not a plain path"),
        (".git/config", "not a plain path"),
        (".GIT/hooks/post-checkout", "not a plain path"),
        ("git~1/config", "not a plain path"),
        ("data/.gitattributes", "not a plain path"),
        (".gitmodules", "not a plain path"),
        (".dvc/config", "hidden files and CI configuration"),
        (".pre-commit-config.yaml", "hidden files and CI configuration"),
        ("Jenkinsfile", "hidden files and CI configuration"),
        ("dvc.yaml", "pipelines, rules, parameters and dependencies"),
        ("mlgate.yaml", "pipelines, rules, parameters and dependencies"),
        ("models/eu/mlgate.base.yml", "pipelines, rules, parameters and dependencies"),
        ("params.yaml", "pipelines, rules, parameters and dependencies"),
        ("requirements.txt", "pipelines, rules, parameters and dependencies"),
        ("pyproject.toml", "pipelines, rules, parameters and dependencies"),
        ("models/visits.joblib", "not code"),
        ("data/test.csv", "DVC keeps it in its cache"),
        ("metrics/other.json", "neither a dvc.yaml nor an mlgate.yaml lists it"),
        ("README.md", "neither a dvc.yaml nor an mlgate.yaml lists it"),
        ("new/dvc.lock", "there is no dvc.yaml beside it"),
        ("data/new.csv.dvc", "a new one is a person's decision"),
        ("src/.gitignore", "no output of DVC lies beside it"),
        ("metrics/eval.json/x.json", "is a file, a link or a submodule"),
        ("../outside.json", "not a plain path"),
        ("/etc/passwd", "not a plain path"),
        ("metrics//eval.json", "not a plain path"),
        ("metrics/./eval.json", "not a plain path"),
        ("metrics/../dvc.lock", "not a plain path"),
        ("metrics\\eval.json", "not a plain path"),
        ("metrics/eval.json ", "not a plain path"),
        ("metrics/eval\n.json", "not a plain path"),
        ("metrics/\u202elave.json", "not a plain path"),
        ("metrics/e\u0301val.json", "not a plain path"),
        ("metrics/" + "x" * 300 + ".json", "not a plain path"),
        ("Metrics/eval.json", "differs from metrics/eval.json only in case"),
    ],
)
def test_a_path_that_training_does_not_make(project: Project, path: str, said: str) -> None:
    project.forge({path: b"{}"})
    assert said in refused(project)


def test_deletions_are_of_the_same_kind(project: Project) -> None:
    for path in ("src/train.py", "dvc.yaml", ".github/workflows/x.yml", "metrics/never.json"):
        project.forge({path: None})
        refused(project)
    for path in ("dvc.lock", "data/raw.csv.dvc", "data/.gitignore"):
        project.forge({path: None})
        assert "training deletes no such file" in refused(project)
    project.forge({"metrics/eval.json": None})
    assert project.read().files == {"metrics/eval.json": None}


def test_a_path_twice_or_as_file_and_folder(project: Project) -> None:
    project.forge({"metrics/eval.json": BETTER})
    project.edit(lambda m: m["files"].append(m["files"][0]))
    assert "names a path twice" in refused(project)
    project.forge({"reports": b"{}", "reports/a.json": b"{}"})
    assert "both as a file and as a folder" in refused(project)


@pytest.mark.parametrize("how", ["link", "folder link"])
def test_what_the_commit_has_as_a_link_stays_one(project: Project, how: str) -> None:
    metrics = project.repo.path / "metrics"
    (metrics / "eval.json").unlink()
    if how == "link":
        (metrics / "eval.json").symlink_to("../src/train.py")
    else:
        metrics.rmdir()
        metrics.symlink_to("src")
    project.base = project.repo.commit("Link")
    project.forge({"metrics/eval.json": BETTER})
    assert "link" in refused(project)


def test_only_what_the_base_commit_lists_counts(project: Project) -> None:
    """A dvc.yaml that the job itself wrote into its working tree owns nothing."""
    project.repo.write("dvc.yaml", "stages: {x: {cmd: x, metrics: [{src/train.json: {cache: false}}]}}")
    project.repo.write("mlgate.yaml", (project.repo.path / "mlgate.yaml").read_text().replace("eval.json", "x.json"))
    project.forge({"src/train.json": b"{}"})
    assert "neither a dvc.yaml nor an mlgate.yaml lists it" in refused(project)
    project.forge({"metrics/x.json": b"{}"})
    assert "neither a dvc.yaml nor an mlgate.yaml lists it" in refused(project)


def test_what_a_caller_vouches_for(project: Project) -> None:
    project.forge({"metrics/profile.json": b"{}"})
    assert "lists it" in refused(project)
    assert project.read(allow=["metrics/profile.json"]).files == {"metrics/profile.json": b"{}"}
    for path in ("mlgate.yaml", "dvc.yaml", ".github/workflows/x.yml"):
        project.forge({path: b"{}"})
        refused(project, allow=[path])
    project.forge({"conf/model.yaml": b"x: 1"})
    assert "rules" in refused(project, configs=["conf/model.yaml"], allow=["conf/model.yaml"])


# -- what DVC and mlgate.yaml own

STAGES = """\
stages:
  each:
    foreach: [eu, us]
    do:
      cmd: python src/train.py ${item}
      wdir: sub
      deps:
        - in-${item}.json
        - shared.json
      outs:
        - model-${item}
        - report/notes.md: {cache: false}
      metrics:
        - scores/${item}.json: {cache: false}
        - ${item}.json: {cache: false}
      plots:
        - plots: {cache: false}
        - cached-plots
metrics: [top.json]
plots:
  - curves.csv: {x: a}
  - A title: {y: {x.csv: b}}
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("p/dvc.lock", "lock"),
        ("p/top.json", "metrics"),
        ("p/curves.csv", "output"),
        ("p/sub/report/notes.md", "output"),
        ("p/sub/plots/deep/roc.svg", "output"),
        ("p/sub/scores/eu.json", "metrics"),
        ("p/sub/.gitignore", "ignore"),
        ("p/sub/plots/evil.py", "not code"),
        ("p/sub/cached-plots/a.svg", "DVC keeps it in its cache"),
        ("p/sub/model-eu", "not code"),
        ("p/sub/scores/eu/x.json", "lists it"),
        ("p/sub/scores/.hidden.json", "hidden"),
        ("p/sub/shared.json", "lists it"),
        ("p/A title", "not code"),
        ("top.json", "lists it"),
    ],
)
def test_owned(project: Project, path: str, kind: str) -> None:
    project.repo.write("p/dvc.yaml", STAGES)
    project.repo.write("p/sub/shared.json", "{}")
    owned = Owned(Git(project.repo.path).at(project.repo.commit()))
    if kind in ("lock", "metrics", "output", "ignore"):
        assert owned.kind(path) == kind
    else:
        with pytest.raises(MlgateError, match=kind):
            owned.kind(path)


def test_a_template_reaches_no_file_that_people_wrote(project: Project) -> None:
    project.repo.write("p/dvc.yaml", STAGES)
    project.repo.write("p/sub/settings.json", "{}")
    owned = Owned(Git(project.repo.path).at(project.repo.commit()))
    assert owned.kind("p/sub/eu.json") == "metrics"
    with pytest.raises(MlgateError, match="lists it"):
        owned.kind("p/sub/settings.json")


def test_metrics_that_only_mlgate_yaml_lists(project: Project) -> None:
    project.repo.write("dvc.yaml", "stages: {}")
    project.repo.commit("No stage makes it any more")
    assert Owned(Git(project.repo.path).at(project.repo.head)).kind("metrics/eval.json") == "metrics"


# -- contents


def lock(project: Project, change: Callable[[dict[str, Any]], object]) -> bytes:
    value = yaml.safe_load((project.repo.path / "dvc.lock").read_text())
    change(value)
    return yaml.safe_dump(value, sort_keys=False).encode()


BOMB = b"a: &a [x, x]\n" + b"".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n".encode() for n in range(24)
)


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("dvc.lock", b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> theirs\n", "conflict markers"),
        ("dvc.lock", b"stages: [", "cannot be read as YAML"),
        ("dvc.lock", b"\xff\xfe", "cannot be read as YAML"),
        ("dvc.lock", b"- 1", "not a mapping"),
        ("dvc.lock", b"", "not a mapping"),
        ("dvc.lock", b"stages: {train: 1}", "no mapping of stages"),
        ("dvc.lock", b"stages: {a: &a {x: 1}, b: *a}", "aliases"),
        ("dvc.lock", b"!!python/object/apply:os.system ['true']", "cannot be read as YAML"),
        ("dvc.lock", b"stages: {a: {outs: [{path: d, files: [{relpath: ../../.bashrc}]}]}}", "leaves its folder"),
        pytest.param("dvc.lock", BOMB, "aliases", id="bomb"),
        pytest.param("dvc.lock", b"stages: " + b"[" * 100_000, "nested too deeply", id="deep flow"),
        pytest.param("dvc.lock", b"- " * 100_000, "nested too deeply", id="deep lists"),
        pytest.param("dvc.lock", b"? " * 100_000, "nested too deeply", id="deep keys"),
        ("metrics/eval.json", b'{"auc": NaN}', "auc is not a finite number"),
        ("metrics/eval.json", b'{"auc": Infinity}', "auc is not a finite number"),
        ("metrics/eval.json", b'{"auc": [0.5, -Infinity]}', "auc is not a finite number"),
        ("metrics/eval.json", b'{"auc": 1e999}', "auc is not a finite number"),
        ("metrics/eval.json", b'{"auc": 1' + b"0" * 400 + b"}", "auc is not a finite number"),
        ("metrics/eval.json", b'{"auc": 0.7, "auc": 0.9}', "twice"),
        ("metrics/eval.json", b'{"auc": ', "cannot be read"),
        ("metrics/eval.json", b"[1]", "a metrics file is a mapping"),
        ("metrics/eval.json", b"", "cannot be read"),
        pytest.param("metrics/eval.json", b"[" * 5_000, "deep", id="deep json"),
        ("metrics/eval.json", b'{"auc": ' + b"[" * 900 + b"1" + b"]" * 900 + b"}", "deep|is not the file"),
        ("metrics/eval.json", b'{"auc": 0.99}', "is not the file that dvc.lock attests"),
        ("data/.gitignore", b"/test.csv\n/train.csv\n*\n", "changes '\\*'"),
        ("data/.gitignore", b"/test.csv\n/train.csv\n!/secret\n", "no output of DVC"),
        ("data/.gitignore", b"/test.csv\n/../src\n", "no output of DVC"),
        ("data/.gitignore", b"\xff", "not text"),
    ],
)
def test_contents_that_training_does_not_make(project: Project, path: str, data: bytes, said: str) -> None:
    project.forge({path: data})
    with pytest.raises(MlgateError, match=said) as error:
        project.read()
    assert "nothing was committed" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["outs"][0].update(path="../../.github/workflows/x.yml"),
        lambda p: p["outs"].append({"md5": "b" * 32, "path": "more"}),
        lambda p: p.update(cmd="curl evil"),
        lambda p: p.update(wdir=".."),
        lambda p: p.update(deps=[{"path": "x", "repo": {"url": "https://evil", "rev_lock": "1"}}]),
        lambda p: p["outs"][0].update(remote="evil"),
        lambda p: p["outs"][0].update(push=False),
    ],
)
def test_a_pointer_may_change_in_its_digests_only(project: Project, change: Callable[[dict[str, Any]], object]) -> None:
    pointer = json.loads(json.dumps(POINTER))
    pointer["outs"][0] |= {"md5": "b" * 32, "size": 6}
    project.forge({"data/raw.csv.dvc": yaml.safe_dump(pointer).encode()})
    assert list(project.read().files) == ["data/raw.csv.dvc"]
    change(pointer)
    project.forge({"data/raw.csv.dvc": yaml.safe_dump(pointer).encode()})
    assert "changes more than digests" in refused(project)


def test_dvc_may_ignore_another_of_its_outputs(project: Project) -> None:
    project.repo.write("models/.gitignore", "/visits.joblib\n")
    project.base = project.repo.commit()
    project.forge({"data/.gitignore": b"/train.csv\n/test.csv\n/raw.csv\n"})
    assert list(project.read().files) == ["data/.gitignore"]


def test_metrics_are_those_of_the_lock_that_comes_with_them(project: Project) -> None:
    project.forge({"metrics/eval.json": BETTER})
    assert "is not the file that dvc.lock attests" in refused(project)
    project.forge(project.files)
    assert set(project.read().files) == {"metrics/eval.json", "dvc.lock"}
    project.forge({"dvc.lock": lock(project, lambda v: v["stages"]["evaluate"]["outs"][0].update(md5=md5(b"x")))})
    assert "dvc.lock: attests another metrics/eval.json than the commit would have" in refused(project)
    project.forge({"dvc.lock": lock(project, lambda v: v["stages"]["train"]["outs"][0].update(md5=md5(b"x")))})
    assert set(project.read().files) == {"dvc.lock"}


def test_a_lock_whose_output_may_not_be_proposed_is_not_committed_without_it(project: Project) -> None:
    """A commit in which lock and code disagree would be worse than none."""
    text = (project.repo.path / "dvc.yaml").read_text()
    project.repo.write("dvc.yaml", text.replace("metrics/eval.json", "src/made.py"))
    project.repo.write("src/made.py", "x = 1\n")
    value = yaml.safe_load((project.repo.path / "dvc.lock").read_text())
    value["stages"]["evaluate"]["outs"] = [{"path": "src/made.py", "hash": "md5", "md5": md5(b"x = 1\n"), "size": 6}]
    project.repo.write("dvc.lock", yaml.safe_dump(value, sort_keys=False))
    project.base = project.repo.commit("A stage that writes code")
    value["stages"]["evaluate"]["outs"][0]["md5"] = md5(b"x = 2\n")
    project.forge({"dvc.lock": yaml.safe_dump(value, sort_keys=False).encode()})
    assert "attests another src/made.py" in refused(project)


def test_what_git_filters_is_not_committed_from_bytes(project: Project) -> None:
    project.repo.write(".gitattributes", "metrics/*.json filter=lfs diff=lfs merge=lfs -text\n")
    project.base = project.repo.commit()
    project.forge(project.files)
    assert "gives to the filter lfs" in refused(project)


# -- the manifest


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(schema=2),
        lambda m: m.update(schema="1"),
        lambda m: m.update(schema=True),
        lambda m: m.pop("schema"),
        lambda m: m.update(more=1),
        lambda m: m.update(base="HEAD"),
        lambda m: m.update(base="a" * 39),
        lambda m: m.update(models=[]),
        lambda m: m.update(models=["../x"]),
        lambda m: m.update(models=["a\nMlgate-Base: x"]),
        lambda m: m.update(files={}),
        lambda m: m["files"][0].update(mode="100755"),
        lambda m: m["files"][0].update(sha256="A" * 64),
        lambda m: m["files"][0].update(sha256="../../proposal.json"),
        lambda m: m["files"][0].update(size=-1),
        lambda m: m["files"][0].update(size=1.5),
        lambda m: m["files"][0].update(path=7),
        lambda m: m["files"][0].update(path=""),
        lambda m: m.update(message=""),
        lambda m: m.update(message="x" * 201),
        lambda m: m.update(message="Train\n\nCo-authored-by: Mallory <m@example.org>"),
        lambda m: m.update(message="Train [skip ci]"),
        lambda m: m.update(message="Train [CI SKIP]"),
        lambda m: m.update(message="Train [no ci]"),
        lambda m: m.update(message="Train [skip actions]"),
        lambda m: m.update(message="Train ***NO_CI***"),
        lambda m: m.update(message="Fixes #1"),
        lambda m: m.update(message="Look @mona"),
        lambda m: m.update(message="Closes GH-1"),
        lambda m: m.update(message="\x1b[31mred"),
    ],
)
def test_a_manifest_that_is_none(project: Project, change: Callable[[dict[str, Any]], object]) -> None:
    project.write()
    assert project.read().files
    project.edit(change)
    refused(project)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"schema": NaN}',
        '{"schema": 1, "schema": 1}',
        pytest.param("[" * 100_000, id="deep"),
        '"\ud800"',
        "\x00",
        "1" * 5000,
    ],
)
def test_a_manifest_that_is_not_even_json(project: Project, text: str) -> None:
    project.write()
    (project.folder / "proposal.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(project)


def test_another_commit_than_the_one_checked_out(project: Project) -> None:
    project.write()
    project.repo.commit("Somebody was quicker")
    assert f"was trained from commit {project.base[:12]}" in refused(project)


# -- the folder


def test_no_folder_and_a_link_to_one(project: Project, tmp_path: Path) -> None:
    assert "there is no proposal" in refused(project)
    project.write()
    project.folder.rename(tmp_path / "real")
    project.folder.symlink_to(tmp_path / "real")
    assert "there is no proposal" in refused(project)


@pytest.mark.parametrize("where", ["proposal.json", "files", "a file"])
def test_links_are_not_followed(project: Project, where: str, tmp_path: Path) -> None:
    project.write()
    path = project.folder / where if where != "a file" else next((project.folder / "files").iterdir())
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    refused(project)


@pytest.mark.parametrize("where", ["proposal.json", "a file"])
def test_nothing_waits_for_a_pipe(project: Project, where: str) -> None:
    project.write()
    path = project.folder / where if where != "a file" else next((project.folder / "files").iterdir())
    path.unlink()
    os.mkfifo(path)
    assert "something else than a file" in refused(project)


def test_files_that_are_not_what_they_are_called(project: Project) -> None:
    project.write()
    file = next((project.folder / "files").iterdir())
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b"!")
    assert "bytes are not those" in refused(project)
    file.write_bytes(data + b" ")
    assert "bytes are not those" in refused(project)
    file.unlink()
    assert "has no readable file" in refused(project)
    file.mkdir()
    assert "files/" in refused(project)


def test_more_than_the_manifest_names(project: Project) -> None:
    project.write()
    (project.folder / "files" / "extra").write_text("x")
    assert "'extra', which proposal.json does not name" in refused(project)
    (project.folder / "files" / "extra").unlink()
    (project.folder / "run.sh").write_text("x")
    assert "'run.sh', which proposal.json does not name" in refused(project)


def test_sizes_are_limited_one_by_one_and_together(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write()
    monkeypatch.setattr(proposal, "FILE_LIMIT", len(BETTER) - 1)
    assert "octets" in refused(project)
    monkeypatch.undo()
    monkeypatch.setattr(proposal, "TOTAL_LIMIT", len(BETTER))
    assert "in all" in refused(project)
    monkeypatch.undo()
    monkeypatch.setattr(proposal, "MANIFEST_LIMIT", 10)
    assert "of more than 10 octets" in refused(project)


def test_too_many_files(project: Project) -> None:
    project.forge({})
    project.edit(lambda m: m.update(files=[{"path": f"metrics/{n}.json"} for n in range(proposal.COUNT_LIMIT + 1)]))
    assert "too long" in refused(project) or "at most" in refused(project)


# -- properties


@given(st.text())
def test_a_plain_path_names_one_place(path: str) -> None:
    try:
        inside(path)
    except MlgateError:
        return
    assert os.path.normpath(path) == path
    assert not os.path.isabs(path)
    assert not any(part.lower().startswith(".git") for part in path.split("/") if part != ".gitignore")


@given(st.text(max_size=300))
def test_a_message_is_one_line(message: str) -> None:
    try:
        one_line(message)
    except MlgateError:
        return
    assert len(message.splitlines()) == 1
    assert "@" not in message or not message.split("@")[1][:1].isalnum()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1), st.one_of(st.none(), st.binary(max_size=40)), max_size=3))
def test_whatever_is_proposed_is_refused_in_one_sentence_or_owned(project: Project, files: dict[str, Any]) -> None:
    try:
        project.forge({path.encode("utf-8", "replace").decode(): data for path, data in files.items()})
        found = project.read()
    except MlgateError as error:
        assert str(error).isprintable()  # noqa: PT017 -- both ends are fine
        return
    assert set(found.files) <= {"dvc.lock", "metrics/eval.json"}
