"""`--smoke`: the pipeline on a sample, which never becomes a model."""
# ruff: noqa: S608 -- paths of our own

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import builder
from mlgate.errors import MlgateError
from mlgate.train.smoke import Sampled, sample
from setup.projects import dvc
from train import projects
from train.projects import Seen


def nothing() -> object:
    raise AssertionError("no DuckDB is needed for text")


def cached(repo: builder.Repo) -> set[str]:
    return {str(p.relative_to(repo.path)) for p in (repo.path / ".dvc/cache").rglob("*") if p.is_file()}


@pytest.mark.dvc
def test_it_trains_on_a_sample_and_is_never_promotable(project: builder.Repo) -> None:
    before, cache = projects.data_of(project), cached(project)
    seen = Seen(project, "--smoke", "50")
    assert (seen.verdict, seen.code) == ("pass", 0), seen.reasons
    assert "trained on 50 rows" in seen.printed
    assert seen.stages == {"train": "ran", "predict": "ran", "evaluate": "ran"}
    assert seen.evidence["promotable"] is False
    assert seen.evidence["facts"]["verify"] == "smoke"
    assert all(p["state"] == "not run" for p in seen.evidence["proofs"])
    assert projects.data_of(project) == before
    assert cached(project) == cache
    assert project.git("status", "--porcelain") == ""


@pytest.mark.dvc
def test_it_needs_no_lock(project: builder.Repo, tmp_path: Path) -> None:
    """What smoke is for: a pipeline that was changed and not yet trained; a stage that no lock knows."""
    project.write(
        "dvc.yaml",
        projects.PIPELINE.replace("deps: [data/train.csv, src/train.py]", "deps: [data/clean.csv, src/train.py]")
        + "  clean:\n    cmd: cp data/train.csv data/clean.csv\n    deps: [data/train.csv]\n"
        "    outs: [data/clean.csv]\n",
    )
    project.write("src/train.py", projects.TRAIN.replace("data/train.csv", "data/clean.csv"))
    project.commit("Clean first")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--smoke", "20")
    assert seen.verdict == "pass", seen.reasons
    assert seen.stages == {"clean": "ran", "train": "ran", "predict": "ran", "evaluate": "ran"}
    assert "trained on 20 rows" in seen.printed


@pytest.mark.dvc
def test_training_data_that_a_stage_makes(project: builder.Repo) -> None:
    project.write("data/raw.csv", (project.path / "data/train.csv").read_bytes())
    dvc(project, "remove", "data/train.csv.dvc")
    (project.path / "data/train.csv").unlink(missing_ok=True)
    dvc(project, "add", "--quiet", "data/raw.csv")
    project.write(
        "dvc.yaml",
        projects.PIPELINE + "  split:\n    cmd: cp data/raw.csv data/train.csv\n    deps: [data/raw.csv]\n"
        "    outs: [data/train.csv]\n",
    )
    projects.repro(project)
    seen = Seen(project, "--smoke", "30")
    assert seen.verdict == "pass", seen.reasons
    assert "split" not in seen.stages
    assert "trained on 30 rows" in seen.printed


@pytest.mark.dvc
@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("raise ValueError('no such column')", "no such column"),
        ("print('fine')", "models/model.json"),
    ],
)
def test_errors_of_the_project_are_shown(project: builder.Repo, script: str, named: str) -> None:
    project.write("src/train.py", script)
    project.commit("Break")
    seen = Seen(project, "--smoke", "50")
    assert (seen.verdict, seen.code) == ("error", 2)
    assert named in seen.reasons
    assert "Stage train failed" in seen.reasons
    assert seen.evidence["promotable"] is False


@pytest.mark.dvc
def test_metrics_that_are_no_numbers_are_an_error(project: builder.Repo) -> None:
    project.write("src/evaluate.py", "open('metrics/eval.json', 'w').write('{\"accuracy\": Infinity}')\n")
    project.commit("Break")
    seen = Seen(project, "--smoke", "50")
    assert (seen.verdict, seen.code) == ("error", 2)
    assert "accuracy is inf" in seen.reasons
    assert seen.evidence["promotable"] is False


# -- the sample ------------------------------------------------------------------------------------------------------


def test_a_sample_is_the_same_each_time_and_keeps_bytes_and_order(tmp_path: Path) -> None:
    rows = [f'{i},"a, ""quoted""\nsecond line {i}",{i / 7!r}\r\n' for i in range(500)]
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(("id,text,x\r\n" + "".join(rows)).encode())
        assert sample(tmp_path / name, 40, nothing, name) == Sampled(40, 500)  # type: ignore[arg-type]
    text = (tmp_path / "a.csv").read_bytes().decode()
    assert text == (tmp_path / "b.csv").read_bytes().decode()
    assert text.startswith("id,text,x\r\n")
    kept = [row for row in rows if row in text]
    assert len(kept) == 40
    assert text == "id,text,x\r\n" + "".join(kept)
    assert kept != rows[:40]


def test_fewer_rows_than_asked_for_are_all_taken(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}')
    assert sample(tmp_path / "a.jsonl", 10, nothing, "a") == Sampled(2, 2)  # type: ignore[arg-type]
    assert (tmp_path / "a.jsonl").read_text() == '{"a": 1}\n{"a": 2}\n'


def test_a_packed_file_stays_packed(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as out:
        out.write("a\n" + "".join(f"{i}\n" for i in range(9)))
    assert sample(tmp_path / "a.csv.gz", 3, nothing, "a") == Sampled(3, 9)  # type: ignore[arg-type]
    with gzip.open(tmp_path / "a.csv.gz", "rt") as text:
        assert len(text.read().splitlines()) == 4


def test_parquet(tmp_path: Path) -> None:
    import duckdb  # noqa: PLC0415

    con = duckdb.connect()
    file = tmp_path / "a.parquet"
    con.execute(f"COPY (SELECT i, i::VARCHAR AS t FROM range(1000) r(i)) TO '{file}'")
    assert sample(file, 10, lambda: con, "a") == Sampled(10, 1000)
    found = [row[0] for row in con.execute(f"SELECT i FROM '{file}'").fetchall()]
    assert len(found) == 10
    assert found == sorted(found)
    assert con.execute(f"SELECT * FROM '{file}'").description[0][0] == "i"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"id,x\n", "holds no rows"),
        ("a.csv", b"", "holds no rows"),
        ("a.csv", b"id\n\xff\xfe\n", "cannot be read"),
        ("a.csv.gz", b"no gzip", "cannot be read"),
        ("a.parquet", b"PAR1 cut", "Parquet"),
        ("a.bin", b"1", "of no kind"),
    ],
)
def test_what_no_sample_can_be_taken_of_is_left_as_it_is(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    import duckdb  # noqa: PLC0415

    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(MlgateError, match=said):
        sample(file, 5, duckdb.connect, name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
