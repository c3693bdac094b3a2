"""What the prediction log costs a server: the same model, one server with it and one without, loaded in turn.

Ten columns, all of them logged, to a file that is rotated. Short turns by wrk at 64 connections, the order changing, so
that what else the machine does hits both alike; the median over the pairs. The processor time of the worker for each
request is beside it: it hardly depends on what else runs.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests" / "serving"), str(ROOT / "tests"), str(ROOT / "scripts")]

from running import Server, serving, wrk  # noqa: E402

from mlgate.serving.settings import Log  # noqa: E402

NAMES = tuple(f"f{number}" for number in range(10))
BODY = json.dumps({name: 0.5 + number for number, name in enumerate(NAMES)})
PAIRS, SECONDS, CONNECTIONS = 24, 1.0, 64
LIMIT = 0.03


def measure(folder: Path) -> tuple[float, float, dict[str, float]]:
    """Share of throughput and of processor time per request that the log costs, and the figures behind them."""
    logs = {
        "logged": Log(to="file", path=str(folder / "logs" / "p.jsonl"), features=NAMES, max_bytes=20_000_000, keep=3),
        "bare": Log(to="none"),
    }
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving(folder / name, kind="wide", log=log)) for name, log in logs.items()
        }
        rates: dict[str, list[float]] = {name: [] for name in servers}
        costs: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(-1, PAIRS):
            for name in sorted(servers, reverse=bool(number % 2)):
                rate, cost = _turn(servers[name])
                if number >= 0:  # the first pair warms up
                    rates[name].append(rate)
                    costs[name].append(cost)
        assert servers["logged"].count("mlgate_log_dropped_total") == 0, "a dropped line costs nothing"
    said = {
        "requests_per_second": statistics.median(rates["logged"]),
        "requests_per_second_without": statistics.median(rates["bare"]),
        "microseconds": statistics.median(costs["logged"]) * 1e6,
        "microseconds_without": statistics.median(costs["bare"]) * 1e6,
    }
    return _share(rates["bare"], rates["logged"]), _share(costs["logged"], costs["bare"]), said


def _share(more: list[float], less: list[float]) -> float:
    """By how much the larger exceeds the smaller, as a share of the larger: the median over the pairs."""
    return statistics.median(1 - b / a for a, b in zip(more, less, strict=True))


def _turn(server: Server) -> tuple[float, float]:
    """Requests per second, and seconds of processor time of the worker for one."""
    before = _processor(server)
    done, trouble = wrk(server, connections=CONNECTIONS, seconds=SECONDS, body=BODY)
    assert not trouble, trouble
    return done / SECONDS, (_processor(server) - before) / done


def _processor(server: Server) -> float:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text(encoding="ascii")
    spent = 0
    for child in children.split():
        fields = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


def run(folder: Path) -> bool:
    """The claim: at most 3 % of the throughput. Processor time has to agree: on a busy machine throughput is noise."""
    throughput, processor, said = measure(folder)
    held = throughput <= LIMIT and processor <= LIMIT
    print(
        f"{'ok  ' if held else 'MISS'}  prediction log: {throughput:.1%} of {said['requests_per_second_without']:.0f} "
        f"requests/s, {processor:.1%} of {said['microseconds_without']:.0f} us of processor time   "
        f"claim: at most {LIMIT:.0%}",
        flush=True,
    )
    return held


def main() -> None:
    import tempfile  # noqa: PLC0415 -- only when run by itself

    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if run(Path(folder)) else 1)


if __name__ == "__main__":
    main()
