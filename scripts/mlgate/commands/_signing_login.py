"""The login that cosign needs where images are: this job's own at its forge, or the one that the user gives."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlgate.forges.nouns import ImageRegistry
from mlgate.image import credentials
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference

_PASSWORD = "MLGATE_REGISTRY_PASSWORD"  # noqa: S105 -- the name of a variable


@contextmanager
def logged_in(
    names: Iterable[str], own: ImageRegistry | None, user: str, environ: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """The environment in which `names` (repositories of images) can be written to; what it adds is gone afterwards.

    `own` is the registry of the forge; `user`, with the password of the environment, is for any other. Where neither
    is for a registry, the logins of this user stay as they are. Raises MlgateError for a broken configuration.
    """
    found: dict[str, dict[str, str]] = {}
    password = environ.get(_PASSWORD, "")
    for host in sorted({Reference.parse(name).registry for name in names}):
        if user and password:
            found[credentials.key(host)] = _entry(user, password)
        elif own is not None and own.host == host and own.user and own.password:
            found[credentials.key(host)] = _entry(own.user, own.password)
    if not found:
        yield dict(environ)
        return
    told = credentials.config(credentials.home(Engine("docker", environ)))
    helpers = {name: value for name, value in (told.get("credHelpers") or {}).items() if name not in found}
    told |= {"auths": {**(told.get("auths") or {}), **found}, "credHelpers": helpers}
    told.pop("credsStore", None)  # it would be asked instead
    with tempfile.TemporaryDirectory(prefix="mlgate-sign-") as folder:  # for this user only
        file = Path(folder) / "config.json"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as made:
            json.dump(told, made)
        yield {**environ, "DOCKER_CONFIG": folder}


def _entry(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
