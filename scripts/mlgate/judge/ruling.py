"""One rule on one evaluation set: by the committed metrics alone, or by the rows behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlgate import estimators
from mlgate.config import Config, Rule
from mlgate.data.rows import Predicted
from mlgate.judge import numbers, rules, statistics
from mlgate.judge.evaluation import Compared, Metrics
from mlgate.judge.measures import Spec, UndefinedError
from mlgate.judge.numbers import MISSING, NO_SIDE
from mlgate.judge.rules import Values, Where
from mlgate.model import Check, Verdict

_SIDES: tuple[Literal["challenger", "champion", "anchor"], ...] = ("challenger", "champion", "anchor")


@dataclass(frozen=True)
class Ruling:
    """A rule and what it is about. `ruled`: the champion's own rules ask for that metric, too."""

    config: Config
    one: Compared
    rule: Rule
    where: Where
    ruled: bool = True

    @property
    def spec(self) -> Spec | None:
        """What is to be measured on the rows; None where there are no rows, or where they lack what it takes."""
        compared = self.one.measured.compared
        if compared is None:
            return None
        from mlgate.judge import estimate  # noqa: PLC0415 -- numpy

        spec = estimate.spec_of(self.where.key, self.rule)
        return spec if spec is not None and _has(spec, compared.rows.challenger) else None

    def checks(self) -> Iterator[Check]:
        """Every check of the rule. With rows: the metric is recomputed from them, and intervals decide."""
        said, spec = self._said(), self.spec
        if spec is None:
            if self.one.measured.rescored:
                said = replace(said, champion=NO_SIDE, absent=self.one.absent)
            if self.one.measured.anchored:
                said = replace(said, anchor=NO_SIDE)
            yield from self._points(said)
            yield from self._unmeasured()
            return
        try:
            yield from self._by_rows(spec, said)
        except UndefinedError as error:
            reason = f"{self.where.key} cannot be measured on these rows: {error}."
            yield Check(
                id=f"{self.where.id}.undefined", title=self.where.title, verdict=Verdict.INCONCLUSIVE, reason=reason
            )

    def _unmeasured(self) -> Iterator[Check]:
        """A metric that the rows were to give, and do not: the committed number is all there is, and nobody made it."""
        compared, key = self.one.measured.compared, self.where.key
        if compared is None:
            return
        from mlgate.judge import estimate  # noqa: PLC0415 -- numpy

        if estimate.spec_of(key, self.rule) is None:
            return
        what = f"the values of {self.rule.entry_point}" if self.rule.entry_point else "what it is computed from"
        make = " `mlgate compare --prepare` makes them." if self.rule.entry_point else ""
        yield Check(
            id=f"{self.where.id}.unmeasured",
            title=self.where.title,
            verdict=Verdict(self.config.compare.policy.no_credentials),
            reason=f"{key} was not recomputed: the rows lack {what}. Its committed numbers decide, without an "
            f"interval.{make}",
        )

    def _said(self) -> Values:
        """What the committed metrics of each side say."""
        one, key = self.one, self.where.key
        said = Values(
            challenger=one.challenger.get(key),
            champion=one.champion.get(key) if one.champion else NO_SIDE,
            anchor=one.anchor.get(key) if one.anchor else NO_SIDE,
            absent=one.absent,
            adrift=one.adrift,
        )
        if said.champion is MISSING and not self.ruled:
            # A metric that came with its rule: the champion cannot have measured it.
            verdict = Verdict(self.config.compare.policy.missing_champion)
            said = replace(said, champion=NO_SIDE, absent=(verdict, "the champion did not measure it yet"))
        return said

    def _points(self, said: Values) -> list[Check]:
        return rules.check(self.rule, said, self.config.compare.policy, self.where)

    def _by_rows(self, spec: Spec, said: Values) -> Iterator[Check]:
        from mlgate.judge import estimate, recompute  # noqa: PLC0415 -- numpy

        measured, committed = self.one.measured, _committed(said)
        compared = measured.compared
        assert compared is not None  # noqa: S101 -- there would be no spec
        everything = compared.alone or compared.rows
        found: dict[str, float] = {}
        for side in _SIDES:
            predicted = getattr(everything, side)
            if predicted is None or not _has(spec, predicted):
                continue
            found[side] = estimate.value(spec, everything, predicted)
            own = not self._again(side)  # else what it committed speaks of other rows
            summed = not (spec.column and committed[side] is MISSING)  # values per row need no sum in a metrics file
            if own and self._otherwise(side) and _rounded(committed[side], found[side]):
                committed[side] = found[side]  # of another cut-off, say: its own version judges that number
            if own and summed:
                wrong = list(
                    recompute.check(
                        self.rule, self.where, spec, everything, side, committed[side], recomputed=found[side]
                    )
                )
                if wrong or _rounded(committed[side], found[side]):
                    committed[side] = found[side]  # what the rule says of a made-up number is of no interest
                yield from wrong
        # The committed numbers decide where they are what the rows give, as exactly as they were written. A tolerance
        # lets rounded ones stand, and no rule be met by rounding.
        paired = found
        if compared.alone is not None:
            paired = {side: estimate.value(spec, compared.rows, getattr(compared.rows, side)) for side in found}
        points = Values(
            **{side: self._value(spec, side, committed[side], found, paired) for side in _SIDES},
            absent=said.absent,
            adrift=said.adrift,
        )
        judged = self._points(points)
        if measured.excluded:
            # A threshold is about all rows; a comparison leaves out those that a champion was trained on.
            alone = self._points(
                replace(points, challenger=self._value(spec, "challenger", committed["challenger"], found))
            )
            judged = [_threshold(c, alone) for c in judged]
        yield from statistics.settle(judged, self.where, self.rule, spec, compared)

    def _value(
        self, spec: Spec, side: str, committed: Any, found: dict[str, float], paired: dict[str, float] | None = None
    ) -> Any:
        measured = self.one.measured
        if side not in found:
            return NO_SIDE if self._again(side) else committed
        if paired is not None and (measured.excluded or self._again(side)):
            return paired[side]
        return found[side] if spec.column and committed in (MISSING, NO_SIDE) else committed

    def _otherwise(self, side: str) -> bool:
        """Whether a side's own version defines the metric in another way than this one."""
        metrics: Metrics | None = getattr(self.one, side)
        if metrics is None or metrics.own is None or metrics.own is self.config:
            return False
        key, name = self.where.key, self.one.name
        theirs, ours = _definition(metrics.own, name, key), _definition(self.config, name, key)
        return theirs is not None and theirs != ours

    def _again(self, side: str) -> bool:
        """Whether a side was scored again, on the challenger's rows."""
        measured = self.one.measured
        return (side == "champion" and measured.rescored) or (side == "anchor" and measured.anchored)


def _committed(said: Values) -> dict[str, Any]:
    return {"challenger": said.challenger, "champion": said.champion, "anchor": said.anchor}


def _threshold(check: Check, others: list[Check]) -> Check:
    return next((c for c in others if c.id == check.id), check) if check.id.endswith(".threshold") else check


def _definition(config: Config, name: str, key: str) -> tuple[Any, ...] | None:
    """All by which one version makes a number of rows; None where it has no such rule."""
    from mlgate.judge import estimate  # noqa: PLC0415 -- numpy

    one = config.evaluate.get(name)
    rule = None if one is None else one.rules.get(key) or config.compare.rules.get(key)
    if one is None or rule is None:
        return None
    read = one.predictions.model_dump(exclude={"path"}) if one.predictions else None
    return one.columns.model_dump(exclude={"id", "cluster"}), read, one.task, estimate.spec_of(key, rule)


def _rounded(committed: Any, found: float) -> bool:
    """Whether a committed number is another one than that of the rows, however near."""
    from mlgate.judge import recompute  # noqa: PLC0415 -- beside the above

    known = committed is not NO_SIDE and not numbers.problem(committed)
    return known and not recompute.agree(found, numbers.exact(committed))


def _has(spec: Spec, side: Predicted) -> bool:
    need = estimators.needs(spec.name)
    if need == "row":
        return spec.column in side.values
    return (side.decided if need == "class" else side.score) is not None
