"""What other steps found about groups, vulnerabilities and licences, as far as it is about this very model."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from mlgate.governance import documents, placeholders
from mlgate.governance.finding import Finding, broken, fine, told
from mlgate.governance.nouns import BIAS, Held
from mlgate.model import Check, Named, Verdict, worst

BUILD = "build-image"
_GROUPS = ("fairness", "slices")


# -- bias ------------------------------------------------------------------------------------------------------------


def bias(held: Held) -> Iterator[Finding]:
    """The bias report of `compare`, and what its rules said about groups."""
    people = held.sheet is None or held.sheet.personal_data
    if held.config.compare.fairness is None and (people or held.config.compare.slices is None):
        what = "`compare.fairness`" if people else "`compare.fairness` or `compare.slices`"
        yield broken(
            f"No groups are looked at: mlgate.yaml has no {what}.",
            "compare: {fairness: {by: [sex], min_rows: 300, rules: {disparate_impact_ratio: {threshold: 0.8}}}}",
        )
        return
    compared = held.evidence.get("compare")
    if compared is None or (why := held.foreign(compared)):
        said = f"the evidence of `mlgate compare` {why}" if compared is not None else "there is no evidence of it here"
        yield broken(f"Groups were not compared for this model: {said}.", "mlgate compare")
        return
    if compared.unchanged:
        yield broken(
            "`mlgate compare` found the champion's own model here, and measured no groups.",
            "Bring the `.mlgate` of the run that decided about this model.",
        )
        return
    found, why = _report(held)
    if found is None:
        yield broken(f"There is no bias report of this model: {why}.", "mlgate compare, then mlgate audit papers")
        return
    checks = [check for check in compared.checks if check.group in _GROUPS]
    named = documents.paper(held, f"{BIAS}.json") or held.named("compare")
    if not checks:
        yield told(
            Verdict.INCONCLUSIVE, "No rule about groups could be judged: they are too small, or have no rows.",
            "Lower `min_rows`, or evaluate on more rows.", named,
        )  # fmt: skip
        return
    if wrong := _contradicts(found, checks):
        yield told(Verdict.ERROR, f"The bias report and the evidence contradict each other: {wrong}.", "mlgate compare")
    yield from _verdicts(checks, "about groups", named)


def _report(held: Held) -> tuple[dict[str, Any] | None, str]:
    """The bias report of this commit, as `compare` left it or as it lies among the papers."""
    why = "neither `compare` nor `audit papers` left one"
    for data in (held.papers.get(f"{BIAS}.json"), held.bias):
        if data is None:
            continue
        try:
            found = json.loads(data)
            kind, model, commit = found["kind"], found["model"], str(found["commit"])
        except (ValueError, TypeError, KeyError, RecursionError):
            why = "what is here cannot be read"
            continue
        if (kind, model) != ("bias-report", held.model):
            why = "what is here is about something else"
        elif other := held.other_commit(commit):
            why = f"what is here is about {other}"
        elif not found.get("tables") and not found.get("slices"):
            why = "it holds no groups"
        else:
            return found, ""
    return None, why


def _contradicts(found: dict[str, Any], checks: Sequence[Check]) -> str:
    said = {str(one.get("id")): str(one.get("verdict")) for one in found.get("checks", []) if isinstance(one, dict)}
    for check in checks:
        if check.id in said and said[check.id] != check.verdict.value:
            return f"{check.title} is {check.verdict.value} in one and {said[check.id]} in the other"
    return ""


# -- security and licences -------------------------------------------------------------------------------------------


def security(held: Held) -> Iterator[Finding]:
    """The model's files, its environment and its image: looked through, and what was found."""
    built = yield from _built(held)
    if built is None:
        return
    checks, named = built
    of = {
        "the files of the model": [c for c in checks if c.id.startswith("supply.model")],
        "the packages of its environment": [c for c in checks if c.id.startswith("supply.environment")],
    }
    before = _before(held, "supply.")
    for what, found in of.items():
        if not found and before is None:
            yield broken(f"Nothing says that {what} were looked through.", "mlgate build-image", named)
    if before is not None and not all(of.values()):
        yield before
    mine = [check for check in checks if not _is_licence(check)]
    if mine:
        yield from _verdicts(mine, "about security", named)


def licences(held: Held) -> Iterator[Finding]:
    """Of installed packages, as they were audited; of the data, as the data sheet says."""
    built = yield from _built(held)
    if built is not None:
        checks, named = built
        if mine := [check for check in checks if _is_licence(check)]:
            yield from _verdicts(mine, "about licences", named)
        elif (before := _before(held, "supply.licence")) is not None:
            yield before
        else:
            yield broken("Nothing says that the licences of its packages were looked at.", "mlgate build-image", named)
    if held.sheet is None:
        yield broken("Nothing says under which licence the data came.", "governance: {data_sheet: ...}, with `licence`")
    elif why := placeholders.problem(held.sheet.licence, prose=False):
        yield broken(f"The licence of the data {why}.", f"Write licence in {held.config.governance.data_sheet}.")
    else:
        yield fine(f"The data came under: {held.sheet.licence[:80]}.".replace("..", "."))


def _is_licence(check: Check) -> bool:
    return check.id.startswith("supply.licence")


def _built(held: Held) -> Generator[Finding, None, tuple[list[Check], Named | None] | None]:
    """The supply checks of `build-image`; findings where there are none of this very model."""
    evidence = held.evidence.get(BUILD)
    if evidence is None:
        yield broken("There is no evidence of `mlgate build-image` here, which looks for it.", "mlgate build-image")
        return None
    if why := held.foreign(evidence):
        yield broken(f"The evidence of `mlgate build-image` {why}.", "mlgate build-image")
        return None
    return [check for check in evidence.checks if check.group == "supply"], held.named(BUILD)


def _before(held: Held, prefix: str) -> Finding | None:
    """What stands in for checks that were not made again, because the image of the same inputs was there already: the
    statement about it, which is made of a build without failures only, and which the ledger has.
    """
    if held.image is None or not held.image_at or not held.config.image.scan.environment:
        return None
    if held.other_commit(held.image.predicate.commit):
        return None
    named = Named(name=f"images/{held.model}.json", digest={"sha256": held.image.digest}, role="image")
    warned = [name for name in held.image.predicate.warned if name.startswith(prefix)]
    said = f"Looked through when image {held.image.image[:19]} was built, on {held.image_at[:10]}"
    if warned:
        return told(Verdict.WARN, f"{said}, with a warning: {', '.join(warned[:3])}.", "mlgate build-image", named)
    return fine(f"{said}.", named)


def _verdicts(checks: Sequence[Check], what: str, named: Named | None) -> Iterator[Finding]:
    wrong = [check for check in checks if check.verdict is not Verdict.PASS]
    held = len(checks) - len(wrong)
    for check in sorted(wrong, key=lambda one: -one.verdict.rank)[:5]:
        said = f"{check.title}: {check.reason or check.verdict.value}".rstrip(".")
        yield told(check.verdict, f"{said}.", check.fix, named)
    if rest := sorted(wrong, key=lambda one: -one.verdict.rank)[5:]:
        yield told(worst(one.verdict for one in rest), f"And {len(rest)} more {what}.", "", named)
    if held:
        yield fine(f"{held} checks {what} hold." if held > 1 else f"1 check {what} holds.", named)
