"""The description of the server for programs: OpenAPI, made of the model's inputs."""

from __future__ import annotations

from typing import Any

from mlgate.serving.inputs import Reader
from mlgate.serving.settings import Settings


def document(settings: Settings, reader: Reader, kind: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    return {"openapi": "3.1.0", "info": {"title": settings.identity.model, "version": "1"}, "paths": {}}
