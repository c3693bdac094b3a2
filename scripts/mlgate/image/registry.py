"""Images in a registry: put there, found again, and asked what they are."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.errors import MlgateError
from mlgate.image.api import INDEXES, Api, Manifest, connect
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference

PUSH_SECONDS = 1800.0
ATTEMPTS = 3
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_FINAL = (
    "denied", "unauthorized", "authentication required", "no basic auth", "forbidden", "name unknown", "not found",
    "invalid", "does not exist", "insufficient_scope",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """An image that a registry has."""

    digest: str  # of its manifest, which is what a deployment names
    labels: Mapping[str, str]
    size: int  # octets of its layers, as they are transferred


def push(engine: Engine, image_id: str, reference: Reference, tags: Sequence[str]) -> str:
    """Pushes an image of the engine under each tag, and returns the one digest of all.

    Raises MlgateError when the registry refuses it, or tells two digests.
    """
    digest = ""
    for tag in dict.fromkeys((*([reference.tag] if reference.tag else []), *tags)):
        name = str(reference.tagged(tag))
        engine.run("tag", image_id, name)
        told = _push(engine, name)
        if digest and told != digest:
            raise MlgateError(f"{reference.name} has {told} as {tag!r}, and {digest} as another tag of the same image.")
        digest = told
    if not digest:
        raise MlgateError(f"there is no tag to push {reference.name} with.", fix="Name at least one.")
    return digest


def _push(engine: Engine, name: str) -> str:
    for attempt in range(ATTEMPTS):
        said = engine.ask("push", name, timeout=PUSH_SECONDS)
        if said.code == 0:
            found = _DIGEST.findall(said.out)
            if not found:
                raise MlgateError(f"`docker push` told no digest of {name}.")
            return str(found[-1])
        if any(word in (said.err + said.out).lower() for word in _FINAL) or attempt + 1 == ATTEMPTS:
            registry = name.partition("/")[0]
            raise MlgateError(
                f"{name} cannot be pushed: {said.last}.",
                fix=f"Is the login to {registry} there, and may it write this repository?",
            )
        time.sleep(2**attempt)
    raise AssertionError


def exists(engine: Engine, reference: Reference) -> Found | None:
    """What the registry has under this name; None where it has nothing. Raises MlgateError when it cannot be asked."""
    api = connect(engine, reference.registry)
    manifest = api.manifest(reference)
    if manifest is None:
        return None
    digest = manifest.digest
    data = _one(api, reference, manifest)
    config = json.loads(api.blob(reference.repository, data["config"]["digest"]))
    labels = (config.get("config") or {}).get("Labels") or {}
    return Found(digest, labels, sum(int(layer.get("size", 0)) for layer in data.get("layers", [])))


def digest_of(engine: Engine, text: str) -> str | None:
    """The digest that a name has now: of the image that the engine has, else of the registry's. None: neither tells."""
    reference = Reference.parse(text)
    known = engine.inspect(text) or {}
    for told in known.get("RepoDigests") or []:
        one = Reference.parse(told)
        if one.name == reference.name:
            return one.digest
    try:
        manifest = connect(engine, reference.registry).manifest(reference)
    except MlgateError:
        return None
    return manifest.digest if manifest else None


def _one(api: Api, reference: Reference, manifest: Manifest) -> dict[str, Any]:
    """The manifest of an image, where an index may stand before it."""
    data = manifest.data
    if manifest.kind in INDEXES or "manifests" in data:
        images = [one for one in data["manifests"] if (one.get("platform") or {}).get("os", "unknown") != "unknown"]
        if not images:
            raise MlgateError(f"{reference} is an index without an image.")
        inner = api.manifest(reference.at(images[0]["digest"]))
        if inner is None:
            raise MlgateError(f"{reference} names an image that its registry does not have.")
        data = inner.data
    if "config" not in data:
        raise MlgateError(f"{reference} is no image: its manifest has no configuration.")
    return data
