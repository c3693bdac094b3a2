"""The tests' own way to an API server, past kubectl: plain requests with a token."""

from __future__ import annotations

from typing import Any

import requests
import urllib3

Object = dict[str, Any]


class Api:
    def __init__(self, url: str, token: str, ca: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.verify = ca
        self._session.trust_env = False
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32, max_retries=urllib3.Retry(0)))

    def healthy(self) -> bool:
        """Whether everything is there that it begins with, such as the roles that every cluster has."""
        return self._session.get(f"{self.url}/readyz", timeout=10).status_code == 200

    def get(self, path: str) -> Object:
        return self._ask("GET", path)

    def post(self, path: str, body: Object) -> Object:
        return self._ask("POST", path, body)

    def patch(self, path: str, body: Object) -> Object:
        return self._ask("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str, body: Object | None = None) -> Object:
        return self._ask("DELETE", path, body)

    def _ask(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """What it answered; refusals come back as the API server words them."""
        headers = {"Content-Type": kind} if body is not None else {}
        answer = self._session.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=10)
        found: Object = answer.json()
        return found
