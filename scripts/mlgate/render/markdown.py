"""Evidence as a pull request's comment and as the job summary, in the Markdown that the forges share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from urllib.parse import quote

from mlgate.forges.sticky import VOLATILE
from mlgate.model import Change, Check, Evidence, Verdict
from mlgate.render import chart, escape, layout, numbers, sentences
from mlgate.render.layout import NOWHERE, SYMBOL, Links

COMMENT_LIMIT = 60_000  # GitHub takes 65,536; the rest is for the marker and what a forge adds
SUMMARY_LIMIT = 900_000  # of 1 MiB for a step

_T = TypeVar("_T")

_ALERT = {
    Verdict.PASS: "TIP",
    Verdict.WARN: "WARNING",
    Verdict.INCONCLUSIVE: "IMPORTANT",
    Verdict.FAIL: "CAUTION",
    Verdict.ERROR: "CAUTION",
}
_OPEN_ROWS = 20  # more passing models than this are folded
_MOST_ROWS = 60  # of one table
_MOST_ITEMS = 40  # of one list


def comment(evidences: Sequence[Evidence], *, links: Links = NOWHERE, limit: int = COMMENT_LIMIT) -> str:
    """The comment's body, without the marker that a forge adds. Longer than `limit`, details of the best go first."""
    ordered = layout.ordered(evidences)
    if not ordered:
        return f"> [!CAUTION]\n> **error.** {sentences.overall([])}\n"
    if len(ordered) == 1:
        return _join(_section(ordered[0], ordered, links))
    return _several(ordered, links, limit)


def summary(evidences: Sequence[Evidence], *, links: Links = NOWHERE) -> str:
    """The job summary: the comment with more room."""
    return comment(evidences, links=links, limit=SUMMARY_LIMIT)


def _several(ordered: Sequence[Evidence], links: Links, limit: int) -> str:
    verdict = layout.overall(ordered)
    parts = [_alert(verdict, f"**{verdict}.** {escape.prose(sentences.overall(ordered))}"), *_overview(ordered, links)]
    tail = _footer(ordered[0], links)
    room = limit - len(_join([*parts, *tail])) - 300
    left_out: list[Evidence] = []
    for evidence in ordered:
        if evidence.unchanged and evidence.verdict is Verdict.PASS:
            continue
        name = escape.code(layout.label(evidence, ordered))
        if evidence.verdict is Verdict.PASS:
            title = f"{SYMBOL[evidence.verdict]} {escape.code(layout.label(evidence, ordered), html=True)}: pass"
            section = [_details(title, _join(_body(evidence, links)))]
        else:
            section = [f"### {SYMBOL[evidence.verdict]} {name}: {evidence.verdict}", *_section_body(evidence, links)]
        size = len(_join(section)) + 1
        if size > room:
            left_out.append(evidence)
            continue
        room -= size
        parts += section
    if left_out:
        where = escape.link("the full report", links.report) if links.report else "the HTML report"
        parts.append(f"Details of {numbers.count(len(left_out), 'more model')} did not fit here: they are in {where}.")
    return _join([*parts, *tail])


def _section(evidence: Evidence, among: Sequence[Evidence], links: Links) -> list[str]:
    """Everything about the only model there is."""
    name = escape.text(layout.label(evidence, among))
    said = f"**{name}: {evidence.verdict}.** {_without_name(evidence)}"
    more = [escape.prose(text)] if (text := sentences.consequence(evidence)) else []
    return [_alert(evidence.verdict, said, *more), *_body(evidence, links), *_footer(evidence, links)]


def _section_body(evidence: Evidence, links: Links) -> list[str]:
    consequence = sentences.consequence(evidence)
    said = [_without_name(evidence), *([escape.prose(consequence)] if consequence else [])]
    return [" ".join(said), *_body(evidence, links), *_needs(evidence)]


def _body(evidence: Evidence, links: Links) -> list[str]:
    rules = layout.rules(evidence)
    parts = [*_rule_changes(evidence), *_table(evidence, rules)]
    if drawing := chart.text(rules):
        parts.append(escape.fence(drawing))
    parts += _findings(evidence, links)
    if passed := layout.passing(evidence):
        items = _items(passed, lambda c: f"{SYMBOL[Verdict.PASS]} {escape.prose(c.title)}{_dash(c.reason)}")
        parts.append(_details(f"{numbers.count(len(passed), 'other check')} passed", items))
    parts += _since(evidence)
    if evidence.not_run:
        parts += ["**Not read:**", _items(evidence.not_run, escape.prose)]
    return parts


def _alert(verdict: Verdict, *paragraphs: str) -> str:
    return f"> [!{_ALERT[verdict]}]\n" + "\n>\n".join(f"> {p}" for p in paragraphs)


def _without_name(evidence: Evidence) -> str:
    headline = sentences.headline(evidence)
    return escape.prose(headline.removeprefix(f"{evidence.model}: "))


def _overview(ordered: Sequence[Evidence], links: Links) -> list[str]:
    """A row per model, worst first; many passing ones and all unchanged ones folded."""
    same = [e for e in ordered if e.unchanged and e.verdict is Verdict.PASS]
    judged = [e for e in ordered if e not in same] if same else list(ordered)
    passed = [e for e in judged if e.verdict is Verdict.PASS]
    shown, folded = (judged, []) if len(judged) <= _OPEN_ROWS else (judged[: len(judged) - len(passed)], passed)
    parts = []
    if shown:
        parts.append(_overview_table(shown[:_MOST_ROWS], ordered))
    if len(shown) > _MOST_ROWS:
        hidden = shown[_MOST_ROWS:]
        names = ", ".join(escape.code(layout.label(e, ordered), html=True, limit=60) for e in hidden[:200])
        parts.append(_details(f"{len(hidden):,} more that do not simply pass", names))
    if folded:
        title = f"{SYMBOL[Verdict.PASS]} {numbers.count(len(folded), 'model')} passed"
        parts.append(_details(title, _overview_table(folded[: 2 * _MOST_ROWS], ordered)))
    if same:
        names = ", ".join(escape.code(layout.label(e, ordered), html=True, limit=60) for e in same[:300])
        parts.append(_details(f"{numbers.count(len(same), 'model')} unchanged, not compared", names))
    return parts


def _overview_table(evidences: Sequence[Evidence], among: Sequence[Evidence]) -> str:
    lines = ["| | Model | Verdict | Why |", "|---|---|---|---|"]
    for e in evidences:
        why = escape.prose(sentences.headline(e).removeprefix(f"{e.model}: "), limit=200)
        lines.append(f"| {SYMBOL[e.verdict]} | {escape.code(layout.label(e, among))} | {e.verdict} | {why} |")
    return "\n".join(lines)


def _table(evidence: Evidence, rules: Sequence[Check]) -> list[str]:
    if not rules:
        return []
    rows = [layout.row(c) for c in rules[:_MOST_ROWS]]
    has_champion = any(r.champion for r in rows)
    has_rows = any(r.rows for r in rows)
    sha = escape.code(numbers.commit(evidence.champion.commit)) if evidence.champion else ""
    header = ["", "Metric"]
    if has_champion:
        header.append(f"Champion {sha}".strip())
    header.append("This change")
    if any(r.difference for r in rows):
        header.append("Difference and interval" if any(r.interval for r in rows) else "Difference")
    header.append("Allowed")
    if has_rows:
        header.append("Rows")
    lines = [
        _cells(header),
        _cells(["---", "---", *["---:"] * (len(header) - 3 - has_rows), "---"] + ["---:"] * has_rows),
    ]
    for row in rows:
        cells = [SYMBOL[row.check.verdict], _metric(row.check)]
        if has_champion:
            cells.append(escape.text(row.champion))
        cells.append(escape.text(row.observed))
        if any(h.startswith("Difference") for h in header):
            cells.append(f"{row.difference} {row.interval}".strip())
        cells.append(escape.prose(row.allowed))
        if has_rows:
            cells.append(row.rows)
        lines.append(_cells(cells))
    parts = ["\n".join(lines)]
    if len(rules) > _MOST_ROWS:
        parts.append(f"{numbers.count(len(rules) - _MOST_ROWS, 'more row')}, all better than these, in the report.")
    return parts


def _metric(check: Check) -> str:
    hint = " (lower is better)" if check.greater_is_better is False else ""
    return escape.text(check.title) + hint


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _findings(evidence: Evidence, links: Links) -> list[str]:
    found = layout.findings(evidence, sentences.headline(evidence))
    parts = []
    items: list[str] = []
    for check in found[:_MOST_ITEMS]:
        said = f"**{escape.prose(check.title)}**{_dash(check.reason)}" if check.title else escape.prose(check.reason)
        items.append(f"- {SYMBOL[check.verdict]} {said}{_place(check, evidence, links)}")
        if check.fix:
            items.append(_indented(escape.fence(check.fix)))
    if items:
        parts.append("\n".join(items))
    if len(found) > _MOST_ITEMS:
        parts.append(f"{numbers.count(len(found) - _MOST_ITEMS, 'more finding')} in the report.")
    return parts


def _place(check: Check, evidence: Evidence, links: Links) -> str:
    where = check.location
    if where is None or not where.file:
        return ""
    line = f":{where.line}" if where.line else ""
    label = escape.code(f"{where.file}{line}")
    commit = evidence.source.commit
    if not (links.file and commit.isalnum()):
        return f" ({label})"
    anchor = f"#L{where.line}" if where.line else ""
    return f" ({escape.link(label, f'{links.file}{commit}/{quote(where.file)}{anchor}')})"


def _rule_changes(evidence: Evidence) -> list[str]:
    changes = layout.rule_changes(evidence)
    if not changes:
        return []
    many = numbers.count(len(changes), "rule")
    return [f"⚖️ **This change edits {many} of the gate itself:**", _items(changes, _change)]


def _since(evidence: Evidence) -> list[str]:
    if evidence.champion is None or evidence.unchanged:
        return []
    known = layout.since(evidence)
    title = f"Since the champion{f' ({known})' if known else ''}: {layout.change_counts(evidence)}"
    changes = layout.other_changes(evidence)
    if not changes:
        return [f"{title}. {VOLATILE}"]
    return [_details(title, _items(changes, _change), VOLATILE)]


def _change(change: Change) -> str:
    what = escape.code(change.what)
    before, after = change.before, change.after
    if before is None and after is None:
        return f"{what} changed"
    if before is None:
        return f"{what} added: {escape.code(numbers.short(after or ''))}"
    if after is None:
        return f"{what} removed (was {escape.code(numbers.short(before))})"
    if before == after:
        return f"{what} unchanged ({escape.code(numbers.short(before))})"
    old, new = numbers.both_short(before, after)
    return f"{what} {escape.code(old)} → {escape.code(new)}"


def _needs(evidence: Evidence) -> list[str]:
    head, _, needs = sentences.to_pass(evidence).partition(": ")
    return [f"**{head}:** {escape.prose(needs, limit=900)}"] if needs else []


def _footer(evidence: Evidence, links: Links) -> list[str]:
    facts = []
    if evidence.controls is not None:
        facts.append(f"controls {evidence.controls.passed} of {evidence.controls.total}")
    if evidence.statistics == "none":
        facts.append("point estimates decided")
    facts.append("nothing left unread" if not evidence.not_run else f"{len(evidence.not_run)} not read")
    for label, target in (("report", links.report), ("evidence", links.evidence), ("run", links.run)):
        if escape.url(target):
            facts.append(escape.link(label, target))
    if evidence.source.commit:
        sha = escape.code(numbers.commit(evidence.source.commit))
        commit = evidence.source.commit
        facts.append(
            "commit " + (escape.link(sha, links.commit + commit) if links.commit and commit.isalnum() else sha)
        )
    return [*_needs(evidence), f"<sub>{' · '.join(facts)}</sub> {VOLATILE}"]


def _dash(reason: str) -> str:
    return f": {escape.prose(sentences.sentence(reason))}" if reason else ""


def _items(things: Sequence[_T], line: Callable[[_T], str]) -> str:
    shown = [f"- {line(thing)}" for thing in things[:_MOST_ITEMS]]
    if len(things) > _MOST_ITEMS:
        shown.append(f"- and {len(things) - _MOST_ITEMS:,} more, in the report")
    return "\n".join(shown)


def _details(title: str, body: str, mark: str = "") -> str:
    """Folded. The blank lines make Markdown of the body; the title is raw HTML and must be escaped for it."""
    return f"<details><summary>{title}</summary>{mark}\n\n{body}\n\n</details>"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
