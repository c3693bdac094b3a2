"""What an engine saw of a contract, judged: one check per expectation. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlgate.data.nouns import Expectation, Outcome
from mlgate.model import Check, Example, Location, Verdict

MASK = "(private)"
# Their results are values of the column, not counts or averages of them.
_VALUES = (
    "expect_column_min_",
    "expect_column_max_",
    "expect_column_most_common_",
    "expect_column_distinct_",
    "expect_column_quantile_",
    "expect_column_median_",
    "expect_column_newest_",
)


@dataclass(frozen=True)
class Held:
    """One expectation, what was seen of it, and where it stands.

    `about` names the data file where there are several; `version` is `proposed` for the change's own contract.
    """

    expectation: Expectation
    outcome: Outcome
    data: str
    file: str  # of the contract, or mlgate.yaml
    private: frozenset[str] = frozenset()
    about: str = ""
    version: str = ""


def check(held: Held) -> Check:
    """The verdict on one expectation. What could not be measured is an `error` whatever its severity."""
    expectation, outcome = held.expectation, held.outcome
    private = {name.casefold() for name in held.private}
    hidden = any(name.casefold() in private for name in (*expectation.columns, *expectation.kwargs.get("by", ())))
    title = f"{held.about}: {expectation.title}" if held.about else expectation.title
    return Check(
        id=f"{held.version or 'data'}.{held.data}.{expectation.id}",
        title=f"{title}, as proposed" if held.version else title,
        group="data",
        verdict=_verdict(expectation, outcome),
        reason=_reason(expectation, outcome, held.private, hidden=hidden),
        observed=_observed(expectation, outcome, hidden=hidden),
        expected=expectation.expected,
        rows=outcome.rows,
        unexpected=outcome.unexpected,
        examples=tuple(_masked(example, held.private) for example in outcome.examples),
        engine=outcome.engine,
        location=Location(file=held.file, line=expectation.line, key=expectation.key),
    )


def _verdict(expectation: Expectation, outcome: Outcome) -> Verdict:
    if outcome.holds is True:
        return Verdict.PASS
    if outcome.holds is None:
        return Verdict.INCONCLUSIVE if outcome.undecided else Verdict.ERROR
    return Verdict.FAIL if expectation.severity == "error" else Verdict.WARN


def _reason(expectation: Expectation, outcome: Outcome, private: frozenset[str], *, hidden: bool) -> str:
    if outcome.holds is True:
        return ""
    if outcome.holds is None:
        if hidden and outcome.trouble:
            return "It could not be measured. What the engine said is not shown: it may quote the private column."
        return outcome.trouble or "It could not be measured, and the engine does not say why."
    if outcome.unexpected is None:
        seen = _observed(expectation, outcome, hidden=hidden)
        return f"Found: {_plain(seen)}. Expected: {expectation.expected}." if seen is not None else ""
    first = _masked(outcome.examples[0], private) if outcome.examples else None
    return f"{_share(outcome)} break it{f', the first in {example(first)}' if first else ''}."


def example(found: Example) -> str:
    """One row, for a sentence: `row 17 (age = -3)`."""
    where = f"{found.file} row {found.row:,}" if found.file and found.row else f"row {found.row:,}" if found.row else ""
    values = ", ".join(f"{column} = {value}" for column, value in found.values.items())
    return f"{where} ({values})" if where and values else where or f"a row with {values}"


def _share(outcome: Outcome) -> str:
    looked_at = max(outcome.rows - outcome.nulls, 0)
    broken = outcome.unexpected or 0
    nulls = f" with a value, {outcome.nulls:,} without" if outcome.nulls else ""
    share = f" ({_percent(broken / looked_at)})" if looked_at else ""
    return f"{broken:,} of {looked_at:,} rows{nulls}{share}"


def _percent(share: float) -> str:
    return "100 %" if share == 1 else f"{share * 100:.2g} %" if share < 0.995 else f"{share * 100:.4f} %"


def _observed(expectation: Expectation, outcome: Outcome, *, hidden: bool) -> float | str | None:
    value = outcome.observed
    if value is None:
        return _counted(outcome)
    if hidden and expectation.type.startswith(_VALUES):
        return MASK
    if isinstance(value, bool | str):
        return str(value)
    return float(value) if math.isfinite(value) else str(value)


def _counted(outcome: Outcome) -> str | None:
    if outcome.unexpected is None or outcome.holds is None:
        return None
    return f"{outcome.unexpected:,} rows" if outcome.unexpected != 1 else "1 row"


def _plain(seen: float | str) -> str:
    return seen if isinstance(seen, str) else f"{seen:,.10g}"


def _masked(found: Example, private: frozenset[str]) -> Example:
    """Every private column of a row is hidden, not only the one that is checked."""
    if not private:
        return found
    folded = {name.casefold() for name in private}
    values = {column: MASK if column.casefold() in folded else value for column, value in found.values.items()}
    return found.model_copy(update={"values": values})
