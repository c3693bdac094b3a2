"""A target of one's own: a client of a platform that has an HTTP API with optimistic locking (ETag, If-Match)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests

from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Kept, Observed, Readiness, Release, Slot, Tally
from mlgate.rollout.targets import FencedError, Place, Target, TargetError


class Acme(Target):
    """`target: {kind: acme, options: {address: https://platform.example.org}}`"""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.address = place.settings.target.options["address"]
        self.session = requests.Session()
        self.mark = ""  # of the state that this job has read or written last

    def close(self) -> None:
        self.session.close()

    def ask(self, method: str, path: str, *, after: str | None = None, **more: Any) -> requests.Response:
        headers = {} if after is None else {"If-Match": after}
        try:
            answer = self.session.request(method, f"{self.address}{path}", headers=headers, timeout=30, **more)
        except requests.RequestException as error:
            raise TargetError(f"{self.address} gives no answer ({type(error).__name__}).") from error
        if answer.status_code == 412:  # the platform itself refuses whoever was overtaken
            raise FencedError("another job has gone on with this rollout.")
        if answer.status_code not in {200, 404}:
            raise TargetError(f"{method} {path}: {answer.json()['error']}")
        return answer

    def read(self) -> Kept | None:
        answer = self.ask("GET", "/state")
        self.mark = answer.headers["ETag"] if answer.ok else ""
        return Kept(answer.content.decode(), self.mark) if answer.ok else None

    def write(self, text: str, *, after: str) -> str:
        self.mark = self.ask("PUT", "/state", after=after, data=text.encode()).headers["ETag"]
        return self.mark

    def slots(self) -> Sequence[Slot]:
        return [
            Slot(one["slot"], one["image"], one["replicas"], one["ready"], one["weight"])
            for one in self.ask("GET", "/services").json()
        ]

    def start(self, release: Release, *, replicas: int) -> None:
        body = {"image": release.image, "replicas": replicas}
        self.ask("PUT", f"/services/{release.slot}", after=self.mark, json=body)

    def ready(self, slot: str) -> Readiness:
        return Readiness(**self.ask("GET", f"/services/{slot}/health").json())

    def weigh(self, weights: Mapping[str, float]) -> None:
        self.ask("PUT", "/traffic", after=self.mark, json=dict(weights))

    def stop(self, slot: str) -> None:
        self.ask("DELETE", f"/services/{slot}", after=self.mark)

    @contextmanager
    def open(self, slot: str) -> Iterator[str]:
        yield next(one["url"] for one in self.ask("GET", "/services").json() if one["slot"] == slot)

    @property
    def url(self) -> str:
        return self.place.settings.url or ""

    def now(self) -> float:
        return time.time()

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        seen = self.ask("GET", f"/traffic/{since:.6f}/{until:.6f}").json()
        tallies = {
            slot: Tally(one["requests"], one["errors"], Histogram({bins.latency(s): n for s, n in one["times"]}))
            for slot, one in seen["slots"].items()
        }
        known = {slot: tallies.get(slot, Tally()) for slot in slots}
        return Observed(since, until, known, complete=not seen["why"], why=seen["why"])
