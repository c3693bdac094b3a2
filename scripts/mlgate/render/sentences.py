"""Plain sentences: why it passed, or what would have to change. Names stand in `backticks`; nothing is escaped yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mlgate.model import Check, Evidence, Verdict
from mlgate.render import layout, numbers

_NAMED = 3  # how many names a sentence carries before it counts the rest


def headline(evidence: Evidence) -> str:
    """The one sentence about this evidence: its own, or one made from its checks."""
    return sentence(evidence.title) or why(evidence)


def of_model(model: layout.Model) -> str:
    """The one sentence about a model: of the evidence that decides, which is named when it is not the comparison."""
    said = headline(model.decider).removeprefix(f"{model.name}: ")
    return said if model.decider is model.main else f"{model.decider.kind}: {said}"


def besides(model: layout.Model) -> str:
    """`Besides, doctor: warn.` for the other steps that are not simply pass; "" when all of them are."""
    named = ", ".join(f"{e.kind}: {e.verdict}" for e in model.besides)
    return f"Besides, {named}." if named else ""


def why(evidence: Evidence) -> str:
    """Why the verdict is what it is, from the checks alone."""
    if evidence.unchanged:
        return "The model, its metrics and the evaluation data are the champion's: nothing was compared."
    if not evidence.checks:
        return "Nothing was checked, and nothing measured is never a pass."
    worst = [c for c in evidence.checks if c.verdict is evidence.verdict and c.verdict is not Verdict.PASS]
    if not worst:
        return _why_pass(evidence)
    first = sentence(worst[0].reason) or _crossed(worst[0])
    if len(worst) == 1:
        return first
    return f"{first} {numbers.count(len(worst) - 1, 'more check')} {'ends' if len(worst) == 2 else 'end'} the same way."


def to_pass(evidence: Evidence) -> str:
    """What would have to change, with the number; "" when nothing has to."""
    if evidence.verdict is Verdict.PASS:
        return ""
    checks = [c for c in layout.by_verdict(evidence.checks) if c.verdict is not Verdict.PASS]
    needs = list(dict.fromkeys(need for c in checks if c.verdict is not Verdict.WARN and (need := needed(c))))
    if not needs:
        needs = list(dict.fromkeys(need for c in checks if (need := needed(c))))
    others = [c for c in checks if not needed(c) and c.verdict is not Verdict.WARN]
    if others and needs:
        needs = [*needs[: _NAMED - 1], f"{numbers.count(len(others), 'check')} above needs mending"]
        if len(others) > 1:
            needs[-1] = needs[-1].replace("needs", "need")
    if not needs:
        return ""
    more = len(needs) - _NAMED
    said = "; ".join(needs[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
    return f"To pass{' without a warning' if evidence.verdict is Verdict.WARN else ''}: {said}."


def needed(check: Check) -> str:
    """`log_loss` needs to come back to 0.5926 or less; "" for a check without a limit or a number."""
    if check.limit is None or check.greater_is_better is None or not isinstance(check.observed, float):
        return ""
    up = check.greater_is_better
    meets = check.observed >= check.limit if up else check.observed <= check.limit
    if meets:
        return ""
    beside = [check.observed]
    shown = numbers.bound(check.limit, at_least=up, beside=beside)
    held = used(check) is not None and check.change is not None
    verb = "come back to" if held else "reach" if up else "come down to"
    return f"`{check.title}` needs to {verb} {shown} or {'more' if up else 'less'}"


def overall(evidences: Sequence[Evidence]) -> str:
    """One sentence over several models, and what else is not pass."""
    if not evidences:
        return "There is no evidence: nothing was judged, and nothing measured is never a pass."
    grouped = layout.models(evidences)
    compared = [m for m in grouped if m.main.kind == "compare"] or grouped
    counts = Counter(m.verdict for m in compared)
    if len(compared) == 1:
        said = f"`{compared[0].name or compared[0].main.kind}`: {compared[0].verdict}."
    else:
        said = _tally(counts, len(compared), sum(m.unchanged for m in compared))
    besides = [m for m in grouped if m not in compared and m.verdict is not Verdict.PASS]
    names = [f"`{m.name or m.main.kind}` ({m.verdict})" for m in besides[:_NAMED]]
    return f"{said} Besides: {', '.join(names)}." if names else said


def _tally(counts: Counter[Verdict], total: int, same: int) -> str:
    if same == total:
        return f"Nothing changed in {numbers.count(total, 'model')}."
    if counts[Verdict.PASS] == total:
        return f"All {total:,} models pass{f', {same:,} of them unchanged' if same else ''}."
    others = ", ".join(f"{counts[v]:,} {v.value}" for v in reversed(Verdict) if counts[v] and v is not Verdict.PASS)
    return f"{counts[Verdict.PASS]:,} of {numbers.count(total, 'model')} pass; {others}."


def consequence(evidence: Evidence) -> str:
    """What the verdict does when that is not obvious: report mode, `fail_on`, a fork's own report."""
    said = []
    if evidence.mode == "report" and evidence.verdict is not Verdict.PASS:
        said.append("Report mode: this verdict blocks nothing.")
    elif evidence.mode == "off":
        said.append("The gate is off: this verdict blocks nothing.")
    elif evidence.exit_code == 0 and evidence.verdict.exit_code != 0:
        said.append(f"`fail_on: {evidence.fail_on}`: this verdict blocks nothing.")
    elif evidence.exit_code != 0 and evidence.verdict.exit_code == 0:
        said.append(f"`fail_on: {evidence.fail_on}`: this verdict blocks.")
    if evidence.source.reported_by_fork:
        said.append("The fork's own run reported this and could have written anything; `main` judges again.")
    return " ".join(said)


def sentence(text: str) -> str:
    """The text with a full stop, when it has none."""
    text = text.strip()
    return text if not text or text[-1] in ".!?:…`" else f"{text}."


def used(check: Check) -> float | None:
    """How much of what is allowed was used: 0 at the champion, 1 at the limit, negative when better."""
    if check.limit is None or not isinstance(check.observed, float) or not isinstance(check.champion, float):
        return None
    room = check.limit - check.champion
    if check.greater_is_better is None or room == 0 or (room > 0) is check.greater_is_better:
        return None
    return _finite((check.observed - check.champion) / room)


def _finite(value: float) -> float:
    return max(-1e9, min(1e9, value))


def _crossed(check: Check) -> str:
    row = layout.row(check)
    was = f" is {row.observed}" if row.observed else ""
    allowed = f"; allowed: {row.allowed}" if row.allowed else ""
    return f"`{check.title}`{was}{allowed}."


def _why_pass(evidence: Evidence) -> str:
    rules = layout.rules(evidence)
    if not rules:
        return f"{numbers.count(len(evidence.checks), 'check')} passed."
    closest = max(rules, key=lambda c: used(c) or -1e9)
    share = used(closest)
    held = f"{numbers.count(len(rules), 'rule')} held" if len(rules) > 1 else "The rule held"
    if share is None:
        return f"{held}."
    if share <= 0:
        return f"{held}; nothing is worse than the champion."
    return f"{held}; the closest, `{closest.title}`, used {numbers.percent(share)} of what is allowed."
