"""What the server is told: one JSON file beside the model, written when the image is built. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlgate.errors import MlgateError


@dataclass(frozen=True)
class Identity:
    """Which model answers. Every line of the log and every answer can be followed back by these."""

    model: str  # its name
    version: str = ""  # v1.2.0 of the registry; empty before it is registered
    digest: str = ""  # sha256 over the model's sorted (path, sha256) list
    commit: str = ""
    decision: str = ""  # sha256 of the decision record


@dataclass(frozen=True)
class Input:
    """What one column of a request must be. None: not limited."""

    name: str
    type: Literal["integer", "number", "string", "boolean", "datetime", "binary", "any"] = "any"
    required: bool = True
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str | int | float | bool, ...] | None = None
    shape: tuple[int, ...] | None = None  # of a tensor, -1 for any length; None for a column of single values


@dataclass(frozen=True)
class Decide:
    """How a score becomes the class that is answered; without it the model's own."""

    cut_off: float | None = None
    positive: str | int | float | bool | None = None


@dataclass(frozen=True)
class Log:
    to: Literal["stdout", "file", "none"] = "stdout"
    path: str = "/var/log/mlgate/predictions.jsonl"
    max_bytes: int = 100_000_000
    keep: int = 5
    features: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    queue: int = 10_000


@dataclass(frozen=True)
class Replay:
    sample: float
    path: str = "/var/log/mlgate/requests.jsonl"
    seconds: float = 86_400.0
    max_bytes: int = 100_000_000


@dataclass(frozen=True)
class Settings:
    """Everything the server does, except where it listens and what its environment overrides."""

    identity: Identity
    inputs: tuple[Input, ...] = ()  # of the signature and the contract; empty: whatever the model takes
    decide: Decide = field(default_factory=Decide)
    port: int = 8080
    workers: int = 1
    timeout: float = 10.0  # seconds
    drain: float = 20.0  # seconds
    max_body: int = 4_000_000  # octets
    max_rows: int = 10_000
    log: Log = field(default_factory=Log)
    replay: Replay | None = None
    trusted: tuple[str, ...] = ()  # names that a model in skops or pickle may load although they are not known

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=2, allow_nan=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Raises MlgateError for what is no such file."""
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            log, replay = data.pop("log"), data.pop("replay")
            return cls(
                identity=Identity(**data.pop("identity")),
                inputs=tuple(Input(**{**one, **_tuples(one, "values", "shape")}) for one in data.pop("inputs")),
                decide=Decide(**data.pop("decide")),
                log=Log(**{**log, **_tuples(log, "features", "hashed")}),
                replay=Replay(**replay) if replay else None,
                trusted=tuple(data.pop("trusted")),
                **data,
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise MlgateError(f"are no settings of the server ({error}).", file=str(path)) from error


def _tuples(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: tuple(data[name]) for name in names if data.get(name) is not None}
