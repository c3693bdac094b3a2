"""Which of a window's differences chance explains, over all columns and limits of a run together. Pure.

Each question that a limit asks is a test; what no limit asks is none, so that it costs no power. PSI, JS, KL and
Cramer's V rest on chi-square over bins that are large enough, KS and Wasserstein on KS, shares on Fisher's exact test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgate.data.drift import floors, statistics
from mlgate.data.drift.compared import Compared
from mlgate.watch.measured import value_of

if TYPE_CHECKING:
    from mlgate.data.profiles.nouns import Profile

# Which test says whether chance explains a measure.
TEST = {
    "psi": "bins", "js": "bins", "kl": "bins", "cramers_v": "bins", "ks": "ks", "wasserstein": "ks",
    "nulls": "nulls", "unseen": "unseen", "out_of_range": "outside",
}  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """Of one column: p values by test, adjusted for all tests of the run; `plain` without regard to days."""

    floor: floors.Floor
    chance: float  # the PSI that chance alone stays below
    adjusted: Mapping[str, float]
    plain: Mapping[str, float]


def evidence(
    looked: Mapping[str, Compared],
    wanted: Mapping[str, Mapping[str, float]],
    profile: Profile,
    *,
    alpha: float,
    days: int,
    more: Sequence[float] = (),
) -> dict[str, Evidence]:
    """Of each column. `days`: how long the window is; `more`: p values of what else is tested in this run."""
    tests = {name: _tests(one, wanted[name]) for name, one in looked.items()}
    many = max(1, sum(map(len, tests.values())) + len(more))
    keys = [(name, test) for name, of in tests.items() for test in of]
    found: dict[str, Evidence] = {}
    raised: dict[str, floors.Floor] = {}
    for name, one in looked.items():
        level = 1 - alpha / many
        raised[name] = floors.floor(name, one.before, one.rows, profile.days, length=days, level=level)
    plain = statistics.holm([_p(looked[name], test, 1.0) for name, test in keys] + [*more])
    factors = statistics.holm([_p(looked[name], test, raised[name].factor) for name, test in keys] + [*more])
    for name in looked:
        of = [i for i, (whose, _) in enumerate(keys) if whose == name]
        found[name] = Evidence(
            raised[name],
            raised[name].psi / raised[name].factor,
            {keys[i][1]: factors[i] for i in of},
            {keys[i][1]: plain[i] for i in of},
        )
    return found


def _tests(one: Compared, limits: Mapping[str, float]) -> list[str]:
    """What is tested of a column: only that which a limit asks for, so that nothing else costs power."""
    if one.trouble or not one.rows:
        return []
    return list(dict.fromkeys(TEST[name] for name in limits if value_of(one, name) is not None))


def _p(one: Compared, test: str, factor: float) -> float:
    """How likely it is without drift; `factor`: how many times further apart windows are than chance has them."""
    n, m = one.present_before, one.present
    if test == "bins":
        return statistics.chi_square_tail(one.chi_square[0] / factor, one.chi_square[1])
    if test == "ks":
        return statistics.ks_p((one.ks or 0.0) / math.sqrt(factor), n, m) if n and m else 1.0
    if test == "nulls":
        return statistics.above((one.missing_before, one.rows_before), (one.missing, one.rows))
    if test == "unseen":
        return statistics.above((min(one.small[0], n), n), (min(one.small[1], m), m))
    # The range ends at values of the reference, so that one more is expected beyond each end (order statistics).
    return statistics.above((min(one.outside_before + 2, n), n), (min(one.outside or 0, m), m))


def said_p(of: Evidence) -> float | None:
    shown = [of.adjusted[test] for test in ("ks", "bins") if test in of.adjusted]
    return shown[0] if shown else None
