"""How often an evaluation set was looked at: of many challengers on the same rows, one passes by luck.

The ledger knows every distinct model that was judged on a test set. What is said here changes no verdict: it names
those that would not hold at the confidence which allows for all of these looks together (Bonferroni). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mlgate.judge import decide
from mlgate.judge.case import finding
from mlgate.judge.evaluation import Compared
from mlgate.model import Check, Verdict


@dataclass(frozen=True)
class Looks:
    """Distinct models that were judged on each evaluation set, this challenger included; by name of the set.

    A set that the ledger has no digest of is not in it.
    """

    counts: Mapping[str, int]

    def checks(
        self, sets: Sequence[Compared], confidence: float, judge: Callable[[Compared], list[Check]]
    ) -> Iterator[Check]:
        """One for each set. `judge` gives the checks of all rules for one set, by the confidence that it carries."""
        for one in sets:
            count = self.counts.get(one.name)
            if count is not None:
                said = _sentence(one, count, confidence, judge)
                yield finding(f"judge.looks.{one.name}", f"looks at {one.name}", Verdict.PASS, said)


def _sentence(one: Compared, count: int, confidence: float, judge: Callable[[Compared], list[Check]]) -> str:
    if count == 1:
        return f"By the ledger this is the first model that is judged on {one.name}."
    said = f"By the ledger {count} models were judged on {one.name}, this one included"
    rows = one.measured.compared
    if rows is None:
        return f"{said}: each look makes it likelier that one passes by luck."
    strict = decide.bonferroni(confidence, count)
    stricter = replace(one, measured=replace(one.measured, compared=replace(rows, confidence=strict, known={})))
    held, lost = holding(judge(one), judge(stricter))
    at = f"At the confidence that allows for that ({strict:.4g} instead of {confidence:.4g})"
    return f"{said}. {at} {_held(held, lost)}."


def holding(checks: Sequence[Check], strict: Sequence[Check]) -> tuple[list[str], list[str]]:
    """Of the checks that intervals decided: the titles of those whose verdict stays, and of the others."""
    again = {check.id: check.verdict for check in strict}
    decided = [c for c in checks if c.method and c.verdict is not Verdict.INCONCLUSIVE]
    held = [check.title for check in decided if again.get(check.id) is check.verdict]
    lost = [check.title for check in decided if again.get(check.id) is not check.verdict]
    return held, lost


def _held(held: list[str], lost: list[str]) -> str:
    if not held and not lost:
        return "there is no verdict that intervals decided"
    if not lost:
        return "every verdict would hold"
    names = list(dict.fromkeys(lost))
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{len(held)} of {len(held) + len(lost)} verdicts would hold, and not that of {listed}"
