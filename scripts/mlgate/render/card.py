"""The model card as people read it: Markdown, its numbers with the evidence that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlgate.governance.card import Card, Measured
from mlgate.render import escape, layout, numbers, writing
from mlgate.render.writing import prose, table

_HEADS: dict[str, str] = {
    "summary": "Summary",
    "intended_use": "Intended use",
    "out_of_scope": "Not to be used for",
    "training_data": "Training data",
    "evaluation_data": "Evaluation data",
    "limitations": "Known limitations",
    "ethical_considerations": "Ethical considerations",
    "human_oversight": "Human oversight",
    "maintenance": "Maintenance",
    "licence": "Licence",
    "contact": "Contact",
    "references": "References",
}
_BEFORE = ("summary", "intended_use", "out_of_scope")  # the numbers; the rest comes after them


def markdown(card: Card) -> str:
    """The whole card. Whatever others wrote cannot leave its place."""
    words = {key: text for key, text in card.words.items() if key != "title"}
    parts = [f"# Model card: {escape.text(card.words.get('title') or card.model['name'])}", _identity(card)]
    parts += [_section(key, words[key]) for key in _BEFORE if key in words]
    parts += _performance(card)
    parts += [_section(key, text) for key, text in words.items() if key not in _BEFORE]
    parts += _training(card)
    parts += ["## Decision", _decision(card)]
    if card.warnings:
        parts += ["### What the gate warned of", "\n".join(f"- {escape.prose(one)}" for one in card.warnings)]
    if card.not_measured:
        parts += ["### Not measured", "\n".join(f"- {escape.prose(one)}" for one in card.not_measured)]
    return "\n\n".join([*parts, "## Where the numbers come from", _sources(card)]) + "\n"


def _section(key: str, text: str) -> str:
    return f"## {escape.text(head(key))}\n\n{prose(text)}"


def head(key: str) -> str:
    """Of a section of people's words; not escaped."""
    return _HEADS.get(key) or key.removeprefix("more.")


def _identity(card: Card) -> str:
    model = card.model
    rows = [
        ("Model", escape.code(model["name"])),
        ("Commit", escape.code(model["commit"])),
        ("Committed", escape.text(model["creation_date"][:10])),
        *((f"Digest ({escape.text(kind)})", escape.code(value)) for kind, value in model["digest"].items()),
        ("Owners", ", ".join(escape.text(owner) for owner in card.owners)),
        *((escape.text(key), escape.text(value)) for key, value in card.tags.items()),
    ]
    return table(("", ""), [row for row in rows if row[1]])


def _performance(card: Card) -> Iterable[str]:
    yield "## How well it does"
    confidence = (
        f" In brackets: bounds, each one-sided at {numbers.percent(card.confidence)}." if card.confidence else ""
    )
    yield f"Measured by the gate on the evaluation data of this commit.{confidence}"
    yield _measured(card.performance, "Metric")
    for title, head, found in (
        ("## For groups of rows", "Metric and group", card.groups),
        ("## Fairness", "Metric", card.fairness),
        ("## What it costs, and how its image does", "Measured", card.costs),
    ):
        if found:
            yield title
            yield _measured(found, head)


def _measured(found: Sequence[Measured], head: str) -> str:
    """One row for each limit; where all have a champion or none, that column is there or is not."""
    champion = any(one.champion is not None for one in found)
    heads = (head, "Value", *(("Champion", "Difference") if champion else ()), "Rows", "Allowed", "")
    lines = []
    for one in found:
        own = numbers.show(one.value)
        if one.of == "value" and one.interval:
            low, high = numbers.together(*one.interval)
            own = f"{own} ({low} to {high})"
        cells = [escape.text(one.name), own]
        if champion:
            cells += ["" if one.champion is None else numbers.show(one.champion), difference(one)]
        rows = "" if one.rows is None else f"{one.rows:,}"
        lines.append((*cells, rows, escape.text(one.allowed), f"{layout.SYMBOL[writing.verdict(one.verdict)]}"))
    return table(heads, lines)


def difference(one: Measured) -> str:
    """From the champion, with both bounds where there are any; not escaped."""
    if one.change is None:
        return ""
    relative, decimals = one.of == "relative difference", 1 if one.of == "relative difference" else 4
    if one.interval is None:
        return numbers.difference(one.change, relative=relative, decimals=decimals)
    return numbers.with_interval(one.change, one.interval, relative=relative, decimals=decimals)


def _training(card: Card) -> Iterable[str]:
    yield "## What it was made of"
    yield table(
        ("Data", "Role", "Digest"),
        [
            (escape.code(one["path"]), escape.text(one["role"]), writing.digest(one["digest"]))
            for one in card.training["data"]
        ],
    )
    if card.training["parameters"]:
        flat = writing.flat(card.training["parameters"])
        pairs = [(escape.code(key), escape.text(writing.value(found))) for key, found in flat]
        yield table(("Parameter", "Value"), pairs)
    if card.facts:
        facts = [(key, numbers.show(v) if isinstance(v, float) else v) for key, v in card.facts.items()]
        yield table(("Made with", ""), [(escape.text(key), escape.text(value)) for key, value in facts])


def _decision(card: Card) -> str:
    said = {
        "verdict": "Verdict", "champion_commit": "Held against the champion of", "controls": "Controls stopped",
        "approved_by": "Change of the rules approved by", "record_sha256": "Decision record (sha256)",
        "ledger_entry": "Entry of the ledger", "ledger_at": "Decided at", "ledger_by": "Run started by",
        "ledger_run": "Run",
    }  # fmt: skip
    rows = [(title, escape.code(str(card.decision[key]))) for key, title in said.items() if card.decision.get(key)]
    return table(("", ""), rows)


def _sources(card: Card) -> str:
    rows = [
        (
            escape.text(one.name),
            numbers.show(one.value),
            escape.code(one.source.check),
            escape.code(one.source.evidence),
        )
        for one in card.numbers
    ]
    files = {one.source.evidence: one.source.sha256 for one in card.numbers}
    listed = "\n".join(f"- {escape.code(file)}: sha256 {escape.code(value)}" for file, value in sorted(files.items()))
    return f"{table(('Number', 'Value', 'Check', 'Evidence'), rows)}\n\n{listed}"
