"""Whether the papers are there, say something, and say what the evidence says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from mlgate.errors import MlgateError
from mlgate.governance import card, service, sheet, words
from mlgate.governance.finding import Finding, broken, fine, told
from mlgate.governance.nouns import CARD, SERVICE, SHEET, Held
from mlgate.model import Named, Verdict

_MAKE = "mlgate audit papers"


def paper(held: Held, name: str) -> Named | None:
    """A paper by the digest of its bytes."""
    data = held.papers.get(name)
    digest = {"sha256": hashlib.sha256(data).hexdigest()} if data is not None else {}
    return Named(name=f"papers/{held.model}/{name}", digest=digest, role="paper") if digest else None


def rights(held: Held) -> Iterator[Finding]:
    """What gives the right to use the data, and whether persons can be told from them."""
    said = held.sheet
    if said is None:
        yield _unwritten(held, "data_sheet", "Nothing says by which right the data are used")
        return
    wrong = [*sheet.rights(said), *sheet.contradictions(held, said)]
    for key, why in wrong:
        yield broken(f"In the data sheet, `{key}` {why}.", f"Write {key} in {held.config.governance.data_sheet}.")
    if said.personal_data and said.deidentified.state == "no":
        yield told(
            Verdict.WARN, "The data are about persons who can be told from them.",
            "Take out what tells them, or have the reason in the data sheet approved.",
        )  # fmt: skip
    if not wrong:
        state = {"yes": "de-identified", "no": "not de-identified", "not needed": "no personal data"}
        yield fine(f"Use rights and licence of the data are written down; {state[said.deidentified.state]}.")


def documentation(held: Held) -> Iterator[Finding]:
    """Card, data sheet, owners, SLA, rollback and retirement: populated, and the numbers those of the evidence."""
    yield from _words(held)
    for key, why, fix in service.problems(held):
        yield broken(f"{why[:1].upper()}{why[1:]}.", fix if ": " in fix else f"{key}: {fix}")
    for claim in card.contradictions(held):
        measured = " or ".join(f"{value:.4g}" for value in dict.fromkeys(claim.measured))
        yield broken(
            f"The {claim.key} says {claim.metric} {claim.said}, and the evidence says {measured}.",
            "Leave numbers to the evidence, or write the one that was measured.",
        )
    for promise in service.promises(held):
        yield from _promise(held, promise)
    yield from _stored(held)


def _words(held: Held) -> Iterator[Finding]:
    for key, what, said in (("card", "model card", held.card), ("data_sheet", "data sheet", held.sheet)):
        if said is None:
            yield _unwritten(held, key, f"The {what} has no words")
            continue
        file = getattr(held.config.governance, key)
        wrong = list(words.problems(said))
        for name, why in wrong:
            yield broken(f"In the {what}, `{name}` {why}.", f"Write {name} in {file}.")
        if not wrong:
            yield fine(f"The {what} is written ({file}).")


def _unwritten(held: Held, key: str, what: str) -> Finding:
    if why := held.wrong_words.get(key):
        return told(Verdict.ERROR, f"{what}: {why}", "Mend the file.")
    return broken(f"{what}.", f"governance: {{{key}: governance/{key}.yaml}}")


def _promise(held: Held, promise: service.Promise) -> Iterator[Finding]:
    unit = f" {promise.unit}" if promise.unit else ""
    said = f"{promise.name} {promise.promised:g}{unit}"
    if promise.kept is None:
        if promise.name != "availability":  # nothing measures that before it is in use
            yield told(Verdict.WARN, f"{said} is promised, and was not measured on the image.", "mlgate build-image")
    elif promise.kept:
        yield fine(f"{said} is promised, {promise.measured:.4g}{unit} was measured.", held.named("build-image"))
    else:
        yield broken(
            f"{said} is promised, and {promise.measured:.4g}{unit} was measured.",
            "Promise what the image can do, or make it faster.", held.named("build-image"),
        )  # fmt: skip


def _stored(held: Held) -> Iterator[Finding]:
    """The papers themselves, as files, held against what the evidence and the words give now."""
    stored = held.papers.get(f"{CARD}.json")
    if stored is None or f"{CARD}.md" not in held.papers:
        yield broken("There is no model card.", _MAKE)
    elif held.card is None:
        pass  # that its words are missing is said
    elif why := card.tampered(held, stored):
        yield broken(f"The model card {why}.", _MAKE, paper(held, f"{CARD}.json"))
    else:
        count = len(json.loads(stored)["performance_summary"])
        yield fine(f"The model card has its {count} metrics from the evidence.", paper(held, f"{CARD}.json"))
    for name, what, make in ((SHEET, "data sheet", sheet.make), (SERVICE, "page about its service", service.make)):
        data = held.papers.get(f"{name}.json")
        if data is None:
            yield broken(f"There is no {what}.", _MAKE)
        elif _differs(held, data, make):
            yield broken(f"The {what} is not what mlgate.yaml and the evidence say now.", _MAKE)
        else:
            yield fine(f"The {what} is there.", paper(held, f"{name}.json"))


# What may be measured after a paper was made, or be known in one place and not in the other.
_LATER = {"counts", "checked", "promises", "commit"}


def _differs(held: Held, stored: bytes, make: object) -> bool:
    try:
        there = json.loads(stored)
        made = json.loads(make(held).to_json())  # type: ignore[operator]
    except (MlgateError, ValueError, RecursionError):
        return True
    if not isinstance(there, dict):
        return True
    return any(there.get(key) != made.get(key) for key in {*there, *made} - _LATER)
