"""Changes, and bad luck, that would have data called good that nobody checked: one test per trick.

The event is a pull request, as the forge would describe it; only the change's own files are the attacker's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder import MLGATE, Repo, edit, md5
from jobs import Job
from setup.projects import dvc

CONTRACT = """\
schema: 1
columns:
  id: {type: integer, nulls: 0, unique: true}
  age: {min: 0, max: 120}
"""
ROWS = [f"{n},{20 + n}" for n in range(1, 11)]
GOOD = "\n".join(["id,age", *ROWS, ""])
BAD = GOOD.replace("2,22", "2,-999")
WEAK = CONTRACT.replace("min: 0", "min: -1000")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A model on `main` whose training data, committed to git, are held to a contract; `change` is checked out."""
    repo = Repo(tmp_path / "repo")
    repo.model(config=None, lock=False)
    repo.write("contracts/people.yaml", CONTRACT)
    repo.write("data/train.csv", GOOD)
    repo.write("data/test.csv", GOOD.replace("1,21", "101,21"))
    base(repo, {"path": "data/train.csv", "contract": "contracts/people.yaml", "id": "id"})
    return repo


def config(*data: dict[str, Any], **more: Any) -> str:
    return yaml.safe_dump({**yaml.safe_load(MLGATE), "data": list(data), **more}, sort_keys=False)


def base(repo: Repo, *data: dict[str, Any]) -> None:
    """Let these be the data that mlgate.yaml of `main` names."""
    if (repo.path / ".git/HEAD").read_text().endswith("/change\n"):
        repo.git("checkout", "--quiet", "main")
    repo.write("mlgate.yaml", config(*data))
    repo.commit("Base")
    repo.git("checkout", "--quiet", "-B", "change")


def judged(repo: Repo, *args: str) -> int:
    """`validate-data` for a pull request of what is here, committed and merged."""
    repo.commit()
    return again(repo, *args)


def again(repo: Repo, *args: str) -> int:
    job = Job(repo, repo.path.parent / "job")
    return repo.mlgate("validate-data", *args, **job.environ).returncode


def reasons(repo: Repo, verdict: str, model: str = "visits") -> str:
    checks = repo.evidence(model, "validate-data")["checks"]
    return "\n".join(f"{c['id']}: {c['reason']}" for c in checks if c["verdict"] == verdict)


def pointer(repo: Repo, path: str, digest: str) -> None:
    """What `dvc add` leaves beside a file or folder."""
    folder, _, name = path.rpartition("/")
    repo.write(f"{path}.dvc", yaml.safe_dump({"outs": [{"md5": digest, "size": 1, "hash": "md5", "path": name}]}))
    ignored = repo.path / folder / ".gitignore"
    repo.write(f"{folder}/.gitignore", (ignored.read_text() if ignored.exists() else "") + f"/{name}\n")


# -- the contract and who names it -----------------------------------------------------------------------------------


def test_the_data_are_renamed_and_their_contract_loosened(repo: Repo) -> None:
    repo.git("mv", "data/train.csv", "data/people.csv")
    repo.write("data/people.csv", BAD)
    repo.write("contracts/weak.yaml", WEAK)
    more = {"train": {"data": "data/people.csv"}}
    repo.write("mlgate.yaml", config({"path": "data/people.csv", "contract": "contracts/weak.yaml"}, **more))
    assert judged(repo) == 1
    assert "data.data/people.csv.age.min" in reasons(repo, "fail")


def test_the_data_are_renamed_and_nothing_names_what_they_are_for(repo: Repo) -> None:
    repo.git("mv", "data/train.csv", "data/people.csv")
    repo.write("data/people.csv", BAD)
    repo.write("mlgate.yaml", config({"path": "data/people.csv"}))
    assert judged(repo) == 1


def test_new_data_are_held_to_the_contract_that_the_base_has(repo: Repo) -> None:
    repo.write("data/more.csv", BAD)
    repo.write("contracts/people.yaml", WEAK)
    entries = [{"path": f"data/{name}.csv", "contract": "contracts/people.yaml"} for name in ("train", "more")]
    repo.write("mlgate.yaml", config(*entries))
    assert judged(repo) == 1
    assert "data.data/more.csv.age.min" in reasons(repo, "fail")


def test_the_training_data_are_renamed_and_leak_all_the_same(repo: Repo) -> None:
    base(
        repo,
        {"path": "data/train.csv", "contract": "contracts/people.yaml"},
        {"path": "data/test.csv", "apart_from": "data/train.csv", "apart_by": "id"},
    )
    repo.git("mv", "data/train.csv", "data/people.csv")
    people = {"path": "data/people.csv", "contract": "contracts/people.yaml"}
    test = {"path": "data/test.csv", "apart_from": "data/people.csv", "apart_by": "id"}
    repo.write("mlgate.yaml", config(people, test, train={"data": "data/people.csv"}))
    assert judged(repo) == 1  # rows 2 to 10 are in both; an honest change of name is no error
    assert "data.data/test.csv.apart_from.data/people.csv" in reasons(repo, "fail")


def test_the_configuration_moves_under_another_models_name(repo: Repo) -> None:
    repo.git("rm", "--quiet", "mlgate.yaml")
    repo.write("data/train.csv", BAD)
    repo.write("models/new/mlgate.yaml", MLGATE.replace("model: visits", "model: new").replace("metrics/", "../../m/"))
    assert judged(repo, "--config", "**/mlgate.yaml") == 1
    assert "data.data/train.csv.age.min" in reasons(repo, "fail")
    assert again(repo, "--config", "**/mlgate.yaml", "--optional", "true") == 1


@pytest.mark.parametrize("path", ["data/*.csv", "data"])
def test_a_folder_or_glob_is_taken_out_of_the_configuration(repo: Repo, path: str) -> None:
    base(repo, {"path": path, "contract": "contracts/people.yaml"})
    repo.write("data/train.csv", BAD)
    repo.write("mlgate.yaml", config())
    judged(repo)
    assert "age.min" in reasons(repo, "fail")


def test_a_file_of_a_tracked_folder_is_taken_out_of_the_configuration(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.git("rm", "--quiet", "-r", "--cached", "data")
    shutil.rmtree(repo.path / "data")
    for name in ("train.csv", "test.csv"):
        repo.write(f"raw/all/{name}", BAD)
    pointer(repo, "raw/all", "0" * 32 + ".dir")
    base(repo, {"path": "raw/all/train.csv", "contract": "contracts/people.yaml"})
    repo.write("mlgate.yaml", config())
    assert judged(repo) == 1


def test_the_contract_becomes_a_link(repo: Repo) -> None:
    base(repo, {"path": "data/test.csv"})
    repo.write("contracts/new.yaml", "")
    (repo.path / "contracts/new.yaml").unlink()
    (repo.path / "contracts/new.yaml").symlink_to("people.yaml")
    repo.write("mlgate.yaml", config({"path": "data/train.csv", "contract": "contracts/new.yaml"}))
    assert judged(repo) == 2


def test_severity_and_share_are_lowered_in_the_change(repo: Repo) -> None:
    repo.write("data/train.csv", BAD)
    repo.write("contracts/people.yaml", CONTRACT.replace("max: 120", "max: 120, mostly: 10%, severity: warn"))
    assert judged(repo) == 1


def test_a_broken_contract_of_the_base_can_be_mended(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.write("contracts/people.yaml", "schema: 1\ncolumns: {age: {min: [}}\n")
    base(repo, {"path": "data/train.csv", "contract": "contracts/people.yaml"})
    repo.write("contracts/people.yaml", CONTRACT)
    assert judged(repo) == 0
    assert "judge.base-contract" in reasons(repo, "warn")
    repo.write("data/train.csv", BAD)
    assert judged(repo) == 1


# -- how the data are read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "content"),
    [
        ({"nulls": ["", "-999"]}, BAD),
        ({"quote": "'"}, "id,age\n1,21\n2,'\n3,-999\n4,'\n"),
        ({"delimiter": ";"}, BAD),
        ({"header": False}, BAD),
    ],
)
def test_the_change_reads_bad_rows_away(repo: Repo, read: dict[str, Any], content: str) -> None:
    repo.write("data/train.csv", content)
    edit(repo, "mlgate.yaml", lambda file: file["data"][0].update(read=read))
    assert judged(repo) in (1, 2)
    assert "data/train.csv: read" in reasons(repo, "warn")
    assert "data.data/train.csv.age" in reasons(repo, "fail") + reasons(repo, "error")


def test_what_another_entry_reads_as_missing_does_not_spill_over(repo: Repo) -> None:
    repo.write("data/test.csv", GOOD.replace("2,22", "2,-999"))
    base(
        repo,
        {"path": "data/train.csv", "apart_from": "data/test.csv", "apart_by": "age"},
        {"path": "data/test.csv", "contract": "contracts/people.yaml", "read": {"nulls": ["-999"]}},
    )
    judged(repo)
    assert "data.data/test.csv.age.min" not in reasons(repo, "fail")
    assert "apart_from" in reasons(repo, "fail")


def test_rows_hide_in_a_file_that_is_not_read(repo: Repo) -> None:
    base(repo, {"path": "data", "contract": "contracts/people.yaml"})
    repo.write("data/_more.csv", BAD)
    (repo.path / "data/test.csv").unlink()
    assert judged(repo) == 0
    assert "_more.csv" in reasons(repo, "warn")


# -- which bytes are read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["data", "data/*.csv", "data/**/*.csv"])
@pytest.mark.parametrize("what", ["edited", "added", "removed"])
def test_other_files_lie_in_a_folder_than_the_commit_has(repo: Repo, path: str, what: str) -> None:
    base(repo, {"path": path, "contract": "contracts/people.yaml"})
    repo.write("data/test.csv", "id,age\n101,30\n102,31\n")
    repo.commit()
    environ = Job(repo, repo.path.parent / "job").environ
    assert repo.mlgate("validate-data", **environ).returncode == 0
    assert reasons(repo, "warn") == ""  # each of its files is known to git
    if what == "edited":
        repo.write("data/test.csv", "id,age\n103,30\n")
    elif what == "added":
        repo.write("data/other.csv", "id,age\n103,30\n")
    else:
        (repo.path / "data/test.csv").unlink()
    assert repo.mlgate("validate-data", **environ).returncode == 2
    assert f"data.{path}.file" in reasons(repo, "error")


@pytest.mark.parametrize("path", ["data", "data/*.csv"])
def test_half_of_a_folder_was_never_fetched(repo: Repo, path: str) -> None:
    repo.write("data/more.csv", BAD)
    repo.git("checkout", "--quiet", "main")
    pointer(repo, "data/more.csv", md5(BAD.encode()))
    (repo.path / "data/test.csv").unlink()
    base(repo, {"path": path, "contract": "contracts/people.yaml"})
    (repo.path / "data/more.csv").unlink(missing_ok=True)
    repo.commit()
    assert again(repo, "--pull", "false") == 2
    assert "data/more.csv" in reasons(repo, "error")
    repo.write("data/more.csv", BAD)
    assert again(repo) == 1


def test_a_pointer_and_a_lock_disagree(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.git("rm", "--quiet", "--cached", "data/train.csv", "data/test.csv")
    repo.write(".gitignore", "/data/*.csv\n")
    repo.lock(seed="x", data="rows")
    base(repo, {"path": "data/train.csv", "contract": "contracts/people.yaml"})
    repo.write("data/train.csv.dvc", yaml.safe_dump({"outs": [{"md5": md5(GOOD.encode()), "path": "train.csv"}]}))
    assert judged(repo) == 2
    assert "which one counts cannot be known" in reasons(repo, "error")


@pytest.mark.parametrize("out", [{}, {"md5": ""}, {"md5": None}])
def test_a_pointer_loses_its_digest_and_the_configuration_its_entry(repo: Repo, out: dict[str, Any]) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.git("rm", "--quiet", "--cached", "data/train.csv")
    pointer(repo, "data/train.csv", md5(GOOD.encode()))
    base(repo, {"path": "data/train.csv", "contract": "contracts/people.yaml"})
    repo.write("data/train.csv", BAD)
    repo.write("data/train.csv.dvc", yaml.safe_dump({"outs": [{"path": "train.csv", **out}]}))
    repo.write("mlgate.yaml", config())
    assert judged(repo) == 1


def test_a_leak_is_looked_for_in_another_file_than_the_commit_has(repo: Repo) -> None:
    base(repo, {"path": "data/test.csv", "apart_from": "data/train.csv", "apart_by": "id"})
    repo.write("data/test.csv", "id,age\n101,30\n")
    repo.commit()
    environ = Job(repo, repo.path.parent / "job").environ
    assert repo.mlgate("validate-data", **environ).returncode == 0
    repo.write("data/train.csv", "id,age\n999,30\n")
    assert repo.mlgate("validate-data", **environ).returncode == 2
    assert "data.data/train.csv.file" in reasons(repo, "error")


@pytest.mark.parametrize("content", ["", "id,age\n", None])
def test_there_is_nothing_to_be_apart_from(repo: Repo, content: str | None) -> None:
    base(repo, {"path": "data/test.csv", "apart_from": "data/train.csv", "apart_by": "id"})
    if content is None:
        (repo.path / "data/train.csv").unlink()
    else:
        repo.write("data/train.csv", content)
    assert judged(repo) == 2


def test_the_reference_moves_along_with_the_data(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    rows = "".join(f"{n},{n % 60}\n" for n in range(3000))
    repo.write("refs/ages.csv", f"id,age\n{rows}")
    repo.write("data/train.csv", f"id,age\n{rows}")
    repo.write("contracts/people.yaml", CONTRACT.replace("max: 120", "max: 120, drift: {psi: 0.2}"))
    base(repo, {"path": "data/train.csv", "contract": "contracts/people.yaml", "reference": "refs/ages.csv"})
    moved = "".join(f"{n},{n % 9}\n" for n in range(3000))
    repo.write("data/train.csv", f"id,age\n{moved}")
    assert judged(repo) == 1
    repo.git("checkout", "--quiet", "change")
    repo.write("refs/ages.csv", f"id,age\n{moved}")
    assert judged(repo) == 0
    assert "judge.reference.refs/ages.csv" in reasons(repo, "warn")


def test_the_reference_is_the_data_themselves(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.write("contracts/people.yaml", CONTRACT.replace("max: 120", "drift: {psi: 0.2}"))
    entry = {"path": "data/train.csv", "contract": "contracts/people.yaml", "reference": "data/../data/train.csv"}
    base(repo, entry)
    assert judged(repo) == 2


def test_the_data_are_all_missing(repo: Repo) -> None:
    repo.write("data/train.csv", "id,age\n1,\n2,\n")
    assert judged(repo) == 2


def test_a_column_of_another_case_is_another_column(repo: Repo) -> None:
    repo.write("data/train.csv", BAD.replace("id,age", "id,Age"))
    assert judged(repo) in (1, 2)


def test_two_models_share_one_file_and_the_stricter_contract_counts(repo: Repo) -> None:
    repo.write("contracts/weak.yaml", WEAK)
    one = {"path": "data/train.csv", "contract": "contracts/people.yaml"}
    two = {"path": "data/train.csv", "contract": "contracts/weak.yaml"}
    base(repo, one)
    repo.write("mlgate.yaml", config(one))
    repo.write("b.mlgate.yaml", config(two, model="b"))
    repo.write("data/train.csv", BAD)
    assert judged(repo, "--config", "mlgate.yaml\nb.mlgate.yaml") == 1


def test_a_private_column_is_misspelled(repo: Repo) -> None:
    suite = {
        "name": "s",
        "meta": {"mlgate": {"private": ["Agee"]}},
        "expectations": [
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0}},
            {"type": "expect_column_min_to_be_between", "kwargs": {"column": "age", "min_value": 0}},
        ],
    }
    repo.git("checkout", "--quiet", "main")
    repo.write("contracts/people.yaml", json.dumps(suite))
    base(repo, {"path": "data/train.csv", "contract": "contracts/people.yaml"})
    repo.write("data/train.csv", BAD)
    assert judged(repo) == 1
    assert "no values are shown" in reasons(repo, "warn")
    written = [p for p in (repo.path / ".mlgate").rglob("*") if p.is_file()]
    assert not [p for p in written if "-999" in p.read_text(errors="replace")]


@pytest.mark.parametrize("what", ["folder", "link"])
def test_the_change_commits_a_place_for_evidence(repo: Repo, what: str) -> None:
    elsewhere = repo.path.parent / "elsewhere"
    elsewhere.mkdir()
    repo.write("data/train.csv", BAD)
    if what == "link":
        (repo.path / ".mlgate").symlink_to(elsewhere)
    else:
        repo.write(".mlgate/evidence/visits/validate-data.json/any", "{}")
    assert judged(repo) != 0
    assert not list(elsewhere.iterdir())


# -- what DVC itself says ----------------------------------------------------------------------------------------------


def test_a_folder_has_the_digest_that_dvc_gives_it(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.git("rm", "--quiet", "-r", "--cached", "data", "dvc.yaml")
    (repo.path / "dvc.yaml").unlink()
    shutil.rmtree(repo.path / "data")
    for number, name in enumerate(("b-c/x", "b/x", "sub dir/ü/naïve 😀", "a", "_SUCCESS", ".hidden/y")):
        repo.write(f"data/{name}.csv", f"id,age\n{number},20\n")
    dvc(repo, "init", "--quiet")
    dvc(repo, "add", "--quiet", "data")
    base(repo, {"path": "data", "contract": "contracts/people.yaml"})
    environ = Job(repo, repo.path.parent / "job").environ
    assert repo.mlgate("validate-data", **environ).returncode == 0
    assert "data.data.file" not in reasons(repo, "warn")
    repo.write("more/x.csv", "id,age\n77,20\n")
    (repo.path / "data/more").symlink_to("../more")
    assert repo.mlgate("validate-data", **environ).returncode == 2
    (repo.path / "data/more").unlink()
    (repo.path / "data/a.csv").rename(repo.path / "data/c.csv")
    assert repo.mlgate("validate-data", **environ).returncode == 2


# -- evidence that was handed over -------------------------------------------------------------------------------------


def handed(
    repo: Repo,
    forge: Callable[[dict[str, Any]], object],
) -> str:
    """The judge's verdict on the evidence of `validate-data`, after it was edited."""
    repo.commit()
    environ = Job(repo, repo.path.parent / "job").environ
    repo.mlgate("validate-data", "--optional", "true", **environ)
    there = repo.path.parent / "handed/visits"
    shutil.rmtree(there.parent, ignore_errors=True)
    there.mkdir(parents=True)
    evidence = repo.evidence("visits", "validate-data")
    forge(evidence)
    (there / "validate-data.json").write_text(json.dumps(evidence))
    done = repo.mlgate("compare", "--handed", str(there.parent), **environ)
    checks = {check["id"]: check["verdict"] for check in repo.evidence()["checks"]}
    assert done.returncode == 2 or checks["integrity.handed.validate-data"] == "pass"
    return str(checks["integrity.handed.validate-data"])


def test_honest_evidence_is_taken(repo: Repo) -> None:
    assert handed(repo, lambda _: None) == "pass"


@pytest.mark.parametrize(("key", "value"), [("mode", "report"), ("mode", "off"), ("fail_on", "never")])
def test_the_run_job_says_that_nothing_blocks(repo: Repo, key: str, value: str) -> None:
    repo.write("data/train.csv", BAD)
    assert handed(repo, lambda evidence: evidence.update({key: value})) == "error"


def only(evidence: dict[str, Any], check: dict[str, Any]) -> None:
    evidence["checks"] = [check]
    evidence["verdict"] = check["verdict"]


@pytest.mark.parametrize(("name", "verdict"), [("read", "pass"), ("read", "warn"), ("unread", "warn")])
def test_the_run_job_says_that_it_could_not_read_what_lies_in_git(repo: Repo, name: str, verdict: str) -> None:
    check = {"id": f"data.data/train.csv.{name}", "title": "data/train.csv", "verdict": verdict, "group": "data"}
    assert handed(repo, lambda evidence: only(evidence, check)) == "error"


def test_the_run_job_looked_for_leaks_in_another_file(repo: Repo) -> None:
    base(repo, {"path": "data/test.csv", "apart_from": "data/train.csv", "apart_by": "id"})
    repo.write("data/test.csv", "id,age\n101,30\n")
    assert handed(repo, lambda _: None) == "pass"

    def forge(evidence: dict[str, Any]) -> None:
        evidence["inputs"] = [one for one in evidence["inputs"] if one["name"] != "data/train.csv"]

    assert handed(repo, forge) == "error"


@pytest.mark.parametrize("path", ["data", "data/*.csv"])
def test_the_run_job_read_another_folder(repo: Repo, path: str) -> None:
    base(repo, {"path": path, "contract": "contracts/people.yaml"})
    repo.write("data/test.csv", "id,age\n101,30\n")
    assert handed(repo, lambda _: None) == "pass"

    def forge(evidence: dict[str, Any]) -> None:
        next(one for one in evidence["inputs"] if one["name"] == path)["digest"] = {"files-sha256": "0" * 64}

    assert handed(repo, forge) == "error"


def test_the_evidence_is_that_of_the_commit_before(repo: Repo) -> None:
    base_commit = repo.git("rev-parse", "main")
    repo.write("data/train.csv", BAD)
    assert handed(repo, lambda evidence: evidence["source"].update(commit=base_commit)) == "error"


def test_the_run_job_held_the_data_to_the_contract_of_the_change(repo: Repo) -> None:
    repo.write("contracts/people.yaml", WEAK)

    def forge(evidence: dict[str, Any]) -> None:
        (one,) = [one for one in evidence["inputs"] if one["role"] == "contract"]
        one["digest"] = {"sha256": hashlib.sha256(WEAK.encode()).hexdigest()}

    assert handed(repo, lambda _: None) == "pass"
    assert handed(repo, forge) == "error"


# -- what is left behind -----------------------------------------------------------------------------------------------


def test_nothing_is_left_in_the_temporary_folder(repo: Repo, tmp_path: Path) -> None:
    there = tmp_path / "tmp"
    there.mkdir()
    assert repo.mlgate("validate-data", TMPDIR=str(there)).returncode == 0
    assert repo.mlgate("validate-data", "--profile", "data/train.csv", TMPDIR=str(there)).returncode == 0
    assert os.listdir(there) == []
