"""What the judge of a canary promises, over simulated rollouts: how many are turned back, in which world.

    python benchmarks/rollout_simulated.py                 # 1,000 rollouts each, looked at 10 and 1,000 times a step
    python benchmarks/rollout_simulated.py 200 10          # fewer

Stable fails at 0.5 %; the rule is `error_rate <= 1.5x stable` at 95 %; steps at 5, 25 and 50 % take the requests that
`deploy --plan` works out. Exits with 1 when a promise does not hold.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from rollout import simulated  # noqa: E402
from rollout.simulated import ALPHA, LIMIT, Callers, Outcomes, World, bad_answers, run, run_sticky  # noqa: E402


def shown(name: str, looks: int, found: Outcomes, began: float, *, held: bool) -> bool:
    n, seconds = found.rollouts, time.perf_counter() - began
    print(
        f"{'ok  ' if held else 'MISS'}  {name:<34} {looks:>5} looks a step: turned back by the rule "
        f"{found.broken / n:6.1%} (at 5, 25, 50 %: {', '.join(f'{one / n:.1%}' for one in found.in_step)}), "
        f"undecided {found.undecided / n:5.1%}, promoted {found.promoted / n:6.1%}   {seconds:.0f} s",
        flush=True,
    )
    return held


def healthy(rollouts: int, looks: int) -> list[bool]:
    late = max(1, looks // 10)
    worlds = [
        World("as good as stable", looks=looks),
        World("as good, requests in turns", looks=looks, split="turns"),
        World("half the errors", canary=0.5, looks=looks),
        World("bursts of 30 % errors", bursts=0.03, looks=looks),
        World("rates change with the weights", of_step=(0.4, 4.0, 1.0), looks=looks),
        World("errors of stable known late", late=late, looks=looks),
    ]
    done = []
    for world in worlds:
        began = time.perf_counter()
        found = run(world, rollouts, seed=looks)
        done.append(shown(world.name, looks, found, began, held=found.back <= ALPHA))
    began = time.perf_counter()
    found = run_sticky(Callers("", looks=min(looks, 200)), rollouts)
    done.append(shown("callers who stay", min(looks, 200), found, began, held=found.back <= ALPHA))
    return done


def bad(rollouts: int, looks: int) -> list[bool]:
    began = time.perf_counter()
    found = run(World("", canary=2.0, looks=looks), rollouts, seed=looks)
    done = [shown("twice the errors", looks, found, began, held=found.broken / rollouts >= 0.95)]
    began = time.perf_counter()
    found = run_sticky(Callers("", canary=2.0, looks=min(looks, 200)), rollouts)
    done.append(shown("twice, callers who stay", min(looks, 200), found, began, held=found.broken / rollouts >= 0.95))
    began = time.perf_counter()
    found = run(World("", canary=LIMIT, looks=looks), rollouts, seed=looks)
    held = found.broken / rollouts <= ALPHA and found.promoted / rollouts <= ALPHA
    return [*done, shown("exactly at the limit", looks, found, began, held=held)]


def answers(rollouts: int) -> list[bool]:
    done = []
    for per_second in (20, 40, 100):
        found = bad_answers(rollouts, per_second=per_second)
        done.append(bool(found.max() <= 60))
        print(
            f"{'ok  ' if done[-1] else 'MISS'}  10 % errors, {per_second:>3} requests/s: bad answers until it is back: "
            f"mean {found.mean():.1f}, largest {found.max():.0f}"
        )
    return done


def main() -> None:
    rollouts = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    looks = [int(one) for one in sys.argv[2:]] or [10, 1000]
    print(f"{rollouts:,} rollouts each; {simulated.planned()[0]:,} requests in each step, and 5, 25, 50 % of them")
    done = answers(rollouts)
    for many in looks:
        done += [*healthy(rollouts, many), *bad(rollouts, many)]
    naive = World("", late=1, wait=False)
    print("for comparison:")
    shown("too young requests counted", 10, run(naive, rollouts), time.perf_counter(), held=True)
    noisy = run_sticky(Callers("", prone=0.05, each=200, counted="requests"), rollouts)
    shown("requests of callers who stay", 10, noisy, time.perf_counter(), held=True)
    raise SystemExit(0 if all(done) else 1)


if __name__ == "__main__":
    main()
