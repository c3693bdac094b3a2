"""Plain sentences: why it passed, or what would have to change. Names stand in `backticks`; nothing is escaped yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mlgate.model import Check, Evidence, Moved, Verdict
from mlgate.render import arms, interval, layout, numbers

_NAMED = 3  # how many names a sentence carries before it counts the rest


def headline(evidence: Evidence) -> str:
    """The one sentence about this evidence: its own, or one made from its checks."""
    return sentence(evidence.title) or why(evidence)


def prepared(evidence: Evidence) -> Evidence:
    """As people are shown it: see `arms.prepared`. Its verdict and its headline are those of the evidence."""
    said = headline(evidence)
    shown = arms.prepared(evidence, said)
    return shown if shown is evidence or evidence.title else shown.model_copy(update={"title": said})


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
    needs += _rows(checks)
    if not needs:
        needs = list(dict.fromkeys(need for c in checks if (need := needed(c))))
    others = [c for c in checks if not needed(c) and not c.needed and c.verdict is not Verdict.WARN]
    if others and needs:
        needs = [*needs[: _NAMED - 1], f"{numbers.count(len(others), 'check')} above needs mending"]
        if len(others) > 1:
            needs[-1] = needs[-1].replace("needs", "need")
    if not needs:
        return ""
    more = len(needs) - _NAMED
    said = "; ".join(needs[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
    return f"To pass{' without a warning' if evidence.verdict is Verdict.WARN else ''}: {said}."


def _rows(checks: Sequence[Check]) -> list[str]:
    """The rows that would settle what these rows cannot: the most that any rule needs."""
    counted = [c for c in checks if c.outcome == "inconclusive" and c.needed]
    if not counted:
        return []
    most = max(counted, key=lambda c: c.needed or 0)
    return [f"`{most.title}` needs about {interval.about(most.needed or 0)} rows like these to be decided"]


def needed(check: Check) -> str:
    """`log_loss` needs to come back to 0.5926 or less; "" for a check without a limit or a number."""
    if check.limit is None or check.greater_is_better is None or not isinstance(check.observed, float):
        return ""
    if check.group in ("rollout", "watch"):
        return ""  # nobody mends a rollout that is over, or production by a number: the row and the reason say it all
    up = check.greater_is_better
    meets = check.observed >= check.limit if up else check.observed <= check.limit
    if meets:
        return ""
    beside = [check.observed]
    shown = numbers.bound(check.limit, at_least=up, beside=beside)
    held = used(check) is not None and check.change is not None
    verb = "come back to" if held else "reach" if up else "come down to"
    return f"`{check.title}` needs to {verb} {shown} or {'more' if up else 'less'}"


def of_check(check: Check) -> str:
    """One plain sentence about a rule that was measured: what differs, how far that is certain, what is allowed.

    `auc` is 0.004 better than the champion; the interval reaches down to −0.003, and −0.010 is allowed.
    """
    if check.group == "rollout" or not isinstance(check.observed, float) or check.greater_is_better is None:
        return sentence(check.reason) or _crossed(check)
    if check.interval == (0.0, 0.0) and not check.change:
        return f"`{check.title}` is the champion's: {check.method or 'nothing differs'}."
    said = _against(check) if check.change is not None else _alone(check)
    if check.outcome == "inconclusive" and check.needed:
        return f"{said} About {interval.about(check.needed)} rows like these would settle it."
    return said


def _against(check: Check) -> str:
    """A change, its interval, and the change that is allowed."""
    assert check.change is not None  # noqa: S101 -- asked by the only caller
    other = "anchor" if "anchor" in check.id.rpartition(".")[2] else "champion"
    if check.group == "watch":
        other = "committed value"
    edge = layout.limit_change(check)
    beside = [] if edge is None else [edge]

    def signed(value: float) -> str:
        return numbers.difference(value, relative=check.relative, beside=[v for v in [*beside, 0.0] if v != value])

    size = signed(abs(check.change)).lstrip("+")
    better = (check.change > 0) is check.greater_is_better
    how = (
        f"as good as the {other}" if not check.change else f"{size} {'better' if better else 'worse'} than the {other}"
    )
    said = f"`{check.title}` is {how}"
    gain = edge is not None and edge != 0 and (edge > 0) is check.greater_is_better
    allowed = "" if edge is None else f"{signed(edge)} is {'required' if gain else 'allowed'}"
    if check.interval is None:
        return f"{said}; {allowed}." if allowed else f"{said}."
    low, high = sorted(check.interval)
    worst, best = (low, high) if check.greater_is_better else (high, low)
    if check.outcome == "worse" or (check.verdict is Verdict.FAIL and edge is not None and _beyond(best, edge, check)):
        return f"{said}; even the good end of the interval is {signed(best)}, and {allowed}."
    reach = "down" if check.greater_is_better else "up"
    end = f"the interval reaches {reach} to {signed(worst)}"
    if not allowed:
        return f"{said}; {end}{f'; {check.expected}' if check.expected else ''}."
    return f"{said}; {end}, {'but' if check.outcome == 'inconclusive' else 'and'} {allowed}."


def _beyond(value: float, edge: float, check: Check) -> bool:
    return value < edge if check.greater_is_better else value > edge


def _alone(check: Check) -> str:
    """A value on its own, its interval, and the limit."""
    row = layout.row(check)
    said = f"`{check.title}` is {row.observed}"
    if check.interval is None:
        return f"{said}; allowed: {row.allowed}." if row.allowed else f"{said}."
    low, high = sorted(check.interval)
    worst, reach = (low, "down") if check.greater_is_better else (high, "up")
    shown = numbers.together(worst, *[v for v in (check.observed, check.limit) if isinstance(v, float)])[0]
    return (
        f"{said}; the interval reaches {reach} to {shown}{f', and {row.allowed} is required' if row.allowed else ''}."
    )


def of_moved(moved: Moved) -> str:
    """How many rows changed sides between the two models."""
    name = f"`{moved.name}`: of" if moved.name else "Of"
    rows = numbers.count(moved.rows, "row")
    if not moved.better and not moved.worse:
        return f"{name} {rows} none is {'decided' if moved.by == 'class' else 'predicted'} differently."
    if moved.by == "loss":
        return (
            f"{name} {rows} {moved.worse:,} have a larger error than in the champion, {moved.better:,} a smaller one."
        )
    return (
        f"{name} {rows} {moved.worse:,} were right in the champion and are wrong now; {moved.better:,} the other way."
    )


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
