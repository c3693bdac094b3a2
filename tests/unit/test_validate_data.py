"""`mlgate validate-data` from files to evidence: whose contract binds, which file was read, what is shown and left."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder import MLGATE, Repo, edit, md5
from jobs import Job

CONTRACT = """\
schema: 1
columns:
  id: {type: integer, nulls: 0, unique: true}
  age: {min: 0, max: 120, nulls: 10%}
  name: {private: true, matches: "^[A-Z]"}
"""
GOOD = (
    "id,age,name\n1,31,Ada\n2,42,Bob\n3,,Cyd\n4,19,Dee\n5,77,Eve\n6,55,Fay\n7,23,Gus\n8,64,Hal\n9,38,Ida\n10,50,Jon\n"
)
BAD = GOOD.replace("2,42,Bob", "2,-3,bob")
HOLDOUT = "id,age,name\n11,30,Kim\n12,44,Lou\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A model whose training and evaluation data are committed to git, with one contract on `main`."""
    repo = Repo(tmp_path / "repo with spaces")
    repo.model(config=None, lock=False)
    repo.write("contracts/people.yaml", CONTRACT)
    config = yaml.safe_load(MLGATE)
    config["data"] = [{"path": "data/train.csv", "contract": "contracts/people.yaml", "id": "id"}]
    repo.write("mlgate.yaml", yaml.safe_dump(config, sort_keys=False))
    repo.write("data/train.csv", GOOD)
    repo.write("data/test.csv", HOLDOUT)
    repo.commit("First")
    repo.git("checkout", "--quiet", "-b", "change")
    return repo


def evidence(repo: Repo, model: str = "visits") -> dict[str, Any]:
    return repo.evidence(model, "validate-data")


def verdicts(repo: Repo) -> dict[str, str]:
    return {c["id"]: c["verdict"] for c in evidence(repo)["checks"] if c["verdict"] != "pass"}


def reason(repo: Repo, check_id: str) -> str:
    return str(next(c["reason"] for c in evidence(repo)["checks"] if c["id"] == check_id))


def in_ci(repo: Repo, folder: Path, *args: str, **env: str) -> Any:
    job = Job(repo, folder)
    return repo.mlgate("validate-data", *args, **job.environ, **env), job


def test_data_that_keep_their_contract_pass_and_every_expectation_is_on_record(repo: Repo) -> None:
    done = repo.mlgate("validate-data")
    assert (done.returncode, done.stderr) == (0, "")
    found = evidence(repo)
    assert found["verdict"] == "pass"
    assert len([c for c in found["checks"] if c["group"] == "data"]) == 8
    assert {c["engine"].split()[0] for c in found["checks"] if c["group"] == "data"} == {"duckdb"}
    assert found["facts"] == {"rows of data/train.csv": 10.0}
    inputs = {i["name"]: i["role"] for i in found["inputs"]}
    assert inputs == {"contracts/people.yaml": "contract", "data/train.csv": "data"}


def test_a_row_that_breaks_the_contract_is_shown_with_its_number_and_private_values_masked(repo: Repo) -> None:
    repo.write("data/train.csv", BAD)
    repo.commit()
    done = repo.mlgate("validate-data")
    assert done.returncode == 1
    assert "row 2" in done.stdout
    assert "-3" in done.stdout
    assert "bob" not in done.stdout
    written = [p.read_text(errors="replace") for p in (repo.path / ".mlgate").rglob("*") if p.is_file()]
    assert not [text for text in written if "bob" in text]
    broken = next(c for c in evidence(repo)["checks"] if c["id"].startswith("data.data/train.csv.age"))
    assert broken["location"]["file"] == "contracts/people.yaml"
    assert broken["location"]["line"] == 4


def test_no_contract_at_all_is_no_pass_unless_that_is_said_to_be_fine(repo: Repo) -> None:
    repo.write("mlgate.yaml", MLGATE)
    repo.commit("No contracts")
    repo.git("branch", "--force", "main")  # the base has none either, or its contract would bind
    repo.commit("A change")
    assert repo.mlgate("validate-data").returncode == 2
    assert evidence(repo, "repository")["verdict"] == "error"
    (repo.path / ".mlgate/evidence/repository/validate-data.json").unlink()
    done = repo.mlgate("validate-data", "--optional", "true")
    assert (done.returncode, done.stdout) == (0, "No data file has a contract: there is nothing to check.\n")
    assert not list((repo.path / ".mlgate/evidence").rglob("validate-data.json"))


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "data/train.csv"), ("id,age,name\n", "no row")],
)
def test_an_empty_file_is_an_error_never_a_pass(repo: Repo, content: str, why: str) -> None:
    repo.write("data/train.csv", content)
    repo.commit()
    done = repo.mlgate("validate-data")
    assert done.returncode == 2
    assert why in done.stdout


@pytest.mark.parametrize(
    "contract",
    [
        "",
        "schema: 1\n",
        '{"name": "s", "expectations": []}',
        "schema: 1\ncolumns: {ages: {min: 0}}\n",
        "schema: 1\ncolumns: {id: {unqiue: true}}\n",
    ],
)
def test_a_contract_that_checks_nothing_of_this_file_is_an_error(repo: Repo, contract: str) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.write("contracts/people.yaml", contract)
    repo.commit()
    assert repo.mlgate("validate-data").returncode == 2
    assert evidence(repo)["verdict"] == "error"


# -- whose contract binds --------------------------------------------------------------------------------------------


def test_a_change_cannot_loosen_the_contract_that_its_own_data_are_held_to(repo: Repo, tmp_path: Path) -> None:
    repo.write("data/train.csv", BAD.replace("bob", "Bob"))
    repo.write("contracts/people.yaml", CONTRACT.replace("min: 0", "min: -10"))
    repo.commit()
    done, _ = in_ci(repo, tmp_path / "job")
    assert done.returncode == 1
    found = evidence(repo)
    assert verdicts(repo)["judge.contract.contracts/people.yaml"] == "warn"
    assert [c["verdict"] for c in found["checks"] if c["id"].startswith("data.data/train.csv.age.m")].count("fail") == 1
    assert {(c["kind"], c["what"]) for c in found["changes"]} == {("rule", "contracts/people.yaml")}


def test_a_stricter_contract_of_the_change_judges_too(repo: Repo, tmp_path: Path) -> None:
    repo.write("contracts/people.yaml", CONTRACT.replace("max: 120", "max: 60"))
    repo.commit()
    done, _ = in_ci(repo, tmp_path / "job")
    assert done.returncode == 1
    broken = [check for check, verdict in verdicts(repo).items() if verdict == "fail"]
    assert len(broken) == 1
    assert broken[0].startswith("proposed.data/train.csv.age")


def test_taking_a_data_file_out_of_the_config_does_not_take_it_out_of_the_check(repo: Repo, tmp_path: Path) -> None:
    repo.write("data/train.csv", BAD.replace("bob", "Bob"))
    edit(repo, "mlgate.yaml", lambda config: config.pop("data"))
    repo.commit()
    done, _ = in_ci(repo, tmp_path / "job")
    assert done.returncode == 1


def test_a_data_file_that_is_gone_altogether_is_a_warning(repo: Repo, tmp_path: Path) -> None:
    repo.git("rm", "--quiet", "data/train.csv")
    edit(repo, "mlgate.yaml", lambda config: config.pop("data"))
    repo.commit()
    done, _ = in_ci(repo, tmp_path / "job")
    assert done.returncode == 0
    assert verdicts(repo) == {"judge.data.data/train.csv": "warn"}


def test_deleting_the_contract_leaves_that_of_the_base(repo: Repo, tmp_path: Path) -> None:
    repo.write("data/train.csv", BAD.replace("bob", "Bob"))
    repo.git("rm", "--quiet", "contracts/people.yaml")
    edit(repo, "mlgate.yaml", lambda config: config["data"][0].pop("contract"))
    repo.commit()
    done, _ = in_ci(repo, tmp_path / "job")
    assert done.returncode == 1


def test_mode_and_fail_on_are_those_of_the_base(repo: Repo, tmp_path: Path) -> None:
    repo.write("data/train.csv", BAD.replace("bob", "Bob"))
    edit(repo, "mlgate.yaml", lambda config: config.update(mode="report"))
    repo.commit()
    done, _ = in_ci(repo, tmp_path / "job")
    assert done.returncode == 1
    assert evidence(repo)["mode"] == "enforce"


# -- which file was read ----------------------------------------------------------------------------------------------


def test_data_that_are_not_what_the_commit_names_are_an_error_in_ci(repo: Repo, tmp_path: Path) -> None:
    repo.commit()
    job = Job(repo, tmp_path / "job")
    repo.write("data/train.csv", GOOD.replace("Ada", "Ann"))
    assert repo.mlgate("validate-data", **job.environ).returncode == 2
    assert verdicts(repo) == {"data.data/train.csv.file": "error"}
    assert "not the one that the commit names" in reason(repo, "data.data/train.csv.file")


def test_in_a_terminal_data_that_are_being_edited_are_checked_with_a_warning(repo: Repo) -> None:
    repo.write("data/train.csv", GOOD.replace("Ada", "Ann"))
    assert repo.mlgate("validate-data").returncode == 0
    assert verdicts(repo) == {"data.data/train.csv.file": "warn"}
    assert "`git checkout data/train.csv`, or commit what is here." in reason(repo, "data.data/train.csv.file")


def test_a_file_beside_those_that_the_commit_has_is_named_as_such(repo: Repo) -> None:
    repo.write("data/parts/1.csv", GOOD)
    edit(repo, "mlgate.yaml", lambda config: config["data"][0].update(path="data/parts"))
    repo.commit()
    repo.write("data/parts/2.csv", HOLDOUT)
    repo.mlgate("validate-data")
    said = reason(repo, "data.data/parts.file")
    assert (
        said == "data/parts/2.csv is here and not in the commit, and data/parts takes it in. Remove it, or commit it."
    )


@pytest.mark.parametrize(("content", "code"), [(GOOD, 0), (BAD.replace("bob", "Bob"), 1)])
def test_a_file_of_dvc_is_held_to_the_digest_of_its_pointer(repo: Repo, content: str, code: int) -> None:
    repo.git("rm", "--quiet", "--cached", "data/train.csv")
    repo.write(".gitignore", "/data/train.csv\n")
    repo.write("data/train.csv", content)
    pointer = {"outs": [{"md5": md5(content.encode()), "size": len(content), "hash": "md5", "path": "train.csv"}]}
    repo.write("data/train.csv.dvc", yaml.safe_dump(pointer))
    repo.commit()
    assert repo.mlgate("validate-data").returncode == code
    assert "data.data/train.csv.file" not in verdicts(repo)
    repo.write("data/train.csv", f"{content}11,30,Kim\n")
    repo.mlgate("validate-data")
    assert "`dvc checkout data/train.csv`, or commit what is here." in reason(repo, "data.data/train.csv.file")
    assert {"dvc-md5": md5(f"{content}11,30,Kim\n".encode())} in [i["digest"] for i in evidence(repo)["inputs"]]


def test_data_that_nothing_names_are_unattested(repo: Repo) -> None:
    repo.git("rm", "--quiet", "--cached", "data/train.csv")
    repo.write(".gitignore", "/data/train.csv\n")
    repo.commit()
    assert repo.mlgate("validate-data").returncode == 0
    assert "nothing says which data these are" in reason(repo, "data.data/train.csv.file")


def test_a_data_file_that_is_not_there_is_an_error_that_names_it(repo: Repo) -> None:
    (repo.path / "data/train.csv").unlink()
    done = repo.mlgate("validate-data", "--pull", "false")
    assert done.returncode == 2
    assert "data/train.csv" in done.stdout


# -- apart, quarantine, several files, options -----------------------------------------------------------------------


def test_rows_of_the_training_data_in_the_evaluation_data_are_a_leak(repo: Repo) -> None:
    entry = {"path": "data/test.csv", "apart_from": "data/train.csv", "apart_by": "id"}
    repo.git("checkout", "--quiet", "main")
    edit(repo, "mlgate.yaml", lambda config: config["data"].append(entry))
    repo.commit()
    assert repo.mlgate("validate-data").returncode == 0
    repo.write("data/test.csv", HOLDOUT + "3,30,Cyd\n")
    repo.commit()
    assert repo.mlgate("validate-data").returncode == 1
    (broken,) = [c for c in evidence(repo)["checks"] if c["verdict"] == "fail"]
    assert broken["id"] == "data.data/test.csv.apart_from.data/train.csv"
    assert broken["location"]["file"] == "mlgate.yaml"
    assert broken["unexpected"] == 1


def test_quarantine_has_the_broken_rows_and_the_rest(repo: Repo) -> None:
    repo.write("data/train.csv", BAD)
    repo.commit()
    assert repo.mlgate("validate-data", "--quarantine", "bad-rows").returncode == 1
    files = sorted(p for p in (repo.path / "bad-rows").rglob("*.csv") if p.is_file())
    assert len(files) == 2
    sizes = {len(file.read_text().splitlines()) - 1 for file in files}
    assert sizes == {1, 9}


def test_a_file_and_a_contract_without_any_mlgate_yaml(repo: Repo) -> None:
    repo.git("rm", "--quiet", "mlgate.yaml")
    repo.commit()
    args = ("--data", "data/train.csv", "--contract", "contracts/people.yaml")
    assert repo.mlgate("validate-data", *args).returncode == 0
    repo.write("data/train.csv", BAD)
    assert repo.mlgate("validate-data", *args).returncode == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--contract", "contracts/people.yaml"), "--contract needs --data"),
        (("--contract", "contracts/none.yaml", "--data", "data/train.csv"), "contracts/none.yaml, which is not there"),
        (("--data", "data/other.csv"), "data/other.csv, which is no data file of any mlgate.yaml"),
        (("--contract", "/etc/passwd", "--data", "data/train.csv"), "outside the repository"),
        (("--contract", "contracts/people.yaml", "--data", "../x.csv"), "outside the repository"),
        (("--memory-limit", "much"), "memory"),
    ],
)
def test_options_that_make_no_sense_are_named(repo: Repo, args: tuple[str, ...], said: str) -> None:
    done = repo.mlgate("validate-data", *args)
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_outputs_say_what_later_steps_want_to_know(repo: Repo, tmp_path: Path) -> None:
    repo.write("data/train.csv", BAD.replace("bob", "Bob"))
    repo.commit()
    done, job = in_ci(repo, tmp_path / "job")
    assert done.returncode == 1
    outputs = job.outputs
    assert (outputs["verdict"], outputs["passed"], outputs["rows"]) == ("fail", "false", "10")
    assert json.loads(outputs["models"]) == ["visits"]
    (broken,) = json.loads(outputs["failed-expectations"])
    assert broken.startswith("data.data/train.csv.age")
    assert "| 2 |" in job.summary


def test_a_profile_is_a_contract_that_its_file_keeps(repo: Repo) -> None:
    done = repo.mlgate("validate-data", "--profile", "data/train.csv")
    assert (done.returncode, done.stderr) == (0, "")
    repo.write("contracts/proposed.yaml", done.stdout)
    args = ("--data", "data/train.csv", "--contract", "contracts/proposed.yaml")
    assert repo.mlgate("validate-data", *args).returncode == 0
    repo.write("data/train.csv", GOOD.replace("77", "7700"))
    assert repo.mlgate("validate-data", *args).returncode == 1


def test_a_file_named_on_the_command_line_is_read_as_mlgate_yaml_says(repo: Repo) -> None:
    repo.write("data/train.csv", GOOD.replace(",", ";"))
    args = ("--data", "data/train.csv", "--contract", "contracts/people.yaml")
    done = repo.mlgate("validate-data", *args)
    assert done.returncode == 2
    assert "`read: {delimiter: ';'}`" in done.stdout
    edit(repo, "mlgate.yaml", lambda config: config["data"][0].update(read={"delimiter": ";"}))
    assert repo.mlgate("validate-data", *args).returncode == 0
    assert "age: {type: integer" in repo.mlgate("validate-data", "--profile", "data/train.csv").stdout


def test_the_headline_names_the_file_also_where_there_is_only_one(repo: Repo) -> None:
    repo.write("data/train.csv", BAD.replace("bob", "Bob"))
    repo.commit()
    repo.mlgate("validate-data")
    assert evidence(repo)["title"].startswith("data/train.csv: age: at least 0: 1 of 9 rows")


def test_an_edited_contract_is_named_once_with_both_digests(repo: Repo) -> None:
    repo.write("contracts/people.yaml", CONTRACT.replace("120", "130"))
    repo.commit()
    done = repo.mlgate("validate-data")
    (changed,) = [line for line in done.stdout.splitlines() if line.startswith("rule changed: ")]
    assert re.fullmatch(r"rule changed: contracts/people.yaml [0-9a-f]{8}… -> [0-9a-f]{8}…", changed)


def test_every_mistake_of_a_contract_has_a_line_of_its_own(repo: Repo) -> None:
    repo.write("contracts/people.yaml", "schema: 1\ncolumns:\n  age: {minimum: 0, kind: integer}\n")
    done = repo.mlgate("validate-data", "--data", "data/train.csv", "--contract", "contracts/people.yaml")
    assert [line.split()[0] for line in done.stdout.splitlines() if "is not a key" in line] == [
        "error",
        "contracts/people.yaml:3:",
    ]
    assert done.returncode == 2
