"""A column of a window as the report shows it: what moved in words, and its bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.data.drift.compared import Compared
from mlgate.data.drift.frozen import written
from mlgate.model import Bars, ColumnSeen
from mlgate.watch.nouns import Measure, State

_BARS = 14  # bins that are drawn; the rest of them together


def seen(
    one: Compared,
    state: State,
    measures: Sequence[Measure],
    *,
    floor: float,
    p: float | None,
    slices: Sequence[str] = (),
) -> ColumnSeen:
    """`floor`: the PSI that chance stays below; `p`: adjusted for all columns of the run."""
    unknown = [measure.reason for measure in measures if measure.state == "unknown" and measure.reason]
    reason = one.trouble or (unknown[0] if state == "unknown" and unknown else moved(one))
    return ColumnSeen(
        name=one.name,
        role=one.role,
        kind=one.kind,
        state=state,
        reason=reason,
        rows=one.rows,
        psi=one.psi,
        floor=floor if one.psi is not None else None,
        ks=one.ks,
        p=p,
        js=one.js,
        kl=one.kl,
        wasserstein=one.wasserstein,
        cramers_v=one.cramers_v,
        nulls=one.nulls,
        unseen=one.unseen_share,
        out_of_range=one.outside_share,
        slices=tuple(slices),
        bars=bars(one),
    )


def moved(one: Compared) -> str:
    """`mean 41.2 -> 46.8`: how it was, and how it is; the greatest changes of a category."""
    said = []
    before, now = one.mean
    if one.present == 0 and one.rows:
        said.append("every value is missing")
    elif before is not None and now is not None:
        said.append(f"mean {written(before, one.of)} -> {written(now, one.of)}")
    elif one.kind == "category" and one.labels and not one.private:
        said += _shifts(one)
    if (nulls := one.nulls) is not None and abs(nulls[1] - nulls[0]) >= 0.001:
        said.append(f"missing {nulls[0]:.1%} -> {nulls[1]:.1%}")
    if one.unfit:
        said.append(f"{one.unfit:,} values of another type")
    if one.unseen_share:
        names = ", ".join(f"{value[:40]!r} ({rows:,} rows)" for value, rows in one.examples[:3])
        said.append(f"{one.unseen_share:.2%} unseen" + (f": {names}" if names else ""))
    if one.outside_share and one.outside_share >= 0.0005:
        said.append(f"{one.outside_share:.2%} out of range")
    return "; ".join(said)


def _shifts(one: Compared) -> list[str]:
    """The category that changed most."""
    if not one.rows or not one.rows_before:
        return []
    changes = [
        (now / one.rows - before / one.rows_before, label, before / one.rows_before, now / one.rows)
        for label, before, now in zip(one.labels, one.before, one.now, strict=True)
    ]
    change, label, before, now = max(changes, key=lambda each: abs(each[0]))
    return [f"{label[:40]} {before:.1%} -> {now:.1%}"] if abs(change) >= 0.001 else []


def bars(one: Compared) -> Bars | None:
    """Shares of the same bins; the smallest categories together. None for what is private."""
    if one.private or not one.rows or not one.rows_before or not one.labels:
        return None
    found = list(zip(one.labels, one.before, one.now, strict=True))
    if one.kind == "category" and len(found) > _BARS:
        *named, other, missing = found
        named.sort(key=lambda each: -max(each[1] / one.rows_before, each[2] / one.rows))
        kept, rest = named[: _BARS - 2], named[_BARS - 2 :]
        other = (other[0], other[1] + sum(b for _, b, _ in rest), other[2] + sum(n for _, _, n in rest))
        found = [*kept, other, missing]
    found = [each for each in found if each[1] or each[2] or each[0] not in {"other", "missing"}]
    return Bars(
        labels=tuple(label[:40] for label, _, _ in found),
        before=tuple(before / one.rows_before for _, before, _ in found),
        now=tuple(now / one.rows for _, _, now in found),
    )
