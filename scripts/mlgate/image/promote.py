"""The same image in another repository: its manifest and layers are copied as they are, and never built again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlgate.errors import MlgateError
from mlgate.image.api import INDEXES, Api, Manifest, connect
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference

# Where signatures and statements about an image are kept: beside it, under tags made of its digest; newer registries
# keep a list of them instead.
PAPERS = (".sig", ".att", ".sbom", "")


def promote(engine: Engine, source: Reference, target: Reference) -> str:
    """Copies what `source` names by digest, with what is signed about it, and returns the digest at the target.

    It is reachable there by its digest, and by the target's tag where it has one. Raises MlgateError when the source
    has no digest or is not there, or the target's digest would be another one.
    """
    if not source.digest:
        raise MlgateError(f"{source} is not pinned by digest.", fix="What is promoted is one image: name its digest.")
    if target.digest and target.digest != source.digest:
        raise MlgateError(f"{target} cannot be {source.digest}.")
    there = connect(engine, source.registry)
    here = there if target.registry == source.registry else connect(engine, target.registry)
    manifest = there.manifest(source)
    if manifest is None:
        raise MlgateError(f"{source} is not in its registry.", fix="Was it pushed, and may this login read it?")
    copying = _Copying(there, here, source, target)
    copying.all_of(manifest)
    for name in dict.fromkeys((source.digest, target.tag)):
        if name:
            here.put(target.repository, name, manifest)
    for ending in PAPERS:
        tag = source.digest.replace(":", "-") + ending
        paper = there.manifest(Reference(source.registry, source.repository, tag))
        if paper is not None:
            copying.all_of(paper)
            here.put(target.repository, tag, paper)
    for digest in there.referrers(source.repository, source.digest):
        paper = there.manifest(source.at(digest))
        if paper is not None:
            copying.all_of(paper)
            here.put(target.repository, digest, paper)
    found = here.manifest(Reference(target.registry, target.repository, target.tag, source.digest))
    if found is None or found.digest != source.digest:
        raise MlgateError(f"{target.name} does not have {source.digest} although it took it.")
    return found.digest


@dataclass(frozen=True)
class _Copying:
    there: Api
    here: Api
    source: Reference
    target: Reference

    def all_of(self, manifest: Manifest) -> None:
        """What a manifest names, before the manifest itself: a registry refuses one whose parts it lacks."""
        data = manifest.data
        if manifest.kind in INDEXES or "manifests" in data:
            for child in data.get("manifests", []):
                inner = self.there.manifest(self.source.at(child["digest"]))
                if inner is None:
                    raise MlgateError(f"{self.source} names {child['digest']}, which its registry does not have.")
                self.all_of(inner)
                self.here.put(self.target.repository, child["digest"], inner)
            return
        for blob in [data["config"], *data.get("layers", [])]:
            self._blob(blob)

    def _blob(self, blob: dict[str, Any]) -> None:
        digest = str(blob["digest"])
        if blob.get("urls"):  # a layer that is kept elsewhere, and may not be passed on
            return
        if self.here.has(self.target.repository, digest):
            return
        same = self.here is self.there
        where = self.here.mount(self.target.repository, digest, self.source.repository if same else "")
        if where is not None:
            with self.there.open(self.source.repository, digest, int(blob["size"])) as octets:
                self.here.upload(where, self.target.repository, digest, octets)
