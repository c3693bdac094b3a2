"""Credentials for `git fetch`, by environment: no file, no argument list."""

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
    there = env.get("GIT_CONFIG_COUNT", "")
    count = int(there) if there.isdecimal() else 0
    return {
        "GIT_CONFIG_COUNT": str(count + 2),
        f"GIT_CONFIG_KEY_{count}": key,
        f"GIT_CONFIG_VALUE_{count}": "",
        f"GIT_CONFIG_KEY_{count + 1}": key,
        f"GIT_CONFIG_VALUE_{count + 1}": f"AUTHORIZATION: basic {basic}",
    }
