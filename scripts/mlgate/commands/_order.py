"""The order in which models come to environments: one after the other, and never back except by a rollback. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mlgate.config import Config
from mlgate.config.deploying import Environment
from mlgate.ledger import query, registrations
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Decision, Deployment, Image, Rollback

_SETTLED = ("complete", "judged", "aborted", "failed")
# By name, as GitLab tells tiers, in its order: "preprod" is staging.
_TIERS = (
    ("development", r"dev|review|trunk"),
    ("testing", r"test|tst|int|ac(ce|)pt|qa|qc|control|quality"),
    ("staging", r"st(a|)g|mod(e|)l|pre|demo|non"),
    ("production", r"pr(o|)d|live"),
)


def tier(name: str, settings: Environment) -> str:
    """What kind of environment it is: as mlgate.yaml says, else by its name."""
    if settings.tier:
        return settings.tier
    return next((found for found, words in _TIERS if re.search(words, name, re.IGNORECASE)), "other")


def is_production(config: Config, name: str) -> bool:
    """Whether an environment is in production; where none is called so, the last one is."""
    environments = config.deploy.environments
    production = [each for each, settings in environments.items() if tier(each, settings) == "production"]
    return name in (production or list(environments)[-1:])


def before(config: Config, name: str) -> str:
    """The environment that a model has to have been in first; empty for the first one."""
    names = list(config.deploy.environments)
    at = names.index(name)
    return names[at - 1] if at else ""


def been(
    records: Sequence[Record], model: str, environment: str, image: str, subject: Mapping[str, str]
) -> tuple[bool, str]:
    """Whether the last word on an image (`sha256:...`) in an environment is a good one, and what that word is.

    Without an image it is asked of the model (`subject`) itself. Only `complete` and `judged` are good. What was taken
    away again by a rollback is not good any more.
    """
    digest, mine = image.removeprefix("sha256:"), dict(subject)
    good, said = False, f"was never in {environment}"
    for each in query.history(records, model=model, environment=environment, kinds=("deployment", "rollback")):
        entry = each.entry
        told: Mapping[str, str] = getattr(entry, "image", {})
        if isinstance(entry, Deployment) and entry.strategy == "drill" and entry.state == "judged":
            continue  # it proved the way back; nobody has judged the model
        about = told.get("sha256") == digest if digest else query.same_model(entry.subject, mine)
        if about and isinstance(entry, Deployment) and entry.state in _SETTLED:
            good = entry.state in ("complete", "judged")
            words = {"complete": "came into", "judged": "was judged in", "aborted": "was turned back in"}
            said = f"{words.get(entry.state, 'failed in')} {environment} on {entry.at[:10]}"
        elif about and isinstance(entry, Rollback):
            good, said = True, f"was put back into {environment} on {entry.at[:10]}"
        elif isinstance(entry, Rollback) and query.same_model(entry.instead_of, mine):
            good, said = False, f"was taken away from {environment} again on {entry.at[:10]}: {entry.reason}"
    return good, said


def image_of(records: Sequence[Record], now: Record) -> str:
    """The digest (`sha256:...`) of the image of what is in an environment; empty where the ledger does not say."""
    told: Mapping[str, str] = getattr(now.entry, "image", {})
    if "sha256" not in told:
        made = (each.entry for each in reversed(records) if isinstance(each.entry, Image))
        told = next((one.image for one in made if query.same_model(one.subject, now.entry.subject)), {})
    return f"sha256:{told['sha256']}" if "sha256" in told else ""


def older(records: Sequence[Record], *, name: str, image: Record | None, decision: Record, now: Record) -> str:
    """Why a release is older than what is there now, by the ledger alone; empty where it is not.

    `image` and `decision` are the candidate's entries, `name` is that of its versions. Which was registered first says
    it; where one has no version, which was decided first; of one model, which image was built first.
    """
    mine, other = dict((image or decision).entry.subject), dict(now.entry.subject)
    if query.same_model(mine, other):
        there = image_of(records, now)
        built = [f"sha256:{each.entry.image.get('sha256', '')}" for each in records if isinstance(each.entry, Image)]
        own = f"sha256:{getattr(image.entry, 'image', {}).get('sha256', '')}" if image else ""
        if there in built and own in built and built.index(own) < built.index(there):
            return "the image that is there was built of the same model later"
        return ""
    known = registrations.known((each.entry for each in records), name)
    one, two = registrations.of_model(known, mine), registrations.of_model(known, other)
    if one is not None and two is not None:
        order = [each.version for each in known]
        late = order.index(one.version) < order.index(two.version) and not _decided_again(decision, now, records)
        return f"{two.version}, which is there, was registered after {one.version}" if late else ""
    last = query.decision(records, now.entry.model, other)
    if last is not None and decision.seq < last.seq:
        return f"what is there was decided on {last.entry.at[:10]}, after it"
    return ""


def _decided_again(decision: Record, now: Record, records: Sequence[Record]) -> bool:
    """Whether an older version was brought back through the gate: its decision was made against what is there now."""
    entry = decision.entry
    last = query.decision(records, now.entry.model, dict(now.entry.subject))
    later = last is not None and decision.seq > last.seq
    return later and isinstance(entry, Decision) and query.same_model(dict(entry.champion), dict(now.entry.subject))
