"""What a fork's run hands over is hostile: nothing but evidence of a sensible size comes in."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mlgate.errors import MlgateError
from mlgate.forges import detect, received
from mlgate.model import Evidence

HEAD = "a" * 40


def evidence(model: str = "visits", kind: str = "compare", **more: Any) -> str:
    return Evidence.model_validate({"kind": kind, "model": model, "verdict": "pass"} | more).to_json()


def archive(files: dict[str, str | bytes], **how: Any) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", **({"compression": zipfile.ZIP_DEFLATED} | how)) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return body.getvalue()


def test_evidence_comes_in_by_model_and_verb_and_the_rest_stays_out() -> None:
    found = received.unpack(
        archive(
            {
                "evidence/visits/compare.json": evidence(),
                "evidence/visits/doctor.json": evidence(kind="doctor"),
                "evidence/costs/compare.json": evidence("costs"),
                "report.html": "<script>alert(1)</script>",
                "evidence/visits/compare.json.txt": "x",
                "../evidence/visits/up.json": evidence(kind="up"),
                "/evidence/visits/root.json": evidence(kind="root"),
                "evidence/a/b/deep.json": evidence(kind="deep"),
                "evidence/-dash/compare.json": evidence(),
            }
        )
    )
    assert [(e.model, e.kind) for e in found] == [("costs", "compare"), ("visits", "compare"), ("visits", "doctor")]


def refused(body: bytes) -> str:
    with pytest.raises(MlgateError) as error:
        received.unpack(body)
    assert "is not used" in str(error.value)
    assert "Traceback" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "\0\xff",
        "[" * 100_000,
        evidence().replace('"schema": 1', '"schema": 2'),
        evidence().replace('"pass"', '"splendid"'),
        evidence().replace('"unchanged": false', '"unchanged": false, "extra": 1'),
        evidence().replace('"unchanged": false', '"unchanged": NaN'),
    ],
)
def test_what_does_not_follow_the_schema_is_refused(text: str) -> None:
    assert "does not follow the schema" in refused(archive({"evidence/visits/compare.json": text}))


def test_evidence_under_another_name_is_refused() -> None:
    assert "another model" in refused(archive({"evidence/costs/compare.json": evidence("visits")}))
    assert "another model" in refused(archive({"evidence/visits/doctor.json": evidence(kind="compare")}))


@pytest.mark.parametrize(
    "body", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 10, archive({"evidence/v/c.json": "{}"})[:-30]]
)
def test_what_is_no_archive_is_refused(body: bytes) -> None:
    refused(body)


def test_an_archive_without_evidence_is_refused() -> None:
    assert "holds no evidence" in refused(archive({"report.html": "x"}))
    assert "holds no evidence" in refused(archive({}))


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = b" " * (received.FILE_LIMIT + 1)
    bomb = archive({"evidence/visits/compare.json": zeros})
    assert len(bomb) < 5_000
    assert "too large" in refused(bomb)
    many = {f"evidence/m{n}/compare.json": evidence(f"m{n}") for n in range(4)}
    monkeypatch.setattr(received, "TOTAL_LIMIT", 2_000)
    assert "too large" in refused(archive(many))
    monkeypatch.setattr(received, "ENTRIES_LIMIT", 3)
    assert "4 entries" in refused(archive(many))


def test_a_size_that_lies_is_not_believed() -> None:
    body = bytearray(archive({"evidence/visits/compare.json": b" " * 2_000_000}))
    for at in (body.index(b"PK\x03\x04") + 22, body.index(b"PK\x01\x02") + 24):
        body[at : at + 4] = struct.pack("<I", 100)
    refused(bytes(body))


def test_two_entries_of_one_name_are_refused() -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        file.writestr("evidence/visits/compare.json", evidence())
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("evidence/visits/compare.json", evidence())
    assert "twice" in refused(body.getvalue())


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_the_usual_compression_is_unpacked(how: int) -> None:
    assert "unknown way" in refused(archive({"evidence/visits/compare.json": evidence()}, compression=how))


def test_an_encrypted_archive_is_refused() -> None:
    body = bytearray(archive({"evidence/visits/compare.json": evidence()}))
    for at in (body.index(b"PK\x03\x04") + 6, body.index(b"PK\x01\x02") + 8):
        body[at] |= 1
    refused(bytes(body))


# -- from the forge


class Server(HTTPServer):
    answers: dict[str, tuple[int, dict[str, str], bytes]]
    seen: list[tuple[str, str | None]]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert isinstance(self.server, Server)
            path = self.path.split("?")[0]
            self.server.seen.append((path, self.headers.get("Authorization")))
            status, headers, body = self.server.answers.get(path, (404, {}, b"{}"))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as found:
        found.answers, found.seen = {}, []
        thread = Thread(target=found.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def offer(server: Server, body: bytes, **more: Any) -> None:
    """The run 42 has an artifact, with a redirect to a storage as GitHub makes it."""
    listed = {"id": 11, "name": "mlgate-report", "size_in_bytes": len(body), "expired": False} | more
    text = json.dumps({"total_count": 1, "artifacts": [listed]}).encode()
    repository = "/repos/acme/visits/actions"
    server.answers[f"{repository}/runs/42/artifacts"] = (200, {"Content-Type": "application/json"}, text)
    server.answers[f"{repository}/artifacts/11/zip"] = (302, {"Location": "/storage"}, b"")
    server.answers["/storage"] = (200, {}, body)


def environ(server: Server, folder: Path, **run: Any) -> dict[str, str]:
    stranger = {"full_name": "mallory/visits", "owner": {"login": "mallory"}}
    told = {"id": 42, "event": "pull_request", "head_sha": HEAD, "head_branch": "x", "head_repository": stranger}
    payload = {
        "workflow_run": told | run,
        "repository": {"id": 1, "full_name": "acme/visits", "default_branch": "main"},
    }
    (folder / "event.json").write_text(json.dumps(payload))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
        "GITHUB_EVENT_NAME": "workflow_run",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_REPOSITORY": "acme/visits",
        "GITHUB_TOKEN": "secret",
    }


def test_only_the_forge_says_where_evidence_comes_from(server: Server, tmp_path: Path) -> None:
    source = {"commit": "b" * 40, "actor": "the maintainer", "pull_request": 1, "run_url": "https://evil.test"}
    offer(server, archive({"evidence/visits/compare.json": evidence(source=source, artifacts=["x"])}))
    run = {"html_url": "https://github.com/acme/visits/actions/runs/42", "actor": {"login": "mallory"}}
    env = environ(server, tmp_path, **run)
    [found] = received.fetch(detect(env), env)
    assert found.source.reported_by_fork
    assert (found.source.commit, found.source.actor, found.source.pull_request) == (HEAD, "mallory", None)
    assert found.source.run_url == run["html_url"]
    assert found.artifacts == []
    assert ("/storage", None) in server.seen, "the storage gets no token"
    assert ("/repos/acme/visits/actions/artifacts/11/zip", "Bearer secret") in server.seen

    ours = {"full_name": "acme/visits", "owner": {"login": "acme"}}
    env = environ(server, tmp_path, head_repository=ours)
    [found] = received.fetch(detect(env), env)
    assert not found.source.reported_by_fork


def problem(server: Server, folder: Path, **run: Any) -> str:
    env = environ(server, folder, **run)
    with pytest.raises(MlgateError) as error:
        received.fetch(detect(env), env)
    assert "secret" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("run", [{"event": "push"}, {"id": "42/../1"}, {"head_sha": "main"}])
def test_it_is_for_runs_of_pull_requests(server: Server, tmp_path: Path, run: dict[str, Any]) -> None:
    assert "does not follow a run of a pull request" in problem(server, tmp_path, **run)
    assert server.seen == []


def test_a_run_that_handed_over_nothing(server: Server, tmp_path: Path) -> None:
    offer(server, b"", name="another")
    assert "no artifact `mlgate-report`" in problem(server, tmp_path)
    offer(server, b"", expired=True)
    assert "no artifact `mlgate-report`" in problem(server, tmp_path)


def test_what_is_too_large_is_not_downloaded(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(server, b"x", size_in_bytes=received.ARCHIVE_LIMIT + 1)
    assert "larger than 10 MB" in problem(server, tmp_path)
    assert "/storage" not in [path for path, _ in server.seen]

    offer(server, b"x" * 200_000, size_in_bytes=10)  # a size is a claim
    monkeypatch.setattr(received, "ARCHIVE_LIMIT", 100_000)
    assert "larger than" in problem(server, tmp_path)


def test_a_token_that_may_not_read_is_told_what_it_lacks(server: Server, tmp_path: Path) -> None:
    offer(server, b"x")
    server.answers["/repos/acme/visits/actions/artifacts/11/zip"] = (403, {}, b"{}")
    assert "actions: read" in problem(server, tmp_path)


def test_a_storage_that_is_down_is_one_sentence(server: Server, tmp_path: Path) -> None:
    offer(server, b"x")
    server.answers["/repos/acme/visits/actions/artifacts/11/zip"] = (302, {"Location": "http://127.0.0.1:9/x"}, b"")
    assert "could not be downloaded" in problem(server, tmp_path)
