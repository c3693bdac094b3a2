"""Which rows changed, and where an earlier version of the data is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builder
from mlgate.config.settings import Read
from mlgate.data import reading
from mlgate.errors import MlgateError
from mlgate.repo.dvc import Out
from mlgate.train import rows
from mlgate.train.rows import Rows
from setup.projects import dvc
from train import projects
from train.projects import Seen


def compare(folder: Path, before: str, now: str, by: tuple[str, ...] = ("id",)) -> Rows:
    con = reading.connect()
    try:
        for name, text in (("then", before), ("now", now)):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "d.csv").write_text(text)
        return rows.compare(con, folder / "then/d.csv", folder / "now/d.csv", by=by, read=Read(), shown="data/d.csv")
    finally:
        con.close()


def test_added_removed_changed(tmp_path: Path) -> None:
    found = compare(tmp_path, "id,x\n1,a\n2,b\n3,c\n", "id,x\n3,c\n2,z\n4,d\n5,e\n")
    assert found == Rows(added=2, removed=1, changed=1)
    assert str(found) == "+2 rows, -1 rows, 1 changed"


def test_columns_that_came_or_went_are_named_and_are_no_change_of_rows(tmp_path: Path) -> None:
    found = compare(tmp_path, "id,x,old\n1,a,1\n", "id,new,x\n1,7,a\n")
    assert found == Rows(new_columns=("new",), lost_columns=("old",))
    assert str(found) == "the same rows in another order or form, new columns new, without columns old"


def test_a_value_that_is_a_number_in_one_version_and_text_in_the_other(tmp_path: Path) -> None:
    assert compare(tmp_path, "id,x\n1,5\n2,6\n", "id,x\n1,5\n2,6\n3,many\n") == Rows(added=1)


def test_repeated_ids_are_said_and_nothing_is_counted(tmp_path: Path) -> None:
    found = compare(tmp_path, "id,x\n1,a\n1,b\n", "id,x\n1,a\n")
    assert found.duplicates == 1
    assert "not compared" in str(found)


def test_several_columns_make_an_id(tmp_path: Path) -> None:
    found = compare(
        tmp_path, "person,year,x\na,1,1\na,2,1\n", "person,year,x\na,1,1\na,2,9\nb,2,1\n", ("person", "year")
    )
    assert found == Rows(added=1, changed=1)
    with pytest.raises(MlgateError, match="no column 'age'"):
        compare(tmp_path, "id\n1\n", "id\n1\n", ("age",))


TABLE = st.dictionaries(st.integers(0, 12), st.tuples(st.sampled_from(["", "a", "ä;"]), st.integers(0, 3)), max_size=10)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TABLE, now=TABLE)
def test_counts_are_those_of_plain_python(
    tmp_path: Path, before: dict[int, tuple[str, int]], now: dict[int, tuple[str, int]]
) -> None:
    def text(table: dict[int, tuple[str, int]]) -> str:
        return "id,t,n\n" + "".join(f"{key},{t},{n}\n" for key, (t, n) in table.items())

    changed = sum(before[key] != now[key] for key in before.keys() & now.keys())
    found = compare(tmp_path, text(before), text(now))
    wanted = Rows(len(now.keys() - before.keys()), len(before.keys() - now.keys()), changed)
    assert found == wanted


def test_a_folder_is_put_together_from_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache/files/md5"
    listing = []
    for name, content in (("a.csv", "id\n1\n"), ("b/c.csv", "id\n2\n")):
        digest = builder.md5(content.encode())
        (cache / digest[:2]).mkdir(parents=True, exist_ok=True)
        (cache / digest[:2] / digest[2:]).write_text(content)
        listing.append({"md5": digest, "relpath": name})
    text = json.dumps(listing)
    digest = builder.md5(text.encode()) + ".dir"
    (cache / digest[:2]).mkdir(exist_ok=True)
    (cache / digest[:2] / digest[2:]).write_text(text)
    there = rows.from_cache(tmp_path / "cache", Out("data/parts", digest), tmp_path / "now")
    assert there == tmp_path / "now/parts"
    assert sorted(p.read_text() for p in there.rglob("*.csv")) == ["id\n1\n", "id\n2\n"]
    assert rows.from_cache(tmp_path / "cache", Out("data/x.csv", "0" * 32), tmp_path / "x") is None
    evil = json.dumps([{"md5": listing[0]["md5"], "relpath": "../../../evil"}])
    (cache / "ee").mkdir()
    (cache / "ee/vil.dir").write_text(evil)
    assert rows.from_cache(tmp_path / "cache", Out("data/e", "eevil.dir"), tmp_path / "e") is None
    assert not (tmp_path / "evil").exists()


@pytest.mark.dvc
def test_the_change_since_the_champion_is_told_in_rows(project: builder.Repo, tmp_path: Path) -> None:
    text = (project.path / "data/train.csv").read_text().splitlines()
    text[3] = "2,77,1"
    (project.path / "data/train.csv").unlink()
    project.write("data/train.csv", "\n".join([*text[:-1], "900,1,0", "901,2,0"]) + "\n")
    dvc(project, "add", "--quiet", "data/train.csv")
    projects.repro(project, "More rows")
    runner = projects.clone(project, tmp_path / "runner")
    changes = {c["what"]: c["after"] for c in Seen(runner).evidence["changes"]}
    assert changes["data/train.csv"].endswith("(+2 rows, -1 rows, 1 changed)")
    other = projects.clone(project, tmp_path / "other")
    seen = Seen(other, "--pull", "false")
    assert any("Which rows of data/train.csv changed" in line for line in seen.evidence["not_run"])
    assert seen.verdict == "pass"
