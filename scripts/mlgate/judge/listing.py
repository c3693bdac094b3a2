"""The settled checks of many groups: which of them evidence shows one by one, and all of them for the bias report."""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.judge.bias import Slice, Verdicts
from mlgate.judge.discovery import Claim
from mlgate.model import Check, Verdict

MOST = 20  # groups within a limit that are shown one by one


def fold(claims: Sequence[Claim], checks: Sequence[Check], most: int = MOST) -> list[Check]:
    """The settled `checks` of these `claims`, fewer of them: of each limit all that did not pass, and `most` that did,
    those nearest to the limit; one line counts the other groups."""
    passed: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
    for at, (claim, check) in enumerate(zip(claims, checks, strict=True)):
        if claim.group and check.verdict is Verdict.PASS:
            passed.setdefault((claim.set, claim.metric, claim.limit), []).append((-claim.size, at))
    hidden: set[int] = set()
    others = []
    for (set_name, metric, limit), found in passed.items():
        rest = [at for _, at in sorted(found)[most:]]
        if len(rest) < 2:  # a line for one group is that group's line
            continue
        hidden.update(rest)
        others.append(_others(set_name, metric, limit, [checks[at] for at in rest]))
    return [check for at, check in enumerate(checks) if at not in hidden] + others


def _others(set_name: str, metric: str, limit: str, checks: Sequence[Check]) -> Check:
    first = checks[0]
    return Check(
        id=f"{first.group}.{metric}{f'@{set_name}' if set_name else ''}.others.{limit}",
        group=first.group,
        title=f"{metric}, {len(checks):,} other groups{f' ({set_name})' if set_name else ''}",
        verdict=Verdict.PASS,
        reason="Each of them is within the limit; the bias report lists them.",
        expected=first.expected,
        location=first.location,
    )


def slices(claims: Sequence[Claim], checks: Sequence[Check]) -> tuple[Slice, ...]:
    """Every limit in every group, for the bias report."""
    return tuple(
        Slice(
            set=claim.set,
            metric=claim.metric,
            group=claim.group,
            limit=claim.limit,
            rows=check.rows,
            challenger=_number(check.observed),
            champion=_number(check.champion),
            change=check.change,
            relative=check.relative,
            interval=check.interval,
            expected=check.expected,
            verdict=check.verdict.value,
            reason=check.reason,
        )
        for claim, check in zip(claims, checks, strict=True)
        if claim.group
    )


def verdicts(checks: Sequence[Check]) -> tuple[Verdicts, ...]:
    """The settled checks as they are told in the bias report."""
    return tuple(Verdicts(one.id, one.title, one.verdict.value, one.reason) for one in checks)


def _number(value: float | str | None) -> float | None:
    return None if isinstance(value, str) else value
