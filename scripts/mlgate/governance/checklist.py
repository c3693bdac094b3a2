"""The six checks before production, each with its evidence, what is missing, and how to mend it.

    standing(held)        # those that mlgate.yaml requires: what a promotion asks for
    every(held)           # all six; what is not required is a warning at worst

Evidence of another commit or another model is no evidence, and without evidence nothing passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlgate.config.shipping import PAPERS
from mlgate.errors import MlgateError
from mlgate.governance import audits, documents, explain
from mlgate.governance.finding import Finding, broken, fine, told
from mlgate.governance.nouns import EXPLAINED, Held
from mlgate.judge.record import EVIDENCE, evidence_digest
from mlgate.model import Check, Named, Verdict, worst

TITLES: Mapping[str, str] = {
    "provenance": "Where model and data come from",
    "explainability": "What the model goes by",
    "bias": "How it treats groups",
    "security": "Vulnerabilities and unsafe files",
    "licences": "Licences of software and data",
    "documentation": "Card, data sheet, SLA, rollback, retirement",
}
GROUP = "papers"


@dataclass(frozen=True)
class Item:
    """One of the six: its check, and the files that it rests on."""

    name: str
    check: Check
    evidence: tuple[Named, ...] = field(default=())


def standing(held: Held) -> list[Check]:
    """What a promotion asks for: the checks that `governance.require` names; none where there is no `governance`."""
    return [item.check for item in items(held) if item.name in held.config.governance.required]


def every(held: Held) -> list[Check]:
    return [item.check for item in items(held)]


def items(held: Held) -> list[Item]:
    """All six, in their order."""
    required = held.config.governance.required
    return [_item(held, name, required=name in required) for name in PAPERS]


def _item(held: Held, name: str, *, required: bool) -> Item:
    found = list(_LOOK[name](held)) or [broken("Nothing was looked at.", "Report this: it is a mistake of mlgate.")]
    verdict = worst(one.verdict for one in found)
    wrong = sorted((one for one in found if one.verdict is not Verdict.PASS), key=lambda one: -one.verdict.rank)
    shown = [one.said for one in (wrong or found)]
    reason = " ".join(shown)
    if not required and verdict.rank > Verdict.WARN.rank:
        verdict = Verdict.WARN
        reason = f"{reason} `governance.require` does not ask for it."
    check = Check(
        id=f"checklist.{name}",
        title=f"{name}: {TITLES[name]}",
        group=GROUP,
        verdict=verdict,
        reason=reason,
        fix="\n".join(dict.fromkeys(one.fix for one in wrong if one.fix)),
        observed=f"{len(found) - len(wrong)} of {len(found)} in order",
        expected="all of it, for this commit and model" if required else "",
        location=held.config.location("governance"),
    )
    named = {(one.name, *sorted(one.digest.items())): one for each in found for one in each.evidence}
    return Item(name, check, tuple(named.values()))


# -- provenance ------------------------------------------------------------------------------------------------------


def _provenance(held: Held) -> Iterator[Finding]:
    yield from _decided(held)
    trained = [one for one in held.tables if one.role == "training data"]
    if unknown := [one.path for one in held.tables if not one.digest]:
        yield broken(f"{_some(unknown)}: its digest is in no lock, pointer or commit.", "Track it with DVC and commit.")
    if not trained:
        yield broken("Nothing says which data the model was trained on.", "train: {data: data/train.parquet}")
    elif known := [f"{one.path} ({_short(one.digest)})" for one in trained if one.digest]:
        yield fine(f"Trained on {_some(known)}.", *(Named(name=t.path, digest=t.digest, role=t.role) for t in trained))
    training = held.evidence.get("train")
    if training is not None and not held.foreign(training):
        refuted = [proof.claim for proof in training.proofs if proof.state == "refuted"]
        if refuted or training.verdict.rank > Verdict.WARN.rank:
            said = _some(refuted) or training.title
            yield broken(f"`mlgate train` refutes it: {said}.", "Mend what `mlgate train` says.", held.named("train"))
        else:
            states = [proof.state for proof in training.proofs]
            said = f"{states.count('proven')} of {len(states)} claims about its making are proven"
            yield fine(f"{said}, {states.count('attested')} are attested.", held.named("train"))
    yield from documents.rights(held)


def _decided(held: Held) -> Iterator[Finding]:
    if held.decision is None:
        why = held.no_decision or f"the ledger has no decision about this model ({_short(held.subject.digest)})"
        yield broken(
            f"It was not decided that this model may be used: {why.rstrip('.')}.",
            "Let `mlgate compare` judge it on the default branch, in mode `enforce`, with a ledger.",
        )
        return
    record = Named(name=f"decisions/{held.model}.json", digest={"sha256": held.decision.digest}, role="decision")
    at = f" of {held.decided['at'][:10]}" if held.decided.get("at") else ""
    yield fine(f"Decision {held.decision.digest[:12]}{at}, made at commit {held.commit[:7]}.", record)
    compared = held.evidence.get("compare")
    if compared is None or held.foreign(compared):
        why = f"what is here {held.foreign(compared)}" if compared is not None else "there is none here"
        yield broken(
            f"The evidence that the decision names is missing: {why}.",
            "Bring the `.mlgate/evidence` of the run that decided, or run `mlgate compare` at that commit.",
        )
    elif not compared.unchanged:
        named = {one.digest.get(EVIDENCE) for one in held.decision.predicate.decision.evidence}
        if evidence_digest(compared) not in named and compared.source.commit == held.commit:
            yield told(
                Verdict.FAIL, "The evidence of `compare` that is here is not what the decision names: it is another.",
                "Bring the `.mlgate/evidence` of the run that decided.", held.named("compare"),
            )  # fmt: skip
        else:
            yield fine("The evidence is the one that the decision names.", held.named("compare"))


# -- explainability --------------------------------------------------------------------------------------------------


def _explainability(held: Held) -> Iterator[Finding]:
    name = f"{EXPLAINED}.json"
    data = held.papers.get(name)
    if data is None:
        yield broken("There is no explainability report.", "mlgate audit papers")
        return
    try:
        found = explain.parse(data, name)
    except MlgateError as error:
        yield told(Verdict.ERROR, f"The explainability report cannot be read: {error}", "mlgate audit papers")
        return
    evaluations = [one.digest for one in held.tables if one.role.startswith("evaluation data") and one.digest]
    wrong = list(explain.problems(found, held.subject.digest, (held.commit, held.head), evaluations))
    for why in wrong:
        yield broken(f"The explainability report does not count: {why}.", "mlgate audit papers")
    if not wrong:
        first = ", ".join(one.name for one in found.features[:3])
        how = {"permutation": "permutation importance", "shap": "SHAP", "own": "a report of its own"}[found.method]
        said = f"By {how} over {found.rows:,} rows, it goes by {first} first" if found.rows else f"{how}: {first} first"
        yield fine(f"{said}; {len(found.examples)} rows are explained.", documents.paper(held, name))


# -- the rest --------------------------------------------------------------------------------------------------------


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _short(digest: Mapping[str, str]) -> str:
    kind = "sha256" if "sha256" in digest else min(digest, default="")
    return f"{kind}:{digest[kind][:12]}" if kind else "no digest"


_LOOK: dict[str, Callable[[Held], Iterator[Finding]]] = {
    "provenance": _provenance,
    "explainability": _explainability,
    "bias": audits.bias,
    "security": audits.security,
    "licences": audits.licences,
    "documentation": documents.documentation,
}
