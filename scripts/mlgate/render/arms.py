"""Words of a rollout: its two sides, the titles of its groups of checks, and what is read as percent.

A comparison holds a challenger against the champion, a rollout the canary against stable, and monitoring production
against what was committed with the model: in the same tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from mlgate.model import Check, Evidence
from mlgate.render import numbers

TITLES = {"deploy": "The release", "rollout": "The rollout"}  # of groups of checks, in the order in which they are read
KINDS = ("deploy", "rollback")  # verbs whose evidence has a timeline

_OUTCOMES = ("deploy.outcome", "rollback.outcome")
_SHARES = re.compile(r"(rollout\.(error_rate|split|load\.errors|shadow\.(agreement|errors))|rollback\.traffic)(\.|$)")
_PERCENT = re.compile(r"(error_rate|availability|\w*_share|nulls|unseen|out_of_range)(\..+)?$", re.DOTALL)
_TIMES = re.compile(r"latency_p\d+(\..+)?$", re.DOTALL)  # in seconds
_AT = {"<=": "at most", "<": "below", ">=": "at least", ">": "above"}
_RULE = re.compile(r"(<=|>=|<|>)\s*(\S.*)")


class Words(NamedTuple):
    """What the two sides are called."""

    other: str
    own: str


COMPARED, ROLLED, WATCHED = (
    Words("champion", "this change"),
    Words("stable", "canary"),
    Words("committed", "production"),
)


def words(check: Check) -> Words:
    return {"rollout": ROLLED, "watch": WATCHED}.get(check.group, COMPARED)


def title(check: Check) -> str:
    """What its group is called in a heading; "" for one that has no name of its own."""
    if check.id in _OUTCOMES or check.id.startswith("rollback."):
        return TITLES["rollout"]
    return TITLES.get(check.group, "")


def by_group(checks: Iterable[Check]) -> list[tuple[str, list[Check]]]:
    """Checks below the titles of their groups, the group with the worst check first; all others have no title."""
    found: dict[str, list[Check]] = {}
    for check in checks:
        found.setdefault(title(check), []).append(check)
    return sorted(found.items(), key=lambda pair: -max(check.verdict.rank for check in pair[1]))


def in_percent(check: Check) -> bool:
    """Whether its numbers are shares, which people read as percent."""
    if check.group == "watch":
        return unit(reading(check)) == "%"
    return check.group in TITLES and _SHARES.match(check.id) is not None


def reading(check: Check) -> str:
    """The name of the reading that a check of production looks at: `latency_p95` of `watch.slo.latency_p95`."""
    return check.id.split(".", 2)[-1]


def unit(name: str) -> str:
    """What people read a reading of production in: `%` for a share, `ms` for a time, "" for a plain number."""
    return "%" if _PERCENT.match(name) else "ms" if _TIMES.match(name) else ""


def allowed(expected: str) -> str:
    """`<= 1.5x stable for 3 periods` as `at most 1.5x stable for 3 periods`; anything else as it is."""
    rule = _RULE.fullmatch(expected)
    if rule is None:
        return expected
    return f"{_AT[rule[1]]} " + re.sub(r"(?<=\d)%", f"{numbers.THIN}%", rule[2])


def prepared(evidence: Evidence, headline: str) -> Evidence:
    """For people: a rule is called by its metric, because what is allowed stands beside it, and what the headline says
    of the outcome is not said again."""
    if not any(check.group in TITLES for check in evidence.checks):
        return evidence
    checks = [
        _by_metric(check) for check in evidence.checks if check.id not in _OUTCOMES or not _same(check.reason, headline)
    ]
    return evidence.model_copy(update={"checks": checks})


def in_outcome(check: Check, evidence: Evidence) -> bool:
    """Whether another check, how the rollout ended, says the same and is no better."""
    if check.id in _OUTCOMES or check.fix or not check.reason or check.group not in TITLES:
        return False
    ends = [one for one in evidence.checks if one.id in _OUTCOMES and one.verdict.rank >= check.verdict.rank]
    return any(_bare(check.reason) in _bare(end.reason) for end in ends)


def _by_metric(check: Check) -> Check:
    if check.group != "rollout" or not _RULE.fullmatch(check.expected):
        return check
    metric = check.title.removesuffix(check.expected).strip()
    return check.model_copy(update={"title": metric or check.title, "expected": allowed(check.expected)})


def _same(one: str, other: str) -> bool:
    return bool(one) and _bare(one) == _bare(other)


def _bare(text: str) -> str:
    return text.replace("`", "").strip(" .").lower()
