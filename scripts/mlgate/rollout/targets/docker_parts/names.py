"""What everything of one environment is called on an engine, and the labels by which it is found again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from mlgate.errors import MlgateError

DEPLOY = "io.mlgate.deploy"  # the environment's key: images carry other labels, which containers inherit
PART = "io.mlgate.deploy.part"  # router, keeper or server
MODEL = "io.mlgate.deploy.model"
ENVIRONMENT = "io.mlgate.deploy.environment"
SLOT = "io.mlgate.deploy.slot"
REPLICA = "io.mlgate.deploy.replica"
ADDRESS = "io.mlgate.deploy.address"
IMAGE = "io.mlgate.deploy.image"
PORT = "io.mlgate.deploy.port"
ASKED = "io.mlgate.deploy.asked"  # a digest of what it was made with


@dataclass(frozen=True)
class Names:
    """Of two environments never the same, however their parts are spelled."""

    model: str
    environment: str

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.model}\0{self.environment}".encode()).hexdigest()[:12]

    @property
    def base(self) -> str:
        return f"mlgate-{_plain(self.model, 24)}-{_plain(self.environment, 16)}-{self.key[:6]}"

    @property
    def router(self) -> str:
        return f"{self.base}-proxy"

    @property
    def keeper(self) -> str:
        return f"{self.base}-keeper"

    @property
    def network(self) -> str:
        return self.base

    @property
    def volume(self) -> str:
        return self.base

    def server(self, slot: str, replica: int) -> str:
        """The container of one replica."""
        return f"{self.base}-{slot[-12:]}-{replica}"

    def labels(self, part: str, **more: str) -> dict[str, str]:
        found = {DEPLOY: self.key, PART: part, MODEL: self.model, ENVIRONMENT: self.environment}
        return {**found, **{f"{DEPLOY}.{name}": value for name, value in more.items()}}


def _plain(text: str, most: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:most].strip("-") or "x"


def options(labels: dict[str, str]) -> list[str]:
    """As arguments of `docker create`."""
    return [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]


_UNITS = {
    "": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
}  # fmt: skip


def octets(text: str, key: str) -> int:
    """`1Gi`, `512Mi`, `2G` as Kubernetes writes memory. Raises MlgateError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", text, re.IGNORECASE)
    if found is None or (size := int(float(found[1]) * _UNITS[(found[2] or "").lower()])) < 6 * 2**20:
        raise MlgateError(f"is {text!r}, which is no amount of memory.", key=key, fix="Write it as `1Gi` or `512Mi`.")
    return size


def processors(text: str, key: str) -> str:
    """`1`, `0.5`, `500m` as Kubernetes writes processors; as the engine takes it. Raises MlgateError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)(m?)\s*", text)
    if found is None or (count := float(found[1]) / (1000 if found[2] else 1)) <= 0:
        raise MlgateError(f"is {text!r}, which is no number of processors.", key=key, fix="Write it as `2` or `500m`.")
    return f"{count:g}"
