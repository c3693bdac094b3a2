"""Evidence as a pull request's comment and as the job summary, in the Markdown that the forges share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from urllib.parse import quote

from mlgate.forges.sticky import VOLATILE
from mlgate.model import Change, Check, Evidence, StageRun, Verdict
from mlgate.render import (
    arms,
    chart,
    details,
    escape,
    interval,
    layout,
    numbers,
    sentences,
    steps,
    timeline,
    watched_text,
)
from mlgate.render.layout import NOWHERE, SYMBOL, Links, Model

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
_MOST_NAMES = 300
_OPEN_ROWS = 20  # more passing models than this are folded
_MOST_ROWS = 60  # of one table
_MOST_ITEMS = 40  # of one list
_MOST_STEPS = 14  # of a rollout


def comment(evidences: Sequence[Evidence], *, links: Links = NOWHERE, limit: int = COMMENT_LIMIT) -> str:
    """The comment's body, without the marker that a forge adds. Longer than `limit`, details of the best go first."""
    evidences = [sentences.prepared(evidence) for evidence in evidences]
    models = layout.models(evidences)
    if not models:
        return f"> [!CAUTION]\n> **error.** {sentences.overall([])}\n"
    if len(models) == 1:
        return _join(_only(models[0], links))
    return _several(models, evidences, links, limit)


def summary(evidences: Sequence[Evidence], *, links: Links = NOWHERE) -> str:
    """The job summary: the comment with more room."""
    return comment(evidences, links=links, limit=SUMMARY_LIMIT)


def _only(model: Model, links: Links) -> list[str]:
    """Everything about the only model there is."""
    name = f"{escape.text(model.name or model.main.kind)}: "
    first = f"**{name}{_verdict(model.verdict, model.all)}.** {escape.prose(sentences.of_model(model))}"
    besides = [f"**{escape.text(e.kind)}: {e.verdict}.** {escape.prose(sentences.headline(e))}" for e in model.besides]
    return [
        _alert(model.verdict, model.all, first, *besides, *_consequences(model)),
        *_parts(model, links),
        *_tail([model], links),
    ]


def _several(models: Sequence[Model], evidences: Sequence[Evidence], links: Links, limit: int) -> str:
    verdict = layout.spoken(models)
    first = f"**{_verdict(verdict, evidences)}.** {escape.prose(sentences.overall(evidences))}"
    parts = [_alert(verdict, evidences, first), *_overview(models)]
    tail = _tail(models, links)
    room = limit - len(_join([*parts, *tail])) - 300
    many = _many(models)
    left_out = 0
    for model in models:
        if model.unchanged or (many and model.quiet):
            continue
        section = _section(model, links)
        size = len(_join(section)) + 1
        if size > room:
            left_out += 1
            continue
        room -= size
        parts += section
    if left_out:
        where = escape.link("the full report", links.report or links.run)
        parts.append(f"Details of {numbers.count(left_out, 'more model')} did not fit here: they are in {where}.")
    return _join([*parts, *tail])


def _section(model: Model, links: Links) -> list[str]:
    """One of several models: folded when it passed."""
    name = model.name or model.main.kind
    if model.quiet:
        title = f"{SYMBOL[Verdict.PASS]} {escape.code(name, html=True)}: pass"
        return [_details(title, _join(_parts(model, links)).rstrip())]
    said = " ".join([escape.prose(_why(model)), *_consequences(model)])
    return [
        f"### {SYMBOL[model.verdict]} {escape.code(name)}: {model.verdict}",
        said,
        *_parts(model, links),
        *_needs(model),
    ]


def _parts(model: Model, links: Links) -> list[str]:
    """The comparison, what other steps found unless they simply passed, and then everything that is folded."""
    parts = _open(model.main, links)
    troubled = [other for other in model.others if other.verdict is not Verdict.PASS]
    for other in troubled:
        if other.verdict is Verdict.WARN:
            parts.append(_details(_step(other), _join([*_open(other, links), *_folded(other)]).rstrip()))
        else:
            said = "" if other is model.decider else escape.prose(sentences.headline(other))
            parts += [f"**{_step(other)}.** {said}".rstrip(), *_open(other, links)]
    for evidence in (model.main, *(other for other in troubled if other.verdict is not Verdict.WARN)):
        parts += _folded(evidence)
    for other in model.others:
        if other.verdict is Verdict.PASS:
            parts += [*_folded_timeline(other), *_made(other)]
    return parts


def _step(evidence: Evidence) -> str:
    return f"{SYMBOL[evidence.verdict]} {escape.text(evidence.kind)}: {evidence.verdict}"


def _why(model: Model, limit: int = 1000) -> str:
    """The sentence about a model, and the names of other steps that are not simply pass."""
    return f"{escape.clip(sentences.of_model(model), limit)} {sentences.besides(model)}".strip()


def _verdict(verdict: Verdict, evidences: Iterable[Evidence]) -> str:
    forked = any(e.source.reported_by_fork for e in evidences)
    return f"{verdict}, as reported by the fork’s own run" if forked else verdict.value


def _consequences(model: Model) -> list[str]:
    said = dict.fromkeys(text for e in model.all if (text := sentences.consequence(e)))
    return [escape.prose(text) for text in said]


def _open(evidence: Evidence, links: Links) -> list[str]:
    rules = layout.rules(evidence)
    parts = [*_rule_changes(evidence), *_timeline(evidence), *watched_text.opened(evidence), *_table(evidence, rules)]
    if drawing := interval.text(rules) or chart.text(rules):
        parts.append(escape.fence(drawing))
    parts += [*_findings(evidence, links), *_examples(evidence, links)]
    if evidence.proofs and details.refuted(evidence):
        parts += [f"**What was proven:** {details.proven(evidence)}", _proofs(evidence)]
    if said := details.never(evidence):
        parts.append(f"**{said}**")
    if evidence.not_run:
        parts += ["**Not read:**", _items(evidence.not_run, escape.prose)]
    return parts


def _folded(evidence: Evidence) -> list[str]:
    parts = _in_words(evidence)
    if steady := watched_text.folded(evidence):
        parts.append(_details(*steady))
    if groups := layout.quiet_groups(evidence):
        parts.append(_details(layout.held(len(groups)), _join(_table(evidence, groups)).rstrip()))
    for title, passed in arms.by_group(layout.passing(evidence)):
        items = _items(passed, lambda c: f"{SYMBOL[Verdict.PASS]} {escape.prose(c.title)}{_dash(c.reason)}")
        of = "" if evidence.kind == "compare" or title else f" of {escape.text(evidence.kind)}"
        head = f"{title}: " if title else ""
        parts.append(_details(f"{head}{numbers.count(len(passed), 'other check')}{of} passed", items))
    return [*parts, *_made(evidence), *_since(evidence)]


def _in_words(evidence: Evidence) -> list[str]:
    """A sentence for each rule with an interval, and how many rows changed sides: never which ones."""
    rules = [c for c in layout.rules(evidence) if c.interval is not None]
    said = [sentences.of_check(c) for c in rules if c.group != "rollout" or (c.reason and c.verdict is Verdict.PASS)]
    said += [sentences.of_moved(m) for m in evidence.moved]
    if not said:
        return []
    title = f"In words: {numbers.count(len(said), 'sentence')}"
    return [_details(title, _items([f"{one}" for one in said], escape.prose))]


def _made(evidence: Evidence) -> list[str]:
    """How the model was made, and how far that is proven."""
    lines = []
    if evidence.proofs and not details.refuted(evidence):
        lines.append(_proofs(evidence))
    if evidence.stages:
        lines.append("Stages: " + ", ".join(f"{escape.code(s.name)} {_stage(s)}" for s in evidence.stages))
    if evidence.facts and evidence.kind == "train":
        lines.append(_items(details.facts(evidence), lambda f: f"{escape.prose(f[0])}: {escape.code(f[1])}"))
    if not lines:
        return []
    title = f"How it was made: {details.proven(evidence)}" if evidence.proofs else "How it was made"
    return [_details(title, _join(lines).rstrip(), VOLATILE)]


def _stage(stage: StageRun) -> str:
    return escape.text(details.stage(stage).removeprefix(stage.name).strip())


def _proofs(evidence: Evidence) -> str:
    lines = ["| | Claim | | By |", "|---|---|---|---|"]
    for proof in details.proofs(evidence)[:_MOST_ROWS]:
        cells = (details.STATE[proof.state], escape.prose(proof.claim), proof.state, escape.prose(proof.by))
        lines.append(_cells(cells))
    return "\n".join(lines)


def _examples(evidence: Evidence, links: Links) -> list[str]:
    """The rows that break a contract, worst check first."""
    found = details.examples(evidence)
    if not found:
        return []
    lines = ["| Row | Values | Breaks |", "|---:|---|---|"]
    for check, one in found[:_MOST_ITEMS]:
        values = escape.text(escape.clip(details.values(one), 300))
        broken = f"{escape.prose(check.title)}{_place(check, evidence, links)}"
        lines.append(_cells((escape.text(details.where(one)), values, broken)))
    parts = ["**Rows that break the contract:**", "\n".join(lines)]
    if len(found) > _MOST_ITEMS:
        parts.append(f"{numbers.count(len(found) - _MOST_ITEMS, 'more row')} in the report.")
    return parts


def _alert(verdict: Verdict, evidences: Iterable[Evidence], *paragraphs: str) -> str:
    forked = any(e.source.reported_by_fork for e in evidences)
    kind = "NOTE" if forked and verdict is Verdict.PASS else _ALERT[verdict]  # a fork's word is never green
    return f"> [!{kind}]\n" + "\n>\n".join(f"> {p}" for p in paragraphs)


def _overview(models: Sequence[Model]) -> list[str]:
    """A row per model, worst first; many passing ones and all unchanged ones folded."""
    same = [m for m in models if m.unchanged]
    judged = [m for m in models if not m.unchanged]
    bad = [m for m in judged if not m.quiet]
    many = _many(models)
    shown = bad if many else judged
    parts = [_overview_table(shown[:_MOST_ROWS])] if shown else []
    if len(shown) > _MOST_ROWS:
        parts.append(_details(f"{len(shown) - _MOST_ROWS:,} more that do not simply pass", _names(shown[_MOST_ROWS:])))
    if many and len(judged) > len(bad):
        passed = judged[len(bad) :]
        title = f"{SYMBOL[Verdict.PASS]} {numbers.count(len(passed), 'model')} passed"
        parts.append(_details(title, _overview_table(passed) if len(passed) <= _MOST_ROWS else _names(passed)))
    if same:
        parts.append(_details(f"{numbers.count(len(same), 'model')} unchanged, not compared", _names(same)))
    return parts


def _many(models: Sequence[Model]) -> bool:
    """So many that those which pass are a list of names; the report has the rest."""
    return sum(not m.unchanged for m in models) > _OPEN_ROWS


def _overview_table(models: Sequence[Model]) -> str:
    lines = ["| | Model | Verdict | Why |", "|---|---|---|---|"]
    for m in models:
        why = escape.prose(_why(m, limit=200))
        lines.append(f"| {SYMBOL[m.verdict]} | {escape.code(m.name or m.main.kind)} | {m.verdict} | {why} |")
    return "\n".join(lines)


def _names(models: Sequence[Model]) -> str:
    names = ", ".join(escape.code(m.name or m.main.kind, limit=60) for m in models[:_MOST_NAMES])
    return names + (f" and {len(models) - _MOST_NAMES:,} more" if len(models) > _MOST_NAMES else "")


def _table(evidence: Evidence, rules: Sequence[Check]) -> list[str]:
    if not rules:
        return []
    rows = [layout.row(c) for c in rules[:_MOST_ROWS]]
    has_champion = any(r.champion for r in rows)
    has_rows = any(r.rows for r in rows)
    sha = escape.code(numbers.commit(evidence.champion.commit)) if evidence.champion else ""
    measured, found, against, counted = layout.table_words(evidence, rules)
    header = ["", measured]
    if has_champion:
        header.append(f"{against} {sha}".strip())
    header.append(found)
    if any(r.difference or r.interval for r in rows):
        header.append(f"Difference{layout.interval_word(evidence, rows)}")
    header.append("Allowed")
    if has_rows:
        header.append(counted)
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


def _timeline(evidence: Evidence) -> list[str]:
    """The steps of a rollout, the last first, and its weight over time."""
    found = timeline.course(evidence)
    if found is None:
        return []
    parts = []
    if any(found.weights) and (line := steps.spark(found)):
        parts.append(escape.fence(f"weight  {line}  {found.way}"))
    counted = any(step.canary or step.stable for step in found.steps)
    header = ["", "Step", "From (UTC)", *(["Canary, requests", "Stable, requests"] if counted else []), "What happened"]
    lines = [_cells(header), _cells(["---", "---", "---", *["---:"] * (2 * counted), "---"])]
    headline = sentences.headline(evidence)
    for step in found.last_first[:_MOST_STEPS]:
        took = f", {step.took}" if step.kind == "weight" and step.took else ""
        symbol = SYMBOL[Verdict(step.tone)] if step.tone else ""
        cells = [symbol, f"**{escape.text(step.name)}**", f"{escape.text(step.clock, limit=40)}{took}"]
        if counted:
            cells += [escape.text(steps.arm("", step.canary).strip()), escape.text(steps.arm("", step.stable).strip())]
        lines.append(_cells([*cells, escape.prose(steps.told(step, headline), limit=400)]))
    parts.append("\n".join(lines))
    if len(found.steps) > _MOST_STEPS:
        parts.append(f"{numbers.count(len(found.steps) - _MOST_STEPS, 'earlier step')} in the report.")
    if found.incomplete:
        parts.append(
            "<sub>Looks at which nothing happened are thinned out: requests are those of the looks kept.</sub>"
        )
    return parts


def _folded_timeline(evidence: Evidence) -> list[str]:
    parts = _timeline(evidence)
    if not parts:
        return []
    title = f"{SYMBOL[evidence.verdict]} {escape.text(evidence.kind)}: {escape.prose(evidence.title, html=True)}"
    return [_details(title, _join(parts).rstrip())]


def _metric(check: Check) -> str:
    hint = " (lower is better)" if check.greater_is_better is False else ""
    return escape.text(check.title) + hint


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _findings(evidence: Evidence, links: Links) -> list[str]:
    found = layout.findings(evidence, sentences.headline(evidence))
    parts = []
    groups = arms.by_group(found[:_MOST_ITEMS])
    for title, checks in groups:
        if len(groups) > 1:
            parts.append(f"**{title or 'Other checks'}:**")
        items: list[str] = []
        for check in checks:
            said = (
                f"**{escape.prose(check.title)}**{_dash(check.reason)}" if check.title else escape.prose(check.reason)
            )
            items.append(f"- {SYMBOL[check.verdict]} {said}{_place(check, evidence, links)}")
            if check.fix:
                items.append(_indented(escape.fence(check.fix)))
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


def _needs(model: Model) -> list[str]:
    head, _, needs = sentences.to_pass(model.main).partition(": ")
    return [f"**{head}:** {escape.prose(needs, limit=900)}"] if needs else []


def _tail(models: Sequence[Model], links: Links) -> list[str]:
    """What would have to change, and where this comes from. The last line differs in every run."""
    evidences = [e for m in models for e in m.all]
    controls = [e.controls for e in evidences if e.controls is not None]
    unread = sum(len(e.not_run) for e in evidences)
    facts = []
    if controls:
        facts.append(f"controls {sum(c.passed for c in controls):,} of {sum(c.total for c in controls):,}")
    if any(e.statistics == "none" for e in evidences):
        facts.append("point estimates decided")
    facts.append(f"{unread:,} not read" if unread else "nothing left unread")
    if len(models) == 1:
        facts += [f"{escape.text(e.kind)} pass" for e in models[0].others if e.verdict is Verdict.PASS]
    left = details.links(evidences).items()
    for label, target in (*left, ("report", links.report), ("evidence", links.evidence), ("run", links.run)):
        if escape.url(target):
            facts.append(escape.link(escape.text(label), target))
    commit = next((e.source.commit for e in evidences if e.source.commit), "")
    if commit:
        sha = escape.code(numbers.commit(commit))
        facts.append(
            "commit " + (escape.link(sha, links.commit + commit) if links.commit and commit.isalnum() else sha)
        )
    needs = _needs(models[0]) if len(models) == 1 else []
    return [*needs, f"<sub>{' · '.join(facts)}</sub> {VOLATILE}"]


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
