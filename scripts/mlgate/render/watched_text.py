"""What production came to, as lines for a comment and for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlgate.model import Evidence, Past, Verdict
from mlgate.render import cells, escape, numbers, past, watched, watched_page
from mlgate.render.layout import SYMBOL
from mlgate.render.watched import Alert, Column, Seen

_ROWS = 20  # of a table in a comment
_LINES = 12  # of each kind on a terminal
_SPARKS = 8
_ALIKE = 2  # columns that are unknown for one reason have a line each; more share one
_NAME = 40


# -- Markdown ----------------------------------------------------------------------------------------------------------


def opened(evidence: Evidence) -> list[str]:
    """What has to be seen: the window, alerts, columns that moved or could not be measured, and how long it goes on."""
    seen = watched.of(evidence)
    if seen is None:
        return []
    signs = [escape.prose(one) for one in seen.watched.signs[:_ROWS]]
    only = watched.expected(evidence)
    expected = [escape.prose(only)] if only else []
    return [_about(seen), *_alerts(seen), *signs, *_columns(seen), *_sparks(seen), *expected]


def folded(evidence: Evidence) -> tuple[str, str] | None:
    """Columns that are as before: a title, and their table."""
    seen = watched.of(evidence)
    if seen is None or not seen.steady:
        return None
    lines = ["| Column | PSI (noise) | Distance | p, adjusted |", "|---|---:|---:|---:|"]
    lines += [
        f"| {escape.code(one.name)} | {_cell(one.measure('PSI'))} | {_distance(one)} | {_cell(one.measure('p'))} |"
        for one in seen.steady[: 2 * _ROWS]
    ]
    more = len(seen.steady) - 2 * _ROWS
    body = "\n".join(lines) + (f"\n\n{numbers.count(more, 'more column')} in the report." if more > 0 else "")
    return f"{numbers.count(len(seen.steady), 'column')} as before", body


def _about(seen: Seen) -> str:
    parts = [
        f"**{escape.text(seen.watched.environment)}**, {escape.text(seen.window)}: {seen.rows}",
        escape.text(f"versions {seen.versions}") if seen.versions else "",
        escape.text(f"also found: {seen.read}") if seen.read else "",
    ]
    return "; ".join(part for part in parts if part) + "."


def _alerts(seen: Seen) -> list[str]:
    if not seen.speaking:
        return [f"Alerts: none ({numbers.count(len(seen.alerts), 'rule')} quiet)."] if seen.alerts else []
    lines = ["| | Alert | What crossed what | Since | |", "|---|---|---|---|---|"]
    for one in seen.speaking[:_ROWS]:
        said = ". ".join(part for part in (one.said, one.seen.message) if part)
        cell = (SYMBOL[one.tone], f"{escape.code(one.seen.rule)} {one.seen.state}", escape.prose(said),
                escape.text(one.since), escape.text(one.then))  # fmt: skip
        lines.append(f"| {' | '.join(cell)} |")
    more = len(seen.speaking) - _ROWS
    return ["\n".join(lines), *([f"{numbers.count(more, 'more alert')} in the report."] if more > 0 else [])]


def _columns(seen: Seen) -> list[str]:
    alone, alike = _apart(seen.unknown)
    shown = (*seen.moved, *alone)
    if not shown and not alike:
        return []
    lines = ["| | Column | PSI (noise) | Distance | What moved | Since |", "|---|---|---:|---:|---|---|"]
    for one in shown[:_ROWS]:
        cell = (
            SYMBOL[one.tone],
            f"{escape.code(one.name)} {one.word}",
            _cell(one.measure("PSI")),
            _distance(one),
            escape.prose(_told(one)),
            escape.text(one.since),
        )
        lines.append(f"| {' | '.join(cell)} |")
    for some in alike:
        what = f"{escape.text(_together(some))} unknown"
        lines.append(f"| {SYMBOL[some[0].tone]} | {what} | | | {escape.prose(some[0].told)} | |")
    more = len(shown) - _ROWS
    return ["\n".join(lines), *([f"{numbers.count(more, 'more column')} in the report."] if more > 0 else [])]


def _apart(columns: Sequence[Column]) -> tuple[list[Column], list[list[Column]]]:
    """Those with a reason of their own, and those of which there are several with the same."""
    found: dict[str, list[Column]] = {}
    for one in columns:
        found.setdefault(one.told, []).append(one)
    alike = [some for some in found.values() if len(some) > _ALIKE]
    return [one for some in found.values() if len(some) <= _ALIKE for one in some], alike


def _together(columns: Sequence[Column]) -> str:
    return f"{columns[0].name} and {len(columns) - 1:,} more"


def _told(column: Column) -> str:
    """`mean 41.2 → 46.8; missing 0.2 % → 4.1 %; most of it where health = poor: PSI 0.42`."""
    said = [column.told, f"missing {column.missing}" if column.missing else "", column.strange]
    said += [f"where {column.seen.slices[0]}"] if column.seen.slices else []
    return "; ".join(part for part in said if part)


def _distance(column: Column) -> str:
    return _cell(column.measure("KS", "Cramér’s V", "JS", "Wasserstein", "KL"))


def _cell(text: str) -> str:
    return escape.text(text)


def _sparks(seen: Seen) -> list[str]:
    lines = list(_lines(seen))
    return [escape.fence("\n".join(lines))] if lines else []


def _lines(seen: Seen) -> Iterator[str]:
    """What crossed its limit in some window, as a line each: `psi.age  ▁▁▁▁▃▆▇  limit 0.2, crossed in 9 of 30`."""
    shown: list[Past] = [one.past for one in seen.moved if one.past is not None]
    shown += [one for one in seen.past if past.crossed(one)[0]]
    drawn = [(one, line) for one in shown if (line := past.spark(one))][:_SPARKS]
    names = [cells.cut(escape.visible(one.name), _NAME) for one, _ in drawn]
    widest = max(map(cells.of, names), default=0)
    longest = max((len(line) for _, line in drawn), default=0)
    for name, (one, line) in zip(names, drawn, strict=True):
        limit = "" if one.limit is None else f"limit {past.shows(one.name, one.limit)[0]}, "
        breached, windows = past.crossed(one)
        yield f"{cells.pad(name, widest)}  {line.rjust(longest)}  {limit}crossed in {breached} of {windows} windows"


# -- terminal ----------------------------------------------------------------------------------------------------------


def header(evidence: Evidence) -> list[str]:
    """`production`, `20 November 2026, UTC`, `12,034 rows`."""
    seen = watched.of(evidence)
    return [] if seen is None else [seen.watched.environment, seen.window, seen.rows]


def lines(evidence: Evidence) -> list[tuple[Verdict, str, str, str]]:
    """Of each alert and column: its colour, its state, its name, and the rest in one line."""
    seen = watched.of(evidence)
    if seen is None:
        return []
    found: list[tuple[Verdict, str, str, str]]
    found = [(one.tone, one.seen.state, one.seen.rule, _alert(one)) for one in seen.speaking[:_LINES]]
    alone, alike = _apart(seen.unknown)
    found += [(one.tone, one.word, one.name, _column(one)) for one in (*seen.moved, *alone)[:_LINES]]
    found += [(some[0].tone, some[0].word, _together(some), some[0].told) for some in alike]
    return found


def rest(evidence: Evidence) -> list[str]:
    """What needs no line of its own."""
    seen = watched.of(evidence)
    if seen is None:
        return []
    more = max(0, len(seen.moved) + len(_apart(seen.unknown)[0]) - _LINES) + max(0, len(seen.speaking) - _LINES)
    quiet = len(seen.alerts) - len(seen.speaking)
    said = [
        *seen.watched.signs[:_LINES],
        watched.expected(evidence),
        f"{more:,} more, all in the report" if more else "",
        f"columns: {watched_page.tally(seen)}" if seen.columns else "",
        f"{numbers.count(quiet, 'rule')} quiet" if quiet else "",
        f"versions {seen.versions}" if seen.versions else "",
        f"also found: {seen.read}" if seen.read else "",
    ]
    return [one for one in said if one]


def _alert(one: Alert) -> str:
    since = f"since {one.since}" if one.since else ""
    return "; ".join(part for part in (one.said, since, one.then) if part)


def _column(one: Column) -> str:
    told = [f"{name} {value}{f' ({beside})' if beside else ''}" for name, value, beside in one.measures[:3]]
    said = _told(one)
    since = f"since {one.since}" if one.since else ""
    return "; ".join(part for part in (", ".join(told), said, since) if part)
