"""Both statements signed, or refused: by a key beside the record or in the registry, or by a workflow on GitHub."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploying.deployed import Project
from mlgate.commands import _signatures
from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from signing.parts import cosign, pem


def check(project: Project, **how: Any) -> Check:
    run = project.run()
    return _signatures.check(run, project.config(run), project.find(), **how)


def refused(project: Project, **how: Any) -> str:
    with pytest.raises(MlgateError) as caught:
        check(project, **how)
    return str(caught.value)


def signed(project: Project, public: bytes, **verify: str) -> None:
    """A release whose statements have to be signed with a key that is committed."""
    project.repo.write("keys/cosign.pub", public)
    project.settings["deploy"] |= {"trust": "signed", "verify": verify or {"key": "keys/cosign.pub"}}
    project.train("two")
    project.release("two", "v1.0.0")


def sign(project: Project, private: str, *args: str, **env: str) -> None:
    """`mlgate audit sign`, as the job that holds the key does."""
    file = project.repo.path / ".mlgate/images/visits.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(project.images["two"].to_bytes())
    project.mlgate("audit", "sign", *args, COSIGN_PRIVATE_KEY=private, MLGATE_COSIGN=cosign(), **env)


def leave_only_the_registry(project: Project) -> None:
    for file in (project.repo.path / ".mlgate").rglob("*.dsse.json"):
        file.unlink()


@pytest.fixture
def with_cosign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_COSIGN", cosign())


# -- by a key --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_signed_beside_the_records(project: Project, kind: str) -> None:
    private, public = pem(kind)
    signed(project, public)
    sign(project, private, "--registry", "false")
    found = check(project)
    assert found.verdict is Verdict.PASS
    assert found.reason == (
        "The image's statement is signed with keys/cosign.pub. The decision's record is signed with keys/cosign.pub."
    )


@pytest.mark.usefixtures("with_cosign")
def test_signed_in_the_registry(project: Project) -> None:
    private, public = pem()
    signed(project, public)
    sign(project, private, "--registry", "true", "--plain-http")
    leave_only_the_registry(project)
    found = check(project)
    assert found.verdict is Verdict.PASS
    assert "lies beside it in its registry, signed with keys/cosign.pub" in found.reason
    assert "names the decision's record by sha256" in found.reason


@pytest.mark.usefixtures("with_cosign")
def test_not_signed_at_all(project: Project) -> None:
    signed(project, pem()[1])
    assert "is not signed with keys/cosign.pub" in refused(project)


@pytest.mark.usefixtures("with_cosign")
def test_signed_in_the_registry_with_another_key(project: Project) -> None:
    signed(project, pem()[1])
    sign(project, pem()[0], "--registry", "true", "--plain-http")
    leave_only_the_registry(project)
    assert "is not signed with keys/cosign.pub" in refused(project)


def test_signed_beside_the_records_with_another_key(project: Project) -> None:
    signed(project, pem()[1])
    sign(project, pem()[0], "--registry", "false")
    assert "visits.json.dsse.json is signed with another key than keys/cosign.pub" in refused(project)


def test_the_decision_signed_with_another_key(project: Project) -> None:
    private, public = pem()
    signed(project, public)
    sign(project, pem()[0], "--registry", "false")
    decision = project.repo.path / ".mlgate/decisions/visits.json.dsse.json"
    other = decision.read_bytes()
    sign(project, private, "--registry", "false")
    decision.write_bytes(other)
    assert "is signed with another key" in refused(project)


def test_an_envelope_around_other_bytes_signs_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature of an earlier image, whose envelope still lies here."""
    monkeypatch.setenv("MLGATE_COSIGN", "/bin/false")
    private, public = pem()
    signed(project, public)
    sign(project, private, "--registry", "false")
    project.write(project.build("two", **{"org.opencontainers.image.created": "later"}))
    assert "is not signed with keys/cosign.pub" in refused(project)


def test_a_key_that_is_not_committed(project: Project) -> None:
    signed(project, pem()[1], key="keys/gone.pub")
    assert refused(project).startswith("keys/gone.pub does not exist")


def test_a_key_that_is_none(project: Project) -> None:
    private, _ = pem()
    signed(project, b"no key\n")
    sign(project, private, "--registry", "false")
    assert "keys/cosign.pub is no public key in PEM form" in refused(project)


def test_nothing_says_whose_signature_counts(project: Project) -> None:
    """mlgate.yaml cannot say that; nor can a configuration that was made in another way."""
    project.release("one", "v1.0.0")
    run = project.run()
    config = project.config(run)
    asks = config.model_copy(update={"deploy": config.deploy.model_copy(update={"trust": "signed"})})
    with pytest.raises(MlgateError, match="says nowhere by whom the two statements have to be signed"):
        _signatures.check(run, asks, project.find())


# -- certificates ----------------------------------------------------------------------------------------------------


def certificate(days: float) -> tuple[str, bytes]:
    """A private key, and a certificate of it that ends so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mlgate tests")])
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(ends - dt.timedelta(days=30)).not_valid_after(ends).sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return private, made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("days", "said"), [(10, ""), (-1, "keys/cosign.pub has expired on"), (40, "keys/cosign.pub is not valid before")]
)
def test_a_certificate_lasts_as_long_as_it_says(project: Project, days: float, said: str) -> None:
    private, public = certificate(days)
    signed(project, public)
    sign(project, private, "--registry", "false")
    if said:
        assert said in refused(project)
    else:
        assert check(project).verdict is Verdict.PASS


def test_a_certificate_that_is_none() -> None:
    with pytest.raises(MlgateError, match="is no certificate"):
        _signatures.public(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "key.pem")


# -- a local target --------------------------------------------------------------------------------------------------


def test_without_an_image_the_decision_itself_has_to_be_signed(project: Project) -> None:
    private, public = pem()
    project.repo.write("keys/cosign.pub", public)
    project.settings["deploy"] |= {"trust": "signed", "verify": {"key": "keys/cosign.pub"}}
    project.train("two")
    project.write(project.decide("two"))
    run = project.run()
    found = project.find(local=True)
    with pytest.raises(MlgateError, match=r"is not signed with keys/cosign\.pub"):
        _signatures.check(run, project.config(run), found)
    project.repo.write(".mlgate/decisions/visits.json", project.decided["two"].to_bytes())
    project.mlgate("audit", "sign", COSIGN_PRIVATE_KEY=private, MLGATE_COSIGN=cosign())
    assert _signatures.check(run, project.config(run), found).verdict is Verdict.PASS


# -- by a workflow ---------------------------------------------------------------------------------------------------

GH = """#!/usr/bin/env python3
import json, os, sys
said = json.load(open(os.environ["GH_SAYS"]))
subject = sys.argv[3]
told = said["record" if os.path.exists(subject) else "image"]
if os.path.exists(subject):
    import hashlib
    if hashlib.sha256(open(subject, "rb").read()).hexdigest() != said["sha256"]:
        sys.exit("Error: no attestations found")
if told is None:
    sys.exit("Error: the certificate has expired")
print(json.dumps([{"verificationResult": {
    "statement": {"predicate": told}, "signature": {"certificate": {"sourceRepositoryRef": said["ref"]}}}}]))
"""


class GitHub:
    """GitHub's command line tool, as far as it answers about attestations."""

    def __init__(self, folder: Path, project: Project) -> None:
        self.says = folder / "says.json"
        tool = folder / "bin/gh"
        tool.parent.mkdir()
        tool.write_text(GH)
        tool.chmod(0o755)
        self.environ = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}", "GH_SAYS": str(self.says)}
        self.told = {
            "ref": "refs/heads/main", "record": {}, "sha256": project.decided["two"].digest,
            "image": json.loads(project.images["two"].predicate_bytes()),
        }  # fmt: skip

    def tell(self, **changed: Any) -> dict[str, str]:
        self.says.write_text(json.dumps({**self.told, **changed}))
        return self.environ


@pytest.fixture
def attested(project: Project) -> Project:
    signed(project, b"", attested_by="acme/visits/.github/workflows/gate.yml")
    return project


def test_attested(attested: Project, tmp_path: Path) -> None:
    found = check(attested, environ=GitHub(tmp_path, attested).tell())
    assert found.verdict is Verdict.PASS
    assert "attested by acme/visits/.github/workflows/gate.yml on main" in found.reason


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"image": None}, "has no attestation by acme/visits/.github/workflows/gate.yml on main"),
        ({"image": None}, "the certificate has expired"),
        ({"image": {"model": "another"}}, "say something else than its statement"),
        ({"record": None}, "the decision about visits has no attestation"),
        ({"sha256": "0" * 64}, "the decision about visits has no attestation"),
        ({"ref": "refs/heads/change"}, "signed on refs/heads/change, not on the branch main"),
    ],
)
def test_not_attested(attested: Project, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    assert said in refused(attested, environ=GitHub(tmp_path, attested).tell(**changed))


def test_no_tool_is_no_pass(attested: Project) -> None:
    assert "there is no `gh` on PATH" in refused(attested, environ={**os.environ, "PATH": "/nowhere"})
