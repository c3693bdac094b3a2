"""`--check`: whether the model loads and its server's packages fit its environment."""

from __future__ import annotations

import sys
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.serving.settings import Settings

_NEEDS = {"fastapi": (0, 100), "uvicorn": (0, 30), "httptools": (0, 6), "uvloop": (0, 17), "orjson": (3, 9),
          "starlette": (0, 27), "pydantic": (2, 0)}  # fmt: skip


def check(settings: Settings, model: Path) -> int:
    """0. Raises MlgateError for a package that is too old beside the model's, or a model that does not load."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- slow, and only here

    for name, oldest in _NEEDS.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            raise MlgateError(f"the server needs {name}, which is not installed.") from None
        numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
        if numbers < oldest:
            raise MlgateError(
                f"the model's environment has {name} {found}; the server needs {oldest[0]}.{oldest[1]} or later.",
                fix=f"Raise {name} in the model's requirements, or leave it out of them.",
            )
    from mlgate.serving import app  # noqa: PLC0415 -- after the packages were looked at

    made = app.create(settings, model, environment="check")
    sys.stdout.write(f"{settings.identity.model}: {made.model.kind}, {len(made.reader.inputs)} inputs\n")
    return 0
