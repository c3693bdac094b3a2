"""The metric that predictions and labels give, against the number that was committed. Arithmetic only, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import TYPE_CHECKING, Any, Literal

from mlgate import estimators
from mlgate.config import Rule
from mlgate.judge import numbers
from mlgate.judge.measures import Spec
from mlgate.judge.numbers import NO_SIDE, exact
from mlgate.judge.rules import PRECISION, Where
from mlgate.model import Check, Location, Verdict

if TYPE_CHECKING:
    from mlgate.data.rows import Rows

Side = Literal["challenger", "champion", "anchor"]

TOLERANCE = Decimal("0.000001")
# Where no tolerance is set, sums of doubles may differ by the order in which they were added up: a mean squared error
# of 10^9 has no digit at 10^-6 that means anything.
ROUNDING = Decimal("1e-10")
_MOST_DIGITS = 17


def check(  # noqa: PLR0917 -- the same six for every side
    rule: Rule, where: Where, spec: Spec, rows: Rows, side: Side, committed: Any, *, recomputed: float | None = None
) -> Iterator[Check]:
    """One check, an error, when the committed number of a side is not what its predictions give; none when it is.

    `recomputed` is that value where it is known already. A committed value that is no number is left to the rule, which
    says so. Raises UndefinedError where these rows do not define the metric.
    """
    from mlgate.judge import estimate  # noqa: PLC0415 -- numpy
    from mlgate.judge.estimate import variants  # noqa: PLC0415 -- numpy

    if committed is NO_SIDE or numbers.problem(committed):
        return
    predicted = getattr(rows, side)
    value = estimate.value(spec, rows, predicted) if recomputed is None else recomputed
    said = exact(committed)
    if agree(value, said, rule.tolerance):
        return
    cause, fix = likely(spec, value, said, variants.variants(spec, rows, predicted, estimate.value))
    reason = (
        f"{where.key} is {numbers.plain(said)} in the {side}'s {where.file}, but its predictions and the labels give "
        f"{shown(value, said)}. {cause or _where_to_look(spec, rows)}"
    )
    yield Check(
        id=f"{where.id}.recomputed.{side}",
        title=f"{where.title}, recomputed" + ("" if side == "challenger" else f" for the {side}"),
        verdict=Verdict.ERROR,
        group="integrity",
        reason=reason,
        fix=fix,
        observed=value,
        expected=f"{numbers.plain(said)}, as committed",
        rows=rows.count,
        location=Location(file=where.file, line=where.line, key=where.key),
    )


def agree(recomputed: float, committed: Decimal, tolerance: Decimal | None = None) -> bool:
    """Whether both are the same within an absolute tolerance; a difference of exactly that much is."""
    with localcontext() as context:
        context.prec = PRECISION
        allowed = max(TOLERANCE, abs(committed) * ROUNDING) if tolerance is None else tolerance
        return abs(exact(recomputed) - committed) <= allowed


def shown(value: float, beside: Decimal) -> str:
    """The fewest digits, six at least, that tell it from the number beside it."""
    for digits in range(6, _MOST_DIGITS + 1):
        text = Decimal(f"{value:.{digits}g}")
        if text != beside:
            return numbers.plain(text)
    return numbers.plain(exact(value))


def likely(spec: Spec, value: float, committed: Decimal, others: Iterable[tuple[str, float]]) -> tuple[str, str]:
    """A sentence with the cause that gives exactly the committed number, and lines to paste; empty where none does.

    `others`: what comes out if the metric is computed in another way, with words for how, such as "without weights".
    """
    decimals = _decimals(committed)
    rounded = Decimal(1).scaleb(-decimals) / 2
    if 2 <= decimals <= _MOST_ROUNDED and abs(exact(value) - committed) <= rounded:
        fix = f"tolerance: {numbers.plain(_nice(rounded))}"
        return (
            f"The committed one seems to be rounded to {decimals} decimals: commit all of them, or allow for it.",
            fix,
        )
    for words, change in _changes(spec):
        if _same(change(value), committed):
            return f"The committed one is {words}.", ""
    for words, other in others:
        if _same(other, committed):
            return f"The committed one is what you get {words}.", ""
        if _same(100 * other, committed):
            return f"The committed one is what you get {words}, in percent.", ""
    return "", ""


_MOST_ROUNDED = 6


def _changes(spec: Spec) -> Iterator[tuple[str, Callable[[float], float]]]:
    """What is done to the right number afterwards."""
    known = estimators.KNOWN[spec.name]
    yield "that in percent: write the share", lambda v: 100 * v
    if known.greater_is_better is False:
        yield "that with the other sign, as scikit-learn's scorers give losses", lambda v: -v
    if known.highest == 1.0 and known.lowest == 0.0:
        share = "the share of errors" if known.greater_is_better else "the share of what is right"
        other = {"class": f": {share}"}.get(known.needs, "")
        if spec.name == "roc_auc":
            other = ", as if scores or labels were those of the other class"
        yield f"1 minus that{other}", lambda v: 1 - v


def _same(value: float, committed: Decimal) -> bool:
    """Equal but for rounding, that of the committed one included where it has three decimals or more."""
    if numbers.problem(value):
        return False
    decimals = _decimals(committed)
    allowed = max(TOLERANCE, abs(committed) * ROUNDING)
    if decimals >= 3:
        allowed = max(allowed, Decimal(1).scaleb(-decimals) / 2)
    return abs(exact(value) - committed) <= allowed


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _nice(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1).scaleb(value.adjusted()), rounding=ROUND_CEILING)


def _where_to_look(spec: Spec, rows: Rows) -> str:
    """What may differ, where no cause fits."""
    known = estimators.KNOWN[spec.name]
    causes = []
    if known.needs == "class":
        causes.append("the cut-off (`predictions.cut_off`)" if rows.task == "binary" else "the decided class")
    if rows.task == "binary" and known.needs != "row":
        causes.append("the positive class (`columns.positive`)")
    if spec.average:
        causes.append(f"the averaging (`average: {spec.average}`)")
    causes.append("the weights (`columns.weight`)" if rows.weight is not None else "weights")
    listed = f"{', '.join(causes[:-1])} or {causes[-1]}" if len(causes) > 1 else causes[0]
    return (
        f"Look for a difference in {listed}, and whether the metrics were made from these predictions: `dvc repro` "
        "makes both."
    )
