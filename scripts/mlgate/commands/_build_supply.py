"""What is in a model and its image besides the prediction: code that would run, known holes, licences; and the SBOM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config import Config
from mlgate.model import Check

if TYPE_CHECKING:
    from mlgate.commands._build_inputs import Source
    from mlgate.commands._build_plan import Planned
    from mlgate.commands._build_proof import Found
    from mlgate.image.engine import Engine


def model(config: Config, path: Path) -> list[Check]:
    """What the model's files would run, before anything loads them."""
    from mlgate.supply import model as models  # noqa: PLC0415

    return models.scan(path, trusted=config.image.scan.trusted)


def image(engine: Engine, image: str, source: Source, planned: Planned, folder: Path) -> Found:
    from mlgate.commands._build_proof import Found

    return Found()
