"""Rules for what an image costs: its size, how soon it is ready, its memory, and its times under load.

Sizes are exact. Times vary: one that crosses its limit fails when that is proven by the order of the times that were
measured, and is a warning when it is not. What was not measured, and has a rule, is an `error`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from mlgate.config.limits import Rule
from mlgate.config.settings import Policy
from mlgate.config.shipping import IMAGE_COSTS, Limit
from mlgate.image.load import Measured
from mlgate.image.service import Service
from mlgate.judge import rules
from mlgate.judge.numbers import MISSING
from mlgate.judge.rules import Values, Where
from mlgate.model import Check, Verdict

QUANTILES = {"latency_p50_ms": 0.50, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}
_LEAST = {0.50: 20, 0.95: 60, 0.99: 300}  # requests below which a percentile is little more than the slowest of them
_UNITS = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


@dataclass(frozen=True)
class Costs:
    """What was measured; None for what was not."""

    image_mb: float | None = None
    start_seconds: float | None = None
    memory_mb: float | None = None
    load: Measured | None = None
    missing: Mapping[str, str] = field(default_factory=dict)  # cost -> why it was not measured

    def values(self) -> dict[str, float | None]:
        """By the names of `image.rules`."""
        load = self.load or Measured(0, 0)
        found: dict[str, float | None] = {
            "image_mb": self.image_mb, "start_seconds": self.start_seconds, "memory_mb": self.memory_mb,
            **{name: load.quantile(share) for name, share in QUANTILES.items()},
            "throughput_rps": load.throughput,
        }  # fmt: skip
        return {name: None if found[name] is None else round(found[name] or 0.0, 6) for name in IMAGE_COSTS}


def checks(costs: Costs, limits: Mapping[str, Limit], *, confidence: float = 0.95) -> list[Check]:
    """One check for each limit; nothing for a cost without one."""
    return list(_checks(costs, limits, confidence))


def _checks(costs: Costs, limits: Mapping[str, Limit], confidence: float) -> Iterator[Check]:
    found = costs.values()
    for name, limit in limits.items():
        where = Where(key=name, id=f"image.costs.{name}", title=name, file="the image")
        value = found[name]
        if value is None:
            why = costs.missing.get(name) or "it was not measured"
            yield Check(
                id=f"{where.id}.missing", title=name, group="image", verdict=Verdict.ERROR,
                reason=f"{name} is not known: {why}.",
            )  # fmt: skip
            continue
        if limit.threshold is None and limit.warn_threshold is None:
            yield Check(
                id=f"{where.id}.missing", title=name, group="image", verdict=Verdict.ERROR, observed=value,
                reason=f"image.rules.{name} has no limit: give it a `threshold`.",
            )  # fmt: skip
            continue
        rule = Rule(
            threshold=limit.threshold, warn_threshold=limit.warn_threshold, greater_is_better=name == "throughput_rps"
        )
        for check in rules.check(rule, Values(value if value is not None else MISSING), Policy(), where):
            yield _proven(check.model_copy(update={"group": "image", "location": None}), name, costs, confidence)


def _proven(check: Check, name: str, costs: Costs, confidence: float) -> Check:
    """The interval of a percentile; and `warn` for one that crosses its limit without being proven to."""
    share = QUANTILES.get(name)
    if share is None or costs.load is None or check.verdict is Verdict.ERROR:
        return check
    count = len(costs.load.times)
    low, high = interval(costs.load.times, share, confidence)
    update: dict[str, Any] = {"interval": (low, high), "rows": count, "method": "order of the times"}
    few = count < _LEAST[share]
    if few and check.verdict is Verdict.PASS:
        update |= {
            "verdict": Verdict.INCONCLUSIVE,
            "reason": f"{count} requests are too few for {name}: {_LEAST[share]} are needed.",
        }
    elif check.verdict is Verdict.FAIL and check.limit is not None and (few or low <= check.limit):
        why = f"{count} requests are too few" if few else "that is not proven by its requests"
        update |= {
            "verdict": Verdict.INCONCLUSIVE if few else Verdict.WARN,
            "reason": f"{check.reason} {'Not decided' if few else 'A warning only'}: {why}.",
        }
    return check.model_copy(update=update)


def interval(times: Sequence[float], share: float, confidence: float) -> tuple[float, float]:
    """Where the true quantile lies, each bound with this confidence: two of the sorted times, whatever their shape.

    By the normal approximation of how many of n independent times are below the quantile.
    """
    count = len(times)
    spread = NormalDist().inv_cdf(confidence) * math.sqrt(count * share * (1 - share))
    low = math.floor(count * share - spread) - 1
    high = math.ceil(count * share + spread)
    return times[min(max(low, 0), count - 1)], times[min(max(high, 0), count - 1)]


# -- what an engine says -----------------------------------------------------------------------------------------------


def memory(service: Service) -> float | None:
    """The memory of a running container without what the kernel would give back at once, in MB; None where unknown."""
    if service.engine is None or not service.container:
        return None
    said = service.engine.ask("stats", "--no-stream", "--format", "{{json .}}", service.container)
    try:
        used = str(json.loads(said.out.splitlines()[0])["MemUsage"]).split("/", maxsplit=1)[0]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return megabytes(used)


def megabytes(text: str) -> float | None:
    """`113.2MiB` -> 118.7; None for what is no size, or none at all: no server runs in no memory."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]+)\s*", text)
    if not found or found[2].lower() not in _UNITS:
        return None
    try:
        value = float(found[1]) * _UNITS[found[2].lower()] / 1e6
    except ValueError:
        return None
    return round(value, 6) if value > 0 else None


def size(inspected: Mapping[str, Any]) -> float | None:
    """The size of an image as the engine keeps it, unpacked, in MB."""
    value = inspected.get("Size")
    return value / 1e6 if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
