"""People who call the model while it changes hands: rows of the test data, sent from threads. Standard library only."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

_PAUSE = 0.01  # seconds between an answer and the next question of the same caller
_PATIENCE = 30.0  # seconds for an answer


class Callers:
    """`with Callers(port, bodies) as callers:` asks all the while. What came of it is in `answers` afterwards."""

    def __init__(self, port: int, bodies: Sequence[bytes], *, people: int = 3) -> None:
        self.answers: Counter[str] = Counter()  # by status; "no answer" where the connection broke
        self._port, self._bodies = port, itertools.cycle(bodies)
        self._taken = threading.Lock()
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(people)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def said(self) -> str:
        """How many asked, and how many of them in vain."""
        failed = self.answers.total() - self.answers["200"]
        return f"{self.answers.total():,} requests meanwhile, {failed:,} of them failed"

    def _ask(self) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        while not self._enough.is_set():
            with self._taken:
                body = next(self._bodies)
            try:
                link.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                reply = link.getresponse()
                reply.read()
                found = str(reply.status)
            except (OSError, http.client.HTTPException):
                link.close()  # the next request opens it again
                found = "no answer"
            with self._taken:
                self.answers[found] += 1
            self._enough.wait(_PAUSE)
        link.close()


def bodies(table: dict[str, Any]) -> Iterator[bytes]:
    """One request per row of `columns` and `data`, as MLflow's servers take them."""
    for row in table["data"]:
        yield json.dumps({"dataframe_split": {"columns": table["columns"], "data": [row]}}).encode()
