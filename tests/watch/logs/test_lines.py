"""JSON lines: every line is a row of the window, or is counted by the reason for which it is none."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import gzip
import json
import random
import stat
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.data.reading import connect
from mlgate.errors import MlgateError
from watch.logs.made import DAY, DIGEST, adds_up, left_out, line, opened, written


def put(root: Path, lines: list[Any], name: str = "logs/p.jsonl", end: bytes = b"") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written(lines) + end)
    return path


def test_rows_have_the_promised_columns_and_types(tmp_path: Path) -> None:
    put(tmp_path, [line(n) for n in range(300)])
    con, logged = opened(tmp_path)
    assert logged.counts["rows"] == 300
    assert not left_out(logged)
    described = con.execute(f"DESCRIBE SELECT * FROM {logged.relation}").fetchall()
    types = {name: type_ for name, type_, *_ in described if not name.startswith("f:")}
    assert types == {
        "time": "TIMESTAMP WITH TIME ZONE",
        "request_id": "VARCHAR",
        "row": "BIGINT",
        "version": "VARCHAR",
        "digest": "VARCHAR",
        "prediction": "DOUBLE",
        "score": "DOUBLE",
        "latency_ms": "DOUBLE",
        "status": "INTEGER",
    }
    assert logged.types == {"age": "BIGINT", "income": "DOUBLE", "health": "VARCHAR", "prediction": "BIGINT"}
    asked = ", ".join((logged.features["age"], logged.features["income"], logged.features["health"], logged.prediction))
    got = con.execute(f"SELECT {asked}, score, epoch_ms(time) FROM {logged.relation} ORDER BY time LIMIT 2").fetchall()
    start = int(DAY.since.timestamp()) * 1000
    assert got == [(20, 0.0, "good", 0, 0.0, start), (21, 1 / 7, "poor", 1, 0.01, start + 1001)]
    assert logged.versions == {"v1.0.0": 300}
    assert logged.where.files == ("logs/p.jsonl",)


def test_each_reason_is_counted_and_nothing_else_is_left_out(tmp_path: Path) -> None:
    lines = [
        *(line(n) for n in range(1000)),
        line(1, request_id="before", time="2026-11-19T23:59:59.999Z"),
        line(1, request_id="after", time="2026-11-21T00:00:00Z"),
        line(1, request_id="future", time="2026-11-21T06:05:01Z"),
        line(1, request_id="not yet", time="2026-11-21T06:04:59Z"),
        line(1, request_id="model", model="other"),
        line(1, request_id="environment", environment="staging"),
        line(1, request_id="mlgate-shadow"),
        line(2, request_id="mlgate-shadow"),
        line(1, request_id="version", digest="cd" * 32, version="v2.0.0"),
        line(5),
        line(5, time="2026-11-20T01:00:00Z", prediction=7),
        {**line(1, request_id="no time"), "time": None},
        line(1, request_id="bad time", time="yesterday"),
        {"level": "info", "message": "started"},
        '{"time":"2026-11-20T10:00:00Z","request_id":"torn","fea',
        b"\xff\xfe\x00",
        "[1, 2]",
    ]
    put(tmp_path, lines, end=b'{"time":"2026-11-20T10:0')
    con, logged = opened(tmp_path, digest=DIGEST)
    assert left_out(logged) == {
        "before": 1,
        "after": 2,
        "future": 1,
        "other_model": 1,
        "other_environment": 1,
        "own": 2,
        "other_version": 1,
        "duplicates": 2,
        "no_time": 3,
        "corrupt": 3,
        "unfinished": 1,
    }
    assert logged.counts["rows"] == 1000
    assert logged.counts["lines"] == len(lines) + 1
    assert adds_up(logged)
    assert logged.facts["contradicting"] == 1
    assert logged.versions == {"v1.0.0": 1002, "v2.0.0": 1}
    kept = con.execute(
        f"SELECT {logged.prediction}, epoch(time) FROM {logged.relation} WHERE request_id = 'r5'"
    ).fetchall()
    assert kept == [(1, DAY.since.timestamp() + 5.005)]  # the earliest of the three


def test_without_a_digest_all_versions_are_rows(tmp_path: Path) -> None:
    put(tmp_path, [line(n, version=f"v{n % 2}", digest=f"sha256:{n % 2}") for n in range(10)])
    _, logged = opened(tmp_path)
    assert logged.counts["rows"] == 10
    assert logged.versions == {"v0": 5, "v1": 5}
    assert any("Several versions answered: v0 (5), v1 (5)" in note for note in logged.notes)


def test_a_digest_may_be_written_with_its_algorithm(tmp_path: Path) -> None:
    put(tmp_path, [line(n, digest=f"sha256:{DIGEST}") for n in range(10)])
    assert opened(tmp_path, digest=DIGEST)[1].counts["rows"] == 10
    assert opened(tmp_path, digest=f"sha256:{DIGEST}")[1].counts["rows"] == 10
    assert opened(tmp_path, digest="ef" * 32)[1].empty


def test_corrupt_lines_are_put_aside_for_their_owner_only(tmp_path: Path) -> None:
    lines: list[Any] = [line(n) for n in range(400)]
    lines.insert(7, "broken {")
    lines.insert(9, "   ")
    lines.insert(300, "null")
    put(tmp_path, lines)
    _, logged = opened(tmp_path)
    assert logged.counts["corrupt"] == 2
    assert logged.quarantine == tmp_path / ".mlgate/quarantine/visits-20261120T000000Z.jsonl"
    assert stat.S_IMODE(logged.quarantine.stat().st_mode) == 0o600
    found = [json.loads(one) for one in logged.quarantine.read_text().splitlines()]
    assert found == [
        {"file": "logs/p.jsonl", "line": 8, "text": "broken {"},
        {"file": "logs/p.jsonl", "line": 301, "text": "null"},
    ]


def test_more_corrupt_lines_than_allowed_are_an_error_that_says_where_they_are(tmp_path: Path) -> None:
    put(tmp_path, [*(line(n) for n in range(97)), "x", "y", "z"])
    with pytest.raises(MlgateError, match=r"of 100 lines 3 cannot be read: 3.00%, and `max_corrupt` is 1.00%") as error:
        opened(tmp_path)
    assert ".mlgate/quarantine/visits-20261120T000000Z.jsonl" in str(error.value)
    assert opened(tmp_path, max_corrupt="3%")[1].counts["rows"] == 97


def test_lines_without_a_time_count_as_unreadable(tmp_path: Path) -> None:
    put(tmp_path, [*(line(n) for n in range(90)), *({"message": "hello"} for _ in range(10))])
    with pytest.raises(MlgateError, match="10 have no time that can be read"):
        opened(tmp_path)


def test_the_end_of_a_file_that_is_being_written_is_not_corrupt(tmp_path: Path) -> None:
    put(tmp_path, [line(n) for n in range(5)], end=json.dumps(line(5)).encode()[:-20])
    _, logged = opened(tmp_path, max_corrupt=0)
    assert left_out(logged) == {"unfinished": 1}
    put(tmp_path, [line(n) for n in range(5)], end=json.dumps(line(5)).encode())  # whole, but for its end
    assert opened(tmp_path, max_corrupt=0)[1].counts["rows"] == 6


def test_rotated_files_belong_to_the_file(tmp_path: Path) -> None:
    put(tmp_path, [line(n) for n in range(10)], "logs/p.jsonl")
    put(tmp_path, [line(n) for n in range(10, 20)], "logs/p.jsonl.1")
    packed = tmp_path / "logs" / "p.jsonl.2.gz"
    packed.write_bytes(gzip.compress(written(line(n) for n in range(20, 30))))
    put(tmp_path, [line(n) for n in range(30, 40)], "logs/p.jsonl-20261119")
    put(tmp_path, [line(99)], "logs/p.jsonl.bak")
    put(tmp_path, [line(99)], "logs/.p.jsonl.swp")
    assert opened(tmp_path, "logs/p.jsonl")[1].counts["rows"] == 40
    assert opened(tmp_path, "logs")[1].counts["rows"] == 41
    assert opened(tmp_path, "logs/p.jsonl.[12]*")[1].counts["rows"] == 20


def test_a_file_rotated_in_the_middle_of_a_line_loses_that_line_only(tmp_path: Path) -> None:
    whole = written(line(n) for n in range(1000))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "p.jsonl.1").write_bytes(whole[: len(whole) // 2 + 17])
    (tmp_path / "logs" / "p.jsonl").write_bytes(whole[len(whole) // 2 + 17 :])
    _, logged = opened(tmp_path)
    assert left_out(logged) == {"unfinished": 1, "corrupt": 1}
    assert logged.counts["rows"] == 999


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_packed_files(tmp_path: Path, pack: str) -> None:
    path = put(tmp_path, [*(line(n) for n in range(500)), "broken"])
    target = path.with_name(f"p.jsonl.{'gz' if pack == 'gzip' else 'zst'}")
    duckdb.sql(
        f"COPY (SELECT * FROM read_csv('{path}', columns = {{l: 'VARCHAR'}}, delim = '\x01', quote = '', escape = '', "
        f"header = false, auto_detect = false)) TO '{target}' "
        f"(HEADER false, QUOTE '', DELIM '\x01', COMPRESSION {pack}, FORMAT csv)"
    )
    path.unlink()
    _, logged = opened(tmp_path)
    assert (logged.counts["rows"], logged.counts["corrupt"]) == (500, 1)


@pytest.mark.parametrize(
    ("text", "seconds", "fact"),
    [
        ("2026-11-20T10:00:00Z", 36000, ""),
        ("2026-11-20T10:00:00.123456Z", 36000.123456, ""),
        ("2026-11-20T10:00:00+00:00", 36000, ""),
        ("2026-11-20 12:00:00+02:00", 36000, "zoned"),
        ("2026-11-20T15:30:00+0530", 36000, "zoned"),
        ("2026-11-20T05:00:00-05", 36000, "zoned"),
        ("2026-11-20T10:00:00", 36000, "naive"),
        ("2026-11-20 10:00:00.5", 36000.5, "naive"),
        (1795168800, 36000, "epoch"),
        (1795168800.25, 36000.25, "epoch"),
        (1795168800250, 36000.25, "epoch"),
        ("1795168800250", 36000.25, "epoch"),
        (1795168800250000, 36000.25, "epoch"),
        (1795168800250000000, 36000.25, "epoch"),
    ],
)
def test_times(tmp_path: Path, text: Any, seconds: float, fact: str) -> None:
    put(tmp_path, [line(0, time=text), line(1)])
    con, logged = opened(tmp_path)
    assert logged.counts["rows"] == 2, logged.counts
    found = con.execute(f"SELECT epoch(time) FROM {logged.relation} WHERE request_id = 'r0'").fetchall()[0][0]
    assert found - DAY.since.timestamp() == pytest.approx(seconds, abs=1e-6)
    assert {name for name in ("naive", "zoned", "epoch") if logged.facts[name]} == ({fact} if fact else set())


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "infinity", "-infinity", True, [1], -5, "1e400"])
def test_what_is_no_time(tmp_path: Path, text: Any) -> None:
    put(tmp_path, [line(0, time=text), *(line(n) for n in range(1, 200))])
    _, logged = opened(tmp_path)
    assert left_out(logged) == {"no_time": 1}


def test_another_schema_is_said_with_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, [{"ts": "2026-11-20T10:00:00Z", "inputs": {"age": 3}, "output": 1}] * 5)
    with pytest.raises(MlgateError) as error:
        opened(tmp_path)
    assert str(error.value) == (
        "logs/p.jsonl has no field 'time'; it has inputs, output, ts. "
        "Say in `monitor.logs.fields.time` what it is called there."
    )
    fields = {"time": "ts", "prediction": "output", "features": "inputs"}
    con, logged = opened(tmp_path, fields=fields)
    assert logged.counts["rows"] == 5
    assert logged.facts["no_request_id"] == 5
    assert logged.score is None
    with pytest.raises(MlgateError, match="has no field 'p'"):
        opened(tmp_path, fields={**fields, "score": "p"})
    assert con.execute(f"SELECT {logged.features['age']} FROM {logged.relation} LIMIT 1").fetchall() == [(3,)]


def test_features_may_be_fields_of_their_own_with_any_name(tmp_path: Path) -> None:
    names = ["time of day", "reason", "zone", "f:x", 'a"b', "it's", "row.id", "größe"]
    lines = [{"time": f"2026-11-20T10:00:{n:02d}Z", "prediction": "yes", **dict.fromkeys(names, n)} for n in range(9)]
    put(tmp_path, lines)
    con, logged = opened(tmp_path, fields={"features": "."})
    assert set(logged.features) == set(names)
    sums = ", ".join(f"sum({logged.features[name]})" for name in names)
    assert con.execute(f"SELECT {sums} FROM {logged.relation}").fetchall() == [(36,) * len(names)]
    assert logged.types["prediction"] == "VARCHAR"


def test_features_named_like_columns_of_the_relation(tmp_path: Path) -> None:
    inside = {"time": 1, "row": 2, "score": 3, "prediction": 4, "version": "x"}
    put(tmp_path, [line(n, features=inside) for n in range(9)])
    con, logged = opened(tmp_path)
    asked = ", ".join(logged.features[name] for name in inside)
    assert con.execute(f"SELECT DISTINCT {asked} FROM {logged.relation}").fetchall() == [(1, 2, 3, 4, "x")]


def test_features_as_a_text_that_holds_json(tmp_path: Path) -> None:
    put(tmp_path, [line(n, features=json.dumps({"age": n, "of": "x"})) for n in range(9)])
    con, logged = opened(tmp_path)
    assert con.execute(f"SELECT sum({logged.features['age']}) FROM {logged.relation}").fetchall() == [(36,)]


def test_a_column_that_became_something_else_is_read_as_what_it_is(tmp_path: Path) -> None:
    lines = [line(n) for n in range(30_000)]
    for n in range(9_000, 9_900):
        lines[n]["features"]["age"] = "unknown"
    lines[-1]["features"]["income"] = "n/a"
    put(tmp_path, lines)
    con, logged = opened(tmp_path)
    assert logged.types["age"] == "VARCHAR"
    assert con.execute(
        f"SELECT count(*) FROM {logged.relation} WHERE {logged.features['age']} = 'unknown'"
    ).fetchall() == [(900,)]


def test_slips_of_type_are_missing_and_counted(tmp_path: Path) -> None:
    """Beyond the lines that are sampled: of a file of 30 MB only some are."""
    lines = [line(n % 80_000, request_id=f"q{n}") for n in range(80_000)]
    text = written(lines).split(b"\n")
    at = len(text) // 2 + 311
    slipped = json.loads(text[at])
    slipped["features"]["income"] = "n/a"
    text[at] = json.dumps(slipped).encode()
    path = tmp_path / "logs" / "p.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"\n".join(text))
    con, logged = opened(tmp_path)
    assert logged.counts["rows"] == 80_000
    missing = con.execute(
        f"SELECT count(*) FROM {logged.relation} WHERE {logged.features['income']} IS NULL"
    ).fetchall()[0][0]
    assert missing == logged.misfits.get("income", 0) == 1
    assert any("income: 1 values are of another type" in note for note in logged.notes)


def test_missing_numbers_are_missing_and_no_slips(tmp_path: Path) -> None:
    lines = [line(n) for n in range(1000)]
    for n in range(0, 1000, 3):
        lines[n]["features"]["income"] = None
        lines[n]["score"] = None
        del lines[n]["features"]["age"]
    for n in range(1, 6):
        lines[n]["features"]["income"] = ["x", {"a": 1}, "", "12 EUR", [1]][n - 1]
    lines[10]["prediction"] = "none"
    put(tmp_path, lines)
    con, logged = opened(tmp_path)
    assert logged.misfits == {"income": 5, "prediction": 1}
    income, score, age = logged.features["income"], logged.score, logged.features["age"]
    counts = f"count({income}), count({score}), count({age}), count({logged.prediction})"
    found = con.execute(f"SELECT {counts} FROM {logged.relation}").fetchall()
    assert found == [(1000 - 333 - 5, 666, 666, 999)]


def test_a_prediction_that_became_a_text(tmp_path: Path) -> None:
    put(tmp_path, [line(n, **({"prediction": "yes"} if n > 900 else {})) for n in range(1000)])
    con, logged = opened(tmp_path)
    assert logged.types["prediction"] == "VARCHAR"
    found = con.execute(f"SELECT {logged.prediction}, count(*) FROM {logged.relation} GROUP BY 1 ORDER BY 1").fetchall()
    assert found == [("0", 451), ("1", 450), ("yes", 99)]
    assert "prediction: 99 values are of another type than the others, so that it is read as text." in logged.notes


def test_a_feature_that_only_some_lines_have(tmp_path: Path) -> None:
    lines = [line(n) for n in range(100)]
    lines[50]["features"]["new"] = 3
    put(tmp_path, lines)
    con, logged = opened(tmp_path, wanted=["gone", "age"])
    assert con.execute(
        f"SELECT count({logged.features['new']}), count({logged.features['gone']}) FROM {logged.relation}"
    ).fetchall() == [(1, 0)]


def test_scores_of_several_classes_become_the_largest(tmp_path: Path) -> None:
    put(tmp_path, [line(n, prediction="b", score=[0.1, 0.7, 0.2]) for n in range(3)])
    con, logged = opened(tmp_path)
    assert con.execute(f"SELECT DISTINCT {logged.score} FROM {logged.relation}").fetchall() == [(0.7,)]


def test_nothing_logged_is_empty_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    _, logged = opened(tmp_path)
    assert logged.empty
    put(tmp_path, [])
    assert opened(tmp_path)[1].empty
    put(tmp_path, [line(n, time="2026-11-18T00:00:00Z") for n in range(5)])
    con, logged = opened(tmp_path)
    assert logged.empty
    assert left_out(logged) == {"before": 5}
    assert con.execute(f"SELECT count(*) FROM {logged.relation}").fetchall() == [(0,)]


@pytest.mark.parametrize("path", ["nowhere", "nowhere/p.jsonl", "nowhere/*.jsonl", "nowhere/{date}/p.jsonl"])
def test_a_place_that_is_not_there_is_an_error(tmp_path: Path, path: str) -> None:
    with pytest.raises(MlgateError, match=r"nowhere.* does not exist"):
        opened(tmp_path, path)


def test_folders_by_date(tmp_path: Path) -> None:
    for day in ("2026-11-19", "2026-11-20", "2026-11-21"):
        put(tmp_path, [line(n, request_id=f"{day}{n}") for n in range(3)], f"logs/{day}/p.jsonl")
    _, logged = opened(tmp_path, "logs/{date}")
    assert logged.where.files == ("logs/2026-11-20/p.jsonl",)
    put(tmp_path, [line(1)], "logs/2026/11/20/07/p.jsonl")
    _, logged = opened(tmp_path, "logs/{year}/{month}/{day}/{hour}/*.jsonl")
    assert logged.where.files == ("logs/2026/11/20/07/p.jsonl",)
    assert logged.notes[0] == "logs/{year}/{month}/{day}/{hour}/*.jsonl: nothing for 23 of 24 times of the window."
    with pytest.raises(MlgateError, match=r"has `\{minute\}`"):
        opened(tmp_path, "logs/{minute}/p.jsonl")


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path, [line(1)], "outside/p.jsonl")
    (tmp_path / "repo" / "logs").mkdir(parents=True)
    (tmp_path / "repo" / "logs" / "p.jsonl").symlink_to(outside)
    with pytest.raises(MlgateError, match="leaves the repository by a symbolic link"):
        opened(tmp_path / "repo")
    assert opened(tmp_path / "repo", str(outside))[1].counts["rows"] == 1


def test_files_of_two_formats_are_refused(tmp_path: Path) -> None:
    put(tmp_path, [line(1)])
    put(tmp_path, ["a,b"], "logs/p.csv")
    with pytest.raises(MlgateError, match=r"is (csv|jsonl), and logs/p.* is"):
        opened(tmp_path)


def test_names_that_differ_in_case_only(tmp_path: Path) -> None:
    put(tmp_path, [line(1, features={"Age": 1, "age": 2})])
    with pytest.raises(MlgateError, match="equal but for upper and lower case"):
        opened(tmp_path)


@cache
def _connection() -> Any:
    return connect()


odd = st.sampled_from(
    [
        "broken {",
        "7",
        "[]",
        "{}",
        '"text"',
        '{"time": 5, "features": 7}',
        '{"features": {"age": "x"}}',
        "{" + '"a":' * 3,
        "\x00\x00",
        "nul",
        '{"time":"2026-11-20T10:00:00Z"}',
    ]
)


@given(st.lists(st.one_of(st.integers(-3, 90_000), odd), min_size=1, max_size=60), st.integers(0, 2**32), st.booleans())
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, what: list[Any], seed: int, torn: bool) -> None:
    """Whatever is written, wherever it is cut: rows and what was left out are all that is there."""
    root = tmp_path_factory.mktemp("logs")
    draw = random.Random(seed)  # noqa: S311 -- which lines, no secrets
    lines = [line(one, model=draw.choice(["visits", "other"])) if isinstance(one, int) else one for one in what]
    first = written([line(0, request_id="always")])
    whole = first + written(lines)
    if torn:
        whole = whole[: draw.randrange(len(first), len(whole) + 1)]
    cut = draw.randrange(len(first), len(whole) + 1)
    (root / "logs").mkdir()
    (root / "logs" / "p.jsonl.1").write_bytes(whole[:cut])
    (root / "logs" / "p.jsonl").write_bytes(whole[cut:])
    parts = [part for half in (whole[:cut], whole[cut:]) for part in half.split(b"\n") if part.strip(b" \t\r")]
    con, logged = opened(root, max_corrupt="100%", con=_connection())
    assert logged.counts["lines"] == len(parts)
    assert adds_up(logged)
    assert con.execute(f"SELECT count(*) FROM {logged.relation}").fetchall() == [(logged.counts["rows"],)]
    objects = {}
    for part in parts:
        try:
            found = json.loads(part)
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("model") == "visits":
            moment = DAY.since + timedelta(
                seconds=int(found["request_id"][1:]) if found["request_id"] != "always" else 0
            )
            if DAY.since <= moment < DAY.until:
                objects[found["request_id"]] = found
    assert logged.counts["rows"] == len(objects) + sum(part == b'{"time":"2026-11-20T10:00:00Z"}' for part in parts)
