"""Everything that goes into an image, named before anything is built."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mlgate.errors import MlgateError
from mlgate.image.reference import Reference

MODEL_LABEL = "io.mlgate.model"
DIGEST_LABEL = "io.mlgate.model-digest"
DECISION_LABEL = "io.mlgate.decision"
INPUTS_LABEL = "io.mlgate.inputs"
TEMPLATE_SECRETS = frozenset({"netrc", "pip.conf", "ca.crt"})  # what the template's own commands look for

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+._-]*(?:=[A-Za-z0-9.+:~_-]+)?")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LABEL = re.compile(r"[a-z0-9][a-z0-9._/-]*")


@dataclass(frozen=True)
class Plan:
    """What an image is built of. `secrets` are values by id: they are never written into the context or a layer."""

    model: Path  # a file or a folder, by digest
    name: str  # of the model
    base: str  # pinned by digest
    settings: str  # of the server: JSON
    requirements: tuple[Path, ...] = ()  # the model's own environment
    serve: Path | None = None  # the server's packages: requirements/serve.txt; None where the image has its own server
    packages: tuple[str, ...] = ()  # of the image's system
    include: tuple[tuple[Path, str], ...] = ()  # (where it is, what it is called in the project)
    secrets: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    builder: Literal["template", "dockerfile", "mlflow"] = "template"
    dockerfile: Path | None = None
    port: int = 8080
    created: int = 0  # seconds since 1970: the commit's time
    without: tuple[str, ...] = ()  # distributions of `requirements` that serving does not need, such as `mlflow`
    mlflow: tuple[str, ...] = ()  # the command that is MLflow, for its builder

    def __post_init__(self) -> None:
        for package in self.packages:
            if not _PACKAGE.fullmatch(package):
                raise MlgateError(f"{package!r} is no name of a package.", key="image.packages")
        for secret in self.secrets:
            if not _SECRET.fullmatch(secret):
                raise MlgateError(f"{secret!r} is no id of a secret.", key="image.secrets")
        for label in self.labels:
            if not _LABEL.fullmatch(label):
                raise MlgateError(f"{label!r} is no name of a label.", key="image.labels")
        Reference.parse(self.base)
        if self.builder == "dockerfile" and self.dockerfile is None:
            raise MlgateError(
                "the builder is `dockerfile`, and no Dockerfile is named.", fix="image: {dockerfile: Dockerfile}"
            )


def pinned(base: str | None, digest: Callable[[str], str | None], *, preview: bool = False) -> tuple[str, str]:
    """The base with its digest, and a warning or nothing. `digest` tells what a name stands for now, or None.

    Raises MlgateError where there is no base, or it has no digest and this is no preview: its fix has the digest.
    """
    if not base:
        raise MlgateError(
            "there is no base image.", key="image.base", fix="image: {base: 'python:3.13-slim@sha256:...'}"
        )
    reference = Reference.parse(base)
    if reference.digest:
        return base, ""
    found = digest(base)
    if preview and found:
        return f"{base}@{found}", f"The base {base} is not pinned by digest; it is {found} now."
    if found:
        raise MlgateError(
            f"the base {base} is not pinned by digest, so that it can be another one tomorrow.",
            key="image.base", fix=f"image: {{base: '{base}@{found}'}}",
        )  # fmt: skip
    raise MlgateError(
        f"the base {base} is not pinned by digest, and neither the engine nor its registry tells the digest.",
        key="image.base", fix=f"docker pull {base} tells it.",
    )  # fmt: skip
