"""How long is waited, and whom is trusted."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
import sys
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from forges.conftest import quick
from forges.fake_forge import FakeGitLab
from mlgate.forges import Client, ForgeError, detect
from mlgate.forges.http import Token, _wait

NOW = 1_800_000_000.0


def _date(seconds: int) -> str:
    return format_datetime(datetime.datetime.fromtimestamp(NOW + seconds, datetime.UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": _date(90)}, 90.0),
        ({"Retry-After": _date(-90)}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "9" * 400}, 999_999_999.0),
        ({"X-RateLimit-Reset": str(int(NOW) + 30)}, 30.0),
        ({"RateLimit-Reset": str(int(NOW) - 30)}, 0.0),
        ({"Retry-After": "5", "X-RateLimit-Reset": str(int(NOW) + 30)}, 5.0),
    ],
)
def test_what_a_forge_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert _wait(headers, NOW) == seconds


def test_a_token_does_not_show() -> None:
    token = Token("Authorization", "Bearer", "secret")
    client = Client("https://forge.test", token)
    assert "secret" not in repr([token, client])


@pytest.mark.parametrize("base", ["", "nonsense", "http://", "http://[::1", "http://a b", "https://\x00"])
def test_an_address_that_is_none_is_a_forge_error(base: str) -> None:
    with pytest.raises(ForgeError):
        Client(base, Token()).get("user")


def test_a_server_that_signs_its_own_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    pem = _self_signed(tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    fake = FakeGitLab()
    fake._server.socket = context.wrap_socket(fake._server.socket, server_side=True)
    with fake:
        environ = {key: value.replace("http://", "https://") for key, value in fake.environ().items()}
        forge = detect(environ)
        assert quick(forge) == []
        assert forge.comment("x").said == (
            "The comment was not written: The certificate of 127.0.0.1 is not trusted here; set REQUESTS_CA_BUNDLE."
        )
        assert detect(environ | {"CI_SERVER_TLS_CA_FILE": str(pem)}).comment("x").did == "created"
        gone = detect(environ | {"CI_SERVER_TLS_CA_FILE": str(tmp_path / "gone.pem")})
        quick(gone)
        assert "cannot be asked" in gone.comment("x").said


def _self_signed(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_a_job_that_posts_nothing_does_not_load_requests() -> None:
    code = "import sys, mlgate.forges as f; f.detect({'GITHUB_ACTIONS': 'true'}); print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_scripts())
    assert done.stdout == "False\n"


def _scripts() -> Path:
    import mlgate  # noqa: PLC0415

    return Path(mlgate.__file__).parents[1]
