"""Object storage: a real S3 server, with credentials from the environment only."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import gzip
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from mlgate.errors import MlgateError
from mlgate.watch.logs import storage
from mlgate.watch.nouns import Window
from watch.logs.made import line, opened, written

# The S3 library of the storage closes its connections by a finalizer of its own, on a loop that may be gone.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SECRET = "SECRETSECRETSECRET"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": server,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").Bucket(f"logs-{uuid.uuid4().hex[:8]}")
    bucket.create()
    yield bucket
    bucket.objects.all().delete()
    bucket.delete()


def put(bucket: Any, name: str, body: bytes) -> None:
    bucket.put_object(Key=name, Body=body)


def test_a_folder_a_glob_and_dates(bucket: Any, tmp_path: Path) -> None:
    said: list[str] = []
    for day, hour in (("2026-11-19", "23"), ("2026-11-20", "00"), ("2026-11-20", "13")):
        rows = [line(n, request_id=f"{day}-{hour}-{n}") for n in range(10)]
        put(bucket, f"p/dt={day}/{hour}.jsonl", written(rows))
    put(bucket, "p/dt=2026-11-20/14.jsonl.gz", gzip.compress(written([*(line(n) for n in range(90)), "broken"])))
    put(bucket, "p/dt=2026-11-20/_SUCCESS", b"")
    put(bucket, "p/dt=2026-11-20/.hidden.jsonl", b"broken\n")
    place = f"s3://{bucket.name}/p"
    con, logged = opened(tmp_path, f"{place}/dt={{date}}", say=said.append)
    assert logged.counts["rows"] == 110
    assert logged.counts["corrupt"] == 1
    assert logged.where.files == tuple(
        f"{place}/dt=2026-11-20/{name}" for name in ("00.jsonl", "13.jsonl", "14.jsonl.gz")
    )
    assert con.execute(f"SELECT count(*) FROM {logged.relation}").fetchall() == [(110,)]
    assert said == [f"fetching 3 files, 0.0 MB, from s3://{bucket.name}"]
    assert opened(tmp_path, place)[1].counts["rows"] == 120
    assert opened(tmp_path, f"{place}/*/*.jsonl")[1].counts["rows"] == 30
    assert opened(tmp_path, f"{place}/dt={{date}}/{{hour}}.jsonl")[1].notes == (
        f"{place}/dt={{date}}/{{hour}}.jsonl: nothing for 22 of 24 times of the window.",
    )


def test_nothing_there_is_empty_and_a_missing_bucket_is_an_error(bucket: Any, tmp_path: Path) -> None:
    assert opened(tmp_path, f"s3://{bucket.name}/{{date}}")[1].empty
    with pytest.raises(MlgateError, match=r"s3://no-such-bucket-of-ours/x:? cannot be read") as error:
        opened(tmp_path, "s3://no-such-bucket-of-ours/x")
    assert "Check the address" in str(error.value)


def test_a_server_that_is_away_is_an_error_without_secrets(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(MlgateError, match="cannot be read") as error:
        opened(tmp_path, f"s3://{bucket.name}/x")
    assert SECRET not in str(error.value)


def test_without_credentials_it_is_said(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(MlgateError, match=r"cannot be read \(.*[Cc]redentials"):
        opened(tmp_path, f"s3://{bucket.name}/x")


def test_addresses_with_credentials_and_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="holds credentials") as error:
        opened(tmp_path, f"s3://key:{SECRET}@bucket/x")
    assert SECRET not in str(error.value)
    with pytest.raises(MlgateError, match="of a storage that is not read"):
        opened(tmp_path, "ftp://host/x")


def test_objects_older_than_the_window_are_not_fetched(bucket: Any, tmp_path: Path) -> None:
    """What was last written before the window began cannot hold anything of it."""
    put(bucket, "p.jsonl", written([line(1)]))
    later = Window(datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC))
    _, logged = opened(tmp_path, f"s3://{bucket.name}/p.jsonl", window=later)
    assert logged.where.files == ()
    assert logged.empty


def test_too_little_room_is_said_before_anything_is_fetched(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, "p.jsonl", written([line(1)]))
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(MlgateError, match=r"and 0\.0 GB are free"):
        opened(tmp_path, f"s3://{bucket.name}/p.jsonl")
