"""Data sheet, service page and explainability report as people read them: Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from mlgate.governance.explain import Explanation, Local
from mlgate.governance.nouns import Document
from mlgate.governance.service import Promise, Service
from mlgate.governance.sheet import Sheet
from mlgate.render import escape, numbers
from mlgate.render.writing import digest, prose, table

_SHEET_HEADS = {
    "origin": "Origin",
    "composition": "What is in them",
    "collection": "How they were collected",
    "preprocessing": "What was done to them",
    "use_rights": "Right to use them",
    "licence": "Licence",
    "deidentified.how": "De-identification",
    "retention": "Retention",
    "restrictions": "Restrictions",
    "contact": "Contact",
}
_STATE = {"yes": "yes", "no": "no", "not needed": "not needed: no persons"}
_BAR = 24  # characters of the longest bar


def sheet(found: Sheet) -> str:
    title = found.words.get("title") or f"the data of {found.model}"
    counts = {one.path: f"{one.rows:,}" for one in found.counts}
    rows = [
        (
            escape.code(one.path),
            escape.text(one.role),
            counts.get(one.path, "not counted"),
            digest(one.digest),
            ", ".join(escape.code(column) for column in one.private) or "none named",
        )
        for one in found.tables
    ]
    parts = [
        f"# Data sheet: {escape.text(title)}",
        table(
            ("", ""),
            [
                ("Model", escape.code(found.model)),
                ("Commit", escape.code(found.commit)),
                ("About persons", "yes" if found.personal_data else "no"),
                ("De-identified", _STATE[found.deidentified]),
                ("Checked against their contract", escape.prose(found.checked)),
            ],
        ),
        table(("File", "Role", "Rows", "Digest", "Private columns"), rows),
    ]
    sensitive = [text for key, text in found.words.items() if key.startswith("sensitive[")]
    for key, head in _SHEET_HEADS.items():
        if key in found.words:
            parts.append(f"## {head}\n\n{prose(found.words[key])}")
        if key == "deidentified.how" and sensitive:
            parts.append("## Sensitive\n\n" + "\n".join(f"- {escape.text(one)}" for one in sensitive))
    parts += [
        f"## {escape.text(key.removeprefix('more.'))}\n\n{prose(text)}"
        for key, text in found.words.items()
        if key.startswith("more.")
    ]
    if found.counts:
        named = sorted({(one.evidence, one.sha256) for one in found.counts})
        said = ", ".join(f"{escape.code(file)} (sha256 {escape.code(sha256)})" for file, sha256 in named)
        parts.append(f"Rows were counted by {said}.")
    return "\n\n".join(parts) + "\n"


def service(found: Service) -> str:
    rows = [(escape.text(one.means), amount(one.promised, one.unit), *_kept(one)) for one in found.promises]
    parts = [
        f"# Service: {escape.text(found.model)}",
        table(
            ("", ""),
            [
                ("Commit", escape.code(found.commit)),
                ("Owners", ", ".join(escape.text(owner) for owner in found.owners) or "nobody"),
                *((escape.text(key), escape.text(value)) for key, value in found.tags.items()),
            ],
        ),
        "## What is promised (SLA)",
        table(("What", "Promised", "Measured on the image", ""), rows) if rows else "Nothing is promised.",
        "## How it is taken back",
        _document(found.rollback),
        "## How it is taken out of service",
        _document(found.retirement),
    ]
    return "\n\n".join(parts) + "\n"


def _kept(one: Promise) -> tuple[str, str]:
    if one.measured is None:
        return "not measured", ""
    return amount(one.measured, one.unit), "kept" if one.kept else "**broken**"


def amount(value: float, unit: str) -> str:
    """`100 ms`, `99.5 %`."""
    if not unit and 0 <= value <= 1:
        return f"{numbers.show(value * 100)}{numbers.THIN}%"
    return f"{numbers.show(value)}{numbers.THIN}{unit}" if unit else numbers.show(value)


def _document(found: Document) -> str:
    if not found.said:
        return "Nothing is written down."
    source = f"From {escape.code(found.file)} (sha256 {escape.code(found.sha256)}):\n\n" if found.file else ""
    return f"{source}{prose(found.said)}"


def explanation(found: Explanation) -> str:
    how = {"permutation": "permutation importance", "shap": "SHAP", "own": "a report of the project's own"}
    rows = [
        ("Model", escape.code(found.model)),
        ("Commit", escape.code(found.commit)),
        ("Digest", digest(found.subject)),
        ("Method", how[found.method]),
        ("Explained", escape.text(found.score)),
        ("Rows", f"{found.rows:,} of {found.of:,} of {escape.code(found.data)}" if found.rows else ""),
        ("Data", digest(found.data_digest)),
        ("Made with", escape.text(", ".join(f"{name} {version}" for name, version in found.made_with.items()))),
    ]
    parts = [
        f"# What {escape.text(found.model)} goes by",
        table(("", ""), [row for row in rows if row[1]]),
        "## All rows",
        _reading(found),
        _importance(found),
        "## Single rows",
        *(part for one in found.examples for part in _local(one)),
    ]
    if found.notes:
        parts += ["## Notes", "\n".join(f"- {escape.prose(note)}" for note in found.notes)]
    return "\n\n".join(parts) + "\n"


def _reading(found: Explanation) -> str:
    if found.method == "permutation":
        value = f" (it is {numbers.show(found.metric_value)})" if found.metric_value is not None else ""
        return (
            f"How much worse {escape.code(found.metric)}{value} becomes when one column is shuffled, on average of "
            f"{numbers.count(found.repeats, 'time')}; the smallest and the largest in brackets. Columns that say the "
            "same stand in for each other, so each looks less important than it is. Importance is not cause."
        )
    if found.method == "shap":
        return (
            "Mean absolute SHAP value of each column, in units of the score: how far its value moves the answer away "
            "from the average. It says what the model does, not what causes what."
        )
    return (
        "As the project's own stage has it. mlgate checked which model it is about, and that its numbers are numbers."
    )


def _importance(found: Explanation) -> str:
    largest = max((abs(one.importance) for one in found.features), default=0.0) or 1.0
    moved = any(one.moved is not None for one in found.features)
    lines = []
    for one in found.features:
        shown = numbers.show(one.importance)
        if one.lowest is not None and one.highest is not None:
            shown += f" ({numbers.show(one.lowest)} to {numbers.show(one.highest)})"
        bar = "\u2588" * round(max(one.importance, 0) / largest * _BAR)
        cells = [escape.code(one.name), shown, bar]
        lines.append((*cells, "" if one.moved is None else numbers.show(one.moved)) if moved else cells)
    return table(("Column", "Importance", "", *(("Score moves by",) if moved else ())), lines)


def _local(one: Local) -> Iterable[str]:
    against = f", other rows on average {numbers.show(one.baseline)}" if one.baseline is not None else ""
    yield f"### {escape.text(one.row)}"
    yield f"Score {numbers.show(one.score)}{against}."
    valued = any(each.value for each in one.contributions)
    heads = ("Column", *(("Value",) if valued else ()), "Moves the score by")
    yield table(
        heads,
        [
            (
                escape.code(each.feature),
                *((escape.code(each.value),) if valued else ()),
                numbers.fixed(each.contribution, 4) if each.contribution else "0",
            )
            for each in one.contributions[:30]
        ],
    )
