"""A champion that was measured on other data is scored again on the challenger's, in an environment of its own."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import pytest

import builder
from mlgate.errors import MlgateError
from mlgate.train import locked
from train import prepared, projects
from train.prepared import RESCORE, Seen

SCORE = "    score: python src/predict.py {model} {data} {predictions}\n"
NEW = prepared.rows(20_000, 90, 5)


def table(file: Path, key: str = "id") -> dict[str, dict[str, str]]:
    return {row[key]: row for row in csv.DictReader(file.read_text().splitlines())}


@pytest.mark.dvc
def test_on_a_fresh_runner(compared: builder.Repo, tmp_path: Path) -> None:
    """The champion's own model, by its own code, on the new rows; its old predictions come out as committed."""
    prepared.settle(compared, prepared.config(more=prepared.ENTRY + RESCORE))
    prepared.change(compared, data=NEW)
    compared.write("src/predict.py", "raise SystemExit('the challenger has no such code any more')\n")
    compared.commit("Forget how to score")
    runner = projects.clone(compared, tmp_path / "runner")
    runner.git("fetch", "--quiet", "origin", "main:main")
    before = projects.data_of(runner)
    seen = Seen(runner)
    assert seen.verdict == "pass", seen.reasons
    assert (
        "its own 120 predictions come out as they are committed"
        in seen.checks["prepare.rescore.holdout.champion"]["reason"]
    )
    made = table(seen.folder / "made/visits/holdout.champion.csv")
    assert set(made) == set(table(seen.file("labels of holdout"))) == {str(20_000 + i) for i in range(90)}
    theirs = table(seen.file("predictions of holdout (challenger)"))
    assert all(made[i]["p_visit"] != theirs[i]["p_visit"] for i in made)
    assert "champion scored again on holdout" in seen.inputs
    assert [s["name"] for s in seen.evidence["stages"]] == ["evaluate.holdout.score (champion)"] * 2
    assert seen.verdict_of("entry.holdout.regret.champion") == "pass", "its values are those of the new rows"
    assert seen.checks["prepare.entry.holdout.regret.champion"]["rows"] == 90
    assert projects.data_of(runner) == before


@pytest.mark.dvc
@pytest.mark.parametrize(
    ("edits", "code", "said"),
    [
        ([(SCORE, "")], "", "has no evaluate.holdout.score"),
        ([(" {data} ", " data/test.csv ")], "", "has no {data}, so it scores the same data each time"),
        ([], "open(out, 'a', newline='').write('99,0.5\\r\\n')", "other predictions than it committed"),
        ([], "raise SystemExit('no such package')", "no such package"),
        ([("train: {", "train: {requirements: [lock.txt], ")], "", "lock.txt"),
    ],
    ids=["no command", "no data", "not the same", "fails", "no requirements"],
)
def test_where_it_cannot_be_done_it_is_said_what_would(
    edits: list[tuple[str, str]], code: str, said: str, compared: builder.Repo
) -> None:
    if code:
        old = (compared.path / "src/predict.py").read_text()
        compared.write("src/predict.py", f"{old}\n{code}\n")
    prepared.settle(compared, prepared.config(*edits, more=RESCORE))
    compared.write("src/predict.py", projects.PREDICT)  # the change's own scores well
    prepared.change(compared, data=NEW)
    seen = Seen(compared)
    assert (seen.verdict, seen.code) == ("inconclusive", 3), seen.reasons
    reason = seen.checks["prepare.rescore.holdout.champion"]["reason"]
    assert said in reason
    assert "evaluate it on the new data in a commit of its own first" in reason
    assert seen.made == []


@pytest.mark.dvc
def test_rows_that_it_may_have_learnt_leave_or_make_it_inconclusive(compared: builder.Repo) -> None:
    prepared.settle(compared, prepared.config(("train: {data: data/train.csv}\n", ""), more=RESCORE))
    prepared.change(compared, data=NEW)
    seen = Seen(compared)
    assert seen.verdict == "inconclusive", seen.reasons
    assert "train.data is not set" in seen.checks["prepare.overlap.holdout.champion"]["reason"]
    assert any("the challenger was trained on rows" in said for said in seen.evidence["not_run"])


# -- environments ----------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def environment(home: Path, text: str, name: str = "requirements.txt") -> dict[str, str]:
    home.mkdir(exist_ok=True)
    file = home / name
    file.write_text(text)
    code = {"PATH": os.environ["PATH"], "PYTHONPATH": "/elsewhere"}
    return locked.environment(
        [file], sys.executable, code=code, environ=dict(os.environ), beside=home, say=lambda line: None
    )


def test_an_environment_is_made_once_for_the_same_requirements(cache: Path, tmp_path: Path) -> None:
    first = environment(tmp_path / "a", "# nothing but the interpreter\n")
    home = Path(first["VIRTUAL_ENV"])
    assert home.parent == cache / "environments"
    assert first["PATH"].startswith(f"{home}/bin:")
    assert "PYTHONPATH" not in first
    (home / "mark").touch()
    assert environment(tmp_path / "b", "# nothing but the interpreter\r\n", "other.txt")["VIRTUAL_ENV"] == str(home)
    assert (home / "mark").exists()
    other = environment(tmp_path / "a", "# something else\n")
    assert other["VIRTUAL_ENV"] != str(home)
    assert [p.name for p in cache.glob("environments/.*")] == [], "nothing half-made is left"


def test_requirements_of_other_files_are_not_kept(cache: Path, tmp_path: Path) -> None:
    """They can change without a change of the file that names them."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/more.txt").write_text("# nothing\n")
    found = environment(tmp_path / "a", "-r more.txt\n")
    assert Path(found["VIRTUAL_ENV"]) == tmp_path / "a/environment"
    assert not (cache / "environments").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("requirements.txt", "./no-such-folder-here\n", "requirements.txt could not be installed"),
        ("poetry.lock", "x", "no file that pip installs from"),
    ],
)
def test_what_cannot_be_installed_is_one_sentence(name: str, text: str, said: str, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match=said):
        environment(tmp_path / "a", text, name)
    assert not list(cache.glob("environments/*"))


def test_the_digest_is_of_the_contents() -> None:
    one = locked.digest({"a.txt": b"x==1\n", "b.txt": b"y==2\n"})
    assert one == locked.digest({"deps/b.txt": b"y==2\r\n", "deps/a.txt": b"x==1\n"})
    assert one != locked.digest({"a.txt": b"x==1\n"})
