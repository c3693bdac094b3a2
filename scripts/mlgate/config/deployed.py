"""What the keys of `deploy` may not say together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlgate.config.vocabulary import Finding

if TYPE_CHECKING:
    from mlgate.config.settings import Config


def findings(config: Config) -> Iterator[Finding]:
    for name, environment in config.deploy.environments.items():
        at = ("deploy", "environments", name)
        if environment.strategy == "canary" and not environment.steps:
            yield at, "is a canary without `steps`.", "Add `steps: [5, 25, 50]`."
