"""Evidence as a terminal shows it. Plain ASCII around the project's own names; colour only when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlgate.model import Change, Check, Evidence, Verdict
from mlgate.render import (
    arms,
    cells,
    details,
    escape,
    interval,
    layout,
    numbers,
    sentences,
    steps,
    timeline,
    watched,
    watched_text,
)

_COLOR = {
    Verdict.PASS: "32",
    Verdict.WARN: "33",
    Verdict.INCONCLUSIVE: "35",
    Verdict.FAIL: "31",
    Verdict.ERROR: "31",
}
_NAME = 48  # columns a name may take before it is cut
_MANY = 60  # lines of one model before the rest is counted
_CHANGES = 6
_NARROWEST = 40
_STEPS = 12  # of a rollout
_CLOCK = 14
_SIGNS = str.maketrans({numbers.MINUS: "-", numbers.THIN: " ", "→": "->", "’": "'"})
_VALUES = 1  # the column of "champion -> this change": ends stand below each other


class _Line(NamedTuple):
    verdict: Verdict
    cells: tuple[str, ...]  # name, values, difference, interval, allowed


def show(evidences: Sequence[Evidence], *, color: bool, width: int, report: str = "") -> str:
    """Every model with its checks, worst checks first, and the verdict as the last line. Ends with a line break.

    Of several models, those that pass take a line each and the worst comes last: that is where a terminal stops.
    """
    paint = _Paint(color)
    columns = max(_NARROWEST, width)
    evidences = [sentences.prepared(evidence) for evidence in evidences]
    ordered = sorted(evidences, key=lambda e: (e.verdict.rank, not e.unchanged, e.model, e.kind))
    if len(ordered) == 1:
        return "\n".join([*_block(ordered[0], ordered, columns, paint), _last(ordered, report, paint)]) + "\n"
    same = [e for e in ordered if e.unchanged and e.verdict is Verdict.PASS]
    passed = [e for e in ordered if e.verdict is Verdict.PASS and not e.unchanged]
    blocks = [_names("unchanged", same, ordered, columns), _passed(passed, ordered, columns, paint)]
    blocks += [_block(e, ordered, columns, paint) for e in ordered if e.verdict is not Verdict.PASS]
    blocks.append([_last(ordered, report, paint)])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def width_lines(text: str, columns: int, indent: str = "") -> list[str]:
    """Wrapped, with an indent."""
    return [indent + line for line in cells.wrap(text, columns - len(indent))]


def _block(evidence: Evidence, among: Sequence[Evidence], columns: int, paint: _Paint) -> list[str]:
    rules = layout.rules(evidence)
    table = _table([_line(c) for c in rules[:_MANY]], columns, paint)
    if len(rules) > _MANY:
        table.append(f"  and {len(rules) - _MANY:,} more, all in the report")
    if quiet := len(layout.quiet_groups(evidence)):
        table.append(
            f"  {numbers.count(quiet, 'group')} of rows within {'its limit' if quiet == 1 else 'their limits'}"
        )
    headline = sentences.headline(evidence)
    telling = layout.findings(evidence, headline)
    found = [
        c
        for c in layout.by_verdict(evidence.checks)
        if (c in telling or layout.is_open(c)) and not _in_a_row(c) and not watched.elsewhere(c, evidence)
    ]
    # What several checks say in the same words is said once.
    words = [line for said in dict.fromkeys(tuple(_finding(c, columns, paint)) for c in found[:_MANY]) for line in said]
    worse = bool(found) and (not rules or found[0].verdict.rank > rules[0].verdict.rank)
    table += [line for check in rules[:_MANY] for line in _broken(check, columns)]
    table += _drawn(rules, columns)
    lines = [*_header(evidence, among, columns, paint), *_watched(evidence, columns, paint)]
    lines += words + table if worse else table + words
    told = evidence.kind in arms.KINDS or any(
        layout.says_the_same(c.reason, headline) for c in [*found, *filter(_in_a_row, rules[:_MANY])]
    )
    if not told and (not rules or evidence.verdict is not Verdict.PASS or evidence.title):
        lines += width_lines(_ascii(headline), columns)
    if needs := sentences.to_pass(evidence):
        lines += width_lines(_ascii(needs), columns)
    if said := sentences.consequence(evidence):
        lines += width_lines(_ascii(said), columns)
    lines += _made(evidence, columns)
    lines += _changes(evidence, columns)
    for text in evidence.not_run[:_MANY]:
        lines += _hanging("not run: ", _ascii(text), columns)
    if evidence.controls is not None:
        lines.append(f"controls {evidence.controls.passed} of {evidence.controls.total}")
    return lines


def _drawn(rules: Sequence[Check], columns: int) -> list[str]:
    """The intervals against their limits, unless every rule holds or the lines do not fit."""
    if all(check.verdict is Verdict.PASS for check in rules):
        return []
    lines = [f"  {_ascii(line)}" for line in interval.text(rules, interval.ASCII).splitlines()]
    return lines if all(cells.of(line) <= columns for line in lines) else []


def _names(title: str, evidences: Sequence[Evidence], among: Sequence[Evidence], columns: int) -> list[str]:
    if not evidences:
        return []
    names = ", ".join(_ascii(layout.label(e, among)) for e in evidences)
    return [cells.cut(f"{title}: {numbers.count(len(evidences), 'model')} ({names})", columns)]


def _passed(evidences: Sequence[Evidence], among: Sequence[Evidence], columns: int, paint: _Paint) -> list[str]:
    names = [cells.cut(_ascii(layout.label(e, among)), _NAME) for e in evidences[:_MANY]]
    widest = max(map(cells.of, names), default=0)
    lines = [
        f"  {paint.verdict(Verdict.PASS)}  {cells.pad(name, widest)}  "
        + cells.cut(_ascii(sentences.headline(e)), max(10, columns - widest - 10))
        for name, e in zip(names, evidences, strict=False)
    ]
    return lines + _names("  and", evidences[_MANY:], among, columns)


def _header(evidence: Evidence, among: Sequence[Evidence], columns: int, paint: _Paint) -> list[str]:
    if evidence.kind in arms.KINDS:
        return _outcome(evidence, among, columns, paint)
    parts = watched_text.header(evidence)
    if evidence.source.commit and parts:
        parts.append(f"commit {numbers.commit(evidence.source.commit)}")
    elif evidence.source.commit:
        dirty = " with uncommitted changes" if evidence.source.dirty else ""
        parts.append(f"challenger {numbers.commit(evidence.source.commit)}{dirty}")
    if evidence.champion is not None:
        known = ", ".join(p for p in (evidence.champion.ref, layout.since(evidence)) if p)
        parts.append(f"champion {numbers.commit(evidence.champion.commit)}" + (f" ({known})" if known else ""))
    if rows := layout.rows_of(evidence):
        parts.append(rows)
    if evidence.unchanged:
        parts.append("unchanged")
    name = _ascii(layout.label(evidence, among))
    line = "  ".join([name, *map(_ascii, parts)])
    if cells.of(line) <= columns:
        return [paint.bold(name) + line[len(name) :]]
    return [paint.bold(name), *(f"  {cells.cut(_ascii(p), columns - 2)}" for p in parts)]


def _outcome(evidence: Evidence, among: Sequence[Evidence], columns: int, paint: _Paint) -> list[str]:
    """How a rollout ended, and its steps as they came."""
    name, said = _ascii(layout.label(evidence, among)), _ascii(sentences.headline(evidence))
    first, *more = cells.wrap(said if said.startswith(f"{name} ") else f"{name}: {said}", columns)
    lines = [paint.bold(first), *map(paint.bold, more)]
    found = timeline.course(evidence)
    if parts := "   ".join(map(_ascii, steps.summary(evidence, found))):
        lines += [
            f"  {line}" for line in ([parts] if cells.of(parts) <= columns - 2 else cells.wrap(parts, columns - 2))
        ]
    shown = list(found.steps) if found is not None else []
    left = len(shown) - _STEPS
    widest = max((cells.of(_ascii(step.name)) for step in shown), default=0)
    clocks = max((cells.of(cells.cut(_ascii(step.clock), _CLOCK)) for step in shown), default=0)
    for at, step in enumerate(shown):
        if left > 0 and 1 <= at <= left:
            lines += [f"  and {numbers.count(left, 'step')} more"] if at == 1 else []
            continue
        clock = cells.cut(_ascii(step.clock), _CLOCK)
        seen = ", ".join(filter(None, (steps.arm("canary", step.canary), steps.arm("stable", step.stable))))
        text = " ".join(filter(None, (f"{seen}." if seen else "", steps.told(step, sentences.headline(evidence)))))
        lines += _hanging(
            f"  {cells.pad(clock, clocks)}  {cells.pad(_ascii(step.name), widest)}  ", _ascii(text), columns
        )
    return lines


def _watched(evidence: Evidence, columns: int, paint: _Paint) -> list[str]:
    """Alerts and columns of production, a line each."""
    found = watched_text.lines(evidence)
    states = max((len(state) for _, state, _, _ in found), default=0)
    names = max((cells.of(cells.cut(_ascii(name), _NAME)) for _, _, name, _ in found), default=0)
    lines: list[str] = []
    for tone, state, name, said in found:
        head = f"  {state:<{states}}  {cells.pad(cells.cut(_ascii(name), _NAME), names)}  "
        told = _hanging(head, _ascii(said), columns)
        told[0] = told[0].replace(state, paint.tone(tone, state), 1)
        lines += told
    for said in watched_text.rest(evidence):
        lines += width_lines(_ascii(said), columns, "  ")
    return lines


def _line(check: Check) -> _Line:
    row = layout.row(check)
    champion, observed = _ascii(row.champion), _ascii(row.observed)
    values = " -> ".join(p for p in (cells.cut(champion, _NAME), cells.cut(observed, _NAME)) if p)
    allowed = _ascii(row.allowed)
    if allowed.split(" ")[0] in ("up", "down", "at") and check.group != "rollout":
        allowed = f"allowed {allowed}"
    rows = f"{row.rows} rows" if row.rows else ""
    texts = (cells.cut(_ascii(check.title), _NAME), values, _ascii(row.difference), _ascii(row.interval), allowed, rows)
    return _Line(check.verdict, texts)


def _table(lines: Sequence[_Line], columns: int, paint: _Paint) -> list[str]:
    """One line each when that fits, else the name and its numbers below each other."""
    if not lines:
        return []
    lines = _without_common_rows(lines)
    widest = [max(cells.of(line.cells[at]) for line in lines) for at in range(len(lines[0].cells))]
    verdicts = max(len(line.verdict) for line in lines)
    if 2 + verdicts + sum(2 + w for w in widest if w) <= columns:
        return [
            "  "
            + paint.verdict(line.verdict, verdicts)
            + "".join(
                f"  {cells.pad(cell, w, right=at == _VALUES)}"
                for at, (cell, w) in enumerate(zip(line.cells, widest, strict=True))
                if w
            ).rstrip()
            for line in lines
        ]
    stacked = []
    for line in lines:
        stacked.append(f"  {paint.verdict(line.verdict, verdicts)}  {cells.cut(line.cells[0], columns - verdicts - 4)}")
        rest = "  ".join(cell for cell in line.cells[1:] if cell)
        stacked += width_lines(rest, columns, " " * (verdicts + 4)) if rest else []
    return stacked


def _without_common_rows(lines: Sequence[_Line]) -> list[_Line]:
    """The header already says the rows when all rows agree."""
    if len({line.cells[5] for line in lines if line.cells[5]}) > 1:
        return list(lines)
    return [line._replace(cells=(*line.cells[:5], "")) for line in lines]


def _finding(check: Check, columns: int, paint: _Paint) -> list[str]:
    first, *more = sentences.sentence(check.reason).splitlines() or [""]
    said = _ascii(first)
    named = said.startswith(f"{_ascii(check.title)}:") or said.startswith(f"{_ascii(check.title)} ")
    if not said or (not layout.is_rule(check) and not named):
        said = ": ".join(part for part in (_ascii(check.title), said) if part)
    if check.location and check.location.file not in said:
        line = f":{check.location.line}" if check.location.line else ""
        said = f"{escape.plain(check.location.file)}{line}: {said}"
    head = f"  {check.verdict}  "
    lines = _hanging(head, said, columns)
    lines[0] = lines[0].replace(check.verdict, paint.verdict(check.verdict), 1)
    for line in more[:_MANY]:
        lines += width_lines(_ascii(line), columns, " " * len(head))
    return lines + [f"{' ' * len(head)}{line}".rstrip() for line in escape.plain_lines(check.fix)[:_MANY]]


def _in_a_row(check: Check) -> bool:
    """A limit that was crossed: its row has both numbers, the difference and what is allowed. No words are needed."""
    crossed = check.verdict in (Verdict.WARN, Verdict.FAIL) and check.limit is not None
    return crossed and layout.is_rule(check) and isinstance(check.observed, float) and not check.fix


def _broken(check: Check, columns: int) -> list[str]:
    """The rows of the data that break a check, and where it stands."""
    if not check.examples:
        return []
    place = check.location
    where = f"{place.file}{f':{place.line}' if place.line else ''}: " if place else ""
    return _hanging("    ", _ascii(f"{where}{check.title}: {details.rows(check)}"), columns)


def _made(evidence: Evidence, columns: int) -> list[str]:
    """What was proven of how the model was made, and what ran."""
    lines: list[str] = []
    widest = max((len(p.state) for p in evidence.proofs), default=0)
    for proof in details.proofs(evidence):
        head = f"  {proof.state:<{widest}}  "
        lines += _hanging(head, _ascii(f"{proof.claim}{f': {proof.by}' if proof.by else ''}"), columns)
    if evidence.stages:
        lines += _hanging("stages: ", _ascii(details.stages(evidence)), columns)
    if said := details.never(evidence):
        lines += width_lines(said, columns)
    # A run in a file has no address, but a number and a way to look at it.
    known = {n: v for n, v in evidence.facts.items() if n.startswith("MLflow") and isinstance(v, str)}
    for name, address in (evidence.links or known).items():
        lines.append(f"{_ascii(name)}: {escape.plain(address)}")
    if evidence.artifacts:
        lines += _hanging("written: ", _ascii(", ".join(evidence.artifacts)), columns)
    return lines


def _changes(evidence: Evidence, columns: int) -> list[str]:
    lines: list[str] = []
    for change in layout.rule_changes(evidence):
        ends = [change.before, change.after]
        if change.before is not None and change.after is not None:
            ends = [*numbers.both_short(change.before, change.after)]
        values = " -> ".join(_ascii(v) if v is not None else "nothing" for v in ends)
        lines += _hanging("rule changed: ", f"{_ascii(change.what)} {values}", columns)
    others = [_change(c) for c in layout.other_changes(evidence)]
    if others and evidence.verdict is not Verdict.PASS:
        more = [f"and {len(others) - _CHANGES:,} more"] if len(others) > _CHANGES else []
        lines += _hanging("changed: ", ", ".join([*others[:_CHANGES], *more]), columns)
    return lines


def _change(change: Change) -> str:
    if change.before is None or change.after is None:
        return _ascii(change.what)
    before, after = numbers.both_short(change.before, change.after)
    return f"{_ascii(change.what)} {_ascii(before)} -> {_ascii(after)}"


def _hanging(head: str, text: str, columns: int) -> list[str]:
    lines = width_lines(text, columns, " " * len(head))
    return [head + lines[0].lstrip(), *lines[1:]] if lines else [head.rstrip()]


def _last(evidences: Sequence[Evidence], report: str, paint: _Paint) -> str:
    verdict = layout.overall(evidences)
    line = f"verdict: {paint.verdict(verdict)}"
    if len(evidences) > 1:
        line += f" ({sum(e.verdict is verdict for e in evidences):,} of {len(evidences):,})"
    return f"{line}   report: {escape.plain(report)}" if report else line


def _ascii(text: str) -> str:
    """For a terminal: no control characters, and our own typographic signs as ASCII."""
    return escape.plain(text).translate(_SIGNS)


class _Paint:
    def __init__(self, color: bool) -> None:
        self.color = color

    def verdict(self, verdict: Verdict, columns: int = 0) -> str:
        padding = " " * (columns - len(verdict))
        return f"\x1b[1;{_COLOR[verdict]}m{verdict}\x1b[0m{padding}" if self.color else f"{verdict}{padding}"

    def tone(self, verdict: Verdict, text: str) -> str:
        return f"\x1b[1;{_COLOR[verdict]}m{text}\x1b[0m" if self.color else text

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.color else text
