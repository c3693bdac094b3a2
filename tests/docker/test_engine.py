"""The parts that the other tests of images stand on."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
import requests

from engine.registry import Registry
from mlgate.image.engine import Engine

pytestmark = pytest.mark.docker


def test_the_base_image_is_pinned_and_has_this_python(engine: Engine, base_image: str) -> None:
    assert re.fullmatch(r"localhost:\d+/python@sha256:[0-9a-f]{64}", base_image)
    said = engine.run("run", "--rm", base_image, "python3", "-c", "import sys, venv; print(*sys.version_info[:2])")
    assert said.split() == [str(part) for part in sys.version_info[:2]]


def test_the_registry_holds_the_base_image(registry: Registry, base_image: str) -> None:
    digest = base_image.rpartition("@")[2]
    answer = requests.get(f"http://{registry.address}/v2/python/manifests/{digest}", timeout=10)
    assert answer.headers["Docker-Content-Digest"] == digest


def test_the_locked_registry_asks_who_is_there(locked_registry: Registry) -> None:
    address = f"http://{locked_registry.address}/v2/"
    assert requests.get(address, timeout=10).status_code == 401
    assert requests.get(address, auth=(locked_registry.user, locked_registry.password), timeout=10).status_code == 200


def test_the_trusting_base_needs_no_secret(
    engine: Engine, trusting_base: str, build_secrets: dict[str, bytes], containers: Callable[..., str]
) -> None:
    container = containers(trusting_base, "python3", "-c", "import ssl; print(ssl.create_default_context())")
    assert engine.run("wait", container) == "0"
    assert not build_secrets or trusting_base.partition("@")[0].endswith("/trusting-python")
