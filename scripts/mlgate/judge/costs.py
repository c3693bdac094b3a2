"""Rules for what a model costs: size, time and memory of both models as the run job measured them, taking turns.

A size is exact. Times vary: a time that crosses its limit fails when that is proven by resampling the calls, and is a
warning when it is not. Of memory one peak is known for each model, and it decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlgate.config import Policy, Rule
from mlgate.errors import MlgateError
from mlgate.judge import rules
from mlgate.judge.numbers import MISSING, NO_SIDE
from mlgate.judge.rules import Values, Where
from mlgate.model import Check, Verdict

_PERCENTILES = {"latency_p50_ms": 50, "latency_p95_ms": 95, "latency_p99_ms": 99}
_LEAST = {50: 20, 95: 60, 99: 300}  # calls below which a percentile is little more than the slowest call
_RESAMPLES = 2000
_SEED = 20260101
_FILE = "costs.json"

Sides = Mapping[str, Mapping[str, Any]]


def read(text: bytes, file: str) -> Sides:
    """What `costs.json` says of each side. Raises MlgateError for anything that is not what we write."""
    try:
        told = json.loads(text)
        sides = {side: told[side] for side in ("challenger", "champion") if side in told}
        for one in sides.values():
            times = one["latency_ms"]
            numbers = [*times, *(v for v in (one["model_bytes"], one["peak_memory_bytes"]) if v is not None)]
            if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < 1e15 for v in numbers):
                raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise MlgateError("is not what `mlgate compare --prepare` writes.", file=file) from error
    return sides


def not_measured(asked: Mapping[str, Rule], verdict: Verdict, why: str) -> Iterator[Check]:
    """For each rule, that nothing was measured."""
    for name in asked:
        yield Check(id=f"costs.{name}.missing", title=name, verdict=verdict, reason=f"{name} is not known: {why}")


def checks(
    asked: Mapping[str, Rule], sides: Sides, policy: Policy, confidence: float, absent: tuple[Verdict, str]
) -> Iterator[Check]:
    """Every check of `compare.costs`. `absent`: why a champion has no costs, and what that makes of a rule."""
    challenger, champion = sides.get("challenger", {}), sides.get("champion")
    for name, rule in asked.items():
        where = Where(key=name, id=f"costs.{name}", title=name, file=_FILE)
        said = Values(
            challenger=_value(name, challenger),
            champion=NO_SIDE if champion is None or _value(name, champion) is MISSING else _value(name, champion),
            absent=absent if champion is None else (Verdict.WARN, str(champion.get("error") or "it was not measured")),
        )
        if said.challenger is MISSING:
            why = challenger.get("error") or "the run job did not measure it"
            yield Check(
                id=f"{where.id}.challenger", title=name, verdict=Verdict(policy.missing_metric),
                reason=f"{name} of the challenger is not known: {why}.",
            )  # fmt: skip
            continue
        for check in rules.check(rule, said, policy, where):
            percentile = _PERCENTILES.get(name)
            if percentile is None:
                yield check
            else:
                yield _proven(check, percentile, challenger, champion or {}, confidence)


def _value(name: str, side: Mapping[str, Any]) -> Any:
    if name == "model_mb":
        return MISSING if side.get("model_bytes") is None else side["model_bytes"] / 1e6
    if name == "peak_memory_mb":
        return MISSING if side.get("peak_memory_bytes") is None else side["peak_memory_bytes"] / 1e6
    times = side.get("latency_ms") or []
    if not times:
        return MISSING
    import numpy as np  # noqa: PLC0415 -- only where times were measured

    return round(float(np.percentile(times, _PERCENTILES[name])), 6)


def _proven(
    check: Check, percentile: int, challenger: Mapping[str, Any], champion: Mapping[str, Any], confidence: float
) -> Check:
    """The interval of a percentile, or of its change; and `warn` for what crosses its limit without being proven to."""
    if check.verdict is Verdict.ERROR:
        return check
    import numpy as np  # noqa: PLC0415

    draw = np.random.default_rng(_SEED)
    mine = _drawn(draw, challenger["latency_ms"], percentile)
    held = check.change is not None and champion.get("latency_ms")
    if held:
        theirs = _drawn(draw, champion["latency_ms"], percentile)
        found = (mine - theirs) / (theirs if check.relative else 1.0)
    else:
        found = mine
    low, high = (float(v) for v in np.quantile(found, [1 - confidence, confidence]))
    count = len(challenger["latency_ms"])
    update: dict[str, Any] = {"interval": (low, high), "rows": count, "method": "calls resampled"}
    limit = _limit(check, held=bool(held))
    if check.verdict is Verdict.FAIL and limit is not None and (low <= limit or count < _LEAST[percentile]):
        why = f"{count} calls are too few" if count < _LEAST[percentile] else "that is not proven by its calls"
        update |= {"verdict": Verdict.WARN, "reason": f"{check.reason} A warning only: {why}."}
    return check.model_copy(update=update)


def _drawn(draw: Any, times: list[float], percentile: int) -> Any:
    import numpy as np  # noqa: PLC0415

    values = np.asarray(times, dtype=np.float64)
    return np.percentile(draw.choice(values, (_RESAMPLES, len(values))), percentile, axis=1)


def _limit(check: Check, *, held: bool) -> float | None:
    """The limit in what the interval is of: the time itself, or its change."""
    if check.limit is None or not held or not isinstance(check.champion, float):
        return check.limit
    change = check.limit - check.champion
    return change / check.champion if check.relative else change
