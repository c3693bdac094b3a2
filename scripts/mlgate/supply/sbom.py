"""The bill of materials of an image: the model, and every package beside it, as CycloneDX and as SPDX."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlgate import __version__, extras
from mlgate.errors import MlgateError
from mlgate.supply import licences
from mlgate.supply.packages import Package, System

_NAMESPACE = uuid.UUID("6f1c1d0e-6c0a-5f0e-9c3b-7d4f1a2b3c4d")
_HOME = "https://github.com/mlgate/mlgate"


@dataclass(frozen=True)
class Bill:
    """What goes into it. Two bills of the same things are the same bytes."""

    name: str  # of the image, or of the model where there is no image
    model: str
    model_digest: str  # sha256, hex
    created: dt.datetime  # of the commit, so that the same commit gives the same bill
    version: str = ""
    image_digest: str = ""  # `sha256:...` of the image, once it is known
    packages: Sequence[Package] = ()
    system: System = field(default_factory=System)

    @property
    def identity(self) -> str:
        listed = sorted((p.kind, p.key, p.version, p.arch, *p.hashes) for p in self.packages)
        said = [self.name, self.version, self.model, self.model_digest, self.image_digest, self.created.isoformat()]
        return str(uuid.uuid5(_NAMESPACE, json.dumps([said, listed])))

    @property
    def stamp(self) -> str:
        return self.created.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(bill: Bill, folder: Path, *, name: str) -> list[Path]:
    """`<name>.cdx.json` and `<name>.spdx.json` in a folder. Raises MlgateError when they cannot be written."""
    if not bill.packages:
        raise MlgateError("no packages were found, so there is no bill of materials to write.")
    made = {f"{name}.cdx.json": cyclonedx(bill), f"{name}.spdx.json": spdx(bill)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in made.items():
            part = folder / f".{file}.part"
            part.write_text(text, encoding="utf-8")
            os.replace(part, folder / file)
    except OSError as error:
        raise MlgateError(f"cannot be written: {error.strerror}.", file=str(folder)) from error
    return [folder / file for file in made]


def purl(package: Package, system: System) -> str:
    """The package URL: `pkg:pypi/numpy@2.1.0`, `pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12`."""
    version = quote(package.version, safe=".:~_-")
    if package.kind == "pypi":
        return f"pkg:pypi/{package.key}@{version}"
    more = {"arch": package.arch, "distro": f"{system.id}-{system.version}" if system.id and system.version else ""}
    if package.kind == "deb" and package.source:
        more["upstream"] = package.source
    tail = "&".join(f"{key}={quote(value, safe='.-_')}" for key, value in sorted(more.items()) if value)
    home = system.id or ("debian" if package.kind == "deb" else "alpine")
    name = quote(package.name, safe=".-_")
    return f"pkg:{package.kind}/{home}/{name}@{version}{'?' + tail if tail else ''}"


def _licence(package: Package) -> str:
    if package.kind == "pypi":
        return licences.expression(package)
    return licences.expression(Package(package.name, package.version, licence=package.licence))


def cyclonedx(bill: Bill) -> str:
    """CycloneDX 1.6, JSON."""
    extras.use("scan")
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri  # noqa: PLC0415
    from cyclonedx.model.bom import Bom  # noqa: PLC0415
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from cyclonedx.model.license import LicenseExpression  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    def sha256(content: str) -> HashType:
        return HashType(alg=HashAlgorithm.SHA_256, content=content)

    def component(package: Package) -> Component:
        address = purl(package, bill.system)
        licence = _licence(package)
        return Component(
            name=package.name,
            version=package.version,
            type=ComponentType.LIBRARY,
            bom_ref=address,
            purl=PackageURL.from_string(address),
            licenses=[LicenseExpression(licence)] if licence else [],
            # One file of those that the lock allows was installed: which, only its own list of files tells.
            hashes=[sha256(package.hashes[0])] if len(package.hashes) == 1 else [],
            external_references=[
                ExternalReference(
                    type=ExternalReferenceType.DISTRIBUTION, url=XsUri(address), hashes=[sha256(one)], comment="locked"
                )
                for one in package.hashes
                if len(package.hashes) > 1
            ],
            properties=[Property(name="mlgate:record:sha256", value=package.record)] if package.record else [],
        )

    model = Component(
        name=bill.model,
        version=bill.version or None,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{bill.model}",
        hashes=[sha256(bill.model_digest.removeprefix("sha256:"))],
    )
    whole = Component(
        name=bill.name,
        version=bill.version or None,
        type=ComponentType.CONTAINER,
        bom_ref="image",
        hashes=[sha256(bill.image_digest.removeprefix("sha256:"))] if bill.image_digest else [],
    )
    parts = [component(package) for package in bill.packages]
    bom = Bom(components=[model, *parts], serial_number=uuid.UUID(bill.identity))
    bom.metadata.timestamp = bill.created.astimezone(dt.UTC)
    bom.metadata.component = whole
    bom.metadata.tools.components.add(
        Component(name="mlgate", version=__version__, type=ComponentType.APPLICATION, bom_ref="tool")
    )
    if bill.system.id:
        bom.components.add(
            Component(
                name=bill.system.id,
                version=bill.system.version or None,
                type=ComponentType.OPERATING_SYSTEM,
                description=bill.system.name or None,
                bom_ref="system",
            )
        )
    bom.register_dependency(whole, [model, *parts])
    data = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def spdx(bill: Bill) -> str:
    """SPDX 2.3, JSON."""
    image = {
        "SPDXID": "SPDXRef-image",
        "name": bill.name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
        **({"versionInfo": bill.version} if bill.version else {}),
        **({"checksums": [_checksum(bill.image_digest.removeprefix("sha256:"))]} if bill.image_digest else {}),
    }
    model = {
        **{key: value for key, value in image.items() if key != "checksums"},
        "SPDXID": "SPDXRef-model",
        "name": bill.model,
        "primaryPackagePurpose": "OTHER",
        "comment": "The model. The digest is the sha256 over the sorted list of its paths and their digests.",
        "checksums": [_checksum(bill.model_digest.removeprefix("sha256:"))],
    }
    parts = [_spdx_package(package, bill.system, number) for number, package in enumerate(bill.packages, 1)]
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")]
    relations += [_relation("SPDXRef-image", "CONTAINS", str(one["SPDXID"])) for one in (model, *parts)]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", bill.name)
    data = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.name,
        "documentNamespace": f"{_HOME}/spdx/{name}-{bill.identity}",
        "creationInfo": {"created": bill.stamp, "creators": [f"Tool: mlgate-{__version__}"]},
        "documentDescribes": ["SPDXRef-image"],
        "packages": [image, model, *parts],
        "relationships": relations,
    }
    return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _checksum(value: str) -> dict[str, str]:
    return {"algorithm": "SHA256", "checksumValue": value}


def _spdx_package(package: Package, system: System, number: int) -> dict[str, Any]:
    licence = _licence(package) or "NOASSERTION"
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{package.kind}-{package.name}")
    made: dict[str, Any] = {
        "SPDXID": f"SPDXRef-{name}-{number}",
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "LIBRARY",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl(package, system)}
        ],
    }
    if len(package.hashes) == 1:
        made["checksums"] = [_checksum(package.hashes[0])]
    elif package.hashes:
        made["comment"] = "The lock allows the files of these sha256 digests: " + ", ".join(package.hashes)
    if package.record:
        made["attributionTexts"] = [f"sha256 of RECORD: {package.record}"]
    return made
