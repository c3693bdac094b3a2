"""Evidence as one self-contained page: nothing is fetched, nothing runs, light and dark, fit for print."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlgate.model import Change, Check, Evidence, Example, Named, Verdict
from mlgate.render import arms, curves, details, escape, layout, numbers, sentences, steps, watched, watched_page
from mlgate.render.layout import NOWHERE, Links

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from jinja2.bccache import Bucket
    from markupsafe import Markup

GLYPH = {
    Verdict.PASS: "✓",
    Verdict.WARN: "!",
    Verdict.INCONCLUSIVE: "?",
    Verdict.FAIL: "✕",
    Verdict.ERROR: "⊘",
}
_OPEN = 12  # more models than this, and those that pass are folded
_MOST = 1000  # of one table; a page with more helps nobody
_RAW = 200_000  # characters of raw evidence in the page
_WIDE, _EDGE = 400.0, 8.0  # of a chart
_CHAR = 7.4  # rough width of a character in it


def page(evidences: Sequence[Evidence], *, links: Links = NOWHERE) -> str:
    """The report. Everything in it is escaped; invisible characters show by name."""
    models = layout.models(evidences)
    fold = len(models) > _OPEN
    room = min(_RAW, _RAW * 10 // max(1, len(evidences)))
    entries = [_model(m, f"m{at}", links, room) for at, m in enumerate(models)]
    passed = [m for m in entries if m["quiet"]]
    first = models[0].main if models else None
    return _template().render(
        entries=entries,
        shown=not fold or len(passed) < len(entries),
        same=[m for m in passed if m["unchanged"]] if fold else [],
        verdict=layout.spoken(models),
        overall=_prose(sentences.overall(evidences)),
        source=first.source if first else None,
        tool=first.tool if first else None,
        run=escape.url(links.run),
        fold=fold,
        several=len(models) > 1,
        glances=any(m["glance"] for m in entries),
        glyph=GLYPH,
        means=layout.MEANS,
    )


def _template() -> Template:
    return environment().get_template("page.html.j2")


@cache
def environment() -> Environment:
    """Where the templates of this folder are read: everything in them is escaped, and shows what cannot be seen."""
    from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader  # noqa: PLC0415 -- only here needed

    class Compiled(FileSystemBytecodeCache):
        """Beside the modules' own bytecode, where that may be written: compiling takes longer than rendering."""

        def dump_bytecode(self, bucket: Bucket) -> None:
            with suppress(OSError):
                super().dump_bytecode(bucket)

    here = Path(__file__).parent
    compiled = None if sys.dont_write_bytecode else Compiled(str(here / "__pycache__"), "%s.j2c")
    made = Environment(
        loader=FileSystemLoader(here),
        bytecode_cache=compiled,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.filters["prose"] = _prose
    made.filters["lines"] = _lines
    return made


def _shown(value: Any) -> Any:
    """Last stop of every value: control and direction characters by name. What is already markup stays."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return escape.visible(value)
    return "" if value is None else value


def _prose(text: str) -> Markup:
    from markupsafe import Markup  # noqa: PLC0415
    from markupsafe import escape as html  # noqa: PLC0415

    pieces = ((is_code, html(escape.visible(piece))) for is_code, piece in escape.spans(text))
    return Markup("").join(Markup("<code>%s</code>") % piece if is_code else piece for is_code, piece in pieces)


def _lines(text: str) -> Markup:
    from markupsafe import Markup  # noqa: PLC0415
    from markupsafe import escape as html  # noqa: PLC0415

    return Markup("\n").join(html(escape.visible(line)) for line in text.split("\n"))


def _model(model: layout.Model, anchor: str, links: Links, room: int) -> dict[str, Any]:
    return {
        "id": anchor,
        "name": model.name or model.main.kind,
        "verdict": model.verdict,
        "unchanged": model.unchanged,
        "quiet": model.quiet,
        "said": _prose(f"{sentences.of_model(model)} {sentences.besides(model)}".strip()),
        "main": _entry(model.main, links, room),
        "others": [_entry(e, links, room) for e in model.others],
        "glance": watched_page.glance(model.all),
    }


def _heading(evidence: Evidence, rows: list[layout.Row]) -> str:
    """Of the table of numbers: it promises nothing that the table does not hold."""
    if evidence.kind == "compare":
        return "Rules"
    titles = {arms.title(row.check) for row in rows}
    if len(titles) == 1 and (title := titles.pop()):
        return f"{title}: what was measured"
    return "What was measured" if any(row.check.verdict is Verdict.PASS for row in rows) else "What does not hold"


def _entry(evidence: Evidence, links: Links, room: int) -> dict[str, Any]:
    raw, evidence = evidence.to_json(), sentences.prepared(evidence)
    rules = layout.rules(evidence)[:_MOST]
    groups = layout.quiet_groups(evidence)[:_MOST]
    others = layout.by_verdict(
        c for c in evidence.checks if not layout.is_rule(c) and not watched.elsewhere(c, evidence)
    )[:_MOST]
    rows = [layout.row(c) for c in rules]
    charts = [c for check in rules if (c := chart(check)) is not None]
    said = sentences.headline(evidence)
    return {
        "e": evidence,
        "said": _prose(said),
        "needs": sentences.to_pass(evidence),
        "consequence": sentences.consequence(evidence),
        "rows": rows,
        "heading": _heading(evidence, rows),
        "groups": [layout.row(c) for c in groups],
        "has": {name: any(getattr(r, name) for r in rows) for name in ("champion", "difference", "rows")}
        | {"interval": any(r.interval for r in rows)},
        "interval": layout.interval_word(evidence, rows),
        "figures": [drawn for figure in evidence.figures[:_MOST] if (drawn := curves.draw(figure)) is not None],
        "moved": [(_prose(sentences.of_moved(one)), one) for one in evidence.moved],
        "direction": layout.direction,
        "charts": charts,
        "charted": _charted(charts),
        "course": steps.page(evidence),
        "watched": watched_page.page(evidence),
        "rollout": steps.facts(evidence) or watched.facts(evidence),
        "open": arms.by_group(
            [
                *[c for c in layout.findings(evidence, said) if layout.is_rule(c)][:_MOST],
                *(c for c in others if c.verdict is not Verdict.PASS),
            ]
        ),
        "passed": arms.by_group(c for c in others if c.verdict is Verdict.PASS),
        "rule_changes": [_change(c) for c in layout.rule_changes(evidence)[:_MOST]],
        "changes": [_change(c) for c in layout.other_changes(evidence)[:_MOST]],
        "counts": layout.change_counts(evidence),
        "since": layout.since(evidence),
        "challenger": numbers.commit(evidence.source.commit),
        "challenger_url": _commit(links, evidence.source.commit),
        "champion_url": _commit(links, evidence.champion.commit) if evidence.champion else "",
        "inputs": _inputs(evidence),
        "digest": numbers.digest,
        "raw": raw if len(raw) <= room else "",
        "short": numbers.commit,
        "rows_of": layout.rows_of(evidence),
        "words": layout.table_words(evidence, rules),
        "examples": [_row(c, x) for c, x in details.examples(evidence)[:_MOST]],
        "proofs": details.proofs(evidence)[:_MOST],
        "proven": details.proven(evidence),
        "facts": details.facts(evidence),
        "never": details.never(evidence),
        "took": details.seconds,
        "links": [(name, escape.url(address)) for name, address in evidence.links.items()],
    }


class _Row(NamedTuple):
    """A row of the data that breaks a check."""

    where: str
    values: str
    breaks: str
    place: str


def _row(check: Check, example: Example) -> _Row:
    at = check.location
    place = f"{at.file}{f':{at.line}' if at.line else ''}" if at else ""
    return _Row(details.where(example), details.values(example), check.title, place)


def _commit(links: Links, sha: str) -> str:
    return escape.url(links.commit + sha) if links.commit and sha.isalnum() and sha.isascii() else ""


class _Changed(NamedTuple):
    kind: str
    what: str
    before: str
    after: str


def _change(change: Change) -> _Changed:
    if change.before is None and change.after is None:
        return _Changed(change.kind, change.what, "", "changed")
    if change.before is None or change.after is None:
        return _Changed(
            change.kind,
            change.what,
            "absent" if change.before is None else numbers.short(change.before),
            "absent" if change.after is None else numbers.short(change.after),
        )
    return _Changed(change.kind, change.what, *numbers.both_short(change.before, change.after))


def _inputs(evidence: Evidence) -> list[dict[str, Any]]:
    """Both models, then every file that was read."""
    models = [(evidence.subject, "model" if evidence.kind in arms.KINDS else "this change's model")]
    if evidence.champion:
        models.append((evidence.champion.subject, "champion's model"))
    return [
        *(_named(subject, role) for subject, role in models if subject is not None),
        *(_named(n, n.role) for n in evidence.inputs[:_MOST]),
    ]


def _named(named: Named, role: str) -> dict[str, Any]:
    return {"name": named.name, "role": role, "digests": sorted(named.digest.items(), reverse=True)}


# -- charts ----------------------------------------------------------------------------------------------------------


class Label(NamedTuple):
    x: float
    anchor: str
    text: str


class Chart(NamedTuple):
    """One check on an axis of its metric: what is allowed, the limit, the champion, this change."""

    title: str
    allowed: str
    verdict: Verdict
    said: str  # the same in words
    band: tuple[float, float]  # left edge and width of what is allowed
    limit: Label
    observed: Label
    champion: Label | None
    interval: tuple[float, float] | None
    words: arms.Words = arms.COMPARED
    sentence: Markup | str = ""
    method: str = ""  # how the interval was made


def chart(check: Check) -> Chart | None:
    """Where the values lie; None for a check that has no number or no limit."""
    if check.limit is None or check.greater_is_better is None or not isinstance(check.observed, float):
        return None
    champion = check.champion if isinstance(check.champion, float) else None
    edges = _edges(check, champion)
    axis = _axis([check.limit, check.observed, *([] if champion is None else [champion]), *edges])
    if axis is None:
        return None
    shown = layout.together(check, check.observed, check.limit, *([] if champion is None else [champion]))
    other, own = words = arms.words(check)
    at = axis(check.limit)
    start, end = (at, _WIDE) if check.greater_is_better else (0.0, at)
    row = layout.row(check)
    said = f"{check.title}: {own} {shown[0]}, limit {shown[1]}"
    return Chart(
        title=check.title,
        allowed=row.allowed,
        verdict=check.verdict,
        said=said if champion is None else f"{said}, {other} {shown[2]}",
        band=(start, round(end - start, 1)),
        limit=_label(at, f"limit {shown[1]}"),
        observed=_label(axis(check.observed), f"{own} {shown[0]}"),
        champion=None if champion is None else _label(axis(champion), f"{other} {shown[2]}"),
        interval=(axis(edges[0]), axis(edges[1])) if edges else None,
        words=words,
        sentence=_prose(sentences.of_check(check)) if edges else "",
        method=check.method if edges else "",
    )


def _charted(charts: Sequence[Chart]) -> arms.Words:
    """What the key says: `champion` only where one is drawn."""
    others = dict.fromkeys(c.words.other for c in charts if c.champion is not None)
    return arms.Words(" or ".join(others), " or ".join(dict.fromkeys(c.words.own for c in charts)))


def _edges(check: Check, champion: float | None) -> list[float]:
    if check.interval is None or (champion is None and check.change is not None):
        return []
    if check.change is None or champion is None:
        return sorted(check.interval)
    scale = abs(champion) if check.relative else 1.0
    return sorted(champion + edge * scale for edge in check.interval)


def _axis(values: Sequence[float]) -> _Axis | None:
    low, high = min(values), max(values)
    span = high - low or abs(high) * 0.1 or 1.0
    if not math.isfinite(span) or not span:
        return None
    return _Axis(low - span * 0.2, span * 1.4)


class _Axis(NamedTuple):
    start: float
    length: float

    def __call__(self, value: float) -> float:
        return round(_EDGE + (value - self.start) / self.length * (_WIDE - 2 * _EDGE), 1)


def _label(x: float, text: str) -> Label:
    half = len(text) * _CHAR / 2
    if x - half < 0:
        return Label(x, "start", text)
    return Label(x, "end" if x + half > _WIDE else "middle", text)
