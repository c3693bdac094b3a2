"""Size, latency and memory of two models that take turns."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import duckdb
import pytest

import builder
from mlgate.config.settings import Latency, Read
from mlgate.data import reading
from mlgate.judge.made import Side
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import discover
from mlgate.train import costs
from mlgate.train.costs import Costs, Measured
from mlgate.train.entry import Data
from mlgate.train.project import Evaluated
from mlgate.train.ready import Judged, Ready
from train.test_entry import ready

LOAD = """\
import json, os, time
def load(path):
    model = json.load(open(path))
    if model.get("broken"):
        raise ValueError("this model is broken")
    held = bytearray(model.get("hold", 0)); held[::4096] = b"x" * len(held[::4096])
    def predict(rows):
        time.sleep(model.get("wait", 0))
        with open(os.environ["TOLD"], "a") as file:
            file.write(f"{model['name']} {','.join(map(str, rows['x']))}\\n")
        print("predicted", len(rows))
        return [0.5] * len(rows)
    return predict
"""


def sides(home: Path, **models: object) -> list[Ready]:
    found = []
    for side in ("challenger", "champion"):
        if side in models:
            one = ready(home, side, TOLD=str(home / "told"))
            (one.scratch.tree / "latency.py").write_text(LOAD)
            (one.scratch.tree / "model.json").write_text(json.dumps({"name": side, **dict(models[side])}))  # type: ignore[call-overload]
            found.append(one)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Data:
    file = tmp_path / "data.csv"
    file.write_text("id,x\n" + "".join(f"{i},{i}\n" for i in range(4)))
    return Data([file], "data.csv", "csv", Read())


def measured(found: list[Ready], data: Data, **latency: object) -> dict[Side, Measured]:
    settings = Latency(**{"rows": 1, "calls": 6, **latency})  # type: ignore[arg-type]
    return costs.by_function(found, dict.fromkeys((one.side for one in found), "latency:load"), settings, data)


def test_both_are_called_in_turns_with_the_same_rows(tmp_path: Path, data: Data) -> None:
    seen = measured(sides(tmp_path, challenger={}, champion={"wait": 0.02}), data, rows=2)
    told = (tmp_path / "told").read_text().splitlines()
    warm, kept = told[:2], told[2:]
    assert [line.split()[0] for line in warm] == ["champion", "challenger"]
    assert [line.split()[0] for line in kept] == ["champion", "challenger", "challenger", "champion"] * 3
    by_side = {side: [line.split()[1] for line in kept if line.startswith(side)] for side in seen}
    assert by_side["challenger"] == by_side["champion"] == ["0,1", "2,3"] * 3
    assert {side: len(one.times) for side, one in seen.items()} == {"challenger": 6, "champion": 6}
    assert min(seen["champion"].times) >= 20 > sorted(seen["challenger"].times)[2]


def test_memory_is_that_of_each_model_alone(tmp_path: Path, data: Data) -> None:
    seen = measured(sides(tmp_path, challenger={"hold": 150_000_000}, champion={}), data, calls=2)
    assert (seen["challenger"].peak or 0) - (seen["champion"].peak or 0) > 100_000_000


@pytest.mark.parametrize("broken", ["challenger", "champion"])
def test_a_side_that_breaks_says_why_and_the_other_is_measured(broken: Side, tmp_path: Path, data: Data) -> None:
    models = {"challenger": {}, "champion": {}, broken: {"broken": True}}
    seen = measured(sides(tmp_path, **models), data)
    other: Side = "champion" if broken == "challenger" else "challenger"
    assert seen[broken].error.endswith("ValueError: this model is broken")
    assert (seen[broken].times, seen[broken].peak) == ((), None)
    assert len(seen[other].times) == 6
    assert not seen[other].error


def test_without_a_champion_the_challenger_is_measured_alone(tmp_path: Path, data: Data) -> None:
    assert set(measured(sides(tmp_path, challenger={}), data)) == {"challenger"}


def test_the_score_command_as_a_whole(tmp_path: Path, data: Data) -> None:
    found = sides(tmp_path, challenger={}, champion={})
    command = "sleep 0.05; test ! -e {predictions} && cat {model} {data} > {predictions}"
    evaluated = Evaluated("holdout", (), predictions="out.csv", score=command)
    judged = {one.side: Judged(None, None, evaluated, "") for one in found}  # type: ignore[arg-type]
    seen = costs.by_process(found, judged, 500, data)
    for one in seen.values():
        assert not one.error, "and what the last call left was removed"
        assert len(one.times) == 20, "each starts an interpreter: fewer calls"
        assert min(one.times) >= 50
        assert one.peak
    broken = {one.side: Judged(None, None, Evaluated("h", (), predictions="o", score="exit 3"), "") for one in found}  # type: ignore[arg-type]
    assert {one.error for one in costs.by_process(found, broken, 2, data).values()} == {"it ended with exit code 3"}


@pytest.mark.parametrize(("format_", "name"), [("csv", "d.csv"), ("jsonl", "d.jsonl"), ("parquet", "d.parquet")])
def test_a_sample_is_of_the_same_format(format_: str, name: str, tmp_path: Path) -> None:
    con = duckdb.connect()
    source = tmp_path / name
    how = {"csv": "FORMAT csv, HEADER, DELIMITER ';'", "jsonl": "FORMAT json", "parquet": "FORMAT parquet"}[format_]
    con.execute("CREATE TABLE made AS SELECT i AS id, 'a;b' AS t FROM range(50) r(i)")
    con.execute(f"COPY made TO '{source}' ({how})")
    read = Read(delimiter=";") if format_ == "csv" else Read()
    table = reading.open_table(con, [source], name, read)
    (tmp_path / "few").mkdir()
    few = costs.sample(con, table, Data([source], name, format_, read), 7, tmp_path / "few" / name)
    again = reading.open_table(con, list(few.files), name, few.read)
    assert con.sql(f"FROM {again.relation}").fetchall() == [(i, "a;b") for i in range(7)]


def test_the_size_is_what_the_commit_says(tmp_path: Path) -> None:
    repo = builder.consumer(tmp_path / "repo")
    repo.write("weights/a.bin", b"x" * 30)
    repo.write("weights/deep/b.bin", b"x" * 12)
    repo.write("one.bin", b"x" * 5)
    repo.commit()
    git = discover(repo.path, {})
    pipeline = Pipeline(git.at(git.head()))
    found = [costs.size(pipeline, path) for path in ("models/visits.joblib", "weights", "one.bin", "nowhere")]
    assert found == [1000, 42, 5, None]


def test_the_file_has_every_sample_and_no_nan() -> None:
    found = Costs(
        {"challenger": Measured(10, (1.5, 2.5), 99), "champion": Measured(error="gone")}, "holdout", "function"
    )
    said = json.loads(found.to_json())
    assert said["challenger"] == {"model_bytes": 10, "latency_ms": [1.5, 2.5], "peak_memory_bytes": 99}
    assert said["champion"] == {"model_bytes": None, "latency_ms": [], "peak_memory_bytes": None, "error": "gone"}
    assert (said["set"], said["how"]) == ("holdout", "function")


def test_nothing_is_left_running(tmp_path: Path, data: Data) -> None:
    """A worker that starts something of its own is ended with it."""
    one = sides(tmp_path, challenger={})[0]
    mark = f"{97_531 + int(time.time()) % 1000}.25"
    code = LOAD.replace(
        "    model = json", f"    import subprocess; subprocess.Popen(['sleep', '{mark}'])\n    model = json"
    )
    (one.scratch.tree / "latency.py").write_text(code)
    measured([one], data, calls=1)
    assert mark not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
