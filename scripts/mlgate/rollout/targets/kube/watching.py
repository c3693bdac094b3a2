"""What the pods of an environment did: their counters by the API server's proxy, scores from their logs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlgate.config.conditions import leaves
from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Observed, Tally
from mlgate.rollout.targets import Place, TargetError
from mlgate.rollout.targets.kube import counters, names, pods
from mlgate.rollout.targets.kube.client import Kubectl
from mlgate.rollout.targets.kube.manifests import CONTAINER

Object = Mapping[str, Any]

_AT_ONCE = 8
_MOST = 16_000_000  # octets of one pod's log at one look; what is more is not counted: scores are a sample


class Watching:
    """Reads counters and keeps the readings in a ConfigMap, so that the next process goes on where this one ended."""

    def __init__(self, kubectl: Kubectl, place: Place) -> None:
        self._kubectl = kubectl
        self._place = place
        self._name = f"{names.service(place.model, place.environment)}-counts"
        self._own = names.labels(place.model, place.environment)
        self._readings: list[counters.Reading] | None = None

    def read(self, at: float, *, mark: bool = False) -> list[counters.Reading]:
        """One more reading, kept with those before it. `at`: seconds since 1970."""
        there = pods.living(self._kubectl.list("pods", names.selector(self._own)))
        there = [pod for pod in there if pods.is_ready(pod)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(self._page, there))
        pages: dict[str, dict[str, counters.Page]] = {}
        silent = ""
        for pod, page in zip(there, found, strict=True):
            if isinstance(page, str):
                silent = silent or page
            else:
                slot = str(pod["metadata"]["labels"].get(names.SLOT, ""))
                pages.setdefault(slot, {})[pods.server(pod)] = page
        if self._readings is None:
            kept = self._kubectl.get("configmap", self._name)
            self._readings = counters.read(str(((kept or {}).get("data") or {}).get("readings", "")))
        new = counters.Reading(at, pages, not silent, silent, mark)
        self._readings = counters.thinned([*self._readings, new])
        self._keep()
        return self._readings

    def _keep(self) -> None:
        metadata = {"name": self._name, "namespace": self._place.settings.target.namespace, "labels": self._own}
        data = {"readings": counters.written(self._readings or [])}
        self._kubectl.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}])

    def _page(self, pod: Object) -> counters.Page | str:
        """What one server counts; or why that is not known."""
        name = pod["metadata"]["name"]
        try:
            page = counters.page(self._kubectl.raw(self._path(pod, "metrics"), timeout=10))
        except TargetError as error:
            return f"{name} did not say what it counts: {error.message.rstrip('.')}"
        return page if page is not None else f"{name} counts no requests at /metrics"

    def _path(self, pod: Object, path: str) -> str:
        ports = [port for one in pod["spec"]["containers"] for port in one.get("ports") or []]
        port = next((one["containerPort"] for one in ports if one.get("name") == "http"), self._place.port)
        namespace = self._place.settings.target.namespace
        return f"/api/v1/namespaces/{namespace}/pods/http:{pod['metadata']['name']}:{port}/proxy/{path}"

    def observe(self, slots: Sequence[str], since: float, until: float, at: float) -> Observed:
        """`at`: now, by the cluster's clock."""
        readings = self.read(at)
        window = counters.window(readings, since, until)
        wrong = [window.missing] if window.missing else []
        tallies: dict[str, Tally] = {}
        for slot in slots:
            tally, lost = counters.tally(window.begin, window.end, slot)
            wrong += [lost] if lost else []
            scores = self._scores(slot, since, until) if self._shifts() else None
            tallies[slot] = replace(tally, scores=scores)
        return Observed(since, until, tallies, complete=not wrong, why="; ".join(wrong))

    # -- scores -------------------------------------------------------------------------------------------------------

    def _shifts(self) -> bool:
        """Logs are read only where a rule asks for them."""
        return any(one.metric == "prediction_shift" for rule in self._place.settings.rules for one in leaves(rule))

    def _scores(self, slot: str, since: float, until: float) -> Histogram:
        own = names.selector({**self._own, names.SLOT: names.label(slot)})
        there = pods.living(self._kubectl.list("pods", own))
        counts: dict[int, int] = {}
        for pod in there:
            said = self._kubectl.ask(
                "logs", pod["metadata"]["name"], f"--container={CONTAINER}", f"--limit-bytes={_MOST}",
                f"--since-time={datetime.fromtimestamp(math.floor(since), UTC).isoformat().replace('+00:00', 'Z')}",
            )  # fmt: skip
            for value in scores(said.out.splitlines(), since, until):
                at = bins.score(value)
                if at is not None:
                    counts[at] = counts.get(at, 0) + 1
        return Histogram(counts)


def scores(lines: Sequence[str], since: float, until: float) -> Iterator[float | int | str | bool]:
    """Of the lines of a prediction log whose request came in [since, until): the score, else the prediction."""
    for line in lines:
        if not line.startswith("{"):
            continue
        try:
            told = json.loads(line)
            at = datetime.fromisoformat(told["time"]).timestamp()
        except (ValueError, KeyError, TypeError):
            continue
        value = told.get("score") if told.get("score") is not None else told.get("prediction")
        if since <= at < until and isinstance(value, float | int | str | bool):
            yield value
