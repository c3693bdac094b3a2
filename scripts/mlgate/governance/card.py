"""The model card: numbers only from evidence, words only from people.

    card = make(held)
    card.to_json()                                   # the same evidence gives the same bytes
    tampered(held, data)                             # why a card that lies there is another; empty where it is not

Every number carries the evidence file, its sha256, and the check that it was taken from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mlgate.config.shipping import IMAGE_COSTS
from mlgate.errors import MlgateError
from mlgate.governance import claims, words
from mlgate.governance.nouns import Held
from mlgate.ledger.query import same_model
from mlgate.model import Check, Evidence, Verdict

CARD_SCHEMA = 1
_PERFORMANCE, _GROUPS, _FAIRNESS = "rules", "slices", "fairness"
VERBS = ("compare", "train", "build-image")  # whose numbers a card shows
_JUDGED = ("verdict", "mode", "champion_commit", "controls", "approved_by")  # of the decision, by the evidence alone


@dataclass(frozen=True)
class Source:
    """Where a number comes from: the file of the bundle, by digest, and the check in it."""

    evidence: str
    sha256: str
    check: str


@dataclass(frozen=True)
class Measured:
    """One number. `interval` holds both bounds of the value, or of its difference from the champion (`of`)."""

    name: str
    value: float
    champion: float | None
    change: float | None
    interval: tuple[float, float] | None
    of: str  # "value", "difference", "relative difference", or nothing
    rows: int | None
    allowed: str
    verdict: str
    source: Source


@dataclass(frozen=True)
class Card:
    """What the card says. `words` are the people's, by section, in the order in which they are read."""

    model: dict[str, Any]  # name, path, digest, commit, creation_date
    words: dict[str, str]
    owners: tuple[str, ...]
    tags: dict[str, str]
    performance: tuple[Measured, ...]
    groups: tuple[Measured, ...]
    fairness: tuple[Measured, ...]
    costs: tuple[Measured, ...]
    evidence: dict[str, str]  # verb -> sha256 of the evidence that numbers were taken from
    training: dict[str, Any]  # data by digest, parameters
    decision: dict[str, Any]
    warnings: tuple[str, ...]  # what evidence warned of
    not_measured: tuple[str, ...]
    confidence: float | None = None  # of each one-sided bound
    facts: dict[str, str | float] = field(default_factory=dict)  # of the training: environment, seeds

    @property
    def flat(self) -> dict[str, Any]:
        """As JSON has it: the sections of the words stand at the top, under the names that other tools read."""
        said = {
            "schema": CARD_SCHEMA,
            "kind": "model-card",
            "creation_date": self.model.get("creation_date", ""),
            "intended_use": self.words.get("intended_use", ""),
            "training_data_description": self.words.get("training_data", ""),
            "known_limitations": self.words.get("limitations", ""),
            "performance_summary": {one.name: one.value for one in self.performance},
            "fairness_assessment": {one.name: one.value for one in self.fairness},
        }
        return said | asdict(self)

    def to_json(self) -> str:
        """Canonical: sorted keys, two-space indent, UTF-8, a newline at the end."""
        return json.dumps(self.flat, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def numbers(self) -> tuple[Measured, ...]:
        return (*self.performance, *self.groups, *self.fairness, *self.costs)


def make(held: Held, verbs: Sequence[str] = VERBS) -> Card:
    """From evidence of this very commit and model. Raises MlgateError where there is none, or no words."""
    if held.card is None:
        raise unwritten(held, "card", "the model card has no words.")
    compared = _judged(held)
    found = {verb: list(_numbers(held, verb)) for verb in VERBS if verb in verbs}
    return Card(
        model={
            "name": held.model,
            "path": held.subject.name,
            "digest": dict(sorted(held.subject.digest.items())),
            "commit": held.commit,
            "creation_date": held.committed_at,
        },
        words={key: text for key, text in words.texts(held.card) if text},
        owners=tuple(held.config.governance.owners),
        tags=dict(sorted(held.config.governance.tags.items())),
        performance=_unique(one for group, one in found["compare"] if group == _PERFORMANCE),
        groups=_unique(one for group, one in found["compare"] if group == _GROUPS),
        fairness=_unique(one for group, one in found["compare"] if group == _FAIRNESS),
        costs=_unique(
            one for pairs in found.values() for group, one in pairs if group not in (_PERFORMANCE, _GROUPS, _FAIRNESS)
        ),
        evidence={verb: named.digest["sha256"] for verb in found if held.of_this(verb) and (named := held.named(verb))},
        training=_training(held),
        decision=_decision(held, compared),
        warnings=tuple(dict.fromkeys(w for verb in found if (e := held.of_this(verb)) for w in _warned(e))),
        not_measured=tuple(compared.not_run),
        confidence=compared.confidence,
        facts=_facts(held),
    )


def unwritten(held: Held, key: str, what: str) -> MlgateError:
    """Why there are no words: they cannot be read, or nobody has named any."""
    if why := held.wrong_words.get(key):
        return MlgateError(why)
    fix = f"Name a file under `governance.{key}`; docs/governance.md has one to start from."
    return MlgateError(what, file=held.config.file, key=f"governance.{key}", fix=fix)


def _judged(held: Held) -> Evidence:
    found = held.evidence.get("compare")
    if found is None:
        raise MlgateError(
            "there is no evidence of `mlgate compare` here, so the card has no numbers.",
            fix="Run `mlgate compare` for this commit first, or bring its `.mlgate/evidence`.",
        )
    if why := held.foreign(found):
        raise MlgateError(
            f"the evidence of `mlgate compare` {why}.", fix="Run it for this commit; a card is about one model."
        )
    if found.unchanged:
        raise MlgateError(
            "`mlgate compare` found the champion's own model in this commit and measured nothing.",
            fix="The papers are those of the commit that the decision was made for: make them there.",
        )
    return found


def _numbers(held: Held, verb: str) -> Iterator[tuple[str, Measured]]:
    evidence, named = held.of_this(verb), held.named(verb)
    if evidence is None or named is None:
        return
    for check in evidence.checks:
        if isinstance(check.observed, float) and check.group not in ("data", "integrity", "judge", "proofs", "setup"):
            source = Source(named.name, named.digest["sha256"], check.id)
            yield check.group, _measured(check, check.observed, source)
    known = {check.title for check in evidence.checks}
    for name in IMAGE_COSTS if verb == "build-image" else ():
        value = evidence.facts.get(name)
        if isinstance(value, float) and name not in known:  # measured, without a limit
            source = Source(named.name, named.digest["sha256"], f"facts.{name}")
            yield "image", Measured(name, value, None, None, None, "", None, "", Verdict.PASS.value, source)


def _measured(check: Check, value: float, source: Source) -> Measured:
    of = ""
    if check.interval is not None:
        of = "value" if check.change is None else "relative difference" if check.relative else "difference"
    return Measured(
        name=check.title,
        value=value,
        champion=check.champion if isinstance(check.champion, float) else None,
        change=check.change,
        interval=check.interval,
        of=of,
        rows=check.rows,
        allowed=check.expected,
        verdict=check.verdict.value,
        source=source,
    )


def _unique(found: Iterator[Measured]) -> tuple[Measured, ...]:
    """A metric with several limits has one line each: none is left out, the order is that of the evidence."""
    return tuple({one.source: one for one in found}.values())


def _warned(evidence: Evidence) -> Iterator[str]:
    for check in evidence.checks:
        if check.verdict.value == "warn":
            yield f"{check.title}: {check.reason}" if check.reason else check.title


def _training(held: Held) -> dict[str, Any]:
    data = [
        {"path": one.path, "role": one.role, "digest": dict(sorted(one.digest.items())), "size": one.size}
        for one in held.tables
    ]
    return {"data": data, "parameters": dict(sorted(held.parameters.items()))}


def _decision(held: Held, compared: Evidence) -> dict[str, Any]:
    said: dict[str, Any] = {
        "verdict": compared.verdict.value,
        "mode": compared.mode,
        "champion_commit": compared.champion.commit if compared.champion else "",
        "controls": f"{compared.controls.passed} of {compared.controls.total}" if compared.controls else "",
        "approved_by": compared.approval.by if compared.approval else "",
    }
    if held.decision is not None:
        said["record_sha256"] = held.decision.digest
    return said | {f"ledger_{key}": value for key, value in sorted(held.decided.items())}


def _facts(held: Held) -> dict[str, str | float]:
    """What the model was made with; not how long this run took, which differs from run to run."""
    trained = held.of_this("train")
    kept = ("python", "platform", "packages", "packages sha256", "seeds", "verify")
    return {key: value for key, value in sorted(trained.facts.items()) if key in kept} if trained else {}


def contradictions(held: Held) -> list[claims.Claim]:
    """Numbers in the words that are not those of the evidence."""
    measured: dict[str, tuple[float, ...]] = {}
    for verb in VERBS:
        for _, one in _numbers(held, verb):
            name = one.name.split(",")[0].split(" by ")[0].strip()
            measured[name] = (*measured.get(name, ()), one.value)
    for key, rule in held.config.compare.rules.items():
        if rule.is_ and key in measured:
            measured[rule.is_] = measured[key]
    texts = [(f"card: {key}", text) for key, text in words.texts(held.card)] if held.card else []
    texts += [(f"data sheet: {key}", text) for key, text in words.texts(held.sheet)] if held.sheet else []
    return [claim for claim in claims.find(texts, measured) if not claim.holds]


def tampered(held: Held, stored: bytes) -> str:
    """Why a card that lies there is not what the evidence gives; empty where it is.

    It is made again from the evidence that it names: what was measured later is no fault of it.
    """
    try:
        there = json.loads(stored)
        verbs = dict(there["evidence"])
        said = dict(there["decision"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "is no model card"
    for verb, sha256 in verbs.items():
        named = held.named(verb)
        if named is None or named.digest["sha256"] != sha256:
            return f"was made from other evidence of `{verb}` than is here"
    if "compare" not in verbs:
        return "names no evidence of `compare`"
    try:
        made = json.loads(make(held, tuple(verbs)).to_json())
    except MlgateError as error:
        return f"cannot be made again: {error}"
    # The ledger may have been out of reach when it was made; what it does say has to be right.
    made["decision"] = {key: value for key, value in made["decision"].items() if key in said or key in _JUDGED}
    digests = dict(there.get("model", {}).get("digest", {}))
    if same_model(digests, made["model"]["digest"]):  # in one place more kinds of digest are known than in the other
        made["model"]["digest"] = digests
    differing = sorted(key for key in {*made, *there} if made.get(key) != there.get(key))
    return f"is not what the evidence gives: it differs in {', '.join(differing[:5])}" if differing else ""
