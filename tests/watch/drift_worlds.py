"""Simulated production: 25 columns of every kind, references drawn anew, windows with and without drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from mlgate.config.watching import Drift
from mlgate.data.drift import counted
from mlgate.data.drift.compared import Compared, compared
from mlgate.data.profiles import categories, frozen, numbers
from mlgate.data.profiles.nouns import Column, Day, Profile
from mlgate.watch import drifted
from mlgate.watch.nouns import Section

Random = np.random.Generator
Draw = Callable[[Random, int], Any]
# Every measure at a limit that any difference crosses: then only the evidence keeps it from an alarm.
ANY: dict[str, Any] = dict.fromkeys(
    ("psi", "ks", "js", "kl", "wasserstein", "cramers_v", "nulls", "unseen", "out_of_range"), 0
)


def _names(values: Any) -> Any:
    return np.char.add("c", np.asarray(values, dtype=np.int64).astype(str)).astype(object)


def _holes(values: Any, random: Random, share: float) -> Any:
    values = values.copy()
    values[random.random(len(values)) < share] = None if values.dtype == object else np.nan
    return values


def _zipf(many: int) -> Any:
    weights = 1 / np.arange(1, many + 1)
    return weights / weights.sum()


COLUMNS: dict[str, Draw] = {
    **{f"normal{i}": lambda r, n: r.normal(size=n) for i in range(4)},
    **{f"skewed{i}": lambda r, n: r.lognormal(sigma=2, size=n) for i in range(3)},
    **{f"cauchy{i}": lambda r, n: r.standard_cauchy(size=n) for i in range(3)},
    **{f"poisson{i}": lambda r, n: r.poisson(2.0, size=n).astype(float) for i in range(2)},
    "binary": lambda r, n: (r.random(n) < 0.3).astype(float),
    "thousand": lambda r, n: r.integers(0, 1000, size=n).astype(float),
    "half_zero": lambda r, n: np.where(r.random(n) < 0.5, 0.0, r.exponential(size=n)),
    "constant": lambda r, n: np.full(n, 7.0),
    "holes": lambda r, n: _holes(r.normal(size=n), r, 0.2),
    "rare_holes": lambda r, n: _holes(r.normal(size=n), r, 0.0005),
    "five": lambda r, n: _names(r.integers(0, 5, size=n)),
    "zipf": lambda r, n: _names(r.choice(50, size=n, p=_zipf(50))),
    "border": lambda r, n: _names(r.integers(0, 200, size=n)),  # each about as frequent as what a profile keeps
    "long_tail": lambda r, n: _names(r.choice(5000, size=n, p=_zipf(5000))),  # new categories in every window
    "rare_flag": lambda r, n: _names(r.random(n) < 0.01),
    "named_holes": lambda r, n: _holes(_names(r.integers(0, 3, size=n)), r, 0.05),
    "one_value": lambda r, n: _names(np.zeros(n)),
}
assert len(COLUMNS) == 25


def column(values: Any) -> Column:
    """As the profile's builder makes it of a column in a file."""
    rows = len(values)
    if values.dtype == object:
        there = [v for v in values.tolist() if v is not None]
        names, counts = np.unique(np.array(there, dtype=str), return_counts=True)
        pairs = list(zip(names.tolist(), counts.tolist(), strict=True))
        seen = categories.counted(pairs, (0, 0), rows)
        return Column(
            "category",
            rows,
            rows - len(there),
            len(names),
            "text",
            values=seen.values,
            kept=seen.kept,
            other=seen.other,
        )
    return numbers.described(values.copy(), rows, "number")


def compare(name: str, of: Column, values: Any, role: Any = "feature") -> Compared:
    """A window's values beside a profile's column, as the stream of rows would count them."""
    if of.kind == "number":
        found = counted.Numbers(of)
        found.add(np.array(values, dtype=np.float64), 0)
        return compared(name, role, found)
    places = {value: place for place, value in enumerate(of.values)}
    codes = np.array([places.get(str(v), -1) for v in values.tolist() if v is not None], dtype=np.float64)
    names = counted.Names(of)
    names.add(codes, len(values) - len(codes))
    return compared(name, role, names)


def reference(random: Random, rows: int, draws: Mapping[str, Draw] = COLUMNS) -> Profile:
    return Profile("m", rows, {name: column(draw(random, rows)) for name, draw in draws.items()})


def window(random: Random, profile: Profile, rows: int, draws: Mapping[str, Draw] = COLUMNS) -> dict[str, Compared]:
    return {name: compare(name, profile.columns[name], draw(random, rows)) for name, draw in draws.items()}


def judged(profile: Profile, found: Mapping[str, Compared], rows: int, alpha: float, **limits: Any) -> Section:
    settings = Drift(alpha=alpha, **(limits or ANY))
    return drifted.section(found, settings, profile, rows=rows, min_rows=1)


@dataclass
class Alarms:
    """Runs with any alarm, and which measures they were."""

    runs: int = 0
    any: int = 0
    which: dict[str, int] | None = None

    def add(self, section: Section) -> None:
        self.runs += 1
        breached = [m.name for m in section.measures if m.state == "breached" and m.limit is not None]
        self.any += bool(breached)
        self.which = self.which or {}
        for name in breached:
            self.which[name] = self.which.get(name, 0) + 1


def false_alarms(runs: int, *, before: int, now: int, alpha: float, seed: int, **limits: Any) -> Alarms:
    """Nothing has moved: every run draws its reference and its window anew."""
    found = Alarms()
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        profile = reference(random, before)
        found.add(judged(profile, window(random, profile, now), now, alpha, **limits))
    return found


# -- days that differ ------------------------------------------------------------------------------------------------


def days(random: Random, many: int, rows: int, *, level: float, weekday: float, start: float = 0.0) -> list[Any]:
    """Four columns of one day after the other: means follow an AR(1) of 0.7 and a weekend that lies higher."""
    state, found = start, []
    for day in range(many):
        state = 0.7 * state + random.normal(scale=level)
        weekend = weekday if day % 7 in {5, 6} else 0.0
        share = 1 / (1 + np.exp(-(state + weekend)))
        found.append(
            {
                "x": random.normal(loc=state + weekend, size=rows),
                "skewed": np.exp(random.normal(loc=state + weekend, size=rows)),
                "few": random.poisson(2 * np.exp(state + weekend), size=rows).astype(float),
                "name": _names(random.random(rows) < share),
            }
        )
    return found


def with_days(history: list[Any], *, sub_profiles: bool) -> Profile:
    whole = {name: np.concatenate([day[name] for day in history]) for name in history[0]}
    columns = {name: column(values) for name, values in whole.items()}
    profile = Profile("m", len(whole["x"]), columns)
    if not sub_profiles:
        return profile
    found = []
    for at, day in enumerate(history):
        counts = {name: compare(name, columns[name], day[name]).now for name in columns}
        assert all(len(counts[name]) == len(frozen(columns[name]).counts) for name in columns)
        found.append(Day(str(date(2026, 1, 5) + timedelta(days=at)), len(day["x"]), counts))
    return replace(profile, days=tuple(found))


def alarms_of_days(
    runs: int, *, sub_profiles: bool, level: float, weekday: float, rows: int = 1000,
    alpha: float = 0.01, seed: int = 0,
    **limits: Any,
) -> Alarms:  # fmt: skip
    """Eight weeks of reference, then one more day like any of them."""
    found = Alarms()
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        ahead = int(random.integers(1, 8))
        drawn = days(random, 56 + ahead, rows, level=level, weekday=weekday)
        profile, last = with_days(drawn[:56], sub_profiles=sub_profiles), drawn[-1]
        here = {name: compare(name, profile.columns[name], last[name]) for name in last}
        found.add(judged(profile, here, rows, alpha, **limits))
    return found


def delay(runs: int, *, shift: float, rows: int, seed: int = 0, longest: int = 30, **limits: Any) -> list[int]:
    """Windows until the first alarm after one of the 25 columns has moved by so many standard deviations.

    `longest` + 1 for none by then.
    """
    moved = {**COLUMNS, "normal0": lambda r, n: r.normal(loc=shift, size=n)}
    found = []
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        profile = reference(random, 20_000)
        for at in range(1, longest + 2):
            if at > longest:
                break
            section = judged(profile, window(random, profile, rows, moved), rows, 0.01, **limits)
            if any(m.state == "breached" and m.limit is not None for m in section.measures):
                break
        found.append(at)
    return found
