"""`mlgate profile`: from a repository to the committed file, and whether that file still belongs to its data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from builder import Repo, md5
from mlgate.data import profiles
from mlgate.data.profiles import Profile

CONFIG: dict[str, Any] = {
    "schema": 1,
    "model": "visits",
    "data": [{"path": "data/train.csv", "contract": "contracts/people.yaml", "id": "person"}],
    "train": {"data": "data/train.csv"},
    "evaluate": {
        "holdout": {
            "data": "data/test.csv",
            "metrics": ["metrics/eval.json"],
            "predictions": {"path": "eval/said.csv", "score": "p", "cut_off": 0.5},
            "columns": {"id": "person", "label": "visited", "positive": 1},
        }
    },
    "compare": {"champion": "main", "rules": {"auc": {"is": "roc_auc", "threshold": 0.7}}},
    "serve": {"log": {"features": ["age", "city", "mail"]}},
    "monitor": {"logs": "logs", "drift": {"psi": 0.2}},
}
CONTRACT = """\
schema: 1
columns:
  age: {type: integer, min: 0}
  mail: {private: true, type: text}
"""


def people(first: int, many: int) -> str:
    random = np.random.default_rng(first)
    lines = ["person,time,age,city,mail,visited"]
    for n in range(many):
        city = ["Ulm", "Bonn", f"village {n}"][0 if n % 3 else 1 if n % 30 else 2]
        age, label = random.integers(18, 90), random.integers(0, 2)
        lines.append(f"{first + n},2026-10-{1 + n % 5:02}T08:00:00Z,{age},{city},p{n}@secret.example,{label}")
    return "\n".join(lines) + "\n"


def predictions(first: int, many: int) -> str:
    random = np.random.default_rng(first + 1)
    return "person,p\n" + "".join(f"{first + n},{random.uniform():.4f}\n" for n in range(many))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A model that is watched, with everything in git."""
    repo = Repo(tmp_path / "repo with spaces")
    repo.write("mlgate.yaml", yaml.safe_dump(CONFIG, sort_keys=False))
    repo.write("contracts/people.yaml", CONTRACT)
    repo.write("data/train.csv", people(0, 1_000))
    repo.write("data/test.csv", people(5_000, 400))
    repo.write("eval/said.csv", predictions(5_000, 400))
    repo.write("metrics/eval.json", {"auc": 0.72})
    repo.commit("First")
    return repo


def change(repo: Repo, edit: Callable[[dict[str, Any]], None]) -> None:
    said = yaml.safe_load((repo.path / "mlgate.yaml").read_text("utf-8"))
    edit(said)
    repo.write("mlgate.yaml", yaml.safe_dump(said, sort_keys=False))


def written(repo: Repo, path: str = "metrics/profile.json") -> Profile:
    return profiles.read((repo.path / path).read_bytes(), path, model="visits")


def test_writes_what_is_logged_of_the_training_data_and_what_the_model_says_of_unseen_ones(repo: Repo) -> None:
    done = repo.mlgate("profile")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Wrote metrics/profile.json: 1,000 rows, 3 features, prediction, score, 5 days; "), (
        done.stdout
    )
    found = written(repo)
    assert (found.model, found.rows, list(found.columns)) == ("visits", 1_000, ["age", "city", "mail"])
    assert found.columns["mail"].of == "private"
    assert found.columns["city"].other == (34, 34)
    assert found.prediction is not None
    assert found.score is not None
    said = [float(line.split(",")[1]) for line in predictions(5_000, 400).splitlines()[1:]]
    assert dict(found.prediction.values) == {"0": sum(p < 0.5 for p in said), "1": sum(p >= 0.5 for p in said)}
    assert (found.score.rows, found.score.missing) == (400, 0)
    assert [day.rows for day in found.days] == [200] * 5
    text = (repo.path / "metrics/profile.json").read_text("utf-8")
    assert "secret.example" not in text
    assert "village" not in text
    assert set(found.data) == {"data/train.csv", "eval/said.csv"}


def test_again_it_gives_the_same_bytes_and_touches_nothing(repo: Repo) -> None:
    repo.mlgate("profile")
    file = repo.path / "metrics/profile.json"
    before, when = file.read_bytes(), file.stat().st_mtime_ns
    done = repo.mlgate("profile")
    assert done.stdout.startswith("Nothing changed in metrics/profile.json: 1,000 rows")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, when)
    assert [entry.name for entry in file.parent.iterdir() if entry.name.startswith(".")] == []


def test_check_knows_whether_it_is_that_of_the_data(repo: Repo) -> None:
    def check() -> tuple[int, str]:
        done = repo.mlgate("profile", "--check")
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()[0]

    assert check() == (1, "visits: There is no metrics/profile.json.")
    repo.mlgate("profile")
    repo.commit("Describe the data")
    assert check() == (0, "visits: metrics/profile.json is that of the committed data.")
    repo.write("data/train.csv", people(0, 999))
    code, said = check()
    assert code == 1
    assert said.startswith("visits: metrics/profile.json was made of another data/train.csv (")
    repo.git("checkout", "--quiet", ".")
    repo.write("eval/said.csv", predictions(6_000, 400))
    assert check()[1].startswith("visits: metrics/profile.json was made of another eval/said.csv")
    repo.git("checkout", "--quiet", ".")
    change(repo, lambda said: said["serve"]["log"].update(features=["age"]))
    assert check() == (1, "visits: metrics/profile.json describes city, and `serve.log.features` says otherwise.")
    repo.git("checkout", "--quiet", ".")
    repo.write("contracts/people.yaml", f"{CONTRACT}  city: {{private: true, type: text}}\n")
    assert check() == (1, "visits: metrics/profile.json shows values of city, which the contract calls private.")
    repo.git("checkout", "--quiet", ".")
    change(repo, lambda said: said.update(model="costs"))
    done = repo.mlgate("profile", "--check")
    assert (done.returncode, "is the reference profile of visits" in done.stderr) == (2, True)


def test_a_broken_profile_is_an_error_and_no_stale_one(repo: Repo) -> None:
    repo.write("metrics/profile.json", "{}")
    done = repo.mlgate("profile", "--check")
    assert done.returncode == 2
    assert "metrics/profile.json is no reference profile that can be used: its schema is 'None'" in done.stderr
    assert repo.mlgate("profile").returncode == 0
    assert repo.mlgate("profile", "--check").returncode == 0


def test_data_that_are_not_those_of_the_lock_are_not_described(repo: Repo) -> None:
    repo.git("rm", "--quiet", "--cached", "data/train.csv")
    repo.write(".gitignore", "/data/train.csv\n")
    pointer = {"outs": [{"md5": md5(b"other rows"), "size": 10, "hash": "md5", "path": "train.csv"}]}
    repo.write("data/train.csv.dvc", yaml.safe_dump(pointer))
    repo.commit("Point elsewhere")
    done = repo.mlgate("profile")
    assert done.returncode == 2
    assert "data/train.csv is not the file that the lock or pointer names" in done.stderr
    assert not (repo.path / "metrics/profile.json").exists()
    pointer["outs"][0]["md5"] = md5((repo.path / "data/train.csv").read_bytes())
    repo.write("data/train.csv.dvc", yaml.safe_dump(pointer))
    repo.commit("Point here")
    assert repo.mlgate("profile").returncode == 0
    assert written(repo).data["data/train.csv"] == f"dvc-md5:{pointer['outs'][0]['md5']}"
    repo.commit("Describe it")
    (repo.path / "data/train.csv").unlink()  # nothing is read, so a runner without the data can tell as well
    assert repo.mlgate("profile", "--check").returncode == 0
    done = repo.mlgate("profile", "--pull", "false")
    assert (done.returncode, "data/train.csv is not here, and `pull` is off." in done.stderr) == (2, True)


def test_other_data_and_another_place_can_be_named(repo: Repo) -> None:
    done = repo.mlgate("profile", "--data", "data/test.csv", "--output", "elsewhere/p.json")
    assert done.returncode == 0, done.stderr
    assert written(repo, "elsewhere/p.json").rows == 400
    assert not (repo.path / "metrics/profile.json").exists()
    assert repo.mlgate("profile", "--output", "../p.json").returncode == 2


def test_without_logged_features_all_columns_that_have_no_other_part(repo: Repo) -> None:
    change(repo, lambda said: said.pop("serve"))
    assert repo.mlgate("profile").returncode == 0
    assert set(written(repo).columns) == {"age", "city", "mail"}


@pytest.mark.parametrize(
    ("predictions", "more", "prediction", "score"),
    [
        ({"score": "p"}, {}, "", "p"),
        ({"class": "person", "score": "p"}, {}, "numbers", "p"),
        ({"score": {"no": "p", "yes": "person"}}, {"is": "accuracy"}, "yes", ""),
        ({"score": "p"}, {"is": "rmse", "task": "regression"}, "numbers", ""),
        ({"score": "p"}, {"is": "rmse", "label": "age"}, "numbers", ""),
    ],
)
def test_predictions_are_what_production_logs_as_such(
    repo: Repo, predictions: dict[str, Any], more: dict[str, str], prediction: str, score: str
) -> None:
    def edit(said: dict[str, Any]) -> None:
        holdout = said["evaluate"]["holdout"]
        holdout["predictions"] = {"path": "eval/said.csv", **predictions}
        if more:
            said["compare"]["rules"] = {"auc": {"is": more["is"], "threshold": 0.7}}
            holdout["columns"] = {"id": "person", "label": more.get("label", "visited")}
            holdout |= {"task": more["task"]} if "task" in more else {}

    change(repo, edit)
    done = repo.mlgate("profile")
    assert done.returncode == 0, done.stderr
    found = written(repo)
    assert (found.score is not None) == bool(score)
    assert (found.prediction is not None) == bool(prediction)
    if prediction == "numbers":
        assert found.prediction is not None
        assert found.prediction.knots
    elif prediction:
        assert found.prediction is not None
        assert dict(found.prediction.values) == {prediction: 400}


def test_the_other_class_is_spelled_as_the_labels_are(repo: Repo) -> None:
    text = people(5_000, 400)
    repo.write("data/test.csv", text.replace(",0\n", ",no\n").replace(",1\n", ",yes\n"))
    change(repo, lambda said: said["evaluate"]["holdout"]["columns"].update(positive="yes"))
    assert repo.mlgate("profile").returncode == 0
    found = written(repo).prediction
    assert found is not None
    assert set(found.values) == {"no", "yes"}


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda said: said.pop("train"), "names no training data"),
        (lambda said: said["serve"]["log"].update(features=["agee"]), "data/train.csv has no column 'agee'"),
        (lambda said: said["evaluate"]["holdout"]["predictions"].update(score="q"), "eval/said.csv has no column 'q'"),
        (lambda said: said["data"][0].update(contract="contracts/none.yaml"), "contracts/none.yaml is not there"),
        (lambda said: said["monitor"].update(profile="../p.json"), "profile"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(repo: Repo, edit: Any, sentence: str) -> None:
    change(repo, edit)
    done = repo.mlgate("profile")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (repo.path / "metrics/profile.json").exists()


def test_a_link_is_not_followed(repo: Repo, tmp_path: Path) -> None:
    (repo.path / "metrics/profile.json").symlink_to(tmp_path / "elsewhere.json")
    done = repo.mlgate("profile")
    assert done.returncode == 2
    assert "is a symbolic link" in done.stderr
    assert not (tmp_path / "elsewhere.json").exists()


def test_doctor_says_what_is_to_be_done(repo: Repo) -> None:
    def finding() -> dict[str, Any] | None:
        repo.mlgate("doctor")
        checks = repo.evidence("visits", "doctor")["checks"]
        return next((check for check in checks if check["id"] == "setup.profile"), None)

    found = finding()
    assert found is not None
    assert (found["verdict"], found["fix"]) == (
        "warn", "mlgate profile\ngit add metrics/profile.json\ngit commit",
    )  # fmt: skip
    repo.mlgate("profile")
    repo.commit("Describe the data")
    assert (finding() or {})["verdict"] == "pass"
    repo.write("data/train.csv", people(0, 998))
    assert "was made of another data/train.csv" in (finding() or {})["reason"]
    repo.write("metrics/profile.json", "{}")
    assert (finding() or {})["verdict"] == "error"
    change(repo, lambda said: said.pop("monitor"))
    assert finding() is None


def test_a_proposal_may_hold_it_and_nothing_else_of_the_kind(repo: Repo) -> None:
    from mlgate.errors import MlgateError  # noqa: PLC0415
    from mlgate.repo.git import discover  # noqa: PLC0415
    from mlgate.repo.owned import Owned  # noqa: PLC0415

    git = discover(repo.path, {})
    owned = Owned(git.at(git.head()))
    assert owned.kind("metrics/profile.json") == "output"
    with pytest.raises(MlgateError, match="neither a dvc"):
        owned.kind("metrics/other.json")
    change(repo, lambda said: said.pop("monitor"))
    repo.commit("No longer watched")
    with pytest.raises(MlgateError, match="neither a dvc"):
        Owned(git.at(repo.head)).kind("metrics/profile.json")


def test_the_outputs_say_what_became_of_it(repo: Repo, tmp_path: Path) -> None:
    from jobs import Job  # noqa: PLC0415

    job = Job(repo, tmp_path / "job")
    done = repo.mlgate("profile", **job.environ)
    assert done.returncode == 0, done.stderr
    assert job.outputs["changed"] == "true"
    assert job.outputs["profile"] == "metrics/profile.json"
    done = repo.mlgate("profile", "--check", **job.environ)
    assert json.loads(json.dumps(job.outputs))["stale"] == "true"  # in CI what counts is what is committed
