"""Names and labels of what stands in a cluster for one environment of one model."""

from __future__ import annotations

import hashlib
import re

PREFIX = "mlgate.io"
MODEL, ENVIRONMENT, SLOT = f"{PREFIX}/model", f"{PREFIX}/environment", f"{PREFIX}/slot"
MANAGER = "mlgate"  # of fields, for server-side apply
_LONGEST = 63  # characters of a label's value, and of a Service's name
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def plain(text: str, most: int) -> str:
    """As much of a text as a DNS label may hold; with a mark of what was lost, so that two texts stay two names."""
    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if made == text and len(made) <= most:
        return made
    mark = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{made[: most - 7].strip('-') or 'm'}-{mark}"


def label(text: str) -> str:
    """A label's value: the text itself wherever Kubernetes takes it."""
    return text if _LABEL.fullmatch(text) else plain(text, _LONGEST)


def service(model: str, environment: str) -> str:
    """The Service that callers of an environment use, and what else there is once for each environment."""
    return f"{plain(model, 38)}-{plain(environment, 24)}"


def of_slot(slot: str, environment: str) -> str:
    """The Deployment of a slot, and what belongs to it. `slot` is `Release.slot`: 43 characters at most."""
    return f"{slot}-{plain(environment, 19)}"


def labels(model: str, environment: str, slot: str = "") -> dict[str, str]:
    """By which everything of an environment is found again, and with `slot` everything of that slot."""
    found = {MODEL: label(model), ENVIRONMENT: label(environment)}
    return {**found, SLOT: label(slot)} if slot else found


def selector(chosen: dict[str, str]) -> str:
    """Labels as kubectl's `--selector` wants them."""
    return ",".join(f"{name}={value}" for name, value in sorted(chosen.items()))
