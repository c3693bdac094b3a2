"""What goes where, decided once for all renderings: worst first, rules in a table, the rest in words, passes folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlgate.model import Change, Check, Evidence, Verdict, worst
from mlgate.render import arms, numbers, watched

SYMBOL = {
    Verdict.PASS: "✅",
    Verdict.WARN: "⚠️",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.FAIL: "❌",
    Verdict.ERROR: "⛔",
}
MEANS = {
    Verdict.PASS: "measured, and within every rule",
    Verdict.WARN: "measured, with a reservation",
    Verdict.INCONCLUSIVE: "measured, but the data cannot decide",
    Verdict.FAIL: "measured, and a rule was broken",
    Verdict.ERROR: "could not be measured",
}
KINDS = {  # in the order of reading; the first three are named even when nothing of them changed
    "parameter": "parameters",
    "data": "data",
    "code": "code",
    "dependency": "dependencies",
    "stage": "stages",
}


GROUPS = ("slices", "fairness")  # of checks about groups of rows


@dataclass(frozen=True)
class Links:
    """Web addresses around a run; "" where there is none. `commit` and `file` are prefixes, as in `Event`."""

    commit: str = ""  # + commit id
    file: str = ""  # + "<commit>/<path>"
    report: str = ""
    evidence: str = ""
    run: str = ""


NOWHERE = Links()


@dataclass(frozen=True)
class Model:
    """All evidence about one model. `main` is its comparison where there is one: what people come for."""

    name: str
    main: Evidence
    others: tuple[Evidence, ...]

    @property
    def all(self) -> tuple[Evidence, ...]:
        return (self.main, *self.others)

    @property
    def decider(self) -> Evidence:
        """The evidence that speaks for the model: `main`, unless another step is worse than a mere warning."""
        worst = min(self.all, key=lambda e: -e.verdict.rank)
        return worst if worst.verdict.rank > Verdict.WARN.rank else self.main

    @property
    def verdict(self) -> Verdict:
        return self.decider.verdict

    @property
    def besides(self) -> tuple[Evidence, ...]:
        """Other steps that are not simply pass: to be told, after what is said of the model."""
        return tuple(e for e in self.others if e.verdict is not Verdict.PASS and e is not self.decider)

    @property
    def quiet(self) -> bool:
        """Everything passed: nothing of it needs a look."""
        return all(e.verdict is Verdict.PASS for e in self.all)

    @property
    def unchanged(self) -> bool:
        """It passed because it is the champion."""
        return self.main.unchanged and self.quiet


@dataclass(frozen=True)
class Row:
    """One line of the table, as text that is not escaped yet."""

    check: Check
    champion: str
    observed: str
    difference: str
    interval: str
    allowed: str
    rows: str


def ordered(evidences: Iterable[Evidence]) -> list[Evidence]:
    """Worst first; what is unchanged comes last; then by name."""
    return sorted(evidences, key=lambda e: (-e.verdict.rank, e.unchanged, e.model, e.kind))


def models(evidences: Iterable[Evidence]) -> list[Model]:
    """The evidence by model, worst first; what is unchanged comes last; then by name."""
    found: dict[str, list[Evidence]] = {}
    for evidence in ordered(evidences):
        found.setdefault(evidence.model, []).append(evidence)
    grouped = []
    for name, all_ in found.items():
        main = next((e for e in all_ if e.kind == "compare"), all_[0])
        grouped.append(Model(name, main, tuple(e for e in all_ if e is not main)))
    return sorted(grouped, key=lambda m: (-m.verdict.rank, m.quiet, m.unchanged, m.name))


def overall(evidences: Iterable[Evidence]) -> Verdict:
    return worst(e.verdict for e in evidences)


def spoken(models: Sequence[Model]) -> Verdict:
    """What to say of all models in one word: a mere warning of a step about no model is told, not shouted."""
    counted = [m.verdict for m in models if m.main.kind == "compare" or m.verdict.rank > Verdict.WARN.rank]
    return worst(counted or [m.verdict for m in models])


def label(evidence: Evidence, among: Sequence[Evidence]) -> str:
    """The model's name, and the verb as well when the verbs differ."""
    several = len({e.kind for e in among}) > 1 or not evidence.model
    return " · ".join(part for part in (evidence.model, evidence.kind if several else "") if part)


def by_verdict(checks: Iterable[Check]) -> list[Check]:
    """Worst first, else in the order they were made."""
    return sorted(checks, key=lambda c: -c.verdict.rank)


def is_rule(check: Check) -> bool:
    """Shown in the table: anything held against a number. Of a contract, which has many checks, what does not hold."""
    if check.group == "data":
        return check.verdict is not Verdict.PASS
    return check.group == "rules" or isinstance(check.observed, float) or isinstance(check.champion, float)


def rules(evidence: Evidence) -> list[Check]:
    """What stands in the table: of groups of rows, which may be many, only those that do not simply hold."""
    return by_verdict(
        c for c in evidence.checks if is_rule(c) and not _quiet_group(c) and not watched.elsewhere(c, evidence)
    )


def quiet_groups(evidence: Evidence) -> list[Check]:
    """Groups that hold, those first that come closest to their limit."""
    return sorted((c for c in evidence.checks if is_rule(c) and _quiet_group(c)), key=lambda c: -_harm(c))


def held(count: int) -> str:
    """`12 groups of rows within their limits`."""
    return f"{numbers.count(count, 'group')} of rows within {'its limit' if count == 1 else 'their limits'}"


def _quiet_group(check: Check) -> bool:
    return check.group in GROUPS and check.verdict is Verdict.PASS


def _harm(check: Check) -> float:
    """How far a change goes in the bad direction; what has none comes last."""
    if check.change is None or check.greater_is_better is None:
        return -1e308
    return -check.change if check.greater_is_better else check.change


def findings(evidence: Evidence, headline: str) -> list[Check]:
    """What has to be read in words: everything not pass that the table and the headline do not say already."""
    said = _bare(headline)
    return [
        c
        for c in by_verdict(evidence.checks)
        if c.verdict is not Verdict.PASS
        and not _told_by_row(c)
        and not watched.elsewhere(c, evidence)
        and (not is_rule(c) or c.fix or (c.reason and _bare(c.reason) not in said))
        and not (says_the_same(c.reason, headline) and not c.fix)
    ]


def _told_by_row(check: Check) -> bool:
    """An expectation that was measured and does not hold: its row and the rows of the data say it all. So does the row
    of what a rollout has not decided yet, unless there is more than one sentence about it."""
    if check.group == "rollout":
        told = check.interval is not None or check.id == "rollout.requests"
        one = ". " not in check.reason.strip() and not check.fix
        return told and one and check.verdict is Verdict.INCONCLUSIVE and isinstance(check.observed, float)
    return check.group == "data" and check.observed is not None


def is_open(check: Check) -> bool:
    """Not pass, and in words: nothing else on the page shows it."""
    return check.verdict is not Verdict.PASS and not is_rule(check)


def says_the_same(one: str, other: str) -> bool:
    return bool(one) and _bare(one) == _bare(other)


def passing(evidence: Evidence) -> list[Check]:
    """Checks in words that passed: folded away."""
    return [
        c
        for c in evidence.checks
        if c.verdict is Verdict.PASS and not is_rule(c) and not watched.elsewhere(c, evidence)
    ]


def rule_changes(evidence: Evidence) -> list[Change]:
    """Changes of the judge's own inputs. They stand in the open everywhere."""
    return [c for c in evidence.changes if c.kind == "rule"]


def other_changes(evidence: Evidence) -> list[Change]:
    return sorted((c for c in evidence.changes if c.kind in KINDS), key=lambda c: list(KINDS).index(c.kind))


def change_counts(evidence: Evidence) -> str:
    """`parameters 1, data 0, code 1`, and dependencies and stages when there are any."""
    counts = {kind: sum(c.kind == kind for c in evidence.changes) for kind in KINDS}
    named = [f"{KINDS[k]} {n:,}" for k, n in counts.items() if n or k in ("parameter", "data", "code")]
    return ", ".join(named)


def since(evidence: Evidence) -> str:
    """`3 days, 2 commits`; "" when neither is known."""
    if evidence.champion is None:
        return ""
    age = numbers.age(evidence.champion.committed_at, evidence.source.at)
    commits = evidence.champion.commits
    return ", ".join(p for p in (age, "" if commits is None else numbers.count(commits, "commit")) if p)


def table_words(evidence: Evidence, checks: Iterable[Check] = ()) -> tuple[str, str, str, str]:
    """What the table calls what is measured, what was found, what that is held against, and how many were counted."""
    if evidence.kind == "compare":
        return ("Metric", "This change", "Champion", "Rows")
    if evidence.watched is not None:
        return ("Check", arms.WATCHED.own.capitalize(), arms.WATCHED.other.capitalize(), "Rows")
    shown = list(checks)
    if not shown or any(check.group != "rollout" for check in shown):
        return ("Check", "Found", "Champion", "Rows")
    against = any(check.champion is not None for check in shown)
    return ("Check", arms.ROLLED.own.capitalize() if against else "Found", arms.ROLLED.other.capitalize(), "Counted")


def rows_of(evidence: Evidence) -> str:
    """The rows of the evaluation data when every check that counts them agrees."""
    if evidence.kind in arms.KINDS or evidence.watched is not None:
        return ""  # what is counted there is said elsewhere
    seen = {c.rows for c in evidence.checks if c.rows is not None and is_rule(c) and not _nothing_seen(c)}
    return numbers.count(seen.pop(), "row") if len(seen) == 1 else ""


def _nothing_seen(check: Check) -> bool:
    """An expectation that could not be measured at all: `0 rows` would be taken for a file without any."""
    return check.group == "data" and check.verdict is Verdict.ERROR and not check.rows


def row(check: Check) -> Row:
    """The numbers of a check, shown so that what differs looks different, its limit included."""
    measured = [v for v in (check.champion, check.observed) if isinstance(v, float)]
    beside = [check.limit] if check.limit is not None and measured else []
    shown = dict(zip([*measured, *beside], together(check, *measured, *beside), strict=True))
    texts = [shown[v] if isinstance(v, float) else v or "" for v in (check.champion, check.observed)]
    difference, interval = _difference(check, list(shown.values()))
    return Row(
        check=check,
        champion=texts[0],
        observed=texts[1],
        difference=difference,
        interval=interval,
        allowed=check.expected or ("" if check.limit is None else shown.get(check.limit, "")),
        rows="" if check.rows is None or _nothing_seen(check) else f"{check.rows:,}",
    )


def together(check: Check, *values: float) -> list[str]:
    """Values of a check, read side by side: shares as percent, times of production in milliseconds."""
    if check.group == "watch" and arms.unit(arms.reading(check)) == "ms":
        return [f"{text}{numbers.THIN}ms" for text in numbers.together(*(_plain(1000 * value) for value in values))]
    if not arms.in_percent(check):
        return numbers.together(*values)
    return [f"{text}{numbers.THIN}%" for text in numbers.together(*(_plain(value * 100) for value in values))]


def _plain(value: float) -> float:
    """Without the digits that a product of floats adds."""
    return float(f"{value:.12g}")


def interval_word(evidence: Evidence, rows: Iterable[Row]) -> str:
    """What a header adds where there are intervals: `, 90 % interval`."""
    if not any(row.interval for row in rows):
        return ""
    if evidence.confidence is None:
        return " and interval"
    return f", {round(200 * evidence.confidence - 100, 3):g}{numbers.THIN}% interval"


def limit_change(check: Check) -> float | None:
    """The limit in the units of `change`."""
    if check.limit is None or not isinstance(check.champion, float):
        return None
    gap = check.limit - check.champion
    if not check.relative:
        return gap
    return gap / abs(check.champion) if check.champion else None


def direction(check: Check) -> str:
    return {True: "higher is better", False: "lower is better", None: ""}[check.greater_is_better]


def _difference(check: Check, shown: list[str]) -> tuple[str, str]:
    if check.change is None:
        return "", _alone(check, shown)
    edge = limit_change(check)
    beside = [] if edge is None else [edge]
    if arms.in_percent(check) and not check.relative:
        return _points(check, check.change)
    decimals = 0 if check.relative else numbers.decimals_of(shown)
    text = numbers.difference(check.change, relative=check.relative, decimals=decimals, beside=beside)
    if check.interval is None:
        return text, ""
    both = numbers.with_interval(
        check.change, check.interval, relative=check.relative, decimals=decimals, beside=beside
    )
    return text, both.removeprefix(text).strip()


def _points(check: Check, change: float) -> tuple[str, str]:
    """The difference of two shares, in points of percent: `+0.20 points`, `(+0.05 to +0.35)`."""
    text = f"{numbers.difference(change, relative=True).removesuffix('%').rstrip()}{numbers.THIN}points"
    if check.interval is None:
        return text, ""
    both = numbers.with_interval(change, check.interval, relative=True)
    return text, both[both.index("(") :]


def _alone(check: Check, shown: list[str]) -> str:
    """The interval of a value that is held against a limit alone: `(0.712 to 0.731)`."""
    if check.interval is None or not isinstance(check.observed, float):
        return ""
    if arms.in_percent(check):
        low, high = numbers.together(*(float(f"{100 * edge:.3g}") for edge in sorted(check.interval)))
        return f"({low} to {high}{numbers.THIN}%)"
    places = numbers.decimals_of(shown)
    low, high = (numbers.fixed(edge, places) for edge in check.interval)
    return f"({low} to {high})"


def _bare(text: str) -> str:
    return text.replace("`", "").strip(" .").lower()
