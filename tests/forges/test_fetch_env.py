"""Credentials for `git fetch`, tried with the real git."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from forges.fake_forge import basic
from mlgate.forges import detect


@pytest.fixture
def server() -> Iterator[tuple[str, list[list[str]]]]:
    """Refuses every fetch, and notes all Authorization headers of each request."""
    seen: list[list[str]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            seen.append(self.headers.get_all("Authorization") or [])
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", seen
    http.shutdown()
    http.server_close()
    thread.join()


def fetch(folder: Path, url: str, env: dict[str, str], *config: str) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    subprocess.run(["git", "init", "-q", str(folder)], check=True, env=clean | quiet)
    for key, value in zip(config[::2], config[1::2], strict=True):
        subprocess.run(["git", "-C", str(folder), "config", key, value], check=True, env=clean | quiet)
    subprocess.run(
        ["git", "-C", str(folder), "fetch", "-q", url], check=False, env=clean | quiet | env, capture_output=True
    )


def test_github(tmp_path: Path, server: tuple[str, list[list[str]]]) -> None:
    url, seen = server
    forge = detect({"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": url, "GITHUB_TOKEN": "ghs_x"})
    fetch(tmp_path, f"{url}/acme/visits", forge.fetch_env())
    assert [basic(header) for header in seen[0]] == ["x-access-token:ghs_x"]


def test_beside_what_checkout_left_in_the_repository(tmp_path: Path, server: tuple[str, list[list[str]]]) -> None:
    """Two such headers in one request, and GitHub answers 400."""
    url, seen = server
    forge = detect({"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": url, "GITHUB_TOKEN": "ghs_x"})
    fetch(tmp_path, f"{url}/acme/visits", forge.fetch_env(), f"http.{url}/.extraheader", "AUTHORIZATION: basic b2xk")
    assert [basic(header) for header in seen[0]] == ["x-access-token:ghs_x"]


def test_gitlab(tmp_path: Path, server: tuple[str, list[list[str]]]) -> None:
    url, seen = server
    forge = detect({"GITLAB_CI": "true", "CI_SERVER_URL": url, "CI_JOB_TOKEN": "glcbt-x", "GITLAB_TOKEN": "glpat-x"})
    fetch(tmp_path, f"{url}/acme/visits.git", forge.fetch_env())
    assert [basic(header) for header in seen[0]] == ["gitlab-ci-token:glcbt-x"]


def test_other_hosts_get_nothing(tmp_path: Path, server: tuple[str, list[list[str]]]) -> None:
    url, seen = server
    forge = detect({"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_TOKEN": "ghs_x"})
    fetch(tmp_path, f"{url}/acme/visits", forge.fetch_env())
    assert seen[0] == []


def test_it_goes_on_counting_where_the_job_stopped() -> None:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "x", "GIT_CONFIG_COUNT": "2"}
    env = detect(environ).fetch_env()
    assert env["GIT_CONFIG_COUNT"] == "4"
    assert {"GIT_CONFIG_KEY_2", "GIT_CONFIG_VALUE_2", "GIT_CONFIG_KEY_3", "GIT_CONFIG_VALUE_3"} < set(env)


def test_without_a_token_there_is_nothing() -> None:
    assert detect({"GITHUB_ACTIONS": "true"}).fetch_env() == {}
    assert detect({"GITLAB_CI": "true", "CI_SERVER_URL": "https://x"}).fetch_env() == {}
