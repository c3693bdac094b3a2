"""Credentials for `git fetch` and `git push`, by environment: no file, no argument list."""

from __future__ import annotations

import base64
from collections.abc import Mapping


def credentials(env: Mapping[str, str], server: str, user: str, token: str) -> dict[str, str]:
    """What git reads as configuration for one server.

    The empty value first: actions/checkout keeps the same header in the repository, and a request with two of them is
    refused. The count goes on from what the caller has set already.
    """
    key = f"http.{server}/.extraheader"
    basic = base64.b64encode(f"{user}:{token}".encode()).decode()
    return _configured(env, [(key, ""), (key, f"AUTHORIZATION: basic {basic}")])


def push_credentials(env: Mapping[str, str], server: str, user: str, token: str) -> dict[str, str]:
    """The same to push with. No credential helper is asked, so none can store what it sees."""
    given = credentials(env, server, user, token)
    return given | _configured(given, [("credential.helper", "")])


def _configured(env: Mapping[str, str], settings: list[tuple[str, str]]) -> dict[str, str]:
    there = env.get("GIT_CONFIG_COUNT", "")
    count = int(there) if there.isdecimal() else 0
    found = {"GIT_CONFIG_COUNT": str(count + len(settings))}
    for number, (key, value) in enumerate(settings, count):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found
