"""What service-level objectives, and the numbers of one's own beside them, may not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlgate.config import asking
from mlgate.config.alarms import Alarm, parse
from mlgate.config.vocabulary import Finding, Path, closest
from mlgate.config.watching import Monitor

# What the log says of the service, by the name that sentences call it.
TIMES = ("latency_p50", "latency_p95", "latency_p99")
SHARES = ("error_rate", "availability")
SERVICE = (*TIMES, *SHARES, "requests")
WORDS = ("since", "until", "seconds", "model", "environment")  # that stand for something in a query or command
_TAKEN = ("drift", "prediction_drift", "data", "performance", "fairness", "slo", "business", "truth_share")
_FEWER_IS_BETTER = frozenset({*TIMES, "error_rate"})


@dataclass(frozen=True)
class _Refused(Exception):  # noqa: N818 -- a finding, not an error
    said: str
    fix: str


def findings(monitor: Monitor) -> Iterator[Finding]:
    """About `monitor.slo` and `monitor.metrics`."""
    seen: set[str] = set()
    for number, text in enumerate(monitor.slo):
        at: Path = ("monitor", "slo", number)
        try:
            alarm = _sentence(text)
        except _Refused as refused:
            yield at, refused.said, refused.fix
            continue
        if alarm.text in seen:
            yield at, f"says `{alarm.text}`, which stands there already.", "Remove one."
        seen.add(alarm.text)
        yield from _known(at, alarm, monitor)
        yield from _sense(at, alarm, monitor)
    yield from _metrics(monitor)


def _sentence(text: str) -> Alarm:
    try:
        found = parse(text)
    except ValueError as error:  # pydantic's custom errors are ValueErrors
        context = getattr(error, "context", None) or {}
        raise _Refused(context.get("message", str(error)), context.get("fix", "")) from None
    if not isinstance(found, Alarm) or found.operator is None:
        raise _Refused(f"is `{text}`, which names no limit.", f"Write it like `{text} <= 1%`.")
    return found


def _known(at: Path, alarm: Alarm, monitor: Monitor) -> Iterator[Finding]:
    name, rules = alarm.reading, list(monitor.performance.rules) if monitor.performance else []
    if name in monitor.metrics or name in rules:
        return
    if name.startswith("estimated_"):
        said = f"names `{name}`, which is shown and decides nothing."
        yield at, said, f"Write `{name.removeprefix('estimated_')}`, which is measured when truth is there."
    elif name not in SERVICE:
        near = closest(name, [*SERVICE, *rules, *monitor.metrics])
        fix = f"Did you mean `{near}`?" if near else "Name it in `monitor.metrics`, or in `monitor.performance.rules`."
        yield at, f"names `{name}`, which nobody measures.", fix
    elif monitor.logs is None:
        fix = "Add `logs: <file or folder>` to `monitor`, or measure it in `monitor.metrics`."
        yield at, f"names `{name}`, which is read from a log.", fix
    elif name in SHARES and monitor.logs.fields.status is None:
        fix = (
            "Name the column with the HTTP status in `monitor.logs.fields.status`, or measure it in `monitor.metrics`."
        )
        yield at, f"names `{name}`, and the log has no status of answers.", fix
    elif name in TIMES and monitor.logs.fields.latency_ms is None:
        fix = "Name the column in `monitor.logs.fields.latency_ms`, or measure it in `monitor.metrics`."
        yield at, f"names `{name}`, and the log has no latency.", fix


def _sense(at: Path, alarm: Alarm, monitor: Monitor) -> Iterator[Finding]:
    name, rules = alarm.reading, monitor.performance.rules if monitor.performance else {}
    greater = rules[name].direction(name) if name in rules else None if name not in SERVICE else True
    if name in _FEWER_IS_BETTER:
        greater = False
    if greater is not None and name not in monitor.metrics and (alarm.operator in (">=", ">")) is not greater:
        turned = alarm.text.replace("<", "\0").replace(">", "<").replace("\0", ">")
        better = "more" if not greater else "less"
        yield at, f"says `{alarm.text}`, and {better} of that is never better.", f"Write `{turned}`."
        return
    if name in TIMES and alarm.unit not in ("ms", "s"):
        yield at, f"says `{alarm.text}`: a time is not given so.", f"Write it like `{name} <= 100 ms`."
    elif name in SHARES and alarm.unit in ("ms", "s"):
        yield at, f"says `{alarm.text}`: a share is not given in `{alarm.unit}`.", f"Write it like `{name} <= 1%`."
    elif name in SHARES and alarm.number is not None and not 0 <= alarm.number <= 1:
        yield at, f"says `{alarm.text}`, and a share lies between 0 and 100 %.", "Write it like `99.9%`."
    elif name == "error_rate" and alarm.number == 1 and alarm.operator == "<=":
        yield at, f"says `{alarm.text}`, which nothing would break.", "Write a share below 100 %, such as `1%`."
    elif name == "availability" and alarm.number == 0 and alarm.operator == ">=":
        yield at, f"says `{alarm.text}`, which nothing would break.", "Write a share, such as `99.9%`."


def _metrics(monitor: Monitor) -> Iterator[Finding]:
    rules = monitor.performance.rules if monitor.performance else {}
    for name, metric in monitor.metrics.items():
        at: Path = ("monitor", "metrics", name)
        status = monitor.logs.fields.status if monitor.logs else None
        own = name in SERVICE and monitor.logs is not None and (name not in SHARES or status is not None)
        taken = own or name in rules or name in _TAKEN or name.startswith("estimated_")
        yield from asking.findings(at, metric, taken=taken)
        for key in ("query", "run"):
            for place in dict.fromkeys(re.findall(r"(?<!\$)\{([a-z]+)\}", getattr(metric, key) or "")):
                if place not in WORDS:
                    near = closest(place, list(WORDS))
                    fix = f"Did you mean `{{{near}}}`?" if near else f"The words are {', '.join(WORDS)}."
                    yield (*at, key), f"holds `{{{place}}}`, which stands for nothing here.", fix
