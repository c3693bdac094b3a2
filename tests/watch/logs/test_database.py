"""Queries: DuckDB files, sqlite, and a real PostgreSQL where this machine has one."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy
from sqlalchemy.dialects.postgresql import JSONB

from mlgate.config.watching import Logs, Source
from mlgate.data.reading import connect
from mlgate.errors import MlgateError
from mlgate.watch.logs import Logged, open_logs, open_source
from watch.logs.made import DAY, NOW, adds_up, line

LOCAL = "LOGS_DB"
QUERY = "SELECT * FROM log WHERE time >= :since AND time < :until"
SECRET = "hunter2hunter2"


def asked(root: Path, address: str | None, query: str = QUERY, **more: Any) -> tuple[Any, Logged]:
    con = connect()
    settings = Logs(query=query, database=None if address is None else LOCAL, **more)
    return con, open_logs(
        con,
        settings,
        DAY,
        root=root,
        environ={} if address is None else {LOCAL: address},
        model="visits",
        environment="production",
        now=NOW,
    )


def rows(many: int = 100) -> list[dict[str, Any]]:
    kept = ("time", "request_id", "row", "model", "version", "environment", "prediction", "score", "latency_ms")
    found = [{key: line(n)[key] for key in kept} | {"features": json.dumps(line(n)["features"])} for n in range(many)]
    return [*found, {**found[0], "request_id": "old", "time": "2026-11-18T00:00:00.000Z"}]


def filled(engine: sqlalchemy.Engine, time: Any, features: Any) -> None:
    text, number = sqlalchemy.Text, sqlalchemy.Float
    types = {"time": time, "row": sqlalchemy.Integer, "score": number, "latency_ms": number, "features": features}
    types["prediction"] = sqlalchemy.Integer
    log = sqlalchemy.Table(
        "log", sqlalchemy.MetaData(), *(sqlalchemy.Column(name, types.get(name, text)) for name in rows(1)[0])
    )
    several = rows()
    if time is not text:
        several = [{**row, "time": datetime.fromisoformat(row["time"])} for row in several]
    if features is not text:
        several = [{**row, "features": json.loads(row["features"])} for row in several]
    with engine.begin() as con:
        log.create(con)
        con.execute(log.insert(), several)
    engine.dispose()


def right(con: Any, logged: Logged, lines: int = 100) -> None:
    assert logged.counts["rows"] == 100
    assert logged.counts["lines"] == lines
    assert adds_up(logged)
    age, income = logged.features["age"], logged.features["income"]
    found = con.execute(
        f"SELECT count(*), sum({age}), round(sum({income}), 3), sum({logged.prediction}), min(epoch(time)) "
        f"FROM {logged.relation}"
    ).fetchall()
    assert found == [(100, 4450, 707.143, 50, DAY.since.timestamp())]


def test_sqlite(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/logs.db"
    filled(sqlalchemy.create_engine(address), sqlalchemy.Text, sqlalchemy.Text)
    con, logged = asked(tmp_path, address, QUERY.replace("time ", "datetime(time) "))
    right(con, logged)
    assert logged.where.files == ("the query to LOGS_DB",)
    right(*asked(tmp_path, address, "SELECT * FROM log"), lines=101)


@pytest.mark.parametrize("form", ["duckdb:///{}", "{}"])
def test_a_duckdb_file_which_is_only_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "logs.duckdb"
    several = rows()
    with duckdb.connect(str(path)) as con:
        con.execute(
            "CREATE TABLE log AS SELECT * REPLACE (CAST(time AS TIMESTAMPTZ) AS time) FROM "
            '(SELECT unnest(from_json($1, \'[{"time":"VARCHAR","request_id":"VARCHAR","row":"BIGINT",'
            '"model":"VARCHAR","version":"VARCHAR","environment":"VARCHAR","prediction":"BIGINT","score":"DOUBLE",'
            '"latency_ms":"DOUBLE","features":"VARCHAR"}]\'), recursive := true))',
            [json.dumps(several)],
        )
    before = path.read_bytes()
    right(*asked(tmp_path, form.format(path), QUERY + " AND ':since' <> 'x::text';"))
    with pytest.raises(MlgateError, match=r"the query to LOGS_DB:? failed"):
        asked(tmp_path, str(path), "DELETE FROM log")
    assert path.read_bytes() == before


def test_duckdb_itself_over_files_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    query = "SELECT * FROM read_json('raw/*.jsonl') WHERE CAST(time AS TIMESTAMPTZ) >= :since"
    right(*asked(tmp_path, None, query))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL of our own, without a network: it listens on a socket in a private folder."""
    command = shutil.which("postgres") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres")), None)
    if command is None:
        pytest.skip("this machine has no PostgreSQL")
    home = Path(command).resolve().parent
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    drop: dict[str, Any] = {}
    if os.getuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user for it")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        drop = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C"}

    def run(*argv: str) -> None:
        subprocess.run(argv, check=True, capture_output=True, timeout=60, env=environ, cwd=folder, **drop)

    data = folder / "data"
    run(str(home / "initdb"), "--auth=trust", "-U", user, "-D", str(data), "--no-sync")
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c timezone=America/New_York"
    run(str(home / "pg_ctl"), "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql://{user}:{SECRET}@/postgres?host={folder}"
    finally:
        run(str(home / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_postgresql(postgres: str, tmp_path: Path) -> None:
    """Times with a zone, JSON that the database knows as such, and a session of another zone."""
    engine = sqlalchemy.create_engine(
        postgres.replace("postgresql:", "postgresql+psycopg:"), connect_args={"client_encoding": "utf8"}
    )
    filled(engine, sqlalchemy.DateTime(timezone=True), JSONB)
    right(*asked(tmp_path, postgres))
    for writing in ("INSERT INTO log (row) VALUES (1) RETURNING *", "SELECT 1 FROM setval('s', 9)"):
        with engine.begin() as con:
            con.execute(sqlalchemy.text("CREATE SEQUENCE IF NOT EXISTS s"))
        with pytest.raises(MlgateError, match=r"the query to LOGS_DB:? failed") as error:
            asked(tmp_path, postgres, writing)
        assert SECRET not in str(error.value)
    engine.dispose()
    with pytest.raises(MlgateError, match=r"failed \(relation \"nowhere\" does not exist") as error:
        asked(tmp_path, postgres, "SELECT * FROM nowhere")
    assert SECRET not in str(error.value)


def test_a_database_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match=r"the query to LOGS_DB:? failed") as error:
        asked(tmp_path, f"postgresql://u:{SECRET}@/x?host={tmp_path}")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("address", [f"nosuch://u:{SECRET}@h/x", f"u:{SECRET}"])
def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    with pytest.raises(MlgateError, match="none that SQLAlchemy knows") as error:
        asked(tmp_path, address)
    assert SECRET not in str(error.value)


def test_a_variable_that_is_not_set(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="the variable LOGS_DB is not set"):
        asked(tmp_path, "")
    with pytest.raises(MlgateError, match="names no file"):
        asked(tmp_path, "duckdb:///nowhere.duckdb")


def test_a_query_without_rows_is_empty(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/logs.db"
    filled(sqlalchemy.create_engine(address), sqlalchemy.Text, sqlalchemy.Text)
    assert asked(tmp_path, address, "SELECT * FROM log WHERE time < '1999'")[1].empty


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="gives the column 'a' twice"):
        asked(tmp_path, "sqlite://", "SELECT 1 AS a, 2 AS a")


def test_truth_by_a_query(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/logs.db"
    filled(sqlalchemy.create_engine(address), sqlalchemy.Text, sqlalchemy.Text)
    con = connect()
    source = Source(query="SELECT request_id, prediction AS outcome FROM log", database=LOCAL)
    got = open_source(
        con, source, DAY, root=tmp_path, environ={LOCAL: address}, wanted=["request_id", "outcome"], key="monitor.truth"
    )
    assert got.counts == {"lines": 101, "rows": 101, "corrupt": 0, "unfinished": 0}
    assert got.types == {"request_id": "VARCHAR", "outcome": "BIGINT"}
    assert con.execute(f"SELECT sum(outcome) FROM {got.relation}").fetchall() == [(50,)]
