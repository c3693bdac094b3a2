"""The page of an audit bundle that is read first: self-contained, nothing is fetched, nothing runs, fit for print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.governance.bundle import Part
from mlgate.governance.card import Card, Measured
from mlgate.governance.checklist import TITLES, Item
from mlgate.governance.explain import Explanation
from mlgate.governance.nouns import Held
from mlgate.governance.service import Promise, Service
from mlgate.governance.sheet import Sheet
from mlgate.model import Verdict, worst
from mlgate.render import card as card_page
from mlgate.render import html, layout, numbers, papers, writing

_MOST = 300  # lines of one table
_WIDE = 100.0


@dataclass(frozen=True)
class Entry:
    """One line of a model's history in the ledger."""

    number: int
    at: str
    kind: str
    environment: str
    said: str
    by: str
    run: str


@dataclass(frozen=True)
class Told:
    """One model, as the page tells of it."""

    held: Held
    items: Sequence[Item]
    card: Card | None = None
    sheet: Sheet | None = None
    service: Service | None = None
    explanation: Explanation | None = None
    history: Sequence[Entry] = ()
    identity: Sequence[tuple[str, str]] = ()
    missing: Sequence[str] = ()  # what is not in the bundle, one sentence each
    facts: Mapping[str, str] = field(default_factory=dict)


def page(models: Sequence[Told], parts: Sequence[Part], *, head: str, tool: str) -> str:
    """`parts`: the files beside it, which it lists; `head` of the ledger, as it is to be kept elsewhere."""
    environment = html.environment()
    environment.filters["paragraphs"] = _paragraphs
    template = environment.get_template("bundle.html.j2")
    return template.render(
        models=[_model(one, number) for number, one in enumerate(models)],
        files=sorted(parts, key=lambda part: part.path),
        head=head,
        tool=tool,
        glyph=html.GLYPH,
        verdict=worst(item.check.verdict for one in models for item in one.items),
    )


def _model(one: Told, number: int) -> dict[str, Any]:
    checks = [item.check for item in one.items]
    holding = [check for check in checks if check.verdict is Verdict.PASS]
    return {
        "id": f"m{number}",
        "name": one.held.model,
        "verdict": worst(check.verdict for check in checks),
        "said": f"{len(holding)} of the {len(checks)} checks before production hold.",
        "identity": one.identity,
        "checks": [
            {"check": item.check, "name": item.name, "title": TITLES[item.name], "evidence": item.evidence}
            for item in one.items
        ],
        "card": _card(one.card) if one.card else None,
        "sheet": one.sheet,
        "service": one.service,
        "promises": [_promise(each) for each in one.service.promises] if one.service else [],
        "explanation": _explained(one.explanation) if one.explanation else None,
        "history": list(one.history)[-_MOST:],
        "missing": one.missing,
    }


def _promise(one: Promise) -> dict[str, Any]:
    measured = "not measured" if one.measured is None else papers.amount(one.measured, one.unit)
    return {
        "means": one.means,
        "promised": papers.amount(one.promised, one.unit),
        "measured": measured,
        "kept": one.kept,
    }


def _card(card: Card) -> dict[str, Any]:
    words = {key: text for key, text in card.words.items() if key != "title"}
    return {
        "title": card.words.get("title", ""),
        "words": [(card_page.head(key), text) for key, text in words.items()],
        "tables": [
            (title, [_line(one) for one in found], any(one.champion is not None for one in found))
            for title, found in (
                ("How well it does", card.performance),
                ("For groups of rows", card.groups),
                ("Fairness", card.fairness),
                ("What it costs, and how its image does", card.costs),
            )
            if found
        ],
        "warnings": card.warnings,
        "data": card.training["data"],
        "parameters": [(key, writing.value(each)) for key, each in writing.flat(card.training["parameters"])],
    }


def _line(one: Measured) -> dict[str, Any]:
    bounds = numbers.together(*one.interval) if one.interval and one.of == "value" else ()
    return {
        "name": one.name,
        "value": numbers.show(one.value),
        "interval": f"{bounds[0]} to {bounds[1]}" if bounds else "",
        "champion": "" if one.champion is None else numbers.show(one.champion),
        "difference": card_page.difference(one),
        "rows": "" if one.rows is None else f"{one.rows:,}",
        "allowed": one.allowed,
        "verdict": Verdict(one.verdict),
        "symbol": layout.SYMBOL[Verdict(one.verdict)],
        "check": one.source.check,
    }


def _explained(found: Explanation) -> dict[str, Any]:
    largest = max((one.importance for one in found.features), default=0.0) or 1.0
    return {
        "found": found,
        "how": {"permutation": "permutation importance", "shap": "SHAP", "own": "the project's own report"}[
            found.method
        ],
        "bars": [
            {
                "name": one.name,
                "wide": round(max(one.importance, 0.0) / largest * _WIDE, 1),
                "shown": numbers.show(one.importance),
            }
            for one in found.features[:_MOST]
        ],
        "examples": [
            {
                "row": one.row,
                "score": numbers.show(one.score),
                "baseline": "" if one.baseline is None else numbers.show(one.baseline),
                "first": [
                    (each.feature, each.value, numbers.difference(each.contribution, decimals=4))
                    for each in one.contributions[:5]
                ],
            }
            for one in found.examples[:20]
        ],
    }


def _paragraphs(text: str) -> list[tuple[str, list[str]]]:
    """People's words as blocks: ("p", lines) or ("ul", items)."""
    return list(_blocks(text))


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    for block in re.split(r"\n\s*\n", text.strip()):
        kind, held = "p", list[str]()
        for line in (line.strip() for line in block.splitlines() if line.strip()):
            bullet = writing.BULLET.match(line)
            if bullet and kind == "p":
                if held:
                    yield "p", [" ".join(held)]
                kind, held = "ul", []
            if bullet or kind == "p":
                held.append(line[bullet.end() :] if bullet else line)
            else:
                held[-1] += f" {line}"
        if held:
            yield kind, held if kind == "ul" else [" ".join(held)]
