"""What drift promises, over simulated production: false alarms, days that differ, and how soon a drift is found.

    python benchmarks/drift_simulated.py            # 1,000 runs of 25 columns, reference and window drawn anew
    python benchmarks/drift_simulated.py 100        # fewer

For the false alarms every limit of every measure is 0, so that nothing but the evidence holds an alarm back: heavy
tails, ties, numbers of few values, constants, missing values, categories that are rare, at the border of being kept,
and new in every window. Exits with 1 when a promise does not hold.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from watch import drift_worlds as worlds  # noqa: E402


def false_alarms(runs: int) -> list[bool]:
    """At most alpha; a promise is kept up to three standard errors of the simulation."""
    done = []
    for before, now, alpha in ((2000, 300, 0.05), (5000, 500, 0.05), (20_000, 1000, 0.01), (5000, 5000, 0.01)):
        began = time.perf_counter()
        found = worlds.false_alarms(runs, before=before, now=now, alpha=alpha, seed=1)
        share = found.any / runs
        done.append(share <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs))
        print(
            f"{'ok  ' if done[-1] else 'MISS'}  reference {before:>6,} rows, window {now:>5,}: a false alarm in "
            f"{share:5.1%} of {runs:,} runs of 25 columns   alpha {alpha:.0%}   {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    return done


def days(runs: int) -> None:
    """Reported: no promise is made of days that follow each other."""
    worlds_ = (("alike", 0.0, 0.0), ("following", 0.15, 0.0), ("weekends", 0.0, 0.5), ("both", 0.15, 0.5))
    for name, level, weekday in worlds_:
        said = []
        for sub_profiles in (True, False):
            shares = []
            for limits in ({}, {"psi": 0.1, "ks": 0.1}):
                found = worlds.alarms_of_days(runs, sub_profiles=sub_profiles, level=level, weekday=weekday, **limits)
                shares.append(f"{found.any / runs:.0%}")
            said.append(f"{'with' if sub_profiles else 'without'} days {shares[0]} (limits at 0), {shares[1]} (at 0.1)")
        print(f"      days that are {name:<10} false alarms {'; '.join(said)}", flush=True)


def delay(runs: int) -> None:
    for shift in (0.2, 0.3, 0.5, 1.0):
        said = []
        for rows in (500, 1000, 5000):
            found = worlds.delay(runs, shift=shift, rows=rows, psi=0.1, ks=0.1)
            late = sum(one > 30 for one in found)
            middle = f"{statistics.median(found):.0f}" if late < runs / 2 else "none in 30"
            said.append(f"{rows:,} rows: {middle}" + (f" ({late} of {runs} never)" if 0 < late < runs else ""))
        print(
            f"      one column of 25 moves by {shift} sd: first alarm in window (median) {'; '.join(said)}", flush=True
        )


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    done = false_alarms(runs)
    days(max(20, runs // 5))
    delay(max(5, runs // 50))
    sys.exit(not all(done))


if __name__ == "__main__":
    main()
